//! Who may come in: reads what a client says when it dials (token, query, join request) and checks it. Runs before the
//! upgrade, so that refusals are plain HTTP answers. No state.

use std::collections::HashMap;
use std::io::Read as _;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use livekit_protocol::{ClientInfo, ConnectionSettings, JoinRequest, WrappedJoinRequest, wrapped_join_request};
use prost::Message;

use super::config::{ApiKey, ServerLimits};
use crate::model::UserId;
use crate::model::limits::ROOM_ID_MAX_BYTES;
use crate::model::sound::VOICE_ATTRIBUTE;
use crate::protocol::token::{self, Claims, TokenError};

/// Largest join request once unpacked, in bytes.
const JOIN_REQUEST_MAX_BYTES: u64 = 1024 * 1024;
/// Capabilities of a client that are kept.
const CAPABILITIES_MAX: usize = 32;

/// A client that may come in, and everything it said.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) room: String,
    pub(crate) identity: String,
    pub(crate) claims: Claims,
    pub(crate) metadata: String,
    pub(crate) attributes: HashMap<String, String>,
    /// One connection for both directions (v1).
    pub(crate) single: bool,
    pub(crate) auto_subscribe: bool,
    /// It wants to resume an earlier session.
    pub(crate) reconnect: bool,
    pub(crate) client: ClientInfo,
    /// What it asks for at once (v1).
    pub(crate) request: JoinRequest,
}

/// Why a client is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("the token does not grant changing metadata or attributes (canUpdateOwnMetadata)")]
    MetadataNotGranted,
    #[error("{0}")]
    BadRequest(String),
    #[error("the server takes no more participants: {0}")]
    Full(&'static str),
    #[error("the server holds no more rooms")]
    TooManyRooms,
    #[error("the token is revoked: its bearer was removed from the room")]
    Revoked,
    #[error("the room is locked: its hosts let nobody in now")]
    Locked,
    #[error("you are banned from this room by its hosts")]
    Banned,
    #[error("this invitation is not valid any more: ask for a new link")]
    OldLink,
    #[error("the server is stopping")]
    Stopping,
}

impl Refusal {
    /// The HTTP status official clients understand: they give up on 401 and 403 and retry others.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Token(_) | Self::MetadataNotGranted | Self::Revoked => 401,
            Self::BadRequest(_) => 400,
            Self::Full(_) | Self::Locked | Self::Banned | Self::OldLink => 403,
            Self::TooManyRooms => 429,
            Self::Stopping => 503,
        }
    }
}

/// What was dialled.
pub(crate) struct Dial<'a> {
    /// The value of `Authorization`.
    pub(crate) authorization: Option<&'a str>,
    pub(crate) query: HashMap<String, String>,
    /// Dialled under `/rtc/v1`.
    pub(crate) v1: bool,
}

