//! The first face would stop the frame while its pipeline is compiled; so one is drawn, out of sight, at the start.

use bevy::camera::visibility::NoFrustumCulling;
use bevy::prelude::*;

use super::style;
use crate::space::stream::{FaceAssets, Label, VideoFace, VideoMaterial};

/// Frames the stand-in stays: enough for a pipeline to be queued and compiled in the background.
const WARM_FRAMES: u32 = 90;

/// The stand-in.
#[derive(Component, Debug)]
pub(super) struct WarmUp {
    frames_left: u32,
}

/// Draws a face deep below the floor.
pub(super) fn warm_up_faces(
    mut commands: Commands,
    assets: Res<FaceAssets>,
    mut materials: ResMut<Assets<VideoMaterial>>,
) {
    let label = Label { pixels: Vec::new(), name_px: 0.0, initials_px: 0.0 };
    let material = materials.add(VideoMaterial::empty(&assets, style(LinearRgba::WHITE, 0.1, &label)));
    commands.spawn((
        Name::new("warm-up face"),
        WarmUp { frames_left: WARM_FRAMES },
        VideoFace::default(),
        NoFrustumCulling,
        Mesh3d(assets.quad.clone()),
        MeshMaterial3d(material),
        Transform::from_xyz(0.0, -60.0, 0.0).with_scale(Vec3::splat(0.1)),
    ));
}

/// Takes it away again.
pub(super) fn end_warm_up(mut commands: Commands, mut stand_ins: Query<(Entity, &mut WarmUp)>) {
    for (entity, mut warm) in &mut stand_ins {
        warm.frames_left = warm.frames_left.saturating_sub(1);
        if warm.frames_left == 0 {
            commands.entity(entity).despawn();
        }
    }
}
