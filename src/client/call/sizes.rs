//! Which size of a played picture is wanted: what the application says, remembered for tracks and links that follow, and
//! told to the server.

use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::Call;
use super::playing::Played;
use crate::bridge::PlayQuality;
use crate::client::link::Link;
use crate::model::{CallError, ErrorCode, StreamId, TrackSid};

/// Streams remembered as ended: wishes about them may be on their way still.
const ENDED_MAX: usize = 64;

impl Call<'_> {
    /// Says which size of a played picture is wanted.
    pub(super) async fn set_play_quality(&mut self, link: &Link, stream: &StreamId, quality: PlayQuality) {
        let Some(played) = self.played.get_mut(stream) else {
            if self.ended.contains(stream) {
                tracing::debug!(%stream, "a wish crossed the end of its stream");
                return;
            }
            let error = CallError::new(ErrorCode::StreamNotFound, format!("{stream} is not being played"));
            self.refuse(error).await;
            return;
        };
        let before = played.waits();
        if played.quality.replace(quality) == Some(quality) {
            return;
        }
        send_quality(link, played).await;
        self.sync_pause(stream);
        self.tell_waiting(stream, before).await;
    }

    /// Says again which sizes are wanted.
    pub(super) async fn ask_sizes(&self, link: &Link) {
        for played in self.played.values() {
            send_quality(link, played).await;
        }
    }

    /// A played stream has new tracks: a picture among them is wanted as the one before it was.
    pub(super) async fn ask_size_again(&self, link: &Link, stream: &StreamId, fresh: &[TrackSid]) {
        let Some(played) = self.played.get(stream) else { return };
        if played.video().is_some_and(|video| fresh.contains(video.sid())) {
            send_quality(link, played).await;
        }
    }

    /// A picture begins to arrive: a server that was asked for a size before it gave the track may have forgotten it.
    pub(super) async fn ask_size_of(&self, link: &Link, sid: &str) {
        let of = |played: &&Played| played.video().is_some_and(|video| video.sid().as_str() == sid);
        if let Some(played) = self.played.values().find(of) {
            send_quality(link, played).await;
        }
    }

    /// A stream is gone, and nobody can be expected to know yet.
    pub(super) fn note_ended(&mut self, stream: &StreamId) {
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(stream.clone());
    }
}

async fn send_quality(link: &Link, played: &Played) {
    let Some(quality) = played.quality else { return };
    let Some(video) = played.video() else { return };
    let update = proto::UpdateTrackSettings {
        track_sids: vec![video.sid().to_string()],
        disabled: !quality.enabled,
        // A size overrides the quality; without one the best is meant.
        quality: proto::VideoQuality::High.into(),
        width: quality.width,
        height: quality.height,
        ..Default::default()
    };
    link.request(Request::TrackSetting(update)).await;
}
