//! The error a user of the engine sees: a stable code and a sentence that says what to do.

use std::fmt;

/// Stable codes. The numbers are the ones published by the call product whose flow FEATURES.md follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The engine could not be started.
    NotStarted,
    /// More rooms than one engine, or the server, holds.
    TooManyRooms,
    /// The user id is empty.
    UserIdEmpty,
    /// The user id holds a character that is not allowed.
    UserIdInvalid,
    /// The user id has 64 bytes or more.
    UserIdTooLong,
    /// The user name has 256 bytes or more.
    UserNameTooLong,
    /// The room id is empty.
    RoomIdEmpty,
    /// The room id is longer than 128 bytes.
    RoomIdTooLong,
    /// The room id holds a character that is not allowed.
    RoomIdInvalid,
    /// The server could not be reached.
    ConnectFailed,
    /// The server did not answer in time.
    ConnectTimeout,
    /// The server refused the token.
    AuthenticationFailed,
    /// The room has no place left.
    RoomFull,
    /// The room's hosts let nobody in.
    RoomLocked,
    /// A second login of the same user replaced this one.
    KickedBySecondLogin,
    /// Every attempt to come back failed.
    RetriesExhausted,
    /// A host removed this user.
    KickedByHost,
    /// The token has expired.
    TokenExpired,
    /// No token was given.
    TokenMissing,
    /// The token is not a LiveKit access token, or lacks a field.
    TokenMalformed,
    /// The token was made with another API key than the engine's app id.
    TokenOfOtherApp,
    /// The token is for another user.
    TokenOfOtherUser,
    /// The token is for another room.
    TokenOfOtherRoom,
    /// The token does not grant joining a room.
    TokenGrantsNothing,
    /// The token's time has not come.
    TokenNotYetValid,
    /// Publishing stopped because the connection was lost.
    PublishInterrupted,
    /// This stream is being published already.
    AlreadyPublishing,
    /// Someone else publishes under this stream id.
    StreamIdTaken,
    /// The stream id breaks the rules of [`crate::model::StreamId`].
    StreamIdInvalid,
    /// `extra_info` is longer than allowed.
    ExtraInfoTooLong,
    /// The token does not allow what was asked.
    NotPermitted,
    /// The stream to play does not exist.
    StreamNotFound,
    /// More streams are played than allowed.
    TooManyPlays,
    /// The way from the server is too narrow for a played picture: it waits.
    PlayInterrupted,
    /// The codec of the stream to play is not known here.
    CodecUnsupported,
    /// A message could not be sent.
    SendFailed,
    /// A message is longer than allowed.
    MessageTooLong,
    /// Messages are sent faster than allowed.
    MessageTooFast,
    /// A device or a file could not be used.
    CaptureFailed,
    /// What was published came to its end by itself: a shared window closed.
    SourceEnded,
    /// An own picture could not be filtered.
    BeautyFailed,
    /// Asked for while not logged in, or in a state that does not allow it.
    WrongState,
}

impl ErrorCode {
    /// The number shown to users and written to logs.
    pub const fn number(self) -> u32 {
        match self {
            Self::NotStarted => 1_000_001,
            Self::WrongState => 1_000_002,
            Self::TooManyRooms => 1_002_001,
            Self::UserIdEmpty => 1_002_005,
            Self::UserIdInvalid => 1_002_006,
            Self::UserIdTooLong => 1_002_007,
            Self::UserNameTooLong => 1_002_010,
            Self::RoomIdEmpty => 1_002_011,
            Self::RoomIdTooLong => 1_002_012,
            Self::RoomIdInvalid => 1_002_013,
            Self::ConnectFailed => 1_002_030,
            Self::ConnectTimeout => 1_002_031,
            Self::AuthenticationFailed => 1_002_033,
            Self::RoomFull => 1_002_034,
            Self::RoomLocked => 1_002_039,
            Self::KickedBySecondLogin => 1_002_050,
            Self::RetriesExhausted => 1_002_053,
            Self::KickedByHost => 1_002_055,
            Self::TokenExpired => 1_002_056,
            Self::TokenMissing => 1_002_067,
            Self::TokenMalformed => 1_002_074,
            Self::TokenOfOtherApp => 1_002_075,
            Self::TokenOfOtherUser => 1_002_076,
            Self::TokenOfOtherRoom => 1_002_077,
            Self::TokenGrantsNothing => 1_002_078,
            Self::TokenNotYetValid => 1_002_079,
            Self::PublishInterrupted => 1_003_020,
            Self::AlreadyPublishing => 1_003_023,
            Self::NotPermitted => 1_003_025,
            Self::StreamIdTaken => 1_003_028,
            Self::StreamIdInvalid => 1_003_029,
            Self::ExtraInfoTooLong => 1_003_051,
            Self::StreamNotFound => 1_004_002,
            Self::TooManyPlays => 1_004_010,
            Self::PlayInterrupted => 1_004_020,
            Self::CodecUnsupported => 1_004_061,
            Self::SendFailed => 1_009_010,
            Self::MessageTooLong => 1_009_013,
            Self::MessageTooFast => 1_009_015,
            Self::CaptureFailed => 1_011_001,
            Self::SourceEnded => 1_011_002,
            Self::BeautyFailed => 1_012_001,
        }
    }
}

/// What went wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people: what happened and what to do.
    pub message: String,
}

impl CallError {
    /// Joins a code and its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code.number())
    }
}

impl std::error::Error for CallError {}
