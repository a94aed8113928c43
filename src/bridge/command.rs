//! What the application asks of the engine.

use std::collections::BTreeMap;
use std::fmt;

use super::entry::InvitationRequest;
use crate::media::audio::AudioOutput;
use crate::media::{AudioSource, VideoSource};
use crate::model::{MediaKind, RoomId, SoundProcessing, StreamId, StreamKind, TrackSid, UserId, VideoCodec};

/// A wish, carried out in order by the engine's task. What comes of it is told by events.
#[derive(Debug)]
#[non_exhaustive]
pub enum RoomCommand {
    /// Enter a room; leaves the one before.
    Login(LoginRequest),
    /// Enter the room that a link leads to; leaves the one before. Goes on as a login once the link has given a token.
    AcceptInvitation(InvitationRequest),
    /// Leave the room and end everything in it.
    Logout,
    /// Publish a stream.
    PublishStream(PublishRequest),
    /// Stop publishing a stream and let its sources go.
    StopPublishing(StreamId),
    /// Mute or unmute one kind of media of an own stream. The source of a muted picture rests
    /// ([`crate::media::VideoSource::rest`]): the light of a camera goes off.
    SetMuted {
        /// An own stream.
        stream: StreamId,
        /// Which of its tracks.
        kind: MediaKind,
        /// Muted or not.
        muted: bool,
    },
    /// Let another camera, screen or file feed the picture of an own stream; what is published stays published.
    SwitchVideo {
        /// An own stream with a picture.
        stream: StreamId,
        /// What feeds it from now on.
        source: Box<dyn VideoSource>,
    },
    /// Let another microphone or file feed the sound of an own stream.
    SwitchAudio {
        /// An own stream with sound.
        stream: StreamId,
        /// What feeds it from now on.
        source: Box<dyn AudioSource>,
    },
    /// Plays what is received on another loudspeaker, in a room or not; [`RoomEvent::SpeakerChanged`] tells what came of
    /// it.
    ///
    /// [`RoomEvent::SpeakerChanged`]: super::RoomEvent::SpeakerChanged
    SwitchSpeaker(AudioOutput),
    /// Change what stands beside an own stream.
    SetExtraInfo {
        /// An own stream.
        stream: StreamId,
        /// At most [`crate::model::limits::EXTRA_INFO_MAX_BYTES`].
        extra_info: String,
    },
    /// Change the room's metadata, all of it, for everyone and for those who come later: at most
    /// [`crate::model::limits::ROOM_METADATA_MAX_BYTES`]. Hosts may, whose token grants `roomAdmin` or whom one made a
    /// host; [`RoomEvent::RoomChanged`] tells the result, to everyone.
    ///
    /// [`RoomEvent::RoomChanged`]: super::RoomEvent::RoomChanged
    SetRoomMetadata(String),
    /// Keep order in the room: for hosts, whose token grants `roomAdmin` or whom one made a host. What comes of it is told
    /// to everyone.
    Host(HostCommand),
    /// Set own participant attributes, for everyone and for those who come later; an empty value deletes one, those not
    /// named stay. They survive reconnecting within this login. [`RoomEvent::UserUpdated`] of this client tells what the
    /// room knows. Needs the right to (`canUpdateOwnMetadata`), which [`EngineSnapshot::may_set_attributes`] tells.
    ///
    /// [`RoomEvent::UserUpdated`]: super::RoomEvent::UserUpdated
    /// [`EngineSnapshot::may_set_attributes`]: crate::model::quality::EngineSnapshot::may_set_attributes
    SetAttributes(BTreeMap<String, String>),
    /// A fresh token for this room and user, used from the next connection on.
    RenewToken(String),
    /// Play a stream of the room (all are played by themselves unless the login says otherwise). While as many are played
    /// as can be, it is the next when one of them ends.
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
    /// Write a chat message to everyone: reliable, 1 to 1024 bytes, two a second and ten a second in the whole room.
    SendChat(String),
    /// Write a barrage message, a remark that floats by, to everyone: unreliable, 1 to 1024 bytes, 20 a second.
    SendBarrage(String),
    /// Send a command of the application's own: reliable, 1 to 1024 bytes; 200 a second to one user, 10 to many.
    SendCustom {
        /// To whom; everyone when empty.
        to: Vec<UserId>,
        /// What it says.
        content: String,
    },
}

