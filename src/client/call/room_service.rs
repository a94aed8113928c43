//! What hosts ask of the server: RoomService calls (LIVEKIT.md section 8) to the address of the call, with its token. So the
//! server decides who may, whichever it is. They run in a task of their own, in order; the call does not wait.

use std::time::Duration;

use livekit_protocol as proto;
use prost::Message;
use reqwest::StatusCode;
use tokio::sync::mpsc;

use super::Call;
use crate::bridge::{EventEnvelope, HostCommand, RoomEvent, SessionId};
use crate::client::link::{Link, OwnedTask};
use crate::model::{CallError, ErrorCode, StreamKind, TrackSid, UserId};

/// The server has this long to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests that may wait for the one before; one more is refused as too fast.
const WAITING: usize = 16;
/// A right that was taken for a moment is given back in so many more attempts.
const GIVE_BACK_AGAIN: u32 = 3;
const GIVE_BACK_PAUSE: Duration = Duration::from_secs(1);
/// As much of an answer is read, in bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const SERVICE: &str = "twirp/livekit.RoomService";

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// Replace the room's metadata.
    Metadata(String),
    /// Mute these tracks, each with whose it is.
    Mute(Vec<(UserId, TrackSid)>),
    /// End the screens of somebody.
    StopSharing(UserId),
    /// Put somebody out.
    Remove(UserId),
}

/// One request, with the address and the token of the link it was asked on.
#[derive(Debug)]
struct Request {
    url: url::Url,
    token: String,
    room: String,
    ask: Ask,
}

/// Carries requests out.
#[derive(Debug)]
pub(super) struct RoomService {
    requests: mpsc::Sender<Request>,
    _task: OwnedTask,
}

impl RoomService {
    fn start(events: mpsc::Sender<EventEnvelope>, session: SessionId) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING);
        Self { requests, _task: OwnedTask::spawn(run(waiting, events, session)) }
    }
}

impl Call<'_> {
    /// Keeps order, or says why not.
    pub(super) async fn keep_order(&mut self, link: &Link, command: HostCommand) {
        let ask = match command {
            HostCommand::Mute { user, track } => Ask::Mute(vec![(user, track)]),
            HostCommand::MuteAll => Ask::Mute(self.voices()),
            HostCommand::StopSharing(user) => Ask::StopSharing(user),
            HostCommand::Remove(user) => Ask::Remove(user),
        };
        if let Err(error) = self.ask_server(link, ask) {
            self.refuse(error).await;
        }
    }

    /// The microphones of all others that are not muted. What a shared screen plays is no voice.
    fn voices(&self) -> Vec<(UserId, TrackSid)> {
        let streams = self.roster.streams().filter(|stream| stream.kind != StreamKind::Screen);
        let voices = streams.filter_map(|stream| Some((stream, stream.audio.as_ref().filter(|track| !track.muted)?)));
        voices.map(|(stream, track)| (stream.owner.clone(), track.sid.clone())).collect()
    }

    /// Puts a request into the queue.
    pub(super) fn ask_server(&mut self, link: &Link, ask: Ask) -> Result<(), CallError> {
        let token = link.token();
        if !self.was_told_host() {
            return Err(not_a_host());
        }
        let url = address(&link.url())
            .ok_or_else(|| CallError::new(ErrorCode::SendFailed, "the server's address cannot be used for this"))?;
        let (events, session) = (self.port.events.clone(), self.session);
        let service = self.room_service.get_or_insert_with(|| RoomService::start(events, session));
        let request = Request { url, token, room: self.request.room.to_string(), ask };
        service.requests.try_send(request).map_err(|_| {
            let message = "more is asked of the server than it takes: wait a moment";
            CallError::new(ErrorCode::MessageTooFast, message)
        })
    }
}

