//! Where a panel hangs: above its seat, turned towards the viewer, moving there gently when seats change.

use bevy::prelude::*;

use super::PanelOf;
use crate::space::geometry::floor_height;
use crate::space::participant::{Seat, Standing};
use crate::space::stream::{FaceStyle, VideoMaterial};
use crate::space::view::RoomCamera;

/// How fast a panel moves to a new place, per second.
const MOVE_PER_SEC: f32 = 4.0;
/// The same for one who walks, which is smooth already; while they get up they are further from their panel than this.
const WALK_PER_SEC: f32 = 16.0;
const WALKS_WITHIN_M: f32 = 2.0;
/// Width of the picture of one who stands, and the height of its middle above the floor, in metres: a little larger than
/// life, at the height of a head.
const STANDING_WIDTH_M: f32 = 1.15;
const STANDING_HEIGHT_M: f32 = 1.62;

/// The transform of a panel at rest: above the seat, or where its owner stands. Without a viewer it faces the hall's back.
pub(super) fn resting(seat: &Seat, standing: Option<&Standing>, viewer: Option<Vec3>, style: &FaceStyle) -> Transform {
    let (margin, plate) = (style.frame.x, style.frame.y);
    let mut centre = seat.panel - Vec3::Y * (plate * 0.5);
    let mut scale = Vec3::new(seat.size.x + 2.0 * margin, seat.size.y + plate + 2.0 * margin, 1.0);
    if let Some(Standing { ground, .. }) = standing {
        // The whole face grows or shrinks; its style knows the seat's size only.
        let share = STANDING_WIDTH_M / seat.size.x.max(0.01);
        centre = Vec3::new(ground.x, floor_height(ground.length()) + STANDING_HEIGHT_M - plate * 0.5 * share, ground.y);
        scale = (scale * share).with_z(1.0);
    }
    let to = viewer.unwrap_or(Vec3::new(0.0, 0.0, 40.0)) - centre;
    // Upright always; somebody standing in the panel sees it keep its last direction.
    let yaw = if to.x.hypot(to.z) > 0.3 { to.x.atan2(to.z) } else { 0.0 };
    Transform { translation: centre, rotation: Quat::from_rotation_y(yaw), scale }
}

/// Eases every panel to where it belongs.
pub(super) fn place_panels(
    time: Res<Time>,
    seats: Query<(&Seat, Option<&Standing>)>,
    viewer: Query<&Transform, (With<RoomCamera>, Without<PanelOf>)>,
    mut panels: Query<(&PanelOf, &MeshMaterial3d<VideoMaterial>, &mut Transform)>,
    materials: Res<Assets<VideoMaterial>>,
) {
    let viewer = viewer.iter().next().map(|transform| transform.translation);
    for (of, material, mut transform) in &mut panels {
        let (Ok((seat, standing)), Some(material)) = (seats.get(of.0), materials.get(material.id())) else { continue };
        let goal = resting(seat, standing, viewer, &material.style);
        let walks = standing.is_some() && transform.translation.distance(goal.translation) < WALKS_WITHIN_M;
        let per_sec = if walks { WALK_PER_SEC } else { MOVE_PER_SEC };
        let blend = 1.0 - (-per_sec * time.delta_secs().min(0.25)).exp();
        let near = transform.translation.distance_squared(goal.translation) < 1e-6
            && transform.scale.distance_squared(goal.scale) < 1e-6
            && transform.rotation.angle_between(goal.rotation) < 1e-3;
        if !near {
            transform.translation = transform.translation.lerp(goal.translation, blend);
            transform.scale = transform.scale.lerp(goal.scale, blend);
            transform.rotation = transform.rotation.slerp(goal.rotation, blend);
        }
    }
}
