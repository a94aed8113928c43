//! Coming back (LIVEKIT.md section 7): a participant whose WebSocket or media path broke keeps its place for a while and
//! takes its session up again on another WebSocket. The others see nothing of it.
//!
//! Invariant: what a client missed while it had no WebSocket is either told again in full when it is back (who is here,
//! the room, its own tracks, and what is in `missed`), or asked for again by the media thread (sections, offers).

use std::time::{Duration, Instant};

use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_response::Message;
use livekit_protocol::simulate_scenario::Scenario;
use livekit_protocol::{
    DisconnectReason, ParticipantInfo, ParticipantUpdate, ReconnectResponse, RoomUpdate, SimulateScenario, SyncState,
    TrackPublishedResponse,
};

use super::join::{client_configuration, server_info};
use super::participant::Participant;
use super::room::leave;
use super::{Hub, JoinAsk, Seat};
use crate::server::admission::Admission;
use crate::server::media::{MediaCommand, PeerId};
use crate::server::outbox::{Outbox, response};

/// A participant with neither WebSocket nor media goes after this.
const WITHOUT_BOTH: Duration = Duration::from_secs(5);
/// A participant whose media flows may be without a WebSocket this long; clients try for less.
const WITHOUT_SIGNALLING: Duration = Duration::from_secs(120);
/// A participant that came back must be heard within this.
const MEDIA_AFTER_RESUME: Duration = Duration::from_secs(15);
/// Tracks of a state that are looked at.
pub(super) const SYNCED_TRACKS_MAX: usize = 4096;

/// What of a participant's connections is missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absence {
    /// Since when it has no WebSocket.
    unsignalled: Option<Instant>,
    /// Since when nothing comes over its media connection, or since it came back silent.
    silent: Option<Instant>,
}

impl Absence {
    /// Whether waiting any longer is of no use: with which reason it goes, and what it is told if it can be.
    pub(super) fn is_over(self, now: Instant) -> Option<(DisconnectReason, Option<Action>)> {
        let longer = |since: Option<Instant>, limit: Duration| {
            since.is_some_and(|since| now.saturating_duration_since(since) > limit)
        };
        match self.unsignalled {
            Some(_) if longer(self.silent, WITHOUT_BOTH) => Some((DisconnectReason::ConnectionTimeout, None)),
            Some(_) if longer(self.unsignalled, WITHOUT_SIGNALLING) => Some((DisconnectReason::SignalClose, None)),
            None if longer(self.silent, MEDIA_AFTER_RESUME) => {
                Some((DisconnectReason::ConnectionTimeout, Some(Action::Reconnect)))
            }
            _ => None,
        }
    }
}

/// A failure that a client asks to have staged when it comes back, to try itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rehearsal {
    /// Its WebSocket ends once it was told everything.
    Hangup,
    /// Its WebSocket ends before it is told anything.
    SilentHangup,
}

impl Hub {
    /// A client wants its session back. One that is unknown shall log in anew over a fresh connection.
    pub(super) fn resume(&mut self, ask: JoinAsk, now: Instant) {
        let JoinAsk { admission, outbox, reply } = ask;
        let found = self.returning(&admission);
        let seat = Seat { peer: found.unwrap_or(PeerId(0)), socket: self.next_id() };
        if reply.send(Ok(seat)).is_err() {
            tracing::debug!("a returning client was gone before its answer");
            return;
        }
        let Some(participant) = found.and_then(|id| self.participants.get_mut(&id)) else {
            outbox.send(&leave(DisconnectReason::StateMismatch, Action::Reconnect));
            outbox.close();
            return;
        };
        tracing::info!(participant = participant.sid, identity = participant.identity, "back");
        let id = participant.id;
        participant.outbox.close();
        participant.outbox = outbox;
        participant.socket = seat.socket;
        participant.absence.unsignalled = None;
        if let Some(silent) = &mut participant.absence.silent {
            *silent = now;
        }
        let rehearsal = participant.rehearsal.take();
        if rehearsal != Some(Rehearsal::SilentHangup) {
            self.welcome_back(id, now);
        }
        if rehearsal.is_some() {
            self.unseat(id, now);
        }
        self.commands.push(MediaCommand::Resume(id));
    }

    /// Whose session a returning client means.
    fn returning(&self, admission: &Admission) -> Option<PeerId> {
        let key = self.keys_by_name.get(&admission.room)?;
        let mut members = self.rooms.get(key)?.members.iter().filter_map(|id| self.participants.get(id));
        let sid = admission.request.participant_sid.as_str();
        let same = |known: &&Participant| {
            known.identity == admission.identity
                && known.single == admission.single
                && (sid.is_empty() || known.sid == sid)
        };
        members.find(same).map(|known| known.id)
    }

