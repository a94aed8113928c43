//! The data channels `_reliable` and `_lossy`: packets in and out, with sequence numbers (LIVEKIT.md section 6). Tasks
//! on the engine's runtime read; sending never waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use livekit_protocol as proto;
use prost::Message;
use proto::data_packet::{Kind, Value};
use rtc::data_channel::RTCDataChannelInit;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::PeerConnection;

use super::peer::DATA_SEND_BUFFER_BYTES;
use super::tasks::Tasks;
use crate::model::limits::DATA_PACKET_MAX_BYTES;
use crate::model::{CallError, ErrorCode, UserId};

const RELIABLE_LABEL: &str = "_reliable";
const LOSSY_LABEL: &str = "_lossy";
/// Received packets that may wait; a reader that is behind slows the sender down.
const INBOUND_CAPACITY: usize = 128;
/// Senders whose last sequence number is remembered.
const MAX_SENDERS: usize = 4096;
/// People one packet may be addressed to.
const MAX_DESTINATIONS: usize = 256;
/// Reliable packets that are kept to be sent again, and their bytes.
const MAX_SENT_PACKETS: usize = 1024;
const MAX_SENT_BYTES: usize = 1024 * 1024;

/// A packet as it came.
pub(in crate::client) struct Inbound {
    /// The packet.
    pub(in crate::client) packet: proto::DataPacket,
    /// Over which channel.
    pub(in crate::client) reliable: bool,
}

/// Both channels of one link.
pub(in crate::client) struct Channels {
    reliable: Channel,
    lossy: Channel,
    inbound: mpsc::Sender<Inbound>,
    /// Sequence number of the next reliable packet; the first is 1.
    next_sequence: u32,
    /// Last sequence number seen per sender session.
    seen: HashMap<String, u32>,
    /// The newest reliable packets, for the case that they are lost with the connection.
    sent: Sent,
    /// A channel of ours closed: nothing more can be sent on this link.
    pub(super) closed: Arc<AtomicBool>,
}

struct Channel {
    channel: Arc<dyn DataChannel>,
    open: Arc<AtomicBool>,
}

impl Channels {
    /// Creates both channels, to be part of the first offer, and starts reading them.
    pub(super) async fn create(
        peer: &Arc<dyn PeerConnection>,
        tasks: &mut Tasks,
    ) -> webrtc::error::Result<(Self, mpsc::Receiver<Inbound>)> {
        let (inbound, receiver) = mpsc::channel(INBOUND_CAPACITY);
        let reliable = peer.create_data_channel(RELIABLE_LABEL, None).await?;
        let lossy_init = RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
        let lossy = peer.create_data_channel(LOSSY_LABEL, Some(lossy_init)).await?;
        let closed = Arc::new(AtomicBool::new(false));
        let channels = Self {
            reliable: watch(reliable, true, inbound.clone(), &closed, tasks),
            lossy: watch(lossy, false, inbound.clone(), &closed, tasks),
            inbound,
            next_sequence: 1,
            seen: HashMap::new(),
            sent: Sent::default(),
            closed,
        };
        Ok((channels, receiver))
    }

    /// The server opened a channel of its own: only to be read.
    pub(super) async fn adopt(&self, channel: Arc<dyn DataChannel>, tasks: &mut Tasks) {
        // One of the server's that closes is no loss.
        let closed = Arc::default();
        match channel.label().await.as_deref() {
            Ok(RELIABLE_LABEL) => {
                watch(channel, true, self.inbound.clone(), &closed, tasks);
            }
            Ok(LOSSY_LABEL) => {
                watch(channel, false, self.inbound.clone(), &closed, tasks);
            }
            Ok(label) => tracing::debug!(label, "a data channel nobody reads"),
            Err(error) => tracing::debug!(%error, "a data channel closed at once"),
        }
    }

    /// Whether packets of so many bytes together can be sent now, one after the other.
    ///
    /// # Errors
    /// [`CallError`] when the channel is not open, or too much waits already.
    pub(in crate::client) async fn check_room(&self, reliable: bool, bytes: usize) -> Result<(), CallError> {
        let channel = if reliable { &self.reliable } else { &self.lossy };
        if !channel.open.load(Ordering::Acquire) {
            return Err(failed("the connection is still being set up: try again in a moment"));
        }
        match channel.channel.outstanding_bytes().await {
            Ok(waiting) if waiting + bytes <= DATA_SEND_BUFFER_BYTES => Ok(()),
            _ => Err(failed("too much waits to be sent: send less, or later")),
        }
    }

    /// Sends one packet, or says why it cannot be sent now.
    ///
    /// # Errors
    /// [`CallError`] when the packet is too large, the channel is not open, or too much waits already.
    pub(in crate::client) async fn send(
        &mut self,
        value: Value,
        reliable: bool,
        to: &[UserId],
    ) -> Result<(), CallError> {
        if to.len() > MAX_DESTINATIONS {
            return Err(failed("it has too many receivers: leave the list empty to reach everyone"));
        }
        let channel = if reliable { &self.reliable } else { &self.lossy };
        if !channel.open.load(Ordering::Acquire) {
            return Err(failed("the connection is still being set up: try again in a moment"));
        }
        let mut packet = proto::DataPacket {
            destination_identities: to.iter().map(ToString::to_string).collect(),
            value: Some(value),
            ..Default::default()
        };
        set_kind(&mut packet, reliable);
        if reliable {
            packet.sequence = self.next_sequence;
        }
        if packet.encoded_len() > DATA_PACKET_MAX_BYTES {
            return Err(CallError::new(
                ErrorCode::MessageTooLong,
                format!("the data has {} bytes: send at most {DATA_PACKET_MAX_BYTES}", packet.encoded_len()),
            ));
        }
        let bytes = BytesMut::from(packet.encode_to_vec().as_slice());
        channel
            .channel
            .try_send(bytes.clone())
            .await
            .map_err(|error| failed(&format!("{error}: send less, or later")))?;
        if reliable {
            self.sent.keep(self.next_sequence, bytes);
            self.next_sequence = self.next_sequence.wrapping_add(1).max(1);
        }
        Ok(())
    }

