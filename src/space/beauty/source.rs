//! A camera whose pictures go through the passes before anyone sees them. A thread of its own pulls the camera, so that
//! the next picture comes in while one is on the GPU and another is encoded; as long as nothing was ever wished for there
//! is no such thread, and the camera is pulled directly. While the source rests that thread does, too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    /// Nobody asks for pictures; the camera's thread waits until someone does.
    resting: Mutex<bool>,
    turned: Condvar,
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
        let pulled = Arc::new(Pulled::new(told));
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
    fn new(told: Told) -> Self {
        let (stop, told) = (AtomicBool::new(false), Mutex::new(told));
        Self { stop, resting: Mutex::new(false), turned: Condvar::new(), told }
    }

    fn set_resting(&self, resting: bool) {
        *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = resting;
        self.turned.notify_all();
    }

    fn is_resting(&self) -> bool {
        *self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until pictures are asked for, or the end.
    fn wait_asked(&self) {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |resting: &mut bool| *resting && !self.stop.load(Ordering::Acquire);
        drop(self.turned.wait_while(resting, goes_on).unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the camera's thread with the picture it waits for.
    fn end(&self) {
        self.stop.store(true, Ordering::Release);
        self.set_resting(false);
    }

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
        if pulled.is_resting() {
            camera.rest();
            entrance.rest();
            pulled.wait_asked();
            continue;
        }
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
            Camera::Pulled(pulled) => {
                pulled.set_resting(false);
                pulled.next(&lane)
            }
            Camera::Gone => Ok(None),
        }
    }

    fn rest(&mut self) {
        match &mut self.camera {
            Camera::Direct(camera) => camera.rest(),
            Camera::Pulled(pulled) => {
                pulled.set_resting(true);
                // Once more when its thread has come to rest: it may be giving a picture just now.
                if let Some(lane) = &self.lane {
                    lane.rest();
                }
            }
            Camera::Gone => {}
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
            pulled.end();
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
