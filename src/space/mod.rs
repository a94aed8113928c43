//! The room itself: Bevy plugins.
