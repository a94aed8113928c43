//! A publisher whose packets are garbage: payloads that no decoder takes, header extensions that lie. Whoever plays it
//! asks for keyframes and shows the picture as soon as there is one; everything else goes on.

use std::time::{Duration, Instant};

use rotunda::bridge::RoomEvent;
use rotunda::media::codec::vp8::{Vp8Encoder, Vp8EncoderConfig};
use rotunda::media::{ColourSpace, VideoFrame};
use rotunda::model::RoomId;

use super::kit::*;
use crate::common::relay::line::Chance;
use crate::peer::{Peer, Setup, connect};

const SIDE_PX: u32 = 128;
const LUMA: u8 = 180;

/// A payload that begins like a frame and is none.
fn garbage(chance: &mut Chance) -> Vec<u8> {
    const HEADS: [&[u8]; 5] = [
        // A keyframe without its start code, and one of 16383 x 16383 pixels.
        &[0x10, 0x00],
        &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f],
        // A frame that builds on others.
        &[0x10, 0x01],
        // A picture id and layers out of nowhere; a partition that no frame has.
        &[0x90, 0xf0],
        &[0x07],
    ];
    let mut payload = HEADS[chance.below(HEADS.len())].to_vec();
    let length = 1 + chance.below(800);
    payload.extend((0..length).map(|_| chance.bits() as u8));
    payload
}

/// Lets the publisher act for a moment.
fn act(peer: &mut Peer, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        peer.turn();
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn packets_heard(bot: &Bot, of: &str) -> u64 {
    audio_of(&bot.engine.snapshot(), of).map_or(0, |audio| audio.packets)
}

#[test]
fn garbage_is_survived_and_the_picture_shows_in_the_end() {
    // The little publisher knows only the embedded server; the viewer is the same everywhere.
    if kind() != Kind::Embedded {
        return;
    }
    let server = TestServer::start();
    let handle = server.embedded.as_ref().unwrap();
    let hall = RoomId::new("hall").unwrap();
    let (mut bob, cid) = (server.enter(&hall, "bob"), server.enter(&hall, "cid"));
    cid.publish("cid-cam", 120);
    bob.wait_figures("cid is heard", |now| audio_of(now, "cid-cam").filter(|audio| audio.level > 0.1));
    let mut ann = Peer::join(handle, "ann", Setup { hostile: true, ..Setup::PUBLISHER });
    connect(std::slice::from_mut(&mut ann));

    let (started, heard_before) = (Instant::now(), packets_heard(&bob, "cid-cam"));
    let timestamp = || started.elapsed().as_millis() as u32 * 90;
    let (mut number, mut chance) = (0, Chance(7));
    while started.elapsed() < Duration::from_secs(2) {
        ann.send_payload(number, timestamp(), garbage(&mut chance));
        number += 1;
        act(&mut ann, Duration::from_millis(20));
    }
    let heard = packets_heard(&bob, "cid-cam") - heard_before;
    assert!(heard > 60, "{heard} packets of another's sound came in two seconds");
    let video = video_of(&bob.engine.snapshot(), "ann-camera").unwrap();
    assert!(video.keyframe_requests > 0 && video.frames_decoded == 0, "{video:?}");
    assert!(ann.keyframe_requests > 0, "nobody asked the publisher for a keyframe");

    let config = Vp8EncoderConfig {
        width: SIDE_PX,
        height: SIDE_PX,
        fps: 20.0,
        bitrate_bps: 200_000,
        screen: false,
        threads: 1,
    };
    let mut encoder = Vp8Encoder::new(config).unwrap();
    let feed = bob.wait_feed("ann-camera");
    let (deadline, mut asked) = (Instant::now() + SOON, 0);
    let shown = loop {
        assert!(Instant::now() < deadline, "{:?}", video_of(&bob.engine.snapshot(), "ann-camera"));
        let keyframe = ann.keyframe_requests > asked;
        asked = ann.keyframe_requests;
        let mut data = vec![LUMA; VideoFrame::byte_len(SIDE_PX, SIDE_PX)];
        data[(SIDE_PX * SIDE_PX) as usize..].fill(128);
        let at_us = started.elapsed().as_micros() as u64;
        let frame = VideoFrame::new(SIDE_PX, SIDE_PX, ColourSpace::default(), at_us, data).unwrap();
        if let Some(encoded) = encoder.encode(&frame, keyframe).unwrap() {
            // So plain a picture fits one packet.
            ann.send_payload(number, timestamp(), [&[0x10_u8][..], &encoded.data].concat());
            number += 1;
        }
        act(&mut ann, Duration::from_millis(50));
        if let Some(shown) = feed.take() {
            break shown;
        }
    };
    assert_eq!((shown.width(), shown.height()), (SIDE_PX, SIDE_PX));
    let seen = brightness(&shown);
    assert!((seen - f32::from(LUMA)).abs() < 12.0, "its brightness is {seen}");
    bob.wait_figures("sound goes on", |now| audio_of(now, "cid-cam").filter(|audio| audio.level > 0.1));
    bob.listen();
    let left = bob.heard.iter().any(|event| matches!(event, RoomEvent::UserLeft { .. }));
    assert!(!left && handle.stats().failed_links == 0, "somebody was put out: {:?}", bob.heard);
}
