//! What the way to a client is like, beside how much it is estimated to carry: what it loses, and whether packets wait in
//! a queue on it. An estimate falls for loss, too, and a way that merely loses is not mended by sending less. Reads no
//! clock.

use std::time::{Duration, Instant};

/// A round trip longer than the shortest by this is a queue that stands: jitter comes and goes.
const QUEUE: Duration = Duration::from_millis(80);
/// A way is not taken to be longer than this by itself: whoever comes over one that is full from the first moment never
/// showed a shorter round trip. On a way that is longer indeed the estimate is believed.
const BASE_MAX: Duration = Duration::from_millis(200);
/// The shortest is of one or two of these: a way may become another one, and pictures that stop are back within that.
const BASE_WINDOW: Duration = Duration::from_secs(10);
/// Reports that must agree.
const AGREE: usize = 3;
/// A way that loses more than this is too narrow, even if nothing waits on it: some have no queue at all.
const LOSS_MAX: f32 = 0.45;
/// What a report adds to the smoothed loss.
const SMOOTHING: f32 = 0.3;

/// The way to one client, as reports tell.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The last round trips, the newest first.
    recent: [Option<Duration>; AGREE],
    /// The shortest of this and the last base window, and when this one began.
    base: Option<Duration>,
    last_base: Option<Duration>,
    base_began: Option<Instant>,
    loss_to: f32,
    loss_from: f32,
}

impl Way {
    /// Takes a report in: the round trip, where it is known, and the shares of packets lost since the last, to the
    /// client and from it.
    pub(super) fn note(&mut self, rtt: Option<Duration>, (loss_to, loss_from): (f32, f32), now: Instant) {
        self.loss_to += (loss_to - self.loss_to) * SMOOTHING;
        self.loss_from += (loss_from - self.loss_from) * SMOOTHING;
        // The same to the nanosecond is the last report once more: nothing came since.
        let Some(rtt) = rtt.filter(|rtt| self.recent[0] != Some(*rtt)) else { return };
        let began = *self.base_began.get_or_insert(now);
        if now.saturating_duration_since(began) >= BASE_WINDOW {
            (self.last_base, self.base, self.base_began) = (self.base, None, Some(now));
        }
        self.base = Some(self.base.map_or(rtt, |base| base.min(rtt)));
        self.recent.rotate_right(1);
        self.recent[0] = Some(rtt);
    }

    /// The newest round trip.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.recent[0]
    }

    /// The share of packets lost of late, in the worse direction.
    pub(super) fn loss(&self) -> f32 {
        self.loss_to.max(self.loss_from)
    }

    /// Whether it carries no more than the client is sent. Where nothing is known of it the estimate is believed.
    pub(super) fn is_full(&self) -> bool {
        let Some(base) = self.base.map(|base| self.last_base.map_or(base, |last| last.min(base))) else { return true };
        let base = base.min(BASE_MAX);
        self.loss_to > LOSS_MAX || self.recent.iter().all(|rtt| rtt.is_some_and(|rtt| rtt > base + QUEUE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn a_queue_that_stands_is_told_from_jitter() {
        let (mut way, mut now) = (Way::default(), Instant::now());
        assert!(way.is_full(), "nothing is known: the estimate is believed");
        let mut nanos = 0;
        let mut note = |rtt| {
            now += SEC;
            // No two reports are quite the same.
            nanos += 1;
            way.note(ms(rtt).map(|rtt| rtt + Duration::from_nanos(nanos)), (0.0, 0.9), now);
            way.is_full()
        };
        assert!([50, 140, 160, 60, 150, 170, 90].into_iter().all(|rtt| !note(rtt)), "jitter");
        assert_eq!([250, 240, 250, 140].map(&mut note), [false, false, true, true]);
        assert!(!note(120), "it drains");
        // A detour is not a queue for ever.
        let full = (0..90).filter(|_| note(190)).count();
        assert!((1..=20).contains(&full), "{full} s");
    }

    #[test]
    fn one_report_is_no_three_and_a_way_may_be_full_from_the_first_moment() {
        let (mut way, mut now) = (Way::default(), Instant::now());
        way.note(ms(50), (0.0, 0.0), now);
        for _ in 0..5 {
            now += SEC;
            way.note(ms(400), (0.0, 0.0), now);
        }
        assert!(!way.is_full(), "nothing came since: nothing is known");
        let mut way = Way::default();
        for queue_ms in [290, 300, 310] {
            now += SEC;
            way.note(ms(queue_ms), (0.4, 0.0), now);
        }
        assert!(way.is_full(), "it never was empty");
    }

    #[test]
    fn a_way_that_loses_is_not_a_full_one() {
        let (mut way, mut now) = (Way::default(), Instant::now());
        let mut rtt_ms = 50;
        let mut note = |loss| {
            now += SEC;
            rtt_ms ^= 1;
            way.note(ms(rtt_ms), (loss, 0.0), now);
            (way.is_full(), way.loss())
        };
        assert!((0..20).all(|_| !note(0.3).0));
        let (full, loss) = note(0.3);
        assert!(!full && (0.29..=0.3).contains(&loss), "{loss}");
        assert!((0..20).map(|_| note(0.6)).last().unwrap().0, "but one that loses most is");
    }
}
