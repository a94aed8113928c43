//! What a client missed while it had no WebSocket, beyond who is here: told again when it is back, as things stand now.

use std::collections::BTreeMap;

use livekit_protocol::signal_response::Message;
use livekit_protocol::{MuteTrackRequest, SubscriptionPermissionUpdate, SyncState};

use super::Hub;
use super::participant::Participant;
use super::resume::SYNCED_TRACKS_MAX;
use crate::server::media::{PeerId, TrackId};
use crate::server::outbox::response;

impl Participant {
    /// Tells it which of its tracks an administrator muted, as long as it does not say that it knows. Before its own
    /// description: clients that read there that a track is muted, and know nothing of it, say that it is not.
    pub(super) fn tell_mutes(&self) {
        for track in self.tracks.iter().filter(|track| track.hushed && track.info.muted) {
            let mute = MuteTrackRequest { sid: track.info.sid.clone(), muted: true };
            self.send(&response(Message::Mute(mute)));
        }
    }
}

impl Hub {
    /// What of its pictures anyone wants; which of those it receives stop for want of bandwidth; what it may receive.
    pub(super) fn tell_missed(&self, id: PeerId) {
        let Some(participant) = self.participants.get(&id) else { return };
        for track in participant.tracks.iter().filter(|track| track.live && track.is_video()) {
            let update = super::dynacast::update(track);
            participant.send(&response(Message::SubscribedQualityUpdate(update)));
        }
        if !participant.stopped.is_empty() {
            let states = named(self, &participant.stopped).map(|(track, _, sid, paused)| (track, sid, paused));
            self.tell_stream_states(id, states.collect());
        }
        for (_, participant_sid, track_sid, allowed) in named(self, &participant.allowed) {
            let update = SubscriptionPermissionUpdate { participant_sid, track_sid, allowed };
            participant.send(&response(Message::SubscriptionPermissionUpdate(update)));
        }
    }

    /// What a client that is back knows of its own tracks: one that an administrator muted, and that it believes to be
    /// heard, is muted again.
    pub(super) fn compare_mutes(&mut self, id: PeerId, state: &SyncState) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let known = state.publish_tracks.iter().filter_map(|published| published.track.as_ref());
        for known in known.take(SYNCED_TRACKS_MAX).filter(|known| known.muted) {
            if let Some(track) = participant.track_mut(&known.sid) {
                track.hushed = false;
            }
        }
        participant.tell_mutes();
    }
}

/// The flags of some tracks, with the session ids of their publishers and their own.
fn named<'a>(
    hub: &'a Hub,
    flags: &'a BTreeMap<TrackId, bool>,
) -> impl Iterator<Item = (TrackId, String, String, bool)> + 'a {
    flags.iter().filter_map(move |(track, flag)| {
        let (participant_sid, track_sid) = hub.owner_of(*track)?;
        Some((*track, participant_sid, track_sid, *flag))
    })
}
