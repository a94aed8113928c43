//! The documented flow beside picture and sound: extra info, device states, tokens, messages, figures, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rotunda::bridge::{PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::client::{Engine, EngineConfig, PublishOptions, RoomConfig, Stream, User};
use rotunda::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::quality::Grade;
use rotunda::model::{
    DeviceState, ErrorCode, PublishState, RoomId, RoomState, RoomStateReason, StreamInfo, StreamKind,
};
use rotunda::protocol::token::{TokenRequest, issue};

use super::kit::*;
use crate::common::meddler::{Meddler, Say};

fn now_secs() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn token(room: &RoomId, identity: &str, issued: u64, change: impl FnOnce(&mut TokenRequest)) -> String {
    let mut request = TokenRequest { ttl_secs: 600, ..TokenRequest::member(KEY, SECRET, room.as_str(), identity) };
    change(&mut request);
    issue(&request, issued).unwrap()
}

fn publish_with(bot: &Bot, id: &str, source: impl VideoSource + 'static, extra_info: &str) {
    bot.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream(id),
        kind: StreamKind::Camera,
        video: Some((Box::new(source), VideoOptions::single(300_000))),
        audio: None,
        extra_info: extra_info.into(),
        muted: StartsMuted::default(),
    }));
}

/// Waits until a stream is told as wanted, added or updated.
fn wait_stream(bot: &mut Bot, what: &str, id: &str, mut fits: impl FnMut(&StreamInfo) -> bool) {
    bot.wait(what, SOON, |event| match event {
        RoomEvent::StreamAdded(info) | RoomEvent::StreamUpdated(info) if info.id == stream(id) => {
            fits(info).then_some(())
        }
        _ => None,
    });
}

fn wait_refused(bot: &mut Bot) -> rotunda::model::CallError {
    bot.wait("a refused stream", SOON, |event| match event {
        RoomEvent::PublishStateChanged { state: PublishState::NoPublish, error, .. } => error.clone(),
        _ => None,
    })
}

#[test]
fn extra_info_reaches_everyone_and_late_joiners() {
    let server = TestServer::start();
    let room = room("extra");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    publish_with(&ann, "ann-cam", Picture::new(80), "{\"seat\":7}");
    for bot in [&mut ann, &mut bob] {
        wait_stream(bot, "extra info", "ann-cam", |info| info.extra_info == "{\"seat\":7}");
    }
    let longest = "é".repeat(511);
    ann.send(RoomCommand::SetExtraInfo { stream: stream("ann-cam"), extra_info: longest.clone() });
    for bot in [&mut ann, &mut bob] {
        wait_stream(bot, "changed extra info", "ann-cam", |info| info.extra_info == longest);
    }
    let mut cid = server.enter(&room, "cid");
    wait_stream(&mut cid, "extra info of before", "ann-cam", |info| info.extra_info == longest);
    ann.send(RoomCommand::SetExtraInfo { stream: stream("ann-cam"), extra_info: "x".repeat(1024) });
    assert_eq!(ann.wait_failure().code.number(), 1_003_051);
    publish_with(&ann, "second", Picture::new(80), &"x".repeat(1024));
    assert_eq!(wait_refused(&mut ann).code.number(), 1_003_051);
    // It ends with its stream: under the same id the next one has none.
    ann.send(RoomCommand::StopPublishing(stream("ann-cam")));
    bob.wait("the end", SOON, |event| matches!(event, RoomEvent::StreamRemoved { .. }).then_some(()));
    bob.heard.clear();
    publish_with(&ann, "ann-cam", Picture::new(80), "");
    wait_stream(&mut bob, "a stream without extra info", "ann-cam", |info| info.extra_info.is_empty());
}