    /// Sends again what came after the last packet the server has: the rest of it may still be on its way, and the server
    /// drops what it gets twice.
    pub(super) async fn resend(&mut self, last: u32) {
        for bytes in self.sent.after(last) {
            if let Err(error) = self.reliable.channel.try_send(bytes).await {
                tracing::warn!(%error, "not everything could be sent again");
                return;
            }
        }
    }

    /// The channels as a returning client names them.
    pub(super) fn infos() -> Vec<proto::DataChannelInfo> {
        [RELIABLE_LABEL, LOSSY_LABEL]
            .map(|label| proto::DataChannelInfo {
                label: label.to_owned(),
                target: proto::SignalTarget::Publisher.into(),
                ..Default::default()
            })
            .to_vec()
    }

    /// The last sequence number seen of each sender.
    pub(super) fn receive_states(&self) -> Vec<proto::DataChannelReceiveState> {
        let state = |(sid, last): (&String, &u32)| proto::DataChannelReceiveState {
            publisher_sid: sid.clone(),
            last_seq: *last,
        };
        self.seen.iter().map(state).collect()
    }

    /// Whether a received packet is new: reliable ones may come again after the server's own reconnections.
    pub(in crate::client) fn is_new(&mut self, inbound: &Inbound) -> bool {
        let packet = &inbound.packet;
        if !inbound.reliable || packet.sequence == 0 || packet.participant_sid.is_empty() {
            return true;
        }
        if self.seen.len() >= MAX_SENDERS && !self.seen.contains_key(&packet.participant_sid) {
            self.seen.clear();
        }
        let last = self.seen.entry(packet.participant_sid.clone()).or_default();
        let new = packet.sequence > *last;
        *last = packet.sequence.max(*last);
        new
    }
}

/// The newest reliable packets, within bounds, the oldest first.
#[derive(Default)]
struct Sent {
    packets: VecDeque<(u32, BytesMut)>,
    bytes: usize,
}

impl Sent {
    fn keep(&mut self, sequence: u32, packet: BytesMut) {
        self.bytes += packet.len();
        self.packets.push_back((sequence, packet));
        while self.packets.len() > MAX_SENT_PACKETS || self.bytes > MAX_SENT_BYTES {
            let Some((_, oldest)) = self.packets.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// What came after `last`; what came before is forgotten.
    fn after(&mut self, last: u32) -> Vec<BytesMut> {
        while let Some((_, known)) = self.packets.pop_front_if(|(sequence, _)| *sequence <= last) {
            self.bytes -= known.len();
        }
        self.packets.iter().map(|(_, packet)| packet.clone()).collect()
    }
}

fn failed(why: &str) -> CallError {
    CallError::new(ErrorCode::SendFailed, format!("the data was not sent: {why}"))
}

#[allow(deprecated, reason = "older LiveKit clients still read the kind inside the packet")]
fn set_kind(packet: &mut proto::DataPacket, reliable: bool) {
    packet.kind = if reliable { Kind::Reliable } else { Kind::Lossy }.into();
}

/// Reads a channel until it closes.
fn watch(
    channel: Arc<dyn DataChannel>,
    reliable: bool,
    inbound: mpsc::Sender<Inbound>,
    closed: &Arc<AtomicBool>,
    tasks: &mut Tasks,
) -> Channel {
    let open = Arc::new(AtomicBool::new(false));
    let (reading, closed) = (read(Arc::clone(&channel), reliable, inbound, Arc::clone(&open)), Arc::clone(closed));
    tasks.spawn(async move {
        reading.await;
        closed.store(true, Ordering::Release);
    });
    Channel { channel, open }
}

async fn read(channel: Arc<dyn DataChannel>, reliable: bool, inbound: mpsc::Sender<Inbound>, open: Arc<AtomicBool>) {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen => open.store(true, Ordering::Release),
            DataChannelEvent::OnMessage(message) => {
                if message.data.len() > 2 * DATA_PACKET_MAX_BYTES {
                    tracing::warn!(bytes = message.data.len(), "an oversized data packet is dropped");
                    continue;
                }
                match proto::DataPacket::decode(message.data.as_ref()) {
                    Ok(packet) => {
                        if inbound.send(Inbound { packet, reliable }).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "an unreadable data packet is dropped"),
                }
            }
            DataChannelEvent::OnClose => break,
            _ => {}
        }
    }
    open.store(false, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: usize) -> BytesMut {
        BytesMut::from(vec![7; bytes].as_slice())
    }

    #[test]
    fn what_the_server_has_is_not_sent_again() {
        let mut sent = Sent::default();
        for sequence in 1..=5 {
            sent.keep(sequence, packet(sequence as usize));
        }
        let again: Vec<usize> = sent.after(3).iter().map(BytesMut::len).collect();
        assert_eq!(again, [4, 5]);
        assert_eq!(sent.bytes, 9, "what arrived is forgotten");
        assert!(sent.after(9).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut sent = Sent::default();
        for sequence in 1..=10_000 {
            sent.keep(sequence, packet(10));
        }
        assert_eq!(sent.packets.len(), MAX_SENT_PACKETS);
        for sequence in 10_001..10_100 {
            sent.keep(sequence, packet(60_000));
        }
        assert!(sent.bytes <= MAX_SENT_BYTES && !sent.packets.is_empty());
    }
}
