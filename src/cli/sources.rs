//! What a command line publishes: opens cameras, microphones, screens, files and generated sources by their names.

use anyhow::bail;
use clap::{Args, ValueEnum};
use rotunda::bridge::{AudioOptions, PublishRequest, StartsMuted, VideoOptions};
use rotunda::client::guest::camera_bitrate_bps;
use rotunda::client::{CameraPreset, ScreenPreset};
use rotunda::media::audio::{AudioInput, Microphone, list_devices, system_sound};
use rotunda::media::capture::{
    Camera, PageSource, PortraitSource, Screens, SpeechSource, list_cameras, open_audio_file, open_video_file,
};
use rotunda::media::{AudioSource, VideoFormat, VideoSource};
use rotunda::model::limits::EXTRA_INFO_MAX_BYTES;
use rotunda::model::{CallError, ErrorCode, StreamId, StreamKind, UserId, VideoCodec, VideoPreset};

use super::args::SourceArg;

/// What `--video test` publishes.
const TEST_CAMERA: VideoFormat = VideoFormat { width: 640, height: 360, fps: 15.0 };
/// What `--screen test` publishes.
const TEST_PAGE: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 5.0 };

/// What the user wants published.
pub struct Wishes<'a> {
    /// The person's picture.
    pub video: &'a SourceArg,
    /// The person's sound.
    pub audio: &'a SourceArg,
    /// A shared screen.
    pub screen: &'a SourceArg,
    /// How they are sent.
    pub look: SendArgs,
}

/// How pictures are sent.
#[derive(Clone, Debug, Default, Args)]
pub struct SendArgs {
    /// How pictures are coded.
    #[arg(long, value_enum, default_value_t = CodecArg::Vp8)]
    pub codec: CodecArg,
    /// The camera's picture: 1 (320x240, 15 fps, 300 kbit/s), 2 (640x480, 15 fps, 800 kbit/s), 3 (1280x720, 20 fps,
    /// 1500 kbit/s), or your own, WIDTHxHEIGHT@FPS:KBPS [default: 2 for devices, the source's own otherwise].
    #[arg(long, value_parser = PresetArg::camera)]
    pub preset: Option<PresetArg>,
    /// The shared screen: 1 (smooth), 2 (balanced), 3 (sharp), or your own, WIDTHxHEIGHT@FPS:KBPS [default: 2].
    #[arg(long, value_parser = PresetArg::screen)]
    pub screen_preset: Option<PresetArg>,
    /// Share what the loudspeaker plays along with the screen.
    #[arg(long)]
    pub screen_audio: bool,
    /// Send the camera in one size only.
    #[arg(long)]
    pub no_simulcast: bool,
    /// A text beside the camera's stream for everyone, at most 1023 bytes.
    #[arg(long, default_value = "", value_parser = extra_info)]
    pub extra_info: String,
}

/// How pictures are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CodecArg {
    /// VP8.
    #[default]
    Vp8,
    /// H.264.
    H264,
}

impl From<CodecArg> for VideoCodec {
    fn from(arg: CodecArg) -> Self {
        match arg {
            CodecArg::Vp8 => Self::Vp8,
            CodecArg::H264 => Self::H264,
        }
    }
}

/// A preset by number or by its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetArg(pub VideoPreset);

impl PresetArg {
    fn camera(text: &str) -> Result<Self, String> {
        Self::read(text, |number, custom| CameraPreset::of_number(number, custom).map(CameraPreset::values))
    }

    fn screen(text: &str) -> Result<Self, String> {
        Self::read(text, |number, custom| ScreenPreset::of_number(number, custom).map(ScreenPreset::values))
    }

    fn read(
        text: &str,
        preset: impl Fn(u8, Option<VideoPreset>) -> Result<VideoPreset, CallError>,
    ) -> Result<Self, String> {
        let found = match text.parse() {
            Ok(number) => preset(number, None),
            Err(_) => preset(4, custom(text)),
        };
        found.map(Self).map_err(|error| format!("{}; write a number, or WIDTHxHEIGHT@FPS:KBPS", error.message))
    }
}

fn extra_info(text: &str) -> Result<String, String> {
    if text.len() <= EXTRA_INFO_MAX_BYTES {
        return Ok(text.to_owned());
    }
    let message = format!("it has {} bytes: shorten it to at most {EXTRA_INFO_MAX_BYTES}", text.len());
    Err(CallError::new(ErrorCode::ExtraInfoTooLong, message).to_string())
}

/// `WIDTHxHEIGHT@FPS:KBPS`.
fn custom(text: &str) -> Option<VideoPreset> {
    let (size, rates) = text.split_once('@')?;
    let (width, height) = size.split_once('x')?;
    let (fps, kbps) = rates.split_once(':')?;
    let max_bitrate_bps = kbps.parse::<u32>().ok()?.checked_mul(1000)?;
    Some(VideoPreset {
        width: width.parse().ok()?,
        height: height.parse().ok()?,
        fps: fps.parse().ok()?,
        max_bitrate_bps,
    })
}

