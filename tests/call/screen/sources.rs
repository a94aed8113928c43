//! What a source of a screen or window shows and says.

use std::time::{Duration, Instant};

use rotunda::media::capture::{ScreenKind, Screens};
use rotunda::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::DeviceState;

use super::display::{SOON, Window, XServer, luma, pull};

const LIMIT: VideoFormat = VideoFormat { width: 1920, height: 1080, fps: 30.0 };
const RED: u32 = 0xFF_0000;
const WHITE: u32 = 0xFF_FFFF;
const BLUE: u32 = 0xFF;
/// What is said of a display that does not answer.
const SILENT: &str = "does not answer";
/// BT.601 luma of these.
const RED_LUMA: u8 = 81;
const WHITE_LUMA: u8 = 235;
const BLUE_LUMA: u8 = 41;

fn open(server: &XServer, id: &str) -> Box<dyn VideoSource> {
    Screens::of_display(&server.name).open(id, LIMIT).unwrap()
}

/// All of a picture has one brightness.
fn flat(frame: &VideoFrame, code: u8) -> bool {
    frame.y().iter().all(|y| y.abs_diff(code) <= 2)
}

#[test]
fn screens_and_windows_are_listed_with_titles_and_thumbnails() {
    let Some(server) = XServer::start("800x600x24", &[]) else { return };
    let below = Window::open(&server, "Slides – Quarter", (10, 10), (640, 320), RED);
    let above = Window::open(&server, "Notes", (0, 0), (700, 400), WHITE);
    let hidden = Window::open(&server, "Hidden", (0, 0), (300, 300), WHITE);
    hidden.hide();
    let list = Screens::of_display(&server.name).list(true).unwrap();
    let monitor = &list[0];
    assert_eq!(
        (monitor.kind, monitor.width, monitor.height, monitor.is_default),
        (ScreenKind::Monitor, 800, 600, true)
    );
    assert!(monitor.id.starts_with("screen:"), "{monitor:?}");
    let windows: Vec<_> = list.iter().filter(|info| info.kind == ScreenKind::Window).collect();
    let ids: Vec<String> = windows.iter().map(|info| info.id.clone()).collect();
    assert_eq!(ids, [above.share_id(), below.share_id()], "the topmost first, the hidden one not at all");
    assert_eq!((windows[0].title.as_str(), windows[0].app.as_str()), ("Notes", "Test"));
    // A covered window has its own picture all the same.
    let thumbnail = windows[1].thumbnail.as_ref().unwrap();
    assert_eq!((thumbnail.width, thumbnail.height), (320, 160));
    assert!(thumbnail.rgba.chunks(4).all(|pixel| pixel == [255, 0, 0, 255]));
    for info in &list {
        pull(&mut *open(&server, &info.id), "its size", |frame| frame.width() == info.width);
    }
}

#[test]
fn a_covered_window_shows_itself_and_the_screen_shows_what_covers_it() {
    let Some(server) = XServer::start("640x480x24", &[]) else { return };
    let below = Window::open(&server, "below", (100, 100), (200, 150), RED);
    let mut window = open(&server, &below.share_id());
    let mut screen = open(&server, "screen");
    pull(&mut *window, "red", |frame| flat(frame, RED_LUMA));
    pull(&mut *screen, "red on the screen", |frame| luma(frame, 110, 110).abs_diff(RED_LUMA) <= 2);
    let above = Window::open(&server, "above", (50, 50), (400, 300), WHITE);
    pull(&mut *screen, "white above", |frame| luma(frame, 110, 110) >= 233);
    below.fill(BLUE);
    let frame = pull(&mut *window, "blue, though covered", |frame| flat(frame, BLUE_LUMA));
    assert_eq!((frame.width(), frame.height()), (200, 150));
    above.close();
    pull(&mut *screen, "blue on the screen", |frame| luma(frame, 110, 110).abs_diff(BLUE_LUMA) <= 2);
}

#[test]
fn a_window_is_followed_through_resizing_hiding_and_closing() {
    let Some(server) = XServer::start("640x480x24", &[]) else { return };
    let window = Window::open(&server, "a", (0, 0), (301, 201), RED);
    let mut source = open(&server, &window.share_id());
    let first = pull(&mut *source, "red", |frame| flat(frame, RED_LUMA));
    assert_eq!((first.width(), first.height()), (300, 200), "odd edges are left out");
    window.resize(400, 120);
    pull(&mut *source, "the new size", |frame| (frame.width(), frame.height()) == (400, 120) && flat(frame, RED_LUMA));
    window.hide();
    let deadline = Instant::now() + SOON;
    let said = loop {
        match source.next_frame() {
            // A busy machine may look like a display that hangs.
            Err(CaptureError::Interrupted { state, why, .. }) if !why.contains(SILENT) => break (state, why),
            Ok(Some(_)) | Err(CaptureError::Interrupted { .. }) => {
                assert!(Instant::now() < deadline, "a hidden window still gives pictures");
            }
            other => panic!("a hidden window is no reason for {other:?}"),
        }
    };
    assert!(said.0 == DeviceState::Stalled && said.1.contains("minimised"), "{said:?}");
    window.unhide();
    window.fill(WHITE);
    pull(&mut *source, "white again", |frame| flat(frame, WHITE_LUMA));
    window.close();
    let deadline = Instant::now() + SOON;
    while !matches!(source.next_frame(), Ok(None)) {
        assert!(Instant::now() < deadline, "the source of a closed window goes on");
    }
}

