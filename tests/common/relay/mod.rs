//! An impairment relay: a bad network in user space between any LiveKit client and any LiveKit server. It passes the
//! signalling on, turned so that all media goes through its own UDP sockets, and does to the packets what it is told:
//! loss, bursts, delay, jitter, reordering, copies, a cap, a cut, another address. Its decisions come from a seed.
//!
//! - [`line`]: the fate of a packet, without I/O.
//! - `media`: the UDP side: a socket that clients send to, and one towards the server for each of their addresses.
//! - `signal`: the WebSocket side; `rewrite`: what it changes in the messages.
//!
//! One named thread runs all of it and ends with the [`Relay`].

pub mod line;
mod media;
mod rewrite;
mod signal;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

#[allow(unused_imports, reason = "each binary uses a part of it")]
pub use line::{Burst, Network, Rate};

/// What does not get through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Everything does.
    #[default]
    Nothing,
    /// Packets are lost.
    Media,
    /// Messages wait, as in a TCP connection whose packets are lost.
    Signalling,
    /// Both: the network is gone.
    Both,
}

/// One way through the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Packets of one direction since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That came in.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sent on, copies included.
    pub sent: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped by a full queue.
    pub overflow: u64,
    /// Dropped while the line was cut.
    pub cut: u64,
}

/// An RTP packet at the relay's side of the server: what stands unencrypted in its head (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// To the server or from it.
    pub direction: Direction,
    /// When.
    pub at: std::time::Instant,
    /// Its sequence number.
    pub sequence: u16,
    /// Its source.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
}

/// Packets that may wait for who listens to a tap.
const TAPPED: usize = 65_536;

/// A relay in front of a server; ends when dropped.
pub struct Relay {
    url: String,
    control: Arc<Control>,
    end: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay before the server at `url` (`ws://HOST:PORT`), with a perfect network.
    ///
    /// # Panics
    /// Where no socket or thread is to be had, or the URL is none.
    pub fn start(url: &str, seed: u64) -> Self {
        let server = url::Url::parse(url)
            .ok()
            .and_then(|url| url.socket_addrs(|| Some(80)).ok()?.into_iter().next())
            .unwrap_or_else(|| panic!("{url} is no address of a server"));
        let control = Arc::new(Control::new(server, seed));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind(rewrite::ANY).expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let url = format!("ws://{}", listener.local_addr().expect("a bound listener"));
        let (end, mut ended) = watch::channel(());
        let relay = Arc::clone(&control);
        let thread = std::thread::Builder::new()
            .name("relay".into())
            .spawn(move || {
                #[allow(clippy::disallowed_methods, reason = "this thread owns the relay's runtime")]
                runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener).expect("a listener");
                    tokio::select! {
                        () = signal::serve(listener, relay) => {}
                        _ = ended.changed() => {}
                    }
                });
            })
            .expect("a thread");
        Self { url, control, end: Some(end), thread: Some(thread) }
    }

    /// Where clients log in instead of at the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the network of both directions, for packets from now on.
    pub fn both(&self, network: Network) {
        self.set(Direction::Up, network);
        self.set(Direction::Down, network);
    }

    /// Sets the network of one direction, for packets from now on. Its delay holds for messages too.
    pub fn set(&self, direction: Direction, network: Network) {
        *lock(&self.control.networks[direction as usize]) = network;
    }

    /// Cuts the line, or mends it.
    pub fn cut(&self, cut: Cut) {
        self.control.cut.send_replace(cut);
    }

    /// Breaks every signalling connection; new ones get through.
    pub fn break_signalling(&self) {
        self.control.breaks.send_modify(|count| *count += 1);
    }

    /// From now on the server sees every client at another address.
    pub fn change_address(&self) {
        self.control.addresses.send_modify(|count| *count += 1);
    }

    /// From now on tells of every RTP packet: of those towards the server when they leave, of those from it when they
    /// come in, so that the server's own delay can be read. What nobody takes in time is left out.
    pub fn tap(&self) -> Receiver<Seen> {
        let (sender, seen) = sync_channel(TAPPED);
        *lock(&self.control.tap) = Some(sender);
        seen
    }

    /// The sockets it holds open for packets: those that nobody uses any more, for a while.
    pub fn sockets(&self) -> u64 {
        self.control.sockets.load(Ordering::Relaxed)
    }

    /// What one direction carried so far.
    pub fn counts(&self, direction: Direction) -> Counts {
        let tally = &self.control.tallies[direction as usize];
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            packets: read(&tally.packets),
            bytes: read(&tally.bytes),
            sent: read(&tally.sent),
            lost: read(&tally.lost),
            overflow: read(&tally.overflow),
            cut: read(&tally.cut),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the relay panicked");
        }
    }
}

