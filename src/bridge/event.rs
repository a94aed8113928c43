//! What the engine tells the application.

use super::command::RoomCommand;
use super::mailbox::VideoFeed;
use crate::model::{
    CallError, DeviceUse, EndReason, MediaKind, PlayState, PublishState, RoomState, RoomStateReason, StreamId,
    StreamInfo, UserId, UserInfo,
};

/// One login. Events of an earlier one are dropped by whoever reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// An event and the login it belongs to.
#[derive(Clone, Debug)]
pub struct EventEnvelope {
    /// The login during which it happened; counts up from 1.
    pub session: SessionId,
    /// What happened.
    pub event: RoomEvent,
}

/// Something that happened in the room or in the engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RoomEvent {
    /// The room state changed. `Connected` carries who this client is in the room.
    StateChanged {
        /// Where the client stands now.
        state: RoomState,
        /// Why.
        reason: RoomStateReason,
        /// What went wrong, for the reasons that mean trouble.
        error: Option<CallError>,
        /// This client as the others see it, when connected.
        me: Option<UserInfo>,
    },
    /// The room's metadata changed, or who may change it. Told after every login, then as it happens.
    RoomChanged {
        /// The room's metadata: whatever its hosts wrote there.
        metadata: String,
        /// Whether this client may change it: its token makes it a host, or another host did.
        may_change: bool,
    },
    /// Someone else is in the room: told for everyone present after a login, then as they come.
    UserJoined(UserInfo),
    /// Someone's name, attributes or metadata changed.
    UserUpdated(UserInfo),
    /// Someone left; their streams were removed before.
    UserLeft {
        /// Who.
        user: UserId,
        /// Why.
        reason: EndReason,
    },
    /// A stream of someone else can be played.
    StreamAdded(StreamInfo),
    /// A stream gained or lost a track, or a track was muted or unmuted. Told for own streams, too.
    StreamUpdated(StreamInfo),
    /// A stream is gone.
    StreamRemoved {
        /// Which.
        stream: StreamId,
        /// Whose.
        owner: UserId,
        /// Why.
        reason: EndReason,
    },
    /// An own stream came further, or stopped.
    PublishStateChanged {
        /// Which.
        stream: StreamId,
        /// How far it is.
        state: PublishState,
        /// What went wrong, if anything.
        error: Option<CallError>,
    },
    /// A played stream came further, or stopped.
    PlayStateChanged {
        /// Which.
        stream: StreamId,
        /// How far it is.
        state: PlayState,
        /// What went wrong, if anything.
        error: Option<CallError>,
    },
    /// Pictures of a stream arrive here from now on: a played one's, or the preview of an own one (own streams are
    /// told by `StreamUpdated` first). Closed by the engine when they end.
    VideoFeedOpened {
        /// Which.
        stream: StreamId,
        /// Where its pictures wait.
        feed: VideoFeed,
    },
    /// A chat message arrived, ours or a LiveKit client's.
    ChatReceived {
        /// Who wrote it.
        from: UserId,
        /// The text, at most [`crate::model::limits::CHAT_MAX_BYTES`].
        text: String,
        /// Unix time of writing by the writer's clock, in ms.
        sent_at_ms: i64,
    },
    /// An own chat message is on its way to everyone.
    ChatSent {
        /// The text.
        text: String,
        /// Unix time of writing, in ms.
        sent_at_ms: i64,
    },
    /// An own chat message was not sent, none of it.
    ChatRefused {
        /// The text, to be written again.
        text: String,
        /// Why, and what to do.
        error: CallError,
    },
    /// A barrage message arrived.
    BarrageReceived {
        /// Who wrote it.
        from: UserId,
        /// The text, at most [`crate::model::limits::CHAT_MAX_BYTES`].
        text: String,
    },
    /// A command of somebody's application arrived.
    CustomReceived {
        /// Who sent it.
        from: UserId,
        /// What it says, at most [`crate::model::limits::CHAT_MAX_BYTES`].
        content: String,
    },
    /// A data packet arrived.
    DataReceived {
        /// Who sent it; `None` when the server did.
        from: Option<UserId>,
        /// Its topic; empty for plain LiveKit data without one.
        topic: String,
        /// The payload.
        payload: Vec<u8>,
        /// Whether it came over the reliable channel.
        reliable: bool,
    },
    /// The token ends soon: renew it with [`super::RoomCommand::RenewToken`] to be able to come back later.
    TokenExpiring {
        /// Seconds that remain.
        in_secs: u64,
    },
    /// Another device feeds an own track, or none does; or the one that was wished for is back.
    DeviceChanged {
        /// Which of our streams.
        stream: StreamId,
        /// Its picture or its sound.
        kind: MediaKind,
        /// What is in use now, and why.
        device: DeviceUse,
    },
    /// Another loudspeaker plays, or none does; or the one that was wished for is back.
    SpeakerChanged(DeviceUse),
    /// A command could not be carried out.
    CommandFailed(CallError),
}

impl RoomEvent {
    /// What is told of a command that cannot be carried out.
    pub fn refused(command: RoomCommand, error: CallError) -> Self {
        match command {
            RoomCommand::PublishStream(request) => {
                Self::PublishStateChanged { stream: request.stream, state: PublishState::NoPublish, error: Some(error) }
            }
            RoomCommand::SendChat(text) => Self::ChatRefused { text, error },
            _ => Self::CommandFailed(error),
        }
    }
}
