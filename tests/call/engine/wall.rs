//! The wall through a server: who may arrange it, that everyone is told alike, and that who comes late sees it sharp.

use std::time::{Duration, Instant};

use rotunda::bridge::{PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::media::{CaptureError, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{ErrorCode, StreamInfo, StreamKind, VideoPreset, WallChoices};

use super::kit::{Bot, Kind, Picture, SOON, TestServer, kind, room, stream};

fn room_news(bot: &mut Bot, what: &str, is: impl Fn(&str) -> bool) -> (String, bool) {
    bot.wait(what, SOON, |event| match event {
        RoomEvent::RoomChanged { metadata, may_change } if is(metadata) => Some((metadata.clone(), *may_change)),
        _ => None,
    })
}

#[test]
fn a_host_arranges_the_wall_for_everyone_and_a_guest_does_not() {
    let server = TestServer::start();
    let room = room("arranged");
    let mut ann = server.enter_as_host(&room, "ann");
    let mut bob = server.enter(&room, "bob");
    assert_eq!(room_news(&mut ann, "the room", |_| true), (String::new(), true));
    assert_eq!(room_news(&mut bob, "the room", |_| true), (String::new(), false));

    let mut choices = WallChoices::default();
    choices.pin(stream("slides"), 2);
    choices.enlarge(Some(stream("slides")));
    let text = choices.write(r#"{"title":"All hands"}"#).unwrap();
    ann.send(RoomCommand::SetRoomMetadata(text.clone()));
    for bot in [&mut ann, &mut bob] {
        let (told, _) = room_news(bot, "the host's choice", |metadata| !metadata.is_empty());
        assert_eq!(told, text);
        assert_eq!(WallChoices::read(&told), choices);
    }
    let mut late = server.enter(&room, "cat");
    assert_eq!(room_news(&mut late, "the room for who comes late", |_| true), (text.clone(), false));

    bob.send(RoomCommand::SetRoomMetadata("{}".into()));
    let refusal = bob.wait_failure();
    assert_eq!(refusal.code, ErrorCode::NotPermitted, "{refusal}");
    assert!(refusal.message.contains("only hosts"), "{refusal}");
    ann.send(RoomCommand::SetRoomMetadata("x".repeat(64_001)));
    assert_eq!(ann.wait_failure().code, ErrorCode::MessageTooLong);
    // In order, however fast: the last word holds.
    ann.send(RoomCommand::SetRoomMetadata("one".into()));
    ann.send(RoomCommand::SetRoomMetadata("two".into()));
    ann.send(RoomCommand::SetRoomMetadata("three".into()));
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "three") {
        words.push(room_news(&mut late, "the last word", |_| true).0);
    }
    // A server may leave out what was overtaken, but turns nothing round.
    let place = |word: &String| ["one", "two", "three"].iter().position(|known| known == word);
    assert!(words.iter().all(|word| place(word).is_some()) && words.is_sorted_by_key(place), "{words:?}");
}

fn share(bot: &mut Bot, id: &str, source: impl VideoSource + 'static, bitrate: u32) {
    bot.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream(id),
        kind: StreamKind::Screen,
        video: Some((Box::new(source), VideoOptions::single(bitrate))),
        audio: None,
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
    bot.wait_publishing(id);
}

fn share_told(bot: &mut Bot, id: &str) -> StreamInfo {
    bot.wait(&format!("the share {id}"), SOON, |event| match event {
        RoomEvent::StreamAdded(info) if info.id == stream(id) => Some(info.clone()),
        _ => None,
    })
}

#[test]
fn shares_claim_the_first_free_slot_and_everyone_is_told() {
    let server = TestServer::start();
    let room = room("slots");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    share(&mut ann, "z-slides", Picture::small(80), 100_000);
    assert_eq!(share_told(&mut bob, "z-slides").wall_slot, Some(0), "the first takes the centre");
    share(&mut bob, "a-code", Picture::small(120), 100_000);
    assert_eq!(share_told(&mut ann, "a-code").wall_slot, Some(1), "the second leaves it alone");
    // Who saw neither come is told the same.
    let mut late = server.enter(&room, "cat");
    let slots = ["z-slides", "a-code"].map(|id| share_told(&mut late, id).wall_slot);
    assert_eq!(slots, [Some(0), Some(1)]);
    bob.publish("b-camera", 60);
    assert_eq!(share_told(&mut late, "b-camera").wall_slot, None, "cameras hang elsewhere");
}

/// A page of fine lines and blocks that does not change.
struct Page {
    frame: VideoFrame,
    started: Option<Instant>,
    count: u32,
}

const FORMAT: VideoFormat = VideoFormat { width: 1920, height: 1080, fps: 5.0 };

impl Page {
    fn new() -> Self {
        let mut data = vec![128; VideoFrame::byte_len(FORMAT.width, FORMAT.height)];
        for (n, luma) in data[..(FORMAT.width * FORMAT.height) as usize].iter_mut().enumerate() {
            let (x, y) = (n as u32 % FORMAT.width, n as u32 / FORMAT.width);
            let line = y % 20 < 2 && x > 100 && (x / 37 + y / 20) % 5 != 0;
            *luma = if line { 40 } else { 225 };
        }
        let frame = VideoFrame::new(FORMAT.width, FORMAT.height, ColourSpace::default(), 0, data).unwrap();
        Self { frame, started: None, count: 0 }
    }

    /// How far a picture is from it: the mean difference of luma.
    fn difference(&self, seen: &VideoFrame) -> f64 {
        let sum: u64 = self.frame.y().iter().zip(seen.y()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / self.frame.y().len() as f64
    }
}

impl VideoSource for Page {
    fn format(&self) -> VideoFormat {
        FORMAT
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let started = *self.started.get_or_insert_with(Instant::now);
        let due = Duration::from_secs_f32(self.count as f32 / FORMAT.fps);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        self.count += 1;
        let data = [self.frame.y(), self.frame.u(), self.frame.v()].concat();
        let at = due.as_micros() as u64;
        Ok(Some(VideoFrame::new(FORMAT.width, FORMAT.height, ColourSpace::default(), at, data).unwrap()))
    }
}

/// Who comes late has all of a 1080p share, as sharp as it is sent, this long after the login was told.
const LATE_LIMIT: Duration = Duration::from_secs(1);
/// What VP8 leaves of fine lines at the preset's bitrate differs by less than this from the page.
const SHARP: f64 = 6.0;

#[test]
fn who_comes_late_sees_a_share_sharp_within_a_second() {
    if kind() == Kind::Cluster {
        // Two official nodes hand a share on at their own pace.
        return;
    }
    let server = TestServer::start();
    let room = room("late-share");
    let mut ann = server.enter(&room, "ann");
    share(&mut ann, "slides", Page::new(), VideoPreset::SCREEN_BALANCED.max_bitrate_bps);
    // Somebody watches already, and the picture has had time to grow sharp.
    let mut bob = server.enter(&room, "bob");
    let page = Page::new();
    let feed = bob.wait_feed("slides");
    let deadline = Instant::now() + SOON;
    while page.difference(&super::kit::picture(&feed)) > SHARP {
        assert!(Instant::now() < deadline, "the share never grew sharp");
    }
    let mut late = server.enter(&room, "cat");
    let entered = Instant::now();
    let feed = late.wait_feed("slides");
    let mut seen = Vec::new();
    loop {
        let frame = feed.wait_take(SOON).expect("no picture came");
        let (at, difference) = (entered.elapsed(), page.difference(&frame));
        seen.push((at.as_millis(), frame.width(), (difference * 10.0).round() / 10.0));
        if frame.width() == FORMAT.width && difference <= SHARP {
            println!(
                "a late joiner has the share, {difference:.1} from the page, {} ms after the login",
                at.as_millis()
            );
            assert!(at < LATE_LIMIT, "sharp only after {at:?}; pictures (ms, width, difference): {seen:?}");
            return;
        }
        assert!(at < SOON, "never sharp; pictures (ms, width, difference): {seen:?}");
    }
}
