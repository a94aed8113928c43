//! A token bucket: how the server says "not so fast". Reads no clock.

use std::time::Instant;

/// Lets `per_sec` units through, and up to `burst` at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    per_sec: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl Rate {
    /// A full bucket that holds `burst_secs` seconds' worth.
    pub(crate) fn new(per_sec: u32, burst_secs: u32, now: Instant) -> Self {
        let burst = f64::from(per_sec) * f64::from(burst_secs.max(1));
        Self { per_sec: f64::from(per_sec), burst, level: burst, at: now }
    }

    /// Takes `units`, or nothing when there are not enough.
    pub(crate) fn take(&mut self, units: usize, now: Instant) -> bool {
        let enough = self.covers(units, now);
        if enough {
            self.level -= units as f64;
        }
        enough
    }

    /// Whether there are `units`.
    pub(crate) fn covers(&mut self, units: usize, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.level = (self.level + passed * self.per_sec).min(self.burst);
        self.level >= units as f64
    }

    /// Whether there can ever be `units`.
    pub(crate) fn holds(&self, units: usize) -> bool {
        self.burst >= units as f64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 2, start);
        assert!((0..20).all(|_| rate.take(1, start)));
        assert!(!rate.take(1, start));
        assert!(!rate.take(2, start + Duration::from_millis(110)));
        assert!(rate.take(1, start + Duration::from_millis(110)));
        let later = start + Duration::from_secs(3600);
        assert!(rate.covers(20, later) && rate.covers(20, later), "asking takes nothing");
        let passed = (0..100).filter(|_| rate.take(1, later)).count();
        assert_eq!(passed, 20, "an hour's rest does not grow the bucket");
        assert!(rate.holds(20) && !rate.holds(21));
    }
}