#[test]
fn a_token_without_the_grant_publishes_but_says_nothing_beside_it() {
    let server = TestServer::start();
    let room = room("plain-token");
    let mut ann = Bot::new("ann");
    let plain = token(&room, "ann", now_secs(), |request| request.can_update_own_metadata = false);
    ann.login(&[server.url_for("ann")], &room, plain);
    publish_with(&ann, "noted", Picture::new(80), "hello");
    assert_eq!(wait_refused(&mut ann).code, ErrorCode::NotPermitted);
    publish_with(&ann, "plain", Picture::new(80), "");
    ann.wait_publishing("plain");
    ann.send(RoomCommand::SetExtraInfo { stream: stream("plain"), extra_info: "hello".into() });
    assert_eq!(ann.wait_failure().code, ErrorCode::NotPermitted);
    ann.send(RoomCommand::SetExtraInfo { stream: stream("gone"), extra_info: "hello".into() });
    assert_eq!(ann.wait_failure().code, ErrorCode::StreamNotFound);
}

/// A camera that somebody takes away.
struct Fickle {
    picture: Picture,
    trouble: Arc<AtomicU8>,
}

impl VideoSource for Fickle {
    fn format(&self) -> VideoFormat {
        self.picture.format()
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let state = match self.trouble.load(Ordering::Acquire) {
            0 => return self.picture.next_frame(),
            1 => DeviceState::InUse,
            _ => DeviceState::Unplugged,
        };
        std::thread::sleep(Duration::from_millis(50));
        Err(CaptureError::Interrupted { what: "a camera".into(), state, why: "give it back".into() })
    }
}

#[test]
fn the_state_of_a_camera_is_told_with_its_cause() {
    let server = TestServer::start();
    let room = room("states");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    let trouble = Arc::new(AtomicU8::new(0));
    publish_with(&ann, "ann-cam", Fickle { picture: Picture::new(80), trouble: Arc::clone(&trouble) }, "");
    for (now, state) in
        [(0, DeviceState::On), (1, DeviceState::InUse), (2, DeviceState::Unplugged), (0, DeviceState::On)]
    {
        trouble.store(now, Ordering::Release);
        for bot in [&mut ann, &mut bob] {
            wait_stream(bot, state.word(), "ann-cam", |info| info.video_state == state);
        }
    }
    ann.send(RoomCommand::SetMuted { stream: stream("ann-cam"), kind: rotunda::model::MediaKind::Video, muted: true });
    for bot in [&mut ann, &mut bob] {
        wait_stream(bot, "muted", "ann-cam", |info| {
            info.video_state == DeviceState::Muted && info.audio_state == DeviceState::Off
        });
    }
}

/// Servers refresh tokens by themselves, so that none ends: these do not.
fn unrefreshed(server: &TestServer) -> Meddler {
    let turn = |said| if matches!(said, Say::RefreshToken(_)) { Vec::new() } else { vec![said] };
    Meddler::with(&server.url, turn, |_| false)
}

#[test]
fn a_token_that_ends_is_told_and_renewed() {
    let server = TestServer::start();
    let meddler = unrefreshed(&server);
    let room = room("renew");
    let mut ann = Bot::new("ann");
    ann.login(&[&meddler.url], &room, token(&room, "ann", now_secs(), |request| request.ttl_secs = 20));
    let left = ann.wait("the warning", SOON, |event| match event {
        RoomEvent::TokenExpiring { in_secs } => Some(*in_secs),
        _ => None,
    });
    assert!(left <= 20, "{left}");
    for (wrong, code) in [
        (token(&room, "bob", now_secs(), |_| {}), 1_002_076),
        (token(&RoomId::new("attic").unwrap(), "ann", now_secs(), |_| {}), 1_002_077),
        (token(&room, "ann", now_secs() - 3600, |_| {}), 1_002_056),
        (String::new(), 1_002_067),
        ("nonsense".into(), 1_002_074),
    ] {
        ann.send(RoomCommand::RenewToken(wrong));
        assert_eq!(ann.wait_failure().code.number(), code);
    }
    // A good one that ends soon, too, is warned of again: so it was taken.
    ann.send(RoomCommand::RenewToken(token(&room, "ann", now_secs(), |request| request.ttl_secs = 25)));
    ann.wait("another warning", SOON, |event| matches!(event, RoomEvent::TokenExpiring { .. }).then_some(()));
}

