//! How good own and played streams are, over windows of three seconds. What is counted goes in, with the time; nothing
//! here reads a clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::client::publish::PictureCounts;
use crate::model::StreamId;
use crate::model::quality::{Grade, GradeInput, PlayedQuality, PublishQuality};

/// Qualities are told this often (FEATURES.md section 1).
const WINDOW: Duration = Duration::from_secs(3);
/// A picture that stood still in the window is at most this well delivered.
const FROZEN: f32 = 0.6;

/// What an own stream came to so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PublishTotals {
    pub(super) pictures: PictureCounts,
    pub(super) video_bytes: u64,
    pub(super) audio_bytes: u64,
    /// Its picture is on, and the link carries it.
    pub(super) shows: bool,
}

/// What a played stream came to so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlayTotals {
    pub(super) received: u64,
    pub(super) decoded: u64,
    pub(super) shown: u64,
    pub(super) video_bytes: u64,
    pub(super) audio_bytes: u64,
    pub(super) packets: u64,
    pub(super) lost: u64,
    pub(super) freezes: u64,
    /// Something should arrive: a track that is neither muted nor turned off.
    pub(super) expected: bool,
}

/// What the way to the server is like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    pub(super) rtt_ms: Option<f32>,
    /// Share of own packets that the server missed, 0..=1.
    pub(super) loss: f32,
}

/// The qualities of the window before, and what the present one began with.
#[derive(Debug, Default)]
pub(super) struct Qualities {
    since: Option<Instant>,
    own: BTreeMap<StreamId, PublishTotals>,
    played: BTreeMap<StreamId, PlayTotals>,
    pub(super) publishing: BTreeMap<StreamId, PublishQuality>,
    pub(super) playing: BTreeMap<StreamId, PlayedQuality>,
}

impl Qualities {
    /// Whether a window is over, or none has begun.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW)
    }

    /// Ends a window and begins the next. A stream that was not there when the window began is judged in the next.
    pub(super) fn measure(
        &mut self,
        own: BTreeMap<StreamId, PublishTotals>,
        played: BTreeMap<StreamId, PlayTotals>,
        way: Way,
        now: Instant,
    ) {
        if let Some(since) = self.since {
            let secs = now.saturating_duration_since(since).as_secs_f32().max(0.1);
            self.publishing = own
                .iter()
                .filter_map(|(id, now)| Some((id.clone(), publish_quality(self.own.get(id)?, now, secs, way))))
                .collect();
            self.playing = played
                .iter()
                .filter_map(|(id, now)| Some((id.clone(), played_quality(self.played.get(id)?, now, secs, way))))
                .collect();
        }
        self.since = Some(now);
        self.own = own;
        self.played = played;
    }
}

fn publish_quality(before: &PublishTotals, now: &PublishTotals, secs: f32, way: Way) -> PublishQuality {
    let per_second = |before: u64, now: u64| now.saturating_sub(before) as f32 / secs;
    let captured_fps = per_second(before.pictures.captured, now.pictures.captured);
    let sent_fps = per_second(before.pictures.sent, now.pictures.sent);
    // What nobody watches need not be sent.
    let judged = now.shows && now.pictures.layers > 0 && captured_fps > 0.0;
    let audio_kbps = kbps(before.audio_bytes, now.audio_bytes, secs);
    let grade = Grade::of(GradeInput {
        loss: way.loss,
        rtt_ms: way.rtt_ms,
        delivered: judged.then(|| (sent_fps / captured_fps).min(1.0)),
        silent: judged && sent_fps == 0.0 && audio_kbps == 0.0,
    });
    PublishQuality {
        captured_fps,
        encoded_fps: per_second(before.pictures.encoded, now.pictures.encoded),
        sent_fps,
        width: if now.shows { now.pictures.width } else { 0 },
        height: if now.shows { now.pictures.height } else { 0 },
        layers: if now.shows { now.pictures.layers } else { 0 },
        video_kbps: kbps(before.video_bytes, now.video_bytes, secs),
        audio_kbps,
        rtt_ms: way.rtt_ms,
        loss: way.loss,
        grade,
    }
}

