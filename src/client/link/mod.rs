//! One connection to a server: signalling over WebSocket, one peer connection, two data channels. A link is dialed,
//! used, taken up again where it breaks (`resume`), and dropped. Runs on the engine's thread.
//!
//! Invariant: at most one offer waits for its answer; what changes meanwhile is offered after it.

mod bandwidth;
mod channels;
mod dial;
mod early_tap;
mod handshake;
mod knock;
mod nack;
mod network;
mod peer;
mod pulse;
mod rate_control;
mod resume;
mod rtcp_tap;
mod tasks;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use livekit_api::signal_client::{SignalClient, SignalEvent, SignalEvents};
use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use pulse::Pulse;
use resume::{Restart, Signalling};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::mpsc;
use tokio::time::timeout;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpSender, RtpTransceiver};

use crate::client::capture_time::extension_id;

pub(super) use bandwidth::Bandwidth;
pub(super) use channels::{Channels, Inbound};
pub(super) use dial::{Dialed, dial};
pub(super) use knock::reachable;
pub(super) use network::{Network, Upset};
pub(super) use peer::{
    MID_URI, MIME_TYPE_RED, PeerEvent, RED_PAYLOAD_TYPE, RID_URI, is_audio_level, video_codec, video_codec_of,
};
pub(super) use resume::{ReturnError, Returning};
pub(super) use tasks::{OwnedTask, Tasks};

/// Sections for received media offered at most: two per played stream and a few to spare.
const MAX_RECEIVE_SECTIONS: u32 = 256;
/// Remote candidates that are kept until the answer, and taken in altogether.
const MAX_CANDIDATES: usize = 64;
/// A request that is not taken off our hands in this time is given up; the ping timeout will end the link.
const REQUEST_STALL: Duration = Duration::from_secs(2);
/// An offer that is not answered in this time never will be: only a new link helps.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// Leaving may take this long for the signalling, and this long for the peer connection.
const SIGNAL_CLOSE: Duration = Duration::from_millis(1000);
const PEER_CLOSE: Duration = Duration::from_millis(500);

/// What can go wrong on a link that stood; it is dropped then.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The peer connection refused something.
    #[error("peer connection: {0}")]
    Peer(#[from] webrtc::error::Error),
    /// The server sent something that makes no sense.
    #[error("the server sent {0}")]
    Nonsense(&'static str),
}

/// One connection to a server.
pub(super) struct Link {
    signal: Arc<SignalClient>,
    signalling: Signalling,
    /// Requests that wait until the link is whole.
    held: Mutex<VecDeque<Request>>,
    whole_since: Instant,
    restart: Restart,
    /// The attempt to take the link up again.
    pub(super) returning: Returning,
    /// What the server says.
    pub(super) signals: Signals,
    /// What the peer connection tells.
    pub(super) peer_events: PeerEvents,
    /// Received data packets.
    pub(super) inbound: mpsc::Receiver<Inbound>,
    /// The data channels.
    pub(super) channels: Channels,
    /// What the way to the server carries.
    pub(super) bandwidth: Bandwidth,
    /// Whether media still comes in.
    pub(super) pulse: Pulse,
    /// Under what packets say when they were captured.
    pub(super) capture_extension: Option<u8>,
    peer: Arc<dyn PeerConnection>,
    tasks: Tasks,
    offer_id: u32,
    offer_waits: bool,
    offered_at: Instant,
    offer_again: bool,
    answered: bool,
    receive_sections: u32,
    early_candidates: Vec<RTCIceCandidateInit>,
    candidates: HashSet<String>,
}

/// What the signalling brought.
pub(super) enum Signal {
    /// A message.
    Message(Box<proto::signal_response::Message>),
    /// The connection is gone.
    Closed(String),
}

/// Signals in order, those first that arrived while the link was being set up.
pub(super) struct Signals {
    early: VecDeque<Box<proto::signal_response::Message>>,
    events: SignalEvents,
    /// WebSockets the link has had, and those of which the end was told.
    begun: u32,
    ended: u32,
}

impl Signals {
    fn new(events: SignalEvents) -> Self {
        Self { early: VecDeque::new(), events, begun: 1, ended: 0 }
    }

    /// The link has another WebSocket.
    fn renewed(&mut self) {
        self.begun += 1;
    }

    /// The next signal. Cancel-safe.
    pub(super) async fn next(&mut self) -> Signal {
        if let Some(message) = self.early.pop_front() {
            return Signal::Message(message);
        }
        loop {
            match self.events.recv().await {
                Some(SignalEvent::Message(message)) => return Signal::Message(message),
                Some(SignalEvent::Close(why)) => {
                    // Each WebSocket tells its end once; that of an earlier one may come late.
                    self.ended += 1;
                    if self.ended == self.begun {
                        return Signal::Closed(why.into_owned());
                    }
                }
                None => return Signal::Closed("stream ended".to_owned()),
            }
        }
    }
}

/// The peer connection's events in order, those first that arrived while the link was being set up.
pub(super) struct PeerEvents {
    early: VecDeque<PeerEvent>,
    events: mpsc::Receiver<PeerEvent>,
}

impl PeerEvents {
    /// The next event; `None` when the connection is gone. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<PeerEvent> {
        match self.early.pop_front() {
            Some(event) => Some(event),
            None => self.events.recv().await,
        }
    }
}

