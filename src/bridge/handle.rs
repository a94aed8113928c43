//! The two ends of the bridge: [`EngineHandle`] for the application, [`EnginePort`] for the engine (or its stand-in).

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::command::RoomCommand;
use super::event::{EventEnvelope, RoomEvent, SessionId};
use super::poses::PoseBoard;
use crate::media::audio::SoundSceneCell;
use crate::model::quality::EngineSnapshot;
use crate::model::sound::SoundScene;
use crate::model::{CallError, ErrorCode};

/// Commands that may wait for the engine; one more is refused with [`CommandError::Full`].
pub const COMMAND_CAPACITY: usize = 64;
/// Events that may wait for the application; the engine waits when they are not read.
pub const EVENT_CAPACITY: usize = 256;

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The engine is behind.
    #[error("the call engine is busy: try again in a moment")]
    Full,
    /// The engine has ended.
    #[error("the call engine has stopped: start it again")]
    Stopped,
}

impl From<CommandError> for CallError {
    fn from(error: CommandError) -> Self {
        Self::new(ErrorCode::WrongState, error.to_string())
    }
}

/// The newest figures: written by the engine, read by whoever wants them.
#[derive(Clone, Debug, Default)]
pub struct SnapshotCell(Arc<Mutex<Arc<EngineSnapshot>>>);

impl SnapshotCell {
    /// Replaces the figures.
    pub fn store(&self, snapshot: EngineSnapshot) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// The newest figures.
    pub fn load(&self) -> Arc<EngineSnapshot> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The application's end. Dropping it makes the engine leave the room and waits for its thread, which ends within a
/// bounded time.
#[derive(Debug)]
pub struct EngineHandle {
    commands: Option<mpsc::Sender<RoomCommand>>,
    events: mpsc::Receiver<EventEnvelope>,
    snapshot: SnapshotCell,
    poses: PoseBoard,
    sound: SoundSceneCell,
    thread: Option<JoinHandle<()>>,
}

/// The engine's end.
#[derive(Debug)]
pub struct EnginePort {
    /// What is asked; closed when the application lets its handle go.
    pub commands: mpsc::Receiver<RoomCommand>,
    /// What is told; sending waits while the application is behind.
    pub events: mpsc::Sender<EventEnvelope>,
    /// The newest figures.
    pub snapshot: SnapshotCell,
    /// Where everyone is.
    pub poses: PoseBoard,
    /// Where voices are to be heard from, and by whom.
    pub sound: SoundSceneCell,
}

/// Both ends of a fresh bridge.
pub fn engine_channels() -> (EngineHandle, EnginePort) {
    let (command_tx, command_rx) = mpsc::channel(COMMAND_CAPACITY);
    let (event_tx, event_rx) = mpsc::channel(EVENT_CAPACITY);
    let (snapshot, poses, sound) = (SnapshotCell::default(), PoseBoard::default(), SoundSceneCell::default());
    let handle = EngineHandle {
        commands: Some(command_tx),
        events: event_rx,
        snapshot: snapshot.clone(),
        poses: poses.clone(),
        sound: sound.clone(),
        thread: None,
    };
    (handle, EnginePort { commands: command_rx, events: event_tx, snapshot, poses, sound })
}

impl EngineHandle {
    /// Hands over the engine's thread, to be waited for on drop.
    pub fn with_thread(mut self, thread: JoinHandle<()>) -> Self {
        self.thread = Some(thread);
        self
    }

    /// Asks for something, without waiting.
    ///
    /// # Errors
    /// [`CommandError`] when the engine is behind or gone; nothing was asked then.
    pub fn send(&self, command: RoomCommand) -> Result<(), CommandError> {
        let Some(commands) = &self.commands else { return Err(CommandError::Stopped) };
        commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Full,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopped,
        })
    }

    /// The next event, without waiting; `None` when there is none now.
    pub fn try_event(&mut self) -> Option<EventEnvelope> {
        self.events.try_recv().ok()
    }

    /// The next event, waiting for it; `None` when the engine has ended. For programs without a frame loop.
    pub async fn event(&mut self) -> Option<EventEnvelope> {
        self.events.recv().await
    }

    /// The newest figures.
    pub fn snapshot(&self) -> Arc<EngineSnapshot> {
        self.snapshot.load()
    }

    /// Where everyone is, this client included.
    pub fn poses(&self) -> &PoseBoard {
        &self.poses
    }

    /// Says where voices are to be heard from, and by whom, until the next scene; without one, all are heard alike in
    /// both ears. What is out of bounds is made harmless ([`SoundScene::made_harmless`]).
    pub fn publish_sound(&self, scene: SoundScene) {
        self.sound.publish(scene);
    }
}

impl Drop for EngineHandle {
    fn drop(&mut self) {
        // Closing both channels tells the engine to leave, and frees it when it waits for room for an event.
        self.commands = None;
        self.events.close();
        while self.events.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the call engine's thread panicked");
        }
    }
}

impl EnginePort {
    /// Tells an event; waits while the application is behind. `false` when the application is gone.
    pub async fn tell(&self, session: SessionId, event: RoomEvent) -> bool {
        self.events.send(EventEnvelope { session, event }).await.is_ok()
    }
}
