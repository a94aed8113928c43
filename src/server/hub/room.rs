//! Rooms and their members: telling everyone, removing, sweeping, stopping.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol::data_packet::Value;
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DataPacket, DisconnectReason, LeaveRequest, ParticipantUpdate, Room as RoomInfo, UserPacket};

use super::admin::Revoked;
use super::participant::Participant;
use super::{Hub, new_sid, now_ms};
use crate::model::topic::TOPIC_KNOCK;
use crate::model::{RoomId, RoomOrder, UserId};
use crate::protocol::invitation;
use crate::protocol::token::Claims;
use crate::server::admission::{Admission, Refusal};
use crate::server::media::{MediaCommand, PeerId, RoomKey};
use crate::server::outbox::{Signal, response};

/// Somebody who knocks at a locked door again within this time is not told of again.
const KNOCK_LASTS: Duration = Duration::from_secs(30);
/// As many may knock meanwhile.
const KNOCKS_MAX: usize = 8;

/// A room: exists while somebody is in it, and longer when it was created before anyone came.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: String,
    pub(super) sid: String,
    pub(super) created_ms: i64,
    metadata: String,
    /// What hosts chose, as the metadata says.
    order: RoomOrder,
    /// Who was here when it was locked: they may come back.
    inside: HashSet<String>,
    /// How often its links were made anew, and when that was last, in unix seconds.
    renewals: u32,
    links_made_secs: u32,
    pub(super) members: Vec<PeerId>,
    /// Set when the room is made smaller than the server allows.
    pub(super) max_participants: Option<usize>,
    /// How long it is kept until somebody comes, and after everyone left; 0 closes it at once.
    pub(super) empty_timeout_secs: u32,
    pub(super) departure_timeout_secs: u32,
    /// Somebody was here.
    pub(super) visited: bool,
    pub(super) empty_since: Option<Instant>,
    /// It does not close now, though nobody is in it.
    pub(super) held: bool,
    pub(super) revoked: Revoked,
    /// Who stood before the locked door lately.
    knocks: Vec<(String, Instant)>,
}

impl Room {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            sid: new_sid("RM_"),
            created_ms: now_ms(),
            metadata: String::new(),
            order: RoomOrder::default(),
            inside: HashSet::new(),
            renewals: 0,
            links_made_secs: 0,
            members: Vec::new(),
            max_participants: None,
            empty_timeout_secs: 0,
            departure_timeout_secs: 0,
            visited: false,
            empty_since: None,
            held: false,
            revoked: Revoked::new(),
            knocks: Vec::new(),
        }
    }

    /// How long it is kept without anyone, in seconds.
    pub(super) fn kept_secs(&self) -> u32 {
        if self.visited { self.departure_timeout_secs } else { self.empty_timeout_secs }
    }

    /// Someone is here.
    pub(super) fn enter(&mut self, id: PeerId) {
        self.members.push(id);
        self.visited = true;
        self.empty_since = None;
    }

    /// Takes over what hosts chose; `inside` are the identities of those who are here, and links are made with `secret`.
    /// Hosts ask for new links by one renewal more, or by banning somebody, who knows the last one; nobody takes them back,
    /// and their code is not for hosts to say.
    pub(super) fn set_metadata(
        &mut self,
        mut metadata: String,
        inside: impl Iterator<Item = String>,
        secret: Option<&str>,
        now_secs: u32,
    ) {
        let mut order = RoomOrder::read(&metadata);
        if order.locked && !self.order.locked {
            self.inside = inside.collect();
            self.knocks.clear();
        }
        let asked = Some(order.renewals) == self.renewals.checked_add(1) || order.bans_more_than(&self.order);
        if secret.is_some() && asked {
            self.renewals = self.renewals.saturating_add(1);
            // Younger than every other one, also of a time when the room was open before.
            self.links_made_secs = now_secs.max(self.links_made_secs.saturating_add(1));
        }
        let link = secret.zip(RoomId::new(self.name.as_str()).ok()).filter(|_| self.renewals > 0);
        let link = link.map(|(secret, room)| invitation::code(secret, &room, self.links_made_secs));
        if (order.renewals, order.link) != (self.renewals, link) {
            (order.renewals, order.link) = (self.renewals, link);
            match order.write(&metadata) {
                Ok(written) => metadata = written,
                Err(error) => tracing::info!(%error, "the room's metadata has no place for its link"),
            }
        }
        (self.metadata, self.order) = (metadata, order);
    }

    /// When hosts had its links made anew, in unix seconds; 0 for never.
    pub(super) fn links_made_secs(&self) -> u32 {
        self.links_made_secs
    }

    /// The metadata without somebody among the hosts; `None` when they are not there.
    pub(super) fn without_host(&self, identity: &str) -> Option<String> {
        let host = UserId::new(identity).ok().filter(|_| self.makes_host(identity))?;
        let mut order = self.order.clone();
        order.dismiss(&host);
        order.write(&self.metadata).ok()
    }

    /// Whether a host made somebody one.
    pub(super) fn makes_host(&self, identity: &str) -> bool {
        self.order.makes_host(identity)
    }

    /// Who was put out does not count as having been here.
    pub(super) fn forget(&mut self, identity: &str) {
        self.inside.remove(identity);
    }

    /// Whether hosts put somebody out for good; who is a host by a token they cannot.
    pub(super) fn bans(&self, identity: &str, claims: &Claims) -> bool {
        !claims.video.room_admin && self.order.bans(identity)
    }

    /// Whether hosts let somebody in, who may be here already; hosts come in themselves.
    pub(super) fn lets_in(&self, identity: &str, claims: &Claims, here: bool) -> Result<(), Refusal> {
        if claims.video.room_admin {
            return Ok(());
        }
        if self.bans(identity, claims) {
            return Err(Refusal::Banned);
        }
        // Whoever came by a link is let in as long as the link: names are easily changed. Who is here may not have got the
        // token by the new one yet.
        if !here && claims.link_made_secs.is_some_and(|made| made < self.links_made_secs) {
            return Err(Refusal::OldLink);
        }
        if self.order.locked && !self.makes_host(identity) && !self.inside.contains(identity) {
            return Err(Refusal::Locked);
        }
        Ok(())
    }

    /// Whether a knock is news: not over and over of the same, and not of too many.
    fn takes_knock(&mut self, identity: &str, now: Instant) -> bool {
        self.knocks.retain(|(_, at)| now.saturating_duration_since(*at) < KNOCK_LASTS);
        let takes = self.knocks.len() < KNOCKS_MAX && self.knocks.iter().all(|(who, _)| who != identity);
        if takes {
            self.knocks.push((identity.to_owned(), now));
        }
        takes
    }

    /// Lets nobody in any more with a token issued to `identity` up to then; remembers at most `limit` of them.
    pub(super) fn revoke(&mut self, identity: &str, until_secs: u64, limit: usize) {
        if self.revoked.len() < limit || self.revoked.contains_key(identity) {
            self.revoked.insert(identity.to_owned(), until_secs);
        }
    }

    /// Whether a token issued at that time still lets `identity` in.
    pub(super) fn admits(&self, identity: &str, issued_secs: u64) -> bool {
        self.revoked.get(identity).is_none_or(|until| issued_secs > *until)
    }
}

