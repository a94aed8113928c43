//! Streams before they are published: where picture and sound come from, and the presets of the documented flow.

use super::call::check_extra_info;
use crate::bridge::{AudioOptions, Preview, PublishRequest, StartsMuted, VideoFeed, VideoOptions};
use crate::media::audio::{AudioInput, Microphone};
use crate::media::capture::{Camera, Screens};
use crate::media::{AudioSource, CaptureError, VideoFormat, VideoSource};
use crate::model::{CallError, ErrorCode, StreamId, StreamKind, VideoCodec, VideoPreset};

/// How good a camera's picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CameraPreset {
    /// 1: 320x240 at 15, 300 kbit/s.
    Low,
    /// 2: 640x480 at 15, 800 kbit/s.
    #[default]
    Standard,
    /// 3: 1280x720 at 20, 1500 kbit/s.
    High,
    /// 4: every value is given.
    Custom(VideoPreset),
}

/// How good a shared screen is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ScreenPreset {
    /// 1: 20 frames per second, 800 kbit/s: for moving pictures.
    Smooth,
    /// 2: 15 frames per second, 1500 kbit/s.
    #[default]
    Balanced,
    /// 3: 5 frames per second, 2000 kbit/s: for text.
    Sharp,
    /// 4: every value is given.
    Custom(VideoPreset),
}

impl CameraPreset {
    /// The preset of a number, 1 to 4; 4 needs its values.
    ///
    /// # Errors
    /// [`CallError`] for another number, and for 4 without values.
    pub fn of_number(number: u8, custom: Option<VideoPreset>) -> Result<Self, CallError> {
        match (number, custom) {
            (1, _) => Ok(Self::Low),
            (2, _) => Ok(Self::Standard),
            (3, _) => Ok(Self::High),
            (4, Some(preset)) => checked(preset).map(Self::Custom),
            _ => Err(no_preset(number)),
        }
    }

    /// Its values.
    pub const fn values(self) -> VideoPreset {
        match self {
            Self::Low => VideoPreset::CAMERA_LOW,
            Self::Standard => VideoPreset::CAMERA_STANDARD,
            Self::High => VideoPreset::CAMERA_HIGH,
            Self::Custom(preset) => preset,
        }
    }
}

impl ScreenPreset {
    /// The preset of a number, 1 to 4; 4 needs its values.
    ///
    /// # Errors
    /// [`CallError`] for another number, and for 4 without values.
    pub fn of_number(number: u8, custom: Option<VideoPreset>) -> Result<Self, CallError> {
        match (number, custom) {
            (1, _) => Ok(Self::Smooth),
            (2, _) => Ok(Self::Balanced),
            (3, _) => Ok(Self::Sharp),
            (4, Some(preset)) => checked(preset).map(Self::Custom),
            _ => Err(no_preset(number)),
        }
    }

    /// Its values; the size is the largest, in the screen's own shape.
    pub const fn values(self) -> VideoPreset {
        match self {
            Self::Smooth => VideoPreset::SCREEN_SMOOTH,
            Self::Balanced => VideoPreset::SCREEN_BALANCED,
            Self::Sharp => VideoPreset::SCREEN_SHARP,
            Self::Custom(preset) => preset,
        }
    }
}

fn no_preset(number: u8) -> CallError {
    let message = match number {
        4 => "preset 4 is custom: give width, height, frame rate and bitrate".to_owned(),
        _ => format!("there is no preset {number}: use 1 to 3, or 4 with width, height, frame rate and bitrate"),
    };
    CallError::new(ErrorCode::CaptureFailed, message)
}

fn checked(preset: VideoPreset) -> Result<VideoPreset, CallError> {
    let VideoPreset { width, height, fps, max_bitrate_bps } = preset;
    let fits = (16..=4096).contains(&width) && (16..=4096).contains(&height);
    if fits && (1.0..=60.0).contains(&fps) && (30_000..=20_000_000).contains(&max_bitrate_bps) {
        return Ok(preset);
    }
    let message = "a custom preset takes 16 to 4096 pixels a side, 1 to 60 frames a second and 30000 to 20000000 bit/s";
    Err(CallError::new(ErrorCode::CaptureFailed, message))
}

/// How a stream is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// How its picture is coded.
    pub codec: VideoCodec,
    /// Whether its picture is sent in several sizes; unless said otherwise, cameras are.
    pub simulcast: Option<bool>,
    /// What stands beside it for everyone, at most 1023 bytes.
    pub extra_info: String,
    /// What of it nobody sees or hears before it is unmuted.
    pub muted: StartsMuted,
}

