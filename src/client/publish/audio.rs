//! The capture and encode thread of one published sound: joins 10 ms blocks to 20 ms, encodes Opus with in-band FEC,
//! and stamps the level for the server's speaker detection (RFC 6464).

use std::sync::Arc;

use bytes::Bytes;
use rtc::rtp;

use super::gate::{Gate, Sink};
use super::{SourceReport, SourceSlot, SourceWord};
use crate::bridge::AudioOptions;
use crate::media::codec::opus::OpusEncoder;
use crate::media::frame::{SAMPLES_10MS, rms};
use crate::media::{AudioBlock, AudioSource, CaptureError};
use crate::model::{CallError, DeviceState, ErrorCode};

/// Samples per channel in one packet: 20 ms.
const PACKET_SAMPLES: usize = 2 * SAMPLES_10MS;
/// Level above which a packet counts as voice, root mean square.
const VOICE_LEVEL: f32 = 0.01;
/// Quietest level the header extension can say, in -dBov.
const SILENCE_DBOV: u8 = 127;

/// What a capture thread works with.
pub(super) struct AudioThread {
    pub(super) source: Box<dyn AudioSource>,
    pub(super) options: AudioOptions,
    pub(super) gate: Arc<Gate>,
    pub(super) slot: SourceSlot<dyn AudioSource>,
    pub(super) report: SourceReport,
}

