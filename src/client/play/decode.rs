//! The decode pool: named threads with a bounded queue each. A track always goes to the same thread, so its frames
//! stay in order and its decoder is touched by one thread only.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::video::VideoTrack;
use crate::media::codec::vp8::Vp8Decoder;

/// Frames that may wait for one thread.
const QUEUE: usize = 128;
/// Decoders of tracks that are gone are let go at this interval.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// One frame to decode.
pub(super) struct Encoded {
    pub(super) track: Arc<VideoTrack>,
    pub(super) data: Vec<u8>,
    pub(super) keyframe: bool,
    pub(super) timestamp_us: u64,
}

/// The threads; they end when the pool is dropped.
pub(in crate::client) struct DecodePool {
    threads: Vec<Sender<Encoded>>,
}

impl DecodePool {
    /// Starts `count` threads.
    pub(in crate::client) fn start(name: &str, count: usize) -> io::Result<Self> {
        let mut threads = Vec::with_capacity(count);
        for n in 0..count.max(1) {
            let (sender, receiver) = crossbeam_channel::bounded(QUEUE);
            std::thread::Builder::new().name(format!("{name}-dec-{n}")).spawn(move || run(&receiver))?;
            threads.push(sender);
        }
        Ok(Self { threads })
    }

    /// Queues a frame; `false` when its thread is too far behind.
    pub(super) fn submit(&self, encoded: Encoded) -> bool {
        let at = spread(encoded.track.sid().as_str()) % self.threads.len();
        self.threads.get(at).is_some_and(|thread| thread.try_send(encoded).is_ok())
    }
}

/// Spreads tracks evenly: server ids differ in their last letters.
fn spread(sid: &str) -> usize {
    sid.bytes().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
}

struct Slot {
    track: Weak<VideoTrack>,
    decoder: Vp8Decoder,
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
    let Encoded { track, data, keyframe, timestamp_us } = encoded;
    track.taken();
    let key = Arc::as_ptr(&track);
    let decoder = match slots.entry(key) {
        std::collections::hash_map::Entry::Occupied(entry) => &mut entry.into_mut().decoder,
        std::collections::hash_map::Entry::Vacant(entry) => match Vp8Decoder::new() {
            Ok(decoder) => &mut entry.insert(Slot { track: Arc::downgrade(&track), decoder }).decoder,
            Err(error) => {
                tracing::error!(%error, track = %track.sid(), "no decoder");
                track.not_decoded(true);
                return;
            }
        },
    };
    let started = Instant::now();
    match decoder.decode(&data, timestamp_us) {
        Ok(Some(frame)) => track.decoded(frame, started.elapsed()),
        // The encoder hid this frame on purpose: nothing to show, nothing lost.
        Ok(None) => {}
        Err(error) => {
            tracing::debug!(%error, keyframe, track = %track.sid(), "a frame cannot be decoded");
            track.not_decoded(true);
        }
    }
}
