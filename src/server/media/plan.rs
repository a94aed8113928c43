//! Who gets which encoding: shares each receiver's bandwidth among its pictures, after what its sound takes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::forward::Track;
use super::layers::{Given, Pause, allocate};
use super::link::{Link, LinkId, Peer};
use super::shard::Shard;
use super::{MediaEvent, TrackId};

/// Pictures stop when the bandwidth was too short for this long, and packets wait: an estimate begins low and dips, and
/// falls with loss that is not of our making.
const PAUSE_AFTER: Duration = Duration::from_secs(3);

/// Pictures that take less than this together never stop: that would free no more than the stack fills up with padding.
const LEAST_BPS: u64 = 50_000;

impl Shard {
    /// Shares each receiver's bandwidth among its pictures.
    pub(super) fn plan_layers(&mut self, now: Instant) {
        let receivers: Vec<LinkId> = self.peers.values().map(|peer| peer.receiving()).collect();
        for receiver in receivers {
            self.plan_receiver(receiver, now);
        }
    }

    pub(super) fn plan_receiver(&mut self, receiver: LinkId, now: Instant) {
        let (Some(link), Some(peer)) = (self.links.get_mut(&receiver), self.peers.get(&receiver.peer)) else { return };
        if !link.connected {
            return;
        }
        let mut ids = Vec::new();
        let mut demands = Vec::new();
        for id in link.sections.iter().filter(|s| s.video && s.live).filter_map(|s| s.track) {
            let (Some(track), Some(wanted)) = (self.tracks.get(&id), peer.subscriptions.get(&id)) else { continue };
            if wanted.disabled {
                continue;
            }
            ids.push((id, wanted.sid.as_str()));
            demands.push(track.demand(wanted.want.max_rank(&track.widths_px), receiver, now));
        }
        let sound_bps = sound_bps(link, peer, &self.tracks);
        let budget = link.estimate.map(|estimate| estimate.as_u64().saturating_sub(sound_bps).max(LEAST_BPS));
        let mut plan = allocate(&demands, budget, if peer.new.may_pause { Pause::All } else { Pause::Never });
        if !plan.pauses() {
            link.short_since = None;
        } else {
            let short = now.saturating_duration_since(*link.short_since.get_or_insert(now));
            if short < PAUSE_AFTER || !link.way.is_full() {
                plan = allocate(&demands, budget, Pause::Keep);
            }
        }
        link.aim(&plan, sound_bps);
        link.look_again(plan.pauses(), now);
        link.shortage = plan.shortage(&demands);
        tracing::trace!(peer = receiver.peer.0, estimate = ?link.estimate, sound_bps, ?demands, ?plan, "layers");
        let mut states = Vec::new();
        for ((id, sid), rank) in ids.into_iter().zip(plan.ranks) {
            let Some(track) = self.tracks.get_mut(&id) else { continue };
            if track.pause(receiver, rank == Given::Paused) {
                states.push((id, sid.to_owned(), rank == Given::Paused));
            }
            if let Given::Rank(rank) = rank {
                track.retarget(receiver, rank);
            }
        }
        if !states.is_empty() {
            self.tell(MediaEvent::StreamStates { peer: receiver.peer, states });
        }
    }
}

/// What the sound that a receiver gets takes, in bit/s: it is never held back, so pictures share the rest.
fn sound_bps(link: &Link, peer: &Peer, tracks: &HashMap<TrackId, Track>) -> u64 {
    let sounds = link.sections.iter().filter(|section| !section.video && section.live).filter_map(|s| s.track);
    let wanted = sounds.filter(|id| peer.subscriptions.get(id).is_some_and(|wanted| !wanted.disabled));
    wanted.filter_map(|id| tracks.get(&id)).flat_map(|track| &track.layers).map(|layer| layer.rate_bps).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use str0m::media::Mid;

    use super::*;
    use crate::model::media::VideoCodec;
    use crate::server::media::layers::Want;
    use crate::server::media::link::{Role, Section, Subscription};
    use crate::server::media::{NewPeer, PeerId, Published, RoomKey};
    use crate::server::rate::Rate;

    #[test]
    fn pictures_share_what_sound_leaves() {
        let now = Instant::now();
        let new = NewPeer {
            id: PeerId(1),
            room: RoomKey(1),
            identity: "ann".into(),
            sid: "PA_1".into(),
            hidden: false,
            single: true,
            subscriber_primary: false,
            may_publish_data: true,
            last_sequence: Arc::default(),
            may_pause: true,
        };
        let rate = Rate::new(1, 1, now);
        let mut peer = Peer {
            new,
            subscriptions: std::collections::BTreeMap::new(),
            data_bytes: rate,
            data_packets: rate,
            held: Default::default(),
            reported_lost: false,
            silent: false,
        };
        let mut link = Link::new(&[], None, true, now);
        let mut tracks = HashMap::new();
        for (number, video, live, disabled) in [
            (1, false, true, false),
            (2, false, true, false),
            (3, false, true, true),
            (4, false, false, false),
            (5, true, true, false),
        ] {
            let id = TrackId(number);
            let published = Published {
                mid: number.to_string(),
                track: id,
                video,
                codec: VideoCodec::Vp8,
                screen: false,
                widths_px: [0; 3],
                dtx: false,
                stereo: false,
                red: false,
            };
            let mut track = Track::new(LinkId { peer: PeerId(2), role: Role::Publisher }, &published);
            track.layers[0].rate_bps = 40_000 + number;
            tracks.insert(id, track);
            link.sections.push(Section { mid: Mid::from("0"), video, track: Some(id), live });
            let want = Want::Rank(0);
            peer.subscriptions.insert(id, Subscription { stream: String::new(), sid: String::new(), disabled, want });
        }
        assert_eq!(sound_bps(&link, &peer, &tracks), 40_001 + 40_002, "of two that are heard");
    }
}
