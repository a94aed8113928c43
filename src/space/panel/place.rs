//! Where a panel hangs: above its seat, turned towards the viewer, or on its tile in a flat view; moving there gently
//! when that changes.

use bevy::prelude::*;

use super::PanelOf;
use super::arrange::{FlatTile, flat_place};
use crate::space::geometry::floor_height;
use crate::space::participant::{Presenting, Seat, Standing};
use crate::space::settings::Comfort;
use crate::space::stream::{FaceStyle, VideoMaterial};
use crate::space::view::{RoomCamera, Walker};

/// How fast a panel moves to a new place, per second.
const MOVE_PER_SEC: f32 = 4.0;
/// The same in the flat views, where nothing stands between.
const FLAT_MOVE_PER_SEC: f32 = 11.0;
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

type PanelData = (
    &'static PanelOf,
    Option<&'static FlatTile>,
    &'static MeshMaterial3d<VideoMaterial>,
    Ref<'static, Visibility>,
    &'static mut Transform,
);
type Viewer<'w, 's> = Query<'w, 's, (&'static Transform, &'static Walker), (With<RoomCamera>, Without<PanelOf>)>;

/// Eases every panel to where it belongs; one that was not seen is there at once, and does not fly in across the others.
pub(super) fn place_panels(
    (time, comfort): (Res<Time>, Res<Comfort>),
    seats: Query<(&Seat, Option<&Standing>, Option<&Presenting>)>,
    viewer: Viewer,
    mut panels: Query<PanelData>,
    materials: Res<Assets<VideoMaterial>>,
) {
    let viewer = viewer.iter().next();
    let eye = viewer.map(|(transform, _)| transform);
    // Where one stands, also while one looks at the wall from close by: back from there, everyone faces one already.
    let viewer = viewer.map(|(_, walker)| walker.pose().translation);
    for (of, tile, material, visibility, mut transform) in &mut panels {
        let (Ok((seat, standing, presenting)), Some(material)) = (seats.get(of.0), materials.get(material.id())) else {
            continue;
        };
        // Whoever presents is seen beside the wall, wherever they walk meanwhile.
        let goal = match presenting {
            Some(presenting) => resting(&seat.beside_wall(presenting.0), None, viewer, &material.style),
            None => resting(seat, standing, viewer, &material.style),
        };
        let walks = standing.is_some() && transform.translation.distance(goal.translation) < WALKS_WITHIN_M;
        let (goal, per_sec) = match (tile, eye) {
            (Some(tile), Some(eye)) => (flat_place(eye, tile.0, seat.size, material.style.frame.x), FLAT_MOVE_PER_SEC),
            _ => (goal, if walks { WALK_PER_SEC } else { MOVE_PER_SEC }),
        };
        let unseen = visibility.is_changed() || *visibility == Visibility::Hidden;
        let secs = match (unseen, walks) {
            (true, _) => f32::INFINITY,
            // Who walks is followed, with or without motion.
            (false, true) => time.delta_secs().min(0.25),
            (false, false) => comfort.motion_secs(&time),
        };
        let blend = 1.0 - (-per_sec * secs).exp();
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
