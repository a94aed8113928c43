//! A camera whose pictures go through the passes before anyone sees them. A thread of its own pulls the camera, so that
//! the next picture comes in while one is on the GPU and another is encoded; as long as nothing was ever wished for there
//! is no such thread, and the camera is pulled directly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::link::{BeautyLink, Entrance, Lane};
use crate::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use crate::model::{DeviceState, DeviceUse};

/// Waited for a picture before saying that none comes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Wraps a camera; see [`BeautyLink`].
pub struct BeautySource {
    link: BeautyLink,
    _user: Arc<()>,
    /// Opened with the first picture that is asked for: before, another camera may feed the link, and this one may never.
    lane: Option<Arc<Lane>>,
    camera: Camera,
}

enum Camera {
    Direct(Box<dyn VideoSource>),
    Pulled(Arc<Pulled>),
    /// For as long as it changes hands.
    Gone,
}

/// What the camera's thread leaves for the encoder's.
struct Pulled {
    stop: AtomicBool,
    told: Mutex<Told>,
}

struct Told {
    format: VideoFormat,
    news: Option<DeviceUse>,
    end: Option<CaptureError>,
}

impl BeautySource {
    /// Feeds `link` with a camera from the first picture on that is asked for.
    pub fn new(camera: Box<dyn VideoSource>, link: BeautyLink) -> Self {
        Self { _user: link.user(), link, lane: None, camera: Camera::Direct(camera) }
    }

    /// Begins to pull the camera on a thread of its own.
    fn pull(&mut self, lane: &Arc<Lane>) -> Result<(), CaptureError> {
        let camera = match std::mem::replace(&mut self.camera, Camera::Gone) {
            Camera::Direct(camera) => camera,
            other => {
                self.camera = other;
                return Ok(());
            }
        };
        let told = Told { format: camera.format(), news: None, end: None };
        let pulled = Arc::new(Pulled { stop: AtomicBool::new(false), told: Mutex::new(told) });
        let entrance = Entrance::new(self.link.clone(), Arc::clone(lane));
        let end = End { lane: Arc::clone(lane), pulled: Arc::clone(&pulled) };
        let thread = std::thread::Builder::new().name("beauty-cam".to_owned());
        thread
            .spawn(move || {
                let end = end;
                run(camera, entrance, &end.pulled);
            })
            .map_err(|error| CaptureError::Open {
                what: "the beauty filter".to_owned(),
                why: format!("no thread for it ({error}): close other programs"),
            })?;
        self.camera = Camera::Pulled(pulled);
        Ok(())
    }
}

impl Pulled {
    /// The next picture of the camera's thread.
    fn next(&self, lane: &Lane) -> Result<Option<VideoFrame>, CaptureError> {
        match lane.next(PATIENCE) {
            Some(frame) => frame.map(Some),
            None if self.stop.load(Ordering::Acquire) => self.lock().end.take().map_or(Ok(None), Err),
            None => {
                let why = if lane.is_starting() {
                    "its first picture is not filtered yet: wait"
                } else {
                    "the room is not being drawn, or the camera stands still: wait, or switch beauty off"
                };
                Err(CaptureError::Interrupted {
                    what: "the beauty filter".to_owned(),
                    state: DeviceState::Stalled,
                    why: why.to_owned(),
                })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that no more will come, however the camera's thread ends.
struct End {
    lane: Arc<Lane>,
    pulled: Arc<Pulled>,
}

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let why = "it broke (it panicked): choose another one".to_owned();
            self.pulled.lock().end = Some(CaptureError::Format { what: "the camera".to_owned(), why });
        }
        self.pulled.stop.store(true, Ordering::Release);
        self.lane.close();
    }
}

/// Pulls the camera until it ends or nobody wants it any more.
fn run(mut camera: Box<dyn VideoSource>, mut entrance: Entrance, pulled: &Pulled) {
    while !pulled.stop.load(Ordering::Acquire) {
        let end = match camera.next_frame() {
            Ok(Some(frame)) => entrance.offer(frame, Instant::now()).err().map(Some),
            Ok(None) => Some(None),
            Err(error @ CaptureError::Interrupted { .. }) => {
                entrance.interrupted(error);
                None
            }
            Err(error) => Some(Some(error)),
        };
        let mut told = pulled.lock();
        told.format = camera.format();
        if let Some(news) = camera.device_news() {
            told.news = Some(news);
        }
        if let Some(end) = end {
            told.end = end;
            pulled.stop.store(true, Ordering::Release);
        }
    }
}

impl VideoSource for BeautySource {
    fn format(&self) -> VideoFormat {
        match &self.camera {
            Camera::Direct(camera) => camera.format(),
            Camera::Pulled(pulled) => pulled.lock().format,
            Camera::Gone => VideoFormat { width: 0, height: 0, fps: 0.0 },
        }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let lane = Arc::clone(self.lane.get_or_insert_with(|| self.link.open_lane()));
        if self.link.is_needed() {
            self.pull(&lane)?;
        }
        match &mut self.camera {
            Camera::Direct(camera) => camera.next_frame(),
            Camera::Pulled(pulled) => pulled.next(&lane),
            Camera::Gone => Ok(None),
        }
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        match &mut self.camera {
            Camera::Direct(camera) => camera.device_news(),
            Camera::Pulled(pulled) => pulled.lock().news.take(),
            Camera::Gone => None,
        }
    }
}

impl Drop for BeautySource {
    /// The camera is let go with the picture its thread waits for.
    fn drop(&mut self) {
        if let Camera::Pulled(pulled) = &self.camera {
            pulled.stop.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
