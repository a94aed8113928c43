//! Sound from where it belongs: tells the engine where the listener's head is, where each stream is heard from, and how
//! loud. Main thread; the sound itself never comes here.
//!
//! The head is the room camera. A stream is heard from its [`SoundPlace`](super::stream::SoundPlace), which whoever
//! hangs it somewhere writes, so that in a flat view of faces everyone still sounds from their seat. A stream without
//! one, and the voice of whoever [`SpeaksToAll`], is heard everywhere.

mod scene;
mod to_all;

use bevy::prelude::*;

pub use to_all::{HearToAll, SpeaksToAll};

use super::schedule::SpaceSystems;
use super::sync::{EngineBridge, UserCame, UserChanged};
use crate::model::sound::Hearing;

/// How voices are heard. May be changed at any time; the change is a fade of 10 ms.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SoundMode {
    /// From where people are.
    #[default]
    Spatial,
    /// Alike in both ears, for those who hear with one, or with loudspeakers.
    Mono,
}

impl From<SoundMode> for Hearing {
    fn from(mode: SoundMode) -> Self {
        match mode {
            SoundMode::Spatial => Self::Spatial,
            SoundMode::Mono => Self::Plain,
        }
    }
}

/// How loud someone's streams are here: 0 silent, 1 as sent (and without this component), at most 2.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct Volume(pub f32);

impl Default for Volume {
    fn default() -> Self {
        Self(1.0)
    }
}

/// Sound in space.
pub struct SpatialAudioPlugin;

impl Plugin for SpatialAudioPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<SoundMode>()
            .init_resource::<HearToAll>()
            .add_message::<UserCame>()
            .add_message::<UserChanged>()
            .add_systems(Update, to_all::mark_speakers_to_all.in_set(SpaceSystems::Sync))
            .add_systems(
                PostUpdate,
                scene::tell_scene.in_set(SpaceSystems::Send).run_if(resource_exists::<EngineBridge>),
            );
    }
}