impl Hub {
    /// Somebody stands before a locked door: its hosts are told who.
    pub(super) fn knock(&mut self, admission: &Admission, now: Instant) {
        let Some(key) = self.keys_by_name.get(&admission.room).copied() else { return };
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let members = room.members.iter().filter_map(|id| self.participants.get(id));
        let hosts: Vec<String> = members.filter(|p| p.is_host()).map(|p| p.identity.clone()).collect();
        if hosts.is_empty() || !room.takes_knock(&admission.identity, now) {
            return;
        }
        let name = Some(admission.claims.name.as_str()).filter(|name| !name.trim().is_empty());
        let payload = name.unwrap_or(&admission.identity).as_bytes();
        // One by one: a packet names all it is for, and some of them may be hidden.
        self.commands.extend(hosts.into_iter().map(|host| {
            let user =
                UserPacket { payload: payload.to_vec(), topic: Some(TOPIC_KNOCK.to_owned()), ..UserPacket::default() };
            let packet = DataPacket {
                destination_identities: vec![host],
                value: Some(Value::User(user)),
                ..DataPacket::default()
            };
            MediaCommand::SendData { room: key, packet: Box::new(packet) }
        }));
    }

    /// The room's description.
    pub(super) fn room_info(&self, key: RoomKey) -> RoomInfo {
        let Some(room) = self.rooms.get(&key) else { return RoomInfo::default() };
        let visible = || room.members.iter().filter_map(|id| self.participants.get(id)).filter(|p| !p.is_hidden());
        RoomInfo {
            sid: room.sid.clone(),
            name: room.name.clone(),
            metadata: room.metadata.clone(),
            empty_timeout: room.empty_timeout_secs,
            departure_timeout: room.departure_timeout_secs,
            max_participants: self.room_limit(key) as u32,
            creation_time: room.created_ms / 1000,
            creation_time_ms: room.created_ms,
            enabled_codecs: super::join::codecs(),
            num_participants: visible().count() as u32,
            num_publishers: visible().filter(|p| p.tracks.iter().any(|track| track.live)).count() as u32,
            active_recording: room.members.iter().filter_map(|id| self.participants.get(id)).any(|p| p.grant.recorder),
            ..RoomInfo::default()
        }
    }

