//! Where a panel hangs: above its seat, turned towards the viewer, or on its tile in a flat view; moving there gently
//! when that changes.

use bevy::prelude::*;

use super::PanelOf;
use super::arrange::{FlatTile, flat_place};
use crate::space::participant::Seat;
use crate::space::stream::{FaceStyle, VideoMaterial};
use crate::space::view::RoomCamera;

/// How fast a panel moves to a new place, per second.
const MOVE_PER_SEC: f32 = 4.0;
/// The same in the flat views, where nothing stands between.
const FLAT_MOVE_PER_SEC: f32 = 11.0;

/// The transform of a panel at rest. Without a viewer it faces the hall's back.
pub(super) fn resting(seat: &Seat, viewer: Option<Vec3>, style: &FaceStyle) -> Transform {
    let (margin, plate) = (style.frame.x, style.frame.y);
    let centre = seat.panel - Vec3::Y * (plate * 0.5);
    let scale = Vec3::new(seat.size.x + 2.0 * margin, seat.size.y + plate + 2.0 * margin, 1.0);
    let to = viewer.unwrap_or(Vec3::new(0.0, 0.0, 40.0)) - centre;
    // Upright always; somebody standing in the panel sees it keep its last direction.
    let yaw = if to.x.hypot(to.z) > 0.3 { to.x.atan2(to.z) } else { 0.0 };
    Transform { translation: centre, rotation: Quat::from_rotation_y(yaw), scale }
}

/// Eases every panel to where it belongs.
pub(super) fn place_panels(
    time: Res<Time>,
    seats: Query<&Seat>,
    viewer: Query<&Transform, (With<RoomCamera>, Without<PanelOf>)>,
    mut panels: Query<(&PanelOf, Option<&FlatTile>, &MeshMaterial3d<VideoMaterial>, &mut Transform)>,
    materials: Res<Assets<VideoMaterial>>,
) {
    let eye = viewer.iter().next();
    let viewer = eye.map(|transform| transform.translation);
    for (of, tile, material, mut transform) in &mut panels {
        let (Ok(seat), Some(material)) = (seats.get(of.0), materials.get(material.id())) else { continue };
        let resting = resting(seat, viewer, &material.style);
        let (goal, per_sec) = match (tile, eye) {
            (Some(tile), Some(eye)) => (flat_place(eye, tile.0, seat.size.x, resting.scale), FLAT_MOVE_PER_SEC),
            _ => (resting, MOVE_PER_SEC),
        };
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
