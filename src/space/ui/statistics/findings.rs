//! What there is to say in this frame: the figures of the connection and of each stream, with the names that belong to
//! them, in the order of the list. Plain data, gathered only while the pane is open.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;

use crate::model::quality::{AudioStats, Grade, PlayedQuality, PublishQuality, TrackStats, VideoStats};
use crate::model::{RoomState, StreamId, StreamKind, TrackInfo};
use crate::space::fetch::{FetchFigures, Fetched};
use crate::space::participant::Participant;
use crate::space::stream::{PublishedBy, VideoStream};
use crate::space::sync::{RoomFigures, RoomStatus, Roster};

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) state: RoomState,
    /// What went wrong last, until the next success.
    pub(super) trouble: Option<String>,
    /// Of this client, as the server judges it.
    pub(super) grade: Option<Grade>,
    /// To the server and back.
    pub(super) rtt_ms: Option<f32>,
    /// What the way to the server is estimated to carry.
    pub(super) bandwidth_kbps: Option<f32>,
    /// All pictures together.
    pub(super) fetch: FetchFigures,
    pub(super) own: Vec<Own>,
    /// The worst first, then by name.
    pub(super) played: Vec<Played>,
}

/// An own stream.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) id: StreamId,
    pub(super) kind: StreamKind,
    pub(super) quality: PublishQuality,
}

/// A played stream.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) id: StreamId,
    /// Of its owner.
    pub(super) name: String,
    pub(super) kind: StreamKind,
    pub(super) quality: PlayedQuality,
    pub(super) picture: Option<Picture>,
    pub(super) sound: Option<AudioStats>,
}

/// The picture of a played stream.
#[derive(Debug)]
pub(super) struct Picture {
    /// MIME type.
    pub(super) codec: String,
    /// Size its owner announced, in pixels.
    pub(super) announced: (u32, u32),
    pub(super) fetched: Fetched,
    pub(super) stats: VideoStats,
}

/// Where it is gathered from.
#[derive(SystemParam)]
pub(in crate::space::ui) struct Sources<'w, 's> {
    status: Res<'w, RoomStatus>,
    figures: Res<'w, RoomFigures>,
    fetch: Res<'w, FetchFigures>,
    roster: Res<'w, Roster>,
    streams: Query<'w, 's, (&'static VideoStream, &'static PublishedBy, Option<&'static Fetched>)>,
    people: Query<'w, 's, &'static Participant>,
}

impl Sources<'_, '_> {
    pub(super) fn gather(&self) -> Findings {
        let figures = &self.figures.0;
        let own = figures.publishing.iter().map(|(id, quality)| {
            let stream = self.roster.stream(id).and_then(|entity| self.streams.get(entity).ok());
            let kind = stream.map_or(StreamKind::Camera, |(stream, ..)| stream.info.kind);
            Own { id: id.clone(), kind, quality: quality.clone() }
        });
        let mut played: Vec<Played> =
            figures.playing.iter().filter_map(|(id, quality)| self.played(id, quality)).collect();
        put_in_order(&mut played);
        Findings {
            state: self.status.state,
            trouble: self.status.error.as_ref().map(ToString::to_string),
            grade: self.status.me.as_ref().and_then(|me| figures.network.get(&me.id)).copied(),
            rtt_ms: figures.rtt_ms,
            bandwidth_kbps: figures.send_bandwidth_kbps,
            fetch: *self.fetch,
            own: own.collect(),
            played,
        }
    }

    /// `None` for a stream that has just ended.
    fn played(&self, id: &StreamId, quality: &PlayedQuality) -> Option<Played> {
        let (stream, by, fetched) = self.streams.get(self.roster.stream(id)?).ok()?;
        let info = &stream.info;
        let name = self.people.get(by.0).map_or_else(|_| info.owner.to_string(), |owner| owner.name.clone());
        let picture = info.video.as_ref().map(|track| Picture {
            codec: track.mime_type.clone(),
            announced: (track.width, track.height),
            fetched: fetched.copied().unwrap_or_default(),
            stats: match self.stats(track) {
                Some(TrackStats::Video(video)) => video.clone(),
                _ => VideoStats::default(),
            },
        });
        let sound = match info.audio.as_ref().and_then(|track| self.stats(track)) {
            Some(TrackStats::Audio(audio)) => Some(audio.clone()),
            _ => None,
        };
        Some(Played { id: id.clone(), name, kind: info.kind, quality: quality.clone(), picture, sound })
    }

    fn stats(&self, track: &TrackInfo) -> Option<&TrackStats> {
        self.figures.0.tracks.get(&track.sid).map(|(_, stats)| stats)
    }
}

fn put_in_order(played: &mut [Played]) {
    played.sort_by_cached_key(|stream| {
        (std::cmp::Reverse(stream.quality.grade), stream.name.to_lowercase(), stream.id.clone())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stands_first_then_it_goes_by_name() {
        let stream = |id: &str, name: &str, grade| Played {
            id: StreamId::new(id).unwrap(),
            name: name.to_owned(),
            kind: StreamKind::Camera,
            quality: PlayedQuality { grade, ..PlayedQuality::default() },
            picture: None,
            sound: None,
        };
        let mut played = vec![
            stream("1", "zoe", Grade::Excellent),
            stream("2", "Bob", Grade::Good),
            stream("4", "ann", Grade::Good),
            stream("3", "Ann", Grade::Good),
            stream("5", "Cid", Grade::Lost),
            stream("6", "dan", Grade::Medium),
        ];
        put_in_order(&mut played);
        let order: Vec<&str> = played.iter().map(|stream| stream.id.as_str()).collect();
        assert_eq!(order, ["5", "6", "3", "4", "2", "1"]);
    }
}
