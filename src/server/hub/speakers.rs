//! Who speaks, and how good each connection is: small messages that tell only what changed.

use std::collections::HashMap;

use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate, SpeakerInfo, SpeakersChanged,
};

use super::Hub;
use crate::server::media::{PeerId, RoomKey, TrackId};
use crate::server::outbox::response;

/// Levels are told in eighths, so that they do not change all the time.
const STEPS: f32 = 8.0;
/// Loss above these shares is a good and a poor connection.
const GOOD_LOSS: f32 = 0.02;
const POOR_LOSS: f32 = 0.08;

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
    pub(super) fn quality(&mut self, id: PeerId, loss: f32) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let (quality, score) = grade(loss);
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
}

/// The grade of a loss, and a score of 1..=5 to go with it.
fn grade(loss: f32) -> (ConnectionQuality, f32) {
    if loss <= GOOD_LOSS {
        (ConnectionQuality::Excellent, 4.5)
    } else if loss <= POOR_LOSS {
        (ConnectionQuality::Good, 3.5)
    } else {
        (ConnectionQuality::Poor, 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_lowers_the_grade() {
        assert_eq!(grade(0.0).0, ConnectionQuality::Excellent);
        assert_eq!(grade(0.05).0, ConnectionQuality::Good);
        assert_eq!(grade(0.3).0, ConnectionQuality::Poor);
    }
}
