//! The figures the application reads: refreshed every tick, replaced, never queued.

use std::collections::BTreeMap;
use std::time::Instant;

use livekit_protocol as proto;
use webrtc::peer_connection::{RTCStatsReportEntry, StatsSelector};

use super::Call;
use super::playing::Played;
use super::publishing::Publication;
use super::quality::{PlayTotals, PublishTotals, Qualities, Way};
use crate::client::link::Link;
use crate::client::play::{PlayedTrack, Rate, keep_in_step};
use crate::model::quality::{EngineSnapshot, Grade, TrackStats};
use crate::model::{MediaKind, StreamId, StreamInfo, StreamKind, UserId};
use crate::protocol::convert;

/// What the connection counts is read every so many ticks: that walks all statistics.
const WAY_TICKS: u32 = 10;

/// Levels and grades as the server tells them, and what is counted between ticks.
#[derive(Debug, Default)]
pub(super) struct Levels {
    speakers: BTreeMap<UserId, f32>,
    network: BTreeMap<UserId, Grade>,
    qualities: Qualities,
    sent: Rate,
    sent_bytes: u64,
    ticks: u32,
    way: Way,
}

impl Levels {
    /// A fresh session: the server tells everything anew.
    pub(super) fn new_link(&mut self) {
        self.speakers.clear();
        self.network.clear();
    }

    /// Who stopped speaking meanwhile was told to nobody; who still speaks is told with the next change.
    pub(super) fn silence(&mut self) {
        self.speakers.clear();
    }

    /// Someone is gone.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.speakers.remove(user);
        self.network.remove(user);
    }

    /// Whom the server hears, loudest first by these levels.
    fn active(&self, levels: &BTreeMap<UserId, f32>) -> Vec<UserId> {
        let mut active: Vec<UserId> =
            self.speakers.iter().filter(|(_, level)| **level > 0.0).map(|(user, _)| user.clone()).collect();
        let level = |user: &UserId| levels.get(user).copied().unwrap_or(0.0);
        active.sort_by(|a, b| level(b).total_cmp(&level(a)));
        active
    }
}

