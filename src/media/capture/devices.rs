//! Everything a call could use on this machine, and a watch on its changes: one named thread that looks every few
//! seconds and wakes whoever waits.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::camera::{CameraInfo, list_cameras};
use super::screen::{ScreenInfo, Screens};
use crate::media::audio::{AudioDeviceInfo, list_devices};

/// What is there now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// Cameras, the one that is used without a choice first.
    pub cameras: Vec<CameraInfo>,
    /// Microphones, and the monitors of loudspeakers (the system's own sound) where the sound system has them.
    pub microphones: Vec<AudioDeviceInfo>,
    /// Loudspeakers.
    pub speakers: Vec<AudioDeviceInfo>,
    /// Monitors and windows, without thumbnails.
    pub screens: Vec<ScreenInfo>,
    /// Why no screen can be shared, where none can.
    pub screens_missing: Option<String>,
}

impl Devices {
    /// Looks. May block for two seconds each when the sound server or the display hangs.
    pub fn now() -> Self {
        let audio = list_devices();
        let (screens, screens_missing) = match Screens::of_this_session().list(false) {
            Ok(screens) => (screens, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Self { cameras: list_cameras(), microphones: audio.inputs, speakers: audio.outputs, screens, screens_missing }
    }
}

/// Watches the devices of this machine from a thread named `devices`, which ends with the value.
#[derive(Debug)]
pub struct DeviceWatch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Debug)]
struct State {
    latest: Arc<Devices>,
    /// Counts up from 1 with every change.
    revision: u64,
    ended: bool,
}

impl DeviceWatch {
    /// Looks once, then every `period`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(period: Duration) -> io::Result<Self> {
        Self::start_with(period, Devices::now)
    }

    fn start_with(period: Duration, mut look: impl FnMut() -> Devices + Send + 'static) -> io::Result<Self> {
        let state = State { latest: Arc::new(look()), revision: 1, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), woken: Condvar::new() });
        let watched = Arc::clone(&shared);
        std::thread::Builder::new().name("devices".into()).spawn(move || {
            while !watched.ended_within(period) {
                let now = look();
                watched.take(now);
            }
        })?;
        Ok(Self { shared })
    }

    /// The newest list, and its number: it grows with every change.
    pub fn latest(&self) -> (u64, Arc<Devices>) {
        let state = self.shared.state();
        (state.revision, Arc::clone(&state.latest))
    }

    /// Waits until the list is a newer one than `seen`; `None` when it stays the same for so long.
    pub fn wait_newer(&self, seen: u64, limit: Duration) -> Option<(u64, Arc<Devices>)> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.state();
        while state.revision <= seen {
            let rest = deadline.checked_duration_since(Instant::now())?;
            state = self.shared.woken.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some((state.revision, Arc::clone(&state.latest)))
    }
}

impl Drop for DeviceWatch {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.woken.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until the next look; true when there is none.
    fn ended_within(&self, period: Duration) -> bool {
        let state = self.state();
        let waited = self.woken.wait_timeout_while(state, period, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    fn take(&self, now: Devices) {
        let mut state = self.state();
        if *state.latest != now {
            state.latest = Arc::new(now);
            state.revision += 1;
            self.woken.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn changes_are_told_once_and_the_thread_ends_with_the_watch() {
        let (count, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
        let (cameras, held) = (Arc::clone(&count), Arc::clone(&alive));
        let look = move || {
            let _held = &held;
            let camera = |n: usize| CameraInfo { id: n.to_string(), name: String::new() };
            Devices { cameras: (0..cameras.load(Ordering::SeqCst)).map(camera).collect(), ..Devices::default() }
        };
        let watch = DeviceWatch::start_with(Duration::from_millis(2), look).unwrap();
        let (first, devices) = watch.latest();
        assert!(devices.cameras.is_empty());
        assert!(watch.wait_newer(first, Duration::from_millis(30)).is_none(), "nothing changed");
        count.store(2, Ordering::SeqCst);
        let (second, devices) = watch.wait_newer(first, Duration::from_secs(20)).unwrap();
        assert_eq!((second, devices.cameras.len()), (first + 1, 2));
        drop(watch);
        let deadline = Instant::now() + Duration::from_secs(20);
        while Arc::strong_count(&alive) > 1 {
            assert!(Instant::now() < deadline, "the thread goes on");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
