//! One's own picture: mirrored, small, in the lower right corner of the view, as long as a camera is published; above the
//! bar where the view is too narrow for both, and out of the way while one looks at the wall from close by.

use bevy::prelude::*;

use super::{MARGIN_SHARE, style, view_size};
use crate::model::StreamKind;
use crate::space::geometry::PICTURE_ASPECT;
use crate::space::participant::{CameraOff, LocalParticipant, Muted, Participant};
use crate::space::settings::{BAR_PT, Comfort, overlay_zoom};
use crate::space::stream::{FaceAssets, FaceLook, Label, Publishes, StreamFeed, VideoFace, VideoMaterial, VideoStream};
use crate::space::view::{RoomCamera, ViewMode, in_every_view};

/// Distance from the eye, in metres: nearer than anything else may come.
const DISTANCE: f32 = 0.5;
/// Share of the view's width the picture takes.
const SHARE: f32 = 0.13;
/// Air below and beside it, as a share of the view's height.
const EDGE: f32 = 0.028;
/// The width its frame is measured for, in metres: shown in another size it keeps its proportions.
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
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn hang_self_view(
    mut commands: Commands,
    me: Me,
    streams: Query<&VideoStream, With<StreamFeed>>,
    mut views: Query<(Entity, &mut VideoFace, &mut FaceLook), With<SelfView>>,
    camera: Query<Entity, With<RoomCamera>>,
    assets: Res<FaceAssets>,
    mut materials: ResMut<Assets<VideoMaterial>>,
    mut images: ResMut<Assets<Image>>,
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
            // The card that covers it while the camera is off.
            let label = Label::draw("", &participant.initials());
            let mut style = style(participant.colour(), FRAME_WIDTH, &label);
            style.frame.y = 0.0;
            let label = images.add(label.into_image());
            let material = materials.add(VideoMaterial { label, ..VideoMaterial::empty(&assets, style) });
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
    camera: Query<(&Camera, &Projection), With<RoomCamera>>,
    mode: Res<ViewMode>,
    comfort: Res<Comfort>,
    mut views: Query<(&mut Transform, &mut Visibility), With<SelfView>>,
) {
    let Some((camera, Projection::Perspective(lens))) = camera.iter().next() else { return };
    let view = view_size(camera);
    let high = (lens.fov * 0.5).tan() * DISTANCE * 2.0;
    let (size, at) = corner(view, comfort.text_percent);
    for (mut transform, mut visibility) in &mut views {
        let metre = high / view.y;
        let goal = Transform::from_translation((at * metre).extend(-DISTANCE)).with_scale((size * metre).extend(1.0));
        transform.set_if_neq(goal);
        let close = matches!(*mode, ViewMode::Wall(_));
        visibility.set_if_neq(if close { Visibility::Hidden } else { Visibility::Inherited });
    }
}

/// Size of the face in a view of this size, and its middle from the view's, Y up; in logical pixels.
fn corner(view: Vec2, text_percent: u16) -> (Vec2, Vec2) {
    let picture = view.x * SHARE;
    let margin = picture * MARGIN_SHARE;
    let size = Vec2::new(picture, picture * PICTURE_ASPECT) + 2.0 * margin;
    let edge = EDGE * view.y;
    let bar = BAR_PT * overlay_zoom(view, text_percent);
    let beside_bar = (view.x - bar.x) * 0.5 > size.x + 1.5 * edge;
    let below = if beside_bar { edge } else { bar.y };
    (size, Vec2::new(view.x - size.x, size.y - view.y) * 0.5 + Vec2::new(-edge, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_inside_every_view_and_beside_or_above_the_bar() {
        for view in [(1280.0, 720.0), (640.0, 360.0), (500.0, 700.0), (500.0, 400.0), (320.0, 240.0), (3440.0, 1440.0)]
        {
            for text_percent in [75, 100, 200] {
                let view = Vec2::from(view);
                let (size, at) = corner(view, text_percent);
                let (low, high) = (at - size * 0.5, at + size * 0.5);
                assert!(high.cmple(view * 0.5).all() && low.cmpge(view * -0.5).all(), "{view}: {low} to {high}");
                let bar = BAR_PT * overlay_zoom(view, text_percent);
                let free = low.x > bar.x * 0.5 || low.y > bar.y - 1.0 - view.y * 0.5;
                assert!(free, "{view} at {text_percent} %: the bar covers {low} to {high}");
            }
        }
    }
}
