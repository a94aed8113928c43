//! Brings near and far, loud and soft voices to one level. Only speech moves the gain, slowly enough that nobody hears
//! it move; background noise is never lifted to where it disturbs; a limiter keeps every sample in range. (The gain
//! controller that comes with WebRTC's processing starts at +15 dB and may add 50.)

use super::voice_activity::VoiceActivity;
use crate::media::audio::limiter::Limiter;
use crate::media::frame::{SAMPLES_10MS, rms};

/// Level that speech is brought to, root mean square in dBFS: peaks of speech are some 15 dB higher, which leaves room
/// for a laugh.
const TARGET_DBFS: f32 = -22.0;
/// Bounds of the gain, in dB.
const GAIN_DB: std::ops::RangeInclusive<f32> = -12.0..=24.0;
/// Noise is not brought above this, in dBFS.
const MAX_NOISE_DBFS: f32 = -52.0;
/// Fastest rise and fall of the gain in 10 ms, in dB: 4 dB a second up, 12 down.
const RISE_DB: f32 = 0.04;
const FALL_DB: f32 = 0.12;
/// Blocks of speech that the level is taken over: a second and a half; fewer while there are not so many.
const SPEECH_BLOCKS: f32 = 150.0;

/// See the module.
pub(super) struct GainControl {
    gain_db: f32,
    /// Mean energy of a sample in speech, and the blocks it is taken over.
    energy: f32,
    blocks: f32,
    limiter: Limiter,
}

impl GainControl {
    pub(super) fn new() -> Self {
        Self { gain_db: 0.0, energy: 0.0, blocks: 0.0, limiter: Limiter::new() }
    }

    /// Takes the next 10 ms, which `voice` has heard.
    pub(super) fn process(&mut self, sound: &mut [f32; SAMPLES_10MS], voice: &VoiceActivity) {
        if voice.is_loud() {
            self.blocks = (self.blocks + 1.0).min(SPEECH_BLOCKS);
            self.energy += (rms(sound).powi(2) - self.energy) / self.blocks;
        }
        let before = self.factor();
        if self.blocks > 0.0 {
            let speech_dbfs = 10.0 * self.energy.max(1e-12).log10();
            let quietly_db = (MAX_NOISE_DBFS - voice.floor_dbfs()).max(0.0);
            let wanted_db = (TARGET_DBFS - speech_dbfs).min(quietly_db).clamp(*GAIN_DB.start(), *GAIN_DB.end());
            self.gain_db += (wanted_db - self.gain_db).clamp(-FALL_DB, RISE_DB);
        }
        let step = (self.factor() - before) / SAMPLES_10MS as f32;
        let mut gain = before;
        for sample in sound.iter_mut() {
            gain += step;
            *sample *= gain;
        }
        self.limiter.limit(std::slice::from_mut(sound));
    }

    fn factor(&self) -> f32 {
        10f32.powf(self.gain_db / 20.0)
    }
}
