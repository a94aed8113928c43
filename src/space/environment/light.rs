//! The hall's light, computed once when it is built and kept in the vertices: the sky and the sun through the oculus,
//! sconces on the columns, lamps in the niches, the cove behind the cornice, and what bounces; by day or by night.
//! Analytic, CPU.
//!
//! Light is linear; 1.0 on a white surface is a well-lit white.

use std::f32::consts::{PI, TAU};

use bevy::math::{Vec2, Vec3, Vec3Swizzles};

use super::plan::{niche_angles, on_wall};
use crate::space::geometry::{
    COLUMN_RADIUS, DOME_BASE_HEIGHT, DOME_RISE, GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, OCULUS_RADIUS, WALL_RADIUS,
    column_angles,
};
use crate::space::layout::{LampLayout, Mood};

const WARM: Vec3 = Vec3::new(1.0, 0.56, 0.25);
const COVE: Vec3 = Vec3::new(1.0, 0.62, 0.32);
/// Height of a sconce on its column.
pub(super) const SCONCE_HEIGHT: f32 = 3.7;
/// Distance of a sconce from the hall's centre.
pub(super) const SCONCE_RADIUS: f32 = COLUMN_RADIUS - 0.52;
/// Towards the sun, per metre of height: where the pool of light falls.
const SUN_SLOPE: Vec2 = Vec2::new(0.205, 0.035);

/// What the time of day changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MoodLight {
    /// Light of the sky through the oculus, and of the sun or the moon in its pool.
    sky: Vec3,
    sun: Vec3,
    /// How strong lamps and cove burn, and what bounces.
    lamps: f32,
    cove: f32,
    ambient: Vec3,
    /// The oculus itself, seen from below, and the stone around it.
    pub sky_disc: Vec3,
    pub sky_rim: Vec3,
    /// What the shaft of light adds to what is behind it.
    pub beam: Vec3,
    /// Light on furniture from above and from around, as shares of the day's.
    pub furniture: [Vec3; 2],
}

impl MoodLight {
    pub(super) fn of(mood: Mood) -> Self {
        match mood {
            Mood::Day => Self {
                sky: Vec3::new(0.78, 0.90, 1.0),
                sun: Vec3::new(2.10, 1.764, 1.302),
                lamps: 1.0,
                cove: 1.0,
                ambient: Vec3::ONE,
                sky_disc: Vec3::new(3.0, 3.5, 4.0),
                sky_rim: Vec3::new(1.6, 1.75, 1.9),
                beam: Vec3::new(0.0300, 0.0258, 0.0192),
                furniture: [Vec3::ONE; 2],
            },
            Mood::Night => Self {
                sky: Vec3::new(0.050, 0.075, 0.145),
                sun: Vec3::new(0.15, 0.21, 0.36),
                lamps: 1.25,
                cove: 1.25,
                ambient: Vec3::new(0.58, 0.50, 0.48),
                sky_disc: Vec3::new(0.010, 0.018, 0.050),
                sky_rim: Vec3::new(0.035, 0.055, 0.110),
                beam: Vec3::new(0.0045, 0.0060, 0.0100),
                furniture: [Vec3::new(0.20, 0.24, 0.34), Vec3::splat(1.15)],
            },
        }
    }
}

struct Lamp {
    at: Vec3,
    colour: Vec3,
    power: f32,
    reach: f32,
}

/// All lights of the hall.
pub(super) struct Light {
    lamps: Vec<Lamp>,
    oculus: Vec3,
    mood: MoodLight,
}

impl Light {
    /// The hall's own lamps and these, at this time of day.
    pub(super) fn new(mood: &MoodLight, more: &[LampLayout]) -> Self {
        let sconces = column_angles().map(|angle| Lamp {
            at: on_wall(angle, SCONCE_RADIUS - 0.12, SCONCE_HEIGHT + 0.25),
            colour: WARM,
            power: 1.15 * mood.lamps,
            reach: 7.5,
        });
        let niches = niche_angles().map(|angle| Lamp {
            at: on_wall(angle, WALL_RADIUS - 0.05, 1.35),
            colour: WARM,
            power: 0.62 * mood.lamps,
            reach: 5.0,
        });
        let more =
            more.iter().map(|lamp| Lamp { at: lamp.at, colour: lamp.colour, power: lamp.power, reach: lamp.reach_m });
        let oculus = Vec3::Y * (DOME_BASE_HEIGHT + DOME_RISE);
        Self { lamps: sconces.chain(niches).chain(more).collect(), oculus, mood: *mood }
    }

