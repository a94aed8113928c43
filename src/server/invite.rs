//! Invitations over HTTP (`protocol::invitation`): asked with `POST`, a link's address gives whoever knows its code a
//! member's token, as LiveKit's clients expect of a token endpoint; opened in a browser, it says what it is. No state, but
//! for when an open room's hosts had its links made anew, which the hub knows. What the token is good for is decided when
//! it is used, as with every other: a locked room stays locked.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use super::config::{ApiKey, ServerConfig};
use super::http::{Http, Params, now_secs};
use super::hub::HubMessage;
use super::media;
use crate::model::{IdError, LinkCode, RoomId, UserId};
use crate::protocol::invitation::{self, ASK_MAX_BYTES, Answer, Ask, NameError};
use crate::protocol::token::{self, TokenError, TokenRequest};

/// A request must be there within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest `Host`, in bytes: a name of 253 (RFC 1035) and a port.
const HOST_MAX_BYTES: usize = 260;
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Makes this server's links. It holds a secret: it prints nothing of it.
pub(super) struct Inviter {
    base: String,
    secret: String,
}

impl Inviter {
    /// `None` when invitations are off. A server that listens everywhere is reached where its media is.
    pub(super) fn new(config: &ServerConfig, http_addr: SocketAddr) -> Option<Self> {
        let key = config.keys.first().filter(|_| config.invitations)?;
        let mut addr = http_addr;
        if addr.ip().is_unspecified() {
            addr = media::candidates(http_addr, &config.advertise).ok()?.first().copied()?;
        }
        Some(Self { base: format!("http://{addr}"), secret: key.secret.clone() })
    }

    /// The link into a room.
    pub(super) fn link(&self, room: &RoomId) -> Option<String> {
        invitation::link(&self.base, &self.secret, room)
    }
}

impl std::fmt::Debug for Inviter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inviter").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Why nobody is let in by a link.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("this server takes no invitations: whoever runs it can switch them on (--invitations)")]
    Off,
    #[error("{0}")]
    Room(#[from] IdError),
    #[error("this invitation is not valid (any more): ask for a new link")]
    Code,
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("the server is stopping: join again later")]
    Stopping,
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("the request has more than {ASK_MAX_BYTES} bytes, or broke off: send a name")]
    Body,
    #[error("the request did not come in time: try again")]
    Slow,
    #[error("no token can be made: {0}")]
    Token(#[from] TokenError),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Off => StatusCode::NOT_FOUND,
            Self::Room(_) | Self::Name(_) | Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Code => StatusCode::FORBIDDEN,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Token(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Counts what may be guessing.
    fn count(&self, http: &Http) {
        if matches!(self, Self::Code) {
            http.counters.refused.add(1);
            tracing::info!("an invitation was refused: its code is wrong, or there is a newer one");
        }
    }
}

/// The routes.
pub(super) fn routes() -> Router<Http> {
    Router::new().route("/join/{room}", get(page).post(join))
}

/// Gives a token to whoever has the link.
async fn join(
    State(http): State<Http>,
    Path(room): Path<String>,
    Query(query): Params,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let answer = match invited(&http, room, query.get("code")).await {
        Ok(invited) => admit(&invited, &headers, request.into_body()).await,
        Err(refused) => Err(refused),
    };
    match answer.map(|answer| serde_json::to_vec(&answer)) {
        Ok(Ok(json)) => {
            let head = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::CREATED, head, json).into_response()
        }
        Ok(Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(refused) => {
            refused.count(&http);
            (refused.status(), refused.to_string()).into_response()
        }
    }
}

/// What a link says that was made here.
#[derive(Debug)]
struct Invited<'a> {
    /// It was made with this one.
    key: &'a ApiKey,
    room: RoomId,
    made_secs: u32,
}