#[test]
fn a_still_screen_is_repeated_and_a_busy_one_is_not_held_back() {
    let Some(server) = XServer::start("640x480x24", &[]) else { return };
    let window = Window::open(&server, "a", (0, 0), (320, 240), RED);
    let mut source = open(&server, &window.share_id());
    let first = pull(&mut *source, "red", |frame| flat(frame, RED_LUMA));
    let (mut times, started) = (vec![first.timestamp_us()], Instant::now());
    while times.len() < 11 {
        let frame = pull(&mut *source, "red still", |frame| flat(frame, RED_LUMA));
        times.push(frame.timestamp_us());
    }
    // Thirty a second could be had; ten repeats take ten pauses all the same.
    assert!(started.elapsed() > Duration::from_millis(1500), "ten repeats came within {:?}", started.elapsed());
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    for n in 0..10 {
        let (pixel, code) = if n % 2 == 0 { (WHITE, WHITE_LUMA) } else { (RED, RED_LUMA) };
        window.fill(pixel);
        pull(&mut *source, "each change", |frame| flat(frame, code));
    }
}

#[test]
fn the_pointer_is_drawn_where_it_is_and_not_over_a_covered_window() {
    let Some(server) = XServer::start("640x480x24", &[]) else { return };
    let window = Window::open(&server, "a", (100, 100), (300, 200), RED);
    window.point(600, 450);
    let mut source = open(&server, &window.share_id());
    pull(&mut *source, "no pointer", |frame| flat(frame, RED_LUMA));
    window.point(200, 180);
    let at_pointer = |frame: &VideoFrame| luma(frame, 100, 80).abs_diff(RED_LUMA) > 20;
    let frame = pull(&mut *source, "the pointer", |frame| !flat(frame, RED_LUMA));
    let touched = (0..frame.height() * frame.width()).filter(|&i| frame.y()[i as usize].abs_diff(RED_LUMA) > 2);
    let (mut count, mut far) = (0, 0);
    for i in touched {
        let (x, y) = (i % frame.width(), i / frame.width());
        count += 1;
        far += u32::from(x.abs_diff(100) > 32 || y.abs_diff(80) > 32);
    }
    assert!(count > 20 && far == 0 && at_pointer(&frame), "{count} pixels differ, {far} of them far away");
    let above = Window::open(&server, "above", (0, 0), (640, 480), WHITE);
    pull(&mut *source, "no pointer while covered", |frame| flat(frame, RED_LUMA));
    let mut screen = open(&server, "screen");
    pull(&mut *screen, "the pointer on the screen", |frame| luma(frame, 200, 180).abs_diff(WHITE_LUMA) > 20);
    above.close();
    window.point(0, 0);
    pull(&mut *source, "no trace of the pointer", |frame| flat(frame, RED_LUMA));
}

#[test]
fn servers_without_extensions_and_with_other_depths_serve_as_well() {
    for (screen, off, red, white) in [
        ("320x240x24", vec!["MIT-SHM"], RED, WHITE),
        ("320x240x24", vec!["DAMAGE"], RED, WHITE),
        ("320x240x24", vec!["Composite"], RED, WHITE),
        ("320x240x24", vec!["MIT-SHM", "DAMAGE", "Composite"], RED, WHITE),
        ("320x240x16", vec![], 0xF800, 0xFFFF),
        ("320x240x30", vec![], 0x3FF0_0000, 0x3FFF_FFFF),
    ] {
        let arguments: Vec<&str> = off.iter().flat_map(|name| ["-extension", *name]).collect();
        let Some(server) = XServer::start(screen, &arguments) else { return };
        let window = Window::open(&server, "a", (20, 20), (101, 80), red);
        window.point(300, 200);
        for id in [window.share_id(), "screen".into()] {
            let mut source = open(&server, &id);
            let at = if id == "screen" { (60, 60) } else { (40, 40) };
            window.fill(red);
            pull(&mut *source, &format!("red on {screen} without {off:?}"), |frame| {
                luma(frame, at.0, at.1).abs_diff(RED_LUMA) <= 2
            });
            window.fill(white);
            pull(&mut *source, &format!("white on {screen} without {off:?}"), |frame| luma(frame, at.0, at.1) >= 233);
        }
    }
    let Some(server) = XServer::start("320x240x8", &[]) else { return };
    let error = Screens::of_display(&server.name).open("screen", LIMIT).err().unwrap();
    assert!(error.to_string().contains("depth of 8"), "{error}");
}

