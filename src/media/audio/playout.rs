//! The playout thread: every 10 ms it takes a block from each voice, mixes and hands it to the device, and a copy to the
//! microphones' echo cancellers. With a device, the device's own clock decides how much is produced; without one, the
//! system's does and the sound is discarded, so that everything else (levels, figures, delays) works the same.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::AudioError;
use super::device::{Demand, DeviceWatch, Direction, Keeper, Kept, OutputDevice};
use super::mixer::{StereoBlock, downmix};
use super::playout_state::{AudioOutput, OutputState};
use super::reference::{EchoReference, ReferenceTap, echo_reference};
use super::spatial::{Ears, SoundSceneCell, Stage};
use super::voice::{Voice, VoiceShared};
use crate::model::StreamId;
use crate::model::sound::Hearing;

const TICK: Duration = Duration::from_millis(10);
const TICK_MS: f32 = 10.0;
/// A thread that was held up for longer than this does not catch up, but goes on from now.
const LONGEST_CATCH_UP: Duration = Duration::from_millis(100);
/// Bounds of what is kept ready for the device, in ms: it grows when the device ran dry and shrinks in calm times.
const MIN_READY_MS: f32 = 20.0;
const MAX_READY_MS: f32 = 100.0;
/// Ticks without trouble until less is kept ready: 30 s.
const CALM_TICKS: u32 = 3_000;
/// A device that asks for nothing for so long stands still.
const STALLED: Duration = Duration::from_secs(2);
/// Share of the difference to the system's clock made good in each block.
const CLOCK_PULL: f64 = 0.05;

/// The running playout. Dropping it stops its thread and closes the device, within a moment also when the sound system
/// hangs.
pub struct Playout {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    voices: Mutex<Vec<Weak<VoiceShared>>>,
    /// Where voices are heard from.
    scene: SoundSceneCell,
    taps: Mutex<Vec<ReferenceTap>>,
    wish: Mutex<Option<AudioOutput>>,
    state: Mutex<OutputState>,
    /// From a block's mixing to its being heard, in ms.
    delay_ms: AtomicU32,
}

impl Playout {
    /// As [`Self::start_in`], with every voice heard everywhere.
    ///
    /// # Errors
    /// [`AudioError::Thread`] when the thread cannot be started.
    pub fn start(output: AudioOutput) -> Result<Self, AudioError> {
        Self::start_in(SoundSceneCell::default(), output)
    }

