//! What a call was like, in figures: gathered while it runs, written as `report.json` at its end.
//!
//! Plain data without a thread of its own: whoever runs the call feeds it events, snapshots and shown frames.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bridge::RoomEvent;
use crate::media::VideoFrame;
use crate::media::capture::stamp;
use crate::model::quality::{EngineSnapshot, TrackStats};
use crate::model::{
    CallError, MediaKind, PublishState, RoomState, StreamId, StreamInfo, TrackInfo, TrackSid, TrackSource, UserId,
};

/// A track that was announced for less than this before the end need not have delivered anything yet.
const GRACE: Duration = Duration::from_secs(5);

/// Gathers figures while a call runs.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    room: String,
    me: Option<UserId>,
    was_connected: bool,
    names: BTreeMap<UserId, String>,
    owned: BTreeMap<StreamId, PublishState>,
    tracks: BTreeMap<TrackSid, TrackRecord>,
    /// By picture: a stream that is published anew begins anew.
    presented: BTreeMap<TrackSid, Presented>,
    frame_ms: Samples,
    errors: Vec<String>,
    chat_messages: u64,
    data_packets: u64,
}

#[derive(Debug)]
struct TrackRecord {
    stream: StreamId,
    owner: UserId,
    info: TrackInfo,
    announced: Instant,
    ended: bool,
    was_muted: bool,
    stats: Option<TrackStats>,
}

#[derive(Debug, Default)]
struct Presented {
    frames: u64,
    size: (u32, u32),
    delay_ms: Samples,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The room id.
    pub room: String,
    /// This client's identity, once it was in the room.
    pub identity: Option<String>,
    /// How long the call was watched, in seconds.
    pub duration_s: f64,
    /// Whether the call worked; `problems` says what did not.
    pub ok: bool,
    /// What did not work, for people.
    pub problems: Vec<String>,
    /// Time between frames of the room, in ms; absent without a renderer.
    pub frame_time_ms: Option<Spread>,
    /// Chat messages received.
    pub chat_messages: u64,
    /// Data packets received.
    pub data_packets: u64,
    /// Every remote track.
    pub streams: Vec<StreamReport>,
}

/// Median and tail of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// 50th percentile.
    pub median: f32,
    /// 95th percentile.
    pub p95: f32,
    /// 99th percentile.
    pub p99: f32,
    /// Samples seen.
    pub count: u64,
}

/// One remote track's figures.
#[derive(Clone, Debug, Serialize)]
pub struct StreamReport {
    /// Identity of the owner.
    pub participant: String,
    /// Name of the owner.
    pub name: String,
    /// The stream it belongs to.
    pub stream_id: String,
    /// The server's track id.
    pub track_id: String,
    /// Sound or picture.
    pub kind: MediaKind,
    /// Where it comes from.
    pub source: TrackSource,
    /// MIME type.
    pub codec: String,
    /// Whether it had ended before the report was made.
    pub ended: bool,
    /// Muted at the end.
    pub muted: bool,
    /// Size of the newest picture shown, or announced, in pixels; 0 for sound.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// RTP packets received.
    pub packets: u64,
    /// RTP packets that never came.
    pub lost: u64,
    /// Frames handed to the decoder.
    pub frames_received: u64,
    /// Frames decoded.
    pub frames_decoded: u64,
    /// Frames shown.
    pub frames_presented: u64,
    /// Frames given up.
    pub frames_dropped: u64,
    /// Freezes, as WebRTC's `freezeCount`.
    pub freezes: u64,
    /// Decoded frames per second at the end.
    pub fps: f32,
    /// Received payload at the end, in kbit/s.
    pub kbps: f32,
    /// Capture to presentation, in ms, where the picture carries a stamp.
    pub capture_to_present_ms: Option<Spread>,
    /// Loudest 100 ms, root mean square 0..=1; sound only.
    pub audio_level: Option<f32>,
    /// Share of played samples that were concealed, 0..=1; sound only.
    pub concealed: Option<f32>,
}

/// What must have happened for the call to count as working.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expectations {
    /// Remote video tracks that must have been decoded, at least.
    pub remote_videos: usize,
    /// Own streams that must have been published.
    pub own_streams: usize,
    /// Whether the room was drawn: then some decoded picture must have been shown. Not each: a second camera of
    /// somebody, a share without a slot or a person behind the viewer is decoded and shown nowhere.
    pub rendered: bool,
}

