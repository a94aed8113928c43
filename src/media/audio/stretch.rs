//! Makes voiced sound a little shorter or longer without changing its pitch, by leaving out or repeating one period
//! with a crossfade (waveform-similarity overlap-add). Plain functions on samples at 48 000 Hz.

use crate::media::frame::rms;

/// Periods looked for: 2.5 ms (400 Hz) to 15 ms (67 Hz).
const MIN_PERIOD: usize = 120;
const MAX_PERIOD: usize = 720;
/// Likeness (correlation) of two periods from which on joining them is inaudible.
pub(super) const INAUDIBLE: f32 = 0.8;
/// Likeness to make do with when the delay is far off: a short roughness instead of seconds of lag.
pub(super) const TOLERABLE: f32 = 0.3;
/// Root mean square under which anything may be joined: background.
const QUIET_RMS: f32 = 0.003;
/// Steps of the coarse search; it looks at every such sample only.
const COARSE: usize = 6;

/// Samples a period search needs: two of the longest.
pub(super) const SEARCH_SAMPLES: usize = 2 * MAX_PERIOD;

/// Leaves one period out at the start of `sound`, which should hold [`SEARCH_SAMPLES`]; says how many samples were
/// removed, 0 when no two periods are at least this alike.
pub(super) fn shorten(sound: &mut Vec<f32>, start: usize, likeness: f32) -> usize {
    let Some(window) = sound.get(start..) else { return 0 };
    let longest = MAX_PERIOD.min(window.len() / 2);
    let pair = |period: usize| (&window[..period], &window[period..2 * period]);
    let Some(period) = find_period(longest, pair, likeness) else { return 0 };
    // The first period fades into the second, which then goes on as it was.
    for index in 0..period {
        let weight = (index as f32 + 0.5) / period as f32;
        let (here, next) = (sound[start + index], sound[start + period + index]);
        sound[start + index] = here + (next - here) * weight;
    }
    sound.drain(start + period..start + 2 * period);
    period
}

/// Repeats one period around `at`, where at least half of [`SEARCH_SAMPLES`] should lie on both sides; says how many
/// samples were added, 0 when no two periods are at least this alike.
pub(super) fn lengthen(sound: &mut Vec<f32>, at: usize, likeness: f32) -> usize {
    let longest = MAX_PERIOD.min(at).min(sound.len().saturating_sub(at));
    let pair = |period: usize| (&sound[at - period..at], &sound[at..at + period]);
    let Some(period) = find_period(longest, pair, likeness) else { return 0 };
    // What comes next fades back into what was just played, which leads to what comes next once more.
    let inserted: Vec<f32> = (0..period)
        .map(|index| {
            let weight = (index as f32 + 0.5) / period as f32;
            let (next, before) = (sound[at + index], sound[at - period + index]);
            next + (before - next) * weight
        })
        .collect();
    sound.splice(at..at, inserted);
    period
}

/// The period, up to `longest`, for which the two stretches of sound that `pair` gives are most alike, if they are
/// alike enough or too quiet to tell.
fn find_period<'a>(longest: usize, pair: impl Fn(usize) -> (&'a [f32], &'a [f32]), likeness: f32) -> Option<usize> {
    if longest < MIN_PERIOD {
        return None;
    }
    let (first, second) = pair(longest);
    if rms(first).max(rms(second)) < QUIET_RMS {
        return Some(longest);
    }
    let most_alike = |periods: &mut dyn Iterator<Item = usize>, step| {
        periods.map(|period| (period, correlation(pair(period), step))).max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (coarse, _) = most_alike(&mut (MIN_PERIOD..=longest).step_by(COARSE), COARSE)?;
    let around = coarse.saturating_sub(COARSE).max(MIN_PERIOD)..=(coarse + COARSE).min(longest);
    let (period, best) = most_alike(&mut { around }, 1)?;
    (best >= likeness).then_some(period)
}

/// Normalised correlation of two equally long stretches, over every `step`-th sample: -1..=1.
fn correlation((first, second): (&[f32], &[f32]), step: usize) -> f32 {
    let (mut product, mut energy_first, mut energy_second) = (0.0f32, 1e-9f32, 1e-9f32);
    for (a, b) in first.iter().step_by(step).zip(second.iter().step_by(step)) {
        product += a * b;
        energy_first += a * a;
        energy_second += b * b;
    }
    product / (energy_first * energy_second).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|index| (index as f32 * hz / 48_000.0 * std::f32::consts::TAU).sin() * 0.3).collect()
    }

    /// Largest step between neighbouring samples.
    fn roughest(sound: &[f32]) -> f32 {
        sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_tone_stays_a_tone() {
        for hz in [80.0, 150.0, 237.0, 390.0] {
            let original = tone(hz, 4800);
            let smooth = roughest(&original) * 1.3;
            let mut shorter = original.clone();
            let removed = shorten(&mut shorter, 1000, INAUDIBLE);
            assert!(removed >= MIN_PERIOD, "{hz} Hz: removed {removed}");
            assert_eq!(shorter.len(), original.len() - removed);
            assert!(roughest(&shorter) < smooth, "{hz} Hz: a click of {}", roughest(&shorter));
            let mut longer = original.clone();
            let added = lengthen(&mut longer, 2000, INAUDIBLE);
            assert!(added >= MIN_PERIOD, "{hz} Hz: added {added}");
            assert_eq!(longer.len(), original.len() + added);
            assert!(roughest(&longer) < smooth, "{hz} Hz: a click of {}", roughest(&longer));
        }
    }

    #[test]
    fn noise_is_left_alone_and_silence_is_not() {
        let mut random = crate::media::codec::tests::Random(9);
        let mut noise: Vec<f32> = (0..4800).map(|_| random.below(2000) as f32 / 1000.0 - 1.0).collect();
        assert_eq!(shorten(&mut noise, 0, INAUDIBLE), 0);
        assert_eq!(lengthen(&mut noise, 2000, INAUDIBLE), 0);
        let mut silence = vec![0.0; 4800];
        assert_eq!(shorten(&mut silence, 100, INAUDIBLE), MAX_PERIOD);
        assert_eq!(silence.len(), 4800 - MAX_PERIOD);
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        let mut short = tone(200.0, 200);
        assert_eq!(shorten(&mut short, 0, INAUDIBLE), 0);
        assert_eq!(shorten(&mut short, 500, INAUDIBLE), 0);
        assert_eq!(lengthen(&mut short, 0, INAUDIBLE), 0);
        assert_eq!(lengthen(&mut short, 200, INAUDIBLE), 0);
    }
}
