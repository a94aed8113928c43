//! Keeps repeated DTLS handshake messages from the connection.
//!
//! A fault of `rtc-dtls` 0.21.1: a message of the other side's that comes a second time ends the own repetition, so that
//! when one packet of the own answer is lost the handshake stands still for ever, the other side repeating itself to
//! somebody who does not answer any more. So what was heard before is dropped before the connection sees it (RFC 6347
//! section 4.2.4 wants it to bring the repetition forward; here it is left to the own timer of a second). A `ClientHello`
//! is special: the first may come before there is anybody to hear it, and what answers it has no timer; of a later one
//! only what comes after it was answered is dropped. Runs in the connection's driver task.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, Transmit,
};

/// A record's content type and epoch (RFC 6347 section 4.1): only the handshake before encryption is looked at.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 13;
/// A message's header (RFC 6347 section 4.2.2).
const MESSAGE_HEADER: usize = 12;
/// Messages remembered of one socket: a handshake has some ten.
const MAX_HEARD: usize = 256;

/// A runtime whose UDP sockets drop what was heard before; everything else is the inner one's.
#[derive(Debug)]
pub(super) struct AttentiveRuntime(pub(super) Arc<dyn Runtime>);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for AttentiveRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.0.spawn(future)
    }

    fn spawn_reactor(&self, reactor_pool_size: usize, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.0.spawn_reactor(reactor_pool_size, future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(AttentiveSocket { inner: self.0.wrap_udp_socket(socket)?, heard: Mutex::default() }))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.0.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(&'a self, remote_addr: SocketAddr) -> Boxed<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.0.connect_tcp(remote_addr)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        self.0.resolve_host(host)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.0.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.0.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        self.0.yield_now()
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}

/// See [`AttentiveRuntime`].
struct AttentiveSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    heard: Mutex<Heard>,
}

impl fmt::Debug for AttentiveSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttentiveSocket").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for AttentiveSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if transmit.contents.first() == Some(&HANDSHAKE) {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).answer(transmit.destination);
        }
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let count = ready!(self.inner.poll_recv(cx, bufs, meta))?;
            // Media comes in bursts, joined by the system; a handshake does not.
            let repeated = match (count, bufs.first(), meta.first()) {
                (1, Some(bytes), Some(meta)) if meta.len <= meta.stride => {
                    let datagram = bytes.get(..meta.len).unwrap_or_default();
                    datagram.first() == Some(&HANDSHAKE)
                        && self.heard.lock().unwrap_or_else(PoisonError::into_inner).repeats(meta.addr, datagram)
                }
                _ => false,
            };
            if !repeated {
                return Poll::Ready(Ok(count));
            }
            tracing::debug!("a repeated handshake message is dropped");
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

/// A part of a handshake message: what kind it is of, its number, and where in the message it begins.
type Part = (u8, u16, [u8; 3]);

/// What was heard.
#[derive(Default)]
struct Heard {
    senders: HashMap<SocketAddr, Sender>,
    count: usize,
}

/// What was heard of one sender.
#[derive(Default)]
struct Sender {
    parts: HashSet<Part>,
    /// Something was sent there since its newest `ClientHello`.
    answered: bool,
}

impl Heard {
    /// A handshake message goes there.
    fn answer(&mut self, to: SocketAddr) {
        if let Some(sender) = self.senders.get_mut(&to) {
            sender.answered = true;
        }
    }

    /// Whether all of a datagram was heard before and serves nobody; remembers it if it was not.
    fn repeats(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(parts) = handshake_parts(datagram) else { return false };
        if self.count >= MAX_HEARD {
            *self = Self::default();
        }
        let sender = self.senders.entry(from).or_default();
        let hello = parts.iter().find(|(kind, ..)| *kind == CLIENT_HELLO).map(|(_, number, _)| *number);
        let before = sender.parts.len();
        sender.parts.extend(parts);
        self.count += sender.parts.len() - before;
        if sender.parts.len() > before {
            sender.answered &= hello.is_none();
            return false;
        }
        hello.is_none_or(|number| number > 0 && sender.answered)
    }
}

