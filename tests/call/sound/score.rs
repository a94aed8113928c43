//! How well a recording repeats another: delay by cross-correlation, level, and short-time objective intelligibility
//! (STOI: Taal, Hendriks, Heusdens, Jensen, "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted
//! Noisy Speech", IEEE TASLP 19(7), 2011): 0 for none, 1 for a perfect repetition; over 0.75 nearly every word is
//! understood.

use std::f32::consts::{PI, TAU};

/// STOI's own rate in Hz, its frames and its transform.
const STOI_HZ: usize = 10_000;
const FRAME: usize = 256;
const HOP: usize = FRAME / 2;
const TRANSFORM: usize = 512;
/// One-third octave bands, the lowest around 150 Hz.
const BANDS: usize = 15;
const LOWEST_HZ: f32 = 150.0;
/// Frames of a segment: 384 ms.
const SEGMENT: usize = 30;
/// Frames this far under the loudest are silence, in dB.
const SILENT_DB: f32 = 40.0;
/// Lower bound of the signal-to-distortion ratio, in dB.
const CLIP_DB: f32 = -15.0;

/// Longest delay looked for, in ms.
const LONGEST_MS: usize = 1_500;
/// Samples joined to one in the coarse search.
const COARSE: usize = 12;

/// What came of what was said. The delay of a call moves by a little, so each second is laid on what was said in it by
/// itself.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// How much later: the median second.
    pub delay_ms: f32,
    /// How far the delays of the seconds lie apart.
    pub spread_ms: f32,
    /// How much louder.
    pub level_db: f32,
    /// Likeness of the waves, -1..=1: the median second.
    pub correlation: f32,
    /// Intelligibility, 0..=1.
    pub stoi: f32,
}

