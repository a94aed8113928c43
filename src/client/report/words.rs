//! States and reasons in a word each, as reports and watched calls write them.

use crate::model::quality::Grade;
use crate::model::{EndReason, MediaKind, PlayState, PublishState, RoomState, RoomStateReason};

/// Where a client stands with its room.
pub(in crate::client) const fn room_state(state: RoomState) -> &'static str {
    match state {
        RoomState::Disconnected => "disconnected",
        RoomState::Connecting => "connecting",
        RoomState::Connected => "connected",
    }
}

/// Why it stands there.
pub(in crate::client) const fn room_reason(reason: RoomStateReason) -> &'static str {
    match reason {
        RoomStateReason::LoggingIn => "logging_in",
        RoomStateReason::LoggedIn => "logged_in",
        RoomStateReason::LoginFailed => "login_failed",
        RoomStateReason::Reconnecting => "reconnecting",
        RoomStateReason::Reconnected => "reconnected",
        RoomStateReason::ReconnectFailed => "reconnect_failed",
        RoomStateReason::KickedOut => "kicked_out",
        RoomStateReason::LoggedOut => "logged_out",
        RoomStateReason::LogoutFailed => "logout_failed",
    }
}

/// Why a stream or a user is gone.
pub(in crate::client) const fn end_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Stopped => "stopped",
        EndReason::TimedOut => "timed_out",
        EndReason::ReplacedBySecondLogin => "replaced_by_second_login",
        EndReason::Kicked => "kicked",
        EndReason::Disconnected => "disconnected",
        EndReason::RemovedByServer => "removed_by_server",
    }
}

/// How far publishing has come.
pub(in crate::client) const fn publish_state(state: PublishState) -> &'static str {
    match state {
        PublishState::NoPublish => "no_publish",
        PublishState::Requesting => "requesting",
        PublishState::Publishing => "publishing",
    }
}

/// How far playing has come.
pub(in crate::client) const fn play_state(state: PlayState) -> &'static str {
    match state {
        PlayState::NoPlay => "no_play",
        PlayState::Requesting => "requesting",
        PlayState::Playing => "playing",
    }
}

/// Sound or picture.
pub(in crate::client) const fn media(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
}

/// How good something is.
pub(in crate::client) const fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Excellent => "excellent",
        Grade::Good => "good",
        Grade::Medium => "medium",
        Grade::Poor => "poor",
        Grade::Lost => "lost",
    }
}
