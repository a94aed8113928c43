//! When sound is missing between two blocks of a source: its device was away, another one was opened, or samples were
//! lost. A thread that ran late misses nothing: the blocks that waited for it follow at once. Times are inputs.

use std::time::Duration;

/// What a block accounts for.
const BLOCK: Duration = Duration::from_millis(10);
/// Time up to this is made up by a source that is only uneven.
const LARGEST_WAIT: Duration = Duration::from_millis(60);
/// A block that comes sooner than this after the one before had been waiting.
const AT_ONCE: Duration = Duration::from_millis(5);

/// What to do with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placing {
    /// It follows those before it.
    Follows,
    /// Whether it does shows with the next one: keep it until then.
    Unclear,
    /// This much is missing before the blocks that were kept, or before this one when none was.
    After(Duration),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SoundClock {
    /// When the newest block came.
    pub(super) newest: Option<Duration>,
    /// What passed without sound, while it is not clear whether that waited.
    unaccounted: Option<Duration>,
}

impl SoundClock {
    /// Places a block that comes now.
    pub(super) fn place(&mut self, now: Duration) -> Placing {
        let Some(newest) = self.newest.replace(now) else { return Placing::Follows };
        let waited = now.saturating_sub(newest);
        let unaccounted = match self.unaccounted.take() {
            None => waited.saturating_sub(BLOCK),
            Some(missing) if waited < AT_ONCE => missing.saturating_sub(BLOCK),
            // Two gaps in a row are taken for one.
            Some(missing) if waited > BLOCK + LARGEST_WAIT => return Placing::After(missing + waited - BLOCK),
            Some(missing) => return Placing::After(missing),
        };
        if unaccounted <= LARGEST_WAIT {
            return Placing::Follows;
        }
        self.unaccounted = Some(unaccounted);
        Placing::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of blocks that come at these times, in ms.
    fn placed(times_ms: &[u64]) -> Vec<Placing> {
        let mut clock = SoundClock::default();
        times_ms.iter().map(|at| clock.place(Duration::from_millis(*at))).collect()
    }

    #[test]
    fn an_uneven_source_misses_nothing() {
        let mut times = vec![10, 10, 40, 40, 41, 50, 110, 110, 110, 111, 140];
        // A device that gives 100 ms at a time.
        times.extend((2..6).flat_map(|hundred| [hundred * 100; 10]));
        let placings = placed(&times);
        assert!(placings.iter().all(|placing| !matches!(placing, Placing::After(_))), "{placings:?}");
        assert_eq!(placings.last(), Some(&Placing::Follows));
    }

    #[test]
    fn what_waited_for_a_late_thread_is_not_missing() {
        use Placing::{Follows, Unclear};
        assert_eq!(
            placed(&[10, 20, 120, 120, 120, 121, 130]),
            [Follows, Follows, Unclear, Unclear, Unclear, Follows, Follows]
        );
    }

    #[test]
    fn what_is_missing_is_known_with_the_block_after() {
        use Placing::{After, Follows, Unclear};
        let ms = Duration::from_millis;
        assert_eq!(placed(&[10, 20, 1_020, 1_030, 1_040]), [Follows, Follows, Unclear, After(ms(990)), Follows]);
        // Some of it waited.
        assert_eq!(placed(&[10, 510, 510, 520, 530]), [Follows, Unclear, Unclear, After(ms(480)), Follows]);
        assert_eq!(placed(&[10, 510, 1_010, 1_020]), [Follows, Unclear, After(ms(980)), Follows]);
    }
}
