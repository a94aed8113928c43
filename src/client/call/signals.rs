//! What the server says.

use livekit_protocol as proto;
use proto::signal_response::Message as Response;

use super::reconnect::Trouble;
use super::{Call, Flow, LinkEnd};
use crate::bridge::RoomEvent;
use crate::client::link::Link;
use crate::client::reasons;
use crate::model::{CallError, ErrorCode};
use crate::protocol::convert;
use crate::protocol::roster::RosterChange;

impl Call<'_> {
    /// Handles one message.
    pub(super) async fn signal(&mut self, link: &mut Link, message: Response) -> Flow {
        match message {
            Response::Answer(answer) => {
                if link.answer(answer).await.map_err(|error| LinkEnd::Lost(error.to_string()))? {
                    self.answered().await?;
                }
            }
            Response::Trickle(trickle) => link.remote_candidate(&trickle).await,
            Response::MediaSectionsRequirement(wanted) => {
                let added = link.add_receive_sections(wanted.num_audios, wanted.num_videos).await;
                added.map_err(|error| LinkEnd::Lost(error.to_string()))?;
            }
            Response::Update(update) => {
                self.call_roll(&update.participants);
                self.update_me(link, &update.participants).await;
                self.yield_contested(link, &update.participants).await?;
                let changes = self.roster.update(&update.participants);
                self.roster_changed(link, changes).await?;
            }
            Response::RoomUpdate(update) => {
                if let Some(room) = update.room {
                    self.room_is(&room, &link.token()).await;
                }
            }
            Response::TrackPublished(published) => {
                let info = published.track.unwrap_or_default();
                self.track_published(link, &published.cid, &info).await?;
            }
            Response::TrackUnpublished(unpublished) => self.track_unpublished(link, &unpublished.track_sid).await?,
            Response::RequestResponse(response) => self.request_response(link, response).await?,
            Response::Mute(mute) => self.muted_by_server(&mute.sid, mute.muted).await,
            Response::SubscribedQualityUpdate(update) => self.watched_changed(&update),
            Response::StreamStateUpdate(update) => self.pictures_wait(&update.stream_states).await,
            Response::SpeakersChanged(speakers) => self.speakers_changed(&speakers.speakers),
            Response::ConnectionQuality(update) => self.network_changed(&update.updates),
            Response::RefreshToken(token) => {
                self.token_refreshed(&token);
                self.room_rights(&token).await;
            }
            Response::SubscriptionResponse(response) => {
                let (code, why) = match response.err() {
                    proto::SubscriptionError::SeCodecUnsupported => {
                        (ErrorCode::CodecUnsupported, "its codec is not supported here")
                    }
                    proto::SubscriptionError::SeTrackNotfound => (ErrorCode::StreamNotFound, "it does not exist"),
                    proto::SubscriptionError::SeUnknown => {
                        (ErrorCode::StreamNotFound, "the server cannot forward it: play it again later")
                    }
                };
                self.track_not_given(&response.track_sid, code, why).await;
            }
            Response::Leave(leave) if leave.action() == proto::leave_request::Action::Resume => {
                self.trouble(link, Trouble::Media, "the server asks to take the connection up again").await?;
            }
            Response::Leave(leave) => return Err(left(&leave)),
            other => tracing::trace!(?other, "a message that changes nothing here"),
        }
        Ok(())
    }

    /// Acts on changes in the room and tells them.
    pub(super) async fn roster_changed(&mut self, link: &mut Link, changes: Vec<RosterChange>) -> Flow {
        for change in changes {
            match &change {
                RosterChange::StreamAdded(info) => {
                    let info = info.clone();
                    self.tell(event_of(change)).await;
                    self.stream_added(link, &info).await;
                }
                RosterChange::StreamUpdated(info) => {
                    let info = info.clone();
                    self.tell(event_of(change)).await;
                    self.stream_updated(link, &info).await;
                }
                RosterChange::StreamRemoved { stream, .. } => {
                    self.stream_ended(link, stream).await;
                    self.tell(event_of(change)).await;
                }
                RosterChange::UserLeft { user, .. } => {
                    self.levels.forget(user);
                    self.messages.forget(user);
                    self.poses.forget(user);
                    self.tell(event_of(change)).await;
                }
                RosterChange::UserJoined(user) | RosterChange::UserUpdated(user) => {
                    self.poses.came(user);
                    self.tell(event_of(change)).await;
                }
            }
        }
        Ok(())
    }

    /// Our own name, attributes or metadata changed.
    async fn update_me(&mut self, link: &Link, participants: &[proto::ParticipantInfo]) {
        let Some(me) = self.me.clone() else { return };
        let mine = participants.iter().find(|info| info.identity == me.id.as_str() && info.sid == me.sid);
        let Some(mine) = mine else { return };
        if let Some(permission) = &mine.permission {
            self.notes.allow(Some(permission), "");
        }
        self.compare_with(link, mine).await;
        if let Some(info) = convert::user_info(mine).ok().filter(|info| *info != me) {
            self.me = Some(info.clone());
            self.tell(RoomEvent::UserUpdated(info)).await;
        }
    }

    async fn request_response(&mut self, link: &mut Link, response: proto::RequestResponse) -> Flow {
        use proto::request_response::{Reason, Request};
        let (code, why) = match response.reason() {
            Reason::Ok | Reason::Queued => return Ok(()),
            Reason::NotAllowed => (ErrorCode::NotPermitted, "the token does not allow it"),
            Reason::LimitExceeded => (ErrorCode::SendFailed, "the server's limit is reached"),
            Reason::UnsupportedType => (ErrorCode::SendFailed, "the server does not support it"),
            _ => (ErrorCode::SendFailed, "the server refused"),
        };
        let error = CallError::new(code, why);
        match response.request {
            Some(Request::AddTrack(request)) => self.track_refused(link, &request.cid, error).await,
            Some(Request::UpdateMetadata(_)) => {
                let message = format!("the others were not told what stands beside your streams: {why}");
                self.refuse(CallError::new(code, message)).await;
                Ok(())
            }
            _ => {
                self.refuse(error).await;
                Ok(())
            }
        }
    }
}