    /// Starts the thread and opens the output; voices are heard from where the scene has them. A device that is wanted
    /// and cannot be had is no error: the playout runs silently and [`Self::fallback_reason`] says why. Blocks until the
    /// output is open, a few seconds at most.
    ///
    /// # Errors
    /// [`AudioError::Thread`] when the thread cannot be started.
    pub fn start_in(scene: SoundSceneCell, output: AudioOutput) -> Result<Self, AudioError> {
        let shared = Arc::new(Shared { scene, ..Shared::default() });
        let (opened, wait) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("audio-playout".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let mut player = Player::new(shared);
                    player.switch(output);
                    player.settle();
                    if opened.send(()).is_ok() {
                        player.run();
                    }
                }
            })
            .map_err(|error| AudioError::Thread(error.to_string()))?;
        wait.recv().map_err(|_| AudioError::Thread("it ended while opening the output".to_owned()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Opens a loudspeaker, plays silence for some seconds and says whether it takes it.
    pub fn probe(output: &AudioOutput) -> OutputState {
        if *output == AudioOutput::Null {
            return OutputState::default();
        }
        match OutputDevice::open(output.wanted(), Demand::Delivers) {
            Ok(device) => OutputState::of(Some(device.name()), None),
            Err(trouble) => OutputState::of(None, Some(&trouble)),
        }
    }

    /// Adds a voice to the mix that is heard everywhere; it stays until the returned handle is dropped.
    pub fn add_voice(&self) -> Voice {
        self.add(None)
    }

    /// Adds the voice of a stream to the mix, heard from where the scene has that.
    pub fn add_voice_of(&self, stream: &StreamId) -> Voice {
        self.add(Some(stream.clone()))
    }

    fn add(&self, stream: Option<StreamId>) -> Voice {
        let voice = Arc::new(VoiceShared::new(stream));
        let mut voices = self.shared.voices.lock().unwrap_or_else(PoisonError::into_inner);
        voices.retain(|voice| voice.strong_count() > 0);
        voices.push(Arc::downgrade(&voice));
        Voice::new(voice)
    }

    /// What the loudspeaker plays from now on, for a microphone's echo canceller. Nothing comes while there is no
    /// device: what nobody hears makes no echo.
    pub fn echo_reference(&self) -> EchoReference {
        let (tap, reference) = echo_reference();
        let mut taps = self.shared.taps.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a device nothing else would ever let them go.
        taps.retain(ReferenceTap::is_heard);
        taps.push(tap);
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
    /// Nobody while the sound is to go nowhere.
    keeper: Option<Keeper<OutputDevice>>,
    /// Which of the keeper's devices was played on last.
    generation: u32,
    pulse: Pulse,
    stage: Stage,
    /// The scene that the stage listens by, and whether the device has two channels to hear it with.
    scene: (u64, bool),
    /// The voices of the tick at hand; kept for its allocation.
    voices: Vec<Arc<VoiceShared>>,
    /// When the next block is played, on a clock that follows the system's smoothly.
    clock: Instant,
    ready: Ready,
}

impl Player {
    fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            keeper: None,
            generation: 0,
            pulse: Pulse::new(now),
            stage: Stage::new(),
            scene: (0, false),
            voices: Vec::new(),
            clock: now,
            ready: Ready::new(),
        }
    }

    /// What comes of it is told when it is known.
    fn switch(&mut self, output: AudioOutput) {
        self.generation = 0;
        self.keeper = match output {
            AudioOutput::Null => None,
            AudioOutput::Device | AudioOutput::Named(_) => Some(Keeper::new(
                Direction::Output,
                output.wanted().map(str::to_owned),
                DeviceWatch::shared(),
                Arc::new(OutputDevice::open),
                Instant::now(),
            )),
        };
        if self.keeper.is_none() {
            self.set_state(OutputState::default());
        }
    }

    /// Waits until it is known what became of the wish.
    fn settle(&mut self) {
        self.mind_device();
        while self.keeper.as_ref().is_some_and(|keeper| !keeper.is_settled()) {
            std::thread::sleep(TICK);
            self.mind_device();
        }
    }

    /// Lets go of a device that stands still, and goes along with what the keeper finds.
    fn mind_device(&mut self) {
        let wish = self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(output) = wish {
            self.switch(output);
        }
        let Some(keeper) = &mut self.keeper else { return };
        let now = Instant::now();
        let stands_still = keeper.device().is_some_and(|device| self.pulse.is_still(device.pulses(), now));
        if stands_still {
            keeper.give_up(OutputDevice::standstill(), now);
        }
        if keeper.mind(now) {
            self.take_news(now);
        }
    }

    /// Another device plays than before, or none, or for another reason.
    fn take_news(&mut self, now: Instant) {
        let Some(keeper) = &self.keeper else { return };
        if keeper.generation() != self.generation {
            self.generation = keeper.generation();
            self.pulse = Pulse::new(now);
            self.ready = Ready::new();
        }
        let state = OutputState::of(keeper.name(), keeper.trouble());
        match &state.name {
            Some(name) => tracing::info!(device = name, why = state.fallback_reason, "playing"),
            None => tracing::warn!(why = state.fallback_reason, "no sound will be heard"),
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
        let Some(device) = self.keeper.as_ref().and_then(Keeper::device) else {
            self.set_delay(0.0);
            self.block();
            return;
        };
        let wanted_ms = self.ready.wanted_ms(device.underruns());
        let mut blocks = ((wanted_ms - device.queued_ms()) / TICK_MS).ceil().max(0.0) as u32;
        while blocks > 0 {
            let block = self.block();
            if let Some(device) = self.keeper.as_mut().and_then(Keeper::device_mut) {
                let delay_ms = device.delay_ms();
                device.write(&block);
                self.set_delay(delay_ms);
                let heard = downmix(&block);
                let mut taps = self.shared.taps.lock().unwrap_or_else(PoisonError::into_inner);
                taps.retain_mut(|tap| tap.write(&heard, delay_ms));
            }
            blocks -= 1;
        }
    }

    fn set_delay(&self, delay_ms: f32) {
        self.shared.delay_ms.store(delay_ms.to_bits(), Ordering::Relaxed);
    }

    /// The next 10 ms of all voices.
    fn block(&mut self) -> StereoBlock {
        self.clock = follow(self.clock + TICK, Instant::now());
        {
            let voices = self.shared.voices.lock().unwrap_or_else(PoisonError::into_inner);
            self.voices.extend(voices.iter().filter_map(Weak::upgrade));
        }
        self.look_around();
        let delay_ms = self.shared.delay_ms();
        for voice in self.voices.drain(..) {
            voice.mix(self.clock, delay_ms, &mut self.stage);
        }
        self.stage.finish()
    }

    /// Takes the newest scene to the stage and to the voices, unless it is being replaced just now: then the next block
    /// does.
    fn look_around(&mut self) {
        // One loudspeaker has no left and right, and two ears in one channel would comb each other out.
        let device = self.keeper.as_ref().and_then(Keeper::device);
        let two_ears = device.is_none_or(|device| device.channels() > 1);
        let version = self.shared.scene.version();
        let known = self.scene == (version, two_ears) && self.voices.iter().all(|voice| voice.is_placed_by(version));
        if !known {
            let (stage, voices) = (&mut self.stage, &self.voices);
            let seen = self.shared.scene.try_read(|scene, version| {
                stage.listen(if two_ears { scene.hearing } else { Hearing::Plain }, &scene.listener);
                voices.iter().for_each(|voice| voice.take_place(scene, version));
                version
            });
            self.scene = seen.map_or(self.scene, |version| (version, two_ears));
        }
        if self.stage.wants_ears()
            && let Some(ears) = Ears::when_ready()
        {
            self.stage.put_on(ears);
        }
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
