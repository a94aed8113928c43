//! Who speaks, and how good each connection is: small messages that tell only what changed.

use std::collections::HashMap;

use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate, SpeakerInfo, SpeakersChanged,
};

use super::Hub;
use super::participant::Participant;
use crate::server::media::{LinkFigures, PeerId, RoomKey, Shortage, TrackId};
use crate::server::outbox::response;

/// Levels are told in eighths, so that they do not change all the time.
const STEPS: f32 = 8.0;
/// Loss above these shares is a good and a poor connection.
const GOOD_LOSS: f32 = 0.02;
const POOR_LOSS: f32 = 0.08;
/// The same for the round trip, in ms: talking across 300 ms one way is hard (ITU-T G.114).
const GOOD_RTT_MS: f32 = 300.0;
const POOR_RTT_MS: f32 = 600.0;

impl Hub {
    /// The media side's newest levels.
    pub(super) fn levels(&mut self, levels: &[(TrackId, f32)]) {
        let by_track: HashMap<TrackId, f32> = levels.iter().copied().collect();
        let mut changed: HashMap<RoomKey, Vec<SpeakerInfo>> = HashMap::new();
        for participant in self.participants.values_mut() {
            let heard = participant.tracks.iter().filter_map(|track| by_track.get(&track.id)).copied();
            let heard: Vec<f32> = heard.collect();
            if heard.is_empty() || participant.is_hidden() {
                continue;
            }
            // Rounded up: whoever is active is never told as silent.
            let level = (heard.into_iter().fold(0.0, f32::max) * STEPS).ceil() / STEPS;
            if level != participant.level {
                participant.level = level;
                let speaker = SpeakerInfo { sid: participant.sid.clone(), level, active: level > 0.0 };
                changed.entry(participant.room).or_default().push(speaker);
            }
        }
        for (room, speakers) in changed {
            self.tell_room(room, &response(Message::SpeakersChanged(SpeakersChanged { speakers })));
        }
    }

    /// A participant whose sound ended does not speak any more.
    pub(super) fn silence(&mut self, id: PeerId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let sounds = participant.tracks.iter().any(|track| track.live && !track.is_video());
        if !sounds && participant.level > 0.0 {
            participant.level = 0.0;
            let speaker = SpeakerInfo { sid: participant.sid.clone(), level: 0.0, active: false };
            let room = participant.room;
            self.tell_room(room, &response(Message::SpeakersChanged(SpeakersChanged { speakers: vec![speaker] })));
        }
    }

    /// The media side's newest figures of one participant.
    pub(super) fn quality(&mut self, id: PeerId, figures: &LinkFigures) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let (quality, score) = grade(figures);
        if participant.quality == Some(quality) {
            return;
        }
        participant.quality = Some(quality);
        let info = ConnectionQualityInfo { participant_sid: participant.sid.clone(), quality: quality.into(), score };
        let update = response(Message::ConnectionQuality(ConnectionQualityUpdate { updates: vec![info] }));
        let (room, hidden) = (participant.room, participant.is_hidden());
        if hidden {
            participant.send(&update);
        } else {
            self.tell_room(room, &update);
        }
    }

    /// Tells one who was away who speaks now: after this it hears of changes only.
    pub(super) fn tell_speakers(&self, id: PeerId) {
        let Some(participant) = self.participants.get(&id) else { return };
        let visible = self.others(participant.room, id).filter(|other| !other.is_hidden() && other.level > 0.0);
        let speaker = |other: &Participant| SpeakerInfo { sid: other.sid.clone(), level: other.level, active: true };
        let speakers: Vec<SpeakerInfo> = visible.map(speaker).collect();
        if !speakers.is_empty() {
            participant.send(&response(Message::SpeakersChanged(SpeakersChanged { speakers })));
        }
    }

    /// Tells a newcomer how the others' connections are: after this it hears of changes only.
    pub(super) fn tell_qualities(&self, id: PeerId) {
        let Some(newcomer) = self.participants.get(&id) else { return };
        let visible = self.others(newcomer.room, id).filter(|other| !other.is_hidden());
        let known = visible.filter_map(|other| {
            let quality = other.quality?;
            let participant_sid = other.sid.clone();
            Some(ConnectionQualityInfo { participant_sid, quality: quality.into(), score: score_of(quality) })
        });
        let updates: Vec<ConnectionQualityInfo> = known.collect();
        if !updates.is_empty() {
            newcomer.send(&response(Message::ConnectionQuality(ConnectionQualityUpdate { updates })));
        }
    }
}

/// The grade of a connection: the worst of what loss, delay and a short bandwidth each come to.
fn grade(figures: &LinkFigures) -> (ConnectionQuality, f32) {
    let poor = figures.loss > POOR_LOSS || figures.rtt_ms > POOR_RTT_MS || figures.shortage == Shortage::Paused;
    let good = figures.loss > GOOD_LOSS || figures.rtt_ms > GOOD_RTT_MS || figures.shortage == Shortage::Smaller;
    let quality = match (figures.silent, poor, good) {
        (true, ..) => ConnectionQuality::Lost,
        (_, true, _) => ConnectionQuality::Poor,
        (.., true) => ConnectionQuality::Good,
        _ => ConnectionQuality::Excellent,
    };
    (quality, score_of(quality))
}

/// A score of 1..=5 to go with a grade, as a mean opinion score.
fn score_of(quality: ConnectionQuality) -> f32 {
    match quality {
        ConnectionQuality::Excellent => 4.5,
        ConnectionQuality::Good => 3.5,
        ConnectionQuality::Poor => 2.0,
        ConnectionQuality::Lost => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_delay_and_want_of_bandwidth_lower_the_grade() {
        let of = |change: &dyn Fn(&mut LinkFigures)| {
            let mut figures = LinkFigures::default();
            change(&mut figures);
            grade(&figures).0
        };
        assert_eq!(of(&|_| {}), ConnectionQuality::Excellent);
        assert_eq!(of(&|f| f.loss = 0.05), ConnectionQuality::Good);
        assert_eq!(of(&|f| f.loss = 0.3), ConnectionQuality::Poor);
        assert_eq!(of(&|f| f.rtt_ms = 400.0), ConnectionQuality::Good);
        assert_eq!(of(&|f| f.rtt_ms = 900.0), ConnectionQuality::Poor);
        assert_eq!(of(&|f| f.shortage = Shortage::Smaller), ConnectionQuality::Good);
        assert_eq!(of(&|f| f.shortage = Shortage::Paused), ConnectionQuality::Poor);
        assert_eq!(of(&|f| f.silent = true), ConnectionQuality::Lost);
    }
}
