//! Order in the rooms: carries out what the RoomService API asks. Grants were checked before; who was made a host
//! is known here.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, MuteTrackRequest, ParticipantPermission, RoomUpdate, TrackSource};

use super::room::Room;
use super::{Hub, now_ms};
use crate::model::limits::{DATA_PACKET_MAX_BYTES, ROOM_ID_MAX_BYTES};
use crate::model::sound::VOICE_ATTRIBUTE;
use crate::server::admin::{AdminAnswer, AdminAsk, AdminError, Caller};
use crate::server::admission::attributes_len;
use crate::server::media::{MediaCommand, PeerId, RoomKey};
use crate::server::outbox::response;

/// A created room is kept this long until somebody comes, and after the last one left, unless the request says.
const EMPTY_TIMEOUT_SECS: u32 = 300;
const DEPARTURE_TIMEOUT_SECS: u32 = 20;
/// The longest an empty room may be kept.
const KEPT_MAX_SECS: u32 = 24 * 3600;

type Outcome = Result<AdminAnswer, AdminError>;

const NO_ROOM: AdminError = AdminError::NotFound("requested room does not exist");
const NOBODY: AdminError = AdminError::NotFound("participant does not exist");

impl Hub {
    pub(super) fn admin(&mut self, ask: AdminAsk, by: &Caller) -> Outcome {
        if let Caller::Member { room, identity } = by
            && !self.is_made_host(room, identity)
        {
            return Err(AdminError::NotGranted);
        }
        match ask {
            AdminAsk::ListRooms(ask) => Ok(self.list_rooms(&ask.names)),
            AdminAsk::CreateRoom(ask) => self.create_room(*ask),
            AdminAsk::DeleteRoom(ask) => self.delete_room(&ask.room),
            AdminAsk::ListParticipants(ask) => {
                let room = self.room_named(&ask.room)?;
                let participants = self.others(room, PeerId(0)).map(super::participant::Participant::info).collect();
                Ok(AdminAnswer::Participants(proto::ListParticipantsResponse { participants }))
            }
            AdminAsk::GetParticipant(ask) => self.described(self.someone(&ask.room, &ask.identity)?),
            AdminAsk::RemoveParticipant(ask) => self.remove_participant(&ask),
            AdminAsk::MutePublishedTrack(ask) => self.mute_remotely(&ask),
            AdminAsk::UpdateParticipant(ask) => self.update_participant(ask),
            AdminAsk::UpdateSubscriptions(ask) => {
                let id = self.someone(&ask.room, &ask.identity)?;
                let proto::UpdateSubscriptionsRequest { track_sids, subscribe, participant_tracks, .. } = ask;
                self.update_subscription(id, &proto::UpdateSubscription { track_sids, subscribe, participant_tracks });
                Ok(AdminAnswer::Done)
            }
            AdminAsk::SendData(ask) => self.send_data(ask),
            AdminAsk::UpdateRoomMetadata(ask) => self.update_room_metadata(ask),
        }
    }

    /// Whether somebody is here whom a host made one.
    fn is_made_host(&self, room: &str, identity: &str) -> bool {
        let member = self.someone(room, identity).ok().and_then(|id| self.participants.get(&id));
        member.is_some_and(|member| member.appointed)
    }

    fn room_named(&self, name: &str) -> Result<RoomKey, AdminError> {
        self.keys_by_name.get(name).copied().ok_or(NO_ROOM)
    }

    fn someone(&self, room: &str, identity: &str) -> Result<PeerId, AdminError> {
        let room = self.room_named(room)?;
        self.others(room, PeerId(0)).find(|member| member.identity == identity).map(|member| member.id).ok_or(NOBODY)
    }

    fn described(&self, id: PeerId) -> Outcome {
        let participant = self.participants.get(&id).ok_or(NOBODY)?;
        Ok(AdminAnswer::Participant(Box::new(participant.info())))
    }

    fn list_rooms(&self, names: &[String]) -> AdminAnswer {
        let wanted = |room: &Room| names.is_empty() || names.contains(&room.name);
        let keys = self.rooms.iter().filter(|(_, room)| wanted(room)).map(|(key, _)| self.room_info(*key));
        AdminAnswer::Rooms(proto::ListRoomsResponse { rooms: keys.collect() })
    }

    fn create_room(&mut self, ask: proto::CreateRoomRequest) -> Outcome {
        if ask.name.is_empty() || ask.name.len() > ROOM_ID_MAX_BYTES {
            return Err(AdminError::Invalid("the room's name is missing or too long"));
        }
        if ask.metadata.len() > self.limits.metadata_bytes {
            return Err(AdminError::Invalid("the room's metadata is too long"));
        }
        let key = match self.keys_by_name.get(&ask.name) {
            Some(key) => *key,
            None if self.rooms.len() >= self.limits.rooms => {
                return Err(AdminError::Exhausted("too many rooms are open"));
            }
            None => self.open_room(&ask.name),
        };
        let or = |given: u32, default: u32| if given == 0 { default } else { given.min(KEPT_MAX_SECS) };
        if let Some(room) = self.rooms.get_mut(&key) {
            room.empty_timeout_secs = or(ask.empty_timeout, EMPTY_TIMEOUT_SECS);
            room.departure_timeout_secs = or(ask.departure_timeout, DEPARTURE_TIMEOUT_SECS);
            if ask.max_participants > 0 {
                room.max_participants = Some(ask.max_participants as usize);
            }
        }
        if !ask.metadata.is_empty() {
            self.set_room_metadata(key, ask.metadata);
        }
        Ok(AdminAnswer::Room(Box::new(self.room_info(key))))
    }

