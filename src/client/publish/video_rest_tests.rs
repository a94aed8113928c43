//! The capture thread of a picture that is muted: its source is let be, and goes on afterwards.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::*;
use crate::client::publish::SourceNews;
use crate::media::VideoFormat;
use crate::model::{DeviceUse, MediaKind, StreamId};

const LIMIT: Duration = Duration::from_secs(20);

/// What a source was asked.
#[derive(Default)]
struct Log {
    pulls: AtomicUsize,
    rests: AtomicUsize,
    /// 0 gives pictures, 1 is unplugged, 2 stalls.
    mood: AtomicU8,
}

impl Log {
    fn counts(&self) -> (usize, usize) {
        (self.pulls.load(Ordering::Acquire), self.rests.load(Ordering::Acquire))
    }
}

/// A source that tells what it is asked.
struct Lens {
    log: Arc<Log>,
    began: Instant,
    news: Option<DeviceUse>,
}

impl Lens {
    fn boxed(log: &Arc<Log>, name: &str) -> Box<dyn VideoSource> {
        let news = Some(DeviceUse { name: Some(name.to_owned()), ..DeviceUse::default() });
        Box::new(Self { log: Arc::clone(log), began: Instant::now(), news })
    }
}

impl VideoSource for Lens {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: 160, height: 120, fps: 60.0 }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        std::thread::sleep(Duration::from_millis(16));
        self.log.pulls.fetch_add(1, Ordering::AcqRel);
        let state = match self.log.mood.load(Ordering::Acquire) {
            0 => {
                let data = vec![90; VideoFrame::byte_len(160, 120)];
                let at_us = self.began.elapsed().as_micros() as u64;
                return Ok(Some(VideoFrame::new(160, 120, ColourSpace::default(), at_us, data).unwrap()));
            }
            1 => DeviceState::Unplugged,
            _ => DeviceState::Stalled,
        };
        Err(CaptureError::Interrupted { what: "the lens".into(), state, why: "scripted".into() })
    }

    fn rest(&mut self) {
        self.log.rests.fetch_add(1, Ordering::AcqRel);
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        self.news.take()
    }
}

/// A capture thread with a link, until it is dropped.
struct Studio {
    gate: Arc<Gate>,
    packets: mpsc::Receiver<Vec<rtp::Packet>>,
    preview: VideoFeed,
    slot: SourceSlot<dyn VideoSource>,
    news: mpsc::Receiver<SourceNews>,
    thread: Option<JoinHandle<()>>,
}

fn studio(source: Box<dyn VideoSource>, muted: bool) -> Studio {
    let Bench { packets, gate, .. } = bench(Layers::of(160, 120, false), VideoCodec::Vp8, StreamKind::Camera, 300_000);
    gate.set_muted(muted);
    let (to, news) = mpsc::channel(64);
    let report = SourceReport { stream: StreamId::new("cam").unwrap(), media: MediaKind::Video, serial: 1, to };
    let (preview, slot) = (VideoFeed::default(), SourceSlot::default());
    let thread = VideoThread {
        source,
        options: VideoOptions { codec: VideoCodec::Vp8, max_bitrate_bps: 300_000, simulcast: false },
        kind: StreamKind::Camera,
        gate: Arc::clone(&gate),
        preview: preview.clone(),
        slot: slot.clone(),
        report,
    };
    let thread = std::thread::Builder::new().name("studio".into()).spawn(move || thread.run()).unwrap();
    Studio { gate, packets, preview, slot, news, thread: Some(thread) }
}

