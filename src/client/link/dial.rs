//! Dialing: from an address and a token to a link whose peer connection stands.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use livekit_api::signal_client::{SignalClient, SignalOptions};
use livekit_protocol as proto;
use proto::signal_response::Message as Response;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use url::{Host, Url};
use webrtc::peer_connection::{RTCConfigurationBuilder, RTCIceServer, RTCPeerConnectionState, RTCSessionDescription};

use super::channels::Channels;
use super::peer::{self, Peer, PeerEvent};
use super::pulse::Pulse;
use super::resume::{Restart, Returning, Signalling};
use super::tasks::Tasks;
use super::{Link, LinkError, PeerEvents, Signal, Signals, close_peer, description, receive_sections};
use crate::client::capture_time::extension_id;
use crate::client::reasons;
use crate::model::{CallError, ErrorCode};

/// One server may take this long, from the first packet to a standing peer connection.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(12);
/// The WebSocket may take this long; the join response has the client library's own 5 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a client that plays offers at once, so that the first streams need no second offer.
const FIRST_SECTIONS: u32 = 3;
/// Data channels are opened in-band, which is what protocol 17 means (18 has fixed ids; LIVEKIT.md section 6).
const SIGNAL_PROTOCOL: u32 = 17;
/// Messages that may arrive before the link stands.
const MAX_BACKLOG: usize = 4096;
/// ICE servers that are used.
const MAX_ICE_SERVERS: usize = 8;

/// A link and what the server said on joining.
pub(in crate::client) struct Dialed {
    pub(in crate::client) link: Link,
    pub(in crate::client) join: proto::JoinResponse,
}

/// Dials one server. The attempt is a task of its own: when the caller goes away or its time is over, it ends what it
/// began, so that nobody stays behind in the room and no socket is left open. It keeps `alive` until then.
///
/// # Errors
/// [`CallError`] that says why; [`reasons::may_retry`] tells whether another attempt may help.
pub(in crate::client) async fn dial(
    server: &str,
    token: &str,
    auto_subscribe: bool,
    alive: watch::Receiver<()>,
) -> Result<Dialed, CallError> {
    let (mut caller, result) = oneshot::channel();
    let (address, token) = (server.to_owned(), token.to_owned());
    tokio::spawn(async move {
        let result = Box::pin(attempt(&address, &token, auto_subscribe, &mut caller)).await;
        if let Err(Ok(Dialed { link, .. })) = caller.send(result) {
            link.leave().await;
        }
        drop(alive);
    });
    match timeout(LOGIN_TIMEOUT, result).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(CallError::new(ErrorCode::ConnectFailed, "the call engine is ending")),
        Err(_) => Err(reasons::timeout(server)),
    }
}

/// What the caller of an attempt waits for.
type Caller = oneshot::Sender<Result<Dialed, CallError>>;

async fn attempt(server: &str, token: &str, auto_subscribe: bool, caller: &mut Caller) -> Result<Dialed, CallError> {
    let peer = peer::build(is_loopback(server)).await.map_err(|error| local(server, &error.into()))?;
    let connection = Arc::clone(&peer.connection);
    let (mut link, offer, join) = match Box::pin(join(server, token, auto_subscribe, peer)).await {
        Ok(joined) => joined,
        Err(error) => {
            close_peer(&connection).await;
            return Err(error);
        }
    };
    let standing = async {
        offer_in_force(&link, offer, &join).await.map_err(|error| local(server, &error))?;
        establish(&mut link, server).await
    };
    let outcome = tokio::select! {
        outcome = standing => outcome,
        () = caller.closed() => Err(CallError::new(ErrorCode::ConnectFailed, "nobody waits for the connection")),
    };
    match outcome {
        Ok(()) => Ok(Dialed { link, join }),
        Err(error) => {
            link.leave().await;
            Err(error)
        }
    }
}

/// Something on this side failed.
fn local(server: &str, error: &LinkError) -> CallError {
    CallError::new(ErrorCode::ConnectFailed, format!("the connection to {server} cannot be set up: {error}"))
}

