//! The packets' side: a gate is what one peer connection of a client takes for its server. For each address that
//! sends to it the gate opens a socket of its own towards the server, as a NAT does, so that answers find their way
//! back and the server sees one client an address. Everything runs on the relay's thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::line::{Fate, Line};
use super::rewrite::{ANY, better};
use super::{Control, Direction, add, lock};

/// A gate that hears nothing of its client for so long is closed; longer than any cut.
const IDLE: Duration = Duration::from_secs(120);
/// Addresses that a client may send from.
const MAX_WAYS: usize = 32;
/// Packets that are on their way at most, a second of a fast stream.
const MAX_HELD: usize = 4096;
/// Largest packet, more than any MTU.
const PACKET_BYTES: usize = 9000;

/// A socket, counted while it is open.
struct Socket {
    socket: UdpSocket,
    control: Arc<Control>,
}

impl Socket {
    async fn open(control: &Arc<Control>) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(ANY).await?;
        control.sockets.fetch_add(1, Ordering::Relaxed);
        Ok(Self { socket, control: Arc::clone(control) })
    }
}

impl Deref for Socket {
    type Target = UdpSocket;

    fn deref(&self) -> &UdpSocket {
        &self.socket
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.control.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where one peer connection sends its packets.
pub(super) struct Gate {
    control: Arc<Control>,
    socket: Socket,
    server: Mutex<Option<SocketAddr>>,
}

impl Gate {
    pub(super) async fn open(control: &Arc<Control>) -> std::io::Result<Arc<Self>> {
        let socket = Socket::open(control).await?;
        let gate = Arc::new(Self { control: Arc::clone(control), socket, server: Mutex::default() });
        tokio::spawn(run(Arc::clone(&gate)));
        Ok(gate)
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Learns a way to the server.
    pub(super) fn learn(&self, server: SocketAddr) {
        let mut known = lock(&self.server);
        *known = Some(better(*known, server));
    }

    /// Forgets it: another description brings another.
    pub(super) fn forget(&self) {
        *lock(&self.server) = None;
    }

    fn server(&self) -> Option<SocketAddr> {
        *lock(&self.server)
    }
}

/// Takes what clients send until nobody does.
async fn run(gate: Arc<Gate>) {
    let mut ways: HashMap<SocketAddr, Arc<Way>> = HashMap::new();
    // Ends the ways' tasks with this one.
    let mut tasks = JoinSet::new();
    let mut packet = vec![0; PACKET_BYTES];
    while let Ok(received) = timeout(IDLE, gate.socket.recv_from(&mut packet)).await {
        // A port that nobody listens to is told on some systems; the packet is lost, as packets are.
        let Ok((bytes, client)) = received else { continue };
        if !ways.contains_key(&client) {
            if ways.len() == MAX_WAYS {
                continue;
            }
            let Ok(way) = Way::open(&gate, client).await else { continue };
            tasks.spawn(Arc::clone(&way).listen());
            tasks.spawn(Arc::clone(&way).deliver(Direction::Up));
            tasks.spawn(Arc::clone(&way).deliver(Direction::Down));
            ways.insert(client, way);
        }
        ways[&client].take(Direction::Up, &packet[..bytes]).await;
    }
}

/// One client address and its own socket towards the server.
struct Way {
    gate: Arc<Gate>,
    client: SocketAddr,
    upstream: Mutex<Arc<Socket>>,
    lanes: [Lane; 2],
}

impl Way {
    async fn open(gate: &Arc<Gate>, client: SocketAddr) -> std::io::Result<Arc<Self>> {
        let upstream = Mutex::new(Arc::new(Socket::open(&gate.control).await?));
        let lanes = [(); 2].map(|()| Lane::new(gate.control.next_seed()));
        Ok(Arc::new(Self { gate: Arc::clone(gate), client, upstream, lanes }))
    }

    /// Takes what the server sends, and changes the address when told.
    async fn listen(self: Arc<Self>) {
        let mut addresses = self.gate.control.addresses.subscribe();
        let mut packet = vec![0; PACKET_BYTES];
        loop {
            let upstream = Arc::clone(&lock(&self.upstream));
            tokio::select! {
                received = upstream.recv_from(&mut packet) => {
                    if let Ok((bytes, _)) = received {
                        self.take(Direction::Down, &packet[..bytes]).await;
                    }
                }
                changed = addresses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if let Ok(socket) = Socket::open(&self.gate.control).await {
                        *lock(&self.upstream) = Arc::new(socket);
                    }
                }
            }
        }
    }

    /// Decides on a packet and sends it where it is due at once.
    async fn take(&self, direction: Direction, packet: &[u8]) {
        let control = &self.gate.control;
        let tally = control.tally(direction);
        add(&tally.packets, 1);
        add(&tally.bytes, packet.len() as u64);
        if control.media_is_cut() {
            return add(&tally.cut, 1);
        }
        if direction == Direction::Down {
            control.tap(direction, packet);
        }
        let now = Instant::now();
        let network = control.network(direction);
        let lane = &self.lanes[direction as usize];
        let (first, copy) = {
            let mut held = lock(&lane.held);
            match held.line.decide(&network, now - control.began, packet.len()) {
                Fate::Lost => return add(&tally.lost, 1),
                Fate::Overflow => return add(&tally.overflow, 1),
                Fate::Arrives(..) if held.packets.len() >= MAX_HELD => return add(&tally.overflow, 1),
                Fate::Arrives(first, copy) => {
                    let mut hold = |at: Duration| {
                        let at = control.began + at;
                        let wait = at > now || !held.packets.is_empty();
                        if wait {
                            held.number += 1;
                            let number = held.number;
                            held.packets.push(Reverse(Held { at, number, bytes: packet.to_vec() }));
                        }
                        !wait
                    };
                    (hold(first), copy.is_some_and(&mut hold))
                }
            }
        };
        if first {
            self.send(direction, packet).await;
        }
        if copy {
            self.send(direction, packet).await;
        }
        if !(first && lane.is_empty()) {
            lane.more.notify_one();
        }
    }

    async fn send(&self, direction: Direction, packet: &[u8]) {
        let sent = match direction {
            Direction::Up => {
                let upstream = Arc::clone(&lock(&self.upstream));
                let Some(server) = self.gate.server() else { return };
                let sent = upstream.send_to(packet, server).await;
                self.gate.control.tap(direction, packet);
                sent
            }
            Direction::Down => self.gate.socket.send_to(packet, self.client).await,
        };
        if sent.is_ok() {
            add(&self.gate.control.tally(direction).sent, 1);
        }
    }

    /// Sends what is held when it is due.
    async fn deliver(self: Arc<Self>, direction: Direction) {
        let lane = &self.lanes[direction as usize];
        loop {
            let next = lock(&lane.held).packets.peek().map(|held| held.0.at);
            match next {
                None => lane.more.notified().await,
                Some(at) if at > Instant::now() => {
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = lane.more.notified() => {}
                    }
                }
                Some(_) => {
                    let due = lock(&lane.held).packets.pop();
                    if let Some(Reverse(due)) = due {
                        self.send(direction, &due.bytes).await;
                    }
                }
            }
        }
    }
}

/// One direction of a way: the network's memory and the packets that are under way.
struct Lane {
    held: Mutex<OnTheWay>,
    more: Notify,
}

struct OnTheWay {
    line: Line,
    packets: BinaryHeap<Reverse<Held>>,
    number: u64,
}

impl Lane {
    fn new(seed: u64) -> Self {
        let held = OnTheWay { line: Line::new(seed), packets: BinaryHeap::new(), number: 0 };
        Self { held: Mutex::new(held), more: Notify::new() }
    }

    fn is_empty(&self) -> bool {
        lock(&self.held).packets.is_empty()
    }
}

/// A packet that arrives later; of two at the same time the one that came first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    at: Instant,
    number: u64,
    bytes: Vec<u8>,
}
