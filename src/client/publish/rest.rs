//! What a source does that rested while its picture was muted: it opens its device again, or owes the frames that fell due
//! meanwhile. Owned by the track's capture thread; time is an input.

use std::time::{Duration, Instant};

/// A device may take so long to open before that counts as trouble.
const OPENS_WITHIN: Duration = Duration::from_secs(4);
/// A source whose frames come this many times faster than its clock says runs after its time.
const HURRY: u32 = 4;
/// It is let do so for this long.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(2);

/// A source from the moment on in which it is pulled again, until it is in step; see the module.
#[derive(Debug, Default)]
pub(super) struct Waking {
    /// When it was first pulled, and then when it gave its first frame; `None` once it is in step.
    since: Option<Instant>,
    /// The newest frame's time on the source's clock, and when it came.
    newest: Option<(u64, Instant)>,
}

impl Waking {
    /// It is pulled again.
    pub(super) fn begin(now: Instant) -> Self {
        Self { since: Some(now), newest: None }
    }

    /// Whether it may just be opening its device.
    pub(super) fn is_opening(&self, now: Instant) -> bool {
        let opening = |since: Instant| now.saturating_duration_since(since) < OPENS_WITHIN;
        self.newest.is_none() && self.since.is_some_and(opening)
    }

    /// Takes note of a frame; whether it is one that fell due while nobody asked, and comes too late to be shown.
    pub(super) fn owes(&mut self, source_us: u64, now: Instant) -> bool {
        let Some(since) = self.since else { return false };
        let Some((before_us, before)) = self.newest.replace((source_us, now)) else {
            self.since = Some(now);
            return false;
        };
        let gap = Duration::from_micros(source_us.saturating_sub(before_us));
        let hurries = gap > now.saturating_duration_since(before) * HURRY;
        let owes = hurries && now.saturating_duration_since(since) < CATCHES_UP_WITHIN;
        if !owes {
            self.since = None;
        }
        owes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_device_that_opens_is_no_trouble_unless_it_takes_too_long() {
        let start = Instant::now();
        assert!(!Waking::default().is_opening(start), "it did not rest");
        let mut waking = Waking::begin(start);
        assert!(waking.is_opening(start + ms(2_000)));
        assert!(!waking.is_opening(start + ms(4_100)));
        assert!(!waking.owes(5, start + ms(2_500)));
        assert!(!waking.is_opening(start + ms(3_500)), "it gave a picture: what stalls now stalls");
    }

    #[test]
    fn a_source_that_runs_after_its_time_sends_its_first_frame_and_then_what_is_due() {
        let start = Instant::now();
        // 30 frames were missed: they come at once, and then one each 66 ms.
        let frames = (0..40u64).map(|n| (n * 66_000, start + ms(n.saturating_sub(30) * 66 + n.min(30))));
        let mut waking = Waking::begin(start);
        let shown: Vec<u64> = frames.filter(|(us, at)| !waking.owes(*us, *at)).map(|(us, _)| us / 66_000).collect();
        assert_eq!(shown, [0, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
    }

    #[test]
    fn a_source_that_is_in_step_or_has_no_clock_loses_nothing() {
        let start = Instant::now();
        let shown = |step_us: u64, step_ms: u64| {
            let mut waking = Waking::begin(start);
            (0..200).filter(|n| !waking.owes(n * step_us, start + ms(900 + n * step_ms))).count()
        };
        assert_eq!(shown(33_000, 33), 200);
        assert_eq!(shown(0, 33), 200);
        // One that is always too fast is not kept back for long.
        assert!((30..200).contains(&shown(1_000_000, 15)), "{}", shown(1_000_000, 15));
    }
}
