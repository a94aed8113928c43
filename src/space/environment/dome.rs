//! The dome: rows of coffers that grow smaller towards the oculus, its gilded rim, and the sky.

use std::f32::consts::{FRAC_PI_2, TAU};

use bevy::math::{Vec2, Vec3};

use super::builder::{Builder, Lathe, SHINES};
use super::light::MoodLight;
use super::palette::{BRASS, COFFER, PLASTER};
use super::plan::on_wall;
use crate::space::geometry::{DOME_BASE_HEIGHT, DOME_RISE, OCULUS_RADIUS, WALL_RADIUS};

const BASE_RADIUS: f32 = WALL_RADIUS - 0.55;
const ROWS: usize = 5;
const COLUMNS: usize = 32;
/// Where the coffered part ends, as an angle up the dome.
const COFFERED_TO: f32 = 1.12;
const DEPTH: f32 = 0.34;
const RIB: f32 = 0.15;

/// A point of the dome: angle around, angle up (0 at its base, a quarter turn at the top), metres out of its surface.
fn dome_point(around: f32, up: f32, out: f32) -> Vec3 {
    let rise = DOME_RISE / oculus_angle().sin();
    on_wall(around, (BASE_RADIUS + out) * up.cos(), DOME_BASE_HEIGHT + (rise + out) * up.sin())
}

fn oculus_angle() -> f32 {
    (OCULUS_RADIUS / BASE_RADIUS).acos()
}

/// The whole dome.
pub(super) fn dome(builder: &mut Builder, mood: &MoodLight) {
    let centre = Vec3::Y * DOME_BASE_HEIGHT;
    let mut from = 0.05;
    for row in 0..ROWS {
        // Each row is lower than the one below it, as the ring is narrower.
        let share = 1.0 - 0.13 * row as f32;
        let total: f32 = (0..ROWS).map(|row| 1.0 - 0.13 * row as f32).sum();
        let to = from + (COFFERED_TO - 0.05) * share / total;
        for column in 0..COLUMNS {
            coffer(builder, column, from, to, centre);
        }
        from = to;
    }
    // The plain zones below and above the coffers.
    for (low, high) in [(0.0, 0.05), (COFFERED_TO, oculus_angle())] {
        builder.grid(96, 3, |u, v| {
            let (around, up) = (u * TAU, low + (high - low) * v);
            let at = dome_point(around, up, 0.0);
            super::builder::Corner {
                at,
                normal: (centre - at).normalize(),
                uv: Vec2::new(u * 24.0, up * 4.0),
                tint: PLASTER,
                open: 1.0,
            }
        });
    }
    rim(builder, mood);
}

fn coffer(builder: &mut Builder, column: usize, low: f32, high: f32, centre: Vec3) {
    let step = TAU / COLUMNS as f32;
    let (left, right) = (column as f32 * step, (column as f32 + 1.0) * step);
    let inset_around = step * RIB;
    let inset_up = (high - low) * RIB;
    let rect = |shrink: f32, out: f32| {
        let (a, u) = (inset_around * shrink, inset_up * shrink);
        [
            dome_point(left + a, low + u, out),
            dome_point(right - a, low + u, out),
            dome_point(right - a, high - u, out),
            dome_point(left + a, high - u, out),
        ]
    };
    let (edge, mouth, ledge, back) = (rect(0.0, 0.0), rect(1.0, 0.0), rect(1.35, DEPTH * 0.55), rect(2.1, DEPTH));
    let inner_ledge = rect(1.95, DEPTH * 0.55);
    let uv = |at: [Vec3; 4]| at.map(|p| Vec2::new(p.x + p.z, p.y) * 0.3);
    for i in 0..4 {
        let j = (i + 1) % 4;
        let strip = |a: [Vec3; 4], b: [Vec3; 4]| [a[i], a[j], b[j], b[i]];
        let mut add = |at: [Vec3; 4], tint: Vec3, open: [f32; 4]| builder.face(at, uv(at), centre, tint, open);
        add(strip(edge, mouth), PLASTER, [1.0; 4]);
        add(strip(mouth, ledge), PLASTER, [0.85, 0.85, 0.62, 0.62]);
        add(strip(ledge, inner_ledge), PLASTER * 0.95, [0.70; 4]);
        add(strip(inner_ledge, back), COFFER, [0.6, 0.6, 0.45, 0.45]);
    }
    builder.face(back, uv(back), centre, COFFER, [0.62; 4]);
}

/// The oculus: a gilded rim, its inner wall, and the sky above.
fn rim(builder: &mut Builder, mood: &MoodLight) {
    let top = DOME_BASE_HEIGHT + DOME_RISE;
    let r = OCULUS_RADIUS;
    let mut around = |profile: &[(f32, f32)], tint: Vec3, open: f32| {
        let axis = Vec3::Y * top;
        builder.lathe(&Lathe { profile, axis, segments: 64, tint, open, ..Lathe::default() }, |_| 1.0);
    };
    around(&[(r + 0.30, 0.0), (r + 0.26, -0.10), (r + 0.06, -0.10), (r, -0.02)], BRASS, 1.0);
    around(&[(r, -0.02), (r, 0.75)], PLASTER * mood.sky_rim, SHINES);
    around(&[(r, 0.75), (0.0, 0.75)], mood.sky_disc, SHINES);
    debug_assert!(COFFERED_TO < oculus_angle() && oculus_angle() < FRAC_PI_2);
}