    /// How many may be in a room.
    pub(super) fn room_limit(&self, key: RoomKey) -> usize {
        let own = self.rooms.get(&key).and_then(|room| room.max_participants);
        own.unwrap_or(usize::MAX).min(self.limits.participants_per_room)
    }

    /// Opens a room.
    pub(super) fn open_room(&mut self, name: &str) -> RoomKey {
        let key = RoomKey(self.next_id());
        let room = Room::new(name);
        tracing::info!(room = room.name, sid = room.sid, "opened");
        self.rooms.insert(key, room);
        self.keys_by_name.insert(name.to_owned(), key);
        key
    }

    /// The members of a room other than `except`.
    pub(super) fn others(&self, key: RoomKey, except: PeerId) -> impl Iterator<Item = &Participant> {
        let members = self.rooms.get(&key).map(|room| room.members.as_slice()).unwrap_or_default();
        members.iter().filter(move |id| **id != except).filter_map(|id| self.participants.get(id))
    }

    /// Sends to every member of a room.
    pub(super) fn tell_room(&self, key: RoomKey, message: &Arc<Signal>) {
        for member in self.others(key, PeerId(0)) {
            member.send(message);
        }
    }

    /// Tells everyone who may know, the participant included, how it stands now. Versions only grow.
    pub(super) fn announce(&mut self, id: PeerId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.version += 1;
        let update = response(Message::Update(ParticipantUpdate { participants: vec![participant.info()] }));
        let (room, hidden) = (participant.room, participant.is_hidden());
        participant.send(&update);
        if !hidden {
            for other in self.others(room, id) {
                other.send(&update);
            }
        }
    }

    /// Takes a participant out. With `action` it is told to leave first.
    pub(super) fn remove(&mut self, id: PeerId, reason: DisconnectReason, action: Option<Action>) {
        let Some(mut participant) = self.participants.remove(&id) else { return };
        if let Some(action) = action {
            participant.send(&leave(reason, action));
        }
        participant.outbox.close();
        tracing::info!(participant = participant.sid, identity = participant.identity, ?reason, "left");
        self.commands.push(MediaCommand::RemovePeer(id));
        self.wished.extend(&participant.receives);
        for track in &participant.tracks {
            self.tracks_by_sid.remove(&track.info.sid);
        }
        let gone: Vec<_> = participant.tracks.iter().map(|track| track.id).collect();
        self.forget_tracks(participant.room, &gone);

        let key = participant.room;
        let empty = self.rooms.get_mut(&key).is_none_or(|room| {
            room.members.retain(|member| *member != id);
            room.members.is_empty()
        });
        let kept = self.rooms.get(&key).is_some_and(|room| room.held || room.kept_secs() > 0);
        if empty && !kept {
            if let Some(room) = self.rooms.remove(&key) {
                self.keys_by_name.remove(&room.name);
                tracing::info!(room = room.name, "closed: nobody is left");
            }
            return;
        }
        if !participant.is_hidden() {
            participant.version += 1;
            participant.state = State::Disconnected;
            participant.reason = reason;
            participant.tracks.clear();
            let update = response(Message::Update(ParticipantUpdate { participants: vec![participant.info()] }));
            self.tell_room(key, &update);
        }
    }

    /// The media connection is gone for good: the client shall begin anew.
    pub(super) fn lost(&mut self, id: PeerId, reason: &str) {
        let Some(participant) = self.participants.get(&id) else { return };
        tracing::info!(participant = participant.sid, reason, "connection lost");
        self.remove(id, DisconnectReason::ConnectionTimeout, Some(Action::Reconnect));
    }

    /// Whoever closes its connection leaves, even if that comes before its words.
    pub(super) fn closed(&mut self, id: PeerId) {
        self.remove(id, DisconnectReason::ClientInitiated, Some(Action::Reconnect));
    }

    /// Takes out whoever left without telling, or never connected.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.notice_dead_sockets(now);
        let limit = Duration::from_secs(self.limits.join_timeout_secs);
        let mut gone = Vec::new();
        for participant in self.participants.values() {
            if let Some((reason, action)) = participant.absence.is_over(now) {
                gone.push((participant.id, reason, action));
            } else if participant.state != State::Active && now.saturating_duration_since(participant.joined) > limit {
                gone.push((participant.id, DisconnectReason::JoinFailure, Some(Action::Disconnect)));
            }
        }
        for (id, reason, action) in gone {
            self.remove(id, reason, action);
        }
    }

    /// The server stops: everyone is told why.
    pub(super) fn stop(&mut self, reason: DisconnectReason) {
        for participant in self.participants.values() {
            participant.send(&leave(reason, Action::Disconnect));
            participant.outbox.close();
        }
        self.participants.clear();
        self.tracks_by_sid.clear();
        self.rooms.clear();
    }
}

