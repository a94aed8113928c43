//! Notices when a picture that is wanted has not been sent for a while, says why, and whether a fresh encoder may help.
//! Owned by the track's capture thread.

use std::time::{Duration, Instant};

/// A picture that is wanted is missed after this long.
const MISSED_AFTER: Duration = Duration::from_secs(2);

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    /// The plan has fewer frames than the source.
    Limit,
    /// Frames wait for the connection.
    Full,
    /// The encoder gave nothing.
    Encoder,
}

/// Frames in a row that were not sent, and why.
#[derive(Debug, Default)]
pub(super) struct Stall {
    since: Option<Instant>,
    limited: u32,
    full: u32,
    empty: u32,
}

impl Stall {
    /// A frame was sent, or none is wanted.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A frame was not sent. Answers `true` when it has been too long and the encoder is why: then it is to be opened
    /// anew.
    pub(super) fn skipped(&mut self, why: Skip, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let count = match why {
            Skip::Limit => &mut self.limited,
            Skip::Full => &mut self.full,
            Skip::Encoder => &mut self.empty,
        };
        *count += 1;
        if now.saturating_duration_since(since) < MISSED_AFTER {
            return false;
        }
        let (limited, full, empty) = (self.limited, self.full, self.empty);
        tracing::warn!(limited, full, empty, "no picture was sent for two seconds although one is wanted");
        self.clear();
        empty > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_that_gives_nothing_for_long_is_opened_anew() {
        let start = Instant::now();
        let mut stall = Stall::default();
        let at = |ms| start + Duration::from_millis(ms);
        assert!((0..30).all(|n| !stall.skipped(Skip::Encoder, at(n * 66))));
        assert!(stall.skipped(Skip::Encoder, at(2_010)));
        assert!(!stall.skipped(Skip::Encoder, at(2_070)), "once, then the wait begins anew");
        stall.clear();
        assert!(!stall.skipped(Skip::Encoder, at(9_000)), "a frame came between");
    }

    #[test]
    fn a_full_queue_is_not_the_encoders_fault() {
        let start = Instant::now();
        let mut stall = Stall::default();
        assert!((0..100).all(|n| !stall.skipped(Skip::Full, start + Duration::from_millis(n * 66))));
    }
}
