//! Receiving: who gets which track, and how it wants it.

use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    MediaSectionsRequirement, SessionDescription, StreamState, StreamStateInfo, StreamStateUpdate, SubscriptionError,
    SubscriptionResponse, TrackSubscribed, UpdateSubscription, UpdateTrackSettings, VideoQuality,
};

use super::Hub;
use super::dynacast::Wish;
use super::join::Mids;
use super::participant::Participant;
use crate::protocol::sdp::msid_token;
use crate::server::media::{MediaCommand, PeerId, RoomKey, TrackId, Want};
use crate::server::outbox::response;

/// Tracks one request may name.
const SIDS_MAX: usize = 128;

impl Hub {
    /// A newcomer receives what is there, unless it chose otherwise.
    pub(super) fn subscribe_to_everyone(&mut self, id: PeerId) {
        let Some(participant) = self.participants.get(&id).filter(|p| p.auto_subscribe) else { return };
        let present: Vec<(PeerId, TrackId)> = self
            .others(participant.room, id)
            .flat_map(|other| other.tracks.iter().filter(|track| track.live).map(|track| (other.id, track.id)))
            .collect();
        for (owner, track) in present {
            self.subscribe(id, owner, track);
        }
    }

    /// A new track goes to everyone who did not choose otherwise.
    pub(super) fn offer_to_everyone(&mut self, owner: PeerId, track: TrackId) {
        let Some(room) = self.participants.get(&owner).map(|p| p.room) else { return };
        let receivers: Vec<PeerId> = self.others(room, owner).filter(|p| p.auto_subscribe).map(|p| p.id).collect();
        for receiver in receivers {
            self.subscribe(receiver, owner, track);
        }
    }

    pub(super) fn subscribe(&mut self, id: PeerId, owner: PeerId, track: TrackId) {
        let Some((stream, sid)) = self.participants.get(&owner).and_then(|owner| {
            let track = owner.tracks.iter().find(|known| known.id == track && known.live)?;
            Some((format!("{}|{}", owner.sid, msid_token(&track.info.stream)), track.info.sid.clone()))
        }) else {
            return;
        };
        let admitted = match (self.participants.get(&owner), self.participants.get(&id)) {
            (Some(owner), Some(receiver)) => owner.audience.admits(receiver, &sid),
            _ => false,
        };
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if !participant.grant.may_subscribe() {
            participant.suspended.insert(track);
            return;
        }
        participant.suspended.remove(&track);
        if !admitted {
            participant.barred.insert(track);
            return;
        }
        participant.barred.remove(&track);
        if participant.receives.insert(track) {
            self.commands.push(MediaCommand::Subscribe { peer: id, track, stream, sid });
            if let Some(Wish { disabled, want }) = participant.wishes.get(&track).copied() {
                self.commands.push(MediaCommand::Settings { peer: id, track, disabled, want });
            }
            self.wishes_changed(track);
        }
    }

    /// The receiver does not want it any more.
    fn unsubscribe(&mut self, id: PeerId, track: TrackId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.suspended.remove(&track);
        participant.barred.remove(&track);
        self.withdraw(id, track);
    }

    /// The receiver may not receive anything any more: what it received is kept in mind, not what it turned down.
    pub(super) fn suspend(&mut self, id: PeerId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let receives = participant.receives.clone();
        participant.suspended.extend(&receives);
        for track in receives {
            self.withdraw(id, track);
        }
    }

    /// The receiver may receive again.
    pub(super) fn restore(&mut self, id: PeerId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        for track in std::mem::take(&mut participant.suspended) {
            if let Some(owner) = self.publisher_of(track) {
                self.subscribe(id, owner, track);
            }
        }
    }

    /// The publisher does not allow it any more.
    pub(super) fn bar(&mut self, id: PeerId, track: TrackId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.barred.insert(track);
        self.withdraw(id, track);
    }

    pub(super) fn withdraw(&mut self, id: PeerId, track: TrackId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.receives.remove(&track) {
            participant.stopped.remove(&track);
            self.commands.push(MediaCommand::Unsubscribe { peer: id, track });
            self.wishes_changed(track);
        }
    }

    /// Tracks that no longer exist are no longer received.
    pub(super) fn forget_tracks(&mut self, room: RoomKey, gone: &[TrackId]) {
        let members = self.rooms.get(&room).map(|room| room.members.clone()).unwrap_or_default();
        for member in members {
            if let Some(participant) = self.participants.get_mut(&member) {
                for track in gone {
                    participant.receives.remove(track);
                    participant.suspended.remove(track);
                    participant.barred.remove(track);
                    participant.stopped.remove(track);
                    participant.allowed.remove(track);
                    participant.wishes.remove(track);
                }
            }
        }
    }

    /// Finds a live track in the participant's room.
    fn find(&self, id: PeerId, sid: &str) -> Option<(PeerId, TrackId)> {
        let (owner, track) = *self.tracks_by_sid.get(sid)?;
        let room = self.participants.get(&id)?.room;
        let publisher = self.participants.get(&owner).filter(|publisher| owner != id && publisher.room == room)?;
        publisher.track(sid).filter(|track| track.live)?;
        Some((owner, track))
    }

