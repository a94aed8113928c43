//! Everything else a client may ask: dispatch, pings, metadata, leaving; and a plain answer to what we do not support.

use std::time::Instant;

use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    DisconnectReason, Pong, RequestResponse, SessionDescription, UpdateLocalAudioTrack, UpdateLocalVideoTrack,
    UpdateParticipantMetadata,
};

use super::publish::problem_of;
use super::{Hub, now_ms};
use crate::model::limits::MAX_PICTURE_SIDE_PX;
use crate::model::sound::VOICE_ATTRIBUTE;
use crate::server::admission::attributes_len;
use crate::server::media::{MediaCommand, PeerId};
use crate::server::outbox::response;

impl Hub {
    pub(super) fn on_request(&mut self, id: PeerId, ask: Ask) {
        if !self.participants.contains_key(&id) {
            return;
        }
        match ask {
            Ask::Offer(offer) => self.on_offer(id, offer, Instant::now()),
            Ask::Answer(answer) => self.on_answer(id, answer),
            // We are ICE-lite: clients come to us, so their candidates are of no use.
            Ask::Trickle(_) => {}
            Ask::AddTrack(request) => self.add_track(id, request),
            Ask::Mute(request) => self.mute(id, &request),
            Ask::Subscription(request) => self.update_subscription(id, &request),
            Ask::SubscriptionPermission(request) => self.on_audience(id, request, Instant::now()),
            Ask::TrackSetting(request) => self.track_settings(id, &request),
            Ask::Leave(_) => self.remove(id, DisconnectReason::ClientInitiated, None),
            Ask::Ping(_) => self.send(id, Message::Pong(now_ms())),
            Ask::PingReq(ping) => {
                let pong = Pong { last_ping_timestamp: ping.timestamp, timestamp: now_ms() };
                self.send(id, Message::PongResp(pong));
            }
            Ask::UpdateMetadata(request) => self.update_metadata(id, request),
            Ask::UpdateAudioTrack(request) => self.update_audio_track(id, request),
            Ask::UpdateVideoTrack(request) => self.update_video_track(id, &request),
            Ask::SyncState(state) => self.sync(id, &state),
            Ask::Simulate(scenario) => self.simulate(id, &scenario),
            other => {
                let text = format!("this server does not support {}", name_of(&other));
                self.respond(id, 0, Reason::UnsupportedType, &text, None);
            }
        }
    }

    /// Sends one message to one participant.
    pub(super) fn send(&self, id: PeerId, message: Message) {
        if let Some(participant) = self.participants.get(&id) {
            participant.send(&response(message));
        }
    }

    /// Answers a request.
    pub(super) fn respond(&self, id: PeerId, request_id: u32, reason: Reason, text: &str, request: Option<Request>) {
        if reason != Reason::Ok {
            tracing::debug!(peer = id.0, ?reason, text, "a request was not granted");
        }
        let answer = RequestResponse { request_id, reason: reason.into(), message: text.to_owned(), request };
        self.send(id, Message::RequestResponse(answer));
    }

    fn on_answer(&mut self, id: PeerId, answer: SessionDescription) {
        if let Some(problem) = problem_of(&answer.sdp) {
            return self.description_refused(id, &problem, &[]);
        }
        self.commands.push(MediaCommand::Answer { peer: id, id: answer.id, sdp: answer.sdp });
    }

    /// Empty texts change nothing; an empty attribute is deleted.
    fn update_metadata(&mut self, id: PeerId, request: UpdateParticipantMetadata) {
        let limits = self.limits;
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let request_id = request.request_id;
        if !participant.grant.may_update_own_metadata() {
            let text = "the token does not grant changing own metadata";
            return self.respond(id, request_id, Reason::NotAllowed, text, None);
        }
        if request.attributes.contains_key(VOICE_ATTRIBUTE) && !participant.is_host() {
            let text = "only a host speaks to the whole room";
            return self.respond(id, request_id, Reason::NotAllowed, text, None);
        }
        if !participant.changes.take(1, Instant::now()) {
            let text = "name, metadata and attributes change too fast: everyone is told each time";
            return self.respond(id, request_id, Reason::LimitExceeded, text, None);
        }
        let mut attributes = participant.attributes.clone();
        attributes.extend(request.attributes);
        attributes.retain(|_, value| !value.is_empty());
        if request.name.len() > limits.name_bytes
            || request.metadata.len() > limits.metadata_bytes
            || attributes_len(&attributes) > limits.attributes_bytes
        {
            return self.respond(
                id,
                request_id,
                Reason::LimitExceeded,
                "name, metadata or attributes are too long",
                None,
            );
        }
        participant.attributes = attributes;
        if !request.name.is_empty() {
            participant.name = request.name;
        }
        if !request.metadata.is_empty() {
            participant.metadata = request.metadata;
        }
        self.announce(id);
        self.refresh_token(id, Instant::now());
        self.respond(id, request_id, Reason::Ok, "", None);
    }

    fn update_audio_track(&mut self, id: PeerId, request: UpdateLocalAudioTrack) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let known = participant.track_mut(&request.track_sid).filter(|_| request.features.len() <= 16);
        let Some(track) = known else {
            return self.respond(id, 0, Reason::NotFound, "no such track", None);
        };
        track.info.audio_features = request.features;
        self.announce(id);
    }

    fn update_video_track(&mut self, id: PeerId, request: &UpdateLocalVideoTrack) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let fits = request.width <= MAX_PICTURE_SIDE_PX && request.height <= MAX_PICTURE_SIDE_PX;
        let Some(track) = participant.track_mut(&request.track_sid).filter(|_| fits) else {
            return self.respond(id, 0, Reason::NotFound, "no such track", None);
        };
        track.info.width = request.width;
        track.info.height = request.height;
        self.announce(id);
    }
}

fn name_of(ask: &Ask) -> &'static str {
    match ask {
        Ask::PublishDataTrackRequest(_) | Ask::UnpublishDataTrackRequest(_) | Ask::UpdateDataSubscription(_) => {
            "data tracks"
        }
        Ask::StoreDataBlobRequest(_) | Ask::GetDataBlobRequest(_) => "data blobs",
        _ => "this request",
    }
}
