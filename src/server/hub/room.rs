//! Rooms and their members: telling everyone, removing, sweeping, stopping.

use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, LeaveRequest, ParticipantUpdate, Room as RoomInfo, SignalResponse};

use super::Hub;
use super::participant::Participant;
use crate::server::media::{MediaCommand, PeerId, RoomKey};
use crate::server::outbox::response;

/// A room: exists while somebody is in it.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: String,
    pub(super) sid: String,
    pub(super) created_ms: i64,
    pub(super) members: Vec<PeerId>,
}

impl Hub {
    /// The room's description.
    pub(super) fn room_info(&self, key: RoomKey) -> RoomInfo {
        let Some(room) = self.rooms.get(&key) else { return RoomInfo::default() };
        let visible = || room.members.iter().filter_map(|id| self.participants.get(id)).filter(|p| !p.is_hidden());
        RoomInfo {
            sid: room.sid.clone(),
            name: room.name.clone(),
            max_participants: self.limits.participants_per_room as u32,
            creation_time: room.created_ms / 1000,
            creation_time_ms: room.created_ms,
            enabled_codecs: super::join::codecs(),
            num_participants: visible().count() as u32,
            num_publishers: visible().filter(|p| p.tracks.iter().any(|track| track.live)).count() as u32,
            active_recording: room.members.iter().filter_map(|id| self.participants.get(id)).any(|p| p.grant.recorder),
            ..RoomInfo::default()
        }
    }

    /// The members of a room other than `except`.
    pub(super) fn others(&self, key: RoomKey, except: PeerId) -> impl Iterator<Item = &Participant> {
        let members = self.rooms.get(&key).map(|room| room.members.as_slice()).unwrap_or_default();
        members.iter().filter(move |id| **id != except).filter_map(|id| self.participants.get(id))
    }

    /// Sends to every member of a room.
    pub(super) fn tell_room(&self, key: RoomKey, message: &Arc<SignalResponse>) {
        for member in self.others(key, PeerId(0)) {
            member.send(message);
        }
    }

    /// Tells everyone who may know, the participant included, how it stands now. Versions only grow.
    pub(super) fn announce(&mut self, id: PeerId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.version += 1;
        let update = response(Message::Update(ParticipantUpdate { participants: vec![participant.info()] }));
        let (room, hidden) = (participant.room, participant.is_hidden());
        participant.send(&update);
        if !hidden {
            for other in self.others(room, id) {
                other.send(&update);
            }
        }
    }

    /// Takes a participant out. With `action` it is told to leave first.
    pub(super) fn remove(&mut self, id: PeerId, reason: DisconnectReason, action: Option<Action>) {
        let Some(mut participant) = self.participants.remove(&id) else { return };
        if let Some(action) = action {
            participant.send(&leave(reason, action));
        }
        participant.outbox.close();
        tracing::info!(participant = participant.sid, identity = participant.identity, ?reason, "left");
        self.commands.push(MediaCommand::RemovePeer(id));
        for track in &participant.tracks {
            self.tracks_by_sid.remove(&track.info.sid);
        }
        let gone: Vec<_> = participant.tracks.iter().map(|track| track.id).collect();
        self.forget_tracks(participant.room, &gone);

        let key = participant.room;
        let empty = self.rooms.get_mut(&key).is_none_or(|room| {
            room.members.retain(|member| *member != id);
            room.members.is_empty()
        });
        if empty {
            if let Some(room) = self.rooms.remove(&key) {
                self.keys_by_name.remove(&room.name);
                tracing::info!(room = room.name, "closed: nobody is left");
            }
            return;
        }
        if !participant.is_hidden() {
            participant.version += 1;
            participant.state = State::Disconnected;
            participant.reason = reason;
            participant.tracks.clear();
            let update = response(Message::Update(ParticipantUpdate { participants: vec![participant.info()] }));
            self.tell_room(key, &update);
        }
    }

    /// The media connection is gone for good: the client shall begin anew.
    pub(super) fn lost(&mut self, id: PeerId, reason: &str) {
        let Some(participant) = self.participants.get(&id) else { return };
        tracing::info!(participant = participant.sid, reason, "connection lost");
        self.remove(id, DisconnectReason::ConnectionTimeout, Some(Action::Reconnect));
    }

    /// Takes out whoever left without telling, or never connected.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.notice_dead_sockets(now);
        self.refresh_tokens(now);
        let limit = Duration::from_secs(self.limits.join_timeout_secs);
        let mut gone = Vec::new();
        for participant in self.participants.values() {
            if let Some((reason, action)) = participant.absence.is_over(now) {
                gone.push((participant.id, reason, action));
            } else if participant.state != State::Active && now.saturating_duration_since(participant.joined) > limit {
                gone.push((participant.id, DisconnectReason::JoinFailure, Some(Action::Disconnect)));
            }
        }
        for (id, reason, action) in gone {
            self.remove(id, reason, action);
        }
    }

    /// The server stops: everyone is told.
    pub(super) fn stop(&mut self) {
        for participant in self.participants.values() {
            participant.send(&leave(DisconnectReason::ServerShutdown, Action::Disconnect));
            participant.outbox.close();
        }
        self.participants.clear();
        self.tracks_by_sid.clear();
        self.rooms.clear();
    }
}

/// The request to leave.
pub(super) fn leave(reason: DisconnectReason, action: Action) -> Arc<SignalResponse> {
    let request = LeaveRequest {
        // Clients before protocol 13 read only this.
        can_reconnect: action != Action::Disconnect,
        reason: reason.into(),
        action: action.into(),
        regions: None,
    };
    response(Message::Leave(request))
}
