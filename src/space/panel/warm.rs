//! The first face of a kind would be missing for some frames while its pipeline is compiled; so one of each is drawn, out
//! of sight, at the start.

use bevy::camera::visibility::NoFrustumCulling;
use bevy::prelude::*;

use super::style;
use crate::space::stream::{FaceAssets, FaceStyle, Label, VideoMaterial};

/// Frames the stand-in stays: enough for a pipeline to be queued and compiled in the background.
const WARM_FRAMES: u32 = 90;

/// Kind, whether with mipmaps, whether with signs: those that come.
const KINDS: [(f32, bool, bool); 7] = [
    (FaceStyle::PERSON, false, false),
    (FaceStyle::PERSON, false, true),
    // A shared page in the flat views.
    (FaceStyle::PERSON, true, false),
    (FaceStyle::WALL, false, false),
    (FaceStyle::WALL, true, false),
    (FaceStyle::WALL, true, true),
    (FaceStyle::DOT, false, false),
];

/// A stand-in.
#[derive(Component, Debug)]
pub(super) struct WarmUp {
    frames_left: u32,
}

/// Draws faces deep below the floor.
pub(super) fn warm_up_faces(
    mut commands: Commands,
    assets: Res<FaceAssets>,
    mut materials: ResMut<Assets<VideoMaterial>>,
) {
    let label = Label { pixels: Vec::new(), name_px: 0.0, initials_px: 0.0 };
    let style = style(LinearRgba::WHITE, 0.1, &label);
    for (kind, mipmaps, signs) in KINDS {
        let style = FaceStyle { text: style.text.with_w(kind), ..style };
        let material = materials.add(VideoMaterial { mipmaps, signs, ..VideoMaterial::empty(&assets, style) });
        commands.spawn((
            Name::new("warm-up face"),
            WarmUp { frames_left: WARM_FRAMES },
            Mesh3d(assets.quad.clone()),
            MeshMaterial3d(material),
            NoFrustumCulling,
            Transform::from_xyz(0.0, -60.0, 0.0).with_scale(Vec3::splat(0.1)),
        ));
    }
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
