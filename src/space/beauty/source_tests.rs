//! A camera behind the filter: which thread pulls it, how it ends and how it rests.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::model::{Beauty, BeautyParams, BeautyState};

const FORMAT: VideoFormat = VideoFormat { width: 16, height: 16, fps: 200.0 };

/// Gives so many pictures, then does what it is told to.
struct Fake {
    left: u32,
    then: fn() -> Result<Option<VideoFrame>, CaptureError>,
    news: Option<DeviceUse>,
}

impl Fake {
    fn boxed(left: u32, then: fn() -> Result<Option<VideoFrame>, CaptureError>) -> Box<dyn VideoSource> {
        let news = Some(DeviceUse { name: Some("fake".to_owned()), state: DeviceState::On, why: None });
        Box::new(Self { left, then, news })
    }
}

impl VideoSource for Fake {
    fn format(&self) -> VideoFormat {
        FORMAT
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        if self.left == 0 {
            return (self.then)();
        }
        self.left -= 1;
        std::thread::sleep(Duration::from_millis(5));
        let data = vec![u8::try_from(std::thread::current().name().map_or(0, str::len)).unwrap(); 384];
        Ok(Some(VideoFrame::new(16, 16, Default::default(), u64::from(self.left), data).unwrap()))
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        self.news.take()
    }
}

fn beauty() -> Beauty {
    Beauty::of(BeautyParams::default())
}

/// The thread a picture was taken on, as its name's length.
fn taken_on(frame: &VideoFrame) -> usize {
    usize::from(frame.y()[0])
}

#[test]
fn a_camera_nobody_wants_filtered_is_pulled_directly_and_for_good_on_its_own_thread_once_someone_did() {
    let link = BeautyLink::default();
    let mut source = BeautySource::new(Fake::boxed(10_000, || Ok(None)), link.clone());
    let here = std::thread::current().name().map_or(0, str::len);
    assert_eq!(source.next_frame().unwrap().map(|frame| taken_on(&frame)), Some(here));
    assert!(source.device_news().is_some() && source.device_news().is_none());
    link.watch(true);
    assert_eq!(source.next_frame().unwrap().map(|frame| taken_on(&frame)), Some("beauty-cam".len()));
    assert_eq!(source.format(), FORMAT);
    link.watch(false);
    assert_eq!(source.next_frame().unwrap().map(|frame| taken_on(&frame)), Some("beauty-cam".len()));
    assert_eq!(link.status().state, BeautyState::Off);
}

#[test]
fn the_end_of_a_camera_is_the_end_whatever_it_is() {
    let end = |then| {
        let mut source = BeautySource::new(Fake::boxed(0, then), BeautyLink::new(beauty()));
        loop {
            match source.next_frame() {
                Err(CaptureError::Interrupted { .. }) => {}
                other => return other.map(|frame| frame.is_some()),
            }
        }
    };
    assert_eq!(end(|| Ok(None)), Ok(false));
    let broken = || Err(CaptureError::Format { what: "it".to_owned(), why: "no reason".to_owned() });
    assert!(end(broken).unwrap_err().to_string().contains("no reason"));
    assert!(end(|| panic!("a camera that panics, for the test")).unwrap_err().to_string().contains("another"));
}

#[test]
fn while_nothing_is_drawn_it_says_so_and_the_camera_is_let_go_with_it() {
    let link = BeautyLink::new(beauty());
    let mut source = BeautySource::new(Fake::boxed(10_000, || Ok(None)), link.clone());
    let error = source.next_frame().unwrap_err();
    assert!(matches!(error, CaptureError::Interrupted { state: DeviceState::Stalled, .. }), "{error}");
    assert!(link.is_fed());
    drop(source);
    let gone = Instant::now() + Duration::from_secs(10);
    while link.is_fed() {
        assert!(Instant::now() < gone, "the camera's thread goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a camera was asked.
#[derive(Default)]
struct Log {
    pulls: AtomicU32,
    rests: AtomicU32,
}

/// A camera whose pictures carry their number as their time.
struct Lens(Arc<Log>);

impl VideoSource for Lens {
    fn format(&self) -> VideoFormat {
        FORMAT
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        std::thread::sleep(Duration::from_millis(5));
        let number = self.0.pulls.fetch_add(1, Ordering::AcqRel) + 1;
        Ok(Some(VideoFrame::new(16, 16, Default::default(), u64::from(number), vec![100; 384]).unwrap()))
    }

    fn rest(&mut self) {
        self.0.rests.fetch_add(1, Ordering::AcqRel);
    }
}

/// Takes the place of the graphics device for as long as `draws` says so, until it is the only one who has it.
fn device(link: BeautyLink, draws: Arc<AtomicBool>) {
    let run = move || {
        while Arc::strong_count(&draws) > 1 {
            std::thread::sleep(Duration::from_millis(1));
            if draws.load(Ordering::Acquire)
                && let Some(job) = link.take_job()
            {
                let mut frame = job.frame.clone();
                frame.planes_mut().0.fill(200);
                job.done(frame, Duration::from_millis(1));
            }
        }
    };
    std::thread::Builder::new().name("device".to_owned()).spawn(run).unwrap();
}

/// The next picture: which, after at least one was not there in time, perhaps.
fn next_filtered(source: &mut BeautySource) -> u32 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match source.next_frame() {
            Ok(Some(frame)) => {
                assert_eq!(frame.y()[0], 200, "picture {} is not filtered", frame.timestamp_us());
                return u32::try_from(frame.timestamp_us()).unwrap();
            }
            Err(CaptureError::Interrupted { .. }) => assert!(Instant::now() < deadline, "no picture comes"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_filtered_camera_rests_without_a_failure_and_goes_on_filtered() {
    let (link, log, draws) = (BeautyLink::new(beauty()), Arc::new(Log::default()), Arc::new(AtomicBool::new(true)));
    let mut source = BeautySource::new(Box::new(Lens(Arc::clone(&log))), link.clone());
    device(link.clone(), Arc::clone(&draws));
    source.rest();
    let asked = |log: &Log| (log.pulls.load(Ordering::Acquire), log.rests.load(Ordering::Acquire));
    assert_eq!(asked(&log), (0, 1), "who rests from the start is never pulled");
    next_filtered(&mut source);
    for rests in 2..5 {
        source.rest();
        // Nor is the room drawn meanwhile.
        draws.store(false, Ordering::Release);
        let deadline = Instant::now() + Duration::from_secs(10);
        while asked(&log).1 < rests {
            assert!(Instant::now() < deadline, "the camera does not rest");
            std::thread::sleep(Duration::from_millis(2));
        }
        let (pulls, _) = asked(&log);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(asked(&log), (pulls, rests), "it is not pulled while it rests");
        draws.store(true, Ordering::Release);
        assert!(next_filtered(&mut source) > pulls, "nothing from before the rest is sent");
        let status = link.status();
        assert_eq!((status.state, status.error), (BeautyState::On, None));
    }
}

#[test]
fn a_camera_that_rests_is_let_go_with_its_source() {
    let (link, log) = (BeautyLink::new(beauty()), Arc::new(Log::default()));
    let mut source = BeautySource::new(Box::new(Lens(Arc::clone(&log))), link);
    let error = source.next_frame().unwrap_err();
    assert!(matches!(error, CaptureError::Interrupted { .. }), "nothing is drawn: {error}");
    source.rest();
    drop(source);
    let gone = Instant::now() + Duration::from_secs(10);
    while Arc::strong_count(&log) > 1 {
        assert!(Instant::now() < gone, "its thread waits for ever");
        std::thread::sleep(Duration::from_millis(5));
    }
}
