//! Keeps a source on time: ticks lie on a fixed grid from the first call on, so that delays never add up.

use std::thread;
use std::time::{Duration, Instant};

/// A fixed grid of due times, on the thread that pulls the source.
#[derive(Debug)]
pub(super) struct Pace {
    rate_hz: f64,
    most_late: u64,
    start: Option<Instant>,
    next: u64,
}

impl Pace {
    /// `rate_hz` ticks a second. A caller that comes late gets up to `most_late` ticks at once; earlier ones are
    /// skipped.
    pub fn new(rate_hz: f64, most_late: u64) -> Self {
        let rate_hz = if rate_hz.is_finite() { rate_hz.clamp(0.1, 1000.0) } else { 1.0 };
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
    fn sound_catches_up_a_little_before_it_skips() {
        let mut pace = Pace::new(100.0, 20);
        pace.skip_to(Duration::from_millis(100));
        assert_eq!(pace.next, 0);
        pace.skip_to(Duration::from_millis(500));
        assert_eq!(pace.next, 30);
    }
}
