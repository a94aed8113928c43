//! What one bumps into: the wall, the columns, the chairs. Pure geometry on the floor; a step of any length is taken in
//! short pieces, so nobody passes through anything however rarely frames come.

use bevy::prelude::*;

use crate::space::geometry::{COLUMN_CLEARANCE, WALK_RADIUS, columns};

/// How near one comes to the middle of a chair, in metres: its back and half a person.
pub(super) const CHAIR_CLEARANCE: f32 = 0.62;
/// Pieces of a step are at most this long, in metres.
const PIECE_M: f32 = 0.12;
/// More pieces than this are not walked but a leap, which is cut short.
const MAX_PIECES: f32 = 64.0;

/// Walks from a place by a step as far as things allow, sliding along what stands in the way.
pub(super) fn slide(from: Vec2, by: Vec2, chairs: &[Vec2]) -> Vec2 {
    if !by.is_finite() {
        return from;
    }
    let pieces = (by.length() / PIECE_M).ceil().clamp(1.0, MAX_PIECES);
    let piece = (by / pieces).clamp_length_max(PIECE_M);
    (0..pieces as u32).fold(from, |at, _| clear(at, at + piece, chairs))
}

/// One short piece. Who already is closer to something than allowed, because a chair was put where they stood, may go
/// away from it but not nearer.
fn clear(from: Vec2, to: Vec2, chairs: &[Vec2]) -> Vec2 {
    let things =
        || chairs.iter().map(|chair| (*chair, CHAIR_CLEARANCE)).chain(columns().map(|c| (c, COLUMN_CLEARANCE)));
    let room = WALK_RADIUS.max(from.length());
    let mut at = to.clamp_length_max(room);
    // Out of the way of one may be into that of the next.
    for _ in 0..3 {
        for (thing, clearance) in things() {
            at = push_out(at, thing, clearance.min(from.distance(thing)));
        }
        at = at.clamp_length_max(room);
    }
    let wedged = things().any(|(thing, clearance)| at.distance(thing) < clearance.min(from.distance(thing)) - 1e-3);
    let thrown = at.distance(from) > to.distance(from) + 1e-3;
    if wedged || thrown { from } else { at }
}

fn push_out(at: Vec2, thing: Vec2, clearance: f32) -> Vec2 {
    let away = at - thing;
    if away.length_squared() >= clearance * clearance {
        return at;
    }
    thing + away.try_normalize().unwrap_or(Vec2::Y) * clearance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::geometry::VIEWPOINT;
    use crate::space::participant::seat_plan;

    fn chairs(people: usize) -> Vec<Vec2> {
        seat_plan(people).seats.iter().map(|seat| seat.place.xz()).collect()
    }

    #[test]
    fn nobody_leaves_the_hall_or_walks_through_a_chair_or_a_column_at_any_frame_rate() {
        let all: Vec<Vec2> = chairs(50);
        for step_m in [0.02, 0.3, 2.0, 40.0] {
            for direction in 0..64 {
                let by = Vec2::from_angle(direction as f32 * 0.1) * step_m;
                let mut at = VIEWPOINT;
                for _ in 0..(20.0 / step_m).ceil() as usize {
                    let before = at;
                    at = slide(at, by, &all);
                    assert!(at.distance(before) <= step_m * 1.2 + 1e-3, "nothing throws anybody");
                }
                assert!(at.length() <= WALK_RADIUS + 1e-3, "{at} is outside");
                let nearest = |things: &mut dyn Iterator<Item = Vec2>| {
                    things.map(|thing| thing.distance(at)).fold(f32::MAX, f32::min)
                };
                assert!(nearest(&mut all.iter().copied()) >= CHAIR_CLEARANCE - 2e-3, "in a chair at {at}");
                assert!(nearest(&mut columns()) >= COLUMN_CLEARANCE - 2e-3, "in a column at {at}");
            }
        }
    }

    #[test]
    fn a_chair_in_the_way_is_walked_around_and_not_through() {
        let chair = [Vec2::new(0.05, 0.0)];
        let mut at = Vec2::new(0.0, 3.0);
        let mut nearest = f32::MAX;
        for _ in 0..400 {
            at = slide(at, Vec2::new(0.0, -0.05), &chair);
            nearest = nearest.min(at.distance(chair[0]));
        }
        assert!(nearest >= CHAIR_CLEARANCE - 1e-3, "{nearest}");
        assert!(at.y < -1.0, "past it at {at}");
        let leap = slide(Vec2::new(0.05, 3.0), Vec2::new(0.0, -6.0), &chair);
        assert!(leap.y > 0.0, "one long step straight at it ends before it: {leap}");
    }

    #[test]
    fn who_sits_in_a_chair_can_get_up() {
        let chair = [Vec2::ZERO];
        let up = slide(Vec2::new(0.0, 0.01), Vec2::new(0.0, 0.1), &chair);
        assert!(up.y > 0.1, "{up}");
        let mut at = up;
        for _ in 0..40 {
            at = slide(at, Vec2::new(0.05, 0.05), &chair);
        }
        assert!(at.length() > CHAIR_CLEARANCE);
        assert_eq!(slide(at, Vec2::new(f32::NAN, 0.0), &chair), at);
    }

    #[test]
    fn every_seat_of_a_full_hall_can_be_left() {
        for people in [1, 9, 25, 50] {
            let all = chairs(people);
            for chair in &all {
                let out = (0..16).any(|direction| {
                    let by = Vec2::from_angle(direction as f32 * std::f32::consts::TAU / 16.0) * 0.05;
                    let end = (0..60).fold(*chair, |at, _| slide(at, by, &all));
                    end.distance(*chair) > 1.0
                });
                assert!(out, "{people} people: nobody gets out of the chair at {chair}");
            }
        }
    }
}
