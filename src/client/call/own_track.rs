//! One own track: its capture thread runs for as long as it is published, and what carries it on the present link
//! comes and goes with the link: asked for, taken by the server, offered, answered, flowing.

use std::sync::Arc;
use std::time::Instant;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8};
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::rtp_transceiver::RtpTransceiver;

use crate::client::link::{Link, LinkError, MIME_TYPE_RED, OwnedTask, is_audio_level};
use crate::client::publish::{Gate, SEND_QUEUE, Sink, SourceSwitch, hear_requests, send};
use crate::model::{DeviceState, MediaKind, StreamId, StreamKind, TrackInfo, TrackSid};
use crate::protocol::convert;

/// One own track.
pub(super) struct OwnTrack {
    pub(super) media: MediaKind,
    pub(super) gate: Arc<Gate>,
    /// Where another source is left for its capture thread.
    pub(super) switch: SourceSwitch,
    pub(super) muted: bool,
    /// How the device behind it is doing.
    pub(super) device: DeviceState,
    /// Size and rate announced; zeros for sound.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) max_bitrate_bps: u32,
    /// As the server named it last, be it on an earlier link.
    named: Option<TrackInfo>,
    linked: Option<Linked>,
}

struct Linked {
    cid: String,
    asked: Instant,
    ssrc: u32,
    local: Arc<TrackLocalStaticRTP>,
    /// Named by the server, on this link.
    taken: bool,
    transceiver: Option<Arc<dyn RtpTransceiver>>,
    /// Sending and hearing tasks, once answered.
    tasks: Option<[OwnedTask; 2]>,
}

impl OwnTrack {
    /// A track that is on no link yet.
    pub(super) fn new(
        media: MediaKind,
        gate: Arc<Gate>,
        switch: SourceSwitch,
        width: u32,
        height: u32,
        max_bitrate_bps: u32,
    ) -> Self {
        let device = DeviceState::On;
        Self { media, gate, switch, muted: false, device, width, height, max_bitrate_bps, named: None, linked: None }
    }

    /// Asks the server to take the track.
    pub(super) async fn ask(&mut self, link: &Link, stream: &StreamId, kind: StreamKind) {
        let ssrc: u32 = rand::random();
        let cid = format!("{}-{ssrc:08x}", if self.media == MediaKind::Video { "v" } else { "a" });
        let local = Arc::new(TrackLocalStaticRTP::new(media_track(stream, &cid, ssrc, self.media)));
        let request = self.add_track_request(stream, kind, &cid);
        self.linked =
            Some(Linked { cid, asked: Instant::now(), ssrc, local, taken: false, transceiver: None, tasks: None });
        link.request(Request::AddTrack(request)).await;
    }

    fn add_track_request(&self, stream: &StreamId, kind: StreamKind, cid: &str) -> proto::AddTrackRequest {
        let source = convert::source_of(kind, self.media);
        let mut request = proto::AddTrackRequest {
            cid: cid.to_owned(),
            name: stream.to_string(),
            source: source.into(),
            muted: self.muted,
            stream: stream.to_string(),
            disable_red: self.media != MediaKind::Audio,
            ..Default::default()
        };
        match self.media {
            MediaKind::Audio => request.r#type = proto::TrackType::Audio.into(),
            MediaKind::Video => {
                request.r#type = proto::TrackType::Video.into();
                request.width = self.width;
                request.height = self.height;
                request.layers = vec![proto::VideoLayer {
                    quality: proto::VideoQuality::High.into(),
                    width: self.width,
                    height: self.height,
                    bitrate: self.max_bitrate_bps,
                    ..Default::default()
                }];
                request.simulcast_codecs =
                    vec![proto::SimulcastCodec { codec: "vp8".to_owned(), cid: cid.to_owned(), ..Default::default() }];
            }
        }
        request
    }

    /// Whether the server is asked under this id.
    pub(super) fn has_cid(&self, cid: &str) -> bool {
        self.linked.as_ref().is_some_and(|linked| linked.cid == cid)
    }

