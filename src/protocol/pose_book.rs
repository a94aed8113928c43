//! Which of the poses that come in are taken: from those who are here, in order, and not too many. No I/O; time is an
//! input: how long after any one fixed moment something happens.

use std::collections::HashMap;
use std::time::Duration;

use super::pose::PosePacket;
use crate::model::{PoseCounts, UserId};

/// A sender may tell a pose this often, sustained: twice what ours do.
const SPACING: Duration = Duration::from_millis(25);
/// How far ahead of that a burst may run: twenty packets that a stalled way lets go at once.
const BURST: Duration = Duration::from_millis(500);

/// What was heard of each sender.
#[derive(Debug, Default)]
pub struct PoseBook {
    senders: HashMap<UserId, Sender>,
    counts: PoseCounts,
}

#[derive(Debug, Default)]
struct Sender {
    /// The sender's clock in the newest packet that was taken.
    newest_ms: Option<u32>,
    /// When the next packet would come at the sustained rate.
    expected: Duration,
}

impl PoseBook {
    /// A packet came from somebody in the room: what it says, or `None` when it is not to be taken.
    pub fn hear(&mut self, from: &UserId, payload: &[u8], now: Duration) -> Option<PosePacket> {
        if !self.senders.contains_key(from) {
            self.senders.insert(from.clone(), Sender::default());
        }
        let sender = self.senders.get_mut(from)?;
        if sender.expected > now + BURST {
            self.counts.too_fast += 1;
            return None;
        }
        sender.expected = sender.expected.max(now) + SPACING;
        let packet = match PosePacket::decode(payload) {
            Ok(packet) => packet,
            Err(error) => {
                tracing::trace!(%from, %error, "a pose is dropped");
                self.counts.malformed += 1;
                return None;
            }
        };
        if sender.newest_ms.is_some_and(|newest| !PosePacket::is_after(packet.sent_ms, newest)) {
            self.counts.stale += 1;
            return None;
        }
        sender.newest_ms = Some(packet.sent_ms);
        self.counts.taken += 1;
        Some(packet)
    }

    /// A packet came from nobody who is here.
    pub fn hear_stranger(&mut self) {
        self.counts.strangers += 1;
    }

    /// Someone is gone, or logged in anew: their clock may begin again.
    pub fn forget(&mut self, user: &UserId) {
        self.senders.remove(user);
    }

    /// What became of everything so far.
    pub fn counts(&self) -> PoseCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Pose, Stand};

    fn ann() -> UserId {
        UserId::new("ann").unwrap()
    }

    fn packet(sent_ms: u32) -> [u8; 12] {
        PosePacket { sent_ms, pose: Pose::Standing(Stand::new(1.0, 1.0, 0.0).unwrap()) }.encode()
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn only_what_is_newer_is_taken_wherever_the_clock_begins() {
        for first in [0, 1_000_000, u32::MAX - 120] {
            let mut book = PoseBook::default();
            let mut newest = None;
            // Sent 50 ms apart, arriving shuffled and in part twice.
            for (turn, n) in [0_u32, 2, 1, 1, 3, 5, 4, 4, 6, 0, 7].into_iter().enumerate() {
                let taken = book.hear(&ann(), &packet(first.wrapping_add(50 * n)), at(50 * turn as u64)).is_some();
                assert_eq!(taken, newest.is_none_or(|newest| n > newest), "{n} after {newest:?}");
                newest = newest.max(Some(n));
            }
            assert_eq!(book.counts(), PoseCounts { taken: 6, stale: 5, ..PoseCounts::default() });
        }
    }

    #[test]
    fn forty_a_second_pass_and_a_burst_but_no_flood() {
        let passed = |packets: u64, spacing_us: u64| {
            let mut book = PoseBook::default();
            let hear =
                |n: &u64| book.hear(&ann(), &packet(*n as u32 + 1), Duration::from_micros(n * spacing_us)).is_some();
            let passed = (0..packets).filter(hear).count();
            (passed, book.counts().too_fast)
        };
        assert_eq!(passed(400, 25_000), (400, 0));
        assert_eq!(passed(20, 0), (20, 0), "what a stalled way lets go");
        let (taken, dropped) = passed(10_000, 1_000);
        assert!((400..=430).contains(&taken), "{taken} of 10 000 in 10 s");
        assert_eq!(taken as u64 + dropped, 10_000);
    }

    #[test]
    fn one_who_floods_takes_nothing_from_others() {
        let (mut book, bob) = (PoseBook::default(), UserId::new("bob").unwrap());
        for n in 0..1000 {
            book.hear(&ann(), &packet(n), at(0));
        }
        assert!(book.hear(&bob, &packet(1), at(0)).is_some());
        assert!(book.hear(&ann(), &packet(5000), at(5000)).is_some(), "and is heard again later");
    }

    #[test]
    fn nonsense_is_counted_and_a_fresh_login_begins_anew() {
        let mut book = PoseBook::default();
        assert!(book.hear(&ann(), b"walk", at(0)).is_none());
        assert!(book.hear(&ann(), &packet(90_000), at(50)).is_some());
        assert!(book.hear(&ann(), &packet(10), at(100)).is_none());
        book.forget(&ann());
        assert!(book.hear(&ann(), &packet(10), at(150)).is_some());
        book.hear_stranger();
        let counts = PoseCounts { taken: 2, malformed: 1, stale: 1, strangers: 1, too_fast: 0 };
        assert_eq!(book.counts(), counts);
    }
}
