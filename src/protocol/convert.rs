//! LiveKit messages to the model and back. Plain functions, no state; any thread.

use std::collections::BTreeMap;

use livekit_protocol as proto;

use super::stream_note::NOTE_PREFIX;
use crate::model::limits::{STREAM_ID_MAX_BYTES, USER_NAME_MAX_BYTES};
use crate::model::quality::Grade;
use crate::model::{
    EndReason, IdError, MediaKind, StreamId, StreamInfo, StreamKind, TrackInfo, TrackSid, TrackSource, UserId, UserInfo,
};

/// Attributes of one participant that are kept; more are ignored (the server caps their bytes, LIVEKIT.md section 5).
const MAX_ATTRIBUTES: usize = 256;
/// MIME types are short; what is longer is cut.
const MIME_MAX_BYTES: usize = 64;

/// Stream names that LiveKit clients give by default and that therefore are no stream ids of ours.
const DEFAULT_STREAM_NAMES: [&str; 7] =
    ["", "camera", "microphone", "screen", "screen_share", "screen_share_audio", "unknown"];

/// A participant as a user.
///
/// # Errors
/// [`IdError`] when the identity is not a legal user id; such a participant cannot be shown and is left out.
pub fn user_info(info: &proto::ParticipantInfo) -> Result<UserInfo, IdError> {
    let id = UserId::new(info.identity.as_str())?;
    let name = if info.name.is_empty() { id.as_str() } else { cut(&info.name, USER_NAME_MAX_BYTES) };
    let joined_at_ms = if info.joined_at_ms > 0 { info.joined_at_ms } else { info.joined_at.saturating_mul(1000) };
    let attributes: BTreeMap<String, String> =
        own_attributes(info).take(MAX_ATTRIBUTES).map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(UserInfo {
        name: name.to_owned(),
        id,
        sid: info.sid.clone(),
        joined_at_ms,
        attributes,
        metadata: info.metadata.clone(),
    })
}

/// A participant's attributes without the notes about streams, which are told with the streams.
fn own_attributes(info: &proto::ParticipantInfo) -> impl Iterator<Item = (&String, &String)> {
    info.attributes.iter().filter(|(name, _)| !name.starts_with(NOTE_PREFIX))
}

/// A published track; `None` when it is neither sound nor picture, or its id is illegal.
pub fn track_info(info: &proto::TrackInfo) -> Option<TrackInfo> {
    let kind = match info.r#type() {
        proto::TrackType::Audio => MediaKind::Audio,
        proto::TrackType::Video => MediaKind::Video,
        proto::TrackType::Data => return None,
    };
    Some(TrackInfo {
        sid: TrackSid::new(info.sid.as_str()).ok()?,
        kind,
        source: track_source(info.source()),
        mime_type: cut(&info.mime_type, MIME_MAX_BYTES).to_owned(),
        width: info.width,
        height: info.height,
        muted: info.muted,
    })
}

/// LiveKit's source in our words.
pub fn track_source(source: proto::TrackSource) -> TrackSource {
    match source {
        proto::TrackSource::Unknown => TrackSource::Unknown,
        proto::TrackSource::Camera => TrackSource::Camera,
        proto::TrackSource::Microphone => TrackSource::Microphone,
        proto::TrackSource::ScreenShare => TrackSource::ScreenShare,
        proto::TrackSource::ScreenShareAudio => TrackSource::ScreenShareAudio,
    }
}

/// The LiveKit source of a track of ours.
pub fn source_of(stream: StreamKind, media: MediaKind) -> proto::TrackSource {
    match (stream, media) {
        (StreamKind::Camera, MediaKind::Video) => proto::TrackSource::Camera,
        (StreamKind::Camera, MediaKind::Audio) => proto::TrackSource::Microphone,
        (StreamKind::Screen, MediaKind::Video) => proto::TrackSource::ScreenShare,
        (StreamKind::Screen, MediaKind::Audio) => proto::TrackSource::ScreenShareAudio,
    }
}

/// Whether someone may still publish a stream; unless the server says otherwise.
pub fn may_publish(info: &proto::ParticipantInfo, stream: &StreamInfo) -> bool {
    let Some(permission) = &info.permission else { return true };
    let sources: Vec<TrackSource> = permission.can_publish_sources().map(track_source).collect();
    permission.can_publish && (sources.is_empty() || stream.tracks().all(|track| sources.contains(&track.source)))
}

