//! Panels: one face above the seat of everyone else, with their name, ring and states; and the own picture, mirrored,
//! small in the corner of the view. In the flat views the same panels form a grid, or surround the speaker. Main
//! thread, [`SpaceSystems::Sync`].

mod arrange;
mod flat;
mod place;
mod self_view;
mod sound;
mod spotlight;
mod warm;

use bevy::camera::CameraUpdateSystems;
use bevy::camera::visibility::VisibilitySystems;
use bevy::prelude::*;
use bevy::transform::TransformSystems;

pub use arrange::GridPage;

use super::participant::{
    CameraOff, Connection, HandRaised, LocalParticipant, Muted, Participant, Seat, Speaking, VoiceLevel,
};
use super::schedule::SpaceSystems;
use super::settings::Comfort;
use super::stream::{FaceAssets, LABEL_WIDTH_PX};
use super::stream::{
    FaceLook, FaceStyle, Label, LinkLook, PictureWaits, Publishes, VideoFace, VideoMaterial, VideoStream,
};
use super::view::in_every_view;
use crate::model::StreamKind;
use crate::model::quality::Grade;

/// The face of a participant.
#[derive(Component, Debug)]
#[relationship(relationship_target = HasPanel)]
pub struct PanelOf(pub Entity);

/// The panel above a participant's seat; goes with them.
#[derive(Component, Debug)]
#[relationship_target(relationship = PanelOf, linked_spawn)]
pub struct HasPanel(Vec<Entity>);

/// The text a panel shows now, to notice changes.
#[derive(Component, Clone, Debug, PartialEq, Eq)]
struct PanelText {
    name: String,
    initials: String,
}

/// Margin around a face for its glow, as a share of the width of its picture.
const MARGIN_SHARE: f32 = 0.07;
/// Height of the name plate in the hall, as a share of the width of the picture; in the flat views it has no more.
const PLATE_SHARE: f32 = 0.148;

/// Panels above seats.
pub struct PanelPlugin;

impl Plugin for PanelPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<GridPage>()
            .init_resource::<Comfort>()
            .add_systems(Startup, warm::warm_up_faces)
            .add_systems(
                Update,
                (
                    (hang_panels, letter_panels, choose_streams, show_states).chain(),
                    (
                        (arrange::turn_pages, arrange::note_speakers),
                        arrange::arrange_panels,
                        arrange::show_share,
                        place::place_panels,
                    )
                        .chain()
                        .after(choose_streams),
                    self_view::hang_self_view,
                    warm::end_warm_up,
                )
                    .in_set(SpaceSystems::Sync),
            );
        app.add_systems(Update, sound::place_voices.in_set(SpaceSystems::Sync));
        // The lens, and the size of what is drawn into, are those of this frame.
        let after_lens = self_view::follow_self_view.after(CameraUpdateSystems).before(TransformSystems::Propagate);
        app.add_systems(PostUpdate, after_lens.before(VisibilitySystems::VisibilityPropagate));
    }
}

/// The size of what a camera draws into, in logical pixels.
fn view_size(camera: &Camera) -> Vec2 {
    camera.logical_viewport_size().unwrap_or(Vec2::new(1280.0, 720.0)).max(Vec2::ONE)
}

/// Measures of a face with a picture this wide, in metres.
fn style(accent: LinearRgba, width: f32, label: &Label) -> FaceStyle {
    FaceStyle {
        accent: accent.to_vec4().with_w(width * (1.0 + 2.0 * MARGIN_SHARE)),
        frame: Vec4::new(width * MARGIN_SHARE, width * PLATE_SHARE, width * 0.030, width * 0.011),
        text: Vec4::new(label.name_px / LABEL_WIDTH_PX as f32, label.initials_px / LABEL_WIDTH_PX as f32, 0.0, 0.0),
    }
}

/// A shared screen in the flat views: no name plate, a narrow frame.
fn share_style() -> FaceStyle {
    FaceStyle { accent: Vec3::splat(0.05).extend(0.0), frame: Vec4::new(0.05, 0.0, 0.02, 0.012), text: Vec4::ZERO }
}

type Unpanelled = (Without<HasPanel>, Without<LocalParticipant>);