impl Recorder {
    /// Starts watching a call to `room`.
    pub fn new(room: impl Into<String>) -> Self {
        Self {
            started: Instant::now(),
            room: room.into(),
            me: None,
            was_connected: false,
            names: BTreeMap::new(),
            owned: BTreeMap::new(),
            tracks: BTreeMap::new(),
            presented: BTreeMap::new(),
            frame_ms: Samples::default(),
            errors: Vec::new(),
            chat_messages: 0,
            data_packets: 0,
        }
    }

    /// How long the call has been watched.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the client got into the room.
    pub fn was_connected(&self) -> bool {
        self.was_connected
    }

    /// The newest error, for the closing message.
    pub fn last_error(&self) -> Option<&str> {
        self.errors.last().map(String::as_str)
    }

    /// Takes note of an event.
    pub fn on_event(&mut self, event: &RoomEvent) {
        match event {
            RoomEvent::StateChanged { state, error, me, .. } => {
                if let Some(me) = me {
                    self.me = Some(me.id.clone());
                }
                self.was_connected |= *state == RoomState::Connected;
                self.note_error(error.as_ref());
            }
            RoomEvent::UserJoined(user) | RoomEvent::UserUpdated(user) => {
                self.names.insert(user.id.clone(), user.name.clone());
            }
            RoomEvent::StreamAdded(stream) | RoomEvent::StreamUpdated(stream) => self.note_stream(stream),
            RoomEvent::StreamRemoved { stream, .. } => {
                for track in self.tracks.values_mut().filter(|t| t.stream == *stream) {
                    track.ended = true;
                }
            }
            RoomEvent::PublishStateChanged { stream, state, error } => {
                let best = self.owned.entry(stream.clone()).or_insert(PublishState::NoPublish);
                if *state == PublishState::Publishing {
                    *best = *state;
                }
                self.note_error(error.as_ref());
            }
            RoomEvent::PlayStateChanged { error, .. } => self.note_error(error.as_ref()),
            RoomEvent::CommandFailed(error) => self.note_error(Some(error)),
            RoomEvent::ChatReceived { .. } => self.chat_messages += 1,
            RoomEvent::DataReceived { .. } | RoomEvent::BarrageReceived { .. } | RoomEvent::CustomReceived { .. } => {
                self.data_packets += 1;
            }
            RoomEvent::UserLeft { .. } | RoomEvent::VideoFeedOpened { .. } | RoomEvent::TokenExpiring { .. } => {}
        }
    }

    /// Takes note of a frame that was shown at `now_unix_ms`.
    pub fn on_frame_presented(&mut self, stream: &StreamId, frame: &VideoFrame, now_unix_ms: u64) {
        let shown =
            |track: &TrackRecord| track.stream == *stream && track.info.kind == MediaKind::Video && !track.ended;
        // Ours are not among the tracks: nobody asks how they look here.
        let Some((sid, _)) = self.tracks.iter().find(|(_, track)| shown(track)) else { return };
        let presented = match self.presented.get_mut(sid) {
            Some(presented) => presented,
            None => self.presented.entry(sid.clone()).or_default(),
        };
        presented.frames += 1;
        presented.size = (frame.width(), frame.height());
        if let Some(stamp) = stamp::read(frame, now_unix_ms) {
            presented.delay_ms.push(now_unix_ms.saturating_sub(stamp.unix_ms) as f32);
        }
    }

    /// Takes note of the time one frame of the room took, in ms.
    pub fn on_room_frame(&mut self, ms: f32) {
        self.frame_ms.push(ms);
    }

    /// Takes over the engine's newest figures.
    pub fn on_snapshot(&mut self, snapshot: &EngineSnapshot) {
        for (sid, (_, stats)) in &snapshot.tracks {
            if let Some(track) = self.tracks.get_mut(sid) {
                track.stats = Some(stats.clone());
            }
        }
    }

    /// The report as of now, judged by what was expected.
    pub fn report(&self, expected: Expectations) -> Report {
        let streams: Vec<StreamReport> = self.tracks.iter().map(|(sid, track)| self.track_report(sid, track)).collect();
        let problems = self.problems(expected, &streams);
        Report {
            room: self.room.clone(),
            identity: self.me.as_ref().map(ToString::to_string),
            duration_s: self.started.elapsed().as_secs_f64(),
            ok: problems.is_empty(),
            problems,
            frame_time_ms: self.frame_ms.spread(),
            chat_messages: self.chat_messages,
            data_packets: self.data_packets,
            streams,
        }
    }

    fn note_error(&mut self, error: Option<&CallError>) {
        const KEPT: usize = 32;
        if let Some(error) = error
            && self.errors.len() < KEPT
        {
            self.errors.push(error.to_string());
        }
    }

