//! What this client asked of the room's metadata and was not told yet: a change that follows at once builds on it, whoever
//! makes it. Main thread.

use bevy::prelude::*;

use super::{Outbox, RoomStatus};
use crate::bridge::RoomCommand;

/// A change that was asked for is taken as made this long.
const PATIENCE_SECS: f32 = 3.0;

/// The metadata that was asked for last.
#[derive(Resource, Debug, Default)]
pub struct AskedMetadata {
    text: Option<String>,
    left_secs: f32,
}

impl AskedMetadata {
    /// What to change: what was asked for, or else what the room has.
    pub fn newest<'a>(&'a self, status: &'a RoomStatus) -> &'a str {
        self.text.as_deref().unwrap_or(&status.metadata)
    }

    /// Asks for another text, unless it is that already.
    pub fn ask(&mut self, metadata: String, status: &RoomStatus, outbox: &mut Outbox) {
        if metadata != self.newest(status) && outbox.push(RoomCommand::SetRoomMetadata(metadata.clone())) {
            (self.text, self.left_secs) = (Some(metadata), PATIENCE_SECS);
        }
    }
}

/// Forgets what was told, or never will be.
pub(super) fn settle(time: Res<Time>, status: Res<RoomStatus>, mut asked: ResMut<AskedMetadata>) {
    if asked.text.is_some() {
        asked.left_secs -= time.delta_secs();
        if asked.left_secs <= 0.0 || asked.text.as_ref() == Some(&status.metadata) {
            asked.text = None;
        }
    }
}
