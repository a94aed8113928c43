//! What works for calls on this machine, each with a reason: devices are looked for, codecs really tried. Runs on the
//! caller's thread, for up to some seconds when a device or the sound system is slow.

use std::fmt;

use serde::Serialize;

use crate::media::audio::{self, AudioDeviceInfo};
use crate::media::capture::{Camera, Screens, list_cameras};
use crate::media::codec::encoder::VideoEncoder;
use crate::media::codec::opus::{MAX_PACKET_SAMPLES, OpusDecoder, OpusEncoder};
use crate::media::codec::vp8::Vp8Decoder;
use crate::media::codec::{CodecError, EncoderConfig};
use crate::media::frame::SAMPLES_10MS;
use crate::media::{ColourSpace, VideoFormat, VideoFrame};
use crate::model::{VideoCodec, VideoPreset};

/// Size of the frame codecs are tried with, in pixels.
const TRIED_PX: (u32, u32) = (160, 96);

/// A part of a call that may or may not work here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// A camera gives a picture.
    Camera,
    /// There is a microphone.
    Microphone,
    /// There is a loudspeaker.
    Speaker,
    /// Screens and windows can be shared.
    ScreenCapture,
    /// VP8 is encoded and decoded.
    Vp8,
    /// H.264 is encoded and decoded.
    H264,
    /// Opus is encoded and decoded.
    Opus,
    /// The room can be drawn.
    Gpu,
}

impl Part {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::ScreenCapture => "screen capture",
            Self::Vp8 => "VP8",
            Self::H264 => "H.264",
            Self::Opus => "Opus",
            Self::Gpu => "graphics",
        }
    }
}

/// Whether one part works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Which part.
    pub part: Part,
    /// Whether it works.
    pub works: bool,
    /// What was found, or why it does not work.
    pub found: String,
    /// What to do; empty when it works.
    pub advice: String,
}

impl Requirement {
    /// A part that works.
    pub fn works(part: Part, found: impl Into<String>) -> Self {
        Self { part, works: true, found: found.into(), advice: String::new() }
    }

    /// A part that does not work.
    pub fn missing(part: Part, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { part, works: false, found: why.into(), advice: advice.into() }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.works { "works" } else { "no   " };
        write!(f, "{:<15} {mark}  {}", self.part.name(), self.found)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, ": {}", self.advice) }
    }
}

/// Tries everything the engine needs. Whether the room can be drawn is the application's to add ([`Part::Gpu`]).
pub fn check_system_requirements() -> Vec<Requirement> {
    let devices = audio::list_devices();
    let sound = "plug one in, or check that a sound server (PulseAudio, PipeWire) runs";
    vec![
        camera(),
        sound_device(Part::Microphone, &devices.inputs, sound),
        sound_device(Part::Speaker, &devices.outputs, sound),
        screens(),
        codec(Part::Vp8, try_picture(VideoCodec::Vp8)),
        codec(Part::H264, try_picture(VideoCodec::H264)),
        codec(Part::Opus, try_sound()),
    ]
}

/// Opens the first camera that works, takes a picture and lets it go.
fn camera() -> Requirement {
    let cameras = list_cameras();
    if cameras.is_empty() {
        return Requirement::missing(Part::Camera, "none was found", "plug one in; you can join without");
    }
    let names: Vec<&str> = cameras.iter().map(|camera| camera.name.as_str()).collect();
    let preset = VideoPreset::CAMERA_LOW;
    match Camera::open(None, VideoFormat { width: preset.width, height: preset.height, fps: preset.fps }) {
        Ok(_) => Requirement::works(Part::Camera, names.join(", ")),
        Err(error) => Requirement::missing(Part::Camera, error.to_string(), "or choose another camera"),
    }
}

fn sound_device(part: Part, found: &[AudioDeviceInfo], advice: &str) -> Requirement {
    let chosen = found.iter().find(|device| device.is_default).or(found.first());
    match chosen {
        Some(device) => Requirement::works(part, format!("{} ({} in all)", device.name, found.len())),
        None => Requirement::missing(part, "none was found", advice),
    }
}

