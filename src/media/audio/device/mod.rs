//! Microphones and loudspeakers: finding them, opening them within bounded time, and saying what is wrong in the words
//! everyone is told. What a callback does stands in `input` and `output`; callbacks run on a thread of the sound
//! system and neither lock nor allocate.

mod host;
mod input;
mod output;
mod watch;

use cpal::traits::DeviceTrait;

pub use host::{AudioDeviceInfo, AudioDevices, list_devices};
pub(super) use host::{Direction, find, is_monitor};
pub(super) use input::InputDevice;
pub(super) use output::OutputDevice;
pub(super) use watch::DeviceWatch;

use crate::model::DeviceState;

/// What keeps a device from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// In a word.
    pub(super) state: DeviceState,
    /// What the sound system said.
    pub(super) why: String,
}

impl Trouble {
    pub(super) fn new(state: DeviceState, why: impl Into<String>) -> Self {
        Self { state, why: why.into() }
    }
}

impl From<cpal::Error> for Trouble {
    fn from(error: cpal::Error) -> Self {
        use cpal::ErrorKind::{DeviceBusy, DeviceNotAvailable, HostUnavailable, PermissionDenied, StreamInvalidated};
        let state = match error.kind() {
            DeviceBusy => DeviceState::InUse,
            PermissionDenied => DeviceState::NoPermission,
            DeviceNotAvailable | HostUnavailable | StreamInvalidated => DeviceState::Unplugged,
            _ => DeviceState::Failed,
        };
        Self::new(state, error.to_string())
    }
}

/// Whether a stream goes on in spite of what its error callback was told.
fn is_harmless(error: &cpal::Error) -> bool {
    use cpal::ErrorKind::{DeviceChanged, RealtimeDenied, Xrun};
    matches!(error.kind(), Xrun | RealtimeDenied | DeviceChanged)
}

/// An open stream. Closing one can hang when the sound server took its other end away, so that happens on a thread of
/// its own.
struct Stream(Option<cpal::Stream>);

impl Drop for Stream {
    fn drop(&mut self) {
        let Some(stream) = self.0.take() else { return };
        if let Err(error) = std::thread::Builder::new().name("audio-close".to_owned()).spawn(move || drop(stream)) {
            tracing::warn!(%error, "no thread to close an audio device on");
        }
    }
}

/// What a device is called, for people and in settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceName {
    pub(super) id: String,
    pub(super) name: String,
}

impl DeviceName {
    pub(super) fn of(device: &cpal::Device) -> Self {
        Self { id: device.id().map(|id| id.to_string()).unwrap_or_default(), name: device.to_string() }
    }
}
