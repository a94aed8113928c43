//! Where the slots of the wall are, and which entities hang there. Plain data and geometry; the rule of who hangs where
//! is [`crate::model::wall`].

use bevy::prelude::*;

use super::surface::Surface;
use crate::model::{StreamId, WALL_SLOTS, WallPlan};
use crate::space::geometry::{GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, VIEWPOINT};

/// Width of a picture beside the centre, and while the centre is enlarged.
const SIDE_WIDTH: f32 = 3.5;
const SMALL_WIDTH: f32 = 2.5;
/// Height of the middle of those: what stands beside the wall finds room below.
const SIDE_HEIGHT: f32 = 6.95;
const SIDE_RADIUS: f32 = 9.2;

/// Which share hangs in which slot.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct WallSlots {
    pub(super) plan: WallPlan,
    pub(super) entities: [Option<Entity>; WALL_SLOTS],
}

impl WallSlots {
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

/// The picture's place in a slot, facing the hall, 16:9.
pub(super) fn slot_place(slot: usize, enlarged: bool) -> Surface {
    let (width, centre) = match slot {
        0 => (GREAT_WALL_WIDTH, GREAT_WALL_CENTRE),
        _ => {
            let side = if slot % 2 == 1 { -1.0 } else { 1.0 };
            let angle = if slot < 3 { 45.0_f32 } else { 67.5 }.to_radians();
            let at = Vec3::new(side * SIDE_RADIUS * angle.sin(), SIDE_HEIGHT, -SIDE_RADIUS * angle.cos());
            (if enlarged { SMALL_WIDTH } else { SIDE_WIDTH }, at)
        }
    };
    let to = if slot == 0 { Vec3::Z } else { Vec3::new(VIEWPOINT.x - centre.x, 0.0, VIEWPOINT.y - centre.z) };
    Surface { centre, rotation: Quat::from_rotation_y(to.x.atan2(to.z)), size: Vec2::new(width, width * 9.0 / 16.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::geometry::{CORNICE_HEIGHT, WALL_RADIUS};

    #[test]
    fn slots_are_inside_the_hall_and_apart() {
        for enlarged in [false, true] {
            let corners: Vec<Vec<Vec3>> = (0..WALL_SLOTS)
                .map(|slot| {
                    let place = slot_place(slot, enlarged);
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
        assert!(slot_place(1, true).size.x < slot_place(1, false).size.x);
        assert_eq!(slot_place(0, true).size, slot_place(0, false).size, "the centre fills its frame already");
    }
}
