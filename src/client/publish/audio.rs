//! The capture and encode thread of one published sound: cleans the blocks of 10 ms, joins them to 20 ms, encodes Opus
//! with in-band FEC or sends copies along (RFC 2198), and stamps the level for the server's speaker detection (RFC 6464).
//! Muting closes the way, not the device: blocks come on, are cleaned and heard for speech, and then silenced, so that
//! whoever speaks while muted can be told, and the first word after unmuting is whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::rtp;

use super::gate::{Gate, Sink};
use super::muted_speech::MutedSpeech;
use super::sound_clock::{Placing, SoundClock};
use super::sound_plan::{Plan, plan};
use super::{SourceReport, SourceSlot, SourceWord};
use crate::bridge::AudioOptions;
use crate::client::capture_time::{CaptureStamp, unix_us};
use crate::media::audio::{EchoReference, RedCopy, SoundProcessor, pack_red};
use crate::media::codec::opus::OpusEncoder;
use crate::media::frame::{SAMPLES_10MS, rms};
use crate::media::{AudioBlock, AudioSource, CaptureError};
use crate::model::{CallError, DeviceState, ErrorCode, SoundProcessing};

/// Samples per channel in one packet: 20 ms.
const PACKET_SAMPLES: usize = 2 * SAMPLES_10MS;
/// The same in microseconds: how long before it is sent the first sample of a packet was captured, and the device's own
/// delay, which nobody tells.
const PACKET_US: i64 = 20_000;
/// Quietest level the header extension can say, in -dBov.
const SILENCE_DBOV: u8 = 127;
/// Packets that still go out after muting, with what was said before and then silence: without them receivers would make
/// up the rest of the last sound.
const TAIL_PACKETS: u32 = 3;
/// What is left of the last sample, sample by sample, when muting cuts the sound off: 2 ms to fade.
const CUT_DECAY: f32 = 0.95;
/// Frames over which sound comes back after muting: 5 ms.
const FADE_IN_FRAMES: usize = SAMPLES_10MS / 2;
/// Opus packets up to this size only say that nothing is being said (RFC 7587 section 3.1.3).
const DTX_BYTES: usize = 2;
/// Packets remembered to be sent again.
const COPIES: usize = 2;

/// What a capture thread works with.
pub(super) struct AudioThread {
    pub(super) source: Box<dyn AudioSource>,
    pub(super) options: AudioOptions,
    /// What the loudspeaker plays.
    pub(super) reference: Option<EchoReference>,
    pub(super) gate: Arc<Gate>,
    pub(super) slot: SourceSlot<dyn AudioSource>,
    pub(super) report: SourceReport,
}

impl AudioThread {
    /// Runs until the source ends or the gate stops it.
    pub(super) fn run(mut self) {
        let mut encoding = Encoding::new(self.options, self.reference.take());
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
                    self.report.say_state(&mut state, DeviceState::On);
                    if let Err(error) = encoding.take(block, &self.gate) {
                        break Some(SourceWord::Failed(error));
                    }
                }
                // Another one may have been chosen just as this one ended.
                Ok(None) => match self.slot.take() {
                    Some(source) => self.source = source,
                    None => break Some(SourceWord::Finished),
                },
                Err(CaptureError::Interrupted { what, state: now, why }) => {
                    if state != now {
                        tracing::warn!(what, state = now.word(), why, "a device delivers nothing");
                    }
                    self.report.say_state(&mut state, now);
                    encoding.hear_nothing(&self.gate);
                }
                Err(error) => {
                    break Some(SourceWord::Failed(CallError::new(ErrorCode::CaptureFailed, error.to_string())));
                }
            }
            if let Some(device) = self.source.device_news() {
                self.report.say(SourceWord::Device(device));
            }
        };
        self.gate.set_level(0.0);
        encoding.hear_nothing(&self.gate);
        if let Some(end) = end {
            self.report.say(end);
        }
    }
}

