//! From a link to a login: asks the token endpoint that the link names for a server and a token, and checks both. Runs
//! inside the engine's attempt to enter, and ends with it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use tokio::time::timeout;
use url::Url;

use super::login;
use crate::bridge::{Entry, InvitationRequest, LoginRequest};
use crate::model::{CallError, ErrorCode, RoomId, UserId};
use crate::protocol::invitation::{self, ANSWER_MAX_BYTES, Answer, Ask, LINK_MAX_BYTES, NameError};
use crate::protocol::token;

/// From the first packet to the whole answer, redirections included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// Redirections that are followed.
const REDIRECTS_MAX: usize = 3;
/// Longest text of a server that is repeated to people, in characters.
const QUOTED_CHARS_MAX: usize = 160;

/// The room that is entered, as far as that is known before: not every invitation names it.
pub fn room_of(entry: &Entry) -> Option<RoomId> {
    match entry {
        Entry::Login(request) => Some(request.room.clone()),
        Entry::Invitation(request) => invitation::room_of(&request.link),
    }
}

/// Asks for a token and makes a login of it.
///
/// # Errors
/// [`CallError`] that says what is wrong with the link, or why it gives no token.
pub(super) async fn accept(request: InvitationRequest) -> Result<LoginRequest, CallError> {
    let (link, name) = check(&request)?;
    let host = host_of(&link);
    let body = body(&name)?;
    let (from, answer) = timeout(ANSWER_TIMEOUT, ask(link, body)).await.map_err(|_| slow(&host))??;
    let server = server(&from, &answer.server_url)?;
    let claims = token::peek(&answer.participant_token).map_err(login::token_error)?;
    let room = RoomId::new(claims.video.room)?;
    tracing::info!(%host, %room, "the invitation gave a token");
    Ok(LoginRequest {
        servers: vec![server],
        room,
        token: answer.participant_token,
        auto_play: request.auto_play,
        first_quality: request.first_quality,
    })
}

/// What can be said about an invitation before asking: the address to ask, and the name.
///
/// # Errors
/// [`CallError`] that says what is wrong and what to do.
pub(super) fn check(request: &InvitationRequest) -> Result<(Url, String), CallError> {
    let wrong = |why: &str| {
        let message = format!("this is no invitation: {why}; paste the whole link, http://… or https://…");
        CallError::new(ErrorCode::ConnectFailed, message)
    };
    let text = request.link.trim();
    if text.len() > LINK_MAX_BYTES {
        return Err(wrong("it is too long"));
    }
    let link = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    match link.scheme() {
        "http" | "https" if link.has_host() => {}
        "ws" | "wss" => return Err(wrong("it is the address of a server, which takes a token")),
        _ => return Err(wrong("it is no web address")),
    }
    let name = invitation::check_name(&request.name).map_err(name_error)?;
    Ok((link, name.to_owned()))
}

fn name_error(error: NameError) -> CallError {
    let code = match error {
        NameError::Empty => ErrorCode::UserIdEmpty,
        NameError::TooLong { .. } => ErrorCode::UserNameTooLong,
        _ => ErrorCode::UserIdInvalid,
    };
    CallError::new(code, error.to_string())
}

fn body(name: &str) -> Result<String, CallError> {
    let ask = Ask {
        room_name: None,
        participant_name: Some(name.to_owned()),
        // Ours makes its own; endpoints that make none would give everyone the same.
        participant_identity: Some(UserId::of_name(name, rand::random()).into()),
    };
    serde_json::to_string(&ask).map_err(|error| CallError::new(ErrorCode::ConnectFailed, error.to_string()))
}

/// Asks, and says at which address it was answered in the end.
async fn ask(link: Url, body: String) -> Result<(Url, Answer), CallError> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().map_err(|error| {
        CallError::new(ErrorCode::ConnectFailed, format!("no HTTP here ({error}): start the program again"))
    })?;
    let mut url = link;
    // Each is asked anew: a redirected `POST` would become a `GET`, which gives no token.
    for _ in 0..=REDIRECTS_MAX {
        let request = client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.clone());
        let mut answer = request.send().await.map_err(|error| unreachable(&url, &error))?;
        let status = answer.status();
        if status.is_redirection() {
            url = redirected(&url, answer.headers())?;
            continue;
        }
        let mut said = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&url, &error))? {
            if said.len() + chunk.len() > ANSWER_MAX_BYTES {
                return Err(nonsense(&url));
            }
            said.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(refused(&url, status, &String::from_utf8_lossy(&said)));
        }
        let answer = Answer::read(&said).ok_or_else(|| nonsense(&url))?;
        return Ok((url, answer));
    }
    Err(nonsense(&url))
}

/// Where a redirection leads. What began encrypted stays so.
fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, CallError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location.filter(|text| text.len() <= LINK_MAX_BYTES).and_then(|text| from.join(text).ok());
    match to {
        Some(to) if to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http") => Ok(to),
        _ => Err(nonsense(from)),
    }
}

