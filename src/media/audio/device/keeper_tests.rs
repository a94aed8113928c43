//! Devices of a made-up sound system that stand still, are taken, unplugged and plugged in, on a clock of the test's.

use std::sync::{Mutex, OnceLock};

use super::*;
use crate::media::audio::device::{AudioDeviceInfo, AudioDevices};

struct Fake {
    name: DeviceName,
    broken: Arc<OnceLock<Trouble>>,
}

impl Kept for Fake {
    fn name(&self) -> &DeviceName {
        &self.name
    }

    fn failure(&self) -> Option<&Trouble> {
        self.broken.get()
    }
}

/// What the sound system is like.
#[derive(Default)]
struct Scene {
    plugged: Vec<&'static str>,
    default: &'static str,
    /// What is wrong with a device, if something is.
    troubles: Vec<(&'static str, DeviceState)>,
    /// What was opened, in turn.
    opened: Vec<String>,
    /// Breaks the devices that are open.
    breaker: Arc<OnceLock<Trouble>>,
}

impl Scene {
    fn open(&mut self, wanted: Option<&str>, demand: Demand) -> Result<Fake, Trouble> {
        let id = wanted.unwrap_or(self.default).to_owned();
        self.opened.push(id.clone());
        if !self.plugged.contains(&id.as_str()) {
            return Err(Trouble::new(DeviceState::Unplugged, format!("there is no {id}")));
        }
        match self.troubles.iter().find(|(device, _)| *device == id) {
            // It opens, and that is all.
            Some((_, DeviceState::Stalled)) if demand == Demand::Opens => {}
            Some((_, state)) => return Err(Trouble::new(*state, format!("trouble with {id}"))),
            None => {}
        }
        Ok(Fake { name: DeviceName { name: id.clone(), id }, broken: Arc::clone(&self.breaker) })
    }
}

struct Stage {
    scene: Arc<Mutex<Scene>>,
    watch: Arc<DeviceWatch>,
    keeper: Keeper<Fake>,
    now: Instant,
}

impl Stage {
    /// Two devices, "one" and "two", of which "two" is the default.
    fn new(wanted: Option<&str>, troubles: &[(&'static str, DeviceState)]) -> Self {
        let scene =
            Scene { plugged: vec!["one", "two"], default: "two", troubles: troubles.to_vec(), ..Scene::default() };
        let scene = Arc::new(Mutex::new(scene));
        let watch = Arc::new(DeviceWatch::default());
        let opener = Arc::clone(&scene);
        let open = move |wanted: Option<&str>, demand: Demand| opener.lock().unwrap().open(wanted, demand);
        let now = Instant::now();
        let wanted = wanted.map(str::to_owned);
        let keeper = Keeper::new(Direction::Output, wanted, Arc::clone(&watch), Arc::new(open), now);
        let mut stage = Self { scene, watch, keeper, now };
        stage.change(|_| {});
        stage
    }

    /// Lets time pass and the attempts that are due come to an end; whether anything is new.
    fn pass(&mut self, secs: u64) -> bool {
        self.now += Duration::from_secs(secs);
        let mut news = self.keeper.mind(self.now);
        let began = Instant::now();
        while self.keeper.attempt.is_some() {
            assert!(began.elapsed() < Duration::from_secs(20), "attempts without end");
            std::thread::sleep(Duration::from_millis(1));
            news |= self.keeper.mind(self.now);
        }
        news
    }

    /// Changes the devices, which the watch then sees.
    fn change(&mut self, change: impl FnOnce(&mut Scene)) -> bool {
        change(&mut self.scene.lock().unwrap());
        self.watch.take(self.list(), false);
        self.pass(0)
    }

    fn list(&self) -> AudioDevices {
        let scene = self.scene.lock().unwrap();
        let describe = |id: &&'static str| AudioDeviceInfo {
            id: (*id).to_owned(),
            name: (*id).to_owned(),
            is_default: *id == scene.default,
            is_monitor: false,
        };
        let outputs: Vec<AudioDeviceInfo> = scene.plugged.iter().map(describe).collect();
        AudioDevices { inputs: Vec::new(), outputs }
    }

    /// Changes what no list tells.
    fn set_troubles(&mut self, troubles: &[(&'static str, DeviceState)]) {
        self.scene.lock().unwrap().troubles = troubles.to_vec();
    }

    fn stand_still(&mut self) -> bool {
        self.keeper.give_up(Trouble::new(DeviceState::Stalled, "it takes no sound"), self.now);
        self.pass(0)
    }

    fn in_use(&self) -> (Option<&str>, DeviceState) {
        (self.keeper.name().map(|name| name.id.as_str()), self.keeper.state())
    }

    /// How often something was opened since this was last asked.
    fn take_opened(&self) -> Vec<String> {
        std::mem::take(&mut self.scene.lock().unwrap().opened)
    }
}

#[test]
fn a_device_that_stands_still_is_avoided_and_tried_less_and_less_often_beside_the_default_one() {
    let mut stage = Stage::new(Some("one"), &[]);
    assert_eq!(stage.in_use(), (Some("one"), DeviceState::On));
    stage.set_troubles(&[("one", DeviceState::Stalled)]);
    stage.take_opened();
    assert!(stage.stand_still());
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::Stalled));
    assert_eq!(stage.keeper.trouble().unwrap().why, "it takes no sound");
    assert_eq!(stage.take_opened(), ["two"], "not the one that stands still");
    stage.pass(0);
    let generation = stage.keeper.generation();
    for pause in [10, 20, 40, 60, 60] {
        stage.pass(pause - 1);
        assert_eq!(stage.take_opened(), [""; 0], "too early, {pause}");
        stage.pass(1);
        assert_eq!(stage.take_opened(), ["one"], "after {pause}; the default one is in use already");
        assert_eq!(stage.in_use(), (Some("two"), DeviceState::Stalled));
    }
    assert_eq!(stage.keeper.generation(), generation, "the stand-in was not interrupted");
    stage.set_troubles(&[]);
    assert!(stage.pass(60));
    assert_eq!(stage.in_use(), (Some("one"), DeviceState::On));
    assert!(stage.keeper.trouble().is_none());
    assert!(!stage.pass(1_000), "and stays");
    // Who stands still again right away is believed less.
    stage.set_troubles(&[("one", DeviceState::Stalled)]);
    stage.keeper.since = stage.now;
    stage.stand_still();
    stage.take_opened();
    stage.pass(50);
    assert_eq!(stage.take_opened(), [""; 0]);
}

#[test]
fn a_device_that_another_program_had_comes_back() {
    let mut stage = Stage::new(Some("one"), &[("one", DeviceState::InUse)]);
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::InUse));
    assert!(!stage.pass(30), "nothing new");
    stage.set_troubles(&[]);
    stage.pass(60);
    assert_eq!(stage.in_use(), (Some("one"), DeviceState::On));
}

