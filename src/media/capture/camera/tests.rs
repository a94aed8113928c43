//! The supervisor against a driver that plays a script: stalls, vanishes, comes back, is taken, gives rubbish, crashes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use super::driver::CameraStream;
use super::sidelines::MAX_STUCK;
use super::*;
use crate::media::capture::convert::{PixelFormat, RawPicture};

const WISH: VideoFormat = VideoFormat { width: 32, height: 24, fps: 120.0 };
const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Patience = Patience {
    stall: Duration::from_millis(60),
    restart: Duration::from_millis(150),
    rest: Duration::from_millis(10),
    longest_rest: Duration::from_millis(40),
    look: Duration::from_millis(20),
    first: Duration::from_millis(500),
};

/// For tests in which a busy machine must not look like a stalled camera.
const CALM: Patience = Patience { stall: Duration::from_millis(1500), ..SHORT };

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    /// Gives pictures of this brightness.
    Gives(u8),
    /// Blocks in the driver.
    Stalls,
    /// Does not open, or breaks, with this state.
    Fails(DeviceState),
    /// Gives what is no picture.
    Rubbish,
    /// Panics.
    Crashes,
}

/// Cameras whose moods a test changes while they run.
#[derive(Default)]
struct Script {
    moods: Mutex<BTreeMap<String, Mood>>,
    changed: Condvar,
    opened: Mutex<Vec<String>>,
    /// Devices that are open.
    held: AtomicUsize,
    /// A device is opened once at a time, and takes a while to close.
    exclusive: AtomicBool,
}

impl Script {
    fn set(&self, id: &str, mood: Mood) {
        self.moods.lock().unwrap().insert(id.into(), mood);
        self.changed.notify_all();
    }

    fn unplug(&self, id: &str) {
        self.moods.lock().unwrap().remove(id);
        self.changed.notify_all();
    }

