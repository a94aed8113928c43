//! The measures of the hall, in metres, in one place: what is built, where one may walk and where pictures hang all
//! follow from these. Y is up, the great wall is at -Z, the floor's centre is the origin.

use std::f32::consts::TAU;

use bevy::math::{Vec2, Vec3};

/// Inner radius of the hall's wall.
pub const WALL_RADIUS: f32 = 10.9;
/// Radius on which the columns stand.
pub const COLUMN_RADIUS: f32 = 10.15;
/// Where the wall ends and the cornice begins.
pub const CORNICE_HEIGHT: f32 = 9.3;
/// Where the dome springs.
pub const DOME_BASE_HEIGHT: f32 = 10.1;
/// Height of the dome above its base.
pub const DOME_RISE: f32 = 7.4;
/// Radius of the opening in the dome.
pub const OCULUS_RADIUS: f32 = 2.1;
/// Bays of the wall, each with a niche or a piece of the great wall.
pub const BAYS: u32 = 16;

/// Inner radius and height of each ring step, from the inside out.
pub const STEPS: [(f32, f32); 2] = [(6.5, 0.34), (8.15, 0.68)];

/// How far from the centre one may walk.
pub const WALK_RADIUS: f32 = 9.3;
/// How near one comes to the middle of a column: its base and half a person.
pub const COLUMN_CLEARANCE: f32 = 0.85;
/// Height of the eyes above the floor.
pub const EYE_HEIGHT: f32 = 1.72;
/// The same, sitting.
pub const SEATED_EYE_HEIGHT: f32 = 1.32;

/// Where the local participant stands at first: at the back, on the upper step.
pub const VIEWPOINT: Vec2 = Vec2::new(0.0, 8.7);
/// Where they look at first.
pub const FIRST_LOOK: Vec3 = Vec3::new(0.0, 3.95, -WALL_RADIUS);

/// Centre of the great wall's picture.
pub const GREAT_WALL_CENTRE: Vec3 = Vec3::new(0.0, 6.08, -9.35);
/// Width of the great wall's picture; its height is 9/16 of that.
pub const GREAT_WALL_WIDTH: f32 = 7.9;
/// Height of a picture, as a share of its width: 16 to 9, as `shaders/video.wgsl` has it, too.
pub const PICTURE_ASPECT: f32 = 9.0 / 16.0;

/// Bays on each side of the middle one that belong to the great wall: no columns stand before it.
pub const GREAT_WALL_SIDE_BAYS: u32 = 1;

/// Where columns stand, clockwise from the great wall (-Z), radians: between bays.
pub fn column_angles() -> impl Iterator<Item = f32> {
    let bay = TAU / BAYS as f32;
    (GREAT_WALL_SIDE_BAYS..BAYS - GREAT_WALL_SIDE_BAYS).map(move |after| (after as f32 + 0.5) * bay)
}

/// The feet of the columns.
pub fn columns() -> impl Iterator<Item = Vec2> {
    column_angles().map(|angle| Vec2::new(angle.sin(), -angle.cos()) * COLUMN_RADIUS)
}

/// Height of the floor at a distance from the centre, walked: steps are ramped over a short run.
pub fn floor_height(radius: f32) -> f32 {
    const RUN: f32 = 0.35;
    let mut below = 0.0;
    let mut height = 0.0;
    for (inner, step) in STEPS {
        let t = ((radius - (inner - RUN * 0.5)) / RUN).clamp(0.0, 1.0);
        height += (step - below) * t * t * (3.0 - 2.0 * t);
        below = step;
    }
    height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_rises_in_steps() {
        assert_eq!(floor_height(0.0), 0.0);
        assert!((floor_height(7.4) - STEPS[0].1).abs() < 1e-6);
        assert!((floor_height(9.0) - STEPS[1].1).abs() < 1e-6);
        assert!(VIEWPOINT.length() < WALK_RADIUS);
    }
}
