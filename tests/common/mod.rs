//! What the tests and the measures share: the official browser client the official servers, and the
//! impairment relay.

#![allow(dead_code, reason = "each binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly, a measure too")]

pub mod browser_driver;
pub mod meddler;
pub mod pulse;
pub mod relay;
pub mod servers;
