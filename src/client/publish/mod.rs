//! Own tracks: a named capture and encode thread each, and the tasks that send their packets.

mod audio;
mod gate;
mod pump;
mod video;

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::bridge::{VideoFeed, VideoOptions};
use crate::media::{AudioSource, VideoSource};
use crate::model::{CallError, MediaKind, StreamId, StreamKind};

pub(super) use gate::{Gate, SEND_QUEUE, Sink};
pub(super) use pump::{hear_requests, send};

/// How a source ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceEnd {
    /// There is no more.
    Finished,
    /// It broke.
    Failed(CallError),
}

/// A source that ended by itself.
#[derive(Debug)]
pub(super) struct SourceEnded {
    /// Whose.
    pub(super) stream: StreamId,
    /// Which.
    pub(super) media: MediaKind,
    /// Which publication of that id, as ids are used again.
    pub(super) serial: u64,
    /// How.
    pub(super) end: SourceEnd,
}

/// Tells the actor, from a capture thread, that the source ended.
pub(super) struct SourceReport {
    pub(super) stream: StreamId,
    pub(super) media: MediaKind,
    pub(super) serial: u64,
    pub(super) to: mpsc::Sender<SourceEnded>,
}

impl SourceReport {
    /// Waits while the actor is busy; silent when it is gone.
    fn send(self, end: SourceEnd) {
        let Self { stream, media, serial, to } = self;
        if to.blocking_send(SourceEnded { stream, media, serial, end }).is_err() {
            tracing::debug!("a source ended after the call");
        }
    }
}

/// Starts the capture thread of a picture; gives the feed its frames show up in.
pub(super) fn start_video(
    engine: &str,
    source: Box<dyn VideoSource>,
    options: VideoOptions,
    kind: StreamKind,
    gate: Arc<Gate>,
    report: SourceReport,
) -> io::Result<VideoFeed> {
    let preview = VideoFeed::default();
    gate.set_bitrate(options.max_bitrate_bps);
    let thread = video::VideoThread { source, options, kind, gate, preview: preview.clone(), report };
    std::thread::Builder::new().name(format!("{engine}-cam")).spawn(move || thread.run())?;
    Ok(preview)
}

/// Starts the capture thread of a sound.
pub(super) fn start_audio(
    engine: &str,
    source: Box<dyn AudioSource>,
    gate: Arc<Gate>,
    report: SourceReport,
) -> io::Result<()> {
    let thread = audio::AudioThread { source, gate, report };
    std::thread::Builder::new().name(format!("{engine}-mic")).spawn(move || thread.run())?;
    Ok(())
}
