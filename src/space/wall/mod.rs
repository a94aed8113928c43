//! The great wall: shared screens hang in fixed slots, the first in the centre, by a rule that is the same for everyone
//! ([`crate::model::wall`]); hosts rearrange it; everybody may step up to it; who presents points at things on it and
//! stands beside it. Main thread, [`SpaceSystems::Sync`].

mod arrange;
mod keys;
mod pointer;
mod present;
mod slots;
mod sound;
mod step;
mod surface;

use bevy::prelude::*;

pub use arrange::ArrangeWall;
pub use pointer::{Pointing, WallPointer};
pub use slots::WallSlots;
pub use step::{CloseView, StepWish};

use super::participant::Participant;
use super::schedule::SpaceSystems;
use super::stream::{
    FaceAssets, FaceLook, FaceStyle, LABEL_WIDTH_PX, Label, Mipmapped, PublishedBy, VideoFace, VideoMaterial,
    VideoStream,
};
use super::sync::RoomStatus;
use super::view::ViewSystems;
use crate::model::{WALL_SLOTS, WallChoices, WallPlan};
use crate::space::settings::Comfort;
use surface::Surface;

/// How fast a slot grows and shrinks, per second.
const RESIZE_PER_SEC: f32 = 6.0;

/// A place on the wall; 0 is the great centre.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallSlot(pub usize);

/// Shared screens on the wall.
pub struct WallPlugin;

impl Plugin for WallPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<WallSlots>()
            .init_resource::<Comfort>()
            .init_resource::<CloseView>()
            .init_resource::<Pointing>()
            .add_message::<ArrangeWall>()
            .add_message::<StepWish>()
            .add_message::<WallPointer>()
            .add_systems(Startup, (build_wall, pointer::hang_dots))
            .add_systems(
                Update,
                (
                    (assign_slots, arrange::carry_out, show_shares, resize_slots, present::mark_presenters).chain(),
                    (keys::read_keys, keys::read_mouse, step::carry_out, step::frame_view)
                        .chain()
                        .after(assign_slots)
                        .after(ViewSystems::Steer),
                    (keys::read_pointer, pointer::send, pointer::receive, pointer::show)
                        .chain()
                        .after(step::frame_view)
                        .after(resize_slots),
                )
                    .in_set(SpaceSystems::Sync),
            )
            .add_systems(Update, sound::place_shares.after(resize_slots).in_set(SpaceSystems::Sync));
    }
}

fn style(slot: usize, width: f32, label: Option<&Label>) -> FaceStyle {
    let scale = if slot == 0 { 1.0 } else { 0.6 };
    let name = label.map_or(0.0, |label| label.name_px / LABEL_WIDTH_PX as f32);
    FaceStyle {
        accent: Vec4::new(0.055, 0.085, 0.088, 0.0),
        frame: Vec4::new(0.55 * scale, 0.36 * scale, 0.02, if slot == 0 { 0.03 } else { 0.05 }),
        text: Vec4::new(name, 0.0, width / 8.0, FaceStyle::WALL),
    }
}

/// The transform of a face around its picture: margin and name plate come on top.
fn around(place: &Surface, style: &FaceStyle) -> Transform {
    let (margin, plate) = (style.frame.x, style.frame.y);
    Transform {
        translation: place.centre - Vec3::Y * (plate * 0.5),
        rotation: place.rotation,
        scale: Vec3::new(place.size.x + 2.0 * margin, place.size.y + plate + 2.0 * margin, 1.0),
    }
}

/// Hangs an empty face in every slot; only the centre is seen while empty.
fn build_wall(
    mut commands: Commands,
    slots: Res<WallSlots>,
    assets: Res<FaceAssets>,
    mut materials: ResMut<Assets<VideoMaterial>>,
) {
    for slot in 0..WALL_SLOTS {
        let place = slots.place(slot);
        let style = style(slot, place.size.x, None);
        let material = materials.add(VideoMaterial::empty(&assets, style));
        commands.spawn((
            Name::new(format!("wall slot {slot}")),
            WallSlot(slot),
            VideoFace::default(),
            Mipmapped,
            Mesh3d(assets.quad.clone()),
            MeshMaterial3d(material),
            around(&place, &style),
            if slot == 0 { Visibility::Inherited } else { Visibility::Hidden },
        ));
    }
}

