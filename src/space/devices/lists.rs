//! Which devices there are, for whoever shows them. Main thread; the thread `devices` looks, only while somebody wants to
//! know.

use std::sync::Arc;
use std::time::Duration;

use bevy::prelude::*;

use crate::media::capture::{DeviceWatch, Devices};

/// How often the devices are looked at meanwhile.
const PERIOD: Duration = Duration::from_secs(2);
/// They are looked at for so long after somebody last wanted to know.
const LINGER_SECS: f32 = 5.0;

/// The devices of this machine. Nothing is asked of the system while nobody wants to know.
#[derive(Resource, Debug, Default)]
pub struct DeviceLists {
    /// As they were found last; screens are not looked for.
    pub devices: Arc<Devices>,
    /// They come from a script.
    scripted: bool,
    known: bool,
    /// For so long they are still looked at.
    wanted_secs: f32,
    watch: Option<DeviceWatch>,
    /// The number of the newest list of the watch.
    seen: u64,
    /// No thread could be started; not tried again as long as it is wanted.
    failed: bool,
}

impl DeviceLists {
    /// Lists that never change, for tests and pictures: no device is looked for.
    pub fn scripted(devices: Devices) -> Self {
        Self { devices: Arc::new(devices), scripted: true, known: true, ..Self::default() }
    }

    /// Says that somebody shows the lists: to be called in every frame in which they are shown.
    pub fn want(&mut self) {
        self.wanted_secs = LINGER_SECS;
    }

    /// Whether there was a first look; before it empty lists say nothing.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Whether devices are looked at now.
    pub fn is_watching(&self) -> bool {
        self.watch.is_some()
    }

    /// Time passes; true when there is a newer list.
    fn pass(&mut self, secs: f32) -> bool {
        if self.scripted {
            return false;
        }
        if self.wanted_secs <= 0.0 {
            (self.watch, self.failed) = (None, false);
            return false;
        }
        self.wanted_secs -= secs;
        if self.watch.is_none() && !self.failed {
            self.seen = 0;
            match DeviceWatch::start_without_screens(PERIOD) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => {
                    warn!(%error, "no thread to look for devices on: plugged and unplugged ones are not shown");
                    self.failed = true;
                }
            }
        }
        let Some((seen, devices)) = self.watch.as_ref().map(DeviceWatch::latest) else { return false };
        if seen <= self.seen {
            return false;
        }
        (self.seen, self.known) = (seen, true);
        let news = *self.devices != *devices;
        self.devices = devices;
        news
    }
}

/// Begins and ends looking, and takes what was found.
pub(super) fn look_for_devices(time: Res<Time>, mut lists: ResMut<DeviceLists>) {
    let known = lists.is_known();
    let news = lists.bypass_change_detection().pass(time.delta_secs());
    if news || lists.is_known() != known {
        lists.set_changed();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::media::capture::CameraInfo;

    /// Needs no devices: an empty list is one, too.
    #[test]
    fn devices_are_looked_at_only_while_somebody_wants_to_know() {
        let mut lists = DeviceLists::default();
        for _ in 0..10 {
            lists.pass(0.5);
        }
        assert!(!lists.is_watching() && !lists.is_known(), "nobody asked");
        lists.want();
        let began = Instant::now();
        lists.pass(0.0);
        assert!(lists.is_watching() && began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        while !lists.is_known() {
            lists.want();
            lists.pass(0.01);
            assert!(began.elapsed() < Duration::from_secs(30), "no list came");
            std::thread::sleep(Duration::from_millis(5));
        }
        for _ in 0..9 {
            lists.pass(0.5);
        }
        assert!(lists.is_watching(), "a menu that is opened again has its list at once");
        for _ in 0..3 {
            lists.pass(0.5);
        }
        assert!(!lists.is_watching() && lists.is_known());
        lists.want();
        lists.pass(0.01);
        assert!(lists.is_watching(), "again");
    }

    #[test]
    fn scripted_lists_ask_no_device() {
        let camera = CameraInfo { id: "front".to_owned(), name: "Front".to_owned() };
        let devices = Devices { cameras: vec![camera], ..Devices::default() };
        let mut lists = DeviceLists::scripted(devices.clone());
        lists.want();
        assert!(!lists.pass(0.1) && !lists.is_watching());
        assert!(lists.is_known() && *lists.devices == devices);
    }
}
