//! How loud each microphone is, from the level its packets carry (RFC 6464). Fed per packet, read every
//! [`WINDOW`]; no allocation, no clock read.

use std::time::Duration;

/// How often levels are read, as in the official server.
pub(super) const WINDOW: Duration = Duration::from_millis(400);
/// Quieter than this is silence, in dB below full scale.
const ACTIVE_DB: i32 = 35;
/// This share of a window's packets must be loud enough, in percent.
const ACTIVE_PERCENT: u32 = 40;
/// Packets of 20 ms in a window: what a short window is measured against, so that a single click is not speech.
const PACKETS_PER_WINDOW: u32 = 20;

/// One microphone's window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level {
    loud: u32,
    sum: f32,
    smoothed: f32,
}

impl Level {
    /// A packet came whose level is `level_db`: 0 is full scale, -127 is silence.
    pub(super) fn observe(&mut self, level_db: i8) {
        let below = i32::from(level_db).abs();
        if below <= ACTIVE_DB {
            self.loud += 1;
            self.sum += 10f32.powf(-(below as f32) / 20.0);
        }
    }

    /// Ends the window: the linear level 0..=1 smoothed over windows, 0 while silent.
    pub(super) fn read(&mut self) -> f32 {
        let active = self.loud * 100 >= PACKETS_PER_WINDOW * ACTIVE_PERCENT;
        let mean = if active { self.sum / self.loud as f32 } else { 0.0 };
        // Rises at once, falls within two windows.
        self.smoothed = if mean >= self.smoothed { mean } else { (self.smoothed + mean) / 2.0 };
        if !active && self.smoothed < 0.02 {
            self.smoothed = 0.0;
        }
        self.loud = 0;
        self.sum = 0.0;
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_is_heard_and_silence_ends_it() {
        let mut level = Level::default();
        (0..20).for_each(|_| level.observe(-20));
        assert!((level.read() - 0.1).abs() < 1e-3);
        (0..20).for_each(|_| level.observe(-127));
        assert!(level.read() < 0.06);
        let windows = (0..9).map(|_| level.read()).position(|l| l == 0.0);
        assert!(windows.is_some_and(|w| w <= 2), "falls silent within a second: {windows:?}");
    }

    #[test]
    fn a_click_is_not_speech() {
        let mut level = Level::default();
        level.observe(0);
        assert_eq!(level.read(), 0.0);
    }
}
