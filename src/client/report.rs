//! What a call was like, in figures: gathered while it runs, written as `report.json` at its end.
//!
//! Plain data without a thread of its own: whoever runs the call feeds it events, snapshots and shown frames.

mod samples;
pub(super) mod words;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bridge::RoomEvent;
use crate::media::VideoFrame;
use crate::media::capture::stamp;
use crate::model::quality::{EngineSnapshot, Grade, PlayedQuality, PublishQuality, TrackStats};
use crate::model::{
    CallError, EndReason, ErrorCode, MediaKind, PublishState, RoomState, RoomStateReason, StreamId, StreamInfo,
    TrackInfo, TrackSid, TrackSource, UserId, UserInfo,
};

use samples::Samples;
pub use samples::Spread;

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
    owned: BTreeMap<StreamId, OwnRecord>,
    tracks: BTreeMap<TrackSid, TrackRecord>,
    /// By picture: a stream that is published anew begins anew.
    presented: BTreeMap<TrackSid, Presented>,
    frame_ms: Samples,
    quality: QualityReport,
    errors: Vec<String>,
    /// Why there is no call any more, and what went wrong.
    end: Option<(RoomStateReason, Option<CallError>)>,
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
    /// Why its stream ended; a track may end alone.
    end: Option<EndReason>,
    was_muted: bool,
    /// What the room fetched of it last, where one was drawn.
    fetched: Option<FetchReport>,
    /// The room did not want it for a while, and nothing can be said of what did not come.
    was_paused: bool,
    stats: Option<TrackStats>,
}

/// What became of an own stream.
#[derive(Debug, Default)]
struct OwnRecord {
    was_published: bool,
    /// Why it is not published any more, or never was.
    trouble: Option<CallError>,
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
    /// The room id; empty for an invitation that does not name it.
    pub room: String,
    /// This client's identity, once it was in the room.
    pub identity: Option<String>,
    /// How long the call was watched, in seconds.
    pub duration_s: f64,
    /// Whether the call worked; `problems` says what did not.
    pub ok: bool,
    /// What did not work, for people.
    pub problems: Vec<String>,
    /// How the call ended; absent when it was left because its time was up or the user closed it.
    pub end: Option<EndReport>,
    /// Every error on the way, the first 32: one that was got over, too.
    pub errors: Vec<String>,
    /// How good the connection and the streams were.
    pub quality: QualityReport,
    /// Time between frames of the room, in ms; absent without a renderer.
    pub frame_time_ms: Option<Spread>,
    /// How many pictures the room fetched at the end in each size, or not at all, by the word for it; empty without a
    /// room.
    pub fetched: BTreeMap<&'static str, u32>,
    /// Chat messages received.
    pub chat_messages: u64,
    /// Data packets received.
    pub data_packets: u64,
    /// Every remote track.
    pub streams: Vec<StreamReport>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndReport {
    /// Why, in a word: `login_failed`, `reconnect_failed`, `kicked_out`, `logged_out` or `logout_failed`.
    pub reason: &'static str,
    /// The code of what went wrong, if anything.
    pub code: Option<u32>,
    /// What went wrong, if anything, and what to do.
    pub message: Option<String>,
}

/// How good the connection and the streams were, as the engine judged them last; what ended keeps its last figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QualityReport {
    /// Round trip to the server, in ms, once known.
    pub rtt_ms: Option<f32>,
    /// Connection of everyone, this client included.
    pub network: BTreeMap<UserId, Grade>,
    /// Own streams, over their last three seconds.
    pub publishing: BTreeMap<StreamId, PublishQuality>,
    /// Played streams, over their last three seconds.
    pub playing: BTreeMap<StreamId, PlayedQuality>,
}

impl QualityReport {
    /// Takes over what a snapshot knows: that of an ended call knows nothing.
    fn update(&mut self, snapshot: &EngineSnapshot) {
        self.rtt_ms = snapshot.rtt_ms.or(self.rtt_ms);
        self.network.extend(snapshot.network.iter().map(|(user, grade)| (user.clone(), *grade)));
        self.publishing.extend(snapshot.publishing.iter().map(|(stream, quality)| (stream.clone(), quality.clone())));
        self.playing.extend(snapshot.playing.iter().map(|(stream, quality)| (stream.clone(), quality.clone())));
    }
}

