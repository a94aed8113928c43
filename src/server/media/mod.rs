//! The media side: one named thread without a runtime that owns the UDP socket and every WebRTC connection, and sends
//! media and data on. Signalling talks to it in [`MediaCommand`]s and hears [`MediaEvent`]s; both channels are bounded.
//!
//! A *link* is one WebRTC connection. A peer has one (v1) or two (v0: a publishing and a receiving one).

mod data;
mod encoding;
mod forward;
mod guard;
mod held;
mod intake;
mod keyframe;
mod layers;
mod levels;
mod link;
mod negotiate;
mod plan;
mod presence;
mod red;
mod resend;
mod rewrite;
mod shard;
mod socket;
mod tcp;
mod upkeep;
mod wall_clock;
mod way;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use livekit_protocol::DataPacket;
use tokio::sync::mpsc;

use super::config::ServerLimits;
use super::counters::Counters;

pub(crate) use layers::{Shortage, Want};
use socket::Remote;
use str0m::net::Protocol;

use crate::model::media::VideoCodec;

/// Commands that may wait for the media thread.
const COMMANDS_TO_MEDIA: usize = 4096;
/// Events that may wait for signalling.
pub(crate) const EVENTS_TO_HUB: usize = 4096;

/// A participant's media, new on every login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PeerId(pub(crate) u64);

/// A room, new every time it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomKey(pub(crate) u64);

/// A published track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TrackId(pub(crate) u64);

/// A participant as the media side needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct NewPeer {
    pub(crate) id: PeerId,
    pub(crate) room: RoomKey,
    /// By these it is addressed, and they are stamped on its data packets.
    pub(crate) identity: Arc<str>,
    pub(crate) sid: Arc<str>,
    /// Nobody learns from its data packets who sent them.
    pub(crate) hidden: bool,
    /// One connection for both directions (v1).
    pub(crate) single: bool,
    /// The receiving connection is the first to be made (v0).
    pub(crate) subscriber_primary: bool,
    pub(crate) may_publish_data: bool,
    /// Sequence number of the last reliable data packet that came from it.
    pub(crate) last_sequence: Arc<AtomicU32>,
    /// Its pictures may be stopped when its bandwidth carries none of their encodings.
    pub(crate) may_pause: bool,
}

/// A track of an offer: which section carries it and what was announced of it.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) mid: String,
    pub(crate) track: TrackId,
    pub(crate) video: bool,
    /// For pictures: their codec.
    pub(crate) codec: VideoCodec,
    pub(crate) screen: bool,
    /// Announced widths of the encodings by rank, in pixels; 0 where unknown.
    pub(crate) widths_px: [u32; layers::LAYERS],
    /// For sound: send almost nothing while silent.
    pub(crate) dtx: bool,
    /// For sound: two channels.
    pub(crate) stereo: bool,
    /// For sound: may be sent redundantly.
    pub(crate) red: bool,
}

/// What signalling tells the media thread.
#[derive(Debug)]
pub(crate) enum MediaCommand {
    /// A participant joined.
    AddPeer(NewPeer),
    /// A participant left: its links close, its tracks end.
    RemovePeer(PeerId),
    /// The participant's offer; `published` lists every track it carries.
    Offer { peer: PeerId, id: u32, sdp: String, published: Vec<Published> },
    /// The participant's answer to our offer.
    Answer { peer: PeerId, id: u32, sdp: String },
    /// The participant is back on a new WebSocket: what we last offered it may have been lost.
    Resume(PeerId),
    /// A track ended.
    RemoveTrack(TrackId),
    /// Send a track to a participant, under these stream and track ids.
    Subscribe { peer: PeerId, track: TrackId, stream: String, sid: String },
    /// Send it no more.
    Unsubscribe { peer: PeerId, track: TrackId },
    /// How a participant wants to see a track.
    Settings { peer: PeerId, track: TrackId, disabled: bool, want: Want },
    /// Whether a participant may send data, and whether it does so without its name.
    PermitData { peer: PeerId, permitted: bool, hidden: bool },
    /// Data of the server's own to a room, or to those named.
    SendData { room: RoomKey, packet: Box<DataPacket> },
    /// The server stops.
    Stop,
}

/// How a connection does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LinkFigures {
    /// Share 0..=1 of the packets lost, on the worse of both ways.
    pub(crate) loss: f32,
    /// Round trip, in ms; 0 while unknown.
    pub(crate) rtt_ms: f32,
    /// What its receiver is denied.
    pub(crate) shortage: Shortage,
    /// Nothing came for a while.
    pub(crate) silent: bool,
}

