//! Which encodings of a picture anyone wants (dynacast): publishers are told to stop the others. More is told at once,
//! less only after [`PATIENCE`], since people turn back (LIVEKIT.md section 4).

use std::time::{Duration, Instant};

use livekit_protocol::signal_response::Message;
use livekit_protocol::{SubscribedCodec, SubscribedQuality, SubscribedQualityUpdate, VideoQuality};

use super::Hub;
use super::participant::Track;
use crate::server::media::{TrackId, Want};
use crate::server::outbox::response;

/// An encoding that nobody wants is stopped after this long, as in the official server.
const PATIENCE: Duration = Duration::from_secs(5);
/// The encodings, from the lowest.
const QUALITIES: [VideoQuality; 3] = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];

/// What a receiver wants of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Nothing for now.
    pub(super) disabled: bool,
    /// At most this.
    pub(super) want: Want,
}

impl Default for Wish {
    fn default() -> Self {
        Self { disabled: false, want: Want::Rank(usize::MAX) }
    }
}

/// What a picture's publisher was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// This many encodings are wanted, from the lowest; all before anything is said.
    encodings: usize,
    /// When fewer shall be said, and only then.
    fewer_at: Option<Instant>,
}

impl Default for Told {
    fn default() -> Self {
        Self { encodings: QUALITIES.len(), fewer_at: None }
    }
}

impl Told {
    /// Takes note of how many encodings are wanted; answers whether to say so now.
    fn note(&mut self, wanted: usize, now: Instant) -> bool {
        let say = match self.fewer_at {
            _ if wanted > self.encodings => true,
            _ if wanted == self.encodings => false,
            Some(at) => now >= at,
            None => {
                self.fewer_at = Some(now + PATIENCE);
                return false;
            }
        };
        if say {
            self.encodings = wanted;
        }
        if say || wanted == self.encodings {
            self.fewer_at = None;
        }
        say
    }
}

impl Hub {
    /// The wishes for a picture changed.
    pub(super) fn wishes_changed(&mut self, track: TrackId) {
        self.wished.insert(track);
    }

    /// Tells publishers what changed.
    pub(super) fn tell_wishes(&mut self, now: Instant) {
        for track in std::mem::take(&mut self.wished) {
            self.tell_wish(track, now);
        }
    }

    /// Looks at the pictures of which fewer encodings may have to be said.
    pub(super) fn tell_fewer(&mut self, now: Instant) {
        let tracks = self.participants.values().flat_map(|participant| &participant.tracks);
        let due = tracks.filter(|track| track.told.fewer_at.is_some_and(|at| now >= at)).map(|track| track.id);
        self.wished.extend(due.collect::<Vec<_>>());
    }

    fn tell_wish(&mut self, id: TrackId, now: Instant) {
        let holds = |track: &Track| track.id == id && track.live && track.is_video();
        let Some(owner) = self.participants.values().find(|participant| participant.tracks.iter().any(holds)) else {
            return;
        };
        let Some(widths) = owner.tracks.iter().find(|track| holds(track)).map(|track| track.published().widths_px)
        else {
            return;
        };
        let receivers = self.others(owner.room, owner.id).filter(|receiver| receiver.receives.contains(&id));
        let wishes = receivers.map(|receiver| receiver.wishes.get(&id).copied().unwrap_or_default());
        let wanted = wishes.filter(|wish| !wish.disabled).map(|wish| wish.want.max_rank(&widths) + 1).max();
        let owner = owner.id;
        let Some(owner) = self.participants.get_mut(&owner) else { return };
        let Some(track) = owner.tracks.iter_mut().find(|track| track.id == id) else { return };
        if track.told.note(wanted.unwrap_or(0), now) {
            let update = update(track);
            owner.send(&response(Message::SubscribedQualityUpdate(update)));
        }
    }
}

/// What a picture's publisher is told.
pub(super) fn update(track: &Track) -> SubscribedQualityUpdate {
    let enabled = |(rank, quality): (usize, &VideoQuality)| SubscribedQuality {
        quality: i32::from(*quality),
        enabled: rank < track.told.encodings,
    };
    let qualities: Vec<SubscribedQuality> = QUALITIES.iter().enumerate().map(enabled).collect();
    let codec = track.info.mime_type.trim_start_matches("video/").to_ascii_lowercase();
    #[expect(deprecated, reason = "older clients read only this")]
    let update = SubscribedQualityUpdate {
        track_sid: track.info.sid.clone(),
        subscribed_qualities: qualities.clone(),
        subscribed_codecs: vec![SubscribedCodec { codec, qualities }],
    };
    update
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_said_at_once_and_less_after_a_while() {
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        let mut told = Told::default();
        assert!(!told.note(3, start), "all flow until something is said");
        assert!(!told.note(1, start) && !told.note(1, after(4)));
        assert!(!told.note(3, after(4)), "someone turned back");
        assert!(!told.note(0, after(5)) && !told.note(0, after(9)));
        assert!(told.note(0, after(10)), "nobody wants it");
        assert!(!told.note(0, after(20)), "once");
        assert!(told.note(2, after(20)), "at once");
        assert!(!told.note(1, after(20)) && told.note(3, after(21)));
        assert!(!told.note(2, after(22)), "the wait begins anew");
        assert!(!told.note(2, after(26)) && told.note(2, after(27)));
    }
}