    /// First the answer to its coming back, then everything it may have missed.
    fn welcome_back(&mut self, id: PeerId, now: Instant) {
        let Some(participant) = self.participants.get(&id) else { return };
        let answer = ReconnectResponse {
            client_configuration: Some(client_configuration()),
            server_info: Some(server_info()),
            last_message_seq: participant.last_sequence.load(std::sync::atomic::Ordering::Relaxed),
            ..ReconnectResponse::default()
        };
        participant.send(&response(Message::Reconnect(answer)));
        participant.tell_mutes();
        let others = self.others(participant.room, id).filter(|other| !other.is_hidden()).map(Participant::info);
        let participants: Vec<ParticipantInfo> = others.chain([participant.info()]).collect();
        participant.send(&response(Message::Update(ParticipantUpdate { participants })));
        let room = Some(self.room_info(participant.room));
        participant.send(&response(Message::RoomUpdate(RoomUpdate { room })));
        self.tell_speakers(id);
        self.tell_qualities(id);
        self.tell_missed(id);
        self.refresh_token(id, now);
    }

    /// A participant has no WebSocket any more. One that was never connected has nothing to come back to.
    pub(super) fn unseat(&mut self, id: PeerId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.state != State::Active {
            return self.remove(id, DisconnectReason::SignalClose, None);
        }
        tracing::debug!(participant = participant.sid, "without a WebSocket");
        participant.outbox.close();
        participant.outbox = Outbox::nowhere();
        participant.socket = 0;
        participant.absence.unsignalled.get_or_insert(now);
    }

    /// WebSockets that never began, and those whose client does not read.
    pub(super) fn notice_dead_sockets(&mut self, now: Instant) {
        let dead = |p: &&Participant| p.absence.unsignalled.is_none() && p.outbox.is_dead();
        let dead: Vec<PeerId> = self.participants.values().filter(dead).map(|p| p.id).collect();
        for id in dead {
            self.unseat(id, now);
        }
    }

    /// Nothing comes over a participant's media connection: it shall mend that.
    pub(super) fn fell_silent(&mut self, id: PeerId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        tracing::info!(participant = participant.sid, "nothing is heard of it");
        participant.absence.silent = Some(now);
        participant.send(&leave(DisconnectReason::ConnectionTimeout, Action::Resume));
        self.unseat(id, now);
    }

    /// A participant's media connection is mended.
    pub(super) fn heard_again(&mut self, id: PeerId) {
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.absence.silent = None;
        }
    }

    /// A client that is back says what it knows. What it publishes without our knowing makes its session useless; what
    /// we know and it does not is told again.
    pub(super) fn sync(&mut self, id: PeerId, state: &SyncState) {
        let Some(participant) = self.participants.get(&id) else { return };
        let named = || state.publish_tracks.iter().filter_map(|published| published.track.as_ref());
        if named().take(SYNCED_TRACKS_MAX).any(|track| participant.track(&track.sid).is_none()) {
            return self.remove(id, DisconnectReason::StateMismatch, Some(Action::Reconnect));
        }
        for track in &participant.tracks {
            if !named().take(SYNCED_TRACKS_MAX).any(|known| known.sid == track.info.sid) {
                let published = TrackPublishedResponse { cid: track.cid.clone(), track: Some(track.info.clone()) };
                participant.send(&response(Message::TrackPublished(published)));
            }
        }
        self.compare_mutes(id, state);
        if let Some(wishes) = &state.subscription {
            let nested = wishes.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
            for sid in wishes.track_sids.iter().chain(nested).take(SYNCED_TRACKS_MAX) {
                self.set_subscribed(id, sid, wishes.subscribe);
            }
        }
        for sid in state.track_sids_disabled.iter().take(SYNCED_TRACKS_MAX) {
            self.set_disabled(id, sid);
        }
    }

    /// Stages a failure.
    pub(super) fn simulate(&mut self, id: PeerId, request: &SimulateScenario) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        match request.scenario {
            Some(Scenario::DisconnectSignalOnResume(_)) => participant.rehearsal = Some(Rehearsal::Hangup),
            Some(Scenario::DisconnectSignalOnResumeNoMessages(_)) => {
                participant.rehearsal = Some(Rehearsal::SilentHangup);
            }
            Some(Scenario::LeaveRequestFullReconnect(_) | Scenario::ServerLeave(_)) => {
                self.remove(id, DisconnectReason::StateMismatch, Some(Action::Reconnect));
            }
            // As if this server had forgotten everything.
            Some(Scenario::NodeFailure(_)) => self.remove(id, DisconnectReason::ConnectionTimeout, None),
            _ => self.respond(id, 0, Reason::UnsupportedType, "this scenario of a failure is not known", None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_is_waited_for_only_so_long() {
        let start = Instant::now();
        let at = |secs: u64| start + Duration::from_secs(secs);
        let here = Absence::default();
        assert!(here.is_over(at(10_000)).is_none());
        let unsignalled = Absence { unsignalled: Some(start), silent: None };
        assert!(unsignalled.is_over(at(100)).is_none(), "its media flows");
        assert_eq!(unsignalled.is_over(at(121)), Some((DisconnectReason::SignalClose, None)));
        let gone = Absence { unsignalled: Some(start), silent: Some(at(15)) };
        assert!(gone.is_over(at(19)).is_none());
        assert_eq!(gone.is_over(at(21)), Some((DisconnectReason::ConnectionTimeout, None)));
        let back = Absence { unsignalled: None, silent: Some(at(20)) };
        assert!(back.is_over(at(30)).is_none(), "its media may yet come");
        let over = Some((DisconnectReason::ConnectionTimeout, Some(Action::Reconnect)));
        assert_eq!(back.is_over(at(36)), over);
    }
}
