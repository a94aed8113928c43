//! When to ask a publisher for a keyframe: at once when someone cannot begin without one, again until it flows (one
//! request is often lost, and a new encoder ignores the first), and no faster than an answer can come. Who needs one is
//! read from the receivers each time, so that a need that ends is forgotten. Reads no clock.

use std::time::{Duration, Instant};

/// Between two requests for the same encoding. Measured: with repeats a late joiner waits 0.5 s instead of 5.2 s.
const REPEAT: Duration = Duration::from_millis(350);
/// The same where the answer takes long: at most this.
const REPEAT_MAX: Duration = Duration::from_secs(3);
/// After a keyframe came, those whose picture broke wait for this: their requests crossed it on its way.
const SETTLE: Duration = Duration::from_millis(500);

/// Why a keyframe is needed; the more urgent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Someone's picture broke.
    Mend,
    /// Someone waits to begin with this encoding.
    Begin,
}

/// What was asked of one encoding, and what came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyframeWish {
    asked: Option<Instant>,
    /// When the first keyframe after that came. Later ones do not count: a publisher whose keyframes come all the time,
    /// and mend nothing, is asked all the same.
    arrived: Option<Instant>,
}

impl KeyframeWish {
    /// A keyframe came.
    pub(super) fn arrived(&mut self, now: Instant) {
        if self.arrived <= self.asked {
            self.arrived = Some(now);
        }
    }

    /// Whether to ask now, of a publisher that is `rtt` away; counts as asked when it says yes.
    pub(super) fn due(&mut self, need: Need, rtt: Option<Duration>, now: Instant) -> bool {
        let repeat = rtt.map_or(REPEAT, |rtt| (rtt * 3 / 2).clamp(REPEAT, REPEAT_MAX));
        let longer =
            |since: Option<Instant>, time: Duration| since.is_none_or(|at| now.saturating_duration_since(at) >= time);
        let due = longer(self.asked, repeat) && (need == Need::Begin || longer(self.arrived, SETTLE));
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
    fn asks_at_once_and_repeats_no_faster_than_the_answer_comes() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut wish = KeyframeWish::default();
        assert!(wish.due(Need::Begin, None, start));
        assert!(!wish.due(Need::Begin, None, after(349)), "many viewers ask as one");
        assert!(wish.due(Need::Begin, None, after(350)));
        let far = Some(Duration::from_millis(600));
        assert!(!wish.due(Need::Begin, far, after(1249)) && wish.due(Need::Begin, far, after(1250)));
        let lost = Some(Duration::from_secs(60));
        assert!(wish.due(Need::Begin, lost, after(4250)), "whatever the client says of its way");
    }

    #[test]
    fn a_broken_picture_waits_for_the_keyframe_that_just_came() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut wish = KeyframeWish::default();
        wish.arrived(start);
        assert!(!wish.due(Need::Mend, None, after(499)) && wish.due(Need::Mend, None, after(500)));
        wish.arrived(after(900));
        assert!(!wish.due(Need::Mend, None, after(1000)));
        assert!(wish.due(Need::Begin, None, after(1000)), "who has no picture does not wait");
        (1100..1700).step_by(100).for_each(|ms| wish.arrived(after(ms)));
        assert!(
            !wish.due(Need::Mend, None, after(1599)) && wish.due(Need::Mend, None, after(1600)),
            "what mends nothing"
        );
    }
}
