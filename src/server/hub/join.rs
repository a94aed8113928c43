//! Coming in: the first message a client gets, the others it is told of, and its becoming active.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::{Kind, State};
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    ClientConfigSetting, ClientConfiguration, Codec, DisconnectReason, JoinResponse, ParticipantInfo, ServerInfo,
    server_info,
};

use super::participant::Participant;
use super::resume::Absence;
use super::{Hub, JoinAsk, Seat, new_sid, now_ms};
use crate::server::admission::{Admission, Refusal};
use crate::server::media::{MediaCommand, NewPeer, PeerId, RoomKey};
use crate::server::outbox::response;
use crate::server::rate::Rate;

/// The signalling protocol we speak: 18 would promise data channels with fixed numbers.
const PROTOCOL: i32 = 17;
/// The official server whose behaviour we follow: clients switch features by it.
const COMPATIBLE_VERSION: &str = "1.13.5";
/// A client pings this often and gives up after this long, in seconds.
const PING_INTERVAL_SECS: i32 = 5;
const PING_TIMEOUT_SECS: i32 = 15;
/// Clients before this protocol make the publishing connection their first.
const SUBSCRIBER_PRIMARY_FROM: i32 = 3;
/// Offers a participant may make, sustained: honest clients gather changes for about 0.1 s.
const OFFERS_PER_SEC: u32 = 5;
/// Offers may come in bursts of this many seconds' worth.
const OFFERS_BURST_SECS: u32 = 2;
/// Changes that everyone is told of, sustained, and how many seconds' worth may come at once.
const CHANGES_PER_SEC: u32 = 10;
const CHANGES_BURST_SECS: u32 = 2;

/// What may be published: exactly what is forwarded.
pub(super) fn codecs() -> Vec<Codec> {
    ["audio/opus", "audio/red", "video/VP8", "video/H264", "video/rtx"]
        .map(|mime| Codec { mime: mime.to_owned(), fmtp_line: String::new() })
        .to_vec()
}

