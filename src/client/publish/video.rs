//! The capture and encode thread of one published picture: pulls the source, shows each frame in the preview, encodes
//! it when it can be sent, and cuts it into RTP packets (RFC 7741).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::rtp;

use super::gate::{Gate, Sink};
use super::{SourceReport, SourceSlot, SourceWord};
use crate::bridge::{VideoFeed, VideoOptions};
use crate::media::assembly::Vp8Packetiser;
use crate::media::codec::vp8::{Vp8Encoder, Vp8EncoderConfig};
use crate::media::{CaptureError, VideoFrame, VideoSource};
use crate::model::{CallError, DeviceState, ErrorCode, StreamKind};

/// Payload of one packet, in bytes: fits 1200 with RTP header and extensions.
const MAX_PAYLOAD_BYTES: usize = 1150;
/// RTP clock of video, in Hz.
const VIDEO_CLOCK_HZ: u128 = 90_000;
/// Keyframes on request come at most this often.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
/// What the encoder plans with; a source that is slower or faster is encoded all the same.
const ENCODER_FPS: std::ops::RangeInclusive<f32> = 1.0..=240.0;
/// Frames in a row that fail to encode before the source counts as unusable.
const MAX_ENCODE_FAILURES: u32 = 30;

/// What a capture thread works with.
pub(super) struct VideoThread {
    pub(super) source: Box<dyn VideoSource>,
    pub(super) options: VideoOptions,
    pub(super) kind: StreamKind,
    pub(super) gate: Arc<Gate>,
    pub(super) preview: VideoFeed,
    pub(super) slot: SourceSlot<dyn VideoSource>,
    pub(super) report: SourceReport,
}

impl VideoThread {
    /// Runs until the source ends or the gate stops it.
    pub(super) fn run(mut self) {
        let mut encoding = Encoding::new();
        let mut state = DeviceState::On;
        let end = loop {
            if self.gate.is_stopped() {
                break None;
            }
            if let Some(source) = self.slot.take() {
                self.source = source;
            }
            match self.source.next_frame() {
                Ok(Some(frame)) => {
                    if state != DeviceState::On {
                        state = DeviceState::On;
                        self.report.say(SourceWord::State(state));
                    }
                    self.gate.pictures.captured();
                    let frame = Arc::new(frame);
                    self.preview.put(Arc::clone(&frame));
                    if let Err(error) = self.send(&mut encoding, &frame) {
                        break Some(SourceWord::Failed(error));
                    }
                }
                Ok(None) => break Some(SourceWord::Finished),
                Err(CaptureError::Interrupted { what, state: now, why }) => {
                    if state != now {
                        tracing::warn!(what, state = now.word(), why, "a device delivers nothing");
                        state = now;
                        self.report.say(SourceWord::State(now));
                    }
                }
                Err(error) => {
                    break Some(SourceWord::Failed(CallError::new(ErrorCode::CaptureFailed, error.to_string())));
                }
            }
        };
        self.preview.close();
        if let Some(end) = end {
            self.report.say(end);
        }
    }

    fn send(&self, encoding: &mut Encoding, frame: &VideoFrame) -> Result<(), CallError> {
        let Some(sink) = self.gate.sink() else { return Ok(()) };
        // One producer: room that is there now is there after encoding.
        if sink.packets.capacity() == 0 {
            return Ok(());
        }
        let config = Vp8EncoderConfig {
            width: frame.width(),
            height: frame.height(),
            fps: self.source.format().fps.clamp(*ENCODER_FPS.start(), *ENCODER_FPS.end()),
            bitrate_bps: self.gate.bitrate().clamp(1, self.options.max_bitrate_bps.max(1)),
            screen: self.kind == StreamKind::Screen,
            threads: 1,
        };
        let packets = encoding.encode(frame, config, &sink, &self.gate)?;
        if packets.is_empty() {
            return Ok(());
        }
        let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
        match sink.packets.try_send(packets) {
            Ok(()) => {
                self.gate.count_sent(bytes);
                self.gate.pictures.sent(frame.width(), frame.height(), 1);
            }
            // The link went away while encoding: the next one begins with a keyframe.
            Err(_) => self.gate.ask_keyframe(),
        }
        Ok(())
    }
}

