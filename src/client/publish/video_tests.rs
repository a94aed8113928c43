//! The sending path with real encoders: what a server would get of a picture.

#[path = "video_rest_tests.rs"]
mod rest;

use std::collections::BTreeMap;

use bytes::Bytes;
use rtc::rtp;
use tokio::sync::mpsc;

use super::*;
use crate::client::publish::layers::Layers;
use crate::media::ColourSpace;
use crate::media::assembly::{FrameAssembler, RtpPacketRef};
use crate::media::codec::tests::moving_picture;
use crate::media::codec::vp8::Vp8Decoder;

const SSRCS: [u32; 3] = [11, 12, 13];

struct Bench {
    sending: Sending,
    packets: mpsc::Receiver<Vec<rtp::Packet>>,
    gate: Arc<Gate>,
}

fn bench(layers: Layers, codec: VideoCodec, kind: StreamKind, max_bitrate_bps: u32) -> Bench {
    let gate = Arc::new(Gate::default());
    let (sender, packets) = mpsc::channel(64);
    let names =
        (0..layers.count()).map(|layer| vec![(4, Bytes::from_static(&[b"q", b"h", b"f"][layer][..]))]).collect();
    let picture = PictureSink { codec, layers, ssrcs: SSRCS[..layers.count()].to_vec(), names };
    let picture = Some(Arc::new(picture));
    gate.attach(Sink {
        packets: sender,
        ssrc: SSRCS[0],
        payload_type: 96,
        level_extension: None,
        capture_extension: None,
        picture,
    });
    let options = VideoOptions { codec, max_bitrate_bps, simulcast: layers.count() > 1 };
    Bench { sending: Sending::new(options, kind, Arc::clone(&gate)), packets, gate }
}

fn three() -> Bench {
    // Enough that the encoders leave nothing out.
    bench(Layers::of(960, 540, true), VideoCodec::Vp8, StreamKind::Camera, 20_000_000)
}

impl Bench {
    /// Takes a picture; gives the packets it became, by SSRC.
    fn take(&mut self, frame: VideoFrame) -> BTreeMap<u32, Vec<rtp::Packet>> {
        self.sending.take(&Arc::new(frame), 30.0).unwrap();
        self.drain()
    }

    fn drain(&mut self) -> BTreeMap<u32, Vec<rtp::Packet>> {
        let mut by_ssrc: BTreeMap<u32, Vec<rtp::Packet>> = BTreeMap::new();
        while let Ok(packets) = self.packets.try_recv() {
            by_ssrc.entry(packets[0].header.ssrc).or_default().extend(packets);
        }
        by_ssrc
    }
}

/// Whether a VP8 frame's packets begin a keyframe (RFC 7741 section 4.2: four bytes of descriptor here).
fn is_keyframe(packets: &[rtp::Packet]) -> bool {
    packets[0].payload[4] & 1 == 0
}

/// The size of the picture that VP8 packets decode to.
fn decoded_size(packets: &[rtp::Packet]) -> (u32, u32) {
    let mut assembler = FrameAssembler::new(VideoCodec::Vp8);
    let now = Instant::now();
    for packet in packets {
        let header = &packet.header;
        let (sequence, timestamp, marker) = (header.sequence_number, header.timestamp, header.marker);
        assembler.push(RtpPacketRef { sequence, timestamp, marker, payload: &packet.payload }, now);
    }
    let frame = assembler.poll(now).expect("a whole frame");
    let picture = Vp8Decoder::new().unwrap().decode(&frame.data, 0).unwrap().unwrap();
    (picture.width(), picture.height())
}

#[test]
fn three_layers_go_out_named_and_in_three_sizes_at_one_time() {
    let mut bench = three();
    let sent = bench.take(moving_picture(960, 540, 0));
    assert_eq!(sent.keys().copied().collect::<Vec<_>>(), SSRCS);
    let sizes: Vec<(u32, u32)> = sent.values().map(|packets| decoded_size(packets)).collect();
    assert_eq!(sizes, [(240, 134), (480, 270), (960, 540)]);
    for (layer, packets) in sent.values().enumerate() {
        for packet in packets {
            assert_eq!(packet.header.get_extension(4).unwrap(), [b"q", b"h", b"f"][layer].as_slice());
            assert_eq!(packet.header.timestamp, sent[&SSRCS[0]][0].header.timestamp, "one clock for all");
            assert!(packet.payload.len() <= 1150);
        }
        assert!(packets.last().unwrap().header.marker);
    }
    let counts = bench.gate.pictures.counts();
    assert_eq!((counts.width, counts.height, counts.layers, counts.encoded, counts.sent), (960, 540, 3, 1, 1));
}

