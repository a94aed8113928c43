//! Cameras: a source that outlives stalls, unplugging and other programs' grabs. Each device is opened and read by a
//! thread of its own; the source, on the thread that pulls it, waits for it at most a second, says what is wrong, and
//! tries again, with another camera where one is there.

mod driver;
mod nodes;
mod system;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use crate::media::frame::VideoFrame;
use crate::media::source::{CaptureError, VideoFormat, VideoSource};
use crate::model::DeviceState;

pub use driver::CameraInfo;
use driver::{CameraDriver, CameraFault};
use worker::{Word, Worker};

/// How the source waits; tests shorten it.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Without a picture for so long, a camera counts as stalled.
    stall: Duration,
    /// A stalled camera is given so long before a fresh start is tried.
    restart: Duration,
    /// A camera that failed rests for so long; twice as long each time, up to `longest_rest`.
    rest: Duration,
    longest_rest: Duration,
    /// How often a preferred camera is looked for while another stands in.
    look: Duration,
    /// The first picture may take so long; cameras warm up.
    first: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stall: Duration::from_millis(900),
            restart: Duration::from_secs(3),
            rest: Duration::from_secs(1),
            longest_rest: Duration::from_secs(30),
            look: Duration::from_secs(2),
            first: Duration::from_secs(4),
        }
    }
}

/// Threads left behind in a driver that does not come back; no more are started until one of them ends.
const MAX_STUCK: usize = 2;

/// The cameras of this machine; none where there are none. Opens no device.
pub fn list_cameras() -> Vec<CameraInfo> {
    system::SystemCameras.list()
}

/// A camera as a source. Pictures are I420, BT.601 limited range, of the asked size or the nearest smaller one the
/// camera gives, at most at the asked rate.
pub struct Camera {
    driver: Arc<dyn CameraDriver>,
    preferred: Option<String>,
    wish: VideoFormat,
    patience: Patience,
    epoch: Instant,
    worker: Option<Worker>,
    heard: Instant,
    stuck: Vec<Worker>,
    resting: HashMap<String, (Instant, Duration)>,
    next_look: Instant,
    trouble: CameraFault,
    trouble_of: String,
    size: (u32, u32),
}

impl fmt::Debug for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reading = self.worker.as_ref().map(|worker| &worker.id);
        f.debug_struct("Camera").field("preferred", &self.preferred).field("reading", &reading).finish_non_exhaustive()
    }
}

impl Camera {
    /// Opens a camera by its id, or the first one that works, and waits for its first picture. Later on, another one
    /// stands in while it is away.
    ///
    /// # Errors
    /// [`CaptureError::Open`] when there is none, or when the system refuses it, with what to do.
    pub fn open(id: Option<&str>, wish: VideoFormat) -> Result<Self, CaptureError> {
        Self::open_with(Arc::new(system::SystemCameras), id, wish, Patience::default())
    }

    fn open_with(
        driver: Arc<dyn CameraDriver>,
        id: Option<&str>,
        wish: VideoFormat,
        patience: Patience,
    ) -> Result<Self, CaptureError> {
        let cameras = driver.list();
        let what = id.map_or_else(|| "the camera".to_owned(), |id| format!("the camera {id}"));
        if cameras.is_empty() {
            return Err(CaptureError::Open { what, why: "no camera was found: plug one in".into() });
        }
        if let Some(id) = id
            && !cameras.iter().any(|camera| camera.id == id)
        {
            let known: Vec<&str> = cameras.iter().map(|camera| camera.id.as_str()).collect();
            let why = format!("it is not among those found: {}", known.join(", "));
            return Err(CaptureError::Open { what, why });
        }
        let now = Instant::now();
        let mut camera = Self {
            driver,
            preferred: id.map(str::to_owned),
            wish: VideoFormat { fps: if wish.fps.is_finite() { wish.fps.clamp(1.0, 120.0) } else { 15.0 }, ..wish },
            patience,
            epoch: now,
            worker: None,
            heard: now,
            stuck: Vec::new(),
            resting: HashMap::new(),
            next_look: now,
            trouble: CameraFault { state: DeviceState::Stalled, why: "it has not started yet".into() },
            trouble_of: what,
            size: (wish.width, wish.height),
        };
        camera.try_each(&cameras)?;
        Ok(camera)
    }

    /// At the start, a chosen camera that is refused is an error, and without a choice each one is tried.
    fn try_each(&mut self, cameras: &[CameraInfo]) -> Result<(), CaptureError> {
        let wanted = self.preferred.clone();
        for camera in cameras.iter().filter(|camera| wanted.as_ref().is_none_or(|id| *id == camera.id)) {
            self.start(&camera.id);
            let Some(worker) = &self.worker else { continue };
            let deadline = Instant::now() + self.patience.first;
            while worker.words.is_empty() && !worker.is_gone() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            match worker.words.try_recv() {
                Ok(Word::Fault(fault)) => self.fail(fault),
                Ok(Word::Frame(frame)) => {
                    self.size = (frame.width(), frame.height());
                    return Ok(());
                }
                Err(_) if worker.is_gone() => self.fail(CameraFault::failed("its driver crashed")),
                // It may still come: the source says that it stalls.
                Err(_) => return Ok(()),
            }
        }
        Err(CaptureError::Open { what: self.trouble_of.clone(), why: self.trouble.why.clone() })
    }

