//! How long a missing packet is worth waiting for. Plain data.

use std::time::Duration;

/// Bounds of the time after which a keyframe is asked for, or the packet done without: a retransmission within it is
/// always worth having, and a picture that stands still for longer needs other help, too.
pub(super) const MIN_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_millis(300);
/// The longest that a retransmission is taken in place of the keyframe that was asked for meanwhile: where one is lost
/// again and again, the many packets of a keyframe are so, too.
pub(super) const BOUND: Duration = Duration::from_secs(1);
/// Round trips that are granted before any retransmission was seen: the first request or its answer may be lost, too.
const ROUND_TRIPS: u32 = 3;
/// What noticing a gap and answering a request take besides, at most.
const HANDLING: Duration = Duration::from_millis(30);

/// How long missing packets take to come after all: mean and deviation, smoothed as RFC 6298 does round trips.
#[derive(Debug, Default)]
pub(super) struct RecoveryTime {
    estimate: Option<(Duration, Duration)>,
    round_trip: Option<Duration>,
}

impl RecoveryTime {
    /// Takes the round trip to the sender.
    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// Takes how long a packet that came late was missing.
    pub(super) fn note(&mut self, sample: Duration) {
        let (mean, deviation) = self.estimate.unwrap_or((sample, sample / 2));
        let error = mean.abs_diff(sample);
        self.estimate = Some(((mean * 7 + sample) / 8, (deviation * 3 + error) / 4));
    }

    /// How long to wait before anything else is tried.
    pub(super) fn patience(&self) -> Duration {
        let seen = self.estimate.map(|(mean, deviation)| mean + 4 * deviation);
        let expected = self.round_trip.map(|round_trip| ROUND_TRIPS * round_trip + HANDLING);
        // Packets that only overtook each other are mended sooner than a retransmission can be there.
        let wait = match (seen, expected) {
            (Some(seen), Some(expected)) => Some(seen.max(expected)),
            (seen, expected) => seen.or(expected),
        };
        wait.map_or(MAX_WAIT, |wait| wait.clamp(MIN_WAIT, MAX_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_the_path_within_bounds() {
        let ms = Duration::from_millis;
        let mut wait = RecoveryTime::default();
        assert_eq!(wait.patience(), MAX_WAIT, "nothing is known");
        wait.set_round_trip(ms(40));
        assert_eq!(wait.patience(), ms(150));
        for _ in 0..50 {
            wait.note(ms(2));
        }
        assert_eq!(wait.patience(), ms(150), "packets that overtook each other are no retransmissions");
        for _ in 0..50 {
            wait.note(ms(180));
        }
        assert!((ms(180)..ms(220)).contains(&wait.patience()), "{:?}", wait.patience());
        wait.set_round_trip(ms(300));
        assert_eq!(wait.patience(), MAX_WAIT, "on a long way");
        wait.set_round_trip(ms(1));
        assert!(wait.patience() >= MIN_WAIT);
    }
}
