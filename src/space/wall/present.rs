//! Who presents: marks the owners of shares on the wall, in the order of their slots, as long as there is room for them
//! beside it.

use bevy::prelude::*;

use super::slots::WallSlots;
use crate::model::WALL_SLOTS;
use crate::space::participant::{Presenting, Seat};
use crate::space::stream::PublishedBy;

/// Keeps [`Presenting`] in step with the wall and the seats.
pub(super) fn mark_presenters(
    mut commands: Commands,
    slots: Res<WallSlots>,
    owners: Query<&PublishedBy>,
    seats: Query<(Entity, &Seat)>,
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
    // All of them, or none: who stands where is told by the slots alone.
    let places: Vec<Seat> = order
        .iter()
        .enumerate()
        .filter_map(|(rank, owner)| seats.get(*owner).ok().map(|(_, seat)| seat.beside_wall(rank)))
        .collect();
    let others = seats.iter().filter(|(entity, _)| !order.contains(entity)).map(|(_, seat)| seat);
    if hides(&places, others) {
        order.clear();
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

/// Whether panels at these places would hide others at their seats, as seen from the viewpoint.
fn hides<'a>(places: &[Seat], mut seats: impl Iterator<Item = &'a Seat>) -> bool {
    let places: Vec<Rect> = places.iter().map(Seat::seen).collect();
    seats.any(|seat| places.iter().any(|place| !place.intersect(seat.seen()).is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::participant::seat_plan;

    /// Whether the first so many of a full room hide anybody when they present.
    fn presenters_hide(people: usize, presenters: usize) -> bool {
        let seats = &seat_plan(people).seats[..people];
        let places: Vec<Seat> = (0..presenters).map(|rank| seats[rank].beside_wall(rank)).collect();
        hides(&places, seats[presenters..].iter())
    }

    #[test]
    fn presenters_stand_beside_the_wall_until_a_crowd_sits_there() {
        for people in 2..=14 {
            assert!(!presenters_hide(people, 1) && !presenters_hide(people, 2), "{people} people");
        }
        assert!(presenters_hide(25, 2), "the boxes are taken");
        assert!(!presenters_hide(25, 0));
    }
}
