//! Two people in a call see, hear and write to each other, and notice each other's leave.

use std::time::{Duration, Instant};

use rotunda::bridge::{
    AudioOptions, DataMessage, LoginRequest, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions,
};
use rotunda::media::capture::SpeechSource;
use rotunda::model::{
    EndReason, ErrorCode, MediaKind, PlayState, PublishState, RoomState, RoomStateReason, StreamKind,
};

use super::kit::*;

#[test]
fn two_engines_see_and_hear_each_other() {
    let server = TestServer::start();
    let room = room("pair");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("ann-cam", 60);
    bob.publish("bob-cam", 180);
    for (bot, own, other, luma) in [(&mut ann, "ann-cam", "bob-cam", 180.0), (&mut bob, "bob-cam", "ann-cam", 60.0)] {
        bot.wait_publishing(own);
        let preview = bot.wait_feed(own);
        assert_eq!(picture(&preview).width(), WIDTH);
        let frame = picture(&bot.wait_feed(other));
        assert_eq!((frame.width(), frame.height()), (WIDTH, HEIGHT));
        let seen = brightness(&frame);
        assert!((seen - luma).abs() < 12.0, "{other} has brightness {seen}, not {luma}");
        bot.wait_figures("sound is heard", |now| audio_of(now, other).filter(|audio| audio.level > 0.1));
    }
    std::thread::sleep(Duration::from_secs(3));
    let snapshot = ann.engine.snapshot();
    let video = video_of(&snapshot, "bob-cam").unwrap();
    assert!(video.fps > 8.0 && video.lost == 0 && video.freezes == 0, "{video:?}");
    let audio = audio_of(&snapshot, "bob-cam").unwrap();
    // A sine of amplitude 0.3 has a root mean square of 0.21.
    assert!((0.15..0.27).contains(&audio.level) && audio.concealed < 0.1, "{audio:?}");
    assert!(snapshot.levels[&user("bob")] > 0.1 && snapshot.levels[&user("ann")] > 0.1, "{:?}", snapshot.levels);
    // The loopback carries all that is asked for.
    assert!(snapshot.send_bandwidth_kbps.is_some_and(|kbps| kbps > 500.0), "{:?}", snapshot.send_bandwidth_kbps);
    assert!(snapshot.sent_kbps > 20.0 && snapshot.rtt_ms.is_some(), "{snapshot:?}");
}

#[test]
fn data_and_chat_go_both_ways() {
    let server = TestServer::start();
    let room = room("data");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    let mut cid = server.enter(&room, "cid");
    ann.wait_user("bob");
    std::thread::sleep(Duration::from_millis(300));
    ann.send(RoomCommand::SendChat("grüße".into()));
    for bot in [&mut bob, &mut cid] {
        bot.wait("chat", SOON, |event| match event {
            RoomEvent::ChatReceived { from, text, sent_at_ms } => {
                assert_eq!((from, text.as_str()), (&user("ann"), "grüße"));
                assert!(*sent_at_ms > 1_700_000_000_000);
                Some(())
            }
            _ => None,
        });
    }
    for reliable in [true, false] {
        let message =
            DataMessage { topic: "rotunda.test".into(), payload: vec![7; 900], reliable, to: vec![user("ann")] };
        bob.send(RoomCommand::SendData(message));
        ann.wait("data", SOON, |event| match event {
            RoomEvent::DataReceived { from, topic, payload, reliable: came } if *came == reliable => {
                assert_eq!(
                    (from, topic.as_str(), payload.as_slice()),
                    (&Some(user("bob")), "rotunda.test", &[7; 900][..])
                );
                Some(())
            }
            _ => None,
        });
    }
    // What was for one is not the others', and what came in two forms is told once.
    std::thread::sleep(Duration::from_millis(500));
    for bot in [&mut bob, &mut cid] {
        bot.listen();
        let extra = bot
            .heard
            .iter()
            .find(|event| matches!(event, RoomEvent::DataReceived { .. } | RoomEvent::ChatReceived { .. }));
        assert!(extra.is_none(), "{extra:?}");
    }
    // The writer learns what became of each message, and gets back what was not sent.
    let outcome = |event: &RoomEvent| match event {
        RoomEvent::ChatSent { text, .. } => Some((text.clone(), None)),
        RoomEvent::ChatRefused { text, error } => Some((text.clone(), Some(error.code))),
        _ => None,
    };
    assert_eq!(ann.wait("the first message's fate", SOON, outcome), ("grüße".to_owned(), None));
    ann.send(RoomCommand::SendChat("x".repeat(1025)));
    assert_eq!(ann.wait("a refusal", SOON, outcome), ("x".repeat(1025), Some(ErrorCode::MessageTooLong)));
    for text in ["one", "two", "three"] {
        ann.send(RoomCommand::SendChat(text.into()));
    }
    let fates: Vec<_> = (0..3).map(|_| ann.wait("a fate", SOON, outcome)).collect();
    assert_eq!(fates[2], ("three".to_owned(), Some(ErrorCode::MessageTooFast)), "{fates:?}");
}

