//! Data packets: from one participant's data channel to those of the others, stamped with who sent them
//! (LIVEKIT.md section 6). Slow receivers get a bounded backlog; senders have a rate, past which lossy data is dropped
//! and reliable data waits (`held`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use livekit_protocol::data_packet::{Kind, Value};
use livekit_protocol::{DataPacket, UserPacket};
use prost::Message;
use str0m::channel::{ChannelData, ChannelId};

use super::link::{Backlog, Link, LinkId};
use super::shard::Shard;
use super::{NewPeer, PeerId, RoomKey};
use crate::model::limits::DATA_PACKET_MAX_BYTES;
use crate::model::topic::TOPIC_KNOCK;

/// The ordered, reliable channel.
pub(super) const RELIABLE: &str = "_reliable";
/// The unordered channel without retransmission.
pub(super) const LOSSY: &str = "_lossy";
/// A lossy packet is dropped when this much waits already, in bytes: a late one is worthless.
const LOSSY_BUFFER_BYTES: usize = 64 * 1024;
/// Reliable data is collected this long for a client that has not opened its channel: one that never does is no part of
/// the talk, and no reason to throw it out.
const CHANNEL_PATIENCE: Duration = Duration::from_secs(10);
/// Receivers a packet may name, all its lists together.
const DESTINATIONS_MAX: usize = 256;
/// What identity and session id may add to a packet of the allowed size, in bytes.
const STAMP_BYTES: usize = 1024;
/// Data channels one connection may have open: clients have three.
const CHANNELS_MAX: usize = 8;

impl NewPeer {
    /// What its data packets say of their sender: identity and session id, nothing of one that is hidden.
    fn signature(&self) -> (&str, &str) {
        if self.hidden { ("", "") } else { (&*self.identity, &*self.sid) }
    }
}