/// The request to leave.
pub(super) fn leave(reason: DisconnectReason, action: Action) -> Arc<Signal> {
    let request = LeaveRequest {
        // Clients before protocol 13 read only this.
        can_reconnect: action != Action::Disconnect,
        reason: reason.into(),
        action: action.into(),
        regions: None,
    };
    response(Message::Leave(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host chooses at this time; what the room makes of it.
    fn choose(room: &mut Room, now_secs: u32, change: impl FnOnce(&mut RoomOrder)) -> RoomOrder {
        let mut order = room.order.clone();
        change(&mut order);
        room.set_metadata(order.write(r#"{"theirs": 1}"#).unwrap(), std::iter::empty(), Some("secret"), now_secs);
        assert!(room.metadata.contains("theirs"), "{}", room.metadata);
        assert_eq!(room.order, RoomOrder::read(&room.metadata));
        room.order.clone()
    }

    #[test]
    fn hosts_make_links_anew_and_nobody_makes_them_old_again() {
        let mut room = Room::new("hall");
        let code = |made_secs| Some(invitation::code("secret", &RoomId::new("hall").unwrap(), made_secs));
        assert_eq!(choose(&mut room, 10, |order| order.locked = true).link, None);
        let renewed = choose(&mut room, 11, |order| order.renewals += 1);
        assert!(renewed.link == code(11) && renewed.locked);
        let same = |order: &RoomOrder| (order.renewals, order.link) == (1, code(11));
        assert!(same(&choose(&mut room, 12, |order| order.renewals = 0)));
        assert!(same(&choose(&mut room, 12, |order| order.renewals = 7)), "one at a time");
        assert!(same(&choose(&mut room, 12, |order| order.link = None)));
        assert!(same(&choose(&mut room, 12, |order| order.link = code(99))), "it is the server's to say");
        assert!(same(&choose(&mut room, 12, |order| *order = RoomOrder::default())));
        assert_eq!(choose(&mut room, 11, |order| order.renewals += 1).link, code(12), "never the same again");
        let bans = |order: &mut RoomOrder| assert!(order.ban(UserId::new("eve").unwrap()));
        assert_eq!(choose(&mut room, 20, bans).link, code(20), "whoever is banned knows the last one");
        assert_eq!(choose(&mut room, 21, bans).link, code(20), "once");
        room.set_metadata("no place for it".into(), std::iter::empty(), Some("secret"), 22);
        assert_eq!((room.metadata.as_str(), room.links_made_secs()), ("no place for it", 20));

        // Without invitations there are no links.
        let mut room = Room::new("hall");
        let mut order = RoomOrder::default();
        (order.renewals, order.link) = (1, code(1));
        room.set_metadata(order.write("").unwrap(), std::iter::empty(), None, 13);
        assert_eq!((room.order.renewals, room.order.link, room.links_made_secs()), (0, None, 0));
    }

    #[test]
    fn who_came_by_an_old_link_is_not_let_in() {
        let by = |link_made_secs| Claims { link_made_secs, ..Claims::default() };
        let mut room = Room::new("hall");
        assert_eq!(room.lets_in("eve", &by(Some(0)), false), Ok(()));
        assert_eq!(room.lets_in("eve", &by(Some(7)), false), Ok(()), "made anew when the room was open before");
        choose(&mut room, 9, |order| order.renewals += 1);
        for old in [0, 7, 8] {
            assert_eq!(room.lets_in("eve", &by(Some(old)), false), Err(Refusal::OldLink));
            assert_eq!(room.lets_in("eve", &by(Some(old)), true), Ok(()), "who is here comes back");
        }
        assert_eq!(room.lets_in("eve", &by(Some(9)), false), Ok(()));
        assert_eq!(room.lets_in("eve", &by(None), false), Ok(()), "a token of another kind");
        choose(&mut room, 9, |order| assert!(order.ban(UserId::new("eve").unwrap())));
        assert_eq!(room.lets_in("eve", &by(Some(9)), false), Err(Refusal::Banned));
        let mut host = by(Some(0));
        host.video.room_admin = true;
        assert_eq!(room.lets_in("eve", &host, false), Ok(()), "a host by token");
    }

    #[test]
    fn a_knock_is_told_once_and_not_too_many_are() {
        let (mut room, start) = (Room::new("hall"), Instant::now());
        assert!(room.takes_knock("eve", start) && room.takes_knock("mallory", start));
        assert!(!room.takes_knock("eve", start + KNOCK_LASTS / 2));
        let told = (0..50).filter(|n| room.takes_knock(&format!("guest{n}"), start + KNOCK_LASTS / 2)).count();
        assert_eq!(told, KNOCKS_MAX - 2);
        assert!(room.takes_knock("eve", start + KNOCK_LASTS), "a while later");
    }
}
