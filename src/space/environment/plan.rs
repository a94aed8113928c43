//! The hall's ground plan: which bay holds what, and how angles and points relate. Angles run clockwise from the great
//! wall (-Z), in radians.

use std::f32::consts::TAU;

use bevy::math::Vec3;

use crate::space::geometry::{BAYS, GREAT_WALL_SIDE_BAYS};

/// Angle between two bays.
pub(super) const BAY: f32 = TAU / BAYS as f32;
/// A point at this angle, distance from the centre and height.
pub(super) fn on_wall(angle: f32, radius: f32, height: f32) -> Vec3 {
    Vec3::new(angle.sin() * radius, height, -angle.cos() * radius)
}

/// Half the angle the great wall takes.
pub(super) fn great_wall_half_angle() -> f32 {
    (GREAT_WALL_SIDE_BAYS as f32 + 0.5) * BAY
}

/// The middle of each bay with a niche.
pub(super) fn niche_angles() -> impl Iterator<Item = f32> {
    let half = BAYS as i32 / 2;
    (1 - half..=half).filter(|bay| bay.unsigned_abs() > GREAT_WALL_SIDE_BAYS).map(|bay| bay as f32 * BAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::geometry::column_angles;

    #[test]
    fn bays_and_columns_add_up() {
        assert_eq!(niche_angles().count(), 13);
        assert_eq!(column_angles().count(), 14);
        assert!(on_wall(0.0, 5.0, 1.0).distance(Vec3::new(0.0, 1.0, -5.0)) < 1e-6);
    }
}
