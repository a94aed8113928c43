//! Received tracks: a task each that reads packets, a small pool of threads that decode pictures, and the figures.

mod audio;
mod decode;
mod meter;
mod video;

use std::sync::Arc;

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
    pub(super) fn pump(&self, remote: Arc<dyn TrackRemote>, hub: &Arc<MediaHub>) -> OwnedTask {
        match self {
            Self::Video(track) => OwnedTask::spawn(video::pump(remote, Arc::clone(track), Arc::clone(hub))),
            Self::Audio(track) => OwnedTask::spawn(audio::pump(remote, Arc::clone(track))),
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

/// Reads a remote track that nobody plays, so that its packets do not pile up.
pub(super) async fn drain(remote: Arc<dyn TrackRemote>) {
    while remote.poll().await.is_some() {}
}
