//! Keeps a device in use: opens the one that was wished for; while that stands still, is taken or is not there, lets
//! the default one stand in and tries the wished one again and again, less and less often, without interrupting the
//! other.
//!
//! Runs on the thread that plays or records and never holds it up: each attempt to open devices happens on a thread of
//! its own, `audio-keep`, one at a time, which ends by itself within seconds.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::{DeviceName, DeviceWatch, Direction, Trouble};
use crate::model::DeviceState;

/// Pauses between two attempts, the first and the longest, while another device works ...
const BESIDE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];
/// ... and while none does. What is plugged in is noticed sooner.
const SILENT: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
/// A device that is lost twice within this time is let alone for a while.
const SETTLED: Duration = Duration::from_secs(5);
/// What went wrong before a device worked for so long counts no more.
const LASTING: Duration = Duration::from_secs(60);

/// The number of no list.
const NEVER_SEEN: u64 = u64::MAX;

/// A device that can be kept in use.
pub(in crate::media::audio) trait Kept: Send + 'static {
    /// What the sound system calls it.
    fn name(&self) -> &DeviceName;

    /// Why it is gone; `None` while it works.
    fn failure(&self) -> Option<&Trouble>;
}

/// What a device has to show to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::audio) enum Demand {
    /// It opens.
    Opens,
    /// Sound comes out of it or goes into it: for one that may stand still, and for one that is to replace another.
    Delivers,
}

/// Opens a device by its id or name, or the default one. May block for some seconds.
type Open<D> = dyn Fn(Option<&str>, Demand) -> Result<D, Trouble> + Send + Sync;
/// What an attempt came to: a device, with what is wrong with the wished one where it is another.
type Opened<D> = Result<(D, Option<Trouble>), Trouble>;

/// See the module.
pub(in crate::media::audio) struct Keeper<D> {
    direction: Direction,
    /// The default one where there is no name.
    wanted: Option<String>,
    open: Arc<Open<D>>,
    watch: Arc<DeviceWatch>,
    /// The list of devices last looked at.
    changes: u64,
    device: Option<D>,
    /// The device was in a list since it is in use.
    listed: bool,
    /// Counts the devices that were in use.
    generation: u32,
    /// Since when this one is.
    since: Instant,
    /// What is wrong with the wished device; `None` while it is in use, and before the first attempt ended.
    trouble: Option<Trouble>,
    attempt: Option<Receiver<Opened<D>>>,
    /// Attempts that failed, one after the other.
    failures: u32,
    /// When the wished device is tried again.
    due: Instant,
    /// The devices changed since the last attempt began, so that another one may do.
    restless: bool,
    /// When a device broke last.
    broke: Option<Instant>,
    news: bool,
}

impl<D: Kept> Keeper<D> {
    /// Opens nothing yet: that begins with the first [`Self::mind`].
    pub(in crate::media::audio) fn new(
        direction: Direction,
        wanted: Option<String>,
        watch: Arc<DeviceWatch>,
        open: Arc<Open<D>>,
        now: Instant,
    ) -> Self {
        Self {
            direction,
            wanted,
            open,
            changes: watch.changes(),
            watch,
            device: None,
            listed: false,
            generation: 0,
            since: now,
            trouble: None,
            attempt: None,
            failures: 0,
            due: now,
            restless: false,
            broke: None,
            news: false,
        }
    }

    /// The device in use.
    pub(in crate::media::audio) fn device(&self) -> Option<&D> {
        self.device.as_ref()
    }

    /// See [`Self::device`].
    pub(in crate::media::audio) fn device_mut(&mut self) -> Option<&mut D> {
        self.device.as_mut()
    }

    /// What the sound system calls the device in use.
    pub(in crate::media::audio) fn name(&self) -> Option<&DeviceName> {
        self.device.as_ref().map(D::name)
    }

    /// Grows with each device that is taken into use.
    pub(in crate::media::audio) fn generation(&self) -> u32 {
        self.generation
    }

    /// Why the device in use is not the wished one, or none.
    pub(in crate::media::audio) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// How the wished device is doing.
    pub(in crate::media::audio) fn state(&self) -> DeviceState {
        self.trouble.as_ref().map_or(DeviceState::On, |trouble| trouble.state)
    }

    /// Whether it is known what became of the wish.
    pub(in crate::media::audio) fn is_settled(&self) -> bool {
        self.device.is_some() || self.trouble.is_some()
    }

    /// To be called all the time; true when another device is in use than before, or for another reason.
    pub(in crate::media::audio) fn mind(&mut self, now: Instant) -> bool {
        self.see_attempt(now);
        self.see_failure(now);
        self.see_list(now);
        let wishes = self.device.is_none() || self.trouble.is_some() || self.restless;
        if wishes && self.attempt.is_none() && now >= self.due {
            self.start(None);
        }
        std::mem::take(&mut self.news)
    }

    /// Lets go of a device that stands still: the default one stands in at once, where that is another, and this one
    /// is tried again later.
    pub(in crate::media::audio) fn give_up(&mut self, trouble: Trouble, now: Instant) {
        let Some(device) = self.device.take() else { return };
        let is_wished = self.trouble.is_none();
        let default = self.watch.default_id(self.direction);
        let another = default.is_none_or(|default| default != device.name().id);
        if now.saturating_duration_since(self.since) >= LASTING {
            self.failures = 0;
        }
        self.attempt = None;
        self.news = true;
        if is_wished && self.wanted.is_some() && another {
            self.start(Some(trouble.clone()));
        } else {
            self.put_off(now);
        }
        self.trouble.get_or_insert(trouble);
    }

