//! The great wall: shared screens hang in fixed slots, the first in the centre. A slot belongs to its stream until the
//! stream ends; a further share waits for a free one. Main thread, [`SpaceSystems::Sync`].

mod slots;
mod sound;

use bevy::prelude::*;

pub use slots::{SLOT_COUNT, WallSlots};

use super::participant::Participant;
use super::schedule::SpaceSystems;
use super::stream::{
    FaceAssets, FaceLook, FaceStyle, LABEL_WIDTH_PX, Label, PublishedBy, VideoFace, VideoMaterial, VideoStream,
};
use crate::model::StreamKind;

/// A place on the wall; 0 is the great centre.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallSlot(pub usize);

/// Shared screens on the wall.
pub struct WallPlugin;

impl Plugin for WallPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<WallSlots>()
            .add_systems(Startup, build_wall)
            .add_systems(Update, (assign_slots, show_shares).chain().in_set(SpaceSystems::Sync))
            .add_systems(Update, sound::place_shares.after(show_shares).in_set(SpaceSystems::Sync));
    }
}

fn style(slot: usize, width: f32, label: Option<&Label>) -> FaceStyle {
    let scale = if slot == 0 { 1.0 } else { 0.6 };
    let name = label.map_or(0.0, |label| label.name_px / LABEL_WIDTH_PX as f32);
    FaceStyle {
        accent: Vec4::new(0.055, 0.085, 0.088, 1.0),
        frame: Vec4::new(0.55 * scale, 0.36 * scale, 0.02, if slot == 0 { 0.03 } else { 0.05 }),
        // The last one asks for the emblem instead of initials.
        text: Vec4::new(name, 0.0, width / 8.0, 1.0),
    }
}

/// Hangs an empty face in every slot; only the centre is seen while empty.
fn build_wall(mut commands: Commands, assets: Res<FaceAssets>, mut materials: ResMut<Assets<VideoMaterial>>) {
    for slot in 0..SLOT_COUNT {
        let (width, place) = slots::slot_place(slot);
        let style = style(slot, width, None);
        let (margin, plate) = (style.frame.x, style.frame.y);
        let material = materials.add(VideoMaterial {
            luma: assets.black.clone(),
            cb: assets.black.clone(),
            cr: assets.black.clone(),
            label: assets.black.clone(),
            style,
        });
        let size = Vec3::new(width + 2.0 * margin, width * 9.0 / 16.0 + plate + 2.0 * margin, 1.0);
        let below = Vec3::Y * (plate * 0.5);
        commands.spawn((
            Name::new(format!("wall slot {slot}")),
            WallSlot(slot),
            VideoFace::default(),
            Mesh3d(assets.quad.clone()),
            MeshMaterial3d(material),
            Transform { translation: place.translation - below, scale: size, ..place },
            if slot == 0 { Visibility::Inherited } else { Visibility::Hidden },
        ));
    }
}

/// Gives new shares a slot and frees those of ended ones.
fn assign_slots(streams: Query<(Entity, &VideoStream)>, mut slots: ResMut<WallSlots>) {
    let shares = streams.iter().filter(|(_, s)| s.info.kind == StreamKind::Screen && s.info.video.is_some());
    let shares: Vec<_> = shares.map(|(entity, stream)| (stream.info.id.clone(), entity)).collect();
    if slots.would_change(&shares) {
        slots.update(&shares);
    }
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
            material.style = style(slot.0, slots::slot_place(slot.0).0, label.as_ref());
            if let Some(label) = label {
                material.label = images.add(label.into_image());
            }
        }
    }
}