/// Reads a link: whether there is a newer one is not looked at.
fn read<'a>(config: &'a ServerConfig, room: String, code: Option<&String>) -> Result<Invited<'a>, Refused> {
    if !config.invitations {
        return Err(Refused::Off);
    }
    let room = RoomId::new(room)?;
    let code = code.and_then(|code| LinkCode::read(code)).ok_or(Refused::Code)?;
    let key = config.keys.iter().find(|key| invitation::matches(&key.secret, &room, &code)).ok_or(Refused::Code)?;
    Ok(Invited { key, room, made_secs: code.made_secs })
}

/// Reads a link that leads in.
async fn invited<'a>(http: &'a Http, room: String, code: Option<&String>) -> Result<Invited<'a>, Refused> {
    let invited = read(&http.config, room, code)?;
    let (reply, answer) = oneshot::channel();
    http.hub.send(HubMessage::LinksMade { room: invited.room.clone(), reply }).await.map_err(|_| Refused::Stopping)?;
    let newest = answer.await.map_err(|_| Refused::Stopping)?;
    if invited.made_secs < newest { Err(Refused::Code) } else { Ok(invited) }
}

async fn admit(invited: &Invited<'_>, headers: &HeaderMap, body: Body) -> Result<Answer, Refused> {
    let Invited { key, room, made_secs } = invited;
    let server_url = server_url(headers).ok_or(Refused::BadRequest("the request does not name this host (Host)"))?;
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, ASK_MAX_BYTES)).await.map_err(|_| Refused::Slow)?;
    let ask: Ask = serde_json::from_slice(&body.map_err(|_| Refused::Body)?)
        .map_err(|_| Refused::BadRequest("the request is not JSON as a token endpoint takes it"))?;
    if ask.room_name.is_some_and(|asked| asked != room.as_str()) {
        return Err(Refused::BadRequest("this invitation is for another room (room_name)"));
    }
    let name = invitation::check_name(ask.participant_name.as_deref().unwrap_or_default())?;
    let identity = UserId::of_name(name, rand::random());
    let member = TokenRequest::member(&key.key, &key.secret, room.as_str(), identity.as_str());
    let request = TokenRequest { name: name.to_owned(), link_made_secs: Some(*made_secs), ..member };
    let token = token::issue(&request, now_secs())?;
    tracing::info!(%room, %identity, "invited");
    Ok(Answer { server_url, participant_token: token })
}

/// Where whoever asked reaches us: as they just did. Behind a proxy that ends TLS, over TLS.
fn server_url(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || host.len() > HOST_MAX_BYTES || !host.bytes().all(sane) {
        return None;
    }
    let proto = headers.get(FORWARDED_PROTO).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = proto.split(',').next().unwrap_or_default().trim();
    let scheme = if first.eq_ignore_ascii_case("https") { "wss" } else { "ws" };
    Some(format!("{scheme}://{host}"))
}

/// What a person sees who opens the link in a browser.
async fn page(State(http): State<Http>, Path(room): Path<String>, Query(query): Params) -> Response {
    let (status, text) = match invited(&http, room, query.get("code")).await {
        Ok(invited) => (StatusCode::OK, invitation_text(&invited.room)),
        Err(refused) => {
            refused.count(&http);
            (refused.status(), format!("<p>{}</p>", escape(&refused.to_string())))
        }
    };
    // Nothing is loaded, nothing runs, and the address, which is the invitation, goes nowhere.
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Rotunda</title>\n{text}\n</html>\n"
    );
    (status, head, html).into_response()
}

