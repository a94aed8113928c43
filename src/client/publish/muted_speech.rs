//! Whether somebody speaks who is muted, so that they can be told. Plain data of a capture thread: one level every 10 ms.
//! Levels and the answer stay on this machine.
//!
//! Speech is loud for a third of a second in the last one, and its loud moments differ: syllables rise and fall. A fan, a
//! tone and a key that is struck now and then do not.

/// Blocks of 10 ms looked back at: a second.
const WINDOW: usize = 100;
/// Loud blocks of these that make speech: 300 ms.
const LEAST_LOUD: usize = 30;
/// The loudest and the quietest of them are so far apart, in dB.
const LEAST_RANGE_DB: f32 = 6.0;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct MutedSpeech {
    /// Levels of the newest blocks, in dBFS, as a ring; `None` for those not loud enough for a voice.
    loud: [Option<f32>; WINDOW],
    at: usize,
}

impl Default for MutedSpeech {
    fn default() -> Self {
        Self { loud: [None; WINDOW], at: 0 }
    }
}

impl MutedSpeech {
    /// Takes the level of the next 10 ms, in dBFS, `None` where it is not loud enough for a voice. Says whether the last
    /// second was speech. No allocation.
    pub(super) fn hear(&mut self, loud_dbfs: Option<f32>) -> bool {
        self.loud[self.at] = loud_dbfs;
        self.at = (self.at + 1) % WINDOW;
        let loud = self.loud.iter().flatten();
        let (lowest, highest) = loud.clone().fold((f32::INFINITY, f32::NEG_INFINITY), |(lowest, highest), level| {
            (lowest.min(*level), highest.max(*level))
        });
        loud.count() >= LEAST_LOUD && highest - lowest >= LEAST_RANGE_DB
    }

    /// Nothing is heard, or nobody is muted.
    pub(super) fn clear(&mut self) {
        self.loud = [None; WINDOW];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loud blocks, one out of every `every`, rising and falling within 10 dB.
    fn speaks(blocks: usize, every: usize, range_db: f32) -> bool {
        let mut speech = MutedSpeech::default();
        (0..blocks).any(|n| {
            let loud = n.is_multiple_of(every).then(|| -30.0 + range_db * (n as f32 * 0.3).sin() / 2.0);
            speech.hear(loud)
        })
    }

    #[test]
    fn a_third_of_a_second_of_changing_loudness_is_speech() {
        assert!(speaks(31, 1, 10.0) && speaks(100, 3, 10.0));
        assert!(!speaks(29, 1, 10.0), "a cough is not");
        assert!(!speaks(1_000, 5, 10.0), "nor is typing");
        assert!(!speaks(1_000, 1, 2.0), "nor is a fan");
    }

    #[test]
    fn it_is_over_within_a_second() {
        let mut speech = MutedSpeech::default();
        let syllable = |n: usize| Some(if n.is_multiple_of(2) { -25.0 } else { -35.0 });
        assert_eq!((0..100).filter(|n| speech.hear(syllable(*n))).count(), 100 - LEAST_LOUD + 1);
        let left = (0..WINDOW).filter(|_| speech.hear(None)).count();
        assert_eq!(left, WINDOW - LEAST_LOUD, "blocks after the last word");
        assert!((0..40).filter(|n| speech.hear(syllable(*n))).count() > 0);
        speech.clear();
        assert!(!speech.hear(Some(-20.0)));
    }
}
