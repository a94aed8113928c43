//! Voices rendered without a clock: which ear hears them first and louder, how far they fade, and that nothing clicks.

use super::*;
use crate::media::audio::allocations::allocations_in;
use crate::media::frame::rms;
use crate::model::sound::VoicePlace;

const RATE_HZ: f32 = 48_000.0;
type Ear = Vec<f32>;

fn stage() -> Stage {
    Stage::with_ears(Ears::kemar().unwrap())
}

fn voice_at(from: [f32; 3]) -> StageVoice {
    let mut voice = StageVoice::default();
    voice.put(VoicePlace { from: Some(from), volume: 1.0 });
    voice
}

/// Noise with the spectrum of speech, roughly, the same each time.
fn noise(seed: u32) -> impl FnMut() -> [f32; SAMPLES_10MS] {
    let (mut state, mut low) = (seed.wrapping_mul(747_796_405) | 1, 0.0);
    move || {
        std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            low += 0.25 * (white - low);
            low * 0.2
        })
    }
}

fn tone(hz: f32, amplitude: f32) -> impl FnMut() -> [f32; SAMPLES_10MS] {
    let mut at = 0;
    move || {
        std::array::from_fn(|_| {
            at += 1;
            (at as f32 / RATE_HZ * hz * std::f32::consts::TAU).sin() * amplitude
        })
    }
}

/// What both ears hear of one voice, block by block, the first 100 ms left out.
fn heard(
    stage: &mut Stage,
    voice: &mut StageVoice,
    blocks: usize,
    mut sound: impl FnMut() -> [f32; SAMPLES_10MS],
    mut before: impl FnMut(usize, &mut Stage, &mut StageVoice),
) -> [Ear; 2] {
    let mut ears = [Ear::new(), Ear::new()];
    for block in 0..blocks {
        before(block, stage, voice);
        stage.add(voice, &sound(), (1.0, 1.0));
        let out = stage.finish();
        if block >= 10 {
            ears.iter_mut().zip(out).for_each(|(ear, out)| ear.extend(out));
        }
    }
    ears
}

fn heard_from(from: [f32; 3]) -> [Ear; 2] {
    heard(&mut stage(), &mut voice_at(from), 60, noise(1), |_, _, _| {})
}

fn level_db(sound: &[f32]) -> f32 {
    20.0 * rms(sound).max(1e-9).log10()
}

/// By how many ms the second is later than the first, within 1.5 ms.
fn later_ms([first, second]: &[Ear; 2]) -> f32 {
    const REACH: usize = 72;
    let middle = &first[REACH..first.len() - REACH];
    let like = |lag: usize| middle.iter().zip(&second[lag..]).map(|(a, b)| a * b).sum::<f32>();
    let best = (0..2 * REACH).max_by(|a, b| like(*a).total_cmp(&like(*b))).unwrap();
    (best as f32 - REACH as f32) / 48.0
}

/// The largest change from one sample to the next.
fn roughest(ears: &[Ear; 2]) -> f32 {
    let steps = ears.iter().flat_map(|ear| ear.windows(2).map(|pair| (pair[1] - pair[0]).abs()));
    steps.fold(0.0, f32::max)
}

#[test]
fn the_nearer_ear_hears_first_and_louder() {
    let difference = |[left, right]: &[Ear; 2]| level_db(left) - level_db(right);
    let (left, right) = (heard_from([-3.0, 0.0, 0.0]), heard_from([3.0, 0.0, 0.0]));
    assert!((4.0..20.0).contains(&difference(&left)), "{} dB", difference(&left));
    assert!((4.0..20.0).contains(&-difference(&right)), "{} dB", difference(&right));
    assert!((0.5..1.0).contains(&later_ms(&left)), "{} ms", later_ms(&left));
    assert!((0.5..1.0).contains(&-later_ms(&right)), "{} ms", later_ms(&right));
    for (place, from) in [("front", [0.0, 0.0, -3.0]), ("back", [0.0, 0.0, 3.0]), ("above", [0.0, 3.0, -0.1])] {
        let ears = heard_from(from);
        assert!(difference(&ears).abs() < 1.5, "{place}: {} dB", difference(&ears));
        assert!(later_ms(&ears).abs() < 0.07, "{place}: {} ms", later_ms(&ears));
    }
    let half_left = heard_from([-2.0, 0.0, -2.0]);
    assert!(difference(&half_left) > 2.0 && difference(&half_left) < difference(&left) + 3.0);
    assert!(later_ms(&half_left) > 0.25 && later_ms(&half_left) < later_ms(&left));
}

