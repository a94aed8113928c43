//! Which devices are there, asked for by the thread `audio-devices` twice a second while anyone wants to know: no sound
//! system's own notice reaches us through the library, and asking must not hold up a thread that plays or records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::host::{AudioDevices, Direction, try_list};
use crate::model::DeviceState;

const PERIOD: Duration = Duration::from_millis(500);

/// The newest list, shared by all who watch.
#[derive(Debug, Default)]
pub(in crate::media::audio) struct DeviceWatch {
    /// How often the list changed; 0 before the first.
    changes: AtomicU64,
    devices: Mutex<AudioDevices>,
}

static SHARED: Mutex<Weak<DeviceWatch>> = Mutex::new(Weak::new());

impl DeviceWatch {
    /// The one watch of the process; its thread ends when the last one lets go.
    pub(in crate::media::audio) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = shared.upgrade() {
            return watch;
        }
        let watch = Arc::new(Self::default());
        *shared = Arc::downgrade(&watch);
        let watched = Arc::downgrade(&watch);
        let spawned = std::thread::Builder::new().name("audio-devices".to_owned()).spawn(move || run(&watched));
        if let Err(error) = spawned {
            tracing::warn!(%error, "plugged and unplugged devices are not noticed");
        }
        watch
    }

    /// Grows with every change; 0 while nothing is known.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The id of the default device; a monitor is no default microphone.
    pub(super) fn default_id(&self, direction: Direction) -> Option<String> {
        self.look(direction, |device| device.is_default && !device.is_monitor)
    }

    /// Whether there is a device of this id.
    pub(super) fn is_listed(&self, direction: Direction, id: &str) -> bool {
        self.look(direction, |device| device.id == id).is_some()
    }

    /// The id of the device that has this id or name.
    pub(super) fn id_of(&self, direction: Direction, wanted: &str) -> Option<String> {
        self.look(direction, |device| {
            device.id == wanted
                || device.name == wanted
                || device.id.split_once(':').is_some_and(|(_, bare)| bare == wanted)
        })
    }

    fn look(&self, direction: Direction, fits: impl Fn(&super::AudioDeviceInfo) -> bool) -> Option<String> {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let list = if direction == Direction::Input { &devices.inputs } else { &devices.outputs };
        list.iter().find(|device| fits(device)).map(|device| device.id.clone())
    }

    /// Takes a list in; it counts as a change also when the sound system had not answered for a while.
    pub(super) fn take(&self, now: AudioDevices, after_hang: bool) {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if *devices != now || after_hang || self.changes() == 0 {
            *devices = now;
            self.changes.fetch_add(1, Ordering::Release);
        }
    }
}

fn run(watched: &Weak<DeviceWatch>) {
    let mut hangs = false;
    while watched.strong_count() > 0 {
        // Asked without holding the watch: a sound system that hangs must not keep it alive.
        let listed = try_list();
        let Some(watch) = watched.upgrade() else { return };
        match listed {
            // A sound system that hangs still has its devices.
            Err(trouble) if trouble.state == DeviceState::Stalled => hangs = true,
            listed => watch.take(listed.unwrap_or_default(), std::mem::take(&mut hangs)),
        }
        drop(watch);
        std::thread::sleep(PERIOD);
    }
}
