//! Invitations: links that let whoever has one into a room, without a key. A link is the address of a token endpoint as
//! LiveKit's clients know them ("endpoint token generation"): asked with `POST`, it answers with a server and a token.
//! What is asked and answered stands here, and how our own server's links are made. Reads no clock.
//!
//! Our links carry a code that only who has the API secret can make, from the room's name: nothing is stored. A link is good
//! as long as the secret is, but while a room is open whose hosts made its links anew ([`crate::model::RoomOrder::renewals`]).

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::model::limits::USER_NAME_MAX_BYTES;
use crate::model::{LinkCode, RoomId};

/// Longest link, in bytes.
pub const LINK_MAX_BYTES: usize = 2048;
/// Largest request that is looked at, in bytes.
pub const ASK_MAX_BYTES: usize = 4 * 1024;
/// Largest answer that is looked at, in bytes: a token with attributes fits.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// Where our server takes invitations; the room follows.
const PATH: &str = "/join/";

/// What a token endpoint is asked. All of it may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// The room to enter; ours names it in the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_name: Option<String>,
    /// What the others shall call whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_name: Option<String>,
    /// The identity that is wished for. Ours makes one itself, so that nobody takes another's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_identity: Option<String>,
}

/// What a token endpoint answers. It holds a token: it is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where to log in.
    #[serde(alias = "serverUrl")]
    pub server_url: String,
    /// With what.
    #[serde(alias = "participantToken")]
    pub participant_token: String,
}

impl Answer {
    /// Reads an answer; `None` when it is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > ANSWER_MAX_BYTES {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }
}

/// Why a text is no name for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or spaces only.
    #[error("the name is empty: say what others shall call you (participant_name)")]
    Empty,
    /// Too many bytes.
    #[error("the name has {len} bytes: shorten it to at most {USER_NAME_MAX_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Line breaks and the like.
    #[error("the name holds characters that cannot be shown: leave them out")]
    Unprintable,
}

/// Checks a name; answers it without the spaces around it.
///
/// # Errors
/// The [`NameError`] that says what to change.
pub fn check_name(name: &str) -> Result<&str, NameError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > USER_NAME_MAX_BYTES {
        return Err(NameError::TooLong { len: name.len() });
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Unprintable);
    }
    Ok(name)
}

/// The code that opens a room whose links were made anew at this time; 0 for the first one.
pub fn code(secret: &str, room: &RoomId, made_secs: u32) -> LinkCode {
    let mark = mark(secret, room, made_secs).map(|mark| mark.finalize().into_bytes());
    LinkCode { made_secs, mark: std::array::from_fn(|at| mark.map_or(0, |mark| mark[at])) }
}

/// Whether a code was made with this secret for the room; whether there is a newer one only the server knows. Takes as long
/// for a wrong one, however wrong it is.
pub fn matches(secret: &str, room: &RoomId, code: &LinkCode) -> bool {
    mark(secret, room, code.made_secs).is_some_and(|mark| mark.verify_truncated_left(&code.mark).is_ok())
}

/// The first link into a room on the server that others reach at `base`: `http://` or `https://` (`ws://`, `wss://`) and a
/// host, without a path. `None` when `base` is no such address, and for the rooms `.` and `..`, which no address can name.
pub fn link(base: &str, secret: &str, room: &RoomId) -> Option<String> {
    Some(format!("{}?code={}", address(base, room)?, code(secret, room, 0)))
}

/// A link without its code; see [`link`].
pub fn address(base: &str, room: &RoomId) -> Option<String> {
    let (scheme, rest) = base.trim().split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return None,
    };
    let rest = rest.trim_end_matches('/');
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"/?#\\\"<>".contains(c);
    if rest.is_empty() || !rest.chars().all(plain) || [".", ".."].contains(&room.as_str()) {
        return None;
    }
    Some(format!("{scheme}://{rest}{PATH}{}", percent_encode(room.as_str())))
}

/// The room that a link of ours names; `None` for others.
pub fn room_of(link: &str) -> Option<RoomId> {
    let address = link.split(['?', '#']).next()?;
    let (_, room) = address.rsplit_once(PATH)?;
    RoomId::new(percent_decode(room)?).ok()
}

/// The same link with another code, or an address with one; `None` for others than ours.
pub fn with_code(link: &str, code: &LinkCode) -> Option<String> {
    let link = link.trim();
    let (address, query) = link.split_once('?').unwrap_or((link, "code="));
    room_of(address).filter(|_| query.starts_with("code=")).map(|_| format!("{address}?code={code}"))
}

/// No access token is signed over such a text: it holds a space. And no room's name holds a zero.
fn mark(secret: &str, room: &RoomId, made_secs: u32) -> Option<Hmac<Sha256>> {
    // Never `None`: any secret can be a key.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(b"rotunda invitation\0");
    mac.update(room.as_str().as_bytes());
    if made_secs > 0 {
        mac.update(b"\0");
        mac.update(&made_secs.to_be_bytes());
    }
    Some(mac)
}

