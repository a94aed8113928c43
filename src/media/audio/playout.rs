//! The playout thread: every 10 ms it takes a block from each voice, mixes and hands it to the device, and a copy to the
//! microphones' echo cancellers. With a device, the device's own clock decides how much is produced; without one, the
//! system's does and the sound is discarded, so that everything else (levels, figures, delays) works the same.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::AudioError;
use super::device::{DeviceWatch, Direction, OutputDevice, Trouble};
use super::mixer::Mixer;
use super::playout_state::{AudioOutput, OutputState};
use super::reference::{EchoReference, ReferenceTap, echo_reference};
use super::voice::{Voice, VoiceShared};
use crate::media::frame::SAMPLES_10MS;
use crate::model::DeviceState;

const TICK: Duration = Duration::from_millis(10);
const TICK_MS: f32 = 10.0;
/// A thread that was held up for longer than this does not catch up, but goes on from now.
const LONGEST_CATCH_UP: Duration = Duration::from_millis(100);
/// Bounds of what is kept ready for the device, in ms: it grows when the device ran dry and shrinks in calm times.
const MIN_READY_MS: f32 = 20.0;
const MAX_READY_MS: f32 = 100.0;
/// Ticks without trouble until less is kept ready: 30 s.
const CALM_TICKS: u32 = 3_000;
/// Pause between two attempts to open a device that is missing or was lost; less when the devices changed.
const RETRY: Duration = Duration::from_secs(5);
/// A device that asks for nothing for so long stands still.
const STALLED: Duration = Duration::from_secs(2);
/// Share of the difference to the system's clock made good in each block.
const CLOCK_PULL: f64 = 0.05;

/// The running playout. Dropping it stops its thread and closes the device.
pub struct Playout {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    voices: Mutex<Vec<Weak<VoiceShared>>>,
    taps: Mutex<Vec<ReferenceTap>>,
    wish: Mutex<Option<AudioOutput>>,
    state: Mutex<OutputState>,
    /// From a block's mixing to its being heard, in ms.
    delay_ms: AtomicU32,
}

impl Playout {
    /// Starts the thread and opens the output. A device that is wanted and cannot be had is no error: the playout
    /// runs silently and [`Self::fallback_reason`] says why. Blocks until the output is open, a few seconds at most.
    ///
    /// # Errors
    /// [`AudioError::Thread`] when the thread cannot be started.
    pub fn start(output: AudioOutput) -> Result<Self, AudioError> {
        let shared = Arc::new(Shared::default());
        let (opened, wait) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("audio-playout".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let mut player = Player::open(shared, output);
                    if opened.send(()).is_ok() {
                        player.run();
                    }
                }
            })
            .map_err(|error| AudioError::Thread(error.to_string()))?;
        wait.recv().map_err(|_| AudioError::Thread("it ended while opening the output".to_owned()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Adds a voice to the mix; it stays until the returned handle is dropped.
    pub fn add_voice(&self) -> Voice {
        let voice = Arc::new(VoiceShared::new());
        let mut voices = self.shared.voices.lock().unwrap_or_else(PoisonError::into_inner);
        voices.retain(|voice| voice.strong_count() > 0);
        voices.push(Arc::downgrade(&voice));
        Voice::new(voice)
    }

    /// What the loudspeaker plays from now on, for a microphone's echo canceller. Nothing comes while there is no
    /// device: what nobody hears makes no echo.
    pub fn echo_reference(&self) -> EchoReference {
        let (tap, reference) = echo_reference();
        self.shared.taps.lock().unwrap_or_else(PoisonError::into_inner).push(tap);
        reference
    }

    /// Sends the sound elsewhere from now on. What comes of it shows in [`Self::state`], a moment later.
    pub fn switch(&self, output: AudioOutput) {
        *self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
    }

    /// Where the sound goes now.
    pub fn state(&self) -> OutputState {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The device that is playing; `None` while the sound goes nowhere.
    pub fn output_name(&self) -> Option<String> {
        self.state().name
    }

    /// Why another device than the wished one is playing, or none.
    pub fn fallback_reason(&self) -> Option<String> {
        self.state().fallback_reason
    }

    /// From mixing to hearing, in ms: what is kept ready for the device, and the device's own delay.
    pub fn delay_ms(&self) -> f32 {
        self.shared.delay_ms()
    }
}

impl Shared {
    fn delay_ms(&self) -> f32 {
        f32::from_bits(self.delay_ms.load(Ordering::Relaxed))
    }
}

impl Drop for Playout {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the playout thread panicked");
        }
    }
}