    /// Starts to read a camera.
    fn start(&mut self, id: &str) {
        match Worker::start(Arc::clone(&self.driver), id, self.wish, self.epoch) {
            Ok(worker) => {
                self.heard = Instant::now();
                self.worker = Some(worker);
            }
            Err(error) => {
                self.trouble = CameraFault::failed(&format!("no thread can be started ({error})"));
                self.trouble_of = id.to_owned();
                self.rest(id);
            }
        }
    }

    /// Leaves the camera that is read now.
    fn leave(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop();
            self.stuck.push(worker);
        }
    }

    /// Notes what is wrong with the camera that is read now, and lets it rest.
    fn fail(&mut self, mut fault: CameraFault) {
        let Some(id) = self.worker.as_ref().map(|worker| worker.id.clone()) else { return };
        self.leave();
        // The program that uses it is this one, which waits for it.
        if fault.state == DeviceState::InUse && self.stuck.iter().any(|stuck| stuck.id == id && !stuck.is_gone()) {
            fault = stalled();
        }
        tracing::info!(camera = id, state = fault.state.word(), why = fault.why, "the camera is left");
        self.trouble = fault;
        self.trouble_of = id.clone();
        self.rest(&id);
    }

    fn rest(&mut self, id: &str) {
        let longest = self.patience.longest_rest;
        let span = self.resting.get(id).map_or(self.patience.rest, |(_, span)| (*span * 2).min(longest));
        self.resting.insert(id.to_owned(), (Instant::now() + span, span));
    }

    fn is_resting(&self, id: &str) -> bool {
        self.resting.get(id).is_some_and(|(until, _)| Instant::now() < *until)
    }

    /// Starts the best camera there is now, if any.
    fn find(&mut self) {
        self.stuck.retain(|worker| !worker.is_gone());
        if self.stuck.len() >= MAX_STUCK {
            return;
        }
        let mut cameras = self.driver.list();
        cameras.sort_by_key(|camera| Some(&camera.id) != self.preferred.as_ref());
        if let Some(id) = &self.preferred
            && !cameras.iter().any(|camera| camera.id == *id)
        {
            self.trouble = CameraFault::of_os_error(19, "");
            self.trouble_of.clone_from(id);
        }
        if let Some(camera) = cameras.into_iter().find(|camera| !self.is_resting(&camera.id)) {
            if self.preferred.as_ref().is_some_and(|id| *id != camera.id) {
                tracing::warn!(camera = camera.name, "another camera stands in");
            }
            self.start(&camera.id);
        }
    }

    /// Goes back to the preferred camera when it is there again.
    fn prefer(&mut self) {
        let Some(id) = self.preferred.clone() else { return };
        if self.worker.as_ref().is_none_or(|worker| worker.id == id) || Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + self.patience.look;
        if !self.is_resting(&id) && self.driver.list().iter().any(|camera| camera.id == id) {
            self.leave();
            self.start(&id);
        }
    }

    fn interrupted(&self) -> CaptureError {
        let CameraFault { state, why } = self.trouble.clone();
        CaptureError::Interrupted { what: format!("the camera {}", self.trouble_of), state, why }
    }
}

fn stalled() -> CameraFault {
    let why = "it delivers nothing: unplug it and plug it in again, or choose another camera".into();
    CameraFault { state: DeviceState::Stalled, why }
}

impl VideoSource for Camera {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: self.size.0, height: self.size.1, fps: self.wish.fps }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let deadline = Instant::now() + self.patience.stall;
        loop {
            self.prefer();
            if self.worker.is_none() {
                self.find();
            }
            let Some(worker) = &self.worker else {
                if Instant::now() >= deadline {
                    return Err(self.interrupted());
                }
                std::thread::sleep(self.patience.rest.min(Duration::from_millis(50)));
                continue;
            };
            match worker.words.recv_deadline(deadline) {
                Ok(Word::Frame(frame)) => {
                    self.heard = Instant::now();
                    self.resting.remove(&worker.id);
                    self.size = (frame.width(), frame.height());
                    return Ok(Some(frame));
                }
                Ok(Word::Fault(fault)) => self.fail(fault),
                Err(RecvTimeoutError::Disconnected) => self.fail(CameraFault::failed("its driver crashed")),
                Err(RecvTimeoutError::Timeout) => {
                    // A camera that failed before and has shown nothing since still has the trouble it had.
                    if !self.resting.contains_key(&worker.id) {
                        self.trouble = stalled();
                        self.trouble_of.clone_from(&worker.id);
                    }
                    if self.heard.elapsed() >= self.patience.restart {
                        self.fail(self.trouble.clone());
                    }
                    return Err(self.interrupted());
                }
            }
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.leave();
    }
}
