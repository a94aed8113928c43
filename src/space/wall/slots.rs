//! Who hangs where on the wall. Plain data and geometry.

use bevy::prelude::*;

use crate::model::StreamId;
use crate::space::geometry::{GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, VIEWPOINT};

/// Places on the wall.
pub const SLOT_COUNT: usize = 5;

/// Which share hangs in which slot. A stream keeps its slot by its id, so that one that comes back after a reconnect
/// before the slot was given away finds its place again.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct WallSlots {
    held: [Option<(StreamId, Option<Entity>)>; SLOT_COUNT],
}

impl WallSlots {
    /// The stream entity in a slot.
    pub fn entity(&self, slot: usize) -> Option<Entity> {
        self.held.get(slot)?.as_ref()?.1
    }

    /// The slot of a stream.
    pub fn slot_of(&self, stream: &StreamId) -> Option<usize> {
        self.held.iter().position(|held| held.as_ref().is_some_and(|(id, entity)| id == stream && entity.is_some()))
    }

    pub(super) fn would_change(&self, shares: &[(StreamId, Entity)]) -> bool {
        let mut next = self.clone();
        next.update(shares);
        next != *self
    }

    /// Frees slots whose share ended (their id stays as a memory), then places the new ones: in their remembered slot,
    /// else in one nobody remembers, else in any free one, the centre first.
    pub(super) fn update(&mut self, shares: &[(StreamId, Entity)]) {
        for held in self.held.iter_mut().flatten() {
            held.1 = shares.iter().find(|(id, _)| *id == held.0).map(|(_, entity)| *entity);
        }
        let mut waiting: Vec<_> = shares.iter().filter(|(id, _)| self.slot_of(id).is_none()).collect();
        waiting.sort_by(|a, b| a.0.cmp(&b.0));
        for (id, entity) in waiting {
            let centre_free = self.held[0].as_ref().is_none_or(|held| held.1.is_none());
            let never_held = self.held.iter().position(Option::is_none);
            let free = self.held.iter().position(|held| held.as_ref().is_none_or(|held| held.1.is_none()));
            let slot = if centre_free { Some(0) } else { never_held.or(free) };
            let Some(slot) = slot else { return };
            self.held[slot] = Some((id.clone(), Some(*entity)));
        }
    }
}

/// Width of the picture in a slot and where it hangs, facing the hall.
pub(super) fn slot_place(slot: usize) -> (f32, Transform) {
    let (width, centre) = match slot {
        0 => (GREAT_WALL_WIDTH, GREAT_WALL_CENTRE),
        _ => {
            let side = if slot % 2 == 1 { -1.0 } else { 1.0 };
            let angle = if slot < 3 { 45.0_f32 } else { 67.5 }.to_radians();
            let radius = 9.2;
            (3.5, Vec3::new(side * radius * angle.sin(), 4.9, -radius * angle.cos()))
        }
    };
    let to = if slot == 0 { Vec3::Z } else { Vec3::new(VIEWPOINT.x - centre.x, 0.0, VIEWPOINT.y - centre.z) };
    (width, Transform::from_translation(centre).with_rotation(Quat::from_rotation_y(to.x.atan2(to.z))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(id: &str, n: u32) -> (StreamId, Entity) {
        (StreamId::new(id).unwrap(), Entity::from_raw_u32(n).unwrap())
    }

    #[test]
    fn the_first_share_takes_the_centre_and_keeps_it() {
        let mut slots = WallSlots::default();
        let (b, a) = (share("b", 1), share("a", 2));
        slots.update(std::slice::from_ref(&b));
        slots.update(&[b.clone(), a.clone()]);
        assert_eq!(slots.slot_of(&b.0), Some(0), "a later share does not push the first aside");
        assert_eq!(slots.slot_of(&a.0), Some(1));
        slots.update(std::slice::from_ref(&a));
        assert_eq!(slots.slot_of(&a.0), Some(1), "and does not move when the first ends");
    }

    #[test]
    fn a_share_that_returns_finds_its_slot() {
        let mut slots = WallSlots::default();
        slots.update(&[share("a", 1), share("b", 2), share("c", 3)]);
        slots.update(&[share("a", 1), share("c", 3)]);
        slots.update(&[share("a", 1), share("b", 9), share("c", 3)]);
        assert_eq!(slots.slot_of(&share("b", 9).0), Some(1));
        assert_eq!(slots.entity(1), Some(share("b", 9).1));
    }

    #[test]
    fn more_shares_than_slots_wait() {
        let mut slots = WallSlots::default();
        let many: Vec<_> = (1..=7).map(|n| share(&format!("s{n}"), n)).collect();
        slots.update(&many);
        assert_eq!(many.iter().filter(|(id, _)| slots.slot_of(id).is_some()).count(), SLOT_COUNT);
    }
}
