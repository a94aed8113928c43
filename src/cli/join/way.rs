//! The way into the room: with a token, one made here from a key, or an invitation's link.

use anyhow::bail;
use rotunda::bridge::{Entry, InvitationRequest, LoginRequest};
use rotunda::model::{RoomId, UserId};
use rotunda::protocol::token::{self, TokenRequest};

use super::JoinArgs;
use crate::cli::args::{Place, ServerUrl};

/// How the room is entered.
pub struct Way {
    /// For the engine.
    pub entry: Entry,
    /// Names our streams, and varies the face and the voice that are made up.
    pub identity: UserId,
    /// Makes another token; `None` for one that was given.
    pub renewal: Option<TokenRequest>,
}

/// The way that the command line names.
pub fn of(args: &JoinArgs) -> anyhow::Result<Way> {
    match &args.url {
        Place::Invitation(link) => invited(args, link),
        Place::Server(server) => with_token(args, server),
    }
}

fn invited(args: &JoinArgs, link: &str) -> anyhow::Result<Way> {
    if args.room.is_some() || args.identity.is_some() || !args.servers.is_empty() {
        bail!("an invitation says by itself where it leads: leave out --room, --identity and --server");
    }
    // Who we are in the room is for the server to say; streams need an id before that.
    let identity = UserId::of_name(&args.name, rand::random());
    let (link, name) = (link.to_owned(), args.name.clone());
    let request = InvitationRequest { link, name, auto_play: true, first_quality: None };
    Ok(Way { entry: request.into(), identity, renewal: None })
}

fn with_token(args: &JoinArgs, server: &ServerUrl) -> anyhow::Result<Way> {
    let Some(room) = &args.room else {
        bail!("give --room, or an invitation's link (http://HOST/join/ROOM?code=CODE) in place of the server");
    };
    let room = RoomId::new(room.as_str())?;
    let Credentials { token, renewal } = credentials(args, &room)?;
    let identity = UserId::new(token::peek(&token)?.identity())?;
    let servers = std::iter::once(server).chain(&args.servers).map(|server| server.0.clone()).collect();
    let login = LoginRequest { servers, room, token, auto_play: true, first_quality: None };
    Ok(Way { entry: login.into(), identity, renewal })
}

/// What opens the room.
struct Credentials {
    token: String,
    renewal: Option<TokenRequest>,
}

fn credentials(args: &JoinArgs, room: &RoomId) -> anyhow::Result<Credentials> {
    if let Some(token) = &args.token {
        return Ok(Credentials { token: token.clone(), renewal: None });
    }
    let (Some(key), Some(secret)) = (&args.api_key, &args.api_secret) else {
        bail!(
            "give --token, or --api-key and --api-secret, or an invitation's link \
             (http://HOST/join/ROOM?code=CODE) in place of the server"
        );
    };
    let identity = match &args.identity {
        Some(identity) => UserId::new(identity.as_str())?,
        None => UserId::of_name(&args.name, rand::random()),
    };
    let request =
        TokenRequest { name: args.name.clone(), ..TokenRequest::member(key, secret, room.as_str(), identity.as_str()) };
    Ok(Credentials { token: crate::cli::token::issue(&request)?, renewal: Some(request) })
}
