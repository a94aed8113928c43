//! Rates over the last two seconds, and gaps that a viewer sees as a freeze. Time is an input.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rates are taken over this long.
const WINDOW: Duration = Duration::from_secs(2);
/// Events in a window are joined in slots of this length, so that memory is bounded.
const SLOT: Duration = Duration::from_millis(100);
/// A gap this much longer than the mean is a freeze (W3C webrtc-stats, `freezeCount`).
const FREEZE_EXTRA: Duration = Duration::from_millis(150);
/// Intervals the mean is taken over, as in WebRTC.
const INTERVALS: usize = 30;

/// Amount per second over the window.
#[derive(Debug, Default)]
pub(in crate::client) struct Rate {
    slots: VecDeque<(Instant, u64)>,
    started: Option<Instant>,
}

impl Rate {
    /// Counts.
    pub(in crate::client) fn add(&mut self, amount: u64, now: Instant) {
        self.started.get_or_insert(now);
        self.expire(now);
        match self.slots.back_mut() {
            Some((since, sum)) if now.saturating_duration_since(*since) < SLOT => *sum += amount,
            _ => self.slots.push_back((now, amount)),
        }
    }

    /// Per second.
    pub(in crate::client) fn per_second(&mut self, now: Instant) -> f32 {
        self.expire(now);
        let Some(started) = self.started else { return 0.0 };
        let span = now.saturating_duration_since(started).clamp(Duration::from_millis(500), WINDOW);
        let sum: u64 = self.slots.iter().map(|(_, sum)| sum).sum();
        sum as f32 / span.as_secs_f32()
    }

    fn expire(&mut self, now: Instant) {
        while self.slots.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) > WINDOW) {
            self.slots.pop_front();
        }
    }
}

/// Counts freezes between decoded frames.
#[derive(Debug, Default)]
pub(super) struct Freezes {
    last: Option<Instant>,
    intervals: VecDeque<Duration>,
    count: u64,
}

impl Freezes {
    /// A frame was decoded.
    pub(super) fn frame(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let gap = now.saturating_duration_since(last);
            if !self.intervals.is_empty() {
                let mean = self.intervals.iter().sum::<Duration>() / self.intervals.len() as u32;
                if gap > (mean * 3).max(mean + FREEZE_EXTRA) {
                    self.count += 1;
                }
            }
            if self.intervals.len() == INTERVALS {
                self.intervals.pop_front();
            }
            self.intervals.push_back(gap);
        }
    }

    /// The pictures paused on purpose: the next gap is no freeze.
    pub(super) fn pause(&mut self) {
        self.last = None;
    }

    /// Freezes so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_covers_two_seconds_and_forgets() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for n in 0..100 {
            rate.add(1, start + Duration::from_millis(40 * n));
        }
        let fps = rate.per_second(start + Duration::from_millis(3960));
        assert!((fps - 25.0).abs() < 1.5, "25 a second, not {fps}");
        assert!(rate.slots.len() < 25, "slots are bounded");
        assert_eq!(rate.per_second(start + Duration::from_secs(10)), 0.0);
    }

    #[test]
    fn a_long_gap_is_one_freeze_and_a_pause_is_none() {
        let start = Instant::now();
        let mut freezes = Freezes::default();
        let mut at = start;
        for _ in 0..30 {
            at += Duration::from_millis(40);
            freezes.frame(at);
        }
        at += Duration::from_millis(180);
        freezes.frame(at);
        assert_eq!(freezes.count(), 0, "a hiccup of 180 ms is under mean + 150");
        at += Duration::from_millis(600);
        freezes.frame(at);
        assert_eq!(freezes.count(), 1);
        freezes.pause();
        at += Duration::from_secs(9);
        freezes.frame(at);
        assert_eq!(freezes.count(), 1);
    }
}
