//! The room's answer to all voices together: a few early reflections and a soft, short tail. Plain data, used by the
//! playout thread; no allocation once set up, no lock.
//!
//! The tail is a feedback delay network (Jot and Chaigne, "Digital delay networks for designing artificial
//! reverberators", AES 90, 1991) with a Householder matrix, behind two allpasses (Schroeder, "Natural sounding
//! artificial reverberation", JAES 10, 1962). A stone hall of this size would ring for seconds; this one is furnished
//! for talking.

use crate::media::frame::SAMPLES_10MS;

/// Time in which the tail falls by 60 dB, in seconds: at low frequencies, and at the highest.
const DECAY_SECS: f32 = 0.55;
const BRIGHT_DECAY_SECS: f32 = 0.3;
/// Level of the tail and of the reflections: a voice nearby is some 14 dB above both together, one across the hall 8.
const TAIL_GAIN: f32 = 0.072;
const EARLY_GAIN: f32 = 0.09;
/// Delays of the network's lines, in samples, without common factors: 20 to 49 ms.
const LINES: [usize; 8] = [967, 1103, 1277, 1451, 1667, 1877, 2089, 2347];
/// Delays of the two allpasses in samples, and their gain.
const ALLPASSES: [usize; 2] = [149, 211];
const ALLPASS_GAIN: f32 = 0.6;
/// Reflections from floor, steps and walls for each ear: delay in samples and gain.
const EARLY: [[(usize, f32); 4]; 2] =
    [[(401, 0.9), (787, -0.7), (1249, 0.55), (1777, -0.4)], [(467, 0.85), (709, 0.7), (1361, -0.5), (1693, 0.45)]];
/// Longer than any reflection takes.
const EARLY_ROOM: usize = 2048;
/// Blocks of silence after which nothing is left to hear: 1.5 s.
const SILENT_BLOCKS: u32 = 150;
/// How much of the low end stays out of the tail: a one-pole high pass at about 150 Hz keeps rumble from building up.
const RUMBLE: f32 = 0.02;

/// See the module.
pub(super) struct Reverb {
    early: Box<[f32; EARLY_ROOM]>,
    at: usize,
    allpasses: [Delay; 2],
    lines: [Line; 8],
    low: f32,
    silent_blocks: u32,
}

/// A ring that gives back what was put in so many samples before.
struct Delay {
    ring: Box<[f32]>,
    at: usize,
}

impl Delay {
    fn new(samples: usize) -> Self {
        Self { ring: vec![0.0; samples].into_boxed_slice(), at: 0 }
    }

    fn oldest(&self) -> f32 {
        self.ring[self.at]
    }

    fn put(&mut self, sample: f32) {
        self.ring[self.at] = sample;
        self.at = if self.at + 1 == self.ring.len() { 0 } else { self.at + 1 };
    }
}

/// A line of the network with its losses.
struct Line {
    delay: Delay,
    /// What a turn leaves of low frequencies.
    gain: f32,
    /// Weight of the new sample in the low pass that dulls each turn.
    bright: f32,
    dulled: f32,
}

impl Line {
    fn new(samples: usize) -> Self {
        let kept = |decay_secs: f32| 10f32.powf(-3.0 * samples as f32 / 48_000.0 / decay_secs);
        let (gain, highest) = (kept(DECAY_SECS), kept(BRIGHT_DECAY_SECS));
        // y += b (x - y) leaves b / (2 - b) of the highest frequency.
        let share = highest / gain;
        Self { delay: Delay::new(samples), gain, bright: 2.0 * share / (1.0 + share), dulled: 0.0 }
    }

    fn next(&mut self) -> f32 {
        self.dulled += self.bright * (self.delay.oldest() - self.dulled);
        self.dulled * self.gain
    }
}

impl Reverb {
    pub(super) fn new() -> Self {
        Self {
            early: Box::new([0.0; EARLY_ROOM]),
            at: 0,
            allpasses: ALLPASSES.map(Delay::new),
            lines: LINES.map(Line::new),
            low: 0.0,
            silent_blocks: SILENT_BLOCKS,
        }
    }

