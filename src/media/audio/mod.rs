//! Sound from the network to the loudspeaker: one jitter buffer a voice, mixed on one thread, played by a device or
//! by a silent clock.
//!
//! Threads: packets come from any thread ([`Voice::push`] takes a short lock of that voice); `audio-playout` decodes
//! and mixes; the device's own callback only copies out of a lock-free ring.

mod arrivals;
mod delay;
mod device;
mod jitter;
mod meter;
mod mixer;
mod playout;
mod resample;
mod stretch;
mod voice;

pub use device::{AudioDeviceInfo, AudioDevices, list_devices};
pub use jitter::{JitterBuffer, JitterStats};
pub use playout::{AudioOutput, Playout};
pub use voice::Voice;

/// Why sound cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The playout thread could not be started.
    #[error("the playout thread cannot start: {0}")]
    Thread(String),
    /// The device is missing or refuses every format we have.
    #[error("the audio device cannot be used: {0}")]
    Device(String),
}
