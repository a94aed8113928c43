//! Sharing a screen or a window: what there is to share, and what becomes of it. The display and the sound system are only
//! ever asked on threads of their own: `share-list` while a picker is open, `share-preview` while something is looked at,
//! `share-open` for each share. Systems take what those have found, on the main thread; the overlay shows it.

mod offer;
mod share;
mod sources;
#[cfg(test)]
pub(in crate::space) mod tests;

use bevy::prelude::*;

pub use offer::ShareOffer;
#[cfg(test)]
pub(in crate::space) use offer::take_offers;
pub use share::{Shared, Sharing, StartSharing, StopSharing};
pub use sources::{ShareFrom, ShareSources};

use super::schedule::SpaceSystems;
use crate::media::CaptureError;

/// Shares what the user wants shared.
pub struct SharingPlugin;

impl Plugin for SharingPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<ShareFrom>()
            .init_resource::<ShareOffer>()
            .init_resource::<Sharing>()
            .add_message::<StartSharing>()
            .add_message::<StopSharing>()
            .add_systems(
                Update,
                (offer::take_offers, share::follow, share::hear_wishes, share::publish_opened)
                    .chain()
                    .in_set(SpaceSystems::Sync),
            );
    }
}

/// Starts a thread that ends by itself.
fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), CaptureError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| CaptureError::Open {
        what: "the screen".to_owned(),
        why: format!("no thread can be started ({error}): close other programs"),
    })
}