/// The address of the room server. What began encrypted stays so.
fn server(from: &Url, text: &str) -> Result<String, CallError> {
    let mut url = Url::parse(text).ok().filter(Url::has_host).ok_or_else(|| nonsense(from))?;
    let scheme = match url.scheme() {
        "ws" | "http" if from.scheme() != "https" => "ws",
        "ws" | "http" | "wss" | "https" => "wss",
        _ => return Err(nonsense(from)),
    };
    url.set_scheme(scheme).map_err(|()| nonsense(from))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn slow(host: &str) -> CallError {
    let message = format!("{host} did not answer the invitation in time: check the network, try again");
    CallError::new(ErrorCode::ConnectTimeout, message)
}

/// What reqwest says holds the address, which is a secret: only whether it is a matter of time is told.
fn unreachable(url: &Url, error: &reqwest::Error) -> CallError {
    let host = host_of(url);
    if error.is_timeout() {
        return slow(&host);
    }
    let message = format!("{host} cannot be reached: check the network, or ask for a new link");
    CallError::new(ErrorCode::ConnectFailed, message)
}

fn nonsense(url: &Url) -> CallError {
    let message = format!(
        "what answers at {} takes no invitations: check that the whole link was copied, or ask for a new one",
        host_of(url)
    );
    CallError::new(ErrorCode::ConnectFailed, message)
}

fn refused(url: &Url, status: StatusCode, said: &str) -> CallError {
    let host = host_of(url);
    let said: String = said.trim().chars().filter(|c| !c.is_control()).take(QUOTED_CHARS_MAX).collect();
    // A page is for browsers.
    let quoted = if said.is_empty() || said.starts_with('<') { String::new() } else { format!(" ({said})") };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE => CallError::new(
            ErrorCode::AuthenticationFailed,
            "this invitation is not valid (any more): ask for a new link",
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => CallError::new(
            ErrorCode::ConnectFailed,
            format!(
                "{host} takes no invitations at this address{quoted}: \
                 check that the whole link was copied, or ask for a new one"
            ),
        ),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            CallError::new(ErrorCode::ConnectFailed, format!("{host} is busy{quoted}: try again in a moment"))
        }
        status => CallError::new(
            ErrorCode::ConnectFailed,
            format!("{host} did not take the invitation ({status}){quoted}: check the link, or ask for a new one"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn links_are_checked_before_anybody_is_asked() {
        let check = |link: &str| {
            let request =
                InvitationRequest { link: link.into(), name: " Ann ".into(), auto_play: true, first_quality: None };
            check(&request)
        };
        let (link, name) = check(" https://call.example/join/hall?code=x\n").unwrap();
        assert_eq!((link.as_str(), name.as_str()), ("https://call.example/join/hall?code=x", "Ann"));
        let long = format!("http://h/{}", "x".repeat(LINK_MAX_BYTES));
        for wrong in ["", "call.example/join/hall", "ftp://h/join/hall", "wss://h", "http://", "mailto:a@b", &long] {
            assert_eq!(check(wrong).unwrap_err().code.number(), 1_002_030, "{wrong:.40}");
        }
        assert!(check("ws://h:7880").unwrap_err().message.contains("address of a server"));
    }

    #[test]
    fn what_began_encrypted_stays_so() {
        let to = |from: &str, location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            redirected(&url(from), &headers).map(String::from).ok()
        };
        assert_eq!(to("http://h/join/a?code=x", "https://h/join/a?code=x").unwrap(), "https://h/join/a?code=x");
        assert_eq!(to("https://h/a", "/b?c").unwrap(), "https://h/b?c");
        assert_eq!(to("https://h/a", "http://h/a"), None);
        assert_eq!(to("http://h/a", "file:///etc/passwd"), None);
        assert!(redirected(&url("http://h/a"), &HeaderMap::new()).is_err(), "it leads nowhere");

        let server = |from: &str, text: &str| server(&url(from), text).ok();
        assert_eq!(server("http://h/a", "ws://10.0.0.1:7880/").unwrap(), "ws://10.0.0.1:7880");
        assert_eq!(server("http://h/a", "https://call.example/sub").unwrap(), "wss://call.example/sub");
        assert_eq!(server("https://h/a", "ws://h").unwrap(), "wss://h", "behind a proxy that does not say so");
        for wrong in ["", "h", "ftp://h", "file:///x", "ws://"] {
            assert_eq!(server("http://h/a", wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn refusals_say_what_to_do_and_nothing_of_the_link() {
        let link = url("http://h.example/join/hall?code=0123456789abcdef");
        let error = |status: u16, said: &str| refused(&link, StatusCode::from_u16(status).unwrap(), said);
        for status in [401, 403, 410] {
            assert_eq!(error(status, "").code.number(), 1_002_033);
        }
        for status in [400, 404, 405, 429, 500, 503] {
            let error = error(status, &format!("because\u{7} {}", "x".repeat(10_000)));
            assert_eq!(error.code.number(), 1_002_030);
            assert!(error.message.contains("because xx") && error.message.len() < 400, "{error}");
            assert!(!error.message.contains("0123456789abcdef"), "{error}");
        }
        assert!(!error(404, "<html>not here").message.contains('<'));
    }

    #[test]
    fn the_room_is_known_where_the_link_names_it() {
        let room = |link: &str| {
            let request =
                InvitationRequest { link: link.into(), name: "Ann".into(), auto_play: true, first_quality: None };
            room_of(&Entry::from(request)).map(String::from)
        };
        assert_eq!(room("http://h/join/a%2Fb?code=x").as_deref(), Some("a/b"));
        assert_eq!(room("https://h/token?code=x"), None);
    }
}
