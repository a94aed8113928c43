//! Where a panel hangs: above its seat, turned towards the viewer, or on its tile in a flat view; moving there gently
//! when that changes.

use bevy::prelude::*;

use super::arrange::{FlatTile, flat_place};
use super::{PLATE_SHARE, PanelOf};
use crate::space::geometry::{GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, floor_height};
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

/// Distance from the hall's centre of those who stand beside the wall: before the columns.
const BESIDE_RADIUS: f32 = 9.25;
/// How far from the middle the nearest to the wall begins, along the round wall: beside the great picture's frame.
const BESIDE_FROM_M: f32 = GREAT_WALL_WIDTH * 0.5 + 0.6;
/// Between two who stand on the same side.
const BESIDE_GAP_M: f32 = 0.5;

/// The place beside the wall of someone who presents: their panel keeps its size, stands as low as the great picture,
/// to its left or right by rank.
pub(super) fn beside_wall(seat: &Seat, rank: usize) -> Seat {
    let side = if rank.is_multiple_of(2) { -1.0 } else { 1.0 };
    let across = BESIDE_FROM_M + (rank / 2) as f32 * (seat.size.x + BESIDE_GAP_M) + seat.size.x * 0.5;
    // Along the round wall: what is further from the middle is nearer to the audience.
    let angle = (across / BESIDE_RADIUS).min(1.5);
    let bottom = GREAT_WALL_CENTRE.y - GREAT_WALL_WIDTH * 9.0 / 32.0;
    let panel = Vec3::new(
        side * BESIDE_RADIUS * angle.sin(),
        // The name plate hangs below the picture.
        bottom + seat.size.x * PLATE_SHARE + seat.size.y * 0.5,
        -BESIDE_RADIUS * angle.cos(),
    );
    Seat { panel, ..*seat }
}

type Viewer<'w, 's> = Query<'w, 's, (&'static Transform, &'static Walker), (With<RoomCamera>, Without<PanelOf>)>;

/// Eases every panel to where it belongs.
pub(super) fn place_panels(
    (time, comfort): (Res<Time>, Res<Comfort>),
    seats: Query<(&Seat, Option<&Standing>, Option<&Presenting>)>,
    viewer: Viewer,
    mut panels: Query<(&PanelOf, Option<&FlatTile>, &MeshMaterial3d<VideoMaterial>, &mut Transform)>,
    materials: Res<Assets<VideoMaterial>>,
) {
    let viewer = viewer.iter().next();
    let eye = viewer.map(|(transform, _)| transform);
    // Where one stands, also while one looks at the wall from close by: back from there, everyone faces one already.
    let viewer = viewer.map(|(_, walker)| walker.pose().translation);
    for (of, tile, material, mut transform) in &mut panels {
        let (Ok((seat, standing, presenting)), Some(material)) = (seats.get(of.0), materials.get(material.id())) else {
            continue;
        };
        // Whoever presents is seen beside the wall, wherever they walk meanwhile.
        let goal = match presenting {
            Some(presenting) => resting(&beside_wall(seat, presenting.0), None, viewer, &material.style),
            None => resting(seat, standing, viewer, &material.style),
        };
        let walks = standing.is_some() && transform.translation.distance(goal.translation) < WALKS_WITHIN_M;
        let (goal, per_sec) = match (tile, eye) {
            (Some(tile), Some(eye)) => {
                let scale = resting(seat, None, viewer, &material.style).scale;
                (flat_place(eye, tile.0, seat.size.x, scale), FLAT_MOVE_PER_SEC)
            }
            _ => (goal, if walks { WALK_PER_SEC } else { MOVE_PER_SEC }),
        };
        // Who walks is followed, with or without motion.
        let secs = if walks { time.delta_secs().min(0.25) } else { comfort.motion_secs(&time) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::geometry::{CORNICE_HEIGHT, VIEWPOINT};
    use crate::space::participant::seat_plan;

    #[test]
    fn presenters_stand_on_both_sides_of_the_wall_and_hide_nothing() {
        for people in [1, 5, 30] {
            let seats = seat_plan(people).seats;
            let places: Vec<Seat> = (0..5).map(|rank| beside_wall(&seats[0], rank)).collect();
            assert!(places[0].panel.x < 0.0 && places[1].panel.x > 0.0, "the first left, the second right");
            for place in &places {
                let inner = place.panel.x.abs() - place.size.x * 0.5;
                let eye = Vec3::new(VIEWPOINT.x, 2.4, VIEWPOINT.y);
                // Seen from the viewpoint, in the plane of the great picture.
                let there =
                    eye + (place.panel.with_x(inner) - eye) * (eye.z - GREAT_WALL_CENTRE.z) / (eye.z - place.panel.z);
                assert!(there.x > GREAT_WALL_WIDTH * 0.5, "{people} people: {place:?} hides the picture");
                assert!(place.panel.y + place.size.y * 0.5 < CORNICE_HEIGHT);
                assert_eq!(place.size, seats[0].size);
            }
            for pair in [(0, 2), (1, 3), (2, 4)] {
                let apart = places[pair.0].panel.distance(places[pair.1].panel);
                assert!(apart > seats[0].size.x * 0.9, "{people} people: {pair:?} are {apart} m apart");
            }
        }
    }
}
