//! Twirp's ways of writing requests, answers and errors: protobuf, or JSON with the field names of the `.proto` files.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AdminAnswer, AdminError};

/// How a request is written, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Json,
    Protobuf,
}

impl Coding {
    /// By the request's content type; `None` for one that Twirp does not know.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
        match kind {
            "application/json" => Some(Self::Json),
            "application/protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }

    /// Reads a request.
    pub(super) fn read<M: Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<M, Fault> {
        match self {
            Self::Json => serde_json::from_slice(body).map_err(|error| Fault::malformed(&error.to_string())),
            Self::Protobuf => M::decode(body).map_err(|error| Fault::malformed(&error.to_string())),
        }
    }

    /// Writes an answer.
    pub(super) fn write(self, answer: AdminAnswer) -> Response {
        match answer {
            AdminAnswer::Rooms(message) => self.encode(&message),
            AdminAnswer::Room(message) => self.encode(message.as_ref()),
            AdminAnswer::Participants(message) => self.encode(&message),
            AdminAnswer::Participant(message) => self.encode(message.as_ref()),
            AdminAnswer::Track(message) => self.encode(message.as_ref()),
            // All of these messages are empty.
            AdminAnswer::Done => self.encode(&livekit_protocol::DeleteRoomResponse {}),
        }
    }

    fn encode<M: Message + Serialize>(self, message: &M) -> Response {
        match self {
            Self::Protobuf => {
                ([(header::CONTENT_TYPE, "application/protobuf")], message.encode_to_vec()).into_response()
            }
            Self::Json => match serde_json::to_value(message) {
                Ok(value) => json(StatusCode::OK, &in_proto_names(value)),
                Err(error) => Fault { status: 500, code: "internal", text: error.to_string() }.into_response(),
            },
        }
    }
}

/// Field names as in the `.proto` files, as the official server writes them. Keys of maps are the users' own.
fn in_proto_names(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(in_proto_names).collect(),
        Value::Object(fields) => {
            let rename = |(name, value): (String, Value)| {
                let is_map = matches!(name.as_str(), "attributes" | "tags");
                (snake_case(&name), if is_map { value } else { in_proto_names(value) })
            };
            Value::Object(fields.into_iter().map(rename).collect())
        }
        other => other,
    }
}

fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// A Twirp error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    status: u16,
    code: &'static str,
    text: String,
}

impl Fault {
    fn new(status: u16, code: &'static str, text: impl Into<String>) -> Self {
        Self { status, code, text: text.into() }
    }

    pub(super) fn bad_route(method: &str) -> Self {
        let method: String = method.chars().take(64).collect();
        let text = format!("no such method: POST JSON or protobuf to one of RoomService's, not to {method:?}");
        Self::new(404, "bad_route", text)
    }

    pub(super) fn unimplemented(method: &str) -> Self {
        Self::new(501, "unimplemented", format!("this server does not do {method}"))
    }

    pub(super) fn not_granted() -> Self {
        Self::new(401, "unauthenticated", "the token does not grant this")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(400, "malformed", format!("the request is longer than {limit} bytes, or broke off"))
    }

    pub(super) fn stopping() -> Self {
        Self::new(503, "unavailable", "the server is stopping")
    }

    fn malformed(why: &str) -> Self {
        Self::new(400, "malformed", format!("the request cannot be read: {why}"))
    }
}

impl From<AdminError> for Fault {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotGranted => Self::not_granted(),
            AdminError::NotFound(text) => Self::new(404, "not_found", text),
            AdminError::Invalid(text) => Self::new(400, "invalid_argument", text),
            AdminError::Precondition(text) => Self::new(412, "failed_precondition", text),
            AdminError::Exhausted(text) => Self::new(429, "resource_exhausted", text),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json(status, &serde_json::json!({ "code": self.code, "msg": self.text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_protos_names_and_leaves_the_users_keys() {
        let value =
            serde_json::json!({ "numParticipants": 2, "list": [{ "joinedAt": "1", "attributes": { "myKey": "v" } }] });
        let expected = serde_json::json!({ "num_participants": 2, "list": [{ "joined_at": "1", "attributes": { "myKey": "v" } }] });
        assert_eq!(in_proto_names(value), expected);
    }

    #[test]
    fn both_spellings_are_read_and_nonsense_is_malformed() {
        use livekit_protocol::MuteRoomTrackRequest as Ask;
        for text in [r#"{"room":"a","track_sid":"T"}"#, r#"{"room":"a","trackSid":"T"}"#] {
            assert_eq!(Coding::Json.read::<Ask>(text.as_bytes()).unwrap().track_sid, "T");
        }
        for coding in [Coding::Json, Coding::Protobuf] {
            assert_eq!(coding.read::<Ask>(&[0xff; 9]).unwrap_err().code, "malformed");
        }
    }
}