/// Gets into the room with a first offer, which is not in force yet. Takes at most what the client library's own
/// limits add up to, and must not be dropped midway: the library would stay in the room.
async fn join(
    server: &str,
    token: &str,
    auto_subscribe: bool,
    peer: Peer,
) -> Result<(Link, RTCSessionDescription, proto::JoinResponse), CallError> {
    let mut tasks = Tasks::default();
    let (channels, inbound) =
        Channels::create(&peer.connection, &mut tasks).await.map_err(|error| local(server, &error.into()))?;
    let sections = if auto_subscribe { FIRST_SECTIONS } else { 0 };
    receive_sections(&peer.connection, sections, sections).await.map_err(|error| local(server, &error))?;
    let offer = peer.connection.create_offer(None).await.map_err(|error| local(server, &error.into()))?;

    let first_offer = description(offer.clone(), 1);
    let (signal, join, signals) =
        SignalClient::connect(server, token, signal_options(auto_subscribe), Some(first_offer))
            .await
            .map_err(|error| reasons::dial_error(server, &error))?;
    if !signal.is_single_pc_mode_active() {
        signal.close().await;
        return Err(CallError::new(
            ErrorCode::ConnectFailed,
            format!("{server} is too old: it needs to speak the protocol's single peer connection (/rtc/v1)"),
        ));
    }
    let link = Link {
        signal: Arc::new(signal),
        signalling: Signalling::Whole,
        held: Mutex::default(),
        whole_since: Instant::now(),
        restart: Restart::None,
        returning: Returning::default(),
        signals: Signals::new(signals),
        peer_events: PeerEvents { early: VecDeque::new(), events: peer.events },
        inbound,
        channels,
        bandwidth: peer.bandwidth,
        pulse: Pulse::new(peer.arrived, Instant::now()),
        capture_extension: extension_id(&offer.sdp),
        peer: peer.connection,
        tasks,
        offer_id: 1,
        offer_waits: true,
        offered_at: Instant::now(),
        offer_again: false,
        answered: false,
        receive_sections: 2 * sections,
        early_candidates: Vec::new(),
        candidates: HashSet::new(),
    };
    Ok((link, offer, join))
}

/// Puts the first offer in force: only now, so that gathering candidates knows the server's STUN and TURN servers.
async fn offer_in_force(
    link: &Link,
    offer: RTCSessionDescription,
    join: &proto::JoinResponse,
) -> Result<(), LinkError> {
    link.use_ice_servers(&join.ice_servers).await;
    Ok(link.peer.set_local_description(offer).await?)
}

impl Link {
    /// Lets the next gathering use the server's STUN and TURN servers.
    pub(super) async fn use_ice_servers(&self, servers: &[proto::IceServer]) {
        let ice_servers: Vec<RTCIceServer> = servers.iter().take(MAX_ICE_SERVERS).map(ice_server).collect();
        if ice_servers.is_empty() {
            return;
        }
        let configuration = RTCConfigurationBuilder::default().with_ice_servers(ice_servers).build();
        if let Err(error) = self.peer.set_configuration(configuration).await {
            tracing::warn!(%error, "the server's ICE servers cannot be used");
        }
    }
}

/// Waits until the peer connection stands; keeps what the server says meanwhile for later.
async fn establish(link: &mut Link, server: &str) -> Result<(), CallError> {
    let broken = |why: String| {
        CallError::new(ErrorCode::ConnectFailed, format!("the connection to {server} broke while joining: {why}"))
    };
    let (mut signals, mut tracks) = (VecDeque::new(), VecDeque::new());
    loop {
        tokio::select! {
            signal = link.signals.next() => match signal {
                Signal::Closed(why) => return Err(broken(why)),
                Signal::Message(message) => match *message {
                    Response::Answer(answer) => {
                        link.answer(answer).await.map_err(|error| broken(error.to_string()))?;
                    }
                    Response::Trickle(trickle) => link.remote_candidate(&trickle).await,
                    Response::Leave(leave) => return Err(reasons::ended(leave.reason())),
                    other if signals.len() < MAX_BACKLOG => signals.push_back(Box::new(other)),
                    _ => return Err(broken("the server does not stop talking".to_owned())),
                },
            },
            event = link.peer_events.next() => match event {
                Some(PeerEvent::State(RTCPeerConnectionState::Connected)) => {
                    link.signals.early = signals;
                    link.peer_events.early = tracks;
                    return Ok(());
                }
                Some(PeerEvent::State(RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed)) | None => {
                    return Err(broken("no way for media was found; a firewall may block UDP".to_owned()));
                }
                Some(PeerEvent::Candidate(candidate)) => link.trickle(&candidate).await,
                Some(PeerEvent::Channel(channel)) => link.adopt_channel(channel).await,
                Some(track @ PeerEvent::Track { .. }) => tracks.push_back(track),
                Some(PeerEvent::State(_)) => {}
            },
        }
    }
}

fn signal_options(auto_subscribe: bool) -> SignalOptions {
    let mut options = SignalOptions::default();
    options.auto_subscribe = auto_subscribe;
    options.single_peer_connection = true;
    options.connect_timeout = CONNECT_TIMEOUT;
    options.region_failover = false;
    options.protocol_version = SIGNAL_PROTOCOL;
    // Neither packet trailers nor compressed text streams are implemented here; both are optional.
    options.client_capabilities = Vec::new();
    options.client_protocol = 0;
    options
}

fn ice_server(server: &proto::IceServer) -> RTCIceServer {
    RTCIceServer { urls: server.urls.clone(), username: server.username.clone(), credential: server.credential.clone() }
}

pub(super) fn is_loopback(server: &str) -> bool {
    let Ok(url) = Url::parse(server) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_servers_are_told_apart() {
        assert!(is_loopback("ws://127.0.0.1:7880") && is_loopback("ws://localhost") && is_loopback("ws://[::1]:1"));
        assert!(!is_loopback("ws://10.0.0.1:7880") && !is_loopback("wss://example.com"));
    }
}
