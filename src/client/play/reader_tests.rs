//! What goes to the decoder and when keyframes are asked for, with simulated time and a decoder played by hand.

use bytes::Bytes;
use crossbeam_channel::Receiver;
use tokio::sync::watch;

use super::super::decode::DecodePool;
use super::*;
use crate::model::TrackSid;

const SSRC: u32 = 9;
/// Payload types: of VP8, and one that nobody offered.
const VP8: u8 = 96;
const UNKNOWN: u8 = 45;

/// A reader at 30 frames per second of one packet each.
struct Scene {
    reader: Reader,
    track: Arc<VideoTrack>,
    decoder: Receiver<Encoded>,
    start: Instant,
    requests: u32,
}

impl Scene {
    fn new() -> Self {
        let (pool, decoder) = DecodePool::by_hand();
        let (name, dials) = ("reader".to_owned(), watch::Sender::new(()));
        let hub = MediaHub { name, decoders: Some(pool), playout: None, dials };
        let track = Arc::new(VideoTrack::new(TrackSid::new("TR_R").unwrap()));
        let mut reader = Reader::new(Arc::clone(&track), Arc::new(hub));
        reader.begin((SSRC, VP8));
        Self { reader, track, decoder, start: Instant::now(), requests: 0 }
    }

    /// When a frame is sent, in ms.
    fn sent_ms(index: u16) -> u64 {
        u64::from(index) * 100 / 3
    }

    fn arrives(&mut self, index: u16, keyframe: bool, at_ms: u64) {
        let [high, low] = index.to_be_bytes();
        let header = rtp::Header {
            ssrc: SSRC,
            sequence_number: index,
            timestamp: u32::from(index) * 3000,
            marker: true,
            ..Default::default()
        };
        // A descriptor, what tells a keyframe, and which frame it is.
        let payload = Bytes::from(vec![0x10, u8::from(!keyframe), high, low]);
        self.reader.take(&rtp::Packet { header, payload }, self.start + Duration::from_millis(at_ms));
        self.turn(at_ms);
    }

    /// What the task does whenever it wakes.
    fn turn(&mut self, at_ms: u64) {
        let now = self.start + Duration::from_millis(at_ms);
        self.reader.hand_on(None, now);
        self.requests += u32::from(self.reader.keyframe_request(now).is_some());
    }

    /// The decoder takes a frame: which one.
    fn decodes(&self) -> Option<u16> {
        let encoded = self.decoder.try_recv().ok()?;
        self.track.taken();
        Some(u16::from_be_bytes([encoded.data[1], encoded.data[2]]))
    }

    /// The decoder takes whatever it is given.
    fn decodes_all(&mut self, at_ms: u64) -> Vec<u16> {
        let mut decoded = Vec::new();
        self.turn(at_ms);
        while let Some(index) = self.decodes() {
            decoded.push(index);
            self.turn(at_ms);
        }
        decoded
    }
}

#[test]
fn a_stream_is_decoded_from_where_its_codec_is_one_of_ours() {
    let mut scene = Scene::new();
    assert!(scene.reader.expects((SSRC + 1, UNKNOWN)));
    scene.arrives(0, true, 0);
    assert_eq!((scene.decodes(), scene.requests), (None, 0), "nothing to decode, and no keyframe that would help");
    assert!(scene.reader.expects((SSRC, VP8)));
    scene.arrives(1, true, 33);
    assert_eq!(scene.decodes(), Some(1));
    assert!(!scene.reader.expects((SSRC, UNKNOWN)), "what runs is not stopped by it");
}

#[test]
fn what_a_stall_held_back_is_decoded_whole() {
    let mut scene = Scene::new();
    for index in 0..30 {
        scene.arrives(index, index == 0, Scene::sent_ms(index));
        assert_eq!(scene.decodes(), Some(index));
    }
    // Nothing for 500 ms, then 15 frames at once. The decoder is held up by other pictures of which the same is true.
    for index in 30..45 {
        scene.arrives(index, false, 1_500);
    }
    for at_ms in (1_500..1_800).step_by(5) {
        scene.turn(at_ms);
    }
    assert_eq!(scene.reader.deadline(), None, "woken by the decoder, not over and over");
    let mut decoded = Vec::new();
    for at_ms in (1_800..2_200).step_by(5) {
        scene.turn(at_ms);
        decoded.extend(scene.decodes());
    }
    assert_eq!(decoded, (30..45).collect::<Vec<u16>>());
    assert_eq!((scene.requests, scene.track.stats().frames_dropped), (0, 0));
}

#[test]
fn a_decoder_that_cannot_keep_up_is_given_a_keyframe_once() {
    let mut scene = Scene::new();
    let mut key = None;
    for index in 0..60 {
        let asked = scene.requests > 0 && key.is_none();
        key = key.or(asked.then_some(index));
        scene.arrives(index, index == 0 || asked, Scene::sent_ms(index));
    }
    let key = key.expect("a keyframe was asked for");
    assert!((30..50).contains(&key), "after a second: frame {key}");
    // What was in the decoder's queue, and nothing that cannot be decoded after it.
    assert_eq!(scene.decodes_all(2_000), (0..8).chain(key..60).collect::<Vec<u16>>());
    assert_eq!((scene.requests, scene.track.stats().frames_dropped), (1, u64::from(key) - 8));
}

#[test]
fn a_decoder_that_cannot_keep_up_goes_on_at_a_keyframe_that_is_there() {
    let mut scene = Scene::new();
    for index in 0..45 {
        scene.arrives(index, index == 0 || index == 20, Scene::sent_ms(index));
    }
    assert_eq!(scene.decodes_all(1_500), (0..8).chain(20..45).collect::<Vec<u16>>());
    assert_eq!(scene.requests, 0);
}

#[test]
fn keyframes_are_asked_for_no_more_often_than_they_can_come() {
    let requests = |round_trip_ms: f32| {
        let mut scene = Scene::new();
        scene.track.set_round_trip_ms(round_trip_ms);
        for index in 1..120 {
            scene.arrives(index, false, Scene::sent_ms(index));
        }
        scene.requests
    };
    let (near, far) = (requests(40.0), requests(600.0));
    assert!((10..=12).contains(&near), "{near} in four seconds, every 350 ms");
    assert!((4..=5).contains(&far), "{far} in four seconds, every 950 ms");
}
