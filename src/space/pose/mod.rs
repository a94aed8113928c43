//! People who walk: where this client stands goes out, where the others stand comes in, smoothly, and nobody hangs in
//! anybody's place. Main thread; [`SpaceSystems::Sync`] and [`SpaceSystems::Send`].
//!
//! Poses travel beside the events, through the bridge's [`crate::bridge::PoseBoard`]: a frame that comes late finds the
//! newest and misses nothing. Plain LiveKit clients tell none and sit.

mod apart;
mod follow;
mod outgoing;
mod track;

use bevy::prelude::*;

use super::schedule::SpaceSystems;
use super::sync::EngineBridge;

/// Tells where this client stands, and moves those who walk.
pub struct PosePlugin;

impl Plugin for PosePlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(
            Update,
            follow::follow_poses.in_set(SpaceSystems::Sync).run_if(resource_exists::<EngineBridge>),
        )
        .add_systems(
            PostUpdate,
            outgoing::tell_own_pose.in_set(SpaceSystems::Send).run_if(resource_exists::<EngineBridge>),
        );
    }
}
