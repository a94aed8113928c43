//! The RoomService API over Twirp (LIVEKIT.md section 8): what hosts and back ends do to rooms and people. Each call is a
//! POST with a token whose grants allow it, or of somebody in the room whom a host made one (`model::order`), as protobuf or
//! JSON; the hub carries it out. No state of its own.

mod twirp;

use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use livekit_protocol as proto;
use tokio::sync::oneshot;

use super::http::Http;
use super::hub::HubMessage;
use crate::protocol::token::{self, Claims};
use twirp::{Coding, Fault};

/// Largest request, in bytes: room for the largest metadata as JSON and to spare.
const BODY_MAX_BYTES: usize = 512 * 1024;
/// A request must be there within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked of the hub.
#[derive(Debug)]
pub(crate) enum AdminAsk {
    /// The rooms of these names; all when there are none.
    ListRooms(proto::ListRoomsRequest),
    /// Opens a room, or finds it.
    CreateRoom(Box<proto::CreateRoomRequest>),
    /// Everyone is told to leave.
    DeleteRoom(proto::DeleteRoomRequest),
    /// Who is in a room.
    ListParticipants(proto::ListParticipantsRequest),
    /// One participant.
    GetParticipant(proto::RoomParticipantIdentity),
    /// Removes a participant, whose token is worth nothing here from then on.
    RemoveParticipant(proto::RoomParticipantIdentity),
    /// Mutes a track; its publisher alone unmutes.
    MutePublishedTrack(proto::MuteRoomTrackRequest),
    /// Changes what a participant is called and may do.
    UpdateParticipant(proto::UpdateParticipantRequest),
    /// Changes what a participant receives.
    UpdateSubscriptions(proto::UpdateSubscriptionsRequest),
    /// Sends data in nobody's name.
    SendData(proto::SendDataRequest),
    /// Changes a room's metadata.
    UpdateRoomMetadata(proto::UpdateRoomMetadataRequest),
}

impl AdminAsk {
    fn read(method: &str, body: &[u8], coding: Coding) -> Result<Self, Fault> {
        Ok(match method {
            "ListRooms" => Self::ListRooms(coding.read(body)?),
            "CreateRoom" => Self::CreateRoom(Box::new(coding.read(body)?)),
            "DeleteRoom" => Self::DeleteRoom(coding.read(body)?),
            "ListParticipants" => Self::ListParticipants(coding.read(body)?),
            "GetParticipant" => Self::GetParticipant(coding.read(body)?),
            "RemoveParticipant" => Self::RemoveParticipant(coding.read(body)?),
            "MutePublishedTrack" => Self::MutePublishedTrack(coding.read(body)?),
            "UpdateParticipant" => Self::UpdateParticipant(coding.read(body)?),
            "UpdateSubscriptions" => Self::UpdateSubscriptions(coding.read(body)?),
            "SendData" => Self::SendData(coding.read(body)?),
            "UpdateRoomMetadata" => Self::UpdateRoomMetadata(coding.read(body)?),
            "ForwardParticipant" | "MoveParticipant" | "PerformRpc" => return Err(Fault::unimplemented(method)),
            _ => return Err(Fault::bad_route(method)),
        })
    }

    /// In whose name it is done; `None` when that may not be: creating and listing are rights of their own, the rest is a
    /// room's administration.
    fn allowed(&self, claims: &Claims) -> Option<Caller> {
        let grant = &claims.video;
        let room = match self {
            Self::CreateRoom(_) | Self::DeleteRoom(_) => return grant.room_create.then_some(Caller::Granted),
            Self::ListRooms(_) => return grant.room_list.then_some(Caller::Granted),
            Self::ListParticipants(ask) => &ask.room,
            Self::GetParticipant(ask) | Self::RemoveParticipant(ask) => &ask.room,
            Self::MutePublishedTrack(ask) => &ask.room,
            Self::UpdateParticipant(ask) => &ask.room,
            Self::UpdateSubscriptions(ask) => &ask.room,
            Self::SendData(ask) => &ask.room,
            Self::UpdateRoomMetadata(ask) => &ask.room,
        };
        let concerns = !grant.room.is_empty() && grant.room == *room;
        match (grant.room_admin, grant.room_join) {
            (true, _) if concerns => Some(Caller::Granted),
            (_, true) if concerns => {
                Some(Caller::Member { room: room.clone(), identity: claims.identity().to_owned() })
            }
            _ => None,
        }
    }
}