impl Shard {
    pub(super) fn on_channel_open(&mut self, id: LinkId, channel: ChannelId, label: &str) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.channels += 1;
        if link.channels > CHANNELS_MAX {
            return self.fail(id, "it opens too many data channels");
        }
        match label {
            RELIABLE => link.reliable = Some(channel),
            LOSSY => link.lossy = Some(channel),
            _ => {}
        }
        self.flush_backlog(id);
    }

    pub(super) fn on_channel_close(&mut self, id: LinkId, channel: ChannelId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.channels = link.channels.saturating_sub(1);
        for known in [&mut link.reliable, &mut link.lossy] {
            if *known == Some(channel) {
                *known = None;
            }
        }
    }

    /// A participant sent a data packet.
    pub(super) fn on_data(&mut self, id: LinkId, data: &ChannelData, now: Instant) {
        if self.relay(id, data, now).is_none() {
            self.counters.data_dropped.add(1);
        }
    }

    /// `None`: not sent on.
    fn relay(&mut self, id: LinkId, data: &ChannelData, now: Instant) -> Option<()> {
        let link = self.links.get(&id)?;
        let kind = if link.reliable == Some(data.id) {
            Kind::Reliable
        } else if link.lossy == Some(data.id) {
            Kind::Lossy
        } else {
            return None;
        };
        let peer = self.peers.get_mut(&id.peer)?;
        let len = data.data.len();
        if !peer.new.may_publish_data || len > DATA_PACKET_MAX_BYTES + STAMP_BYTES || !peer.may_ever_send(len) {
            return None;
        }
        if kind == Kind::Lossy && !peer.may_send(len, now) {
            return None;
        }
        let packet = DataPacket::decode(data.data.as_slice()).ok()?;
        if destinations_of(&packet) > DESTINATIONS_MAX || is_the_servers(&packet) {
            return None;
        }
        if kind == Kind::Reliable && packet.sequence > 0 {
            // A client that came back sends again what it cannot know to have arrived.
            let last = peer.new.last_sequence.fetch_max(packet.sequence, Ordering::Relaxed);
            if packet.sequence <= last {
                return Some(());
            }
        }
        let first = peer.held.is_empty();
        if kind == Kind::Lossy || (first && peer.may_send(len, now)) {
            self.pass_on(id.peer, packet, kind, now);
        } else if !peer.held.push(packet, len) {
            self.lose(id.peer, "it sends more reliable data than may be passed on");
            return None;
        } else if first {
            self.holding.push(id.peer);
        }
        Some(())
    }

    /// Sends a participant's packet to those it is for.
    pub(super) fn pass_on(&mut self, sender: PeerId, mut packet: DataPacket, kind: Kind, now: Instant) {
        let Some(peer) = self.peers.get(&sender).filter(|peer| peer.new.may_publish_data) else { return };
        let (identity, sid) = peer.new.signature();
        let destinations = stamp(&mut packet, kind, identity, sid);
        let bytes: Arc<[u8]> = packet.encode_to_vec().into();
        for receiver in self.rooms.get(&peer.new.room).cloned().unwrap_or_default() {
            if receiver != sender {
                self.send_to(receiver, &destinations, kind, &bytes, now);
            }
        }
    }

    /// Sends data of the server's own.
    pub(super) fn send_own_data(&mut self, room: RoomKey, mut packet: DataPacket, now: Instant) {
        let kind = packet.kind();
        let destinations = stamp(&mut packet, kind, "", "");
        let bytes: Arc<[u8]> = packet.encode_to_vec().into();
        for receiver in self.rooms.get(&room).cloned().unwrap_or_default() {
            self.send_to(receiver, &destinations, kind, &bytes, now);
        }
    }

    /// Sends to one participant, if the data is for it.
    fn send_to(&mut self, receiver: PeerId, whom: &Destinations, kind: Kind, bytes: &Arc<[u8]>, now: Instant) {
        let Some(peer) = self.peers.get(&receiver) else { return };
        if whom.matches(&peer.new.identity, &peer.new.sid) {
            let target = peer.primary();
            self.send_data(target, kind, bytes, now);
        }
    }

    fn send_data(&mut self, id: LinkId, kind: Kind, bytes: &Arc<[u8]>, now: Instant) {
        let limit = self.limits.data_backlog_bytes;
        let Some(link) = self.links.get_mut(&id) else { return };
        match kind {
            Kind::Lossy => {
                if write(link, link.lossy, bytes, LOSSY_BUFFER_BYTES) {
                    self.counters.data_forwarded.add(1);
                } else {
                    self.counters.data_dropped.add(1);
                }
            }
            Kind::Reliable
                if link.reliable.is_none() && now.saturating_duration_since(link.created) > CHANNEL_PATIENCE =>
            {
                // With a gap, what was collected is worthless, too.
                self.counters.data_dropped.add(1 + link.backlog.messages.len() as u64);
                link.backlog = Backlog::default();
                return;
            }
            Kind::Reliable => {
                let sent = link.backlog.messages.is_empty() && write(link, link.reliable, bytes, usize::MAX);
                if !sent {
                    if link.backlog.bytes + bytes.len() > limit {
                        // What was promised reliable cannot be dropped: this client must begin anew.
                        self.lose(id.peer, "it does not read its data");
                        return;
                    }
                    link.backlog.bytes += bytes.len();
                    link.backlog.messages.push_back(bytes.clone());
                }
                self.counters.data_forwarded.add(1);
            }
        }
        self.mark_dirty(id);
    }

    /// Sends what waited, as far as the client takes it.
    pub(super) fn flush_backlog(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        while let Some(bytes) = link.backlog.messages.front().cloned() {
            if !write(link, link.reliable, &bytes, usize::MAX) {
                break;
            }
            link.backlog.bytes = link.backlog.bytes.saturating_sub(bytes.len());
            link.backlog.messages.pop_front();
        }
        self.mark_dirty(id);
    }
}

/// Writes to a channel if it is open, has less than `buffer` waiting and takes it.
fn write(link: &mut Link, channel: Option<ChannelId>, bytes: &[u8], buffer: usize) -> bool {
    /// The client is asked for more when less than this waits, in bytes.
    const LOW_BYTES: usize = 128 * 1024;
    let Some(mut channel) = channel.and_then(|id| link.rtc.channel(id)) else { return false };
    if channel.buffered_amount() > buffer {
        return false;
    }
    channel.set_buffered_amount_low_threshold(LOW_BYTES);
    channel.write(true, bytes).unwrap_or_else(|error| {
        tracing::debug!(%error, "a data channel did not take a packet");
        false
    })
}

