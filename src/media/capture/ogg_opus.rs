//! Sound from an Ogg Opus file, over and over. The file is held in memory; packets are decoded as they are due, on the
//! thread that pulls the source. Format: RFC 7845, also chained.

use std::collections::VecDeque;
use std::io::Cursor;

use ogg::{OggReadError, Packet, PacketReader};

use super::pace::Pace;
use crate::media::codec::opus::{MAX_PACKET_SAMPLES, OpusDecoder};
use crate::media::frame::{AudioBlock, SAMPLES_10MS};
use crate::media::source::{AudioSource, CaptureError};

/// Longest header packet that is looked at, in bytes: tags may carry pictures.
const HEADER_MAX_BYTES: usize = 16 << 20;

/// What an identification header says (RFC 7845 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Identity {
    /// Samples at 48 000 Hz to leave out at the start.
    pre_skip: u64,
    /// Factor on every sample.
    gain: f32,
}

/// One of the streams that follow each other in a file.
#[derive(Clone, Copy, Debug)]
struct Link {
    serial: u32,
    identity: Identity,
    /// Samples decoded so far, those left out at the start among them.
    decoded: u64,
    /// The granule position of the first sample; known from the first page on (section 4.3).
    first: Option<u64>,
    tags_seen: bool,
}

/// See [`super::open_audio_file`]. Gives mono.
pub(super) struct OggOpusSource {
    packets: PacketReader<Cursor<Vec<u8>>>,
    what: String,
    decoder: OpusDecoder,
    link: Option<Link>,
    /// Decoded, not yet given.
    ready: VecDeque<f32>,
    /// Samples since the start of the file: a loop without any would never end.
    in_pass: u64,
    pace: Pace,
}

impl OggOpusSource {
    /// Reads up to the first sound.
    pub fn new(bytes: Vec<u8>, what: String) -> Result<Self, CaptureError> {
        let failed = |why: String| CaptureError::Format { what: what.clone(), why };
        let decoder = OpusDecoder::new().map_err(|error| failed(error.to_string()))?;
        let mut source = Self {
            packets: PacketReader::new(Cursor::new(bytes)),
            what: what.clone(),
            decoder,
            link: None,
            ready: VecDeque::new(),
            in_pass: 0,
            pace: Pace::new(100.0, 20),
        };
        source.fill().map_err(failed)?;
        Ok(source)
    }

