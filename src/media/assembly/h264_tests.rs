//! The way of an H.264 picture through a bad network, with simulated time: encode, packetise, impair, assemble, decode.

use std::time::{Duration, Instant};

use super::*;
use crate::media::codec::EncoderConfig;
use crate::media::codec::h264_decoder::H264Decoder;
use crate::media::codec::h264_encoder::H264Encoder;
use crate::media::codec::tests::{Random, moving_picture, psnr_db};
use crate::model::limits::MAX_ENCODED_FRAME_BYTES;
use crate::model::media::VideoCodec;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;

#[derive(Clone)]
struct Packet {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Bytes,
}

struct Sender {
    encoder: H264Encoder,
    packetiser: H264Packetiser,
    sequence: u16,
    frame: u64,
    keyframe: bool,
}

impl Sender {
    fn new() -> Self {
        let encoder = H264Encoder::new(EncoderConfig {
            width: WIDTH,
            height: HEIGHT,
            fps: 30.0,
            bitrate_bps: 1_500_000,
            screen: false,
            threads: 1,
        });
        let packetiser = H264Packetiser::new(500);
        Self { encoder: encoder.unwrap(), packetiser, sequence: 65_500, frame: 0, keyframe: true }
    }

    fn timestamp(frame: u64) -> u32 {
        (u32::MAX - 90_000).wrapping_add((frame * 3_000) as u32)
    }

    fn next_frame(&mut self) -> Vec<Packet> {
        let picture = moving_picture(WIDTH, HEIGHT, self.frame);
        let timestamp = Self::timestamp(self.frame);
        self.frame += 1;
        let Some(encoded) = self.encoder.encode(&picture, std::mem::take(&mut self.keyframe)).unwrap() else {
            return Vec::new();
        };
        let mut packets = Vec::new();
        self.packetiser.packetise(&encoded.data, |payload, marker| {
            let payload = Bytes::copy_from_slice(payload);
            packets.push(Packet { sequence: self.sequence, timestamp, marker, payload });
            self.sequence = self.sequence.wrapping_add(1);
        });
        packets
    }
}

struct Viewer {
    assembler: FrameAssembler,
    decoder: H264Decoder,
    shown: Vec<u64>,
    worst_db: f64,
}

impl Viewer {
    fn new() -> Self {
        let assembler = FrameAssembler::new(VideoCodec::H264);
        Self { assembler, decoder: H264Decoder::new(), shown: Vec::new(), worst_db: f64::MAX }
    }

    fn push(&mut self, packet: &Packet, now: Instant) {
        let Packet { sequence, timestamp, marker, payload } = packet;
        let packet = RtpPacketRef { sequence: *sequence, timestamp: *timestamp, marker: *marker, payload };
        self.assembler.push(packet, now);
    }