    fn note_stream(&mut self, stream: &StreamInfo) {
        if self.me.as_ref() == Some(&stream.owner) {
            return;
        }
        for (sid, track) in &mut self.tracks {
            if track.stream == stream.id && stream.tracks().all(|present| present.sid != *sid) {
                track.ended = true;
            }
        }
        for info in stream.tracks() {
            let record = self.tracks.entry(info.sid.clone()).or_insert_with(|| TrackRecord {
                stream: stream.id.clone(),
                owner: stream.owner.clone(),
                info: info.clone(),
                announced: Instant::now(),
                ended: false,
                was_muted: false,
                stats: None,
            });
            record.was_muted |= info.muted;
            record.info = info.clone();
            record.ended = false;
        }
    }

    fn track_report(&self, sid: &TrackSid, track: &TrackRecord) -> StreamReport {
        let presented = self.presented.get(sid);
        let shown_size = presented.map(|p| p.size).filter(|size| size.0 > 0);
        let mut report = StreamReport {
            participant: track.owner.to_string(),
            name: self.names.get(&track.owner).cloned().unwrap_or_else(|| track.owner.to_string()),
            stream_id: track.stream.to_string(),
            track_id: sid.to_string(),
            kind: track.info.kind,
            source: track.info.source,
            codec: track.info.mime_type.clone(),
            ended: track.ended,
            muted: track.info.muted,
            width: shown_size.map_or(track.info.width, |size| size.0),
            height: shown_size.map_or(track.info.height, |size| size.1),
            packets: 0,
            lost: 0,
            frames_received: 0,
            frames_decoded: 0,
            frames_presented: presented.map_or(0, |p| p.frames),
            frames_dropped: 0,
            freezes: 0,
            fps: 0.0,
            kbps: 0.0,
            capture_to_present_ms: presented.and_then(|p| p.delay_ms.spread()),
            audio_level: None,
            concealed: None,
        };
        match &track.stats {
            Some(TrackStats::Video(stats)) => {
                report.packets = stats.packets;
                report.lost = stats.lost;
                report.frames_received = stats.frames_received;
                report.frames_decoded = stats.frames_decoded;
                report.frames_dropped = stats.frames_dropped;
                report.freezes = stats.freezes;
                report.fps = stats.fps;
                report.kbps = stats.kbps;
            }
            Some(TrackStats::Audio(stats)) => {
                report.packets = stats.packets;
                report.lost = stats.lost;
                report.kbps = stats.kbps;
                report.audio_level = Some(stats.peak_level);
                report.concealed = Some(stats.concealed);
            }
            None => {}
        }
        report
    }

    fn problems(&self, expected: Expectations, streams: &[StreamReport]) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.was_connected {
            let why = self.last_error().unwrap_or("the server did not answer");
            problems.push(format!("never got into room {:?}: {why}", self.room));
            return problems;
        }
        let published = self.owned.values().filter(|s| **s == PublishState::Publishing).count();
        if published < expected.own_streams {
            problems.push(format!("only {published} of {} own streams were published", expected.own_streams));
        }
        let decoded = streams.iter().filter(|s| s.frames_decoded > 0).count();
        if decoded < expected.remote_videos {
            problems.push(format!("only {decoded} of {} remote pictures were decoded", expected.remote_videos));
        }
        for (stream, track) in streams.iter().zip(self.tracks.values()) {
            if track.was_muted || track.ended || track.announced.elapsed() < GRACE {
                continue;
            }
            let what = format!("{} of {} ({})", stream.stream_id, stream.name, stream.codec);
            if stream.packets == 0 {
                problems.push(format!("nothing arrived of {what}"));
            } else if stream.kind == MediaKind::Video && stream.frames_decoded == 0 {
                problems.push(format!("no picture was decoded of {what}"));
            }
        }
        if expected.rendered && decoded > 0 && streams.iter().all(|s| s.frames_presented == 0) {
            problems.push("pictures were decoded, and none was shown in the room".into());
        }
        problems
    }
}

/// Samples for percentiles in bounded memory: when full, every other one is let go and every other one is skipped.
#[derive(Clone, Debug)]
struct Samples {
    values: Vec<f32>,
    stride: u64,
    seen: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self { values: Vec::new(), stride: 1, seen: 0 }
    }
}

impl Samples {
    const CAPACITY: usize = 16_384;

    fn push(&mut self, value: f32) {
        if self.seen.is_multiple_of(self.stride) {
            if self.values.len() == Self::CAPACITY {
                let mut keep = false;
                self.values.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride *= 2;
            }
            self.values.push(value);
        }
        self.seen += 1;
    }