#[test]
fn a_large_screen_is_brought_to_the_limit_in_its_shape() {
    let Some(server) = XServer::start("1600x400x24", &[]) else { return };
    let _window = Window::open(&server, "a", (0, 0), (800, 400), WHITE);
    let limit = VideoFormat { width: 640, height: 480, fps: 15.0 };
    let mut source = Screens::of_display(&server.name).open("screen", limit).unwrap();
    let frame = pull(&mut *source, "white on the left", |frame| luma(frame, 100, 80) >= 233);
    assert_eq!((frame.width(), frame.height()), (640, 160));
    assert!(luma(&frame, 500, 80) < 30);
    assert_eq!(source.format().width, 640);
}

#[test]
fn a_monitor_larger_than_what_is_sent_is_shared_smaller() {
    let Some(server) = XServer::start("5120x2880x24", &[]) else { return };
    let _window = Window::open(&server, "a", (0, 0), (2560, 2880), WHITE);
    let limit = VideoFormat { width: 1920, height: 1080, fps: 15.0 };
    let mut source = Screens::of_display(&server.name).open("screen", limit).unwrap();
    let frame = pull(&mut *source, "white on the left", |frame| luma(frame, 480, 540) >= 233);
    assert_eq!((frame.width(), frame.height()), (1920, 1080));
    assert!(luma(&frame, 1440, 540) < 30);
}

#[test]
fn what_is_too_small_to_be_shared_is_told_at_once() {
    let Some(server) = XServer::start("320x240x24", &[]) else { return };
    let line = Window::open(&server, "a", (0, 0), (1, 200), WHITE);
    let error = Screens::of_display(&server.name).open(&line.share_id(), LIMIT).err().unwrap();
    assert!(matches!(error, CaptureError::Format { .. }) && error.to_string().contains("1x200"), "{error}");
}

#[test]
fn a_display_that_hangs_holds_nobody_and_its_pictures_go_on_afterwards() {
    let Some(server) = XServer::start("320x240x24", &[]) else { return };
    let screens = Screens::of_display(&server.name);
    let mut source = open(&server, "screen");
    pull(&mut *source, "anything", |_| true);
    server.freeze();
    let frozen = Instant::now();
    for _ in 0..2 {
        let said = loop {
            let asked = Instant::now();
            let got = source.next_frame();
            assert!(asked.elapsed() < Duration::from_secs(3), "a pull took {:?}", asked.elapsed());
            match got {
                Ok(Some(_)) => assert!(frozen.elapsed() < SOON, "pictures of a display that hangs"),
                Ok(None) => panic!("a display that hangs is no end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(said, CaptureError::Interrupted { state: DeviceState::Stalled, .. }), "{said}");
        assert!(said.to_string().contains(SILENT), "{said}");
    }
    let asked = Instant::now();
    let listed = screens.list(true).unwrap_err();
    let opened = screens.open("screen", LIMIT).err().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(8), "both took {:?}", asked.elapsed());
    for error in [listed, opened] {
        assert!(matches!(error, CaptureError::Open { .. }) && error.to_string().contains(SILENT), "{error}");
    }
    server.thaw();
    let _window = Window::open(&server, "a", (0, 0), (320, 240), WHITE);
    pull(&mut *source, "white", |frame| luma(frame, 160, 60) >= 233);
    assert!(screens.list(false).is_ok());
}

#[test]
fn what_is_not_there_and_a_display_that_dies_are_told() {
    let Some(mut server) = XServer::start("320x240x24", &[]) else { return };
    for id in ["window:0x7fffffff", "screen:none-such", "window:12"] {
        let error = Screens::of_display(&server.name).open(id, LIMIT).err().unwrap();
        assert!(error.to_string().contains("not there"), "{id}: {error}");
    }
    let mut source = open(&server, "screen");
    pull(&mut *source, "anything", |_| true);
    server.kill();
    let asked = Instant::now();
    let error = loop {
        match source.next_frame() {
            Ok(Some(_)) | Err(CaptureError::Interrupted { .. }) => {
                assert!(asked.elapsed() < SOON, "pictures of a dead display");
            }
            Ok(None) => panic!("a display that died is an error, no end"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("went away") && asked.elapsed() < SOON, "{error}");
}
