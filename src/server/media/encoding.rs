//! One encoding of a published track, as its packets tell: whether it flows, what it takes, and what of the lost sound
//! a redundant packet mends. Reads no clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::rtp::{RtpPacket, Ssrc};

use super::keyframe::KeyframeWish;
use super::red;

/// An encoding without packets for this long does not flow: the publisher stopped it.
const FLOW_TIMEOUT: Duration = Duration::from_millis(1000);
/// One whose pictures come slowly, such as a screen at rest, may miss this many of them.
const FLOW_GAPS: u32 = 3;
/// A longer time between two pictures is a pause, and says nothing of how fast they come.
const GAP_MAX: Duration = Duration::from_secs(2);
/// What a packet takes besides its payload, in bytes: the headers of RTP and its extensions, and the authentication.
const HEADERS_BYTES: usize = 36;
/// Lost sound that one redundant packet mends at most: what senders add, and a burst of lies stays harmless.
const MENDED_MAX: usize = 3;

/// One encoding of a published track.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) ssrc: Option<Ssrc>,
    /// The newest extended sequence number of `ssrc`.
    newest_seq: Option<u64>,
    heard: Option<Instant>,
    /// RTP timestamp of the newest picture, and when it began to come.
    picture: Option<(u32, Instant)>,
    /// The time between two pictures, smoothed.
    gap: Duration,
    /// Bytes since the rate was read.
    bytes: usize,
    pub(super) rate_bps: u64,
    pub(super) wish: KeyframeWish,
    /// Numbers of sound packets that were sent on although they had not come: they shall not go twice.
    pub(super) mended: Recent,
}

/// The newest few of the sequence numbers noted.
#[derive(Debug, Default)]
pub(super) struct Recent {
    numbers: [u64; 8],
    next: usize,
}

impl Recent {
    fn insert(&mut self, number: u64) {
        self.numbers[self.next] = number;
        self.next = (self.next + 1) % self.numbers.len();
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }
}

/// Redundant sound, and what of it goes to those who take plain Opus.
pub(super) struct Redundant {
    pub(super) newest: Arc<[u8]>,
    /// Packets that were lost: how many before this one, how much older in ticks, and their bytes; the oldest first.
    pub(super) mended: Vec<(u64, u32, Arc<[u8]>)>,
}

impl Layer {
    /// The blocks of a redundant packet; notes those that mend a loss as come. `None` when they make no sense.
    pub(super) fn unpack(&mut self, packet: &RtpPacket) -> Option<Redundant> {
        let blocks = red::split(&packet.payload)?;
        let newest = packet.payload[blocks.newest.clone()].into();
        let mut mended = Vec::new();
        let lost = match self.newest_seq {
            Some(last) if self.ssrc == Some(packet.header.ssrc) => packet.seq_no.saturating_sub(last + 1),
            _ => 0,
        };
        for (back, block) in (1..=lost).zip(blocks.older()).take(MENDED_MAX) {
            if !block.bytes.is_empty() {
                mended.push((back, block.age, packet.payload[block.bytes.clone()].into()));
                self.mended.insert(*packet.seq_no - back);
            }
        }
        mended.reverse();
        Some(Redundant { newest, mended })
    }

    /// Whether packets come.
    pub(super) fn flows(&self, now: Instant) -> bool {
        let timeout = FLOW_TIMEOUT.max(self.gap * FLOW_GAPS);
        self.heard.is_some_and(|at| now.saturating_duration_since(at) < timeout)
    }

    /// Whether the packet continues the stream: not reordered, not sent again.
    pub(super) fn is_newest(&self, ssrc: Ssrc, seq: u64) -> bool {
        self.ssrc != Some(ssrc) || self.newest_seq.is_none_or(|newest| seq > newest)
    }

    /// The publisher began anew: nothing continues what was sent before.
    pub(super) fn renew(&mut self, ssrc: Ssrc) {
        self.ssrc = Some(ssrc);
        self.newest_seq = None;
        self.picture = None;
    }

    /// Notes a packet of `len` bytes of payload.
    pub(super) fn note(&mut self, seq: u64, timestamp: u32, len: usize, now: Instant) {
        if self.newest_seq.is_none_or(|newest| seq > newest) {
            self.newest_seq = Some(seq);
            self.note_picture(timestamp, now);
        }
        self.heard = Some(now);
        self.bytes += len + HEADERS_BYTES;
    }

    fn note_picture(&mut self, timestamp: u32, now: Instant) {
        match self.picture {
            Some((newest, _)) if newest == timestamp => return,
            Some((_, began)) => {
                self.gap = (self.gap + now.saturating_duration_since(began).min(GAP_MAX)) / 2;
            }
            None => {}
        }
        self.picture = Some((timestamp, now));
    }

    /// Turns the bytes of the last `elapsed` into the rate.
    pub(super) fn read_rate(&mut self, elapsed: Duration) {
        let rate = self.bytes as f64 * 8.0 / elapsed.as_secs_f64().max(0.001);
        self.rate_bps = if self.rate_bps == 0 { rate as u64 } else { (self.rate_bps + rate as u64) / 2 };
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_packet_starts_nothing_until_the_stream_begins_anew() {
        let now = Instant::now();
        let mut layer = Layer::default();
        let (first, second): (Ssrc, Ssrc) = (1.into(), 2.into());
        assert!(layer.is_newest(first, 10));
        layer.renew(first);
        layer.note(10, 0, 100, now);
        assert!(layer.is_newest(first, 11));
        assert!(!layer.is_newest(first, 10) && !layer.is_newest(first, 9));
        assert!(layer.is_newest(second, 3), "another SSRC counts anew");
    }

    #[test]
    fn slow_pictures_flow_and_what_stopped_does_not() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut layer = Layer::default();
        layer.renew(1.into());
        let mut seq = 0;
        let mut picture = |layer: &mut Layer, at: u64| {
            let flowed = layer.flows(after(at));
            for _ in 0..3 {
                seq += 1;
                layer.note(seq, at as u32 * 90, 1000, after(at));
            }
            flowed
        };
        for at in (0..3000).step_by(33) {
            picture(&mut layer, at);
        }
        assert!(layer.flows(after(2970 + 900)) && !layer.flows(after(2970 + 1000)), "a camera stops");
        for at in (20_000..21_000).step_by(33) {
            picture(&mut layer, at);
        }
        assert!(!layer.flows(after(22_100)), "the pause is forgotten");

        let mut slow = Layer::default();
        slow.renew(2.into());
        let began: Vec<bool> = (0..8).map(|n| !picture(&mut slow, 30_000 + n * 1100)).collect();
        assert_eq!(began, [true, true, false, false, false, false, false, false], "it takes two to learn that");
        assert!(!slow.flows(after(30_000 + 7 * 1100 + 6000)), "but it ends as well");
    }
}
