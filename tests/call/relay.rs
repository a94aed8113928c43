//! Calls through the impairment relay: everything goes through it, and what it does to the packets shows.

use std::time::{Duration, Instant};

use rotunda::bridge::{AudioOptions, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::media::VideoFormat;
use rotunda::media::capture::PortraitSource;
use rotunda::model::{ErrorCode, PlayState, RoomId, RoomState, RoomStateReason, StreamKind};
use serde_json::json;

use crate::common::browser_driver::Browser;
use crate::common::relay::{Cut, Direction, Network, Rate, Relay};
use crate::engine::kit::{Bot, SOON, TestServer, Tone, audio_of, picture, room, stream, video_of};

/// An engine in the room, through the relay.
fn enter(server: &TestServer, relay: &Relay, room: &RoomId, identity: &str) -> Bot {
    let mut bot = Bot::new(identity);
    bot.login(&[relay.url()], room, server.token(room, identity));
    bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    bot
}

fn frames(bot: &Bot, of: &str) -> u64 {
    video_of(&bot.engine.snapshot(), of).map_or(0, |video| video.frames_decoded)
}

/// Waits until so many more pictures came.
fn wait_more(bot: &Bot, of: &str, more: u64, limit: Duration) {
    let (before, deadline) = (frames(bot, of), Instant::now() + limit);
    while frames(bot, of) < before + more {
        assert!(Instant::now() < deadline, "{} of {more} pictures in {limit:?}", frames(bot, of) - before);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_perfect_relay_changes_nothing_and_nothing_goes_around_it() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 1);
    let room = room("relay");
    let (mut ann, mut bob) = (enter(&server, &relay, &room, "ann"), enter(&server, &relay, &room, "bob"));
    ann.publish("ann-cam", 90);
    picture(&bob.wait_feed("ann-cam"));
    bob.wait_figures("sound", |now| audio_of(now, "ann-cam").filter(|audio| audio.level > 0.1));
    wait_more(&bob, "ann-cam", 30, SOON);
    let video = video_of(&bob.engine.snapshot(), "ann-cam").unwrap();
    assert!(video.lost == 0, "{video:?}");
    let (up, down) = (relay.counts(Direction::Up), relay.counts(Direction::Down));
    for counts in [up, down] {
        assert!(counts.packets > 100 && counts.lost + counts.overflow + counts.cut == 0, "{counts:?}");
    }
    assert!(up.bytes > video.bytes && down.bytes > video.bytes, "{up:?} {down:?} {video:?}");

    relay.cut(Cut::Media);
    // What is in the decoder and in sockets may still come.
    std::thread::sleep(Duration::from_millis(500));
    let before = frames(&bob, "ann-cam");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(frames(&bob, "ann-cam"), before, "pictures come around the relay");
    relay.cut(Cut::Nothing);
    wait_more(&bob, "ann-cam", 10, SOON);
    ann.send(RoomCommand::Logout);
    ann.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
}

#[test]
fn the_picture_goes_on_with_a_tenth_of_all_packets_lost() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 2);
    let room = room("lossy");
    let (ann, mut bob) = (server.enter(&room, "ann"), enter(&server, &relay, &room, "bob"));
    ann.publish("ann-cam", 90);
    picture(&bob.wait_feed("ann-cam"));
    relay.both(Network { delay: Duration::from_millis(20), ..Network::loss(0.1) });
    wait_more(&bob, "ann-cam", 60, 2 * SOON);
    bob.wait_figures("sound", |now| audio_of(now, "ann-cam").filter(|audio| audio.level > 0.1));
    let down = relay.counts(Direction::Down);
    let share = down.lost as f64 / down.packets as f64;
    assert!(down.lost > 5 && share < 0.2, "{down:?}");
}

