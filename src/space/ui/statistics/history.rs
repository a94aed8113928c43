//! What the figures were over the last two minutes, a point a second, whether somebody looks at them or not. Main thread;
//! between two seconds it costs a comparison, and what it keeps has a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use bevy::prelude::*;

use crate::bridge::SessionId;
use crate::model::limits::{MAX_PLAYED_STREAMS, MAX_PUBLISHED_STREAMS};
use crate::model::quality::{EngineSnapshot, PlayedQuality, PublishQuality, TrackStats};
use crate::model::{RoomState, StreamId, TrackSid};
use crate::space::sync::{RoomFigures, RoomStatus};

/// Points of a plot: two minutes.
pub(super) const POINTS: usize = 120;
/// Streams that are remembered: as many as can be played and published.
const MOST_STREAMS: usize = MAX_PLAYED_STREAMS + MAX_PUBLISHED_STREAMS;
/// A picture and a sound of each.
const MOST_TRACKS: usize = 2 * MOST_STREAMS;
/// A stream of which nothing was told for so many seconds has ended. After a reconnection it takes a while until the
/// first figures come.
const FORGET_AFTER_SECS: u64 = 10;

/// One figure over time. The value of second `s` stands at `s % POINTS`; one that is not known is NaN.
#[derive(Clone, Debug)]
pub(super) struct Series(Box<[f32; POINTS]>);

impl Default for Series {
    fn default() -> Self {
        Self(Box::new([f32::NAN; POINTS]))
    }
}

fn place(second: u64) -> usize {
    (second % POINTS as u64) as usize
}

impl Series {
    /// Makes room for the seconds after `newest` up to `second`: a gap until something is put there.
    fn skip(&mut self, newest: u64, second: u64) {
        let skipped = second.saturating_sub(newest).min(POINTS as u64);
        (0..skipped).for_each(|back| self.0[place(second - back)] = f32::NAN);
    }

    fn put(&mut self, second: u64, value: Option<f32>) {
        self.0[place(second)] = value.filter(|value| value.is_finite()).map_or(f32::NAN, |value| value.max(0.0));
    }

    /// What it was so many seconds before `now`, as far as it is known.
    pub(super) fn ago(&self, now: u64, secs: usize) -> Option<f32> {
        let back = u64::try_from(secs).ok().filter(|_| secs < POINTS)?;
        let value = self.0[place(now.checked_sub(back)?)];
        value.is_finite().then_some(value)
    }

    fn known(&self) -> impl Iterator<Item = f32> {
        self.0.iter().copied().filter(|value| value.is_finite())
    }

    /// The highest of all.
    pub(super) fn highest(&self) -> Option<f32> {
        self.known().reduce(f32::max)
    }

    /// The mean of all.
    pub(super) fn mean(&self) -> Option<f32> {
        let (sum, count) = self.known().fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
        (count > 0).then(|| sum / count as f32)
    }
}

/// The figures of one stream over time.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamHistory {
    /// Payload of picture and sound, in kbit/s.
    pub(super) kbps: Series,
    /// Packets that never came, in percent.
    pub(super) loss: Series,
    /// From capture to play, in ms; of an own stream the round trip.
    pub(super) delay: Series,
    /// Decoded pictures a second; of an own stream those that were sent.
    pub(super) fps: Series,
    /// The second in which it was last heard of.
    seen: u64,
    counted: Counted,
}

/// What a stream's tracks counted since the second before.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    bytes: Option<u64>,
    fps: Option<f32>,
}

/// One second of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Point {
    kbps: Option<f32>,
    loss: Option<f32>,
    delay: Option<f32>,
    fps: Option<f32>,
}

impl Point {
    fn sent(own: &PublishQuality) -> Self {
        let shows = own.width > 0 || own.captured_fps > 0.0;
        Self {
            kbps: Some(own.video_kbps + own.audio_kbps),
            loss: Some(own.loss * 100.0),
            delay: own.rtt_ms,
            fps: shows.then_some(own.sent_fps),
        }
    }