async fn run(mut waiting: mpsc::Receiver<Request>, events: mpsc::Sender<EventEnvelope>, session: SessionId) {
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
    while let Some(request) = waiting.recv().await {
        let outcome = match &client {
            Ok(client) => carry_out(client, request).await,
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

async fn carry_out(client: &reqwest::Client, request: Request) -> Result<(), CallError> {
    let Request { url, token, room, ask } = request;
    let server = Server { client, url, token };
    match ask {
        Ask::Metadata(metadata) => {
            server.call("UpdateRoomMetadata", &proto::UpdateRoomMetadataRequest { room, metadata }).await?;
        }
        Ask::Mute(tracks) => {
            // Who cannot be muted keeps nobody else loud.
            let mut outcome = Ok(());
            for (user, track) in tracks {
                let (room, identity, track_sid) = (room.clone(), user.to_string(), track.to_string());
                let ask = proto::MuteRoomTrackRequest { room, identity, track_sid, muted: true };
                outcome = outcome.and(gone_is_done(server.call("MutePublishedTrack", &ask).await));
            }
            outcome?;
        }
        Ask::Remove(user) => {
            let ask = proto::RoomParticipantIdentity { room, identity: user.to_string(), ..Default::default() };
            gone_is_done(server.call("RemoveParticipant", &ask).await)?;
        }
        Ask::StopSharing(user) => {
            let identity = user.to_string();
            let who =
                proto::RoomParticipantIdentity { room: room.clone(), identity: identity.clone(), ..Default::default() };
            let info = match server.call("GetParticipant", &who).await {
                Err(Failure::Gone) => return Ok(()),
                answer => answer?,
            };
            let info = proto::ParticipantInfo::decode(info.as_slice()).map_err(|_| nonsense())?;
            let may = info.permission.unwrap_or_default();
            // Taking the right to share ends the share; it is given back, so that they may share again later.
            let permit = async |permission: &proto::ParticipantPermission| {
                let (room, identity, permission) = (room.clone(), identity.clone(), Some(permission.clone()));
                let ask = proto::UpdateParticipantRequest { room, identity, permission, ..Default::default() };
                gone_is_done(server.call("UpdateParticipant", &ask).await)
            };
            permit(&without_screen(&may)).await?;
            let mut given_back = permit(&may).await;
            for _ in 0..GIVE_BACK_AGAIN {
                if given_back.is_ok() {
                    break;
                }
                tokio::time::sleep(GIVE_BACK_PAUSE).await;
                given_back = permit(&may).await;
            }
            given_back?;
        }
    }
    Ok(())
}

/// The same permission, but for screens.
fn without_screen(may: &proto::ParticipantPermission) -> proto::ParticipantPermission {
    use proto::TrackSource::{Camera, Microphone, ScreenShare, ScreenShareAudio};
    let all = [Camera, Microphone, ScreenShare, ScreenShareAudio].map(|source| source as i32);
    let sources = if may.can_publish_sources.is_empty() { all.to_vec() } else { may.can_publish_sources.clone() };
    let screen = [ScreenShare as i32, ScreenShareAudio as i32];
    let can_publish_sources: Vec<i32> = sources.into_iter().filter(|source| !screen.contains(source)).collect();
    // No source at all would mean every source.
    let can_publish = may.can_publish && !can_publish_sources.is_empty();
    proto::ParticipantPermission { can_publish, can_publish_sources, ..may.clone() }
}

/// Who or what is not there any more needs nothing done to it.
fn gone_is_done(outcome: Result<Vec<u8>, Failure>) -> Result<(), Failure> {
    match outcome {
        Ok(_) | Err(Failure::Gone) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// What came of a request.
#[derive(Debug)]
enum Failure {
    /// There is no such participant or track.
    Gone,
    Other(CallError),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone => Self::new(ErrorCode::SendFailed, "the server knows no such room: come in again"),
            Failure::Other(error) => error,
        }
    }
}

fn nonsense() -> CallError {
    CallError::new(ErrorCode::SendFailed, "the server's answer makes no sense: try again")
}

/// Whom the requests go to.
struct Server<'a> {
    client: &'a reqwest::Client,
    url: url::Url,
    token: String,
}

impl Server<'_> {
    async fn call(&self, method: &str, ask: &impl Message) -> Result<Vec<u8>, Failure> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{method}", self.url.path()));
        let request = self.client.post(url).bearer_auth(&self.token);
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/protobuf").body(ask.encode_to_vec());
        let mut answer = request.send().await.map_err(|error| {
            let error = error.without_url();
            let message = format!("the server did not do it ({error}): try again");
            Failure::Other(CallError::new(ErrorCode::SendFailed, message))
        })?;
        let mut said = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            said.extend_from_slice(&chunk);
            if said.len() > ANSWER_MAX_BYTES {
                break;
            }
        }
        match answer.status() {
            status if status.is_success() => Ok(said),
            StatusCode::NOT_FOUND => Err(Failure::Gone),
            status => Err(Failure::Other(refused(status, &String::from_utf8_lossy(&said)))),
        }
    }
}

fn refused(status: StatusCode, said: &str) -> CallError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => not_a_host(),
        StatusCode::TOO_MANY_REQUESTS => {
            CallError::new(ErrorCode::MessageTooFast, "the server wants this done more slowly: wait a moment")
        }
        status => {
            let said: String = said.chars().filter(|c| !c.is_control()).take(160).collect();
            CallError::new(ErrorCode::SendFailed, format!("the server did not do it ({status}): {said}"))
        }
    }
}

fn not_a_host() -> CallError {
    CallError::new(
        ErrorCode::NotPermitted,
        "only hosts keep order in the room: ask one to do it, to make you one, or for a token that does (roomAdmin)",
    )
}

/// Where a server takes RoomService calls, from its signalling address.
fn address(signalling: &str) -> Option<url::Url> {
    let (scheme, rest) = signalling.split_once("://")?;
    let scheme = match scheme {
        "ws" | "http" => "http",
        "wss" | "https" => "https",
        _ => return None,
    };
    let mut url = url::Url::parse(&format!("{scheme}://{rest}")).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}/{SERVICE}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_beside_the_signalling() {
        let of = |text: &str| address(text).map(String::from);
        assert_eq!(of("ws://127.0.0.1:7880").unwrap(), format!("http://127.0.0.1:7880/{SERVICE}"));
        assert_eq!(of("wss://call.example/sub/?a=1").unwrap(), format!("https://call.example/sub/{SERVICE}"));
        assert_eq!(of("https://[::1]:1").unwrap(), format!("https://[::1]:1/{SERVICE}"));
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

    #[test]
    fn without_screens_everything_else_may_still_be_published() {
        use proto::TrackSource::{Camera, Microphone, ScreenShare};
        let all = proto::ParticipantPermission { can_publish: true, can_publish_data: true, ..Default::default() };
        let left = without_screen(&all);
        assert_eq!(left.can_publish_sources, [Camera as i32, Microphone as i32]);
        assert!(left.can_publish && left.can_publish_data);
        let some = proto::ParticipantPermission { can_publish_sources: vec![ScreenShare as i32, Camera as i32], ..all };
        assert_eq!(without_screen(&some).can_publish_sources, [Camera as i32]);
        let screens = proto::ParticipantPermission { can_publish_sources: vec![ScreenShare as i32], ..some };
        assert!(!without_screen(&screens).can_publish, "no source does not become every source");
    }
}
