//! Opening a room on this computer: a server of its own, with keys nobody else has, that others reach by a link. Each time
//! with new keys: a link is good for as long as its room. Blocks for some milliseconds: it belongs on a thread beside the
//! frames.

use std::net::{IpAddr, Ipv4Addr};

use crate::bridge::LoginRequest;
use crate::media::capture::stamp::unix_now_ms;
use crate::model::{RoomId, UserId};
use crate::protocol::token::{self, TokenError, TokenRequest};
use crate::server::{ApiKey, Server, ServerConfig, ServerError, ServerHandle};
use crate::space::fetch::FIRST_QUALITY;

/// The port that is tried first, so that a firewall needs one hole.
const PORT: u16 = 7880;
/// The key's name; what is secret about it is made anew each time.
const KEY: &str = "room";

/// A room that was opened.
pub(super) struct Opened {
    /// The room ends with it.
    pub server: ServerHandle,
    /// Others come in by it.
    pub link: Option<String>,
    /// Whoever opened it comes in by this, as a host.
    pub login: LoginRequest,
}

/// Why no room could be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Opens a room on this port, or the usual one, or any that is free.
pub(super) fn open_room(room: &RoomId, name: &str, port: Option<u16>) -> Result<Opened, OpenError> {
    let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let config = |port, rtc_port| ServerConfig {
        bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port,
        rtc_port,
        keys: vec![ApiKey { key: KEY.to_owned(), secret: secret.clone() }],
        invitations: true,
        ..ServerConfig::default()
    };
    let server = match port {
        Some(port) => Server::start(config(port, 0))?,
        None => Server::start(config(PORT, 0)).or_else(|error| {
            tracing::info!(%error, "taking any free port instead");
            Server::start(config(0, 0))
        })?,
    };
    let server = server.closing_its_rooms();
    let identity = UserId::of_name(name, rand::random());
    let host = TokenRequest { name: name.to_owned(), admin: true, ..member(&secret, room, &identity) };
    let login = login(server.url(), room.clone(), token::issue(&host, now_secs())?);
    let link = server.invitation(room);
    Ok(Opened { server, link, login })
}

fn member(secret: &str, room: &RoomId, identity: &UserId) -> TokenRequest {
    TokenRequest::member(KEY, secret, room.as_str(), identity.as_str())
}

/// What enters a room on a server.
pub(super) fn login(server: String, room: RoomId, token: String) -> LoginRequest {
    LoginRequest { servers: vec![server], room, token, auto_play: true, first_quality: Some(FIRST_QUALITY) }
}

/// By this computer's clock.
pub(super) fn now_secs() -> u64 {
    unix_now_ms() / 1000
}
