//! A picture in several sizes, of which everyone gets the one they need; what nobody needs is not sent; and H.264.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rotunda::bridge::{PlayQuality, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoFeed, VideoOptions};
use rotunda::media::{CaptureError, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{StreamKind, VideoCodec};

use super::kit::*;

const FPS: u64 = 12;
/// Servers take their time to switch: the official one lowers what is asked of a publisher after 5 s.
const SWITCH: Duration = Duration::from_secs(25);

/// A picture with a moving bar, of a size that can be changed while it runs.
struct Camera {
    width: Arc<AtomicU32>,
    frame: u64,
    started: Instant,
}

impl Camera {
    fn new(width: u32) -> (Self, Arc<AtomicU32>) {
        let width = Arc::new(AtomicU32::new(width));
        (Self { width: Arc::clone(&width), frame: 0, started: Instant::now() }, width)
    }

    fn size(&self) -> (u32, u32) {
        let width = self.width.load(Ordering::Relaxed);
        (width, width * 9 / 16)
    }
}

impl VideoSource for Camera {
    fn format(&self) -> VideoFormat {
        let (width, height) = self.size();
        VideoFormat { width, height, fps: FPS as f32 }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = Duration::from_micros(self.frame * 1_000_000 / FPS);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        let (width, height) = self.size();
        let mut data = vec![120; VideoFrame::byte_len(width, height)];
        data[(width * height) as usize..].fill(128);
        let bar = (self.frame * 8 % u64::from(width - 16)) as usize;
        for row in data[..(width * height) as usize].chunks_mut(width as usize) {
            row[bar..bar + 16].fill(235);
        }
        self.frame += 1;
        Ok(Some(VideoFrame::new(width, height, ColourSpace::default(), due.as_micros() as u64, data).unwrap()))
    }
}

fn publish(bot: &Bot, id: &str, camera: Camera, options: VideoOptions) {
    bot.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream(id),
        kind: StreamKind::Camera,
        video: Some((Box::new(camera), options)),
        audio: None,
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
}

fn three_layers() -> VideoOptions {
    VideoOptions { codec: VideoCodec::Vp8, max_bitrate_bps: 1_200_000, simulcast: true }
}

fn ask_for(bot: &Bot, of: &str, enabled: bool, width: u32) {
    let quality = PlayQuality { enabled, width, height: width * 9 / 16 };
    bot.send(RoomCommand::SetPlayQuality { stream: stream(of), quality });
}

/// Waits until pictures of this width come.
fn wait_width(feed: &VideoFeed, width: u32) {
    let deadline = Instant::now() + SWITCH;
    let mut last = 0;
    while Instant::now() < deadline {
        if let Some(frame) = feed.wait_take(Duration::from_millis(500)) {
            last = frame.width();
            if last == width {
                return;
            }
        }
    }
    panic!("no picture {width} pixels wide came; the last had {last}");
}

/// Waits until so many layers of an own stream are sent.
fn wait_layers(bot: &Bot, of: &str, wanted: impl Fn(u32) -> bool) {
    let deadline = Instant::now() + SWITCH;
    loop {
        let layers = bot.engine.snapshot().publishing.get(&stream(of)).map(|quality| quality.layers);
        if layers.is_some_and(&wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{of} sends {layers:?} layers");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn everyone_gets_the_size_they_ask_for() {
    let server = TestServer::start();
    let room = room("sizes");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    let mut cid = server.enter(&room, "cid");
    publish(&ann, "ann-cam", Camera::new(960).0, three_layers());
    ann.wait_publishing("ann-cam");
    let (bobs, cids) = (bob.wait_feed("ann-cam"), cid.wait_feed("ann-cam"));
    ask_for(&cid, "ann-cam", true, 960);
    for width in [240, 960, 480] {
        ask_for(&bob, "ann-cam", true, width);
        wait_width(&bobs, width);
    }
    // The other one's wish is untouched.
    wait_width(&cids, 960);
}

#[test]
fn what_nobody_watches_is_not_sent() {
    let server = TestServer::start();
    let room = room("unwatched");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    publish(&ann, "ann-cam", Camera::new(960).0, three_layers());
    ann.wait_publishing("ann-cam");
    let preview = ann.wait_feed("ann-cam");
    let feed = bob.wait_feed("ann-cam");
    picture(&feed);
    ask_for(&bob, "ann-cam", true, 960);
    wait_layers(&ann, "ann-cam", |layers| layers == 3);
    ask_for(&bob, "ann-cam", true, 240);
    wait_layers(&ann, "ann-cam", |layers| layers == 1);
    wait_width(&feed, 240);
    ask_for(&bob, "ann-cam", false, 240);
    wait_layers(&ann, "ann-cam", |layers| layers == 0);
    // The own preview goes on.
    while preview.wait_take(Duration::from_millis(1)).is_some() {}
    assert_eq!(picture(&preview).width(), 960);
    while feed.wait_take(Duration::from_millis(1)).is_some() {}
    ask_for(&bob, "ann-cam", true, 960);
    wait_width(&feed, 960);
}

#[test]
fn a_source_may_change_its_size_while_it_is_published() {
    let server = TestServer::start();
    let room = room("resize");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    let (camera, width) = Camera::new(960);
    publish(&ann, "ann-cam", camera, three_layers());
    ann.wait_publishing("ann-cam");
    let feed = bob.wait_feed("ann-cam");
    ask_for(&bob, "ann-cam", true, 960);
    wait_width(&feed, 960);
    for now in [640, 1280] {
        width.store(now, Ordering::Relaxed);
        wait_width(&feed, now);
    }
}

#[test]
fn h264_is_sent_and_seen() {
    let server = TestServer::start();
    let room = room("h264");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    let options = VideoOptions { codec: VideoCodec::H264, max_bitrate_bps: 600_000, simulcast: false };
    publish(&ann, "ann-cam", Camera::new(320).0, options);
    ann.wait_publishing("ann-cam");
    let mime_type = bob.wait("the stream", SOON, |event| match event {
        RoomEvent::StreamAdded(info) if info.id == stream("ann-cam") => {
            info.video.as_ref().map(|video| video.mime_type.clone())
        }
        _ => None,
    });
    assert_eq!(VideoCodec::of_mime_type(&mime_type), Some(VideoCodec::H264), "{mime_type}");
    let feed = bob.wait_feed("ann-cam");
    let frame = picture(&feed);
    assert_eq!((frame.width(), frame.height()), (320, 180));
    let seen = brightness(&frame);
    assert!((115.0..140.0).contains(&seen), "its brightness is {seen}");
    // It goes on, and one who comes late sees it, too.
    let mut cid = server.enter(&room, "cid");
    picture(&cid.wait_feed("ann-cam"));
    bob.wait_figures("pictures go on", |now| video_of(now, "ann-cam").filter(|video| video.frames_decoded > 20));
}
