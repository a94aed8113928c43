//! Keeps sound within range without audible distortion: when it gets too loud it is turned down at once and comes back
//! slowly. Plain data; no allocation, no lock.

use crate::media::frame::SAMPLES_10MS;

/// Highest sample that leaves it by turning down; what overshoots within a block is bent, not cut.
pub(super) const CEILING: f32 = 0.9;
/// Share of the way back to full gain made in each 10 ms: about 150 ms to recover.
const RELEASE: f32 = 0.07;

/// See the module.
#[derive(Debug)]
pub(super) struct Limiter {
    gain: f32,
}

impl Limiter {
    pub(super) fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Brings 10 ms of every channel within -1..=1, all by the same gain, so that nothing seems to move.
    pub(super) fn limit(&mut self, channels: &mut [[f32; SAMPLES_10MS]]) {
        let peak = channels.iter().flatten().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let wanted = if peak > CEILING { CEILING / peak } else { 1.0 };
        let released = self.gain + (1.0 - self.gain) * RELEASE;
        let to = wanted.min(released);
        let step = (to - self.gain) / SAMPLES_10MS as f32;
        for channel in channels {
            let mut gain = self.gain;
            for sample in channel {
                gain += step;
                *sample = bend(*sample * gain);
            }
        }
        self.gain = to;
    }
}

/// The identity up to [`CEILING`], then a curve that approaches 1.
fn bend(sample: f32) -> f32 {
    let over = sample.abs() - CEILING;
    if over <= 0.0 {
        return sample;
    }
    let room = 1.0 - CEILING;
    (CEILING + room * (over / room).tanh()).copysign(sample)
}
