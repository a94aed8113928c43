//! Calls through real sockets, real codecs and real clients. One test binary, since each one links Bevy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]
#![allow(clippy::print_stdout, reason = "figures are shown beside a test's result")]

mod admin;
mod browser;
mod browser_driver;
mod cli;
mod engine;
mod fake_engine;
mod forwarding;
mod forwarding_kinds;
mod forwarding_loss;
mod peer;
mod room;
mod server;
