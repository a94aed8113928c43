//! What servers and transports say went wrong, as errors people can act on.

use livekit_api::signal_client::SignalError;
use livekit_protocol as proto;

use crate::model::{CallError, EndReason, ErrorCode};

/// Longest server text repeated to people, in characters.
const MAX_QUOTED_CHARS: usize = 160;

/// Why dialing failed.
pub(super) fn dial_error(server: &str, error: &SignalError) -> CallError {
    match error {
        SignalError::TokenFormat => {
            CallError::new(ErrorCode::TokenMalformed, "the token cannot be used: it contains illegal characters")
        }
        SignalError::Timeout(_) => timeout(server),
        SignalError::Client(status, body) | SignalError::Server(status, body) => refused(server, status.as_u16(), body),
        // The server found nothing wrong with the token when asked again: the login failed for want of room.
        SignalError::Handshake { status } if status.as_u16() == 403 => room_full(),
        SignalError::Handshake { status } => refused(server, status.as_u16(), ""),
        SignalError::LeaveRequest { reason, .. } => ended(*reason),
        other => CallError::new(
            ErrorCode::ConnectFailed,
            format!("{server} cannot be reached ({other}): check the address and the network"),
        ),
    }
}

/// The server did not answer in time.
pub(super) fn timeout(server: &str) -> CallError {
    CallError::new(ErrorCode::ConnectTimeout, format!("{server} did not answer in time: check the network, try again"))
}

fn room_full() -> CallError {
    CallError::new(ErrorCode::RoomFull, "the room is full: wait until someone leaves, or try another server")
}

fn refused(server: &str, status: u16, body: &str) -> CallError {
    let said: String = body.trim().chars().filter(|c| !c.is_control()).take(MAX_QUOTED_CHARS).collect();
    let lower = said.to_ascii_lowercase();
    if lower.contains("expired") {
        return CallError::new(ErrorCode::TokenExpired, "the token has expired: ask the room's host for a new one");
    }
    if lower.contains("full") || lower.contains("max participants") || lower.contains("participant limit") {
        return room_full();
    }
    if lower.contains("room is locked") {
        let message = "the room is locked: ask its host to let you in";
        return CallError::new(ErrorCode::RoomLocked, message);
    }
    if lower.contains("banned") {
        return CallError::new(ErrorCode::KickedByHost, "a host of this room does not let you in any more");
    }
    if lower.contains("ask for a new link") {
        let message = "this invitation is not valid (any more): ask for a new link";
        return CallError::new(ErrorCode::AuthenticationFailed, message);
    }
    let quoted = if said.is_empty() { String::new() } else { format!(": {said}") };
    match status {
        429 => CallError::new(
            ErrorCode::TooManyRooms,
            format!("{server} has as many rooms as it can hold: enter one that exists, or try later"),
        ),
        401 | 403 => CallError::new(
            ErrorCode::AuthenticationFailed,
            format!("{server} refused the token{quoted}; ask the room's host for a new one"),
        ),
        _ => CallError::new(ErrorCode::ConnectFailed, format!("{server} refused the connection ({status}){quoted}")),
    }
}

/// Whether another attempt or another server may help.
pub(super) fn may_retry(error: &CallError) -> bool {
    matches!(
        error.code,
        ErrorCode::ConnectFailed | ErrorCode::ConnectTimeout | ErrorCode::RoomFull | ErrorCode::TooManyRooms
    )
}

/// Why the server ended this session for good.
pub(super) fn ended(reason: proto::DisconnectReason) -> CallError {
    use proto::DisconnectReason as Reason;
    let (code, text) = match reason {
        Reason::DuplicateIdentity => (
            ErrorCode::KickedBySecondLogin,
            "the same user logged in somewhere else: leave there first to come back here",
        ),
        Reason::ParticipantRemoved => {
            (ErrorCode::KickedByHost, "a host removed you from the room: ask them before you come back")
        }
        Reason::RoomDeleted | Reason::RoomClosed => (ErrorCode::KickedByHost, "the room was closed by its host"),
        Reason::ServerShutdown => (ErrorCode::ConnectFailed, "the server is shutting down: join again later"),
        _ => (ErrorCode::ConnectFailed, "the server ended the session: join again"),
    };
    CallError::new(code, text)
}

/// What an own stream is told that ends with the call.
pub(super) fn publish_interrupted(why: &CallError) -> CallError {
    CallError::new(ErrorCode::PublishInterrupted, format!("publishing ended with the call: {}", why.message))
}

/// What the own streams and the others' views end with.
pub(super) fn end_reason(error: Option<&CallError>) -> EndReason {
    match error.map(|error| error.code) {
        Some(ErrorCode::KickedBySecondLogin) => EndReason::ReplacedBySecondLogin,
        Some(ErrorCode::KickedByHost) => EndReason::Kicked,
        _ => EndReason::Disconnected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_their_meaning() {
        assert_eq!(refused("ws://x", 401, "no permissions").code.number(), 1_002_033);
        assert_eq!(refused("ws://x", 401, "token is expired (exp)").code.number(), 1_002_056);
        assert_eq!(refused("ws://x", 500, "room is full").code.number(), 1_002_034);
        assert_eq!(refused("ws://x", 403, "the room is locked: its hosts …").code.number(), 1_002_039);
        assert_eq!(refused("ws://x", 403, "you are banned from this room").code.number(), 1_002_055);
        let old_link = refused("ws://x", 403, "this invitation is not valid any more: ask for a new link");
        assert!(old_link.code.number() == 1_002_033 && old_link.message.starts_with("this invitation"), "{old_link}");
        assert_eq!(refused("ws://x", 429, "the server holds no more rooms").code.number(), 1_002_001);
        assert_eq!(
            refused("ws://x", 403, "the server takes no more participants: the room is full").code.number(),
            1_002_034
        );
        assert_eq!(refused("ws://x", 503, "").code.number(), 1_002_030);
        assert!(!may_retry(&refused("ws://x", 403, "")));
        assert!(may_retry(&timeout("ws://x")));
    }

    #[test]
    fn a_server_cannot_flood_the_message() {
        let error = refused("ws://x", 418, &"a\n".repeat(10_000));
        assert!(error.message.len() < 300 && !error.message.contains('\n'));
    }

    #[test]
    fn kicks_have_their_codes() {
        assert_eq!(ended(proto::DisconnectReason::DuplicateIdentity).code.number(), 1_002_050);
        assert_eq!(ended(proto::DisconnectReason::ParticipantRemoved).code.number(), 1_002_055);
    }
}
