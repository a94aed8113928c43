//! Going somewhere without walking: to a seat, or back to the first view. Eased from where one is; a step ends it.

use std::f32::consts::PI;

use bevy::prelude::*;

use crate::space::geometry::{EYE_HEIGHT, FIRST_LOOK, GREAT_WALL_CENTRE, SEATED_EYE_HEIGHT, VIEWPOINT, floor_height};
use crate::space::participant::Seat;

/// How long it takes: at least and at most, in seconds, and for each metre.
const SHORTEST_SECS: f32 = 0.45;
const LONGEST_SECS: f32 = 1.5;
const SECS_PER_M: f32 = 0.11;

/// Where somebody is and looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Station {
    /// On the floor, metres.
    pub ground: Vec2,
    /// Height of the eyes above the floor, metres.
    pub eye_m: f32,
    /// Direction of view to the left of -Z, radians.
    pub yaw: f32,
    /// Upwards, radians.
    pub pitch: f32,
}

impl Station {
    /// With the eyes this high above the floor at `ground`, looking at `target`.
    pub fn looking_at(ground: Vec2, eye_m: f32, target: Vec3) -> Self {
        let to = target - Vec3::new(ground.x, floor_height(ground.length()) + eye_m, ground.y);
        Self { ground, eye_m, yaw: (-to.x).atan2(-to.z), pitch: to.y.atan2(to.x.hypot(to.z)) }
    }

    /// At the back of the hall, where everyone begins.
    pub fn first() -> Self {
        Self::looking_at(VIEWPOINT, EYE_HEIGHT, FIRST_LOOK)
    }

    /// Sitting, looking at the great wall.
    pub fn in_seat(seat: &Seat) -> Self {
        Self::looking_at(seat.place.xz(), SEATED_EYE_HEIGHT, GREAT_WALL_CENTRE)
    }
}

/// On the way from one station to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flight {
    from: Station,
    to: Station,
    for_secs: f32,
    takes_secs: f32,
}

impl Flight {
    pub(super) fn new(from: Station, to: Station) -> Self {
        let takes_secs = (SHORTEST_SECS + SECS_PER_M * from.ground.distance(to.ground)).min(LONGEST_SECS);
        Self { from, to, for_secs: 0.0, takes_secs }
    }

    /// Goes on; `None` when it has arrived.
    pub(super) fn go_on(self, dt_secs: f32) -> (Station, Option<Self>) {
        let for_secs = self.for_secs + dt_secs.max(0.0);
        let share = for_secs / self.takes_secs;
        if share >= 1.0 {
            return (self.to, None);
        }
        // Starts and ends without a jerk.
        let eased = share * share * share * (share * (share * 6.0 - 15.0) + 10.0);
        let turn = (self.to.yaw - self.from.yaw + PI).rem_euclid(2.0 * PI) - PI;
        let station = Station {
            ground: self.from.ground.lerp(self.to.ground, eased),
            eye_m: self.from.eye_m.lerp(self.to.eye_m, eased),
            yaw: self.from.yaw + turn * eased,
            pitch: self.from.pitch.lerp(self.to.pitch, eased),
        };
        (station, Some(Self { for_secs, ..self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_smooth_takes_the_short_way_round_and_ends_where_it_should() {
        let from = Station { yaw: 3.0, ..Station::first() };
        let to = Station { ground: Vec2::new(3.0, -4.0), eye_m: 1.3, yaw: -3.0, pitch: 0.2 };
        let mut flight = Some(Flight::new(from, to));
        let (mut at, mut fastest, mut frames) = (from, 0.0_f32, 0);
        while let Some(going) = flight {
            let (next, rest) = going.go_on(0.016);
            fastest = fastest.max(next.ground.distance(at.ground));
            assert!(next.yaw.abs() >= 2.99, "through the back: {}", next.yaw);
            (at, flight, frames) = (next, rest, frames + 1);
        }
        assert_eq!(at, to);
        assert!((60..=95).contains(&frames), "{frames} frames");
        assert!(fastest < 0.35, "no frame leaps: {fastest} m");
    }

    #[test]
    fn a_seat_looks_at_the_wall_from_below() {
        let seat = crate::space::participant::seat_plan(1).seats[0];
        let station = Station::in_seat(&seat);
        assert!(station.yaw.abs() < 1e-3 && station.pitch > 0.2, "{station:?}");
    }
}
