//! The processing on simulated rooms: an echo path made of a delay and a decaying impulse response, speech near and far.

#![allow(clippy::print_stdout, reason = "figures are shown beside a test's result")]

use std::time::Instant;

use super::*;
use crate::media::audio::reference::{ReferenceTap, echo_reference};
use crate::media::codec::opus::tests::speech;
use crate::media::codec::tests::Random;
use crate::media::frame::rms;

const SECOND: usize = SAMPLE_RATE_HZ as usize;

/// Speech of another person: the same synthesis, read at another pace, so that pitch and rhythm differ.
fn other_speech(samples: usize) -> Vec<f32> {
    let source = speech(samples * 3 / 2 + 2);
    (0..samples)
        .map(|index| {
            let at = index as f32 * 1.43;
            let (whole, part) = (at as usize, at.fract());
            source[whole] + (source[whole + 1] - source[whole]) * part
        })
        .collect()
}

/// Far speech with the hiss of a real one, so that every band has something to cancel.
fn far_speech(samples: usize) -> Vec<f32> {
    let mut random = Random(11);
    let mut envelope = 0.0f32;
    speech(samples)
        .into_iter()
        .enumerate()
        .map(|(index, voice)| {
            let syllable = (index as f32 / SAMPLE_RATE_HZ as f32 * 5.3 * std::f32::consts::TAU).sin().max(0.0);
            envelope += (syllable - envelope) * 0.001;
            voice + (random.below(2001) as f32 / 1000.0 - 1.0) * 0.06 * envelope
        })
        .collect()
}

/// What the microphone hears of the loudspeaker: `delay_ms` later, 10 dB softer, through a room whose reverberation
/// falls by 60 dB in 200 ms.
fn echo_of(far: &[f32], delay_ms: usize) -> Vec<f32> {
    let mut random = Random(7);
    // A sparse response keeps the convolution cheap; its energy is brought to -10 dB.
    let mut taps: Vec<(usize, f32)> = vec![(0, 1.0)];
    taps.extend((1..150).map(|_| {
        let at = random.below(6_000);
        let decay = 10f32.powf(-3.0 * at as f32 / (0.2 * SAMPLE_RATE_HZ as f32));
        (at, decay * 0.25 * (random.below(2001) as f32 / 1000.0 - 1.0))
    }));
    let energy: f32 = taps.iter().map(|(_, weight)| weight * weight).sum();
    let scale = (0.1 / energy).sqrt();
    let delay = delay_ms * SAMPLE_RATE_HZ as usize / 1000;
    (0..far.len())
        .map(|index| {
            taps.iter()
                .filter_map(|(at, weight)| index.checked_sub(delay + at).map(|from| far[from] * weight))
                .sum::<f32>()
                * scale
        })
        .collect()
}

struct Room {
    processor: SoundProcessor,
    tap: Option<ReferenceTap>,
}

impl Room {
    fn new(wished: SoundProcessing) -> Self {
        let (tap, reference) = echo_reference();
        Self { processor: SoundProcessor::new(wished, Some(reference)), tap: Some(tap) }
    }

    /// Plays `far` and records `heard`, 10 ms at a time.
    fn run(&mut self, far: &[f32], heard: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(heard.len());
        for (far, heard) in far.chunks_exact(SAMPLES_10MS).zip(heard.chunks_exact(SAMPLES_10MS)) {
            if let Some(tap) = &mut self.tap {
                tap.write(far.try_into().unwrap(), 20.0);
            }
            let mut block = AudioBlock { samples: heard.to_vec(), channels: 1 };
            self.processor.process(&mut block);
            out.extend_from_slice(&block.samples);
        }
        out
    }
}

const ECHO_ONLY: SoundProcessing =
    SoundProcessing { echo_cancellation: true, noise_suppression: NoiseSuppression::Off, gain_control: false };

fn db(ratio: f32) -> f32 {
    20.0 * ratio.max(1e-9).log10()
}

