//! What a server is told before it starts, and every limit it keeps. Plain data, checked once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;

use crate::protocol::sdp::SDP_MAX_BYTES;

/// The API key of the development mode, LiveKit's convention.
pub const DEV_KEY: &str = "devkey";
/// The API secret of the development mode, LiveKit's convention.
pub const DEV_SECRET: &str = "secret";
/// Shorter secrets can be guessed from a captured token.
const GOOD_SECRET_BYTES: usize = 32;

/// A key pair that signs access tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Names the secret inside a token.
    pub key: String,
    /// Signs.
    pub secret: String,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Everything a client may not exceed. The defaults suit one machine and honest clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Rooms at a time.
    pub rooms: usize,
    /// Participants in one room.
    pub participants_per_room: usize,
    /// Participants on the whole server, each one WebSocket and one or two WebRTC connections.
    pub participants: usize,
    /// Published tracks of one participant, those waiting for their media included.
    pub tracks_per_participant: usize,
    /// Announced tracks of one participant that wait for their media.
    pub pending_tracks: usize,
    /// Largest signalling message, in bytes: a session description fits.
    pub signal_message_bytes: usize,
    /// Signalling messages per second and participant, sustained; ten seconds' worth may come at once.
    pub signal_messages_per_sec: u32,
    /// Answers that may wait for a client that does not read, in messages.
    pub signal_queue: usize,
    /// Data sent by one participant, sustained, in bytes per second; two seconds' worth may come at once.
    pub data_bytes_per_sec: u32,
    /// Data packets sent by one participant per second, sustained; two seconds' worth may come at once.
    pub data_packets_per_sec: u32,
    /// Reliable data waiting for one slow receiver, in bytes.
    pub data_backlog_bytes: usize,
    /// Longest metadata text, in bytes.
    pub metadata_bytes: usize,
    /// All attributes of a participant together, keys and values, in bytes.
    pub attributes_bytes: usize,
    /// Longest participant or track name, in bytes.
    pub name_bytes: usize,
    /// Time to become connected after joining, in seconds.
    pub join_timeout_secs: u64,
    /// A WebRTC connection from which nothing came for this long is dead, in seconds.
    pub silence_timeout_secs: u64,
    /// TCP connections that are open at a time, upgraded or not. One address may have half of them, and a sixteenth
    /// that have not asked for anything yet.
    pub connections: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            rooms: 256,
            participants_per_room: 200,
            participants: 1000,
            tracks_per_participant: 16,
            pending_tracks: 8,
            signal_message_bytes: SDP_MAX_BYTES + 64 * 1024,
            signal_messages_per_sec: 50,
            signal_queue: 512,
            data_bytes_per_sec: 256 * 1024,
            data_packets_per_sec: 2000,
            data_backlog_bytes: 4 * 1024 * 1024,
            metadata_bytes: 64 * 1024,
            attributes_bytes: 64 * 1024,
            name_bytes: 256,
            join_timeout_secs: 60,
            silence_timeout_secs: 15,
            connections: 2048,
        }
    }
}

/// How a server runs.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on.
    pub bind: IpAddr,
    /// TCP port of HTTP and WebSocket; 0 takes any free one.
    pub port: u16,
    /// UDP port of all media, and the TCP port of media where UDP does not pass; 0 takes any free one.
    pub rtc_port: u16,
    /// Whether media may come over TCP.
    pub ice_tcp: bool,
    /// Who may sign tokens.
    pub keys: Vec<ApiKey>,
    /// Development mode: adds the well-known key pair and insists on a loopback address.
    pub dev: bool,
    /// Addresses told to clients for media instead of the machine's own, for a server behind a port forwarding.
    pub advertise: Vec<IpAddr>,
    /// Whether links let people in who have no token: see [`crate::protocol::invitation`].
    pub invitations: bool,
    /// What clients may not exceed.
    pub limits: ServerLimits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 7880,
            rtc_port: 7882,
            ice_tcp: true,
            keys: Vec::new(),
            dev: false,
            advertise: Vec::new(),
            invitations: false,
            limits: ServerLimits::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not the TOML we expect.
    #[error("the configuration cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// Nobody could ever join.
    #[error("no API key is configured: add one ([keys] name = \"secret\", or --keys 'name: secret'), or use --dev")]
    NoKeys,
    /// A key or secret is empty.
    #[error("an API key or its secret is empty (key {0:?})")]
    EmptyKey(String),
    /// Everybody knows the development key.
    #[error(
        "--dev uses a key pair everybody knows, so it listens on loopback only, not on {0}: configure keys instead"
    )]
    DevNotLoopback(IpAddr),
    /// A limit of zero would refuse everything.
    #[error("the limit {0} is 0, which refuses everything: raise it or leave it out")]
    ZeroLimit(&'static str),
}

/// The file's form: keys as a table of name = secret.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    bind: IpAddr,
    port: u16,
    rtc_port: u16,
    ice_tcp: bool,
    keys: BTreeMap<String, String>,
    dev: bool,
    advertise: Vec<IpAddr>,
    invitations: bool,
    limits: ServerLimits,
}