impl Studio {
    fn until<T>(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = is_so(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn mute(&mut self, log: &Log) {
        let (_, rests) = log.counts();
        self.gate.set_muted(true);
        self.until("the rest", |_| (log.counts().1 > rests).then_some(()));
    }

    fn next_frame(&mut self) -> Vec<rtp::Packet> {
        self.until("a frame", |studio| studio.packets.try_recv().ok())
    }

    /// What was said so far.
    fn said(&mut self) -> Vec<SourceWord> {
        std::iter::from_fn(|| self.news.try_recv().ok()).map(|news| news.word).collect()
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.gate.stop();
        let ended = self.thread.take().is_some_and(|thread| thread.join().is_ok());
        assert!(ended || std::thread::panicking(), "the capture thread broke");
    }
}

fn device(name: &str) -> SourceWord {
    SourceWord::Device(DeviceUse { name: Some(name.to_owned()), ..DeviceUse::default() })
}

#[test]
fn a_muted_picture_is_not_pulled_and_comes_back_with_a_keyframe() {
    let log = Arc::new(Log::default());
    let mut studio = studio(Lens::boxed(&log, "lens"), false);
    assert!(is_keyframe(&studio.next_frame()));
    assert!(!is_keyframe(&studio.next_frame()));
    studio.mute(&log);
    while studio.packets.try_recv().is_ok() {}
    let (asked, shown) = (log.counts(), studio.preview.counts().put);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!((log.counts(), studio.preview.counts().put), (asked, shown), "rested once, and nobody asks");
    assert!(studio.packets.try_recv().is_err());
    studio.gate.set_muted(false);
    assert!(is_keyframe(&studio.next_frame()));
    assert!(!is_keyframe(&studio.next_frame()));
    assert_eq!(studio.said(), [device("lens")], "nothing else is news");
}

#[test]
fn a_picture_that_begins_muted_asks_its_source_for_nothing_before_it_is_unmuted() {
    let log = Arc::new(Log::default());
    let mut studio = studio(Lens::boxed(&log, "lens"), true);
    studio.until("the rest", |_| (log.counts().1 > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(log.counts(), (0, 1));
    assert_eq!(studio.preview.counts().put, 0);
    studio.gate.set_muted(false);
    assert!(is_keyframe(&studio.next_frame()));
    // Stopped while muted, it ends at once.
    studio.mute(&log);
    let stopped = Instant::now();
    drop(studio);
    assert!(stopped.elapsed() < Duration::from_secs(2));
}

#[test]
fn another_source_that_is_chosen_meanwhile_rests_too() {
    let (first, second) = (Arc::new(Log::default()), Arc::new(Log::default()));
    let mut studio = studio(Lens::boxed(&first, "first"), true);
    studio.until("the first", |_| (first.counts().1 > 0).then_some(()));
    studio.slot.put(Lens::boxed(&second, "second"));
    studio.until("the second", |_| (second.counts() == (0, 1)).then_some(()));
    assert_eq!(Arc::strong_count(&first), 1, "the one before is let go");
    studio.gate.set_muted(false);
    studio.next_frame();
    assert_eq!(first.counts().0, 0);
    assert_eq!(studio.said(), [device("first"), device("second")]);
}

#[test]
fn a_device_in_trouble_is_muted_and_no_more_and_one_that_opens_again_is_in_none() {
    let log = Arc::new(Log::default());
    let mut studio = studio(Lens::boxed(&log, "lens"), false);
    studio.next_frame();
    log.mood.store(1, Ordering::Release);
    studio.until("the trouble", |studio| {
        studio.said().contains(&SourceWord::State(DeviceState::Unplugged)).then_some(())
    });
    studio.mute(&log);
    assert_eq!(studio.said(), [SourceWord::State(DeviceState::On)]);
    // Its device takes a while.
    log.mood.store(2, Ordering::Release);
    let (pulls, _) = log.counts();
    studio.gate.set_muted(false);
    studio.until("some pulls", |_| (log.counts().0 > pulls + 4).then_some(()));
    while studio.packets.try_recv().is_ok() {}
    log.mood.store(0, Ordering::Release);
    assert!(is_keyframe(&studio.next_frame()));
    assert_eq!(studio.said(), [], "it only began again");
    // What stalls after that is trouble.
    log.mood.store(2, Ordering::Release);
    studio.until("the stall", |studio| studio.said().contains(&SourceWord::State(DeviceState::Stalled)).then_some(()));
}