#[test]
fn what_is_behind_sounds_duller_than_what_is_in_front() {
    let bright_db = |from| {
        let [left, _] = heard_from(from);
        let differences: Ear = left.windows(2).map(|pair| pair[1] - pair[0]).collect();
        level_db(&differences) - level_db(&left)
    };
    let (front, back) = (bright_db([0.0, 0.0, -3.0]), bright_db([0.0, 0.0, 3.0]));
    assert!(front - back > 0.5, "{front} dB in front, {back} dB behind");
}

#[test]
fn a_voice_in_front_is_as_loud_as_plain_and_one_far_away_little_quieter() {
    let plain = heard(&mut Stage::new(), &mut StageVoice::default(), 60, noise(1), |_, _, _| {});
    let at = |distance: f32| {
        let ears = heard_from([0.0, 0.0, -distance]);
        (level_db(&ears[0]) + level_db(&ears[1])) * 0.5 - level_db(&plain[0])
    };
    assert!(at(1.5).abs() < 2.5, "{} dB nearby", at(1.5));
    assert!((at(0.6) - at(1.5)).abs() < 0.5, "no louder than nearby: {} dB", at(0.6));
    let levels: Vec<f32> = [1.5, 3.0, 6.0, 11.0, 18.0, 900.0].map(at).to_vec();
    assert!(levels.windows(2).all(|pair| pair[1] < pair[0] + 0.05), "{levels:?}");
    assert!((levels[0] - levels[5]) < 6.1 && (levels[0] - levels[5]) > 3.0, "{levels:?}");
    assert!((levels[4] - levels[5]).abs() < 0.1, "{levels:?}");
}

#[test]
fn twenty_five_voices_around_stay_in_range() {
    let mut stage = stage();
    let mut voices: Vec<_> = (0..25)
        .map(|n| {
            let angle = n as f32 * 0.251;
            (voice_at([angle.sin() * 6.0, 0.0, angle.cos() * 6.0]), noise(n + 1))
        })
        .collect();
    let mut last = [[0.0; SAMPLES_10MS]; 2];
    for _ in 0..60 {
        for (voice, sound) in &mut voices {
            stage.add(voice, &sound().map(|sample| sample * 6.0), (1.0, 1.0));
        }
        last = stage.finish();
        assert!(last.iter().flatten().all(|sample| sample.abs() <= 1.0));
    }
    assert!(rms(&last[0]) > 0.1 && rms(&last[1]) > 0.1, "still loud");
}

#[test]
fn nothing_clicks_when_people_move_or_jump_or_the_hearing_changes() {
    let around = |angle: f32| [angle.sin() * 3.0, 0.0, -angle.cos() * 3.0];
    let mut still = 0.0f32;
    for step in 0..12 {
        let mut voice = voice_at(around(step as f32 * 0.52));
        still = still.max(roughest(&heard(&mut stage(), &mut voice, 30, tone(200.0, 0.3), |_, _, _| {})));
    }
    let moving = heard(&mut stage(), &mut voice_at(around(0.0)), 400, tone(200.0, 0.3), |block, _, voice| {
        // Half a turn a second.
        voice.put(VoicePlace { from: Some(around(block as f32 * 0.0314)), volume: 1.0 });
    });
    assert!(roughest(&moving) < still * 1.25, "{} moving, {still} at rest", roughest(&moving));
    let jumping = heard(&mut stage(), &mut voice_at(around(0.0)), 400, tone(200.0, 0.3), |block, _, voice| {
        let from = (block % 60 < 45).then(|| around((block / 15) as f32 * 2.1));
        voice.put(VoicePlace { from, volume: 1.0 });
    });
    assert!(roughest(&jumping) < still * 1.6, "{} jumping, {still} at rest", roughest(&jumping));
    let switching = heard(&mut stage(), &mut voice_at(around(1.0)), 400, tone(200.0, 0.3), |block, stage, _| {
        let hearing = if block % 40 < 20 { Hearing::Spatial } else { Hearing::Plain };
        stage.listen(hearing, &Listener::default());
    });
    assert!(roughest(&switching) < still * 1.6, "{} switching, {still} at rest", roughest(&switching));
}

