//! The TCP side of the listener: a bounded number of open connections. Further ones wait in the kernel's backlog, so a
//! connection on which nothing comes, or whose request's head comes byte by byte, is ended, and no address has more
//! than its share: else a few such clients would lock everybody out. Each connection carries one request (`http`), so
//! one head's deadline is enough.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::sources::{Place, Sources};

/// After the system refused a connection (too many open files): time to recover.
const RETRY: Duration = Duration::from_millis(100);
/// A connection on which nothing came for this long ends: honest WebSockets answer our pings more often.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The head of a request must be there within this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How a head ends (RFC 9112 section 2.1).
const HEAD_END: [u8; 4] = *b"\r\n\r\n";

/// Of all connections, the share that one address may have: enough behind a proxy, where all come from one.
const SHARE: usize = 2;
/// The share of those whose request's head has not come yet: that takes honest clients a moment.
const HEADLESS_SHARE: usize = 16;

/// Accepts connections while there are permits.
pub(crate) struct Listener {
    tcp: TcpListener,
    permits: Arc<Semaphore>,
    open: Arc<Sources>,
    headless: Arc<Sources>,
}

impl Listener {
    pub(crate) fn new(tcp: TcpListener, connections: usize) -> Self {
        Self {
            tcp,
            permits: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            open: Sources::new(connections / SHARE),
            headless: Sources::new(connections / HEADLESS_SHARE),
        }
    }

    /// The places a connection from there needs; `None` when its address has its share already.
    fn places(&self, source: SocketAddr) -> Option<Places> {
        let headless = Some(self.headless.enter(source.ip())?);
        Some(Places { headless, _open: Some(self.open.enter(source.ip())?), _permit: None })
    }
}

/// What a connection holds and gives back when it ends.
#[derive(Default)]
struct Places {
    /// Given back when its request's head has come.
    headless: Option<Place>,
    _open: Option<Place>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let permit = self.permits.clone().acquire_owned().await.ok();
        loop {
            match self.tcp.accept().await {
                Ok((stream, addr)) => {
                    let Some(places) = self.places(addr) else {
                        tracing::debug!(%addr, "this address has too many connections");
                        continue;
                    };
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "signalling to this client will be slow");
                    }
                    let places = Places { _permit: permit, ..places };
                    return (Connection::new(stream, (HEAD_TIMEOUT, READ_TIMEOUT), places), addr);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A connection that ends when nothing comes, and gives its place back when it ends.
pub(crate) struct Connection {
    stream: TcpStream,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
    /// How many bytes of [`HEAD_END`] came in a row; all of them once the head is there.
    head: usize,
    places: Places,
}

impl Connection {
    fn new(stream: TcpStream, (head_timeout, timeout): (Duration, Duration), places: Places) -> Self {
        let deadline = Box::pin(tokio::time::sleep(head_timeout));
        Self { stream, timeout, deadline, head: 0, places }
    }

    /// Looks for the end of the head; answers whether it is there.
    fn has_head(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if self.head == HEAD_END.len() {
                break;
            }
            self.head = match byte {
                byte if byte == HEAD_END[self.head] => self.head + 1,
                b'\r' => 1,
                _ => 0,
            };
        }
        self.head == HEAD_END.len()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let came = buf.filled().len() > before;
        if came && this.has_head(&buf.filled()[before..]) {
            this.places.headless = None;
            let timeout = this.timeout;
            this.deadline.as_mut().reset(Instant::now() + timeout);
        } else if (came || read.is_pending()) && this.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test owns its runtime")]
    async fn a_connection_without_bytes_ends_and_gives_its_place_back() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap();
        let places = Arc::new(Semaphore::new(1));
        let permit = places.clone().try_acquire_owned().ok();
        let timeout = Duration::from_millis(500);
        let held = Places { _permit: permit, ..Places::default() };
        let mut near = Connection::new(tcp.accept().await.unwrap().0, (timeout * 4, timeout), held);
        far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(near.read(&mut [0; 64]).await.unwrap(), 18);
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::sleep(timeout / 2).await;
            far.write_all(b"x").await.unwrap();
            assert_eq!(near.read(&mut byte).await.unwrap(), 1, "whoever speaks stays");
        }
        assert_eq!(near.read(&mut byte).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(near);
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test owns its runtime")]
    async fn one_address_does_not_take_every_place() {
        use axum::serve::Listener as _;

        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = tcp.local_addr().unwrap();
        let mut listener = Listener::new(tcp, 2 * HEADLESS_SHARE);
        let mut far = Vec::new();
        for _ in 0..5 {
            far.push(TcpStream::connect(addr).await.unwrap());
        }
        let (mut first, _) = listener.accept().await;
        let (_second, _) = listener.accept().await;
        let soon = Duration::from_millis(300);
        assert!(tokio::time::timeout(soon, listener.accept()).await.is_err(), "two that ask for nothing are enough");
        assert_eq!(far[4].read(&mut [0; 8]).await.unwrap(), 0, "it is told at once");
        far[0].write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(first.read(&mut [0; 64]).await.unwrap(), 18);
        far.push(TcpStream::connect(addr).await.unwrap());
        assert!(tokio::time::timeout(soon * 10, listener.accept()).await.is_ok(), "who has asked does not count");
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test owns its runtime")]
    async fn a_head_that_comes_byte_by_byte_ends_the_connection() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap();
        let timeouts = (Duration::from_millis(300), Duration::from_secs(60));
        let mut near = Connection::new(tcp.accept().await.unwrap().0, timeouts, Places::default());
        let mut came = 0;
        let error = loop {
            far.write_all(b"x").await.unwrap();
            match near.read(&mut [0; 8]).await {
                Ok(len) => came += len,
                Err(error) => break error.kind(),
            }
            assert!(came < 10_000, "it is never ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(came > 0 && error == io::ErrorKind::TimedOut);
    }
}