/// What the relay's tasks share with its handle.
struct Control {
    server: SocketAddr,
    seed: u64,
    began: Instant,
    networks: [Mutex<Network>; 2],
    tallies: [Tally; 2],
    cut: watch::Sender<Cut>,
    breaks: watch::Sender<u64>,
    addresses: watch::Sender<u64>,
    tap: Mutex<Option<SyncSender<Seen>>>,
    /// Sockets that are open for packets.
    sockets: AtomicU64,
    /// Lines so far: each draws from the seed in its own way.
    lines: AtomicU64,
}

#[derive(Default)]
struct Tally {
    packets: AtomicU64,
    bytes: AtomicU64,
    sent: AtomicU64,
    lost: AtomicU64,
    overflow: AtomicU64,
    cut: AtomicU64,
}

impl Control {
    fn new(server: SocketAddr, seed: u64) -> Self {
        Self {
            server,
            seed,
            began: Instant::now(),
            networks: Default::default(),
            tallies: Default::default(),
            cut: watch::Sender::default(),
            breaks: watch::Sender::default(),
            addresses: watch::Sender::default(),
            tap: Mutex::default(),
            sockets: AtomicU64::new(0),
            lines: AtomicU64::new(0),
        }
    }

    fn network(&self, direction: Direction) -> Network {
        *lock(&self.networks[direction as usize])
    }

    fn tally(&self, direction: Direction) -> &Tally {
        &self.tallies[direction as usize]
    }

    /// Tells the tap, where there is one.
    fn tap(&self, direction: Direction, packet: &[u8]) {
        let tap = lock(&self.tap);
        let Some(tap) = tap.as_ref() else { return };
        let &[first, second, s1, s0, _, _, _, _, a, b, c, d, ..] = packet else { return };
        // RTCP has 192 to 223 there (RFC 5761 section 4), STUN and DTLS other first bits (RFC 7983).
        if first >> 6 != 2 || (192..=223).contains(&second) {
            return;
        }
        let (sequence, ssrc) = (u16::from_be_bytes([s1, s0]), u32::from_be_bytes([a, b, c, d]));
        let at = std::time::Instant::now();
        if tap.try_send(Seen { direction, at, sequence, ssrc, payload_type: second & 0x7f }).is_err() {
            tracing::debug!("the relay's tap runs over");
        }
    }

    fn media_is_cut(&self) -> bool {
        matches!(*self.cut.borrow(), Cut::Media | Cut::Both)
    }

    /// Waits until messages get through.
    async fn signalling_open(&self) {
        let open = |cut: &Cut| matches!(cut, Cut::Nothing | Cut::Media);
        // The sender lives as long as we do.
        if self.cut.subscribe().wait_for(open).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until messages no longer get through.
    async fn signalling_cut(&self) {
        let shut = |cut: &Cut| matches!(cut, Cut::Signalling | Cut::Both);
        if self.cut.subscribe().wait_for(shut).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The seed of the next line.
    fn next_seed(&self) -> u64 {
        line::Chance(self.seed ^ (self.lines.fetch_add(1, Ordering::Relaxed) << 32)).bits()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}