impl Dial<'_> {
    /// Checks everything.
    pub(crate) fn admit(self, keys: &[ApiKey], limits: &ServerLimits, now_secs: u64) -> Result<Admission, Refusal> {
        let bearer = self.authorization.and_then(|value| value.strip_prefix("Bearer "));
        let text = bearer.or(self.query.get("access_token").map(String::as_str)).unwrap_or_default();
        let secret_of = |name: &str| keys.iter().find(|key| key.key == name).map(|key| key.secret.clone());
        let claims = token::verify(text, secret_of, now_secs)?;
        claims.check_join(self.query.get("room").map_or("", String::as_str))?;

        let identity = UserId::new(claims.identity()).map_err(|error| Refusal::BadRequest(error.to_string()))?.into();
        let room = claims.video.room.clone();
        if room.len() > ROOM_ID_MAX_BYTES {
            return Err(Refusal::BadRequest(format!("the room name is longer than {ROOM_ID_MAX_BYTES} bytes")));
        }
        let single = self.v1 || self.query.contains_key("join_request");
        let request = if single { self.join_request()? } else { self.query_request()? };
        self.complete(claims, room, identity, single, request, limits)
    }

    fn complete(
        self,
        claims: Claims,
        room: String,
        identity: String,
        single: bool,
        request: JoinRequest,
        limits: &ServerLimits,
    ) -> Result<Admission, Refusal> {
        let own = !request.metadata.is_empty() || !request.participant_attributes.is_empty();
        if own && !claims.video.may_update_own_metadata() {
            return Err(Refusal::MetadataNotGranted);
        }
        let metadata = if request.metadata.is_empty() { claims.metadata.clone() } else { request.metadata.clone() };
        let mut attributes: HashMap<String, String> =
            claims.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let host = claims.video.room_admin;
        // It is the hosts' (`model::sound`).
        let theirs = |(name, _): &(&String, &String)| host || name.as_str() != VOICE_ATTRIBUTE;
        attributes.extend(request.participant_attributes.iter().filter(theirs).map(|(k, v)| (k.clone(), v.clone())));
        attributes.retain(|_, value| !value.is_empty());
        for (what, len, max) in [
            ("name", claims.name.len(), limits.name_bytes),
            ("metadata", metadata.len(), limits.metadata_bytes),
            ("attributes", attributes_len(&attributes), limits.attributes_bytes),
        ] {
            if len > max {
                return Err(Refusal::BadRequest(format!("the {what} has {len} bytes, more than {max}")));
            }
        }
        let settings = request.connection_settings.unwrap_or_default();
        let mut client = request.client_info.clone().unwrap_or_default();
        // Everyone is told of them: no more than there may ever be.
        client.capabilities.truncate(CAPABILITIES_MAX);
        Ok(Admission {
            room,
            identity,
            metadata,
            attributes,
            single,
            auto_subscribe: settings.auto_subscribe,
            reconnect: request.reconnect,
            client,
            claims,
            request,
        })
    }

    /// v1: everything stands in one packed message.
    fn join_request(&self) -> Result<JoinRequest, Refusal> {
        let bad = |what: &str| Refusal::BadRequest(format!("the join request {what}"));
        let text = self.query.get("join_request").ok_or_else(|| bad("is missing"))?;
        let bytes =
            URL_SAFE.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).map_err(|_| bad("is not base64url"))?;
        let wrapped = WrappedJoinRequest::decode(bytes.as_slice()).map_err(|_| bad("cannot be decoded"))?;
        let plain = match wrapped_join_request::Compression::try_from(wrapped.compression) {
            Ok(wrapped_join_request::Compression::None) => wrapped.join_request,
            Ok(wrapped_join_request::Compression::Gzip) => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(wrapped.join_request.as_slice())
                    .take(JOIN_REQUEST_MAX_BYTES + 1)
                    .read_to_end(&mut plain)
                    .map_err(|_| bad("cannot be unpacked"))?;
                plain
            }
            Err(_) => return Err(bad("is packed in an unknown way")),
        };
        if plain.len() as u64 > JOIN_REQUEST_MAX_BYTES {
            return Err(bad("is too large"));
        }
        JoinRequest::decode(plain.as_slice()).map_err(|_| bad("cannot be decoded"))
    }

    /// v0: everything stands in the query.
    fn query_request(&self) -> Result<JoinRequest, Refusal> {
        let text = |name: &str| self.query.get(name).cloned().unwrap_or_default();
        let flag = |name: &str, default: bool| match self.query.get(name).map(String::as_str) {
            Some("1" | "true") => true,
            Some(_) => false,
            None => default,
        };
        let attributes = match self.query.get("attributes") {
            Some(packed) if !packed.is_empty() => URL_SAFE_NO_PAD
                .decode(packed.trim_end_matches('='))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .ok_or_else(|| Refusal::BadRequest("the attributes are not base64url JSON".to_owned()))?,
            _ => HashMap::new(),
        };
        Ok(JoinRequest {
            client_info: Some(ClientInfo {
                protocol: text("protocol").parse().unwrap_or_default(),
                client_protocol: text("client_protocol").parse().unwrap_or_default(),
                version: text("version"),
                os: text("os"),
                browser: text("browser"),
                ..ClientInfo::default()
            }),
            connection_settings: Some(ConnectionSettings {
                auto_subscribe: flag("auto_subscribe", true),
                adaptive_stream: flag("adaptive_stream", false),
                ..ConnectionSettings::default()
            }),
            participant_attributes: attributes,
            reconnect: flag("reconnect", false),
            participant_sid: text("sid"),
            ..JoinRequest::default()
        })
    }
}

