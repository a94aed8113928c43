//! What can be said about a login before dialing, so that a wrong token or address fails at once and clearly.

use livekit_api::access_token::Claims;
use url::Url;

use crate::bridge::LoginRequest;
use crate::model::{CallError, ErrorCode};

/// Servers that are tried at most.
const MAX_SERVERS: usize = 16;
/// Longest server address, in bytes.
const URL_MAX_BYTES: usize = 2048;
/// Longest token, in bytes: it travels in a header.
const TOKEN_MAX_BYTES: usize = 16 * 1024;
/// Clocks of server and client may differ by this much, in seconds (LIVEKIT.md section 2).
const LEEWAY_SECS: u64 = 60;

/// Checks addresses and token. Signature and key are the server's to check.
///
/// # Errors
/// [`CallError`] that says what is wrong with the request and what to do.
pub(super) fn check(request: &LoginRequest, now_unix_secs: u64) -> Result<(), CallError> {
    if request.servers.is_empty() || request.servers.len() > MAX_SERVERS {
        return Err(CallError::new(ErrorCode::ConnectFailed, format!("give 1 to {MAX_SERVERS} server addresses")));
    }
    for server in &request.servers {
        check_url(server)?;
    }
    check_token(request, now_unix_secs)
}

fn check_url(text: &str) -> Result<(), CallError> {
    let wrong = |why: &str| {
        let shown: String = text.chars().take(80).collect();
        CallError::new(ErrorCode::ConnectFailed, format!("{shown:?} is no server address: {why}"))
    };
    if text.len() > URL_MAX_BYTES {
        return Err(wrong("it is too long"));
    }
    let url = Url::parse(text).map_err(|error| wrong(&format!("{error}; write ws://HOST:PORT or wss://HOST")))?;
    if !matches!(url.scheme(), "ws" | "wss") || !url.has_host() {
        return Err(wrong("write ws://HOST:PORT or wss://HOST"));
    }
    Ok(())
}

fn check_token(request: &LoginRequest, now_unix_secs: u64) -> Result<(), CallError> {
    if request.token.is_empty() {
        return Err(CallError::new(ErrorCode::TokenMissing, "no token was given: ask the room's host for one"));
    }
    let malformed = |why: &str| CallError::new(ErrorCode::TokenMalformed, format!("the token cannot be used: {why}"));
    if request.token.len() > TOKEN_MAX_BYTES {
        return Err(malformed("it is too long"));
    }
    let claims = Claims::from_unverified(&request.token).map_err(|_| malformed("it is no LiveKit access token"))?;
    if claims.sub.is_empty() {
        return Err(malformed("it names no user"));
    }
    if (claims.exp as u64).saturating_add(LEEWAY_SECS) < now_unix_secs {
        return Err(CallError::new(
            ErrorCode::TokenExpired,
            "the token has expired: ask the room's host for a new one",
        ));
    }
    if claims.nbf as u64 > now_unix_secs.saturating_add(LEEWAY_SECS) {
        return Err(malformed("it is not valid yet; check this machine's clock"));
    }
    if !claims.video.room_join {
        return Err(malformed("it does not allow joining a room"));
    }
    if !claims.video.room.is_empty() && claims.video.room != request.room.as_str() {
        return Err(malformed(&format!("it is for room {:?}, not {:?}", claims.video.room, request.room.as_str())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use livekit_api::access_token::{AccessToken, VideoGrants};

    use super::*;
    use crate::model::RoomId;

    fn token(room: &str, join: bool) -> String {
        AccessToken::with_api_key("devkey", "a secret that is long enough for anyone")
            .with_identity("ann")
            .with_ttl(Duration::from_secs(600))
            .with_grants(VideoGrants { room_join: join, room: room.into(), ..Default::default() })
            .to_jwt()
            .unwrap()
    }

    fn request(token: String) -> LoginRequest {
        LoginRequest {
            servers: vec!["ws://127.0.0.1:7880".into()],
            room: RoomId::new("hall").unwrap(),
            token,
            auto_play: true,
        }
    }

    fn now() -> u64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    }

    fn code(request: &LoginRequest, now: u64) -> u32 {
        check(request, now).unwrap_err().code.number()
    }

    #[test]
    fn a_good_token_passes_and_each_fault_has_its_code() {
        assert!(check(&request(token("hall", true)), now()).is_ok());
        assert_eq!(code(&request(token("hall", true)), now() + 3600), 1_002_056, "expired");
        assert_eq!(code(&request(String::new()), now()), 1_002_067, "missing");
        assert_eq!(code(&request("a.b.c".into()), now()), 1_002_074, "no token");
        assert_eq!(code(&request(token("other", true)), now()), 1_002_074, "another room");
        assert_eq!(code(&request(token("hall", false)), now()), 1_002_074, "no grant to join");
    }

    #[test]
    fn addresses_are_checked() {
        for wrong in ["http://127.0.0.1", "127.0.0.1:7880", "ws://", "not an address", ""] {
            let mut request = request(token("hall", true));
            request.servers = vec![wrong.into()];
            assert_eq!(code(&request, now()), 1_002_030, "{wrong:?}");
        }
        let mut request = request(token("hall", true));
        request.servers.clear();
        assert_eq!(code(&request, now()), 1_002_030);
    }
}