fn invitation_text(room: &RoomId) -> String {
    format!(
        "<h1>You are invited</h1>\n<p>This is an invitation to the room <strong>{}</strong>.</p>\n\
         <p>Copy the address of this page, open Rotunda, and paste it there. On a command line: \
         <code>rotunda join 'ADDRESS' --name 'YOUR NAME'</code></p>\n\
         <p>Whoever has the address can come in: pass it on only to those who may.</p>",
        escape(room.as_str())
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn config(change: impl FnOnce(&mut ServerConfig)) -> ServerConfig {
        let keys = vec![
            ApiKey { key: "front".into(), secret: SECRET.into() },
            ApiKey { key: "back".into(), secret: "another".into() },
        ];
        let mut config = ServerConfig { invitations: true, keys, ..ServerConfig::default() };
        change(&mut config);
        config
    }

    fn hall() -> RoomId {
        RoomId::new("hall").unwrap()
    }

    #[test]
    fn links_name_an_address_that_others_reach() {
        let link = |config: &ServerConfig, addr: &str| {
            Inviter::new(config, addr.parse().unwrap()).map(|inviter| inviter.link(&hall()).unwrap())
        };
        let start = |link: Option<String>| link.unwrap().split_once("/join/").unwrap().0.to_owned();
        assert_eq!(start(link(&config(|_| {}), "192.0.2.9:7880")), "http://192.0.2.9:7880");
        assert_eq!(start(link(&config(|_| {}), "[::1]:7880")), "http://[::1]:7880");
        let everywhere = start(link(&config(|_| {}), "0.0.0.0:7880"));
        assert!(everywhere.ends_with(":7880") && !everywhere.contains("0.0.0.0"), "{everywhere}");
        let public = config(|config| config.advertise = vec!["203.0.113.7".parse().unwrap()]);
        assert_eq!(start(link(&public, "0.0.0.0:7880")), "http://203.0.113.7:7880");
        assert_eq!(link(&config(|config| config.invitations = false), "192.0.2.9:7880"), None);
        let shown = format!("{:?}", Inviter::new(&public, "0.0.0.0:7880".parse().unwrap()));
        assert!(shown.contains("203.0.113.7") && !shown.contains(SECRET), "{shown}");
    }

    #[test]
    fn only_the_rooms_code_opens_and_every_key_can_make_one() {
        let on = config(|_| {});
        let code = |secret: &str| invitation::code(secret, &hall(), 0).to_string();
        let later = invitation::code(SECRET, &hall(), 3).to_string();
        for (code, key, made_secs) in [(code(SECRET), "front", 0), (code("another"), "back", 0), (later, "front", 3)] {
            let invited = read(&on, "hall".into(), Some(&code)).unwrap();
            assert_eq!((invited.key.key.as_str(), invited.room, invited.made_secs), (key, hall(), made_secs));
        }
        let status = |config: &ServerConfig, room: &str, code: Option<String>| {
            read(config, room.into(), code.as_ref()).unwrap_err().status().as_u16()
        };
        assert_eq!(status(&on, "attic", Some(code(SECRET))), 403);
        assert_eq!(status(&on, "hall", Some(code("unknown"))), 403);
        assert_eq!(status(&on, "hall", None), 403);
        assert_eq!(status(&on, "two words", Some(code(SECRET))), 400);
        assert_eq!(status(&on, &"x".repeat(129), Some(code(SECRET))), 400);
        assert_eq!(status(&config(|config| config.invitations = false), "hall", Some(code(SECRET))), 404);
    }

    #[test]
    fn the_server_is_where_it_was_asked() {
        let url = |host: &str, proto: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(proto) = proto {
                headers.insert(FORWARDED_PROTO, proto.parse().unwrap());
            }
            server_url(&headers)
        };
        assert_eq!(url("192.168.1.5:7880", None).unwrap(), "ws://192.168.1.5:7880");
        assert_eq!(url("[fe80::1]:7880", Some("http")).unwrap(), "ws://[fe80::1]:7880");
        assert_eq!(url("call.example", Some("HTTPS, http")).unwrap(), "wss://call.example");
        for host in ["", "a b", "user@host", "host/path", "host?x", "<b>", "\"", &"x".repeat(300)] {
            assert_eq!(url(host, None), None, "{host:?}");
        }
        assert_eq!(server_url(&HeaderMap::new()), None);
    }

    #[test]
    fn a_page_shows_the_room_and_runs_nothing() {
        let text = invitation_text(&RoomId::new("<a&'b>").unwrap());
        assert!(text.contains("<strong>&lt;a&amp;&#39;b&gt;</strong>"), "{text}");
    }
}
