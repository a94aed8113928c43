//! The task that reads one played picture: packets to frames, frames to the decoder when they are due, keyframe
//! requests. Runs on the engine's runtime, asleep while nothing arrives and nothing is due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp;
use tokio::time::{Instant as TokioInstant, sleep_until};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::clock::{RtpTime, local_us};
use super::decode::Encoded;
use super::timing::FrameTiming;
use super::video::VideoTrack;
use crate::client::MediaHub;
use crate::client::capture_time::capture_time;
use crate::client::link::video_codec_of;
use crate::media::assembly::{Assembled, FrameAssembler, RtpPacketRef};
use crate::model::media::VideoCodec;

/// Keyframe requests repeat until a keyframe is there: one alone is often lost. On a long way that is after one and a
/// half round trips and what making a keyframe takes, so that one can be there before it is asked for again.
const MIN_REQUEST_INTERVAL: Duration = Duration::from_millis(350);
const MAX_REQUEST_INTERVAL: Duration = Duration::from_millis(1500);
const KEYFRAME_MAKING: Duration = Duration::from_millis(50);
/// A track that sent nothing for this long is paused: it is not asked for keyframes.
const PAUSED_AFTER: Duration = Duration::from_secs(1);
/// How long the task sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);
/// Whole frames that may wait until they are due and the decoder has room: a second, which one missing packet can hold
/// back, and the longest delay at 60 frames per second, and some to spare. When there are more the oldest go to the
/// decoder at once, or are lost when that has no room.
const MAX_WAITING: usize = 128;
/// A decoder this late does not catch up: frames are left out.
const MAX_LATE: Duration = Duration::from_secs(1);

/// Reads a remote track until the link ends.
pub(super) async fn pump(
    remote: Arc<dyn TrackRemote>,
    track: Arc<VideoTrack>,
    hub: Arc<MediaHub>,
    capture_extension: Option<u8>,
) {
    let mut reader = Reader::new(Arc::clone(&track), hub);
    let mut wake_at = Instant::now() + IDLE;
    let sleep = sleep_until(TokioInstant::from_std(wake_at));
    tokio::pin!(sleep);
    loop {
        let event = tokio::select! {
            event = remote.poll() => match event {
                Some(event) => Some(event),
                None => return,
            },
            () = track.room() => None,
            () = &mut sleep => None,
        };
        let now = Instant::now();
        let mut received = None;
        if track.is_wanted() {
            match event {
                Some(TrackRemoteEvent::OnRtpPacket(packet)) => {
                    if !reader.expects((packet.header.ssrc, packet.header.payload_type)) {
                        continue;
                    }
                    if let Some(ntp) = capture_time(&packet, capture_extension) {
                        track.captured(ntp, packet.header.timestamp);
                    }
                    received = Some(packet.payload.len());
                    reader.take(&packet, now);
                }
                Some(TrackRemoteEvent::OnRtcpPacket(packets)) => {
                    for report in packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<SenderReport>()) {
                        reader.report(report, now);
                    }
                }
                _ => {}
            }
            reader.hand_on(received, now);
            if let Some(media_ssrc) = reader.keyframe_request(now) {
                let request = PictureLossIndication { sender_ssrc: 0, media_ssrc };
                if let Err(error) = remote.write_rtcp(vec![Box::new(request)]).await {
                    tracing::debug!(%error, "a keyframe request was not sent");
                    return;
                }
            }
        }
        let next = reader.deadline().unwrap_or(now + IDLE);
        if next != wake_at && (next < wake_at || wake_at <= now) {
            wake_at = next;
            sleep.as_mut().reset(TokioInstant::from_std(next));
        }
    }
}

/// A whole frame on its way to the decoder.
struct Waiting {
    due: Instant,
    keyframe: bool,
    encoded: Encoded,
}

