//! The way of a picture through a bad network, with simulated time: encode, packetise, impair, assemble, decode.

use std::time::{Duration, Instant};

use super::*;
use crate::media::VideoFrame;
use crate::media::codec::tests::{Random, moving_picture, psnr_db};
use crate::media::codec::vp8::{Vp8Decoder, Vp8Encoder, Vp8EncoderConfig};
use crate::model::media::VideoCodec;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;

/// A packet on its way.
#[derive(Clone)]
struct Packet {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Bytes,
}

impl Packet {
    fn as_ref(&self) -> RtpPacketRef<'_> {
        RtpPacketRef { sequence: self.sequence, timestamp: self.timestamp, marker: self.marker, payload: &self.payload }
    }
}

/// An encoder and packetiser whose sequence numbers and time stamps start just before they wrap.
struct Sender {
    encoder: Vp8Encoder,
    packetiser: Vp8Packetiser,
    sequence: u16,
    frame: u64,
    keyframe: bool,
}

impl Sender {
    fn new() -> Self {
        let config = Vp8EncoderConfig {
            width: WIDTH,
            height: HEIGHT,
            fps: 30.0,
            bitrate_bps: 1_500_000,
            screen: false,
            threads: 1,
        };
        let encoder = Vp8Encoder::new(config).unwrap();
        Self { encoder, packetiser: Vp8Packetiser::new(500), sequence: 65_500, frame: 0, keyframe: true }
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
        self.packetiser.packetise(&encoded.data, encoded.keyframe, |payload, marker| {
            packets.push(Packet {
                sequence: self.sequence,
                timestamp,
                marker,
                payload: Bytes::copy_from_slice(payload),
            });
            self.sequence = self.sequence.wrapping_add(1);
        });
        packets
    }

    fn padding(&mut self) -> Packet {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Packet { sequence, timestamp: Self::timestamp(self.frame), marker: false, payload: Bytes::new() }
    }
}

/// Decodes what the assembler gives and compares it with the original.
struct Viewer {
    assembler: FrameAssembler,
    decoder: Vp8Decoder,
    shown: Vec<u64>,
    worst_db: f64,
}

impl Viewer {
    fn new() -> Self {
        let decoder = Vp8Decoder::new().unwrap();
        Self { assembler: FrameAssembler::new(VideoCodec::Vp8), decoder, shown: Vec::new(), worst_db: f64::MAX }
    }

    fn poll(&mut self, now: Instant) {
        while let Some(frame) = self.assembler.poll(now) {
            let index = (0..10_000).find(|index| Sender::timestamp(*index) == frame.timestamp).unwrap();
            let decoded: VideoFrame =
                self.decoder.decode(&frame.data, 0).expect("given frames decode").expect("and are shown");
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
fn a_clean_path_gives_every_frame_across_the_wraps() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    let mut sent = 0;
    for index in 0..90 {
        let packets = sender.next_frame();
        sent += usize::from(!packets.is_empty());
        for packet in packets {
            viewer.assembler.push(packet.as_ref(), start + ms(index * 33));
        }
        viewer.poll(start + ms(index * 33));
    }
    assert!(sender.sequence < 60_000, "the sequence numbers wrapped");
    assert_eq!(viewer.shown.len(), sent);
    assert!(viewer.worst_db > 27.0, "{} dB", viewer.worst_db);
    assert!(!viewer.assembler.needs_keyframe());
    let stats = viewer.assembler.stats();
    assert_eq!((stats.lost, stats.dropped, stats.frames), (0, 0, sent as u64));
}

#[test]
fn a_bad_path_with_retransmission_loses_no_frame() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let mut random = Random(42);
    let start = Instant::now();
    // Arrivals in ms; a tenth of the packets comes only when it is sent again, 60 to 90 ms later.
    let mut arrivals: Vec<(u64, Packet)> = Vec::new();
    let mut sent = 0;
    for index in 0..200 {
        let mut packets = sender.next_frame();
        sent += usize::from(!packets.is_empty());
        if random.chance(0.3) {
            packets.push(sender.padding());
        }
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
        viewer.assembler.push(packet.as_ref(), start + ms(*at));
        viewer.poll(start + ms(*at));
        assert!(!viewer.assembler.needs_keyframe(), "at {at} ms");
    }
    assert_eq!(viewer.shown.len(), sent);
    assert!(viewer.worst_db > 27.0, "{} dB", viewer.worst_db);
    assert_eq!(viewer.assembler.stats().dropped, 0);
}

#[test]
fn lost_packets_cost_a_bounded_wait_and_end_with_a_keyframe() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    let mut asked_at = None;
    for index in 0..60u64 {
        let now = start + ms(index * 33);
        for (number, packet) in sender.next_frame().into_iter().enumerate() {
            if !(index == 20 && number == 0) {
                viewer.assembler.push(packet.as_ref(), now);
            }
        }
        viewer.poll(now);
        if viewer.assembler.needs_keyframe() && asked_at.is_none() {
            asked_at = Some(index);
        }
        if asked_at.is_some_and(|at| index == at + 2) {
            sender.keyframe = true;
        }
    }
    let asked_at = asked_at.expect("a keyframe was asked for");
    assert!((20 + 9..=20 + 11).contains(&asked_at), "asked after the 300 ms wait: frame {asked_at}");
    let key = asked_at + 3;
    assert!(viewer.shown.iter().all(|index| *index < 20 || *index >= key), "{:?}", viewer.shown);
    assert!(viewer.shown.contains(&key) && viewer.shown.contains(&59));
    assert!(viewer.worst_db > 27.0, "nothing undecodable was shown: {} dB", viewer.worst_db);
    assert!(!viewer.assembler.needs_keyframe());
    assert_eq!(viewer.assembler.stats().lost, 1);
    assert!(viewer.assembler.stats().dropped >= 10);
}

