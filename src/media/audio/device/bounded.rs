//! Calls into a sound system, which may never come back: each runs on a thread of its own (`audio-ask`, `audio-open`),
//! and who called waits for a bounded time. A call that was given up is remembered: as long as it is out, the same is
//! not called again, so that a sound system that hangs collects no threads.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{AudioDeviceInfo, Direction, Trouble};
use crate::model::DeviceState;

/// How long a sound system may take to say which devices it has: a little longer than the library waits for one that
/// does not greet (2 s), after which it asks the next one.
const ANSWER_LIMIT: Duration = Duration::from_millis(2_500);

/// What is called; one of each is left behind at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Which devices there are.
    Ask,
    /// To open a device.
    Open {
        direction: Direction,
        /// The device.
        id: String,
        /// With a buffer of this length: some only deliver with a long one.
        buffer_ms: u32,
    },
}

impl Errand {
    fn thread_name(&self) -> &'static str {
        match self {
            Self::Ask => "audio-ask",
            Self::Open { .. } => "audio-open",
        }
    }

    /// What to say of one that does not come back.
    fn late(&self) -> Trouble {
        let why = match self {
            Self::Ask => "the sound system does not answer: start it again (PulseAudio, PipeWire), or this computer",
            Self::Open { direction: Direction::Input, .. } => {
                "the microphone gives no sound: plug it in again or choose another one"
            }
            Self::Open { direction: Direction::Output, .. } => {
                "the loudspeaker does not open: plug it in again or choose another one"
            }
        };
        Trouble::new(DeviceState::Stalled, why)
    }
}

/// What was given up and may still be out.
struct LeftBehind {
    /// Each with a token that lives as long as its thread.
    errands: Mutex<Vec<(Errand, Weak<()>)>>,
}

static LEFT_BEHIND: LeftBehind = LeftBehind::new();

/// Asks the sound systems something.
pub(super) fn ask<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    LEFT_BEHIND.within(Errand::Ask, ANSWER_LIMIT, question)
}

/// Runs a call that may hang, and gives it up after `limit`; what it opens later is closed again.
pub(super) fn within<T: Send + 'static>(
    errand: Errand,
    limit: Duration,
    call: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    LEFT_BEHIND.within(errand, limit, call)
}

/// A device that was away is another one when it comes back: a call that waits for the old one may wait for good.
pub(super) fn forget_gone(direction: Direction, listed: &[AudioDeviceInfo]) {
    LEFT_BEHIND.forget_gone(direction, listed);
}

impl LeftBehind {
    const fn new() -> Self {
        Self { errands: Mutex::new(Vec::new()) }
    }

    fn contains(&self, errand: &Errand) -> bool {
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        errands.retain(|(_, token)| token.strong_count() > 0);
        errands.iter().any(|(other, _)| other == errand)
    }

    fn within<T: Send + 'static>(
        &self,
        errand: Errand,
        limit: Duration,
        call: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        if self.contains(&errand) {
            return Err(errand.late());
        }
        let (answer, wait) = sync_channel(1);
        let token = Arc::new(());
        let out = Arc::downgrade(&token);
        std::thread::Builder::new()
            .name(errand.thread_name().to_owned())
            .spawn(move || {
                // Nobody waits any more when it took too long.
                answer.send(call()).unwrap_or_else(|late| drop(late.0));
                drop(token);
            })
            .map_err(|error| {
                Trouble::new(DeviceState::Failed, format!("no thread can be started ({error}): close other programs"))
            })?;
        match wait.recv_timeout(limit) {
            Ok(answered) => answered,
            Err(RecvTimeoutError::Timeout) => {
                tracing::debug!(?errand, "a sound system takes too long");
                let trouble = errand.late();
                self.errands.lock().unwrap_or_else(PoisonError::into_inner).push((errand, out));
                Err(trouble)
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Trouble::new(DeviceState::Failed, "its driver crashed: choose another device"))
            }
        }
    }

    fn forget_gone(&self, direction: Direction, listed: &[AudioDeviceInfo]) {
        let is_gone = |errand: &Errand| match errand {
            Errand::Ask => false,
            Errand::Open { direction: way, id, .. } => {
                *way == direction && !listed.iter().any(|device| device.id == *id)
            }
        };
        self.errands.lock().unwrap_or_else(PoisonError::into_inner).retain(|(errand, _)| !is_gone(errand));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::SyncSender;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    fn opening(id: &str) -> Errand {
        Errand::Open { direction: Direction::Input, id: id.to_owned(), buffer_ms: 20 }
    }

    /// Leaves a call behind that ends with the returned value.
    fn hang(left: &LeftBehind) -> SyncSender<()> {
        let (keep, wait) = sync_channel::<()>(1);
        let given_up = left.within(opening("hangs"), SHORT, move || {
            wait.recv().ok();
            Ok(())
        });
        assert_eq!(given_up.unwrap_err().state, DeviceState::Stalled);
        keep
    }

    #[test]
    fn what_hangs_is_given_up_and_not_called_again_before_it_came_back() {
        let left = LeftBehind::new();
        let keep = hang(&left);
        for _ in 0..100 {
            let again = left.within(opening("hangs"), LONG, || -> Result<(), Trouble> { panic!("another thread") });
            assert_eq!(again.unwrap_err().state, DeviceState::Stalled);
        }
        assert_eq!(left.within(opening("another"), LONG, || Ok(7)).unwrap(), 7, "others are not held up");
        drop(keep);
        let deadline = Instant::now() + LONG;
        while left.within(opening("hangs"), LONG, || Ok(())).is_err() {
            assert!(Instant::now() < deadline, "it came back");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_device_that_was_away_is_opened_anew() {
        let left = LeftBehind::new();
        let _keep = hang(&left);
        let listed = |id: &str| [AudioDeviceInfo { id: id.to_owned(), ..AudioDeviceInfo::default() }];
        left.forget_gone(Direction::Input, &listed("hangs"));
        left.forget_gone(Direction::Output, &[]);
        assert!(left.within(opening("hangs"), LONG, || Ok(())).is_err(), "it is still there");
        left.forget_gone(Direction::Input, &listed("another"));
        assert!(left.within(opening("hangs"), LONG, || Ok(())).is_ok());
    }

    #[test]
    fn a_crash_is_no_hang() {
        let left = LeftBehind::new();
        let crashed = left.within(opening("crashes"), LONG, || -> Result<(), Trouble> { panic!("a driver's") });
        assert_eq!(crashed.unwrap_err().state, DeviceState::Failed);
        assert!(left.within(opening("crashes"), LONG, || Ok(())).is_ok());
    }
}
