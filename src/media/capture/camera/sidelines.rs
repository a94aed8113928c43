//! Cameras that are not tried just now: one that failed rests a while, and one whose driver holds threads of ours is
//! left alone until one of them comes back. Plain data of the thread that pulls the source.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::worker::Worker;

/// Threads left behind in the driver of one camera; no more are started for it until one of them ends. Each camera has
/// its own count: one that stalls never keeps another from standing in.
pub(super) const MAX_STUCK: usize = 2;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Sidelines {
    dismissed: Vec<Worker>,
    resting: HashMap<String, (Instant, Duration)>,
}

impl Sidelines {
    /// Asks a worker to end, and counts it until it did.
    pub fn dismiss(&mut self, worker: Worker) {
        worker.stop();
        self.dismissed.push(worker);
    }

    /// A camera failed: it rests for `shortest`, twice as long each time, up to `longest`.
    pub fn rest(&mut self, id: &str, shortest: Duration, longest: Duration) {
        let span = self.resting.get(id).map_or(shortest, |(_, span)| (*span * 2).min(longest));
        self.resting.insert(id.to_owned(), (Instant::now() + span, span));
    }

    /// A camera delivers: what it did before is forgotten.
    pub fn forgive(&mut self, id: &str) {
        self.resting.remove(id);
    }

    /// What all of them did before is forgotten.
    pub fn forgive_all(&mut self) {
        self.resting.clear();
    }

    /// Whether a camera failed and delivered nothing since.
    pub fn has_failed(&self, id: &str) -> bool {
        self.resting.contains_key(id)
    }

    /// Whether a camera may be opened now.
    pub fn may_try(&mut self, id: &str) -> bool {
        let resting = self.resting.get(id).is_some_and(|(until, _)| Instant::now() < *until);
        !resting && self.stuck_in(id) < MAX_STUCK
    }

    /// Whether any of our threads is still in a driver.
    pub fn holds_any(&mut self) -> bool {
        self.dismissed.retain(|worker| !worker.is_gone());
        !self.dismissed.is_empty()
    }

    /// How many of our threads are still in a camera's driver.
    pub fn stuck_in(&mut self, id: &str) -> usize {
        self.dismissed.retain(|worker| !worker.is_gone());
        self.dismissed.iter().filter(|worker| worker.id == id).count()
    }
}
