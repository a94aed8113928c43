//! Between calls: waits for a login or an invitation, dials its servers in order, and refuses what needs a room. Runs on
//! the engine's thread, which it never blocks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use super::MediaHub;
use super::call::{Call, CallEnd};
use super::link::{Dialed, dial};
use super::{invitation, login, reasons};
use crate::bridge::{COMMAND_CAPACITY, EnginePort, Entry, LoginRequest, RoomCommand, RoomEvent, SessionId};
use crate::model::{CallError, ErrorCode, RoomState, RoomStateReason};

/// An attempt to dial that was given up may take this long to end when the engine ends.
const DIALS_END: Duration = Duration::from_millis(1500);

/// What the engine does after a call.
enum Next {
    /// Wait for a command.
    Idle,
    /// Enter another room.
    Enter(Entry),
    /// End.
    Stop,
}

/// Serves the application until it lets its handle go.
pub(super) async fn run(port: EnginePort, hub: Arc<MediaHub>) {
    let mut engine = Engine { port, hub, session: SessionId(0), waiting: VecDeque::new() };
    let mut next = Next::Idle;
    loop {
        next = match next {
            Next::Idle => match engine.port.commands.recv().await {
                Some(RoomCommand::Login(request)) => Next::Enter(Entry::Login(request)),
                Some(RoomCommand::AcceptInvitation(request)) => Next::Enter(Entry::Invitation(request)),
                Some(command) => {
                    engine.refuse(command).await;
                    Next::Idle
                }
                None => Next::Stop,
            },
            Next::Enter(entry) => Box::pin(engine.enter(entry)).await,
            Next::Stop => break,
        };
    }
    if timeout(DIALS_END, engine.hub.dials.closed()).await.is_err() {
        tracing::debug!("an attempt to dial goes on; it ends with the engine");
    }
}

struct Engine {
    port: EnginePort,
    hub: Arc<MediaHub>,
    session: SessionId,
    /// Commands that came while dialing; carried out in order once in the room.
    waiting: VecDeque<RoomCommand>,
}

impl Engine {
    /// One login, to its end.
    async fn enter(&mut self, entry: Entry) -> Next {
        self.session = SessionId(self.session.0 + 1);
        self.state(RoomState::Connecting, RoomStateReason::LoggingIn, None).await;
        let arrived = {
            let hub = Arc::clone(&self.hub);
            let mut arriving = Box::pin(arrive(&hub, entry));
            loop {
                tokio::select! {
                    // A login that is wrong fails before anything else is looked at.
                    biased;
                    result = &mut arriving => break result,
                    command = self.port.commands.recv() => match command {
                        None => return Next::Stop,
                        Some(RoomCommand::Logout) => return self.left(Next::Idle).await,
                        Some(RoomCommand::Login(other)) => return self.left(Next::Enter(Entry::Login(other))).await,
                        Some(RoomCommand::AcceptInvitation(other)) => {
                            return self.left(Next::Enter(Entry::Invitation(other))).await;
                        }
                        Some(other) if self.waiting.len() < COMMAND_CAPACITY => self.waiting.push_back(other),
                        Some(other) => refuse(&self.port, self.session, other).await,
                    },
                }
            }
        };
        let (dialed, request) = match arrived {
            Ok(arrived) => arrived,
            Err(error) => return self.failed(error).await,
        };
        let waiting = std::mem::take(&mut self.waiting);
        let call = Call::new(&mut self.port, Arc::clone(&self.hub), self.session, request);
        match Box::pin(call.run(dialed, waiting)).await {
            CallEnd::Left => Next::Idle,
            CallEnd::Enter(other) => Next::Enter(other),
            CallEnd::Stopped => Next::Stop,
        }
    }

    async fn failed(&mut self, error: CallError) -> Next {
        tracing::warn!(session = self.session.0, %error, "login failed");
        self.state(RoomState::Disconnected, RoomStateReason::LoginFailed, Some(error)).await;
        self.refuse_waiting().await;
        Next::Idle
    }

    async fn left(&mut self, next: Next) -> Next {
        self.state(RoomState::Disconnected, RoomStateReason::LoggedOut, None).await;
        self.refuse_waiting().await;
        next
    }

    async fn refuse_waiting(&mut self) {
        for command in std::mem::take(&mut self.waiting) {
            self.refuse(command).await;
        }
    }

    /// What can be done without a room is done; the rest needs one.
    async fn refuse(&self, command: RoomCommand) {
        match command {
            RoomCommand::SwitchSpeaker(output) => {
                if let Err(error) = self.hub.switch_speaker(output) {
                    self.port.tell(self.session, RoomEvent::CommandFailed(error)).await;
                }
            }
            command => refuse(&self.port, self.session, command).await,
        }
    }

    async fn state(&self, state: RoomState, reason: RoomStateReason, error: Option<CallError>) {
        self.port.tell(self.session, RoomEvent::StateChanged { state, reason, error, me: None }).await;
    }
}

/// Says that a command needs a room; leaving without one is no fault.
async fn refuse(port: &EnginePort, session: SessionId, command: RoomCommand) {
    let error = CallError::new(ErrorCode::WrongState, "you are in no room: log in first");
    if !matches!(command, RoomCommand::Logout) {
        port.tell(session, RoomEvent::refused(command, error)).await;
    }
}

/// From a way in to a link that stands, and the login that it took.
///
/// # Errors
/// The [`CallError`] that says what is wrong with the request, or why nobody took us.
async fn arrive(hub: &MediaHub, entry: Entry) -> Result<(Dialed, LoginRequest), CallError> {
    let request = match entry {
        Entry::Login(request) => request,
        Entry::Invitation(request) => Box::pin(invitation::accept(request)).await?,
    };
    login::check(&request)?;
    let dialed = dial_any(hub, &request, &request.token).await?;
    Ok((dialed, request))
}

/// Dials the servers in order until one takes us, or one says that none will.
///
/// # Errors
/// The last server's [`CallError`].
pub(super) async fn dial_any(hub: &MediaHub, request: &LoginRequest, token: &str) -> Result<Dialed, CallError> {
    let mut last = CallError::new(ErrorCode::ConnectFailed, "no server address was given");
    for server in &request.servers {
        match Box::pin(dial(server, token, request.auto_play, hub.dials.subscribe())).await {
            Ok(dialed) => return Ok(dialed),
            Err(error) => {
                tracing::info!(%server, %error, "a server was not reached");
                last = login::explain(error, token, unix_now().as_secs());
            }
        }
        if !reasons::may_retry(&last) {
            break;
        }
    }
    Err(last)
}

/// Time since 1970; zero on a clock before that.
pub(super) fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
