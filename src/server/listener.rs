//! The TCP side of the listener: a bounded number of open connections. Further ones wait in the kernel's backlog, so a
//! connection on which nothing comes is ended: else idle ones would lock everybody out.

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

/// After the system refused a connection (too many open files): time to recover.
const RETRY: Duration = Duration::from_millis(100);
/// A connection on which nothing came for this long ends: honest WebSockets answer our pings more often.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Accepts connections while there are permits.
pub(crate) struct Listener {
    tcp: TcpListener,
    permits: Arc<Semaphore>,
}

impl Listener {
    pub(crate) fn new(tcp: TcpListener, connections: usize) -> Self {
        Self { tcp, permits: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))) }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let permit = self.permits.clone().acquire_owned().await.ok();
        loop {
            match self.tcp.accept().await {
                Ok((stream, addr)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "signalling to this client will be slow");
                    }
                    return (Connection::new(stream, READ_TIMEOUT, permit), addr);
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
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(stream: TcpStream, timeout: Duration, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, timeout, deadline: Box::pin(tokio::time::sleep(timeout)), _permit: permit }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.deadline.as_mut().reset(Instant::now() + this.timeout);
        } else if read.is_pending() && this.deadline.as_mut().poll(cx).is_ready() {
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
        let mut near = Connection::new(tcp.accept().await.unwrap().0, timeout, permit);
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
}
