//! What is written in the lobby, and whether one can go where it says. Plain data.

use std::fmt;

use bevy::prelude::*;
use url::{Position, Url};

use crate::model::limits::USER_NAME_MAX_BYTES;
use crate::model::{CallError, ErrorCode, RoomId};

/// Rooms that are remembered.
const RECENT: usize = 6;
/// Longest address, in bytes.
pub(super) const LINK_MAX_BYTES: usize = 2048;
/// Longest token or key, in bytes.
pub(super) const SECRET_MAX_BYTES: usize = 8192;

/// How one goes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// A room of one's own, on this computer.
    #[default]
    Open,
    /// One that is there.
    Join,
}

/// A room one was in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentRoom {
    /// Its name.
    pub room: String,
    /// The link or the server's address; empty for a room on this computer.
    pub link: String,
}

impl RecentRoom {
    /// Its name, and where it is: the host as the network has it, so that one that only looks like another is told apart.
    pub(super) fn title(&self) -> String {
        let url = Url::parse(&self.link).ok();
        let at = url.as_ref().map_or("", |url| &url[Position::BeforeHost..Position::AfterPort]);
        [self.room.as_str(), at].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }

    /// The same room at the same server, by whatever code or scheme one comes in.
    pub fn is_same_as(&self, other: &Self) -> bool {
        if self.link == other.link {
            return self.room == other.room;
        }
        let here = place(&self.link);
        // What has no name is told apart by its whole link alone.
        !self.room.is_empty() && self.room == other.room && here.is_some() && here == place(&other.link)
    }
}

/// Host and port of an address.
fn place(link: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(link).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
    Some((host, url.port_or_known_default()))
}

/// The lobby. What was written stays, whatever becomes of the way in.
#[derive(Resource, Clone, Debug, Default, PartialEq)]
pub struct Lobby {
    /// It is shown, and nothing of the room's overlay.
    pub open: bool,
    /// The name others see.
    pub name: String,
    /// How one goes in.
    pub way: Way,
    /// A room's name.
    pub room: String,
    /// A link, or a server's address.
    pub link: String,
    /// For a server: keys instead of a token.
    pub with_keys: bool,
    /// A token.
    pub token: Secret,
    /// A pair of keys.
    pub api_key: String,
    /// See `api_key`.
    pub api_secret: Secret,
    /// The own picture is sent from the start.
    pub camera_on: bool,
    /// The own voice is.
    pub microphone_on: bool,
    /// The newest first.
    pub recent: Vec<RecentRoom>,
    /// What was wrong.
    pub trouble: Option<LobbyTrouble>,
    /// On the way in.
    pub entering: bool,
}

/// Something nobody is to read in a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Goes into a room.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct EnterRoom {
    /// The name others see.
    pub name: String,
    /// Which, and by what right.
    pub way: WayIn,
    /// The own picture is sent from the start.
    pub camera_on: bool,
    /// The own voice is.
    pub microphone_on: bool,
}

/// A room, and by what right one comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// Opened on this computer.
    Open(RoomId),
    /// By a link.
    Link(String),
    /// On a server.
    Server {
        /// `ws://` or `wss://`.
        url: String,
        /// The room; with a token it may be left to it.
        room: Option<RoomId>,
        /// The right.
        pass: Pass,
    },
}

/// What a server lets one in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// An access token.
    Token(Secret),
    /// The means to make one.
    Keys {
        /// Names the secret.
        key: String,
        /// Signs.
        secret: Secret,
    },
}

/// Why one does not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LobbyTrouble {
    /// No name.
    NameMissing,
    /// A longer one than there may be.
    NameTooLong,
    /// No room is called so.
    RoomWrong,
    /// No link.
    LinkMissing,
    /// It is none.
    LinkWrong,
    /// No token.
    TokenMissing,
    /// No keys.
    KeysMissing,
    /// The room cannot be opened on this computer.
    CannotOpen(String),
    /// The call said so.
    Call(CallError),
}

/// Where something is written, and what is wrong with it shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    Room,
    Link,
    Pass,
    /// None in particular.
    Whole,
}

impl LobbyTrouble {
    /// The field it belongs to, on this way.
    pub(super) fn field(&self, way: Way) -> Field {
        match self {
            Self::NameMissing | Self::NameTooLong => Field::Name,
            Self::RoomWrong => Field::Room,
            Self::LinkMissing | Self::LinkWrong => Field::Link,
            Self::TokenMissing | Self::KeysMissing => Field::Pass,
            Self::CannotOpen(_) => Field::Whole,
            Self::Call(error) => match error.code {
                ErrorCode::UserNameTooLong => Field::Name,
                ErrorCode::RoomIdEmpty | ErrorCode::RoomIdTooLong | ErrorCode::RoomIdInvalid => Field::Room,
                ErrorCode::ConnectFailed | ErrorCode::ConnectTimeout if way == Way::Join => Field::Link,
                ErrorCode::TokenExpired
                | ErrorCode::TokenMissing
                | ErrorCode::TokenMalformed
                | ErrorCode::TokenOfOtherApp
                | ErrorCode::TokenOfOtherRoom
                | ErrorCode::TokenGrantsNothing
                | ErrorCode::TokenNotYetValid
                    if way == Way::Join =>
                {
                    Field::Pass
                }
                _ => Field::Whole,
            },
        }
    }
}

