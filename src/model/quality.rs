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
    /// How much later than they could be pictures are shown now, in ms: to even out their rhythm, or for their sound.
    pub held_ms: f32,
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

/// What a grade is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GradeInput {
    /// Share of packets that never arrived, 0..=1.
    pub loss: f32,
    /// Round trip, in ms, once known.
    pub rtt_ms: Option<f32>,
    /// Share of the pictures that came out at the end of those that went in, 0..=1, where there are pictures.
    pub delivered: Option<f32>,
    /// Nothing at all got through although something should have.
    pub silent: bool,
}

impl Grade {
    /// The worst of what each figure says:
    ///
    /// | | excellent | good | medium | poor |
    /// |---|---|---|---|---|
    /// | loss | up to 2% | 5% | 10% | more |
    /// | round trip | up to 150 ms | 300 ms | 600 ms | more |
    /// | pictures delivered | from 90% | 70% | 40% | fewer |
    ///
    /// Delay follows ITU-T G.114 (150 ms one way are fine, 400 ms are the limit), half of it each way; loss follows what
    /// Opus with in-band FEC conceals unheard (2%) and intelligibly (10%).
    pub fn of(input: GradeInput) -> Self {
        if input.silent {
            return Self::Lost;
        }
        let rising = |value: f32, steps: [f32; 3]| match steps.iter().position(|step| value <= *step) {
            Some(0) => Self::Excellent,
            Some(1) => Self::Good,
            Some(_) => Self::Medium,
            None => Self::Poor,
        };
        let loss = rising(input.loss, [0.02, 0.05, 0.10]);
        let delay = input.rtt_ms.map_or(Self::Excellent, |rtt| rising(rtt, [150.0, 300.0, 600.0]));
        let pictures = input.delivered.map_or(Self::Excellent, |share| rising(1.0 - share, [0.1, 0.3, 0.6]));
        loss.max(delay).max(pictures)
    }

    /// 0 (excellent) to 4 (lost), the scale of FEATURES section 1.
    pub const fn number(self) -> u8 {
        self as u8
    }
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

/// A level of 0..=1 on the scale of FEATURES section 1, 0 to 100.
pub fn level_percent(level: f32) -> u8 {
    (level.clamp(0.0, 1.0) * 100.0).round() as u8
}

/// The newest figures of the whole engine: replaced, never queued.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineSnapshot {
    /// Round trip to the server, in ms, once known.
    pub rtt_ms: Option<f32>,
    /// Every played track.
    pub tracks: BTreeMap<TrackSid, (StreamId, TrackStats)>,
    /// Sound level per user, root mean square, 0..=1, as our own meter or the server reports it; refreshed every 100 ms.
    /// [`EngineSnapshot::level_of`] gives it from 0 to 100.
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
    /// Whether this client speaks while its microphone is muted, and nobody hears it: the last second was speech. Known
    /// here only; it never leaves the machine.
    pub speaking_muted: bool,
    /// Whether this client may change its own attributes here.
    pub may_set_attributes: bool,
    /// Whether the server holds to what hosts choose in the room's metadata ([`RoomOrder`](crate::model::RoomOrder)): ours
    /// does.
    pub keeps_order: bool,
    /// Own streams over the last three seconds.
    pub publishing: BTreeMap<StreamId, PublishQuality>,
    /// Played streams over the last three seconds.
    pub playing: BTreeMap<StreamId, PlayedQuality>,
}

impl EngineSnapshot {
    /// The sound level of a user, 0 to 100; 0 for one who is silent or not there.
    pub fn level_of(&self, user: &UserId) -> u8 {
        self.levels.get(user).copied().map_or(0, level_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_is_the_worst_of_its_parts() {
        let fine = GradeInput { loss: 0.0, rtt_ms: Some(20.0), delivered: Some(1.0), silent: false };
        assert_eq!(Grade::of(fine), Grade::Excellent);
        assert_eq!(Grade::of(GradeInput { loss: 0.03, ..fine }), Grade::Good);
        assert_eq!(Grade::of(GradeInput { loss: 0.08, ..fine }), Grade::Medium);
        assert_eq!(Grade::of(GradeInput { loss: 0.3, ..fine }), Grade::Poor);
        assert_eq!(Grade::of(GradeInput { rtt_ms: Some(400.0), ..fine }), Grade::Medium);
        assert_eq!(Grade::of(GradeInput { rtt_ms: Some(900.0), loss: 0.03, ..fine }), Grade::Poor);
        assert_eq!(Grade::of(GradeInput { delivered: Some(0.5), ..fine }), Grade::Medium);
        assert_eq!(Grade::of(GradeInput { delivered: Some(0.1), ..fine }), Grade::Poor);
        assert_eq!(Grade::of(GradeInput { silent: true, ..fine }), Grade::Lost);
        assert_eq!(Grade::of(GradeInput { rtt_ms: None, delivered: None, ..fine }), Grade::Excellent);
        assert_eq!([Grade::Excellent, Grade::Lost].map(Grade::number), [0, 4]);
    }

    #[test]
    fn levels_are_told_from_0_to_100() {
        assert_eq!([0.0, 0.213, 1.0, 7.0, -1.0, f32::NAN].map(level_percent), [0, 21, 100, 100, 0, 0]);
        let ann = UserId::new("ann").unwrap();
        let snapshot = EngineSnapshot { levels: BTreeMap::from([(ann.clone(), 0.5)]), ..Default::default() };
        assert_eq!((snapshot.level_of(&ann), snapshot.level_of(&UserId::new("bob").unwrap())), (50, 0));
    }
}
