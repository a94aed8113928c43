//! One played picture: what the task that reads it, the thread that decodes it and whoever asks about it share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::clock::SenderClock;
use super::decode::Seat;
use super::meter::{Freezes, Rate};
use super::sync::{Lag, LipSync};
use crate::bridge::VideoFeed;
use crate::media::VideoFrame;
use crate::media::assembly::AssemblyStats;
use crate::model::TrackSid;
use crate::model::quality::VideoStats;

/// Frames of one track that may wait for the decoder; more wait with the reader.
pub(super) const MAX_UNDECODED: u32 = 8;
/// RTP clock of pictures, in Hz.
const CLOCK_HZ: u32 = 90_000;

/// A played picture.
pub(in crate::client) struct VideoTrack {
    sid: TrackSid,
    feed: VideoFeed,
    wanted: AtomicBool,
    /// Keyframes handed to the decoder so far. A frame carries the number of the last one before it.
    epoch: AtomicU64,
    /// Set by the decoder, taken by the reader: what follows in this epoch cannot be decoded. 0 is none.
    broken: AtomicU64,
    undecoded: AtomicU32,
    /// Told when the decoder had no room for another frame, and has.
    room: Notify,
    /// The decode thread it belongs to, from its first frame on.
    pub(super) seat: OnceLock<Seat>,
    place: Mutex<Place>,
    /// How long after the fastest ones its frames are shown at least, in ms, for the sake of their sound.
    hold_ms: AtomicU32,
    /// Round trip to the server in ms; 0 is not known.
    round_trip_ms: AtomicU32,
    pub(super) lip_sync: Mutex<LipSync>,
    counters: Mutex<Counters>,
}

/// Where it is on the sender's clock.
struct Place {
    clock: SenderClock,
    own_hold: Duration,
}

#[derive(Default)]
struct Counters {
    stats: VideoStats,
    /// What assemblers that were replaced had counted.
    past: AssemblyStats,
    /// What the present assembler counted.
    present: AssemblyStats,
    /// Whole frames that made no picture.
    undecoded: u64,
    bytes: Rate,
    frames: Rate,
    freezes: Freezes,
    decode_time: Duration,
}

impl VideoTrack {
    /// A track that is wanted from the start, with a feed of its own.
    pub(in crate::client) fn new(sid: TrackSid) -> Self {
        Self {
            sid,
            feed: VideoFeed::default(),
            wanted: AtomicBool::new(true),
            epoch: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            undecoded: AtomicU32::new(0),
            room: Notify::new(),
            seat: OnceLock::new(),
            place: Mutex::new(Place { clock: SenderClock::new(CLOCK_HZ), own_hold: Duration::ZERO }),
            hold_ms: AtomicU32::new(0),
            round_trip_ms: AtomicU32::new(0),
            lip_sync: Mutex::default(),
            counters: Mutex::default(),
        }
    }

    /// The server's id.
    pub(in crate::client) fn sid(&self) -> &TrackSid {
        &self.sid
    }

    /// Where its pictures wait.
    pub(in crate::client) fn feed(&self) -> &VideoFeed {
        &self.feed
    }

    /// Stops for good: no more pictures, and the feed is closed.
    pub(in crate::client) fn stop(&self) {
        self.wanted.store(false, Ordering::Release);
        self.feed.close();
    }

    /// The figures now.
    pub(super) fn stats(&self) -> VideoStats {
        let now = Instant::now();
        let mut counters = self.counters();
        let mut stats = counters.stats.clone();
        stats.lost = counters.past.lost + counters.present.lost;
        stats.frames_received = counters.past.frames + counters.present.frames;
        stats.frames_dropped = counters.past.dropped + counters.present.dropped + counters.undecoded;
        stats.fps = counters.frames.per_second(now);
        stats.kbps = counters.bytes.per_second(now) * 8.0 / 1000.0;
        stats.freezes = counters.freezes.count(now);
        if stats.frames_decoded > 0 {
            stats.decode_ms = counters.decode_time.as_secs_f32() * 1000.0 / stats.frames_decoded as f32;
        }
        drop(counters);
        stats.held_ms = self.held_ms(&self.place());
        stats
    }

    /// A picture was decoded.
    pub(super) fn decoded(&self, frame: VideoFrame, took: Duration) {
        {
            let now = Instant::now();
            let mut counters = self.counters();
            counters.stats.frames_decoded += 1;
            counters.stats.width = frame.width();
            counters.stats.height = frame.height();
            counters.decode_time += took;
            counters.frames.add(1, now);
            counters.freezes.frame(now);
        }
        if !self.feed.is_closed() {
            self.feed.put(Arc::new(frame));
        }
    }