/// What runs on the thread.
struct Player {
    shared: Arc<Shared>,
    output: AudioOutput,
    device: Option<OutputDevice>,
    watch: Option<Arc<DeviceWatch>>,
    /// The list of devices last looked at.
    changes: u64,
    /// When a device that is missing or was lost is looked for again.
    retry_at: Option<Instant>,
    pulse: Pulse,
    mixer: Mixer,
    /// The voices of the tick at hand; kept for its allocation.
    voices: Vec<Arc<VoiceShared>>,
    /// When the next block is played, on a clock that follows the system's smoothly.
    clock: Instant,
    ready: Ready,
}

impl Player {
    fn open(shared: Arc<Shared>, output: AudioOutput) -> Self {
        let now = Instant::now();
        let mut player = Self {
            shared,
            output: AudioOutput::Null,
            device: None,
            watch: None,
            changes: 0,
            retry_at: None,
            pulse: Pulse::new(now),
            mixer: Mixer::new(),
            voices: Vec::new(),
            clock: now,
            ready: Ready::new(),
        };
        player.switch(output);
        player
    }

    fn switch(&mut self, output: AudioOutput) {
        self.output = output;
        self.device = None;
        self.retry_at = None;
        if self.output == AudioOutput::Null {
            self.watch = None;
            self.set_state(OutputState::default());
        } else {
            self.watch.get_or_insert_with(DeviceWatch::shared);
            self.open_device();
        }
    }

    /// Tries to open the wished device, else the default one, and tells how that went. Holds this thread up for a
    /// moment, when there is nothing to hear anyway.
    fn open_device(&mut self) {
        let wanted = self.output.wanted();
        let opened = match OutputDevice::open(wanted) {
            Err(trouble) if wanted.is_some() => {
                OutputDevice::open(None).map(|device| (device, Some(trouble.clone()))).map_err(|_| trouble)
            }
            other => other.map(|device| (device, None)),
        };
        let now = Instant::now();
        self.pulse = Pulse::new(now);
        self.ready = Ready::new();
        self.changes = self.watch.as_ref().map_or(0, |watch| watch.changes());
        match opened {
            Ok((device, trouble)) => {
                tracing::info!(device = device.name().name, "playing");
                self.set_state(OutputState {
                    id: Some(device.name().id.clone()),
                    name: Some(device.name().name.clone()),
                    state: trouble.as_ref().map_or(DeviceState::On, |trouble| trouble.state),
                    fallback_reason: trouble.map(|trouble| trouble.why),
                });
                self.device = Some(device);
                self.retry_at = None;
            }
            Err(trouble) => {
                self.retry_at = Some(now + RETRY);
                self.set_silent(trouble);
            }
        }
    }

    /// Lets go of a device that was lost or stands still, and takes the wished or the default one when that comes or
    /// changes.
    fn mind_device(&mut self) {
        let wish = self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(output) = wish {
            self.switch(output);
        }
        if self.output == AudioOutput::Null {
            return;
        }
        let now = Instant::now();
        if let Some(device) = &self.device {
            let stalled = self.pulse.is_still(device.pulses(), now);
            let trouble = device.failure().cloned().or_else(|| {
                stalled
                    .then(|| Trouble::new(DeviceState::Stalled, "the loudspeaker takes no sound: choose another one"))
            });
            if let Some(trouble) = trouble {
                self.device = None;
                self.retry_at = Some(now);
                self.set_silent(trouble);
            }
        }
        if self.retry_at.is_some_and(|at| now >= at) || self.better_device() {
            self.device = None;
            self.open_device();
        }
    }

    /// The list of devices changed, and another one than the present should play.
    fn better_device(&mut self) -> bool {
        let Some(watch) = self.watch.as_ref().filter(|watch| watch.changes() != self.changes) else { return false };
        self.changes = watch.changes();
        let wished = self.output.wanted().and_then(|wanted| watch.id_of(Direction::Output, wanted));
        let best = wished.or_else(|| watch.default_id(Direction::Output));
        best.is_some() && best.as_ref() != self.device.as_ref().map(|device| &device.name().id)
    }

