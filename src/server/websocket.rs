//! One client's WebSocket: a task that reads requests under a rate and a size, and writes what its outbox holds.
//! Binary frames are protobuf; a client that sends JSON text gets JSON text.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use livekit_protocol::SignalRequest;
use livekit_protocol::signal_request::{self, Message as Ask};
use prost::Message as _;
use tokio::sync::mpsc;

use super::config::ServerLimits;
use super::counters::Counters;
use super::hub::{HubMessage, Seat};
use super::outbox::{Outgoing, Signal};
use super::rate::Rate;

/// The server pings this often.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Nothing came for this long, not even an answer to a ping: the client is gone.
const SILENCE: Duration = Duration::from_secs(25);
/// A single write may take this long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest request that carries no description, in bytes.
const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// WebSocket close codes (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;
const POLICY: u16 = 1008;

/// What the task needs besides the socket.
pub(crate) struct Pump {
    pub(crate) seat: Seat,
    pub(crate) hub: mpsc::Sender<HubMessage>,
    pub(crate) outbox: mpsc::Receiver<Outgoing>,
    pub(crate) limits: ServerLimits,
    pub(crate) counters: Arc<Counters>,
}

impl Pump {
    /// Runs until either side ends it.
    pub(crate) async fn run(mut self, mut socket: WebSocket) {
        let mut rate = Rate::new(self.limits.signal_messages_per_sec, 10, Instant::now());
        let mut ping = tokio::time::interval(PING_INTERVAL);
        let mut heard = Instant::now();
        let mut json = false;
        let (code, reason) = loop {
            tokio::select! {
                outgoing = self.outbox.recv() => match outgoing {
                    Some(Outgoing::Message(message)) => {
                        if !write(&mut socket, encode(&message, json)).await {
                            break (NORMAL, "");
                        }
                    }
                    Some(Outgoing::Close) | None => break (NORMAL, ""),
                },
                incoming = socket.recv() => {
                    heard = Instant::now();
                    let (len, request) = match incoming {
                        Some(Ok(Message::Binary(bytes))) => (bytes.len(), SignalRequest::decode(bytes).ok()),
                        Some(Ok(Message::Text(text))) => {
                            json = true;
                            (text.len(), serde_json::from_str::<SignalRequest>(&text).ok())
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                        // A message over the size limit arrives here as an error.
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break (NORMAL, ""),
                    };
                    if !rate.take(1, heard) {
                        self.counters.bad_signals.add(1);
                        break (POLICY, "too many messages");
                    }
                    let message = request.and_then(|request| request.message);
                    let Some(message) = message.filter(|message| len <= max_bytes(message, &self.limits)) else {
                        // Unreadable, too long, or a request newer than we are: one bad message is not the end of a call.
                        self.counters.bad_signals.add(1);
                        continue;
                    };
                    if self.hub.send(HubMessage::Signal { seat: self.seat, message: Box::new(message) }).await.is_err() {
                        break (NORMAL, "");
                    }
                },
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE || !write(&mut socket, Message::Ping(Default::default())).await {
                        break (NORMAL, "");
                    }
                },
            }
        };
        self.outbox.close();
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        if !write(&mut socket, close).await {
            tracing::trace!(peer = self.seat.peer.0, "the client was gone before the goodbye");
        }
        if self.hub.send(HubMessage::SocketClosed { seat: self.seat }).await.is_err() {
            tracing::trace!(peer = self.seat.peer.0, "the server stopped before the client left");
        }
    }
}

/// How long a request may be, in bytes: only descriptions and metadata are ever long.
fn max_bytes(message: &signal_request::Message, limits: &ServerLimits) -> usize {
    match message {
        Ask::Offer(_) | Ask::Answer(_) | Ask::SyncState(_) => limits.signal_message_bytes,
        Ask::UpdateMetadata(_) => REQUEST_MAX_BYTES + limits.metadata_bytes + limits.attributes_bytes,
        _ => REQUEST_MAX_BYTES,
    }
}

async fn write(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(WRITE_TIMEOUT, socket.send(message)).await, Ok(Ok(())))
}

fn encode(signal: &Signal, json: bool) -> Message {
    if json {
        match serde_json::to_string(signal.message()) {
            Ok(text) => return Message::Text(text.into()),
            Err(error) => tracing::error!(%error, "a response is not JSON"),
        }
    }
    Message::Binary(signal.binary())
}
