//! The microphone as a source: opens a device, follows the default one, and gets over whatever happens to it without a
//! restart. Runs on the capture thread that pulls it; only its device's callback runs elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::device::{DeviceName, DeviceWatch, Direction, InputDevice, Trouble, find, is_monitor};
use crate::media::frame::AudioBlock;
use crate::media::{AudioSource, CaptureError};
use crate::model::DeviceState;

/// Pause between two attempts to open a device that is missing or was lost; less when the devices changed.
const RETRY: Duration = Duration::from_secs(2);
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
    device: Option<InputDevice>,
    trouble: Option<Trouble>,
    retry_at: Instant,
    /// When sound came last.
    heard_at: Instant,
    watch: Option<Arc<DeviceWatch>>,
    changes: u64,
    state: Arc<Mutex<InputState>>,
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
        let found = find(Direction::Input, microphone.wanted()).map_err(|trouble| CaptureError::Open {
            what: microphone.wanted().unwrap_or("the microphone").to_owned(),
            why: trouble.why,
        })?;
        let monitor = is_monitor(&DeviceName::of(&found).id);
        Ok(if monitor { Self::stereo(microphone.input) } else { microphone })
    }

    /// Whether it was opened on the sound of the system.
    pub fn is_monitor(&self) -> bool {
        self.channels == 2
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
        let now = Instant::now();
        Self {
            input,
            channels,
            device: None,
            trouble: None,
            retry_at: now,
            heard_at: now,
            watch: None,
            changes: 0,
            state: Arc::default(),
        }
    }

    /// Shows what is recorded, also once the source was given away.
    pub fn state(&self) -> InputStateReader {
        InputStateReader(Arc::clone(&self.state))
    }

    fn wanted(&self) -> Option<&str> {
        match &self.input {
            AudioInput::Default => None,
            AudioInput::Named(device) => Some(device),
        }
    }

    /// Opens the wished device, else the default one. Blocks for a few seconds at most.
    fn open_device(&mut self) {
        let channels = usize::from(self.channels);
        let wanted = self.wanted();
        let opened = match InputDevice::open(wanted, channels) {
            Err(trouble) if wanted.is_some() => {
                InputDevice::open(None, channels).map(|device| (device, Some(trouble.clone()))).map_err(|_| trouble)
            }
            other => other.map(|device| (device, None)),
        };
        let now = Instant::now();
        self.changes = self.watch.get_or_insert_with(DeviceWatch::shared).changes();
        self.heard_at = now;
        match opened {
            Ok((device, trouble)) => {
                tracing::info!(device = device.name().name, "recording");
                self.set_state(InputState {
                    id: Some(device.name().id.clone()),
                    name: Some(device.name().name.clone()),
                    state: trouble.as_ref().map_or(DeviceState::On, |trouble| trouble.state),
                    fallback_reason: trouble.map(|trouble| trouble.why),
                });
                self.device = Some(device);
                self.trouble = None;
            }
            Err(trouble) => self.lose(trouble),
        }
    }

    /// Nothing is recorded, for this reason.
    fn lose(&mut self, trouble: Trouble) {
        self.device = None;
        self.retry_at = Instant::now() + RETRY;
        self.set_state(InputState {
            id: None,
            name: None,
            state: trouble.state,
            fallback_reason: Some(trouble.why.clone()),
        });
        self.trouble = Some(trouble);
    }

    fn set_state(&self, state: InputState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The list of devices changed, and another one than the present should record.
    fn better_device(&mut self) -> bool {
        let Some(watch) = self.watch.as_ref().filter(|watch| watch.changes() != self.changes) else { return false };
        self.changes = watch.changes();
        let wished = self.wanted().and_then(|wanted| watch.id_of(Direction::Input, wanted));
        let Some(best) = wished.or_else(|| watch.default_id(Direction::Input)) else {
            // The list is empty: what still seems to record does not for long.
            return self.device.is_some();
        };
        self.device.as_ref().is_none_or(|device| device.name().id != best)
    }

    /// Sees to the device between two blocks.
    fn mind_device(&mut self) {
        if let Some(device) = &self.device {
            if let Some(trouble) = device.failure().cloned() {
                tracing::warn!(why = trouble.why, "the microphone is lost");
                self.lose(trouble);
                // Another one may be there at once.
                self.retry_at = Instant::now();
            } else if self.heard_at.elapsed() > STALLED {
                self.lose(Trouble::new(
                    DeviceState::Stalled,
                    "the microphone gives no sound: plug it in again or choose another one",
                ));
            }
        }
        if self.better_device() {
            self.device = None;
            self.retry_at = Instant::now();
        }
        if self.device.is_none() && Instant::now() >= self.retry_at {
            self.open_device();
        }
    }

    fn interrupted(&self) -> CaptureError {
        let trouble = self
            .trouble
            .clone()
            .unwrap_or_else(|| Trouble::new(DeviceState::Stalled, "no sound comes from it for now"));
        let what = match (&self.device, &self.input) {
            (Some(device), _) => device.name().name.clone(),
            (None, AudioInput::Named(device)) => device.clone(),
            (None, AudioInput::Default) => "the microphone".to_owned(),
        };
        CaptureError::Interrupted { what, state: trouble.state, why: trouble.why }
    }
}

impl AudioSource for Microphone {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        let asked = Instant::now();
        self.mind_device();
        loop {
            if let Some(samples) = self.device.as_mut().and_then(InputDevice::read) {
                self.heard_at = Instant::now();
                return Ok(Some(AudioBlock { samples, channels: self.channels }));
            }
            if let Some(lost) = self.device.as_ref().map(InputDevice::take_lost).filter(|lost| *lost > 0) {
                tracing::debug!(lost, "the microphone was not read in time");
            }
            if asked.elapsed() >= PATIENCE {
                return Err(self.interrupted());
            }
            // A device that fails says so at once; one that is missing is looked for at its time.
            if self.device.as_ref().is_some_and(|device| device.failure().is_some()) {
                self.mind_device();
            }
            // The callback ends the nap.
            std::thread::park_timeout(NAP);
        }
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