impl Link {
    /// Sends a request, or holds it until the link is whole. A connection that broke meanwhile tells so by itself, and one
    /// that stalls holds nobody up.
    pub(super) async fn request(&self, request: Request) {
        if self.signalling == Signalling::Whole {
            self.pass(request).await;
        } else {
            self.hold(request);
        }
    }

    /// Sends a request now.
    async fn pass(&self, request: Request) {
        if timeout(REQUEST_STALL, self.signal.send(request)).await.is_err() {
            tracing::warn!("the server takes no requests");
        }
    }

    /// Whether the server is on this machine.
    pub(super) fn is_local(&self) -> bool {
        dial::is_loopback(&self.signal.url())
    }

    /// Where the server is, as it was dialed.
    pub(super) fn url(&self) -> String {
        self.signal.url()
    }

    /// The newest token: servers refresh it.
    pub(super) fn token(&self) -> String {
        self.signal.token()
    }

    /// The peer connection, for its statistics.
    pub(super) fn peer(&self) -> &Arc<dyn PeerConnection> {
        &self.peer
    }

    /// The server opened a data channel.
    pub(super) async fn adopt_channel(&mut self, channel: Arc<dyn webrtc::data_channel::DataChannel>) {
        self.channels.adopt(channel, &mut self.tasks).await;
    }

