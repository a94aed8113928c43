//! The UDP socket of the media thread: readiness, counting, and finding whom a STUN message is for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::server::counters::Counters;

const UDP: Token = Token(0);
const WAKE: Token = Token(1);

/// A non-blocking socket that can also be woken by another thread.
pub(super) struct Socket {
    udp: UdpSocket,
    poll: Poll,
    events: Events,
    counters: Arc<Counters>,
}

impl Socket {
    pub(super) fn new(socket: std::net::UdpSocket, counters: Arc<Counters>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let mut udp = UdpSocket::from_std(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
        Ok(Self { udp, poll, events: Events::with_capacity(8), counters })
    }

    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKE)
    }

    /// Waits for a datagram, a wake-up, or the time.
    pub(super) fn wait(&mut self, timeout: Duration) {
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout))
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "waiting for packets failed");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The next datagram that is there already.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.udp.recv_from(buffer) {
                Ok((len, source)) => {
                    self.counters.datagrams_in.add(1);
                    self.counters.bytes_in.add(len as u64);
                    return Some((len, source));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // A client's closed port comes back as an error of an earlier send: read on.
                Err(error) => tracing::trace!(%error, "receiving a packet failed"),
            }
        }
    }

    /// Sends a datagram, or counts it as lost: UDP promises no more.
    pub(super) fn send(&self, datagram: &[u8], to: SocketAddr) {
        match self.udp.send_to(datagram, to) {
            Ok(_) => {
                self.counters.datagrams_out.add(1);
                self.counters.bytes_out.add(datagram.len() as u64);
            }
            Err(_) => self.counters.send_failures.add(1),
        }
    }
}

/// The user name fragment a STUN request is addressed to (RFC 8489 section 14.3: `ours:theirs`); `None` for anything else.
pub(super) fn stun_user(datagram: &[u8]) -> Option<&str> {
    const HEADER: usize = 20;
    const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    const USERNAME: u16 = 0x0006;
    if *datagram.first()? > 3 || datagram.get(4..8)? != COOKIE {
        return None;
    }
    let mut rest = datagram.get(HEADER..)?;
    while let [t0, t1, l0, l1, ..] = *rest {
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(4..4 + len)?;
        if u16::from_be_bytes([t0, t1]) == USERNAME {
            return std::str::from_utf8(value).ok()?.split(':').next();
        }
        rest = rest.get(4 + len.next_multiple_of(4)..)?;
    }
    None
}

/// Whether a datagram is STUN at all (RFC 7983).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first <= 3)
}

/// The SSRC of an RTP packet, encrypted or not (RFC 3550 section 5.1); `None` for anything else (RFC 5761, RFC 7983).
pub(super) fn rtp_ssrc(datagram: &[u8]) -> Option<u32> {
    let (first, kind) = (*datagram.first()?, *datagram.get(1)?);
    if !(128..=191).contains(&first) || (192..=223).contains(&kind) {
        return None;
    }
    Some(u32::from_be_bytes(datagram.get(8..12)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding_request(user: &[u8]) -> Vec<u8> {
        let mut packet = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        packet.extend([7; 12]);
        packet.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
        packet.extend([0, 6, 0, user.len() as u8]);
        packet.extend(user);
        packet
    }

    #[test]
    fn a_stun_request_names_its_addressee() {
        assert_eq!(stun_user(&binding_request(b"abcd:efgh")), Some("abcd"));
        assert_eq!(stun_user(&[0x80; 40]), None, "RTP");
    }

    #[test]
    fn truncated_stun_names_nobody() {
        let whole = binding_request(b"abcd:efgh");
        for len in 0..whole.len() {
            assert_eq!(stun_user(&whole[..len]), None);
        }
        assert_eq!(stun_user(&binding_request(&[0xff, 0xfe])), None);
    }
}
