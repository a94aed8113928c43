//! Between an own camera and the passes: what is wished, the newest picture that waits for the GPU, and what goes on to
//! the encoder. Called from the camera's thread, the render thread, the thread that reads back, and the ECS; each holds
//! a lock for a few assignments at most.
//!
//! Invariants: from the moment filtering is wished for until it has failed nothing unfiltered goes on; pictures go on in
//! the order they were taken; nobody waits for the GPU but the encoder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bevy::prelude::Component;

use super::light::LightMeter;
use super::passes::Retouch;
use super::working_size::WorkingSize;
use crate::bridge::Mailbox;
use crate::media::scale::Scaler;
use crate::media::{CaptureError, VideoFrame};
use crate::model::{Beauty, BeautyState, OnBeautyFailure};

/// The first filtered picture may take so long: the passes are compiled, perhaps while the room is being built.
const START_WITHIN: Duration = Duration::from_secs(10);
/// And each after it.
const NEXT_WITHIN: Duration = Duration::from_secs(3);

/// One own stream's way through the passes; clones are the same. It outlives the cameras that take turns.
#[derive(Clone, Debug, Default)]
pub struct BeautyLink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    wish: Mutex<Beauty>,
    /// Somebody looks at the picture before and after.
    watched: AtomicBool,
    /// The camera that feeds it now.
    lane: Mutex<Option<Arc<Lane>>>,
    /// Held by every camera that feeds it, or would.
    users: Arc<()>,
    working: Mutex<WorkingSize>,
    figures: Mutex<Figures>,
}

/// How the filtering of a stream stands; beside the own stream it is about.
#[derive(Component, Clone, Debug, Default, PartialEq)]
pub struct BeautyStatus {
    /// How far it is.
    pub state: BeautyState,
    /// Why it failed, and what to do.
    pub error: Option<String>,
    /// Its figures.
    pub figures: Figures,
}

/// What filtering costs and in which size it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Of the graphics device, for one picture; where it has no clock, from handing a picture over to having it back. In ms.
    pub cost_ms: f32,
    /// The camera's size, in pixels.
    pub source: (u32, u32),
    /// The size that is filtered and sent.
    pub size: (u32, u32),
    /// Pictures filtered.
    pub filtered: u64,
}

/// A picture for the passes.
#[derive(Debug)]
pub(super) struct Job {
    pub frame: VideoFrame,
    pub retouch: Retouch,
    /// It is only looked at.
    pub preview_only: bool,
    serial: u64,
    lane: Arc<Lane>,
    link: BeautyLink,
    interval: Duration,
}

/// One camera's part of a link.
#[derive(Debug, Default)]
pub(super) struct Lane {
    jobs: Mailbox<Job>,
    out: Mailbox<Result<VideoFrame, CaptureError>>,
    passage: Mutex<Passage>,
}