    /// The server took the track: adds it to the next offer.
    pub(super) async fn taken(&mut self, link: &Link, info: TrackInfo) -> Result<(), LinkError> {
        let Some(linked) = &mut self.linked else { return Ok(()) };
        if linked.taken {
            return Ok(());
        }
        linked.transceiver = Some(link.add_track(Arc::clone(&linked.local) as Arc<_>).await?);
        linked.taken = true;
        self.named = Some(info);
        Ok(())
    }

    /// Begins to send when the answer in force takes the track.
    pub(super) async fn start_if_answered(&mut self) -> Result<(), LinkError> {
        let Some(linked) = &mut self.linked else { return Ok(()) };
        let Some(transceiver) = &linked.transceiver else { return Ok(()) };
        if linked.tasks.is_some() || !transceiver.current_direction().await?.has_send() {
            return Ok(());
        }
        let Some(sender) = transceiver.sender().await? else { return Ok(()) };
        let parameters = sender.get_parameters().await?.rtp_parameters;
        let mime = mime_type(self.media);
        let codec = parameters.codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(mime));
        let Some(codec) = codec else { return Err(LinkError::Nonsense("an answer without our codec")) };
        let red = parameters.codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(MIME_TYPE_RED));
        self.gate.sound.set_red(red.map(|codec| codec.payload_type));
        let level_extension = parameters
            .header_extensions
            .iter()
            .find(|extension| is_audio_level(&extension.uri))
            .and_then(|extension| u8::try_from(extension.id).ok());
        let (packets, receiver) = mpsc::channel(SEND_QUEUE);
        linked.tasks = Some([
            OwnedTask::spawn(send(Arc::clone(&linked.local), receiver)),
            OwnedTask::spawn(hear_requests(Arc::clone(&linked.local), Arc::clone(&self.gate))),
        ]);
        self.gate.attach(Sink { packets, ssrc: linked.ssrc, payload_type: codec.payload_type, level_extension });
        Ok(())
    }

    /// Whether packets go out, or would if it were not muted.
    pub(super) fn flows(&self) -> bool {
        self.linked.as_ref().is_some_and(|linked| linked.tasks.is_some())
    }

    /// When the server was asked for what it has not given yet.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.linked.as_ref().filter(|linked| linked.tasks.is_none()).map(|linked| linked.asked)
    }

    /// The track as the server named it, between links as it was on the last.
    pub(super) fn info(&self) -> Option<TrackInfo> {
        self.named.clone().map(|info| TrackInfo { muted: self.muted, ..info })
    }

    /// The server's id of the track on the present link.
    pub(super) fn sid(&self) -> Option<&TrackSid> {
        let taken = self.linked.as_ref().is_some_and(|linked| linked.taken);
        self.named.as_ref().filter(|_| taken).map(|info| &info.sid)
    }

    /// The link is gone.
    pub(super) fn unlink(&mut self) {
        self.gate.detach();
        self.linked = None;
    }

    /// Takes the track off a link that stands; `true` when a new offer must say so.
    pub(super) async fn withdraw(&mut self, link: &Link) -> Result<bool, LinkError> {
        self.gate.detach();
        let Some(linked) = self.linked.take() else { return Ok(false) };
        let Some(transceiver) = linked.transceiver else { return Ok(false) };
        if let Some(sender) = transceiver.sender().await? {
            link.remove_track(&sender).await?;
        }
        Ok(true)
    }
}

impl Drop for OwnTrack {
    /// Ends the capture thread.
    fn drop(&mut self) {
        self.gate.stop();
    }
}

fn mime_type(media: MediaKind) -> &'static str {
    match media {
        MediaKind::Video => MIME_TYPE_VP8,
        MediaKind::Audio => MIME_TYPE_OPUS,
    }
}

fn media_track(stream: &StreamId, cid: &str, ssrc: u32, media: MediaKind) -> MediaStreamTrack {
    let (kind, clock_rate, channels) = match media {
        MediaKind::Video => (RtpCodecKind::Video, 90_000, 0),
        MediaKind::Audio => (RtpCodecKind::Audio, 48_000, 2),
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        codec: RTCRtpCodec { mime_type: mime_type(media).to_owned(), clock_rate, channels, ..Default::default() },
        ..Default::default()
    };
    MediaStreamTrack::new(stream.to_string(), cid.to_owned(), cid.to_owned(), kind, vec![encoding])
}
