//! The clocks of a played track: RTP time that does not wrap, and the sender's own clock as its packets tell it, or else
//! its RTCP sender reports (RFC 3550 section 6.4.1). Plain data; time is an input, in microseconds.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use crate::client::capture_time::unix_us_of;

/// The least of the last one to two of these is looked for: long enough to see a packet that nothing held up, short
/// enough for clocks that drift.
const LEAST_WINDOW_US: i64 = 5_000_000;
/// Reports whose RTP time strays this far from the packets' belong to another stream.
const PLAUSIBLE_SECS: i64 = 60;

/// Unwraps RTP time stamps; late ones may go back a little.
#[derive(Debug, Default)]
pub(super) struct RtpTime {
    last: Option<u32>,
    ticks: i64,
}

impl RtpTime {
    /// Ticks since the first time stamp.
    pub(super) fn ticks(&mut self, timestamp: u32) -> i64 {
        let step = self.last.map_or(0, |last| i64::from(timestamp.wrapping_sub(last) as i32));
        self.last = Some(timestamp);
        self.ticks += step;
        self.ticks
    }
}

/// The local clock: microseconds since 1970 that only run forward, whatever becomes of the system's.
pub(super) fn local_us(at: Instant) -> i64 {
    static START: LazyLock<(Instant, i64)> = LazyLock::new(|| {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), since_1970.as_micros() as i64)
    });
    let (start, start_us) = *START;
    let since = at.saturating_duration_since(start).as_micros() as i64;
    let before = start.saturating_duration_since(at).as_micros() as i64;
    start_us + since - before
}

/// The least of what was noted lately.
#[derive(Debug, Default)]
pub(super) struct Least {
    /// Of the window before the current one, and of the current one.
    windows: [Option<i64>; 2],
    since_us: i64,
}

impl Least {
    /// Takes a value.
    pub(super) fn note(&mut self, value: i64, now_us: i64) {
        let passed_us = now_us.saturating_sub(self.since_us);
        if passed_us > LEAST_WINDOW_US {
            // What was noted before a long pause says nothing any more: clocks drift meanwhile.
            self.windows = [self.windows[1].filter(|_| passed_us <= 2 * LEAST_WINDOW_US), None];
            self.since_us = now_us;
        }
        self.windows[1] = Some(self.windows[1].map_or(value, |least| least.min(value)));
    }

    /// The least; `None` before anything was noted.
    pub(super) fn get(&self) -> Option<i64> {
        self.windows.iter().flatten().min().copied()
    }
}

/// What the sender's clock showed when a packet was captured, and how far that clock is from ours.
#[derive(Debug)]
pub(super) struct SenderClock {
    rate_hz: i64,
    /// What the sender's clock showed when something was captured, and its RTP time.
    pair: Option<(i64, u32)>,
    /// Packets say when they were captured: better than reports, which tell when something was sent.
    exact: bool,
    /// How much later than the sender's clock said reports came: what the clocks differ by, and the way.
    behind: Least,
    /// The same of media, whose least is the fastest way from capture to here.
    transit: Least,
}