/// A way that just loses is not mended by sending less; one that is too narrow keeps the sound.
#[test]
fn a_picture_stops_for_a_narrow_way_and_not_for_a_lossy_one() {
    let server = TestServer::own();
    let relay = Relay::start(&server.url, 5);
    let room = room("narrow");
    let (ann, mut bob) = (server.enter(&room, "ann"), enter(&server, &relay, &room, "bob"));
    let portrait = PortraitSource::new("Ann", 7, VideoFormat { width: 640, height: 360, fps: 30.0 });
    ann.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("ann-cam"),
        kind: StreamKind::Camera,
        video: Some((Box::new(portrait), VideoOptions::single(600_000))),
        audio: Some((Box::new(Tone::new(0.3)), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
    picture(&bob.wait_feed("ann-cam"));
    bob.wait_figures("sound", |now| audio_of(now, "ann-cam").filter(|audio| audio.level > 0.1));
    let heard_since = Instant::now();
    let way = Network { delay: Duration::from_millis(25), ..Network::default() };
    relay.both(Network { loss: 0.2, ..way });
    std::thread::sleep(Duration::from_secs(8));
    wait_more(&bob, "ann-cam", 30, SOON);
    bob.listen();
    let stops = |event: &RoomEvent| matches!(event, RoomEvent::PlayStateChanged { error: Some(_), .. });
    assert!(!bob.heard.iter().any(stops), "loss alone stops nothing: {:#?}", bob.heard);

    relay.both(Network { rate: Some(Rate::new(150_000)), ..way });
    let deadline = Instant::now() + 2 * SOON;
    loop {
        let before = frames(&bob, "ann-cam");
        std::thread::sleep(Duration::from_secs(2));
        if frames(&bob, "ann-cam") == before {
            break;
        }
        assert!(Instant::now() < deadline, "the picture crowds out the sound");
    }
    let told = |bob: &mut Bot, wanted: PlayState, code: Option<ErrorCode>| {
        bob.wait("what became of the picture", SOON, |event| match event {
            RoomEvent::PlayStateChanged { state, error, .. }
                if *state == wanted && error.as_ref().map(|error| error.code) == code =>
            {
                Some(())
            }
            _ => None,
        });
    };
    told(&mut bob, PlayState::Requesting, Some(ErrorCode::PlayInterrupted));
    bob.heard.clear();
    // The share is told of all the sound since it began.
    let concealed = |bob: &Bot| {
        f64::from(audio_of(&bob.engine.snapshot(), "ann-cam").unwrap().concealed) * heard_since.elapsed().as_secs_f64()
    };
    // The queue empties first, and a busy machine makes holes of its own.
    let deadline = Instant::now() + SOON;
    loop {
        let (before, since) = (concealed(&bob), Instant::now());
        std::thread::sleep(Duration::from_secs(2));
        let share = (concealed(&bob) - before) / since.elapsed().as_secs_f64();
        if share < 0.1 {
            break;
        }
        assert!(Instant::now() < deadline, "{share} of the sound is made up although it has the way for itself");
    }

    relay.both(way);
    wait_more(&bob, "ann-cam", 30, 2 * SOON);
    told(&mut bob, PlayState::Playing, None);
}

#[test]
fn a_network_that_is_gone_for_three_seconds_comes_back() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 3);
    let room = room("gone");
    let (ann, mut bob) = (server.enter(&room, "ann"), enter(&server, &relay, &room, "bob"));
    ann.publish("ann-cam", 90);
    picture(&bob.wait_feed("ann-cam"));
    relay.cut(Cut::Both);
    std::thread::sleep(Duration::from_secs(3));
    relay.cut(Cut::Nothing);
    wait_more(&bob, "ann-cam", 20, 2 * SOON);
    bob.listen();
    let left = bob.heard.iter().any(|event| matches!(event, RoomEvent::UserLeft { .. }));
    assert!(!left, "nobody left: {:#?}", bob.heard);
}

#[test]
fn a_stream_that_was_asked_for_in_a_dying_connection_is_published_all_the_same() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 6);
    let room = room("dying");
    let (mut ann, mut bob) = (enter(&server, &relay, &room, "ann"), server.enter(&room, "bob"));
    relay.cut(Cut::Signalling);
    ann.publish("ann-cam", 90);
    std::thread::sleep(Duration::from_millis(500));
    relay.break_signalling();
    std::thread::sleep(Duration::from_millis(500));
    relay.cut(Cut::Nothing);
    ann.wait_publishing("ann-cam");
    picture(&bob.wait_feed("ann-cam"));
}

#[test]
fn a_browser_goes_through_it_on_both_versions_of_the_protocol() {
    let _turn = crate::browser::one_at_a_time();
    let Some(mut browser) = Browser::start() else { return };
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 4);
    let room = room("relayed");
    let mut mira = server.enter(&room, "mira");
    mira.publish("mira-cam", 120);
    for (who, options) in [("ada", json!({})), ("ben", json!({ "singlePeerConnection": false }))] {
        let login = json!({ "url": relay.url(), "token": server.token(&room, who), "options": options });
        browser.ask(who, "join", login);
        browser.ask(who, "publish", json!({ "camera": true, "microphone": true }));
        browser.wait_for(who, "video_stats", json!({ "identity": "mira" }), SOON, |stats| {
            stats["frames_decoded"].as_u64().filter(|frames| *frames > 20)
        });
        let feed = mira.wait("the browser's pictures", SOON, |event| match event {
            RoomEvent::VideoFeedOpened { stream, feed } if stream.as_str() != "mira-cam" => Some(feed.clone()),
            _ => None,
        });
        picture(&feed);
        relay.cut(Cut::Media);
        std::thread::sleep(Duration::from_millis(800));
        while feed.take().is_some() {}
        assert!(feed.wait_take(Duration::from_millis(700)).is_none(), "{who}'s pictures come around the relay");
        relay.cut(Cut::Nothing);
        picture(&feed);
        browser.ask(who, "leave", json!({}));
    }
}