    /// Sends a local candidate to the server.
    pub(super) async fn trickle(&self, candidate: &RTCIceCandidateInit) {
        if self.signalling == Signalling::Down {
            return;
        }
        match serde_json::to_string(candidate) {
            Ok(candidate_init) => {
                let target = proto::SignalTarget::Publisher.into();
                self.pass(Request::Trickle(proto::TrickleRequest { candidate_init, target, r#final: false })).await;
            }
            Err(error) => tracing::warn!(%error, "a local candidate cannot be written down"),
        }
    }

    /// Takes a candidate of the server's; those before the first answer wait for it.
    pub(super) async fn remote_candidate(&mut self, trickle: &proto::TrickleRequest) {
        match serde_json::from_str::<RTCIceCandidateInit>(&trickle.candidate_init) {
            Ok(candidate) if self.answered => self.add_candidate(candidate).await,
            Ok(candidate) if self.early_candidates.len() < MAX_CANDIDATES => self.early_candidates.push(candidate),
            Ok(_) => tracing::debug!("too many early candidates"),
            Err(error) => tracing::debug!(%error, "an unreadable candidate"),
        }
    }

    async fn add_candidate(&mut self, candidate: RTCIceCandidateInit) {
        let known = !self.candidates.insert(candidate.candidate.clone());
        if candidate.candidate.is_empty() || known || self.candidates.len() > MAX_CANDIDATES {
            return;
        }
        if let Err(error) = self.peer.add_ice_candidate(candidate).await {
            tracing::debug!(%error, "a remote candidate was not taken");
        }
    }

    /// Offers what changed: now, or after the answer that is awaited.
    pub(super) async fn negotiate(&mut self) -> Result<(), LinkError> {
        if self.offer_waits || self.signalling == Signalling::Down {
            self.offer_again = true;
            return Ok(());
        }
        let offer = self.peer.create_offer(None).await?;
        self.peer.set_local_description(offer.clone()).await?;
        // The first section may come with it.
        self.capture_extension = self.capture_extension.or_else(|| extension_id(&offer.sdp));
        self.send_offer(offer).await;
        Ok(())
    }

    async fn send_offer(&mut self, offer: RTCSessionDescription) {
        self.offer_waits = true;
        self.offered_at = Instant::now();
        self.offer_id += 1;
        self.pass(Request::Offer(description(offer, self.offer_id))).await;
    }

    /// Whether the server leaves an offer without an answer, so that nothing can be changed any more.
    pub(super) fn is_stuck(&self) -> bool {
        self.offer_waits && self.offered_at.elapsed() > ANSWER_TIMEOUT
    }

    /// Applies an answer. `true` when it was the one awaited: what was offered is in force.
    pub(super) async fn answer(&mut self, answer: proto::SessionDescription) -> Result<bool, LinkError> {
        if !self.offer_waits || (answer.id != 0 && answer.id != self.offer_id) {
            tracing::debug!(id = answer.id, "an answer nobody waits for");
            return Ok(false);
        }
        let parsed = RTCSessionDescription::answer(answer.sdp.clone())?;
        self.peer.set_remote_description(parsed).await?;
        self.offer_waits = false;
        if self.restart == Restart::Offered {
            self.restart = Restart::Answered;
        }
        if !self.answered {
            self.answered = true;
            // Candidates in inactive sections are overlooked by `webrtc`: add what stands anywhere in the answer.
            for line in answer.sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")).take(MAX_CANDIDATES) {
                let candidate = RTCIceCandidateInit {
                    candidate: format!("candidate:{}", line.trim_end()),
                    sdp_mid: Some("0".to_owned()),
                    sdp_mline_index: Some(0),
                    ..Default::default()
                };
                self.add_candidate(candidate).await;
            }
            for candidate in std::mem::take(&mut self.early_candidates) {
                self.add_candidate(candidate).await;
            }
        }
        if std::mem::take(&mut self.offer_again) {
            self.negotiate().await?;
        }
        Ok(true)
    }

    /// The server wants more sections to send in; none more still means that it wants a new offer.
    pub(super) async fn add_receive_sections(&mut self, audios: u32, videos: u32) -> Result<(), LinkError> {
        let room = MAX_RECEIVE_SECTIONS.saturating_sub(self.receive_sections);
        let audios = audios.min(room);
        let videos = videos.min(room - audios);
        receive_sections(&self.peer, audios, videos).await?;
        self.receive_sections += audios + videos;
        self.negotiate().await
    }

    /// Adds a track to send; takes effect with the next answer.
    pub(super) async fn add_track(&self, track: Arc<dyn TrackLocal>) -> Result<Arc<dyn RtpTransceiver>, LinkError> {
        let direction = RTCRtpTransceiverDirection::Sendonly;
        let init = RTCRtpTransceiverInit { direction, ..RTCRtpTransceiverInit::default() };
        Ok(self.peer.add_transceiver_from_track(track, Some(init)).await?)
    }

    /// Takes a track back; takes effect with the next answer.
    pub(super) async fn remove_track(&self, sender: &Arc<dyn RtpSender>) -> Result<(), LinkError> {
        Ok(self.peer.remove_track(sender).await?)
    }

    /// Ends the link within a bounded time.
    pub(super) async fn close(mut self) {
        drop(std::mem::take(&mut self.returning));
        if timeout(SIGNAL_CLOSE, self.signal.close()).await.is_err() {
            tracing::debug!("the WebSocket did not close in time");
        }
        close_peer(&self.peer).await;
    }

    /// The user goes: ends the link within a bounded time; answers whether the server was told.
    pub(super) async fn leave(self) -> bool {
        let goodbye = Request::Leave(proto::LeaveRequest {
            reason: proto::DisconnectReason::ClientInitiated.into(),
            action: proto::leave_request::Action::Disconnect.into(),
            ..Default::default()
        });
        let told = self.signalling != Signalling::Down && timeout(SIGNAL_CLOSE, self.pass(goodbye)).await.is_ok();
        self.close().await;
        told
    }
}

/// Ends a peer connection within a bounded time; dropping one ends nothing.
async fn close_peer(peer: &Arc<dyn PeerConnection>) {
    match timeout(PEER_CLOSE, peer.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the peer connection did not close cleanly"),
        Err(_) => tracing::debug!("the peer connection did not close in time"),
    }
}

fn description(offer: RTCSessionDescription, id: u32) -> proto::SessionDescription {
    proto::SessionDescription { r#type: "offer".to_owned(), sdp: offer.sdp, id, ..Default::default() }
}

async fn receive_sections(peer: &Arc<dyn PeerConnection>, audios: u32, videos: u32) -> Result<(), LinkError> {
    for (count, kind) in [(audios, RtpCodecKind::Audio), (videos, RtpCodecKind::Video)] {
        for _ in 0..count {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..RTCRtpTransceiverInit::default()
            };
            peer.add_transceiver_from_kind(kind, Some(init)).await?;
        }
    }
    Ok(())
}