/// Whom a packet is for.
struct Destinations {
    identities: Vec<String>,
    sids: Vec<String>,
}

impl Destinations {
    fn matches(&self, identity: &str, sid: &str) -> bool {
        (self.identities.is_empty() && self.sids.is_empty())
            || self.identities.iter().any(|wanted| wanted == identity)
            || self.sids.iter().any(|wanted| wanted == sid)
    }
}

/// What only the server itself says.
fn is_the_servers(packet: &DataPacket) -> bool {
    matches!(&packet.value, Some(Value::User(user)) if user.topic.as_deref() == Some(TOPIC_KNOCK))
}

/// How many receivers a packet names.
#[expect(deprecated, reason = "older clients still write these")]
fn destinations_of(packet: &DataPacket) -> usize {
    let user = match &packet.value {
        Some(Value::User(user)) => user.destination_identities.len() + user.destination_sids.len(),
        _ => 0,
    };
    packet.destination_identities.len() + user
}

/// Says in the packet who sent it, whatever the sender claimed, and reads for whom it is. Older clients read both in
/// the user packet, so they stand there as well.
fn stamp(packet: &mut DataPacket, kind: Kind, identity: &str, sid: &str) -> Destinations {
    #[expect(deprecated, reason = "older clients still write and read these")]
    fn stamp_user(user: &mut UserPacket, identities: &mut Vec<String>, identity: &str, sid: &str) -> Vec<String> {
        if identities.is_empty() {
            identities.clone_from(&user.destination_identities);
        }
        user.destination_identities.clone_from(identities);
        identity.clone_into(&mut user.participant_identity);
        sid.clone_into(&mut user.participant_sid);
        user.destination_sids.clone()
    }
    #[expect(deprecated, reason = "older clients read the kind here")]
    fn stamp_kind(packet: &mut DataPacket, kind: Kind) {
        packet.kind = kind.into();
    }
    stamp_kind(packet, kind);
    identity.clone_into(&mut packet.participant_identity);
    sid.clone_into(&mut packet.participant_sid);
    let sids = match &mut packet.value {
        Some(Value::User(user)) => stamp_user(user, &mut packet.destination_identities, identity, sid),
        _ => Vec::new(),
    };
    Destinations { identities: packet.destination_identities.clone(), sids }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_speaks_in_anothers_name() {
        let user = UserPacket { payload: b"hi".to_vec(), ..UserPacket::default() };
        let mut packet = DataPacket {
            participant_identity: "queen".into(),
            participant_sid: "PA_queen".into(),
            value: Some(Value::User(user)),
            ..DataPacket::default()
        };
        let to = stamp(&mut packet, Kind::Lossy, "ann", "PA_1");
        assert_eq!((packet.participant_identity.as_str(), packet.participant_sid.as_str()), ("ann", "PA_1"));
        assert!(to.matches("bob", "PA_2"), "to all");
    }

    #[test]
    fn who_is_hidden_is_addressed_and_not_named() {
        let ghost = NewPeer {
            id: PeerId(1),
            room: RoomKey(1),
            identity: "ghost".into(),
            sid: "PA_1".into(),
            hidden: true,
            single: true,
            subscriber_primary: false,
            may_publish_data: true,
            last_sequence: Arc::default(),
            may_pause: true,
        };
        assert_eq!(ghost.signature(), ("", ""));
        let mut packet = DataPacket { destination_identities: vec!["ghost".into()], ..DataPacket::default() };
        let to = stamp(&mut packet, Kind::Reliable, "ann", "PA_2");
        assert!(to.matches(&ghost.identity, &ghost.sid) && !to.matches("", ""));
        let seen = NewPeer { hidden: false, ..ghost };
        assert_eq!(seen.signature(), ("ghost", "PA_1"));
    }

    #[test]
    fn a_packet_for_some_reaches_only_those() {
        let mut packet = DataPacket { destination_identities: vec!["bob".into()], ..DataPacket::default() };
        let to = stamp(&mut packet, Kind::Reliable, "ann", "PA_1");
        assert!(to.matches("bob", "PA_2") && !to.matches("cleo", "PA_3"));
        assert_eq!(packet.destination_identities, ["bob"], "receivers still see it");
        assert_eq!(destinations_of(&packet), 1);
    }
}
