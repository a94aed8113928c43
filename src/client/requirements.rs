//! What works for calls on this machine, each with a reason: devices are opened for a moment, codecs really tried. Runs
//! on the caller's thread, for up to some seconds when a device or the sound system is slow.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::media::audio::{self, AudioDeviceInfo, AudioInput, AudioOutput, Microphone, Playout};
use crate::media::capture::{Camera, Screens, list_cameras};
use crate::media::codec::encoder::VideoEncoder;
use crate::media::codec::h264_decoder::H264Decoder;
use crate::media::codec::opus::{MAX_PACKET_SAMPLES, OpusDecoder, OpusEncoder};
use crate::media::codec::vp8::Vp8Decoder;
use crate::media::codec::{CodecError, EncoderConfig};
use crate::media::frame::SAMPLES_10MS;
use crate::media::{AudioSource, CaptureError, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use crate::model::{VideoCodec, VideoPreset};

/// Size of the frame codecs are tried with, in pixels.
const TRIED_PX: (u32, u32) = (160, 96);
/// Pictures a camera is asked for before it is called dead; it may wait for each nearly a second.
const PICTURES_ASKED: u32 = 2;
/// How long a microphone may take to give its first sound; opening one takes up to four seconds.
const SOUND_LIMIT: Duration = Duration::from_secs(5);

/// A part of a call that may or may not work here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// A camera gives a picture.
    Camera,
    /// A microphone gives sound.
    Microphone,
    /// A loudspeaker takes sound.
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
    vec![
        camera(),
        sound_device(Part::Microphone, &devices.inputs, try_microphone),
        sound_device(Part::Speaker, &devices.outputs, try_speaker),
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
    let wish = VideoFormat { width: preset.width, height: preset.height, fps: preset.fps };
    match Camera::open(None, wish).and_then(|mut camera| try_camera(&mut camera)) {
        Ok(()) => Requirement::works(Part::Camera, names.join(", ")),
        Err(error) => Requirement::missing(Part::Camera, error.to_string(), "or choose another camera"),
    }
}

/// Takes a picture: a camera that opens may still give none.
fn try_camera(camera: &mut dyn VideoSource) -> Result<(), CaptureError> {
    let mut asked = 0;
    loop {
        asked += 1;
        match camera.next_frame() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => return Err(gave_nothing("the camera")),
            Err(CaptureError::Interrupted { .. }) if asked < PICTURES_ASKED => {}
            Err(error) => return Err(error),
        }
    }
}

fn gave_nothing(what: &str) -> CaptureError {
    CaptureError::Open { what: what.to_owned(), why: "it ended at once: plug it in again".to_owned() }
}

/// Looks for the device that a call would use and tries it.
fn sound_device(
    part: Part,
    listed: &[AudioDeviceInfo],
    attempt: impl FnOnce(&AudioDeviceInfo) -> Result<(), String>,
) -> Requirement {
    // What hears a loudspeaker is no microphone.
    let found: Vec<&AudioDeviceInfo> = listed.iter().filter(|device| !device.is_monitor).collect();
    let Some(chosen) = found.iter().find(|device| device.is_default).or(found.first()) else {
        let advice = "plug one in, or check that a sound server (PulseAudio, PipeWire) runs";
        return Requirement::missing(part, "none was found", advice);
    };
    match attempt(chosen) {
        Ok(()) => Requirement::works(part, format!("{} ({} in all)", chosen.name, found.len())),
        Err(why) => Requirement::missing(part, format!("{}: {why}", chosen.name), "`rotunda devices` lists others"),
    }
}

/// Records for a moment.
fn try_microphone(device: &AudioDeviceInfo) -> Result<(), String> {
    let mut microphone = Microphone::new(AudioInput::Named(device.id.clone()));
    let state = microphone.state();
    let began = Instant::now();
    loop {
        let heard = microphone.next_block();
        // Another one that stands in does not make this one work.
        if let Some(why) = state.get().fallback_reason {
            return Err(why);
        }
        match heard {
            Ok(Some(_)) => return Ok(()),
            Err(CaptureError::Interrupted { .. }) if began.elapsed() < SOUND_LIMIT => {}
            Ok(None) => return Err(gave_nothing(&device.name).to_string()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Plays silence for a moment.
fn try_speaker(device: &AudioDeviceInfo) -> Result<(), String> {
    Playout::probe(&AudioOutput::Named(device.id.clone())).fallback_reason.map_or(Ok(()), Err)
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
        VideoCodec::Vp8 => Vp8Decoder::new()?.decode(&encoded.data, 0)?,
        VideoCodec::H264 => H264Decoder::new().decode(&encoded.data, 0)?,
    };
    if decoded.is_some_and(|frame| (frame.width(), frame.height()) == TRIED_PX) {
        Ok(())
    } else {
        Err(failed("the decoder gave back something else"))
    }
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
    use crate::model::DeviceState;

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

    fn device(id: &str, is_default: bool, is_monitor: bool) -> AudioDeviceInfo {
        AudioDeviceInfo { id: id.to_owned(), name: id.to_owned(), is_default, is_monitor }
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let none = sound_device(Part::Speaker, &[], |_| Ok(()));
        assert!(!none.works && none.to_string().contains("none was found: plug one in"), "{none}");
    }

    #[test]
    fn what_hears_a_loudspeaker_is_no_microphone() {
        let monitor = device("monitor", true, true);
        let none = sound_device(Part::Microphone, std::slice::from_ref(&monitor), |_| panic!("it was tried"));
        assert!(!none.works && none.found == "none was found", "{none}");
        let one = sound_device(Part::Microphone, &[monitor, device("desk", false, false)], |_| Ok(()));
        assert!(one.works && one.found == "desk (1 in all)", "{one}");
    }

    #[test]
    fn a_sound_device_that_is_listed_and_refused_does_not_work() {
        let listed = [device("desk", false, false), device("headset", true, false)];
        let refused = sound_device(Part::Microphone, &listed, |tried| {
            assert_eq!(tried.id, "headset", "the default one");
            Err("another program uses it: close that program".to_owned())
        });
        assert!(!refused.works && !refused.advice.is_empty(), "{refused}");
        assert_eq!(refused.found, "headset: another program uses it: close that program");
    }

    /// A camera that answers by script.
    struct Script(Vec<Result<Option<VideoFrame>, CaptureError>>);

    impl VideoSource for Script {
        fn format(&self) -> VideoFormat {
            VideoFormat { width: 16, height: 16, fps: 15.0 }
        }

        fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
            self.0.remove(0)
        }
    }

    #[test]
    fn a_camera_that_opens_and_gives_no_picture_does_not_work() {
        let stalled = || {
            let why = "unplug it".to_owned();
            Err(CaptureError::Interrupted { what: "the camera".to_owned(), state: DeviceState::Stalled, why })
        };
        let picture = || {
            let data = vec![128; VideoFrame::byte_len(16, 16)];
            Ok(Some(VideoFrame::new(16, 16, ColourSpace::default(), 0, data).unwrap()))
        };
        let error = try_camera(&mut Script(vec![stalled(), stalled()])).unwrap_err();
        assert!(error.to_string().contains("unplug it"), "{error}");
        assert!(try_camera(&mut Script(vec![Ok(None)])).is_err());
        assert_eq!(try_camera(&mut Script(vec![picture()])), Ok(()));
        assert_eq!(try_camera(&mut Script(vec![stalled(), picture()])), Ok(()), "a slow one");
    }
}
