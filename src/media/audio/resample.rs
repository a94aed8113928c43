//! From our 48 000 Hz to a device that only knows another rate. Used by the playout thread; no allocation once set up.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction};

use super::AudioError;
use crate::media::frame::{SAMPLE_RATE_HZ, SAMPLES_10MS};

/// Mono blocks of 10 ms to another rate.
pub(super) struct Resampler {
    resampler: Async<f32>,
    out: Vec<f32>,
}

impl Resampler {
    /// # Errors
    /// [`AudioError::Device`] when the rate is not one a device can have.
    pub(super) fn new(rate_hz: u32) -> Result<Self, AudioError> {
        let unusable = |why: String| AudioError::Device(format!("its rate of {rate_hz} Hz cannot be used: {why}"));
        if !(8_000..=384_000).contains(&rate_hz) {
            return Err(unusable("8 000 to 384 000 would do".to_owned()));
        }
        let parameters = SincInterpolationParameters::new(64, WindowFunction::BlackmanHarris2)
            .oversampling_factor(128)
            .interpolation(SincInterpolationType::Linear);
        let ratio = f64::from(rate_hz) / f64::from(SAMPLE_RATE_HZ);
        let resampler = Async::new_sinc(ratio, 1.1, &parameters, SAMPLES_10MS, 1, FixedAsync::Input)
            .map_err(|error| unusable(error.to_string()))?;
        let out = vec![0.0; resampler.output_frames_max()];
        Ok(Self { resampler, out })
    }

    /// The next 10 ms at the device's rate; nothing, with a log entry, if the library fails.
    pub(super) fn process(&mut self, block: &[f32; SAMPLES_10MS]) -> &[f32] {
        let room = self.out.len();
        let input = SequentialSlice::new(block, 1, SAMPLES_10MS);
        let output = SequentialSlice::new_mut(&mut self.out, 1, room);
        let (Ok(input), Ok(mut output)) = (input, output) else { return &[] };
        match self.resampler.process_into_buffer(&input, &mut output, None) {
            Ok((_, written)) => &self.out[..written],
            Err(error) => {
                tracing::warn!(%error, "10 ms of sound could not be resampled");
                &[]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_pitch_and_level_at_44100_hz() {
        let mut resampler = Resampler::new(44_100).unwrap();
        let mut out = Vec::new();
        for block in 0..100 {
            let tone: [f32; SAMPLES_10MS] = std::array::from_fn(|index| {
                ((block * SAMPLES_10MS + index) as f32 / 48_000.0 * 1000.0 * std::f32::consts::TAU).sin() * 0.5
            });
            out.extend_from_slice(resampler.process(&tone));
        }
        assert!((out.len() as i64 - 44_100).abs() < 200, "{} samples for a second", out.len());
        let settled = &out[4_410..40_000];
        let crossings = settled.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let hz = crossings as f32 / (settled.len() as f32 / 44_100.0);
        assert!((hz - 1000.0).abs() < 3.0, "{hz} Hz");
        assert!((crate::media::frame::rms(settled) - 0.5 / 2f32.sqrt()).abs() < 0.005);
        assert!(Resampler::new(10).is_err());
    }
}
