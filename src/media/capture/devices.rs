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
        let (screens, screens_missing) = match Screens::of_this_session().list(false) {
            Ok(screens) => (screens, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Self { screens, screens_missing, ..Self::without_screens() }
    }

    /// Looks for cameras, microphones and loudspeakers only: for choosing one of them.
    pub fn without_screens() -> Self {
        let audio = list_devices();
        Self { cameras: list_cameras(), microphones: audio.inputs, speakers: audio.outputs, ..Self::default() }
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
    /// 0 before the first look; counts up with every change.
    revision: u64,
    ended: bool,
}

impl DeviceWatch {
    /// Looks at once, then every `period`, on a thread of its own: the caller never waits for a device.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(period: Duration) -> io::Result<Self> {
        Self::start_with(period, Devices::now)
    }

    /// As [`Self::start`], with [`Devices::without_screens`]: a display is asked nothing.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_without_screens(period: Duration) -> io::Result<Self> {
        Self::start_with(period, Devices::without_screens)
    }

    fn start_with(period: Duration, mut look: impl FnMut() -> Devices + Send + 'static) -> io::Result<Self> {
        let state = State { latest: Arc::default(), revision: 0, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), woken: Condvar::new() });
        let watched = Arc::clone(&shared);
        std::thread::Builder::new().name("devices".into()).spawn(move || {
            loop {
                let now = look();
                watched.take(now);
                if watched.ended_within(period) {
                    return;
                }
            }
        })?;
        Ok(Self { shared })
    }

    /// The newest list, and its number: it grows with every change. Number 0 with an empty list until the first look
    /// is over.
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
        if state.revision == 0 || *state.latest != now {
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
        let (first, devices) = watch.wait_newer(0, Duration::from_secs(20)).unwrap();
        assert!(first == 1 && devices.cameras.is_empty(), "the first list is news, however short");
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
    /// A sound server that hangs must not hold up whoever opens a menu.
    #[test]
    fn nobody_waits_for_the_first_look() {
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
        let look = move || {
            wait.recv().ok();
            Devices { screens_missing: Some("looked".to_owned()), ..Devices::default() }
        };
        let watch = DeviceWatch::start_with(Duration::from_secs(60), look).unwrap();
        assert_eq!(watch.latest(), (0, Arc::default()), "nothing is known yet");
        assert!(watch.wait_newer(0, Duration::from_millis(30)).is_none());
        go.send(()).unwrap();
        let (revision, devices) = watch.wait_newer(0, Duration::from_secs(20)).unwrap();
        assert_eq!((revision, devices.screens_missing.as_deref()), (1, Some("looked")));
    }
}