    /// Adds the answer to 10 ms of voices to the left and the right.
    pub(super) fn add(&mut self, voices: &[f32; SAMPLES_10MS], out: &mut [[f32; SAMPLES_10MS]; 2]) {
        let silent = voices.iter().all(|sample| *sample == 0.0);
        self.silent_blocks = if silent { (self.silent_blocks + 1).min(SILENT_BLOCKS) } else { 0 };
        if self.silent_blocks == SILENT_BLOCKS {
            return;
        }
        let [left, right] = out;
        for ((voice, left), right) in voices.iter().zip(left).zip(right) {
            let answer = self.next(*voice);
            *left += answer[0];
            *right += answer[1];
        }
    }

    fn next(&mut self, voice: f32) -> [f32; 2] {
        self.low += RUMBLE * (voice - self.low);
        let voice = voice - self.low;
        self.early[self.at] = voice;
        let early = EARLY.map(|taps| {
            let reflections = taps.map(|(delay, gain)| self.early[(self.at + EARLY_ROOM - delay) % EARLY_ROOM] * gain);
            reflections.iter().sum::<f32>() * EARLY_GAIN
        });
        self.at = (self.at + 1) % EARLY_ROOM;
        let mut diffuse = voice;
        for allpass in &mut self.allpasses {
            let before = allpass.oldest();
            let inside = diffuse + before * ALLPASS_GAIN;
            allpass.put(inside);
            diffuse = before - inside * ALLPASS_GAIN;
        }
        let turns: [f32; 8] = std::array::from_fn(|line| self.lines[line].next());
        let mean = turns.iter().sum::<f32>() * (2.0 / turns.len() as f32);
        for (line, turn) in self.lines.iter_mut().zip(turns) {
            line.delay.put(diffuse + turn - mean);
        }
        // Two mixes of the lines that have nothing in common.
        let left = turns[0] - turns[1] + turns[2] - turns[3] + turns[4] - turns[5] + turns[6] - turns[7];
        let right = turns[0] + turns[1] - turns[2] - turns[3] + turns[4] + turns[5] - turns[6] - turns[7];
        [early[0] + left * TAIL_GAIN, early[1] + right * TAIL_GAIN]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a click, for so many blocks.
    fn answer(blocks: usize) -> [Vec<f32>; 2] {
        let mut reverb = Reverb::new();
        let mut heard = [Vec::new(), Vec::new()];
        for block in 0..blocks {
            let mut voices = [0.0; SAMPLES_10MS];
            voices[0] = if block == 0 { 1.0 } else { 0.0 };
            let mut out = [[0.0; SAMPLES_10MS]; 2];
            reverb.add(&voices, &mut out);
            heard.iter_mut().zip(out).for_each(|(heard, out)| heard.extend(out));
        }
        heard
    }

    fn energy(sound: &[f32]) -> f32 {
        sound.iter().map(|sample| sample * sample).sum()
    }

    #[test]
    fn it_is_quiet_beside_a_voice_and_gone_within_a_second() {
        let heard = answer(300);
        for ear in &heard {
            let whole_db = 10.0 * energy(ear).log10();
            assert!((-19.5..-12.0).contains(&whole_db), "{whole_db} dB beside the voice");
            // What comes within 50 ms helps understanding, what comes later blurs it (definition, ISO 3382-1).
            let late_db = 10.0 * energy(&ear[2_400..]).log10();
            assert!(late_db < -14.0, "{late_db} dB after 50 ms");
            assert!(energy(&ear[48_000..]) < energy(ear) * 1e-5, "still there after a second");
            assert_eq!(energy(&ear[ear.len() - 4_800..]), 0.0, "and at rest in the end");
        }
        let alike = heard[0].iter().zip(&heard[1]).map(|(left, right)| left * right).sum::<f32>();
        assert!(alike.abs() < 0.3 * energy(&heard[0]), "it surrounds: {alike}");
    }

    #[test]
    fn it_falls_evenly() {
        let [left, _] = answer(80);
        let parts: Vec<f32> = left[4_800..38_400].chunks(4_800).map(energy).collect();
        assert!(parts.windows(2).all(|pair| pair[1] < pair[0] * 0.6), "{parts:?}");
    }
}
