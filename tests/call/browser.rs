//! The official browser client, unmodified, in a call with Rotunda's guests and room on the embedded server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rotunda::bridge::{
    AudioOptions, DataMessage, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoFeed, VideoOptions,
};
use rotunda::media::capture::{PortraitSource, SpeechSource};
use rotunda::media::{VideoFormat, VideoFrame};
use rotunda::model::{RoomState, RoomStateReason, StreamKind};
use rotunda::protocol::token::{self, TokenRequest};
use rotunda::server::{DEV_KEY, DEV_SECRET, Server, ServerConfig, ServerHandle};
use serde_json::{Value, json};

use crate::browser_driver::Browser;
use crate::engine::kit::{Bot, SOON, audio_of, picture, room, stream, user, video_of};

/// Two cores hold one call with a browser in it at a time.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve() -> ServerHandle {
    Server::start(ServerConfig { port: 0, rtc_port: 0, ..ServerConfig::dev() }).unwrap()
}

fn token_for(room: &str, identity: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut request = TokenRequest::member(DEV_KEY, DEV_SECRET, room, identity);
    request.name = identity.to_owned();
    token::issue(&request, now).unwrap()
}

/// A browser participant with its fake camera (a green field with a moving disc) and microphone (beeps).
fn join_and_publish(browser: &mut Browser, server: &ServerHandle, room: &str, who: &str, options: Value) {
    let login = json!({ "url": server.url(), "token": token_for(room, who), "options": options });
    browser.ask(who, "join", login);
    let publish = json!({ "camera": true, "microphone": true, "simulcast": true });
    let tracks = browser.ask(who, "publish", publish)["tracks"].as_array().map_or(0, Vec::len);
    assert_eq!(tracks, 2, "{who} publishes a picture and sound");
}

