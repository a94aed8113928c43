//! The LiveKit protocol without I/O or clocks.

pub mod convert;
pub mod roster;
pub mod text_stream;
pub mod topics;
