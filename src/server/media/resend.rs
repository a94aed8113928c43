//! Sending lost packets again to clients that offer no stream of their own for it (RFC 4588): under the same SSRC and
//! number, as the official server does for them. The WebRTC stack only knows the other way, so such connections let us
//! see their reports (`Link::plain_resends`), and what was sent is kept here. Reads no clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::Pt;
use str0m::rtp::rtcp::Nack;
use str0m::rtp::{ExtensionValues, RtpWrite, Vp8Patch};

use crate::server::rate::Rate;

/// Packets kept of one stream: a second of a large picture.
const KEPT: usize = 512;
/// Older packets come too late for anyone.
const MAX_AGE: Duration = Duration::from_secs(2);
/// The same packet is not sent again within this: one loss is often reported twice.
const PAUSE: Duration = Duration::from_millis(15);
/// Packets sent again per second and stream; a second's worth at once.
const RESENDS_PER_SEC: u32 = 400;

/// A packet as it was sent.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) seq: u64,
    pub(super) timestamp: u32,
    /// When it was captured.
    pub(super) at: Instant,
    pub(super) pt: Pt,
    pub(super) marker: bool,
    pub(super) extensions: ExtensionValues,
    pub(super) payload: Arc<[u8]>,
    pub(super) patch: Option<Vp8Patch>,
    /// When it was sent last.
    pub(super) sent: Instant,
}

/// What was sent of one stream lately.
#[derive(Debug)]
pub(super) struct Sent {
    packets: Box<[Option<Kept>]>,
    budget: Rate,
}

impl Sent {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            packets: std::iter::repeat_with(|| None).take(KEPT).collect(),
            budget: Rate::new(RESENDS_PER_SEC, 1, now),
        }
    }

    /// Keeps a packet, in place of one that is [`KEPT`] older.
    pub(super) fn keep(&mut self, packet: Kept) {
        let place = place_of(packet.seq as u16);
        self.packets[place] = Some(packet);
    }

    /// The packets of a report that shall be sent again.
    pub(super) fn again(&mut self, nack: &Nack, now: Instant) -> Vec<RtpWrite> {
        let mut writes = Vec::new();
        for seq in numbers(nack) {
            let Some(kept) = self.packets[place_of(seq)].as_mut().filter(|kept| kept.seq as u16 == seq) else {
                continue;
            };
            let passed = now.saturating_duration_since(kept.sent);
            let stale = now.saturating_duration_since(kept.at) > MAX_AGE;
            if passed < PAUSE || stale || !self.budget.take(1, now) {
                continue;
            }
            kept.sent = now;
            let write = RtpWrite::new(kept.pt, kept.seq.into(), kept.timestamp, kept.at, kept.payload.clone())
                .marker(kept.marker)
                .ext_vals(kept.extensions.clone());
            writes.push(match kept.patch {
                Some(patch) => write.vp8_patch(patch),
                None => write,
            });
        }
        writes
    }
}

fn place_of(seq: u16) -> usize {
    usize::from(seq) % KEPT
}

/// The sequence numbers of a report (RFC 4585 section 6.2.1).
fn numbers(nack: &Nack) -> Vec<u16> {
    let mut numbers = Vec::new();
    for entry in nack.reports.iter() {
        numbers.push(entry.pid);
        let more = (0..16).filter(|bit| entry.blp & (1 << bit) != 0);
        numbers.extend(more.map(|bit: u16| entry.pid.wrapping_add(bit + 1)));
    }
    numbers
}

#[cfg(test)]
mod tests {
    use str0m::rtp::rtcp::NackEntry;

    use super::*;

    fn kept(seq: u64, now: Instant) -> Kept {
        Kept {
            seq,
            timestamp: 0,
            at: now,
            pt: 96.into(),
            marker: false,
            extensions: ExtensionValues::default(),
            payload: Arc::from([1_u8].as_slice()),
            patch: None,
            sent: now,
        }
    }

    fn nack(pid: u16, blp: u16) -> Nack {
        Nack { sender_ssrc: 1.into(), ssrc: 2.into(), reports: NackEntry { pid, blp }.into() }
    }

    #[test]
    fn what_is_missing_is_sent_again_once_a_while_and_not_for_ever() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut sent = Sent::new(start);
        for seq in 65_530..65_545 {
            sent.keep(kept(seq, start));
        }
        // 65 535, then 0, 1 and 2 across the wrap.
        assert_eq!(sent.again(&nack(65_535, 0b111), after(20)).len(), 4);
        assert!(sent.again(&nack(65_535, 0b111), after(30)).is_empty(), "reported twice");
        assert_eq!(sent.again(&nack(65_535, 0), after(40)).len(), 1, "lost again");
        assert!(sent.again(&nack(100, u16::MAX), after(40)).is_empty(), "never sent");
        assert!(sent.again(&nack(65_530, u16::MAX), after(3000)).is_empty(), "too old");
        sent.keep(kept(65_530 + KEPT as u64, after(3000)));
        assert!(sent.again(&nack(65_530, 0), after(3050)).is_empty(), "its place is taken");
    }

    #[test]
    fn a_flood_of_reports_has_a_bound() {
        let start = Instant::now();
        let mut sent = Sent::new(start);
        (0..KEPT as u64).for_each(|seq| sent.keep(kept(seq, start)));
        let mut count = 0;
        for round in 1..20 {
            let now = start + PAUSE * round;
            count += (0..30).map(|n| sent.again(&nack(n * 17, u16::MAX), now).len()).sum::<usize>();
        }
        assert!(count <= 400 + 400 * 300 / 1000, "{count}");
    }
}
