//! LiveKit access tokens: HS256 JSON Web Tokens with a `video` grant (LIVEKIT.md section 2).
//!
//! Reads no clock: every function that cares about time takes it as unix seconds.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Clocks of issuer and verifier may differ by this much, in seconds, as in the official server.
pub const LEEWAY_SECS: u64 = 60;
/// Longest token that is looked at, in bytes: metadata and attributes ride inside.
pub const TOKEN_MAX_BYTES: usize = 64 * 1024;

/// What a token is asked to say.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The API key: names the secret.
    pub api_key: String,
    /// The API secret: signs.
    pub api_secret: String,
    /// The room to join.
    pub room: String,
    /// The participant identity, unique in the room.
    pub identity: String,
    /// The name to show; may be empty.
    pub name: String,
    /// May administer the room.
    pub admin: bool,
    /// Valid for this many seconds.
    pub ttl_secs: u64,
    /// May publish audio and video.
    pub can_publish: bool,
    /// May receive audio and video.
    pub can_subscribe: bool,
    /// May send data packets.
    pub can_publish_data: bool,
    /// May change its own name, metadata and attributes.
    pub can_update_own_metadata: bool,
    /// Nobody else sees the participant.
    pub hidden: bool,
    /// First metadata text.
    pub metadata: String,
    /// First attributes.
    pub attributes: BTreeMap<String, String>,
    /// When the link was made that it is given for.
    pub link_made_secs: Option<u32>,
}

impl TokenRequest {
    /// A member's token for six hours: may publish, play, write and change its own attributes.
    pub fn member(
        api_key: impl Into<String>,
        api_secret: impl Into<String>,
        room: impl Into<String>,
        identity: impl Into<String>,
    ) -> Self {
        Self {
            api_key: api_key.into(),
            api_secret: api_secret.into(),
            room: room.into(),
            identity: identity.into(),
            name: String::new(),
            admin: false,
            ttl_secs: 6 * 3600,
            can_publish: true,
            can_subscribe: true,
            can_publish_data: true,
            can_update_own_metadata: true,
            hidden: false,
            metadata: String::new(),
            attributes: BTreeMap::new(),
            link_made_secs: None,
        }
    }
}

/// The rights inside a room, LiveKit's `video` grant. An absent right takes the documented default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VideoGrant {
    /// May join `room`.
    #[serde(skip_serializing_if = "is_default")]
    pub room_join: bool,
    /// The room the grant is for.
    #[serde(skip_serializing_if = "is_default")]
    pub room: String,
    /// May administer `room`.
    #[serde(skip_serializing_if = "is_default")]
    pub room_admin: bool,
    /// May create and delete rooms.
    #[serde(skip_serializing_if = "is_default")]
    pub room_create: bool,
    /// May list rooms.
    #[serde(skip_serializing_if = "is_default")]
    pub room_list: bool,
    /// May publish; absent means yes.
    #[serde(skip_serializing_if = "is_default")]
    pub can_publish: Option<bool>,
    /// May subscribe; absent means yes.
    #[serde(skip_serializing_if = "is_default")]
    pub can_subscribe: Option<bool>,
    /// May send data; absent means as `can_publish`.
    #[serde(skip_serializing_if = "is_default")]
    pub can_publish_data: Option<bool>,
    /// When not empty, only these sources may be published (`camera`, `microphone`, …).
    #[serde(skip_serializing_if = "is_default")]
    pub can_publish_sources: Vec<String>,
    /// May change its own name, metadata and attributes; absent means no.
    #[serde(skip_serializing_if = "is_default")]
    pub can_update_own_metadata: Option<bool>,
    /// Nobody else sees the participant.
    #[serde(skip_serializing_if = "is_default")]
    pub hidden: bool,
    /// Marks the room as being recorded.
    #[serde(skip_serializing_if = "is_default")]
    pub recorder: bool,
}

impl VideoGrant {
    /// May publish audio and video.
    pub fn may_publish(&self) -> bool {
        self.can_publish.unwrap_or(true)
    }

    /// May receive audio and video.
    pub fn may_subscribe(&self) -> bool {
        self.can_subscribe.unwrap_or(true)
    }

    /// May send data packets.
    pub fn may_publish_data(&self) -> bool {
        self.can_publish_data.unwrap_or_else(|| self.may_publish())
    }

    /// May change its own name, metadata and attributes.
    pub fn may_update_own_metadata(&self) -> bool {
        self.can_update_own_metadata.unwrap_or(false)
    }
}

