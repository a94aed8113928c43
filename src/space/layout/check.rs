//! What a room must keep to. Pure rules over plain data.

use bevy::math::{Vec2, Vec3, Vec3Swizzles};

use super::{RoomLayout, SlotLayout};
use crate::space::geometry::{CORNICE_HEIGHT, WALK_RADIUS, WALL_RADIUS};

/// Chairs stand at least this far apart, middle to middle.
const CHAIR_GAP_M: f32 = 0.95;
const MAX_PLACES: usize = 1024;
const MAX_SLOTS: usize = 9;
const MAX_LAMPS: usize = 64;
/// Pictures keep this far from each other.
const SLOT_GAP_M: f32 = 0.05;

/// Why a room cannot be as its layout says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutProblem {
    /// Nobody could sit down.
    #[error("seats.places is empty: name at least one place, or leave it out for arcs")]
    NoSeats,
    /// Nothing could be shared.
    #[error("there are no slots: name at least one [[slots]]")]
    NoSlots,
    /// More than the room holds.
    #[error("there are {count} {what}: at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// A number is none.
    #[error("{what} {index} has a number that is infinite or none")]
    NotFinite {
        /// Which list or part.
        what: &'static str,
        /// Which of it, from 0.
        index: usize,
    },
    /// A number is too small or too large.
    #[error("{what} must be from {min} to {max}")]
    OutOfRange {
        /// Which.
        what: &'static str,
        /// Least.
        min: f32,
        /// Most.
        max: f32,
    },
    /// Something stands where nobody can be.
    #[error(
        "{what} {index} is outside the hall: one may stand {WALK_RADIUS} m from the middle, pictures hang within \
             {WALL_RADIUS} m and below {CORNICE_HEIGHT} m"
    )]
    OutsideHall {
        /// What.
        what: &'static str,
        /// Which of it, from 0.
        index: usize,
    },
    /// Two chairs stand in each other.
    #[error("seats {first} and {second} are closer than {CHAIR_GAP_M} m")]
    SeatsTooClose {
        /// One.
        first: usize,
        /// The other.
        second: usize,
    },
    /// Two pictures hang in each other.
    #[error("slots {first} and {second} overlap: move them apart or make them smaller")]
    SlotsOverlap {
        /// One.
        first: usize,
        /// The other.
        second: usize,
    },
}

use LayoutProblem as Problem;

pub(super) fn check(layout: &RoomLayout) -> Result<(), Problem> {
    check_entrance(layout)?;
    check_seats(layout)?;
    check_slots(&layout.slots)?;
    at_most("lamps", layout.lamps.len(), MAX_LAMPS)?;
    for (index, lamp) in layout.lamps.iter().enumerate() {
        let finite = lamp.at.is_finite() && lamp.colour.is_finite();
        if !finite {
            return Err(Problem::NotFinite { what: "lamps", index });
        }
        in_hall("lamps", index, lamp.at)?;
        in_range("lamps.colour", lamp.colour.min_element(), 0.0, 1.0)?;
        in_range("lamps.colour", lamp.colour.max_element(), 0.0, 1.0)?;
        in_range("lamps.power", lamp.power, 0.0, 50.0)?;
        in_range("lamps.reach_m", lamp.reach_m, 0.1, 40.0)?;
    }
    Ok(())
}

fn check_entrance(layout: &RoomLayout) -> Result<(), Problem> {
    let entrance = &layout.entrance;
    if !(entrance.at.is_finite() && entrance.look.is_finite()) {
        return Err(Problem::NotFinite { what: "entrance", index: 0 });
    }
    walkable("entrance", 0, entrance.at)
}

fn check_seats(layout: &RoomLayout) -> Result<(), Problem> {
    let seats = &layout.seats;
    in_range("seats.first_m", seats.first_m, 0.5, WALK_RADIUS)?;
    in_range("seats.last_m", seats.last_m, seats.first_m, WALK_RADIUS)?;
    in_range("seats.depth_m", seats.depth_m, 0.5, 5.0)?;
    in_range("seats.span_deg", seats.span_deg, 10.0, 120.0)?;
    let Some(places) = &seats.places else { return Ok(()) };
    if places.is_empty() {
        return Err(Problem::NoSeats);
    }
    at_most("seats", places.len(), MAX_PLACES)?;
    for (index, place) in places.iter().enumerate() {
        if !place.is_finite() {
            return Err(Problem::NotFinite { what: "seats", index });
        }
        walkable("seats", index, *place)?;
    }
    match pairs(places).find(|(_, (a, b))| a.distance(**b) < CHAIR_GAP_M) {
        Some(((first, second), _)) => Err(Problem::SeatsTooClose { first, second }),
        None => Ok(()),
    }
}

