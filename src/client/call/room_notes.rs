//! What stands beside the room for everyone: its metadata, read from what the server says and, by hosts, written with
//! the RoomService call `UpdateRoomMetadata` (LIVEKIT.md section 8) on the same server, with the token of the call. So the
//! server decides who may, whichever it is. Writing runs in a task of its own, in order; the call does not wait.

use std::time::Duration;

use livekit_protocol as proto;
use reqwest::StatusCode;
use tokio::sync::mpsc;

use super::Call;
use crate::bridge::{EventEnvelope, RoomEvent, SessionId};
use crate::client::link::{Link, OwnedTask};
use crate::model::limits::ROOM_METADATA_MAX_BYTES;
use crate::model::{CallError, ErrorCode};
use crate::protocol::token;

/// The server has this long to take it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Writes that may wait for the one before; one more is refused as too fast.
const WRITES_WAITING: usize = 4;
/// As much of a refusal is read, in bytes.
const REFUSAL_MAX_BYTES: usize = 4096;
const METHOD: &str = "twirp/livekit.RoomService/UpdateRoomMetadata";

/// What is known of the room, and who writes to it.
#[derive(Debug, Default)]
pub(super) struct RoomNotes {
    /// As it was told; `None` before the first time.
    told: Option<(String, bool)>,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    writes: mpsc::Sender<Write>,
    _task: OwnedTask,
}

/// One request, with the address and the token of the link it was asked on.
#[derive(Debug)]
struct Write {
    url: url::Url,
    token: String,
    room: String,
    metadata: String,
}

impl Call<'_> {
    /// The server describes the room.
    pub(super) async fn room_is(&mut self, room: &proto::Room, token: &str) {
        // Longer than any server takes: not worth carrying about.
        let metadata = if room.metadata.len() > 2 * ROOM_METADATA_MAX_BYTES { "" } else { room.metadata.as_str() };
        self.tell_room(metadata.to_owned(), self.is_host(token)).await;
    }

    /// The token of the call is another one now.
    pub(super) async fn room_rights(&mut self, token: &str) {
        if let Some((metadata, _)) = self.room_notes.told.clone() {
            self.tell_room(metadata, self.is_host(token)).await;
        }
    }

    async fn tell_room(&mut self, metadata: String, may_change: bool) {
        let now = (metadata, may_change);
        if self.room_notes.told.as_ref() != Some(&now) {
            self.room_notes.told = Some(now.clone());
            self.tell(RoomEvent::RoomChanged { metadata: now.0, may_change: now.1 }).await;
        }
    }

    fn is_host(&self, token: &str) -> bool {
        token::peek(token)
            .is_ok_and(|claims| claims.video.room_admin && claims.video.room == self.request.room.as_str())
    }

    /// Changes the room's metadata.
    pub(super) async fn set_room_metadata(&mut self, link: &Link, metadata: String) {
        if let Err(error) = self.try_room_metadata(link, metadata) {
            self.refuse(error).await;
        }
    }

    fn try_room_metadata(&mut self, link: &Link, metadata: String) -> Result<(), CallError> {
        if metadata.len() > ROOM_METADATA_MAX_BYTES {
            let message = format!(
                "the room's metadata has {} bytes: shorten it to at most {ROOM_METADATA_MAX_BYTES}",
                metadata.len()
            );
            return Err(CallError::new(ErrorCode::MessageTooLong, message));
        }
        let token = link.token();
        if !self.is_host(&token) {
            return Err(not_a_host());
        }
        let url = address(&link.url())
            .ok_or_else(|| CallError::new(ErrorCode::SendFailed, "the server's address cannot be used for this"))?;
        let (events, session) = (self.port.events.clone(), self.session);
        let writer = self.room_notes.writer.get_or_insert_with(|| Writer::start(events, session));
        let write = Write { url, token, room: self.request.room.to_string(), metadata };
        writer.writes.try_send(write).map_err(|_| {
            CallError::new(
                ErrorCode::MessageTooFast,
                "the room is changed faster than the server takes it: wait a moment",
            )
        })
    }
}

