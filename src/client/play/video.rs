//! One played picture: packets to frames to the decoder, keyframe requests, figures. The reading task runs on the
//! engine's runtime, decoding on the pool; they share counters and two flags.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use tokio::time::{MissedTickBehavior, interval};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::decode::Encoded;
use super::meter::{Freezes, Rate};
use crate::bridge::VideoFeed;
use crate::client::MediaHub;
use crate::media::VideoFrame;
use crate::media::assembly::{AssemblyStats, RtpPacketRef, Vp8Assembler};
use crate::model::TrackSid;
use crate::model::quality::VideoStats;

/// Keyframe requests repeat at this interval until a keyframe is there: one alone is often lost.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(350);
/// A track that sent nothing for this long is paused: it is not asked for keyframes.
const PAUSED_AFTER: Duration = Duration::from_secs(1);
/// How often waiting frames are looked after between packets.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Frames of one track that may wait for the decoder; more are dropped, and a keyframe is asked for.
const MAX_UNDECODED: u32 = 8;

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
    counters: Mutex<Counters>,
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
        stats
    }

    /// A picture was decoded. Gives back one that nobody took, for its buffer.
    pub(super) fn decoded(&self, frame: VideoFrame, took: Duration) -> Option<VideoFrame> {
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
        if self.feed.is_closed() {
            return Some(frame);
        }
        self.feed.put(Arc::new(frame)).and_then(Arc::into_inner)
    }

    /// What was given to the decoder made no picture, and later frames of its epoch build on it.
    pub(super) fn not_decoded(&self, epoch: u64) {
        self.broken.store(epoch, Ordering::Release);
        self.counters().undecoded += 1;
    }

    /// Whether the decoder failed since the last keyframe that was handed on: what came before it is past mending, and
    /// need not be mended.
    fn broke(&self) -> bool {
        let broken = self.broken.swap(0, Ordering::AcqRel);
        broken != 0 && broken == self.epoch.load(Ordering::Acquire)
    }

    /// The epoch of the next frame for the decoder.
    fn next_epoch(&self, keyframe: bool) -> u64 {
        let begun = u64::from(keyframe);
        self.epoch.fetch_add(begun, Ordering::AcqRel) + begun
    }

    /// A new assembler begins, whose figures start at nothing: keeps those of the last.
    fn keep_past_figures(&self) {
        let mut counters = self.counters();
        let ended = std::mem::take(&mut counters.present);
        counters.past.lost += ended.lost;
        counters.past.dropped += ended.dropped;
        counters.past.frames += ended.frames;
    }

    /// The decoder has taken a frame off its queue.
    pub(super) fn taken(&self) {
        self.undecoded.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether the pictures are paused on purpose: then the gap is no freeze.
    pub(in crate::client) fn set_paused(&self, paused: bool) {
        self.counters().freezes.set_paused(paused);
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a remote track until the link ends.
pub(super) async fn pump(remote: Arc<dyn TrackRemote>, track: Arc<VideoTrack>, hub: Arc<MediaHub>) {
    let mut reader = Reader::new(Arc::clone(&track), hub);
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = remote.poll() => match event {
                Some(TrackRemoteEvent::OnRtpPacket(packet)) => reader.take(&packet, Instant::now()),
                Some(_) => {}
                None => return,
            },
            _ = ticks.tick() => {}
        }
        if !track.wanted.load(Ordering::Acquire) {
            continue;
        }
        let now = Instant::now();
        reader.hand_on(now);
        if let Some(media_ssrc) = reader.keyframe_request(now) {
            let request = PictureLossIndication { sender_ssrc: 0, media_ssrc };
            if let Err(error) = remote.write_rtcp(vec![Box::new(request)]).await {
                tracing::debug!(%error, "a keyframe request was not sent");
                return;
            }
        }
    }
}

/// The reading side of one track on one link.
struct Reader {
    track: Arc<VideoTrack>,
    hub: Arc<MediaHub>,
    assembler: Vp8Assembler,
    ssrc: Option<u32>,
    last_packet: Option<Instant>,
    last_request: Option<Instant>,
    clock: Clock,
}

