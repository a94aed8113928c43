//! Which entity stands for which user and stream. Main thread; written by the receiving system only.

use std::collections::HashMap;

use bevy::prelude::*;

use crate::model::{StreamId, UserId};

/// People drawn at most; further ones are counted and not shown.
pub(super) const MAX_PARTICIPANTS: usize = 256;
/// Streams kept at most; further ones are counted and not shown.
pub(super) const MAX_STREAMS: usize = 512;

/// The entities of everyone and everything in the room.
#[derive(Resource, Debug, Default)]
pub struct Roster {
    pub(super) users: HashMap<UserId, Entity>,
    pub(super) streams: HashMap<StreamId, (Entity, UserId)>,
    pub(super) local: Option<UserId>,
}

impl Roster {
    /// The participant entity of a user.
    pub fn user(&self, id: &UserId) -> Option<Entity> {
        self.users.get(id).copied()
    }

    /// The entity of a stream.
    pub fn stream(&self, id: &StreamId) -> Option<Entity> {
        self.streams.get(id).map(|(entity, _)| *entity)
    }

    /// People in the room, this client included.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }
}
