//! One's own picture: mirrored, small, in the lower right corner of the view, as long as a camera is published.

use bevy::prelude::*;

use super::{MARGIN_SHARE, style};
use crate::model::StreamKind;
use crate::space::participant::{CameraOff, LocalParticipant, Muted, Participant};
use crate::space::stream::{FaceAssets, FaceLook, Label, Publishes, StreamFeed, VideoFace, VideoMaterial, VideoStream};
use crate::space::view::{RoomCamera, in_every_view};

/// Distance from the eye, in metres: nearer than anything else may come.
const DISTANCE: f32 = 0.5;
/// Share of the view's width the picture takes.
const SHARE: f32 = 0.13;
/// The width its frame is measured for, in metres.
const FRAME_WIDTH: f32 = 0.2;

/// The mirrored own picture.
#[derive(Component, Debug)]
pub(super) struct SelfView;

type Me<'w, 's> = Query<
    'w,
    's,
    (&'static Participant, Option<&'static Publishes>, Has<Muted>, Has<CameraOff>),
    With<LocalParticipant>,
>;

/// Hangs it when there is something to show, takes it away when there is not.
pub(super) fn hang_self_view(
    mut commands: Commands,
    me: Me,
    streams: Query<&VideoStream, With<StreamFeed>>,
    mut views: Query<(Entity, &mut VideoFace, &mut FaceLook), With<SelfView>>,
    camera: Query<Entity, With<RoomCamera>>,
    assets: Res<FaceAssets>,
    mut materials: ResMut<Assets<VideoMaterial>>,
) {
    let own = me.iter().next().and_then(|(participant, publishes, muted, off)| {
        let stream = publishes?.iter().find(|stream| {
            streams.get(*stream).is_ok_and(|s| s.info.kind == StreamKind::Camera && s.info.video.is_some())
        })?;
        Some((participant, stream, muted, off))
    });
    match (own, views.iter_mut().next()) {
        (Some((_, stream, muted, off)), Some((_, mut face, mut look))) => {
            if face.stream != Some(stream) {
                face.stream = Some(stream);
            }
            let next = FaceLook { muted, covered: off, mirrored: true, ..*look };
            if *look != next {
                *look = next;
            }
        }
        (Some((participant, stream, ..)), None) => {
            let Some(camera) = camera.iter().next() else { return };
            let label = Label { pixels: Vec::new(), name_px: 0.0, initials_px: 0.0 };
            let mut style = style(participant.colour(), FRAME_WIDTH, &label);
            style.frame.y = 0.0;
            style.accent.w = 0.0;
            let material = materials.add(VideoMaterial::empty(&assets, style));
            commands.spawn((
                Name::new("own picture"),
                SelfView,
                in_every_view(),
                ChildOf(camera),
                VideoFace { stream: Some(stream) },
                FaceLook { mirrored: true, ..default() },
                Mesh3d(assets.quad.clone()),
                MeshMaterial3d(material),
                Transform::from_xyz(0.0, 0.0, -DISTANCE),
            ));
        }
        (None, Some((view, ..))) => commands.entity(view).despawn(),
        (None, None) => {}
    }
}

/// Keeps it in its corner while the window or the zoom changes.
pub(super) fn follow_self_view(
    camera: Query<&Projection, With<RoomCamera>>,
    mut views: Query<&mut Transform, With<SelfView>>,
) {
    let Some(Projection::Perspective(lens)) = camera.iter().next() else { return };
    let half = Vec2::new((lens.fov * 0.5).tan() * lens.aspect_ratio, (lens.fov * 0.5).tan()) * DISTANCE;
    let width = half.x * 2.0 * SHARE;
    // The face is the picture and the margin of its frame on each side.
    let size = Vec2::new(width, width * 9.0 / 16.0) + 2.0 * FRAME_WIDTH * MARGIN_SHARE;
    let at = Vec2::new(half.x - size.x * 0.66, -half.y + size.y * 0.72);
    for mut transform in &mut views {
        let goal = Transform::from_xyz(at.x, at.y, -DISTANCE).with_scale(size.extend(1.0));
        if *transform != goal {
            *transform = goal;
        }
    }
}