    pub(super) fn update_subscription(&mut self, id: PeerId, request: &UpdateSubscription) {
        let nested = request.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
        let sids = || request.track_sids.iter().chain(nested.clone());
        if sids().nth(SIDS_MAX).is_some() {
            return self.respond(id, 0, Reason::LimitExceeded, "too many tracks in one request", None);
        }
        for sid in sids() {
            match self.find(id, sid) {
                Some((owner, track)) if request.subscribe => self.subscribe(id, owner, track),
                Some((_, track)) => self.unsubscribe(id, track),
                None if request.subscribe => {
                    let err = SubscriptionError::SeTrackNotfound.into();
                    let answer = SubscriptionResponse { track_sid: sid.clone(), err };
                    self.send(id, Message::SubscriptionResponse(answer));
                }
                None => {}
            }
        }
    }

    /// Takes over one wish of a client that is back; a track that is gone by now is no fault.
    pub(super) fn set_subscribed(&mut self, id: PeerId, sid: &str, subscribed: bool) {
        match self.find(id, sid) {
            Some((owner, track)) if subscribed => self.subscribe(id, owner, track),
            Some((_, track)) => self.unsubscribe(id, track),
            None => {}
        }
    }

    pub(super) fn track_settings(&mut self, id: PeerId, request: &UpdateTrackSettings) {
        let want = if request.width > 0 {
            Want::Width(request.width)
        } else {
            match VideoQuality::try_from(request.quality) {
                Ok(VideoQuality::Low) => Want::Rank(0),
                Ok(VideoQuality::Medium) => Want::Rank(1),
                _ => Want::Rank(2),
            }
        };
        let disabled = request.disabled || request.quality == i32::from(VideoQuality::Off);
        if request.track_sids.len() > SIDS_MAX {
            return self.respond(id, 0, Reason::LimitExceeded, "too many tracks in one request", None);
        }
        for sid in &request.track_sids {
            if let Some((_, track)) = self.find(id, sid) {
                self.set_wish(id, track, Wish { disabled, want });
            }
        }
    }

    /// Takes over that a client that is back wants nothing of a track for now.
    pub(super) fn set_disabled(&mut self, id: PeerId, sid: &str) {
        let Some((_, track)) = self.find(id, sid) else { return };
        let wish = self.participants.get(&id).and_then(|participant| participant.wishes.get(&track).copied());
        self.set_wish(id, track, Wish { disabled: true, ..wish.unwrap_or_default() });
    }

    fn set_wish(&mut self, id: PeerId, track: TrackId, wish: Wish) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.wishes.insert(track, wish);
        let Wish { disabled, want } = wish;
        self.commands.push(MediaCommand::Settings { peer: id, track, disabled, want });
        self.wishes_changed(track);
    }

    /// A subscription cannot be served: its receiver is told, once.
    pub(super) fn unsupported(&mut self, id: PeerId, track: TrackId) {
        let Some((_, track_sid)) = self.owner_of(track) else { return };
        self.unsubscribe(id, track);
        let err = SubscriptionError::SeCodecUnsupported.into();
        self.send(id, Message::SubscriptionResponse(SubscriptionResponse { track_sid, err }));
    }

    /// Pictures stop for want of bandwidth, or go on.
    pub(super) fn stream_states(&mut self, id: PeerId, states: Vec<(TrackId, String, bool)>) {
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.stopped.extend(states.iter().map(|(track, _, paused)| (*track, *paused)));
        }
        self.tell_stream_states(id, states);
    }

    pub(super) fn tell_stream_states(&self, id: PeerId, states: Vec<(TrackId, String, bool)>) {
        let known = states.into_iter().filter_map(|(track, track_sid, paused)| {
            let (participant_sid, _) = self.owner_of(track)?;
            let state = if paused { StreamState::Paused } else { StreamState::Active };
            Some(StreamStateInfo { participant_sid, track_sid, state: state.into() })
        });
        let stream_states: Vec<StreamStateInfo> = known.collect();
        self.send(id, Message::StreamStateUpdate(StreamStateUpdate { stream_states }));
    }

    fn publisher_of(&self, track: TrackId) -> Option<PeerId> {
        let publishes = |owner: &&Participant| owner.tracks.iter().any(|known| known.id == track);
        self.participants.values().find(publishes).map(|owner| owner.id)
    }

    /// The session ids of a track's publisher and of the track.
    pub(super) fn owner_of(&self, track: TrackId) -> Option<(String, String)> {
        self.participants.values().find_map(|owner| {
            let track = owner.tracks.iter().find(|known| known.id == track)?;
            Some((owner.sid.clone(), track.info.sid.clone()))
        })
    }

    /// v0: our offer for the receiving connection.
    pub(super) fn offer_made(&mut self, id: PeerId, offer: u32, sdp: String, mids: Mids) {
        let description = SessionDescription { r#type: "offer".to_owned(), sdp, id: offer, mid_to_track_id: mids };
        self.send(id, Message::Offer(description));
    }

    /// v1: the client shall offer more sections.
    pub(super) fn sections_needed(&mut self, id: PeerId, num_audios: u32, num_videos: u32) {
        self.send(id, Message::MediaSectionsRequirement(MediaSectionsRequirement { num_audios, num_videos }));
    }

    /// A track reaches a receiver: the first time, its publisher is told.
    pub(super) fn bound(&mut self, receiver: PeerId, track: TrackId) {
        if self.participants.get(&receiver).is_none_or(Participant::is_hidden) {
            return;
        }
        for owner in self.participants.values_mut() {
            if let Some(track) = owner.tracks.iter_mut().find(|known| known.id == track) {
                if !std::mem::replace(&mut track.reported, true) {
                    let message = TrackSubscribed { track_sid: track.info.sid.clone() };
                    owner.send(&response(Message::TrackSubscribed(message)));
                }
                return;
            }
        }
    }
}