#[test]
fn coming_back_takes_a_token_that_still_holds() {
    let mut server = TestServer::own();
    let meddler = unrefreshed(&server);
    let room = room("stale");
    // Within the leeway now, and past it when the server is back.
    let began = Instant::now();
    let stale = |identity: &str| token(&room, identity, now_secs() - 645, |_| {});
    let (mut ann, mut bob, mut cid) = (Bot::new("ann"), Bot::new("bob"), Bot::new("cid"));
    for (bot, url, identity) in
        [(&mut ann, &meddler.url, "ann"), (&mut bob, &meddler.url, "bob"), (&mut cid, &server.url, "cid")]
    {
        bot.login(&[url], &room, stale(identity));
        bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    }
    bob.send(RoomCommand::RenewToken(token(&room, "bob", now_secs(), |_| {})));
    std::thread::sleep(Duration::from_secs(17).saturating_sub(began.elapsed()));
    server.stop();
    server.run_again();
    let error = ann.wait_state(RoomState::Disconnected, RoomStateReason::ReconnectFailed).unwrap();
    assert_eq!(error.code.number(), 1_002_056, "{error}");
    // Renewed by its application, and refreshed by the server.
    for bot in [&mut bob, &mut cid] {
        bot.wait_state(RoomState::Connected, RoomStateReason::Reconnected);
    }
}

#[test]
fn four_streams_are_published_and_no_more() {
    let server = TestServer::start();
    let room = room("five");
    let mut ann = server.enter(&room, "ann");
    for n in 0..4 {
        publish_with(&ann, &format!("s{n}"), Picture::new(80), "");
        ann.wait_publishing(&format!("s{n}"));
    }
    publish_with(&ann, "s4", Picture::new(80), "");
    let error = wait_refused(&mut ann);
    assert!(error.code.number() == 1_003_023 && error.message.contains('4'), "{error}");
    ann.send(RoomCommand::StopPublishing(stream("s0")));
    publish_with(&ann, "s4", Picture::new(80), "");
    ann.wait_publishing("s4");
}

#[test]
fn barrages_and_commands_reach_whom_they_are_for() {
    let server = TestServer::start();
    let room = room("words");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    let mut cid = server.enter(&room, "cid");
    // The server may take a moment to open the way to everyone.
    std::thread::sleep(Duration::from_millis(500));
    ann.send(RoomCommand::SendCustom { to: vec![user("bob")], content: "wave".into() });
    ann.send(RoomCommand::SendCustom { to: Vec::new(), content: "all".into() });
    for (bot, expected) in [(&mut bob, vec!["wave", "all"]), (&mut cid, vec!["all"])] {
        for wanted in expected {
            let content = bot.wait("a command", SOON, |event| match event {
                RoomEvent::CustomReceived { from, content } if *from == user("ann") => Some(content.clone()),
                _ => None,
            });
            assert_eq!(content, wanted);
        }
    }
    // Lossy: one of some comes.
    for _ in 0..5 {
        ann.send(RoomCommand::SendBarrage("hooray".into()));
    }
    bob.wait("a barrage message", SOON, |event| match event {
        RoomEvent::BarrageReceived { from, text } if *from == user("ann") && text == "hooray" => Some(()),
        _ => None,
    });
    for wrong in [
        RoomCommand::SendBarrage("x".repeat(1025)),
        RoomCommand::SendCustom { to: Vec::new(), content: "x".repeat(1025) },
    ] {
        ann.send(wrong);
        assert_eq!(ann.wait_failure().code.number(), 1_009_013);
    }
    ann.send(RoomCommand::SendBarrage(String::new()));
    assert_eq!(ann.wait_failure().code.number(), 1_009_010);
    // The eleventh to everyone in a second is too fast, and nothing of it is sent.
    for n in 0..12 {
        ann.send(RoomCommand::SendCustom { to: Vec::new(), content: format!("n{n}") });
    }
    assert_eq!(ann.wait_failure().code.number(), 1_009_015);
    bob.wait("the first of many", SOON, |event| match event {
        RoomEvent::CustomReceived { content, .. } => (content == "n0").then_some(()),
        _ => None,
    });
}

