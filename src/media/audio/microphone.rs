//! The microphone as a source: opens a device, follows the default one, and gets over whatever happens to it without a
//! restart. Runs on the capture thread that pulls it; only devices are opened, and their callbacks run, elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::device::{Demand, DeviceName, DeviceWatch, Direction, InputDevice, Keeper, Trouble, find, is_monitor};
use crate::media::frame::AudioBlock;
use crate::media::{AudioSource, CaptureError};
use crate::model::{DeviceState, DeviceUse};

/// How long a source may wait for sound before it says that there is none.
const PATIENCE: Duration = Duration::from_millis(900);
/// A device that gives nothing for so long is closed, and another looked for.
const STALLED: Duration = Duration::from_secs(2);
/// Longest sleep between two looks at the ring; the callback wakes sooner.
const NAP: Duration = Duration::from_millis(20);

/// Which device to record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AudioInput {
    /// The default microphone, whichever that is at the time.
    #[default]
    Default,
    /// The microphone, or the monitor of a loudspeaker, of this id or name; the default microphone while it is not
    /// there.
    Named(String),
}

impl AudioInput {
    /// The device that is wished for; `None` for the default one.
    fn wanted(&self) -> Option<&str> {
        match self {
            Self::Default => None,
            Self::Named(device) => Some(device),
        }
    }
}

/// What a microphone records now; shared with whoever shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputState {
    /// The id of the device that records; `None` while none does.
    pub id: Option<String>,
    /// What the sound system calls it.
    pub name: Option<String>,
    /// How the device that was wished for is doing.
    pub state: DeviceState,
    /// Why another device records than the one wished for, or none, and what to do.
    pub fallback_reason: Option<String>,
}

/// A source of what a microphone hears: blocks of 10 ms, 48 000 Hz. It never ends by itself: while there is nothing to
/// record it says why ([`CaptureError::Interrupted`]) and goes on looking.
pub struct Microphone {
    input: AudioInput,
    channels: u8,
    /// Nobody before sound is asked for.
    keeper: Option<Keeper<InputDevice>>,
    /// Which of the keeper's devices was heard last.
    generation: u32,
    /// When sound came last.
    heard_at: Instant,
    state: Arc<Mutex<InputState>>,
    /// The state changed since it was last asked for.
    news: bool,
}

impl std::fmt::Debug for Microphone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Microphone")
            .field("input", &self.input)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

impl Microphone {
    /// A microphone in mono, or a loudspeaker's monitor in stereo, which must be there now: for a wish that a person just
    /// typed.
    ///
    /// # Errors
    /// [`CaptureError::Open`] when there is no such device.
    pub fn open(input: AudioInput) -> Result<Self, CaptureError> {
        let microphone = Self::new(input);
        let wanted = microphone.input.wanted();
        let found = find(Direction::Input, wanted).map_err(|trouble| CaptureError::Open {
            what: wanted.unwrap_or("the microphone").to_owned(),
            why: trouble.why,
        })?;
        let monitor = is_monitor(&DeviceName::of(&found).id);
        Ok(if monitor { Self::stereo(microphone.input) } else { microphone })
    }

    /// Whether it was opened on the sound of the system.
    pub fn is_monitor(&self) -> bool {
        self.channels == 2
    }

    /// A microphone in mono, or a loudspeaker's monitor in stereo, which need not be there yet: for a choice from a list.
    /// An id tells which of the two it is.
    pub fn of_id(id: Option<&str>) -> Self {
        match id {
            Some(id) if is_monitor(id) => Self::stereo(AudioInput::Named(id.to_owned())),
            Some(id) => Self::new(AudioInput::Named(id.to_owned())),
            None => Self::new(AudioInput::Default),
        }
    }

    /// A microphone in mono. It is opened when it is first asked for sound, on the thread that asks.
    pub fn new(input: AudioInput) -> Self {
        Self::with_channels(input, 1)
    }

    /// Records in stereo: for the sound of the system, by the monitor of a loudspeaker.
    pub fn stereo(input: AudioInput) -> Self {
        Self::with_channels(input, 2)
    }

    fn with_channels(input: AudioInput, channels: u8) -> Self {
        Self {
            input,
            channels,
            keeper: None,
            generation: 0,
            heard_at: Instant::now(),
            state: Arc::default(),
            news: false,
        }
    }

    /// Shows what is recorded, also once the source was given away.
    pub fn state(&self) -> InputStateReader {
        InputStateReader(Arc::clone(&self.state))
    }

