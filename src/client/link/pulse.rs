//! Whether media still comes in. Connectivity checks alone do not tell: when a router gives us another address, a server's
//! answers to them follow at once, but its media goes where it went before. Time is an input.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A server that has anything to send or to report on does so several times in this time.
const SILENCE: Duration = Duration::from_secs(4);

/// Counts what comes in, and notices when that ends.
#[derive(Debug)]
pub(in crate::client) struct Pulse {
    arrived: Arc<AtomicU64>,
    seen: u64,
    since: Instant,
    /// Something came since the alarm: only then may there be another, or silence of its own accord would be one for ever.
    armed: bool,
}

impl Pulse {
    pub(super) fn new(arrived: Arc<AtomicU64>, now: Instant) -> Self {
        Self { arrived, seen: 0, since: now, armed: false }
    }

    /// Whether nothing came for too long although something should; told once.
    pub(in crate::client) fn is_gone(&mut self, now: Instant, expected: bool) -> bool {
        let arrived = self.arrived.load(Ordering::Relaxed);
        if arrived != self.seen {
            self.seen = arrived;
            self.armed = true;
            self.since = now;
        } else if !expected {
            self.since = now;
        }
        let gone = self.armed && now.saturating_duration_since(self.since) > SILENCE;
        if gone {
            self.armed = false;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_once_and_only_when_something_should_come() {
        let start = Instant::now();
        let at = |secs: u64| start + Duration::from_secs(secs);
        let arrived = Arc::new(AtomicU64::new(0));
        let mut pulse = Pulse::new(Arc::clone(&arrived), start);
        assert!(!pulse.is_gone(at(60), true), "nothing ever came");
        arrived.fetch_add(1, Ordering::Relaxed);
        assert!(!pulse.is_gone(at(61), true));
        assert!(!pulse.is_gone(at(65), true));
        assert!(pulse.is_gone(at(66), true));
        assert!(!pulse.is_gone(at(166), true), "once");
        arrived.fetch_add(1, Ordering::Relaxed);
        assert!(!pulse.is_gone(at(167), false));
        assert!(!pulse.is_gone(at(267), false), "everyone is muted");
        assert!(!pulse.is_gone(at(271), true), "someone was unmuted");
        assert!(pulse.is_gone(at(272), true));
    }
}