#[test]
fn plain_hearing_is_the_plain_sum_in_both_ears() {
    let mut spatial = stage();
    spatial.listen(Hearing::Plain, &Listener::default());
    for mut stage in [Stage::new(), spatial] {
        let (mut a, mut b) = (voice_at([-3.0, 0.0, 0.0]), voice_at([9.0, 1.0, 4.0]));
        let (mut first, mut second) = (noise(1), noise(2));
        for _ in 0..20 {
            let (x, y) = (first(), second());
            stage.add(&mut a, &x, (1.0, 1.0));
            stage.add(&mut b, &y, (0.5, 0.5));
            let out = stage.finish();
            let sum: [f32; SAMPLES_10MS] = std::array::from_fn(|at| x[at] + y[at] * 0.5);
            assert_eq!(out, [sum, sum], "to the bit");
        }
    }
}

#[test]
fn who_speaks_to_all_is_heard_alike_in_both_ears_at_full_level() {
    let mut voice = StageVoice::default();
    let [left, right] = heard(&mut stage(), &mut voice, 60, noise(1), |_, _, _| {});
    let [plain, _] = heard(&mut Stage::new(), &mut StageVoice::default(), 60, noise(1), |_, _, _| {});
    assert!(left == right && left == plain, "no room, no direction");
}

#[test]
fn what_is_no_sound_does_no_harm() {
    let (mut stage, mut voice, mut sound) = (stage(), voice_at([1.0, 0.0, 0.0]), noise(1));
    for block in 0..40 {
        let mut samples = sound();
        if block == 10 {
            samples[100] = f32::NAN;
            samples[200] = f32::INFINITY;
        }
        stage.add(&mut voice, &samples, (1.0, 1.0));
        let out = stage.finish();
        assert!(out.iter().flatten().all(|sample| sample.abs() <= 1.0), "block {block}");
    }
    let out = heard(&mut stage, &mut voice, 30, sound, |_, _, _| {});
    assert!(rms(&out[0]) > 0.01, "and it goes on");
}

#[test]
fn the_room_comes_to_rest() {
    let (mut stage, mut voice) = (stage(), voice_at([1.0, 0.0, -2.0]));
    heard(&mut stage, &mut voice, 30, noise(1), |_, _, _| {});
    let after = heard(&mut stage, &mut voice, 260, || [0.0; SAMPLES_10MS], |_, _, _| {});
    assert_eq!(rms(&after[0][after[0].len() - 4_800..]), 0.0);
}

#[test]
fn neither_voices_that_stay_nor_voices_that_move_allocate() {
    let mut stage = stage();
    let mut voices: Vec<StageVoice> = (0..25).map(|n| voice_at([n as f32 - 12.0, 0.0, -5.0])).collect();
    let mut sound = noise(1);
    let counted = allocations_in(|| {
        for block in 0..30 {
            for (at, voice) in voices.iter_mut().enumerate() {
                if at % 2 == 0 {
                    voice.put(VoicePlace { from: Some([at as f32 - 12.0, 0.0, block as f32 - 15.0]), volume: 1.0 });
                }
                stage.add(voice, &sound(), (1.0, 1.0));
            }
            std::hint::black_box(stage.finish());
        }
    });
    assert_eq!(counted, 0);
}
