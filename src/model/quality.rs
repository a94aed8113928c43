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

/// How good a connection or a stream is, as a word for people: 0 is best, as the product's own scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Nothing to wish for.
    #[default]
    Excellent,
    /// Loss or delay that few notice.
    Good,
    /// Noticed.
    Medium,
    /// Hardly usable.
    Poor,
    /// Nothing gets through.
    Lost,
}

/// What became of an own stream in the last three seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PublishQuality {
    /// Frames per second that the source delivered.
    pub captured_fps: f32,
    /// Frames per second that were encoded, of the largest layer that is sent.
    pub encoded_fps: f32,
    /// Frames per second handed to the connection, of the same layer.
    pub sent_fps: f32,
    /// Size of that layer in pixels; 0 while no picture is sent.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Layers that are sent now.
    pub layers: u32,
    /// Picture payload, in kbit/s, all layers.
    pub video_kbps: f32,
    /// Sound payload, in kbit/s.
    pub audio_kbps: f32,
    /// Round trip to the server, in ms, once known.
    pub rtt_ms: Option<f32>,
    /// Share of packets that the server missed, 0..=1.
    pub loss: f32,
    /// All of it in a word.
    pub grade: Grade,
}

/// What became of a played stream in the last three seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlayedQuality {
    /// Whole frames per second that arrived.
    pub received_fps: f32,
    /// Frames per second that were decoded.
    pub decoded_fps: f32,
    /// Frames per second that somebody took to show.
    pub shown_fps: f32,
    /// Picture payload, in kbit/s.
    pub video_kbps: f32,
    /// Sound payload, in kbit/s.
    pub audio_kbps: f32,
    /// Round trip to the server, in ms, once known.
    pub rtt_ms: Option<f32>,
    /// Share of packets that never came, 0..=1.
    pub loss: f32,
    /// From capture to play, in ms, once the sender's clock is known.
    pub delay_ms: Option<f32>,
    /// Sound after (positive) or before its picture, in ms, once both clocks are known.
    pub av_offset_ms: Option<f32>,
    /// Times the picture stood still since it was first played.
    pub freezes: u64,
    /// All of it in a word.
    pub grade: Grade,
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
    /// Who speaks, loudest first.
    pub active_speakers: Vec<UserId>,
    /// Connection of everyone, this client included, as the server judges it.
    pub network: BTreeMap<UserId, Grade>,
    /// People in the room, this client included.
    pub online: u32,
    /// Own streams over the last three seconds.
    pub publishing: BTreeMap<StreamId, PublishQuality>,
    /// Played streams over the last three seconds.
    pub playing: BTreeMap<StreamId, PlayedQuality>,
}
