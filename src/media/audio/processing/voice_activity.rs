//! Whether somebody speaks: the level of each 10 ms against a noise floor that follows the quietest of the last
//! seconds. Plain data. Good enough to mark packets (RFC 6464) and to show a ring; what is heard does not depend on it.

use crate::media::frame::rms;

/// A voice is this much louder than the noise floor, in dB.
const ABOVE_FLOOR_DB: f32 = 9.0;
/// Nothing under this level is a voice, in dBFS.
const LEAST_DBFS: f32 = -50.0;
/// The noise floor before anything is known, in dBFS.
const START_FLOOR_DBFS: f32 = -60.0;
/// The floor is never taken for lower, in dBFS: digital silence says nothing about the room.
const LOWEST_FLOOR_DBFS: f32 = -75.0;
/// The floor rises by so much in 10 ms, in dB: 3 dB a second, so that speech does not lift it.
const FLOOR_RISE_DB: f32 = 0.03;
/// Blocks that still count as speech after the last loud one: pauses between words.
const HANGOVER: u32 = 20;

/// Hears whether somebody speaks.
#[derive(Clone, Debug)]
pub struct VoiceActivity {
    floor_dbfs: f32,
    level_dbfs: f32,
    hangover: u32,
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self { floor_dbfs: START_FLOOR_DBFS, level_dbfs: LOWEST_FLOOR_DBFS, hangover: 0 }
    }
}

impl VoiceActivity {
    /// The newest 10 ms were loud enough for a voice: no pause between words.
    pub(super) fn is_loud(&self) -> bool {
        self.hangover == HANGOVER
    }

    /// The level of the newest 10 ms, in dBFS.
    pub(super) fn level_dbfs(&self) -> f32 {
        self.level_dbfs
    }

    /// The level of the background, in dBFS.
    pub(super) fn floor_dbfs(&self) -> f32 {
        self.floor_dbfs
    }

    /// Takes the next 10 ms, and says whether somebody speaks.
    pub fn hear(&mut self, samples: &[f32]) -> bool {
        let level_dbfs = 20.0 * rms(samples).max(1e-6).log10();
        self.level_dbfs = level_dbfs;
        self.floor_dbfs = level_dbfs.min(self.floor_dbfs + FLOOR_RISE_DB).max(LOWEST_FLOOR_DBFS);
        if level_dbfs > LEAST_DBFS && level_dbfs > self.floor_dbfs + ABOVE_FLOOR_DB {
            self.hangover = HANGOVER;
        } else {
            self.hangover = self.hangover.saturating_sub(1);
        }
        self.hangover > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::opus::tests::speech;
    use crate::media::codec::tests::Random;
    use crate::media::frame::SAMPLES_10MS;

    #[test]
    fn speech_is_told_from_silence_and_from_steady_noise() {
        let mut voice = VoiceActivity::default();
        let spoken = speech(200 * SAMPLES_10MS);
        let heard = spoken.chunks(SAMPLES_10MS).filter(|block| voice.hear(block)).count();
        assert!(heard > 180, "{heard} of 200 blocks of speech");
        let silent = (0..100).filter(|_| voice.hear(&[0.0; SAMPLES_10MS])).count();
        assert!(silent <= HANGOVER as usize, "{silent} of 100 blocks of silence");
        let mut random = Random(3);
        let mut noise =
            || -> Vec<f32> { (0..SAMPLES_10MS).map(|_| (random.below(2001) as f32 / 1000.0 - 1.0) * 0.02).collect() };
        let mut steady = VoiceActivity::default();
        (0..1_000).for_each(|_| _ = steady.hear(&noise()));
        let alarms = (0..500).filter(|_| steady.hear(&noise())).count();
        assert_eq!(alarms, 0, "a fan that has run for ten seconds is no voice");
    }
}
