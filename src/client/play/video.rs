//! One played picture: packets to frames to the decoder, keyframe requests, figures. The reading task runs on the
//! engine's runtime, decoding on the pool; they share counters and two flags.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    /// Set by the decoder, taken by the reader: what follows cannot be decoded.
    broken: AtomicBool,
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
            broken: AtomicBool::new(false),
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
        stats.freezes = counters.freezes.count();
        if stats.frames_decoded > 0 {
            stats.decode_ms = counters.decode_time.as_secs_f32() * 1000.0 / stats.frames_decoded as f32;
        }
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

    /// What was given to the decoder made no picture; `broken` when later frames build on it.
    pub(super) fn not_decoded(&self, broken: bool) {
        if broken {
            self.broken.store(true, Ordering::Release);
        }
        self.counters().undecoded += 1;
    }

    /// The decoder has taken a frame off its queue.
    pub(super) fn taken(&self) {
        self.undecoded.fetch_sub(1, Ordering::AcqRel);
    }

    /// The pictures are paused on purpose: the gap is no freeze.
    pub(in crate::client) fn pause(&self) {
        self.counters().freezes.pause();
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
        if self.last_packet.is_some_and(|last| now.saturating_duration_since(last) > PAUSED_AFTER) {
            self.track.pause();
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
        if self.track.broken.swap(false, Ordering::AcqRel) {
            self.assembler.decode_failed();
        }
        while let Some(frame) = self.assembler.poll(now) {
            let Some(decoders) = &self.hub.decoders else { continue };
            let timestamp_us = self.clock.micros(frame.timestamp);
            let encoded =
                Encoded { track: Arc::clone(&self.track), data: frame.data, keyframe: frame.keyframe, timestamp_us };
            let room = self.track.undecoded.fetch_add(1, Ordering::AcqRel) < MAX_UNDECODED;
            if !room || !decoders.submit(encoded) {
                self.track.taken();
                self.track.not_decoded(false);
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
        let mut counters = self.track.counters();
        let ended = std::mem::take(&mut counters.present);
        counters.past.lost += ended.lost;
        counters.past.dropped += ended.dropped;
        counters.past.frames += ended.frames;
        counters.freezes.pause();
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

    #[test]
    fn time_runs_on_over_the_wrap() {
        let mut clock = Clock::default();
        assert_eq!(clock.micros(u32::MAX - 44_999), 0);
        assert_eq!(clock.micros(45_000), 1_000_000);
    }
}
