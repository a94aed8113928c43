//! Adds voices up and keeps the sum within range without audible distortion. Plain data, used by the playout thread;
//! no allocation, no lock.

use crate::media::frame::SAMPLES_10MS;

/// Highest sample that leaves the limiter by turning down; what overshoots within a block is bent, not cut.
const CEILING: f32 = 0.9;
/// Share of the way back to full gain made in each 10 ms: about 150 ms to recover.
const RELEASE: f32 = 0.07;

/// A mixing limiter: when the sum gets too loud everything is turned down at once and comes back slowly.
#[derive(Debug)]
pub(super) struct Mixer {
    sum: [f32; SAMPLES_10MS],
    gain: f32,
}

impl Mixer {
    pub(super) fn new() -> Self {
        Self { sum: [0.0; SAMPLES_10MS], gain: 1.0 }
    }

    /// Adds a voice, with its gain moving evenly from the first to the second value.
    pub(super) fn add(&mut self, block: &[f32; SAMPLES_10MS], (from, to): (f32, f32)) {
        let step = (to - from) / SAMPLES_10MS as f32;
        let mut gain = from;
        for (sum, sample) in self.sum.iter_mut().zip(block) {
            gain += step;
            *sum += sample * gain;
        }
    }

    /// The limited sum of all that was added since the last call, within -1..=1.
    pub(super) fn finish(&mut self) -> [f32; SAMPLES_10MS] {
        let peak = self.sum.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let wanted = if peak > CEILING { CEILING / peak } else { 1.0 };
        let released = self.gain + (1.0 - self.gain) * RELEASE;
        let to = wanted.min(released);
        let step = (to - self.gain) / SAMPLES_10MS as f32;
        let mut out = std::mem::replace(&mut self.sum, [0.0; SAMPLES_10MS]);
        for sample in &mut out {
            self.gain += step;
            *sample = bend(*sample * self.gain);
        }
        self.gain = to;
        out
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, amplitude: f32, block: usize) -> [f32; SAMPLES_10MS] {
        std::array::from_fn(|index| {
            let t = (block * SAMPLES_10MS + index) as f32 / 48_000.0;
            (t * hz * std::f32::consts::TAU).sin() * amplitude
        })
    }

    fn rms(block: &[f32]) -> f32 {
        crate::media::frame::rms(block)
    }

    #[test]
    fn quiet_voices_add_up_unchanged() {
        let mut mixer = Mixer::new();
        let (a, b) = (tone(300.0, 0.2, 0), tone(500.0, 0.3, 0));
        mixer.add(&a, (1.0, 1.0));
        mixer.add(&b, (0.5, 0.5));
        let out = mixer.finish();
        for index in 0..SAMPLES_10MS {
            assert!((out[index] - a[index] - b[index] * 0.5).abs() < 1e-6);
        }
        assert_eq!(mixer.finish(), [0.0; SAMPLES_10MS], "nothing is left over");
    }

    #[test]
    fn twenty_loud_voices_stay_in_range_without_being_cut() {
        let mut mixer = Mixer::new();
        let mut last = [0.0; SAMPLES_10MS];
        for block in 0..50 {
            for voice in 0..20 {
                // Frequencies without a common beat, far apart in phase.
                mixer.add(&tone(150.0 * 1.13f32.powi(voice), 0.5, block + 100 * voice as usize), (1.0, 1.0));
            }
            last = mixer.finish();
            assert!(last.iter().all(|sample| sample.abs() <= 1.0));
        }
        let bent = last.iter().filter(|sample| sample.abs() > CEILING + 0.01).count();
        assert!(bent < SAMPLES_10MS / 20, "{bent} of 480 samples bent after it settled");
        assert!(rms(&last) > 0.1, "still loud: {}", rms(&last));
    }

    #[test]
    fn the_gain_comes_back_after_a_loud_moment() {
        let mut mixer = Mixer::new();
        mixer.add(&tone(300.0, 4.0, 0), (1.0, 1.0));
        mixer.finish();
        for block in 1..100 {
            mixer.add(&tone(300.0, 0.3, block), (1.0, 1.0));
            mixer.finish();
        }
        mixer.add(&tone(300.0, 0.3, 100), (1.0, 1.0));
        assert!((rms(&mixer.finish()) - 0.3 / 2f32.sqrt()).abs() < 0.002);
    }

    #[test]
    fn a_gain_change_is_a_ramp() {
        let mut mixer = Mixer::new();
        mixer.add(&[0.5; SAMPLES_10MS], (0.0, 1.0));
        let out = mixer.finish();
        assert!(out[0] < 0.01 && (out[479] - 0.5).abs() < 0.01);
        assert!(out.windows(2).all(|pair| pair[1] >= pair[0] && pair[1] - pair[0] < 0.01));
    }
}
