//! Sound that resembles speech: a pulse train through three vowel formants, fricatives, pauses. Runs on the thread that
//! pulls it.

use super::pace::Pace;
use super::rhythm::{Rhythm, mix, share};
use super::stamp::unix_now_ms;
use crate::media::frame::{AudioBlock, SAMPLE_RATE_HZ, SAMPLES_10MS, rms};
use crate::media::source::{AudioSource, CaptureError};

/// Level aimed for while speaking, root mean square.
const SPEAKING_RMS: f32 = 0.075;
/// Amplitude of a fricative.
const HISS: f32 = 0.05;
/// No sample goes beyond.
const PEAK: f32 = 0.6;

/// First three formants of some vowels, in Hz, for a voice of medium size (after Peterson and Barney, 1952).
const VOWELS: [[f32; 3]; 7] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [270.0, 2290.0, 3010.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
    [660.0, 1720.0, 2410.0],
    [490.0, 1350.0, 1690.0],
];

/// A two-pole resonance (Klatt 1980, equation 1): unity gain at 0 Hz.
#[derive(Clone, Copy, Debug, Default)]
struct Resonator {
    a: f32,
    b: f32,
    c: f32,
    last: [f32; 2],
}

impl Resonator {
    fn tune(&mut self, hz: f32, bandwidth_hz: f32) {
        let step = 1.0 / SAMPLE_RATE_HZ as f32;
        self.c = -(-2.0 * std::f32::consts::PI * bandwidth_hz * step).exp();
        self.b = 2.0 * (-std::f32::consts::PI * bandwidth_hz * step).exp() * (std::f32::consts::TAU * hz * step).cos();
        self.a = 1.0 - self.b - self.c;
    }

    fn run(&mut self, input: f32) -> f32 {
        let out = self.a * input + self.b * self.last[0] + self.c * self.last[1];
        self.last = [out, self.last[0]];
        out
    }
}

/// Somebody who talks, in no language: mono, 48 000 Hz, 0.075 RMS while talking, silent in between. The
/// syllables are those to which [`PortraitSource`](super::PortraitSource) of the same seed moves its lips.
#[derive(Debug)]
pub struct SpeechSource {
    pace: Pace,
    rhythm: Rhythm,
    voice: Voice,
    start_secs: Option<f64>,
}

impl SpeechSource {
    /// A voice of its own for each seed.
    pub fn new(seed: u64) -> Self {
        // Two hundred milliseconds may be caught up with: sound should have no holes.
        let pace = Pace::new(100.0, 20);
        Self { pace, rhythm: Rhythm::new(seed), voice: Voice::levelled(seed), start_secs: None }
    }
}

impl AudioSource for SpeechSource {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        let (_, since_us) = self.pace.wait();
        let start = *self.start_secs.get_or_insert_with(|| unix_now_ms() as f64 / 1000.0);
        let samples = self.voice.speak(&self.rhythm, start + since_us as f64 / 1e6);
        Ok(Some(AudioBlock { samples, channels: 1 }))
    }
}

/// What the voice is to do for 10 ms.
#[derive(Clone, Copy, Debug)]
struct Sound {
    /// How far the mouth is open, 0..=1.
    open: f32,
    /// Which of [`VOWELS`].
    vowel: usize,
    /// Share of fricative noise, 0..=1.
    hiss: f32,
    pitch_hz: f32,
}

/// The factor from a level heard to the one aimed for.
fn level_gain(heard: f32) -> f32 {
    if heard > 1e-6 { SPEAKING_RMS / heard } else { 1.0 }
}

/// The synthesiser, without a clock.
#[derive(Clone, Debug)]
struct Voice {
    seed: u64,
    pitch_hz: f32,
    /// Formants of this throat beside the medium one's.
    size: f32,
    /// What brings each vowel to the same level.
    gains: [f32; VOWELS.len()],
    gain: f32,
    phase: f32,
    noise: u64,
    last_noise: f32,
    formants: [f32; 3],
    filters: [Resonator; 3],
    open: f32,
}

impl Voice {
    fn new(seed: u64) -> Self {
        let height = share(seed, 21);
        Self {
            seed,
            pitch_hz: 98.0 + 115.0 * height,
            size: 0.92 + 0.22 * height,
            gains: [1.0; VOWELS.len()],
            gain: 1.0,
            phase: 0.0,
            noise: mix(seed, 22) | 1,
            last_noise: 0.0,
            formants: VOWELS[0],
            filters: [Resonator::default(); 3],
            open: 0.0,
        }
    }

    /// A voice whose gains were set by listening to it: each vowel held for a while, then some seconds of speech.
    fn levelled(seed: u64) -> Self {
        let mut voice = Self::new(seed);
        for vowel in 0..VOWELS.len() {
            let mut trial = voice.clone();
            trial.gain = 1.0;
            let held = Sound { open: 1.0, vowel, hiss: 0.0, pitch_hz: voice.pitch_hz };
            let heard = (0..30).map(|_| rms(&trial.sound(held))).last().unwrap_or(0.0);
            voice.gains[vowel] = level_gain(heard);
        }
        voice.gain = voice.gains[0];
        let mut trial = voice.clone();
        let rhythm = Rhythm::new(seed);
        let (mut sum, mut count) = (0.0, 0);
        for block in 0..1000 {
            let secs = f64::from(block) * 0.01;
            let level = rms(&trial.speak(&rhythm, secs));
            if rhythm.at(secs).syllable.is_some() {
                sum += level * level;
                count += 1;
            }
        }
        let heard = (sum / count.max(1) as f32).sqrt();
        let correction = level_gain(heard);
        voice.gains = voice.gains.map(|gain| gain * correction);
        voice.gain = voice.gains[0];
        voice
    }

