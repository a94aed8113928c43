//! What the tests and the measures share: the official browser client and the impairment relay.

#![allow(dead_code, reason = "each binary uses a part of it")]

pub mod browser_driver;
pub mod relay;
pub mod servers;