/// Hangs every share where the rule says, whenever shares or the room's metadata changed.
fn assign_slots(
    status: Res<RoomStatus>,
    streams: Query<&VideoStream>,
    changed: Query<(), Changed<VideoStream>>,
    mut gone: RemovedComponents<VideoStream>,
    ids: Query<(Entity, &VideoStream)>,
    mut slots: ResMut<WallSlots>,
) {
    if !status.is_changed() && changed.is_empty() && gone.read().count() == 0 {
        return;
    }
    let shares: Vec<_> = arrange::shares(&streams).collect();
    let plan = WallPlan::of(&shares, &WallChoices::read(&status.metadata));
    let entity = |slot: usize| {
        let stream = plan.slots[slot].as_ref()?;
        ids.iter().find(|(_, candidate)| candidate.info.id == *stream).map(|(entity, _)| entity)
    };
    let next = WallSlots { entities: std::array::from_fn(entity), plan, ..slots.clone() };
    slots.set_if_neq(next);
}

/// Shows what the slots hold, captioned with who shares it.
fn show_shares(
    slots: Res<WallSlots>,
    mut faces: Query<(&WallSlot, &mut VideoFace, &mut FaceLook, &mut Visibility, &MeshMaterial3d<VideoMaterial>)>,
    streams: Query<(&VideoStream, &PublishedBy)>,
    people: Query<&Participant>,
    mut materials: ResMut<Assets<VideoMaterial>>,
    mut images: ResMut<Assets<Image>>,
) {
    for (slot, mut face, mut look, mut visibility, material) in &mut faces {
        let stream = slots.entity(slot.0);
        let covered = stream
            .and_then(|stream| streams.get(stream).ok())
            .is_some_and(|(s, _)| s.info.video.as_ref().is_none_or(|video| video.muted));
        if look.covered != covered {
            look.covered = covered;
        }
        if face.stream == stream {
            continue;
        }
        face.stream = stream;
        let shown = slot.0 == 0 || stream.is_some();
        visibility.set_if_neq(if shown { Visibility::Inherited } else { Visibility::Hidden });
        let owner = stream.and_then(|s| streams.get(s).ok()).and_then(|(_, by)| people.get(by.0).ok());
        let label = owner.map(|owner| Label::draw(&format!("{} shares", owner.name), ""));
        if let Some(mut material) = materials.get_mut(material.id()) {
            let width = slots.place(slot.0).size.x;
            material.style = style(slot.0, width, label.as_ref());
            if let Some(label) = label {
                material.label = images.add(label.into_image());
            }
        }
    }
}

/// Lets the slots beside the centre shrink while it is enlarged, and grow again.
fn resize_slots(
    (time, comfort): (Res<Time>, Res<Comfort>),
    slots: Res<WallSlots>,
    mut faces: Query<(&WallSlot, &mut Transform)>,
) {
    let blend = 1.0 - (-RESIZE_PER_SEC * comfort.motion_secs(&time)).exp();
    for (slot, mut transform) in &mut faces {
        let place = slots.place(slot.0);
        let goal = around(&place, &style(slot.0, place.size.x, None));
        let apart = goal.scale - transform.scale;
        if apart.length_squared() > 1e-8 {
            let near = apart.length_squared() < 1e-4;
            transform.scale = if near { goal.scale } else { transform.scale + apart * blend };
        }
    }
}

/// The rectangle of the picture in a slot, as large as it will be when it has come to rest.
fn picture_in(slot: usize, slots: &WallSlots, faces: &Query<(&WallSlot, &VideoFace, &FaceLook)>) -> Surface {
    let place = slots.place(slot);
    place.fitted(size_in(slot, faces))
}

/// The size in pixels of what a slot shows; zero before its first picture.
fn size_in(slot: usize, faces: &Query<(&WallSlot, &VideoFace, &FaceLook)>) -> UVec2 {
    let face = faces.iter().find(|(candidate, ..)| candidate.0 == slot);
    let own = face.filter(|(_, face, look)| face.stream.is_some() && look.shown == face.stream);
    own.map_or(UVec2::ZERO, |(_, _, look)| look.size)
}