    fn delete_room(&mut self, name: &str) -> Outcome {
        let key = self.room_named(name)?;
        let members = self.rooms.get(&key).map(|room| room.members.clone()).unwrap_or_default();
        for member in members {
            self.remove(member, DisconnectReason::RoomDeleted, Some(Action::Disconnect));
        }
        if self.rooms.remove(&key).is_some() {
            self.keys_by_name.remove(name);
        }
        tracing::info!(room = name, "closed by an administrator");
        Ok(AdminAnswer::Done)
    }

    /// Tokens that were issued before are worth nothing in this room from now on.
    fn remove_participant(&mut self, ask: &proto::RoomParticipantIdentity) -> Outcome {
        let id = self.someone(&ask.room, &ask.identity)?;
        let until_secs = if ask.revoke_token_ts > 0 { ask.revoke_token_ts } else { now_ms() / 1000 };
        let key = self.room_named(&ask.room)?;
        if let Some(room) = self.rooms.get_mut(&key) {
            room.forget(&ask.identity);
            room.revoke(&ask.identity, u64::try_from(until_secs).unwrap_or(0), self.limits.participants_per_room);
            // Who is put out is no host when they come back.
            if let Some(metadata) = room.without_host(&ask.identity) {
                self.update_room_metadata(proto::UpdateRoomMetadataRequest { room: ask.room.clone(), metadata })?;
            }
        }
        self.remove(id, DisconnectReason::ParticipantRemoved, Some(Action::Disconnect));
        Ok(AdminAnswer::Done)
    }

    fn mute_remotely(&mut self, ask: &proto::MuteRoomTrackRequest) -> Outcome {
        let id = self.someone(&ask.room, &ask.identity)?;
        let participant = self.participants.get_mut(&id).ok_or(NOBODY)?;
        let track = participant.track_mut(&ask.track_sid).ok_or(AdminError::NotFound("track does not exist"))?;
        if !ask.muted && track.info.muted {
            return Err(AdminError::Precondition("only its publisher may unmute a track"));
        }
        let changed = track.info.muted != ask.muted;
        track.info.muted = ask.muted;
        track.hushed |= changed;
        let answer = AdminAnswer::Track(Box::new(proto::MuteRoomTrackResponse { track: Some(track.info.clone()) }));
        if changed {
            self.send(id, Message::Mute(MuteTrackRequest { sid: ask.track_sid.clone(), muted: ask.muted }));
            self.announce(id);
        }
        Ok(answer)
    }

    fn update_participant(&mut self, ask: proto::UpdateParticipantRequest) -> Outcome {
        let id = self.someone(&ask.room, &ask.identity)?;
        let limits = self.limits;
        let participant = self.participants.get_mut(&id).ok_or(NOBODY)?;
        let mut attributes = participant.attributes.clone();
        attributes.extend(ask.attributes);
        attributes.retain(|_, value| !value.is_empty());
        if ask.name.len() > limits.name_bytes
            || ask.metadata.len() > limits.metadata_bytes
            || attributes_len(&attributes) > limits.attributes_bytes
        {
            return Err(AdminError::Invalid("name, metadata or attributes are too long"));
        }
        participant.attributes = attributes;
        if !ask.name.is_empty() {
            participant.name = ask.name;
        }
        if !ask.metadata.is_empty() {
            participant.metadata = ask.metadata;
        }
        if let Some(permission) = ask.permission {
            self.permit(id, &permission);
        }
        self.announce(id);
        self.refresh_token(id, Instant::now());
        self.described(id)
    }

