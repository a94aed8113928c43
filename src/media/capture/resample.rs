//! Any sampling rate to 48 000 Hz, reading a loop of samples at fractional places through a windowed sinc.

use crate::media::frame::SAMPLE_RATE_HZ;

/// Places between two samples for which the filter is tabulated.
const PHASES: usize = 512;
/// Zero crossings of the sinc on each side.
const CROSSINGS: usize = 16;

/// A reader that walks over a loop of frames in steps of `rate / 48 000`. No allocation after creation.
#[derive(Debug)]
pub(super) struct Resampler {
    /// Steps and position in 1/48 000 of an input frame, so that nothing drifts.
    step: u64,
    position: u64,
    taps: usize,
    table: Vec<f32>,
}

impl Resampler {
    /// From `rate_hz` (above 0).
    pub fn new(rate_hz: u32) -> Self {
        // Downwards, the filter is stretched so that it cuts at the new limit.
        let stretch = (f64::from(rate_hz) / f64::from(SAMPLE_RATE_HZ)).max(1.0);
        let half = (CROSSINGS as f64 * stretch).ceil();
        let taps = 2 * half as usize;
        let mut table = Vec::with_capacity((PHASES + 1) * taps);
        for phase in 0..=PHASES {
            let shift = phase as f64 / PHASES as f64;
            let weights: Vec<f64> = (0..taps)
                .map(|tap| {
                    let x = tap as f64 - (half - 1.0) - shift;
                    sinc(x / stretch * 0.97) * blackman(x / half)
                })
                .collect();
            let sum: f64 = weights.iter().sum();
            table.extend(weights.into_iter().map(|weight| (weight / sum) as f32));
        }
        Self { step: u64::from(rate_hz), position: 0, taps, table }
    }

    /// Fills one frame (a sample for each channel) and steps on. `sample(index, channel)` reads a loop of `frames`
    /// (above 0).
    pub fn next(&mut self, out: &mut [f32], frames: usize, sample: impl Fn(usize, usize) -> f32) {
        let rate = u64::from(SAMPLE_RATE_HZ);
        let (index, rest) = ((self.position / rate) as usize, self.position % rate);
        if rest == 0 && self.step == rate {
            for (channel, value) in out.iter_mut().enumerate() {
                *value = sample(index, channel);
            }
        } else {
            // Between two tabulated phases, linearly.
            let place = rest as f64 / rate as f64 * PHASES as f64;
            let (phase, share) = (place as usize, (place.fract()) as f32);
            let low = &self.table[phase * self.taps..(phase + 1) * self.taps];
            let high = &self.table[(phase + 1) * self.taps..(phase + 2) * self.taps];
            // First tap: half the filter before this frame, around the loop.
            let back = (self.taps / 2 - 1) % frames;
            let first = (index + frames - back) % frames;
            out.fill(0.0);
            let mut at = first;
            for (low, high) in low.iter().zip(high) {
                let weight = low + (high - low) * share;
                for (channel, value) in out.iter_mut().enumerate() {
                    *value += weight * sample(at, channel);
                }
                at = if at + 1 == frames { 0 } else { at + 1 };
            }
        }
        self.position = (self.position + self.step) % (frames as u64 * rate);
    }
}

fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }
}

/// Blackman's window over -1..=1, zero outside.
fn blackman(x: f64) -> f64 {
    if x.abs() >= 1.0 {
        return 0.0;
    }
    let angle = std::f64::consts::PI * x;
    0.42 + 0.5 * angle.cos() + 0.08 * (2.0 * angle).cos()
}