/// The parts of handshake messages that a datagram carries; `None` when it carries anything else, or makes no sense.
fn handshake_parts(mut datagram: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    while !datagram.is_empty() {
        let header = datagram.get(..RECORD_HEADER)?;
        let encrypted = header[3..5] != [0, 0];
        if header[0] != HANDSHAKE || encrypted {
            return None;
        }
        let end = RECORD_HEADER + usize::from(u16::from_be_bytes([header[11], header[12]]));
        let mut messages = datagram.get(RECORD_HEADER..end)?;
        while !messages.is_empty() {
            let header = messages.get(..MESSAGE_HEADER)?;
            let number = u16::from_be_bytes([header[4], header[5]]);
            let length = u32::from_be_bytes([0, header[9], header[10], header[11]]) as usize;
            parts.push((header[0], number, [header[6], header[7], header[8]]));
            messages = messages.get(MESSAGE_HEADER + length..)?;
        }
        datagram = &datagram[end..];
    }
    (!parts.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, sequence];
        record.extend((body.len() as u16).to_be_bytes());
        record.extend(body);
        record
    }

    fn message(number: u8, offset: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![2, 0, 0, 40, 0, number, 0, 0, offset, 0, 0, body.len() as u8];
        message.extend(body);
        message
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_flight_that_comes_again_is_dropped_and_a_part_that_was_lost_is_not() {
        let mut heard = Heard::default();
        let hello = record(HANDSHAKE, 0, 0, &message(0, 0, &[7; 20]));
        let rest = record(HANDSHAKE, 0, 1, &[message(1, 0, &[8; 20]), message(2, 0, &[])].concat());
        assert!(!heard.repeats(from(1), &hello));
        let again = record(HANDSHAKE, 0, 5, &message(0, 0, &[7; 20]));
        assert!(heard.repeats(from(1), &again), "another record number, the same message");
        let whole = [again, rest].concat();
        assert!(!heard.repeats(from(1), &whole), "its second half was never heard");
        assert!(heard.repeats(from(1), &whole));
        assert!(!heard.repeats(from(2), &hello), "someone else's");
        let second_part = record(HANDSHAKE, 0, 9, &message(2, 20, &[1; 20]));
        assert!(!heard.repeats(from(1), &second_part), "another part of a message");
    }

    #[test]
    fn a_hello_is_heard_until_it_is_answered() {
        let mut heard = Heard::default();
        let hello = |number| {
            let mut hello = message(number, 0, &[7; 20]);
            hello[0] = CLIENT_HELLO;
            record(HANDSHAKE, 0, number, &hello)
        };
        for _ in 0..3 {
            assert!(!heard.repeats(from(1), &hello(0)), "nobody may have been there to hear it");
        }
        heard.answer(from(1));
        assert!(!heard.repeats(from(1), &hello(0)), "the request for a cookie may be lost, and has no timer");
        for _ in 0..2 {
            assert!(!heard.repeats(from(1), &hello(1)));
        }
        heard.answer(from(1));
        assert!(heard.repeats(from(1), &hello(1)), "the answer's own timer repeats it");
    }

    #[test]
    fn everything_else_comes_through() {
        let mut heard = Heard::default();
        let finished = record(HANDSHAKE, 1, 0, &[3; 40]);
        let change = record(20, 0, 3, &[1]);
        let hello = record(HANDSHAKE, 0, 0, &message(0, 0, &[7; 20]));
        let mixed = [hello.clone(), change.clone()].concat();
        for datagram in [&finished[..], &change, &mixed, &hello[..hello.len() - 1], &[HANDSHAKE; 14], &[]] {
            assert!(!heard.repeats(from(1), datagram) && !heard.repeats(from(1), datagram), "{datagram:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut heard = Heard::default();
        for number in 0..=255 {
            for port in 1..20 {
                heard.repeats(from(port), &record(HANDSHAKE, 0, 0, &message(number, 0, &[])));
            }
        }
        assert!(heard.senders.values().map(|sender| sender.parts.len()).sum::<usize>() <= MAX_HEARD);
    }
}
