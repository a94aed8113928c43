//! Adds voices up for two ears and keeps the sums within range without audible distortion. Plain data, used by the
//! playout thread; no allocation, no lock.

use super::limiter::Limiter;
use crate::media::frame::SAMPLES_10MS;

/// 10 ms for two ears, 48 000 Hz: left, then right.
pub type StereoBlock = [[f32; SAMPLES_10MS]; 2];

/// Adds up, then limits.
#[derive(Debug)]
pub(super) struct Mixer {
    sums: StereoBlock,
    limiter: Limiter,
}

impl Mixer {
    pub(super) fn new() -> Self {
        Self { sums: [[0.0; SAMPLES_10MS]; 2], limiter: Limiter::new() }
    }

    /// Adds a voice to both ears, with its gain moving evenly from the first to the second value.
    pub(super) fn add(&mut self, block: &[f32; SAMPLES_10MS], (from, to): (f32, f32)) {
        let step = (to - from) / SAMPLES_10MS as f32;
        let mut gain = from;
        let [left, right] = &mut self.sums;
        for ((left, right), sample) in left.iter_mut().zip(right).zip(block) {
            gain += step;
            *left += sample * gain;
            *right += sample * gain;
        }
    }

    /// Adds what was made for two ears.
    pub(super) fn add_stereo(&mut self, block: &StereoBlock) {
        for (sum, sample) in self.sums.iter_mut().flatten().zip(block.iter().flatten()) {
            *sum += sample;
        }
    }

    /// The limited sums of all that was added since the last call, within -1..=1.
    pub(super) fn finish(&mut self) -> StereoBlock {
        let mut out = std::mem::replace(&mut self.sums, [[0.0; SAMPLES_10MS]; 2]);
        self.limiter.limit(&mut out);
        out
    }
}

/// Both ears in one, as a microphone between them would hear it: the mean. What is alike in both stays as it is.
pub(super) fn downmix(block: &StereoBlock) -> [f32; SAMPLES_10MS] {
    let [left, right] = block;
    std::array::from_fn(|at| (left[at] + right[at]) * 0.5)
}

#[cfg(test)]
mod tests {
    use super::super::limiter::CEILING;
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

    /// What both ears hear, who must hear the same.
    fn finish(mixer: &mut Mixer) -> [f32; SAMPLES_10MS] {
        let out = mixer.finish();
        assert_eq!(out[0], out[1]);
        assert_eq!(downmix(&out), out[0]);
        out[0]
    }

    #[test]
    fn quiet_voices_add_up_unchanged() {
        let mut mixer = Mixer::new();
        let (a, b) = (tone(300.0, 0.2, 0), tone(500.0, 0.3, 0));
        mixer.add(&a, (1.0, 1.0));
        mixer.add(&b, (0.5, 0.5));
        let out = finish(&mut mixer);
        for index in 0..SAMPLES_10MS {
            assert!((out[index] - a[index] - b[index] * 0.5).abs() < 1e-6);
        }
        assert_eq!(finish(&mut mixer), [0.0; SAMPLES_10MS], "nothing is left over");
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
            last = finish(&mut mixer);
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
        finish(&mut mixer);
        for block in 1..100 {
            mixer.add(&tone(300.0, 0.3, block), (1.0, 1.0));
            finish(&mut mixer);
        }
        mixer.add(&tone(300.0, 0.3, 100), (1.0, 1.0));
        assert!((rms(&finish(&mut mixer)) - 0.3 / 2f32.sqrt()).abs() < 0.002);
    }

    #[test]
    fn a_gain_change_is_a_ramp() {
        let mut mixer = Mixer::new();
        mixer.add(&[0.5; SAMPLES_10MS], (0.0, 1.0));
        let out = finish(&mut mixer);
        assert!(out[0] < 0.01 && (out[479] - 0.5).abs() < 0.01);
        assert!(out.windows(2).all(|pair| pair[1] >= pair[0] && pair[1] - pair[0] < 0.01));
    }

    #[test]
    fn a_loud_ear_turns_both_down() {
        let mut mixer = Mixer::new();
        let mut out = [[0.0; SAMPLES_10MS]; 2];
        for block in 0..20 {
            mixer.add_stereo(&[tone(300.0, 3.0, block), tone(300.0, 0.3, block)]);
            out = mixer.finish();
            assert!(out.iter().flatten().all(|sample| sample.abs() <= 1.0));
        }
        let ratio = rms(&out[0]) / rms(&out[1]);
        assert!((ratio - 10.0).abs() < 0.5, "the difference between the ears stays: {ratio}");
    }
}