/// What a stream that carries this track shows.
pub fn stream_kind(source: TrackSource) -> StreamKind {
    match source {
        TrackSource::ScreenShare | TrackSource::ScreenShareAudio => StreamKind::Screen,
        TrackSource::Unknown | TrackSource::Camera | TrackSource::Microphone => StreamKind::Camera,
    }
}

/// What a track says about its stream: an id of its own, or one that follows from its owner and source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamName {
    /// Published under a stream id.
    Given(StreamId),
    /// Published by a client that knows no stream ids: the id is derived from the owner and this name.
    Derived(String),
}

/// Reads the LiveKit `stream` field. Plain clients' microphone goes with their camera, and the sound of a shared
/// screen with the screen. A name that is no legal id is derived from, so that its tracks still stay together.
pub fn stream_name(info: &proto::TrackInfo) -> StreamName {
    if DEFAULT_STREAM_NAMES.contains(&info.stream.as_str()) {
        let name = match stream_kind(track_source(info.source())) {
            StreamKind::Camera => "camera",
            StreamKind::Screen => "screen",
        };
        return StreamName::Derived(name.to_owned());
    }
    match StreamId::new(info.stream.as_str()) {
        Ok(id) => StreamName::Given(id),
        Err(_) => StreamName::Derived(cut(&info.stream, STREAM_ID_MAX_BYTES).to_owned()),
    }
}

/// What the server thinks of someone's connection.
pub fn grade(quality: proto::ConnectionQuality) -> Grade {
    match quality {
        proto::ConnectionQuality::Excellent => Grade::Excellent,
        proto::ConnectionQuality::Good => Grade::Good,
        proto::ConnectionQuality::Poor => Grade::Poor,
        proto::ConnectionQuality::Lost => Grade::Lost,
    }
}

/// Why someone is gone, from the server's reason.
pub fn end_reason(reason: proto::DisconnectReason) -> EndReason {
    use proto::DisconnectReason as Reason;
    match reason {
        Reason::DuplicateIdentity => EndReason::ReplacedBySecondLogin,
        Reason::ParticipantRemoved => EndReason::Kicked,
        Reason::RoomDeleted | Reason::RoomClosed | Reason::ServerShutdown | Reason::Migration => {
            EndReason::RemovedByServer
        }
        Reason::SignalClose
        | Reason::ConnectionTimeout
        | Reason::JoinFailure
        | Reason::StateMismatch
        | Reason::MediaFailure => EndReason::TimedOut,
        _ => EndReason::Stopped,
    }
}

/// The longest prefix of at most `max` bytes that ends between characters.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(stream: &str, source: proto::TrackSource) -> proto::TrackInfo {
        proto::TrackInfo { stream: stream.into(), source: source.into(), ..Default::default() }
    }

    #[test]
    fn plain_clients_tracks_pair_up() {
        let name = |stream, source| stream_name(&track(stream, source));
        let camera = name("camera", proto::TrackSource::Camera);
        assert_eq!(camera, name("", proto::TrackSource::Microphone));
        let screen = name("screen_share", proto::TrackSource::ScreenShare);
        assert_eq!(screen, name("", proto::TrackSource::ScreenShareAudio));
        assert_ne!(camera, screen);
    }

    #[test]
    fn a_stream_id_is_taken_as_it_is_and_an_illegal_name_is_not() {
        let ours = stream_name(&track("ann-cam", proto::TrackSource::Camera));
        assert_eq!(ours, StreamName::Given(StreamId::new("ann-cam").unwrap()));
        assert_eq!(
            stream_name(&track("a b/c", proto::TrackSource::Camera)),
            StreamName::Derived("a b/c".into()),
            "an illegal id is derived from"
        );
    }

    #[test]
    fn a_nameless_user_shows_the_id_and_long_names_are_cut_between_characters() {
        let mut info = proto::ParticipantInfo { identity: "ann".into(), ..Default::default() };
        assert_eq!(user_info(&info).unwrap().name, "ann");
        info.name = "é".repeat(300);
        let name = user_info(&info).unwrap().name;
        assert_eq!(name.len(), 254, "255 bytes would split a character");
        info.identity = "x".repeat(64);
        assert!(user_info(&info).is_err());
    }

    #[test]
    fn data_tracks_are_no_media() {
        let info = proto::TrackInfo { sid: "TR_1".into(), r#type: proto::TrackType::Data.into(), ..Default::default() };
        assert!(track_info(&info).is_none());
    }
}
