//! Sequence numbers and time stamps as they arrive: wraps, copies, a sender that starts anew, and what is missing.
//! Plain data; time is an input.

use std::time::Instant;

use crate::media::frame::SAMPLE_RATE_HZ;

/// How far time stamps may run from the clock between two packets before they are taken for another stream's.
const LARGEST_JUMP_SECS: f64 = 3.0;
/// How far sequence numbers may jump.
const LARGEST_STEP: i64 = 3_000;
/// Copies in a packet, and how old they may be in samples: RFC 2198 section 3 has 14 bits for it.
const MAX_COPIES: i64 = 8;
const LARGEST_COPY_AGE: i64 = (1 << 14) - 1;
/// Strange packets in a row that mean the sender started anew; one does when nothing is playing.
const RESTART_PACKETS: u32 = 3;

/// What to make of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A new one: unwrapped sequence number and time stamp.
    Packet(i64, i64),
    /// The first one of a stream that started anew.
    Restart(i64, i64),
    /// A copy, one too old to tell, or a stray of another stream.
    Ignore,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    sequence: i64,
    timestamp: i64,
    arrived: Instant,
}

/// Book-keeping of one stream's packets.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    newest: Option<Newest>,
    /// Bit `n` is set when the packet `n` before the newest came.
    seen: u128,
    strange: u32,
    expected: u64,
    different: u64,
    in_time: u64,
}

impl Arrivals {
    /// Takes a packet's numbers. `starving` says that nothing is being played, so that there is nothing to protect
    /// from a stray packet.
    pub(super) fn note(&mut self, sequence: u16, timestamp: u32, arrived: Instant, starving: bool) -> Arrival {
        let Some(newest) = self.newest else { return self.start(sequence, timestamp, arrived, Arrival::Packet) };
        let step = i64::from(sequence.wrapping_sub(newest.sequence as u16) as i16);
        let samples = i64::from(timestamp.wrapping_sub(newest.timestamp as u32) as i32);
        let elapsed_secs = arrived.saturating_duration_since(newest.arrived).as_secs_f64();
        let jump_secs = samples as f64 / f64::from(SAMPLE_RATE_HZ) - elapsed_secs;
        if jump_secs.abs() > LARGEST_JUMP_SECS || step.abs() > LARGEST_STEP {
            self.strange += 1;
            if self.strange < RESTART_PACKETS && !starving {
                return Arrival::Ignore;
            }
            return self.start(sequence, timestamp, arrived, Arrival::Restart);
        }
        self.strange = 0;
        let (sequence, timestamp) = (newest.sequence + step, newest.timestamp + samples);
        if step > 0 {
            self.seen = if step < 128 { self.seen << step } else { 0 };
            self.expected += step as u64;
            self.newest = Some(Newest { sequence, timestamp, arrived });
        }
        let bit = u32::try_from((-step).max(0)).ok().and_then(|age| 1u128.checked_shl(age)).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return Arrival::Ignore;
        }
        self.seen |= bit;
        self.different += 1;
        Arrival::Packet(sequence, timestamp)
    }

    /// Takes the numbers of a copy that came along with a later packet: unwrapped when the packet itself is missing.
    pub(super) fn note_copy(&mut self, sequence: u16, timestamp: u32, arrived: Instant) -> Option<(i64, i64)> {
        let newest = self.newest?;
        let step = i64::from(sequence.wrapping_sub(newest.sequence as u16) as i16);
        let samples = i64::from(timestamp.wrapping_sub(newest.timestamp as u32) as i32);
        // Copies are of packets just before the newest: others are of a stream that is over, or nonsense.
        if step >= 0 || samples >= 0 || -step > MAX_COPIES || -samples > LARGEST_COPY_AGE {
            return None;
        }
        match self.note(sequence, timestamp, arrived, false) {
            Arrival::Packet(sequence, timestamp) => Some((sequence, timestamp)),
            Arrival::Restart(..) | Arrival::Ignore => None,
        }
    }

    /// The packet came early enough to be played.
    pub(super) fn in_time(&mut self) {
        self.in_time += 1;
    }

    /// Different packets that came.
    pub(super) fn different(&self) -> u64 {
        self.different
    }

    /// Packets that did not come, or too late.
    pub(super) fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.in_time)
    }

    fn start(&mut self, sequence: u16, timestamp: u32, arrived: Instant, kind: fn(i64, i64) -> Arrival) -> Arrival {
        let (sequence, timestamp) = (i64::from(sequence), i64::from(timestamp));
        self.newest = Some(Newest { sequence, timestamp, arrived });
        self.seen = 1;
        self.strange = 0;
        self.expected += 1;
        self.different += 1;
        kind(sequence, timestamp)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn wraps_copies_and_gaps_are_told_apart() {
        let start = Instant::now();
        let at = |index: u64| start + Duration::from_millis(index * 20);
        let stamp = |index: u32| (u32::MAX - 1000).wrapping_add(index * 960);
        let mut arrivals = Arrivals::default();
        let first = u16::MAX - 1;
        assert_eq!(arrivals.note(first, stamp(0), at(0), false), Arrival::Packet(65_534, i64::from(stamp(0))));
        assert_eq!(arrivals.note(0, stamp(2), at(2), false), Arrival::Packet(65_536, i64::from(stamp(0)) + 1920));
        assert_eq!(arrivals.note(u16::MAX, stamp(1), at(2), false), Arrival::Packet(65_535, i64::from(stamp(0)) + 960));
        assert_eq!(arrivals.note(0, stamp(2), at(3), false), Arrival::Ignore, "a copy");
        assert_eq!(arrivals.note(4, stamp(6), at(6), false), Arrival::Packet(65_540, i64::from(stamp(0)) + 5760));
        for _ in 0..4 {
            arrivals.in_time();
        }
        assert_eq!((arrivals.different(), arrivals.lost()), (4, 3));
    }

    #[test]
    fn a_stray_is_ignored_and_a_restart_followed() {
        let start = Instant::now();
        let mut arrivals = Arrivals::default();
        arrivals.note(10, 1_000_000, start, false);
        assert_eq!(arrivals.note(40_000, 77, start, false), Arrival::Ignore);
        assert!(matches!(arrivals.note(11, 1_000_960, start, false), Arrival::Packet(..)));
        assert_eq!(arrivals.note(40_000, 77, start, false), Arrival::Ignore);
        assert_eq!(arrivals.note(40_001, 1037, start, false), Arrival::Ignore);
        assert_eq!(arrivals.note(40_002, 1997, start, false), Arrival::Restart(40_002, 1997));
        assert_eq!(arrivals.note(5, 3_000_000_000, start, true), Arrival::Restart(5, 3_000_000_000));
    }
}