/// What went through.
#[derive(Debug, Default)]
struct Passage {
    state: BeautyState,
    error: Option<String>,
    /// Of the newest picture the camera gave.
    serial: u64,
    /// Of the newest that went on.
    passed: u64,
    /// Of the newest before the camera rested last.
    rested: u64,
    /// A picture was handed over then, and none came back since.
    waiting_since: Option<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BeautyLink {
    /// With a first wish.
    pub fn new(wish: Beauty) -> Self {
        let link = Self::default();
        link.set(wish);
        link
    }

    /// What is wished from the next picture on.
    pub fn set(&self, wish: Beauty) {
        *lock(&self.0.wish) = wish;
    }

    /// What is wished.
    pub fn wish(&self) -> Beauty {
        *lock(&self.0.wish)
    }

    /// Whether the passes are to see pictures that are not filtered, too, because somebody looks at them.
    pub fn watch(&self, watched: bool) {
        self.0.watched.store(watched, Ordering::Relaxed);
    }

    /// How it stands.
    pub fn status(&self) -> BeautyStatus {
        let (state, error) = match &*lock(&self.0.lane) {
            Some(lane) => {
                let passage = lock(&lane.passage);
                (passage.state, passage.error.clone())
            }
            None => (BeautyState::Off, None),
        };
        BeautyStatus { state, error, figures: *lock(&self.0.figures) }
    }

    /// Whether pictures need to come through here at all.
    pub(super) fn is_needed(&self) -> bool {
        !self.wish().is_idle() || self.0.watched.load(Ordering::Relaxed)
    }

    /// Two of the same stream.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether a camera feeds it, or waits to.
    pub(super) fn is_fed(&self) -> bool {
        Arc::strong_count(&self.0.users) > 1
    }

    /// What a camera holds for as long as it may feed this.
    pub(super) fn user(&self) -> Arc<()> {
        Arc::clone(&self.0.users)
    }

    /// Another camera feeds it from now on.
    pub(super) fn open_lane(&self) -> Arc<Lane> {
        let state = if self.wish().is_idle() { BeautyState::Off } else { BeautyState::Starting };
        let passage = Mutex::new(Passage { state, ..Passage::default() });
        let lane = Arc::new(Lane { passage, ..Lane::default() });
        *lock(&self.0.lane) = Some(Arc::clone(&lane));
        lane
    }

    /// The picture that waits.
    pub(super) fn take_job(&self) -> Option<Job> {
        let lane = lock(&self.0.lane).clone()?;
        lane.jobs.take()
    }

    /// The device draws on the CPU: pictures begin small.
    pub(super) fn be_modest(&self) {
        lock(&self.0.working).be_modest();
    }
}

/// The camera's end of a lane: on the camera's thread.
pub(super) struct Entrance {
    link: BeautyLink,
    lane: Arc<Lane>,
    light: LightMeter,
    scaler: Scaler,
    newest: Option<Instant>,
    interval: Duration,
}

impl Entrance {
    pub(super) fn new(link: BeautyLink, lane: Arc<Lane>) -> Self {
        let (light, scaler) = (LightMeter::default(), Scaler::default());
        Self { link, lane, light, scaler, newest: None, interval: Duration::ZERO }
    }

    /// Takes a picture of the camera.
    ///
    /// # Errors
    /// When it cannot be filtered, and its owner wants it not to be sent then.
    pub(super) fn offer(&mut self, frame: VideoFrame, now: Instant) -> Result<(), CaptureError> {
        self.keep_time(now);
        let wish = self.link.wish();
        let lift = if wish.low_light { self.light.lift(&frame, self.interval) } else { 0.0 };
        let retouch = Retouch { params: wish.applied(), lift };
        let watched = self.link.0.watched.load(Ordering::Relaxed);
        let lane = Arc::clone(&self.lane);
        let mut passage = lock(&lane.passage);
        passage.serial += 1;
        if retouch.is_none() {
            (passage.state, passage.error, passage.waiting_since) = (BeautyState::Off, None, None);
            passage.passed = passage.serial;
            let serial = passage.serial;
            let looked_at = watched.then(|| frame.clone());
            self.lane.out.put(Ok(frame));
            drop(passage);
            if let Some(frame) = looked_at {
                self.hand_over(frame, retouch, serial, true)?;
            }
            return Ok(());
        }
        if passage.state == BeautyState::Off {
            passage.state = BeautyState::Starting;
            // What was not sent yet is not sent unfiltered now.
            drop(self.lane.out.take());
        }
        let within = if passage.state == BeautyState::Starting { START_WITHIN } else { NEXT_WITHIN };
        if passage.waiting_since.is_some_and(|since| now.saturating_duration_since(since) > within) {
            passage.fail(format!("the graphics device gave no filtered picture for {} s", within.as_secs()));
        }
        passage.waiting_since.get_or_insert(now);
        let failed = passage.state == BeautyState::Failed;
        if failed && wish.on_failure == OnBeautyFailure::Stop {
            let why = passage.error.clone().unwrap_or_default();
            let why = format!("{why}; the stream was ended, as you chose: publish it again without beauty");
            return Err(CaptureError::Format { what: "the beauty filter".to_owned(), why });
        }
        if failed {
            passage.passed = passage.serial;
            self.lane.out.put(Ok(frame.clone()));
        }
        let serial = passage.serial;
        drop(passage);
        self.hand_over(frame, retouch, serial, false)
    }

