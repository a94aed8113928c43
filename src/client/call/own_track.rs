//! One own track: its capture thread runs for as long as it is published, and what carries it on the present link
//! comes and goes with the link: asked for, taken by the server, offered, answered, flowing.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpHeaderExtensionParameters, RtpCodecKind,
};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::rtp_transceiver::RtpTransceiver;

use crate::bridge::VideoOptions;
use crate::client::capture_time::CAPTURE_TIME_URI;
use crate::client::link::{Link, LinkError, MID_URI, MIME_TYPE_RED, OwnedTask, RID_URI, is_audio_level, video_codec};
use crate::client::publish::{
    Gate, Layers, MAX_LAYERS, PictureSink, SEND_QUEUE, Sink, SourceSwitch, hear_requests, send,
};
use crate::media::VideoFormat;
use crate::model::{DeviceState, MediaKind, StreamId, StreamKind, TrackInfo, TrackSid, VideoCodec};
use crate::protocol::convert;

/// One own track.
pub(super) struct OwnTrack {
    pub(super) media: MediaKind,
    pub(super) gate: Arc<Gate>,
    /// Where another source is left for its capture thread.
    pub(super) switch: SourceSwitch,
    pub(super) muted: bool,
    /// When it was last muted or unmuted here.
    pub(super) muted_at: Option<Instant>,
    /// How the device behind it is doing.
    pub(super) device: DeviceState,
    /// What is offered of a picture.
    pub(super) picture: Option<OwnPicture>,
    /// As the server named it last, be it on an earlier link.
    named: Option<TrackInfo>,
    linked: Option<Linked>,
}

/// What is offered of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnPicture {
    /// Size announced, in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) options: VideoOptions,
    pub(super) layers: Layers,
}

struct Linked {
    cid: String,
    asked: Instant,
    /// One for each layer, lowest first; sound has one.
    ssrcs: Vec<u32>,
    codec: VideoCodec,
    local: Arc<TrackLocalStaticRTP>,
    /// Named by the server, on this link.
    taken: bool,
    transceiver: Option<Arc<dyn RtpTransceiver>>,
    /// Sending and hearing tasks, once answered.
    tasks: Option<[OwnedTask; 2]>,
}

impl OwnTrack {
    /// A picture that is on no link yet.
    pub(super) fn picture(gate: Arc<Gate>, switch: SourceSwitch, format: VideoFormat, options: VideoOptions) -> Self {
        let layers = Layers::of(format.width, format.height, options.simulcast);
        let picture = OwnPicture { width: format.width, height: format.height, options, layers };
        let mut track = Self::sound(gate, switch);
        (track.media, track.picture) = (MediaKind::Video, Some(picture));
        track
    }

    /// A sound that is on no link yet.
    pub(super) fn sound(gate: Arc<Gate>, switch: SourceSwitch) -> Self {
        Self {
            media: MediaKind::Audio,
            gate,
            switch,
            muted: false,
            muted_at: None,
            device: DeviceState::On,
            picture: None,
            named: None,
            linked: None,
        }
    }

    /// The same, muted from the first moment when wished: before its capture thread begins.
    #[must_use]
    pub(super) fn starting_muted(mut self, muted: bool) -> Self {
        self.muted = muted;
        self.gate.set_muted(muted);
        self
    }

    /// Asks the server to take the track; `codecs` are those it lets us publish.
    pub(super) async fn ask(&mut self, link: &Link, stream: &StreamId, kind: StreamKind, codecs: &[VideoCodec]) {
        let layers = self.picture.map_or(1, |picture| picture.layers.count());
        let ssrcs: Vec<u32> = (0..layers).map(|_| rand::random()).collect();
        let mut codec = self.picture.map(|picture| picture.options.codec).unwrap_or_default();
        if self.picture.is_some() && !codecs.is_empty() && !codecs.contains(&codec) {
            tracing::warn!(%stream, ?codec, "the server takes no such pictures: VP8 is sent instead");
            codec = VideoCodec::Vp8;
        }
        let cid = format!("{}-{:08x}", if self.media == MediaKind::Video { "v" } else { "a" }, rand::random::<u32>());
        let local = Arc::new(TrackLocalStaticRTP::new(self.media_track(stream, &cid, &ssrcs, codec)));
        let request = self.add_track_request(stream, kind, &cid, codec);
        self.linked = Some(Linked {
            cid,
            asked: Instant::now(),
            ssrcs,
            codec,
            local,
            taken: false,
            transceiver: None,
            tasks: None,
        });
        link.request(Request::AddTrack(request)).await;
    }

