//! The level of the newest 100 ms. Plain data.

use crate::media::frame::SAMPLES_10MS;

/// Blocks of 10 ms looked at.
const BLOCKS: usize = 10;

/// A running root mean square over 100 ms.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Sums of squares of the newest blocks, as a ring.
    energies: [f32; BLOCKS],
    at: usize,
    peak: f32,
}

impl Meter {
    /// Takes the next 10 ms.
    pub(super) fn add(&mut self, block: &[f32; SAMPLES_10MS]) {
        self.energies[self.at] = block.iter().map(|sample| sample * sample).sum();
        self.at = (self.at + 1) % BLOCKS;
        self.peak = self.peak.max(self.level());
    }

    /// Nothing is heard any more.
    pub(super) fn silence(&mut self) {
        self.energies = [0.0; BLOCKS];
    }

    /// Root mean square of the newest 100 ms, 0..=1 for sound within the nominal range.
    pub(super) fn level(&self) -> f32 {
        (self.energies.iter().sum::<f32>() / (BLOCKS * SAMPLES_10MS) as f32).sqrt()
    }

    /// Highest level so far.
    pub(super) fn peak(&self) -> f32 {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_the_last_tenth_of_a_second() {
        let mut meter = Meter::default();
        for _ in 0..10 {
            meter.add(&[0.5; SAMPLES_10MS]);
        }
        assert!((meter.level() - 0.5).abs() < 1e-4);
        for _ in 0..5 {
            meter.add(&[0.0; SAMPLES_10MS]);
        }
        assert!((meter.level() - 0.5 / 2f32.sqrt()).abs() < 1e-4);
        for _ in 0..5 {
            meter.add(&[0.0; SAMPLES_10MS]);
        }
        assert_eq!(meter.level(), 0.0);
        meter.add(&[0.5; SAMPLES_10MS]);
        meter.silence();
        assert_eq!(meter.level(), 0.0);
        assert!((meter.peak() - 0.5).abs() < 1e-4);
    }
}