impl Heard {
    /// Compares two recordings of one clock.
    pub fn of(said: &[f32], heard: &[f32], rate_hz: usize) -> Self {
        let coarse = |sound: &[f32]| -> Vec<f32> { sound.chunks(COARSE).map(|chunk| chunk.iter().sum()).collect() };
        let longest = LONGEST_MS * rate_hz / 1000;
        let (mut aligned_said, mut aligned_heard) = (Vec::new(), Vec::new());
        let (mut lags, mut likenesses) = (Vec::new(), Vec::new());
        let loudest = said.chunks(rate_hz).map(energy).fold(0.0, f32::max);
        let mut start = 0;
        while start + rate_hz + longest + 4 * COARSE < heard.len() {
            let (second, window) = (&said[start..start + rate_hz], &heard[start..]);
            start += rate_hz;
            // A pause says nothing about the delay.
            if energy(second) < loudest / 100.0 {
                continue;
            }
            let rough = best_lag(&coarse(second), &coarse(window), 0..longest / COARSE) * COARSE;
            let lag = best_lag(second, window, rough.saturating_sub(2 * COARSE)..rough + 2 * COARSE);
            let window = &window[lag..lag + rate_hz];
            likenesses.push(likeness(second, window));
            lags.push(lag as f32 * 1e3 / rate_hz as f32);
            aligned_said.extend_from_slice(second);
            aligned_heard.extend_from_slice(window);
        }
        Self {
            spread_ms: lags.iter().fold(0.0f32, |a, b| a.max(*b)) - lags.iter().fold(f32::MAX, |a, b| a.min(*b)),
            delay_ms: median(lags),
            level_db: 10.0 * (energy(&aligned_heard) / energy(&aligned_said)).log10(),
            correlation: median(likenesses),
            stoi: stoi(&aligned_said, &aligned_heard, rate_hz),
        }
    }
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn energy(sound: &[f32]) -> f32 {
    sound.iter().map(|sample| sample * sample).sum::<f32>().max(1e-12)
}

fn likeness(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / (energy(a) * energy(b)).sqrt()
}

/// How many samples after the beginning of `late` the whole of `early` lies in it.
fn best_lag(early: &[f32], late: &[f32], lags: std::ops::Range<usize>) -> usize {
    let like = |lag: usize| likeness(early, &late[lag..lag + early.len()]);
    lags.filter(|lag| lag + early.len() <= late.len())
        .map(|lag| (lag, like(lag)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(0, |(lag, _)| lag)
}

/// Intelligibility of `heard`, which must lie on `said`.
pub fn stoi(said: &[f32], heard: &[f32], rate_hz: usize) -> f32 {
    let (said, heard) = (resample(said, rate_hz), resample(heard, rate_hz));
    let frames = said.len().min(heard.len()).saturating_sub(FRAME) / HOP;
    let level = |frame: usize| energy(&said[frame * HOP..frame * HOP + FRAME]);
    let loudest = (0..frames).map(level).fold(0.0, f32::max);
    let spoken: Vec<usize> = (0..frames).filter(|at| 10.0 * (level(*at) / loudest).log10() > -SILENT_DB).collect();
    let bands = |sound: &[f32]| -> Vec<[f32; BANDS]> {
        spoken.iter().map(|at| third_octaves(&sound[at * HOP..at * HOP + FRAME])).collect()
    };
    let (said, heard) = (bands(&said), bands(&heard));
    let (mut sum, mut count) = (0.0, 0);
    for start in 0..spoken.len().saturating_sub(SEGMENT - 1) {
        for band in 0..BANDS {
            let of = |bands: &[[f32; BANDS]]| -> Vec<f32> {
                bands[start..start + SEGMENT].iter().map(|frame| frame[band]).collect()
            };
            sum += segment_likeness(&of(&said), &of(&heard));
            count += 1;
        }
    }
    sum / count.max(1) as f32
}

/// The correlation of two envelopes, the second brought to the first one's level and clipped where it is far over it.
fn segment_likeness(said: &[f32], heard: &[f32]) -> f32 {
    let scale = (energy(said) / energy(heard)).sqrt();
    let bound = 1.0 + 10f32.powf(-CLIP_DB / 20.0);
    let clipped: Vec<f32> = heard.iter().zip(said).map(|(heard, said)| (heard * scale).min(said * bound)).collect();
    let centred = |envelope: &[f32]| -> Vec<f32> {
        let mean = envelope.iter().sum::<f32>() / envelope.len() as f32;
        envelope.iter().map(|value| value - mean).collect()
    };
    likeness(&centred(said), &centred(&clipped))
}

/// The magnitude in each band of a frame.
fn third_octaves(frame: &[f32]) -> [f32; BANDS] {
    let windowed = frame
        .iter()
        .enumerate()
        .map(|(at, sample)| sample * (0.5 - 0.5 * (TAU * (at as f32 + 1.0) / (FRAME as f32 + 1.0)).cos()));
    let mut real: Vec<f32> = windowed.collect();
    real.resize(TRANSFORM, 0.0);
    let mut imaginary = vec![0.0; TRANSFORM];
    fourier(&mut real, &mut imaginary);
    let bin = |hz: f32| ((hz * TRANSFORM as f32 / STOI_HZ as f32).round() as usize).min(TRANSFORM / 2);
    std::array::from_fn(|band| {
        let centre = LOWEST_HZ * 2f32.powf(band as f32 / 3.0);
        let bins = bin(centre * 2f32.powf(-1.0 / 6.0))..bin(centre * 2f32.powf(1.0 / 6.0));
        bins.map(|bin| real[bin] * real[bin] + imaginary[bin] * imaginary[bin]).sum::<f32>().sqrt()
    })
}

/// The discrete Fourier transform in place; the length is a power of two (Cooley and Tukey).
fn fourier(real: &mut [f32], imaginary: &mut [f32]) {
    let length = real.len();
    if length == 1 {
        return;
    }
    let half = length / 2;
    let split = |values: &[f32], first: usize| -> Vec<f32> { values.iter().skip(first).step_by(2).copied().collect() };
    let (mut even, mut even_imaginary) = (split(real, 0), split(imaginary, 0));
    let (mut odd, mut odd_imaginary) = (split(real, 1), split(imaginary, 1));
    fourier(&mut even, &mut even_imaginary);
    fourier(&mut odd, &mut odd_imaginary);
    for at in 0..half {
        let (sin, cos) = (-TAU * at as f32 / length as f32).sin_cos();
        let turned = (odd[at] * cos - odd_imaginary[at] * sin, odd[at] * sin + odd_imaginary[at] * cos);
        (real[at], imaginary[at]) = (even[at] + turned.0, even_imaginary[at] + turned.1);
        (real[at + half], imaginary[at + half]) = (even[at] - turned.0, even_imaginary[at] - turned.1);
    }
}

/// Brings sound to STOI's rate by a windowed sinc that lets through what that rate can hold.
fn resample(sound: &[f32], rate_hz: usize) -> Vec<f32> {
    const REACH: isize = 40;
    let ratio = rate_hz as f32 / STOI_HZ as f32;
    let cutoff = 0.9 / ratio;
    let count = (sound.len() as f32 / ratio) as usize;
    (0..count)
        .map(|at| {
            let centre = at as f32 * ratio;
            let first = centre as isize;
            (-REACH..=REACH)
                .filter_map(|offset| {
                    let index = first + offset;
                    let sample = *sound.get(usize::try_from(index).ok()?)?;
                    let x = index as f32 - centre;
                    let window = 0.5 + 0.5 * (PI * x / (REACH as f32 + 1.0)).cos();
                    let sinc = if x.abs() < 1e-4 { cutoff } else { (PI * cutoff * x).sin() / (PI * x) };
                    Some(sample * sinc * window)
                })
                .sum()
        })
        .collect()
}

#[test]
fn the_score_falls_with_noise_and_finds_the_delay() {
    let mut seed = 1u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let rate_hz = 16_000;
    let said: Vec<f32> = (0..4 * rate_hz)
        .map(|at| {
            let seconds = at as f32 / rate_hz as f32;
            let syllable = (seconds * 4.0 * TAU).sin().max(0.0) * (0.5 + 0.5 * (seconds * 1.3 * TAU).sin());
            (0..12).map(|n| ((n + 1) as f32 * 150.0 * seconds * TAU).sin()).sum::<f32>() * 0.05 * syllable
                + noise() * 0.05 * syllable
        })
        .collect();
    let lag = 123 * rate_hz / 1000;
    let mut scores = Vec::new();
    for level in [0.0, 0.03, 0.15] {
        let mut heard = vec![0.0; lag];
        heard.extend(said.iter().map(|sample| sample * 0.5 + noise() * level));
        heard.truncate(said.len());
        let heard = Heard::of(&said, &heard, rate_hz);
        assert!((heard.delay_ms - 123.0).abs() < 1.0, "{heard:?}");
        scores.push(heard.stoi);
        if level == 0.0 {
            assert!((heard.level_db + 6.02).abs() < 0.1 && heard.correlation > 0.99, "{heard:?}");
        }
    }
    assert!(scores[0] > 0.99 && scores[1] < 0.99 && scores[2] < scores[1] - 0.1, "{scores:?}");
}