/// What hosts may do to others; the server carries it out, and decides who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCommand {
    /// Mute a track; its owner may unmute it.
    Mute {
        /// Whose.
        user: UserId,
        /// Which.
        track: TrackSid,
    },
    /// Mute everybody else's microphone.
    MuteAll,
    /// End the screens that somebody shares; they may share again.
    StopSharing(UserId),
    /// Put somebody out of the room; their token does not let them in again. To keep them out whatever token they have,
    /// ban them in the room's metadata ([`RoomOrder`](crate::model::RoomOrder)) before.
    Remove(UserId),
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
    /// What a picture is played in until [`RoomCommand::SetPlayQuality`] says otherwise; the best there is when `None`.
    /// Told before the first packet comes, so that nothing is sent in full that nobody looks at.
    pub first_quality: Option<PlayQuality>,
}

impl fmt::Debug for LoginRequest {
    /// A token is a secret: it is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("servers", &self.servers)
            .field("room", &self.room)
            .field("auto_play", &self.auto_play)
            .field("first_quality", &self.first_quality)
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
    pub audio: Option<(Box<dyn AudioSource>, AudioOptions)>,
    /// What stands beside the stream for everyone, at most [`crate::model::limits::EXTRA_INFO_MAX_BYTES`].
    pub extra_info: String,
    /// What of it is muted from the first moment, for everyone: nothing of it is sent before [`RoomCommand::SetMuted`]
    /// unmutes it. A picture's source is not asked for anything before that, either.
    pub muted: StartsMuted,
}

/// What of a stream begins muted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartsMuted {
    /// The picture.
    pub video: bool,
    /// The sound.
    pub audio: bool,
}

impl fmt::Debug for PublishRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishRequest")
            .field("stream", &self.stream)
            .field("kind", &self.kind)
            .field("video", &self.video.as_ref().map(|(source, options)| (source.format(), options)))
            .field("audio", &self.audio.as_ref().map(|(_, options)| options))
            .field("extra_info", &self.extra_info)
            .field("muted", &self.muted)
            .finish()
    }
}

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoOptions {
    /// How.
    pub codec: VideoCodec,
    /// Highest bitrate of all its layers together, in bit/s.
    pub max_bitrate_bps: u32,
    /// Sent in up to three sizes, of which the server gives everyone the one they need. For cameras.
    pub simulcast: bool,
}

impl VideoOptions {
    /// One VP8 layer of at most this many bit/s.
    pub const fn single(max_bitrate_bps: u32) -> Self {
        Self { codec: VideoCodec::Vp8, max_bitrate_bps, simulcast: false }
    }
}

/// How sound is processed and encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioOptions {
    /// What is done to it before.
    pub processing: SoundProcessing,
    /// Highest bitrate of a channel, in bit/s.
    pub max_bitrate_bps: u32,
    /// Send next to nothing while there is silence (Opus DTX).
    pub dtx: bool,
    /// Send every packet twice where the server and the way allow it (RFC 2198).
    pub red: bool,
}

impl AudioOptions {
    /// For a microphone.
    pub const MICROPHONE: Self =
        Self { processing: SoundProcessing::MICROPHONE, max_bitrate_bps: 48_000, dtx: true, red: true };
    /// For files, generated sound and the sound of a shared screen: as it is.
    pub const PLAIN: Self = Self { processing: SoundProcessing::NONE, max_bitrate_bps: 48_000, dtx: false, red: true };
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