#[test]
fn an_echo_is_gone_after_a_few_seconds_whatever_its_delay() {
    let far = far_speech(10 * SECOND);
    let nothing = vec![0.0; 10 * SECOND];
    for delay_ms in [20, 60, 150] {
        let echo = echo_of(&far, delay_ms);
        // The canceller alone, against what the same chain leaves of the echo without it.
        let with = Room::new(ECHO_ONLY).run(&far, &echo);
        let without = Room::new(ECHO_ONLY).run(&nothing, &echo);
        let settled = 6 * SECOND..10 * SECOND;
        let erle_db = db(rms(&without[settled.clone()]) / rms(&with[settled]));
        let first_db = db(rms(&without[SECOND..2 * SECOND]) / rms(&with[SECOND..2 * SECOND]));
        println!("echo {delay_ms:3} ms late: {erle_db:.1} dB less after 6 s, {first_db:.1} dB in the second second");
        assert!(erle_db >= 20.0, "{erle_db} dB at {delay_ms} ms");
    }
}

#[test]
fn two_who_speak_at_once_are_both_heard() {
    let far = far_speech(12 * SECOND);
    let near: Vec<f32> = other_speech(12 * SECOND)
        .into_iter()
        .enumerate()
        .map(|(index, sample)| if index < 6 * SECOND { 0.0 } else { sample })
        .collect();
    let echo = echo_of(&far, 60);
    let both: Vec<f32> = echo.iter().zip(&near).map(|(echo, near)| echo + near).collect();
    let out = Room::new(ECHO_ONLY).run(&far, &both);
    let alone = Room::new(ECHO_ONLY).run(&vec![0.0; 12 * SECOND], &near);
    let spoken = 7 * SECOND..12 * SECOND;
    let kept_db = db(rms(&out[spoken.clone()]) / rms(&alone[spoken.clone()]));
    // Segmental: the mean over 20 ms stretches in which the near voice is there.
    let (mut sum, mut count) = (0.0, 0);
    for (out, alone) in out[spoken.clone()].chunks(960).zip(alone[spoken].chunks(960)) {
        if rms(alone) > 0.02 {
            let error: Vec<f32> = out.iter().zip(alone).map(|(a, b)| a - b).collect();
            sum += db(rms(alone) / rms(&error).max(1e-6)).clamp(-10.0, 35.0);
            count += 1;
        }
    }
    let segmental_db = sum / count as f32;
    println!("double talk: near voice kept at {kept_db:.1} dB, segmental SNR {segmental_db:.1} dB");
    assert!(kept_db > -6.0, "the near voice lost {kept_db} dB");
    assert!(segmental_db > 3.0, "{segmental_db} dB");
}

#[test]
fn a_loudspeaker_that_goes_and_comes_leaves_no_echo_for_long() {
    let far = far_speech(14 * SECOND);
    let echo = echo_of(&far, 40);
    let mut room = Room::new(ECHO_ONLY);
    room.run(&far[..5 * SECOND], &echo[..5 * SECOND]);
    // The playout stops writing for two seconds: no sound, no reference.
    let tap = room.tap.take();
    room.run(&vec![0.0; 2 * SECOND], &vec![0.0; 2 * SECOND]);
    room.tap = tap;
    let out = room.run(&far[7 * SECOND..], &echo[7 * SECOND..]);
    let left_db = db(rms(&echo[11 * SECOND..]) / rms(&out[4 * SECOND..]));
    assert!(left_db >= 20.0, "{left_db} dB after it came back");
}

#[test]
fn noise_goes_down_and_the_voice_stays() {
    let mut random = Random(2);
    let mut noise =
        || -> Vec<f32> { (0..6 * SECOND).map(|_| (random.below(2001) as f32 / 1000.0 - 1.0) * 0.02).collect() };
    let voice = speech(6 * SECOND);
    for (wished, least_db) in
        [(NoiseSuppression::Off, -1.5), (NoiseSuppression::Normal, 8.0), (NoiseSuppression::Strong, 16.0)]
    {
        // Echo cancellation stays on in all three, so that what differs is the noise suppression alone.
        let wished = SoundProcessing { echo_cancellation: true, noise_suppression: wished, gain_control: false };
        let nothing = vec![0.0; 6 * SECOND];
        let hum = noise();
        let quieter = Room::new(wished).run(&nothing, &hum);
        let tail = 3 * SECOND..6 * SECOND;
        let noise_db = db(rms(&hum[tail.clone()]) / rms(&quieter[tail.clone()]));
        let noisy: Vec<f32> = voice.iter().zip(noise()).map(|(voice, noise)| voice + noise).collect();
        let spoken = Room::new(wished).run(&nothing, &noisy);
        let voice_db = db(rms(&spoken[tail.clone()]) / rms(&voice[tail]));
        println!("{:?}: noise {noise_db:.1} dB less, voice {voice_db:+.1} dB", wished.noise_suppression);
        assert!(noise_db >= least_db, "{noise_db} dB with {wished:?}");
        assert!(voice_db > -6.0, "the voice lost {voice_db} dB with {wished:?}");
    }
}