/// A guest with a portrait and a voice.
fn guest(server: &ServerHandle, room_name: &str, name: &str) -> Bot {
    let mut bot = Bot::new(name);
    bot.login(&[&server.url()], &rotunda::model::RoomId::new(room_name).unwrap(), token_for(room_name, name));
    bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    let format = VideoFormat { width: 640, height: 360, fps: 15.0 };
    bot.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream(&format!("{name}-camera")),
        kind: StreamKind::Camera,
        video: Some((Box::new(PortraitSource::new(name, 3, format)), VideoOptions::single(500_000))),
        audio: Some((Box::new(SpeechSource::new(3)), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
    bot
}

/// Waits for the camera stream of a participant and for the feed of its pictures.
fn feed_of(bot: &mut Bot, owner: &str) -> (String, VideoFeed) {
    let owner = user(owner);
    let id = bot.wait(&format!("a stream of {owner}"), SOON, |event| match event {
        RoomEvent::StreamAdded(info) if info.owner == owner && info.kind == StreamKind::Camera => {
            Some(info.id.as_str().to_owned())
        }
        _ => None,
    });
    let feed = bot.wait_feed(&id);
    (id, feed)
}

/// Whether a picture is mostly Chromium's green: luma about 85 and both chroma well below the middle.
fn is_fake_camera(frame: &VideoFrame) -> bool {
    let mean = |plane: &[u8]| plane.iter().map(|&p| u32::from(p)).sum::<u32>() / plane.len() as u32;
    mean(frame.u()) < 112 && mean(frame.v()) < 112
}

/// The stamp `who` reads off the picture of `of`: (frame number, age in ms).
fn wait_stamp(browser: &mut Browser, who: &str, of: &str, after: Option<u64>) -> (u64, i64) {
    browser.wait_for(who, "read_stamp", json!({ "identity": of }), SOON, |answer| {
        let frame = answer["stamp"]["frame"].as_u64().filter(|frame| after.is_none_or(|after| *frame > after))?;
        Some((frame, answer["now_ms"].as_i64()? - answer["stamp"]["unix_ms"].as_i64()?))
    })
}

fn hears(browser: &mut Browser, who: &str, of: &str) {
    let level = browser.wait_for(who, "audio_level", json!({ "identity": of, "ms": 600 }), SOON, |answer| {
        answer["level"].as_f64().filter(|level| *level > 0.01)
    });
    assert!(level < 1.0, "{who} hears {of} at {level}");
}

fn happened(browser: &mut Browser, who: &str, event: &str, identity: &str) {
    browser.wait_for(who, "events", json!({}), SOON, |answer| {
        answer["events"].as_array()?.iter().find(|e| e["event"] == event && e["identity"] == identity).map(|_| ())
    });
}

#[test]
fn two_browsers_and_a_guest_hold_a_call() {
    let _turn = one_at_a_time();
    let Some(mut browser) = Browser::start() else { return };
    let server = serve();
    let room = room("browsers").to_string();
    let mut mira = guest(&server, &room, "mira");

    // Ada comes the current way (one connection), Ben the older way (two).
    for (who, options) in [("ada", json!({})), ("ben", json!({ "singlePeerConnection": false }))] {
        join_and_publish(&mut browser, &server, &room, who, options);

        // The browser shows the guest's picture, live.
        let (first, _) = wait_stamp(&mut browser, who, "mira", None);
        let (_, age_ms) = wait_stamp(&mut browser, who, "mira", Some(first + 10));
        assert!((-50..3000).contains(&age_ms), "{who} sees a picture that is {age_ms} ms old");
        hears(&mut browser, who, "mira");

        // The guest gets the browser's picture and sound.
        let (id, feed) = feed_of(&mut mira, who);
        let deadline = Instant::now() + SOON;
        while !is_fake_camera(&picture(&feed)) {
            assert!(Instant::now() < deadline, "the guest never saw {who}'s camera");
        }
        mira.wait_figures("the browser's pictures and sound", |snapshot| {
            let decoded = video_of(snapshot, &id)?.frames_decoded;
            let level = audio_of(snapshot, &id)?.peak_level;
            (decoded > 20 && level > 0.01).then_some(())
        });

        // Data and chat, both ways.
        browser.ask(who, "send_data", json!({ "text": "from the browser", "topic": "greeting", "reliable": true }));
        mira.wait("the browser's data", SOON, |event| match event {
            RoomEvent::DataReceived { from: Some(from), topic, payload, reliable: true } => {
                (from.as_str() == who && topic == "greeting" && payload == b"from the browser").then_some(())
            }
            _ => None,
        });
        let payload = "x".repeat(1024);
        let data = DataMessage {
            topic: "greeting".into(),
            payload: payload.clone().into_bytes(),
            reliable: true,
            to: vec![user(who)],
        };
        mira.send(RoomCommand::SendData(data));
        browser.wait_for(who, "received_data", json!({}), SOON, |answer| {
            let packets = answer["packets"].as_array()?;
            packets.iter().find(|p| p["from"] == "mira" && p["text"] == payload.as_str()).map(|_| ())
        });
        for via in ["message", "text"] {
            let text = format!("hello by {via}");
            browser.ask(who, "chat", json!({ "text": text, "via": via }));
            mira.wait("the browser's chat", SOON, |event| match event {
                RoomEvent::ChatReceived { from, text: got, .. } => (from.as_str() == who && *got == text).then_some(()),
                _ => None,
            });
        }
        mira.send(RoomCommand::SendChat(format!("welcome, {who}")));
        browser.wait_for(who, "received_chat", json!({}), SOON, |answer| {
            let messages = answer["messages"].as_array()?;
            let welcome = format!("welcome, {who}");
            messages.iter().find(|m| m["from"] == "mira" && m["text"] == welcome.as_str()).map(|_| ())
        });
    }

    // The browsers see and hear each other, across both ways of connecting.
    for (who, of) in [("ada", "ben"), ("ben", "ada")] {
        browser.wait_for(who, "video_stats", json!({ "identity": of }), SOON, |stats| {
            stats["frames_decoded"].as_u64().filter(|frames| *frames > 20)
        });
        hears(&mut browser, who, of);
    }

    // A mute is seen by the others; so is a leave.
    browser.ask("ada", "mute", json!({ "source": "camera", "muted": true }));
    mira.wait("the mute", SOON, |event| match event {
        RoomEvent::StreamUpdated(info) if info.owner.as_str() == "ada" => {
            info.video.as_ref().filter(|video| video.muted).map(|_| ())
        }
        _ => None,
    });
    browser.ask("ada", "leave", json!({}));
    happened(&mut browser, "ben", "participant_disconnected", "ada");
    mira.wait("the leave of ada", SOON, |event| match event {
        RoomEvent::UserLeft { user, .. } if user.as_str() == "ada" => Some(()),
        _ => None,
    });
    drop(mira);
    happened(&mut browser, "ben", "participant_disconnected", "mira");
}

/// A plain client knows no stream ids: they follow from who it is and what it shows.
#[test]
fn a_browsers_streams_are_named_after_it_and_what_they_show() {
    let _turn = one_at_a_time();
    let Some(mut browser) = Browser::start() else { return };
    let server = serve();
    let room = room("named").to_string();
    let mut mira = guest(&server, &room, "mira");
    join_and_publish(&mut browser, &server, &room, "ada", json!({}));
    browser.ask("ada", "share", json!({}));
    for (id, kind) in [("ada-camera", StreamKind::Camera), ("ada-screen", StreamKind::Screen)] {
        let (owner, told) = mira.wait(id, SOON, |event| match event {
            RoomEvent::StreamAdded(info) if info.id == stream(id) => Some((info.owner.clone(), info.kind)),
            _ => None,
        });
        assert_eq!((owner, told), (user("ada"), kind), "{id}");
        picture(&mira.wait_feed(id));
    }
    // Her microphone goes with her camera.
    mira.wait_figures("her sound", |now| audio_of(now, "ada-camera").filter(|audio| audio.peak_level > 0.01));
    browser.ask("ada", "leave", json!({}));
}

/// Everything the official client can do to its own connection, on both ways of connecting.
#[test]
fn browsers_survive_every_failure_they_can_stage() {
    let _turn = one_at_a_time();
    let Some(mut browser) = Browser::start() else { return };
    let server = serve();
    let room = room("failures").to_string();
    let mut mira = guest(&server, &room, "mira");
    for (who, options) in [("ada", json!({})), ("ben", json!({ "singlePeerConnection": false }))] {
        join_and_publish(&mut browser, &server, &room, who, options);
        let mut last = wait_stamp(&mut browser, who, "mira", None).0;
        let (mut id, _feed) = feed_of(&mut mira, who);
        for (scenario, is_new) in [
            ("signal-reconnect", false),
            ("disconnect-signal-on-resume", false),
            ("disconnect-signal-on-resume-no-messages", false),
            // After this the client may begin anew where it could come back: that is up to it.
            ("resume-reconnect", true),
            ("full-reconnect", true),
            ("leave-full-reconnect", true),
            ("node-failure", true),
        ] {
            mira.listen();
            mira.heard.clear();
            browser.ask(who, "simulate", json!({ "scenario": scenario }));
            browser.wait_for(who, "events", json!({}), 2 * SOON, |answer| {
                let reconnected = |event: &Value| event["event"] == "reconnected";
                answer["events"].as_array()?.iter().any(reconnected).then_some(())
            });
            println!("{who} is back after {scenario}");
            if is_new {
                id = feed_of(&mut mira, who).0;
            }
            let of = id.as_str();
            let before = video_of(&mira.engine.snapshot(), of).map_or(0, |video| video.frames_decoded);
            mira.wait_figures(&format!("{who}'s pictures after {scenario}"), |snapshot| {
                video_of(snapshot, of).filter(|video| video.frames_decoded > before + 10)
            });
            // The client publishes one track after the other: it is whole again with both.
            let heard = audio_of(&mira.engine.snapshot(), of).map_or(0, |audio| audio.packets);
            mira.wait_figures(&format!("{who}'s sound after {scenario}"), |snapshot| {
                audio_of(snapshot, of).filter(|audio| audio.packets > heard + 10)
            });
            (last, _) = wait_stamp(&mut browser, who, "mira", Some(last + 10));
            mira.listen();
            let noticed = mira.heard.iter().any(|event| matches!(event, RoomEvent::UserLeft { .. }));
            assert!(is_new || !noticed, "{scenario} of {who} was noticed: {:?}", mira.heard);
        }
        browser.ask(who, "leave", json!({}));
    }
}

/// The guest sends three sizes; the browser is given the one it asks for.
#[test]
fn a_browser_chooses_among_the_sizes_of_a_guest() {
    let _turn = one_at_a_time();
    let Some(mut browser) = Browser::start() else { return };
    let server = serve();
    let room = room("sizes").to_string();
    let mut mira = Bot::new("mira");
    let token = token_for(&room, "mira");
    mira.login(&[&server.url()], &rotunda::model::RoomId::new(&room).unwrap(), token);
    mira.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    let format = VideoFormat { width: 960, height: 540, fps: 12.0 };
    let options = VideoOptions { simulcast: true, ..VideoOptions::single(1_200_000) };
    mira.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("mira-camera"),
        kind: StreamKind::Camera,
        video: Some((Box::new(PortraitSource::new("mira", 3, format)), options)),
        audio: None,
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
    mira.wait_publishing("mira-camera");
    let login = json!({ "url": server.url(), "token": token_for(&room, "ada"), "options": {} });
    browser.ask("ada", "join", login);
    for (quality, width) in [("high", 960), ("low", 240), ("medium", 480)] {
        let limit = SOON * 2;
        browser.wait_for("ada", "set_quality", json!({ "identity": "mira", "quality": quality }), limit, |_| Some(()));
        browser.wait_for("ada", "video_stats", json!({ "identity": "mira" }), limit, |stats| {
            (stats["width"].as_u64() == Some(width)).then_some(())
        });
    }
}

#[cfg(feature = "app")]
#[test]
fn the_room_shows_the_browsers_picture() {
    use std::process::{Command, Stdio};

    let _turn = one_at_a_time();
    let Some(mut browser) = Browser::start() else { return };
    let server = serve();
    let room = room("seen").to_string();
    join_and_publish(&mut browser, &server, &room, "ada", json!({}));

    let out = std::env::temp_dir().join(format!("rotunda-browser-{}", std::process::id()));
    let (url, token) = (server.url(), token_for(&room, "viewer"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
    command.args(["join", &url, "--room", &room, "--name", "Viewer", "--token", &token, "--headless"]);
    command.args(["--seconds", "25", "--size", "640x360", "--quality", "low", "--out"]).arg(&out);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    // While the room is open, the browser sees the room's own person.
    let (first, _) = wait_stamp(&mut browser, "ada", "viewer", None);
    wait_stamp(&mut browser, "ada", "viewer", Some(first + 10));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let report: Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let of_ada = |kind: &str| {
        let streams = report["streams"].as_array().unwrap().iter();
        streams.clone().find(|s| s["participant"] == "ada" && s["kind"] == kind).cloned().unwrap_or_default()
    };
    assert!(of_ada("video")["frames_presented"].as_u64().unwrap_or(0) > 20, "{report:#}");

    let share = green_share(&out.join("room.png"));
    assert!(share > 0.004, "only {:.2} % of {}/room.png is the browser's green", share * 100.0, out.display());
    std::fs::remove_dir_all(&out).unwrap();
}

/// Share of a picture's pixels that have the hue of Chromium's fake camera.
#[cfg(feature = "app")]
fn green_share(path: &std::path::Path) -> f32 {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let samples = info.color_type.samples();
    let is_green = |p: &[u8]| p[1] > 80 && u32::from(p[0]) * 10 < u32::from(p[1]) * 6 && p[2] < p[1] / 2;
    let green = pixels[..info.buffer_size()].chunks_exact(samples).filter(|p| is_green(p)).count();
    green as f32 / (info.width * info.height) as f32
}

/// The closing measure of a call with the official client: `ROTUNDA_LONG_CALL_SECS` (600) without a freeze.
#[test]
#[ignore = "takes ten minutes"]
fn a_long_call_does_not_freeze() {
    let _turn = one_at_a_time();
    let Some(mut browser) = Browser::start() else { return };
    let server = serve();
    let room = room("long").to_string();
    let mut mira = guest(&server, &room, "mira");
    join_and_publish(&mut browser, &server, &room, "ada", json!({}));
    let (id, feed) = feed_of(&mut mira, "ada");
    wait_stamp(&mut browser, "ada", "mira", None);
    let stats = |browser: &mut Browser| browser.ask("ada", "video_stats", json!({ "identity": "mira" }));
    let begin = stats(&mut browser);

    let secs = std::env::var("ROTUNDA_LONG_CALL_SECS").ok().and_then(|secs| secs.parse().ok()).unwrap_or(600);
    let end = Instant::now() + Duration::from_secs(secs);
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while Instant::now() < end {
        if feed.wait_take(Duration::from_millis(500)).is_some() {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        while mira.engine.try_event().is_some() {}
    }
    let finish = stats(&mut browser);
    let frozen = finish["freezes"].as_u64().unwrap_or(0) - begin["freezes"].as_u64().unwrap_or(0);
    let frames = finish["frames_decoded"].as_u64().unwrap_or(0) - begin["frames_decoded"].as_u64().unwrap_or(0);
    assert_eq!(frozen, 0, "the browser saw the guest freeze: {finish}");
    assert!(frames > secs * 12, "the browser decoded {frames} frames in {secs} s");
    let ours = video_of(&mira.engine.snapshot(), &id).unwrap();
    assert_eq!(ours.freezes, 0, "the guest saw the browser freeze (longest gap {longest:?}): {ours:?}");
}
