//! A call without a room to look at: bots, measurements and machines without a GPU. Runs on the caller's thread,
//! which calls [`HeadlessCall::tick`] often. [`Watch`] puts such a call into words.

mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::report::{Expectations, Recorder, Report};
use super::room_of;
use crate::bridge::{CommandError, EngineHandle, Entry, PublishRequest, RoomCommand, RoomEvent, VideoFeed};
use crate::media::capture::stamp::unix_now_ms;
use crate::model::quality::EngineSnapshot;
use crate::model::{RoomState, RoomStateReason, StreamId};

pub use watch::Watch;

/// How often to call [`HeadlessCall::tick`]: a frame is taken at most this long after it was decoded.
pub const TICK_EVERY: Duration = Duration::from_millis(4);
/// How often the engine's figures are read: those of a stream that ends go with it.
const FIGURES_EVERY: Duration = Duration::from_millis(250);
/// How long leaving may take before the call is let go anyway.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// A call whose pictures are taken and counted, and shown to nobody.
#[derive(Debug)]
pub struct HeadlessCall {
    engine: EngineHandle,
    publications: Vec<PublishRequest>,
    own_streams: usize,
    feeds: BTreeMap<StreamId, VideoFeed>,
    recorder: Recorder,
    figures_read: Instant,
    ended: bool,
}

impl HeadlessCall {
    /// Enters a room; the streams are published once inside.
    ///
    /// # Errors
    /// [`CommandError`] when the engine has ended already.
    pub fn start(
        engine: EngineHandle,
        entry: impl Into<Entry>,
        publications: Vec<PublishRequest>,
    ) -> Result<Self, CommandError> {
        let entry = entry.into();
        let recorder = Recorder::new(room_of(&entry).map_or_else(String::new, String::from));
        engine.send(entry.into_command())?;
        let own_streams = publications.len();
        let figures_read = Instant::now();
        Ok(Self { engine, publications, own_streams, feeds: BTreeMap::new(), recorder, figures_read, ended: false })
    }

    /// Reads events and frames; `false` once the call has ended for good.
    pub fn tick(&mut self) -> bool {
        self.tick_with(|_, _| ())
    }

    /// As [`Self::tick`]; `told` hears every event first, with the engine to answer it.
    pub fn tick_with(&mut self, mut told: impl FnMut(&RoomEvent, &EngineHandle)) -> bool {
        while let Some(envelope) = self.engine.try_event() {
            told(&envelope.event, &self.engine);
            self.recorder.on_event(&envelope.event);
            self.on_event(envelope.event);
        }
        if self.figures_read.elapsed() >= FIGURES_EVERY {
            self.figures_read = Instant::now();
            self.recorder.on_snapshot(&self.engine.snapshot());
        }
        let now_ms = unix_now_ms();
        for (stream, feed) in &self.feeds {
            if let Some(frame) = feed.take() {
                self.recorder.on_frame_presented(stream, &frame, now_ms);
            }
        }
        !self.ended
    }

    /// The engine's newest figures.
    pub fn snapshot(&self) -> Arc<EngineSnapshot> {
        self.engine.snapshot()
    }

    /// Leaves the room and says how the call went.
    pub fn finish(self, remote_videos: usize) -> Report {
        self.finish_with(remote_videos, |_, _| ())
    }

    /// As [`Self::finish`]; `told` hears what is told on the way out.
    pub fn finish_with(mut self, remote_videos: usize, mut told: impl FnMut(&RoomEvent, &EngineHandle)) -> Report {
        self.recorder.on_snapshot(&self.engine.snapshot());
        let expected = Expectations { remote_videos, own_streams: self.own_streams, rendered: false };
        let report = self.recorder.report(expected);
        if !self.ended
            && let Ok(()) = self.engine.send(RoomCommand::Logout)
        {
            let asked = Instant::now();
            while self.tick_with(&mut told) && asked.elapsed() < LEAVE_WITHIN {
                std::thread::sleep(TICK_EVERY);
            }
        }
        report
    }

    fn on_event(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::StateChanged { state: RoomState::Connected, .. } => {
                for publication in self.publications.drain(..) {
                    if let Err(error) = self.engine.send(RoomCommand::PublishStream(publication)) {
                        tracing::error!(%error, "a stream was not published");
                    }
                }
            }
            RoomEvent::StateChanged { state: RoomState::Disconnected, reason, .. } => {
                self.ended = reason != RoomStateReason::LoggingIn;
            }
            RoomEvent::VideoFeedOpened { stream, feed } => {
                self.feeds.insert(stream, feed);
            }
            RoomEvent::StreamRemoved { stream, .. } => {
                self.feeds.remove(&stream);
            }
            _ => {}
        }
    }
}
