//! One login, from the first link to the end: who is here, what is published and played, and coming back when the
//! link breaks. Runs on the engine's thread; one command, signal or event is handled at a time.
//!
//! Invariants: what is published or played outlives a link and is taken up again on the next; every stream told added
//! is told removed; the end is told once.

mod attributes;
mod commands;
mod messages;
mod notes;
mod own_track;
mod playing;
mod poses;
mod publishing;
mod quality;
mod rates;
mod reconnect;
mod recovery;
mod room_notes;
mod room_service;
mod signals;
mod sizes;
mod snapshot;
mod sound_rates;
mod speaker;
mod token;

pub(super) use self::notes::check_extra_info;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use webrtc::peer_connection::RTCPeerConnectionState;

use self::attributes::Attributes;
use self::messages::Messages;
use self::notes::Notes;
use self::playing::{Played, Remote, Wishes};
use self::poses::Poses;
use self::publishing::Publication;
use self::reconnect::{RollCall, Trouble};
use self::recovery::Recovery;
use self::room_notes::RoomNotes;
use self::room_service::RoomService;
use self::snapshot::Levels;
use self::token::CallToken;
use super::MediaHub;
use super::link::{Dialed, Inbound, Link, Network, PeerEvent, ReturnError, Signal, Upset};
use super::publish::SourceNews;
use super::reasons;
use crate::bridge::{EnginePort, Entry, LoginRequest, RoomCommand, RoomEvent, SessionId};
use crate::model::{CallError, DeviceUse, RoomState, RoomStateReason, StreamId, UserInfo, VideoCodec};
use crate::protocol::convert;
use crate::protocol::roster::Roster;

/// How often figures are refreshed, rates adapted and deadlines looked at: sound levels are told every 100 ms.
const TICK: Duration = Duration::from_millis(100);
/// News of sources that wait to be noticed; their threads wait with them.
const SOURCE_NEWS_CAPACITY: usize = 16;

/// How a call ended.
pub(super) enum CallEnd {
    /// In no room now; the application was told why.
    Left,
    /// The application wants another room.
    Enter(Entry),
    /// The application is gone.
    Stopped,
}

/// Why a link is no longer used.
enum LinkEnd {
    /// The user or the application leaves.
    Leave(CallEnd),
    /// The connection broke.
    Lost(String),
    /// The server ended the session for good.
    Ended(CallError),
}

/// What to do after one step.
type Flow = Result<(), LinkEnd>;

/// See the module.
pub(super) struct Call<'a> {
    port: &'a mut EnginePort,
    hub: Arc<MediaHub>,
    session: SessionId,
    request: LoginRequest,
    me: Option<UserInfo>,
    roster: Roster,
    own: BTreeMap<StreamId, Publication>,
    played: BTreeMap<StreamId, Played>,
    /// Streams that are not played for want of room, in order.
    waiting: VecDeque<StreamId>,
    /// Streams that ended a moment ago.
    ended: VecDeque<StreamId>,
    /// What was played on the link before.
    wishes: Option<Wishes>,
    /// Remote tracks of the present link, by the server's id.
    remotes: HashMap<String, Remote>,
    messages: Messages,
    notes: Notes,
    room_notes: RoomNotes,
    room_service: Option<RoomService>,
    attributes: Attributes,
    poses: Poses,
    token: CallToken,
    levels: Levels,
    /// The loudspeaker as it was last told.
    speaker: DeviceUse,
    source_news: mpsc::Receiver<SourceNews>,
    source_teller: mpsc::Sender<SourceNews>,
    next_serial: u64,
    /// The link is being taken up again.
    recovery: Option<Recovery>,
    /// The way of the media broke, too.
    way_broke: bool,
    /// The link is back, and the server names who is here.
    roll_call: Option<RollCall>,
    /// Under what packets of the present link say when they were captured.
    capture_extension: Option<u8>,
    /// What the server takes of us; empty when it does not say.
    publish_codecs: Vec<VideoCodec>,
}

enum Step {
    Command(Option<RoomCommand>),
    Signal(Signal),
    Peer(Option<PeerEvent>),
    Data(Option<Box<Inbound>>),
    Source(SourceNews),
    Pose,
    Returned(Result<livekit_protocol::ReconnectResponse, ReturnError>),
    Tick,
}

