//! The call engine against a room server: `ROTUNDA_TEST_SERVER` (with `ROTUNDA_TEST_KEY`, `ROTUNDA_TEST_SECRET`) names
//! one to test against, such as the official LiveKit server; without it each test starts an embedded one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what failed by failing")]

mod calls;
mod faults;
pub mod kit;