/// The processing and the encoder with what runs on from packet to packet.
struct Encoding {
    options: AudioOptions,
    processor: SoundProcessor,
    encoder: Option<Encoder>,
    began: Instant,
    clock: SoundClock,
    /// Blocks that wait until it is clear where they belong.
    kept: Vec<AudioBlock>,
    samples: Vec<f32>,
    encoded: Vec<u8>,
    redundant: Vec<u8>,
    /// Time stamps and payloads of the packets before, newest last.
    sent: Vec<(u32, Vec<u8>)>,
    sequence: u16,
    timestamp: u32,
    stamp: CaptureStamp,
    /// Somebody speaks.
    voice: bool,
    /// The first packet after silence is marked (RFC 3551 section 4.1).
    talking: bool,
    /// The newest packet said that nothing is being said.
    quiet: bool,
    muted: bool,
    muted_speech: MutedSpeech,
    /// Packets that may still go out while muted.
    tail: u32,
    /// The last frame before muting: its first two channels.
    last: [f32; 2],
}

struct Encoder {
    channels: u8,
    opus: OpusEncoder,
    plan: Plan,
}

impl Encoding {
    fn new(options: AudioOptions, reference: Option<EchoReference>) -> Self {
        Self {
            options,
            processor: SoundProcessor::new(options.processing, reference),
            encoder: None,
            began: Instant::now(),
            clock: SoundClock::default(),
            kept: Vec::new(),
            samples: Vec::with_capacity(4 * PACKET_SAMPLES),
            encoded: Vec::new(),
            redundant: Vec::new(),
            sent: Vec::with_capacity(COPIES + 1),
            sequence: rand::random(),
            timestamp: rand::random(),
            stamp: CaptureStamp::default(),
            voice: false,
            talking: false,
            quiet: false,
            muted: false,
            muted_speech: MutedSpeech::default(),
            tail: 0,
            last: [0.0; 2],
        }
    }

    /// Takes a block in that the source gave just now.
    fn take(&mut self, block: AudioBlock, gate: &Gate) -> Result<(), CallError> {
        self.take_at(block, gate, self.began.elapsed())
    }

    /// Takes a block in that came at `now`: time runs on over what is missing before it.
    fn take_at(&mut self, block: AudioBlock, gate: &Gate, now: Duration) -> Result<(), CallError> {
        match self.clock.place(now) {
            Placing::Follows => {}
            Placing::Unclear => {
                self.kept.push(block);
                return Ok(());
            }
            Placing::After(missing) => self.skip(missing),
        }
        for kept in std::mem::take(&mut self.kept) {
            self.add(kept, gate)?;
        }
        self.add(block, gate)
    }

    /// Leaves out what is missing, in whole packets; what comes next begins anew.
    fn skip(&mut self, missing: Duration) {
        let channels = self.encoder.as_ref().map_or(1, |encoder| usize::from(encoder.channels));
        // The beginning of a packet that was never whole is left out with it.
        let begun = self.samples.len() / channels;
        self.samples.clear();
        let frames = missing.as_millis() as usize * SAMPLES_10MS / 10 + begun;
        let packets = (frames + PACKET_SAMPLES / 2) / PACKET_SAMPLES;
        self.timestamp = self.timestamp.wrapping_add((packets * PACKET_SAMPLES) as u32);
        self.fall_silent();
    }

