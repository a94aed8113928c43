//! What a command line publishes: opens cameras, microphones, screens, files and generated sources by their names.

use rotunda::bridge::{AudioOptions, PublishRequest, VideoOptions};
use rotunda::client::guest::camera_bitrate_bps;
use rotunda::media::audio::{AudioInput, Microphone};
use rotunda::media::capture::{
    Camera, PageSource, PortraitSource, Screens, SpeechSource, open_audio_file, open_video_file,
};
use rotunda::media::{AudioSource, VideoFormat, VideoSource};
use rotunda::model::{StreamId, StreamKind, UserId, VideoPreset};

use super::args::SourceArg;

/// What `--video test` publishes.
const TEST_CAMERA: VideoFormat = VideoFormat { width: 640, height: 360, fps: 15.0 };
/// What `--screen test` publishes.
const TEST_PAGE: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 5.0 };
/// What a camera is asked for.
const CAMERA: VideoPreset = VideoPreset::CAMERA_STANDARD;
/// What a screen is brought to.
const SCREEN: VideoPreset = VideoPreset::SCREEN_BALANCED;

/// What the user wants published.
pub struct Wishes<'a> {
    /// The person's picture.
    pub video: &'a SourceArg,
    /// The person's sound.
    pub audio: &'a SourceArg,
    /// A shared screen.
    pub screen: &'a SourceArg,
}

/// Opens everything wished for.
///
/// # Errors
/// Which source cannot be opened, why, and what to do.
pub fn publications(wishes: &Wishes<'_>, name: &str, identity: &UserId) -> anyhow::Result<Vec<PublishRequest>> {
    let mut publications = Vec::new();
    let (video, audio) = (camera(wishes.video, name, identity)?, microphone(wishes.audio, identity)?);
    if video.is_some() || audio.is_some() {
        let stream = StreamId::derived(identity, "camera");
        publications.push(PublishRequest { stream, kind: StreamKind::Camera, video, audio, extra_info: String::new() });
    }
    if let Some(source) = screen(wishes.screen, name)? {
        publications.push(PublishRequest {
            stream: StreamId::derived(identity, "screen"),
            kind: StreamKind::Screen,
            video: Some((source, VideoOptions::single(SCREEN.max_bitrate_bps))),
            audio: None,
            extra_info: String::new(),
        });
    }
    Ok(publications)
}

fn camera(
    wish: &SourceArg,
    name: &str,
    identity: &UserId,
) -> anyhow::Result<Option<(Box<dyn VideoSource>, VideoOptions)>> {
    let source: Box<dyn VideoSource> = match wish {
        SourceArg::Test => Box::new(PortraitSource::new(name, seed_of(identity), TEST_CAMERA)),
        SourceArg::File(path) => open_video_file(path)?,
        SourceArg::Device(id) => {
            let format = VideoFormat { width: CAMERA.width, height: CAMERA.height, fps: CAMERA.fps };
            Box::new(Camera::open(id.as_deref(), format)?)
        }
        SourceArg::None => return Ok(None),
    };
    let bitrate_bps = match wish {
        SourceArg::Device(_) => CAMERA.max_bitrate_bps,
        _ => camera_bitrate_bps(source.format()),
    };
    Ok(Some((source, VideoOptions::single(bitrate_bps))))
}

fn microphone(wish: &SourceArg, identity: &UserId) -> anyhow::Result<Option<(Box<dyn AudioSource>, AudioOptions)>> {
    Ok(match wish {
        SourceArg::Test => Some((Box::new(SpeechSource::new(seed_of(identity))), AudioOptions::PLAIN)),
        SourceArg::File(path) => Some((open_audio_file(path)?, AudioOptions::PLAIN)),
        SourceArg::Device(id) => {
            let input = id.clone().map_or(AudioInput::Default, AudioInput::Named);
            let source = Microphone::open(input)?;
            // The sound of the system is no voice: it stays as it is.
            let options = if source.is_monitor() { AudioOptions::PLAIN } else { AudioOptions::MICROPHONE };
            Some((Box::new(source), options))
        }
        SourceArg::None => None,
    })
}

fn screen(wish: &SourceArg, name: &str) -> anyhow::Result<Option<Box<dyn VideoSource>>> {
    Ok(match wish {
        SourceArg::Test => Some(Box::new(PageSource::new(&format!("{name}’s page"), TEST_PAGE))),
        SourceArg::Device(id) => {
            let limit = VideoFormat { width: SCREEN.width, height: SCREEN.height, fps: SCREEN.fps };
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
