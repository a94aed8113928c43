//! `rotunda token`: an access token for a room, on standard output.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;
use rotunda::model::{RoomId, UserId};
use rotunda::protocol::token::{self, TokenRequest};

use super::args::Span;

#[derive(Debug, Args)]
pub struct TokenArgs {
    /// API key of the server.
    #[arg(long, env = "LIVEKIT_API_KEY")]
    api_key: String,
    /// API secret of the server.
    #[arg(long, env = "LIVEKIT_API_SECRET", hide_env_values = true)]
    api_secret: String,
    /// The room the token opens.
    #[arg(long)]
    room: String,
    /// The user's id, unique in the room.
    #[arg(long)]
    identity: String,
    /// The name others see [default: the identity].
    #[arg(long)]
    name: Option<String>,
    /// Let the user keep order in the room.
    #[arg(long)]
    admin: bool,
    /// How long the token is good for.
    #[arg(long, default_value = "6h")]
    ttl: Span,
}

pub fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let room = RoomId::new(args.room.as_str())?;
    let identity = UserId::new(args.identity.as_str())?;
    let name = args.name.as_deref().unwrap_or(identity.as_str());
    let request = TokenRequest {
        name: name.to_owned(),
        admin: args.admin,
        ttl_secs: args.ttl.0.as_secs(),
        ..TokenRequest::member(&args.api_key, &args.api_secret, room.as_str(), identity.as_str())
    };
    super::say(issue(&request)?);
    Ok(())
}

/// Signs a token as of now.
pub fn issue(request: &TokenRequest) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the system's clock is before 1970: set it")?;
    Ok(token::issue(request, now.as_secs())?)
}