/// In whose name something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Of whoever has a token that grants it.
    Granted,
    /// Of somebody who may be in the room: whether a host made them one is the room's to know.
    Member { room: String, identity: String },
}

/// What the hub answers.
#[derive(Debug)]
pub(crate) enum AdminAnswer {
    Rooms(proto::ListRoomsResponse),
    Room(Box<proto::Room>),
    Participants(proto::ListParticipantsResponse),
    Participant(Box<proto::ParticipantInfo>),
    Track(Box<proto::MuteRoomTrackResponse>),
    /// Done: there is nothing to tell.
    Done,
}

/// Why the hub does not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminError {
    /// Whoever asks is no host.
    NotGranted,
    NotFound(&'static str),
    Invalid(&'static str),
    /// Not as things stand.
    Precondition(&'static str),
    /// A limit of the server.
    Exhausted(&'static str),
}

/// The routes.
pub(super) fn routes() -> Router<Http> {
    Router::new().route("/twirp/livekit.RoomService/{method}", any(call))
}

async fn call(State(http): State<Http>, Path(method): Path<String>, headers: HeaderMap, request: Request) -> Response {
    let claims = match authorise(&http, &headers) {
        Ok(claims) => claims,
        // Before Twirp is reached, as in the official server: plain text.
        Err(error) => return (StatusCode::UNAUTHORIZED, error.to_string()).into_response(),
    };
    let post = request.method() == axum::http::Method::POST;
    let Some(coding) = Coding::of(&headers).filter(|_| post) else { return Fault::bad_route(&method).into_response() };
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), BODY_MAX_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Fault::too_large(BODY_MAX_BYTES).into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    match carry_out(&http, &claims, &method, &body, coding).await {
        Ok(answer) => coding.write(answer),
        Err(fault) => fault.into_response(),
    }
}

fn authorise(http: &Http, headers: &HeaderMap) -> Result<Claims, token::TokenError> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let text = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    http.verify(text)
}

async fn carry_out(
    http: &Http,
    claims: &Claims,
    method: &str,
    body: &Bytes,
    coding: Coding,
) -> Result<AdminAnswer, Fault> {
    let ask = AdminAsk::read(method, body, coding)?;
    let by = ask.allowed(claims).ok_or_else(Fault::not_granted)?;
    let (reply, answer) = oneshot::channel();
    http.hub.send(HubMessage::Admin { ask: Box::new(ask), by, reply }).await.map_err(|_| Fault::stopping())?;
    answer.await.map_err(|_| Fault::stopping())?.map_err(Fault::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::token::VideoGrant;

    #[test]
    fn every_method_needs_its_own_grant() {
        let room = "hall".to_owned();
        let remove = AdminAsk::RemoveParticipant(proto::RoomParticipantIdentity { room, ..Default::default() });
        let list = AdminAsk::ListRooms(proto::ListRoomsRequest::default());
        let create = AdminAsk::CreateRoom(Box::default());
        let claims = |video| Claims { sub: "ann".into(), video, ..Default::default() };
        let may = |ask: &AdminAsk, video| ask.allowed(&claims(video));
        let admin = |room: &str| VideoGrant { room_admin: true, room: room.into(), ..Default::default() };
        assert_eq!((may(&remove, admin("hall")), may(&remove, admin("attic"))), (Some(Caller::Granted), None));
        assert_eq!(may(&remove, VideoGrant { room: "hall".into(), room_create: true, ..Default::default() }), None);
        assert_eq!((may(&list, admin("hall")), may(&create, admin("hall"))), (None, None));
        assert!(may(&list, VideoGrant { room_list: true, ..Default::default() }).is_some());
        assert!(may(&create, VideoGrant { room_create: true, ..Default::default() }).is_some());
        // Whom a host may have made one: in their own room only, and there the hub looks.
        let member = |room: &str| VideoGrant { room_join: true, room: room.into(), ..Default::default() };
        let ann = Caller::Member { room: "hall".into(), identity: "ann".into() };
        assert_eq!((may(&remove, member("hall")), may(&remove, member("attic"))), (Some(ann), None));
        assert_eq!((may(&list, member("hall")), may(&create, member("hall"))), (None, None));
        let nowhere = AdminAsk::SendData(proto::SendDataRequest::default());
        assert_eq!(
            (may(&nowhere, admin("")), may(&nowhere, member(""))),
            (None, None),
            "no room is none to administer"
        );
    }
}