#[test]
fn figures_tell_who_is_there_speaks_and_how_it_goes() {
    let server = TestServer::start();
    let room = room("figures");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("ann-cam", 90);
    ann.wait_publishing("ann-cam");
    picture(&bob.wait_feed("ann-cam"));
    for bot in [&ann, &bob] {
        bot.wait_figures("two are online", |now| (now.online == 2).then_some(()));
        bot.wait_figures("ann speaks", |now| (now.active_speakers == [user("ann")]).then_some(()));
        bot.wait_figures("her level", |now| (now.level_of(&user("ann")) > 10).then_some(()));
    }
    ann.wait_figures("publish quality", |now| {
        let quality = now.publishing.get(&stream("ann-cam"))?;
        let flows = quality.captured_fps > 3.0 && quality.encoded_fps > 3.0 && quality.sent_fps > 3.0;
        let told =
            quality.width == WIDTH && quality.layers == 1 && quality.video_kbps > 1.0 && quality.audio_kbps > 1.0;
        (flows && told && quality.rtt_ms.is_some() && quality.grade < Grade::Lost).then_some(())
    });
    let feed = bob.wait_figures("play quality", |now| {
        let quality = now.playing.get(&stream("ann-cam"))?;
        (quality.received_fps > 3.0 && quality.decoded_fps > 3.0 && quality.audio_kbps > 1.0).then(|| quality.clone())
    });
    assert!(feed.loss < 0.5 && feed.grade < Grade::Lost, "{feed:?}");
    drop(ann);
    bob.wait_left("ann");
    bob.wait_figures("alone", |now| (now.online == 1 && now.active_speakers.is_empty()).then_some(()));
}

#[test]
fn the_facade_carries_a_call_from_login_to_logout() {
    let server = TestServer::start();
    let room = room("facade");
    let mut bob = server.enter(&room, "bob");
    let mut engine = Engine::new(KEY, [server.url_for("ann")], EngineConfig::named("ann")).unwrap();
    let ann = User { id: "ann".into(), name: "Ann A.".into() };
    let named = token(&room, "ann", now_secs(), |request| request.name = "Ann A.".into());
    engine.login_room(room.as_str(), &named, &ann, RoomConfig::default()).unwrap();
    let wait = |engine: &mut Engine, what: &str, fits: &dyn Fn(&RoomEvent) -> bool| {
        let deadline = Instant::now() + SOON;
        loop {
            match engine.try_event() {
                Some(told) if fits(&told.event) => return,
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(Instant::now() < deadline, "waited for {what}");
        }
    };
    wait(
        &mut engine,
        "the room",
        &|event| matches!(event, RoomEvent::StateChanged { state: RoomState::Connected, me: Some(me), .. } if me.name == "Ann A."),
    );
    let picture = Stream::picture(StreamKind::Camera, Picture::new(90), 300_000);
    let options = PublishOptions { extra_info: "hi".into(), simulcast: Some(false), ..PublishOptions::default() };
    engine.start_publishing("ann-cam", picture, options).unwrap();
    wait(&mut engine, "publishing", &|event| {
        matches!(event, RoomEvent::PublishStateChanged { state: PublishState::Publishing, .. })
    });
    wait_stream(&mut bob, "the facade's stream", "ann-cam", |info| info.extra_info == "hi");
    let feed = bob.wait_feed("ann-cam");
    let before = brightness(&super::kit::picture(&feed));
    engine.switch_video("ann-cam", Picture::new(200)).unwrap();
    let deadline = Instant::now() + SOON;
    while brightness(&super::kit::picture(&feed)) < before + 60.0 {
        assert!(Instant::now() < deadline, "the other source was never seen");
    }
    engine.send_broadcast_message("hello").unwrap();
    bob.wait("chat", SOON, |event| {
        matches!(event, RoomEvent::ChatReceived { text, .. } if text == "hello").then_some(())
    });
    engine.stop_publishing("ann-cam").unwrap();
    wait(&mut engine, "the stream's end", &|event| {
        matches!(event, RoomEvent::PublishStateChanged { state: PublishState::NoPublish, error: None, .. })
    });
    engine.logout_room().unwrap();
    wait(&mut engine, "the end", &|event| {
        matches!(event, RoomEvent::StateChanged { reason: RoomStateReason::LoggedOut, .. })
    });
    engine.login_room(room.as_str(), &named, &ann, RoomConfig::default()).unwrap();
    wait(&mut engine, "the room again", &|event| {
        matches!(event, RoomEvent::StateChanged { state: RoomState::Connected, .. })
    });
}
