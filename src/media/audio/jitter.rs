//! The jitter buffer: Opus packets in as they come, 10 ms of sound out whenever asked. Plain data; time is an input.
//!
//! Every sample should be played a certain delay after the fastest packets' way ([`DelayEstimator`]'s target). What is
//! early waits; when the delay strays from the target the sound is stretched by single pitch periods; what is missing
//! is restored from the next packet's copy, else concealed, and fades to silence when it lasts. A sender that pauses
//! (a muted microphone, discontinuous transmission) is no loss.
//!
//! Invariant: `sound[at..]` is decoded and not yet played, `sound[..at]` are the last milliseconds before it, and
//! `next` is the time stamp of the sample that follows `sound`, not counting `run` concealed samples at its end.

use std::collections::BTreeMap;
use std::time::Instant;

use super::arrivals::{Arrival, Arrivals};
use super::delay::DelayEstimator;
use super::stretch::{INAUDIBLE, SEARCH_SAMPLES, TOLERABLE, lengthen, shorten};
use crate::media::codec::CodecError;
use crate::media::codec::opus::{MAX_PACKET_SAMPLES, OpusDecoder, has_fec, packet_samples};
use crate::media::frame::SAMPLES_10MS;
use crate::model::limits::MAX_AUDIO_PAYLOAD_BYTES;

/// Packets held: 3 s of 20 ms ones.
const MAX_PACKETS: usize = 150;
/// Samples kept behind the playing position: one longest pitch period.
const HISTORY: usize = SEARCH_SAMPLES / 2;
/// Concealment fades from here on, and is silent [`FADE_SAMPLES`] later.
const FADE_AFTER: usize = 6 * SAMPLES_10MS;
const FADE_SAMPLES: f32 = (12 * SAMPLES_10MS) as f32;
/// Sound that comes back after a fade does so within 5 ms.
const FADE_IN_SAMPLES: f32 = (SAMPLES_10MS / 2) as f32;
/// A hole in the time stamps longer than this is waited out like a pause, not concealed.
const LONGEST_LOSS: i64 = 20 * SAMPLES_10MS as i64;
/// Noise of a sender that transmits discontinuously goes on this long without news; one comes every 400 ms.
const LONGEST_DTX: usize = 100 * SAMPLES_10MS;
/// Opus packets up to this size only say that nothing is being said (RFC 7587 section 3.1.3).
const DTX_BYTES: usize = 2;
/// libopus conceals whole 2.5 ms.
const CONCEAL_STEP: usize = 120;
/// 10 ms steps between two corrections of the delay, so that they stay unnoticed; none when it is far off.
const CORRECTION_PAUSE: u32 = 5;
/// How far off, in ms, is far.
const FAR_OFF_MS: f32 = 60.0;
/// How far above the target, in ms, the rest is thrown away.
const HOPELESS_MS: f32 = 500.0;
/// How much before the target delay playing may start: half a step.
const START_EARLY_MS: f32 = 5.0;
const SAMPLES_PER_MS: f32 = 48.0;

struct Packet {
    sequence: i64,
    samples: usize,
    payload: Vec<u8>,
}

impl Packet {
    /// True when packets that did not come would have filled most of the hole before this one, rather than the sender
    /// having sent nothing.
    fn mostly_lost_before(&self, last_sequence: i64, hole: i64) -> bool {
        (self.sequence - last_sequence - 1) * self.samples as i64 * 2 > hole
    }
}

/// Figures since the buffer was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JitterStats {
    /// Different packets that arrived.
    pub packets: u64,
    /// Packets that never arrived, or too late to be played.
    pub lost: u64,
    /// Samples given out, without the silence of a sender that pauses.
    pub played_samples: u64,
    /// Of these, samples that were made up.
    pub concealed_samples: u64,
    /// Delay held now, in ms.
    pub delay_ms: f32,
    /// Delay aimed at, in ms.
    pub target_ms: f32,
}

/// Turns the packets of one voice into an even stream of sound: mono, 48 000 Hz.
pub struct JitterBuffer {
    decoder: OpusDecoder,
    arrivals: Arrivals,
    packets: BTreeMap<i64, Packet>,
    estimator: DelayEstimator,
    sound: Vec<f32>,
    at: usize,
    next: Option<i64>,
    /// Sequence number of the last packet decoded.
    last_sequence: i64,
    /// The last packet said that nothing is being said.
    quiet: bool,
    /// Samples concealed since `next`.
    run: usize,
    /// Gain of what is appended: 1, or on its way from or to silence.
    fade: f32,
    delay_ms: f32,
    /// The delay is not brought below this.
    minimum_ms: f32,
    since_correction: u32,
    tally: Tally,
    block: Box<[f32; MAX_PACKET_SAMPLES]>,
}

