//! Opus at 48 000 Hz: an encoder set up for speech, or for any sound, over lossy networks, and a decoder with in-band
//! error correction and concealment. Owned by the thread that encodes or decodes.

use opus::{Application, Bitrate, Channels};

use super::CodecError;
use crate::media::frame::{SAMPLE_RATE_HZ, SAMPLES_10MS};

const OPUS: &str = "Opus";
/// Samples per channel the encoder takes: 20 ms.
pub const FRAME_SAMPLES: usize = 2 * SAMPLES_10MS;
/// Most samples per channel one packet can hold: 120 ms (RFC 6716 section 2.1.4).
pub const MAX_PACKET_SAMPLES: usize = 12 * SAMPLES_10MS;
/// Longest packet of a 20 ms frame (RFC 6716 section 3.4), in bytes.
const MAX_FRAME_BYTES: usize = 1275 + 1;
/// Loss the encoder prepares for: enough that it always carries the error correction data.
const EXPECTED_LOSS_PCT: i32 = 10;

/// An Opus encoder for 20 ms blocks.
pub struct OpusEncoder {
    encoder: opus::Encoder,
    channels: usize,
}

impl OpusEncoder {
    /// Sets an encoder up for speech in 1 or 2 channels and a target rate in bits per second (6 000 to 510 000).
    ///
    /// # Errors
    /// [`CodecError`] when a setting is out of range or libopus cannot start.
    pub fn new(channels: u8, bitrate_bps: i32) -> Result<Self, CodecError> {
        Self::with_application(channels, bitrate_bps, Application::Voip)
    }

    /// As [`OpusEncoder::new`], for music and whatever else must stay as it is: for speech libopus takes the bass out.
    ///
    /// # Errors
    /// As [`OpusEncoder::new`].
    pub fn for_music(channels: u8, bitrate_bps: i32) -> Result<Self, CodecError> {
        Self::with_application(channels, bitrate_bps, Application::Audio)
    }

    fn with_application(channels: u8, bitrate_bps: i32, application: Application) -> Result<Self, CodecError> {
        let setting = |why: String| CodecError::Setting { codec: OPUS, why };
        let layout = match channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            other => return Err(setting(format!("{other} channels; 1 or 2 would do"))),
        };
        if !(6_000..=510_000).contains(&bitrate_bps) {
            return Err(setting(format!("{bitrate_bps} bit/s; 6 000 to 510 000 would do")));
        }
        let setup = |error: opus::Error| CodecError::Setup { codec: OPUS, why: error.to_string() };
        let mut encoder = opus::Encoder::new(SAMPLE_RATE_HZ, layout, application).map_err(setup)?;
        encoder.set_bitrate(Bitrate::Bits(bitrate_bps)).map_err(setup)?;
        encoder.set_inband_fec(true).map_err(setup)?;
        encoder.set_packet_loss_perc(EXPECTED_LOSS_PCT).map_err(setup)?;
        Ok(Self { encoder, channels: usize::from(channels) })
    }

    /// Changes the target rate in bits per second, and the loss in percent that the in-band error correction prepares
    /// for; 0 leaves it out.
    ///
    /// # Errors
    /// [`CodecError::Setting`] when libopus refuses.
    pub fn adapt(&mut self, bitrate_bps: i32, loss_percent: i32) -> Result<(), CodecError> {
        self.encoder.set_bitrate(Bitrate::Bits(bitrate_bps)).map_err(setting_error)?;
        self.encoder.set_inband_fec(loss_percent > 0).map_err(setting_error)?;
        self.encoder.set_packet_loss_perc(loss_percent.clamp(0, 100)).map_err(setting_error)
    }

    /// Sends next to nothing while there is silence (RFC 7587 section 3.1.3), or not.
    ///
    /// # Errors
    /// [`CodecError::Setting`] when libopus refuses.
    pub fn set_dtx(&mut self, on: bool) -> Result<(), CodecError> {
        self.encoder.set_dtx(on).map_err(setting_error)
    }

    /// Encodes 20 ms of interleaved sound, nominally -1..=1, and puts the packet into `out` (replacing what is there;
    /// no allocation once `out` has grown).
    ///
    /// # Errors
    /// [`CodecError::Data`] when the block is not 20 ms long or libopus fails; `out` is then empty.
    pub fn encode(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.clear();
        let expected = FRAME_SAMPLES * self.channels;
        if samples.len() != expected {
            return Err(CodecError::Data {
                codec: OPUS,
                why: format!("{} samples given; 20 ms are {expected}", samples.len()),
            });
        }
        out.resize(MAX_FRAME_BYTES, 0);
        let written = self.encoder.encode_float(samples, out);
        out.truncate(*written.as_ref().unwrap_or(&0));
        written.map(|_| ()).map_err(data_error)
    }
}

