//! Whom a publisher lets receive its tracks (`SubscriptionPermission`). Each request replaces the one before, so of
//! those that come too fast the newest is held until the next sweep.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{SubscriptionPermission, SubscriptionPermissionUpdate, TrackPermission};

use super::Hub;
use super::participant::Participant;
use crate::server::media::{PeerId, TrackId};
use crate::server::outbox::{Signal, response};

/// Entries one request may have, the tracks they name counted as well.
const ENTRIES_MAX: usize = 1024;

/// The receivers a publisher allows.
#[derive(Clone, Debug, Default)]
pub(super) enum Audience {
    /// Everyone, whatever comes.
    #[default]
    Everyone,
    /// Those listed, and of them what is listed.
    Listed(Vec<TrackPermission>),
}

impl Audience {
    /// Whether `receiver` may have the track. The identity counts before the session id.
    pub(super) fn admits(&self, receiver: &Participant, track_sid: &str) -> bool {
        let Self::Listed(entries) = self else { return true };
        entries.iter().any(|entry| {
            let names = if entry.participant_identity.is_empty() {
                entry.participant_sid == receiver.sid
            } else {
                entry.participant_identity == receiver.identity
            };
            names && (entry.all_tracks || entry.track_sids.iter().any(|sid| sid == track_sid))
        })
    }
}

impl Hub {
    /// The publisher says whom it allows.
    pub(super) fn on_audience(&mut self, id: PeerId, request: SubscriptionPermission, now: Instant) {
        let sizes = request.track_permissions.iter().map(|entry| 1 + entry.track_sids.len());
        if sizes.sum::<usize>() > ENTRIES_MAX {
            return self.respond(id, 0, Reason::LimitExceeded, "too many track permissions", None);
        }
        let Some(owner) = self.participants.get_mut(&id) else { return };
        if owner.changes.take(1, now) {
            owner.held_audience = None;
            self.set_audience(id, request);
        } else {
            owner.held_audience = Some(request);
        }
    }

    /// Takes over what was held.
    pub(super) fn take_held_audiences(&mut self, now: Instant) {
        let mut due = Vec::new();
        for owner in self.participants.values_mut().filter(|owner| owner.held_audience.is_some()) {
            if owner.changes.take(1, now) {
                due.extend(owner.held_audience.take().map(|request| (owner.id, request)));
            }
        }
        for (id, request) in due {
            self.set_audience(id, request);
        }
    }

    fn set_audience(&mut self, id: PeerId, request: SubscriptionPermission) {
        let Some(owner) = self.participants.get_mut(&id) else { return };
        owner.audience =
            if request.all_participants { Audience::Everyone } else { Audience::Listed(request.track_permissions) };
        let (room, sid, audience) = (owner.room, owner.sid.clone(), owner.audience.clone());
        let tracks: Vec<(TrackId, String)> =
            owner.tracks.iter().filter(|t| t.live).map(|t| (t.id, t.info.sid.clone())).collect();
        let mut changes = Vec::new();
        for receiver in self.others(room, id) {
            for (track, track_sid) in &tracks {
                let (has, barred) = (receiver.receives.contains(track), receiver.barred.contains(track));
                let allowed = audience.admits(receiver, track_sid);
                if (has && !allowed) || (barred && allowed) {
                    changes.push((receiver.id, *track, track_sid.clone(), allowed));
                }
            }
        }
        // Many are told the same of a track.
        let mut updates: HashMap<(TrackId, bool), Arc<Signal>> = HashMap::new();
        for (receiver, track, track_sid, allowed) in changes {
            let update = updates.entry((track, allowed)).or_insert_with(|| {
                let participant_sid = sid.clone();
                let update = SubscriptionPermissionUpdate { participant_sid, track_sid, allowed };
                response(Message::SubscriptionPermissionUpdate(update))
            });
            if let Some(receiver) = self.participants.get_mut(&receiver) {
                receiver.allowed.insert(track, allowed);
                receiver.send(update);
            }
            if allowed {
                self.subscribe(receiver, id, track);
            } else {
                self.bar(receiver, track);
            }
        }
    }
}