impl Writer {
    fn start(events: mpsc::Sender<EventEnvelope>, session: SessionId) -> Self {
        let (writes, waiting) = mpsc::channel(WRITES_WAITING);
        Self { writes, _task: OwnedTask::spawn(write_all(waiting, events, session)) }
    }
}

async fn write_all(mut waiting: mpsc::Receiver<Write>, events: mpsc::Sender<EventEnvelope>, session: SessionId) {
    let client = reqwest::Client::builder().timeout(WRITE_TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
    while let Some(write) = waiting.recv().await {
        let outcome = match &client {
            Ok(client) => carry_out(client, write).await,
            Err(error) => {
                Err(CallError::new(ErrorCode::SendFailed, format!("no HTTP here ({error}): restart the call")))
            }
        };
        if let Err(error) = outcome {
            let event = RoomEvent::CommandFailed(error);
            if events.send(EventEnvelope { session, event }).await.is_err() {
                return;
            }
        }
    }
}

async fn carry_out(client: &reqwest::Client, write: Write) -> Result<(), CallError> {
    let body = serde_json::json!({ "room": write.room, "metadata": write.metadata }).to_string();
    let request = client.post(write.url).bearer_auth(write.token);
    let sent = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body).send().await;
    let mut answer = sent.map_err(|error| {
        let error = error.without_url();
        CallError::new(ErrorCode::SendFailed, format!("the room was not changed ({error}): try again"))
    })?;
    if answer.status().is_success() {
        return Ok(());
    }
    let mut said = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        said.extend_from_slice(&chunk);
        if said.len() > REFUSAL_MAX_BYTES {
            break;
        }
    }
    Err(refused(answer.status(), &String::from_utf8_lossy(&said)))
}

fn refused(status: StatusCode, said: &str) -> CallError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => not_a_host(),
        StatusCode::TOO_MANY_REQUESTS => {
            CallError::new(ErrorCode::MessageTooFast, "the server wants the room changed more slowly: wait a moment")
        }
        status => {
            let said: String = said.chars().filter(|c| !c.is_control()).take(160).collect();
            CallError::new(ErrorCode::SendFailed, format!("the server did not change the room ({status}): {said}"))
        }
    }
}

fn not_a_host() -> CallError {
    CallError::new(
        ErrorCode::NotPermitted,
        "the token does not allow changing the room (roomAdmin): ask its host to do it, or for a token that does",
    )
}

/// Where a server takes RoomService calls, from its signalling address.
fn address(signalling: &str) -> Option<url::Url> {
    let scheme = match signalling.split_once("://")?.0 {
        "ws" | "http" => "http",
        "wss" | "https" => "https",
        _ => return None,
    };
    let rest = signalling.split_once("://")?.1;
    let mut url = url::Url::parse(&format!("{scheme}://{rest}")).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}/{METHOD}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_beside_the_signalling() {
        let of = |text: &str| address(text).map(String::from);
        assert_eq!(of("ws://127.0.0.1:7880").unwrap(), format!("http://127.0.0.1:7880/{METHOD}"));
        assert_eq!(of("wss://call.example/sub/?a=1").unwrap(), format!("https://call.example/sub/{METHOD}"));
        assert_eq!(of("https://[::1]:1").unwrap(), format!("https://[::1]:1/{METHOD}"));
        assert_eq!((of("ftp://x"), of("nonsense"), of("ws://")), (None, None, None));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let code = |status: u16, said: &str| refused(StatusCode::from_u16(status).unwrap(), said).code;
        assert_eq!(code(401, "{}"), ErrorCode::NotPermitted);
        assert_eq!(code(403, ""), ErrorCode::NotPermitted);
        assert_eq!(code(429, ""), ErrorCode::MessageTooFast);
        let error = refused(StatusCode::BAD_REQUEST, &format!("{}\u{7}", "long ".repeat(1000)));
        assert_eq!(error.code, ErrorCode::SendFailed);
        assert!(error.message.len() < 300 && !error.message.contains('\u{7}'), "{error}");
    }
}
