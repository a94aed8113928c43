//! What you see is what you fetch: for every picture of the others, whether it is fetched at all and in which size, by
//! how many pixels of the window it covers, or may cover after a quick turn of the head. Sound goes on whatever is seen.
//!
//! Each frame, after everything has its place: faces are looked at ([`geometry`]), what each stream needs is held
//! against what it had ([`hold`]: more at once, less after two seconds), the bandwidth is shared in the room's order
//! ([`budget`]: the stepped-up wall, speakers, shares, then by size), and what changed is told to the engine
//! (`systems`). Where a room has more streams than an engine plays, [`places`] says which. [`Fetched`] on a stream and
//! [`FetchFigures`] say what came of it, and why.
//!
//! Wishes go to the engine directly, not through the [`Outbox`](super::sync::Outbox): they are a state, not clicks. One
//! for which the engine has no room is told in a later frame, and nobody is shown an error for it. A stream that is new
//! is small until its face is seen, and a program that draws the room says so in its login, too (`first_quality`), so
//! that nothing is fetched in full before the first frame. Main thread.

pub mod budget;
pub mod geometry;
pub mod hold;
mod pace;
pub mod places;
mod systems;
mod want;

use bevy::prelude::*;
use bevy::window::WindowOccluded;

pub use want::{FetchFigures, Fetched, Reason, Want};

use super::schedule::SpaceSystems;
use super::sync::EngineBridge;
use super::view::ViewMode;
use crate::bridge::PlayQuality;

/// What a stream is fetched in before the room knows where it hangs: the smallest layer, whatever its size.
pub const FIRST_QUALITY: PlayQuality = PlayQuality { enabled: true, width: 160, height: 90 };

/// What the user allows.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchSettings {
    /// All pictures together take no more than this, in kbit/s; `None` leaves it to the way.
    pub most_kbps: Option<u32>,
}

/// Fetches what is seen.
pub struct FetchPlugin;

impl Plugin for FetchPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<FetchSettings>()
            .init_resource::<FetchFigures>()
            .init_resource::<ViewMode>()
            .init_resource::<systems::Curtain>()
            .init_resource::<systems::Claims>()
            .init_resource::<systems::Way>()
            .init_resource::<systems::Standings>()
            .init_resource::<pace::Pace>()
            .add_message::<WindowOccluded>()
            .add_systems(
                PostUpdate,
                (
                    systems::begin,
                    systems::hear,
                    systems::watch_window,
                    systems::see,
                    systems::decide,
                    systems::choose_played.run_if(resource_exists::<EngineBridge>),
                    // What the user wishes goes first.
                    systems::tell.after(SpaceSystems::Send).run_if(resource_exists::<EngineBridge>),
                )
                    .chain()
                    .after(TransformSystems::Propagate)
                    .after(SpaceSystems::Present),
            );
    }
}
