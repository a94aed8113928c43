//! Who presents: marks the owners of shares on the wall, in the order of their slots.

use bevy::prelude::*;

use super::slots::WallSlots;
use crate::model::WALL_SLOTS;
use crate::space::participant::Presenting;
use crate::space::stream::PublishedBy;

/// Keeps [`Presenting`] in step with the wall.
pub(super) fn mark_presenters(
    mut commands: Commands,
    slots: Res<WallSlots>,
    owners: Query<&PublishedBy>,
    presenters: Query<(Entity, &Presenting)>,
) {
    let mut order: Vec<Entity> = Vec::with_capacity(WALL_SLOTS);
    for slot in 0..WALL_SLOTS {
        if let Some(owner) = slots.entity(slot).and_then(|stream| owners.get(stream).ok())
            && !order.contains(&owner.0)
        {
            order.push(owner.0);
        }
    }
    for (entity, _) in &presenters {
        if !order.contains(&entity) {
            commands.entity(entity).try_remove::<Presenting>();
        }
    }
    for (rank, owner) in order.into_iter().enumerate() {
        if presenters.get(owner).is_ok_and(|(_, presenting)| presenting.0 == rank) {
            continue;
        }
        commands.entity(owner).try_insert(Presenting(rank));
    }
}