    /// Decodes until there are 10 ms.
    fn fill(&mut self) -> Result<(), String> {
        while self.ready.len() < SAMPLES_10MS {
            match self.packets.read_packet().map_err(said)? {
                Some(packet) => self.take(&packet)?,
                None if self.in_pass == 0 => return Err("it holds no sound".into()),
                None => {
                    self.in_pass = 0;
                    self.link = None;
                    let start = self.packets.seek_bytes(std::io::SeekFrom::Start(0));
                    start.map_err(|error| format!("cannot go back to its start: {error}"))?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, packet: &Packet) -> Result<(), String> {
        let serial = packet.stream_serial();
        if packet.first_in_stream() {
            // Other streams beside the sound, such as pictures, are passed over.
            if let Some(identity) = identify(&packet.data)? {
                self.decoder.reset().map_err(|error| error.to_string())?;
                self.link = Some(Link { serial, identity, decoded: 0, first: None, tags_seen: false });
            }
            return Ok(());
        }
        let Some(link) = self.link.as_mut().filter(|link| link.serial == serial) else { return Ok(()) };
        if !link.tags_seen {
            if !packet.data.starts_with(b"OpusTags") || packet.data.len() > HEADER_MAX_BYTES {
                return Err("its tags are missing: it is no Ogg Opus file, or it is damaged".into());
            }
            link.tags_seen = true;
            return Ok(());
        }
        let mut block = [0.0; MAX_PACKET_SAMPLES];
        // A damaged packet sounds like a lost one.
        let samples = match self.decoder.decode(&packet.data, &mut block) {
            Ok(samples) => samples,
            Err(error) => {
                tracing::debug!(what = self.what, %error, "a packet cannot be decoded");
                return Ok(());
            }
        };
        let (skip, end) = link.part(samples as u64, packet);
        let gain = link.identity.gain;
        self.in_pass += end.saturating_sub(skip) as u64;
        self.ready.extend(block[..end].iter().skip(skip).map(|sample| (sample * gain).clamp(-1.0, 1.0)));
        Ok(())
    }
}

impl Link {
    /// Which of a packet's samples are to be heard: not the first ones that only warm the decoder up, nor those after the
    /// end that the last page's granule position marks (sections 4.2 and 4.4).
    fn part(&mut self, samples: u64, packet: &Packet) -> (usize, usize) {
        let begin = self.decoded;
        self.decoded += samples;
        if packet.last_in_page() && self.first.is_none() && !packet.last_in_stream() {
            self.first = packet.absgp_page().checked_sub(self.decoded);
        }
        let mut end = samples;
        if packet.last_in_stream() {
            let total = packet.absgp_page().saturating_sub(self.first.unwrap_or(0));
            // An end before this packet, or beyond it, makes no sense: all of it is played.
            if total > begin && total < self.decoded {
                end = total - begin;
            }
        }
        let skip = self.identity.pre_skip.saturating_sub(begin).min(end);
        (skip as usize, end as usize)
    }
}

impl AudioSource for OggOpusSource {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        self.pace.wait();
        self.fill().map_err(|why| CaptureError::Format { what: self.what.clone(), why })?;
        Ok(Some(AudioBlock { samples: self.ready.drain(..SAMPLES_10MS).collect(), channels: 1 }))
    }
}

/// The identification header; `None` when the stream is something else than Opus.
fn identify(data: &[u8]) -> Result<Option<Identity>, String> {
    if !data.starts_with(b"OpusHead") {
        return Ok(None);
    }
    let &[version, channels, skip_low, skip_high, _, _, _, _, gain_low, gain_high, family, ..] = &data[8..] else {
        return Err("its Opus header is cut short".into());
    };
    // The upper half of the version is the one that breaks (section 5.1).
    if version & 0xF0 != 0 {
        return Err(format!("its Opus header has version {version}; 1 works"));
    }
    if family != 0 || !(1..=2).contains(&channels) {
        return Err(format!("it has {channels} channels in mapping family {family}; mono and stereo work"));
    }
    let gain_db = f32::from(i16::from_le_bytes([gain_low, gain_high])) / 256.0;
    Ok(Some(Identity { pre_skip: u16::from_le_bytes([skip_low, skip_high]).into(), gain: 10f32.powf(gain_db / 20.0) }))
}

fn said(error: OggReadError) -> String {
    match error {
        OggReadError::ReadError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => "it is cut short".into(),
        OggReadError::NoCapturePatternFound => "it is damaged or cut short: no page begins where one should".into(),
        other => format!("it is damaged: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use ogg::{PacketWriteEndInfo, PacketWriter};

    use super::*;
    use crate::media::codec::opus::tests::speech;
    use crate::media::codec::opus::{FRAME_SAMPLES, OpusEncoder};
    use crate::media::codec::tests::Random;

    const PRE_SKIP: u16 = 312;

    fn head(channels: u8, gain: i16, family: u8) -> Vec<u8> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(channels);
        head.extend(PRE_SKIP.to_le_bytes());
        head.extend(48_000u32.to_le_bytes());
        head.extend(gain.to_le_bytes());
        head.push(family);
        head
    }

    /// A stream of speech of so many samples, as one link of a file.
    fn link(serial: u32, samples: usize, head: Vec<u8>) -> Vec<u8> {
        let mut writer = PacketWriter::new(Vec::new());
        writer.write_packet(head, serial, PacketWriteEndInfo::EndPage, 0).unwrap();
        writer.write_packet(b"OpusTags\0\0\0\0\0\0\0\0".to_vec(), serial, PacketWriteEndInfo::EndPage, 0).unwrap();
        let whole = samples + usize::from(PRE_SKIP);
        let packets = whole.div_ceil(FRAME_SAMPLES);
        let mut encoder = OpusEncoder::new(1, 64_000).unwrap();
        let sound = speech(packets * FRAME_SAMPLES);
        for (index, block) in sound.chunks_exact(FRAME_SAMPLES).enumerate() {
            let mut packet = Vec::new();
            encoder.encode(block, &mut packet).unwrap();
            let (end, position) = match index {
                i if i + 1 == packets => (PacketWriteEndInfo::EndStream, whole),
                i if i % 10 == 9 => (PacketWriteEndInfo::EndPage, (i + 1) * FRAME_SAMPLES),
                i => (PacketWriteEndInfo::NormalPacket, (i + 1) * FRAME_SAMPLES),
            };
            writer.write_packet(packet, serial, end, position as u64).unwrap();
        }
        writer.into_inner()
    }

    fn open(bytes: Vec<u8>) -> Result<OggOpusSource, CaptureError> {
        OggOpusSource::new(bytes, "test.opus".into())
    }

    /// So many samples, without waiting for their time.
    fn play(source: &mut OggOpusSource, samples: usize) -> Vec<f32> {
        let mut heard = Vec::new();
        while heard.len() < samples {
            source.fill().unwrap();
            heard.extend(source.ready.drain(..SAMPLES_10MS));
        }
        heard.truncate(samples);
        heard
    }

    fn loudness(samples: &[f32]) -> f32 {
        crate::media::frame::rms(samples)
    }

    #[test]
    fn the_sound_is_as_long_as_the_file_says_and_loops() {
        // Not a whole number of packets: the end is cut as the last page says, and the start by the pre-skip.
        let samples = 30_011;
        let mut source = open(link(7, samples, head(1, 0, 0))).unwrap();
        let heard = play(&mut source, 2 * samples);
        assert!(loudness(&heard) > 0.05);
        let again = &heard[samples..];
        let worst = heard[..samples].iter().zip(again).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "the second pass differs by {worst}");
    }

    #[test]
    fn the_gain_is_heard_and_chained_streams_follow_each_other() {
        let loud = play(&mut open(link(1, 24_000, head(1, 0, 0))).unwrap(), 24_000);
        let soft = play(&mut open(link(1, 24_000, head(1, -6 * 256, 0))).unwrap(), 24_000);
        let ratio = loudness(&soft) / loudness(&loud);
        assert!((ratio - 0.501).abs() < 0.02, "-6 dB is a factor of 0.5, not {ratio}");
        let chain = [link(1, 24_000, head(1, 0, 0)), link(2, 9_600, head(2, -6 * 256, 0))].concat();
        let heard = play(&mut open(chain).unwrap(), 24_000 + 9_600 + 4_800);
        assert!(loudness(&heard[..24_000]) > 1.5 * loudness(&heard[24_000..33_600]));
        let worst = heard[33_600..].iter().zip(&heard).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "after the second link the file starts over");
    }

    #[test]
    fn hostile_files_get_a_clear_error() {
        let whole = link(1, 24_000, head(1, 0, 0));
        let mut writer = PacketWriter::new(Vec::new());
        writer.write_packet(b"\x01vorbis".to_vec(), 1, PacketWriteEndInfo::EndStream, 0).unwrap();
        let vorbis = writer.into_inner();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0xFF;
        for (bytes, part) in [
            (b"OggS".to_vec(), "cut short"),
            (whole[..40].to_vec(), "cut short"),
            (whole[..70].to_vec(), "cut short"),
            (vorbis, "no sound"),
            (link(1, 24_000, head(6, 0, 1)), "6 channels"),
            (link(1, 24_000, head(0, 0, 0)), "0 channels"),
            (link(1, 24_000, b"OpusHead\x01\x01".to_vec()), "cut short"),
            (link(1, 24_000, [b"OpusHead\x20".to_vec(), vec![1; 20]].concat()), "version 32"),
            (vec![0; 100], "damaged"),
        ] {
            let error = open(bytes).err().unwrap().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        // What is wrong further on is told when it is reached.
        for bytes in [whole[..whole.len() - 50].to_vec(), damaged] {
            let mut source = open(bytes).unwrap();
            let end = (0..200).find_map(|_| {
                source.ready.clear();
                source.fill().err()
            });
            assert!(end.is_some_and(|why| why.contains("cut short") || why.contains("damaged")));
        }
        let mut random = Random(9);
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            bytes.truncate(1 + random.below(bytes.len()));
            if let Ok(mut source) = open(bytes) {
                for _ in 0..20 {
                    source.ready.clear();
                    if source.fill().is_err() {
                        break;
                    }
                }
            }
        }
    }
}