fn played_quality(before: &PlayTotals, now: &PlayTotals, secs: f32, way: Way) -> PlayedQuality {
    let per_second = |before: u64, now: u64| now.saturating_sub(before) as f32 / secs;
    let packets = now.packets.saturating_sub(before.packets);
    let lost = now.lost.saturating_sub(before.lost);
    let loss = if lost > 0 { lost as f32 / (lost + packets) as f32 } else { 0.0 };
    let received_fps = per_second(before.received, now.received);
    let decoded_fps = per_second(before.decoded, now.decoded);
    let froze = now.freezes > before.freezes;
    let delivered = (received_fps > 0.0 || froze).then(|| {
        let share = if received_fps > 0.0 { (decoded_fps / received_fps).min(1.0) } else { 0.0 };
        if froze { share.min(FROZEN) } else { share }
    });
    // A camera that was turned on meanwhile may still be opening.
    let silent = before.expected && now.expected && packets == 0;
    let grade = Grade::of(GradeInput { loss, rtt_ms: way.rtt_ms, delivered, silent });
    PlayedQuality {
        received_fps,
        decoded_fps,
        shown_fps: per_second(before.shown, now.shown),
        video_kbps: kbps(before.video_bytes, now.video_bytes, secs),
        audio_kbps: kbps(before.audio_bytes, now.audio_bytes, secs),
        rtt_ms: way.rtt_ms,
        loss,
        // Known at every moment, not only at the end of a window.
        delay_ms: None,
        av_offset_ms: None,
        freezes: now.freezes,
        grade,
    }
}

fn kbps(before: u64, now: u64, secs: f32) -> f32 {
    now.saturating_sub(before) as f32 * 8.0 / 1000.0 / secs
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: Way = Way { rtt_ms: Some(30.0), loss: 0.0 };

    fn sent(captured: u64, sent: u64) -> PublishTotals {
        let pictures = PictureCounts { captured, encoded: sent, sent, width: 640, height: 480, layers: 3 };
        PublishTotals { pictures, video_bytes: 1000 * sent, audio_bytes: 6000, shows: true }
    }

    #[test]
    fn publishing_is_told_stage_by_stage() {
        let quality = publish_quality(&sent(0, 0), &sent(45, 45), 3.0, WAY);
        assert_eq!((quality.captured_fps, quality.encoded_fps, quality.sent_fps), (15.0, 15.0, 15.0));
        assert_eq!((quality.width, quality.height, quality.layers), (640, 480, 3));
        assert_eq!(quality.video_kbps, 120.0);
        assert_eq!(quality.grade, Grade::Excellent);
        let held_back = publish_quality(&sent(0, 0), &sent(45, 25), 3.0, WAY);
        assert_eq!(held_back.grade, Grade::Medium, "5 of 9 frames got out");
        assert_eq!(publish_quality(&sent(0, 0), &sent(45, 0), 3.0, WAY).grade, Grade::Lost);
        let off = PublishTotals { shows: false, ..sent(45, 0) };
        assert_eq!(publish_quality(&sent(0, 0), &off, 3.0, WAY).grade, Grade::Excellent, "muted is no fault");
        let mut unwatched = sent(45, 0);
        unwatched.pictures.layers = 0;
        assert_eq!(publish_quality(&sent(0, 0), &unwatched, 3.0, WAY).grade, Grade::Excellent, "nobody watches");
    }

    #[test]
    fn playing_is_told_by_what_is_lost_and_stands_still() {
        let start = PlayTotals { expected: true, ..PlayTotals::default() };
        let fine = PlayTotals { received: 45, decoded: 45, shown: 40, packets: 300, video_bytes: 30_000, ..start };
        let quality = played_quality(&start, &fine, 3.0, WAY);
        assert_eq!((quality.received_fps, quality.decoded_fps), (15.0, 15.0));
        assert_eq!((quality.video_kbps, quality.grade), (80.0, Grade::Excellent));
        let grade = |now: PlayTotals| played_quality(&start, &now, 3.0, WAY).grade;
        assert_eq!(grade(PlayTotals { lost: 12, ..fine }), Grade::Good);
        assert_eq!(grade(PlayTotals { freezes: 1, ..fine }), Grade::Medium);
        assert_eq!(grade(start), Grade::Lost, "nothing came");
        assert_eq!(grade(PlayTotals { expected: false, ..start }), Grade::Excellent, "nothing was to come");
        let muted = PlayTotals { expected: false, ..start };
        assert_eq!(played_quality(&muted, &start, 3.0, WAY).grade, Grade::Excellent, "it was just turned on");
    }

    #[test]
    fn windows_are_three_seconds_and_a_new_stream_waits_for_its_first() {
        let (start, id) = (Instant::now(), StreamId::new("cam").unwrap());
        let mut qualities = Qualities::default();
        assert!(qualities.is_due(start));
        qualities.measure(BTreeMap::new(), BTreeMap::new(), WAY, start);
        assert!(!qualities.is_due(start + Duration::from_millis(2900)));
        let later = |n: u64| start + WINDOW * n as u32;
        qualities.measure(BTreeMap::from([(id.clone(), sent(10, 10))]), BTreeMap::new(), WAY, later(1));
        assert!(qualities.publishing.is_empty());
        qualities.measure(BTreeMap::from([(id.clone(), sent(40, 40))]), BTreeMap::new(), WAY, later(2));
        assert_eq!(qualities.publishing[&id].sent_fps, 10.0);
        qualities.measure(BTreeMap::new(), BTreeMap::new(), WAY, later(3));
        assert!(qualities.publishing.is_empty(), "a stream that ended is no longer told");
    }
}