/// What a token says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Claims {
    /// The API key whose secret signed.
    pub iss: String,
    /// The participant identity.
    pub sub: String,
    /// Fallback of `sub` in old tokens.
    #[serde(skip_serializing_if = "is_default")]
    pub jti: String,
    /// Not valid before, unix seconds.
    pub nbf: u64,
    /// Not valid after, unix seconds; 0 when absent, which no verifier accepts.
    pub exp: u64,
    /// The name to show.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The participant kind in lower case; empty means `standard`.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// First metadata text.
    #[serde(skip_serializing_if = "is_default")]
    pub metadata: String,
    /// First attributes.
    #[serde(skip_serializing_if = "is_default")]
    pub attributes: BTreeMap<String, String>,
    /// When the link was made that it was given for, by our own server: with links made anew it lets nobody in any more.
    #[serde(rename = "rotundaLink", skip_serializing_if = "is_default")]
    pub link_made_secs: Option<u32>,
    /// The rights inside the room.
    pub video: VideoGrant,
}

impl Claims {
    /// The participant identity: `sub`, else `jti`.
    pub fn identity(&self) -> &str {
        if self.sub.is_empty() { &self.jti } else { &self.sub }
    }

    /// Checks that these claims let their bearer join `room`; an empty `room` means the token's own.
    ///
    /// # Errors
    /// [`TokenError::NoIdentity`], [`TokenError::NoRoomJoin`] or [`TokenError::OtherRoom`].
    pub fn check_join(&self, room: &str) -> Result<(), TokenError> {
        if self.identity().is_empty() {
            return Err(TokenError::NoIdentity);
        }
        if !self.video.room_join || self.video.room.is_empty() {
            return Err(TokenError::NoRoomJoin);
        }
        if !room.is_empty() && self.video.room != room {
            return Err(TokenError::OtherRoom { granted: self.video.room.clone(), asked: room.to_owned() });
        }
        Ok(())
    }

    /// Checks that these claims are this user's.
    ///
    /// # Errors
    /// [`TokenError::OtherUser`].
    pub fn check_identity(&self, user: &str) -> Result<(), TokenError> {
        if self.identity() != user {
            return Err(TokenError::OtherUser { named: self.identity().to_owned(), asked: user.to_owned() });
        }
        Ok(())
    }

    /// Checks that this API key's secret signed, as far as the claims tell.
    ///
    /// # Errors
    /// [`TokenError::OtherApp`].
    pub fn check_app(&self, api_key: &str) -> Result<(), TokenError> {
        if self.iss != api_key {
            return Err(TokenError::OtherApp { issuer: self.iss.clone(), asked: api_key.to_owned() });
        }
        Ok(())
    }

    /// Checks only the times.
    ///
    /// # Errors
    /// [`TokenError::Expired`] or [`TokenError::NotYetValid`].
    pub fn check_time(&self, now_unix_secs: u64) -> Result<(), TokenError> {
        if self.exp.saturating_add(LEEWAY_SECS) <= now_unix_secs {
            return Err(TokenError::Expired { since_secs: now_unix_secs.saturating_sub(self.exp) });
        }
        if self.nbf > now_unix_secs.saturating_add(LEEWAY_SECS) {
            return Err(TokenError::NotYetValid { in_secs: self.nbf - now_unix_secs });
        }
        Ok(())
    }
}