impl Reader {
    fn new(track: Arc<VideoTrack>, hub: Arc<MediaHub>) -> Self {
        track.keep_past_figures();
        Self {
            track,
            hub,
            assembler: Vp8Assembler::new(),
            ssrc: None,
            last_packet: None,
            last_request: None,
            clock: Clock::default(),
        }
    }

    fn take(&mut self, packet: &rtp::Packet, now: Instant) {
        if !self.track.wanted.load(Ordering::Acquire) {
            return;
        }
        if self.ssrc != Some(packet.header.ssrc) {
            // A rebound section has a new stream: nothing of the old one fits it.
            if self.ssrc.replace(packet.header.ssrc).is_some() {
                self.replace_assembler();
            }
        }
        self.last_packet = Some(now);
        {
            let mut counters = self.track.counters();
            counters.stats.packets += 1;
            counters.stats.bytes += packet.payload.len() as u64;
            counters.bytes.add(packet.payload.len() as u64, now);
        }
        let packet = RtpPacketRef {
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload: &packet.payload,
        };
        self.assembler.push(packet, now);
    }

    /// Gives whole frames to the decoder.
    fn hand_on(&mut self, now: Instant) {
        if self.track.broke() {
            self.assembler.decode_failed();
        }
        while let Some(frame) = self.assembler.poll(now) {
            let Some(decoders) = &self.hub.decoders else { continue };
            let timestamp_us = self.clock.micros(frame.timestamp);
            let epoch = self.track.next_epoch(frame.keyframe);
            let encoded = Encoded { track: Arc::clone(&self.track), data: frame.data, epoch, timestamp_us };
            let room = self.track.undecoded.fetch_add(1, Ordering::AcqRel) < MAX_UNDECODED;
            if !room || !decoders.submit(encoded) {
                self.track.taken();
                self.track.counters().undecoded += 1;
                self.assembler.decode_failed();
            }
        }
        self.track.counters().present = self.assembler.stats();
    }

    /// The stream to ask for a keyframe now, if one is needed.
    fn keyframe_request(&mut self, now: Instant) -> Option<u32> {
        let ssrc = self.ssrc?;
        let flowing = self.last_packet.is_some_and(|at| now.saturating_duration_since(at) < PAUSED_AFTER);
        let rested = self.last_request.is_none_or(|at| now.saturating_duration_since(at) >= KEYFRAME_REQUEST_INTERVAL);
        if !flowing || !rested || !self.assembler.needs_keyframe() {
            return None;
        }
        self.last_request = Some(now);
        self.track.counters().stats.keyframe_requests += 1;
        Some(ssrc)
    }

    fn replace_assembler(&mut self) {
        self.assembler = Vp8Assembler::new();
        self.track.keep_past_figures();
        self.clock = Clock::default();
    }
}

/// RTP time that does not wrap, in microseconds.
#[derive(Default)]
struct Clock {
    last: Option<u32>,
    ticks: u64,
}

impl Clock {
    /// Frames come in order, so time only runs forward.
    fn micros(&mut self, timestamp: u32) -> u64 {
        if let Some(last) = self.last {
            self.ticks += u64::from(timestamp.wrapping_sub(last));
        }
        self.last = Some(timestamp);
        self.ticks * 100 / 9
    }
}

#[cfg(test)]
mod tests {
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
    fn a_picture_nobody_took_comes_back_for_its_buffer() {
        let track = track();
        let frame = || VideoFrame::new(2, 2, Default::default(), 0, vec![0; 6]).unwrap();
        assert!(track.decoded(frame(), Duration::ZERO).is_none());
        assert!(track.decoded(frame(), Duration::ZERO).is_some(), "the first was not taken");
        let taken = track.feed().take();
        assert!(track.decoded(frame(), Duration::ZERO).is_none() && taken.is_some());
    }

    #[test]
    fn time_runs_on_over_the_wrap() {
        let mut clock = Clock::default();
        assert_eq!(clock.micros(u32::MAX - 44_999), 0);
        assert_eq!(clock.micros(45_000), 1_000_000);
    }
}