/// The reading side of one track on one link.
struct Reader {
    track: Arc<VideoTrack>,
    hub: Arc<MediaHub>,
    /// What arrives now: its SSRC, and the payload type, which tells its codec.
    stream: Option<(u32, u8)>,
    /// With its codec; `None` while nothing arrived that can be decoded.
    assembler: Option<(VideoCodec, FrameAssembler)>,
    waiting: VecDeque<Waiting>,
    /// A frame is due for which the decoder has no room: [`VideoTrack::room`] tells when it has.
    decoder_full: bool,
    last_packet: Option<Instant>,
    last_request: Option<Instant>,
    time: RtpTime,
    timing: FrameTiming,
}

impl Reader {
    fn new(track: Arc<VideoTrack>, hub: Arc<MediaHub>) -> Self {
        track.keep_past_figures();
        track.forget_clock();
        Self {
            track,
            hub,
            stream: None,
            assembler: None,
            waiting: VecDeque::new(),
            decoder_full: false,
            last_packet: None,
            last_request: None,
            time: RtpTime::default(),
            timing: FrameTiming::new(),
        }
    }

    /// Makes ready for a packet; `false` for what is coded in a way that is not decoded here, beside what is.
    fn expects(&mut self, stream: (u32, u8)) -> bool {
        if self.stream == Some(stream) {
            return true;
        }
        let same = self.stream.is_some_and(|(ssrc, _)| ssrc == stream.0);
        if same && self.assembler.is_some() && video_codec_of(stream.1).is_none() {
            return false;
        }
        self.begin(stream);
        true
    }

    /// The first packet of a stream. A rebound section has a new one: nothing of the old one fits it. Another codec needs
    /// another assembler.
    fn begin(&mut self, stream: (u32, u8)) {
        let (ssrc, payload_type) = stream;
        let before = self.stream.replace(stream);
        if before.is_some() {
            self.track.keep_past_figures();
        }
        if before.is_some_and(|(before, _)| before != ssrc) {
            self.track.forget_clock();
            self.time = RtpTime::default();
            self.timing = FrameTiming::new();
        }
        let codec = video_codec_of(payload_type);
        if codec.is_none() {
            tracing::debug!(payload_type, "what is coded like this is not decoded here");
        }
        self.assembler = codec.map(|codec| (codec, FrameAssembler::new(codec)));
    }

    fn take(&mut self, packet: &rtp::Packet, now: Instant) {
        self.last_packet = Some(now);
        let round_trip = self.track.round_trip();
        let Some((_, assembler)) = &mut self.assembler else { return };
        if let Some(round_trip) = round_trip {
            assembler.set_round_trip(round_trip);
        }
        let packet = RtpPacketRef {
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload: &packet.payload,
        };
        assembler.push(packet, now);
    }

    fn report(&self, report: &SenderReport, now: Instant) {
        if self.stream.is_some_and(|(ssrc, _)| ssrc == report.ssrc) {
            self.track.report(report.ntp_time, report.rtp_time, local_us(now));
        }
    }

    /// Lets whole frames wait until they are due, and gives those that are to the decoder.
    fn hand_on(&mut self, received_bytes: Option<usize>, now: Instant) {
        if self.track.broke() {
            self.decode_failed();
        }
        while let Some((codec, assembler)) = &mut self.assembler
            && let Some(frame) = assembler.poll(now)
        {
            let codec = *codec;
            self.whole(frame, codec, now);
        }
        self.feed(now);
        let stats = self.assembler.as_ref().map(|(_, assembler)| assembler.stats()).unwrap_or_default();
        self.track.count(received_bytes, stats, now);
    }

    fn whole(&mut self, frame: Assembled, codec: VideoCodec, now: Instant) {
        let ticks = self.time.ticks(frame.timestamp);
        let due = self.timing.due(ticks, now, self.track.hold());
        self.track.whole(frame.timestamp, local_us(now), self.timing.held());
        let encoded = Encoded {
            track: Arc::clone(&self.track),
            codec,
            data: frame.data,
            epoch: self.track.next_epoch(frame.keyframe),
            timestamp_us: (ticks.max(0) as u64) * 100 / 9,
        };
        self.waiting.push_back(Waiting { due, keyframe: frame.keyframe, encoded });
    }

