//! The figures the application reads: refreshed every tick, replaced, never queued.

use std::collections::BTreeMap;
use std::time::Instant;

use livekit_protocol as proto;
use webrtc::peer_connection::{RTCStatsReportEntry, StatsSelector};

use super::Call;
use crate::client::link::Link;
use crate::client::play::{Rate, keep_in_step};
use crate::model::quality::{EngineSnapshot, TrackStats};
use crate::model::{MediaKind, UserId};

/// The round trip is read every so many ticks: it walks all statistics.
const RTT_TICKS: u32 = 5;

/// Levels as the server tells them, and what is counted between ticks.
#[derive(Debug, Default)]
pub(super) struct Levels {
    speakers: BTreeMap<UserId, f32>,
    sent: Rate,
    sent_bytes: u64,
    ticks: u32,
    rtt_ms: Option<f32>,
}

impl Levels {
    /// Someone is gone.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.speakers.remove(user);
    }
}

impl Call<'_> {
    /// The server heard people begin or end to speak.
    pub(super) fn speakers_changed(&mut self, speakers: &[proto::SpeakerInfo]) {
        for speaker in speakers {
            let own = self.me.as_ref().filter(|me| me.sid == speaker.sid).map(|me| me.id.clone());
            let Some(user) = own.or_else(|| self.roster.user_of_sid(&speaker.sid).cloned()) else { continue };
            let level = if speaker.active { speaker.level.clamp(0.0, 1.0) } else { 0.0 };
            self.levels.speakers.insert(user, level);
        }
    }

    /// Replaces the figures.
    pub(super) async fn refresh_snapshot(&mut self, link: &Link) {
        if self.levels.ticks.is_multiple_of(RTT_TICKS) {
            self.levels.rtt_ms = round_trip_ms(link).await;
        }
        self.levels.ticks = self.levels.ticks.wrapping_add(1);
        let mut snapshot = EngineSnapshot {
            rtt_ms: self.levels.rtt_ms,
            levels: self.levels.speakers.clone(),
            send_bandwidth_kbps: link.bandwidth.bps().map(|bps| (bps / 1000.0) as f32),
            sent_kbps: self.sent_kbps(),
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
            let timing = keep_in_step(&played.tracks, self.levels.rtt_ms, Instant::now());
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
        self.port.snapshot.store(snapshot);
    }

    fn own_level(&self) -> Option<f32> {
        let own = self.own.values().flat_map(|publication| &publication.tracks);
        own.filter(|track| track.media == MediaKind::Audio).map(|track| track.gate.level()).reduce(f32::max)
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

/// Round trip of the connectivity checks on the pair in use.
async fn round_trip_ms(link: &Link) -> Option<f32> {
    let report = link.peer().get_stats(Instant::now(), StatsSelector::None).await;
    let pairs = report.iter().filter_map(|entry| match entry {
        RTCStatsReportEntry::IceCandidatePair(pair) if pair.nominated => Some(pair.current_round_trip_time),
        _ => None,
    });
    pairs.filter(|secs| *secs > 0.0).map(|secs| (secs * 1000.0) as f32).reduce(f32::min)
}