/// The encoder with what runs on from frame to frame.
struct Encoding {
    encoder: Option<Vp8Encoder>,
    packetiser: Vp8Packetiser,
    sequence: u16,
    timestamp_base: u32,
    bitrate_bps: u32,
    last_keyframe: Option<Instant>,
    failures: u32,
}

impl Encoding {
    fn new() -> Self {
        Self {
            encoder: None,
            packetiser: Vp8Packetiser::new(MAX_PAYLOAD_BYTES),
            sequence: rand::random(),
            timestamp_base: rand::random(),
            bitrate_bps: 0,
            last_keyframe: None,
            failures: 0,
        }
    }

    /// The packets of a frame; none when the encoder left it out to keep its rate.
    fn encode(
        &mut self,
        frame: &VideoFrame,
        config: Vp8EncoderConfig,
        sink: &Sink,
        gate: &Gate,
    ) -> Result<Vec<rtp::Packet>, CallError> {
        let unusable = |error: &dyn std::fmt::Display| {
            CallError::new(ErrorCode::CaptureFailed, format!("the picture cannot be encoded: {error}"))
        };
        let bitrate_bps = config.bitrate_bps;
        let encoder = match &mut self.encoder {
            Some(encoder) => {
                if self.bitrate_bps != bitrate_bps
                    && let Err(error) = encoder.set_bitrate(bitrate_bps)
                {
                    tracing::warn!(%error, bitrate_bps, "the encoder keeps its rate");
                }
                encoder
            }
            None => self.encoder.insert(Vp8Encoder::new(config).map_err(|error| unusable(&error))?),
        };
        self.bitrate_bps = bitrate_bps;
        let rested = self.last_keyframe.is_none_or(|at| at.elapsed() >= KEYFRAME_INTERVAL);
        let keyframe = gate.keyframe_wanted() && rested;
        let encoded = match encoder.encode(frame, keyframe) {
            Ok(Some(encoded)) => encoded,
            Ok(None) => return Ok(Vec::new()),
            Err(error) => {
                self.failures += 1;
                if self.failures >= MAX_ENCODE_FAILURES {
                    return Err(unusable(&error));
                }
                tracing::warn!(%error, "a frame was not encoded");
                gate.ask_keyframe();
                return Ok(Vec::new());
            }
        };
        self.failures = 0;
        gate.pictures.encoded();
        if encoded.keyframe {
            self.last_keyframe = Some(Instant::now());
            gate.keyframe_done();
        }
        Ok(self.packetise(&encoded.data, encoded.keyframe, frame.timestamp_us(), sink))
    }

    fn packetise(&mut self, data: &[u8], keyframe: bool, timestamp_us: u64, sink: &Sink) -> Vec<rtp::Packet> {
        let ticks = u128::from(timestamp_us) * VIDEO_CLOCK_HZ / 1_000_000;
        let timestamp = self.timestamp_base.wrapping_add(ticks as u32);
        let mut packets = Vec::with_capacity(data.len() / MAX_PAYLOAD_BYTES + 1);
        let sequence = &mut self.sequence;
        self.packetiser.packetise(data, keyframe, |payload, marker| {
            *sequence = sequence.wrapping_add(1);
            packets.push(rtp::Packet {
                header: rtp::Header {
                    version: 2,
                    marker,
                    payload_type: sink.payload_type,
                    sequence_number: *sequence,
                    timestamp,
                    ssrc: sink.ssrc,
                    ..Default::default()
                },
                payload: Bytes::copy_from_slice(payload),
            });
        });
        packets
    }
}
