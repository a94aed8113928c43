//! Where the engine meets the ECS: the bridge resource, the room's status, and the one system that turns events into
//! entities and messages. Runs in [`SpaceSystems::Receive`] and [`SpaceSystems::Send`]; never blocks.
//!
//! Invariant: an event of an earlier login than the newest one seen is dropped, so nothing of an old session can
//! appear in a new one.

mod asked;
mod levels;
mod messages;
mod outbox;
mod receive;
mod roster;

use std::sync::Arc;

use bevy::prelude::*;

pub use asked::AskedMetadata;
pub use messages::{
    CallTrouble, ChatReceived, ChatRefused, ChatSent, DataReceived, EngineEvent, PlayStateChanged, PublishStateChanged,
    RoomStateChanged, StreamCame, StreamChanged, StreamWent, UserCame, UserChanged, UserWent,
};
pub use outbox::Outbox;
pub(in crate::space) use outbox::send_commands;
pub use receive::ReceiveCounts;
pub use roster::Roster;

use super::schedule::SpaceSystems;
use super::settings::SpaceSettings;
use crate::bridge::{EngineHandle, SessionId};
use crate::model::quality::EngineSnapshot;
use crate::model::{CallError, RoomOrder, RoomState, RoomStateReason, UserInfo};

/// The engine. Anything that speaks [`crate::bridge`] will do: see [`crate::bridge::engine_channels`].
#[derive(Resource)]
pub struct EngineBridge(pub EngineHandle);

/// Where this client stands with the room.
#[derive(Resource, Clone, Debug, Default)]
pub struct RoomStatus {
    /// The newest login seen; 0 before the first.
    pub session: SessionId,
    /// In the room, or on the way.
    pub state: RoomState,
    /// Why.
    pub reason: Option<RoomStateReason>,
    /// What went wrong last, until the next success.
    pub error: Option<CallError>,
    /// This client as the others see it, once connected.
    pub me: Option<UserInfo>,
    /// The room's metadata: what its hosts chose for everyone.
    pub metadata: String,
    /// Of that what concerns order: who may come in, who is in the light.
    pub order: RoomOrder,
    /// Whether this client may change it.
    pub host: bool,
}

/// The engine's newest figures, refreshed each frame.
#[derive(Resource, Clone, Debug, Default)]
pub struct RoomFigures(pub Arc<EngineSnapshot>);

/// Receives from the engine and sends to it. Without an [`EngineBridge`] it waits for one.
pub struct SyncPlugin;

impl Plugin for SyncPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<SpaceSettings>()
            .init_resource::<RoomStatus>()
            .init_resource::<RoomFigures>()
            .init_resource::<Roster>()
            .init_resource::<ReceiveCounts>()
            .init_resource::<Outbox>()
            .init_resource::<AskedMetadata>()
            .add_message::<EngineEvent>()
            .add_message::<RoomStateChanged>()
            .add_message::<UserCame>()
            .add_message::<UserChanged>()
            .add_message::<UserWent>()
            .add_message::<StreamCame>()
            .add_message::<StreamChanged>()
            .add_message::<StreamWent>()
            .add_message::<PublishStateChanged>()
            .add_message::<PlayStateChanged>()
            .add_message::<ChatReceived>()
            .add_message::<ChatSent>()
            .add_message::<ChatRefused>()
            .add_message::<DataReceived>()
            .add_message::<CallTrouble>()
            .add_systems(
                PreUpdate,
                (
                    receive::apply_room_events,
                    asked::settle,
                    levels::read_figures,
                    (levels::mark_speaking, levels::mark_states, levels::mark_connections),
                )
                    .chain()
                    .in_set(SpaceSystems::Receive)
                    .run_if(resource_exists::<EngineBridge>),
            )
            .add_systems(
                PostUpdate,
                outbox::send_commands.in_set(SpaceSystems::Send).run_if(resource_exists::<EngineBridge>),
            );
    }
}