/// Plays 60 frames over a round trip of 400 ms; the first packet of frame 20 is lost, and comes again with the frame of
/// this number. Answers with which frames a keyframe was asked for, and how many were sent.
fn play_a_long_way(viewer: &mut Viewer, again_with: Option<u64>) -> (Vec<u64>, usize) {
    let mut sender = Sender::new();
    viewer.assembler.set_round_trip(ms(400));
    let start = Instant::now();
    let (mut missing, mut asked, mut sent) = (None, Vec::new(), 0);
    for index in 0..60u64 {
        let now = start + ms(index * 33);
        let packets = sender.next_frame();
        sent += usize::from(!packets.is_empty());
        for (number, packet) in packets.into_iter().enumerate() {
            if index == 20 && number == 0 {
                missing = Some(packet);
            } else {
                viewer.assembler.push(packet.as_ref(), now);
            }
        }
        if let Some(packet) = missing.as_ref().filter(|_| again_with == Some(index)) {
            viewer.assembler.push(packet.as_ref(), now);
        }
        viewer.poll(now);
        if viewer.assembler.needs_keyframe() {
            asked.push(index);
        }
    }
    (asked, sent)
}

#[test]
fn on_a_long_way_a_keyframe_is_asked_for_and_a_retransmission_still_taken() {
    let mut viewer = Viewer::new();
    let (asked, sent) = play_a_long_way(&mut viewer, Some(33));
    assert!(asked.first().is_some_and(|first| (30..=31).contains(first)), "asked with {asked:?}");
    assert_eq!(asked.last(), Some(&32), "the packet came before the keyframe");
    assert_eq!(viewer.shown.len(), sent);
    assert!(viewer.worst_db > 27.0, "{} dB", viewer.worst_db);
    let stats = viewer.assembler.stats();
    assert_eq!((stats.lost, stats.dropped), (0, 0));
}

#[test]
fn a_retransmission_that_never_comes_is_not_waited_for_for_ever() {
    let mut viewer = Viewer::new();
    let (asked, sent) = play_a_long_way(&mut viewer, None);
    assert!(asked.first().is_some_and(|first| (30..=31).contains(first)), "asked with {asked:?}");
    assert_eq!((asked.last(), asked.len()), (Some(&59), 60 - asked[0] as usize), "and again until one comes");
    assert!(viewer.shown.iter().all(|index| *index < 20), "{:?}", viewer.shown);
    let stats = viewer.assembler.stats();
    assert_eq!(stats.lost, 1, "given up after a second");
    assert!(stats.dropped > 0 && stats.dropped < sent as u64);
}

#[test]
fn what_no_later_frame_needs_is_soon_done_without_however_long_the_way_is() {
    let mut assembler = FrameAssembler::new(VideoCodec::Vp8);
    assembler.set_round_trip(ms(400));
    let start = Instant::now();
    let mut given = Vec::new();
    for index in 0..20u8 {
        let now = start + ms(u64::from(index) * 33);
        // Two temporal layers: 15-bit picture id, TL0PICIDX, TID and Y; the first is a keyframe.
        let payload = vec![0x90, 0xe0, 0x80, index, index / 2, (index % 2) << 6 | 0x20, u8::from(index > 0)];
        let payload = Bytes::from(payload);
        let packet = RtpPacketRef { sequence: index.into(), timestamp: index.into(), marker: true, payload: &payload };
        if index != 5 {
            assembler.push(packet, now);
        }
        while let Some(frame) = assembler.poll(now) {
            given.push(frame.timestamp);
        }
        assert!(!assembler.needs_keyframe(), "frame {index}");
    }
    assert_eq!(given, (0..20).filter(|index| *index != 5).collect::<Vec<u32>>());
}

