//! The sound that a loudspeaker is tried with: three soft bells that rise, E5, G5 and C6, a chord at rest; the first
//! from the left, the last from the right, so that both sides can be told apart. 1.2 s, 48 000 Hz, two channels, at most
//! -12 dBFS. Synthesised here: a few partials each, those of a struck bar being out of tune with the first (Fletcher and
//! Rossing, The Physics of Musical Instruments, chapter 19). Plain data.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use super::mixer::StereoBlock;
use crate::media::frame::{SAMPLE_RATE_HZ, SAMPLES_10MS};

/// How long it is, in blocks of 10 ms.
const BLOCKS: usize = 120;
/// The highest sample: -12 dBFS.
const PEAK: f32 = 0.251;
/// A bell takes so long to rise; harder strikes click.
const ATTACK_SECS: f32 = 0.012;
/// The whole dies away over the last of it.
const RELEASE_SECS: f32 = 0.25;

/// A bell.
struct Note {
    hz: f32,
    starts_secs: f32,
    /// 0 is the left, 1 the right.
    pan: f32,
}

/// See the module.
const NOTES: [Note; 3] = [
    Note { hz: 659.26, starts_secs: 0.0, pan: 0.2 },
    Note { hz: 783.99, starts_secs: 0.17, pan: 0.5 },
    Note { hz: 1046.5, starts_secs: 0.34, pan: 0.8 },
];

/// What a bell is made of: how high beside its pitch, how loud, how fast it dies away (to 1/e, in seconds). The high ones
/// give the strike, and are gone before they ring.
const PARTIALS: [(f32, f32, f32); 4] = [(1.0, 1.0, 0.38), (2.0, 0.25, 0.22), (2.756, 0.12, 0.09), (5.404, 0.04, 0.04)];

/// All of it, block by block.
pub(super) fn chime() -> Vec<StereoBlock> {
    let mut blocks: Vec<StereoBlock> = (0..BLOCKS)
        .map(|block| {
            let mut sound = [[0.0; SAMPLES_10MS]; 2];
            let [left, right] = &mut sound;
            for (n, (left, right)) in left.iter_mut().zip(right).enumerate() {
                [*left, *right] = frame((block * SAMPLES_10MS + n) as f32 / SAMPLE_RATE_HZ as f32);
            }
            sound
        })
        .collect();
    let highest = blocks.as_flattened().as_flattened().iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    let gain = if highest > 0.0 { PEAK / highest } else { 0.0 };
    blocks.as_flattened_mut().as_flattened_mut().iter_mut().for_each(|sample| *sample *= gain);
    blocks
}

/// Left and right at a moment.
fn frame(secs: f32) -> [f32; 2] {
    let left_secs = BLOCKS as f32 * 0.01 - secs;
    let release = ease(left_secs / RELEASE_SECS);
    let mut ears = [0.0; 2];
    for note in &NOTES {
        let sound = bell(note.hz, secs - note.starts_secs) * release;
        // Equal power wherever it is.
        let angle = note.pan * FRAC_PI_2;
        ears[0] += sound * angle.cos();
        ears[1] += sound * angle.sin();
    }
    ears
}

/// A bell so long after it was struck.
fn bell(hz: f32, secs: f32) -> f32 {
    if secs < 0.0 {
        return 0.0;
    }
    let partial =
        |(ratio, level, decay): &(f32, f32, f32)| (TAU * hz * ratio * secs).sin() * level * (-secs / decay).exp();
    PARTIALS.iter().map(partial).sum::<f32>() * ease(secs / ATTACK_SECS)
}

/// From 0 to 1 without a corner.
fn ease(share: f32) -> f32 {
    0.5 - 0.5 * (share.clamp(0.0, 1.0) * PI).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::rms;

    #[test]
    fn it_is_short_soft_and_does_not_click() {
        let blocks = chime();
        assert_eq!(blocks.len() * SAMPLES_10MS, SAMPLE_RATE_HZ as usize * 12 / 10);
        for ear in 0..2 {
            let sound: Vec<f32> = blocks.iter().flat_map(|block| block[ear]).collect();
            let peak = sound.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
            assert!((0.15..=PEAK + 1e-3).contains(&peak), "ear {ear} peaks at {peak}");
            assert!(sound[0].abs() < 1e-3 && sound[sound.len() - 1].abs() < 1e-3, "it begins and ends in silence");
            // No step is larger than that of the highest loud partial at full level.
            let steepest = PEAK * TAU * 1046.5 * 2.0 / SAMPLE_RATE_HZ as f32;
            let roughest = sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            assert!(roughest < steepest, "a step of {roughest}");
        }
    }

    #[test]
    fn it_goes_from_the_left_to_the_right() {
        let blocks = chime();
        let level = |ear: usize, from: usize| {
            let sound: Vec<f32> = blocks[from..from + 10].iter().flat_map(|block| block[ear]).collect();
            rms(&sound)
        };
        assert!(level(0, 2) > 2.0 * level(1, 2), "the first bell is on the left");
        assert!(level(1, 40) > level(0, 40), "the last one on the right");
        assert!(level(0, 2) > 0.02 && level(1, 40) > 0.02, "and both are heard");
    }
}