/// Opens everything wished for.
///
/// # Errors
/// Which source cannot be opened, why, and what to do.
pub fn publications(wishes: &Wishes<'_>, name: &str, identity: &UserId) -> anyhow::Result<Vec<PublishRequest>> {
    let mut publications = Vec::new();
    let look = &wishes.look;
    if look.screen_audio && *wishes.screen == SourceArg::None {
        bail!("--screen-audio goes along with a shared screen: add --screen screen, or leave it out");
    }
    let extra_info = look.extra_info.clone();
    let (video, audio) = (camera(wishes.video, look, name, identity)?, microphone(wishes.audio, identity)?);
    if video.is_some() || audio.is_some() {
        let stream = StreamId::derived(identity, "camera");
        publications.push(PublishRequest {
            stream,
            kind: StreamKind::Camera,
            video,
            audio,
            extra_info,
            muted: StartsMuted::default(),
        });
    }
    let screen_preset = look.screen_preset.map_or(VideoPreset::SCREEN_BALANCED, |preset| preset.0);
    if let Some(source) = screen(wishes.screen, screen_preset, name)? {
        let max_bitrate_bps = screen_preset.max_bitrate_bps;
        let options = VideoOptions { codec: look.codec.into(), max_bitrate_bps, simulcast: false };
        publications.push(PublishRequest {
            stream: StreamId::derived(identity, "screen"),
            kind: StreamKind::Screen,
            video: Some((source, options)),
            audio: if look.screen_audio { Some((Box::new(system_sound()?), AudioOptions::PLAIN)) } else { None },
            extra_info: String::new(),
            muted: StartsMuted::default(),
        });
    }
    Ok(publications)
}

fn camera(
    wish: &SourceArg,
    look: &SendArgs,
    name: &str,
    identity: &UserId,
) -> anyhow::Result<Option<(Box<dyn VideoSource>, VideoOptions)>> {
    let preset = look.preset.map(|preset| preset.0);
    let size = |preset: VideoPreset| VideoFormat { width: preset.width, height: preset.height, fps: preset.fps };
    let device = preset.unwrap_or(VideoPreset::CAMERA_STANDARD);
    let source: Box<dyn VideoSource> = match wish {
        SourceArg::Test => Box::new(PortraitSource::new(name, seed_of(identity), preset.map_or(TEST_CAMERA, size))),
        SourceArg::File(path) => open_video_file(path)?,
        SourceArg::Device(id) => Box::new(device_camera(id.as_deref(), size(device))?),
        SourceArg::None => return Ok(None),
    };
    let max_bitrate_bps = match (wish, preset) {
        (_, Some(preset)) => preset.max_bitrate_bps,
        (SourceArg::Device(_), None) => device.max_bitrate_bps,
        _ => camera_bitrate_bps(source.format()),
    };
    let options = VideoOptions { codec: look.codec.into(), max_bitrate_bps, simulcast: !look.no_simulcast };
    Ok(Some((source, options)))
}

/// A camera of this machine; the call begins without it while it is missing or in use. An id that names none is taken
/// for a slip of the pen.
fn device_camera(id: Option<&str>, format: VideoFormat) -> anyhow::Result<Camera> {
    if let Some(id) = id {
        let cameras = list_cameras();
        if !cameras.iter().any(|camera| camera.id == id) {
            bail!("the camera {id} is not among those found: {}", listed(cameras.iter().map(|camera| &camera.id)));
        }
    }
    Ok(Camera::waiting(id, format))
}

/// Ids in a row.
fn listed<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    if ids.is_empty() { "there is none, plug one in".to_owned() } else { ids.join(", ") }
}

fn microphone(wish: &SourceArg, identity: &UserId) -> anyhow::Result<Option<(Box<dyn AudioSource>, AudioOptions)>> {
    Ok(match wish {
        SourceArg::Test => Some((Box::new(SpeechSource::new(seed_of(identity))), AudioOptions::PLAIN)),
        SourceArg::File(path) => Some((open_audio_file(path)?, AudioOptions::PLAIN)),
        SourceArg::Device(id) => Some(sound_input(id.as_deref())?),
        SourceArg::None => None,
    })
}

/// A microphone as a voice, or the monitor of a loudspeaker as it is. The default one need not be there yet.
fn sound_input(id: Option<&str>) -> anyhow::Result<(Box<dyn AudioSource>, AudioOptions)> {
    let Some(id) = id else { return Ok((Box::new(Microphone::new(AudioInput::Default)), AudioOptions::MICROPHONE)) };
    let inputs = list_devices().inputs;
    let Some(input) = inputs.iter().find(|input| input.id == id || input.name == id) else {
        bail!("the microphone {id} is not among those found: {}", listed(inputs.iter().map(|input| &input.id)));
    };
    let named = AudioInput::Named(input.id.clone());
    Ok(if input.is_monitor {
        (Box::new(Microphone::stereo(named)), AudioOptions::PLAIN)
    } else {
        (Box::new(Microphone::new(named)), AudioOptions::MICROPHONE)
    })
}

fn screen(wish: &SourceArg, preset: VideoPreset, name: &str) -> anyhow::Result<Option<Box<dyn VideoSource>>> {
    Ok(match wish {
        SourceArg::Test => Some(Box::new(PageSource::new(&format!("{name}’s page"), TEST_PAGE))),
        SourceArg::Device(id) => {
            let limit = VideoFormat { width: preset.width, height: preset.height, fps: preset.fps };
            Some(Screens::of_this_session().open(id.as_deref().unwrap_or("screen"), limit)?)
        }
        SourceArg::File(_) | SourceArg::None => None,
    })
}

/// The same face and voice for the same identity.
pub fn seed_of(identity: &UserId) -> u64 {
    identity
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