/// All but the unreserved characters of RFC 3986 section 2.3.
fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let written = write!(out, "%{byte:02X}");
            debug_assert!(written.is_ok(), "a String takes everything");
        }
    }
    out
}

fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        RoomId::new(name).unwrap()
    }

    #[test]
    fn a_code_opens_its_room_with_its_secret_and_nothing_else() {
        for made_secs in [0, 1, 9] {
            let hall = code("secret", &room("hall"), made_secs);
            assert_eq!((hall, hall.made_secs), (code("secret", &room("hall"), made_secs), made_secs));
            assert!(matches("secret", &room("hall"), &hall));
            assert!(!matches("secret", &room("hall2"), &hall) && !matches("other", &room("hall"), &hall));
            assert!(
                !matches("secret", &room("hall"), &LinkCode { made_secs: made_secs + 1, ..hall }),
                "none is younger"
            );
            assert!(!matches("secret", &room("hall"), &LinkCode { mark: [0; 10], ..hall }));
        }
    }

    #[test]
    fn a_link_that_was_made_anew_leads_to_the_same_room() {
        let fresh = code("secret", &room("a/b"), 1);
        let hall = link("http://h:1", "secret", &room("a/b")).unwrap();
        let other = with_code(&format!(" {hall}\n"), &fresh).unwrap();
        let address = address("ws://h:1/", &room("a/b")).unwrap();
        assert_eq!(other, format!("{address}?code={fresh}"));
        assert_eq!(with_code(&address, &fresh).as_ref(), Some(&other));
        assert_eq!((room_of(&other), with_code(&other, &fresh)), (room_of(&hall), Some(other)));
        for link in ["", "ws://h:1", "http://h/token?code=x", "http://h/join/a?token=x"] {
            assert_eq!(with_code(link, &fresh), None, "{link}");
        }
    }

    #[test]
    fn links_name_the_room_and_any_room_comes_back() {
        let hall = link("ws://127.0.0.1:7880/", "secret", &room("hall")).unwrap();
        assert_eq!(hall, format!("http://127.0.0.1:7880/join/hall?code={}", code("secret", &room("hall"), 0)));
        assert!(link("wss://call.example/", "s", &room("a")).unwrap().starts_with("https://call.example/join/a?"));
        assert!(link("https://call.example/sub", "s", &room("a")).is_none(), "a token names the host alone");
        assert!(link("HTTP://[::1]:7880", "s", &room("a")).unwrap().starts_with("http://[::1]:7880/join/a?"));
        for name in ["hall", "a/b", "join/join", "#1@~!$^&*()_+=-`;',.<>/", "l’or", "..."] {
            let name = room(name);
            let link = link("http://h", "s", &name).unwrap();
            assert!(link.is_ascii() && link.matches('/').count() == 4, "{link}");
            assert_eq!(room_of(&link), Some(name));
        }
        for base in ["", "h", "http://", "http:///x", "ftp://h", "http://a b", "http://h?x", "http://h#x"] {
            assert_eq!(link(base, "s", &room("a")), None, "{base:?}");
        }
        assert_eq!(link("http://h", "s", &room("..")), None, "browsers would leave it out");
        for other in
            ["", "http://h/token?room=a", "http://h/join/", "http://h/join/a%2", "http://h/join/%ff", "/join/a b"]
        {
            assert_eq!(room_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(check_name("  Ann Smith "), Ok("Ann Smith"));
        assert_eq!(check_name("李雷"), Ok("李雷"));
        assert_eq!(check_name(&"x".repeat(255)).map(str::len), Ok(255));
        assert_eq!(check_name(&"x".repeat(256)), Err(NameError::TooLong { len: 256 }));
        assert_eq!((check_name(" "), check_name("a\nb")), (Err(NameError::Empty), Err(NameError::Unprintable)));
    }

    #[test]
    fn asks_and_answers_are_read_as_official_ends_write_them() {
        let ask: Ask = serde_json::from_str(
            r#"{"participant_name":"Ann","participant_identity":null,"participant_attributes":{"a":"b"},"room_config":{}}"#,
        )
        .unwrap();
        assert_eq!(ask, Ask { participant_name: Some("Ann".into()), ..Ask::default() });
        assert_eq!(serde_json::to_string(&ask).unwrap(), r#"{"participant_name":"Ann"}"#);
        for text in [
            r#"{"server_url":"ws://h","participant_token":"t","room_name":"r"}"#,
            r#"{"serverUrl":"ws://h","participantToken":"t"}"#,
        ] {
            let answer = Answer::read(text.as_bytes()).unwrap();
            assert_eq!((answer.server_url.as_str(), answer.participant_token.as_str()), ("ws://h", "t"));
        }
        let long = format!(r#"{{"server_url":"ws://h","participant_token":"{}"}}"#, "x".repeat(ANSWER_MAX_BYTES));
        for wrong in ["", "hello", "[]", "{}", r#"{"server_url":1,"participant_token":"t"}"#, &long] {
            assert!(Answer::read(wrong.as_bytes()).is_none(), "{:.40}", wrong);
        }
    }
}
