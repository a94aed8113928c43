//! The decode pool: named threads with a bounded queue each. A track takes a seat at the thread that has the fewest and
//! keeps it, so its frames stay in order and its decoder is touched by one thread only.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::video::{MAX_UNDECODED, VideoTrack};
use crate::media::VideoFrame;
use crate::media::codec::CodecError;
use crate::media::codec::h264_decoder::H264Decoder;
use crate::media::codec::vp8::Vp8Decoder;
use crate::model::media::VideoCodec;

/// Frames that may wait for one thread: each track keeps to its own bound, so this is reached by more than a hundred.
const QUEUE: usize = 128 * MAX_UNDECODED as usize;
/// Decoders of tracks that are gone are let go at this interval.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// One frame to decode.
pub(super) struct Encoded {
    pub(super) track: Arc<VideoTrack>,
    pub(super) codec: VideoCodec,
    pub(super) data: Vec<u8>,
    /// Which keyframe it builds on, or is.
    pub(super) epoch: u64,
    pub(super) timestamp_us: u64,
}

/// A track's place at one of the threads, given back when it is dropped.
pub(super) struct Seat {
    thread: usize,
    taken: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The threads; they end when the pool is dropped.
pub(in crate::client) struct DecodePool {
    threads: Vec<Thread>,
}

struct Thread {
    frames: Sender<Encoded>,
    seats: Arc<AtomicUsize>,
}

impl DecodePool {
    /// Starts `count` threads.
    pub(in crate::client) fn start(name: &str, count: usize) -> io::Result<Self> {
        let mut threads = Vec::with_capacity(count);
        for n in 0..count.max(1) {
            let (frames, receiver) = crossbeam_channel::bounded(QUEUE);
            std::thread::Builder::new().name(format!("{name}-dec-{n}")).spawn(move || run(&receiver))?;
            threads.push(Thread { frames, seats: Arc::default() });
        }
        Ok(Self { threads })
    }

    /// A pool whose only thread is the test's: it takes what is queued from the receiver.
    #[cfg(test)]
    pub(super) fn by_hand() -> (Self, Receiver<Encoded>) {
        let (frames, receiver) = crossbeam_channel::bounded(QUEUE);
        (Self { threads: vec![Thread { frames, seats: Arc::default() }] }, receiver)
    }

    /// Queues a frame; `false` when its thread is too far behind.
    pub(super) fn submit(&self, encoded: Encoded) -> bool {
        let at = encoded.track.seat.get_or_init(|| self.take_seat()).thread;
        self.threads.get(at).is_some_and(|thread| thread.frames.try_send(encoded).is_ok())
    }

    /// A seat at the thread with the fewest taken.
    fn take_seat(&self) -> Seat {
        let fewest = self.threads.iter().enumerate().min_by_key(|(_, thread)| thread.seats.load(Ordering::Relaxed));
        let (thread, taken) = fewest.map(|(at, thread)| (at, Arc::clone(&thread.seats))).unwrap_or_default();
        taken.fetch_add(1, Ordering::Relaxed);
        Seat { thread, taken }
    }
}

struct Slot {
    track: Weak<VideoTrack>,
    codec: VideoCodec,
    decoder: Decoder,
}

/// A decoder of either codec.
enum Decoder {
    Vp8(Vp8Decoder),
    H264(H264Decoder),
}

impl Decoder {
    fn new(codec: VideoCodec) -> Result<Self, CodecError> {
        Ok(match codec {
            VideoCodec::Vp8 => Self::Vp8(Vp8Decoder::new()?),
            VideoCodec::H264 => Self::H264(H264Decoder::new()),
        })
    }

    fn decode(&mut self, data: &[u8], timestamp_us: u64) -> Result<Option<VideoFrame>, CodecError> {
        match self {
            Self::Vp8(decoder) => decoder.decode(data, timestamp_us),
            Self::H264(decoder) => decoder.decode(data, timestamp_us),
        }
    }
}

fn run(frames: &Receiver<Encoded>) {
    let mut slots: HashMap<*const VideoTrack, Slot> = HashMap::new();
    let mut swept = Instant::now();
    loop {
        match frames.recv_timeout(SWEEP_INTERVAL) {
            Ok(encoded) => decode(&mut slots, encoded),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if swept.elapsed() >= SWEEP_INTERVAL {
            // A live `Weak` keeps the address from being used again, so the key stays unique.
            slots.retain(|_, slot| slot.track.strong_count() > 0);
            swept = Instant::now();
        }
    }
}

fn decode(slots: &mut HashMap<*const VideoTrack, Slot>, encoded: Encoded) {
    let Encoded { track, codec, data, epoch, timestamp_us } = encoded;
    track.taken();
    let key = Arc::as_ptr(&track);
    // A publisher that changes its codec has a new stream, which a new decoder takes up.
    if slots.get(&key).is_none_or(|slot| slot.codec != codec) {
        match Decoder::new(codec) {
            Ok(decoder) => {
                slots.insert(key, Slot { track: Arc::downgrade(&track), codec, decoder });
            }
            Err(error) => {
                tracing::error!(%error, track = %track.sid(), "no decoder");
                track.not_decoded(epoch);
                return;
            }
        }
    }
    let Some(slot) = slots.get_mut(&key) else { return };
    let started = Instant::now();
    match slot.decoder.decode(&data, timestamp_us) {
        Ok(Some(frame)) => track.decoded(frame, started.elapsed()),
        // The encoder hid this frame on purpose: nothing to show, nothing lost.
        Ok(None) => {}
        Err(error) => {
            tracing::debug!(%error, epoch, track = %track.sid(), "a frame cannot be decoded");
            track.not_decoded(epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TrackSid;

    #[test]
    fn tracks_spread_evenly_and_give_their_seats_back() {
        let pool = DecodePool::start("spread", 4).unwrap();
        let seat = |name: &str| {
            let track = VideoTrack::new(TrackSid::new(name).unwrap());
            track.seat.get_or_init(|| pool.take_seat());
            track
        };
        let load = || -> Vec<usize> { pool.threads.iter().map(|t| t.seats.load(Ordering::Relaxed)).collect() };
        let tracks: Vec<VideoTrack> = (0..25).map(|n| seat(&format!("TR_{n}"))).collect();
        let mut spread = load();
        spread.sort_unstable();
        assert_eq!(spread, [6, 6, 6, 7]);
        drop(tracks);
        assert_eq!(load(), [0; 4]);
    }

    #[test]
    fn garbage_is_an_error_told_to_the_track_and_the_thread_lives_on() {
        let pool = DecodePool::start("garbage", 1).unwrap();
        let track = Arc::new(VideoTrack::new(TrackSid::new("TR_G").unwrap()));
        for (codec, data) in [
            (VideoCodec::Vp8, vec![0xff; 40]),
            (VideoCodec::H264, vec![0, 0, 0, 1, 0x67, 0xff, 0xff]),
            (VideoCodec::Vp8, Vec::new()),
        ] {
            assert!(track.queue());
            let epoch = track.next_epoch(true);
            assert!(pool.submit(Encoded { track: Arc::clone(&track), codec, data, epoch, timestamp_us: 0 }));
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while track.stats().frames_dropped < 3 {
            assert!(Instant::now() < deadline, "three frames were refused");
            std::thread::yield_now();
        }
        assert!(track.broke(), "a keyframe is asked for");
    }
}
