//! Media over TCP, for clients whose network lets no UDP through: passive ICE candidates (RFC 6544) and a length before
//! each packet (RFC 4571). A bounded number of connections, each with bounded buffers; whoever sends nothing that one of
//! our connections accepts is closed.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::server::sources::source_of;

/// Length field before each packet, in bytes (RFC 4571 section 2).
const LENGTH_BYTES: usize = 2;
/// The longest packet taken: WebRTC stays below 1500 bytes.
const PACKET_MAX_BYTES: usize = 1600;
/// What may wait for a client that does not read: then packets are dropped, as UDP would.
const WAITING_MAX_BYTES: usize = 256 * 1024;
/// A connection that belongs to nobody for this long is closed.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that may be open and belong to nobody, and of those the ones from one address: clients open a few.
const STRANGERS_MAX: usize = 64;
const STRANGERS_PER_SOURCE: usize = 16;

/// One connection.
struct Connection {
    stream: TcpStream,
    source: SocketAddr,
    opened: Instant,
    /// One of our WebRTC connections accepted what came from here.
    known: bool,
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
}

/// The listener and its connections.
pub(super) struct Tcp {
    listener: TcpListener,
    registry: Registry,
    first_token: usize,
    next_token: usize,
    connections: HashMap<Token, Connection>,
    tokens: HashMap<SocketAddr, Token>,
    /// Connections on which something may have come.
    readable: VecDeque<Token>,
    connections_max: usize,
}

impl Tcp {
    /// Listens; the listener's token is `first_token`, those of connections follow it.
    pub(super) fn new(
        listener: std::net::TcpListener,
        registry: Registry,
        first_token: usize,
        connections_max: usize,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        registry.register(&mut listener, Token(first_token), Interest::READABLE)?;
        Ok(Self {
            listener,
            registry,
            first_token,
            next_token: first_token + 1,
            connections: HashMap::new(),
            tokens: HashMap::new(),
            readable: VecDeque::new(),
            connections_max,
        })
    }

    /// The system says that something happened under this token.
    pub(super) fn on_ready(&mut self, token: Token, now: Instant) {
        if token.0 == self.first_token {
            self.accept(now);
        } else if let Some(connection) = self.connections.get_mut(&token) {
            self.readable.push_back(token);
            if connection.flush().is_err() {
                self.close(token);
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        loop {
            let (mut stream, source) = match self.listener.accept() {
                Ok((stream, source)) => (stream, canonical(source)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(%error, "a media connection could not be accepted");
                    return;
                }
            };
            if self.connections.len() >= self.connections_max || !self.admits(source) {
                continue;
            }
            let token = Token(self.next_token);
            self.next_token += 1;
            let prepared = stream
                .set_nodelay(true)
                .and_then(|()| self.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE));
            if let Err(error) = prepared {
                tracing::debug!(%error, "a media connection could not be used");
                continue;
            }
            let (incoming, outgoing) = (Vec::new(), VecDeque::new());
            self.connections
                .insert(token, Connection { stream, source, opened: now, known: false, incoming, outgoing });
            self.tokens.insert(source, token);
            self.readable.push_back(token);
        }
    }

    /// Whether one more that is not known yet may come from there.
    fn admits(&self, source: SocketAddr) -> bool {
        let strangers = || self.connections.values().filter(|connection| !connection.known);
        let same = |connection: &&Connection| source_of(connection.source.ip()) == source_of(source.ip());
        strangers().count() < STRANGERS_MAX && strangers().filter(same).count() < STRANGERS_PER_SOURCE
    }

    /// The next whole packet that came.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        while let Some(&token) = self.readable.front() {
            let Some(connection) = self.connections.get_mut(&token) else {
                self.readable.pop_front();
                continue;
            };
            match connection.next_packet(buffer) {
                Ok(Some(len)) => return Some((len, connection.source)),
                Ok(None) => {
                    self.readable.pop_front();
                }
                Err(error) => {
                    tracing::trace!(%error, "a media connection ended");
                    self.close(token);
                }
            }
        }
        None
    }

    /// Sends a packet; `false` when it had to be dropped.
    pub(super) fn send(&mut self, packet: &[u8], to: SocketAddr) -> bool {
        let Some(token) = self.tokens.get(&to).copied() else { return false };
        let Some(connection) = self.connections.get_mut(&token) else { return false };
        let Ok(len) = u16::try_from(packet.len()) else { return false };
        if connection.outgoing.len() + packet.len() > WAITING_MAX_BYTES {
            return false;
        }
        connection.outgoing.extend(len.to_be_bytes());
        connection.outgoing.extend(packet);
        if connection.flush().is_err() {
            self.close(token);
            return false;
        }
        true
    }

    /// What came from there is one of ours.
    pub(super) fn know(&mut self, source: SocketAddr) {
        if let Some(connection) = self.tokens.get(&source).and_then(|token| self.connections.get_mut(token)) {
            connection.known = true;
        }
    }

    /// Closes connections by which nobody came.
    pub(super) fn sweep(&mut self, now: Instant) {
        let stale = |connection: &Connection| {
            !connection.known && now.saturating_duration_since(connection.opened) > STRANGER_TIMEOUT
        };
        let gone: Vec<Token> = self.connections.iter().filter(|(_, c)| stale(c)).map(|(token, _)| *token).collect();
        for token in gone {
            self.close(token);
        }
    }

    /// Closes the connection from there, if there is one.
    pub(super) fn forget(&mut self, source: SocketAddr) {
        if let Some(token) = self.tokens.get(&source).copied() {
            self.close(token);
        }
    }

    fn close(&mut self, token: Token) {
        let Some(mut connection) = self.connections.remove(&token) else { return };
        if self.tokens.get(&connection.source) == Some(&token) {
            self.tokens.remove(&connection.source);
        }
        if let Err(error) = self.registry.deregister(&mut connection.stream) {
            tracing::debug!(%error, "a media connection could not be taken out");
        }
    }
}

