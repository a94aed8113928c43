//! Every system set of the room and its order. Runs on Bevy's schedules; owns no state.
//!
//! | set | schedule | what happens |
//! |---|---|---|
//! | [`SpaceSystems::Receive`] | `PreUpdate` | engine events become entities, components and messages |
//! | [`SpaceSystems::Sync`] | `Update` | seats, panels, wall and camera follow what was received |
//! | [`SpaceSystems::Present`] | `PostUpdate`, after visibility is known | new pictures of visible panels go to the GPU |
//! | [`SpaceSystems::Send`] | `PostUpdate`, after `Present` | what the user wants goes to the engine |

use bevy::camera::visibility::VisibilitySystems;
use bevy::prelude::*;

/// The four stages of a frame. Plugins order against these, never against single systems.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpaceSystems {
    /// Engine events become entities and messages.
    Receive,
    /// The scene follows.
    Sync,
    /// New pictures go to the GPU.
    Present,
    /// Wishes go to the engine.
    Send,
}

/// Puts the sets in their order. Part of every other plugin's needs; adding it twice is avoided by the group.
pub struct SchedulePlugin;

impl Plugin for SchedulePlugin {
    fn build(&self, app: &mut App) {
        app.configure_sets(PreUpdate, SpaceSystems::Receive).configure_sets(Update, SpaceSystems::Sync).configure_sets(
            PostUpdate,
            (SpaceSystems::Present.after(VisibilitySystems::CheckVisibility), SpaceSystems::Send).chain(),
        );
    }
}