pub(super) fn server_info() -> ServerInfo {
    ServerInfo {
        edition: server_info::Edition::Standard.into(),
        version: COMPATIBLE_VERSION.to_owned(),
        protocol: PROTOCOL,
        debug_info: concat!("rotunda ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ServerInfo::default()
    }
}

/// A broken connection is taken up again.
pub(super) fn client_configuration() -> ClientConfiguration {
    ClientConfiguration { resume_connection: ClientConfigSetting::Enabled.into(), ..ClientConfiguration::default() }
}

impl Hub {
    pub(super) fn join(&mut self, ask: JoinAsk) {
        if ask.admission.reconnect {
            return self.resume(ask, Instant::now());
        }
        let JoinAsk { mut admission, outbox, reply } = ask;
        let key = match self.place(&admission) {
            Ok(key) => key,
            Err(refusal) => {
                if refusal == Refusal::Locked {
                    self.knock(&admission, Instant::now());
                }
                if reply.send(Err(refusal)).is_err() {
                    tracing::debug!("a refused client was gone before its answer");
                }
                return;
            }
        };
        let id = PeerId(self.next_id());
        let socket = self.next_id();
        if reply.send(Ok(Seat { peer: id, socket })).is_err() {
            self.close_if_empty(key);
            return;
        }
        let request = std::mem::take(&mut admission.request);
        let settings = request.connection_settings.unwrap_or_default();
        let may_pause = settings.subscriber_allow_pause.unwrap_or(true);
        let mut participant = newcomer(Seat { peer: id, socket }, key, outbox, admission);
        self.commands.push(MediaCommand::AddPeer(NewPeer {
            id,
            room: key,
            identity: participant.identity.as_str().into(),
            sid: participant.sid.as_str().into(),
            hidden: participant.is_hidden(),
            single: participant.single,
            subscriber_primary: subscriber_primary(&participant),
            may_publish_data: participant.grant.may_publish_data(),
            last_sequence: participant.last_sequence.clone(),
            may_pause,
        }));
        if let Some(room) = self.rooms.get_mut(&key) {
            room.enter(id);
            participant.appointed = room.makes_host(&participant.identity);
        }
        tracing::info!(
            participant = participant.sid,
            identity = participant.identity,
            single = participant.single,
            "joined"
        );
        self.participants.insert(id, participant);
        self.greet(id);
        self.refresh_token(id, Instant::now());
        self.announce_to_others(id);
        self.tell_qualities(id);
        // First what it shall receive: then the answer to its first offer carries that already.
        self.subscribe_to_everyone(id);
        for track in request.add_track_requests {
            self.add_track(id, track);
        }
        if let Some(offer) = request.publisher_offer {
            self.on_offer(id, offer, Instant::now());
        }
    }

    /// Whether somebody would be let in; the room, when it is open, and who they would replace.
    fn check(&self, admission: &Admission) -> Result<(Option<RoomKey>, Option<PeerId>), Refusal> {
        let known = self.keys_by_name.get(&admission.room).copied();
        let earlier = known.and_then(|key| {
            let members = &self.rooms.get(&key)?.members;
            members
                .iter()
                .copied()
                .find(|id| self.participants.get(id).is_some_and(|p| p.identity == admission.identity))
        });
        let crowd = known.and_then(|key| self.rooms.get(&key)).map_or(0, |room| room.members.len());
        let freed = usize::from(earlier.is_some());
        if let Some(room) = known.and_then(|key| self.rooms.get(&key)) {
            if !room.admits(&admission.identity, admission.claims.nbf) {
                return Err(Refusal::Revoked);
            }
            room.lets_in(&admission.identity, &admission.claims, earlier.is_some())?;
        }
        let most = known.map_or(self.limits.participants_per_room, |key| self.room_limit(key));
        if crowd - freed >= most {
            return Err(Refusal::Full("the room is full"));
        }
        if self.participants.len() - freed >= self.limits.participants {
            return Err(Refusal::Full("the server is full"));
        }
        if known.is_none() && self.rooms.len() >= self.limits.rooms {
            return Err(Refusal::TooManyRooms);
        }
        Ok((known, earlier))
    }

    /// Whether the same login would be let in now.
    pub(super) fn would_admit(&self, admission: &Admission) -> Result<(), Refusal> {
        self.check(admission).map(|_| ())
    }

    /// Finds or opens the room, making sure that there is a place; an earlier login of the same identity goes.
    fn place(&mut self, admission: &Admission) -> Result<RoomKey, Refusal> {
        let (known, earlier) = self.check(admission)?;
        let Some(key) = known else { return Ok(self.open_room(&admission.room)) };
        if let Some(earlier) = earlier {
            // Whoever replaces its only member finds the room as it was, and what hosts chose in it.
            self.hold(key, true);
            self.remove(earlier, DisconnectReason::DuplicateIdentity, Some(Action::Disconnect));
            self.hold(key, false);
        }
        Ok(key)
    }

    fn hold(&mut self, key: RoomKey, held: bool) {
        if let Some(room) = self.rooms.get_mut(&key) {
            room.held = held;
        }
    }

    fn close_if_empty(&mut self, key: RoomKey) {
        if self.rooms.get(&key).is_some_and(|room| room.members.is_empty() && room.kept_secs() == 0)
            && let Some(room) = self.rooms.remove(&key)
        {
            self.keys_by_name.remove(&room.name);
        }
    }

    /// The join response: nothing precedes it.
    fn greet(&self, id: PeerId) {
        let Some(participant) = self.participants.get(&id) else { return };
        let others: Vec<ParticipantInfo> =
            self.others(participant.room, id).filter(|other| !other.is_hidden()).map(Participant::info).collect();
        let join = JoinResponse {
            room: Some(self.room_info(participant.room)),
            participant: Some(participant.info()),
            other_participants: others,
            server_version: COMPATIBLE_VERSION.to_owned(),
            subscriber_primary: subscriber_primary(participant),
            client_configuration: Some(client_configuration()),
            ping_timeout: PING_TIMEOUT_SECS,
            ping_interval: PING_INTERVAL_SECS,
            server_info: Some(server_info()),
            enabled_publish_codecs: codecs(),
            fast_publish: participant.grant.may_publish(),
            ..JoinResponse::default()
        };
        participant.send(&response(Message::Join(join)));
    }

    fn announce_to_others(&self, id: PeerId) {
        let Some(participant) = self.participants.get(&id).filter(|p| !p.is_hidden()) else { return };
        let update = livekit_protocol::ParticipantUpdate { participants: vec![participant.info()] };
        let update = response(Message::Update(update));
        for other in self.others(participant.room, id) {
            other.send(&update);
        }
    }

    /// The first connection stands.
    pub(super) fn connected(&mut self, id: PeerId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.state == State::Joined {
            participant.state = State::Active;
            self.announce(id);
        }
    }
}

fn subscriber_primary(participant: &Participant) -> bool {
    !participant.single && participant.client.protocol >= SUBSCRIBER_PRIMARY_FROM && participant.grant.may_subscribe()
}

fn newcomer(seat: Seat, room: RoomKey, outbox: crate::server::outbox::Outbox, admission: Admission) -> Participant {
    let now = Instant::now();
    let kind = Kind::from_str_name(&admission.claims.kind.to_ascii_uppercase()).unwrap_or(Kind::Standard);
    Participant {
        id: seat.peer,
        room,
        outbox,
        socket: seat.socket,
        absence: Absence::default(),
        rehearsal: None,
        last_sequence: Arc::default(),
        sid: new_sid("PA_"),
        identity: admission.identity,
        name: admission.claims.name.clone(),
        kind,
        metadata: admission.metadata,
        attributes: admission.attributes,
        grant: admission.claims.video.clone(),
        claims: admission.claims,
        appointed: false,
        refresh_at: now,
        client: admission.client,
        single: admission.single,
        auto_subscribe: admission.auto_subscribe,
        joined_at_ms: now_ms(),
        joined: now,
        state: State::Joined,
        version: 1,
        reason: DisconnectReason::UnknownReason,
        tracks: Vec::new(),
        queued: Vec::new(),
        receives: BTreeSet::new(),
        wishes: HashMap::new(),
        suspended: BTreeSet::new(),
        barred: BTreeSet::new(),
        stopped: BTreeMap::new(),
        allowed: BTreeMap::new(),
        audience: super::audience::Audience::default(),
        held_audience: None,
        changes: Rate::new(CHANGES_PER_SEC, CHANGES_BURST_SECS, now),
        quality: None,
        level: 0.0,
        offers: Rate::new(OFFERS_PER_SEC, OFFERS_BURST_SECS, now),
        held_offer: None,
    }
}

/// Which track each section carries, as messages want it.
pub(super) type Mids = HashMap<String, String>;
