//! Signalling: one actor that owns every room. Messages come from WebSockets and from the media thread; what it decides
//! goes out through outboxes and [`MediaCommand`]s. Handlers are synchronous state transitions: nothing here waits except
//! for the next message and for the media thread to take its commands.

mod admin;
mod audience;
mod dynacast;
mod join;
mod missed;
mod participant;
mod publish;
mod refresh;
mod requests;
mod resume;
mod room;
mod speakers;
mod subscribe;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use livekit_protocol::{DisconnectReason, signal_request};
use tokio::sync::{mpsc, oneshot};

use super::admin::{AdminAnswer, AdminAsk, AdminError, Caller};
use super::admission::{Admission, Refusal};
use super::config::{ApiKey, ServerLimits};
use super::counters::Counters;
use super::media::{MediaCommand, MediaEvent, MediaHandle, PeerId, RoomKey, TrackId};
use super::outbox::Outbox;
use crate::model::RoomId;
use participant::Participant;
use room::Room;

/// Messages from WebSockets that may wait for the hub: then their readers wait, too.
pub(crate) const MESSAGES_TO_HUB: usize = 1024;
/// How often the hub looks for clients that are gone, and for offers that wait.
const SWEEP: Duration = Duration::from_millis(500);
/// How long the hub waits for a media thread whose queue is full.
const MEDIA_RETRY: Duration = Duration::from_millis(1);

/// A participant's WebSocket: a participant that comes back gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) peer: PeerId,
    socket: u64,
}

/// A client that wants in.
pub(crate) struct JoinAsk {
    pub(crate) admission: Admission,
    pub(crate) outbox: Outbox,
    pub(crate) reply: oneshot::Sender<Result<Seat, Refusal>>,
}

/// What WebSockets tell the hub.
pub(crate) enum HubMessage {
    /// A client wants in.
    Join(Box<JoinAsk>),
    /// A client asks whether it would be let in.
    Ask { admission: Box<Admission>, reply: oneshot::Sender<Result<(), Refusal>> },
    /// A client asks for something.
    Signal { seat: Seat, message: Box<signal_request::Message> },
    /// A client's WebSocket ended.
    SocketClosed { seat: Seat },
    /// Somebody has a link: when were the room's made anew?
    LinksMade { room: RoomId, reply: oneshot::Sender<u32> },
    /// An administrator asks for something.
    Admin { ask: Box<AdminAsk>, by: Caller, reply: oneshot::Sender<Result<AdminAnswer, AdminError>> },
    /// The server stops: say goodbye with this reason and answer when done.
    Stop { reason: DisconnectReason, done: oneshot::Sender<()> },
}

/// The actor's state.
pub(crate) struct Hub {
    limits: ServerLimits,
    /// Sign fresh tokens.
    keys: Vec<ApiKey>,
    /// Makes links; `None` when there are none.
    link_secret: Option<String>,
    counters: Arc<Counters>,
    media: MediaHandle,
    /// Commands to hand over when the current message is dealt with.
    commands: Vec<MediaCommand>,
    rooms: HashMap<RoomKey, Room>,
    keys_by_name: HashMap<String, RoomKey>,
    participants: HashMap<PeerId, Participant>,
    /// Every announced track and who announced it, by session id.
    tracks_by_sid: HashMap<String, (PeerId, TrackId)>,
    /// Pictures of which receivers may want something else by now.
    wished: BTreeSet<TrackId>,
    next_id: u64,
}

impl Hub {
    pub(crate) fn new(
        limits: ServerLimits,
        keys: Vec<ApiKey>,
        link_secret: Option<String>,
        counters: Arc<Counters>,
        media: MediaHandle,
    ) -> Self {
        Self {
            limits,
            keys,
            link_secret,
            counters,
            media,
            commands: Vec::new(),
            rooms: HashMap::new(),
            keys_by_name: HashMap::new(),
            participants: HashMap::new(),
            tracks_by_sid: HashMap::new(),
            wished: BTreeSet::new(),
            next_id: 1,
        }
    }

