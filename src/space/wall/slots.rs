//! Where the slots of the wall are, and which entities hang there. Plain data and geometry; the rule of who hangs where
//! is [`crate::model::wall`].

use bevy::prelude::*;

use super::surface::Surface;
use crate::model::{StreamId, WALL_SLOTS, WallPlan};
use crate::space::layout::{RoomLayout, SlotLayout};

/// What is left of a picture beside the centre while the centre is enlarged.
const SMALLER: f32 = 0.72;

/// Which share hangs in which slot.
#[derive(Resource, Clone, Debug, PartialEq)]
pub struct WallSlots {
    pub(super) places: [Surface; WALL_SLOTS],
    pub(super) plan: WallPlan,
    pub(super) entities: [Option<Entity>; WALL_SLOTS],
}

impl FromWorld for WallSlots {
    fn from_world(world: &mut World) -> Self {
        Self::of(&world.get_resource::<RoomLayout>().cloned().unwrap_or_default())
    }
}

impl WallSlots {
    /// The empty wall of a room.
    pub fn of(layout: &RoomLayout) -> Self {
        // A layout that was checked has a place for each.
        let place = |slot| layout.slots.get(slot).or(layout.slots.first()).map_or(Surface::NOWHERE, surface);
        Self { places: std::array::from_fn(place), plan: WallPlan::default(), entities: [None; WALL_SLOTS] }
    }

    /// The picture's place in a slot, 16:9, as large as it is now.
    pub(super) fn place(&self, slot: usize) -> Surface {
        let place = self.places.get(slot).copied().unwrap_or(Surface::NOWHERE);
        let scale = if self.plan.enlarged && slot != 0 { SMALLER } else { 1.0 };
        Surface { size: place.size * scale, ..place }
    }

    /// The stream entity in a slot.
    pub fn entity(&self, slot: usize) -> Option<Entity> {
        *self.entities.get(slot)?
    }

    /// The stream in a slot.
    pub fn stream(&self, slot: usize) -> Option<&StreamId> {
        self.plan.slots.get(slot)?.as_ref()
    }

    /// The slot of a stream.
    pub fn slot_of(&self, stream: &StreamId) -> Option<usize> {
        self.plan.slot_of(stream)
    }

    /// Who hangs where.
    pub fn plan(&self) -> &WallPlan {
        &self.plan
    }

    /// The slot so many places to the right of another, or to the left when negative.
    pub fn beside(slot: usize, steps: isize) -> Option<usize> {
        let here = FROM_LEFT.iter().position(|candidate| *candidate == slot)?;
        FROM_LEFT.get(here.checked_add_signed(steps)?).copied()
    }

    /// The slots that hold something, from left to right.
    pub fn taken(&self) -> impl Iterator<Item = usize> {
        FROM_LEFT.into_iter().filter(|slot| self.entity(*slot).is_some())
    }
}

const FROM_LEFT: [usize; WALL_SLOTS] = [3, 1, 0, 2, 4];

fn surface(slot: &SlotLayout) -> Surface {
    Surface {
        centre: slot.centre,
        rotation: Quat::from_rotation_y(slot.facing_deg.to_radians()),
        size: Vec2::new(slot.width_m, slot.width_m * 9.0 / 16.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::geometry::{CORNICE_HEIGHT, VIEWPOINT, WALL_RADIUS};

    fn wall(enlarged: bool) -> WallSlots {
        let mut wall = WallSlots::of(&RoomLayout::built_in());
        wall.plan.enlarged = enlarged;
        wall
    }

    #[test]
    fn slots_are_inside_the_hall_and_apart() {
        for enlarged in [false, true] {
            let corners: Vec<Vec<Vec3>> = (0..WALL_SLOTS)
                .map(|slot| {
                    let place = wall(enlarged).place(slot);
                    [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(x, y)| place.point(Vec2::new(x, y))).to_vec()
                })
                .collect();
            for corner in corners.iter().flatten() {
                assert!(corner.xz().length() < WALL_RADIUS && corner.y < CORNICE_HEIGHT && corner.y > 3.0, "{corner}");
            }
            let azimuth = |at: &Vec3| (at.x - VIEWPOINT.x).atan2(VIEWPOINT.y - at.z);
            let span = |slot: usize| {
                let seen: Vec<f32> = corners[slot].iter().map(azimuth).collect();
                (seen.iter().copied().fold(f32::MAX, f32::min), seen.iter().copied().fold(f32::MIN, f32::max))
            };
            for pair in FROM_LEFT.windows(2) {
                let (left, right) = (span(pair[0]), span(pair[1]));
                assert!(left.1 < right.0, "{pair:?} overlap as seen from the viewpoint: {left:?} {right:?}");
            }
        }
    }

    #[test]
    fn what_is_enlarged_leaves_the_others_smaller() {
        assert!(wall(true).place(1).size.x < wall(false).place(1).size.x);
        assert_eq!(wall(true).place(0).size, wall(false).place(0).size, "the centre fills its frame already");
    }
}