impl AudioThread {
    /// Runs until the source ends or the gate stops it.
    pub(super) fn run(mut self) {
        let mut encoding = Encoding::new(self.options);
        let mut state = DeviceState::On;
        let end = loop {
            if self.gate.is_stopped() {
                break None;
            }
            if let Some(source) = self.slot.take() {
                self.source = source;
            }
            match self.source.next_block() {
                Ok(Some(block)) => {
                    if state != DeviceState::On {
                        state = DeviceState::On;
                        self.report.say(SourceWord::State(state));
                    }
                    if let Err(error) = encoding.take(&block, &self.gate) {
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
        self.gate.set_level(0.0);
        if let Some(end) = end {
            self.report.say(end);
        }
    }
}

/// The encoder with what runs on from packet to packet.
struct Encoding {
    options: AudioOptions,
    encoder: Option<(u8, OpusEncoder)>,
    samples: Vec<f32>,
    encoded: Vec<u8>,
    sequence: u16,
    timestamp: u32,
    /// The first packet after silence is marked (RFC 3551 section 4.1).
    talking: bool,
}

impl Encoding {
    fn new(options: AudioOptions) -> Self {
        Self {
            options,
            encoder: None,
            samples: Vec::with_capacity(2 * PACKET_SAMPLES),
            encoded: Vec::new(),
            sequence: rand::random(),
            timestamp: rand::random(),
            talking: false,
        }
    }

    /// Takes a block in and sends what is whole. Time runs on while nothing is sent.
    fn take(&mut self, block: &AudioBlock, gate: &Gate) -> Result<(), CallError> {
        let channels = block.channels;
        if !matches!(channels, 1 | 2) {
            return Err(CallError::new(
                ErrorCode::CaptureFailed,
                format!("the sound has {channels} channels: use mono or stereo"),
            ));
        }
        if self.encoder.as_ref().is_none_or(|(present, _)| *present != channels) {
            let encoder = OpusEncoder::new(
                channels,
                i32::try_from(self.options.max_bitrate_bps).unwrap_or(i32::MAX / 2) * i32::from(channels),
            )
            .map_err(|error| unusable(&error))?;
            self.encoder = Some((channels, encoder));
            self.samples.clear();
        }
        self.samples.extend_from_slice(&block.samples);
        let packet_len = PACKET_SAMPLES * usize::from(channels);
        while self.samples.len() >= packet_len {
            self.send_packet(packet_len, gate)?;
            self.samples.drain(..packet_len);
            self.timestamp = self.timestamp.wrapping_add(PACKET_SAMPLES as u32);
        }
        Ok(())
    }

    fn send_packet(&mut self, packet_len: usize, gate: &Gate) -> Result<(), CallError> {
        let samples = &self.samples[..packet_len];
        let Some(sink) = gate.sink() else {
            gate.set_level(0.0);
            self.talking = false;
            return Ok(());
        };
        let level = rms(samples);
        gate.set_level(level);
        // A full queue means that the connection stalls: this sound would come too late. Left out before encoding, it
        // leaves no gap in the numbers. One producer: room that is there now is there after encoding.
        if sink.packets.capacity() == 0 {
            return Ok(());
        }
        let Some((_, encoder)) = &mut self.encoder else { return Ok(()) };
        encoder.encode(samples, &mut self.encoded).map_err(|error| unusable(&error))?;
        self.sequence = self.sequence.wrapping_add(1);
        let header = rtp::Header {
            version: 2,
            marker: !self.talking,
            payload_type: sink.payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: sink.ssrc,
            ..Default::default()
        };
        self.talking = true;
        let mut packet = rtp::Packet { header, payload: Bytes::copy_from_slice(&self.encoded) };
        stamp_level(&mut packet, &sink, level);
        if sink.packets.try_send(vec![packet]).is_ok() {
            gate.count_sent(self.encoded.len());
        }
        Ok(())
    }
}

fn unusable(error: &dyn std::fmt::Display) -> CallError {
    CallError::new(ErrorCode::CaptureFailed, format!("the sound cannot be encoded: {error}"))
}

fn stamp_level(packet: &mut rtp::Packet, sink: &Sink, level: f32) {
    let Some(id) = sink.level_extension else { return };
    if let Err(error) = packet.header.set_extension(id, Bytes::copy_from_slice(&[level_byte(level)])) {
        tracing::debug!(%error, "a packet goes without its level");
    }
}

/// RFC 6464: voice flag and level in -dBov.
fn level_byte(level: f32) -> u8 {
    let dbov = if level > 0.0 { (-20.0 * level.log10()).clamp(0.0, f32::from(SILENCE_DBOV)) } else { 127.0 };
    let voice = if level >= VOICE_LEVEL { 0x80 } else { 0 };
    voice | dbov.round() as u8
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn levels_are_in_dbov() {
        assert_eq!(level_byte(1.0), 0x80);
        assert_eq!(level_byte(0.1), 0x80 | 20);
        assert_eq!(level_byte(0.001), 60, "too quiet for a voice");
        assert_eq!(level_byte(0.0), 127);
    }

    #[test]
    fn sound_that_is_left_out_leaves_no_gap() {
        let gate = Gate::default();
        let (packets, mut sent) = mpsc::channel(1);
        gate.attach(Sink { packets, ssrc: 7, payload_type: 111, level_extension: None, picture: None });
        let mut encoding = Encoding::new(AudioOptions::PLAIN);
        let block = AudioBlock { samples: vec![0.1; SAMPLES_10MS], channels: 1 };
        let mut headers = Vec::new();
        for _ in 0..2 {
            for _ in 0..6 {
                encoding.take(&block, &gate).unwrap();
            }
            headers.push(sent.try_recv().unwrap().remove(0).header);
        }
        assert_eq!(headers[1].sequence_number, headers[0].sequence_number.wrapping_add(1));
        assert_eq!(headers[1].timestamp, headers[0].timestamp.wrapping_add(3 * PACKET_SAMPLES as u32));
    }

    #[test]
    fn two_blocks_make_a_packet_and_time_runs_on_while_muted() {
        let gate = Gate::default();
        let (packets, mut sent) = mpsc::channel(8);
        gate.attach(Sink { packets, ssrc: 7, payload_type: 111, level_extension: Some(3), picture: None });
        let mut encoding = Encoding::new(AudioOptions::PLAIN);
        let tone: Vec<f32> = (0..SAMPLES_10MS).map(|n| (n as f32 * 0.1).sin() * 0.5).collect();
        let block = AudioBlock { samples: tone, channels: 1 };
        encoding.take(&block, &gate).unwrap();
        assert!(sent.try_recv().is_err(), "10 ms are not sent");
        encoding.take(&block, &gate).unwrap();
        let first = sent.try_recv().unwrap().remove(0);
        assert_eq!((first.header.ssrc, first.header.payload_type, first.header.marker), (7, 111, true));
        let level = first.header.get_extension(3).unwrap();
        assert_eq!(level[0] & 0x80, 0x80, "a tone at -9 dBov is heard");
        gate.set_muted(true);
        for _ in 0..4 {
            encoding.take(&block, &gate).unwrap();
        }
        assert!(sent.try_recv().is_err(), "muted");
        gate.set_muted(false);
        encoding.take(&block, &gate).unwrap();
        encoding.take(&block, &gate).unwrap();
        let next = sent.try_recv().unwrap().remove(0);
        assert_eq!(next.header.timestamp.wrapping_sub(first.header.timestamp), 3 * PACKET_SAMPLES as u32);
        assert_eq!(next.header.sequence_number.wrapping_sub(first.header.sequence_number), 1);
        assert!(next.header.marker, "sound after silence is marked");
    }
}