/// What a `Leave` means: the end, or a fresh start. A server that shuts down may be restarting, or another of the
/// login's servers may take over: that is tried before giving up.
fn left(leave: &proto::LeaveRequest) -> LinkEnd {
    let final_word = leave.action() == proto::leave_request::Action::Disconnect && !leave.can_reconnect;
    match leave.reason() {
        proto::DisconnectReason::ServerShutdown => LinkEnd::Lost("the server is shutting down".to_owned()),
        reason if final_word => LinkEnd::Ended(reasons::ended(reason)),
        _ => LinkEnd::Lost(format!("the server asks to come back ({})", leave.reason().as_str_name())),
    }
}

/// A change as the application is told.
pub(super) fn event_of(change: RosterChange) -> RoomEvent {
    match change {
        RosterChange::UserJoined(user) => RoomEvent::UserJoined(user),
        RosterChange::UserUpdated(user) => RoomEvent::UserUpdated(user),
        RosterChange::UserLeft { user, reason } => RoomEvent::UserLeft { user, reason },
        RosterChange::StreamAdded(stream) => RoomEvent::StreamAdded(stream),
        RosterChange::StreamUpdated(stream) => RoomEvent::StreamUpdated(stream),
        RosterChange::StreamRemoved { stream, reason } => {
            RoomEvent::StreamRemoved { stream: stream.id, owner: stream.owner, reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disconnect_is_the_end() {
        let leave = |action: proto::leave_request::Action, can_reconnect| proto::LeaveRequest {
            action: action.into(),
            can_reconnect,
            ..Default::default()
        };
        use proto::leave_request::Action;
        assert!(matches!(left(&leave(Action::Disconnect, false)), LinkEnd::Ended(_)));
        assert!(matches!(left(&leave(Action::Reconnect, false)), LinkEnd::Lost(_)));
        let mut shutdown = leave(Action::Disconnect, false);
        shutdown.reason = proto::DisconnectReason::ServerShutdown.into();
        assert!(matches!(left(&shutdown), LinkEnd::Lost(_)), "the server may be restarting");
    }
}