#[test]
fn muting_is_told_and_sends_nothing_and_playing_can_stop() {
    let server = TestServer::start();
    let room = room("mute");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    bob.publish("bob-cam", 120);
    ann.wait_figures("bob is heard", |now| audio_of(now, "bob-cam").filter(|audio| audio.level > 0.1));
    for muted in [true, false] {
        bob.send(RoomCommand::SetMuted { stream: stream("bob-cam"), kind: MediaKind::Audio, muted });
        for bot in [&mut ann, &mut bob] {
            bot.wait("the microphone's state", SOON, |event| match event {
                RoomEvent::StreamUpdated(info) if info.id == stream("bob-cam") => {
                    info.audio.as_ref().is_some_and(|audio| audio.muted == muted).then_some(())
                }
                _ => None,
            });
        }
        if muted {
            ann.wait_figures("silence", |now| audio_of(now, "bob-cam").filter(|audio| audio.level < 0.001));
            // The official server sends a second of blank frames first.
            std::thread::sleep(Duration::from_millis(1500));
            let before = audio_of(&ann.engine.snapshot(), "bob-cam").unwrap().packets;
            std::thread::sleep(Duration::from_secs(1));
            let after = audio_of(&ann.engine.snapshot(), "bob-cam").unwrap().packets;
            assert!(after - before < 5, "a muted microphone sent {} packets", after - before);
        } else {
            ann.wait_figures("sound again", |now| audio_of(now, "bob-cam").filter(|audio| audio.level > 0.1));
        }
    }
    // A camera that is switched off does not freeze, however long.
    for muted in [true, false] {
        bob.send(RoomCommand::SetMuted { stream: stream("bob-cam"), kind: MediaKind::Video, muted });
        std::thread::sleep(Duration::from_secs(2));
    }
    let video = video_of(&ann.engine.snapshot(), "bob-cam").unwrap();
    assert!(video.freezes == 0 && video.fps > 4.0, "{video:?}");
    ann.send(RoomCommand::StopPlaying(stream("bob-cam")));
    ann.wait_play_state("bob-cam", PlayState::NoPlay);
    let closed = ann.wait_feed("bob-cam");
    assert!(closed.is_closed(), "the feed of a stopped stream is closed");
    ann.send(RoomCommand::StartPlaying(stream("bob-cam")));
    let feed = ann.wait_feed("bob-cam");
    picture(&feed);
    ann.send(RoomCommand::StartPlaying(stream("nobody")));
    let error = ann.wait("an unknown stream", SOON, |event| match event {
        RoomEvent::PlayStateChanged { stream: id, error, .. } if *id == stream("nobody") => error.clone(),
        _ => None,
    });
    assert_eq!(error.code, ErrorCode::StreamNotFound);
}

