//! The bounded queue between signalling and one client's WebSocket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use livekit_protocol::SignalResponse;
use livekit_protocol::signal_response::Message;
use prost::Message as _;
use tokio::sync::mpsc;

/// A message for one client or for many; encoded once, when the first of them takes it.
#[derive(Debug)]
pub(crate) struct Signal {
    message: SignalResponse,
    binary: OnceLock<Bytes>,
}

impl Signal {
    pub(crate) fn message(&self) -> &SignalResponse {
        &self.message
    }

    /// As protobuf.
    pub(crate) fn binary(&self) -> Bytes {
        self.binary.get_or_init(|| self.message.encode_to_vec().into()).clone()
    }
}

/// What a WebSocket shall do.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// Send this.
    Message(Arc<Signal>),
    /// Send a close frame and end.
    Close,
}

/// The sending end: never waits. A client that lets its queue fill up is given up: it would miss messages.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    overflowed: AtomicBool,
}

impl Outbox {
    /// A queue of `capacity` messages.
    pub(crate) fn new(capacity: usize) -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, receiver) = mpsc::channel(capacity);
        (Self { queue, overflowed: AtomicBool::new(false) }, receiver)
    }

    /// Leads nowhere: for a client that has no WebSocket now.
    pub(crate) fn nowhere() -> Self {
        Self::new(1).0
    }

    /// Queues a message.
    pub(crate) fn send(&self, message: &Arc<Signal>) {
        self.push(Outgoing::Message(message.clone()));
    }

    /// Lets the queue run empty and closes the socket after it.
    pub(crate) fn close(&self) {
        self.push(Outgoing::Close);
    }

    fn push(&self, outgoing: Outgoing) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(outgoing)
            && !self.overflowed.swap(true, Ordering::Relaxed)
        {
            tracing::info!("a client does not read its messages: giving it up");
        }
    }

    /// The WebSocket has ended, or the client was given up: nothing reaches it any more.
    pub(crate) fn is_dead(&self) -> bool {
        self.queue.is_closed() || self.overflowed.load(Ordering::Relaxed)
    }
}

/// Wraps a message for sending to one or many.
pub(crate) fn response(message: Message) -> Arc<Signal> {
    Arc::new(Signal { message: SignalResponse { message: Some(message) }, binary: OnceLock::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_is_given_up() {
        let (outbox, _receiver) = Outbox::new(2);
        let pong = response(Message::Pong(1));
        outbox.send(&pong);
        outbox.send(&pong);
        assert!(!outbox.is_dead());
        outbox.send(&pong);
        assert!(outbox.is_dead());
    }

    #[test]
    fn a_message_for_many_is_encoded_once() {
        let pong = response(Message::Pong(7));
        let (first, second) = (pong.binary(), pong.clone().binary());
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(&SignalResponse::decode(first).unwrap(), pong.message());
    }

    #[test]
    fn an_ended_socket_is_noticed() {
        let (outbox, receiver) = Outbox::new(2);
        drop(receiver);
        assert!(outbox.is_dead());
    }
}
