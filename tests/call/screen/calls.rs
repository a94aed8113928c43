//! Windows shared through a call: legible at the viewer, followed when they change, gone when they close.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rotunda::bridge::{PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoFeed, VideoOptions};
use rotunda::media::capture::Screens;
use rotunda::media::{VideoFormat, VideoFrame};
use rotunda::model::{EndReason, RoomId, StreamKind, VideoPreset};

use super::display::{Window, XServer, have, luma};
use super::page;
use crate::engine::kit::{Bot, TestServer, room, stream};

const PRESET: VideoPreset = VideoPreset::SCREEN_BALANCED;
const LIMIT: VideoFormat = VideoFormat { width: PRESET.width, height: PRESET.height, fps: PRESET.fps };
/// A picture is as sharp as it gets within this.
const SHARP_LIMIT: Duration = Duration::from_secs(60);
/// A page is read within this, by a reader that takes some ten seconds.
const READ_LIMIT: Duration = Duration::from_secs(120);
/// Who comes late can read the page this long after the login.
const LATE_LIMIT: Duration = Duration::from_secs(5);
/// The share of a page's words that has to be read.
const READABLE: f64 = 0.95;

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
        muted: StartsMuted::default(),
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

/// What somebody is shown in the first seconds after the login, and when: a few pictures a second.
fn pictures_from_login(server: &TestServer, room: &RoomId, name: &str) -> Vec<(Duration, Arc<VideoFrame>)> {
    let login = Instant::now();
    let mut viewer = server.enter(room, name);
    let feed = viewer.wait_feed("ann-screen");
    let mut shown: Vec<(Duration, Arc<VideoFrame>)> = Vec::new();
    while login.elapsed() < LATE_LIMIT {
        let Some(frame) = feed.wait_take(Duration::from_millis(50)) else { continue };
        let at = login.elapsed();
        let soon = shown.last().is_some_and(|(last, _)| at - *last < Duration::from_millis(200));
        if !soon && at <= LATE_LIMIT {
            shown.push((at, frame));
        }
    }
    shown
}

#[test]
fn a_page_of_ten_point_text_is_read_at_the_viewer_and_by_who_comes_late() {
    if !have(&["tesseract"]) {
        return;
    }
    let Some(display) = XServer::start("1920x1080x24", &[]) else { return };
    let page = page::paint();
    let window = Window::open(&display, "page", (0, 0), (page::WIDTH, page::HEIGHT), 0xFF_FFFF);
    window.show(page::WIDTH, page::HEIGHT, &page.pixels);
    window.point(1919, 1079);
    let server = TestServer::start();
    let room = room("page");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    share(&ann, &display, &window);
    ann.wait_publishing("ann-screen");
    let feed = bob.wait_feed("ann-screen");
    let started = Instant::now();
    let mut best: f64 = 0.0;
    while best < READABLE && started.elapsed() < READ_LIMIT {
        let Some(frame) = feed.wait_take(Duration::from_secs(5)) else { continue };
        let taken = started.elapsed().as_secs_f32();
        assert_eq!((frame.width(), frame.height()), (1920, 1080), "the page comes in its own size");
        best = best.max(page.share_read(&frame, "page-at-viewer"));
        println!("{:.1} % of {} words read in the picture of {taken:.1} s", best * 100.0, page.words.len());
    }
    assert!(best >= READABLE, "{:.1} % of the words of a 10-point page are read at the viewer", best * 100.0);

    // Pictures grow sharper, so the first that can be read is found by halving.
    let shown = pictures_from_login(&server, &room, "cat");
    let readable = |frame: &VideoFrame| page.share_read_above(frame, "page-at-late-viewer") >= READABLE;
    let first = shown.partition_point(|(_, frame)| !readable(frame));
    let times: Vec<f32> = shown.iter().map(|(at, _)| at.as_secs_f32()).collect();
    assert!(first < shown.len(), "nothing could be read {LATE_LIMIT:?} after a late login; pictures came at {times:?}");
    println!("a late viewer can read the page {:.1} s after the login; pictures came at {times:?}", times[first]);
    let all = shown.last().map_or(0.0, |(_, frame)| page.share_read(frame, "page-at-late-viewer"));
    assert!(all >= READABLE, "{:.1} % of the page are read by a late viewer", all * 100.0);
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

fn size_and_first_pixel(path: &Path) -> ((u32, u32), [u8; 4]) {
    let decoder = png::Decoder::new(BufReader::new(std::fs::File::open(path).unwrap()));
    let mut picture = decoder.read_info().unwrap();
    let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
    picture.next_frame(&mut pixels).unwrap();
    (picture.info().size(), [pixels[0], pixels[1], pixels[2], pixels[3]])
}

#[test]
fn the_command_line_tells_of_windows_that_come_and_go() {
    let Some(display) = XServer::start("800x600x24", &[]) else { return };
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
    command.args(["devices", "--watch"]).env("DISPLAY", &display.name);
    let mut watch = command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let (sender, said) = sync_channel(1000);
    // Ends with the program.
    std::thread::Builder::new()
        .name("watch".into())
        .spawn(move || lines.map_while(Result::ok).all(|line| sender.send(line).is_ok()))
        .unwrap();
    let wait = |words: &str| {
        let deadline = Instant::now() + SHARP_LIMIT;
        loop {
            let line = said.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| panic!("no line with {words:?}: {error}"));
            if line.contains(words) {
                return line;
            }
        }
    };
    wait("Windows:");
    let window = Window::open(&display, "Slides", (0, 0), (320, 240), 0xFF_0000);
    let line = wait(&window.share_id());
    assert_eq!(line, format!("came  {}  320x240  Slides (Test)", window.share_id()));
    window.close();
    assert_eq!(wait(&window.share_id()), line.replace("came", "went"));
    watch.kill().unwrap();
    watch.wait().unwrap();
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
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thumbnails");
    let output = rotunda(&["devices", "--json", "--thumbnails", folder.to_str().unwrap()]).output().unwrap();
    let devices: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(devices["windows"][0]["title"], "Slides", "{devices}");
    assert_eq!(devices["windows"][0]["id"], window.share_id());
    for kind in ["screens", "windows"] {
        let path = devices[kind][0]["thumbnail"].as_str().unwrap();
        assert_eq!(size_and_first_pixel(Path::new(path)), ((320, 240), [255, 0, 0, 255]), "{path}");
    }
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
