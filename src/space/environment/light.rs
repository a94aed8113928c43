//! The hall's light, computed once when it is built and kept in the vertices: the sky and the sun through the oculus,
//! sconces on the columns, lamps in the niches, the cove behind the cornice, and what bounces. Analytic, CPU, at start.
//!
//! Light is linear; 1.0 on a white surface is a well-lit white.

use std::f32::consts::{PI, TAU};

use bevy::math::{Vec2, Vec3, Vec3Swizzles};

use super::plan::{niche_angles, on_wall};
use crate::space::geometry::{
    COLUMN_RADIUS, DOME_BASE_HEIGHT, DOME_RISE, GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, OCULUS_RADIUS, WALL_RADIUS,
    column_angles,
};

const WARM: Vec3 = Vec3::new(1.0, 0.56, 0.25);
const COVE: Vec3 = Vec3::new(1.0, 0.62, 0.32);
const SKY: Vec3 = Vec3::new(0.78, 0.90, 1.0);
const SUN: Vec3 = Vec3::new(1.0, 0.84, 0.62);
/// Height of a sconce on its column.
pub(super) const SCONCE_HEIGHT: f32 = 3.7;
/// Distance of a sconce from the hall's centre.
pub(super) const SCONCE_RADIUS: f32 = COLUMN_RADIUS - 0.52;
/// Towards the sun, per metre of height: where the pool of light falls.
const SUN_SLOPE: Vec2 = Vec2::new(0.205, 0.035);

struct Lamp {
    at: Vec3,
    power: f32,
    reach: f32,
}

/// All lights of the hall.
pub(super) struct Light {
    lamps: Vec<Lamp>,
    oculus: Vec3,
}

impl Light {
    pub(super) fn new() -> Self {
        let sconces = column_angles().map(|angle| Lamp {
            at: on_wall(angle, SCONCE_RADIUS - 0.12, SCONCE_HEIGHT + 0.25),
            power: 1.15,
            reach: 7.5,
        });
        let niches =
            niche_angles().map(|angle| Lamp { at: on_wall(angle, WALL_RADIUS - 0.05, 1.35), power: 0.62, reach: 5.0 });
        let oculus = Vec3::Y * (DOME_BASE_HEIGHT + DOME_RISE);
        Self { lamps: sconces.chain(niches).collect(), oculus }
    }

    /// Light arriving at a point with this normal.
    pub(super) fn at(&self, point: Vec3, normal: Vec3) -> Vec3 {
        self.ambient(point, normal)
            + self.sky(point, normal)
            + self.sun(point, normal)
            + self.lamps(point, normal)
            + cove(point, normal)
    }

    /// What has bounced often enough to come from everywhere: cooler from above, warm from the floor.
    fn ambient(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let up = normal.y * 0.5 + 0.5;
        let below = Vec3::new(0.115, 0.078, 0.050);
        let above = Vec3::new(0.100, 0.098, 0.100);
        let high = (point.y / DOME_BASE_HEIGHT).clamp(0.0, 1.3);
        below.lerp(above, up) * (1.0 - 0.18 * high)
    }

    fn sky(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let to = self.oculus - point;
        let distance_squared = to.length_squared().max(1.0);
        let direction = to / distance_squared.sqrt();
        let received = normal.dot(direction).max(0.0) * direction.y.max(0.0);
        SKY * (6.4 * PI * OCULUS_RADIUS * OCULUS_RADIUS * received / distance_squared)
    }

    /// The pool of sunlight: where the ray towards the sun leaves through the oculus.
    fn sun(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let rise = self.oculus.y - point.y;
        if rise <= 0.0 {
            return Vec3::ZERO;
        }
        let through = point.xz() + SUN_SLOPE * rise;
        let inside = 1.0 - smooth(OCULUS_RADIUS - 0.45, OCULUS_RADIUS + 0.18, through.length());
        let direction = Vec3::new(SUN_SLOPE.x, 1.0, SUN_SLOPE.y).normalize();
        SUN * (2.1 * inside * normal.dot(direction).max(0.0))
    }

    fn lamps(&self, point: Vec3, normal: Vec3) -> Vec3 {
        let mut sum = 0.0;
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
            sum += lamp.power * facing * fade / (distance_squared + 0.18);
        }
        WARM * sum
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
        let light = Light::new();
        let (pool, _) = sun_beam();
        assert!(pool.xz().length() < 6.0);
        let lit = light.at(pool, Vec3::Y);
        let dark = light.at(-pool, Vec3::Y);
        assert!(lit.x > 3.0 * dark.x, "{lit} beside {dark}");
    }

    #[test]
    fn the_wall_lights_what_faces_it() {
        let light = Light::new();
        let front = light.wall_share(Vec3::new(0.0, 0.0, -4.0), Vec3::Y);
        let back = light.wall_share(Vec3::new(0.0, 0.0, 8.0), Vec3::Y);
        assert!(front > 2.0 * back && back > 0.0);
        assert_eq!(light.wall_share(Vec3::new(0.0, 2.0, 0.0), Vec3::Z), 0.0);
    }
}