    fn add_track_request(
        &self,
        stream: &StreamId,
        kind: StreamKind,
        cid: &str,
        codec: VideoCodec,
    ) -> proto::AddTrackRequest {
        let source = convert::source_of(kind, self.media);
        let mut request = proto::AddTrackRequest {
            cid: cid.to_owned(),
            name: stream.to_string(),
            source: source.into(),
            muted: self.muted,
            stream: stream.to_string(),
            disable_red: self.media != MediaKind::Audio,
            r#type: proto::TrackType::Audio.into(),
            ..Default::default()
        };
        if let Some(picture) = self.picture {
            request.r#type = proto::TrackType::Video.into();
            request.width = picture.width;
            request.height = picture.height;
            request.layers = picture.video_layers();
            request.simulcast_codecs = vec![proto::SimulcastCodec {
                codec: codec_name(codec).to_owned(),
                cid: cid.to_owned(),
                layers: picture.video_layers(),
                ..Default::default()
            }];
        }
        request
    }

    fn media_track(&self, stream: &StreamId, cid: &str, ssrcs: &[u32], codec: VideoCodec) -> MediaStreamTrack {
        let (kind, codec) = match self.picture {
            Some(_) => (RtpCodecKind::Video, video_codec(codec)),
            None => {
                let mime_type = MIME_TYPE_OPUS.to_owned();
                (RtpCodecKind::Audio, RTCRtpCodec { mime_type, clock_rate: 48_000, channels: 2, ..Default::default() })
            }
        };
        let rid = |layer| self.picture.and_then(|picture| picture.layers.rid(layer)).unwrap_or_default();
        let encodings = ssrcs.iter().enumerate().map(|(layer, ssrc)| RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                rid: rid(layer).into(),
                ssrc: Some(*ssrc),
                ..Default::default()
            },
            codec: codec.clone(),
            ..Default::default()
        });
        MediaStreamTrack::new(stream.to_string(), cid.to_owned(), cid.to_owned(), kind, encodings.collect())
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
        let mime = if self.picture.is_some() { linked.codec.mime_type() } else { MIME_TYPE_OPUS };
        let codec = parameters.codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(mime));
        let Some(codec) = codec else { return Err(LinkError::Nonsense("an answer without our codec")) };
        let extensions = &parameters.header_extensions;
        let picture = match self.picture {
            Some(picture) => {
                let mid = transceiver.mid().await?.unwrap_or_default();
                Some(Arc::new(PictureSink {
                    codec: linked.codec,
                    layers: picture.layers,
                    ssrcs: linked.ssrcs.clone(),
                    names: names(extensions, &mid, picture.layers),
                }))
            }
            None => None,
        };
        let red = parameters.codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(MIME_TYPE_RED));
        self.gate.sound.set_red(red.map(|codec| codec.payload_type));
        let (packets, receiver) = mpsc::channel(SEND_QUEUE * linked.ssrcs.len().max(1));
        linked.tasks = Some([
            OwnedTask::spawn(send(Arc::clone(&linked.local), Arc::clone(&self.gate), receiver)),
            OwnedTask::spawn(hear_requests(Arc::clone(&linked.local), Arc::clone(&self.gate))),
        ]);
        let id_of = |known: fn(&str) -> bool| {
            let extension = extensions.iter().find(|extension| known(&extension.uri));
            extension.and_then(|extension| u8::try_from(extension.id).ok())
        };
        let level_extension = id_of(is_audio_level);
        let capture_extension = id_of(|uri| uri == CAPTURE_TIME_URI);
        let ssrc = linked.ssrcs.first().copied().unwrap_or_default();
        self.gate.attach(Sink {
            packets,
            ssrc,
            payload_type: codec.payload_type,
            level_extension,
            capture_extension,
            picture,
        });
        Ok(())
    }

    /// Whether packets go out, or would if it were not muted.
    pub(super) fn flows(&self) -> bool {
        self.linked.as_ref().is_some_and(|linked| linked.tasks.is_some())
    }

    /// The track as a returning client names it.
    pub(super) fn published(&self) -> Option<proto::TrackPublishedResponse> {
        let cid = self.linked.as_ref()?.cid.clone();
        let sid = self.sid()?.to_string();
        let kind = match self.media {
            MediaKind::Audio => proto::TrackType::Audio,
            MediaKind::Video => proto::TrackType::Video,
        };
        let track = proto::TrackInfo { sid, r#type: kind.into(), muted: self.muted, ..Default::default() };
        Some(proto::TrackPublishedResponse { cid, track: Some(track) })
    }

    /// When the server was asked for what it has not given yet.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.linked.as_ref().filter(|linked| linked.tasks.is_none()).map(|linked| linked.asked)
    }

    /// Whether the server was asked before then and has not named it.
    pub(super) fn waits_unnamed_since(&self, then: Instant) -> bool {
        self.linked.as_ref().is_some_and(|linked| !linked.taken && linked.asked < then)
    }

    /// The track as the server named it, between links as it was on the last.
    pub(super) fn info(&self) -> Option<TrackInfo> {
        self.named.clone().map(|info| TrackInfo { muted: self.muted, ..info })
    }

    /// The codec it is sent in on the present link, as LiveKit names it.
    pub(super) fn codec_name(&self) -> Option<&'static str> {
        self.linked.as_ref().map(|linked| codec_name(linked.codec))
    }

    /// The server's id of the track on the present link.
    pub(super) fn sid(&self) -> Option<&TrackSid> {
        let taken = self.linked.as_ref().is_some_and(|linked| linked.taken);
        self.named.as_ref().filter(|_| taken).map(|info| &info.sid)
    }

    /// The link is gone.
    pub(super) fn unlink(&mut self) {
        self.gate.detach();
        // The next server knows nothing of who watches yet.
        self.gate.set_watched([true; MAX_LAYERS]);
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

impl OwnPicture {
    /// The layers as they are announced, lowest first.
    fn video_layers(&self) -> Vec<proto::VideoLayer> {
        const QUALITIES: [proto::VideoQuality; 3] =
            [proto::VideoQuality::Low, proto::VideoQuality::Medium, proto::VideoQuality::High];
        let layer = |layer| {
            let (width, height) = self.layers.size(layer, self.width, self.height);
            proto::VideoLayer {
                quality: QUALITIES[self.layers.rank(layer)].into(),
                width,
                height,
                bitrate: self.layers.cap_bps(layer, self.options.max_bitrate_bps),
                ..Default::default()
            }
        };
        (0..self.layers.count()).map(layer).collect()
    }
}

fn codec_name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::Vp8 => "vp8",
        VideoCodec::H264 => "h264",
    }
}

/// What every packet of a layer says: its section and its layer. `webrtc` stamps neither, and several layers of one
/// section can be told apart in no other way. A lone layer needs none.
fn names(extensions: &[RTCRtpHeaderExtensionParameters], mid: &str, layers: Layers) -> Vec<Vec<(u8, Bytes)>> {
    let id_of = |uri: &str| {
        let extension = extensions.iter().find(|extension| extension.uri == uri);
        extension.and_then(|extension| u8::try_from(extension.id).ok())
    };
    let names = |layer: usize| {
        let rid = layers.rid(layer)?;
        let name = |uri, text: &str| Some((id_of(uri)?, Bytes::copy_from_slice(text.as_bytes())));
        Some([name(MID_URI, mid), name(RID_URI, rid)].into_iter().flatten().collect())
    };
    (0..layers.count()).map(|layer| names(layer).unwrap_or_default()).collect()
}
