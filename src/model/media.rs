//! What a published picture or sound is made of: codecs, presets, processing, and how the device behind it is doing.

use serde::Serialize;

/// How a picture is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// VP8 (RFC 6386): every LiveKit client decodes it.
    #[default]
    Vp8,
    /// H.264, constrained baseline, packetisation mode 1 (RFC 6184).
    H264,
}

impl VideoCodec {
    /// The MIME type, as SDP and LiveKit write it.
    pub const fn mime_type(self) -> &'static str {
        match self {
            Self::Vp8 => "video/VP8",
            Self::H264 => "video/H264",
        }
    }

    /// The codec of a MIME type, whatever its case; `None` for one that is not decoded here.
    pub fn of_mime_type(mime_type: &str) -> Option<Self> {
        [Self::Vp8, Self::H264].into_iter().find(|codec| codec.mime_type().eq_ignore_ascii_case(mime_type))
    }
}

/// Size, rate and bitrate of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoPreset {
    /// Width in pixels; for a screen the widest it may be.
    pub width: u32,
    /// Height in pixels; for a screen the highest it may be.
    pub height: u32,
    /// Frames per second.
    pub fps: f32,
    /// Highest bitrate, in bit/s.
    pub max_bitrate_bps: u32,
}

impl VideoPreset {
    const fn new(width: u32, height: u32, fps: f32, max_bitrate_bps: u32) -> Self {
        Self { width, height, fps, max_bitrate_bps }
    }

    /// The camera presets of FEATURES section 1.
    pub const CAMERA_LOW: Self = Self::new(320, 240, 15.0, 300_000);
    /// The default.
    pub const CAMERA_STANDARD: Self = Self::new(640, 480, 15.0, 800_000);
    /// See [`Self::CAMERA_LOW`].
    pub const CAMERA_HIGH: Self = Self::new(1280, 720, 20.0, 1_500_000);

    /// The screen presets of FEATURES section 1: a full 1080p at most.
    pub const SCREEN_SMOOTH: Self = Self::new(1920, 1080, 20.0, 800_000);
    /// The default.
    pub const SCREEN_BALANCED: Self = Self::new(1920, 1080, 15.0, 1_500_000);
    /// See [`Self::SCREEN_SMOOTH`].
    pub const SCREEN_SHARP: Self = Self::new(1920, 1080, 5.0, 2_000_000);
}

/// How hard noise is taken out of a microphone's sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NoiseSuppression {
    /// Not at all.
    Off,
    /// Steady noise: fans, hum.
    #[default]
    Normal,
    /// Whatever is not a voice.
    Strong,
}

/// What is done to a microphone's sound before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SoundProcessing {
    /// Takes out what the speakers play.
    pub echo_cancellation: bool,
    /// See [`NoiseSuppression`].
    pub noise_suppression: NoiseSuppression,
    /// Brings near and far, loud and soft voices to one level.
    pub gain_control: bool,
}

impl SoundProcessing {
    /// All on: for a microphone.
    pub const MICROPHONE: Self =
        Self { echo_cancellation: true, noise_suppression: NoiseSuppression::Normal, gain_control: true };
    /// All off: for files, generated sound and the sound of a shared screen.
    pub const NONE: Self =
        Self { echo_cancellation: false, noise_suppression: NoiseSuppression::Off, gain_control: false };
}

/// Which device is in use, and why it is not the one wished for: told when that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceUse {
    /// What the system calls the device in use; `None` while there is none.
    pub name: Option<String>,
    /// How the device that was wished for is doing.
    pub state: DeviceState,
    /// Why another device is used than the one wished for, or none, and what to do.
    pub why: Option<String>,
}

/// How the device behind a track is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It delivers.
    #[default]
    On,
    /// There is no such track.
    Off,
    /// Muted by its owner or a host.
    Muted,
    /// It was taken out, and nothing replaces it.
    Unplugged,
    /// The system does not let us use it.
    NoPermission,
    /// Another program has it.
    InUse,
    /// It is there and delivers nothing.
    Stalled,
    /// It broke in another way.
    Failed,
}

impl DeviceState {
    /// The word it travels under (participant attributes).
    pub const fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Muted => "muted",
            Self::Unplugged => "unplugged",
            Self::NoPermission => "no_permission",
            Self::InUse => "in_use",
            Self::Stalled => "stalled",
            Self::Failed => "failed",
        }
    }

    /// The state of a word; `None` for one that is none.
    pub fn of_word(word: &str) -> Option<Self> {
        [
            Self::On,
            Self::Off,
            Self::Muted,
            Self::Unplugged,
            Self::NoPermission,
            Self::InUse,
            Self::Stalled,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mime_types_are_read_in_any_case_and_others_are_none() {
        assert_eq!(VideoCodec::of_mime_type("video/vp8"), Some(VideoCodec::Vp8));
        assert_eq!(VideoCodec::of_mime_type("video/H264"), Some(VideoCodec::H264));
        assert_eq!(VideoCodec::of_mime_type("video/AV1"), None);
    }

    #[test]
    fn every_device_state_survives_its_word() {
        for state in [DeviceState::On, DeviceState::NoPermission, DeviceState::InUse, DeviceState::Failed] {
            assert_eq!(DeviceState::of_word(state.word()), Some(state));
        }
        assert_eq!(DeviceState::of_word("on fire"), None);
    }
}
