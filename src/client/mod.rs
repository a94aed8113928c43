//! The call engine: an actor on its own named thread and tokio runtime that logs in, publishes, plays, writes and
//! comes back, and speaks [`crate::bridge`] to the application.
//!
//! - [`Engine`]: the call flow for developers, checked and typed, over the bridge; [`requirements`]: what works here.
//! - `engine`: between calls: waits for a login, dials, refuses what needs a room.
//! - `invitation`: from a link to a login.
//! - `login`: what can be said about a login before dialing: token, URLs.
//! - `link`: one connection to a server: signalling, the peer connection, the data channels.
//! - `call`: one login from first dial to the end, across the links it takes.
//! - `capture_time`: when something was captured, said with its packets.
//! - `publish`: capture and encode threads and the packets they send.
//! - `play`: received tracks: assembly, decoding, sound.
//! - [`guest`]: generated participants; [`headless`]: a call without a room; [`report`]: what a call was like.
//! - `reasons`: what went wrong, in the words and codes of [`crate::model::CallError`].
//!
//! Threads: `NAME` runs the actor and owns the runtime, `NAME-net` are the runtime's workers, `NAME-dec-N` decode,
//! `NAME-cam`/`NAME-mic` (one per published track) capture and encode.

mod call;
mod capture_time;
mod engine;
mod facade;
pub mod guest;
pub mod headless;
mod invitation;
mod link;
mod login;
mod play;
mod publish;
mod reasons;
pub mod report;
pub mod requirements;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::bridge::{EngineHandle, engine_channels};
use crate::media::audio::{AudioError, AudioOutput, Playout};
use crate::model::{CallError, ErrorCode};

pub use facade::{Engine, RoomConfig, User};
pub use invitation::room_of;
pub use stream::{CameraPreset, PublishOptions, ScreenPreset, Stream};

/// How long the runtime may take to end what still runs when the engine stops.
const RUNTIME_SHUTDOWN: Duration = Duration::from_millis(500);
/// Decode threads at most; one decodes some eight 720p pictures at 30 fps in real time.
const MAX_DECODE_THREADS: usize = 4;

/// How an engine runs.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where received sound goes.
    pub audio_output: AudioOutput,
    /// Names the threads and marks the logs.
    pub name: String,
    /// Whether pictures are decoded. Bots need only count packets and frames.
    pub decode: bool,
    /// Whether sound is decoded and played.
    pub play_audio: bool,
}

impl EngineConfig {
    /// An engine that decodes, and plays received sound into nothing: for bots and tests.
    pub fn named(name: impl Into<String>) -> Self {
        Self { audio_output: AudioOutput::Null, name: name.into(), decode: true, play_audio: true }
    }
}

/// Why an engine could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A thread or the runtime could not be started.
    #[error("the call engine cannot start a thread: {0}; close other programs and try again")]
    Thread(#[from] std::io::Error),
    /// Sound output could not be started.
    #[error("the call engine cannot start sound output: {0}")]
    Audio(#[from] AudioError),
}

/// What all calls of one engine share: decoders, sound output and the engine's name.
struct MediaHub {
    name: String,
    decoders: Option<play::DecodePool>,
    playout: Option<Playout>,
    /// Every attempt to dial listens to this until it has ended, so that the engine can wait for those given up.
    dials: watch::Sender<()>,
}

impl MediaHub {
    /// Plays on another loudspeaker from now on.
    ///
    /// # Errors
    /// [`CallError`] when the engine plays no sound at all.
    fn switch_speaker(&self, output: AudioOutput) -> Result<(), CallError> {
        let playout = self.playout.as_ref().ok_or_else(|| {
            CallError::new(ErrorCode::WrongState, "this engine plays no sound: start it with `play_audio`")
        })?;
        playout.switch(output);
        Ok(())
    }
}

/// Starts an engine. It is in no room; send it a login. Dropping the handle leaves the room and ends the engine.
///
/// # Errors
/// [`EngineError`] when a thread, the runtime or the sound output cannot be started.
pub fn start(config: EngineConfig) -> Result<EngineHandle, EngineError> {
    let worker_threads = if config.decode { 2 } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads)
        .thread_name(format!("{}-net", config.name))
        .enable_all()
        .build()?;
    let decoders = if config.decode {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get() / 2).clamp(1, MAX_DECODE_THREADS);
        Some(play::DecodePool::start(&config.name, threads)?)
    } else {
        None
    };
    let (handle, port) = engine_channels();
    let output = config.play_audio.then_some(config.audio_output);
    let playout = output.map(|output| Playout::start_in(port.sound.clone(), output)).transpose()?;
    let hub = Arc::new(MediaHub { name: config.name.clone(), decoders, playout, dials: watch::Sender::new(()) });
    let thread = std::thread::Builder::new().name(config.name).spawn(move || run(runtime, port, hub))?;
    Ok(handle.with_thread(thread))
}

/// The engine's thread.
#[allow(clippy::disallowed_methods, reason = "this is the one thread that owns the engine's runtime")]
fn run(runtime: tokio::runtime::Runtime, port: crate::bridge::EnginePort, hub: Arc<MediaHub>) {
    runtime.block_on(engine::run(port, hub));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
}