    /// Counters are a second old at most; what is told of three seconds stands in where there are none.
    fn played(told: Option<&PlayedQuality>, counted: Counted, secs: f32) -> Self {
        let kbps = counted.bytes.map(|bytes| bytes as f32 * 8.0 / 1000.0 / secs);
        Self {
            kbps: kbps.or_else(|| told.map(|told| told.video_kbps + told.audio_kbps)),
            loss: told.map(|told| told.loss * 100.0),
            delay: told.and_then(|told| told.delay_ms),
            fps: counted.fps.or_else(|| told.map(|told| told.decoded_fps).filter(|fps| *fps > 0.0)),
        }
    }
}

/// The last two minutes of this login.
#[derive(Resource, Debug, Default)]
pub(in crate::space::ui) struct History {
    session: SessionId,
    /// The second of the newest points, and when they were taken.
    newest: u64,
    taken: Duration,
    /// To the server and back, in ms.
    pub(super) round_trip: Series,
    /// All own streams together, in kbit/s.
    pub(super) sent: Series,
    /// All played streams together, in kbit/s.
    pub(super) received: Series,
    streams: BTreeMap<StreamId, StreamHistory>,
    /// Bytes of each played track so far.
    bytes: BTreeMap<TrackSid, u64>,
}

/// Takes the figures of a new second.
pub(in crate::space::ui) fn remember(
    time: Res<Time<Real>>,
    status: Res<RoomStatus>,
    figures: Res<RoomFigures>,
    mut history: ResMut<History>,
) {
    let at = time.elapsed();
    if history.is_due(at, status.session) {
        history.take(at, &figures.0, status.session, status.state == RoomState::Connected);
    }
}

impl History {
    /// The second of the newest points.
    pub(super) fn now(&self) -> u64 {
        self.newest
    }

    pub(super) fn stream(&self, id: &StreamId) -> Option<&StreamHistory> {
        self.streams.get(id)
    }

    fn is_due(&self, at: Duration, session: SessionId) -> bool {
        at.as_secs() > self.newest || session != self.session
    }

    /// Takes the figures of the second in which `at` is. While not connected there are gaps.
    pub(super) fn take(&mut self, at: Duration, figures: &EngineSnapshot, session: SessionId, connected: bool) {
        if session != self.session {
            *self = Self { session, ..Self::default() };
        }
        let second = at.as_secs();
        let newest = self.newest;
        let of_all = [&mut self.round_trip, &mut self.sent, &mut self.received].into_iter();
        let of_each = self.streams.values_mut().flat_map(StreamHistory::all_mut);
        of_all.chain(of_each).for_each(|series| series.skip(newest, second));
        let secs = at.saturating_sub(self.taken).as_secs_f32().max(0.1);
        (self.newest, self.taken) = (second, at);
        if !connected {
            // What comes meanwhile is nobody's rate.
            self.bytes.clear();
            return;
        }
        self.bytes.retain(|track, _| figures.tracks.contains_key(track));
        self.count(figures, second);
        for id in figures.publishing.keys().chain(figures.playing.keys()) {
            self.meet(id, second);
        }
        self.streams.retain(|_, stream| stream.seen + FORGET_AFTER_SECS >= second);
        let mut received = 0.0;
        for (id, stream) in self.streams.iter_mut().filter(|(_, stream)| stream.seen == second) {
            let counted = std::mem::take(&mut stream.counted);
            let point = match figures.publishing.get(id) {
                Some(own) => Point::sent(own),
                None => Point::played(figures.playing.get(id), counted, secs),
            };
            if !figures.publishing.contains_key(id) {
                received += point.kbps.unwrap_or(0.0);
            }
            stream.put(second, point);
        }
        self.round_trip.put(second, figures.rtt_ms);
        self.sent.put(second, Some(figures.sent_kbps));
        self.received.put(second, Some(received));
    }