/// Keys and values together, in bytes.
pub(crate) fn attributes_len(attributes: &HashMap<String, String>) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::protocol::token::TokenRequest;

    const NOW: u64 = 1_800_000_000;

    fn dial(v1: bool, change: impl FnOnce(&mut TokenRequest), query: &[(&str, String)]) -> Result<Admission, Refusal> {
        let mut request = TokenRequest::member("devkey", "secret", "hall", "ann");
        change(&mut request);
        let mut query: HashMap<String, String> = query.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        query.insert("access_token".to_owned(), token::issue(&request, NOW).unwrap());
        let keys = [ApiKey { key: "devkey".into(), secret: "secret".into() }];
        Dial { authorization: None, query, v1 }.admit(&keys, &ServerLimits::default(), NOW)
    }

    fn packed(request: &JoinRequest, gzip: bool) -> String {
        let mut bytes = request.encode_to_vec();
        if gzip {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            bytes = encoder.finish().unwrap();
        }
        let wrapped = WrappedJoinRequest { compression: gzip.into(), join_request: bytes };
        URL_SAFE.encode(wrapped.encode_to_vec())
    }

    #[test]
    fn both_ways_of_dialling_are_understood() {
        let v0 = dial(false, |_| {}, &[("protocol", "16".into()), ("auto_subscribe", "0".into())]).unwrap();
        assert!(!v0.single && !v0.auto_subscribe && v0.client.protocol == 16);
        for gzip in [false, true] {
            let request = JoinRequest {
                connection_settings: Some(ConnectionSettings { auto_subscribe: true, ..Default::default() }),
                metadata: "m".into(),
                client_info: Some(ClientInfo { capabilities: vec![1; 5000], ..Default::default() }),
                ..JoinRequest::default()
            };
            let v1 = dial(true, |_| {}, &[("join_request", packed(&request, gzip))]).unwrap();
            assert!(v1.single && v1.auto_subscribe && v1.metadata == "m");
            assert_eq!(v1.client.capabilities.len(), CAPABILITIES_MAX, "not thousands");
        }
    }

    #[test]
    fn bad_requests_are_named() {
        let why = |result: Result<Admission, Refusal>| {
            let refusal = result.unwrap_err();
            (refusal.status(), refusal.to_string())
        };
        assert!(why(dial(true, |_| {}, &[])).1.contains("is missing"));
        assert!(why(dial(true, |_| {}, &[("join_request", "*".into())])).1.contains("base64url"));
        assert!(why(dial(true, |_| {}, &[("join_request", URL_SAFE.encode([0xff; 9]))])).1.contains("decoded"));
        assert_eq!(why(dial(false, |t| t.identity = "x".repeat(64), &[])).0, 400);
        assert_eq!(why(dial(false, |t| t.room = "x".repeat(129), &[])).0, 400);
        assert_eq!(why(dial(false, |t| t.name = "x".repeat(257), &[])).0, 400);
        let attributes = ("attributes", URL_SAFE_NO_PAD.encode(r#"{"a":"b"}"#));
        assert_eq!(why(dial(false, |t| t.can_update_own_metadata = false, &[attributes])).0, 401);
        assert_eq!(why(dial(false, |_| {}, &[("room", "attic".into())])).0, 401);
    }

    #[test]
    fn a_packed_bomb_is_refused() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 8 * 1024 * 1024]).unwrap();
        let wrapped = WrappedJoinRequest { compression: 1, join_request: encoder.finish().unwrap() };
        let refusal = dial(true, |_| {}, &[("join_request", URL_SAFE.encode(wrapped.encode_to_vec()))]).unwrap_err();
        assert!(refusal.to_string().contains("too large"), "{refusal}");
    }
}