fn screens() -> Requirement {
    match Screens::of_this_session().list(false) {
        Ok(found) if !found.is_empty() => {
            Requirement::works(Part::ScreenCapture, format!("{} screens and windows", found.len()))
        }
        Ok(_) => Requirement::missing(Part::ScreenCapture, "there is nothing to share", "log in to a desktop"),
        Err(error) => Requirement::missing(
            Part::ScreenCapture,
            error.to_string(),
            "start it in a desktop session to share screens; watching shares works",
        ),
    }
}

fn codec(part: Part, tried: Result<(), CodecError>) -> Requirement {
    match tried {
        Ok(()) => Requirement::works(part, "encodes and decodes"),
        Err(error) => Requirement::missing(part, error.to_string(), "install this program again"),
    }
}

/// Encodes a frame and decodes what came out.
fn try_picture(codec: VideoCodec) -> Result<(), CodecError> {
    let (width, height) = TRIED_PX;
    let name = if codec == VideoCodec::Vp8 { "VP8" } else { "H.264" };
    let failed = |why: &str| CodecError::Data { codec: name, why: why.to_owned() };
    let config = EncoderConfig { width, height, fps: 15.0, bitrate_bps: 300_000, screen: false, threads: 1 };
    let mut encoder = VideoEncoder::new(codec, config)?;
    let picture = vec![128; VideoFrame::byte_len(width, height)];
    let frame = VideoFrame::new(width, height, ColourSpace::default(), 0, picture)
        .map_err(|error| failed(&error.to_string()))?;
    let encoded = encoder.encode(&frame, true)?.ok_or_else(|| failed("the encoder gave nothing"))?;
    let decoded = match codec {
        VideoCodec::Vp8 => Vp8Decoder::new()?.decode(&encoded.data, 0)?.map(|frame| (frame.width(), frame.height())),
        VideoCodec::H264 => decode_h264(&encoded.data)?,
    };
    if decoded == Some(TRIED_PX) { Ok(()) } else { Err(failed("the decoder gave back something else")) }
}

/// The size of the picture in an H.264 access unit.
fn decode_h264(data: &[u8]) -> Result<Option<(u32, u32)>, CodecError> {
    use openh264::formats::YUVSource as _;
    let failed = |error: openh264::Error| CodecError::Data { codec: "H.264", why: error.to_string() };
    let mut decoder = openh264::decoder::Decoder::new().map_err(failed)?;
    let picture = decoder.decode(data).map_err(failed)?;
    let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
    Ok(picture.map(|picture| picture.dimensions()).map(|(width, height)| (side(width), side(height))))
}

/// Encodes 20 ms of sound and decodes them.
fn try_sound() -> Result<(), CodecError> {
    let mut packet = Vec::new();
    OpusEncoder::new(1, 48_000)?.encode(&[0.1; 2 * SAMPLES_10MS], &mut packet)?;
    let mut sound = [0.0; MAX_PACKET_SAMPLES];
    let samples = OpusDecoder::new()?.decode(&packet, &mut sound)?;
    if samples == 2 * SAMPLES_10MS {
        return Ok(());
    }
    Err(CodecError::Data { codec: "Opus", why: format!("20 ms came back as {samples} samples") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_told_with_a_reason_and_codecs_work() {
        let told = check_system_requirements();
        let parts: Vec<Part> = told.iter().map(|requirement| requirement.part).collect();
        let expected =
            [Part::Camera, Part::Microphone, Part::Speaker, Part::ScreenCapture, Part::Vp8, Part::H264, Part::Opus];
        assert_eq!(parts, expected);
        for requirement in &told {
            assert!(!requirement.found.is_empty(), "{requirement}");
            assert_eq!(requirement.works, requirement.advice.is_empty(), "{requirement}");
            let is_codec = matches!(requirement.part, Part::Vp8 | Part::H264 | Part::Opus);
            assert!(requirement.works || !is_codec, "{requirement}");
        }
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let none = sound_device(Part::Speaker, &[], "plug one in");
        assert!(!none.works && none.to_string().ends_with("none was found: plug one in"), "{none}");
    }
}
