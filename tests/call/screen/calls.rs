//! Windows shared through a call: legible at the viewer, followed when they change, gone when they close.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rotunda::bridge::{PublishRequest, RoomCommand, RoomEvent, VideoFeed, VideoOptions};
use rotunda::media::VideoFormat;
use rotunda::media::capture::Screens;
use rotunda::model::{EndReason, StreamKind, VideoPreset};

use super::display::{Window, XServer, have, luma};
use super::page;
use crate::engine::kit::{Bot, TestServer, room, stream};

const PRESET: VideoPreset = VideoPreset::SCREEN_BALANCED;
const LIMIT: VideoFormat = VideoFormat { width: PRESET.width, height: PRESET.height, fps: PRESET.fps };
/// A picture is as sharp as it gets within this.
const SHARP_LIMIT: Duration = Duration::from_secs(60);

fn share(bot: &Bot, display: &XServer, window: &Window) {
    bot.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("ann-screen"),
        kind: StreamKind::Screen,
        video: Some((
            Screens::of_display(&display.name).open(&window.share_id(), LIMIT).unwrap(),
            VideoOptions::single(PRESET.max_bitrate_bps),
        )),
        audio: None,
        extra_info: String::new(),
    }));
}

/// Waits for a picture of this size and brightness in its middle.
fn wait_picture(feed: &VideoFeed, size: (u32, u32), code: u8) {
    let deadline = Instant::now() + SHARP_LIMIT;
    let mut last = None;
    loop {
        if let Some(frame) = feed.wait_take(Duration::from_millis(200)) {
            let seen = (frame.width(), frame.height(), luma(&frame, frame.width() / 2, frame.height() / 2));
            if (seen.0, seen.1) == size && seen.2.abs_diff(code) < 12 {
                return;
            }
            last = Some(seen);
        }
        assert!(Instant::now() < deadline, "no picture of {size:?} with {code}; the last was {last:?}");
    }
}

#[test]
fn a_page_of_ten_point_text_is_read_at_the_viewer() {
    if !have(&["tesseract"]) {
        return;
    }
    let Some(display) = XServer::start("1280x720x24", &[]) else { return };
    let (words, pixels) = page::paint();
    let window = Window::open(&display, "page", (0, 0), (page::WIDTH, page::HEIGHT), 0xFF_FFFF);
    window.show(page::WIDTH, page::HEIGHT, &pixels);
    window.point(1279, 719);
    let server = TestServer::start();
    let room = room("page");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    share(&ann, &display, &window);
    ann.wait_publishing("ann-screen");
    let feed = bob.wait_feed("ann-screen");
    let started = Instant::now();
    let mut best: f64 = 0.0;
    while best < 0.95 && started.elapsed() < SHARP_LIMIT {
        let Some(frame) = feed.wait_take(Duration::from_secs(5)) else { continue };
        assert_eq!((frame.width(), frame.height()), (u32::from(page::WIDTH), u32::from(page::HEIGHT)));
        best = best.max(page::share_read(&words, &page::read(&frame, "page-at-viewer")));
        println!("{:.1} % of {} words read after {:.1} s", best * 100.0, words.len(), started.elapsed().as_secs_f32());
    }
    assert!(best >= 0.95, "{:.1} % of the words of a 10-point page are read at the viewer", best * 100.0);
}

#[test]
fn a_shared_window_can_grow_be_switched_and_closed_within_one_stream() {
    let Some(display) = XServer::start("800x600x24", &[]) else { return };
    let red = Window::open(&display, "red", (0, 0), (320, 240), 0xFF_0000);
    let blue = Window::open(&display, "blue", (0, 0), (400, 300), 0xFF);
    red.point(799, 599);
    let server = TestServer::start();
    let room = room("windows");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    share(&ann, &display, &red);
    ann.wait_publishing("ann-screen");
    let feed = bob.wait_feed("ann-screen");
    wait_picture(&feed, (320, 240), 81);
    red.resize(480, 200);
    wait_picture(&feed, (480, 200), 81);

    let source = Screens::of_display(&display.name).open(&blue.share_id(), LIMIT).unwrap();
    ann.send(RoomCommand::SwitchVideo { stream: stream("ann-screen"), source });
    wait_picture(&feed, (400, 300), 41);
    bob.listen();
    let ended = bob.heard.iter().any(|event| matches!(event, RoomEvent::StreamRemoved { .. }));
    assert!(!ended && !feed.is_closed(), "what feeds a stream is changed without ending it: {:#?}", bob.heard);
    // The window that is no longer shared may go; the one that is may not.
    red.close();
    blue.fill(0xFF_FFFF);
    wait_picture(&feed, (400, 300), 235);
    blue.close();
    bob.wait_removed("ann-screen", EndReason::Stopped);
    ann.wait("sharing ended", SHARP_LIMIT, |event| match event {
        RoomEvent::PublishStateChanged { stream: id, state: rotunda::model::PublishState::NoPublish, .. }
            if *id == stream("ann-screen") =>
        {
            Some(())
        }
        _ => None,
    });
}

/// The way a user takes: find the window's id, share it.
#[test]
fn the_command_line_lists_windows_and_shares_one() {
    let Some(display) = XServer::start("800x600x24", &[]) else { return };
    let window = Window::open(&display, "Slides", (0, 0), (320, 240), 0xFF_0000);
    window.point(799, 599);
    let rotunda = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
        command.args(args).env("DISPLAY", &display.name).stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let output = rotunda(&["devices", "--json"]).output().unwrap();
    let devices: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(devices["windows"][0]["title"], "Slides", "{devices}");
    assert_eq!(devices["windows"][0]["id"], window.share_id());
    let shown = String::from_utf8(rotunda(&["devices"]).output().unwrap().stdout).unwrap();
    assert!(shown.contains(&format!("{}  320x240  Slides (Test)", window.share_id())), "{shown}");

    let server = TestServer::start();
    let room = room("cli-window");
    let mut bob = server.enter(&room, "bob");
    let token = server.token(&room, "ann");
    let mut join = rotunda(&["join", &server.url, "--room", room.as_str(), "--name", "Ann", "--token", &token]);
    join.args(["--video", "none", "--audio", "none", "--screen", &window.share_id(), "--no-render", "--headless"]);
    let mut ann = join.args(["--seconds", "60"]).stdout(Stdio::null()).spawn().unwrap();
    let shared = bob.wait("a shared window", SHARP_LIMIT, |event| match event {
        RoomEvent::VideoFeedOpened { feed, .. } => Some(feed.clone()),
        _ => None,
    });
    wait_picture(&shared, (320, 240), 81);
    ann.kill().unwrap();
    ann.wait().unwrap();
}
