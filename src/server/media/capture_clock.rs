//! When a publisher's packets were captured, so that the reports to receivers carry its clock and they can keep sound and
//! picture together. One for each publishing connection: all its tracks share a clock. Reads no clock itself.

use std::time::{Duration, Instant, SystemTime};

use str0m::rtp::RtpPacket;

/// The report that took the shortest way is looked for in the last one to two of these.
const WINDOW: Duration = Duration::from_secs(20);
/// Captured longer ago than this, or not yet: the report does not belong to the packet.
const MAX_AGE: Duration = Duration::from_secs(2);

/// How a publisher's clock differs from ours.
#[derive(Debug, Default)]
pub(super) struct CaptureClock {
    epoch: Option<Instant>,
    newest_report: Option<SystemTime>,
    /// Least of what reports came later by than their clock says, in microseconds: of the window before, and of this one.
    behind_us: [Option<i64>; 2],
    window_began: Option<Instant>,
}

impl CaptureClock {
    /// When this packet, which came now, was captured; now, before any report came.
    pub(super) fn captured(&mut self, packet: &RtpPacket, clock_rate_hz: u32, now: Instant) -> Instant {
        let Some(report) = &packet.last_sender_info else { return now };
        self.at(report.ntp_time, report.rtp_time.numer() as u32, packet.header.timestamp, clock_rate_hz, now)
    }

    fn at(&mut self, ntp: SystemTime, report_rtp: u32, rtp: u32, clock_rate_hz: u32, now: Instant) -> Instant {
        let Ok(ntp_us) = ntp.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_micros() as i64) else {
            return now;
        };
        let epoch = *self.epoch.get_or_insert(now);
        let now_us = now.saturating_duration_since(epoch).as_micros() as i64;
        if self.newest_report.is_none_or(|newest| ntp > newest) {
            self.newest_report = Some(ntp);
            self.note(now_us - ntp_us, now);
        }
        let Some(behind_us) = self.behind_us.iter().flatten().min() else { return now };
        let ticks = i64::from(rtp.wrapping_sub(report_rtp) as i32);
        let captured_us = ntp_us + ticks * 1_000_000 / i64::from(clock_rate_hz.max(1)) + behind_us;
        let age = Duration::from_micros(now_us.saturating_sub(captured_us).max(0) as u64);
        if age > MAX_AGE { now } else { now.checked_sub(age).unwrap_or(now) }
    }

    fn note(&mut self, behind_us: i64, now: Instant) {
        let began = *self.window_began.get_or_insert(now);
        if now.saturating_duration_since(began) > WINDOW {
            self.behind_us = [self.behind_us[1], None];
            self.window_began = Some(now);
        }
        self.behind_us[1] = Some(self.behind_us[1].map_or(behind_us, |least| least.min(behind_us)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_and_picture_captured_together_stay_together() {
        let mut clock = CaptureClock::default();
        let start = Instant::now();
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ms = Duration::from_millis;
        // Reports of both tracks; the picture's comes 30 ms late.
        clock.at(theirs, 48_000, 48_000, 48_000, start + ms(10));
        clock.at(theirs + ms(5), 90_000, 90_000, 90_000, start + ms(45));
        // What was captured half a second later comes after 20 ms of encoding, and 90.
        let sound = clock.at(theirs, 48_000, 48_000 + 24_000, 48_000, start + ms(530));
        let picture = clock.at(theirs + ms(5), 90_000, 90_000 + 44_550, 90_000, start + ms(600));
        assert_eq!(sound, start + ms(510));
        assert_eq!(picture, sound);
    }

    #[test]
    fn nonsense_counts_as_captured_now() {
        let mut clock = CaptureClock::default();
        let now = Instant::now();
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        assert_eq!(clock.at(theirs, 0, 0, 0, now), now);
        let later = now + Duration::from_secs(60);
        assert_eq!(clock.at(theirs, 0, 1 << 31, 90_000, later), later, "years apart");
        assert_eq!(clock.at(SystemTime::UNIX_EPOCH - Duration::from_secs(9), 0, 0, 90_000, later), later);
        assert_eq!(clock.at(theirs, 0, 90_000 * 100, 90_000, later), later, "not captured yet");
    }
}