impl SenderClock {
    /// A clock of which nothing is known yet.
    pub(super) fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz: i64::from(rate_hz.max(1)),
            pair: None,
            exact: false,
            behind: Least::default(),
            transit: Least::default(),
        }
    }

    /// Takes a sender report that came now. One without a clock (0) is ignored.
    pub(super) fn report(&mut self, ntp: u64, rtp: u32, now_us: i64) {
        let Some(ntp_us) = unix_us_of(ntp) else { return };
        if !self.exact {
            self.pair = Some((ntp_us, rtp));
        }
        self.behind.note(now_us - ntp_us, now_us);
    }

    /// Takes what a packet says of its own capture.
    pub(super) fn captured(&mut self, ntp: u64, rtp: u32) {
        let Some(ntp_us) = unix_us_of(ntp) else { return };
        if !std::mem::replace(&mut self.exact, true) {
            // Measured from when things were sent until now.
            self.transit = Least::default();
        }
        self.pair = Some((ntp_us, rtp));
    }

    /// When this was captured, by the sender's clock; `None` while nothing told.
    pub(super) fn captured_us(&self, rtp: u32) -> Option<i64> {
        let (ntp_us, known_rtp) = self.pair?;
        let ticks = i64::from(rtp.wrapping_sub(known_rtp) as i32);
        (ticks.abs() < PLAUSIBLE_SECS * self.rate_hz).then(|| ntp_us + ticks * 1_000_000 / self.rate_hz)
    }

    /// Takes the arrival of something with this time stamp.
    pub(super) fn arrived(&mut self, rtp: u32, now_us: i64) {
        if let Some(captured_us) = self.captured_us(rtp) {
            self.transit.note(now_us - captured_us, now_us);
        }
    }

    /// Time from capture to arrival on the fastest way, the difference of the clocks included.
    pub(super) fn transit_us(&self) -> Option<i64> {
        self.transit.get()
    }

    /// What to take off [`Self::transit_us`] to be rid of the difference of the clocks, when a report needs half a round
    /// trip.
    pub(super) fn difference_us(&self, round_trip_us: i64) -> Option<i64> {
        self.behind.get().map(|behind| behind - round_trip_us / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sender's clock at this many microseconds after 2020.
    fn ntp(us: i64) -> u64 {
        let us = us + 1_577_836_800_000_000;
        let secs = (us / 1_000_000 + 2_208_988_800) as u64;
        secs << 32 | ((us % 1_000_000) as u64 * (1 << 32)).div_ceil(1_000_000)
    }

    #[test]
    fn time_runs_on_over_the_wrap_and_back_a_little() {
        let mut time = RtpTime::default();
        assert_eq!(time.ticks(u32::MAX - 2999), 0);
        assert_eq!(time.ticks(3000), 6000);
        assert_eq!(time.ticks(0), 3000);
        assert_eq!(time.ticks(6000), 9000);
    }

    #[test]
    fn reports_tell_when_a_picture_was_captured_and_how_long_it_took() {
        let mut clock = SenderClock::new(90_000);
        assert_eq!(clock.captured_us(0), None);
        clock.report(0, 5, 0);
        assert_eq!(clock.captured_us(0), None, "a report without a clock");
        // Our clock is 7 s ahead; the way takes 20 ms, half of the round trip.
        let ours = |us: i64| us + 1_577_836_800_000_000 + 7_000_000;
        for second in 0..5 {
            let at = second * 1_000_000;
            let rtp = 0u32.wrapping_sub(90_000).wrapping_add((second * 90_000) as u32);
            clock.report(ntp(at), rtp, ours(at + 20_000 + 3_000 * (second % 2)));
            // Captured with the report, encoded and sent in 35 ms, or held up a little.
            clock.arrived(rtp, ours(at + 35_000 + 20_000 + 9_000 * (second % 3)));
        }
        let delay = clock.transit_us().unwrap() - clock.difference_us(40_000).unwrap();
        assert!((delay - 55_000).abs() < 10, "{delay} us");
        assert_eq!(clock.captured_us(90_000 * 500), None, "that time stamp is of another stream");
    }

    #[test]
    fn what_packets_say_of_their_capture_goes_before_reports() {
        let ours = |us: i64| us + 1_577_836_800_000_000;
        let mut clock = SenderClock::new(48_000);
        // Sent 40 ms after it was captured: that is all a report knows.
        clock.report(ntp(40_000), 0, ours(50_000));
        clock.arrived(0, ours(50_000));
        assert_eq!(clock.transit_us(), Some(10_000));
        clock.captured(ntp(0), 0);
        clock.arrived(960, ours(70_000));
        clock.report(ntp(1_040_000), 48_000, ours(1_050_000));
        assert_eq!(clock.captured_us(48_000).map(|us| us - ours(0)), Some(1_000_000));
        assert_eq!(clock.transit_us(), Some(50_000), "from its capture to here");
        clock.captured(0, 96_000);
        assert_eq!(clock.captured_us(48_000).map(|us| us - ours(0)), Some(1_000_000), "a clock that was never set");
    }

    #[test]
    fn the_least_is_forgotten_after_a_while() {
        let mut least = Least::default();
        for (at, value) in [(0, 5), (1, 9), (6_000_000, 8), (12_000_000, 7), (18_000_000, 9)] {
            least.note(value, at);
        }
        assert_eq!(least.get(), Some(7));
        least.note(9, 24_000_000);
        assert_eq!(least.get(), Some(9));
    }

    #[test]
    fn a_pause_makes_the_least_before_it_void() {
        let mut clock = SenderClock::new(90_000);
        let ours = |us: i64| us + 1_577_836_800_000_000;
        clock.report(ntp(0), 0, ours(20_000));
        clock.arrived(0, ours(50_000));
        // Muted for half an hour, while the sender's clock ran 100 ppm slow.
        let (paused_us, drift_us) = (1_800_000_000, 180_000);
        clock.report(ntp(paused_us), 162_000_000, ours(paused_us + drift_us + 20_000));
        clock.arrived(162_000_000, ours(paused_us + drift_us + 50_000));
        let (transit, difference) = (clock.transit_us().unwrap(), clock.difference_us(40_000).unwrap());
        assert!((transit - drift_us - 50_000).abs() < 10, "{transit} us");
        assert!((difference - drift_us).abs() < 10, "{difference} us");
    }
}