    fn poll(&mut self, now: Instant) {
        while let Some(frame) = self.assembler.poll(now) {
            let index = (0..10_000).find(|index| Sender::timestamp(*index) == frame.timestamp).unwrap();
            let decoded = self.decoder.decode(&frame.data, 0).expect("given frames decode").expect("and are shown");
            self.worst_db = self.worst_db.min(psnr_db(&moving_picture(WIDTH, HEIGHT, index), &decoded));
            assert!(self.shown.last().is_none_or(|before| *before < index), "frames come in order");
            self.shown.push(index);
        }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_bad_path_with_retransmission_loses_no_frame_across_the_wraps() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let mut random = Random(42);
    let start = Instant::now();
    let mut arrivals: Vec<(u64, Packet)> = Vec::new();
    let mut sent = 0;
    for index in 0..150 {
        sender.keyframe |= index == 70;
        let packets = sender.next_frame();
        sent += usize::from(!packets.is_empty());
        for packet in packets {
            let jitter = random.below(25) as u64;
            if random.chance(0.05) {
                arrivals.push((index * 33 + jitter + 3, packet.clone()));
            }
            let late = if random.chance(0.1) { 60 + random.below(30) as u64 } else { 0 };
            arrivals.push((index * 33 + jitter + late, packet));
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    for (at, packet) in &arrivals {
        viewer.push(packet, start + ms(*at));
        viewer.poll(start + ms(*at));
        assert!(!viewer.assembler.needs_keyframe(), "at {at} ms");
    }
    assert!(sender.sequence < 60_000, "the sequence numbers wrapped");
    // A whole keyframe is worth more than the frames before it that are still on their way.
    assert!(viewer.shown.len() + 8 >= sent, "{} of {sent}", viewer.shown.len());
    assert!(viewer.worst_db > 24.0, "{} dB", viewer.worst_db);
}

#[test]
fn a_loss_ends_with_a_keyframe_and_nothing_undecodable_is_given() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    let mut asked_at = None;
    for index in 0..60u64 {
        let now = start + ms(index * 33);
        for (number, packet) in sender.next_frame().into_iter().enumerate() {
            if !(index == 20 && number == 0) {
                viewer.push(&packet, now);
            }
        }
        viewer.poll(now);
        if viewer.assembler.needs_keyframe() && asked_at.is_none() {
            asked_at = Some(index);
            sender.keyframe = true;
        }
    }
    let asked_at = asked_at.expect("a keyframe was asked for");
    assert!((20 + 9..=20 + 11).contains(&asked_at), "asked after the 300 ms wait: frame {asked_at}");
    assert!(viewer.shown.iter().all(|index| *index < 20 || *index > asked_at), "{:?}", viewer.shown);
    assert!(viewer.shown.contains(&59));
    assert!(viewer.worst_db > 24.0, "{} dB", viewer.worst_db);
}

#[test]
fn joining_in_the_middle_starts_with_the_next_keyframe() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    for _ in 0..5 {
        sender.next_frame();
    }
    for index in 5..20u64 {
        sender.keyframe = index == 8;
        let mut packets = sender.next_frame();
        packets.reverse();
        for packet in packets {
            viewer.push(&packet, start + ms(index * 33));
        }
        viewer.poll(start + ms(index * 33));
        assert_eq!(viewer.assembler.needs_keyframe(), index < 8, "frame {index}");
    }
    assert_eq!(viewer.shown.first(), Some(&8));
}

#[test]
fn parameter_sets_in_packets_of_their_own_belong_to_the_picture() {
    let (mut assembler, now) = (FrameAssembler::new(VideoCodec::H264), Instant::now());
    let units: [&[u8]; 5] = [&[0x09, 0xf0], &[0x67, 1], &[0x68, 2], &[0x65, 0x88, 3], &[0x65, 0x40, 4]];
    for (number, unit) in units.into_iter().enumerate() {
        let payload = Bytes::copy_from_slice(unit);
        let (sequence, marker) = (number as u16, number == units.len() - 1);
        assembler.push(RtpPacketRef { sequence, timestamp: 9, marker, payload: &payload }, now);
    }
    let frame = assembler.poll(now).expect("a whole keyframe");
    assert!(frame.keyframe);
    assert!(frame.data.starts_with(&[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68]));
    assert!(frame.data.ends_with(&[0x65, 0x40, 4]), "with both slices");
}

#[test]
fn hostile_packets_neither_panic_nor_grow_it() {
    for seed in 1..20 {
        let mut random = Random(seed);
        let mut assembler = FrameAssembler::new(VideoCodec::H264);
        let mut decoder = H264Decoder::new();
        let start = Instant::now();
        let mut sequence = random.below(65_536) as u16;
        for step in 0..2_000u64 {
            sequence = match random.below(12) {
                0 => random.below(65_536) as u16,
                _ => sequence.wrapping_add(1),
            };
            let mut payload: Vec<u8> = (0..random.below(30)).map(|_| random.below(256) as u8).collect();
            if random.chance(0.8) && !payload.is_empty() {
                payload[0] = [0x67, 0x68, 0x65, 0x41, 0x78, 0x7c][random.below(6)];
            }
            if random.chance(0.2) {
                payload.resize(60_000, 0);
            }
            let payload = Bytes::from(payload);
            let now = start + ms(step * random.below(4) as u64);
            let (timestamp, marker) = (random.below(5) as u32, random.chance(0.3));
            assembler.push(RtpPacketRef { sequence, timestamp, marker, payload: &payload }, now);
            while let Some(frame) = assembler.poll(now) {
                assert!(frame.data.len() <= MAX_ENCODED_FRAME_BYTES);
                // An error or a picture: never a crash.
                if decoder.decode(&frame.data, 0).is_err() {
                    assembler.decode_failed();
                }
            }
            let held = assembler.held();
            assert!(held.0 <= 2048 && held.1 <= MAX_ENCODED_FRAME_BYTES, "{held:?}");
        }
    }
}
