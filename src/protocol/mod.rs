//! The LiveKit protocol without I/O or clocks.

pub mod convert;
pub mod invitation;
pub mod pose;
pub mod pose_book;
pub mod pose_pace;
pub mod rates;
pub mod roster;
pub mod sdp;
pub mod stream_note;
pub mod text_stream;
pub mod token;
pub mod token_watch;
pub mod topics;