/// A stream to publish: a picture, sound, or both. Dropping it lets its sources go.
pub struct Stream {
    kind: StreamKind,
    video: Option<(Box<dyn VideoSource>, u32)>,
    audio: Option<(Box<dyn AudioSource>, AudioOptions)>,
    preview: Option<VideoFeed>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let video = self.video.as_ref().map(|(source, bps)| (source.format(), bps));
        let audio = self.audio.as_ref().map(|(_, options)| options);
        f.debug_struct("Stream").field("kind", &self.kind).field("video", &video).field("audio", &audio).finish()
    }
}

impl Stream {
    /// A camera of this machine by its id, or the first one that works. Waits for its first picture.
    ///
    /// # Errors
    /// [`CaptureError`] when there is none, or it cannot be used, with what to do.
    pub fn camera(id: Option<&str>, preset: CameraPreset) -> Result<Self, CaptureError> {
        let values = usable(preset.values())?;
        Ok(Self::picture(StreamKind::Camera, Camera::open(id, format(values))?, values.max_bitrate_bps))
    }

    /// A screen or window of this machine by its id (`screen` is the default monitor), without its sound.
    ///
    /// # Errors
    /// [`CaptureError`] when there is no display or no such window, with what to do.
    pub fn screen(id: &str, preset: ScreenPreset) -> Result<Self, CaptureError> {
        let values = usable(preset.values())?;
        let source = Screens::of_this_session().open(id, format(values))?;
        Ok(Self { kind: StreamKind::Screen, video: Some((source, values.max_bitrate_bps)), audio: None, preview: None })
    }

    /// A microphone of this machine, with its echo and noise taken out; while there is none, it is waited for.
    pub fn microphone(input: AudioInput) -> Self {
        let audio: Box<dyn AudioSource> = Box::new(Microphone::new(input));
        Self { kind: StreamKind::Camera, video: None, audio: Some((audio, AudioOptions::MICROPHONE)), preview: None }
    }

    /// Pictures the developer supplies, as a person's or a screen's, at most at this rate.
    pub fn picture(kind: StreamKind, source: impl VideoSource + 'static, max_bitrate_bps: u32) -> Self {
        Self { kind, video: Some((Box::new(source), max_bitrate_bps)), audio: None, preview: None }
    }

    /// Sound the developer supplies, sent as it is.
    pub fn sound(source: impl AudioSource + 'static) -> Self {
        Self {
            kind: StreamKind::Camera,
            video: None,
            audio: Some((Box::new(source), AudioOptions::PLAIN)),
            preview: None,
        }
    }

    /// Adds sound; [`AudioOptions::MICROPHONE`] takes echo and noise out and evens levels, [`AudioOptions::PLAIN`] does
    /// nothing.
    #[must_use]
    pub fn with_sound(self, source: impl AudioSource + 'static, options: AudioOptions) -> Self {
        Self { audio: Some((Box::new(source), options)), ..self }
    }

    /// Shows the picture before it is published, in a room or not. The feed ends when the stream is published:
    /// [`RoomEvent::VideoFeedOpened`] then brings the one that shows what is sent. Pictures come as the source gives them;
    /// a mirror is for whoever shows them to their owner.
    ///
    /// # Errors
    /// [`CallError`] when the stream has no picture, or no thread can be started.
    ///
    /// [`RoomEvent::VideoFeedOpened`]: crate::bridge::RoomEvent::VideoFeedOpened
    pub fn preview(&mut self) -> Result<VideoFeed, CallError> {
        if let Some(feed) = &self.preview {
            return Ok(feed.clone());
        }
        let Some((source, max_bitrate_bps)) = self.video.take() else {
            return Err(CallError::new(
                ErrorCode::WrongState,
                "there is no picture to preview: the stream has only sound",
            ));
        };
        let (preview, feed) = Preview::start(source).map_err(|error| {
            CallError::new(ErrorCode::CaptureFailed, format!("no thread for a preview ({error}): close other programs"))
        })?;
        self.video = Some((Box::new(preview), max_bitrate_bps));
        self.preview = Some(feed.clone());
        Ok(feed)
    }