#[test]
fn what_nobody_watches_is_not_encoded_and_comes_back_with_a_keyframe() {
    let mut bench = three();
    bench.take(moving_picture(960, 540, 0));
    bench.gate.set_watched([true, false, false]);
    for index in 1..4 {
        let sent = bench.take(moving_picture(960, 540, index));
        assert_eq!(sent.keys().copied().collect::<Vec<_>>(), SSRCS[..1], "picture {index}");
    }
    assert_eq!(bench.gate.active(), [true, false, false]);
    bench.gate.set_watched([false; 3]);
    assert!(bench.take(moving_picture(960, 540, 4)).is_empty());
    assert_eq!(bench.gate.pictures.counts().layers, 0);
    bench.gate.set_watched([true, true, false]);
    let sent = bench.take(moving_picture(960, 540, 5));
    assert_eq!(sent.keys().copied().collect::<Vec<_>>(), SSRCS[..2]);
    assert!(sent.values().all(|packets| is_keyframe(packets)));
    // The rate that is shared out stops layers, too.
    bench.gate.set_layer_rates([100_000, 0, 0]);
    assert_eq!(bench.take(moving_picture(960, 540, 6)).len(), 1);
}

#[test]
fn a_keyframe_is_sent_of_the_layer_that_was_asked() {
    let mut bench = three();
    bench.take(moving_picture(960, 540, 0));
    assert!(bench.take(moving_picture(960, 540, 1)).values().all(|packets| !is_keyframe(packets)));
    // Answers are limited: the one at the start was just now.
    bench.gate.ask_keyframe_of(SSRCS[1]);
    assert!(bench.take(moving_picture(960, 540, 2)).values().all(|packets| !is_keyframe(packets)));
    std::thread::sleep(Duration::from_millis(310));
    let sent = bench.take(moving_picture(960, 540, 3));
    let keys: Vec<bool> = sent.values().map(|packets| is_keyframe(packets)).collect();
    assert_eq!(keys, [false, true, false]);
}

#[test]
fn layers_follow_a_source_that_changes_its_size_and_its_clock() {
    let mut bench = three();
    let before = bench.take(moving_picture(960, 540, 9));
    for (index, (width, height)) in [(640, 360), (175, 99), (2, 2), (1, 1), (1280, 720)].into_iter().enumerate() {
        // Another source: its time begins anew.
        let sent = bench.take(moving_picture(width, height, index as u64 % 2));
        let (low, high) = (&sent[&SSRCS[0]], &sent[&SSRCS[2]]);
        assert_eq!(decoded_size(high), (width, height));
        assert!(is_keyframe(low) && decoded_size(low).0 <= width, "{width}x{height}");
        let advance = high[0].header.timestamp.wrapping_sub(before[&SSRCS[2]][0].header.timestamp);
        assert!((1..90_000 * 60).contains(&advance), "time goes on: {advance}");
        std::thread::sleep(Duration::from_millis(40));
    }
}

#[test]
fn pictures_that_are_too_large_are_refused_with_a_reason() {
    let mut bench = three();
    let huge = moving_picture(7680, 4320, 0);
    let error = bench.sending.take(&Arc::new(huge), 30.0).unwrap_err();
    assert!(error.to_string().contains("7680x4320"), "{error}");
}

#[test]
fn a_source_that_says_nonsense_about_its_rate_is_encoded_all_the_same() {
    for fps in [f32::NAN, 0.0, -5.0, f32::INFINITY, 1e9] {
        let mut bench = bench(Layers::of(160, 120, false), VideoCodec::Vp8, StreamKind::Camera, 300_000);
        bench.sending.take(&Arc::new(moving_picture(160, 120, 0)), fps).unwrap();
        assert_eq!(bench.drain().len(), 1, "{fps}");
    }
}

#[test]
fn h264_goes_out_in_every_size() {
    for (width, height) in [(320, 180), (175, 99), (1, 1), (17, 300)] {
        let mut bench = bench(Layers::of(width, height, false), VideoCodec::H264, StreamKind::Camera, 500_000);
        let sent = bench.take(moving_picture(width, height, 0));
        // The parameter sets come first, together (RFC 6184 section 5.7.1).
        assert_eq!(sent[&SSRCS[0]][0].payload[0] & 0x1f, 24, "{width}x{height}");
        assert!(sent[&SSRCS[0]].last().unwrap().header.marker);
    }
}