    /// Light arriving at a point with this normal.
    pub(super) fn at(&self, point: Vec3, normal: Vec3) -> Vec3 {
        self.ambient(point, normal)
            + self.sky(point, normal)
            + self.sun(point, normal)
            + self.lamps(point, normal)
            + cove(point, normal) * self.mood.cove
    }

    /// Share of the light arriving here that is the sun's or the moon's, and would be missing in a shadow: 0..=1.
    pub(super) fn sun_share(&self, point: Vec3, normal: Vec3) -> f32 {
        let sun = self.sun(point, normal).element_sum();
        if sun > 0.0 { sun / self.at(point, normal).element_sum() } else { 0.0 }
    }

    /// What has bounced often enough to come from everywhere: cooler from above, warm from the floor.
    fn ambient(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let up = normal.y * 0.5 + 0.5;
        let below = Vec3::new(0.115, 0.078, 0.050);
        let above = Vec3::new(0.100, 0.098, 0.100);
        let high = (point.y / DOME_BASE_HEIGHT).clamp(0.0, 1.3);
        below.lerp(above, up) * self.mood.ambient * (1.0 - 0.18 * high)
    }

    fn sky(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let to = self.oculus - point;
        let distance_squared = to.length_squared().max(1.0);
        let direction = to / distance_squared.sqrt();
        let received = normal.dot(direction).max(0.0) * direction.y.max(0.0);
        self.mood.sky * (6.4 * PI * OCULUS_RADIUS * OCULUS_RADIUS * received / distance_squared)
    }

    /// The pool of sun- or moonlight: where the ray towards the sun leaves through the oculus.
    fn sun(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let rise = self.oculus.y - point.y;
        if rise <= 0.0 {
            return Vec3::ZERO;
        }
        let through = point.xz() + SUN_SLOPE * rise;
        let inside = 1.0 - smooth(OCULUS_RADIUS - 0.45, OCULUS_RADIUS + 0.18, through.length());
        let direction = towards_sun();
        self.mood.sun * (inside * normal.dot(direction).max(0.0))
    }

    fn lamps(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let mut sum = Vec3::ZERO;
        for lamp in &self.lamps {
            let to = lamp.at - point;
            let distance_squared = to.length_squared();
            if distance_squared > lamp.reach * lamp.reach {
                continue;
            }
            let distance = distance_squared.sqrt().max(1e-3);
            // A little wrap stands for the lamp's size and the light its surroundings throw back.
            let facing = ((normal.dot(to) / distance + 0.22) / 1.22).max(0.0);
            let fade = 1.0 - smooth(lamp.reach * 0.6, lamp.reach, distance);
            sum += lamp.colour * (lamp.power * facing * fade / (distance_squared + 0.18));
        }
        sum
    }

    /// Share of a point's view that the great wall's picture fills, cosine-weighted: how much of its glow it gets.
    pub(super) fn wall_share(&self, point: Vec3, normal: Vec3) -> f32 {
        const ACROSS: usize = 4;
        const UP: usize = 2;
        let height = GREAT_WALL_WIDTH * 9.0 / 16.0;
        let cell = GREAT_WALL_WIDTH * height / (ACROSS * UP) as f32;
        let mut sum = 0.0;
        for i in 0..ACROSS {
            for j in 0..UP {
                let across = ((i as f32 + 0.5) / ACROSS as f32 - 0.5) * GREAT_WALL_WIDTH;
                let up = ((j as f32 + 0.5) / UP as f32 - 0.5) * height;
                let to = GREAT_WALL_CENTRE + Vec3::new(across, up, 0.0) - point;
                let distance_squared = to.length_squared().max(0.4);
                let direction = to / distance_squared.sqrt();
                let emitted = (-direction.z).max(0.0);
                sum += normal.dot(direction).max(0.0) * emitted * cell / (PI * distance_squared);
            }
        }
        sum.min(1.0)
    }
}

