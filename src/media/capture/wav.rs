//! Sound from a WAV file, over and over, brought to 48 000 Hz. The file is held in memory; the rest runs on the thread
//! that pulls the source. Format: Microsoft RIFF WAVE, PCM 16 and 24 bits, float 32 bits.

use super::pace::Pace;
use super::resample::Resampler;
use crate::media::frame::{AudioBlock, SAMPLES_10MS};
use crate::media::source::{AudioSource, CaptureError};

/// Sampling rates that work, in Hz.
const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// How one sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Pcm16,
    Pcm24,
    Float32,
}

impl Encoding {
    const fn bytes(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::Pcm24 => 3,
            Self::Float32 => 4,
        }
    }
}

/// A parsed file. Holds at least one frame.
#[derive(Debug)]
struct Wave {
    encoding: Encoding,
    channels: usize,
    rate_hz: u32,
    bytes: Vec<u8>,
    data_at: usize,
    frames: usize,
}

impl Wave {
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
            return Err("it is no WAV file; convert with `ffmpeg -i IN -c:a pcm_s16le OUT.wav`".into());
        }
        let mut at = 12;
        let mut format: Option<(Encoding, usize, u32)> = None;
        loop {
            let Some(head) = bytes.get(at..at + 8) else { return Err("it has no sound (no data chunk)".into()) };
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let rest = bytes.len() - at - 8;
            if &head[..4] == b"data" {
                let (encoding, channels, rate_hz) = format.ok_or("its sound comes before its format")?;
                // Programs that write to a pipe cannot know the size and leave the largest.
                let size = if size == u32::MAX as usize { rest } else { size };
                if size > rest {
                    return Err(format!("it is cut short: {rest} of {size} bytes of sound"));
                }
                let frames = size / (encoding.bytes() * channels);
                if frames == 0 {
                    return Err("it holds no sound".into());
                }
                return Ok(Self { encoding, channels, rate_hz, bytes, data_at: at + 8, frames });
            }
            if size > rest {
                return Err("it is cut short, or a chunk says a wrong size".into());
            }
            if &head[..4] == b"fmt " {
                format = Some(parse_format(&bytes[at + 8..at + 8 + size])?);
            }
            // Chunks begin at even offsets.
            at += 8 + size + size % 2;
        }
    }

    /// One sample, -1..=1.
    fn sample(&self, frame: usize, channel: usize) -> f32 {
        let width = self.encoding.bytes();
        let at = self.data_at + (frame * self.channels + channel) * width;
        let b = &self.bytes[at..at + width];
        match self.encoding {
            Encoding::Pcm16 => f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0,
            Encoding::Pcm24 => (i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8) as f32 / 8_388_608.0,
            Encoding::Float32 => {
                let value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 }
            }
        }
    }
}

fn parse_format(chunk: &[u8]) -> Result<(Encoding, usize, u32), String> {
    let word = |at: usize| chunk.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let (Some(tag), Some(channels), Some(bits)) = (word(0), word(2), word(14)) else {
        return Err("its format chunk is too short".into());
    };
    let rate_hz = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
    // The extensible format keeps the true tag in the first two bytes of a GUID.
    let tag = if tag == 0xFFFE { word(24).ok_or("its format chunk is too short")? } else { tag };
    let encoding = match (tag, bits) {
        (1, 16) => Encoding::Pcm16,
        (1, 24) => Encoding::Pcm24,
        (3, 32) => Encoding::Float32,
        _ => return Err(format!("its encoding is {tag} with {bits} bits; PCM of 16 or 24 and float of 32 bits work")),
    };
    if !(1..=2).contains(&channels) {
        return Err(format!("it has {channels} channels; 1 or 2 work"));
    }
    if !RATES_HZ.contains(&rate_hz) {
        return Err(format!("its sampling rate is {rate_hz} Hz; 4000 to 384000 work"));
    }
    Ok((encoding, usize::from(channels), rate_hz))
}

/// See [`super::open_audio_file`].
#[derive(Debug)]
pub(super) struct WavSource {
    wave: Wave,
    pace: Pace,
    resampler: Resampler,
}

impl WavSource {
    /// Reads a whole file.
    pub fn new(bytes: Vec<u8>, what: String) -> Result<Self, CaptureError> {
        Wave::parse(bytes).map(Self::of).map_err(|why| CaptureError::Format { what, why })
    }

    fn of(wave: Wave) -> Self {
        let resampler = Resampler::new(wave.rate_hz);
        Self { wave, pace: Pace::new(100.0, 20), resampler }
    }

    fn block(&mut self) -> AudioBlock {
        let channels = self.wave.channels;
        let mut samples = vec![0.0; SAMPLES_10MS * channels];
        let wave = &self.wave;
        for frame in samples.chunks_exact_mut(channels) {
            self.resampler.next(frame, wave.frames, |index, channel| wave.sample(index, channel));
        }
        AudioBlock { samples, channels: channels as u8 }
    }
}

