//! Own tracks: a named capture and encode thread each, and the tasks that send their packets.

mod audio;
mod counters;
mod gate;
mod governor;
mod layer;
mod layers;
mod muted_speech;
mod pump;
mod rates;
mod rest;
mod sound_clock;
mod sound_gate;
mod sound_plan;
mod stall;
mod timeline;
mod video;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::bridge::{AudioOptions, VideoFeed, VideoOptions};
use crate::media::audio::EchoReference;
use crate::media::{AudioSource, VideoSource};
use crate::model::{CallError, DeviceState, DeviceUse, ErrorCode, MediaKind, StreamId, StreamKind};

pub(super) use counters::PictureCounts;
pub(super) use gate::{Gate, PictureSink, SEND_QUEUE, Sink};
pub(super) use layers::{Layers, MAX_LAYERS};
pub(super) use pump::{hear_requests, send};
pub(super) use rates::{Claim, share_out};

/// What a capture thread says of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceWord {
    /// The device behind it does well, or does not for now.
    State(DeviceState),
    /// Another device is behind it, or none.
    Device(DeviceUse),
    /// There is no more: the thread ended.
    Finished,
    /// It broke for good: the thread ended.
    Failed(CallError),
}

/// What happened to a source by itself.
#[derive(Debug)]
pub(super) struct SourceNews {
    /// Whose.
    pub(super) stream: StreamId,
    /// Which.
    pub(super) media: MediaKind,
    /// Which publication of that id, as ids are used again.
    pub(super) serial: u64,
    /// What.
    pub(super) word: SourceWord,
}

/// Tells the actor, from a capture thread, what became of the source.
#[derive(Clone)]
pub(super) struct SourceReport {
    pub(super) stream: StreamId,
    pub(super) media: MediaKind,
    pub(super) serial: u64,
    pub(super) to: mpsc::Sender<SourceNews>,
}

impl SourceReport {
    /// Tells how the device is doing, when that is news.
    fn say_state(&self, known: &mut DeviceState, now: DeviceState) {
        if *known != now {
            *known = now;
            self.say(SourceWord::State(now));
        }
    }

    /// Waits while the actor is busy; silent when it is gone.
    fn say(&self, word: SourceWord) {
        let (stream, media, serial) = (self.stream.clone(), self.media, self.serial);
        if self.to.blocking_send(SourceNews { stream, media, serial, word }).is_err() {
            tracing::debug!("a source spoke after the call");
        }
    }
}

/// A source that waits for the capture thread of its track, which takes it in place of the one it has.
#[derive(Debug)]
pub(super) struct SourceSlot<S: ?Sized>(Arc<Mutex<Option<Box<S>>>>);

impl<S: ?Sized> Clone for SourceSlot<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: ?Sized> Default for SourceSlot<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S: ?Sized> SourceSlot<S> {
    /// Leaves a source; one that still waited is dropped.
    pub(super) fn put(&self, source: Box<S>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// The source that waits.
    fn take(&self) -> Option<Box<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Where a fresh source for a track is left.
#[derive(Clone, Debug)]
pub(super) enum SourceSwitch {
    /// The track is a picture.
    Video(SourceSlot<dyn VideoSource>),
    /// The track is sound.
    Audio(SourceSlot<dyn AudioSource>),
}

/// Starts the capture thread of a picture; gives the feed its frames show up in.
pub(super) fn start_video(
    engine: &str,
    source: Box<dyn VideoSource>,
    options: VideoOptions,
    kind: StreamKind,
    gate: Arc<Gate>,
    slot: SourceSlot<dyn VideoSource>,
    report: SourceReport,
) -> io::Result<VideoFeed> {
    let preview = VideoFeed::default();
    let thread = video::VideoThread { source, options, kind, gate, slot, preview: preview.clone(), report };
    let (report, shown) = (thread.report.clone(), preview.clone());
    std::thread::Builder::new().name(format!("{engine}-cam")).spawn(move || {
        contained(&report, || thread.run());
        shown.close();
    })?;
    Ok(preview)
}

/// Starts the capture thread of a sound; `reference` is what the loudspeaker plays, for the echo canceller.
pub(super) fn start_audio(
    engine: &str,
    source: Box<dyn AudioSource>,
    options: AudioOptions,
    reference: Option<EchoReference>,
    gate: Arc<Gate>,
    slot: SourceSlot<dyn AudioSource>,
    report: SourceReport,
) -> io::Result<()> {
    let thread = audio::AudioThread { source, options, reference, gate, slot, report };
    let report = thread.report.clone();
    std::thread::Builder::new().name(format!("{engine}-mic")).spawn(move || contained(&report, || thread.run()))?;
    Ok(())
}

/// Runs a capture thread; a source that panics, perhaps a developer's own, ends its track and nothing else.
fn contained(report: &SourceReport, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        let message = format!("the source of {} broke (it panicked): publish another one", report.stream);
        report.say(SourceWord::Failed(CallError::new(ErrorCode::CaptureFailed, message)));
    }
}