impl Default for File {
    fn default() -> Self {
        let base = ServerConfig::default();
        Self {
            bind: base.bind,
            port: base.port,
            rtc_port: base.rtc_port,
            ice_tcp: base.ice_tcp,
            keys: BTreeMap::new(),
            dev: base.dev,
            advertise: base.advertise,
            invitations: base.invitations,
            limits: base.limits,
        }
    }
}

impl ServerConfig {
    /// The development mode: `devkey` / `secret`, on loopback.
    pub fn dev() -> Self {
        Self { dev: true, ..Self::default() }
    }

    /// Reads a configuration file. Every field may be left out:
    ///
    /// ```toml
    /// bind = "0.0.0.0"
    /// port = 7880
    /// rtc_port = 7882
    /// ice_tcp = true
    /// advertise = ["203.0.113.7"]
    /// invitations = true
    /// [keys]
    /// reception = "a secret of at least 32 bytes ..."
    /// [limits]
    /// participants_per_room = 50
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] with the line that is wrong. Use [`ServerConfig::check`] for what it says as a whole.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        Ok(Self {
            bind: file.bind,
            port: file.port,
            rtc_port: file.rtc_port,
            ice_tcp: file.ice_tcp,
            keys: file.keys.into_iter().map(|(key, secret)| ApiKey { key, secret }).collect(),
            dev: file.dev,
            advertise: file.advertise,
            invitations: file.invitations,
            limits: file.limits,
        })
    }

    /// Completes and checks the whole: adds the development key, warns of weak secrets.
    ///
    /// # Errors
    /// The [`ConfigError`] that says what to change.
    pub fn check(mut self) -> Result<Self, ConfigError> {
        if self.dev {
            if !self.bind.is_loopback() {
                return Err(ConfigError::DevNotLoopback(self.bind));
            }
            if !self.keys.iter().any(|key| key.key == DEV_KEY) {
                self.keys.push(ApiKey { key: DEV_KEY.to_owned(), secret: DEV_SECRET.to_owned() });
            }
            tracing::warn!(
                "DEVELOPMENT MODE: anyone on this machine can sign tokens with {DEV_KEY} / {DEV_SECRET}; \
                 listening on loopback only"
            );
        }
        if self.keys.is_empty() {
            return Err(ConfigError::NoKeys);
        }
        for key in &self.keys {
            if key.key.is_empty() || key.secret.is_empty() {
                return Err(ConfigError::EmptyKey(key.key.clone()));
            }
            if key.secret.len() < GOOD_SECRET_BYTES && !(self.dev && key.key == DEV_KEY) {
                tracing::warn!(
                    key = key.key,
                    "this API secret is short: use at least {GOOD_SECRET_BYTES} random bytes"
                );
            }
        }
        self.limits.check()?;
        Ok(self)
    }
}

impl ServerLimits {
    fn check(&self) -> Result<(), ConfigError> {
        let zero = [
            ("rooms", self.rooms),
            ("participants_per_room", self.participants_per_room),
            ("participants", self.participants),
            ("signal_message_bytes", self.signal_message_bytes),
            ("signal_messages_per_sec", self.signal_messages_per_sec as usize),
            ("signal_queue", self.signal_queue),
            ("connections", self.connections),
        ];
        match zero.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(ConfigError::ZeroLimit(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_sets_what_it_names_and_leaves_the_rest() {
        let text = "port = 17100\nbind = \"0.0.0.0\"\n[keys]\nfront = \"0123456789abcdef0123456789abcdef\"\n\
            [limits]\nrooms = 3\n";
        let config = ServerConfig::from_toml(text).unwrap().check().unwrap();
        assert_eq!((config.port, config.rtc_port, config.limits.rooms), (17100, 7882, 3));
        assert_eq!((config.keys[0].key.as_str(), config.invitations), ("front", false));
        assert!(ServerConfig::from_toml("invitations = true").unwrap().invitations);
        assert_eq!(config.limits.participants, ServerLimits::default().participants);
    }

    #[test]
    fn mistakes_are_named() {
        let unknown = ServerConfig::from_toml("prot = 1").unwrap_err().to_string();
        assert!(unknown.contains("prot"), "{unknown}");
        assert!(matches!(ServerConfig::default().check(), Err(ConfigError::NoKeys)));
        let open = ServerConfig { bind: "0.0.0.0".parse().unwrap(), ..ServerConfig::dev() };
        assert!(matches!(open.check(), Err(ConfigError::DevNotLoopback(_))));
        let zero = ServerConfig::from_toml("dev = true\n[limits]\nrooms = 0").unwrap().check().unwrap_err();
        assert!(zero.to_string().contains("rooms"), "{zero}");
        let empty =
            ServerConfig { keys: vec![ApiKey { key: "a".into(), secret: String::new() }], ..Default::default() };
        assert!(matches!(empty.check(), Err(ConfigError::EmptyKey(_))));
    }

    #[test]
    fn secrets_stay_out_of_logs() {
        let text = format!(
            "{:?}",
            ServerConfig { keys: vec![ApiKey { key: "a".into(), secret: "hush".into() }], ..Default::default() }
        );
        assert!(text.contains("\"a\"") && !text.contains("hush"));
    }
}
