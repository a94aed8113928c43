//! Messages: what people wrote since this client joined, remarks that float by, and signs without words. Main thread; the
//! overlay shows them.

mod float;
mod gather;
mod log;

use bevy::prelude::*;

pub use float::{Float, FloatKind, Floats};
pub use gather::{AskedToLook, React, SendMessage};
pub use log::{ChatLine, ChatLog, Happened, Voice};

use super::schedule::SpaceSystems;

/// Keeps messages and reactions.
pub struct ChatPlugin;

impl Plugin for ChatPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<ChatLog>()
            .init_resource::<Floats>()
            .add_message::<SendMessage>()
            .add_message::<React>()
            .add_message::<AskedToLook>()
            .add_systems(
                Update,
                (gather::send, gather::react, gather::hear, gather::hear_data, gather::note_people, float::age)
                    .chain()
                    .in_set(SpaceSystems::Sync),
            );
    }
}