#[test]
fn a_default_device_that_stands_still_leaves_silence_until_it_goes_on() {
    let mut stage = Stage::new(None, &[("two", DeviceState::Stalled)]);
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::On), "nobody knows yet");
    assert!(stage.stand_still());
    assert_eq!(stage.in_use(), (None, DeviceState::Stalled));
    stage.pass(2);
    for _ in 0..20 {
        assert!(!stage.pass(10), "it does not come and go");
        assert_eq!(stage.in_use(), (None, DeviceState::Stalled));
    }
    stage.set_troubles(&[]);
    assert!(stage.pass(10));
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::On));
}

#[test]
fn no_other_device_stands_in_for_a_default_one_that_was_chosen_by_name() {
    let mut stage = Stage::new(Some("two"), &[("two", DeviceState::Stalled)]);
    stage.take_opened();
    stage.stand_still();
    assert_eq!(stage.in_use(), (None, DeviceState::Stalled));
    assert_eq!(stage.take_opened(), [""; 0], "not the same one again");
}

#[test]
fn the_list_tells_of_another_default_and_of_devices_that_come_and_go() {
    let mut stage = Stage::new(None, &[]);
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::On));
    assert!(stage.change(|scene| scene.default = "one"));
    assert_eq!(stage.in_use(), (Some("one"), DeviceState::On));
    assert!(!stage.change(|scene| scene.plugged = vec!["one", "two", "three"]), "that is no news");

    let mut stage = Stage::new(Some("one"), &[]);
    stage.change(|scene| scene.plugged = vec!["two"]);
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::Unplugged));
    assert_eq!(stage.keeper.trouble().unwrap().why, "there is no one");
    stage.change(|scene| (scene.plugged, scene.default) = (vec!["two", "three"], "three"));
    assert_eq!(stage.in_use(), (Some("three"), DeviceState::Unplugged), "the default one is followed");
    stage.change(|scene| scene.plugged = vec!["one", "two", "three"]);
    assert_eq!(stage.in_use(), (Some("one"), DeviceState::On), "at once");
    stage.change(|scene| scene.plugged = Vec::new());
    assert_eq!(stage.in_use(), (None, DeviceState::Unplugged));
    stage.change(|scene| scene.plugged = vec!["one"]);
    assert_eq!(stage.in_use(), (Some("one"), DeviceState::On));
}

#[test]
fn a_stand_in_goes_on_while_the_list_changes_around_a_device_that_stands_still() {
    let mut stage = Stage::new(Some("one"), &[("one", DeviceState::Stalled)]);
    stage.stand_still();
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::Stalled));
    let generation = stage.keeper.generation();
    stage.change(|scene| scene.plugged = vec!["one", "two", "three"]);
    assert_eq!((stage.in_use().0, stage.keeper.generation()), (Some("two"), generation));
}

#[test]
fn a_sound_system_that_answers_again_is_news() {
    let mut stage = Stage::new(None, &[("two", DeviceState::Stalled)]);
    stage.stand_still();
    assert_eq!(stage.in_use(), (None, DeviceState::Stalled));
    stage.set_troubles(&[]);
    stage.watch.take(stage.list(), false);
    assert!(!stage.pass(0), "the list is the same as before");
    stage.watch.take(stage.list(), true);
    stage.pass(0);
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::On));
}

#[test]
fn a_device_that_breaks_is_opened_again_once_and_then_let_alone() {
    let mut stage = Stage::new(Some("one"), &[]);
    let break_it = |stage: &mut Stage| {
        let breaker = std::mem::take(&mut stage.scene.lock().unwrap().breaker);
        breaker.set(Trouble::new(DeviceState::Failed, "it broke")).unwrap();
        stage.pass(1)
    };
    assert!(break_it(&mut stage));
    assert_eq!(stage.in_use(), (Some("one"), DeviceState::On), "opened again");
    assert!(break_it(&mut stage));
    assert_eq!(stage.in_use(), (Some("two"), DeviceState::Failed));
}
