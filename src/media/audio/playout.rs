//! The playout thread: every 10 ms it takes a block from each voice, mixes and hands it to the device. With a device,
//! the device's own clock decides how much is produced; without one, the system's does and the sound is discarded, so
//! that everything else (levels, figures, delays) works the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::AudioError;
use super::device::OutputDevice;
use super::mixer::Mixer;
use super::voice::{Voice, VoiceShared};
use crate::media::frame::SAMPLES_10MS;

const TICK: Duration = Duration::from_millis(10);
const TICK_MS: f32 = 10.0;
/// A thread that was held up for longer than this does not catch up, but goes on from now.
const LONGEST_CATCH_UP: Duration = Duration::from_millis(100);
/// Bounds of what is kept ready for the device, in ms: it grows when the device ran dry and shrinks in calm times.
const MIN_READY_MS: f32 = 20.0;
const MAX_READY_MS: f32 = 100.0;
/// Ticks without trouble until less is kept ready: 30 s.
const CALM_TICKS: u32 = 3_000;
/// Pause between two attempts to open a device again that was lost.
const RETRY: Duration = Duration::from_secs(5);
/// Share of the difference to the system's clock made good in each block.
const CLOCK_PULL: f64 = 0.05;

/// Where the sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioOutput {
    /// The default loudspeaker; the silent clock when there is none.
    Device,
    /// Nowhere, at the pace of the system's clock.
    Null,
}

/// The running playout. Dropping it stops its thread and closes the device.
pub struct Playout {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    voices: Mutex<Vec<Weak<VoiceShared>>>,
    status: Mutex<Status>,
}

#[derive(Clone, Default)]
struct Status {
    output_name: Option<String>,
    fallback_reason: Option<String>,
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

    /// The device that is playing; `None` while the sound goes nowhere.
    pub fn output_name(&self) -> Option<String> {
        self.status().output_name
    }

    /// Why no device is playing although one was wanted.
    pub fn fallback_reason(&self) -> Option<String> {
        self.status().fallback_reason
    }

    fn status(&self) -> Status {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    device: Option<OutputDevice>,
    /// When a lost device is looked for again.
    retry_at: Option<Instant>,
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
        let mixer = Mixer::new();
        let ready = Ready::new();
        let mut player = Self { shared, device: None, retry_at: None, mixer, voices: Vec::new(), clock: now, ready };
        if output == AudioOutput::Device {
            player.open_device();
        }
        player
    }

    /// Tries to open the default device, and tells how that went.
    fn open_device(&mut self) {
        let status = match OutputDevice::open_default() {
            Ok(device) => {
                tracing::info!(device = device.name(), "playing");
                let output_name = Some(device.name().to_owned());
                self.device = Some(device);
                self.ready = Ready::new();
                Status { output_name, fallback_reason: None }
            }
            Err(error) => {
                tracing::warn!(%error, "no sound will be heard");
                Status { output_name: None, fallback_reason: Some(error.to_string()) }
            }
        };
        self.set_status(status);
    }

    /// Lets go of a device that was lost, and tries to get it or another one back now and then. An attempt holds this
    /// thread up for a moment, when there is nothing to hear anyway.
    fn mind_device(&mut self) {
        if let Some(reason) = self.device.as_ref().and_then(OutputDevice::failure).map(str::to_owned) {
            self.device = None;
            self.retry_at = Some(Instant::now());
            self.set_status(Status { output_name: None, fallback_reason: Some(reason) });
        }
        if self.retry_at.is_some_and(|at| Instant::now() >= at) {
            self.open_device();
            self.retry_at = self.device.is_none().then(|| Instant::now() + RETRY);
        }
    }

    fn set_status(&self, status: Status) {
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
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
            self.block();
            return;
        };
        let wanted_ms = self.ready.wanted_ms(device.underruns());
        let mut blocks = ((wanted_ms - device.queued_ms()) / TICK_MS).ceil().max(0.0) as u32;
        while blocks > 0 {
            let block = self.block();
            if let Some(device) = &mut self.device {
                device.write(&block);
            }
            blocks -= 1;
        }
    }

    /// The next 10 ms of all voices.
    fn block(&mut self) -> [f32; SAMPLES_10MS] {
        self.clock = follow(self.clock + TICK, Instant::now());
        {
            let voices = self.shared.voices.lock().unwrap_or_else(PoisonError::into_inner);
            self.voices.extend(voices.iter().filter_map(Weak::upgrade));
        }
        for voice in self.voices.drain(..) {
            voice.mix(self.clock, &mut self.mixer);
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
