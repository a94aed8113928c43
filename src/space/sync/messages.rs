//! What happened in the room, as Bevy messages for plugins. Written once per event, in the order of the events, in
//! [`crate::space::SpaceSystems::Receive`]; entities named here exist from the next system on.

use bevy::prelude::*;

use crate::bridge::RoomEvent;
use crate::model::{
    CallError, EndReason, PlayState, PublishState, RoomState, RoomStateReason, StreamId, UserId, UserInfo,
};

/// An engine event as it came, for whoever follows the call as a whole. The messages below say the same piece by piece
/// and name the entities.
#[derive(Message, Clone, Debug)]
pub struct EngineEvent(pub RoomEvent);

/// The room state changed.
#[derive(Message, Clone, Debug)]
pub struct RoomStateChanged {
    /// Where the client stands now.
    pub state: RoomState,
    /// Why.
    pub reason: RoomStateReason,
    /// What went wrong, for the reasons that mean trouble.
    pub error: Option<CallError>,
}

/// Someone is in the room.
#[derive(Message, Clone, Debug)]
pub struct UserCame {
    /// Carries [`crate::space::participant::Participant`].
    pub entity: Entity,
    /// Who.
    pub user: UserInfo,
}

/// Someone's name, attributes or metadata changed.
#[derive(Message, Clone, Debug)]
pub struct UserChanged {
    /// The participant.
    pub entity: Entity,
    /// As they are now.
    pub user: UserInfo,
}

/// Someone left; the entity is gone.
#[derive(Message, Clone, Debug)]
pub struct UserWent {
    /// Who.
    pub user: UserId,
    /// The name they had.
    pub name: String,
    /// Why.
    pub reason: EndReason,
}

/// A stream can be seen or heard.
#[derive(Message, Clone, Debug)]
pub struct StreamCame {
    /// Carries [`crate::space::stream::VideoStream`].
    pub entity: Entity,
    /// Which.
    pub stream: StreamId,
    /// Whose.
    pub owner: UserId,
}

/// A stream's tracks or their mute changed.
#[derive(Message, Clone, Debug)]
pub struct StreamChanged {
    /// The stream.
    pub entity: Entity,
    /// Which.
    pub stream: StreamId,
}

/// A stream is gone; so is its entity.
#[derive(Message, Clone, Debug)]
pub struct StreamWent {
    /// Which.
    pub stream: StreamId,
    /// Whose.
    pub owner: UserId,
    /// Why.
    pub reason: EndReason,
}

/// An own stream came further, or stopped.
#[derive(Message, Clone, Debug)]
pub struct PublishStateChanged {
    /// Which.
    pub stream: StreamId,
    /// How far it is.
    pub state: PublishState,
    /// What went wrong, if anything.
    pub error: Option<CallError>,
}

/// A played stream came further, or stopped.
#[derive(Message, Clone, Debug)]
pub struct PlayStateChanged {
    /// Which.
    pub stream: StreamId,
    /// How far it is.
    pub state: PlayState,
    /// What went wrong, if anything.
    pub error: Option<CallError>,
}

/// A chat message arrived.
#[derive(Message, Clone, Debug)]
pub struct ChatReceived {
    /// Who wrote it.
    pub from: UserId,
    /// The text.
    pub text: String,
    /// Unix time of writing by the writer's clock, in ms.
    pub sent_at_ms: i64,
}

/// An own chat message is on its way to everyone.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct ChatSent {
    /// The text.
    pub text: String,
    /// Unix time of writing, in ms.
    pub sent_at_ms: i64,
}

/// An own chat message was not sent, none of it.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct ChatRefused {
    /// The text, to be written again.
    pub text: String,
    /// Why, and what to do.
    pub error: CallError,
}

/// A data packet arrived.
#[derive(Message, Clone, Debug)]
pub struct DataReceived {
    /// Who sent it; `None` when the server did.
    pub from: Option<UserId>,
    /// Its topic.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// Whether it came over the reliable channel.
    pub reliable: bool,
}

/// A wish could not be carried out.
#[derive(Message, Clone, Debug)]
pub struct CallTrouble(pub CallError);
