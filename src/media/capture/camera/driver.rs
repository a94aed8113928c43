//! What the supervisor needs of a camera system, small enough to be played by a script in tests.

use crate::media::capture::convert::RawPicture;
use crate::media::source::VideoFormat;
use crate::model::DeviceState;

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraInfo {
    /// What it is opened by: stays the same when it is plugged in again.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
}

/// Why a camera gives no pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CameraFault {
    /// What everyone is told.
    pub state: DeviceState,
    /// What to do.
    pub why: String,
}

/// A system that knows cameras. Used from several threads.
pub(super) trait CameraDriver: Send + Sync {
    /// The cameras that are there; cheap enough for every second.
    fn list(&self) -> Vec<CameraInfo>;

    /// Opens a camera near the wished format. May block; runs on the thread that will read it.
    fn open(&self, id: &str, wish: VideoFormat) -> Result<Box<dyn CameraStream>, CameraFault>;
}

/// An open camera. Stays on the thread that opened it.
pub(super) trait CameraStream {
    /// Waits for the next picture, perhaps forever, and shows it to `look`.
    fn next(&mut self, look: &mut dyn FnMut(&RawPicture<'_>)) -> Result<(), CameraFault>;
}

impl CameraFault {
    /// What a system error means (Linux numbers: errno(3)).
    pub fn of_os_error(code: i32, said: &str) -> Self {
        let (state, why) = match code {
            // EPERM, EACCES
            1 | 13 => (
                DeviceState::NoPermission,
                "the system does not let you use it: join the group that may (usually `video`), then log in again",
            ),
            // EBUSY
            16 => (DeviceState::InUse, "another program uses it: close that program, or choose another camera"),
            // ENOENT, ENXIO, ENODEV
            2 | 6 | 19 => (DeviceState::Unplugged, "it is not there (any more): plug it in again"),
            _ => return Self::failed(said),
        };
        Self { state, why: why.into() }
    }

    /// There is no camera at all.
    pub fn none_found() -> Self {
        Self { state: DeviceState::Unplugged, why: "no camera was found: plug one in".into() }
    }

    /// Nothing comes yet.
    pub fn starting() -> Self {
        Self { state: DeviceState::Stalled, why: "it is starting: this may take some seconds".into() }
    }

    /// It is open, and nothing comes.
    pub fn stalled() -> Self {
        let why = "it delivers nothing: unplug it and plug it in again, or choose another camera".into();
        Self { state: DeviceState::Stalled, why }
    }

    /// Its driver took the thread down that read it.
    pub fn crashed() -> Self {
        Self::failed("its driver crashed")
    }

    /// Another failure.
    pub fn failed(said: &str) -> Self {
        Self { state: DeviceState::Failed, why: format!("{said}: unplug it and plug it in again") }
    }

    /// What a message of a camera library means: system errors are told by number at its end.
    pub fn of_message(said: &str) -> Self {
        let number = said.rsplit_once("(os error ").and_then(|(_, rest)| rest.split(')').next());
        match number.and_then(|number| number.parse().ok()) {
            Some(code) => Self::of_os_error(code, said),
            None => Self::failed(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_error_has_its_state_and_advice() {
        for (said, state, advice) in [
            ("V4L2 Error: Permission denied (os error 13)", DeviceState::NoPermission, "group"),
            ("Could not open device stream: Device or resource busy (os error 16)", DeviceState::InUse, "close"),
            ("Could not capture frame: No such device (os error 19)", DeviceState::Unplugged, "plug it in"),
            ("No such file or directory (os error 2)", DeviceState::Unplugged, "plug it in"),
            ("Invalid argument (os error 22)", DeviceState::Failed, "Invalid argument"),
            ("something (os error odd)", DeviceState::Failed, "something"),
            ("", DeviceState::Failed, "unplug"),
        ] {
            let fault = CameraFault::of_message(said);
            assert_eq!(fault.state, state, "{said}");
            assert!(fault.why.contains(advice), "{fault:?}");
        }
    }
}
