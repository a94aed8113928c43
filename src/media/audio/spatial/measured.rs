//! From measurements of a head in a SOFA file (AES69) to [`Ears`]. Takes a moment, so it runs on a thread of its own,
//! `audio-ears`, the first time that voices are to be heard from where they are.
//!
//! - What all directions have in common (the measuring loudspeaker, the ear canal's resonance, which headphones and the
//!   listener's own ears add anyway) is taken out: diffuse-field equalisation (Larcher, Jot, Vandernoot, "Equalization
//!   methods in binaural technology", AES 105, 1998). Voices keep their colour.
//! - Each filter is replaced by the one of minimum phase with the same magnitude, by its cepstrum (Oppenheim and
//!   Schafer, "Discrete-Time Signal Processing", chapter 12).
//! - The time that was taken out is found where a response and its minimum-phase version are most alike (Nam, Abel,
//!   Smith, "A method for estimating interaural time difference for binaural synthesis", AES 125, 2008).
//!
//! The measurements' rate needs no resampling: transforms of 25 Hz a bin have the same bins at both rates.

use std::f32::consts::PI;
use std::sync::{Arc, Once, OnceLock};

use sofar::reader::{Filter, OpenOptions, Sofar};

use super::ears::{Direction, Ears, TAPS};
use super::fourier::{Bin, Fourier, ZERO};
use crate::media::frame::SAMPLE_RATE_HZ;

/// A KEMAR dummy head with small pinnae: Bill Gardner and Keith Martin, MIT Media Lab, 1994; see `assets/LICENSES.md`.
static KEMAR: &[u8] = include_bytes!("../../../../assets/kemar.sofa");
/// The rate at which it was measured.
const KEMAR_HZ: u32 = 44_100;

/// Width of a bin.
const BIN_HZ: u32 = 25;
/// Samples and bins of a transform at 48 000 Hz.
const LENGTH: usize = (SAMPLE_RATE_HZ / BIN_HZ) as usize;
const BINS: usize = LENGTH / 2 + 1;
/// What is measured at lower and higher frequencies is the loudspeaker's end rather than the head.
const FIRST_BIN: usize = 100 / BIN_HZ as usize;
const LAST_BIN: usize = 18_000 / BIN_HZ as usize;
/// The bins of speech, whose level is kept: 200 to 5 000 Hz.
const SPEECH_BINS: std::ops::Range<usize> = 200 / BIN_HZ as usize..5_000 / BIN_HZ as usize;
/// The bins by which the delay is told, those where ears go by it: 200 to 2 000 Hz.
const DELAY_BINS: std::ops::Range<usize> = 200 / BIN_HZ as usize..2_000 / BIN_HZ as usize;
/// Most that is taken for a delay, in samples.
const LONGEST_DELAY: usize = LENGTH / 3;
/// Longest time between two ears, in samples: 0.9 ms.
const LONGEST_BETWEEN: f32 = 43.0;
/// The last of a filter's samples fade.
const FADED_TAPS: usize = 48;
/// Quieter than anything measured.
const FLOOR: f32 = 1e-5;

/// Why there are no ears.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EarsError {
    /// The file is no SOFA file of a head, or not of the rate it should have.
    #[error("the measurements of a head cannot be used: {0}")]
    File(String),
}

static READY: OnceLock<Result<Arc<Ears>, EarsError>> = OnceLock::new();

impl Ears {
    /// The ears that come with the program. Blocks until they are made, the first time for a part of a second.
    ///
    /// # Errors
    /// [`EarsError`] when the measurements cannot be read.
    pub fn kemar() -> Result<Arc<Self>, EarsError> {
        READY.get_or_init(|| Self::from_sofa(KEMAR, KEMAR_HZ).map(Arc::new)).clone()
    }