    /// Lets go of a device that is gone, and looks at once for what there is.
    fn lose(&mut self, trouble: Trouble, now: Instant) {
        tracing::info!(why = trouble.why, "a sound device is lost");
        self.device = None;
        self.attempt = None;
        self.trouble.get_or_insert(trouble);
        self.due = now;
        self.news = true;
    }

    fn see_attempt(&mut self, now: Instant) {
        let Some(attempt) = &self.attempt else { return };
        let opened = match attempt.try_recv() {
            Ok(opened) => opened,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                Err(Trouble::new(DeviceState::Failed, "its driver crashed: choose another device"))
            }
        };
        self.attempt = None;
        match opened {
            Ok((device, trouble)) => self.adopt(device, trouble, now),
            Err(trouble) => {
                self.news |= self.trouble.as_ref() != Some(&trouble);
                self.trouble = Some(trouble);
                self.put_off(now);
            }
        }
    }

    fn adopt(&mut self, device: D, trouble: Option<Trouble>, now: Instant) {
        self.listed = self.watch.is_listed(self.direction, &device.name().id);
        self.device = Some(device);
        self.generation = self.generation.wrapping_add(1);
        self.since = now;
        self.news = true;
        if std::mem::take(&mut self.restless) {
            // What changed while it was opened is looked at again, with this one in use.
            self.changes = NEVER_SEEN;
        }
        if trouble.is_some() {
            self.put_off(now);
        }
        self.trouble = trouble;
    }

    /// The next attempt comes later than the last one did.
    fn put_off(&mut self, now: Instant) {
        let [first, longest] = if self.device.is_some() { BESIDE } else { SILENT };
        let pause = (first * (1u32 << self.failures.min(8))).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.due = if self.restless { now } else { now + pause };
    }

    fn see_failure(&mut self, now: Instant) {
        let Some(trouble) = self.device.as_ref().and_then(D::failure).cloned() else { return };
        let again = self.broke.replace(now).is_some_and(|before| now.saturating_duration_since(before) < SETTLED);
        if again {
            self.give_up(trouble, now);
        } else {
            self.lose(trouble, now);
        }
    }

    /// Where the list of devices changed, looks whether another one than the present should be in use.
    fn see_list(&mut self, now: Instant) {
        let changes = self.watch.changes();
        if changes == self.changes {
            return;
        }
        self.changes = changes;
        let Some(in_use) = self.device.as_ref().map(|device| &device.name().id) else {
            self.hurry(now);
            return;
        };
        let listed = self.watch.is_listed(self.direction, in_use);
        if self.listed && !listed {
            let why = "it was unplugged: plug it in again, or choose another device";
            self.lose(Trouble::new(DeviceState::Unplugged, why), now);
            return;
        }
        let default = self.watch.default_id(self.direction);
        let wished = match &self.wanted {
            Some(wanted) => self.watch.id_of(self.direction, wanted),
            None => default.clone(),
        };
        let stand_in = default.filter(|_| self.trouble.is_some());
        let is_another = [wished, stand_in].into_iter().flatten().any(|id| id != *in_use);
        self.listed |= listed;
        if is_another {
            self.hurry(now);
        }
    }

    fn hurry(&mut self, now: Instant) {
        self.restless = true;
        self.failures = 0;
        self.due = now;
    }

    /// Tries to get the wished device, or only the default one when the wished one just came to a standstill.
    fn start(&mut self, standstill: Option<Trouble>) {
        self.restless = false;
        let stood_still = self.trouble.as_ref().is_some_and(|trouble| trouble.state == DeviceState::Stalled);
        let careful = standstill.is_none() && (self.device.is_some() || stood_still);
        let attempt = Attempt {
            wanted: self.wanted.clone(),
            standstill,
            stand_in: self.wanted.is_some() && self.needs_stand_in(),
            demand: if careful { Demand::Delivers } else { Demand::Opens },
        };
        let open = Arc::clone(&self.open);
        let (tell, opened) = sync_channel(1);
        // A thread that does not start drops its end, which is seen as a failed attempt.
        self.attempt = Some(opened);
        let spawned = std::thread::Builder::new().name("audio-keep".to_owned()).spawn(move || {
            // Nobody waits any more when another device was chosen meanwhile: it is closed again.
            tell.send(attempt.run(open.as_ref())).unwrap_or_else(|late| drop(late.0));
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to open a sound device on");
        }
    }

    /// Whether the default device is not in use already.
    fn needs_stand_in(&self) -> bool {
        let Some(device) = &self.device else { return true };
        self.watch.default_id(self.direction).is_some_and(|default| default != device.name().id)
    }
}

/// What an attempt is about.
struct Attempt {
    wanted: Option<String>,
    /// Why the wished device is not even tried.
    standstill: Option<Trouble>,
    /// Whether to open the default one when the wished one cannot be had.
    stand_in: bool,
    demand: Demand,
}

impl Attempt {
    fn run<D>(self, open: &Open<D>) -> Opened<D> {
        let trouble = match self.standstill {
            Some(trouble) => trouble,
            None => match open(self.wanted.as_deref(), self.demand) {
                Ok(device) => return Ok((device, None)),
                Err(trouble) => trouble,
            },
        };
        if self.stand_in
            && let Ok(device) = open(None, self.demand)
        {
            return Ok((device, Some(trouble)));
        }
        Err(trouble)
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