/// Why a token was not issued or not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Nothing was given.
    #[error("no access token was given")]
    Missing,
    /// The text is not a signed JSON Web Token.
    #[error("this is not an access token: {0}")]
    Malformed(&'static str),
    /// The verifier knows no such key.
    #[error("the token was signed with the unknown API key {key:?}")]
    UnknownKey {
        /// The key the token names.
        key: String,
    },
    /// The signature does not match the key's secret.
    #[error("the token's signature is wrong: key and secret do not belong together")]
    BadSignature,
    /// The token's time is over.
    #[error("the token expired {since_secs} s ago: ask for a new one")]
    Expired {
        /// How long ago, in seconds.
        since_secs: u64,
    },
    /// The token's time has not come.
    #[error("the token becomes valid in {in_secs} s: check both clocks")]
    NotYetValid {
        /// How long until then, in seconds.
        in_secs: u64,
    },
    /// The token names nobody.
    #[error("the token names no identity")]
    NoIdentity,
    /// The token does not grant joining a room.
    #[error("the token does not grant joining a room (roomJoin and room)")]
    NoRoomJoin,
    /// The token is for another room.
    #[error("the token is for the room {granted:?}, not {asked:?}")]
    OtherRoom {
        /// The room it grants.
        granted: String,
        /// The room asked for.
        asked: String,
    },
    /// The token is for another user.
    #[error("the token is for the user {named:?}, not {asked:?}")]
    OtherUser {
        /// The user it names.
        named: String,
        /// The user asked for.
        asked: String,
    },
    /// The token was made with another API key.
    #[error("the token was made with the API key {issuer:?}, not with the app id {asked:?}")]
    OtherApp {
        /// The key it names.
        issuer: String,
        /// The key asked for.
        asked: String,
    },
    /// A request lacks something.
    #[error("cannot issue a token: {0}")]
    Incomplete(&'static str),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Signs a token.
///
/// # Errors
/// [`TokenError::Incomplete`] when key, secret, room or identity is empty.
pub fn issue(request: &TokenRequest, now_unix_secs: u64) -> Result<String, TokenError> {
    for (text, missing) in [
        (&request.api_key, "the API key is empty"),
        (&request.api_secret, "the API secret is empty"),
        (&request.room, "the room is empty"),
        (&request.identity, "the identity is empty"),
    ] {
        if text.is_empty() {
            return Err(TokenError::Incomplete(missing));
        }
    }
    let claims = Claims {
        iss: request.api_key.clone(),
        sub: request.identity.clone(),
        nbf: now_unix_secs,
        exp: now_unix_secs.saturating_add(request.ttl_secs),
        name: request.name.clone(),
        metadata: request.metadata.clone(),
        attributes: request.attributes.clone(),
        link_made_secs: request.link_made_secs,
        video: VideoGrant {
            room_join: true,
            room: request.room.clone(),
            room_admin: request.admin,
            can_publish: Some(request.can_publish),
            can_subscribe: Some(request.can_subscribe),
            can_publish_data: Some(request.can_publish_data),
            can_update_own_metadata: Some(request.can_update_own_metadata),
            hidden: request.hidden,
            ..VideoGrant::default()
        },
        ..Claims::default()
    };
    sign(&claims, &request.api_secret)
}

/// Signs claims as they are.
///
/// # Errors
/// [`TokenError::Incomplete`] when the claims cannot be written as JSON or the secret cannot be a key.
pub fn sign(claims: &Claims, api_secret: &str) -> Result<String, TokenError> {
    let body = serde_json::to_vec(claims).map_err(|_| TokenError::Incomplete("the claims are not JSON"))?;
    let mut token = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(body));
    let signature = mac(api_secret, &token)?.finalize().into_bytes();
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token)
}

/// Reads and verifies a token: form, key, signature (in constant time), times. Grants are [`Claims::check_join`]'s.
///
/// # Errors
/// The [`TokenError`] that says which of these failed.
pub fn verify(
    token: &str,
    secret_of: impl Fn(&str) -> Option<String>,
    now_unix_secs: u64,
) -> Result<Claims, TokenError> {
    let (signed, signature, claims) = split(token)?;
    let secret = secret_of(&claims.iss).ok_or_else(|| TokenError::UnknownKey { key: shorten(&claims.iss) })?;
    mac(&secret, signed)?.verify_slice(&signature).map_err(|_| TokenError::BadSignature)?;
    claims.check_time(now_unix_secs)?;
    Ok(claims)
}

/// Reads a token without its secret, as a client does before it dials: proves nothing.
///
/// # Errors
/// [`TokenError::Missing`] or [`TokenError::Malformed`].
pub fn peek(token: &str) -> Result<Claims, TokenError> {
    split(token).map(|(_, _, claims)| claims)
}

fn mac(secret: &str, signed: &str) -> Result<Hmac<Sha256>, TokenError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|_| TokenError::Incomplete("the API secret cannot be used as a key"))?;
    mac.update(signed.as_bytes());
    Ok(mac)
}

