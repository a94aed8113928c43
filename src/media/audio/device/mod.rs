//! Microphones and loudspeakers: finding them, opening them within bounded time, keeping one in use, and saying what
//! is wrong in the words everyone is told. What a callback does stands in `input` and `output`; callbacks run on a
//! thread of the sound system and neither lock nor allocate.

mod bounded;
mod host;
mod input;
mod keeper;
mod output;
mod watch;

use cpal::traits::DeviceTrait;

use host::Line;
pub use host::{AudioDeviceInfo, AudioDevices, list_devices};
pub(super) use host::{Direction, find, is_monitor};
pub(super) use input::InputDevice;
pub(super) use keeper::{Demand, Keeper, Kept};
pub(super) use output::OutputDevice;
pub(super) use watch::DeviceWatch;

use crate::model::DeviceState;

/// What keeps a device from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// In a word.
    pub(super) state: DeviceState,
    /// What is wrong, and what to do.
    pub(super) why: String,
}

impl Trouble {
    pub(super) fn new(state: DeviceState, why: impl Into<String>) -> Self {
        Self { state, why: why.into() }
    }
}

impl From<cpal::Error> for Trouble {
    fn from(error: cpal::Error) -> Self {
        use cpal::ErrorKind::{
            DeviceBusy, DeviceNotAvailable, HostUnavailable, PermissionDenied, ResourceExhausted, StreamInvalidated,
        };
        let (state, why) = match error.kind() {
            PermissionDenied => (
                DeviceState::NoPermission,
                "the system does not let you use it: allow it in the privacy settings, or join the group that may \
                 (usually `audio`) and log in again",
            ),
            DeviceBusy => (DeviceState::InUse, "another program uses it: close that program, or choose another device"),
            DeviceNotAvailable => {
                (DeviceState::Unplugged, "it is not there (any more): plug it in again, or choose another device")
            }
            HostUnavailable | StreamInvalidated => (
                DeviceState::Unplugged,
                "the sound system let go of it: start PulseAudio or PipeWire again, or plug it in again",
            ),
            ResourceExhausted => {
                (DeviceState::Failed, "the system has no room for another stream of sound: close other programs")
            }
            _ => {
                let why = format!("{error}: plug it out and in again, or choose another device");
                return Self::new(DeviceState::Failed, why);
            }
        };
        tracing::debug!(%error, state = state.word(), "a sound device is refused");
        Self::new(state, why)
    }
}

/// Whether a stream goes on in spite of what its error callback was told.
fn is_harmless(error: &cpal::Error) -> bool {
    use cpal::ErrorKind::{DeviceChanged, RealtimeDenied, Xrun};
    matches!(error.kind(), Xrun | RealtimeDenied | DeviceChanged)
}

/// An open stream. Closing one can hang when the sound server took its other end away, so that happens on a thread of
/// its own.
struct Stream(Option<(cpal::Stream, Option<Line>)>);

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

#[cfg(test)]
mod tests {
    use cpal::ErrorKind::{
        BackendError, DeviceBusy, DeviceNotAvailable, HostUnavailable, Other, PermissionDenied, ResourceExhausted,
        StreamInvalidated, UnsupportedConfig,
    };

    use super::*;

    #[test]
    fn each_error_has_its_state_and_advice() {
        for (kind, state, advice) in [
            (PermissionDenied, DeviceState::NoPermission, "group"),
            (DeviceBusy, DeviceState::InUse, "close that program"),
            (DeviceNotAvailable, DeviceState::Unplugged, "plug it in again"),
            (HostUnavailable, DeviceState::Unplugged, "start PulseAudio"),
            (StreamInvalidated, DeviceState::Unplugged, "plug it in again"),
            (ResourceExhausted, DeviceState::Failed, "close other programs"),
            (UnsupportedConfig, DeviceState::Failed, "what was said: plug it out"),
            (BackendError, DeviceState::Failed, "what was said: plug it out"),
            (Other, DeviceState::Failed, "choose another device"),
        ] {
            let trouble = Trouble::from(cpal::Error::with_message(kind, "what was said"));
            assert_eq!(trouble.state, state, "{kind:?}");
            assert!(trouble.why.contains(advice), "{kind:?}: {}", trouble.why);
        }
    }
}