    /// Gives the decoder what is due, as far as it has room. What arrived late and all at once waits for it: frames are
    /// lost only when it cannot keep up.
    fn feed(&mut self, now: Instant) {
        // Handed over early by what decoding takes; a frame that is not held goes at once.
        let lead = if self.waiting.is_empty() { Duration::ZERO } else { self.track.decode_time() };
        let is_due = |waiting: &VecDeque<Waiting>| {
            waiting.len() > MAX_WAITING || waiting.front().is_some_and(|frame| frame.due <= now + lead)
        };
        self.decoder_full = false;
        while !self.decoder_full && is_due(&self.waiting) {
            self.decoder_full = !self.decode_first();
        }
        let late = self.waiting.front().is_some_and(|frame| now.saturating_duration_since(frame.due) > MAX_LATE);
        if self.decoder_full && (late || self.waiting.len() > MAX_WAITING) {
            self.waiting.pop_front();
            self.skip();
        }
    }

    /// Gives the decoder the first frame that waits; `false` while it has no room.
    fn decode_first(&mut self) -> bool {
        let Some(decoders) = &self.hub.decoders else {
            self.waiting.pop_front();
            return true;
        };
        if !self.track.queue() {
            return false;
        }
        if !self.waiting.pop_front().is_some_and(|frame| decoders.submit(frame.encoded)) {
            self.track.taken();
            self.skip();
        }
        true
    }

    /// A frame was left out, and those behind build on it: goes on at the newest keyframe that waits, else at one that
    /// is asked for.
    fn skip(&mut self) {
        let key = self.waiting.iter().rposition(|frame| frame.keyframe);
        let behind = key.unwrap_or(self.waiting.len());
        self.waiting.drain(..behind);
        self.track.skipped(1 + behind as u64);
        if key.is_none() {
            self.decode_failed();
        }
    }

    fn decode_failed(&mut self) {
        if let Some((_, assembler)) = &mut self.assembler {
            assembler.decode_failed();
        }
    }

    /// The stream to ask for a keyframe now, if one is needed.
    fn keyframe_request(&mut self, now: Instant) -> Option<u32> {
        let flowing = self.last_packet.is_some_and(|at| now.saturating_duration_since(at) < PAUSED_AFTER);
        let rested = self.last_request.is_none_or(|at| now.saturating_duration_since(at) >= self.request_interval());
        if !flowing || !rested || !self.needs_keyframe() {
            return None;
        }
        self.last_request = Some(now);
        self.track.asked_for_keyframe();
        self.stream.map(|(ssrc, _)| ssrc)
    }

    fn request_interval(&self) -> Duration {
        let answered =
            self.track.round_trip().map_or(Duration::ZERO, |round_trip| round_trip * 3 / 2 + KEYFRAME_MAKING);
        answered.clamp(MIN_REQUEST_INTERVAL, MAX_REQUEST_INTERVAL)
    }

    fn needs_keyframe(&self) -> bool {
        self.assembler.as_ref().is_some_and(|(_, assembler)| assembler.needs_keyframe())
    }

    /// When there is something to do although nothing arrives. A keyframe that is still missing is asked for with the
    /// next packet: a track that sends nothing has none either.
    fn deadline(&self) -> Option<Instant> {
        let assembler = self.assembler.as_ref().and_then(|(_, assembler)| assembler.deadline());
        let lead = || self.track.decode_time();
        let due = |frame: &Waiting| frame.due.checked_sub(lead()).unwrap_or(frame.due);
        let waiting = self.waiting.front().filter(|_| !self.decoder_full).map(due);
        match (assembler, waiting) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