/// A panel for everyone who has a seat and none yet, except for this client.
fn hang_panels(
    mut commands: Commands,
    people: Query<(Entity, &Participant, &Seat), Unpanelled>,
    local: Query<&HasPanel, With<LocalParticipant>>,
    assets: Res<FaceAssets>,
    mut materials: ResMut<Assets<VideoMaterial>>,
    mut images: ResMut<Assets<Image>>,
) {
    // One's own panel was hung when the login had not yet told who "me" is.
    for panels in &local {
        for panel in &panels.0 {
            commands.entity(*panel).despawn();
        }
    }
    for (entity, participant, seat) in &people {
        let text = PanelText { name: participant.name.clone(), initials: participant.initials() };
        let label = Label::draw(&text.name, &text.initials);
        let style = style(participant.colour(), seat.size.x, &label);
        let material = materials
            .add(VideoMaterial { label: images.add(label.into_image()), ..VideoMaterial::empty(&assets, style) });
        commands.spawn((
            Name::new(format!("panel of {}", participant.name)),
            PanelOf(entity),
            in_every_view(),
            text,
            VideoFace::default(),
            Mesh3d(assets.quad.clone()),
            MeshMaterial3d(material),
            place::resting(seat, None, None, &style),
        ));
    }
}

/// Draws the name again when it changed, and keeps the style in step with the seat's size.
fn letter_panels(
    people: Query<(Ref<Participant>, Ref<Seat>)>,
    mut panels: Query<(&PanelOf, &mut PanelText, &MeshMaterial3d<VideoMaterial>)>,
    mut materials: ResMut<Assets<VideoMaterial>>,
    mut images: ResMut<Assets<Image>>,
) {
    for (of, mut text, material) in &mut panels {
        let Ok((participant, seat)) = people.get(of.0) else { continue };
        if !participant.is_changed() && !seat.is_changed() {
            continue;
        }
        let now = PanelText { name: participant.name.clone(), initials: participant.initials() };
        let Some(mut material) = materials.get_mut(material.id()) else { continue };
        let measured = style(participant.colour(), seat.size.x, &EMPTY_LABEL);
        if material.style.frame != measured.frame {
            (material.style.frame, material.style.accent) = (measured.frame, measured.accent);
        }
        if *text != now {
            let label = Label::draw(&now.name, &now.initials);
            material.style = style(participant.colour(), seat.size.x, &label);
            material.label = images.add(label.into_image());
            *text = now;
        }
    }
}

const EMPTY_LABEL: Label = Label { pixels: Vec::new(), name_px: 0.0, initials_px: 0.0 };

/// A panel shows its participant's first camera stream with a picture.
fn choose_streams(
    people: Query<&Publishes>,
    streams: Query<&VideoStream>,
    mut panels: Query<(&PanelOf, &mut VideoFace)>,
) {
    for (of, mut face) in &mut panels {
        let camera = people.get(of.0).ok().and_then(|publishes| {
            publishes.iter().find(|stream| {
                streams.get(*stream).is_ok_and(|s| s.info.kind == StreamKind::Camera && s.info.video.is_some())
            })
        });
        if face.stream != camera {
            face.stream = camera;
        }
    }
}

type State =
    (&'static VoiceLevel, Has<Speaking>, Has<Muted>, Has<CameraOff>, Has<HandRaised>, Option<&'static Connection>);

/// Ring, signs and card follow the participant's markers.
fn show_states(
    people: Query<State, With<Participant>>,
    waiting: Query<(), With<PictureWaits>>,
    mut panels: Query<(&PanelOf, &VideoFace, &mut FaceLook)>,
) {
    for (of, face, mut look) in &mut panels {
        let Ok((level, speaking, muted, camera_off, hand, connection)) = people.get(of.0) else { continue };
        let link = match connection.map(|connection| connection.0) {
            Some(Grade::Lost) => LinkLook::Lost,
            _ if face.stream.is_some_and(|stream| waiting.contains(stream)) => LinkLook::Waiting,
            Some(Grade::Poor) => LinkLook::Poor,
            _ => LinkLook::Fine,
        };
        let ring = if speaking { (0.25 + (level.0 * 5.0).sqrt()).min(1.0) } else { 0.0 };
        let eased = look.ring + (ring - look.ring) * 0.3;
        let ring = if (eased - ring).abs() < 0.01 { ring } else { eased };
        let next = FaceLook { ring, muted, hand, link, covered: camera_off, ..*look };
        if *look != next {
            *look = next;
        }
    }
}
