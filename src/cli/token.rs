//! `rotunda token`: an access token for a room, or a link that invites into it, on standard output.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;
use rotunda::model::{RoomId, UserId};
use rotunda::protocol::invitation;
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
    #[arg(long, required_unless_present = "invitation")]
    identity: Option<String>,
    /// The name others see [default: the identity].
    #[arg(long)]
    name: Option<String>,
    /// Let the user keep order in the room.
    #[arg(long)]
    admin: bool,
    /// How long the token is good for.
    #[arg(long, default_value = "6h")]
    ttl: Span,
    /// Print a link instead of a token: whoever has it can come in, as long as the secret is in use, but while a room is
    /// open whose host made a new one. The URL is the server's, as others reach it: http://HOST:PORT or https://HOST; the
    /// server must take invitations.
    #[arg(long, value_name = "URL", conflicts_with_all = ["identity", "name", "admin", "ttl"])]
    invitation: Option<String>,
}

pub fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let room = RoomId::new(args.room.as_str())?;
    if let Some(base) = &args.invitation {
        let link = invitation::link(base, &args.api_secret, &room);
        super::say(
            link.with_context(|| format!("{base:?} is no server's address: write http://HOST:PORT or https://HOST"))?,
        );
        return Ok(());
    }
    let identity = UserId::new(args.identity.as_deref().unwrap_or_default())?;
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
