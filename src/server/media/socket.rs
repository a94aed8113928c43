//! The sockets of the media thread, UDP and TCP: readiness, counting, and finding whom a STUN message is for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use str0m::net::Protocol;

use super::tcp::{Tcp, canonical};
use crate::server::counters::Counters;

const UDP: Token = Token(0);
const WAKE: Token = Token(1);

/// The first token of TCP; all later ones are its connections'.
const TCP: usize = 2;
/// Events taken from the system at a time.
const EVENTS: usize = 128;

/// Where a packet comes from or goes to.
pub(super) type Remote = (Protocol, SocketAddr);

/// Non-blocking sockets, the wait for which another thread can end.
pub(super) struct Socket {
    udp: UdpSocket,
    tcp: Option<Tcp>,
    /// The UDP socket takes IPv6 addresses, and IPv4 ones inside them.
    v6: bool,
    poll: Poll,
    events: Events,
    counters: Arc<Counters>,
}

impl Socket {
    pub(super) fn new(
        udp: std::net::UdpSocket,
        tcp: Option<std::net::TcpListener>,
        connections_max: usize,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        udp.set_nonblocking(true)?;
        let v6 = udp.local_addr()?.is_ipv6();
        let mut udp = UdpSocket::from_std(udp);
        let poll = Poll::new()?;
        poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
        let tcp = match tcp {
            Some(listener) => Some(Tcp::new(listener, poll.registry().try_clone()?, TCP, connections_max)?),
            None => None,
        };
        Ok(Self { udp, tcp, v6, poll, events: Events::with_capacity(EVENTS), counters })
    }

    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKE)
    }

    /// Waits for a packet, a wake-up, or the time.
    pub(super) fn wait(&mut self, timeout: Duration) {
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout)) {
            if error.kind() != io::ErrorKind::Interrupted {
                tracing::error!(%error, "waiting for packets failed");
                std::thread::sleep(Duration::from_millis(5));
            }
            return;
        }
        if let Some(tcp) = &mut self.tcp {
            for event in self.events.iter().filter(|event| event.token().0 >= TCP) {
                tcp.on_ready(event.token(), Instant::now());
            }
        }
    }

    /// The next packet that is there already.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, Remote)> {
        let received = self.receive_udp(buffer).map(|(len, source)| (len, (Protocol::Udp, source)));
        let received = received.or_else(|| {
            let (len, source) = self.tcp.as_mut()?.receive(buffer)?;
            Some((len, (Protocol::Tcp, source)))
        });
        if let Some((len, _)) = received {
            self.counters.datagrams_in.add(1);
            self.counters.bytes_in.add(len as u64);
        }
        received
    }

    fn receive_udp(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.udp.recv_from(buffer) {
                Ok((len, source)) => return Some((len, canonical(source))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // A client's closed port comes back as an error of an earlier send: read on.
                Err(error) => tracing::trace!(%error, "receiving a packet failed"),
            }
        }
    }

    /// Sends a packet, or counts it as lost: media promises no more.
    pub(super) fn send(&mut self, packet: &[u8], (protocol, to): Remote) {
        let sent = match protocol {
            Protocol::Udp => self.udp.send_to(packet, self.spelled(to)).is_ok(),
            _ => self.tcp.as_mut().is_some_and(|tcp| tcp.send(packet, to)),
        };
        if sent {
            self.counters.datagrams_out.add(1);
            self.counters.bytes_out.add(packet.len() as u64);
        } else {
            self.counters.send_failures.add(1);
        }
    }

    /// An address as the UDP socket takes it.
    fn spelled(&self, to: SocketAddr) -> SocketAddr {
        match to {
            SocketAddr::V4(v4) if self.v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            _ => to,
        }
    }

    /// One of our connections accepted what came from there.
    pub(super) fn know(&mut self, (protocol, source): Remote) {
        if let Some(tcp) = self.tcp.as_mut().filter(|_| protocol == Protocol::Tcp) {
            tcp.know(source);
        }
    }

    /// Nothing is heard from there any more.
    pub(super) fn forget(&mut self, (protocol, source): Remote) {
        if let Some(tcp) = self.tcp.as_mut().filter(|_| protocol == Protocol::Tcp) {
            tcp.forget(source);
        }
    }

    /// Closes TCP connections by which nobody came.
    pub(super) fn sweep(&mut self, now: Instant) {
        if let Some(tcp) = &mut self.tcp {
            tcp.sweep(now);
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