/// An Opus decoder that gives mono; stereo packets are mixed down by libopus.
pub struct OpusDecoder {
    decoder: opus::Decoder,
}

impl OpusDecoder {
    /// Sets a decoder up.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus cannot start.
    pub fn new() -> Result<Self, CodecError> {
        let decoder = opus::Decoder::new(SAMPLE_RATE_HZ, Channels::Mono)
            .map_err(|error| CodecError::Setup { codec: OPUS, why: error.to_string() })?;
        Ok(Self { decoder })
    }

    /// Decodes a packet into the beginning of `out`, and says how many samples it gave. No allocation.
    ///
    /// # Errors
    /// [`CodecError::Data`] when the packet is damaged or `out` is shorter than the packet.
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32; MAX_PACKET_SAMPLES]) -> Result<usize, CodecError> {
        if packet.is_empty() {
            return Err(CodecError::Data { codec: OPUS, why: "the packet is empty".to_owned() });
        }
        self.decoder.decode_float(packet, out, false).map_err(data_error)
    }

    /// Reconstructs the sound right before `next` from the copy in it; `out` must be as long as `next` itself.
    ///
    /// # Errors
    /// [`CodecError::Data`] when `next` is damaged.
    pub fn decode_fec(&mut self, next: &[u8], out: &mut [f32]) -> Result<usize, CodecError> {
        if next.is_empty() {
            return Err(CodecError::Data { codec: OPUS, why: "the packet is empty".to_owned() });
        }
        self.decoder.decode_float(next, out, true).map_err(data_error)
    }

    /// Forgets what was decoded: the next packet is the first of another stream.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus refuses.
    pub fn reset(&mut self) -> Result<(), CodecError> {
        self.decoder.reset_state().map_err(|error| CodecError::Setup { codec: OPUS, why: error.to_string() })
    }

    /// Continues the sound plausibly for `out.len()` samples (whole 2.5 ms steps) for which nothing arrived.
    ///
    /// # Errors
    /// [`CodecError::Data`] when the length is not one libopus takes.
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<usize, CodecError> {
        self.decoder.decode_float(&[], out, false).map_err(data_error)
    }
}

fn setting_error(error: opus::Error) -> CodecError {
    CodecError::Setting { codec: OPUS, why: error.description().to_owned() }
}

fn data_error(error: opus::Error) -> CodecError {
    CodecError::Data { codec: OPUS, why: error.description().to_owned() }
}

/// Samples per channel in a packet at 48 000 Hz; `None` when its header makes no sense.
pub fn packet_samples(packet: &[u8]) -> Option<usize> {
    opus::packet::get_nb_samples(packet, SAMPLE_RATE_HZ).ok().filter(|samples| *samples <= MAX_PACKET_SAMPLES)
}

