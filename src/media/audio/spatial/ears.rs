//! A head's two ears, from every direction: short filters and the time between the ears, laid out on a regular grid so
//! that any direction lies between four known ones. Plain data, made once (see [`super::measured`]) and then shared.
//!
//! The filters have no delay of their own (minimum phase) and the delay is kept beside them. Both can therefore be
//! blended between neighbours without the combs that blending delayed copies gives (Kistler and Wightman, "A model of
//! head-related transfer functions based on principal components analysis and minimum-phase reconstruction", JASA 91,
//! 1992).

use std::f32::consts::{PI, TAU};

use super::bearing::Bearing;
use super::fourier::{Bin, Fourier, ZERO};
use crate::media::frame::SAMPLES_10MS;

/// Samples of a filter at 48 000 Hz: 5 ms.
pub(super) const TAPS: usize = 256;
/// Samples of a transform: a block and the one before it.
pub(super) const TRANSFORM: usize = 2 * SAMPLES_10MS;
/// Bins of its spectrum, 50 Hz apart.
pub(super) const BINS: usize = TRANSFORM / 2 + 1;
/// What both ears are delayed by, in samples: half of the longest time between them and room for a filter's onset.
const MEAN_DELAY: f32 = 36.0;
/// Above this bin, 18 kHz, the filters fade, so that a part of a sample's delay does not ring.
const FADE_BIN: usize = 360;

/// Degrees between directions of the grid, to the left and upwards.
const AZIMUTH_STEP_DEG: usize = 5;
const ELEVATION_STEP_DEG: usize = 10;
/// Elevations of the grid: what a head on a body is measured from.
const LOWEST_DEG: i32 = -40;
const COLUMNS: usize = 360 / AZIMUTH_STEP_DEG;
const ROWS: usize = (90 - LOWEST_DEG) as usize / ELEVATION_STEP_DEG + 1;

/// The ears from one direction.
#[derive(Clone)]
pub(super) struct Direction {
    /// Filters of the left and the right ear.
    pub(super) taps: [[f32; TAPS]; 2],
    /// How much later the right ear hears it, in samples at 48 000 Hz.
    pub(super) later_right: f32,
}

/// See the module.
pub struct Ears {
    grid: Vec<Direction>,
    /// How much passes at each bin.
    fade: [f32; BINS],
}

impl Ears {
    /// The directions of the grid, azimuth and elevation in radians, in the order of the grid.
    pub(super) fn directions() -> impl Iterator<Item = (f32, f32)> {
        (0..ROWS).flat_map(|row| {
            let elevation = (LOWEST_DEG + (row * ELEVATION_STEP_DEG) as i32) as f32;
            (0..COLUMNS).map(move |column| {
                let azimuth = (column * AZIMUTH_STEP_DEG) as f32;
                (azimuth.to_radians(), elevation.to_radians())
            })
        })
    }

    /// Of one entry for each of [`Self::directions`].
    pub(super) fn of(grid: Vec<Direction>) -> Self {
        debug_assert_eq!(grid.len(), ROWS * COLUMNS);
        let fade = std::array::from_fn(|bin| {
            let over = bin.saturating_sub(FADE_BIN) as f32 / (BINS - 1 - FADE_BIN) as f32;
            0.5 + 0.5 * (PI * over).cos()
        });
        Self { grid, fade }
    }

    /// The entry for a direction of the grid, in degrees.
    #[cfg(test)]
    pub(super) fn entry(&self, azimuth_deg: i32, elevation_deg: i32) -> &Direction {
        let row = (elevation_deg - LOWEST_DEG) as usize / ELEVATION_STEP_DEG;
        &self.grid[row * COLUMNS + azimuth_deg as usize / AZIMUTH_STEP_DEG]
    }

    /// Makes the filters for a bearing, its gain and the transform's scale included. No allocation, no lock.
    pub(super) fn filter(&self, bearing: &Bearing, fourier: &mut Fourier, filter: &mut EarFilter) {
        let around = neighbours(bearing);
        let later_right: f32 = around.iter().map(|(at, weight)| self.grid[*at].later_right * weight).sum();
        let scale = bearing.gain / TRANSFORM as f32;
        for (ear, side) in [-0.5, 0.5].into_iter().enumerate() {
            fourier.sound[TAPS..].fill(0.0);
            let taps = &mut fourier.sound[..TAPS];
            taps.fill(0.0);
            for (at, weight) in around {
                for (sum, tap) in taps.iter_mut().zip(&self.grid[at].taps[ear]) {
                    *sum += tap * weight;
                }
            }
            fourier.forward();
            // A delay is a phase that grows from bin to bin.
            let delay = MEAN_DELAY + side * later_right;
            let (sin, cos) = (-TAU * delay / TRANSFORM as f32).sin_cos();
            let turn = Bin::new(cos, sin);
            let mut phase = Bin::new(scale, 0.0);
            for ((out, bin), fade) in filter.0[ear].iter_mut().zip(&fourier.spectrum).zip(&self.fade) {
                *out = bin * phase * *fade;
                phase *= turn;
            }
        }
    }
}

/// The grid's directions around a bearing and how much each counts.
fn neighbours(bearing: &Bearing) -> [(usize, f32); 4] {
    let split = |value: f32, step: usize| {
        let at = value / step as f32;
        (at.floor().max(0.0) as usize, at - at.floor())
    };
    let (column, right) = split(bearing.azimuth.to_degrees().rem_euclid(360.0), AZIMUTH_STEP_DEG);
    let upwards = (bearing.elevation.to_degrees() - LOWEST_DEG as f32).clamp(0.0, (90 - LOWEST_DEG) as f32);
    let (row, up) = split(upwards, ELEVATION_STEP_DEG);
    let index = |row: usize, column: usize| row.min(ROWS - 1) * COLUMNS + column % COLUMNS;
    [
        (index(row, column), (1.0 - up) * (1.0 - right)),
        (index(row, column + 1), (1.0 - up) * right),
        (index(row + 1, column), up * (1.0 - right)),
        (index(row + 1, column + 1), up * right),
    ]
}

/// What a voice's spectrum is multiplied by for each ear, left first.
pub(super) struct EarFilter(pub(super) [[Bin; BINS]; 2]);

impl Default for EarFilter {
    fn default() -> Self {
        Self([[ZERO; BINS]; 2])
    }
}
