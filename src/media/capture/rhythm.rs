//! The rhythm of generated speech: when somebody talks, and how each syllable opens the mouth. One plan, a function of
//! the seed and the time, drives both the picture and the sound, so that lips and voice agree.

/// Seconds from the start of one utterance to the start of the next.
const TURN_SECS: f64 = 5.0;

/// A repeatable number for a seed and an index (SplitMix64).
pub(super) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// The same as a share, 0..1.
pub(super) fn share(seed: u64, index: u64) -> f32 {
    (mix(seed, index) >> 40) as f32 / (1u64 << 24) as f32
}

/// What the mouth does at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moment {
    /// Which syllable, counted over the whole plan; `None` while silent.
    pub syllable: Option<u64>,
    /// How far into the syllable, 0..1.
    pub phase: f32,
    /// How far the mouth is open, 0..=1.
    pub open: f32,
    /// How far into the utterance, 0..1.
    pub turn: f32,
}

/// The plan of one speaker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    seed: u64,
}

impl Rhythm {
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The moment at `secs` of Unix time.
    pub fn at(&self, secs: f64) -> Moment {
        let shifted = secs.max(0.0) + f64::from(share(self.seed, 1)) * TURN_SECS;
        let turn = (shifted / TURN_SECS) as u64;
        let within = shifted - turn as f64 * TURN_SECS;
        // Two to three and a half seconds of speech in each turn.
        let begin = f64::from(share(self.seed ^ turn, 2)) * 0.8;
        let length = 2.0 + f64::from(share(self.seed ^ turn, 3)) * 1.5;
        if within < begin || within >= begin + length {
            return Moment::default();
        }
        // Four to five syllables a second, a breath after some of them.
        let rate = 4.0 + f64::from(share(self.seed, 4)) * 1.2;
        let position = (within - begin) * rate;
        let syllable = turn * 64 + position as u64;
        let phase = position.fract() as f32;
        let chance = mix(self.seed, syllable ^ 0x5151);
        if chance.is_multiple_of(9) {
            return Moment { turn: ((within - begin) / length) as f32, ..Moment::default() };
        }
        let strength = 0.55 + share(self.seed, syllable ^ 0x77) * 0.45;
        let open = (phase * std::f32::consts::PI).sin().max(0.0).powf(0.8) * strength;
        Moment { syllable: Some(syllable), phase, open, turn: ((within - begin) / length) as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_talks_and_pauses_in_every_turn() {
        for seed in 0..20 {
            let rhythm = Rhythm::new(seed);
            let talking = (0..1000).filter(|i| rhythm.at(1.79e9 + f64::from(*i) * 0.01).syllable.is_some()).count();
            assert!((250..750).contains(&talking), "seed {seed}: {talking} of 1000");
        }
    }

    #[test]
    fn speakers_differ() {
        let open = |seed| -> Vec<u32> {
            (0..200).map(|i| (Rhythm::new(seed).at(f64::from(i) * 0.05).open * 100.0) as u32).collect()
        };
        assert_ne!(open(1), open(2));
    }
}