impl<'a> Call<'a> {
    /// A call that has a link but has not begun.
    pub(super) fn new(port: &'a mut EnginePort, hub: Arc<MediaHub>, session: SessionId, request: LoginRequest) -> Self {
        let (source_teller, source_news) = mpsc::channel(SOURCE_NEWS_CAPACITY);
        let poses = Poses::new(port.poses.clone());
        Self {
            port,
            hub,
            session,
            request,
            me: None,
            roster: Roster::default(),
            own: BTreeMap::new(),
            played: BTreeMap::new(),
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            wishes: None,
            remotes: HashMap::new(),
            messages: Messages::default(),
            notes: Notes::default(),
            room_notes: RoomNotes::default(),
            room_service: None,
            attributes: Attributes::default(),
            poses,
            token: CallToken::default(),
            levels: Levels::default(),
            speaker: DeviceUse::default(),
            source_news,
            source_teller,
            next_serial: 1,
            recovery: None,
            way_broke: false,
            roll_call: None,
            capture_extension: None,
            publish_codecs: Vec::new(),
        }
    }

    /// Runs the call to its end. `waiting` are commands that came while dialing.
    pub(super) async fn run(mut self, dialed: Dialed, waiting: VecDeque<RoomCommand>) -> CallEnd {
        let mut reason = RoomStateReason::LoggedIn;
        let mut waiting = waiting;
        let mut dialed = dialed;
        loop {
            let Dialed { mut link, join } = dialed;
            let end = match self.begin(&mut link, join, reason, std::mem::take(&mut waiting)).await {
                Ok(()) => self.serve(&mut link).await,
                Err(end) => end,
            };
            self.unlink();
            let why = match end {
                LinkEnd::Leave(end) => {
                    let told = link.leave().await;
                    self.finish(if told { RoomStateReason::LoggedOut } else { RoomStateReason::LogoutFailed }, None)
                        .await;
                    return end;
                }
                LinkEnd::Ended(error) => {
                    link.close().await;
                    self.finish(RoomStateReason::KickedOut, Some(error)).await;
                    return CallEnd::Left;
                }
                LinkEnd::Lost(why) => why,
            };
            let token = link.token();
            link.close().await;
            match Box::pin(self.come_back(&why, token)).await {
                Ok((next, commands)) => {
                    dialed = next;
                    waiting = commands;
                }
                Err(end) => return end,
            }
            reason = RoomStateReason::Reconnected;
        }
    }

    /// Takes a fresh link into use.
    async fn begin(
        &mut self,
        link: &mut Link,
        join: livekit_protocol::JoinResponse,
        reason: RoomStateReason,
        waiting: VecDeque<RoomCommand>,
    ) -> Flow {
        let takes = |codec: &livekit_protocol::Codec| VideoCodec::of_mime_type(&codec.mime);
        self.publish_codecs = join.enabled_publish_codecs.iter().filter_map(takes).collect();
        let participant = join.participant.unwrap_or_default();
        let me = convert::user_info(&participant).map_err(|error| {
            LinkEnd::Ended(CallError::new(crate::model::ErrorCode::TokenMalformed, error.to_string()))
        })?;
        tracing::info!(session = self.session.0, room = %self.request.room, user = %me.id, sid = me.sid, "in the room");
        self.me = Some(me.clone());
        self.messages.new_link();
        let token = link.token();
        self.token.watch(&token);
        self.levels.new_link();
        self.notes.forget();
        self.notes.allow(participant.permission.as_ref(), &token);
        self.attributes.new_session(me.joined_at_ms);
        self.poses.new_link();
        self.tell(RoomEvent::StateChanged { state: RoomState::Connected, reason, error: None, me: Some(me) }).await;
        // How our server names itself (`server::hub::join`).
        let ours = |info: &livekit_protocol::ServerInfo| info.debug_info.starts_with("rotunda ");
        self.room_notes.server_keeps_order = join.server_info.as_ref().is_some_and(ours);
        self.room_is(&join.room.unwrap_or_default(), &token).await;
        // First of all: by it everyone knows our seat.
        self.sync_attributes(link).await;
        self.remember_wishes();
        let changes = self.roster.joined(&participant.identity, &join.other_participants);
        self.roster_changed(link, changes).await?;
        self.resume_playing(link).await?;
        self.resume_publishing(link).await?;
        let mut waiting = waiting.into_iter();
        while let Some(command) = waiting.next() {
            if let Err(end) = self.command(link, Some(command)).await {
                self.refuse_waiting(waiting).await;
                return Err(end);
            }
        }
        Ok(())
    }

