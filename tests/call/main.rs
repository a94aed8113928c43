//! Calls through real sockets, real codecs and real clients. One test binary, since each one links Bevy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]
#![allow(clippy::print_stdout, reason = "figures are shown beside a test's result")]

mod admin;
mod beauty;
mod browser;
mod chat;
mod cli;
#[path = "../common/mod.rs"]
mod common;
// The engine's tests, once for each kind of server: `cargo test --test call engine_official::` picks one.
mod engine;
#[path = "engine/mod.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the same tests against two official nodes with Redis")]
mod engine_cluster;
#[path = "engine/mod.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the same tests against the official server")]
mod engine_official;
mod fake_engine;
mod fetching;
mod forwarding;
mod forwarding_kinds;
mod forwarding_loss;
mod host;
mod invitation;
mod peer;
mod relay;
mod room;
mod room_hostile;
mod room_pictures;
mod room_views;
mod screen;
mod screens;
mod server;
mod soak;
mod sound;
mod walking;
mod wall;
mod windows;

use common::browser_driver;