    /// Adds a block to those before it and sends what is whole. Time runs on while nothing is sent.
    fn add(&mut self, mut block: AudioBlock, gate: &Gate) -> Result<(), CallError> {
        if !matches!(block.channels, 1 | 2) {
            return Err(CallError::new(
                ErrorCode::CaptureFailed,
                format!("the sound has {} channels: use mono or stereo", block.channels),
            ));
        }
        // Also while muted: the echo canceller and the gain stay where they are.
        self.voice = self.processor.process(&mut block);
        let muted = gate.is_muted();
        self.hear_muted(muted, gate);
        self.mute(&mut block, muted);
        self.prepare_encoder(block.channels, gate)?;
        self.samples.extend_from_slice(&block.samples);
        let packet_len = PACKET_SAMPLES * usize::from(block.channels);
        while self.samples.len() >= packet_len {
            self.send_packet(packet_len, gate)?;
            self.samples.drain(..packet_len);
            self.timestamp = self.timestamp.wrapping_add(PACKET_SAMPLES as u32);
        }
        Ok(())
    }

    /// Tells when the newest block is speech that nobody else hears.
    fn hear_muted(&mut self, muted: bool, gate: &Gate) {
        if muted {
            gate.sound.set_speaks_muted(self.muted_speech.hear(self.processor.loud_dbfs()));
        } else if self.muted {
            self.hear_nothing(gate);
        }
    }

    /// No sound comes, or it is heard by everyone again.
    fn hear_nothing(&mut self, gate: &Gate) {
        self.muted_speech.clear();
        gate.sound.set_speaks_muted(false);
    }

    /// Cuts the sound off without a click at the first block after muting, and lets it come back softly.
    fn mute(&mut self, block: &mut AudioBlock, muted: bool) {
        let channels = usize::from(block.channels);
        let turned = std::mem::replace(&mut self.muted, muted) != muted;
        if !muted {
            if turned {
                for (at, frame) in block.samples.chunks_exact_mut(channels).take(FADE_IN_FRAMES).enumerate() {
                    let gain = (at + 1) as f32 / FADE_IN_FRAMES as f32;
                    frame.iter_mut().for_each(|sample| *sample *= gain);
                }
            }
            if let Some(frame) = block.samples.chunks_exact(channels).next_back() {
                self.last = [frame[0], frame[channels - 1]];
            }
            return;
        }
        self.voice = false;
        if !turned {
            block.samples.fill(0.0);
            return;
        }
        let mut left = self.last;
        for frame in block.samples.chunks_exact_mut(channels) {
            for (sample, left) in frame.iter_mut().zip(&mut left) {
                *left *= CUT_DECAY;
                *sample = *left;
            }
        }
    }

    /// Has an encoder for this many channels that does what the way wants now.
    fn prepare_encoder(&mut self, channels: u8, gate: &Gate) -> Result<(), CallError> {
        let red = gate.sound.red().is_some();
        let wanted = plan(self.options, channels, gate.sound.bitrate(), gate.sound.loss(), red);
        gate.sound.set_planned(wanted.sends_bps());
        match &mut self.encoder {
            Some(encoder) if encoder.channels == channels => {
                if encoder.plan != wanted {
                    encoder.opus.adapt(wanted.bitrate_bps, wanted.fec_percent).map_err(|error| unusable(&error))?;
                    encoder.plan = wanted;
                }
            }
            _ => {
                // What is sent as it is, or in stereo, is more than a voice.
                let voice = channels == 1 && self.options.processing != SoundProcessing::NONE;
                let make = if voice { OpusEncoder::new } else { OpusEncoder::for_music };
                let mut opus = make(channels, wanted.bitrate_bps).map_err(|error| unusable(&error))?;
                opus.set_dtx(self.options.dtx).map_err(|error| unusable(&error))?;
                opus.adapt(wanted.bitrate_bps, wanted.fec_percent).map_err(|error| unusable(&error))?;
                self.encoder = Some(Encoder { channels, opus, plan: wanted });
                self.samples.clear();
                self.sent.clear();
            }
        }
        Ok(())
    }