fn split(token: &str) -> Result<(&str, Vec<u8>, Claims), TokenError> {
    let token = token.trim();
    if token.is_empty() {
        return Err(TokenError::Missing);
    }
    if token.len() > TOKEN_MAX_BYTES {
        return Err(TokenError::Malformed("it is too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed("it has no three parts"))?;
    let (header, body) = signed.split_once('.').ok_or(TokenError::Malformed("it has no three parts"))?;
    let header: Header = decode_json(header, "its header is not JSON")?;
    if header.alg != "HS256" {
        return Err(TokenError::Malformed("its algorithm is not HS256"));
    }
    let claims = decode_json(body, "its claims are not JSON")?;
    let signature = decode(signature, "its signature is not base64")?;
    Ok((signed, signature, claims))
}

fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| TokenError::Malformed(what))
}

fn decode_json<T: for<'a> Deserialize<'a>>(text: &str, what: &'static str) -> Result<T, TokenError> {
    serde_json::from_slice(&decode(text, what)?).map_err(|_| TokenError::Malformed(what))
}

/// At most 64 characters of an untrusted text, for an error message.
fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn secret(key: &str) -> Option<String> {
        (key == "devkey").then(|| "secret".to_owned())
    }

    fn token(change: impl FnOnce(&mut TokenRequest)) -> String {
        let mut request = TokenRequest::member("devkey", "secret", "hall", "ann");
        change(&mut request);
        issue(&request, NOW).unwrap()
    }

    #[test]
    fn a_token_says_what_was_asked() {
        let text = token(|t| {
            t.name = "Ann".into();
            t.can_publish = false;
            t.can_publish_data = true;
        });
        let claims = verify(&text, secret, NOW).unwrap();
        assert_eq!((claims.identity(), claims.name.as_str()), ("ann", "Ann"));
        assert!(!claims.video.may_publish() && claims.video.may_publish_data() && claims.video.may_subscribe());
        assert_eq!(claims.check_join("hall"), Ok(()));
        assert_eq!(peek(&text), Ok(claims));
    }

    #[test]
    fn a_token_of_another_implementation_is_read() {
        // Header {"alg":"HS256"}, no typ; claims with fields we do not know, made with Python's hmac.
        let text = concat!(
            "eyJhbGciOiJIUzI1NiJ9.",
            "eyJpc3MiOiJkZXZrZXkiLCJzdWIiOiJib2IiLCJleHAiOjE5MDAwMDAwMDAsInNpcCI6eyJjYWxsIjp0cnVlfSwidmlkZW8iOnsi",
            "cm9vbUpvaW4iOnRydWUsInJvb20iOiJoYWxsIn19.",
            "L4807wCnVtnSot92k29SAE_tKBUuKYxmtcKdn6xR4zg",
        );
        let claims = verify(text, secret, NOW).unwrap();
        assert_eq!(claims.identity(), "bob");
        assert!(claims.video.may_publish() && claims.video.may_publish_data());
        assert!(!claims.video.may_update_own_metadata());
    }

    #[test]
    fn each_failure_is_told_apart() {
        let good = token(|_| {});
        assert_eq!(verify("", secret, NOW), Err(TokenError::Missing));
        assert!(matches!(verify("abc", secret, NOW), Err(TokenError::Malformed(_))));
        assert!(matches!(verify("a.b.c", secret, NOW), Err(TokenError::Malformed(_))));
        assert_eq!(verify(&good, |_| None, NOW), Err(TokenError::UnknownKey { key: "devkey".into() }));
        assert_eq!(verify(&good, |_| Some("other".into()), NOW), Err(TokenError::BadSignature));
        assert!(matches!(verify(&good, secret, NOW + 6 * 3600 + 61), Err(TokenError::Expired { .. })));
        assert!(verify(&good, secret, NOW + 6 * 3600 + 59).is_ok(), "the leeway counts");
        assert!(matches!(verify(&good, secret, NOW - 61), Err(TokenError::NotYetValid { .. })));
        let claims = peek(&good).unwrap();
        assert!(matches!(claims.check_join("attic"), Err(TokenError::OtherRoom { .. })));
        let nobody = Claims { sub: String::new(), ..claims.clone() };
        assert_eq!(nobody.check_join("hall"), Err(TokenError::NoIdentity));
        let outsider = Claims { video: VideoGrant::default(), ..claims };
        assert_eq!(outsider.check_join("hall"), Err(TokenError::NoRoomJoin));
    }

    #[test]
    fn the_algorithm_cannot_be_talked_away() {
        let body = token(|_| {}).split('.').nth(1).unwrap().to_owned();
        let none = URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#);
        assert!(matches!(verify(&format!("{none}.{body}."), secret, NOW), Err(TokenError::Malformed(_))));
    }

    #[test]
    fn a_token_without_expiry_is_refused() {
        let claims = Claims { exp: 0, ..peek(&token(|_| {})).unwrap() };
        let text = sign(&claims, "secret").unwrap();
        assert!(matches!(verify(&text, secret, NOW), Err(TokenError::Expired { .. })));
    }
}
