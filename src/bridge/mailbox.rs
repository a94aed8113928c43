//! A slot for the newest frame. Writers never wait; a frame nobody took is replaced and counted as dropped.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::media::VideoFrame;

/// Where a decoded (or previewed) picture waits for whoever shows it.
pub type VideoFeed = Mailbox<Arc<VideoFrame>>;

/// A single-slot, newest-wins channel; clones share the slot.
pub struct Mailbox<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    slot: Mutex<Option<T>>,
    filled: Condvar,
    closed: AtomicBool,
    put: AtomicU64,
    taken: AtomicU64,
    dropped: AtomicU64,
}

/// What went through a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxCounts {
    /// Frames put in.
    pub put: u64,
    /// Frames taken out.
    pub taken: u64,
    /// Frames replaced before anyone took them.
    pub dropped: u64,
}

impl<T> fmt::Debug for Mailbox<T> {
    /// What went through, not what lies there: a picture fills screens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("counts", &self.counts()).field("closed", &self.is_closed()).finish()
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                slot: Mutex::new(None),
                filled: Condvar::new(),
                closed: AtomicBool::new(false),
                put: AtomicU64::new(0),
                taken: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
            }),
        }
    }
}

impl<T> Mailbox<T> {
    /// Puts the newest value in; what lay there is dropped and counted.
    pub fn put(&self, value: T) {
        let old = self.slot().replace(value);
        self.shared.put.fetch_add(1, Ordering::Relaxed);
        if old.is_some() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.filled.notify_one();
    }

    /// Takes what is there, without waiting.
    pub fn take(&self) -> Option<T> {
        let value = self.slot().take();
        if value.is_some() {
            self.shared.taken.fetch_add(1, Ordering::Relaxed);
        }
        value
    }

    /// Waits for a value up to `timeout`; `None` when none came or the mailbox was closed empty.
    pub fn wait_take(&self, timeout: Duration) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut slot = self.slot();
        while slot.is_none() && !self.is_closed() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            slot = self.shared.filled.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let value = slot.take();
        if value.is_some() {
            self.shared.taken.fetch_add(1, Ordering::Relaxed);
        }
        value
    }

    /// Says that nothing more will come; wakes whoever waits.
    pub fn close(&self) {
        let _slot = self.slot();
        self.shared.closed.store(true, Ordering::Release);
        self.shared.filled.notify_all();
    }

    /// Whether [`Mailbox::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// The counts so far.
    pub fn counts(&self) -> MailboxCounts {
        MailboxCounts {
            put: self.shared.put.load(Ordering::Relaxed),
            taken: self.shared.taken.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }

    /// The slot is a plain value, so a panic elsewhere while it was locked cannot have left it half written.
    fn slot(&self) -> MutexGuard<'_, Option<T>> {
        self.shared.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_wins_and_drops_are_counted() {
        let mailbox = Mailbox::default();
        mailbox.put(1);
        mailbox.put(2);
        assert_eq!(mailbox.take(), Some(2));
        assert_eq!(mailbox.take(), None);
        assert_eq!(mailbox.counts(), MailboxCounts { put: 2, taken: 1, dropped: 1 });
    }

    #[test]
    fn closing_wakes_a_waiter() {
        let mailbox = Mailbox::<u8>::default();
        let other = mailbox.clone();
        let waiter = std::thread::Builder::new()
            .name("waiter".into())
            .spawn(move || other.wait_take(Duration::from_secs(30)))
            .unwrap();
        mailbox.close();
        assert_eq!(waiter.join().unwrap(), None);
    }
}
