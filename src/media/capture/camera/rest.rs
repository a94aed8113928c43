//! A camera that nobody asks for pictures: its device is let go, and opened again with the next one asked for, as at
//! first. On the thread that pulls the source.

use std::time::Instant;

use super::Camera;
use super::driver::CameraFault;

/// How a camera comes back that was let go.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// It was let go then, and its thread may not have closed it yet.
    closing: Option<Instant>,
    /// It gave no picture since.
    waking: bool,
}

impl Rest {
    /// Whether it was let go and gave no picture since.
    pub fn is_waking(&self) -> bool {
        self.waking
    }

    /// A picture came.
    pub fn end(&mut self) {
        *self = Self::default();
    }
}

impl Camera {
    /// Asks the thread that reads the camera to close it, without waiting for that. What went wrong before is forgotten.
    pub(super) fn let_go(&mut self) {
        if self.worker.is_some() || self.trial.is_some() {
            self.rest.closing = Some(Instant::now());
        }
        self.rest.waking = true;
        self.leave();
        self.sidelines.forgive_all();
        self.news.look_again();
        (self.trouble, self.trouble_of) = (CameraFault::starting(), self.preferred.clone());
    }

    /// Whether a camera that was let go is still being closed: opened now, it would say that it is in use. One whose
    /// driver hangs is not waited for.
    pub(super) fn is_closing(&mut self) -> bool {
        let Some(since) = self.rest.closing else { return false };
        if !self.sidelines.holds_any() {
            self.rest.closing = None;
        } else if since.elapsed() >= self.patience.restart {
            self.rest.closing = None;
            self.trouble = CameraFault::stalled();
        }
        self.rest.closing.is_some()
    }
}
