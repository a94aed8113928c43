//! Sound from the network to the loudspeaker: one jitter buffer a voice, mixed on one thread for two ears, each voice
//! from where it is, played by a device or by a silent clock. And from the microphone: recorded, and cleaned of echo
//! and noise.
//!
//! Threads: packets come from any thread ([`Voice::push`] takes a short lock of that voice); `audio-playout` decodes
//! and mixes; the devices' own callbacks only copy into or out of a lock-free ring; a [`Microphone`] and its
//! [`SoundProcessor`] run on the capture thread of their track; `audio-check` listens to a microphone that is being
//! chosen, `audio-chime` plays on a loudspeaker that is; `audio-devices` asks which devices there are, `audio-ask`,
//! `audio-open` and `audio-close` live for one call that may hang, `audio-keep` tries a better device, `audio-ears`
//! reads a head's measurements once.

#[cfg(test)]
mod allocations;
mod arrivals;
mod chime;
mod delay;
mod device;
mod jitter;
mod limiter;
mod meter;
mod microphone;
mod microphone_check;
mod mixer;
mod playout;
mod playout_state;
mod processing;
mod red;
mod reference;
mod resample;
mod spatial;
mod speaker_check;
mod stretch;
mod system_sound;
mod voice;

pub use device::{AudioDeviceInfo, AudioDevices, list_devices};
pub use jitter::{JitterBuffer, JitterStats};
pub use microphone::{AudioInput, InputState, InputStateReader, Microphone};
pub use microphone_check::MicrophoneCheck;
pub use mixer::StereoBlock;
pub use playout::Playout;
pub use playout_state::{AudioOutput, OutputState};
pub use processing::{SoundProcessor, VoiceActivity};
pub use red::{MAX_RED_AGE, MAX_RED_COPIES, MAX_RED_COPY_BYTES, RedCopy, RedPayload, pack_red};
pub use reference::EchoReference;
pub use spatial::{Ears, EarsError, SoundSceneCell, Stage, StageVoice};
pub use speaker_check::{SpeakerCheck, SpeakerCheckStatus};
pub use system_sound::system_sound;
pub use voice::{MAX_MINIMUM_DELAY_MS, Voice};

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
