//! The peer connection: which codecs, header extensions and interceptors it has, and what it tells.
//!
//! Known faults of `webrtc` 0.21.1 that are worked round here: RTX with NACK asks for recovered packets again and
//! again, so only primary codecs are offered and the replay window is widened; the pacer holds sound behind
//! pictures, so video is paced where it is packetised; connectivity checks every 200 ms make joining slow; what overtakes
//! the answer that names its track is thrown away (`early_tap`); lost packets are asked for every 100 ms only, without end
//! (`nack`); a lost packet of a handshake may end it (`handshake`); reports that come with the name of a section, as official
//! servers send them, are refused whole (so streams are kept in step by capture times).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{
    CongestionControlBuilder, NackResponderBuilder, ReceiverReportBuilder, SenderReportBuilder, TwccReceiverBuilder,
    TwccSenderBuilder,
};
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::error::{Error, Result};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCPeerConnectionIceEvent, RTCPeerConnectionState, Registry, SettingEngineBuilder, Slot,
};
use webrtc::runtime::default_runtime;

use super::bandwidth::{Bandwidth, Estimator};
use super::early_tap::{EARLY_TAP_SLOT, EarlyTap};
use super::handshake::AttentiveRuntime;
use super::nack::Nacks;
use super::network::local_addresses;
use super::rtcp_tap::{RTCP_TAP_SLOT, RtcpTap};
use crate::client::capture_time::CAPTURE_TIME_URI;
use crate::model::VideoCodec;

/// Events of the peer connection that may wait; candidates and tracks are few, so it never fills while we live.
const PEER_EVENT_CAPACITY: usize = 1024;
/// Bytes a data channel may hold unsent before sending is refused.
pub(super) const DATA_SEND_BUFFER_BYTES: usize = 1024 * 1024;
/// How often connectivity is checked until connected, and how often at most: for longer than the way is given, so that
/// a way that opens late is found at once.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(20);
const ICE_MAX_CHECKS: u16 = 1000;
/// Silence after which the way to the server counts as disturbed, and as gone.
const ICE_DISCONNECTED: Duration = Duration::from_secs(4);
const ICE_FAILED: Duration = Duration::from_secs(10);
const ICE_KEEPALIVE: Duration = Duration::from_secs(1);
/// Where lost packets are noticed: behind what holds packets of unknown streams, so that they are seen in order.
const NACKS_SLOT: usize = 9_000;
/// SRTP packets that may come out of order (retransmissions do).
const SRTP_REPLAY_WINDOW: usize = 4096;

const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// Header extensions that name a packet's section (RFC 9143) and its layer (RFC 8852).
pub(in crate::client) const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(in crate::client) const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// What we offer for each codec; the answer's numbers count.
const VIDEO_PAYLOAD_TYPES: [(VideoCodec, u8); 2] = [(VideoCodec::Vp8, 96), (VideoCodec::H264, 125)];
const OPUS_PAYLOAD_TYPE: u8 = 111;
/// What we offer for Opus with copies; as we always offer, it is what comes, too.
pub(in crate::client) const RED_PAYLOAD_TYPE: u8 = 63;
/// Opus with copies.
pub(in crate::client) const MIME_TYPE_RED: &str = "audio/red";

/// Something the peer connection told.
pub(in crate::client) enum PeerEvent {
    /// The state of the whole connection changed.
    State(RTCPeerConnectionState),
    /// A local candidate to trickle.
    Candidate(RTCIceCandidateInit),
    /// The first packet of a remote track arrived; the name is the server's track id.
    Track { sid: String, track: Arc<dyn TrackRemote> },
    /// The server opened a data channel of its own.
    Channel(Arc<dyn DataChannel>),
}

/// A peer connection before its first offer.
pub(super) struct Peer {
    pub(super) connection: Arc<dyn PeerConnection>,
    pub(super) events: mpsc::Receiver<PeerEvent>,
    pub(super) bandwidth: Bandwidth,
    /// Packets of media and reports that came in.
    pub(super) arrived: Arc<AtomicU64>,
}

/// Builds a peer connection bound to every interface, and to the loopback when the server is there.
pub(super) async fn build(loopback: bool) -> Result<Peer> {
    let media = media_engine()?;
    let (estimator, bandwidth) = Estimator::new();
    let arrived = Arc::default();
    let registry = interceptors(estimator, Arc::clone(&arrived));
    let (event_tx, events) = mpsc::channel(PEER_EVENT_CAPACITY);
    let mut settings = SettingEngineBuilder::new()
        .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_MAX_CHECKS))
        .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_KEEPALIVE))
        // A restart of ICE binds fresh sockets: the addresses may be others by then.
        .with_discard_local_candidates_during_ice_restart(true)
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_srtp_replay_protection_window(SRTP_REPLAY_WINDOW);
    let (mut addresses, mut tcp) = (vec!["0.0.0.0:0"], vec!["0.0.0.0:0"]);
    if local_addresses().iter().any(IpAddr::is_ipv6) {
        addresses.push("[::]:0");
        tcp.push("[::]:0");
    }
    if loopback {
        settings = settings.with_include_loopback_candidate(true);
        addresses.push("127.0.0.1:0");
        tcp.push("127.0.0.1:0");
    }
    let runtime = default_runtime().ok_or_else(|| Error::Other("no asynchronous runtime".to_owned()))?;
    let building = PeerConnectionBuilder::new()
        .with_runtime(Arc::new(AttentiveRuntime(runtime)))
        .with_configuration(RTCConfigurationBuilder::default().build())
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_setting_engine(settings.build())
        .with_handler(Arc::new(Handler { events: event_tx }))
        .with_data_channel_send_buffer_limit(DATA_SEND_BUFFER_BYTES)
        .with_udp_addrs(addresses)
        .with_tcp_addrs(tcp)
        .build();
    let connection = Box::pin(building).await?;
    Ok(Peer { connection: Arc::new(connection), events, bandwidth, arrived })
}