fn check_slots(slots: &[SlotLayout]) -> Result<(), Problem> {
    if slots.is_empty() {
        return Err(Problem::NoSlots);
    }
    at_most("slots", slots.len(), MAX_SLOTS)?;
    for (index, slot) in slots.iter().enumerate() {
        if !(slot.centre.is_finite() && slot.facing_deg.is_finite()) {
            return Err(Problem::NotFinite { what: "slots", index });
        }
        in_range("slots.width_m", slot.width_m, 0.5, 12.0)?;
        let (right, up) = slot.half();
        in_hall("slots", index, slot.centre - right - Vec3::Y * up)?;
        in_hall("slots", index, slot.centre + right + Vec3::Y * up)?;
    }
    match pairs(slots).find(|(_, (a, b))| overlap(a, b)) {
        Some(((first, second), _)) => Err(Problem::SlotsOverlap { first, second }),
        None => Ok(()),
    }
}

/// Whether two upright pictures touch: at a common height, their edges on the floor plan come too close.
fn overlap(a: &SlotLayout, b: &SlotLayout) -> bool {
    let ((a_right, a_up), (b_right, b_up)) = (a.half(), b.half());
    let common_height = (a.centre.y - b.centre.y).abs() < a_up + b_up + SLOT_GAP_M;
    let ends = |slot: &SlotLayout, right: Vec3| [(slot.centre - right).xz(), (slot.centre + right).xz()];
    common_height && segments_distance(ends(a, a_right), ends(b, b_right)) < SLOT_GAP_M
}

fn segments_distance(a: [Vec2; 2], b: [Vec2; 2]) -> f32 {
    let side = |p: Vec2, q: Vec2, r: Vec2| (q - p).perp_dot(r - p);
    let crosses = |a: [Vec2; 2], b: [Vec2; 2]| side(a[0], a[1], b[0]) * side(a[0], a[1], b[1]) < 0.0;
    if crosses(a, b) && crosses(b, a) {
        return 0.0;
    }
    let to = |point: Vec2, [from, to]: [Vec2; 2]| {
        let along = to - from;
        let share = ((point - from).dot(along) / along.length_squared().max(1e-9)).clamp(0.0, 1.0);
        point.distance(from + along * share)
    };
    to(a[0], b).min(to(a[1], b)).min(to(b[0], a)).min(to(b[1], a))
}

/// Every pair, with its indices.
fn pairs<T>(items: &[T]) -> impl Iterator<Item = ((usize, usize), (&T, &T))> {
    items
        .iter()
        .enumerate()
        .flat_map(move |(i, a)| items.iter().enumerate().skip(i + 1).map(move |(j, b)| ((i, j), (a, b))))
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), Problem> {
    if count > max { Err(Problem::TooMany { what, count, max }) } else { Ok(()) }
}

fn in_range(what: &'static str, value: f32, min: f32, max: f32) -> Result<(), Problem> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(Problem::OutOfRange { what, min, max }) }
}

fn walkable(what: &'static str, index: usize, at: Vec2) -> Result<(), Problem> {
    if at.length() <= WALK_RADIUS { Ok(()) } else { Err(Problem::OutsideHall { what, index }) }
}

fn in_hall(what: &'static str, index: usize, at: Vec3) -> Result<(), Problem> {
    let inside = at.xz().length() <= WALL_RADIUS && (0.0..=CORNICE_HEIGHT).contains(&at.y);
    if inside { Ok(()) } else { Err(Problem::OutsideHall { what, index }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_between_edges() {
        let a = [Vec2::ZERO, Vec2::X];
        assert_eq!(segments_distance(a, [Vec2::new(0.5, -1.0), Vec2::new(0.5, 1.0)]), 0.0);
        assert!((segments_distance(a, [Vec2::new(0.0, 2.0), Vec2::new(1.0, 2.0)]) - 2.0).abs() < 1e-6);
        assert!((segments_distance(a, [Vec2::new(4.0, 4.0), Vec2::new(4.0, 9.0)]) - 5.0).abs() < 1e-6);
    }
}
