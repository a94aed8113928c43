//! The transforms that the head's filters are made and used with. Plain data; no allocation once set up.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A complex amplitude.
pub(super) type Bin = Complex<f32>;

/// Nothing of a frequency.
pub(super) const ZERO: Bin = Bin::new(0.0, 0.0);

/// Real sound of one length to its spectrum and back, with all the room that takes.
pub(super) struct Fourier {
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    scratch: Vec<Bin>,
    /// The sound to transform, or the one that came of it. Transforms leave nothing useful here.
    pub(super) sound: Vec<f32>,
    /// The spectrum, `length / 2 + 1` bins. The way back leaves nothing useful here.
    pub(super) spectrum: Vec<Bin>,
}

impl Fourier {
    /// For an even number of samples.
    pub(super) fn new(length: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
        let scratch = forward.get_scratch_len().max(backward.get_scratch_len());
        Self {
            sound: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            scratch: vec![ZERO; scratch],
            forward,
            backward,
        }
    }

    /// Turns `sound` into `spectrum`.
    pub(super) fn forward(&mut self) {
        let done = self.forward.process_with_scratch(&mut self.sound, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "{done:?}: the buffers are of the transform's own sizes");
    }

    /// Turns `spectrum` into `sound`, `length` times as large as it was.
    pub(super) fn backward(&mut self) {
        // What has no phase in real sound: rounding leaves traces of it, which the library refuses.
        if let Some(first) = self.spectrum.first_mut() {
            first.im = 0.0;
        }
        if let Some(last) = self.spectrum.last_mut() {
            last.im = 0.0;
        }
        let done = self.backward.process_with_scratch(&mut self.spectrum, &mut self.sound, &mut self.scratch);
        debug_assert!(done.is_ok(), "{done:?}: the buffers are of the transform's own sizes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_gives_what_was_there() {
        let mut fourier = Fourier::new(960);
        let sound: Vec<f32> = (0..960).map(|at| (at as f32 * 0.37).sin() + (at as f32 * 1.1).cos()).collect();
        fourier.sound.copy_from_slice(&sound);
        fourier.forward();
        fourier.backward();
        assert!(sound.iter().zip(&fourier.sound).all(|(a, b)| (a - b / 960.0).abs() < 1e-4));
    }
}
