//! Cameras: a source that outlives stalls, unplugging and other programs' grabs. Each device is opened and read by a
//! thread of its own; the source, on the thread that pulls it, waits for it at most a second, says what is wrong, and
//! tries again, with another camera where one is there. That one stands in until the preferred one delivers again. A
//! camera that nobody asks for pictures is let go, and opened again with the next one asked for.

mod driver;
mod news;
mod nodes;
mod rest;
mod sidelines;
mod system;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, TryRecvError};

use crate::media::frame::VideoFrame;
use crate::media::source::{CaptureError, VideoFormat, VideoSource};
use crate::model::{DeviceState, DeviceUse};

pub use driver::CameraInfo;
use driver::{CameraDriver, CameraFault};
use news::News;
use rest::Rest;
use sidelines::Sidelines;
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
    /// Reads the camera in use.
    worker: Option<Worker>,
    /// When it gave its last picture, or was started.
    heard: Instant,
    /// It gave a picture.
    delivered: bool,
    /// Tries the preferred camera while another one stands in, until it gives a picture.
    trial: Option<Worker>,
    next_look: Instant,
    sidelines: Sidelines,
    trouble: CameraFault,
    trouble_of: Option<String>,
    /// Why the preferred camera is not in use.
    absence: Option<CameraFault>,
    newest_us: Option<u64>,
    size: (u32, u32),
    news: News,
    rest: Rest,
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

    /// A camera by its id, or the first one that works, which need not be there yet: while it is missing or in use the
    /// source says so ([`CaptureError::Interrupted`]), another one stands in where there is one, and it comes up by
    /// itself. Opens nothing before it is first asked for a picture.
    pub fn waiting(id: Option<&str>, wish: VideoFormat) -> Self {
        Self::waiting_with(Arc::new(system::SystemCameras), id, wish, Patience::default())
    }

    fn open_with(
        driver: Arc<dyn CameraDriver>,
        id: Option<&str>,
        wish: VideoFormat,
        patience: Patience,
    ) -> Result<Self, CaptureError> {
        let cameras = driver.list();
        let refused = |why: String| CaptureError::Open { what: named(id), why };
        if cameras.is_empty() {
            return Err(refused(CameraFault::none_found().why));
        }
        if let Some(id) = id
            && !cameras.iter().any(|camera| camera.id == id)
        {
            let known: Vec<&str> = cameras.iter().map(|camera| camera.id.as_str()).collect();
            return Err(refused(format!("it is not among those found: {}", known.join(", "))));
        }
        let mut camera = Self::waiting_with(driver, id, wish, patience);
        camera.try_each(&cameras)?;
        Ok(camera)
    }

    fn waiting_with(driver: Arc<dyn CameraDriver>, id: Option<&str>, wish: VideoFormat, patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            driver,
            preferred: id.map(str::to_owned),
            wish: VideoFormat { fps: if wish.fps.is_finite() { wish.fps.clamp(1.0, 120.0) } else { 15.0 }, ..wish },
            patience,
            epoch: now,
            worker: None,
            heard: now,
            delivered: false,
            trial: None,
            next_look: now,
            sidelines: Sidelines::default(),
            trouble: CameraFault { state: DeviceState::Stalled, why: "it has not started yet".into() },
            trouble_of: id.map(str::to_owned),
            absence: None,
            newest_us: None,
            size: (wish.width, wish.height),
            news: News::default(),
            rest: Rest::default(),
        }
    }

    /// At the start, a chosen camera that is refused is an error, and without a choice each one is tried.
    fn try_each(&mut self, cameras: &[CameraInfo]) -> Result<(), CaptureError> {
        let wanted = self.preferred.clone();
        for camera in cameras.iter().filter(|camera| wanted.as_ref().is_none_or(|id| *id == camera.id)) {
            self.start(camera);
            let Some(worker) = &self.worker else { continue };
            let deadline = Instant::now() + self.patience.first;
            while worker.words.is_empty() && !worker.is_gone() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            match worker.words.try_recv() {
                Ok(Word::Fault(fault)) => self.fail(fault),
                Ok(Word::Frame(frame)) => {
                    self.size = (frame.width(), frame.height());
                    self.delivered = true;
                    return Ok(());
                }
                Err(_) if worker.is_gone() => self.fail(CameraFault::crashed()),
                // It may still come: the source says that it stalls.
                Err(_) => return Ok(()),
            }
        }
        Err(CaptureError::Open { what: named(self.trouble_of.as_deref()), why: self.trouble.why.clone() })
    }

    /// Starts to read a camera.
    fn start(&mut self, camera: &CameraInfo) {
        self.worker = self.hire(camera);
        (self.heard, self.delivered) = (Instant::now(), false);
        if self.worker.is_none() {
            (self.trouble, self.trouble_of) = (no_thread(), Some(camera.id.clone()));
        }
    }

    /// A thread that opens and reads a camera; without one the camera rests.
    fn hire(&mut self, camera: &CameraInfo) -> Option<Worker> {
        match Worker::start(Arc::clone(&self.driver), camera, self.wish, self.epoch) {
            Ok(worker) => Some(worker),
            Err(error) => {
                tracing::warn!(camera = camera.id, %error, "no thread to read a camera on");
                self.sidelines.rest(&camera.id, self.patience.rest, self.patience.longest_rest);
                None
            }
        }
    }

    /// Leaves the camera that is read now, and the one that is tried.
    fn leave(&mut self) {
        for worker in self.worker.take().into_iter().chain(self.trial.take()) {
            self.sidelines.dismiss(worker);
        }
    }

    /// Gives up the camera that is read now.
    fn fail(&mut self, fault: CameraFault) {
        let Some(worker) = self.worker.take() else { return };
        self.trouble_of = Some(worker.id.clone());
        self.trouble = self.set_aside(worker, fault);
    }

    /// Ends a worker and lets its camera rest; gives what is wrong with it.
    fn set_aside(&mut self, worker: Worker, mut fault: CameraFault) -> CameraFault {
        let id = worker.id.clone();
        // The program that uses it is this one, which waits for it.
        if fault.state == DeviceState::InUse && self.sidelines.stuck_in(&id) > 0 {
            fault = CameraFault::stalled();
        }
        tracing::info!(camera = id, state = fault.state.word(), why = fault.why, "the camera is left");
        self.sidelines.dismiss(worker);
        self.sidelines.rest(&id, self.patience.rest, self.patience.longest_rest);
        if self.preferred.as_ref() == Some(&id) {
            self.absence = Some(fault.clone());
            // A camera that stands in does so for another reason now.
            self.news.look_again();
        }
        fault
    }

    /// Starts the best camera there is now, if any.
    fn find(&mut self) {
        let mut cameras = self.driver.list();
        self.note_missing(&cameras);
        cameras.sort_by_key(|camera| Some(&camera.id) != self.preferred.as_ref());
        let tried = self.trial.as_ref().map(|trial| trial.id.clone());
        let fits = |camera: &CameraInfo| tried.as_ref() != Some(&camera.id) && self.sidelines.may_try(&camera.id);
        if let Some(camera) = cameras.into_iter().find(fits) {
            if self.preferred.as_ref().is_some_and(|id| *id != camera.id) {
                tracing::warn!(camera = camera.name, "another camera stands in");
            }
            self.start(&camera);
        } else if let Some(trial) = self.trial.take() {
            // Nothing stands in any more: what is tried is all there is.
            (self.heard, self.delivered) = (trial.started, false);
            self.worker = Some(trial);
        }
    }

    /// Notes when what was wished for is not there.
    fn note_missing(&mut self, cameras: &[CameraInfo]) {
        match &self.preferred {
            None if cameras.is_empty() => (self.trouble, self.trouble_of) = (CameraFault::none_found(), None),
            Some(id) if !cameras.iter().any(|camera| camera.id == *id) => {
                self.trouble = CameraFault::of_os_error(19, "");
                self.trouble_of = Some(id.clone());
                self.absence = Some(self.trouble.clone());
            }
            _ => {}
        }
    }

    /// Goes back to the preferred camera once it gives pictures. Until then it is tried beside the one that stands in,
    /// which goes on.
    fn prefer(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.judge(trial);
        } else if let Some(camera) = self.back() {
            self.trial = self.hire(&camera);
        }
    }

    /// The preferred camera, when another one stands in and it is time to try it.
    fn back(&mut self) -> Option<CameraInfo> {
        let id = self.preferred.as_ref()?;
        let now = Instant::now();
        if self.worker.as_ref().is_none_or(|worker| worker.id == *id) || now < self.next_look {
            return None;
        }
        self.next_look = now + self.patience.look;
        if !self.sidelines.may_try(id) {
            return None;
        }
        self.driver.list().into_iter().find(|camera| camera.id == *id)
    }

    /// Looks how a trial is doing.
    fn judge(&mut self, trial: Worker) {
        let fault = match trial.words.try_recv() {
            // This picture only shows that it works: the one that stood in may have given a newer one.
            Ok(Word::Frame(_)) => {
                tracing::info!(camera = trial.id, "the camera is back");
                self.leave();
                (self.heard, self.delivered) = (Instant::now(), true);
                self.worker = Some(trial);
                return;
            }
            Ok(Word::Fault(fault)) => fault,
            Err(TryRecvError::Disconnected) => CameraFault::crashed(),
            Err(TryRecvError::Empty) if trial.started.elapsed() >= self.patience.first => CameraFault::stalled(),
            Err(TryRecvError::Empty) => {
                self.trial = Some(trial);
                return;
            }
        };
        self.set_aside(trial, fault);
    }

    /// Takes note of a picture that is given.
    fn note_frame(&mut self, frame: &VideoFrame) {
        (self.heard, self.delivered) = (Instant::now(), true);
        self.rest.end();
        self.newest_us = Some(frame.timestamp_us());
        self.size = (frame.width(), frame.height());
        let Some(worker) = &self.worker else { return };
        self.sidelines.forgive(&worker.id);
        let (preferred, absence) = (self.preferred.as_deref(), self.absence.as_ref());
        self.news.gives(&worker.id, || in_use(worker, preferred, absence));
    }

    fn interrupted(&mut self) -> CaptureError {
        // That it is starting is no news of a camera that was let go.
        if !(self.rest.is_waking() && self.trouble == CameraFault::starting()) {
            self.news.lost(&self.trouble);
        }
        let CameraFault { state, why } = self.trouble.clone();
        CaptureError::Interrupted { what: named(self.trouble_of.as_deref()), state, why }
    }
}

