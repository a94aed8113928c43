//! Wishes on their way to the engine. Systems push during the frame; one system sends in
//! [`crate::space::SpaceSystems::Send`], so that order is kept and errors are shown in one place.

use bevy::platform::cell::SyncCell;
use bevy::prelude::*;

use super::{CallTrouble, ChatRefused, EngineBridge};
use crate::bridge::{CommandError, RoomCommand};

/// Commands that wait for the end of the frame. At most [`Outbox::CAPACITY`] wait; more are refused.
#[derive(Resource)]
pub struct Outbox(
    // A source to publish is `Send` only; it is reached through `&mut` alone.
    SyncCell<Vec<RoomCommand>>,
);

impl Default for Outbox {
    fn default() -> Self {
        Self(SyncCell::new(Vec::new()))
    }
}

impl Outbox {
    /// Commands that may wait for the end of the frame.
    pub const CAPACITY: usize = 64;

    /// Queues a command for the end of this frame; `false` when too many wait already.
    pub fn push(&mut self, command: RoomCommand) -> bool {
        if self.0.get().len() >= Self::CAPACITY {
            warn!(?command, "too many wishes in one frame: dropped");
            return false;
        }
        self.0.get().push(command);
        true
    }

    /// Looks through what waits, and may change it.
    pub fn for_each(&mut self, change: impl FnMut(&mut RoomCommand)) {
        self.0.get().iter_mut().for_each(change);
    }
}

/// Hands everything over. What the engine refuses is shown to the user and not tried again: a repeated wish (a click)
/// is the user's to make.
pub(in crate::space) fn send_commands(
    mut outbox: ResMut<Outbox>,
    bridge: Res<EngineBridge>,
    mut trouble: MessageWriter<CallTrouble>,
    mut unsent: MessageWriter<ChatRefused>,
) {
    if outbox.0.get().is_empty() {
        return;
    }
    let mut refused: Option<CommandError> = None;
    for command in outbox.0.get().drain(..) {
        let text = if let RoomCommand::SendChat(text) = &command { Some(text.clone()) } else { None };
        if let Err(error) = bridge.0.send(command) {
            refused = Some(error);
            unsent.write_batch(text.map(|text| ChatRefused { text, error: error.into() }));
        }
    }
    if let Some(error) = refused {
        trouble.write(CallTrouble(error.into()));
    }
}