/// Warm light from behind the cornice, up the dome.
fn cove(point: Vec3, normal: Vec3) -> Vec3 {
    let above = point.y - DOME_BASE_HEIGHT + 0.35;
    if above < 0.0 {
        return Vec3::ZERO;
    }
    let inwards = -normal.xz().dot(point.xz().normalize_or_zero());
    let facing = (0.55 * inwards.max(0.0) + 0.45 * (-normal.y).max(0.0) + 0.25).min(1.0);
    COVE * (0.95 * facing * (-above / 2.3).exp())
}

fn smooth(from: f32, to: f32, at: f32) -> f32 {
    let t = ((at - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Where the sun or the moon stands, as a direction.
pub(super) fn towards_sun() -> Vec3 {
    Vec3::new(SUN_SLOPE.x, 1.0, SUN_SLOPE.y).normalize()
}

/// Where the middle of the pool of sunlight lies on the floor, and the oculus it comes from.
pub(super) fn sun_beam() -> (Vec3, Vec3) {
    let top = Vec3::Y * (DOME_BASE_HEIGHT + DOME_RISE);
    let floor = -SUN_SLOPE * top.y;
    (Vec3::new(floor.x, 0.0, floor.y), top)
}

/// A full turn, in `count` steps; the last closes the first.
pub(super) fn turn(step: usize, count: usize) -> f32 {
    step as f32 / count as f32 * TAU
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sun_falls_on_the_floor_inside_the_hall() {
        let light = Light::new(&MoodLight::of(Mood::Day), &[]);
        let (pool, _) = sun_beam();
        assert!(pool.xz().length() < 6.0);
        let lit = light.at(pool, Vec3::Y);
        let dark = light.at(-pool, Vec3::Y);
        assert!(lit.x > 3.0 * dark.x, "{lit} beside {dark}");
        assert!(light.sun_share(pool, Vec3::Y) > 0.6 && light.sun_share(-pool, Vec3::Y) == 0.0);
    }

    #[test]
    fn at_night_the_lamps_light_the_hall() {
        let [day, night] = [Mood::Day, Mood::Night].map(|mood| Light::new(&MoodLight::of(mood), &[]));
        let (pool, _) = sun_beam();
        let on_floor = |light: &Light| light.at(pool, Vec3::Y).element_sum();
        assert!(on_floor(&night) < 0.4 * on_floor(&day), "no sun on the floor");
        let angle = column_angles().next().unwrap();
        let beside_a_lamp = |light: &Light| light.at(on_wall(angle, SCONCE_RADIUS - 0.6, SCONCE_HEIGHT), Vec3::Y);
        assert!(beside_a_lamp(&night).x > 0.5, "lamps burn: {}", beside_a_lamp(&night));
    }

    #[test]
    fn a_rooms_own_lamp_has_its_colour() {
        let mood = MoodLight::of(Mood::Night);
        let blue = LampLayout { at: Vec3::new(0.0, 2.0, 2.0), colour: Vec3::Z, power: 1.0, reach_m: 5.0 };
        let floor = Vec3::new(0.0, 0.0, 2.0);
        let added = Light::new(&mood, &[blue]).at(floor, Vec3::Y) - Light::new(&mood, &[]).at(floor, Vec3::Y);
        assert!(added.z > 0.1 && added.x.abs() < 1e-6, "{added}");
    }

    #[test]
    fn the_wall_lights_what_faces_it() {
        let light = Light::new(&MoodLight::of(Mood::Day), &[]);
        let front = light.wall_share(Vec3::new(0.0, 0.0, -4.0), Vec3::Y);
        let back = light.wall_share(Vec3::new(0.0, 0.0, 8.0), Vec3::Y);
        assert!(front > 2.0 * back && back > 0.0);
        assert_eq!(light.wall_share(Vec3::new(0.0, 2.0, 0.0), Vec3::Z), 0.0);
    }
}
