//! Calls through real sockets, real codecs and real clients. One test binary, since each one links Bevy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod browser;
mod browser_driver;
mod cli;
mod engine;
mod fake_engine;
mod forwarding;
mod room;
mod server;