/// What was played; concealment counts for good only once it is known why it was needed.
#[derive(Clone, Copy, Default)]
struct Tally {
    played: u64,
    concealed: u64,
    audible_pending: u64,
    silent_pending: u64,
}

impl Tally {
    /// The pending concealment stood in for sound that was lost or late.
    fn was_missing(&mut self) {
        let pending = self.audible_pending + self.silent_pending;
        self.played += pending;
        self.concealed += pending;
        (self.audible_pending, self.silent_pending) = (0, 0);
    }

    /// The sender had paused: nothing was missing.
    fn was_pause(&mut self) {
        self.played += self.audible_pending;
        (self.audible_pending, self.silent_pending) = (0, 0);
    }
}

impl JitterBuffer {
    /// An empty buffer.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus cannot start.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            decoder: OpusDecoder::new()?,
            arrivals: Arrivals::default(),
            packets: BTreeMap::new(),
            estimator: DelayEstimator::new(),
            sound: Vec::with_capacity(4 * MAX_PACKET_SAMPLES),
            at: 0,
            next: None,
            last_sequence: 0,
            quiet: false,
            run: 0,
            fade: 0.0,
            delay_ms: 0.0,
            minimum_ms: 0.0,
            since_correction: 0,
            tally: Tally::default(),
            block: Box::new([0.0; MAX_PACKET_SAMPLES]),
        })
    }

    /// Takes an Opus packet: RTP sequence number and 48 000 Hz time stamp, and when it arrived. Copies, packets that
    /// make no sense and ones over [`MAX_AUDIO_PAYLOAD_BYTES`] are ignored.
    pub fn push(&mut self, sequence: u16, timestamp: u32, payload: &[u8], arrived: Instant) {
        if payload.len() > MAX_AUDIO_PAYLOAD_BYTES {
            return;
        }
        let Some(samples) = packet_samples(payload) else { return };
        let starving = self.run >= LONGEST_LOSS as usize || self.next.is_none();
        let (sequence, timestamp) = match self.arrivals.note(sequence, timestamp, arrived, starving) {
            Arrival::Ignore => return,
            Arrival::Restart(sequence, timestamp) => {
                self.restart();
                (sequence, timestamp)
            }
            Arrival::Packet(sequence, timestamp) => (sequence, timestamp),
        };
        self.estimator.note(timestamp, arrived);
        self.keep(sequence, timestamp, samples, payload);
    }

    /// Takes a copy of an earlier packet, which came along with a later one. It fills in when the packet itself is
    /// missing; where many do, the sound waits for them as it does for late packets.
    pub fn push_copy(&mut self, sequence: u16, timestamp: u32, payload: &[u8], arrived: Instant) {
        if payload.len() > MAX_AUDIO_PAYLOAD_BYTES {
            return;
        }
        let Some(samples) = packet_samples(payload) else { return };
        if let Some((sequence, timestamp)) = self.arrivals.note_copy(sequence, timestamp, arrived) {
            self.estimator.note(timestamp, arrived);
            self.keep(sequence, timestamp, samples, payload);
        }
    }

    /// Keeps a packet that is not too late.
    fn keep(&mut self, sequence: i64, timestamp: i64, samples: usize, payload: &[u8]) {
        if self.next.is_some_and(|next| timestamp + samples as i64 <= next) {
            return;
        }
        self.arrivals.in_time();
        self.packets.entry(timestamp).or_insert_with(|| Packet { sequence, samples, payload: payload.to_vec() });
        if self.packets.len() > MAX_PACKETS {
            self.packets.pop_first();
        }
    }

    /// Holds sound back for at least this long after the fastest packets' way, in ms.
    pub fn set_minimum_delay(&mut self, minimum_ms: f32) {
        self.minimum_ms = minimum_ms;
    }

    /// The delay aimed at, in ms.
    fn target_ms(&self) -> f32 {
        self.estimator.target_ms().max(self.minimum_ms)
    }

    /// Fills the next 10 ms, and says which time stamp they begin with; `None` while the sender pauses. `now` should
    /// advance by 10 ms a call, on the clock of `push`'s arrivals.
    pub fn pull(&mut self, now: Instant, out: &mut [f32; SAMPLES_10MS]) -> Option<u32> {
        while self.pending() < SAMPLES_10MS {
            self.fill(now);
        }
        self.steer(now);
        let playing = self.next.filter(|_| self.run == 0).map(|next| (next - self.pending() as i64) as u32);
        out.copy_from_slice(&self.sound[self.at..self.at + SAMPLES_10MS]);
        self.at += SAMPLES_10MS;
        if self.at > 2 * MAX_PACKET_SAMPLES {
            self.sound.drain(..self.at - HISTORY);
            self.at = HISTORY;
        }
        playing
    }

    /// The figures.
    pub fn stats(&self) -> JitterStats {
        JitterStats {
            packets: self.arrivals.different(),
            lost: self.arrivals.lost(),
            played_samples: self.tally.played + self.tally.audible_pending,
            concealed_samples: self.tally.concealed + self.tally.audible_pending,
            delay_ms: self.delay_ms,
            target_ms: self.target_ms(),
        }
    }

    /// The sender started anew: what was learnt of it and came from it is void.
    fn restart(&mut self) {
        self.packets.clear();
        self.estimator = DelayEstimator::new();
        self.next = None;
        self.run = 0;
        self.quiet = false;
        self.fade = 0.0;
        self.tally.was_pause();
        if let Err(error) = self.decoder.reset() {
            tracing::warn!(%error, "the Opus decoder goes on with its old state");
        }
    }

    /// Decoded samples not yet played.
    fn pending(&self) -> usize {
        self.sound.len() - self.at
    }

    /// Appends something to `sound`.
    fn fill(&mut self, now: Instant) {
        let Some((&timestamp, packet)) = self.packets.first_key_value() else { return self.conceal(SAMPLES_10MS) };
        let Some(next) = self.next else { return self.wait_for(timestamp, now) };
        let hole = timestamp - next;
        if hole <= 0 {
            self.decode_first();
        } else if packet.sequence == self.last_sequence + 1 || hole > LONGEST_LOSS {
            self.wait_for(timestamp, now);
        } else {
            self.bridge(timestamp, hole as usize);
        }
    }

    /// The first packet follows a pause, or an outage too long to bridge: plays it when it is due, which sets the delay afresh.
    fn wait_for(&mut self, timestamp: i64, now: Instant) {
        let delay_ms = self.estimator.delay_ms(timestamp, now);
        if delay_ms < self.target_ms() - START_EARLY_MS {
            return self.conceal(SAMPLES_10MS);
        }
        match self.packets.first_key_value().zip(self.next) {
            Some(((_, packet), next)) if packet.mostly_lost_before(self.last_sequence, timestamp - next) => {
                self.tally.was_missing();
            }
            _ => self.tally.was_pause(),
        }
        self.next = Some(timestamp);
        self.run = 0;
        self.delay_ms = delay_ms;
        self.decode_first();
    }

    /// Packets before the first one are lost: restores or conceals what they held, as far as that has not been done
    /// while waiting for them.
    fn bridge(&mut self, timestamp: i64, hole: usize) {
        let missing = hole.saturating_sub(self.run);
        if missing == 0 {
            self.tally.was_missing();
            self.next = Some(timestamp);
            self.run = 0;
            return;
        }
        let restorable = self.packets.get(&timestamp).filter(|packet| has_fec(&packet.payload));
        let reach = restorable.map_or(0, |packet| packet.samples);
        let Some(packet) = restorable.filter(|_| missing <= reach) else {
            return self.conceal((missing - reach).min(SAMPLES_10MS));
        };
        let restored = self.decoder.decode_fec(&packet.payload, &mut self.block[..packet.samples]);
        match restored {
            Ok(samples) if samples >= missing => {
                self.tally.was_missing();
                self.tally.played += missing as u64;
                append(&mut self.sound, &self.block[samples - missing..samples], &mut self.fade, FADE_IN_SAMPLES);
                self.next = Some(timestamp);
                self.run = 0;
            }
            _ => self.conceal(missing.min(SAMPLES_10MS)),
        }
    }

    /// Decodes the first packet, which follows what is here (or overlaps it).
    fn decode_first(&mut self) {
        let Some((timestamp, packet)) = self.packets.pop_first() else { return };
        match self.decoder.decode(&packet.payload, &mut self.block) {
            Ok(samples) => {
                let overlap = self.next.map_or(0, |next| (next - timestamp).clamp(0, samples as i64)) as usize;
                self.tally.was_missing();
                self.tally.played += (samples - overlap) as u64;
                append(&mut self.sound, &self.block[overlap..samples], &mut self.fade, FADE_IN_SAMPLES);
                self.next = Some(timestamp + samples as i64);
                self.last_sequence = packet.sequence;
                self.quiet = packet.payload.len() <= DTX_BYTES;
                self.run = 0;
            }
            // Treated as if it had not come: the hole is bridged when the next one is there.
            Err(error) => tracing::debug!(%error, bytes = packet.payload.len(), "an Opus packet is damaged"),
        }
    }

    /// Goes on without data for about this many samples.
    fn conceal(&mut self, samples: usize) {
        let samples = samples.next_multiple_of(CONCEAL_STEP).min(MAX_PACKET_SAMPLES);
        let dtx = self.quiet && self.run < LONGEST_DTX;
        let fading = !dtx && self.run >= FADE_AFTER;
        let silent = self.next.is_none() || fading && self.fade == 0.0;
        let block = &mut self.block[..samples];
        if silent || self.decoder.conceal(block).is_err() {
            block.fill(0.0);
        }
        let fade_samples = if fading { -FADE_SAMPLES } else { FADE_IN_SAMPLES };
        append(&mut self.sound, block, &mut self.fade, fade_samples);
        self.run = self.run.saturating_add(samples);
        match () {
            () if self.next.is_none() => {}
            () if dtx => self.tally.played += samples as u64,
            () if silent => self.tally.silent_pending += samples as u64,
            () => self.tally.audible_pending += samples as u64,
        }
    }

    /// Keeps the delay near its target by stretching what is about to be played.
    fn steer(&mut self, now: Instant) {
        let Some(next) = self.next.filter(|_| self.run == 0) else { return };
        let playing = next - self.pending() as i64;
        let measured_ms = self.estimator.delay_ms(playing, now);
        self.delay_ms += (measured_ms - self.delay_ms) * 0.1;
        self.since_correction = self.since_correction.saturating_add(1);

        let target_ms = self.target_ms();
        let low_ms = target_ms - (target_ms * 0.25).min(20.0);
        let high_ms = target_ms.max(low_ms + 20.0);
        let far_off = self.delay_ms > target_ms + FAR_OFF_MS || self.delay_ms < low_ms - FAR_OFF_MS;
        if self.since_correction < CORRECTION_PAUSE && !far_off {
            return;
        }
        let likeness = if far_off { TOLERABLE } else { INAUDIBLE };
        if self.delay_ms > target_ms + HOPELESS_MS {
            self.skip_ahead(now);
        } else if self.delay_ms > high_ms {
            while self.pending() < SAMPLES_10MS + SEARCH_SAMPLES && self.follows_directly() {
                self.decode_first();
            }
            if self.pending() >= SAMPLES_10MS + SEARCH_SAMPLES {
                let removed = shorten(&mut self.sound, self.at, likeness);
                self.corrected(removed, -1.0);
            }
        } else if self.delay_ms < low_ms {
            let added = lengthen(&mut self.sound, self.at, likeness);
            self.corrected(added, 1.0);
        }
    }

    fn corrected(&mut self, samples: usize, sign: f32) {
        if samples > 0 {
            self.delay_ms += sign * samples as f32 / SAMPLES_PER_MS;
            self.since_correction = 0;
        }
    }

    /// The first packet continues `sound` without a hole.
    fn follows_directly(&self) -> bool {
        self.packets.first_key_value().map(|(&timestamp, _)| timestamp) == self.next
    }

    /// Throws away what is too old to catch up with by stretching, and fades over to what is due.
    fn skip_ahead(&mut self, now: Instant) {
        let target_ms = self.target_ms();
        while let Some((&timestamp, _)) = self.packets.first_key_value()
            && self.packets.len() > 1
            && self.estimator.delay_ms(timestamp, now) > target_ms
        {
            self.packets.pop_first();
        }
        let Some((&timestamp, packet)) = self.packets.first_key_value() else { return };
        self.last_sequence = packet.sequence - 1;
        self.sound.truncate(self.at + SAMPLES_10MS);
        let tail = &mut self.sound[self.at..];
        let length = tail.len() as f32;
        tail.iter_mut().enumerate().for_each(|(index, sample)| *sample *= 1.0 - (index + 1) as f32 / length);
        self.fade = 0.0;
        self.next = Some(timestamp);
        self.delay_ms = self.estimator.delay_ms(timestamp - SAMPLES_10MS as i64, now);
        self.since_correction = 0;
    }
}

/// Appends samples while the gain moves towards 1, or towards 0 for a negative `fade_samples`, at a rate that takes
/// that many samples for the whole way.
fn append(sound: &mut Vec<f32>, samples: &[f32], fade: &mut f32, fade_samples: f32) {
    let step = 1.0 / fade_samples;
    sound.extend(samples.iter().map(|sample| {
        *fade = (*fade + step).clamp(0.0, 1.0);
        sample * *fade
    }));
}

#[cfg(test)]
#[path = "jitter_tests.rs"]
mod tests;
