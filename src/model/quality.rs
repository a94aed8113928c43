//! Figures about what is received, as the report and the statistics panel show them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ids::{StreamId, TrackSid, UserId};

/// Counters of one played video track since it was first played.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VideoStats {
    /// RTP packets that arrived.
    pub packets: u64,
    /// Packets that never arrived, after retransmission.
    pub lost: u64,
    /// Payload bytes that arrived.
    pub bytes: u64,
    /// Whole frames handed to the decoder.
    pub frames_received: u64,
    /// Frames the decoder gave back.
    pub frames_decoded: u64,
    /// Frames that could not be completed or decoded.
    pub frames_dropped: u64,
    /// Keyframe requests sent.
    pub keyframe_requests: u64,
    /// Gaps between decoded frames longer than max(3 x mean interval, mean + 150 ms), as WebRTC's `freezeCount`.
    pub freezes: u64,
    /// Size of the newest picture in pixels; 0 before the first.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Decoded frames per second over the last two seconds.
    pub fps: f32,
    /// Received payload over the last two seconds, in kbit/s.
    pub kbps: f32,
    /// Mean time spent decoding one frame, in ms.
    pub decode_ms: f32,
}

/// Counters of one played audio track since it was first played.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AudioStats {
    /// RTP packets that arrived.
    pub packets: u64,
    /// Packets that never arrived or came too late.
    pub lost: u64,
    /// Payload bytes that arrived.
    pub bytes: u64,
    /// Level of the newest 100 ms, root mean square, 0..=1.
    pub level: f32,
    /// Highest `level` seen.
    pub peak_level: f32,
    /// Share of played samples that were concealed, 0..=1.
    pub concealed: f32,
    /// Delay the jitter buffer holds now, in ms.
    pub jitter_buffer_ms: f32,
    /// Received payload over the last two seconds, in kbit/s.
    pub kbps: f32,
}

/// One track's figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TrackStats {
    /// A picture.
    Video(VideoStats),
    /// Sound.
    Audio(AudioStats),
}

/// The newest figures of the whole engine: replaced, never queued.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineSnapshot {
    /// Round trip to the server, in ms, once known.
    pub rtt_ms: Option<f32>,
    /// Every played track.
    pub tracks: BTreeMap<TrackSid, (StreamId, TrackStats)>,
    /// Sound level per user, 0..=1, as the server or our own meter reports it.
    pub levels: BTreeMap<UserId, f32>,
    /// Payload published over the last two seconds, in kbit/s.
    pub sent_kbps: f32,
    /// Estimated bandwidth towards the server, in kbit/s, once known.
    pub send_bandwidth_kbps: Option<f32>,
}
