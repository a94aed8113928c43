//! One remote voice between the network and the mixer. [`Voice`] belongs to whoever receives the packets;
//! `VoiceShared` is also held, weakly, by the playout thread. Both take the voice's own short lock; the device's
//! callback takes none.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::jitter::JitterBuffer;
use super::meter::Meter;
use super::red::RedPayload;
use super::spatial::{Stage, StageVoice};
use crate::media::frame::SAMPLES_10MS;
use crate::model::StreamId;
use crate::model::quality::AudioStats;
use crate::model::sound::SoundScene;

/// Highest gain a voice may be given: +12 dB.
const MAX_GAIN: f32 = 4.0;
/// Longest time sound is held back for a picture, in ms.
pub const MAX_MINIMUM_DELAY_MS: f32 = 500.0;
/// The rate is taken over eight of these: 2 s.
const RATE_STEP: Duration = Duration::from_millis(250);
const RATE_STEPS: usize = 8;

/// A voice in the mix. Dropping it takes it out.
pub struct Voice {
    shared: Arc<VoiceShared>,
}

impl Voice {
    pub(super) fn new(shared: Arc<VoiceShared>) -> Self {
        Self { shared }
    }

    /// Hands an Opus packet over, from any thread: RTP sequence number, 48 000 Hz time stamp, payload, and when it
    /// arrived. Payloads over [`crate::model::limits::MAX_AUDIO_PAYLOAD_BYTES`] and ones that are not Opus are
    /// ignored.
    pub fn push(&self, sequence: u16, timestamp: u32, payload: &[u8], arrived: Instant) {
        let mut state = self.shared.lock();
        state.bytes += payload.len() as u64;
        state.rate.add(payload.len(), arrived);
        if let Some(jitter) = &mut state.jitter {
            jitter.push(sequence, timestamp, payload, arrived);
        }
    }

    /// The figures since the voice was added.
    pub fn stats(&self) -> AudioStats {
        let mut state = self.shared.lock();
        let jitter = state.jitter.as_ref().map(JitterBuffer::stats).unwrap_or_default();
        AudioStats {
            packets: jitter.packets,
            lost: jitter.lost,
            bytes: state.bytes,
            level: state.meter.level(),
            peak_level: state.meter.peak(),
            concealed: jitter.concealed_samples as f32 / jitter.played_samples.max(1) as f32,
            jitter_buffer_ms: jitter.delay_ms,
            kbps: state.rate.kbps(Instant::now()),
        }
    }

    /// Hands over the payload of an RTP packet with redundancy (RFC 2198): the packet's own Opus packet and copies of
    /// those before it, which fill in for ones that did not come. Nonsense is ignored.
    pub fn push_redundant(&self, sequence: u16, timestamp: u32, payload: &[u8], arrived: Instant) {
        let mut state = self.shared.lock();
        state.bytes += payload.len() as u64;
        state.rate.add(payload.len(), arrived);
        let (Some(jitter), Some(red)) = (&mut state.jitter, RedPayload::parse(payload)) else { return };
        // The packet itself first: it says what is missing before it.
        jitter.push(sequence, timestamp, red.primary(), arrived);
        for (back, copy) in red.copies() {
            jitter.push_copy(sequence.wrapping_sub(back), timestamp.wrapping_sub(copy.age), copy.payload, arrived);
        }
    }

    /// Holds the sound back for at least this long after the fastest packets' way, in ms, 0 for as long as is needed
    /// against jitter: keeps it together with a picture that takes longer. At most [`MAX_MINIMUM_DELAY_MS`].
    pub fn set_minimum_delay(&self, minimum_ms: f32) {
        let minimum_ms = if minimum_ms.is_finite() { minimum_ms.clamp(0.0, MAX_MINIMUM_DELAY_MS) } else { 0.0 };
        if let Some(jitter) = &mut self.shared.lock().jitter {
            jitter.set_minimum_delay(minimum_ms);
        }
    }

    /// From a packet's arrival by the fastest way to its being heard, in ms: jitter buffer, what is kept ready for the
    /// device, and the device.
    pub fn playout_delay_ms(&self) -> f32 {
        let state = self.shared.lock();
        state.jitter.as_ref().map_or(0.0, |jitter| jitter.stats().delay_ms) + state.output_delay_ms
    }

    /// Which RTP time stamp is heard when: the newest pair known, both of the same moment. `None` until sound plays,
    /// and while the sender pauses.
    pub fn heard(&self) -> Option<(u32, Instant)> {
        self.shared.lock().heard
    }

    /// Sets how loud it is mixed: 1 is as sent, 0 silent, at most 4 (+12 dB). Takes effect over 10 ms, without a click.
    pub fn set_gain(&self, gain: f32) {
        let gain = if gain.is_finite() { gain.clamp(0.0, MAX_GAIN) } else { 1.0 };
        self.shared.gain.store(gain.to_bits(), Ordering::Relaxed);
    }
}

