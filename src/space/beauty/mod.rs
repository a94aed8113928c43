//! Beauty: filters that even out, lighten and warm skin, bring out edges and brighten dark pictures, as shader passes on
//! the GPU (`shaders/beauty`). They know skin by its hue, keep edges, hair and text, and do nothing at all where nothing
//! is asked for. They work on whatever device `wgpu` opens, a software renderer included.
//!
//! Own cameras that are published through the [`Outbox`](super::Outbox) are wrapped on their way: what their stream shows
//! and sends is what the passes make of it. [`SetBeauty`] says how much, [`BeautyChanged`] what came of it, [`BeautyStatus`]
//! stands beside the own stream.
//!
//! | step | thread | file |
//! |---|---|---|
//! | a picture is pulled, measured, scaled down if need be, and waits, the newest only | the camera's | `source`, `link` |
//! | it is uploaded, filtered, and copied into a buffer; at most three are on their way | render world | `stage`, `planes`, `passes` |
//! | the buffer is read as soon as it can be | `beauty` | `readback` |
//! | the encoder takes it | the engine's | `source` |

mod choice;
mod clock;
mod light;
mod link;
mod measure;
mod passes;
mod picture;
mod planes;
mod readback;
#[cfg(test)]
mod reference;
mod render;
mod source;
mod stage;
#[cfg(test)]
mod stage_tests;
#[cfg(test)]
mod tests;
mod working_size;

use bevy::prelude::*;

pub use choice::{BeautyChanged, BeautyChoice, SetBeauty};
pub use clock::PassClock;
pub use link::{BeautyLink, BeautyStatus, Figures};
pub use measure::{LEAST_BYTES_PER_PIXEL, PassTimes, measure, measure_copying};
pub use passes::{BeautyPasses, Retouch};
pub use picture::{PictureFilter, PictureFilterError};
pub use render::{BeautyLinks, preview_image};
pub use source::BeautySource;

use super::schedule::SpaceSystems;
use super::sync::send_commands;

/// Filters own cameras.
pub struct BeautyPlugin;

impl Plugin for BeautyPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<BeautyChoice>()
            .add_message::<SetBeauty>()
            .add_message::<BeautyChanged>()
            .add_plugins(render::BeautyRenderPlugin)
            .add_systems(Update, (choice::set_beauty, choice::follow).chain().in_set(SpaceSystems::Sync))
            .add_systems(PostUpdate, choice::wrap_cameras.in_set(SpaceSystems::Send).before(send_commands));
    }
}
