//! The room server.

mod config;
mod counters;
mod media;
mod rate;

pub use config::{ApiKey, ConfigError, ServerConfig, ServerLimits};
pub use counters::ServerStats;