/// What an address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A link, which gives the token, too.
    Link(String),
    /// A server, as a WebSocket URL.
    Server(String),
}

impl Target {
    /// `None` when it is no address we could go to.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LINK_MAX_BYTES {
            return None;
        }
        let mut url = Url::parse(text).ok()?;
        url.host_str().filter(|host| !host.is_empty())?;
        let scheme = match url.scheme() {
            "http" | "ws" => "ws",
            "https" | "wss" => "wss",
            _ => return None,
        };
        if url.scheme().starts_with("http") && url.path() != "/" {
            return Some(Self::Link(url.into()));
        }
        url.set_scheme(scheme).ok()?;
        Some(Self::Server(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl Lobby {
    /// What it says, if that leads anywhere.
    pub(super) fn wish(&self) -> Result<EnterRoom, LobbyTrouble> {
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(LobbyTrouble::NameMissing);
        }
        if name.len() > USER_NAME_MAX_BYTES {
            return Err(LobbyTrouble::NameTooLong);
        }
        let room = || RoomId::new(self.room.trim()).map_err(|_| LobbyTrouble::RoomWrong);
        let way = match self.way {
            Way::Open => WayIn::Open(room()?),
            Way::Join => match self.target() {
                _ if self.link.trim().is_empty() => return Err(LobbyTrouble::LinkMissing),
                None => return Err(LobbyTrouble::LinkWrong),
                Some(Target::Link(link)) => WayIn::Link(link),
                Some(Target::Server(url)) if self.with_keys => {
                    let (key, secret) = (self.api_key.trim(), self.api_secret.0.trim());
                    if key.is_empty() || secret.is_empty() {
                        return Err(LobbyTrouble::KeysMissing);
                    }
                    let pass = Pass::Keys { key: key.to_owned(), secret: Secret(secret.to_owned()) };
                    WayIn::Server { url, room: Some(room()?), pass }
                }
                Some(Target::Server(url)) => {
                    let token = self.token.0.trim();
                    if token.is_empty() {
                        return Err(LobbyTrouble::TokenMissing);
                    }
                    // The token names its room.
                    WayIn::Server { url, room: None, pass: Pass::Token(Secret(token.to_owned())) }
                }
            },
        };
        Ok(EnterRoom { name, way, camera_on: self.camera_on, microphone_on: self.microphone_on })
    }

    /// Where trouble is said: at its field, and where that is not shown, below everything.
    pub(super) fn place_of(&self, trouble: &LobbyTrouble) -> Field {
        let server = self.way == Way::Join && matches!(self.target(), Some(Target::Server(_)));
        match trouble.field(self.way) {
            Field::Room if self.way == Way::Join && !(server && self.with_keys) => Field::Whole,
            Field::Link if self.way == Way::Open => Field::Whole,
            Field::Pass if !server => Field::Whole,
            field => field,
        }
    }

    /// Where the written address leads.
    pub(super) fn target(&self) -> Option<Target> {
        Target::of(&self.link)
    }

    /// A room was entered: it stands first among those that are remembered. What led there before is forgotten: its code
    /// may be dead.
    pub fn remember(&mut self, room: RecentRoom) {
        self.recent.retain(|known| !known.is_same_as(&room));
        self.recent.insert(0, room);
        self.recent.truncate(RECENT);
    }

    /// Writes down what leads to a room one was in.
    pub(super) fn recall(&mut self, room: &RecentRoom) {
        self.trouble = None;
        // A link need not tell what its room is called.
        if !room.room.is_empty() {
            self.room.clone_from(&room.room);
        }
        if room.link.is_empty() {
            self.way = Way::Open;
            return;
        }
        self.way = Way::Join;
        self.link.clone_from(&room.link);
        // A token is for one room: the one for another room would lead there instead.
        if matches!(self.target(), Some(Target::Server(_))) && self.recent.first() != Some(room) {
            self.token = Secret::default();
        }
    }

    /// Takes back what was said of something that has been written anew since.
    pub(super) fn take_back(&mut self, before: &Self) {
        let Some(trouble) = &self.trouble else { return };
        let name = self.name != before.name;
        let room = self.room != before.room;
        let link = self.link != before.link;
        let kind = self.with_keys != before.with_keys;
        let keys = (&self.api_key, &self.api_secret) != (&before.api_key, &before.api_secret);
        let pass = kind || keys || self.token != before.token;
        let stale = match trouble {
            LobbyTrouble::NameMissing | LobbyTrouble::NameTooLong => name,
            LobbyTrouble::RoomWrong => room || link || kind,
            LobbyTrouble::LinkMissing | LobbyTrouble::LinkWrong => link,
            LobbyTrouble::TokenMissing | LobbyTrouble::KeysMissing => link || pass,
            LobbyTrouble::CannotOpen(_) | LobbyTrouble::Call(_) => name || room || link || pass,
        };
        if stale || self.way != before.way {
            self.trouble = None;
        }
    }
}
