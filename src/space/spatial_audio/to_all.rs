//! Who speaks to the whole room. Main thread, [`SpaceSystems::Sync`](crate::space::SpaceSystems::Sync).
//!
//! It stands in a participant's attributes ([`VOICE_ATTRIBUTE`], set by [`RoomCommand::SetAttributes`]), so that every
//! client sees it and late joiners do, too. That somebody may write there does not make them the host: our server takes
//! this attribute from hosts only, but a client cannot know what another server does, nor who is a host there. Therefore
//! it never makes a voice louder than one beside the listener, the volume set for a person holds, and [`HearToAll`]
//! turns it off.
//!
//! [`RoomCommand::SetAttributes`]: crate::bridge::RoomCommand::SetAttributes

use bevy::prelude::*;

use crate::model::UserInfo;
use crate::model::sound::{VOICE_ATTRIBUTE, VOICE_TO_ALL};
use crate::space::sync::{UserCame, UserChanged};

/// Speaks to the whole room: their voice is heard everywhere, at full level, from no direction.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct SpeaksToAll;

/// Whether those who speak to all are heard everywhere here; if not, from where they are like everyone.
#[derive(Resource, Clone, Copy, Debug, PartialEq, Eq)]
pub struct HearToAll(pub bool);

impl Default for HearToAll {
    fn default() -> Self {
        Self(true)
    }
}

/// Sets and takes the marker as people's attributes say.
pub(super) fn mark_speakers_to_all(
    mut commands: Commands,
    mut came: MessageReader<UserCame>,
    mut changed: MessageReader<UserChanged>,
) {
    let came = came.read().map(|message| (message.entity, &message.user));
    let changed = changed.read().map(|message| (message.entity, &message.user));
    for (entity, user) in came.chain(changed) {
        // They may be gone again within the same frame.
        let Ok(mut entity) = commands.get_entity(entity) else { continue };
        if speaks_to_all(user) {
            entity.try_insert(SpeaksToAll);
        } else {
            entity.try_remove::<SpeaksToAll>();
        }
    }
}

fn speaks_to_all(user: &UserInfo) -> bool {
    user.attributes.get(VOICE_ATTRIBUTE).is_some_and(|value| value == VOICE_TO_ALL)
}
