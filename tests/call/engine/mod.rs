//! The call engine against room servers: the embedded one, one official LiveKit server, and two official nodes with
//! Redis and people on both. Every test here runs on each; it takes its server from `kit::TestServer` and must not name
//! this module by its path from the crate, which is another copy's (see `tests/call/main.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what failed by failing")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod calls;
mod crowd;
mod dialing;
mod endings;
mod faults;
mod fetching;
mod figures;
mod flow;
mod garbage;
pub mod kit;
mod meddled;
mod order;
mod poses;
mod receiving;
mod reconnect;
mod simulcast;
mod wall;