    /// The same once they are made, which the first call sets about on a thread of its own.
    pub(in crate::media::audio) fn when_ready() -> Option<Arc<Self>> {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            let make = || match Self::kemar() {
                Ok(_) => tracing::debug!("voices are heard from where they are"),
                Err(error) => tracing::error!(%error, "voices are heard alike in both ears"),
            };
            if let Err(error) = std::thread::Builder::new().name("audio-ears".to_owned()).spawn(make) {
                tracing::error!(%error, "no thread to read a head's measurements on");
            }
        });
        READY.get()?.as_ref().ok().cloned()
    }

    /// Reads the measurements of a head, taken at this rate in Hz.
    ///
    /// # Errors
    /// [`EarsError`] when they cannot be read.
    pub fn from_sofa(file: &[u8], rate_hz: u32) -> Result<Self, EarsError> {
        if !(32_000..=192_000).contains(&rate_hz) || !rate_hz.is_multiple_of(2 * BIN_HZ) {
            return Err(EarsError::File(format!("{rate_hz} Hz is no rate for sound")));
        }
        let sofa = OpenOptions::new()
            .sample_rate(rate_hz as f32)
            .open_data(file)
            .map_err(|error| EarsError::File(error.to_string()))?;
        if sofa.filter_len() == 0 || sofa.num_measurements() == 0 {
            return Err(EarsError::File("nothing was measured".to_owned()));
        }
        let mut making = Making::new(&sofa, rate_hz);
        let common = making.common();
        let grid: Vec<Direction> = Self::directions().map(|way| making.direction(way, &common)).collect();
        let sound = |direction: &Direction| direction.taps.iter().flatten().all(|tap| tap.is_finite());
        if !grid.iter().all(sound) {
            return Err(EarsError::File("a measurement is no number".to_owned()));
        }
        Ok(Self::of(grid))
    }
}

/// What is at hand while the grid is made.
struct Making<'a> {
    sofa: &'a Sofar,
    measured: Filter,
    /// At the measurements' rate.
    given: Fourier,
    /// At ours.
    ours: Fourier,
}

impl<'a> Making<'a> {
    fn new(sofa: &'a Sofar, rate_hz: u32) -> Self {
        Self {
            sofa,
            measured: Filter::new(sofa.filter_len()),
            given: Fourier::new((rate_hz / BIN_HZ) as usize),
            ours: Fourier::new(LENGTH),
        }
    }

    /// The measured spectra of both ears from the nearest direction, on our bins.
    fn spectra(&mut self, (azimuth, elevation): (f32, f32)) -> [Vec<Bin>; 2] {
        // SOFA's axes: ahead, left, up.
        let (sin, cos) = elevation.sin_cos();
        self.sofa.filter_nointerp(azimuth.cos() * cos, azimuth.sin() * cos, sin, &mut self.measured);
        [&self.measured.left, &self.measured.right].map(|response| {
            self.given.sound.fill(0.0);
            for (sample, tap) in self.given.sound.iter_mut().zip(response.iter()) {
                *sample = *tap;
            }
            self.given.forward();
            let mut spectrum = vec![ZERO; BINS];
            for (bin, given) in spectrum.iter_mut().zip(&self.given.spectrum) {
                *bin = *given;
            }
            spectrum
        })
    }

    /// What all directions have in common: the mean magnitude over the sphere, in thirds of an octave, scaled so that
    /// speech from the front keeps its level.
    fn common(&mut self) -> Vec<f32> {
        let (mut power, mut weights) = (vec![0.0f32; BINS], 0.0);
        for way in Ears::directions() {
            let weight = way.1.cos();
            for spectrum in self.spectra(way) {
                for (sum, bin) in power.iter_mut().zip(&spectrum) {
                    *sum += bin.norm_sqr() * weight;
                }
                weights += weight;
            }
        }
        let smooth: Vec<f32> = (0..BINS)
            .map(|bin| {
                let centre = bin.clamp(FIRST_BIN, LAST_BIN) as f32;
                let band = (centre * 0.891) as usize..=(centre * 1.122) as usize;
                let count = band.clone().count().max(1) as f32;
                (band.filter_map(|at| power.get(at)).sum::<f32>() / weights / count).sqrt().max(FLOOR)
            })
            .collect();
        let front = self.spectra((0.0, 0.0));
        let mean = |spectrum: &[Bin]| -> f32 {
            let bins = SPEECH_BINS.map(|bin| (spectrum[bin] / smooth[bin]).norm_sqr());
            bins.sum::<f32>() / SPEECH_BINS.len() as f32
        };
        let level = front.iter().map(|spectrum| mean(spectrum)).sum::<f32>().sqrt() / 2f32.sqrt();
        smooth.into_iter().map(|magnitude| magnitude * level.max(FLOOR)).collect()
    }

