//! Ids and their rules. A value of one of these types has been checked: nothing downstream checks again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{CallError, ErrorCode};
use super::limits::{ROOM_ID_MAX_BYTES, STREAM_ID_MAX_BYTES, USER_ID_MAX_BYTES};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Nothing was given.
    #[error("the {what} is empty: give one of 1 to {max} bytes")]
    Empty {
        /// Which id.
        what: &'static str,
        /// The longest allowed, in bytes.
        max: usize,
    },
    /// Too many bytes.
    #[error("the {what} has {len} bytes: shorten it to at most {max}")]
    TooLong {
        /// Which id.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The longest allowed, in bytes.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error("the {what} contains {found:?}: use only {allowed}")]
    Character {
        /// Which id.
        what: &'static str,
        /// The first character that is not allowed.
        found: char,
        /// The allowed set, for people.
        allowed: &'static str,
    },
}

impl From<IdError> for CallError {
    fn from(error: IdError) -> Self {
        let code = match &error {
            IdError::Empty { what: "room id", .. } => ErrorCode::RoomIdEmpty,
            IdError::TooLong { what: "room id", .. } => ErrorCode::RoomIdTooLong,
            IdError::Character { what: "room id", .. } => ErrorCode::RoomIdInvalid,
            IdError::Empty { what: "user id", .. } => ErrorCode::UserIdEmpty,
            IdError::TooLong { what: "user id", .. } => ErrorCode::UserIdTooLong,
            IdError::Character { what: "user id", .. } => ErrorCode::UserIdInvalid,
            IdError::Empty { what: "stream id", .. }
            | IdError::TooLong { what: "stream id", .. }
            | IdError::Character { what: "stream id", .. } => ErrorCode::StreamIdInvalid,
            _ => ErrorCode::TokenMalformed,
        };
        Self::new(code, error.to_string())
    }
}

const ROOM_ALLOWED: &str = "letters, digits and ~!@#$^&*()_+=-`;',.<>/’ (no % and no space)";
const STREAM_ALLOWED: &str = "0-9, A-Z, a-z, _ and -";
const USER_ALLOWED: &str = "printable characters";

fn check(
    text: &str,
    what: &'static str,
    max: usize,
    allowed: &'static str,
    is_allowed: impl Fn(char) -> bool,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what, max });
    }
    if text.len() > max {
        return Err(IdError::TooLong { what, len: text.len(), max });
    }
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(found) => Err(IdError::Character { what, found, allowed }),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// A room: 1..=128 bytes of letters, digits and a documented set of signs.
    RoomId
}
text_id! {
    /// A user, LiveKit's participant identity: 1..=63 bytes, nothing unprintable.
    UserId
}
text_id! {
    /// A stream: 1..=256 bytes of `[0-9A-Za-z_-]`, unique in its room.
    StreamId
}
text_id! {
    /// A track's id as the server gave it (`TR_…`).
    TrackSid
}

impl RoomId {
    /// Checks a room id.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long or holds a character that is not allowed.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        check(&text, "room id", ROOM_ID_MAX_BYTES, ROOM_ALLOWED, |c| {
            c.is_ascii_alphanumeric() || "~!@#$^&*()_+=-`;',.<>/’".contains(c)
        })?;
        Ok(Self(text))
    }
}

impl UserId {
    /// Checks a user id.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long or unprintable.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        check(&text, "user id", USER_ID_MAX_BYTES, USER_ALLOWED, |c| !c.is_control())?;
        Ok(Self(text))
    }

    /// An id made from a name, and 48 bits of `random` that others of the same name do not have.
    pub fn of_name(name: &str, random: u64) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let stem: String = name.chars().map(plain).take(40).collect();
        Self(format!("{stem}-{:012x}", random & 0xffff_ffff_ffff))
    }
}

impl TrackSid {
    /// Checks a track id.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long or unprintable.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        check(&text, "track id", STREAM_ID_MAX_BYTES, USER_ALLOWED, |c| !c.is_control())?;
        Ok(Self(text))
    }
}

impl StreamId {
    /// Checks a stream id.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long or holds a character that is not allowed.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        check(&text, "stream id", STREAM_ID_MAX_BYTES, STREAM_ALLOWED, is_stream_char)?;
        Ok(Self(text))
    }

    /// The stream id of a track published by a client that knows no stream ids: its owner and its LiveKit stream
    /// name, with what is not allowed replaced and then told apart by a hash, so that two owners never share one.
    pub fn derived(owner: &UserId, stream_name: &str) -> Self {
        let plain: String = owner.as_str().chars().map(|c| if is_stream_char(c) { c } else { '_' }).collect();
        let name: String = stream_name.chars().filter(|c| is_stream_char(*c)).take(64).collect();
        let name = if name.is_empty() { "stream".to_owned() } else { name };
        if plain == owner.as_str() {
            Self(format!("{plain}-{name}"))
        } else {
            Self(format!("{plain}-{:08x}-{name}", fnv1a(owner.as_str())))
        }
    }
}

fn is_stream_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// FNV-1a, 32 bits: stable across processes, which `DefaultHasher` is not.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ids_keep_their_rules() {
        assert!(RoomId::new("stand-up/2026 ").is_err(), "a space is refused");
        assert!(RoomId::new("100%").is_err(), "a percent sign is refused");
        assert!(RoomId::new("stand-up/2026;it’s").is_ok());
        assert!(RoomId::new("a".repeat(128)).is_ok());
        let long: CallError = RoomId::new("a".repeat(129)).unwrap_err().into();
        assert_eq!(long.code.number(), 1_002_012);
        let empty: CallError = RoomId::new("").unwrap_err().into();
        assert_eq!(empty.code.number(), 1_002_011);
    }

    #[test]
    fn user_ids_end_below_64_bytes() {
        assert!(UserId::new("é".repeat(31)).is_ok());
        assert!(UserId::new("é".repeat(32)).is_err());
        let code = |text: String| CallError::from(UserId::new(text).unwrap_err()).code.number();
        assert_eq!(code("x".repeat(64)), 1_002_007);
        assert_eq!(code("a\0b".into()), 1_002_006);
        assert_eq!(code(String::new()), 1_002_005);
    }

    #[test]
    fn derived_stream_ids_are_legal_and_distinct() {
        let first = StreamId::derived(&UserId::new("ann a").unwrap(), "camera");
        let second = StreamId::derived(&UserId::new("ann_a").unwrap(), "camera");
        let third = StreamId::derived(&UserId::new("ann:a").unwrap(), "camera");
        assert!(StreamId::new(first.as_str()).is_ok());
        assert_eq!(second.as_str(), "ann_a-camera");
        assert!(first != second && first != third && second != third);
    }
}