impl Call<'_> {
    /// The server heard people begin or end to speak.
    pub(super) fn speakers_changed(&mut self, speakers: &[proto::SpeakerInfo]) {
        for speaker in speakers {
            let Some(user) = self.user_of_sid(&speaker.sid) else { continue };
            let level = if speaker.active { speaker.level.clamp(0.0, 1.0) } else { 0.0 };
            self.levels.speakers.insert(user, level);
        }
    }

    /// The server judged connections.
    pub(super) fn network_changed(&mut self, updates: &[proto::ConnectionQualityInfo]) {
        for update in updates {
            let Some(user) = self.user_of_sid(&update.participant_sid) else { continue };
            self.levels.network.insert(user, convert::grade(update.quality()));
        }
    }

    fn user_of_sid(&self, sid: &str) -> Option<UserId> {
        let own = self.me.as_ref().filter(|me| me.sid == sid).map(|me| me.id.clone());
        own.or_else(|| self.roster.user_of_sid(sid).cloned())
    }

    /// Replaces the figures.
    pub(super) async fn refresh_snapshot(&mut self, link: &Link) {
        if self.levels.ticks.is_multiple_of(WAY_TICKS) {
            self.levels.way = way(link).await;
        }
        self.levels.ticks = self.levels.ticks.wrapping_add(1);
        let now = Instant::now();
        if self.levels.qualities.is_due(now) {
            let (own, played) = (self.publish_totals(), self.play_totals());
            self.levels.qualities.measure(own, played, self.levels.way, now);
        }
        let mut snapshot = EngineSnapshot {
            rtt_ms: self.levels.way.rtt_ms,
            levels: self.levels.speakers.clone(),
            send_bandwidth_kbps: link.bandwidth.bps().map(|bps| (bps / 1000.0) as f32),
            sent_kbps: self.sent_kbps(),
            network: self.levels.network.clone(),
            online: self.online(),
            speaking_muted: self.speaking_muted(),
            may_set_attributes: self.notes.are_allowed(),
            keeps_order: self.room_notes.server_keeps_order,
            publishing: self.levels.qualities.publishing.clone(),
            playing: self.levels.qualities.playing.clone(),
            ..Default::default()
        };
        let mut heard: BTreeMap<UserId, f32> = BTreeMap::new();
        for (stream, played) in &self.played {
            let owner = self.roster.stream(stream).map(|info| info.owner.clone());
            for track in &played.tracks {
                let stats = track.stats();
                if let (TrackStats::Audio(audio), Some(owner), true) = (&stats, &owner, self.hub.playout.is_some()) {
                    let level = heard.entry(owner.clone()).or_default();
                    *level = level.max(audio.level);
                }
                snapshot.tracks.insert(track.sid().clone(), (stream.clone(), stats));
            }
            let timing = keep_in_step(&played.tracks, self.levels.way.rtt_ms, now);
            if let Some(quality) = snapshot.playing.get_mut(stream) {
                (quality.delay_ms, quality.av_offset_ms) = (timing.delay_ms, timing.av_offset_ms);
            }
        }
        // Our own meters are finer than the server's eighths.
        snapshot.levels.extend(heard);
        if let Some(me) = &self.me
            && let Some(level) = self.own_level()
        {
            snapshot.levels.insert(me.id.clone(), level);
        }
        snapshot.active_speakers = self.levels.active(&snapshot.levels);
        if self.recovery.is_some() {
            self.mark_lost(&mut snapshot);
        }
        self.port.snapshot.store(snapshot);
    }

    /// The figures while there is no link: nothing is heard, sent or shown.
    pub(super) fn snapshot_away(&self) -> EngineSnapshot {
        let mut snapshot = EngineSnapshot { online: self.online(), ..Default::default() };
        self.mark_lost(&mut snapshot);
        snapshot
    }

    /// People in the room, this client included.
    pub(super) fn online(&self) -> u32 {
        u32::try_from(self.roster.len() + 1).unwrap_or(u32::MAX)
    }

    /// No server can judge a connection that is broken.
    fn mark_lost(&self, snapshot: &mut EngineSnapshot) {
        if let Some(me) = &self.me {
            snapshot.network.insert(me.id.clone(), Grade::Lost);
        }
    }

    fn publish_totals(&self) -> BTreeMap<StreamId, PublishTotals> {
        let totals = |publication: &Publication| {
            let mut totals = PublishTotals::default();
            for track in &publication.tracks {
                match track.media {
                    MediaKind::Video => {
                        totals.pictures = track.gate.pictures.counts();
                        totals.video_bytes = track.gate.sent_bytes();
                        totals.shows = track.flows() && !track.muted;
                    }
                    MediaKind::Audio => totals.audio_bytes = track.gate.sent_bytes(),
                }
            }
            totals
        };
        self.own.iter().map(|(stream, publication)| (stream.clone(), totals(publication))).collect()
    }

    fn play_totals(&self) -> BTreeMap<StreamId, PlayTotals> {
        let mut all = BTreeMap::new();
        for (stream, played) in &self.played {
            let mut totals = PlayTotals { expected: self.is_expected(stream, played), ..PlayTotals::default() };
            for track in &played.tracks {
                match track.stats() {
                    TrackStats::Video(video) => {
                        totals.received += video.frames_received;
                        totals.decoded += video.frames_decoded;
                        totals.video_bytes += video.bytes;
                        totals.packets += video.packets;
                        totals.lost += video.lost;
                        totals.freezes += video.freezes;
                    }
                    TrackStats::Audio(audio) => {
                        totals.audio_bytes += audio.bytes;
                        totals.packets += audio.packets;
                        totals.lost += audio.lost;
                    }
                }
                if let PlayedTrack::Video(video) = track {
                    totals.shown += video.shown();
                }
            }
            all.insert(stream.clone(), totals);
        }
        all
    }

    /// Whether packets of a played stream should come all the time: those of a camera or its microphone that is on. A
    /// shared page may stand still.
    fn is_expected(&self, stream: &StreamId, played: &Played) -> bool {
        let wanted = |info: &&StreamInfo| {
            let picture = info.video.as_ref().is_some_and(|video| !video.muted) && played.wants_picture();
            picture && info.kind == StreamKind::Camera
        };
        self.roster.stream(stream).as_ref().is_some_and(wanted)
    }

    fn own_level(&self) -> Option<f32> {
        let own = self.own.values().flat_map(|publication| &publication.tracks);
        own.filter(|track| track.media == MediaKind::Audio).map(|track| track.gate.level()).reduce(f32::max)
    }

    /// Whether this client's own voice is spoken into a muted microphone. What a shared screen plays is no voice.
    fn speaking_muted(&self) -> bool {
        let voices = self.own.values().filter(|publication| publication.kind() == StreamKind::Camera);
        let mut tracks = voices.flat_map(|publication| &publication.tracks);
        tracks.any(|track| track.media == MediaKind::Audio && track.muted && track.gate.sound.speaks_muted())
    }

    fn sent_kbps(&mut self) -> f32 {
        let now = Instant::now();
        let total: u64 =
            self.own.values().flat_map(|publication| &publication.tracks).map(|track| track.gate.sent_bytes()).sum();
        // A stream that ended takes its count along.
        let fresh = total.saturating_sub(self.levels.sent_bytes);
        self.levels.sent_bytes = total;
        self.levels.sent.add(fresh, now);
        self.levels.sent.per_second(now) * 8.0 / 1000.0
    }
}

/// Round trip of the connectivity checks on the pair in use, and the share of packets that do not arrive: before they are
/// sent again, unlike what receiver reports count.
async fn way(link: &Link) -> Way {
    let report = link.peer().get_stats(Instant::now(), StatsSelector::None).await;
    let round_trip_ms = |entry: &RTCStatsReportEntry| match entry {
        RTCStatsReportEntry::IceCandidatePair(pair) if pair.nominated && pair.current_round_trip_time > 0.0 => {
            Some((pair.current_round_trip_time * 1000.0) as f32)
        }
        _ => None,
    };
    let rtt_ms = report.iter().filter_map(round_trip_ms).reduce(f32::min);
    Way { rtt_ms, loss: link.bandwidth.loss().clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers_are_told_loudest_first_and_silent_ones_not() {
        let user = |id: &str| UserId::new(id).unwrap();
        let mut levels = Levels::default();
        for (id, level) in [("ann", 0.25), ("bob", 0.5), ("cid", 0.0)] {
            levels.speakers.insert(user(id), level);
        }
        let heard = BTreeMap::from([(user("ann"), 0.4), (user("bob"), 0.3), (user("dan"), 0.9)]);
        assert_eq!(levels.active(&heard), [user("ann"), user("bob")], "our own meters are finer");
        levels.forget(&user("ann"));
        assert_eq!(levels.active(&heard), [user("bob")]);
    }
}