#[test]
fn what_begins_muted_is_told_so_and_sends_nothing_until_it_is_unmuted() {
    let server = TestServer::start();
    let room = room("begins-muted");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    // One whose voice is muted, and one whose picture is.
    ann.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("ann-cam"),
        kind: StreamKind::Camera,
        video: Some((Box::new(Picture::new(90)), VideoOptions::single(400_000))),
        audio: Some((Box::new(SpeechSource::new(7)), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted { audio: true, video: false },
    }));
    ann.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("ann-dark"),
        kind: StreamKind::Camera,
        video: Some((Box::new(Picture::new(180)), VideoOptions::single(400_000))),
        audio: Some((Box::new(Tone::new(0.3)), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted { audio: false, video: true },
    }));
    for (own, audio_muted) in [("ann-cam", true), ("ann-dark", false)] {
        for bot in [&mut ann, &mut bob] {
            bot.wait("both tracks", SOON, |event| match event {
                RoomEvent::StreamAdded(info) | RoomEvent::StreamUpdated(info) if info.id == stream(own) => {
                    // Not for a moment is it told otherwise.
                    assert!(info.audio.as_ref().is_none_or(|audio| audio.muted == audio_muted), "{info:?}");
                    assert!(info.video.as_ref().is_none_or(|video| video.muted != audio_muted), "{info:?}");
                    (info.audio.is_some() && info.video.is_some()).then_some(())
                }
                _ => None,
            });
        }
    }
    ann.wait_publishing("ann-cam");
    ann.wait_publishing("ann-dark");
    picture(&bob.wait_feed("ann-cam"));
    bob.wait_figures("the tone", |now| audio_of(now, "ann-dark").filter(|audio| audio.level > 0.1));
    // The sound is captured all the same, so that who speaks in vain can be told; the picture is not.
    let own_picture = ann.wait_feed("ann-dark");
    ann.wait_figures("she speaks in vain", |now| now.speaking_muted.then_some(()));
    // Figures are told every three seconds.
    let sent = ann.wait_figures("what she sends", |now| {
        let (seen, heard) = (now.publishing.get(&stream("ann-cam"))?, now.publishing.get(&stream("ann-dark"))?);
        (seen.video_kbps > 1.0 && heard.audio_kbps > 1.0).then_some((seen.audio_kbps, heard.video_kbps))
    });
    assert_eq!(sent, (0.0, 0.0), "nothing of what is muted");
    assert_eq!(own_picture.counts().put, 0, "a camera that begins muted is not opened");
    if kind() == Kind::Embedded {
        // The official server sends blank frames of its own.
        let now = bob.engine.snapshot();
        let (sound, dark) = (audio_of(&now, "ann-cam"), video_of(&now, "ann-dark"));
        assert_eq!(sound.map_or(0, |audio| audio.packets) + dark.map_or(0, |video| video.packets), 0);
    }
    ann.send(RoomCommand::SetMuted { stream: stream("ann-cam"), kind: MediaKind::Audio, muted: false });
    ann.send(RoomCommand::SetMuted { stream: stream("ann-dark"), kind: MediaKind::Video, muted: false });
    bob.wait_figures("her voice", |now| audio_of(now, "ann-cam").filter(|audio| audio.level > 0.02));
    let seen = brightness(&picture(&bob.wait_feed("ann-dark")));
    assert!((seen - 180.0).abs() < 12.0, "{seen}");
    picture(&own_picture);
    bob.wait("her voice told", SOON, |event| match event {
        RoomEvent::StreamUpdated(info) if info.id == stream("ann-cam") => {
            info.audio.as_ref().is_some_and(|audio| !audio.muted).then_some(())
        }
        _ => None,
    });
    ann.wait_figures("she is heard", |now| (!now.speaking_muted).then_some(()));
}

