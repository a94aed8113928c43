//! What the application asks of the engine.

use std::fmt;

use crate::media::{AudioSource, VideoSource};
use crate::model::{MediaKind, RoomId, StreamId, StreamKind, UserId};

/// A wish, carried out in order by the engine's task. What comes of it is told by events.
#[derive(Debug)]
#[non_exhaustive]
pub enum RoomCommand {
    /// Enter a room; leaves the one before.
    Login(LoginRequest),
    /// Leave the room and end everything in it.
    Logout,
    /// Publish a stream.
    PublishStream(PublishRequest),
    /// Stop publishing a stream and let its sources go.
    StopPublishing(StreamId),
    /// Mute or unmute one kind of media of an own stream.
    SetMuted {
        /// An own stream.
        stream: StreamId,
        /// Which of its tracks.
        kind: MediaKind,
        /// Muted or not.
        muted: bool,
    },
    /// Play a stream of the room (all are played by themselves unless the login says otherwise).
    StartPlaying(StreamId),
    /// Stop playing a stream.
    StopPlaying(StreamId),
    /// Say which size of a played picture is wanted.
    SetPlayQuality {
        /// A played stream.
        stream: StreamId,
        /// The wish.
        quality: PlayQuality,
    },
    /// Send a data packet.
    SendData(DataMessage),
    /// Write a chat message to everyone.
    SendChat(String),
}

/// All a login needs.
#[derive(Clone)]
pub struct LoginRequest {
    /// `ws://` or `wss://` URLs, tried in order.
    pub servers: Vec<String>,
    /// The room the token is for.
    pub room: RoomId,
    /// A LiveKit access token.
    pub token: String,
    /// Play every stream as it is announced.
    pub auto_play: bool,
}

impl fmt::Debug for LoginRequest {
    /// A token is a secret: it is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("servers", &self.servers)
            .field("room", &self.room)
            .field("auto_play", &self.auto_play)
            .finish_non_exhaustive()
    }
}

/// A stream to publish. The engine pulls each source on a thread of its own.
pub struct PublishRequest {
    /// Its id, unique in the room.
    pub stream: StreamId,
    /// A person or a screen.
    pub kind: StreamKind,
    /// The picture.
    pub video: Option<(Box<dyn VideoSource>, VideoOptions)>,
    /// The sound.
    pub audio: Option<Box<dyn AudioSource>>,
}

impl fmt::Debug for PublishRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishRequest")
            .field("stream", &self.stream)
            .field("kind", &self.kind)
            .field("video", &self.video.as_ref().map(|(source, options)| (source.format(), options)))
            .field("audio", &self.audio.is_some())
            .finish()
    }
}

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoOptions {
    /// Highest bitrate, in bit/s.
    pub max_bitrate_bps: u32,
}

/// Which size of a played picture is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayQuality {
    /// Whether the picture is wanted at all.
    pub enabled: bool,
    /// Size it is shown at, in pixels.
    pub width: u32,
    /// See `width`.
    pub height: u32,
}

/// A data packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMessage {
    /// The topic; ours start with `rotunda.`.
    pub topic: String,
    /// The whole packet, with topic and addressees, has at most [`crate::model::limits::DATA_PACKET_MAX_BYTES`].
    pub payload: Vec<u8>,
    /// Ordered and repeated until it arrives, or sent once.
    pub reliable: bool,
    /// To whom; everyone when empty.
    pub to: Vec<UserId>,
}
