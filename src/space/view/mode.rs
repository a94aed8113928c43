//! How the room is looked at: from where one stands, flat, or close to the wall. Plain data; whoever changes it leaves
//! everything else as it is, so that the way back loses nothing.

use bevy::prelude::*;

/// The present way of looking.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewMode {
    /// From where one stands in the hall.
    #[default]
    Hall,
    /// Everyone in a flat grid.
    Grid,
    /// Whoever speaks large, the others small.
    Speaker,
    /// Close to a slot of the wall, by its number.
    Wall(usize),
}

/// Whether the view is close to the wall: nobody walks then.
pub(super) fn is_close(mode: Res<ViewMode>) -> bool {
    matches!(*mode, ViewMode::Wall(_))
}