    fn direction(&mut self, way: (f32, f32), common: &[f32]) -> Direction {
        let spectra = self.spectra(way);
        let mut taps = [[0.0; TAPS]; 2];
        let mut delays = [0.0; 2];
        for (ear, spectrum) in spectra.iter().enumerate() {
            let magnitude = |bin: usize| (spectrum[bin].norm_sqr().sqrt() / common[bin]).max(FLOOR);
            let magnitudes: Vec<f32> = (0..BINS).map(|bin| magnitude(bin.clamp(FIRST_BIN, LAST_BIN))).collect();
            let shortest = self.minimum_phase(&magnitudes);
            delays[ear] = self.delay(spectrum, &shortest);
            self.ours.spectrum.copy_from_slice(&shortest);
            self.ours.backward();
            for (at, tap) in taps[ear].iter_mut().enumerate() {
                let left = (TAPS - at) as f32 / FADED_TAPS as f32;
                let fade = 0.5 - 0.5 * (PI * left.min(1.0)).cos();
                *tap = self.ours.sound[at] / LENGTH as f32 * fade;
            }
        }
        Direction { taps, later_right: (delays[1] - delays[0]).clamp(-LONGEST_BETWEEN, LONGEST_BETWEEN) }
    }

    /// The spectrum of minimum phase with these magnitudes.
    fn minimum_phase(&mut self, magnitudes: &[f32]) -> Vec<Bin> {
        for (bin, magnitude) in self.ours.spectrum.iter_mut().zip(magnitudes) {
            *bin = Bin::new(magnitude.ln(), 0.0);
        }
        self.ours.backward();
        // The cepstrum, with what lies before the beginning folded over to after it.
        for (at, sample) in self.ours.sound.iter_mut().enumerate() {
            let weight = match at {
                0 => 1.0,
                _ if at < LENGTH / 2 => 2.0,
                _ if at == LENGTH / 2 => 1.0,
                _ => 0.0,
            };
            *sample *= weight / LENGTH as f32;
        }
        self.ours.forward();
        let exp = |bin: &Bin| {
            let (sin, cos) = bin.im.sin_cos();
            Bin::new(cos, sin) * bin.re.exp()
        };
        self.ours.spectrum.iter().map(exp).collect()
    }

    /// By how many samples a response is later than its minimum-phase version.
    fn delay(&mut self, spectrum: &[Bin], shortest: &[Bin]) -> f32 {
        self.ours.spectrum.fill(ZERO);
        for bin in DELAY_BINS {
            // Every frequency counts alike, or the likeness would swing with the loudest one.
            let alike = spectrum[bin] * shortest[bin].conj();
            self.ours.spectrum[bin] = alike / alike.norm_sqr().sqrt().max(FLOOR * FLOOR);
        }
        self.ours.backward();
        let likeness = &self.ours.sound;
        let peak = (1..LONGEST_DELAY).max_by(|a, b| likeness[*a].total_cmp(&likeness[*b])).unwrap_or(1);
        // Where a parabola through the three highest ends.
        let (before, at, after) = (likeness[peak - 1], likeness[peak], likeness[peak + 1]);
        let curve = before - 2.0 * at + after;
        let offset = if curve < 0.0 { 0.5 * (before - after) / curve } else { 0.0 };
        peak as f32 + offset.clamp(-0.5, 0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy_db(taps: &[f32]) -> f32 {
        10.0 * taps.iter().map(|tap| tap * tap).sum::<f32>().max(1e-12).log10()
    }

    #[test]
    fn a_head_hears_first_and_louder_with_the_nearer_ear() {
        let ears = Ears::kemar().unwrap();
        let mut last = 0.0;
        for azimuth in (0..=90).step_by(15) {
            let [left, right] = [azimuth, 360 - azimuth].map(|azimuth| ears.entry(azimuth % 360, 0));
            assert!((left.later_right + right.later_right).abs() < 3.0, "both sides alike at {azimuth} degrees");
            assert!(left.later_right >= last - 2.0, "{azimuth} degrees: {} after {last}", left.later_right);
            last = left.later_right;
        }
        let side = ears.entry(90, 0);
        let later_ms = side.later_right / 48.0;
        assert!((0.55..0.85).contains(&later_ms), "{later_ms} ms");
        let louder_db = energy_db(&side.taps[0]) - energy_db(&side.taps[1]);
        assert!(louder_db > 6.0 && louder_db < 25.0, "{louder_db} dB");
        let front = ears.entry(0, 0);
        assert!(front.later_right.abs() < 1.5, "{} samples", front.later_right);
        assert!(energy_db(&front.taps[0]).abs() < 6.0, "{} dB", energy_db(&front.taps[0]));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for rate_hz in [0, 8_000, 44_101, u32::MAX] {
            assert!(Ears::from_sofa(KEMAR, rate_hz).is_err(), "{rate_hz} Hz");
        }
        for file in [&b""[..], b"RIFF", &KEMAR[..1_000], &KEMAR[..KEMAR.len() / 2]] {
            assert!(Ears::from_sofa(file, KEMAR_HZ).is_err(), "{} bytes", file.len());
        }
    }
}
