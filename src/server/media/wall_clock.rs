//! When a publisher's packets were captured, on our clock: sender reports (RFC 3550 section 6.4.1) tie the RTP clocks of
//! all its tracks to one clock of its own, and this ties that one to ours. What receivers are told in our own reports
//! then keeps sound and picture together, whatever the way did to each. Reads no clock.

use std::time::{Duration, Instant, SystemTime};

use str0m::rtp::RtpPacket;

/// The tie is made anew when it is off by more than this: the publisher's clock was set.
const JUMP: Duration = Duration::from_secs(5);
/// The tie slackens by this share of the time that passes, so that clocks which drift apart are followed.
const SLACK_PPM: u32 = 200;

/// The tie between one publisher's clock and ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WallClock {
    tie: Option<Tie>,
}

/// A moment on both clocks: the shortest way any packet took lies between them.
#[derive(Clone, Copy, Debug)]
struct Tie {
    theirs: SystemTime,
    ours: Instant,
}

impl WallClock {
    /// When the packet was captured, at most now; its arrival before the first report.
    pub(super) fn captured(&mut self, packet: &RtpPacket, now: Instant) -> Instant {
        let Some(info) = packet.last_sender_info else { return now };
        let base = info.rtp_time.frequency().get().max(1);
        // Packets and reports both wrap at 32 bits: near each other, their difference is right.
        let ticks = packet.header.timestamp.wrapping_sub(info.rtp_time.numer() as u32).cast_signed();
        let offset = Duration::from_nanos(u64::from(ticks.unsigned_abs()) * 1_000_000_000 / u64::from(base));
        let theirs = if ticks < 0 { info.ntp_time.checked_sub(offset) } else { info.ntp_time.checked_add(offset) };
        theirs.map_or(now, |theirs| self.map(theirs, now))
    }

    fn map(&mut self, theirs: SystemTime, now: Instant) -> Instant {
        let expected = self.tie.and_then(|tie| match theirs.duration_since(tie.theirs) {
            Ok(later) => tie.ours.checked_add(later + later * SLACK_PPM / 1_000_000),
            Err(earlier) => tie.ours.checked_sub(earlier.duration()),
        });
        let usable = expected.filter(|at| now.saturating_duration_since(*at) < JUMP);
        match usable {
            // It took longer than the fastest: it was captured when that one says.
            Some(at) if at <= now => at,
            // The fastest so far, the first, or a clock that was set.
            _ => {
                self.tie = Some(Tie { theirs, ours: now });
                now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + ms)
    }

    #[test]
    fn what_the_way_adds_is_taken_off() {
        let start = Instant::now();
        let ours = |ms: u64| start + Duration::from_millis(ms);
        let near = |a: Instant, b: Instant| a.max(b).duration_since(a.min(b)) < Duration::from_millis(1);
        let mut clock = WallClock::default();
        assert_eq!(clock.map(at(0), ours(50)), ours(50), "the first ties the clocks");
        assert!(near(clock.map(at(20), ours(110)), ours(70)), "40 ms late on the way");
        assert!(near(clock.map(at(40), ours(70)), ours(70)), "a faster one ties them anew");
        assert!(near(clock.map(at(60), ours(130)), ours(90)));
        assert_eq!(clock.map(at(3_600_000), ours(140)), ours(140), "a clock that was set");
        assert_eq!(clock.map(at(10), ours(150)), ours(150), "and set back");
    }
}
