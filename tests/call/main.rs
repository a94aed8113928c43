//! Calls through real sockets, real codecs and real clients. One test binary, since each one links Bevy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]
#![allow(clippy::print_stdout, reason = "figures are shown beside a test's result")]

mod browser;
mod cli;
#[path = "../common/mod.rs"]
mod common;
mod engine;
mod fake_engine;
mod forwarding;
mod relay;
mod room;
mod server;

use common::browser_driver;
