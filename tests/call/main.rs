//! Calls through real sockets, real codecs and real clients. One test binary, since each one links Bevy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails and reports loudly"
)]

mod forwarding;
mod server;