/// True when the packet is one frame that carries a low-rate copy of the sound before it (LBRR, RFC 6716 section
/// 4.2.4). Packets of several frames are rare in calls and left out.
pub fn has_fec(packet: &[u8]) -> bool {
    let &[toc, header, ..] = packet else { return false };
    // Configurations 16 and up are CELT only, which has no such copy; the low bits are 0 for a single frame.
    if toc & 0x80 != 0 || toc & 3 != 0 {
        return false;
    }
    // SILK frames in the Opus frame: 10 and 20 ms have one, 40 ms two, 60 ms three (hybrid: always one).
    let silk_frames = match toc >> 3 {
        config @ 0..=11 => [1, 1, 2, 3][usize::from(config) % 4],
        _ => 1,
    };
    // The header's first bits: one activity bit per SILK frame, then the flag (section 4.2.3).
    header & (0x80 >> silk_frames) != 0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Speech-like sound: a gliding pitch with harmonics under a syllable envelope. 48 000 Hz, mono.
    pub(crate) fn speech(samples: usize) -> Vec<f32> {
        let mut phase = 0.0f32;
        (0..samples)
            .map(|index| {
                let t = index as f32 / SAMPLE_RATE_HZ as f32;
                let pitch = 140.0 + 30.0 * (t * 2.1).sin();
                phase = (phase + pitch / SAMPLE_RATE_HZ as f32).fract();
                let voice: f32 = (1..=8)
                    .map(|harmonic| {
                        (phase * harmonic as f32 * std::f32::consts::TAU).sin() / (harmonic as f32).powf(0.8)
                    })
                    .sum();
                voice * 0.12 * (0.55 + 0.45 * (t * 4.0 * std::f32::consts::TAU).sin())
            })
            .collect()
    }

    /// The speech above as 20 ms packets.
    pub(crate) fn speech_packets(count: usize) -> (Vec<f32>, Vec<Vec<u8>>) {
        let sound = speech(count * FRAME_SAMPLES);
        let mut encoder = OpusEncoder::new(1, 32_000).unwrap();
        let packets = sound
            .chunks_exact(FRAME_SAMPLES)
            .map(|block| {
                let mut packet = Vec::new();
                encoder.encode(block, &mut packet).unwrap();
                packet
            })
            .collect();
        (sound, packets)
    }

    fn mean_square_error(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / a.len() as f32
    }

    #[test]
    fn speech_packets_carry_the_copy_and_it_beats_concealment() {
        let (_, packets) = speech_packets(200);
        let carrying = packets.iter().skip(2).filter(|packet| has_fec(packet)).count();
        // The encoder leaves it out of the quiet ends of syllables.
        assert!(carrying > 120, "only {carrying} of 198 packets carry the copy");

        // The reference is what a decoder gives that misses nothing.
        let mut block = [0.0; MAX_PACKET_SAMPLES];
        let mut reference = OpusDecoder::new().unwrap();
        let (mut with_fec, mut with_plc) = (OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap());
        let (mut fec_error, mut plc_error) = (0.0, 0.0);
        for (index, packet) in packets.iter().enumerate() {
            let samples = reference.decode(packet, &mut block).unwrap();
            let expected = block[..samples].to_vec();
            let lost = index % 9 == 5;
            let mut played = vec![0.0; FRAME_SAMPLES];
            for (decoder, error, fec) in [(&mut with_fec, &mut fec_error, true), (&mut with_plc, &mut plc_error, false)]
            {
                if !lost {
                    decoder.decode(packet, &mut block).unwrap();
                    continue;
                }
                let given = match packets.get(index + 1) {
                    Some(next) if fec => decoder.decode_fec(next, &mut played),
                    _ => decoder.conceal(&mut played),
                };
                assert_eq!(given, Ok(FRAME_SAMPLES));
                *error += mean_square_error(&expected, &played);
            }
        }
        assert!(fec_error < plc_error * 0.5, "error {fec_error} with the copy, {plc_error} without");
    }

    /// What is left of a tone of 40 Hz, as a share of its level.
    fn bass_left(mut encoder: OpusEncoder, channels: usize) -> f32 {
        let tone = |frame: usize| 0.5 * (frame as f32 * 40.0 / SAMPLE_RATE_HZ as f32 * std::f32::consts::TAU).sin();
        let mut decoder = OpusDecoder::new().unwrap();
        let (mut packet, mut block) = (Vec::new(), [0.0; MAX_PACKET_SAMPLES]);
        let mut sum = 0.0;
        for index in 0..100 {
            let frames = index * FRAME_SAMPLES..(index + 1) * FRAME_SAMPLES;
            let samples: Vec<f32> = frames.flat_map(|frame| vec![tone(frame); channels]).collect();
            encoder.encode(&samples, &mut packet).unwrap();
            let decoded = decoder.decode(&packet, &mut block).unwrap();
            // The first second is for settling.
            if index >= 50 {
                sum += block[..decoded].iter().map(|sample| sample * sample).sum::<f32>();
            }
        }
        (sum / (50 * FRAME_SAMPLES) as f32).sqrt() / (0.5 / 2.0f32.sqrt())
    }

    #[test]
    fn music_keeps_its_bass() {
        for channels in [1, 2] {
            let bitrate_bps = 48_000 * i32::from(channels);
            let music = bass_left(OpusEncoder::for_music(channels, bitrate_bps).unwrap(), channels.into());
            let speech = bass_left(OpusEncoder::new(channels, bitrate_bps).unwrap(), channels.into());
            assert!(music > 0.9 && speech < 0.6, "{music} is left of it as music, {speech} as speech");
        }
    }

    #[test]
    fn wrong_settings_and_blocks_are_refused() {
        assert!(OpusEncoder::new(3, 32_000).is_err());
        assert!(OpusEncoder::new(1, 0).is_err());
        let mut encoder = OpusEncoder::new(2, 64_000).unwrap();
        let mut out = vec![1, 2, 3];
        assert!(encoder.encode(&[0.0; FRAME_SAMPLES], &mut out).is_err(), "stereo needs twice as many");
        assert!(out.is_empty());
        assert!(encoder.encode(&[0.0; 2 * FRAME_SAMPLES], &mut out).is_ok());
        assert!(!out.is_empty());
    }

    #[test]
    fn hostile_packets_never_panic() {
        let mut random = crate::media::codec::tests::Random(3);
        let mut decoder = OpusDecoder::new().unwrap();
        let mut block = [0.0; MAX_PACKET_SAMPLES];
        let mut refused = 0;
        for _ in 0..5_000 {
            let packet: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
            has_fec(&packet);
            packet_samples(&packet);
            refused += usize::from(decoder.decode(&packet, &mut block).is_err());
            assert!(block.iter().all(|sample| sample.is_finite()));
        }
        assert!(refused > 0, "some of these cannot be Opus");
    }
}