/// What the media thread tells signalling.
#[derive(Debug)]
pub(crate) enum MediaEvent {
    /// The answer to an offer; the tracks it bound, and which track each sending section carries now.
    Answered { peer: PeerId, id: u32, sdp: String, mids: HashMap<String, String>, published: Vec<TrackId> },
    /// An offer or answer that made no sense, and the tracks it would have bound.
    Refused { peer: PeerId, reason: String, published: Vec<TrackId> },
    /// Our offer for the receiving connection (v0).
    Offer { peer: PeerId, id: u32, sdp: String, mids: HashMap<String, String> },
    /// More receiving sections are needed, or with zeros just a new offer (v1).
    SectionsNeeded { peer: PeerId, audios: u32, videos: u32 },
    /// The participant's first connection stands.
    Connected { peer: PeerId },
    /// Nothing came from the participant for long; it may be heard again.
    Silent { peer: PeerId },
    /// A participant that was silent is heard again.
    Heard { peer: PeerId },
    /// The participant closed its connection. What it says over its WebSocket meanwhile may come later.
    Closed { peer: PeerId },
    /// The participant's connection is gone for good.
    Lost { peer: PeerId, reason: &'static str },
    /// A subscription has a section: media flows from here on.
    Bound { peer: PeerId, track: TrackId },
    /// A subscription cannot be served: the client does not take the track's codec.
    Unsupported { peer: PeerId, track: TrackId },
    /// Pictures that stop for want of bandwidth (`true`) or go on, by id and session id.
    StreamStates { peer: PeerId, states: Vec<(TrackId, String, bool)> },
    /// Microphones that are loud, 0..=1, and those that just fell silent.
    Levels(Vec<(TrackId, f32)>),
    /// How a participant's connection did over the last seconds.
    Quality { peer: PeerId, figures: LinkFigures },
}

/// The way to the media thread.
#[derive(Debug)]
pub(crate) struct MediaHandle {
    commands: SyncSender<MediaCommand>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

impl MediaHandle {
    /// Hands a command over.
    ///
    /// # Errors
    /// Gives the command back when the queue is full; the media thread always drains it, so try again soon.
    pub(crate) fn send(&self, command: MediaCommand) -> Result<(), MediaCommand> {
        match self.commands.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(command)) => {
                self.wake();
                Err(command)
            }
            // The thread has ended: there is nobody left to tell.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Makes the media thread look at its commands.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake the media thread");
        }
    }
}

impl Drop for MediaHandle {
    fn drop(&mut self) {
        // A full queue is no obstacle: the thread also ends when the channel closes.
        let (closed, _) = sync_channel(0);
        if let Err(TrySendError::Full(_)) = self.commands.try_send(MediaCommand::Stop) {
            tracing::debug!("the media queue is full while stopping");
        }
        self.commands = closed;
        self.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the media thread panicked");
        }
    }
}

/// Everything the media thread starts with.
pub(crate) struct MediaSetup {
    pub(crate) socket: std::net::UdpSocket,
    /// For clients whose network lets no UDP through.
    pub(crate) tcp: Option<std::net::TcpListener>,
    /// Addresses told to clients instead of the socket's own.
    pub(crate) advertise: Vec<IpAddr>,
    pub(crate) limits: ServerLimits,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: mpsc::Sender<MediaEvent>,
}

/// Starts the media thread.
///
/// # Errors
/// When the operating system refuses the socket registration or the thread.
pub(crate) fn start(setup: MediaSetup) -> std::io::Result<MediaHandle> {
    let local = setup.socket.local_addr()?;
    let mut candidates: Vec<Remote> =
        candidates(local, &setup.advertise)?.into_iter().map(|addr| (Protocol::Udp, addr)).collect();
    if let Some(tcp) = &setup.tcp {
        let port = tcp.local_addr()?.port();
        let over_tcp = |(_, addr): &Remote| (Protocol::Tcp, SocketAddr::new(addr.ip(), port));
        candidates.extend(candidates.iter().map(over_tcp).collect::<Vec<_>>());
    }
    let connections = setup.limits.connections;
    let socket = socket::Socket::new(setup.socket, setup.tcp, connections, setup.counters.clone())?;
    let waker = Arc::new(socket.waker()?);
    let (commands, inbox) = sync_channel(COMMANDS_TO_MEDIA);
    let shard = shard::Shard::new(socket, candidates, setup.limits, setup.counters, setup.events);
    let thread = std::thread::Builder::new().name("rotunda-media".into()).spawn(move || shard.run(&inbox))?;
    Ok(MediaHandle { commands, waker, thread: Some(thread) })
}

/// The addresses told to clients: the configured ones, else the bound one, else the one this machine reaches others from.
pub(super) fn candidates(local: SocketAddr, advertise: &[IpAddr]) -> std::io::Result<Vec<SocketAddr>> {
    if !advertise.is_empty() {
        return Ok(advertise.iter().map(|ip| SocketAddr::new(*ip, local.port())).collect());
    }
    if !local.ip().is_unspecified() {
        return Ok(vec![local]);
    }
    // Connecting a UDP socket sends nothing; it only asks the routing table (documentation addresses, RFC 5737/3849).
    let own = |any: &str, far: &str| {
        let probe = std::net::UdpSocket::bind(any)?;
        probe.connect(far).and_then(|()| probe.local_addr()).map(|addr| SocketAddr::new(addr.ip(), local.port()))
    };
    let v4 = own("0.0.0.0:0", "192.0.2.1:9");
    // A socket for IPv6 addresses takes IPv4 ones as well.
    let v6 = if local.is_ipv6() { own("[::]:0", "[2001:db8::1]:9").ok() } else { None };
    let found: Vec<SocketAddr> = v4.into_iter().chain(v6).collect();
    if found.is_empty() {
        let ip = if local.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        return Ok(vec![SocketAddr::new(ip, local.port())]);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_an_address_they_can_reach() {
        let any: SocketAddr = "0.0.0.0:7882".parse().unwrap();
        let found = candidates(any, &[]).unwrap();
        assert!(!found[0].ip().is_unspecified() && found[0].port() == 7882);
        let public = ["203.0.113.7".parse().unwrap()];
        assert_eq!(candidates(any, &public).unwrap(), ["203.0.113.7:7882".parse::<SocketAddr>().unwrap()]);
        let local: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(candidates(local, &[]).unwrap(), [local]);
    }
}