#[test]
fn soft_and_loud_voices_come_to_one_level_and_nothing_clips() {
    let gain_only =
        SoundProcessing { echo_cancellation: false, noise_suppression: NoiseSuppression::Off, gain_control: true };
    // People pause between sentences, and no room is quite silent.
    let mut random = Random(9);
    let voice: Vec<f32> = speech(24 * SECOND)
        .into_iter()
        .enumerate()
        .map(|(index, sample)| if index % (2 * SECOND) < 3 * SECOND / 2 { sample } else { 0.0 })
        .map(|sample| sample + (random.below(2001) as f32 / 1000.0 - 1.0) * 1e-4)
        .collect();
    let mut levels = Vec::new();
    for level_dbfs in [-42.0f32, -30.0, -20.0, -12.0] {
        let scale = 10f32.powf(level_dbfs / 20.0) / rms(&voice);
        let input: Vec<f32> = voice.iter().map(|sample| (sample * scale).clamp(-1.0, 1.0)).collect();
        let out = Room::new(gain_only).run(&vec![0.0; input.len()], &input);
        assert!(out.iter().all(|sample| sample.abs() < 1.0), "clipped at {level_dbfs} dBFS");
        let settled_dbfs = db(rms(&out[18 * SECOND..]));
        println!("a voice of {level_dbfs} dBFS comes out at {settled_dbfs:.1} dBFS");
        levels.push(settled_dbfs);
    }
    let spread = levels.iter().fold(f32::MIN, |a, b| a.max(*b)) - levels.iter().fold(f32::MAX, |a, b| a.min(*b));
    assert!(spread < 8.0, "30 dB apart before, {spread} after: {levels:?}");
    assert!(levels.iter().all(|level| (-28.0..=-18.0).contains(level)), "{levels:?}");
    // Silence and a whisper of noise are not lifted.
    let mut random = Random(4);
    let hiss: Vec<f32> = (0..10 * SECOND).map(|_| (random.below(2001) as f32 / 1000.0 - 1.0) * 0.0005).collect();
    let out = Room::new(gain_only).run(&vec![0.0; hiss.len()], &hiss);
    let lifted_dbfs = db(rms(&out[8 * SECOND..]));
    assert!(lifted_dbfs < -50.0, "hiss of {} dBFS came out at {lifted_dbfs}", db(rms(&hiss)));
}

#[test]
fn odd_blocks_pass_and_nothing_switched_on_changes_nothing() {
    let mut plain = SoundProcessor::new(SoundProcessing::NONE, None);
    let stereo = AudioBlock { samples: speech(2 * SAMPLES_10MS), channels: 2 };
    let mut block = stereo.clone();
    plain.process(&mut block);
    assert_eq!(block, stereo);
    let mut all = SoundProcessor::new(SoundProcessing::MICROPHONE, None);
    all.process(&mut block);
    assert_eq!((block.channels, block.samples.len()), (1, SAMPLES_10MS));
    for (samples, channels) in
        [(vec![], 1), (vec![0.1; 7], 1), (vec![f32::NAN; SAMPLES_10MS], 1), (vec![9e9; 960], 2), (vec![0.1; 3], 0)]
    {
        let mut block = AudioBlock { samples, channels };
        all.process(&mut block);
    }
    let mut block = AudioBlock { samples: speech(SAMPLES_10MS), channels: 1 };
    all.process(&mut block);
    assert!(block.samples.iter().all(|sample| sample.is_finite() && sample.abs() <= 1.0));
}

#[test]
fn the_processing_takes_a_small_part_of_its_time() {
    let far = far_speech(4 * SECOND);
    let echo = echo_of(&far, 30);
    let strongest = SoundProcessing { noise_suppression: NoiseSuppression::Strong, ..SoundProcessing::MICROPHONE };
    for wished in [SoundProcessing::MICROPHONE, strongest] {
        let mut room = Room::new(wished);
        let started = Instant::now();
        room.run(&far, &echo);
        let share = started.elapsed().as_secs_f32() / 4.0;
        println!("{:?}: {:.2} ms for 10 ms", wished.noise_suppression, share * 10.0);
    }
}
