//! The LiveKit protocol without I/O or clocks.

pub mod sdp;
pub mod token;
