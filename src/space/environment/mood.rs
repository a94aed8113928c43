//! From day to night and back: the hall's light is computed anew on a task of its own, then all meshes are replaced at
//! once. Main thread, [`crate::space::SpaceSystems::Sync`].

use bevy::prelude::*;
use bevy::tasks::{AsyncComputeTaskPool, Task, block_on, poll_once};

use super::hall::{self, Part};
use super::light::MoodLight;
use super::material::{HallAssets, HallMaterial};
use crate::space::layout::{Mood, RoomLayout};

/// The hall in another light, being computed.
#[derive(Resource)]
pub(super) struct Relighting(Task<Vec<Mesh>>);

/// Begins when the mood changed; a change meanwhile begins anew.
pub(super) fn begin_relighting(mut commands: Commands, mood: Res<Mood>, layout: Res<RoomLayout>) {
    if !mood.is_changed() || mood.is_added() {
        return;
    }
    let (mood, lamps) = (*mood, layout.lamps.clone());
    let task = AsyncComputeTaskPool::get().spawn(async move { hall::meshes(mood, &lamps) });
    commands.insert_resource(Relighting(task));
}

/// Shows the new light when it is ready.
pub(super) fn finish_relighting(
    mut commands: Commands,
    relighting: Option<ResMut<Relighting>>,
    mood: Res<Mood>,
    assets: Res<HallAssets>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<HallMaterial>>,
) {
    let Some(mut relighting) = relighting else { return };
    // Polled once, never waited for.
    let Some(lit) = block_on(poll_once(&mut relighting.0)) else { return };
    commands.remove_resource::<Relighting>();
    for ((part, handle), mesh) in Part::ALL.iter().zip(&assets.parts).zip(lit) {
        if let Err(error) = meshes.insert(handle.id(), mesh) {
            error!(%error, part = part.name(), "the hall keeps its light");
        }
    }
    if let Some(mut material) = materials.get_mut(&assets.beam) {
        material.uniform.beam = MoodLight::of(*mood).beam.extend(0.0);
    }
}