    /// Lets go of a device that gives nothing, and goes along with what the keeper finds.
    fn mind_device(&mut self) {
        let now = Instant::now();
        let (input, channels) = (&self.input, usize::from(self.channels));
        let keeper = self.keeper.get_or_insert_with(|| keep(input, channels, now));
        let silent = now.saturating_duration_since(self.heard_at) > STALLED;
        if silent && keeper.device().is_some_and(InputDevice::is_empty) {
            keeper.give_up(InputDevice::silence(), now);
        }
        if keeper.mind(now) {
            self.take_news(now);
        }
    }

    /// Another device records than before, or none, or for another reason.
    fn take_news(&mut self, now: Instant) {
        let Some(keeper) = &self.keeper else { return };
        if keeper.generation() != self.generation {
            self.generation = keeper.generation();
            self.heard_at = now;
        }
        let (name, trouble) = (keeper.name(), keeper.trouble());
        let state = InputState {
            id: name.map(|name| name.id.clone()),
            name: name.map(|name| name.name.clone()),
            state: keeper.state(),
            fallback_reason: trouble.map(|trouble| trouble.why.clone()),
        };
        match &state.name {
            Some(name) => tracing::info!(device = name, why = state.fallback_reason, "recording"),
            None => tracing::warn!(why = state.fallback_reason, "nothing is recorded"),
        }
        let mut told = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.news |= *told != state;
        *told = state;
    }

    fn interrupted(&self) -> CaptureError {
        let name = self.keeper.as_ref().and_then(Keeper::name);
        // What is wrong with the wished one does not keep another one from recording.
        let trouble = self.keeper.as_ref().filter(|_| name.is_none()).and_then(Keeper::trouble).cloned();
        let trouble = trouble.unwrap_or_else(|| Trouble::new(DeviceState::Stalled, "no sound comes from it for now"));
        let what = match (name, &self.input) {
            (Some(name), _) => name.name.clone(),
            (None, AudioInput::Named(device)) => device.clone(),
            (None, AudioInput::Default) => "the microphone".to_owned(),
        };
        CaptureError::Interrupted { what, state: trouble.state, why: trouble.why }
    }
}

/// Keeps a device open for the calling thread.
fn keep(input: &AudioInput, channels: usize, now: Instant) -> Keeper<InputDevice> {
    let reader = std::thread::current();
    let open = move |wanted: Option<&str>, demand: Demand| InputDevice::open(wanted, channels, &reader, demand);
    let wanted = input.wanted().map(str::to_owned);
    Keeper::new(Direction::Input, wanted, DeviceWatch::shared(), Arc::new(open), now)
}

impl AudioSource for Microphone {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        let asked = Instant::now();
        loop {
            self.mind_device();
            let device = self.keeper.as_mut().and_then(Keeper::device_mut);
            if let Some(device) = device {
                if let Some(samples) = device.read() {
                    self.heard_at = Instant::now();
                    return Ok(Some(AudioBlock { samples, channels: self.channels }));
                }
                let lost = device.take_lost();
                if lost > 0 {
                    tracing::debug!(lost, "the microphone was not read in time");
                }
            }
            if asked.elapsed() >= PATIENCE {
                return Err(self.interrupted());
            }
            // The callback ends the nap.
            std::thread::park_timeout(NAP);
        }
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let InputState { name, state, fallback_reason, .. } = self.state().get();
        Some(DeviceUse { name, state, why: fallback_reason })
    }
}

/// Reads what a microphone records, from any thread.
#[derive(Clone, Debug)]
pub struct InputStateReader(Arc<Mutex<InputState>>);

impl InputStateReader {
    /// The newest state.
    pub fn get(&self) -> InputState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs no sound system: without one the news is another sentence.
    #[test]
    fn what_became_of_the_device_is_told_once() {
        let mut microphone = Microphone::new(AudioInput::Named("no such microphone".to_owned()));
        assert_eq!(microphone.device_news(), None, "nothing was asked of it yet");
        let began = Instant::now();
        let news = loop {
            microphone.next_block().ok();
            if let Some(news) = microphone.device_news() {
                break news;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{microphone:?}");
        };
        assert_eq!(news.state, DeviceState::Unplugged);
        assert!(news.why.is_some_and(|why| why.contains(':')), "it says what to do");
        assert_eq!(news.name, microphone.state().get().name);
        assert_eq!(microphone.device_news(), None, "once");
    }

    #[test]
    fn an_id_tells_a_microphone_from_the_sound_of_the_system() {
        assert!(Microphone::of_id(Some("pulseaudio:hall.monitor")).is_monitor());
        assert!(!Microphone::of_id(Some("pulseaudio:headset")).is_monitor() && !Microphone::of_id(None).is_monitor());
    }

    #[test]
    fn a_microphone_that_is_looked_for_answers_within_a_second() {
        let mut microphone = Microphone::new(AudioInput::Named("no such microphone".to_owned()));
        for _ in 0..3 {
            let asked = Instant::now();
            microphone.next_block().ok();
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        }
    }
}
