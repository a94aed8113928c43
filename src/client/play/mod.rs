//! Received tracks: a task each that reads packets, a small pool of threads that decode pictures, the delays that keep
//! sound and picture together, and the figures.

mod audio;
mod clock;
mod decode;
mod meter;
mod reader;
mod sync;
mod timing;
mod video;

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use webrtc::media_stream::track_remote::TrackRemote;

use super::MediaHub;
use super::link::OwnedTask;
use crate::model::TrackSid;
use crate::model::quality::TrackStats;

pub(super) use audio::AudioTrack;
pub(super) use decode::DecodePool;
pub(super) use meter::Rate;
pub(super) use video::VideoTrack;

/// A track that is or was played; kept across links, so that its figures run on.
#[derive(Clone)]
pub(super) enum PlayedTrack {
    /// A picture.
    Video(Arc<VideoTrack>),
    /// Sound.
    Audio(Arc<AudioTrack>),
}

impl PlayedTrack {
    /// The server's id.
    pub(super) fn sid(&self) -> &TrackSid {
        match self {
            Self::Video(track) => track.sid(),
            Self::Audio(track) => track.sid(),
        }
    }

    /// Reads a remote track into this one until the task is dropped or the link ends.
    /// `capture_extension` is under what packets say when they were captured.
    pub(super) fn pump(
        &self,
        remote: Arc<dyn TrackRemote>,
        hub: &Arc<MediaHub>,
        capture_extension: Option<u8>,
    ) -> OwnedTask {
        match self {
            Self::Video(track) => {
                let (track, hub) = (Arc::clone(track), Arc::clone(hub));
                OwnedTask::spawn(reader::pump(remote, track, hub, capture_extension))
            }
            Self::Audio(track) => OwnedTask::spawn(audio::pump(remote, Arc::clone(track), capture_extension)),
        }
    }

    /// The figures now.
    pub(super) fn stats(&self) -> TrackStats {
        match self {
            Self::Video(track) => TrackStats::Video(track.stats()),
            Self::Audio(track) => TrackStats::Audio(track.stats()),
        }
    }
}

/// How far behind its sender a stream plays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StreamTiming {
    /// From capture to play, in ms: of the picture, or of the sound of a stream without one.
    pub(super) delay_ms: Option<f32>,
    /// Sound after (positive) or before its picture, in ms.
    pub(super) av_offset_ms: Option<f32>,
}

/// Keeps the tracks of one stream together, and tells how far behind their sender they are. Call several times a second
/// with the round trip to the server, once known.
pub(super) fn keep_in_step(tracks: &[PlayedTrack], round_trip_ms: Option<f32>, now: Instant) -> StreamTiming {
    let round_trip_us = (round_trip_ms.unwrap_or(0.0) * 1000.0) as i64;
    let video = tracks.iter().find_map(|track| match track {
        PlayedTrack::Video(video) => Some(video),
        PlayedTrack::Audio(_) => None,
    });
    let audio = tracks.iter().find_map(|track| match track {
        PlayedTrack::Audio(audio) => Some(audio),
        PlayedTrack::Video(_) => None,
    });
    if let (Some(video), Some(ms)) = (video, round_trip_ms) {
        video.set_round_trip_ms(ms);
    }
    let picture = video.and_then(|video| video.lag(round_trip_us));
    let sound = audio.and_then(|audio| audio.lag(round_trip_us));
    if let (Some(video), Some(audio), Some((picture, _)), Some((sound, _))) = (video, audio, picture, sound) {
        let mut lip_sync = video.lip_sync.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = lip_sync.update(sound, picture, now);
        video.set_hold_ms(holds.video_ms);
        audio.set_hold_ms(holds.audio_ms);
    }
    StreamTiming {
        delay_ms: picture
            .or(sound)
            .and_then(|(lag, difference_ms)| Some((lag.whole_ms - difference_ms?).max(0.0) as f32)),
        av_offset_ms: picture.zip(sound).map(|((picture, _), (sound, _))| (sound.whole_ms - picture.whole_ms) as f32),
    }
}

/// Reads a remote track that nobody plays, so that its packets do not pile up.
pub(super) async fn drain(remote: Arc<dyn TrackRemote>) {
    while remote.poll().await.is_some() {}
}
