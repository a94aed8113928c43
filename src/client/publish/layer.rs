//! One layer of a picture: its encoder, and its frames as RTP packets. Owned by the track's capture thread.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::rtp;

use super::gate::{Gate, PictureSink, Sink};
use crate::client::capture_time::CaptureStamp;
use crate::media::VideoFrame;
use crate::media::assembly::{H264Packetiser, Vp8Packetiser};
use crate::media::codec::encoder::VideoEncoder;
use crate::media::codec::{EncodedFrame, EncoderConfig};
use crate::model::{CallError, ErrorCode, VideoCodec};

/// Payload of one packet, in bytes: fits 1200 with RTP header and extensions.
const MAX_PAYLOAD_BYTES: usize = 1150;
/// RTP clock of video, in Hz.
const VIDEO_CLOCK_HZ: u128 = 90_000;
/// Keyframes on request come at most this often.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
/// Frames in a row that fail to encode before the source counts as unusable.
const MAX_ENCODE_FAILURES: u32 = 30;

/// What one frame of a layer is encoded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Which layer, 0 the lowest.
    pub(super) layer: usize,
    /// What it may take, in bit/s.
    pub(super) bitrate_bps: u32,
    /// Frames per second that come.
    pub(super) fps: f32,
    /// Text and graphics.
    pub(super) screen: bool,
    /// The frame's time on the publication's clock, in microseconds.
    pub(super) at_us: u64,
    /// When it was captured, as Unix time in microseconds.
    pub(super) captured_us: i64,
}

/// See the module.
pub(super) struct Layer {
    encoder: Option<VideoEncoder>,
    vp8: Vp8Packetiser,
    h264: H264Packetiser,
    sequence: u16,
    stamp: CaptureStamp,
    running: bool,
    last_keyframe: Option<Instant>,
    failures: u32,
}

impl Layer {
    pub(super) fn new() -> Self {
        Self {
            encoder: None,
            vp8: Vp8Packetiser::new(MAX_PAYLOAD_BYTES),
            h264: H264Packetiser::new(MAX_PAYLOAD_BYTES),
            sequence: rand::random(),
            stamp: CaptureStamp::default(),
            running: false,
            last_keyframe: None,
            failures: 0,
        }
    }

    /// Nothing is encoded for now: when it goes on, it begins with a keyframe.
    pub(super) fn pause(&mut self, layer: usize, gate: &Gate) {
        if std::mem::take(&mut self.running) {
            gate.set_active(layer, false);
        }
    }

    /// Another encoder takes over, beginning with a keyframe.
    pub(super) fn reopen(&mut self) {
        self.encoder = None;
        self.running = false;
    }

    /// How coarse the newest frame is, 0 (finest) to 63, where that is known.
    pub(super) fn quantizer(&mut self) -> Option<u32> {
        self.encoder.as_mut().and_then(VideoEncoder::last_quantizer)
    }

    /// Whether a keyframe was asked for and may be sent.
    pub(super) fn keyframe_due(&self, layer: usize, gate: &Gate) -> bool {
        gate.keyframe_wanted(layer) && self.last_keyframe.is_none_or(|at| at.elapsed() >= KEYFRAME_INTERVAL)
    }

    /// Encodes a frame; `None` when the encoder left it out to keep its rate, or failed for once.
    ///
    /// # Errors
    /// The source is unusable.
    pub(super) fn encode(
        &mut self,
        frame: &VideoFrame,
        codec: VideoCodec,
        order: Order,
        gate: &Gate,
    ) -> Result<Option<EncodedFrame>, CallError> {
        if self.encoder.as_ref().is_none_or(|encoder| encoder.codec() != codec) {
            let config = EncoderConfig {
                width: frame.width(),
                height: frame.height(),
                fps: order.fps,
                bitrate_bps: order.bitrate_bps,
                screen: order.screen,
                threads: 1,
            };
            self.encoder = Some(VideoEncoder::new(codec, config).map_err(|error| unusable(&error))?);
        }
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        if let Err(error) = encoder.set_bitrate(order.bitrate_bps).and_then(|()| encoder.set_fps(order.fps)) {
            tracing::warn!(%error, "the encoder keeps its rate");
        }
        if !self.running {
            self.running = true;
            gate.set_active(order.layer, true);
            gate.set_keyframe_wanted(order.layer, true);
            self.last_keyframe = None;
        }
        let keyframe = self.keyframe_due(order.layer, gate);
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        match encoder.encode(frame, keyframe) {
            Ok(encoded) => {
                self.failures = 0;
                if encoded.as_ref().is_some_and(|encoded| encoded.keyframe) {
                    self.last_keyframe = Some(Instant::now());
                    gate.set_keyframe_wanted(order.layer, false);
                }
                Ok(encoded)
            }
            Err(error) => {
                self.failures += 1;
                let hopeless = matches!(error, crate::media::codec::CodecError::Setting { .. });
                if hopeless || self.failures >= MAX_ENCODE_FAILURES {
                    return Err(unusable(&error));
                }
                tracing::warn!(%error, "a frame was not encoded");
                gate.set_keyframe_wanted(order.layer, true);
                Ok(None)
            }
        }
    }

    /// A frame's packets. The time stamp counts from `timestamp_base`, the same for every layer.
    pub(super) fn packets(
        &mut self,
        encoded: &EncodedFrame,
        order: Order,
        timestamp_base: u32,
        sink: &Sink,
        picture: &PictureSink,
    ) -> Vec<rtp::Packet> {
        let ticks = u128::from(order.at_us) * VIDEO_CLOCK_HZ / 1_000_000;
        let mut header = rtp::Header {
            version: 2,
            payload_type: sink.payload_type,
            timestamp: timestamp_base.wrapping_add(ticks as u32),
            ssrc: picture.ssrcs.get(order.layer).copied().unwrap_or(sink.ssrc),
            ..Default::default()
        };
        for (id, name) in picture.names.get(order.layer).into_iter().flatten() {
            if let Err(error) = header.set_extension(*id, name.clone()) {
                tracing::debug!(%error, "a packet cannot carry its layer's name");
            }
        }
        let mut packets = Vec::with_capacity(encoded.data.len() / MAX_PAYLOAD_BYTES + 2);
        let sequence = &mut self.sequence;
        let push = |payload: &[u8], marker: bool| {
            *sequence = sequence.wrapping_add(1);
            let header = rtp::Header { marker, sequence_number: *sequence, ..header.clone() };
            packets.push(rtp::Packet { header, payload: Bytes::copy_from_slice(payload) });
        };
        match picture.codec {
            VideoCodec::Vp8 => self.vp8.packetise(&encoded.data, encoded.keyframe, push),
            VideoCodec::H264 => self.h264.packetise(&encoded.data, push),
        }
        if let Some(first) = packets.first_mut() {
            self.stamp.mark(first, sink.capture_extension, order.captured_us, Instant::now());
        }
        packets
    }
}

pub(super) fn unusable(error: &dyn std::fmt::Display) -> CallError {
    CallError::new(ErrorCode::CaptureFailed, format!("the picture cannot be encoded: {error}"))
}
