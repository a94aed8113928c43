//! Rotunda: an immersive call room.
//!
//! The map of the house, from the ground up:
//!
//! - [`model`]: ids, users, streams, states, figures, limits: plain data.
//! - [`protocol`]: the LiveKit protocol without I/O or clocks: messages, tokens, SDP, topics.
//! - [`media`]: frames, sources, codecs, jitter buffer, mixer.
//! - [`bridge`]: the whole contract between engine and ECS.
//! - [`client`]: the call engine, an actor on its own tokio runtime.
//! - [`server`]: the room server.
//! - [`space`]: the room itself: Bevy plugins.
//! - [`app`]: engine, server and space wired into one application.
//!
//! Invariant: a module imports only from those the table in DESIGN.md allows; `tests/architecture.rs` checks it.

#[cfg(feature = "app")]
pub mod app;
#[cfg(feature = "client")]
pub mod bridge;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub mod media;
pub mod model;
#[cfg(any(feature = "client", feature = "server"))]
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "app")]
pub mod space;