    /// What the engine is asked.
    ///
    /// # Errors
    /// [`CallError`] when the extra info is too long.
    pub(super) fn into_request(self, stream: StreamId, options: PublishOptions) -> Result<PublishRequest, CallError> {
        check_extra_info(&options.extra_info)?;
        let simulcast = options.simulcast.unwrap_or(self.kind == StreamKind::Camera);
        let video = self.video.map(|(source, max_bitrate_bps)| {
            (source, VideoOptions { codec: options.codec, max_bitrate_bps, simulcast })
        });
        let (kind, audio) = (self.kind, self.audio);
        let PublishOptions { extra_info, muted, .. } = options;
        Ok(PublishRequest { stream, kind, video, audio, extra_info, muted })
    }
}

/// The same as [`checked`], for a preset that was put together by hand.
fn usable(preset: VideoPreset) -> Result<VideoPreset, CaptureError> {
    checked(preset).map_err(|error| CaptureError::Format { what: "the preset".to_owned(), why: error.message })
}

fn format(preset: VideoPreset) -> VideoFormat {
    VideoFormat { width: preset.width, height: preset.height, fps: preset.fps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::capture::{PageSource, PortraitSource};

    #[test]
    fn presets_have_the_documented_values() {
        let told = |preset: VideoPreset| (preset.width, preset.height, preset.fps as u32, preset.max_bitrate_bps);
        let camera = |number| told(CameraPreset::of_number(number, None).unwrap().values());
        assert_eq!(camera(1), (320, 240, 15, 300_000));
        assert_eq!(camera(2), (640, 480, 15, 800_000));
        assert_eq!(camera(3), (1280, 720, 20, 1_500_000));
        assert_eq!(CameraPreset::default(), CameraPreset::Standard);
        let screen = |number| ScreenPreset::of_number(number, None).unwrap().values();
        let screens = [1, 2, 3].map(|number| (screen(number).fps as u32, screen(number).max_bitrate_bps));
        assert_eq!(screens, [(20, 800_000), (15, 1_500_000), (5, 2_000_000)]);
        assert_eq!(ScreenPreset::default(), ScreenPreset::Balanced);
        assert!(CameraPreset::of_number(4, None).unwrap_err().message.contains("custom"));
        assert!(ScreenPreset::of_number(5, None).is_err() && CameraPreset::of_number(0, None).is_err());
        let own = VideoPreset { width: 800, height: 600, fps: 25.0, max_bitrate_bps: 900_000 };
        assert_eq!(CameraPreset::of_number(4, Some(own)).unwrap().values(), own);
        assert!(ScreenPreset::of_number(4, Some(VideoPreset { fps: f32::NAN, ..own })).is_err());
    }

    #[test]
    fn a_preset_put_together_by_hand_is_checked_too() {
        let nonsense = VideoPreset { width: 0, height: 600, fps: 25.0, max_bitrate_bps: 900_000 };
        let error = Stream::camera(None, CameraPreset::Custom(nonsense)).unwrap_err();
        assert!(matches!(error, CaptureError::Format { .. }), "{error}");
    }

    #[test]
    fn the_picture_is_seen_before_it_is_published() {
        let size = VideoFormat { width: 64, height: 48, fps: 30.0 };
        let mut stream = Stream::picture(StreamKind::Camera, PortraitSource::new("Ann", 1, size), 300_000);
        let feed = stream.preview().unwrap();
        assert!(feed.wait_take(std::time::Duration::from_secs(10)).is_some());
        assert!(!stream.preview().unwrap().is_closed(), "asked for again, it is the same");
        let request = stream.into_request(StreamId::new("s").unwrap(), PublishOptions::default()).unwrap();
        assert!(request.video.unwrap().0.next_frame().unwrap().is_some());
        assert!(feed.is_closed());
        assert!(Stream::microphone(AudioInput::Default).preview().is_err());
    }

    #[test]
    fn cameras_are_sent_in_several_sizes_and_screens_are_not() {
        let size = VideoFormat { width: 320, height: 240, fps: 15.0 };
        let options = |stream: Stream, options: PublishOptions| {
            let request = stream.into_request(StreamId::new("s").unwrap(), options).unwrap();
            request.video.unwrap().1
        };
        let person = || Stream::picture(StreamKind::Camera, PortraitSource::new("Ann", 1, size), 300_000);
        let page = Stream::picture(StreamKind::Screen, PageSource::new("Notes", size), 800_000);
        assert!(options(person(), PublishOptions::default()).simulcast);
        assert!(!options(page, PublishOptions::default()).simulcast);
        let plain = PublishOptions { simulcast: Some(false), codec: VideoCodec::H264, ..PublishOptions::default() };
        let options = options(person(), plain);
        assert!(!options.simulcast && options.codec == VideoCodec::H264 && options.max_bitrate_bps == 300_000);
    }
}
