//! Whether a microphone hears anything, before it is used in a call: the thread `audio-check` pulls it and keeps its
//! level, until whoever asked lets go. What is heard is measured and forgotten.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::meter::Meter;
use super::microphone::{AudioInput, InputState, InputStateReader, Microphone};
use crate::media::frame::{AudioBlock, SAMPLES_10MS};
use crate::media::{AudioSource, CaptureError};
use crate::model::DeviceState;

/// A microphone that is listened to. Dropping it returns at once; the device is let go with the sound its thread waits
/// for, within a second.
#[derive(Debug)]
pub struct MicrophoneCheck {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// As the bits of an `f32`.
    level: AtomicU32,
    peak: AtomicU32,
    state: Mutex<InputState>,
}

impl MicrophoneCheck {
    /// Begins to listen. A device that is missing or refused is no error: [`Self::state`] says why, and the default one
    /// stands in meanwhile.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(input: AudioInput) -> io::Result<Self> {
        let microphone = Microphone::new(input);
        let reader = microphone.state();
        Self::listen(Box::new(microphone), Some(reader))
    }

    /// The same with another source, generated or a file.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn of_source(source: Box<dyn AudioSource>) -> io::Result<Self> {
        Self::listen(source, None)
    }

    fn listen(source: Box<dyn AudioSource>, device: Option<InputStateReader>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let listener = Listener { source, device, meter: Meter::default(), shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("audio-check".to_owned()).spawn(move || listener.run())?;
        Ok(Self { shared })
    }

    /// Root mean square of the newest 100 ms, 0..=1; 0 while nothing is heard.
    pub fn level(&self) -> f32 {
        f32::from_bits(self.shared.level.load(Ordering::Relaxed))
    }

    /// The highest level so far.
    pub fn peak(&self) -> f32 {
        f32::from_bits(self.shared.peak.load(Ordering::Relaxed))
    }

    /// The device that is heard, and why it is not the one wished for, or none.
    pub fn state(&self) -> InputState {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for MicrophoneCheck {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

/// What runs on the thread.
struct Listener {
    source: Box<dyn AudioSource>,
    /// Of a microphone; other sources are described by what they give.
    device: Option<InputStateReader>,
    meter: Meter,
    shared: Arc<Shared>,
}

impl Listener {
    /// Runs until told to stop, or until the source is at its end.
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            let goes_on = self.pull();
            if let Some(device) = &self.device {
                self.shared.describe(device.get());
            }
            self.shared.level.store(self.meter.level().clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
            self.shared.peak.store(self.meter.peak().clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
            if !goes_on {
                return;
            }
        }
    }

    /// Takes in the next 10 ms; false when there are no more.
    fn pull(&mut self) -> bool {
        let (state, why, goes_on) = match self.source.next_block() {
            Ok(Some(block)) => {
                self.meter.add(&mono(&block));
                (DeviceState::On, None, true)
            }
            Ok(None) => (DeviceState::Off, None, false),
            Err(CaptureError::Interrupted { state, why, .. }) => (state, Some(why), true),
            Err(error) => (DeviceState::Failed, Some(error.to_string()), false),
        };
        if state != DeviceState::On {
            self.meter.silence();
        }
        if self.device.is_none() {
            self.shared.describe(InputState { state, fallback_reason: why, ..InputState::default() });
        }
        goes_on
    }
}

impl Shared {
    fn describe(&self, state: InputState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// What both channels have together; what is no number counts as silence.
fn mono(block: &AudioBlock) -> [f32; SAMPLES_10MS] {
    let channels = usize::from(block.channels.max(1));
    let mut frames = block.samples.chunks_exact(channels);
    let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
    std::array::from_fn(|_| frames.next().map(mean).filter(|mean| mean.is_finite()).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// Gives 10 ms of one level after the other, then does what it is told to.
    struct Script {
        levels: Vec<f32>,
        then: fn() -> Result<Option<AudioBlock>, CaptureError>,
        _alive: Arc<()>,
    }

    impl Script {
        fn check(levels: &[f32], then: fn() -> Result<Option<AudioBlock>, CaptureError>) -> (MicrophoneCheck, Arc<()>) {
            let alive = Arc::new(());
            let levels = levels.iter().rev().copied().collect();
            let script = Self { levels, then, _alive: Arc::clone(&alive) };
            (MicrophoneCheck::of_source(Box::new(script)).unwrap(), alive)
        }
    }

    impl AudioSource for Script {
        fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
            std::thread::sleep(Duration::from_millis(1));
            match self.levels.pop() {
                Some(level) => Ok(Some(AudioBlock { samples: vec![level; 2 * SAMPLES_10MS], channels: 2 })),
                None => (self.then)(),
            }
        }
    }

    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_so() {
            assert!(Instant::now() < deadline, "waited for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn the_level_is_that_of_what_is_heard_and_the_peak_stays() {
        let quiet = || Ok(Some(AudioBlock { samples: vec![0.1; SAMPLES_10MS], channels: 1 }));
        let (check, _) = Script::check(&[0.5; 20], quiet);
        until("the quieter sound", || check.peak() > 0.49 && (check.level() - 0.1).abs() < 1e-3);
        assert!((check.peak() - 0.5).abs() < 1e-3 && check.state().state == DeviceState::On);
    }

    #[test]
    fn a_device_that_is_away_says_why_and_shows_no_level() {
        let taken = || {
            let (what, why) = ("it".to_owned(), "another program uses it: close that program".to_owned());
            Err(CaptureError::Interrupted { what, state: DeviceState::InUse, why })
        };
        let (check, _) = Script::check(&[0.5; 20], taken);
        until("the trouble", || check.state().state == DeviceState::InUse);
        until("silence", || check.level() == 0.0);
        assert!(check.state().fallback_reason.is_some_and(|why| why.contains("close that program")));
        assert!(check.peak() > 0.4);
    }

    #[test]
    fn letting_go_waits_for_nothing_and_lets_the_device_go() {
        let slow = || {
            std::thread::sleep(Duration::from_millis(500));
            Ok(Some(AudioBlock { samples: vec![f32::NAN; SAMPLES_10MS], channels: 1 }))
        };
        let (check, alive) = Script::check(&[0.2], slow);
        until("sound", || check.peak() > 0.0);
        let began = Instant::now();
        drop(check);
        assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
        until("the device is let go", || Arc::strong_count(&alive) == 1);
    }

    /// Needs no sound system: without one the reason is another sentence.
    #[test]
    fn a_microphone_that_is_not_there_is_told_with_what_to_do() {
        let check = MicrophoneCheck::start(AudioInput::Named("no such microphone".to_owned())).unwrap();
        until("what became of it", || check.state().fallback_reason.is_some());
        assert!(check.state().state != DeviceState::On);
        assert!(check.state().fallback_reason.is_some_and(|why| why.contains(':')));
    }
}