    /// Waits until no device is open.
    fn wait_closed(&self) {
        let started = Instant::now();
        while self.held.load(Ordering::Acquire) > 0 {
            assert!(started.elapsed() < LIMIT, "a device is not let go");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn times_opened(&self, id: &str) -> usize {
        self.opened.lock().unwrap().iter().filter(|opened| *opened == id).count()
    }
}

struct Driver(Arc<Script>);

impl CameraDriver for Driver {
    fn list(&self) -> Vec<CameraInfo> {
        self.0
            .moods
            .lock()
            .unwrap()
            .keys()
            .map(|id| CameraInfo { id: id.clone(), name: format!("Camera {id}") })
            .collect()
    }

    fn open(&self, id: &str, _wish: VideoFormat) -> Result<Box<dyn CameraStream>, CameraFault> {
        self.0.opened.lock().unwrap().push(id.into());
        if self.0.exclusive.load(Ordering::Acquire) && self.0.held.load(Ordering::Acquire) > 0 {
            return Err(CameraFault::of_os_error(16, ""));
        }
        match self.0.moods.lock().unwrap().get(id) {
            Some(Mood::Fails(state)) => Err(CameraFault { state: *state, why: "scripted".into() }),
            Some(_) => {
                self.0.held.fetch_add(1, Ordering::AcqRel);
                Ok(Box::new(Stream { script: Arc::clone(&self.0), id: id.into() }))
            }
            None => Err(CameraFault::of_os_error(19, "")),
        }
    }
}

struct Stream {
    script: Arc<Script>,
    id: String,
}

impl CameraStream for Stream {
    fn next(&mut self, look: &mut dyn FnMut(&RawPicture<'_>)) -> Result<(), CameraFault> {
        std::thread::sleep(Duration::from_millis(3));
        let mut moods = self.script.moods.lock().unwrap();
        while moods.get(&self.id) == Some(&Mood::Stalls) {
            moods = self.script.changed.wait(moods).unwrap();
        }
        let mood = moods.get(&self.id).copied();
        drop(moods);
        let mut show = |format, data: &[u8]| look(&RawPicture { width: 32, height: 24, stride: 0, format, data });
        match mood {
            Some(Mood::Gives(luma)) => show(PixelFormat::Grey, &[luma; 32 * 24]),
            Some(Mood::Rubbish) => show(PixelFormat::Mjpeg, &[]),
            Some(Mood::Fails(state)) => return Err(CameraFault { state, why: "scripted".into() }),
            Some(Mood::Crashes) => panic!("a driver's crash, as scripted"),
            Some(Mood::Stalls) | None => return Err(CameraFault::of_os_error(19, "")),
        }
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.script.exclusive.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.script.held.fetch_sub(1, Ordering::AcqRel);
    }
}

fn script(cameras: &[(&str, Mood)]) -> Arc<Script> {
    let script = Arc::new(Script::default());
    cameras.iter().for_each(|(id, mood)| script.set(id, *mood));
    script
}

fn open(script: &Arc<Script>, id: Option<&str>) -> Result<Camera, CaptureError> {
    Camera::open_with(Arc::new(Driver(Arc::clone(script))), id, WISH, SHORT)
}

fn open_calm(script: &Arc<Script>, id: &str) -> Camera {
    Camera::open_with(Arc::new(Driver(Arc::clone(script))), Some(id), WISH, CALM).unwrap()
}

fn waiting(script: &Arc<Script>, id: Option<&str>) -> Camera {
    Camera::waiting_with(Arc::new(Driver(Arc::clone(script))), id, WISH, SHORT)
}

/// Pulls until a picture of this brightness comes.
fn pull_luma(camera: &mut Camera, luma: u8) {
    pull(camera, &format!("brightness {luma}"), |got| got.as_ref().is_ok_and(|seen| *seen == luma));
}

/// Pulls until the camera says this.
fn pull_state(camera: &mut Camera, state: DeviceState) {
    pull(camera, state.word(), |got| got.as_ref().is_err_and(|said| *said == state));
}

/// A camera "a" that stalled so often that no further thread is spent on it.
fn stalled_for_good() -> (Arc<Script>, Camera) {
    let script = script(&[("a", Mood::Gives(50))]);
    let mut camera = open(&script, Some("a")).unwrap();
    script.set("a", Mood::Stalls);
    let started = Instant::now();
    while camera.sidelines.stuck_in("a") < MAX_STUCK {
        pull_state(&mut camera, DeviceState::Stalled);
        assert!(started.elapsed() < LIMIT, "{camera:?}");
    }
    (script, camera)
}

fn pull(camera: &mut Camera, what: &str, fits: impl Fn(&Result<u8, DeviceState>) -> bool) {
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        let got = match camera.next_frame() {
            Ok(Some(frame)) => Ok(frame.y()[0]),
            Err(CaptureError::Interrupted { state, why, .. }) => {
                assert!(!why.is_empty());
                Err(state)
            }
            other => panic!("a camera neither ends nor breaks for good: {other:?}"),
        };
        assert!(asked.elapsed() < Duration::from_secs(5), "a pull returns soon, whatever the driver does");
        if fits(&got) {
            return;
        }
        assert!(started.elapsed() < LIMIT, "waited for {what}, the last was {got:?}");
    }
}

#[test]
fn pictures_come_with_rising_times_and_the_asked_size() {
    let script = script(&[("a", Mood::Gives(90))]);
    let mut camera = open(&script, None).unwrap();
    let times: Vec<u64> = (0..5).map(|_| camera.next_frame().unwrap().unwrap().timestamp_us()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert_eq!(camera.format(), WISH);
}

#[test]
fn without_a_camera_the_error_says_what_to_do() {
    let none = open(&script(&[]), None).unwrap_err();
    assert!(matches!(none, CaptureError::Open { .. }) && none.to_string().contains("plug one in"), "{none}");
    let other = open(&script(&[("a", Mood::Gives(1))]), Some("b")).unwrap_err();
    assert!(other.to_string().contains("not among those found: a"), "{other}");
    let taken = script(&[("a", Mood::Fails(DeviceState::InUse)), ("b", Mood::Gives(7))]);
    assert!(open(&taken, Some("a")).is_err(), "a chosen camera that is refused is told at once");
    pull_luma(&mut open(&taken, None).unwrap(), 7);
    let refused = script(&[("a", Mood::Fails(DeviceState::NoPermission))]);
    assert!(open(&refused, None).unwrap_err().to_string().contains("scripted"));
    assert!(open(&script(&[("a", Mood::Crashes)]), None).unwrap_err().to_string().contains("crashed"));
}

#[test]
fn a_short_stall_is_told_and_the_same_camera_goes_on() {
    let script = script(&[("a", Mood::Gives(50))]);
    let mut camera = open(&script, Some("a")).unwrap();
    pull_luma(&mut camera, 50);
    script.set("a", Mood::Stalls);
    pull_state(&mut camera, DeviceState::Stalled);
    script.set("a", Mood::Gives(60));
    pull_luma(&mut camera, 60);
}

#[test]
fn a_camera_that_stalls_for_good_is_opened_afresh_and_threads_do_not_pile_up() {
    let (script, mut camera) = stalled_for_good();
    for _ in 0..5 {
        pull_state(&mut camera, DeviceState::Stalled);
    }
    assert_eq!(script.times_opened("a"), 2, "one thread and one fresh start, then no more");
    script.set("a", Mood::Gives(70));
    pull_luma(&mut camera, 70);
    assert!(script.times_opened("a") >= 3);
}

#[test]
fn an_unplugged_camera_is_told_and_resumes_when_it_is_back() {
    let script = script(&[("a", Mood::Gives(50))]);
    let mut camera = open(&script, Some("a")).unwrap();
    script.unplug("a");
    pull_state(&mut camera, DeviceState::Unplugged);
    script.set("a", Mood::Gives(80));
    pull_luma(&mut camera, 80);
}

#[test]
fn another_camera_stands_in_until_the_chosen_one_is_back() {
    let script = script(&[("a", Mood::Gives(50)), ("b", Mood::Gives(120))]);
    let mut camera = open(&script, Some("b")).unwrap();
    pull_luma(&mut camera, 120);
    script.unplug("b");
    pull_luma(&mut camera, 50);
    script.set("b", Mood::Gives(130));
    pull_luma(&mut camera, 130);
    script.set("b", Mood::Stalls);
    pull_luma(&mut camera, 50);
}

#[test]
fn the_one_that_stands_in_goes_on_while_the_chosen_one_is_tried() {
    let script = script(&[("a", Mood::Gives(50)), ("b", Mood::Gives(120))]);
    let mut camera = open_calm(&script, "b");
    for mood in [Mood::Fails(DeviceState::InUse), Mood::Stalls] {
        let tried = script.times_opened("b");
        script.set("b", mood);
        pull_luma(&mut camera, 50);
        let (opened, started, mut last) = (script.times_opened("a"), Instant::now(), 0);
        while started.elapsed() < 2 * CALM.first || script.times_opened("b") == tried {
            let frame = camera.next_frame().unwrap().unwrap();
            assert!(frame.y()[0] == 50 && frame.timestamp_us() > last, "{} at {mood:?}", frame.y()[0]);
            last = frame.timestamp_us();
            assert!(started.elapsed() < LIMIT, "the chosen camera is not tried");
        }
        assert_eq!(script.times_opened("a"), opened, "the one that stands in is left alone");
        script.set("b", Mood::Gives(130));
        pull_luma(&mut camera, 130);
    }
}

#[test]
fn a_camera_that_stalls_never_keeps_another_from_standing_in() {
    let (script, mut camera) = stalled_for_good();
    script.set("b", Mood::Gives(90));
    pull_luma(&mut camera, 90);
    script.set("a", Mood::Gives(60));
    pull_luma(&mut camera, 60);
}

#[test]
fn a_camera_that_is_missing_or_taken_at_the_start_comes_up_by_itself() {
    for wish in [None, Some("b")] {
        let script = script(&[]);
        let mut camera = waiting(&script, wish);
        assert_eq!(camera.format(), WISH);
        pull_state(&mut camera, DeviceState::Unplugged);
        script.set("b", Mood::Fails(DeviceState::InUse));
        pull_state(&mut camera, DeviceState::InUse);
        script.set("b", Mood::Gives(7));
        pull_luma(&mut camera, 7);
    }
    let said = waiting(&script(&[("a", Mood::Stalls)]), None).next_frame().unwrap_err().to_string();
    assert!(said.contains("it is starting"), "{said}");
    let said = waiting(&script(&[]), None).next_frame().unwrap_err().to_string();
    assert!(said.contains("no camera was found: plug one in"), "{said}");
    // Another one stands in for a chosen one from the start.
    pull_luma(&mut waiting(&script(&[("a", Mood::Gives(9))]), Some("b")), 9);
}

/// What was told since the last time.
fn told(camera: &mut Camera) -> Option<(Option<String>, DeviceState, Option<String>)> {
    camera.device_news().map(|DeviceUse { name, state, why }| (name, state, why))
}

#[test]
fn each_change_of_the_camera_in_use_is_told_once() {
    let script = script(&[("a", Mood::Gives(50)), ("b", Mood::Gives(120))]);
    let mut camera = open_calm(&script, "b");
    let quiet = |camera: &mut Camera, luma: u8| {
        for _ in 0..20 {
            pull_luma(camera, luma);
            assert_eq!(told(camera), None, "nothing changed");
        }
    };
    pull_luma(&mut camera, 120);
    assert_eq!(told(&mut camera), Some((Some("Camera b".into()), DeviceState::On, None)));
    quiet(&mut camera, 120);

    script.unplug("b");
    pull_luma(&mut camera, 50);
    let (name, state, why) = told(&mut camera).unwrap();
    assert_eq!((name.as_deref(), state), (Some("Camera a"), DeviceState::Unplugged));
    assert!(why.as_ref().is_some_and(|why| why.contains("the camera b") && why.contains("plug it in")), "{why:?}");
    quiet(&mut camera, 50);

    script.unplug("a");
    pull_state(&mut camera, DeviceState::Unplugged);
    let (name, state, why) = told(&mut camera).unwrap();
    assert!(name.is_none() && state == DeviceState::Unplugged && why.is_some());
    pull_state(&mut camera, DeviceState::Unplugged);
    assert_eq!(told(&mut camera), None);

    script.set("b", Mood::Gives(130));
    pull_luma(&mut camera, 130);
    assert_eq!(told(&mut camera), Some((Some("Camera b".into()), DeviceState::On, None)));
    quiet(&mut camera, 130);
}

#[test]
fn a_camera_that_another_program_takes_is_told_and_tried_again() {
    let script = script(&[("a", Mood::Gives(50))]);
    let mut camera = open(&script, None).unwrap();
    for state in [DeviceState::InUse, DeviceState::NoPermission, DeviceState::Failed] {
        script.set("a", Mood::Fails(state));
        pull_state(&mut camera, state);
    }
    script.set("a", Mood::Gives(51));
    pull_luma(&mut camera, 51);
}

#[test]
fn rubbish_and_crashes_are_contained() {
    let script = script(&[("a", Mood::Gives(50))]);
    let mut camera = open(&script, None).unwrap();
    for mood in [Mood::Rubbish, Mood::Crashes] {
        script.set("a", mood);
        pull_state(&mut camera, DeviceState::Failed);
        script.set("a", Mood::Gives(52));
        pull_luma(&mut camera, 52);
    }
}

/// One that is opened with its first picture, on a machine that may be busy.
fn waiting_calm(script: &Arc<Script>, id: &str) -> Camera {
    let patience = Patience { stall: Duration::from_secs(4), restart: LIMIT, first: LIMIT, ..SHORT };
    Camera::waiting_with(Arc::new(Driver(Arc::clone(script))), Some(id), WISH, patience)
}

#[test]
fn a_camera_that_rests_is_closed_and_opened_again_with_the_next_picture_asked_for() {
    let script = script(&[("a", Mood::Gives(50)), ("b", Mood::Gives(120))]);
    let mut camera = waiting_calm(&script, "b");
    camera.rest();
    assert_eq!(script.times_opened("b"), 0, "who rests from the start opens nothing");
    pull_luma(&mut camera, 120);
    assert_eq!(told(&mut camera), Some((Some("Camera b".into()), DeviceState::On, None)));
    let last = camera.next_frame().unwrap().unwrap().timestamp_us();
    camera.rest();
    script.wait_closed();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!((script.times_opened("b"), told(&mut camera)), (1, None), "closed, and no news");
    script.set("b", Mood::Gives(130));
    let next = camera.next_frame().unwrap().unwrap();
    assert!(next.y()[0] == 130 && next.timestamp_us() > last, "nothing from before");
    assert_eq!((script.times_opened("b"), script.times_opened("a"), told(&mut camera)), (2, 0, None));
}

#[test]
fn a_device_that_takes_a_while_to_close_is_not_found_in_use_by_its_own_program() {
    let script = script(&[("a", Mood::Gives(50))]);
    script.exclusive.store(true, Ordering::Release);
    let mut camera = waiting_calm(&script, "a");
    pull_luma(&mut camera, 50);
    assert!(told(&mut camera).is_some());
    for times in 2..5 {
        let asked = Instant::now();
        camera.rest();
        assert!(asked.elapsed() < Duration::from_millis(80), "nobody waits for a device to close");
        assert!(camera.next_frame().unwrap().is_some());
        assert_eq!((script.times_opened("a"), told(&mut camera)), (times, None));
    }
}

#[test]
fn what_happens_to_a_camera_that_rests_is_told_when_it_is_asked_again() {
    let script = script(&[("a", Mood::Gives(50))]);
    let mut camera = open_calm(&script, "a");
    pull_luma(&mut camera, 50);
    assert!(told(&mut camera).is_some());
    camera.rest();
    script.wait_closed();
    script.unplug("a");
    assert_eq!(told(&mut camera), None);
    pull_state(&mut camera, DeviceState::Unplugged);
    assert!(told(&mut camera).is_some_and(|(name, state, _)| name.is_none() && state == DeviceState::Unplugged));
    // It failed just now, and is not made to wait for that after the next rest.
    camera.rest();
    script.set("a", Mood::Gives(60));
    pull_luma(&mut camera, 60);
    assert_eq!(told(&mut camera), Some((Some("Camera a".into()), DeviceState::On, None)));
}

#[test]
fn that_a_camera_starts_again_is_no_news_and_that_it_never_does_is() {
    let script = script(&[("a", Mood::Gives(50))]);
    let mut camera = waiting(&script, Some("a"));
    pull_luma(&mut camera, 50);
    assert!(told(&mut camera).is_some());
    camera.rest();
    script.wait_closed();
    script.set("a", Mood::Stalls);
    let said = camera.next_frame().unwrap_err().to_string();
    assert!(said.contains("it is starting"), "{said}");
    assert_eq!(told(&mut camera), None);
    let started = Instant::now();
    let news = loop {
        pull_state(&mut camera, DeviceState::Stalled);
        if let Some(news) = told(&mut camera) {
            break news;
        }
        assert!(started.elapsed() < LIMIT, "nobody is told");
    };
    assert_eq!((news.0, news.1), (None, DeviceState::Stalled));
    // A driver that hangs keeps nobody from resting.
    let asked = Instant::now();
    camera.rest();
    assert!(asked.elapsed() < Duration::from_millis(80));
    script.set("a", Mood::Gives(70));
    pull_luma(&mut camera, 70);
}