    /// Handles what comes until the link ends.
    async fn serve(&mut self, link: &mut Link) -> LinkEnd {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut network = Network::new(link.is_local());
        loop {
            let step = tokio::select! {
                command = self.port.commands.recv() => Step::Command(command),
                signal = link.signals.next() => Step::Signal(signal),
                event = link.peer_events.next() => Step::Peer(event),
                data = link.inbound.recv() => Step::Data(data.map(Box::new)),
                Some(news) = self.source_news.recv() => Step::Source(news),
                result = link.returning.next() => Step::Returned(result),
                () = self.poses.due() => Step::Pose,
                _ = ticks.tick() => Step::Tick,
            };
            let flow = match step {
                Step::Command(command) => self.command(link, command).await,
                Step::Signal(Signal::Message(message)) => self.signal(link, *message).await,
                Step::Signal(Signal::Closed(why)) => self.trouble(link, Trouble::Signalling, &why).await,
                Step::Peer(event) => self.peer_event(link, event).await,
                Step::Data(Some(data)) => self.data(link, *data).await,
                Step::Data(None) => Err(LinkEnd::Lost("the data channels closed".to_owned())),
                Step::Source(news) => self.source_spoke(link, news).await,
                Step::Returned(result) => self.returned(link, result).await,
                Step::Pose => {
                    self.tell_pose(link).await;
                    Ok(())
                }
                Step::Tick => self.tick(link, &mut network).await,
            };
            if let Err(end) = flow {
                return end;
            }
        }
    }

    async fn peer_event(&mut self, link: &mut Link, event: Option<PeerEvent>) -> Flow {
        match event {
            Some(PeerEvent::Track { sid, track }) => {
                self.capture_extension = link.capture_extension;
                self.remote_track(link, sid, track).await;
            }
            Some(PeerEvent::Candidate(candidate)) => link.trickle(&candidate).await,
            Some(PeerEvent::Channel(channel)) => link.adopt_channel(channel).await,
            Some(PeerEvent::State(state)) if link.is_mended(state) => self.mended(link).await?,
            Some(PeerEvent::State(RTCPeerConnectionState::Failed | RTCPeerConnectionState::Disconnected)) => {
                self.trouble(link, Trouble::Media, "no media gets through").await?;
            }
            Some(PeerEvent::State(RTCPeerConnectionState::Closed)) | None => {
                return Err(LinkEnd::Lost("the peer connection closed".to_owned()));
            }
            Some(PeerEvent::State(state)) => tracing::debug!(%state, "peer connection"),
        }
        Ok(())
    }

    async fn tick(&mut self, link: &mut Link, network: &mut Network) -> Flow {
        match network.look() {
            Some(Upset::Slept) => self.trouble(link, Trouble::Signalling, "this machine slept").await?,
            Some(Upset::Moved) => self.trouble(link, Trouble::Media, "this machine has other addresses").await?,
            None => {}
        }
        if link.pulse.is_gone(std::time::Instant::now(), self.recovery.is_none() && self.expects_media()) {
            self.trouble(link, Trouble::Media, "nothing comes in any more").await?;
        }
        self.expire_recovery(link).await?;
        if link.is_stuck() {
            return Err(LinkEnd::Lost("the server does not answer an offer".to_owned()));
        }
        self.watch_token().await;
        self.watch_speaker().await;
        self.sync_notes(link).await;
        self.sync_attributes(link).await;
        self.poses.expire(self.online());
        if self.recovery.is_none() {
            self.expire_requests(link).await?;
        }
        self.adapt_rates(link);
        self.adapt_sounds(link);
        self.refresh_snapshot(link).await;
        Ok(())
    }

    /// Lets go of what belonged to the link.
    fn unlink(&mut self) {
        self.remotes.clear();
        for publication in self.own.values_mut() {
            publication.unlink();
        }
    }

    /// Ends everything the call started and tells so.
    async fn finish(&mut self, reason: RoomStateReason, error: Option<CallError>) {
        let end = reasons::end_reason(error.as_ref());
        let interrupted = error.as_ref().map(reasons::publish_interrupted);
        for (stream, publication) in std::mem::take(&mut self.own) {
            self.end_publication(stream, publication, end, interrupted.clone()).await;
        }
        for (stream, played) in std::mem::take(&mut self.played) {
            played.stop();
            self.play_state(stream, crate::model::PlayState::NoPlay, None).await;
        }
        let changes = self.roster.clear(end);
        for event in changes.into_iter().map(signals::event_of) {
            self.tell(event).await;
        }
        self.port.snapshot.store(crate::model::quality::EngineSnapshot::default());
        self.tell(RoomEvent::StateChanged { state: RoomState::Disconnected, reason, error, me: None }).await;
    }

    /// Tells an event; waits while the application is behind. An application that is gone is noticed by its commands.
    async fn tell(&self, event: RoomEvent) {
        self.port.tell(self.session, event).await;
    }

    /// A command cannot be carried out.
    async fn refuse(&self, error: CallError) {
        self.tell(RoomEvent::CommandFailed(error)).await;
    }
}