/// How much of a picture the room fetched, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FetchReport {
    /// `full`, `medium`, `small` or `paused`.
    pub size: &'static str,
    /// Such as `in view` or `out of view`.
    pub why: &'static str,
    /// Whether it was fetched at all.
    #[serde(skip)]
    pub wanted: bool,
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
    /// Why its stream ended, in a word such as `stopped` or `timed_out`.
    pub end_reason: Option<&'static str>,
    /// Muted at the end.
    pub muted: bool,
    /// What was fetched of it at the end, and why; pictures in a room that is drawn only.
    pub fetched: Option<FetchReport>,
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
            quality: QualityReport::default(),
            errors: Vec::new(),
            end: None,
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
            RoomEvent::StateChanged { state, reason, error, me } => {
                self.note_state(*state, *reason, error.as_ref(), me.as_ref());
            }
            RoomEvent::UserJoined(user) | RoomEvent::UserUpdated(user) => {
                self.names.insert(user.id.clone(), user.name.clone());
            }
            RoomEvent::StreamAdded(stream) | RoomEvent::StreamUpdated(stream) => self.note_stream(stream),
            RoomEvent::StreamRemoved { stream, reason, .. } => {
                for track in self.tracks.values_mut().filter(|t| t.stream == *stream && !t.ended) {
                    (track.ended, track.end) = (true, Some(*reason));
                }
            }
            RoomEvent::PublishStateChanged { stream, state, error } => {
                self.note_own(stream, *state, error.as_ref());
            }
            RoomEvent::PlayStateChanged { error, .. } => self.note_error(error.as_ref()),
            RoomEvent::CommandFailed(error) | RoomEvent::ChatRefused { error, .. } => self.note_error(Some(error)),
            RoomEvent::ChatReceived { .. } => self.chat_messages += 1,
            RoomEvent::DataReceived { .. } | RoomEvent::BarrageReceived { .. } | RoomEvent::CustomReceived { .. } => {
                self.data_packets += 1;
            }
            RoomEvent::UserLeft { .. }
            | RoomEvent::ChatSent { .. }
            | RoomEvent::RoomChanged { .. }
            | RoomEvent::VideoFeedOpened { .. }
            | RoomEvent::TokenExpiring { .. }
            | RoomEvent::DeviceChanged { .. }
            | RoomEvent::SpeakerChanged(_) => {}
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

    /// Takes note of what the room fetches of a stream's picture.
    pub fn on_fetch(&mut self, stream: &StreamId, fetched: FetchReport) {
        let theirs = |track: &&mut TrackRecord| track.stream == *stream && !track.ended;
        let pictures = self.tracks.values_mut().filter(|track| track.info.kind == MediaKind::Video);
        for track in pictures.filter(theirs) {
            track.fetched = Some(fetched);
            track.was_paused |= !fetched.wanted;
        }
    }

    /// Takes note of the time one frame of the room took, in ms.
    pub fn on_room_frame(&mut self, ms: f32) {
        self.frame_ms.push(ms);
    }

    /// Takes over the engine's newest figures.
    pub fn on_snapshot(&mut self, snapshot: &EngineSnapshot) {
        self.quality.update(snapshot);
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
            end: self.end.as_ref().map(|(reason, error)| EndReport {
                reason: words::room_reason(*reason),
                code: error.as_ref().map(|error| error.code.number()),
                message: error.as_ref().map(|error| error.message.clone()),
            }),
            errors: self.errors.clone(),
            quality: self.quality.clone(),
            frame_time_ms: self.frame_ms.spread(),
            fetched: self.fetched(),
            chat_messages: self.chat_messages,
            data_packets: self.data_packets,
            streams,
        }
    }

    fn note_state(
        &mut self,
        state: RoomState,
        reason: RoomStateReason,
        error: Option<&CallError>,
        me: Option<&UserInfo>,
    ) {
        if let Some(me) = me {
            self.me = Some(me.id.clone());
        }
        self.was_connected |= state == RoomState::Connected;
        // Another login may follow, and makes it a call again.
        self.end = (state == RoomState::Disconnected).then(|| (reason, error.cloned()));
        self.note_error(error);
    }

    fn note_own(&mut self, stream: &StreamId, state: PublishState, error: Option<&CallError>) {
        let own = self.owned.entry(stream.clone()).or_default();
        match state {
            PublishState::Publishing => *own = OwnRecord { was_published: true, trouble: None },
            // A file or a window that came to its end did what it should.
            PublishState::NoPublish => {
                let trouble = error.filter(|error| error.code != ErrorCode::SourceEnded);
                own.trouble = trouble.cloned().or(own.trouble.take());
            }
            PublishState::Requesting => {}
        }
        self.note_error(error);
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
                end: None,
                was_muted: false,
                fetched: None,
                was_paused: false,
                stats: None,
            });
            record.was_muted |= info.muted;
            record.info = info.clone();
            (record.ended, record.end) = (false, None);
        }
    }

    /// Pictures that are there now, by what is fetched of them.
    fn fetched(&self) -> BTreeMap<&'static str, u32> {
        let mut counts = BTreeMap::new();
        for fetched in self.tracks.values().filter(|track| !track.ended).filter_map(|track| track.fetched) {
            *counts.entry(fetched.size).or_default() += 1;
        }
        counts
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
            end_reason: track.end.map(words::end_reason),
            muted: track.info.muted,
            fetched: track.fetched,
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
        problems.extend(self.end_problem());
        problems.extend(self.own_problems(expected.own_streams));
        let decoded = streams.iter().filter(|s| s.frames_decoded > 0).count();
        let left_out = streams.iter().zip(self.tracks.values());
        let left_out = left_out.filter(|(stream, track)| stream.frames_decoded == 0 && track.was_paused).count();
        if decoded + left_out < expected.remote_videos {
            problems.push(format!("only {decoded} of {} remote pictures were decoded", expected.remote_videos));
        }
        for (stream, track) in streams.iter().zip(self.tracks.values()) {
            if track.was_muted || track.was_paused || track.ended || track.announced.elapsed() < GRACE {
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

    /// What ended the call, where that was not the user's own wish.
    fn end_problem(&self) -> Option<String> {
        let (reason, error) = self.end.as_ref()?;
        let word = words::room_reason(*reason);
        match error {
            Some(error) => Some(format!("the call ended ({word}): {error}")),
            None if *reason == RoomStateReason::LoggedOut => None,
            None => Some(format!("the call ended ({word})")),
        }
    }

    /// Own streams that others never could play, or no longer can, and why.
    fn own_problems(&self, expected: usize) -> Vec<String> {
        let troubled = |(stream, own): (&StreamId, &OwnRecord)| {
            let what = if own.was_published { "ended" } else { "was not published" };
            own.trouble.as_ref().map(|error| format!("the own stream {stream} {what}: {error}"))
        };
        let mut problems: Vec<String> = self.owned.iter().filter_map(troubled).collect();
        let published = self.owned.values().filter(|own| own.was_published).count();
        let explained = self.owned.values().filter(|own| !own.was_published && own.trouble.is_some()).count();
        if published + explained < expected {
            problems.push(format!("only {published} of {expected} own streams were published"));
        }
        problems
    }
}

#[cfg(test)]
mod tests;