    /// What each track counted since the second before; of one that is new nothing is known yet.
    fn count(&mut self, figures: &EngineSnapshot, second: u64) {
        for (track, (id, stats)) in &figures.tracks {
            let (bytes, fps) = match stats {
                TrackStats::Video(video) => (video.bytes, Some(video.fps)),
                TrackStats::Audio(audio) => (audio.bytes, None),
            };
            let room = self.bytes.len() < MOST_TRACKS;
            let before = match self.bytes.get_mut(track) {
                Some(before) => Some(std::mem::replace(before, bytes)),
                None if room => self.bytes.insert(track.clone(), bytes),
                None => None,
            };
            let Some(stream) = self.meet(id, second) else { continue };
            let counted = &mut stream.counted;
            counted.fps = fps.or(counted.fps);
            if let Some(before) = before {
                // A track that is played anew counts from nought.
                let fresh = bytes.checked_sub(before).unwrap_or(bytes);
                counted.bytes = Some(counted.bytes.unwrap_or(0).saturating_add(fresh));
            }
        }
    }

    /// The stream of which something is told in this second; where there is no room, the one that was heard of longest
    /// ago gives way.
    fn meet(&mut self, id: &StreamId, second: u64) -> Option<&mut StreamHistory> {
        if !self.streams.contains_key(id) {
            if self.streams.len() >= MOST_STREAMS {
                let ended = self.streams.iter().filter(|(_, stream)| stream.seen < second);
                let oldest = ended.min_by_key(|(_, stream)| stream.seen).map(|(id, _)| id.clone())?;
                self.streams.remove(&oldest);
            }
            self.streams.insert(id.clone(), StreamHistory::default());
        }
        let stream = self.streams.get_mut(id)?;
        stream.seen = second;
        Some(stream)
    }
}

impl StreamHistory {
    fn all_mut(&mut self) -> [&mut Series; 4] {
        [&mut self.kbps, &mut self.loss, &mut self.delay, &mut self.fps]
    }