    /// The camera says that nothing comes for now.
    pub(super) fn interrupted(&self, error: CaptureError) {
        self.lane.out.put(Err(error));
    }

    /// The camera rests: what it gave before does not go on after it, and nothing is waited for meanwhile.
    pub(super) fn rest(&mut self) {
        self.newest = None;
        self.lane.rest();
    }

    fn keep_time(&mut self, now: Instant) {
        if let Some(before) = self.newest.replace(now) {
            let gap = now.saturating_duration_since(before).min(Duration::from_secs(1));
            self.interval = if self.interval.is_zero() { gap } else { (self.interval * 7 + gap) / 8 };
        }
    }

    fn hand_over(
        &mut self,
        frame: VideoFrame,
        retouch: Retouch,
        serial: u64,
        preview_only: bool,
    ) -> Result<(), CaptureError> {
        let source = (frame.width(), frame.height());
        let size = lock(&self.link.0.working).of(source);
        {
            let mut figures = lock(&self.link.0.figures);
            (figures.source, figures.size) = (source, size);
        }
        let frame = if size == source { frame } else { self.scaler.scale(&frame, size.0, size.1)? };
        let (lane, link, interval) = (Arc::clone(&self.lane), self.link.clone(), self.interval);
        self.lane.jobs.put(Job { frame, retouch, preview_only, serial, lane, link, interval });
        Ok(())
    }
}

impl Passage {
    fn fail(&mut self, why: String) {
        if self.state != BeautyState::Failed {
            tracing::warn!(why, "an own picture cannot be filtered");
        }
        (self.state, self.error) = (BeautyState::Failed, Some(why));
    }
}

impl Lane {
    /// The next picture that goes on, waiting for it.
    pub(super) fn next(&self, timeout: Duration) -> Option<Result<VideoFrame, CaptureError>> {
        self.out.wait_take(timeout)
    }

    /// Nobody asks for pictures for a while: those on their way are let go.
    pub(super) fn rest(&self) {
        let mut passage = lock(&self.passage);
        (passage.passed, passage.rested, passage.waiting_since) = (passage.serial, passage.serial, None);
        drop(self.jobs.take());
        drop(self.out.take());
    }

    /// No more will come; said by whoever offered them.
    pub(super) fn close(&self) {
        self.out.close();
        // It would hold on to this lane.
        drop(self.jobs.take());
    }

    pub(super) fn is_starting(&self) -> bool {
        lock(&self.passage).state == BeautyState::Starting
    }
}

impl Job {
    /// It was filtered: on the thread that reads back. `cost` is that of the graphics device.
    pub(super) fn done(&self, filtered: VideoFrame, cost: Duration) {
        lock(&self.link.0.working).took(cost, self.interval);
        {
            let mut figures = lock(&self.link.0.figures);
            let cost_ms = cost.as_secs_f32() * 1e3;
            figures.cost_ms = if figures.filtered == 0 { cost_ms } else { figures.cost_ms * 0.9 + cost_ms * 0.1 };
            figures.filtered += 1;
        }
        let mut passage = lock(&self.lane.passage);
        if passage.state == BeautyState::Off {
            return;
        }
        (passage.state, passage.error, passage.waiting_since) = (BeautyState::On, None, None);
        if self.serial > passage.passed {
            passage.passed = self.serial;
            self.lane.out.put(Ok(filtered));
        }
    }

    /// It cannot be filtered.
    pub(super) fn failed(&self, why: String) {
        let mut passage = lock(&self.lane.passage);
        let matters = !self.preview_only && self.serial > passage.rested;
        if matters && passage.state != BeautyState::Off {
            passage.fail(why);
        }
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