    /// The 10 ms from `secs` of Unix time on.
    fn speak(&mut self, rhythm: &Rhythm, secs: f64) -> Vec<f32> {
        let moment = rhythm.at(secs);
        let aim = if moment.syllable.is_some() { moment.open } else { 0.0 };
        if aim == 0.0 && self.open < 1e-4 {
            self.open = 0.0;
            return vec![0.0; SAMPLES_10MS];
        }
        let syllable = moment.syllable.unwrap_or(0);
        let chance = mix(self.seed, syllable ^ 0xBEEF);
        let vowel = (chance % VOWELS.len() as u64) as usize;
        // A third of the syllables begin with a fricative.
        let hiss = if chance >> 8 & 3 == 0 { (1.0 - moment.phase / 0.3).max(0.0) * aim.max(0.3) } else { 0.0 };
        // Pitch falls over the utterance and bends a little in each syllable.
        let bend = 0.05 * ((chance >> 16) % 100) as f32 / 100.0 - 0.02;
        let pitch_hz = self.pitch_hz * (1.12 - 0.22 * moment.turn + bend * (moment.phase * 3.0).sin());
        self.sound(Sound { open: aim, vowel, hiss, pitch_hz })
    }

    /// 10 ms on the way to this sound.
    fn sound(&mut self, aim: Sound) -> Vec<f32> {
        // Formants glide to the next vowel within some 50 ms.
        for ((formant, target), (filter, bandwidth)) in
            self.formants.iter_mut().zip(VOWELS[aim.vowel]).zip(self.filters.iter_mut().zip([70.0, 95.0, 140.0]))
        {
            *formant += (target * self.size - *formant) * 0.2;
            filter.tune(*formant, bandwidth);
        }
        self.gain += (self.gains[aim.vowel] - self.gain) * 0.2;
        let step = aim.pitch_hz / SAMPLE_RATE_HZ as f32;
        let mut samples = Vec::with_capacity(SAMPLES_10MS);
        for _ in 0..SAMPLES_10MS {
            self.open += (aim.open - self.open) * 0.004;
            self.phase = (self.phase + step).fract();
            let noise = self.next_noise();
            let bright = noise - self.last_noise;
            self.last_noise = noise;
            let source = (glottal_flow_slope(self.phase) + 0.02 * noise) * self.open;
            let throat = self.filters.iter_mut().fold(source, |sound, filter| filter.run(sound));
            let sound = throat * self.gain + bright * aim.hiss * HISS;
            samples.push(sound.clamp(-PEAK, PEAK));
        }
        samples
    }

    /// White, -1..1 (xorshift64).
    fn next_noise(&mut self) -> f32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// Slope of the flow through the vocal folds over one period: opens slowly, closes fast (Rosenberg 1971, pulse B).
fn glottal_flow_slope(phase: f32) -> f32 {
    const OPENING: f32 = 0.4;
    const CLOSING: f32 = 0.16;
    if phase < OPENING {
        let t = phase / OPENING;
        6.0 * t * (1.0 - t) * CLOSING / OPENING
    } else if phase < OPENING + CLOSING {
        -2.0 * (phase - OPENING) / CLOSING
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_at_the_level_and_is_silent_in_the_pauses() {
        for seed in 0..8 {
            let mut voice = Voice::levelled(seed);
            let rhythm = Rhythm::new(seed);
            let (mut spoken, mut silent) = (Vec::new(), 0);
            for block in 0..2000 {
                let secs = 1.79e9 + f64::from(block) * 0.01;
                let samples = voice.speak(&rhythm, secs);
                assert_eq!(samples.len(), SAMPLES_10MS);
                if rhythm.at(secs).syllable.is_some() {
                    spoken.extend(samples);
                } else if rms(&samples) < 1e-3 {
                    silent += 1;
                }
            }
            let level = rms(&spoken);
            assert!((0.05..0.1).contains(&level), "seed {seed}: {level}");
            assert!(silent > 400, "seed {seed}: {silent} silent blocks of 2000");
            assert!(spoken.iter().all(|s| s.abs() <= PEAK));
        }
    }

    #[test]
    fn it_sounds_like_a_voice_not_like_noise() {
        // Voiced sound repeats with its pitch: the best autocorrelation between 80 and 250 Hz is high.
        let mut voice = Voice::levelled(3);
        let rhythm = Rhythm::new(3);
        let mut best = 0.0_f32;
        for block in 0..1000 {
            let samples: Vec<f32> =
                (0..5).flat_map(|i| voice.speak(&rhythm, f64::from(block * 5 + i) * 0.01)).collect();
            if rms(&samples) > 0.04 {
                let energy: f32 = samples[..1200].iter().map(|s| s * s).sum();
                for lag in 192..600 {
                    let product: f32 = samples[..1200].iter().zip(&samples[lag..]).map(|(a, b)| a * b).sum();
                    best = best.max(product / energy);
                }
            }
        }
        assert!(best > 0.7, "{best}");
    }

    #[test]
    fn blocks_come_every_ten_ms() {
        let mut source = SpeechSource::new(1);
        let start = std::time::Instant::now();
        for _ in 0..20 {
            assert_eq!(source.next_block().unwrap().unwrap().samples.len(), SAMPLES_10MS);
        }
        assert!(start.elapsed() >= std::time::Duration::from_millis(185), "{:?}", start.elapsed());
    }
}