    fn put(&mut self, second: u64, point: Point) {
        let values = [point.kbps, point.loss, point.delay, point.fps];
        self.all_mut().into_iter().zip(values).for_each(|(series, value)| series.put(second, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::quality::{AudioStats, VideoStats};

    const LOGIN: SessionId = SessionId(1);

    fn id(name: &str) -> StreamId {
        StreamId::new(name).unwrap()
    }

    fn playing(names: &[&str]) -> EngineSnapshot {
        let quality = PlayedQuality { video_kbps: 300.0, audio_kbps: 32.0, ..PlayedQuality::default() };
        let playing = names.iter().map(|name| (id(name), quality.clone())).collect();
        EngineSnapshot { rtt_ms: Some(20.0), sent_kbps: 50.0, playing, ..EngineSnapshot::default() }
    }

    fn with_track(mut figures: EngineSnapshot, sid: &str, stream: &str, stats: TrackStats) -> EngineSnapshot {
        figures.tracks.insert(TrackSid::new(sid).unwrap(), (id(stream), stats));
        figures
    }

    fn picture(bytes: u64) -> TrackStats {
        TrackStats::Video(VideoStats { bytes, fps: 24.0, ..VideoStats::default() })
    }

    fn take(history: &mut History, secs: u64, figures: &EngineSnapshot) {
        history.take(Duration::from_secs(secs), figures, LOGIN, true);
    }

    #[test]
    fn two_minutes_are_kept_and_no_more() {
        let mut history = History::default();
        for second in 1..=1000_u64 {
            let figures = EngineSnapshot { rtt_ms: Some(second as f32), ..EngineSnapshot::default() };
            take(&mut history, second, &figures);
        }
        let at = |secs| history.round_trip.ago(history.now(), secs);
        assert_eq!([at(0), at(1), at(119), at(120)], [Some(1000.0), Some(999.0), Some(881.0), None]);
        assert_eq!((history.round_trip.highest(), history.round_trip.mean()), (Some(1000.0), Some(940.5)));
    }

    #[test]
    fn seconds_without_figures_are_gaps() {
        let mut history = History::default();
        take(&mut history, 1, &playing(&["a"]));
        // The window did not draw for three seconds; then the connection was away for one.
        take(&mut history, 5, &playing(&["a"]));
        history.take(Duration::from_secs(6), &EngineSnapshot::default(), LOGIN, false);
        take(&mut history, 7, &playing(&["a"]));
        let known = |series: &Series| -> Vec<bool> { (0..8).map(|secs| series.ago(7, secs).is_some()).collect() };
        let expected = [true, false, true, false, false, false, true, false];
        assert_eq!(known(&history.round_trip), expected);
        assert_eq!(known(&history.stream(&id("a")).unwrap().kbps), expected, "it is still the same stream");
        // Longer than all that is kept.
        take(&mut history, 7000, &playing(&[]));
        assert_eq!((0..POINTS).filter(|secs| history.sent.ago(7000, *secs).is_some()).count(), 1);
    }

    #[test]
    fn ended_streams_are_forgotten_and_many_have_a_bound() {
        let mut history = History::default();
        take(&mut history, 1, &playing(&["a", "b"]));
        take(&mut history, 11, &playing(&["b"]));
        assert!(history.stream(&id("a")).is_some(), "figures may be late");
        take(&mut history, 12, &playing(&["b"]));
        assert!(history.stream(&id("a")).is_none() && history.stream(&id("b")).is_some());
        for second in 13..40 {
            let names: Vec<String> = (0..90).map(|n| format!("s{second}-{n}")).collect();
            take(&mut history, second, &playing(&names.iter().map(String::as_str).collect::<Vec<_>>()));
            assert!(history.streams.len() <= MOST_STREAMS);
        }
        assert!(history.stream(&id("s39-0")).is_some(), "who is there has the place of who went");
        history.take(Duration::from_secs(40), &playing(&[]), SessionId(2), true);
        assert_eq!((history.streams.len(), history.sent.ago(40, 1)), (0, None), "another login begins anew");
    }

    #[test]
    fn rates_come_from_what_tracks_counted() {
        let mut history = History::default();
        let sound = |bytes| TrackStats::Audio(AudioStats { bytes, ..AudioStats::default() });
        let figures = |pictures, sounds| {
            let figures = with_track(playing(&["a"]), "TR_v", "a", picture(pictures));
            with_track(figures, "TR_a", "a", sound(sounds))
        };
        let kbps = |history: &History| history.stream(&id("a")).unwrap().kbps.ago(history.now(), 0);
        take(&mut history, 1, &figures(500_000, 9000));
        assert_eq!(kbps(&history), Some(332.0), "before anything could be counted, what is told");
        take(&mut history, 2, &figures(562_500, 13_000));
        assert_eq!(kbps(&history), Some(532.0));
        take(&mut history, 4, &figures(687_500, 13_000));
        assert_eq!(kbps(&history), Some(500.0), "over two seconds");
        take(&mut history, 5, &figures(25_000, 13_000));
        assert_eq!(kbps(&history), Some(200.0), "the track began anew");
        assert_eq!(history.received.ago(5, 0), Some(200.0));
        assert_eq!(history.stream(&id("a")).unwrap().fps.ago(5, 0), Some(24.0));
        // What came in while the connection was being mended is not the rate of the first second after.
        history.take(Duration::from_secs(6), &figures(9_000_000, 13_000), LOGIN, false);
        take(&mut history, 7, &figures(90_000_000, 13_000));
        assert_eq!(kbps(&history), Some(332.0));
    }

    #[test]
    fn own_streams_are_no_part_of_what_is_received() {
        let mut history = History::default();
        let own = PublishQuality { video_kbps: 900.0, rtt_ms: Some(30.0), loss: 0.05, ..PublishQuality::default() };
        let mut figures = playing(&["a"]);
        figures.publishing.insert(id("me"), own);
        take(&mut history, 1, &figures);
        assert_eq!(history.received.ago(1, 0), Some(332.0));
        let own = history.stream(&id("me")).unwrap();
        assert_eq!((own.kbps.ago(1, 0), own.delay.ago(1, 0)), (Some(900.0), Some(30.0)));
        assert_eq!((own.loss.ago(1, 0), own.fps.ago(1, 0)), (Some(5.0), None), "it has no picture");
    }
}