    fn spread(&self) -> Option<Spread> {
        if self.values.is_empty() {
            return None;
        }
        let mut sorted = self.values.clone();
        sorted.sort_by(f32::total_cmp);
        let at = |share: f32| sorted[((sorted.len() - 1) as f32 * share).round() as usize];
        Some(Spread { median: at(0.5), p95: at(0.95), p99: at(0.99), count: self.seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::quality::VideoStats;
    use crate::model::{DeviceState, RoomStateReason, StreamKind, UserInfo};

    fn user(id: &str) -> UserInfo {
        UserInfo {
            id: UserId::new(id).unwrap(),
            name: id.to_uppercase(),
            sid: "PA_1".into(),
            joined_at_ms: 0,
            attributes: BTreeMap::new(),
            metadata: String::new(),
        }
    }

    fn camera(owner: &str) -> StreamInfo {
        StreamInfo {
            id: StreamId::new(format!("{owner}-camera")).unwrap(),
            owner: UserId::new(owner).unwrap(),
            kind: StreamKind::Camera,
            video: Some(TrackInfo {
                sid: TrackSid::new(format!("TR_{owner}")).unwrap(),
                kind: MediaKind::Video,
                source: TrackSource::Camera,
                mime_type: "video/VP8".into(),
                width: 640,
                height: 480,
                muted: false,
            }),
            audio: None,
            video_state: DeviceState::On,
            audio_state: DeviceState::Off,
            extra_info: String::new(),
        }
    }

    fn connected(recorder: &mut Recorder) {
        recorder.on_event(&RoomEvent::StateChanged {
            state: RoomState::Connected,
            reason: RoomStateReason::LoggedIn,
            error: None,
            me: Some(user("me")),
        });
    }

    #[test]
    fn a_call_that_never_began_is_not_ok() {
        let report = Recorder::new("r").report(Expectations::default());
        assert!(!report.ok);
        assert!(report.problems[0].contains("never got into room"));
    }

    #[test]
    fn a_picture_that_was_expected_but_never_decoded_is_a_problem() {
        let mut recorder = Recorder::new("r");
        connected(&mut recorder);
        recorder.on_event(&RoomEvent::UserJoined(user("ann")));
        recorder.on_event(&RoomEvent::StreamAdded(camera("ann")));
        let expected = Expectations { remote_videos: 1, ..Expectations::default() };
        assert!(!recorder.report(expected).ok);
        let mut snapshot = EngineSnapshot::default();
        let stats = VideoStats { packets: 9, frames_decoded: 3, ..VideoStats::default() };
        let sid = TrackSid::new("TR_ann").unwrap();
        snapshot.tracks.insert(sid, (StreamId::new("ann-camera").unwrap(), TrackStats::Video(stats)));
        recorder.on_snapshot(&snapshot);
        let report = recorder.report(expected);
        assert!(report.ok, "{:?}", report.problems);
        assert_eq!((report.streams[0].name.as_str(), report.streams[0].frames_decoded), ("ANN", 3));
    }

    #[test]
    fn a_stream_published_anew_is_counted_anew() {
        let mut recorder = Recorder::new("r");
        connected(&mut recorder);
        let first = camera("ann");
        let mut second = first.clone();
        second.video.as_mut().unwrap().sid = TrackSid::new("TR_second").unwrap();
        let frame = VideoFrame::new(2, 2, Default::default(), 0, vec![0; 6]).unwrap();
        recorder.on_event(&RoomEvent::StreamAdded(first.clone()));
        recorder.on_frame_presented(&first.id, &frame, 0);
        recorder.on_frame_presented(&first.id, &frame, 0);
        recorder.on_event(&RoomEvent::StreamUpdated(second));
        recorder.on_frame_presented(&first.id, &frame, 0);
        let report = recorder.report(Expectations::default());
        let figures: Vec<_> = report.streams.iter().map(|s| (s.ended, s.frames_presented)).collect();
        assert_eq!(figures, [(true, 2), (false, 1)]);
    }

    #[test]
    fn own_streams_are_not_reported_as_remote() {
        let mut recorder = Recorder::new("r");
        connected(&mut recorder);
        recorder.on_event(&RoomEvent::StreamUpdated(camera("me")));
        assert!(recorder.report(Expectations::default()).streams.is_empty());
    }

    #[test]
    fn percentiles_survive_decimation() {
        let mut samples = Samples::default();
        for i in 0..100_000 {
            samples.push(i as f32);
        }
        let spread = samples.spread().unwrap();
        assert!(samples.values.len() <= Samples::CAPACITY);
        assert_eq!(spread.count, 100_000);
        assert!((spread.median - 50_000.0).abs() < 500.0 && (spread.p99 - 99_000.0).abs() < 500.0, "{spread:?}");
    }
}