/// A page of text-like strokes.
fn page(seed: usize, index: u64) -> VideoFrame {
    let (width, height) = (640u32, 360u32);
    let mut data = vec![235; VideoFrame::byte_len(width, height)];
    data[(width * height) as usize..].fill(128);
    for line in 0..20usize {
        for letter in 0..70usize {
            let (x, y) = (8 + letter * 9, 6 + line * 17);
            for stroke in 0..10usize {
                let bit = (letter * 31 + line * 17 + stroke * 7 + seed * 13) % 5;
                data[(y + stroke) * width as usize + x + bit] = 16;
            }
        }
    }
    VideoFrame::new(width, height, ColourSpace::default(), index * 66_667, data).unwrap()
}

#[test]
fn a_page_that_stands_still_gets_sharp_and_then_costs_almost_nothing() {
    let mut bench = bench(Layers::of(640, 360, false), VideoCodec::Vp8, StreamKind::Screen, 1_000_000);
    let mut sizes = Vec::new();
    for index in 0..40 {
        let sent = bench.take(page(1, index));
        sizes.push(sent.values().flatten().map(|packet| packet.payload.len()).sum::<usize>());
    }
    assert!(sizes[0] > 0, "the page is sent at once");
    let quiet = sizes.iter().rev().take_while(|size| **size == 0).count();
    assert!(quiet >= 20, "nothing is sent for what everyone has: {sizes:?}");
    // A late joiner asks: the whole page comes again.
    std::thread::sleep(Duration::from_millis(310));
    bench.gate.ask_keyframe();
    let sent = bench.take(page(1, 40));
    assert!(is_keyframe(&sent[&SSRCS[0]]));
    assert_eq!(decoded_size(&sent[&SSRCS[0]]), (640, 360));
    // Even while the source has nothing new to say.
    std::thread::sleep(Duration::from_millis(310));
    bench.gate.ask_keyframe();
    bench.sending.repeat().unwrap();
    assert!(is_keyframe(&bench.drain()[&SSRCS[0]]));
    // Another page is sent without being asked for.
    let changed = (41..70).find_map(|index| {
        std::thread::sleep(Duration::from_millis(30));
        bench.take(page(2, index)).remove(&SSRCS[0])
    });
    assert!(changed.is_some_and(|packets| packets.len() > 1));
}

#[test]
fn small_layers_do_not_wait_behind_large_ones() {
    let mut bench = three();
    bench.sending.take(&Arc::new(moving_picture(960, 540, 0)), 30.0).unwrap();
    let order: Vec<u32> =
        std::iter::from_fn(|| bench.packets.try_recv().ok()).map(|sent| sent[0].header.ssrc).collect();
    assert_eq!(order, SSRCS);
}

#[test]
fn one_layer_alone_may_not_fill_the_queue_of_all() {
    let mut bench = three();
    bench.gate.set_watched([true, false, false]);
    for index in 0..40 {
        bench.sending.take(&Arc::new(moving_picture(960, 540, index)), 30.0).unwrap();
    }
    let waiting = std::iter::from_fn(|| bench.packets.try_recv().ok()).count();
    assert_eq!(waiting, SEND_QUEUE, "a layer has no more than this waiting");
}

#[test]
fn a_poor_top_layer_leaves_frames_out_and_the_others_none() {
    let mut bench = bench(Layers::of(480, 270, true), VideoCodec::Vp8, StreamKind::Camera, 20_000_000);
    bench.gate.set_layer_rates([2_000_000, 100_000, 0]);
    let mut frames = BTreeMap::<u32, u32>::new();
    for index in 0..60 {
        for ssrc in bench.take(moving_picture(480, 270, index)).into_keys() {
            *frames.entry(ssrc).or_default() += 1;
        }
    }
    assert!(frames[&SSRCS[0]] >= 58, "{frames:?}");
    assert!((1..=32).contains(&frames[&SSRCS[1]]), "{frames:?}");
}

#[test]
fn a_full_queue_skips_pictures_whole() {
    let mut bench = three();
    for index in 0..40 {
        bench.sending.take(&Arc::new(moving_picture(960, 540, index)), 30.0).unwrap();
    }
    let sent = bench.drain();
    let timestamps = |ssrc: u32| {
        let mut all: Vec<u32> = sent[&ssrc].iter().map(|packet| packet.header.timestamp).collect();
        all.dedup();
        all
    };
    assert!(timestamps(SSRCS[0]).len() < 40);
    for ssrc in SSRCS {
        let numbers: Vec<u16> = sent[&ssrc].iter().map(|packet| packet.header.sequence_number).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "no number is missing");
    }
}