    /// Runs until told to stop.
    pub(crate) async fn run(
        mut self,
        mut messages: mpsc::Receiver<HubMessage>,
        mut events: mpsc::Receiver<MediaEvent>,
    ) {
        let mut sweep = tokio::time::interval(SWEEP);
        let (reason, stopped) = loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(HubMessage::Stop { reason, done }) => break (reason, Some(done)),
                    Some(message) => self.on_message(message),
                    None => break (DisconnectReason::ServerShutdown, None),
                },
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => break (DisconnectReason::ServerShutdown, None),
                },
                _ = sweep.tick() => {
                    let now = Instant::now();
                    self.sweep(now);
                    self.take_held_offers(now);
                    self.take_held_audiences(now);
                    self.forget_unkept_promises(now);
                    self.refresh_tokens(now);
                    self.tell_fewer(now);
                    self.close_empty_rooms(now);
                }
            }
            if !self.wished.is_empty() {
                self.tell_wishes(Instant::now());
            }
            self.flush().await;
            self.counters.rooms.set(self.rooms.len() as u64);
            self.counters.participants.set(self.participants.len() as u64);
        };
        self.stop(reason);
        if let Some(done) = stopped
            && done.send(()).is_err()
        {
            tracing::debug!("nobody waits for the hub's end");
        }
    }

    /// Hands the collected commands to the media thread; waits while its queue is full, which it always drains.
    async fn flush(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        for mut command in std::mem::take(&mut self.commands) {
            while let Err(back) = self.media.send(command) {
                command = back;
                tokio::time::sleep(MEDIA_RETRY).await;
            }
        }
        self.media.wake();
    }

    fn on_message(&mut self, message: HubMessage) {
        match message {
            HubMessage::Join(ask) => self.join(*ask),
            HubMessage::Ask { admission, reply } => {
                if reply.send(self.would_admit(&admission)).is_err() {
                    tracing::debug!("a client that asked was gone before its answer");
                }
            }
            // What an earlier WebSocket still brings was said before its client came back.
            HubMessage::Signal { seat, message } if self.is_seated(seat) => self.on_request(seat.peer, *message),
            HubMessage::SocketClosed { seat } if self.is_seated(seat) => self.unseat(seat.peer, Instant::now()),
            HubMessage::Signal { .. } | HubMessage::SocketClosed { .. } => {}
            HubMessage::LinksMade { room, reply } => {
                let room = self.keys_by_name.get(room.as_str()).and_then(|key| self.rooms.get(key));
                if reply.send(room.map_or(0, Room::links_made_secs)).is_err() {
                    tracing::debug!("who had a link was gone before the answer");
                }
            }
            HubMessage::Admin { ask, by, reply } => {
                if reply.send(self.admin(*ask, &by)).is_err() {
                    tracing::debug!("an administrator did not wait for the answer");
                }
            }
            HubMessage::Stop { .. } => {}
        }
    }

    fn on_event(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Answered { peer, id, sdp, mids, published } => self.answered(peer, id, sdp, mids, &published),
            MediaEvent::Refused { peer, reason, published } => self.description_refused(peer, &reason, &published),
            MediaEvent::Offer { peer, id, sdp, mids } => self.offer_made(peer, id, sdp, mids),
            MediaEvent::SectionsNeeded { peer, audios, videos } => self.sections_needed(peer, audios, videos),
            MediaEvent::Connected { peer } => self.connected(peer),
            MediaEvent::Closed { peer } => self.closed(peer),
            MediaEvent::Lost { peer, reason } => self.lost(peer, reason),
            MediaEvent::Silent { peer } => self.fell_silent(peer, Instant::now()),
            MediaEvent::Heard { peer } => self.heard_again(peer),
            MediaEvent::Bound { peer, track } => self.bound(peer, track),
            MediaEvent::Levels(levels) => self.levels(&levels),
            MediaEvent::Unsupported { peer, track } => self.unsupported(peer, track),
            MediaEvent::StreamStates { peer, states } => self.stream_states(peer, states),
            MediaEvent::Quality { peer, figures } => self.quality(peer, &figures),
        }
    }

    fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Whether this is the WebSocket the participant has now.
    fn is_seated(&self, seat: Seat) -> bool {
        self.participants.get(&seat.peer).is_some_and(|participant| participant.socket == seat.socket)
    }

    fn new_track_id(&mut self) -> TrackId {
        TrackId(self.next_id())
    }
}

/// A session id as LiveKit's: a prefix and twelve letters and digits.
fn new_sid(prefix: &str) -> String {
    use rand::Rng;
    use rand::distr::Alphanumeric;
    let random = rand::rng().sample_iter(Alphanumeric).take(12).map(char::from);
    prefix.chars().chain(random).collect()
}

/// Unix time in ms.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
