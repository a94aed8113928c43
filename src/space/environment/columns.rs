//! Columns between the bays, and the sconces on them.

use bevy::math::Vec3;

use super::builder::{Builder, Lathe, SHINES};
use super::light::{SCONCE_HEIGHT, SCONCE_RADIUS};
use super::palette::{BRASS, LAMP_GLASS, MARBLE};
use super::plan::on_wall;
use crate::space::geometry::{COLUMN_RADIUS, CORNICE_HEIGHT, STEPS, column_angles};

const FOOT: f32 = STEPS[1].1;
const FLUTES: f32 = 12.0;

/// Every column.
pub(super) fn columns(builder: &mut Builder) {
    for angle in column_angles() {
        column(builder, on_wall(angle, COLUMN_RADIUS, 0.0), angle);
    }
}

fn column(builder: &mut Builder, axis: Vec3, angle: f32) {
    let head = CORNICE_HEIGHT - 0.55;
    let turned = |profile, segments, open| Lathe {
        profile,
        axis,
        segments,
        longest: 0.7,
        inside: false,
        tint: MARBLE,
        open,
        uv_radius: 0.4,
        ..Lathe::default()
    };
    let base = [
        (0.56, FOOT),
        (0.56, FOOT + 0.16),
        (0.50, FOOT + 0.17),
        (0.53, FOOT + 0.24),
        (0.49, FOOT + 0.31),
        (0.43, FOOT + 0.34),
        (0.46, FOOT + 0.40),
        (0.40, FOOT + 0.46),
    ];
    builder.lathe(&turned(&base, 24, 0.88), |_| 1.0);
    let shaft = [(0.395, FOOT + 0.46), (0.39, 2.6), (0.38, 4.2), (0.365, 5.8), (0.345, 7.2), (0.33, head - 0.62)];
    let mark = builder.mark();
    builder.lathe(&turned(&shaft, 48, 1.0), |around| 1.0 - 0.030 * (around * FLUTES).cos().max(0.0));
    // Flutes are shallow; what makes them is the light that does not reach their depth. The side towards the wall
    // gets little of any.
    let to_hall = -Vec3::new(angle.sin(), 0.0, -angle.cos());
    builder.shade_since(mark, |corner| {
        let out = (corner.at - axis) * Vec3::new(1.0, 0.0, 1.0);
        let around = out.x.atan2(-out.z);
        let flute = (around * FLUTES).cos().max(0.0);
        let behind = (-corner.normal.dot(to_hall)).max(0.0);
        corner.open *= (1.0 - 0.34 * flute) * (1.0 - 0.45 * behind);
    });
    let capital = [
        (0.33, head - 0.62),
        (0.38, head - 0.60),
        (0.38, head - 0.54),
        (0.335, head - 0.52),
        (0.36, head - 0.40),
        (0.47, head - 0.20),
        (0.56, head - 0.13),
        (0.56, head),
    ];
    builder.lathe(&turned(&capital, 24, 0.95), |_| 1.0);
    sconce(builder, angle);
}

/// A brass cup with a glass that shines, on a short arm.
fn sconce(builder: &mut Builder, angle: f32) {
    let axis = on_wall(angle, SCONCE_RADIUS, SCONCE_HEIGHT);
    let part =
        |profile, tint, open| Lathe { profile, axis, segments: 12, inside: false, tint, open, ..Lathe::default() };
    builder
        .lathe(&part(&[(0.0, -0.20), (0.035, -0.17), (0.05, -0.06), (0.095, 0.0), (0.10, 0.03)], BRASS, 1.0), |_| 1.0);
    builder.lathe(&part(&[(0.075, 0.02), (0.105, 0.20), (0.085, 0.36), (0.0, 0.40)], LAMP_GLASS, SHINES), |_| 1.0);
    let column = on_wall(angle, COLUMN_RADIUS - 0.34, SCONCE_HEIGHT - 0.10);
    let arm = on_wall(angle, SCONCE_RADIUS, SCONCE_HEIGHT - 0.10);
    let up = Vec3::Y * 0.025;
    let side = (column - arm).cross(Vec3::Y).normalize_or_zero() * 0.025;
    for (offset, spread) in [(up, side), (-up, side), (side, up), (-side, up)] {
        let at = [arm + offset - spread, arm + offset + spread, column + offset + spread, column + offset - spread];
        builder.face(at, [bevy::math::Vec2::ZERO; 4], arm + offset * 99.0, BRASS, [1.0; 4]);
    }
}