#[test]
fn a_keyframe_behind_a_gap_is_shown_at_once() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    for index in 0..12u64 {
        sender.keyframe |= index == 11;
        for packet in sender.next_frame() {
            if index != 10 {
                viewer.assembler.push(packet.as_ref(), start + ms(index * 33));
            }
        }
        viewer.poll(start + ms(index * 33));
    }
    assert_eq!(viewer.shown.last(), Some(&11), "without waiting for frame 10");
}

#[test]
fn lost_padding_costs_nothing() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    for index in 0..10u64 {
        for packet in sender.next_frame() {
            viewer.assembler.push(packet.as_ref(), start + ms(index * 33));
        }
        drop(sender.padding());
        viewer.poll(start + ms(index * 33));
        assert_eq!(viewer.shown.len() as u64, index + 1, "shown when it came");
    }
}

#[test]
fn joining_in_the_middle_asks_for_a_keyframe_and_starts_with_it() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    assert!(!viewer.assembler.needs_keyframe(), "nothing came yet");
    for _ in 0..5 {
        sender.next_frame();
    }
    for index in 5..20u64 {
        sender.keyframe = index == 8;
        let mut packets = sender.next_frame();
        packets.reverse();
        for packet in packets {
            viewer.assembler.push(packet.as_ref(), start + ms(index * 33));
        }
        viewer.poll(start + ms(index * 33));
        assert_eq!(viewer.assembler.needs_keyframe(), index < 8);
    }
    assert_eq!(viewer.shown.first(), Some(&8));
    assert_eq!(viewer.shown.len(), 12);
    assert_eq!(viewer.assembler.stats().lost, 0, "what came before joining was not lost");
}

#[test]
fn a_decoder_error_is_followed_by_a_keyframe_only() {
    let (mut sender, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    for index in 0..12u64 {
        sender.keyframe |= index == 8;
        for packet in sender.next_frame() {
            viewer.assembler.push(packet.as_ref(), start + ms(index * 33));
        }
        viewer.poll(start + ms(index * 33));
        if index == 3 {
            viewer.assembler.decode_failed();
            assert!(viewer.assembler.needs_keyframe());
        }
    }
    assert_eq!(viewer.shown, [0, 1, 2, 3, 8, 9, 10, 11]);
}

#[test]
fn a_sender_that_starts_anew_is_followed() {
    let (mut first, mut viewer) = (Sender::new(), Viewer::new());
    let start = Instant::now();
    first.sequence = 30_000;
    for index in 0..5u64 {
        for packet in first.next_frame() {
            viewer.assembler.push(packet.as_ref(), start + ms(index * 33));
        }
        viewer.poll(start + ms(index * 33));
    }
    let mut second = Sender::new();
    second.sequence = 5_000;
    second.frame = 100;
    for index in 5..40u64 {
        second.keyframe |= viewer.assembler.needs_keyframe();
        for packet in second.next_frame() {
            viewer.assembler.push(packet.as_ref(), start + ms(index * 33));
        }
        viewer.poll(start + ms(index * 33));
    }
    assert_eq!(viewer.shown.last(), Some(&134));
}

#[test]
fn hostile_packets_neither_panic_nor_grow_it() {
    for seed in 1..40 {
        let mut random = Random(seed);
        let mut assembler = FrameAssembler::new(VideoCodec::Vp8);
        let start = Instant::now();
        let mut sequence = random.below(65_536) as u16;
        for step in 0..4_000u64 {
            sequence = match random.below(10) {
                0 => random.below(65_536) as u16,
                1 => sequence.wrapping_sub(random.below(100) as u16),
                _ => sequence.wrapping_add(1),
            };
            let mut payload: Vec<u8> = (0..random.below(12)).map(|_| random.below(256) as u8).collect();
            if random.chance(0.7) && payload.len() > 2 {
                payload[0] = if random.chance(0.5) { 0x10 } else { 0 };
            }
            if random.chance(0.2) {
                payload.resize(60_000, 0);
            }
            let now = start + ms(step * random.below(4) as u64);
            let (timestamp, marker) = (random.below(5) as u32, random.chance(0.3));
            let payload = Bytes::from(payload);
            assembler.push(RtpPacketRef { sequence, timestamp, marker, payload: &payload }, now);
            while let Some(frame) = assembler.poll(now) {
                assert!(frame.data.len() <= crate::model::limits::MAX_ENCODED_FRAME_BYTES);
            }
            if random.chance(0.01) {
                assembler.decode_failed();
            }
            let held = assembler.held();
            assert!(held.0 <= 2048 && held.1 <= crate::model::limits::MAX_ENCODED_FRAME_BYTES, "{held:?}");
        }
    }
}
