//! Streams and tracks. A *stream* is what one user publishes under one stream id: at most one video and one audio
//! *track*, LiveKit's unit of publication.

use serde::Serialize;

use super::ids::{StreamId, TrackSid, UserId};
use super::media::DeviceState;

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// Where a track comes from, in LiveKit's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackSource {
    /// Not told.
    Unknown,
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
    /// A shared screen or window.
    ScreenShare,
    /// The sound of a shared screen.
    ScreenShareAudio,
}

/// What a stream shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// A person: hangs at their seat.
    Camera,
    /// A shared screen: hangs on the wall.
    Screen,
}

/// One published track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrackInfo {
    /// The server's id.
    pub sid: TrackSid,
    /// Sound or picture.
    pub kind: MediaKind,
    /// Where it comes from.
    pub source: TrackSource,
    /// MIME type, such as `video/VP8`.
    pub mime_type: String,
    /// Size announced by the publisher, in pixels; 0 for sound.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Muted by its publisher or by a host.
    pub muted: bool,
}

/// One published stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamInfo {
    /// Unique in the room.
    pub id: StreamId,
    /// Who publishes it.
    pub owner: UserId,
    /// What it shows.
    pub kind: StreamKind,
    /// Its picture.
    pub video: Option<TrackInfo>,
    /// Its sound.
    pub audio: Option<TrackInfo>,
    /// How the device behind its picture is doing.
    pub video_state: DeviceState,
    /// How the device behind its sound is doing.
    pub audio_state: DeviceState,
    /// What its owner wrote beside it, at most [`crate::model::limits::EXTRA_INFO_MAX_BYTES`].
    pub extra_info: String,
    /// The slot of the wall it claims, when it is a shared screen; see [`crate::model::wall`].
    pub wall_slot: Option<u8>,
}

impl StreamInfo {
    /// Whether it is a shared screen with a picture, which hangs on the wall.
    pub fn is_picture_share(&self) -> bool {
        self.kind == StreamKind::Screen && self.video.is_some()
    }

    /// Both tracks, where present.
    pub fn tracks(&self) -> impl Iterator<Item = &TrackInfo> {
        self.video.iter().chain(self.audio.iter())
    }
}

/// Why a stream or a user is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The owner stopped it, or left.
    Stopped,
    /// Nothing was heard of the owner for too long.
    TimedOut,
    /// The owner logged in a second time.
    ReplacedBySecondLogin,
    /// A host removed the owner.
    Kicked,
    /// This client left the room or lost it.
    Disconnected,
    /// The server removed it.
    RemovedByServer,
}

/// How far publishing a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishState {
    /// Not published.
    NoPublish,
    /// Asked for, or being brought back.
    Requesting,
    /// Others can play it.
    Publishing,
}

/// How far playing a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlayState {
    /// Not played.
    NoPlay,
    /// Asked for, or being brought back.
    Requesting,
    /// Media arrives.
    Playing,
}