    /// What was given to the decoder made no picture, and later frames of its epoch build on it.
    pub(super) fn not_decoded(&self, epoch: u64) {
        self.broken.store(epoch, Ordering::Release);
        self.counters().undecoded += 1;
    }

    /// Whether the decoder failed since the last keyframe that was handed on: what came before it is past mending, and
    /// need not be mended.
    pub(super) fn broke(&self) -> bool {
        let broken = self.broken.swap(0, Ordering::AcqRel);
        broken != 0 && broken == self.epoch.load(Ordering::Acquire)
    }

    /// The epoch of the next frame for the decoder.
    pub(super) fn next_epoch(&self, keyframe: bool) -> u64 {
        let begun = u64::from(keyframe);
        self.epoch.fetch_add(begun, Ordering::AcqRel) + begun
    }

    /// A new assembler begins, whose figures start at nothing: keeps those of the last.
    pub(super) fn keep_past_figures(&self) {
        let mut counters = self.counters();
        let ended = std::mem::take(&mut counters.present);
        counters.past.lost += ended.lost;
        counters.past.dropped += ended.dropped;
        counters.past.frames += ended.frames;
    }

    /// The decoder has taken a frame off its queue.
    pub(super) fn taken(&self) {
        if self.undecoded.fetch_sub(1, Ordering::AcqRel) >= MAX_UNDECODED {
            self.room.notify_one();
        }
    }

    /// Waits until the decoder, after it had none, has room for another frame.
    pub(super) async fn room(&self) {
        self.room.notified().await;
    }

    /// Whether the pictures are paused on purpose: then the gap is no freeze.
    pub(in crate::client) fn set_paused(&self, paused: bool) {
        self.counters().freezes.set_paused(paused);
    }

    /// Whether anybody still wants it.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Pictures that somebody took to show.
    pub(in crate::client) fn shown(&self) -> u64 {
        self.feed.counts().taken
    }

    /// Counts a frame that goes to the decoder, and for which [`Self::taken`] follows; `false`, and nothing is counted,
    /// while too many wait for it already.
    pub(super) fn queue(&self) -> bool {
        let fits = self.undecoded.fetch_add(1, Ordering::AcqRel) < MAX_UNDECODED;
        if !fits {
            self.undecoded.fetch_sub(1, Ordering::AcqRel);
        }
        fits
    }

    /// So many whole frames did not reach the decoder.
    pub(super) fn skipped(&self, frames: u64) {
        self.counters().undecoded += frames;
    }

    /// Takes a packet's payload into the figures, and those of the assembler after it.
    pub(super) fn count(&self, received_bytes: Option<usize>, present: AssemblyStats, now: Instant) {
        let mut counters = self.counters();
        if let Some(bytes) = received_bytes {
            counters.stats.packets += 1;
            counters.stats.bytes += bytes as u64;
            counters.bytes.add(bytes as u64, now);
        }
        counters.present = present;
    }

    /// A keyframe was asked for.
    pub(super) fn asked_for_keyframe(&self) {
        self.counters().stats.keyframe_requests += 1;
    }

    /// Mean time that decoding a frame takes.
    pub(super) fn decode_time(&self) -> Duration {
        let counters = self.counters();
        let frames = u32::try_from(counters.stats.frames_decoded).unwrap_or(u32::MAX);
        counters.decode_time.checked_div(frames).unwrap_or_default()
    }

    /// Takes a sender report that came now.
    pub(super) fn report(&self, ntp: u64, rtp: u32, now_us: i64) {
        self.place().clock.report(ntp, rtp, now_us);
    }

    /// Takes what a packet says of its capture.
    pub(super) fn captured(&self, ntp: u64, rtp: u32) {
        self.place().clock.captured(ntp, rtp);
    }

    /// A frame became whole; frames are held this long by themselves.
    pub(super) fn whole(&self, rtp: u32, now_us: i64, own_hold: Duration) {
        let mut place = self.place();
        place.clock.arrived(rtp, now_us);
        place.own_hold = own_hold;
    }

    /// The stream begins anew: nothing is known of its clock.
    pub(super) fn forget_clock(&self) {
        self.place().clock = SenderClock::new(CLOCK_HZ);
    }

