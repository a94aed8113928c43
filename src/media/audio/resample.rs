//! Between our 48 000 Hz and a device that only knows another rate. Used by the playout thread and the capture threads;
//! no allocation once set up.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction};

use super::AudioError;

/// Rates a device may have, in Hz.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=384_000;

/// Interleaved blocks of 10 ms at one rate to another.
pub(super) struct Resampler {
    resampler: Async<f32>,
    channels: usize,
    /// Frames of an input block.
    frames: usize,
    out: Vec<f32>,
}

impl Resampler {
    /// # Errors
    /// [`AudioError::Device`] when one of the rates is not one a device can have.
    pub(super) fn new(from_hz: u32, to_hz: u32, channels: usize) -> Result<Self, AudioError> {
        let unusable =
            |why: String| AudioError::Device(format!("a rate of {from_hz} or {to_hz} Hz cannot be used: {why}"));
        if !RATES_HZ.contains(&from_hz) || !RATES_HZ.contains(&to_hz) {
            return Err(unusable("8 000 to 384 000 would do".to_owned()));
        }
        let parameters = SincInterpolationParameters::new(64, WindowFunction::BlackmanHarris2)
            .oversampling_factor(128)
            .interpolation(SincInterpolationType::Linear);
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        let frames = (from_hz / 100) as usize;
        let resampler = Async::new_sinc(ratio, 1.1, &parameters, frames, channels, FixedAsync::Input)
            .map_err(|error| unusable(error.to_string()))?;
        let out = vec![0.0; resampler.output_frames_max() * channels];
        Ok(Self { resampler, channels, frames, out })
    }

    /// Samples of an input block, all channels together.
    pub(super) fn input_len(&self) -> usize {
        self.frames * self.channels
    }

    /// A block of [`Self::input_len`] samples at the other rate, some 10 ms long; nothing, with a log entry, for
    /// another length or if the library fails.
    pub(super) fn process(&mut self, block: &[f32]) -> &[f32] {
        let room = self.out.len() / self.channels;
        let input = InterleavedSlice::new(block, self.channels, self.frames);
        let output = InterleavedSlice::new_mut(&mut self.out, self.channels, room);
        let (Ok(input), Ok(mut output)) = (input, output) else { return &[] };
        match self.resampler.process_into_buffer(&input, &mut output, None) {
            Ok((_, written)) => &self.out[..written * self.channels],
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

    use crate::media::frame::rms;

    /// A second of a 1 000 Hz tone through a resampler, with all channels but the first silent.
    fn resampled(from_hz: u32, to_hz: u32, channels: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from_hz, to_hz, channels).unwrap();
        let frames = resampler.input_len() / channels;
        let mut out = Vec::new();
        for block in 0..100 {
            let mut sound = vec![0.0; frames * channels];
            for (index, frame) in sound.chunks_mut(channels).enumerate() {
                let seconds = (block * frames + index) as f32 / from_hz as f32;
                frame[0] = (seconds * 1000.0 * std::f32::consts::TAU).sin() * 0.5;
            }
            out.extend_from_slice(resampler.process(&sound));
        }
        out
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_level_at_any_rate() {
        for (from_hz, to_hz, channels) in
            [(48_000, 44_100, 1), (44_100, 48_000, 2), (192_000, 48_000, 1), (8_000, 48_000, 2), (22_050, 48_000, 1)]
        {
            let out: Vec<f32> = resampled(from_hz, to_hz, channels).chunks(channels).map(|frame| frame[0]).collect();
            let expected = to_hz as usize / from_hz as usize * 100;
            assert!(out.len().abs_diff(to_hz as usize) < 1_500 + expected, "{} for a second at {to_hz}", out.len());
            let settled = &out[to_hz as usize / 10..to_hz as usize * 9 / 10];
            let crossings = settled.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
            let hz = crossings as f32 / (settled.len() as f32 / to_hz as f32);
            assert!((hz - 1000.0).abs() < 3.0, "{hz} Hz from {from_hz} to {to_hz}");
            assert!((rms(settled) - 0.5 / 2f32.sqrt()).abs() < 0.005, "from {from_hz} to {to_hz}");
        }
    }

    #[test]
    fn channels_stay_apart_and_wrong_input_is_refused() {
        let silent: Vec<f32> = resampled(44_100, 48_000, 2).chunks(2).map(|frame| frame[1]).collect();
        assert_eq!(rms(&silent), 0.0);
        assert!(Resampler::new(10, 48_000, 1).is_err() && Resampler::new(48_000, 1_000_000, 1).is_err());
        let mut resampler = Resampler::new(44_100, 48_000, 1).unwrap();
        assert!(resampler.process(&[0.0; 7]).is_empty());
    }
}
