//! The room server: LiveKit signalling over WebSocket, and selective forwarding of media.
//!
//! ```text
//!  http, websocket   one task per client        ┐
//!  hub               one actor, every room      ┘ tokio, on the thread "rotunda-server"
//!  media             UDP, WebRTC, forwarding      no runtime, on the thread "rotunda-media"
//! ```
//!
//! Invariant: nothing a client sends stops the server or grows it without limit; whatever fails, fails for that client.
//! Every queue has a bound: media is dropped and counted, a client that does not read its signalling is let go.

mod admin;
mod admission;
mod config;
mod counters;
mod http;
mod hub;
mod invite;
mod listener;
mod media;
mod metrics;
mod outbox;
mod rate;
mod sources;
mod websocket;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use livekit_protocol::DisconnectReason;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, oneshot};

pub use config::{ApiKey, ConfigError, DEV_KEY, DEV_SECRET, ServerConfig, ServerLimits};
pub use counters::ServerStats;

use counters::Counters;
use hub::{Hub, HubMessage};
use invite::Inviter;
use media::MediaSetup;

use crate::model::RoomId;

/// Datagrams the kernel may hold for us while we are busy, in bytes; it grants what its own limits allow.
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Saying goodbye to everyone takes at most this long.
const GOODBYE: Duration = Duration::from_millis(1500);
/// Goodbyes that are queued still reach their sockets within this.
const LINGER: Duration = Duration::from_millis(300);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Somebody else listens there.
    #[error(
        "{what} port {port} is in use: stop the other program, or choose another port with {flag} (0: any free one)"
    )]
    PortInUse {
        /// Which port.
        what: &'static str,
        /// Its number.
        port: u16,
        /// The flag that changes it.
        flag: &'static str,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr} ({what}): {error}")]
    Listen {
        /// Which port.
        what: &'static str,
        /// The address tried.
        addr: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The system refused a thread or a socket registration.
    #[error("the server could not start: {0}")]
    Start(#[from] io::Error),
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Checks the configuration, binds both ports and starts the server on its own threads.
    ///
    /// # Errors
    /// [`ServerError`] with what to do about it. When it fails, nothing runs and no port is taken.
    pub fn start(config: ServerConfig) -> Result<ServerHandle, ServerError> {
        let config = config.check()?;
        let tcp = listen(&config)?;
        let udp = bind_media(&config)?;
        let (http_addr, rtc_addr) = (tcp.local_addr()?, udp.local_addr()?);
        let rtc_tcp = bind_media_tcp(&config, rtc_addr)?;
        let counters = Arc::new(Counters::default());
        let inviter = Inviter::new(&config, http_addr);

        let (event_sender, events) = mpsc::channel(media::EVENTS_TO_HUB);
        let media = media::start(MediaSetup {
            socket: udp,
            tcp: rtc_tcp,
            advertise: config.advertise.clone(),
            limits: config.limits,
            counters: counters.clone(),
            events: event_sender,
        })?;
        let link_secret = config.keys.first().filter(|_| config.invitations).map(|key| key.secret.clone());
        let hub = Hub::new(config.limits, config.keys.clone(), link_secret, counters.clone(), media);
        let (messages, inbox) = mpsc::channel(hub::MESSAGES_TO_HUB);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (done_sender, done) = std::sync::mpsc::sync_channel(1);
        let http = http::Http { config: Arc::new(config), hub: messages.clone(), counters: counters.clone() };
        let thread = std::thread::Builder::new().name("rotunda-server".into()).spawn(move || {
            serve(runtime, tcp, http, hub.run(inbox, events));
            // Nobody waits any more when the handle gave up: nothing to do then.
            done_sender.try_send(()).ok();
        })?;
        tracing::info!(%http_addr, %rtc_addr, "the server listens");
        let (thread, goodbye) = (Some(thread), DisconnectReason::ServerShutdown);
        Ok(ServerHandle { http_addr, rtc_addr, counters, inviter, messages, done, thread, goodbye })
    }
}

/// The server thread: owns the runtime and everything on it.
fn serve(
    runtime: tokio::runtime::Runtime,
    tcp: TcpListener,
    http: http::Http,
    hub: impl Future<Output = ()> + Send + 'static,
) {
    #[expect(clippy::disallowed_methods, reason = "this thread owns the runtime")]
    runtime.block_on(async move {
        let connections = http.config.limits.connections;
        let hub = tokio::spawn(hub);
        match tokio::net::TcpListener::from_std(tcp) {
            Ok(tcp) => {
                let listener = listener::Listener::new(tcp, connections);
                tokio::spawn(async move { axum::serve(listener, http.router()).await });
            }
            Err(error) => tracing::error!(%error, "nobody can connect: the listening socket was refused"),
        }
        if hub.await.is_err() {
            tracing::error!("signalling panicked: the server stops");
        }
        tokio::time::sleep(LINGER).await;
    });
    runtime.shutdown_background();
}

/// A running server. Dropping it says goodbye to everyone and stops it, within two seconds.
#[derive(Debug)]
pub struct ServerHandle {
    http_addr: SocketAddr,
    rtc_addr: SocketAddr,
    counters: Arc<Counters>,
    inviter: Option<Inviter>,
    messages: mpsc::Sender<HubMessage>,
    done: std::sync::mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
    /// What everyone is told when it stops.
    goodbye: DisconnectReason,
}

impl ServerHandle {
    /// The address clients dial: `ws://host:port`. A server that listens everywhere is dialled on loopback here.
    pub fn url(&self) -> String {
        let mut addr = self.http_addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(if addr.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
        }
        format!("ws://{addr}")
    }

    /// Where HTTP and WebSocket are served.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where media is received.
    pub fn rtc_addr(&self) -> SocketAddr {
        self.rtc_addr
    }

    /// The first link that lets others into a room, until a host makes it anew, with the address at which this machine is
    /// reached; `None` when invitations are off ([`ServerConfig::invitations`]). A server behind a proxy or a port forwarding
    /// knows not how it is reached: make its links with [`crate::protocol::invitation::link`].
    pub fn invitation(&self, room: &RoomId) -> Option<String> {
        self.inviter.as_ref()?.link(room)
    }

    /// What was counted so far.
    pub fn stats(&self) -> ServerStats {
        self.counters.snapshot()
    }

    /// Its end is the end of its rooms: people are told that these were closed, and look for no server in its place.
    #[must_use]
    pub fn closing_its_rooms(mut self) -> Self {
        self.goodbye = DisconnectReason::RoomClosed;
        self
    }

    /// Says goodbye to everyone and stops.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let (done, _) = oneshot::channel();
        if self.messages.try_send(HubMessage::Stop { reason: self.goodbye, done }).is_err() {
            tracing::warn!("signalling is too busy to stop cleanly");
        }
        match self.done.recv_timeout(GOODBYE) {
            Ok(()) => {
                if thread.join().is_err() {
                    tracing::error!("the server thread panicked");
                }
            }
            Err(_) => tracing::warn!("the server does not stop in time and is left behind"),
        }
    }
}

fn listen(config: &ServerConfig) -> Result<TcpListener, ServerError> {
    let addr = SocketAddr::new(config.bind, config.port);
    let bound = TcpListener::bind(addr).and_then(|tcp| tcp.set_nonblocking(true).map(|()| tcp));
    bound.map_err(|error| refused("HTTP", "--port", addr, error))
}

fn bind_media(config: &ServerConfig) -> Result<UdpSocket, ServerError> {
    let addr = SocketAddr::new(config.bind, config.rtc_port);
    let bind = || {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        for grown in [socket.set_recv_buffer_size(UDP_BUFFER_BYTES), socket.set_send_buffer_size(UDP_BUFFER_BYTES)] {
            if let Err(error) = grown {
                tracing::debug!(%error, "the system grants no larger packet buffers");
            }
        }
        if addr.is_ipv6() {
            // One socket for both kinds of addresses; whatever the system's default is.
            socket.set_only_v6(!addr.ip().is_unspecified())?;
        }
        socket.bind(&addr.into())?;
        Ok(UdpSocket::from(socket))
    };
    bind().map_err(|error| refused("media (UDP)", "--rtc-port", addr, error))
}

/// TCP on the port of UDP; where any port may be taken, on any other when that one is in use.
fn bind_media_tcp(config: &ServerConfig, udp: SocketAddr) -> Result<Option<TcpListener>, ServerError> {
    if !config.ice_tcp {
        return Ok(None);
    }
    let bound = match TcpListener::bind(udp) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && config.rtc_port == 0 => {
            TcpListener::bind(SocketAddr::new(udp.ip(), 0))
        }
        bound => bound,
    };
    bound.map(Some).map_err(|error| refused("media (TCP)", "--rtc-port", udp, error))
}

fn refused(what: &'static str, flag: &'static str, addr: SocketAddr, error: io::Error) -> ServerError {
    if error.kind() == io::ErrorKind::AddrInUse {
        ServerError::PortInUse { what, port: addr.port(), flag }
    } else {
        ServerError::Listen { what, addr, error }
    }
}
