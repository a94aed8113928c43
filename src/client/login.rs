//! What can be said about a login before dialing, so that a wrong token or address fails at once and clearly.

use url::Url;

use crate::bridge::LoginRequest;
use crate::model::limits::USER_NAME_MAX_BYTES;
use crate::model::{CallError, ErrorCode, UserId};
use crate::protocol::token::{self, TokenError};

/// Servers that are tried at most.
const MAX_SERVERS: usize = 16;
/// Longest server address, in bytes.
const URL_MAX_BYTES: usize = 2048;

/// Checks addresses and token. Signature, key and times are the server's to check: only its clock counts.
///
/// # Errors
/// [`CallError`] that says what is wrong with the request and what to do.
pub(super) fn check(request: &LoginRequest) -> Result<(), CallError> {
    check_servers(&request.servers)?;
    check_token(request)
}

/// Checks server addresses.
///
/// # Errors
/// [`CallError`] when there are none or too many, or one is no address.
pub(super) fn check_servers(servers: &[String]) -> Result<(), CallError> {
    if servers.is_empty() || servers.len() > MAX_SERVERS {
        return Err(CallError::new(ErrorCode::ConnectFailed, format!("give 1 to {MAX_SERVERS} server addresses")));
    }
    servers.iter().try_for_each(|server| check_url(server))
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

fn check_token(request: &LoginRequest) -> Result<(), CallError> {
    let claims = token::peek(&request.token).map_err(token_error)?;
    claims.check_join(request.room.as_str()).map_err(token_error)?;
    UserId::new(claims.identity())?;
    check_name(&claims.name)
}

/// Checks a user's name.
///
/// # Errors
/// [`CallError`] when it is too long.
pub(super) fn check_name(name: &str) -> Result<(), CallError> {
    if name.len() <= USER_NAME_MAX_BYTES {
        return Ok(());
    }
    let message = format!("the user name has {} bytes: shorten it to at most {USER_NAME_MAX_BYTES}", name.len());
    Err(CallError::new(ErrorCode::UserNameTooLong, message))
}

/// Why a server refused a token: by our clock, perhaps, its time is over or yet to come.
pub(super) fn explain(error: CallError, token: &str, now_unix_secs: u64) -> CallError {
    if error.code != ErrorCode::AuthenticationFailed {
        return error;
    }
    match token::peek(token).and_then(|claims| claims.check_time(now_unix_secs)) {
        Err(reason @ (TokenError::Expired { .. } | TokenError::NotYetValid { .. })) => token_error(reason),
        _ => error,
    }
}

/// What is wrong with a token, with its code.
pub(super) fn token_error(error: TokenError) -> CallError {
    let code = match &error {
        TokenError::Missing => ErrorCode::TokenMissing,
        TokenError::Expired { .. } => ErrorCode::TokenExpired,
        TokenError::NotYetValid { .. } => ErrorCode::TokenNotYetValid,
        TokenError::OtherApp { .. } => ErrorCode::TokenOfOtherApp,
        TokenError::OtherUser { .. } => ErrorCode::TokenOfOtherUser,
        TokenError::OtherRoom { .. } => ErrorCode::TokenOfOtherRoom,
        TokenError::NoRoomJoin => ErrorCode::TokenGrantsNothing,
        _ => ErrorCode::TokenMalformed,
    };
    CallError::new(code, format!("{error}; ask the room's host for a token"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RoomId;
    use crate::protocol::token::{TokenRequest, issue};

    const NOW: u64 = 1_800_000_000;

    fn token(room: &str) -> String {
        let request = TokenRequest { ttl_secs: 600, ..TokenRequest::member("devkey", "secret", room, "ann") };
        issue(&request, NOW).unwrap()
    }

    fn request(token: String) -> LoginRequest {
        LoginRequest {
            servers: vec!["ws://127.0.0.1:7880".into()],
            room: RoomId::new("hall").unwrap(),
            token,
            auto_play: true,
            first_quality: None,
        }
    }

    fn code(request: &LoginRequest) -> u32 {
        check(request).unwrap_err().code.number()
    }

    #[test]
    fn a_good_token_passes_and_each_fault_has_its_code() {
        assert!(check(&request(token("hall"))).is_ok());
        assert_eq!(code(&request(String::new())), 1_002_067, "missing");
        assert_eq!(code(&request("a.b.c".into())), 1_002_074, "no token");
        assert_eq!(code(&request(token("other"))), 1_002_077, "another room");
        let issued = |change: &dyn Fn(&mut TokenRequest)| {
            let mut asked = TokenRequest::member("devkey", "secret", "hall", "ann");
            change(&mut asked);
            request(issue(&asked, NOW).unwrap())
        };
        assert_eq!(code(&issued(&|asked| asked.identity = "x".repeat(64))), 1_002_007, "a user id of 64 bytes");
        assert_eq!(code(&issued(&|asked| asked.identity = "a\nb".into())), 1_002_006, "an unprintable user id");
        assert_eq!(code(&issued(&|asked| asked.name = "x".repeat(256))), 1_002_010, "a name of 256 bytes");
        assert!(check(&issued(&|asked| asked.name = "x".repeat(255))).is_ok());
    }

    #[test]
    fn a_refusal_is_explained_by_the_tokens_times() {
        let refused = || CallError::new(ErrorCode::AuthenticationFailed, "refused");
        let explained = |now| explain(refused(), &token("hall"), now).code.number();
        assert_eq!(explained(NOW), 1_002_033, "its times are fine");
        assert_eq!(explained(NOW + 3600), 1_002_056, "expired");
        assert_eq!(explained(NOW - 3600), 1_002_079, "not yet valid");
        let unreachable = CallError::new(ErrorCode::ConnectFailed, "no route");
        assert_eq!(explain(unreachable, &token("hall"), NOW + 3600).code, ErrorCode::ConnectFailed);
    }

    #[test]
    fn addresses_are_checked() {
        for wrong in ["http://127.0.0.1", "127.0.0.1:7880", "ws://", "not an address", ""] {
            let mut request = request(token("hall"));
            request.servers = vec![wrong.into()];
            assert_eq!(code(&request), 1_002_030, "{wrong:?}");
        }
        let mut request = request(token("hall"));
        request.servers.clear();
        assert_eq!(code(&request), 1_002_030);
    }
}
