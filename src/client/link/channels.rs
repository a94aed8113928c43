//! The data channels `_reliable` and `_lossy`: packets in and out, with sequence numbers (LIVEKIT.md section 6). Tasks
//! on the engine's runtime read; sending never waits.

use std::collections::HashMap;
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
        let channels = Self {
            reliable: watch(reliable, true, inbound.clone(), tasks),
            lossy: watch(lossy, false, inbound.clone(), tasks),
            inbound,
            next_sequence: 1,
            seen: HashMap::new(),
        };
        Ok((channels, receiver))
    }

    /// The server opened a channel of its own: only to be read.
    pub(super) async fn adopt(&self, channel: Arc<dyn DataChannel>, tasks: &mut Tasks) {
        match channel.label().await.as_deref() {
            Ok(RELIABLE_LABEL) => {
                watch(channel, true, self.inbound.clone(), tasks);
            }
            Ok(LOSSY_LABEL) => {
                watch(channel, false, self.inbound.clone(), tasks);
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
        channel.channel.try_send(bytes).await.map_err(|error| failed(&format!("{error}: send less, or later")))?;
        if reliable {
            self.next_sequence = self.next_sequence.wrapping_add(1).max(1);
        }
        Ok(())
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

fn failed(why: &str) -> CallError {
    CallError::new(ErrorCode::SendFailed, format!("the data was not sent: {why}"))
}

#[allow(deprecated, reason = "older LiveKit clients still read the kind inside the packet")]
fn set_kind(packet: &mut proto::DataPacket, reliable: bool) {
    packet.kind = if reliable { Kind::Reliable } else { Kind::Lossy }.into();
}

/// Reads a channel until it closes.
fn watch(channel: Arc<dyn DataChannel>, reliable: bool, inbound: mpsc::Sender<Inbound>, tasks: &mut Tasks) -> Channel {
    let open = Arc::new(AtomicBool::new(false));
    tasks.spawn(read(Arc::clone(&channel), reliable, inbound, Arc::clone(&open)));
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