    fn send_packet(&mut self, packet_len: usize, gate: &Gate) -> Result<(), CallError> {
        self.tail = if self.muted { self.tail.saturating_sub(1) } else { TAIL_PACKETS };
        let Some(sink) = gate.line().filter(|_| self.tail > 0) else {
            self.fall_silent();
            gate.set_level(0.0);
            return Ok(());
        };
        let samples = &self.samples[..packet_len];
        let level = rms(samples);
        gate.set_level(if self.muted { 0.0 } else { level });
        // A full queue means that the connection stalls: this sound would come too late. Left out before encoding, it
        // leaves no gap in the numbers. One producer: room that is there now is there after encoding.
        if sink.packets.capacity() == 0 {
            return Ok(());
        }
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        encoder.opus.encode(samples, &mut self.encoded).map_err(|error| unusable(&error))?;
        // The first packet that says so tells receivers that the pause is meant; more would say the same.
        let quiet = self.options.dtx && self.encoded.len() <= DTX_BYTES;
        if quiet && std::mem::replace(&mut self.quiet, true) {
            self.fall_silent();
            return Ok(());
        }
        self.quiet = quiet;
        let copies = encoder.plan.copies;
        self.sequence = self.sequence.wrapping_add(1);
        let (payload_type, payload) = self.payload(&sink, gate.sound.red().filter(|_| copies > 0), copies);
        let header = rtp::Header {
            version: 2,
            marker: !self.talking,
            payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: sink.ssrc,
            ..Default::default()
        };
        self.talking = true;
        self.remember();
        let bytes = payload.len();
        let mut packet = rtp::Packet { header, payload };
        stamp_level(&mut packet, &sink, level, self.voice);
        self.stamp.mark(&mut packet, sink.capture_extension, unix_us() - PACKET_US, Instant::now());
        if sink.packets.try_send(vec![packet]).is_ok() {
            gate.count_sent(bytes);
        }
        Ok(())
    }

    /// The encoded packet, alone or with copies of those before it.
    fn payload(&mut self, sink: &Sink, red: Option<u8>, copies: usize) -> (u8, Bytes) {
        let Some(red) = red else { return (sink.payload_type, Bytes::copy_from_slice(&self.encoded)) };
        let mut before = [RedCopy::default(); COPIES];
        let first = self.sent.len().saturating_sub(copies);
        let copies = self.sent[first..].iter().zip(&mut before).map(|((timestamp, payload), copy)| {
            *copy = RedCopy { age: self.timestamp.wrapping_sub(*timestamp), payload };
        });
        let count = copies.count();
        pack_red(sink.payload_type, &before[..count], &self.encoded, &mut self.redundant);
        (red, Bytes::copy_from_slice(&self.redundant))
    }

    /// Keeps the packet to be sent again.
    fn remember(&mut self) {
        let mut slot = if self.sent.len() < COPIES { Vec::new() } else { self.sent.remove(0).1 };
        slot.clear();
        slot.extend_from_slice(&self.encoded);
        self.sent.push((self.timestamp, slot));
    }

    /// What comes next begins anew: copies from before a pause would come too late.
    fn fall_silent(&mut self) {
        self.talking = false;
        self.sent.clear();
    }
}

fn unusable(error: &dyn std::fmt::Display) -> CallError {
    CallError::new(ErrorCode::CaptureFailed, format!("the sound cannot be encoded: {error}"))
}

fn stamp_level(packet: &mut rtp::Packet, sink: &Sink, level: f32, voice: bool) {
    let Some(id) = sink.level_extension else { return };
    if let Err(error) = packet.header.set_extension(id, Bytes::copy_from_slice(&[level_byte(level, voice)])) {
        tracing::debug!(%error, "a packet goes without its level");
    }
}

/// RFC 6464: voice flag and level in -dBov.
fn level_byte(level: f32, voice: bool) -> u8 {
    let dbov = if level > 0.0 { (-20.0 * level.log10()).clamp(0.0, f32::from(SILENCE_DBOV)) } else { 127.0 };
    (if voice { 0x80 } else { 0 }) | dbov.round() as u8
}

#[cfg(test)]
#[path = "audio_tests.rs"]
mod tests;