impl Connection {
    /// The next whole packet; `None` when it has not come yet.
    fn next_packet(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            if let Some((packet, used)) = unframe(&self.incoming)? {
                let len = packet.len();
                let Some(place) = buffer.get_mut(..len) else { return Err(io::ErrorKind::InvalidData.into()) };
                place.copy_from_slice(packet);
                self.incoming.drain(..used);
                return Ok(Some(len));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.incoming.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.write(self.outgoing.as_slices().0) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => drop(self.outgoing.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Not connected yet: what waits goes when it is.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The first packet and the bytes it takes with its length; `None` when it is not whole.
fn unframe(bytes: &[u8]) -> io::Result<Option<(&[u8], usize)>> {
    let Some((&[high, low], rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > PACKET_MAX_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(rest.get(..len).map(|packet| (packet, LENGTH_BYTES + len)))
}

/// An IPv4 address as such, also where a socket for both kinds shows it inside an IPv6 one (RFC 4291 section 2.5.5.2).
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_every_place() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let poll = mio::Poll::new().unwrap();
        let mut tcp = Tcp::new(listener, poll.registry().try_clone().unwrap(), 2, 1000).unwrap();
        let far: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        tcp.accept(Instant::now());
        assert_eq!(tcp.connections.len(), STRANGERS_PER_SOURCE, "of {}", far.len());
        assert!(tcp.admits("192.0.2.1:9".parse().unwrap()), "others have their own");
        tcp.know(far[0].local_addr().unwrap());
        assert!(tcp.admits(addr), "who proves to be ours does not count");
    }

    #[test]
    fn packets_are_cut_out_of_the_stream() {
        let bytes = [0, 3, 1, 2, 3, 0, 1, 9, 0];
        assert_eq!(unframe(&bytes).unwrap(), Some((&[1, 2, 3][..], 5)));
        assert_eq!(unframe(&bytes[5..]).unwrap(), Some((&[9][..], 3)));
        assert_eq!(unframe(&bytes[8..]).unwrap(), None);
        assert_eq!(unframe(&bytes[..4]).unwrap(), None, "not whole yet");
        assert!(unframe(&[0xff, 0xff, 0]).is_err(), "nobody sends that");
    }
}