/// A codec as it is offered.
pub(in crate::client) fn video_codec(codec: VideoCodec) -> RTCRtpCodec {
    let sdp_fmtp_line = match codec {
        VideoCodec::Vp8 => "",
        // Constrained baseline, level 3.1, as every WebRTC endpoint takes it (RFC 7742 section 6.2).
        VideoCodec::H264 => "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    };
    RTCRtpCodec {
        mime_type: codec.mime_type().to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: sdp_fmtp_line.to_owned(),
        rtcp_feedback: vec![
            feedback("goog-remb", ""),
            feedback("ccm", "fir"),
            feedback("nack", ""),
            feedback("nack", "pli"),
            feedback("transport-cc", ""),
        ],
        ..Default::default()
    }
}

/// What a packet of a picture carries. We alone offer, so the numbers are ours; what the connection says of a stream can
/// be empty for good where its first packets crossed a new description.
pub(in crate::client) fn video_codec_of(payload_type: u8) -> Option<VideoCodec> {
    VIDEO_PAYLOAD_TYPES.iter().find(|(_, number)| *number == payload_type).map(|(codec, _)| *codec)
}

fn feedback(typ: &str, parameter: &str) -> RTCPFeedback {
    RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() }
}

fn media_engine() -> Result<MediaEngine> {
    let mut media = MediaEngine::default();
    let opus = RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![feedback("transport-cc", "")],
    };
    for (codec, payload_type) in VIDEO_PAYLOAD_TYPES {
        let rtp_codec = video_codec(codec);
        media.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, RtpCodecKind::Video)?;
    }
    media.register_codec(
        RTCRtpCodecParameters { rtp_codec: opus, payload_type: OPUS_PAYLOAD_TYPE },
        RtpCodecKind::Audio,
    )?;
    // Opus with copies of earlier packets (RFC 2198), as LiveKit's servers prefer it.
    let red = RTCRtpCodec {
        mime_type: MIME_TYPE_RED.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: format!("{OPUS_PAYLOAD_TYPE}/{OPUS_PAYLOAD_TYPE}"),
        rtcp_feedback: vec![feedback("transport-cc", "")],
    };
    media.register_codec(
        RTCRtpCodecParameters { rtp_codec: red, payload_type: RED_PAYLOAD_TYPE },
        RtpCodecKind::Audio,
    )?;
    for (uri, kind) in [
        (MID_URI, RtpCodecKind::Audio),
        (MID_URI, RtpCodecKind::Video),
        (RID_URI, RtpCodecKind::Video),
        (TRANSPORT_CC_URI, RtpCodecKind::Audio),
        (TRANSPORT_CC_URI, RtpCodecKind::Video),
        (AUDIO_LEVEL_URI, RtpCodecKind::Audio),
        (CAPTURE_TIME_URI, RtpCodecKind::Audio),
        (CAPTURE_TIME_URI, RtpCodecKind::Video),
    ] {
        media.register_header_extension(RTCRtpHeaderExtensionCapability { uri: uri.to_owned() }, kind, None)?;
    }
    Ok(media)
}

fn interceptors(estimator: Estimator, arrived: Arc<AtomicU64>) -> Registry {
    Registry::new()
        .with(Slot::CongestionControl, CongestionControlBuilder::new(estimator).build())
        .with(Slot::TwccSender, TwccSenderBuilder::new().build())
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(Slot::TwccReceiver, TwccReceiverBuilder::new().build())
        .with(Slot::from(EARLY_TAP_SLOT), EarlyTap::default())
        .with(Slot::from(NACKS_SLOT), Nacks::default())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, SenderReportBuilder::new().build())
        .with(Slot::from(RTCP_TAP_SLOT), RtcpTap::new(arrived))
}

/// Whether this header extension carries the sound level (RFC 6464).
pub(in crate::client) fn is_audio_level(uri: &str) -> bool {
    uri == AUDIO_LEVEL_URI
}

/// Runs on the connection's driver task: hands on and never waits.
struct Handler {
    events: mpsc::Sender<PeerEvent>,
}

impl Handler {
    fn tell(&self, event: PeerEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            tracing::error!("the call is too far behind its peer connection: an event was dropped");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(candidate) => self.tell(PeerEvent::Candidate(candidate)),
            Err(error) => tracing::warn!(%error, "a local candidate cannot be written down"),
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.tell(PeerEvent::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.tell(PeerEvent::Channel(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let sid = track.track_id().await;
        self.tell(PeerEvent::Track { sid, track });
    }
}
