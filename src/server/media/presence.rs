//! Connections that break and come back, as the media side sees them: who is silent, who is gone, and fresh ICE.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::link::{Link, LinkId};
use super::shard::Shard;
use super::{MediaEvent, PeerId};

impl Shard {
    /// Everything a connection receives shall begin with a keyframe.
    pub(super) fn want_keyframes(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        for track in link.sections.iter().filter_map(|section| section.track) {
            if let Some(track) = self.tracks.get_mut(&track).filter(|track| track.video) {
                track.want_keyframe(id);
            }
        }
    }

    /// Tells of whom nothing is heard any more, and who is heard again.
    pub(super) fn notice_silence(&mut self, now: Instant) {
        let limit = Duration::from_secs(self.limits.silence_timeout_secs);
        let is_silent = |link: &Link| link.connected && now.saturating_duration_since(link.heard) > limit;
        let silent: HashSet<PeerId> = self.links.iter().filter(|(_, l)| is_silent(l)).map(|(id, _)| id.peer).collect();
        let mut news = Vec::new();
        for (&peer, known) in &mut self.peers {
            let is_silent = silent.contains(&peer);
            if std::mem::replace(&mut known.silent, is_silent) != is_silent {
                news.push(if is_silent { MediaEvent::Silent { peer } } else { MediaEvent::Heard { peer } });
            }
        }
        news.into_iter().for_each(|event| self.tell(event));
    }

    /// Tells signalling, once, that a participant is gone; signalling then removes it.
    pub(super) fn lose(&mut self, peer: PeerId, reason: &'static str) {
        self.tell_once(peer, MediaEvent::Lost { peer, reason });
    }

    /// A participant closed its connection; signalling then removes it.
    pub(super) fn closed(&mut self, peer: PeerId) {
        self.tell_once(peer, MediaEvent::Closed { peer });
    }

    fn tell_once(&mut self, peer: PeerId, end: MediaEvent) {
        if let Some(known) = self.peers.get_mut(&peer)
            && !std::mem::replace(&mut known.reported_lost, true)
        {
            self.tell(end);
        }
    }

    /// The ICE credentials of a connection may have changed: STUN requests must still find it.
    pub(super) fn learn_ufrag(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let ufrag = link.rtc.direct_api().local_ice_credentials().ufrag;
        if ufrag != link.ufrag {
            self.ufrags.remove(&link.ufrag);
            self.ufrags.insert(ufrag.clone(), id);
            link.ufrag = ufrag;
            link.intake.forget_sources();
        }
    }
}