#[test]
fn a_late_joiner_sees_at_once_and_leaving_is_noticed() {
    let server = TestServer::start();
    let room = room("late");
    let mut ann = server.enter(&room, "ann");
    ann.publish("ann-cam", 90);
    ann.wait_publishing("ann-cam");
    std::thread::sleep(Duration::from_secs(2));
    let mut bob = server.enter(&room, "bob");
    let joined = Instant::now();
    let feed = bob.wait_feed("ann-cam");
    picture(&feed);
    let waited = joined.elapsed();
    assert!(waited < Duration::from_secs(2), "the first picture took {waited:?}");

    ann.send(RoomCommand::StopPublishing(stream("ann-cam")));
    ann.wait("the own stream's end", SOON, |event| match event {
        RoomEvent::PublishStateChanged { state: PublishState::NoPublish, error: None, .. } => Some(()),
        _ => None,
    });
    bob.wait_removed("ann-cam", EndReason::Stopped);
    assert!(feed.is_closed());
    ann.publish("ann-cam", 90);
    picture(&bob.wait_feed("ann-cam"));

    let left = Instant::now();
    ann.send(RoomCommand::Logout);
    ann.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    assert!(left.elapsed() < Duration::from_secs(2), "leaving took {:?}", left.elapsed());
    bob.wait_removed("ann-cam", EndReason::Stopped);
    bob.wait_left("ann");

    let cid = server.enter(&room, "cid");
    bob.wait_user("cid");
    let dropped = Instant::now();
    drop(cid);
    assert!(dropped.elapsed() < Duration::from_secs(3), "dropping took {:?}", dropped.elapsed());
    bob.wait_left("cid");
}

/// The next changes of an own stream's state, none of which may be a failure.
fn publish_states(bot: &mut Bot, of: &str, count: usize) -> Vec<PublishState> {
    let next = |event: &RoomEvent| match event {
        RoomEvent::PublishStateChanged { stream: id, state, error: None } if *id == stream(of) => Some(*state),
        _ => None,
    };
    (0..count).map(|_| bot.wait("a state of the own stream", SOON, next)).collect()
}

/// The next changes of a played stream's state, none of which may be a failure.
fn play_states(bot: &mut Bot, of: &str, count: usize) -> Vec<PlayState> {
    let next = |event: &RoomEvent| match event {
        RoomEvent::PlayStateChanged { stream: id, state, error: None } if *id == stream(of) => Some(*state),
        _ => None,
    };
    (0..count).map(|_| bot.wait("a state of the played stream", SOON, next)).collect()
}

#[test]
fn publishing_and_playing_go_from_state_to_state_in_order() {
    let server = TestServer::start();
    let room = room("in-order");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    // Nothing is published or played to begin with, and nothing is told of that.
    for _ in 0..2 {
        ann.publish("ann-cam", 90);
        assert_eq!(publish_states(&mut ann, "ann-cam", 2), [PublishState::Requesting, PublishState::Publishing]);
        assert_eq!(play_states(&mut bob, "ann-cam", 2), [PlayState::Requesting, PlayState::Playing]);
        ann.send(RoomCommand::StopPublishing(stream("ann-cam")));
        assert_eq!(publish_states(&mut ann, "ann-cam", 1), [PublishState::NoPublish]);
        assert_eq!(play_states(&mut bob, "ann-cam", 1), [PlayState::NoPlay]);
    }
}

/// Coming, publishing at once and leaving, over and over: every publication must get through.
#[test]
fn publishing_at_once_after_the_login_always_gets_through() {
    let server = TestServer::start();
    let room = room("at-once");
    for round in 0..10 {
        let mut ann = Bot::new("ann");
        // Without playing, the first offer has nothing but data channels.
        ann.send(RoomCommand::Login(LoginRequest {
            servers: vec![server.url.clone()],
            room: room.clone(),
            token: server.token(&room, "ann"),
            auto_play: round % 2 == 0,
            first_quality: None,
        }));
        // Asked for while dialing, so that it follows at the very moment of entering.
        ann.publish("ann-cam", 90);
        ann.wait_publishing("ann-cam");
    }
}
