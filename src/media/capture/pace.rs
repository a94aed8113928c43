//! Keeps a source on time: ticks lie on a fixed grid from the first call on, so that delays never add up.

use std::thread;
use std::time::{Duration, Instant};

/// The fewest ticks a second: whoever pulls a source waits for a second at most. What is slower repeats its pictures.
const SLOWEST_HZ: f64 = 1.0;

/// A fixed grid of due times, on the thread that pulls the source.
#[derive(Debug)]
pub(super) struct Pace {
    rate_hz: f64,
    most_late: u64,
    start: Option<Instant>,
    next: u64,
}

impl Pace {
    /// `rate_hz` ticks a second, at least one. A caller that comes late gets up to `most_late` ticks at once; earlier
    /// ones are skipped.
    pub fn new(rate_hz: f64, most_late: u64) -> Self {
        let rate_hz = if rate_hz.is_finite() { rate_hz.clamp(SLOWEST_HZ, 1000.0) } else { SLOWEST_HZ };
        Self { rate_hz, most_late, start: None, next: 0 }
    }

    /// Blocks until the next tick is due; returns its number and its due time since the first, in microseconds.
    pub fn wait(&mut self) -> (u64, u64) {
        let start = *self.start.get_or_insert_with(Instant::now);
        self.skip_to(start.elapsed());
        let due = self.due(self.next);
        if let Some(rest) = due.checked_sub(start.elapsed()) {
            thread::sleep(rest);
        }
        let tick = self.next;
        self.next += 1;
        (tick, due.as_micros() as u64)
    }

    fn skip_to(&mut self, now: Duration) {
        let current = (now.as_secs_f64() * self.rate_hz) as u64;
        self.next = self.next.max(current.saturating_sub(self.most_late));
    }

    fn due(&self, tick: u64) -> Duration {
        Duration::from_secs_f64(tick as f64 / self.rate_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_caller_skips_and_then_keeps_the_grid() {
        let mut pace = Pace::new(100.0, 0);
        assert_eq!(pace.wait(), (0, 0));
        thread::sleep(Duration::from_millis(55));
        let (tick, due_us) = pace.wait();
        assert!(tick >= 5, "{tick}");
        assert_eq!(due_us, tick * 10_000);
        let before = Instant::now();
        let (next, _) = pace.wait();
        assert!(next > tick && before.elapsed() < Duration::from_millis(200));
    }

    #[test]
    fn no_wait_is_longer_than_a_second() {
        for rate_hz in [0.0, 0.5, 1.0, -3.0, f64::NAN] {
            assert_eq!(Pace::new(rate_hz, 0).due(1), Duration::from_secs(1), "{rate_hz}");
        }
    }

    #[test]
    fn sound_catches_up_a_little_before_it_skips() {
        let mut pace = Pace::new(100.0, 20);
        pace.skip_to(Duration::from_millis(100));
        assert_eq!(pace.next, 0);
        pace.skip_to(Duration::from_millis(500));
        assert_eq!(pace.next, 30);
    }
}
