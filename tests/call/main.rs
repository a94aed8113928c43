//! Calls through real sockets, real codecs and real clients. One test binary, since each one links Bevy.

mod browser;
mod browser_driver;
mod cli;
mod engine;
mod fake_engine;
mod room;
mod server;