    /// Changes what a participant may do; what it no longer may ends.
    fn permit(&mut self, id: PeerId, permission: &ParticipantPermission) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let could_receive = participant.grant.may_subscribe();
        let names = permission.can_publish_sources.iter().filter_map(|source| TrackSource::try_from(*source).ok());
        let grant = &mut participant.grant;
        grant.can_publish = Some(permission.can_publish);
        grant.can_subscribe = Some(permission.can_subscribe);
        grant.can_publish_data = Some(permission.can_publish_data);
        grant.can_publish_sources = names.map(|source| source.as_str_name().to_ascii_lowercase()).collect();
        grant.can_update_own_metadata = Some(permission.can_update_metadata);
        grant.hidden = permission.hidden;
        let permitted = participant.grant.may_publish_data();
        let hidden = participant.is_hidden();
        let source = |track: &super::participant::Track| {
            TrackSource::try_from(track.info.source).unwrap_or(TrackSource::Unknown)
        };
        let barred = participant.tracks.iter().filter(|track| !participant.may_publish(source(track)));
        let barred: Vec<String> = barred.map(|track| track.info.sid.clone()).collect();
        self.commands.push(MediaCommand::PermitData { peer: id, permitted, hidden });
        for track_sid in barred {
            self.unpublish(id, &track_sid);
            self.send(id, Message::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid }));
        }
        if !permission.can_subscribe {
            self.suspend(id);
        } else if !could_receive {
            self.restore(id);
        }
    }

    fn send_data(&mut self, ask: proto::SendDataRequest) -> Outcome {
        let room = self.room_named(&ask.room)?;
        if ask.data.len() > DATA_PACKET_MAX_BYTES {
            return Err(AdminError::Invalid("the data is too long for one packet"));
        }
        #[expect(deprecated, reason = "older callers still name session ids, older clients read the kind here")]
        let packet = proto::DataPacket {
            kind: ask.kind,
            destination_identities: ask.destination_identities.clone(),
            value: Some(proto::data_packet::Value::User(proto::UserPacket {
                payload: ask.data,
                destination_sids: ask.destination_sids,
                destination_identities: ask.destination_identities,
                topic: ask.topic,
                nonce: ask.nonce,
                ..proto::UserPacket::default()
            })),
            ..proto::DataPacket::default()
        };
        self.commands.push(MediaCommand::SendData { room, packet: Box::new(packet) });
        Ok(AdminAnswer::Done)
    }

    fn update_room_metadata(&mut self, ask: proto::UpdateRoomMetadataRequest) -> Outcome {
        let key = self.room_named(&ask.room)?;
        if ask.metadata.len() > self.limits.metadata_bytes {
            return Err(AdminError::Invalid("the room's metadata is too long"));
        }
        self.set_room_metadata(key, ask.metadata);
        let info = self.room_info(key);
        self.tell_room(key, &response(Message::RoomUpdate(RoomUpdate { room: Some(info.clone()) })));
        Ok(AdminAnswer::Room(Box::new(info)))
    }

    fn set_room_metadata(&mut self, key: RoomKey, metadata: String) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let people = room.members.iter().filter_map(|id| self.participants.get(id));
        let inside: Vec<String> = people.map(|participant| participant.identity.clone()).collect();
        let links = room.links_made_secs();
        let now_secs = u32::try_from(now_ms() / 1000).unwrap_or(u32::MAX);
        room.set_metadata(metadata, inside.into_iter(), self.link_secret.as_deref(), now_secs);
        let people = room.members.iter().filter_map(|id| self.participants.get(id));
        let banned: Vec<PeerId> = people.filter(|p| room.bans(&p.identity, &p.claims)).map(|p| p.id).collect();
        // Before anyone is told: what was chosen may hold the links' new code.
        for id in banned {
            self.remove(id, DisconnectReason::ParticipantRemoved, Some(Action::Disconnect));
        }
        if self.rooms.get(&key).is_some_and(|room| room.links_made_secs() != links) {
            self.pass_on_links(key);
        }
        let Some(room) = self.rooms.get(&key) else { return };
        let mut changed = Vec::new();
        for id in &room.members {
            let Some(member) = self.participants.get_mut(id) else { continue };
            let appointed = room.makes_host(&member.identity);
            if member.appointed == appointed {
                continue;
            }
            member.appointed = appointed;
            if !member.is_host() {
                // Who is no host any more does not speak to the whole room.
                member.attributes.remove(VOICE_ATTRIBUTE);
            }
            changed.push(*id);
        }
        for id in changed {
            self.announce(id);
        }
    }

    /// Who is here when the links are made anew comes back as if by a new one.
    fn pass_on_links(&mut self, key: RoomKey) {
        let Some(room) = self.rooms.get(&key) else { return };
        let (members, now) = (room.members.clone(), room.links_made_secs());
        for id in members {
            let Some(member) = self.participants.get_mut(&id) else { continue };
            if let Some(made_secs) = &mut member.claims.link_made_secs {
                *made_secs = now;
                self.refresh_token(id, Instant::now());
            }
        }
    }

    /// Closes created rooms that were empty for long enough.
    pub(super) fn close_empty_rooms(&mut self, now: Instant) {
        let mut gone = Vec::new();
        for (key, room) in self.rooms.iter_mut().filter(|(_, room)| room.members.is_empty()) {
            let kept = Duration::from_secs(u64::from(room.kept_secs()));
            let since = *room.empty_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= kept {
                gone.push((*key, room.name.clone()));
            }
        }
        for (key, name) in gone {
            self.rooms.remove(&key);
            self.keys_by_name.remove(&name);
            tracing::info!(room = name, "closed: nobody came");
        }
    }
}

/// Whom a room does not let in: tokens issued to an identity before a moment, in unix seconds.
pub(super) type Revoked = HashMap<String, u64>;
