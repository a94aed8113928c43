//! Poses between the engine and the application: only the newest of each counts, so they are no events. The engine
//! writes those of the others, the application reads them every frame; the own one goes the other way. Neither waits for
//! the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::model::{Pose, PoseCounts, UserId};

/// Where somebody is, as they told it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldPose {
    /// Where.
    pub pose: Pose,
    /// The sender's own clock at that time, in ms; wraps.
    pub sent_ms: u32,
    /// When it came here.
    pub heard: Instant,
}

/// The newest pose of everyone who told one. Clones show the same board.
#[derive(Clone, Debug)]
pub struct PoseBoard {
    own: watch::Sender<Pose>,
    others: Arc<Mutex<Others>>,
}

#[derive(Debug, Default)]
struct Others {
    told: BTreeMap<UserId, ToldPose>,
    counts: PoseCounts,
}

impl Default for PoseBoard {
    fn default() -> Self {
        Self { own: watch::Sender::new(Pose::Seated), others: Arc::default() }
    }
}

impl PoseBoard {
    /// This client is here now. What is told of it, and when, is the engine's business.
    pub fn move_to(&self, pose: Pose) {
        self.own.send_if_modified(|own| std::mem::replace(own, pose) != pose);
    }

    /// Follows the own pose.
    pub fn own(&self) -> watch::Receiver<Pose> {
        self.own.subscribe()
    }

    /// Looks at everyone's newest pose; who is not there sits. Nobody can write meanwhile, so be quick.
    pub fn look<T>(&self, at: impl FnOnce(&BTreeMap<UserId, ToldPose>) -> T) -> T {
        at(&self.lock().told)
    }

    /// What became of all that came in.
    pub fn counts(&self) -> PoseCounts {
        self.lock().counts
    }

    /// Somebody told where they are.
    pub fn put(&self, user: UserId, told: ToldPose) {
        self.lock().told.insert(user, told);
    }

    /// Somebody is gone, or nothing is known of them any more.
    pub fn remove(&self, user: &UserId) {
        self.lock().told.remove(user);
    }

    /// Nothing is known of anybody.
    pub fn clear(&self) {
        self.lock().told.clear();
    }

    /// Replaces what [`PoseBoard::counts`] gives.
    pub fn set_counts(&self, counts: PoseCounts) {
        self.lock().counts = counts;
    }

    fn lock(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stand;

    #[test]
    fn the_newest_is_seen_and_the_same_again_wakes_nobody() {
        let board = PoseBoard::default();
        let mut own = board.own();
        let here = Pose::Standing(Stand::new(1.0, 2.0, 0.0).unwrap());
        board.move_to(Pose::Seated);
        assert!(!own.has_changed().unwrap(), "nothing changed");
        board.move_to(here);
        assert!(own.has_changed().unwrap());
        assert_eq!(*own.borrow_and_update(), here);
        board.move_to(here);
        assert!(!own.has_changed().unwrap());

        let (ann, seen) = (UserId::new("ann").unwrap(), board.clone());
        for sent_ms in 0..3 {
            board.put(ann.clone(), ToldPose { pose: here, sent_ms, heard: Instant::now() });
        }
        assert_eq!(seen.look(|told| (told.len(), told[&ann].sent_ms)), (1, 2));
        board.remove(&ann);
        assert!(seen.look(BTreeMap::is_empty));
    }
}
