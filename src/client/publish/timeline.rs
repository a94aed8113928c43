//! One steady clock for the frames of a publication, whatever its sources' clocks do: sources are switched, start at
//! zero, stand still or jump. Times are inputs.

use std::time::Duration;

/// Longest credible pause between two frames on a source's own clock.
const MAX_GAP_US: u64 = 5_000_000;

/// Where the publication's clock stands.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    newest: Option<Newest>,
}

#[derive(Debug)]
struct Newest {
    source_us: u64,
    at_us: u64,
    seen: Duration,
}

impl Timeline {
    /// The time of a frame that carries `source_us` and was taken over at `now`, in microseconds; always advances.
    pub(super) fn place(&mut self, source_us: u64, now: Duration) -> u64 {
        let at_us = match &self.newest {
            None => 0,
            Some(newest) => {
                let waited = now.saturating_sub(newest.seen).as_micros() as u64;
                let gap = source_us.checked_sub(newest.source_us).filter(|gap| (1..=MAX_GAP_US).contains(gap));
                newest.at_us + gap.unwrap_or(waited.max(1_000))
            }
        };
        self.newest = Some(Newest { source_us, at_us, seen: now });
        at_us
    }

    /// The source rests: where its own clock goes on after that is nobody's business.
    pub(super) fn rest(&mut self) {
        if let Some(newest) = &mut self.newest {
            newest.source_us = u64::MAX;
        }
    }

    /// The same frame is shown again at `now`.
    pub(super) fn again(&mut self, now: Duration) -> u64 {
        let Some(newest) = &mut self.newest else { return self.place(0, now) };
        let waited = now.saturating_sub(newest.seen);
        newest.at_us += (waited.as_micros() as u64).max(1_000);
        newest.source_us = newest.source_us.saturating_add(waited.as_micros() as u64);
        newest.seen = now;
        newest.at_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_advances_through_every_jump() {
        let mut timeline = Timeline::default();
        let ms = Duration::from_millis;
        assert_eq!(timeline.place(700_000, ms(0)), 0);
        assert_eq!(timeline.place(733_000, ms(40)), 33_000, "by the source's clock");
        assert_eq!(timeline.place(733_000, ms(73)), 66_000, "it stands still: by ours");
        assert_eq!(timeline.place(5, ms(106)), 99_000, "another source");
        assert_eq!(timeline.place(33_005, ms(139)), 132_000);
        assert_eq!(timeline.place(u64::MAX, ms(172)), 165_000, "a jump");
        assert_eq!(timeline.place(0, ms(172)), 166_000, "never the same twice");
        assert_eq!(timeline.again(ms(1_172)), 1_166_000);
        assert_eq!(timeline.place(1_033_000, ms(1_205)), 1_199_000);
    }

    #[test]
    fn a_source_that_rested_goes_on_by_our_clock_whether_its_own_stood_still_or_not() {
        let ms = Duration::from_millis;
        for after_us in [133_000, 3_100_000] {
            let mut timeline = Timeline::default();
            timeline.place(100_000, ms(10));
            timeline.rest();
            assert_eq!(timeline.place(after_us, ms(3_010)), 3_000_000, "{after_us}");
            assert_eq!(timeline.place(after_us + 33_000, ms(3_050)), 3_033_000, "by its own clock again");
        }
    }
}