/// A camera that delivers, as it is told.
fn in_use(worker: &Worker, preferred: Option<&str>, absence: Option<&CameraFault>) -> DeviceUse {
    let name = Some(worker.name.clone());
    if preferred.is_none_or(|id| id == worker.id) {
        return DeviceUse { name, state: DeviceState::On, why: None };
    }
    let CameraFault { state, why } = absence.cloned().unwrap_or_else(CameraFault::stalled);
    DeviceUse { name, state, why: Some(format!("{}: {why}", named(preferred))) }
}

fn named(id: Option<&str>) -> String {
    id.map_or_else(|| "the camera".to_owned(), |id| format!("the camera {id}"))
}

fn no_thread() -> CameraFault {
    let why = "the system starts no thread to read it: close other programs".into();
    CameraFault { state: DeviceState::Failed, why }
}

impl VideoSource for Camera {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: self.size.0, height: self.size.1, fps: self.wish.fps }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let deadline = Instant::now() + self.patience.stall;
        loop {
            self.prefer();
            if self.worker.is_none() && !self.is_closing() {
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
                // Taken while another camera stood in, before its last picture.
                Ok(Word::Frame(frame)) if self.newest_us.is_some_and(|newest| frame.timestamp_us() <= newest) => {}
                Ok(Word::Frame(frame)) => {
                    self.note_frame(&frame);
                    return Ok(Some(frame));
                }
                Ok(Word::Fault(fault)) => self.fail(fault),
                Err(RecvTimeoutError::Disconnected) => self.fail(CameraFault::crashed()),
                Err(RecvTimeoutError::Timeout) => {
                    // A camera that failed before and has shown nothing since still has the trouble it had.
                    let starting = !self.delivered && worker.started.elapsed() < self.patience.first;
                    let known = self.sidelines.has_failed(&worker.id);
                    if !known || self.trouble_of.as_ref() != Some(&worker.id) {
                        self.trouble = if starting { CameraFault::starting() } else { CameraFault::stalled() };
                        self.trouble_of = Some(worker.id.clone());
                    }
                    if !starting && self.heard.elapsed() >= self.patience.restart {
                        self.fail(self.trouble.clone());
                    }
                    return Err(self.interrupted());
                }
            }
        }
    }

    fn rest(&mut self) {
        self.let_go();
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        self.news.take()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.leave();
    }
}
