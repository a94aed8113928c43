//! Cameras, microphones and loudspeakers: which there are ([`DeviceLists`]), which were chosen ([`DeviceChoice`], by
//! [`ChooseDevice`]) and which are in use ([`DevicesInUse`]). Main thread; devices are listed on a thread of their own while
//! somebody looks at the lists, and opened on those of the engine.
//!
//! What is chosen in a call takes the place of what own streams have: they stay published. What is chosen before it, or
//! for later, is [`DeviceChoice`]: whoever publishes a stream reads it.

mod choice;
mod in_use;
mod lists;
mod sources;

use bevy::prelude::*;

pub use choice::{CameraQuality, ChooseDevice, DeviceChoice, DeviceKind};
pub use in_use::DevicesInUse;
pub use lists::DeviceLists;
pub use sources::OwnSources;

use super::schedule::SpaceSystems;
use super::sync::{EngineEvent, Outbox};

/// Lists devices and switches between them.
pub struct DevicesPlugin;

impl Plugin for DevicesPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Outbox>()
            .init_resource::<DeviceLists>()
            .init_resource::<DeviceChoice>()
            .init_resource::<CameraQuality>()
            .init_resource::<OwnSources>()
            .init_resource::<DevicesInUse>()
            .add_message::<EngineEvent>()
            .add_message::<ChooseDevice>()
            .add_systems(
                Update,
                (lists::look_for_devices, choice::choose_devices, in_use::follow_devices).in_set(SpaceSystems::Sync),
            );
    }
}