/// What the network side and the playout thread share of a voice.
pub(super) struct VoiceShared {
    /// The stream whose sound it is, by which scenes know it.
    stream: Option<StreamId>,
    state: Mutex<State>,
    gain: AtomicU32,
    /// The playout thread's own.
    on_stage: Mutex<StageVoice>,
    /// The scene from which its place was taken.
    scene: AtomicU64,
}

struct State {
    /// `None` when the decoder could not be set up: the voice stays silent.
    jitter: Option<JitterBuffer>,
    meter: Meter,
    rate: ByteRate,
    bytes: u64,
    mixed_gain: f32,
    /// From mixing to hearing, in ms, when it was mixed last.
    output_delay_ms: f32,
    heard: Option<(u32, Instant)>,
}

impl VoiceShared {
    pub(super) fn new(stream: Option<StreamId>) -> Self {
        let jitter = match JitterBuffer::new() {
            Ok(jitter) => Some(jitter),
            Err(error) => {
                tracing::error!(%error, "a voice stays silent");
                None
            }
        };
        let state = State {
            jitter,
            meter: Meter::default(),
            rate: ByteRate::default(),
            bytes: 0,
            mixed_gain: 1.0,
            output_delay_ms: 0.0,
            heard: None,
        };
        Self {
            stream,
            state: Mutex::new(state),
            gain: AtomicU32::new(1f32.to_bits()),
            on_stage: Mutex::default(),
            scene: AtomicU64::new(0),
        }
    }

    /// Whether it is where this scene, by its version, has it.
    pub(super) fn is_placed_by(&self, version: u64) -> bool {
        self.scene.load(Ordering::Relaxed) == version
    }

    /// Takes its place from a scene; everywhere, when that says nothing about it. Playout thread only.
    pub(super) fn take_place(&self, scene: &SoundScene, version: u64) {
        let place = self.stream.as_ref().and_then(|stream| scene.voices.get(stream));
        self.on_stage().put(place.copied().unwrap_or_default());
        self.scene.store(version, Ordering::Relaxed);
    }

    /// Adds the next 10 ms to the mix, which will be heard in `delay_ms`. Playout thread only.
    pub(super) fn mix(&self, now: Instant, delay_ms: f32, stage: &mut Stage) {
        let mut on_stage = self.on_stage();
        let gain = f32::from_bits(self.gain.load(Ordering::Relaxed)) * on_stage.place().volume;
        let mut block = [0.0; SAMPLES_10MS];
        let mut state = self.lock();
        let Some(jitter) = &mut state.jitter else { return };
        let timestamp = jitter.pull(now, &mut block);
        state.heard = timestamp.map(|timestamp| (timestamp, now + Duration::from_secs_f32(delay_ms.max(0.0) / 1e3)));
        state.output_delay_ms = delay_ms;
        state.meter.add(&block);
        let from = std::mem::replace(&mut state.mixed_gain, gain);
        drop(state);
        stage.add(&mut on_stage, &block, (from, gain));
    }

    fn on_stage(&self) -> MutexGuard<'_, StageVoice> {
        self.on_stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere leaves nothing half done that would matter here: at worst a wrong sample.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the last two seconds, in steps.
#[derive(Debug, Default)]
struct ByteRate {
    epoch: Option<Instant>,
    steps: [u64; RATE_STEPS],
    newest: u64,
}

impl ByteRate {
    fn add(&mut self, bytes: usize, at: Instant) {
        self.advance(at);
        self.steps[self.newest as usize % RATE_STEPS] += bytes as u64;
    }

    fn kbps(&mut self, at: Instant) -> f32 {
        self.advance(at);
        let window_secs = RATE_STEP.as_secs_f32() * RATE_STEPS as f32;
        self.steps.iter().sum::<u64>() as f32 * 8.0 / 1e3 / window_secs
    }

    fn advance(&mut self, at: Instant) {
        let epoch = *self.epoch.get_or_insert(at);
        let step = (at.saturating_duration_since(epoch).as_nanos() / RATE_STEP.as_nanos()) as u64;
        for passed in self.newest + 1..=step.min(self.newest + RATE_STEPS as u64) {
            self.steps[passed as usize % RATE_STEPS] = 0;
        }
        if step > self.newest + RATE_STEPS as u64 {
            self.steps = [0; RATE_STEPS];
        }
        self.newest = self.newest.max(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_two_seconds() {
        let start = Instant::now();
        let mut rate = ByteRate::default();
        for index in 0..400u64 {
            rate.add(80, start + Duration::from_millis(index * 20));
        }
        let now = start + Duration::from_secs(8);
        assert!((rate.kbps(now) - 32.0).abs() < 5.0, "{} kbit/s", rate.kbps(now));
        assert_eq!(rate.kbps(now + Duration::from_secs(60)), 0.0);
    }

    #[test]
    fn odd_gains_are_made_harmless() {
        let voice = Voice::new(Arc::new(VoiceShared::new(None)));
        for (given, kept) in [(f32::NAN, 1.0), (-3.0, 0.0), (1e9, MAX_GAIN), (0.5, 0.5)] {
            voice.set_gain(given);
            assert_eq!(f32::from_bits(voice.shared.gain.load(Ordering::Relaxed)), kept);
        }
    }
}