impl AudioSource for WavSource {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        self.pace.wait();
        Ok(Some(self.block()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(tag: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = tag.to_vec();
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let mut body = tag.to_le_bytes().to_vec();
        body.extend(channels.to_le_bytes());
        body.extend(rate.to_le_bytes());
        body.extend([0; 6]);
        body.extend(bits.to_le_bytes());
        chunk(b"fmt ", &body)
    }

    fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        bytes.extend(chunks.concat());
        bytes
    }

    /// A sine of 1 s at half the full level, as 16-bit mono.
    fn sine(hz: f32, rate: u32) -> Vec<u8> {
        let sample = |i: u32| ((std::f32::consts::TAU * hz * i as f32 / rate as f32).sin() * 16_384.0) as i16;
        let data: Vec<u8> = (0..rate).flat_map(|i| sample(i).to_le_bytes()).collect();
        riff(&[format(1, 1, rate, 16), chunk(b"data", &data)])
    }

    fn play(file: Vec<u8>, blocks: usize) -> Vec<f32> {
        let mut source = WavSource::of(Wave::parse(file).unwrap());
        (0..blocks).flat_map(|_| source.block().samples).collect()
    }

    #[test]
    fn every_rate_gives_the_same_tone_across_the_loop() {
        for rate in [8_000, 16_000, 44_100, 48_000, 96_000, 192_000] {
            let heard = play(sine(1000.0, rate), 150);
            let worst = heard.iter().enumerate().map(|(i, s)| {
                (s - 0.5 * (std::f32::consts::TAU * 1000.0 * (i % 48_000) as f32 / 48_000.0).sin()).abs()
            });
            let worst = worst.fold(0.0, f32::max);
            assert!(worst < 0.003, "{rate} Hz: worst error {worst}");
        }
    }

    #[test]
    fn tones_above_the_new_limit_do_not_alias() {
        let heard = play(sine(30_000.0, 96_000), 50);
        let level = crate::media::frame::rms(&heard[480..]);
        assert!(level < 0.003, "{level}");
    }

    #[test]
    fn stereo_24_bits_and_float_are_read() {
        let data = [[0x00, 0x00, 0x40], [0x00, 0x00, 0xC0]].concat().repeat(960);
        let heard = play(riff(&[format(1, 2, 48_000, 24), chunk(b"LIST", b"odd"), vec![0], chunk(b"data", &data)]), 1);
        assert_eq!(heard[..4], [0.5, -0.5, 0.5, -0.5]);
        let data: Vec<u8> = [0.25_f32, f32::NAN, 9.0].iter().flat_map(|s| s.to_le_bytes()).collect();
        let heard = play(riff(&[format(3, 1, 48_000, 32), chunk(b"data", &data)]), 1);
        assert_eq!(heard[..4], [0.25, 0.0, 1.0, 0.25]);
    }

    #[test]
    fn hostile_files_get_a_clear_error() {
        let data = chunk(b"data", &[0; 64]);
        let fmt = format(1, 1, 48_000, 16);
        let mut cut = riff(&[fmt.clone(), data.clone()]);
        cut.truncate(cut.len() - 10);
        let mut huge = riff(&[fmt.clone(), b"LIST".to_vec(), u32::MAX.to_le_bytes().to_vec()]);
        huge.extend([0; 16]);
        for (bytes, part) in [
            (Vec::new(), "no WAV"),
            (b"RIFF\0\0\0\0WAVX".to_vec(), "no WAV"),
            (riff(&[]), "no sound"),
            (riff(std::slice::from_ref(&fmt)), "no sound"),
            (riff(std::slice::from_ref(&data)), "before its format"),
            (riff(&[fmt.clone(), chunk(b"data", &[])]), "no sound"),
            (riff(&[chunk(b"fmt ", &[1, 0, 1]), data.clone()]), "too short"),
            (riff(&[format(1, 0, 48_000, 16), data.clone()]), "0 channels"),
            (riff(&[format(1, 6, 48_000, 16), data.clone()]), "6 channels"),
            (riff(&[format(1, 1, 0, 16), data.clone()]), "0 Hz"),
            (riff(&[format(1, 1, u32::MAX, 16), data.clone()]), "sampling rate"),
            (riff(&[format(2, 1, 48_000, 4), data.clone()]), "encoding is 2"),
            (riff(&[format(0xFFFE, 1, 48_000, 16), data]), "too short"),
            (cut, "cut short: 54 of 64"),
            (huge, "wrong size"),
        ] {
            let error = Wave::parse(bytes).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
        // Noise behind a valid start never panics.
        for seed in 0..2000 {
            let noise: Vec<u8> = (0..96)
                .map(|i| (super::super::rhythm::mix(seed, i) >> 32) as u8 & [1, 3, 255][seed as usize % 3])
                .collect();
            let _parsed = Wave::parse(riff(&[noise])).is_ok();
        }
    }
}