    /// Nothing is heard, for this reason.
    fn set_silent(&self, trouble: Trouble) {
        let state = OutputState { id: None, name: None, state: trouble.state, fallback_reason: Some(trouble.why) };
        // The same again, at every attempt, is no news.
        if *self.shared.state.lock().unwrap_or_else(PoisonError::into_inner) != state {
            tracing::warn!(why = state.fallback_reason, "no sound will be heard");
        }
        self.set_state(state);
    }

    fn set_state(&self, state: OutputState) {
        *self.shared.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn run(&mut self) {
        let mut deadline = Instant::now();
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.tick();
            deadline += TICK;
            let now = Instant::now();
            if now.saturating_duration_since(deadline) > LONGEST_CATCH_UP {
                deadline = now;
            }
            std::thread::sleep(deadline.saturating_duration_since(now));
        }
    }

    /// Produces what the output needs now.
    fn tick(&mut self) {
        self.mind_device();
        let Some(device) = &self.device else {
            self.set_delay(0.0);
            self.block();
            return;
        };
        let wanted_ms = self.ready.wanted_ms(device.underruns());
        let mut blocks = ((wanted_ms - device.queued_ms()) / TICK_MS).ceil().max(0.0) as u32;
        while blocks > 0 {
            let block = self.block();
            if let Some(device) = &mut self.device {
                let delay_ms = device.delay_ms();
                device.write(&block);
                self.set_delay(delay_ms);
                let mut taps = self.shared.taps.lock().unwrap_or_else(PoisonError::into_inner);
                taps.retain_mut(|tap| tap.write(&block, delay_ms));
            }
            blocks -= 1;
        }
    }

    fn set_delay(&self, delay_ms: f32) {
        self.shared.delay_ms.store(delay_ms.to_bits(), Ordering::Relaxed);
    }

    /// The next 10 ms of all voices.
    fn block(&mut self) -> [f32; SAMPLES_10MS] {
        self.clock = follow(self.clock + TICK, Instant::now());
        {
            let voices = self.shared.voices.lock().unwrap_or_else(PoisonError::into_inner);
            self.voices.extend(voices.iter().filter_map(Weak::upgrade));
        }
        let delay_ms = self.shared.delay_ms();
        for voice in self.voices.drain(..) {
            voice.mix(self.clock, delay_ms, &mut self.mixer);
        }
        self.mixer.finish()
    }
}

/// Draws a clock that advances block by block towards the system's, at once when they are far apart.
fn follow(clock: Instant, now: Instant) -> Instant {
    let (behind, ahead) = (now.saturating_duration_since(clock), clock.saturating_duration_since(now));
    if behind.max(ahead) > LONGEST_CATCH_UP {
        return now;
    }
    (clock + behind.mul_f64(CLOCK_PULL)).checked_sub(ahead.mul_f64(CLOCK_PULL)).unwrap_or(now)
}

/// Whether a device still asks for sound.
struct Pulse {
    beats: u32,
    since: Instant,
}

impl Pulse {
    fn new(now: Instant) -> Self {
        Self { beats: 0, since: now }
    }

    /// Called once a tick with how often the device asked so far.
    fn is_still(&mut self, beats: u32, now: Instant) -> bool {
        if beats != self.beats {
            *self = Self { beats, since: now };
        }
        now.saturating_duration_since(self.since) > STALLED
    }
}

/// How much sound is kept ready for the device.
struct Ready {
    wanted_ms: f32,
    underruns: u32,
    calm_ticks: u32,
}

impl Ready {
    fn new() -> Self {
        Self { wanted_ms: MIN_READY_MS, underruns: 0, calm_ticks: 0 }
    }

    /// Called once a tick with how often the device ran dry so far.
    fn wanted_ms(&mut self, underruns: u32) -> f32 {
        self.calm_ticks += 1;
        if underruns != self.underruns {
            self.wanted_ms = (self.wanted_ms + TICK_MS).min(MAX_READY_MS);
            tracing::debug!(underruns, wanted_ms = self.wanted_ms, "the audio device ran dry");
            (self.underruns, self.calm_ticks) = (underruns, 0);
        } else if self.calm_ticks >= CALM_TICKS {
            self.wanted_ms = (self.wanted_ms - TICK_MS).max(MIN_READY_MS);
            self.calm_ticks = 0;
        }
        self.wanted_ms
    }
}

#[cfg(test)]
#[path = "playout_tests.rs"]
mod tests;
