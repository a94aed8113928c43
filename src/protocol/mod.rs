//! The LiveKit protocol without I/O or clocks.

pub mod convert;
pub mod roster;
pub mod sdp;
pub mod text_stream;
pub mod token;
pub mod topics;