    /// How far behind its sender it is shown, once the sender's clock is known, and what to take off for clocks that
    /// differ, once that is known, too; both in ms.
    pub(super) fn lag(&self, round_trip_us: i64) -> Option<(Lag, Option<f64>)> {
        let decode_ms = self.decode_time().as_secs_f64() * 1e3;
        let place = self.place();
        let (transit_us, difference_us) = (place.clock.transit_us()?, place.clock.difference_us(round_trip_us));
        let own_hold_ms = place.own_hold.as_secs_f32() * 1e3;
        // Frames are handed to the decoder early by what decoding takes, when they are held at all.
        let hold_ms = self.held_ms(&place);
        let whole_ms = transit_us as f64 / 1e3 + f64::from(hold_ms).max(decode_ms);
        Some((Lag { whole_ms, own_hold_ms, hold_ms }, difference_us.map(|us| us as f64 / 1e3)))
    }

    /// Shows its frames at least this long after the fastest ones.
    pub(super) fn set_hold_ms(&self, ms: f32) {
        self.hold_ms.store(ms as u32, Ordering::Relaxed);
    }

    /// See [`Self::set_hold_ms`].
    pub(super) fn hold(&self) -> Duration {
        Duration::from_millis(self.hold_ms.load(Ordering::Relaxed).into())
    }

    /// What it is held by itself or for its sound, in ms.
    fn held_ms(&self, place: &Place) -> f32 {
        (place.own_hold.as_secs_f32() * 1e3).max(self.hold_ms.load(Ordering::Relaxed) as f32)
    }

    /// Tells the round trip to the server.
    pub(super) fn set_round_trip_ms(&self, ms: f32) {
        self.round_trip_ms.store(ms as u32, Ordering::Relaxed);
    }

    /// The round trip to the server, once known.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        let ms = self.round_trip_ms.load(Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms.into()))
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn track() -> VideoTrack {
        VideoTrack::new(TrackSid::new("TR_V").unwrap())
    }

    #[test]
    fn figures_run_on_over_a_new_assembler() {
        let track = track();
        let present = AssemblyStats { packets: 9, lost: 1, frames: 5, dropped: 2 };
        for links in 1..4 {
            track.keep_past_figures();
            track.counters().present = present;
            let stats = track.stats();
            assert_eq!((stats.lost, stats.frames_received, stats.frames_dropped), (links, 5 * links, 2 * links));
        }
    }

    #[test]
    fn an_error_from_before_a_keyframe_does_not_spoil_it() {
        let track = track();
        let first = track.next_epoch(true);
        assert_eq!(track.next_epoch(false), first);
        track.not_decoded(first);
        assert!(track.broke() && !track.broke(), "told once");
        let second = track.next_epoch(true);
        track.not_decoded(first);
        assert!(!track.broke(), "the keyframe mends it");
        track.not_decoded(second);
        assert!(track.broke());
    }

    #[test]
    fn whoever_waits_for_a_full_decoder_is_woken_when_it_has_taken_one() {
        let track = track();
        let mut context = Context::from_waker(Waker::noop());
        let mut room = pin!(track.room());
        assert!((0..MAX_UNDECODED).all(|_| track.queue()));
        assert!(!track.queue() && !track.queue(), "what does not fit is not counted");
        assert!(room.as_mut().poll(&mut context).is_pending());
        track.taken();
        assert!(room.as_mut().poll(&mut context).is_ready());
        assert!(track.queue() && !track.queue());
        // Also when it takes one before anybody waits.
        track.taken();
        assert!(pin!(track.room()).poll(&mut context).is_ready());
    }

    #[test]
    fn a_picture_nobody_took_gives_way_and_only_what_was_taken_counts_as_shown() {
        let track = track();
        let frame = |at| VideoFrame::new(2, 2, Default::default(), at, vec![0; 6]).unwrap();
        track.decoded(frame(1), Duration::ZERO);
        track.decoded(frame(2), Duration::ZERO);
        assert_eq!(track.feed().take().map(|frame| frame.timestamp_us()), Some(2));
        assert_eq!((track.shown(), track.stats().frames_decoded), (1, 2));
        track.stop();
        track.decoded(frame(3), Duration::ZERO);
        assert!(track.feed().take().is_none());
    }

    #[test]
    fn its_lag_is_known_with_the_first_report() {
        let track = track();
        assert!(track.lag(0).is_none());
        track.report(4_000_000_000 << 32, 90_000, 5_000_000);
        assert!(track.lag(0).is_none(), "no picture yet");
        track.whole(90_000, 5_030_000, Duration::from_millis(20));
        let (lag, difference_ms) = track.lag(10_000).unwrap();
        assert_eq!((lag.own_hold_ms, lag.hold_ms), (20.0, 20.0));
        assert!(
            (lag.whole_ms - difference_ms.unwrap() - 55.0).abs() < 0.01,
            "30 ms on the way, 5 of the report, 20 held"
        );
        track.set_hold_ms(50.0);
        assert_eq!(track.lag(0).unwrap().0.hold_ms, 50.0);
    }
}
