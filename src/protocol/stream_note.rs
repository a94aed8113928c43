//! What an owner says beside a stream and LiveKit has no field for: its extra info, what ails the devices behind it,
//! and where on the wall it wants to hang. A note is one participant attribute per stream, so that plain LiveKit clients carry it on unread and late
//! joiners find it. Sans-IO; any thread.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::limits::EXTRA_INFO_MAX_BYTES;
use crate::model::{DeviceState, StreamId, StreamInfo, StreamKind, TrackInfo, WALL_SLOTS};

/// Attributes with these names are notes; the stream id follows.
pub const NOTE_PREFIX: &str = "rotunda.stream.";
/// Longest note that is read, in bytes: JSON may write one byte of extra info in six.
const NOTE_MAX_BYTES: usize = 6 * EXTRA_INFO_MAX_BYTES + 128;

/// What stands beside one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamNote {
    /// What its owner wrote.
    pub extra_info: String,
    /// What keeps the device behind the picture from delivering, if anything does.
    pub video: Option<DeviceState>,
    /// The same for the sound.
    pub audio: Option<DeviceState>,
    /// The slot of the wall that a shared screen claims.
    pub wall_slot: Option<u8>,
}

/// How a note is written down.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Written {
    #[serde(skip_serializing_if = "String::is_empty")]
    extra: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    video: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    audio: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<u8>,
}

impl StreamNote {
    /// The attribute a stream's note travels in.
    pub fn attribute(stream: &StreamId) -> String {
        format!("{NOTE_PREFIX}{stream}")
    }

    /// The stream whose note travels in this attribute; `None` for any other attribute.
    pub fn stream_of(attribute: &str) -> Option<StreamId> {
        StreamId::new(attribute.strip_prefix(NOTE_PREFIX)?).ok()
    }

    /// The attribute's value; empty, which deletes the attribute, when there is nothing to say.
    pub fn value(&self) -> String {
        let word = |state: Option<DeviceState>| state.filter(|state| is_trouble(*state)).map_or("", DeviceState::word);
        let written = Written {
            extra: self.extra_info.clone(),
            video: word(self.video).to_owned(),
            audio: word(self.audio).to_owned(),
            slot: self.wall_slot,
        };
        let silent = written.extra.is_empty() && written.video.is_empty() && written.audio.is_empty();
        if silent && written.slot.is_none() {
            return String::new();
        }
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads a value; `None` for one that is no note or breaks a limit.
    pub fn read(value: &str) -> Option<Self> {
        if value.len() > NOTE_MAX_BYTES {
            return None;
        }
        let written: Written = serde_json::from_str(value).ok()?;
        if written.extra.len() > EXTRA_INFO_MAX_BYTES {
            return None;
        }
        let state = |word: &str| DeviceState::of_word(word).filter(|state| is_trouble(*state));
        Some(Self {
            extra_info: written.extra,
            video: state(&written.video),
            audio: state(&written.audio),
            wall_slot: written.slot.filter(|slot| usize::from(*slot) < WALL_SLOTS),
        })
    }

    /// Puts what the note says, and what the tracks say themselves, into the stream.
    pub fn mark(self, stream: &mut StreamInfo) {
        stream.video_state = device_state(stream.video.as_ref(), self.video);
        stream.audio_state = device_state(stream.audio.as_ref(), self.audio);
        stream.extra_info = self.extra_info;
        stream.wall_slot = self.wall_slot.filter(|_| stream.kind == StreamKind::Screen);
    }
}

/// The notes among someone's attributes, by stream.
pub fn notes<'a>(attributes: impl IntoIterator<Item = (&'a String, &'a String)>) -> BTreeMap<StreamId, StreamNote> {
    let note = |(name, value): (&String, &String)| Some((StreamNote::stream_of(name)?, StreamNote::read(value)?));
    attributes.into_iter().filter_map(note).collect()
}

/// How a device is doing: trouble goes before mute, and both before what the presence of a track says.
fn device_state(track: Option<&TrackInfo>, trouble: Option<DeviceState>) -> DeviceState {
    match (trouble, track) {
        (Some(trouble), _) => trouble,
        (None, None) => DeviceState::Off,
        (None, Some(track)) if track.muted => DeviceState::Muted,
        (None, Some(_)) => DeviceState::On,
    }
}

/// Whether LiveKit's own fields cannot say it.
fn is_trouble(state: DeviceState) -> bool {
    !matches!(state, DeviceState::On | DeviceState::Off | DeviceState::Muted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_its_way() {
        let note = StreamNote {
            extra_info: "{\"seat\":7}\n\u{1} grüße".into(),
            video: Some(DeviceState::InUse),
            audio: Some(DeviceState::Unplugged),
            wall_slot: Some(4),
        };
        assert_eq!(StreamNote::read(&note.value()), Some(note));
        let longest = StreamNote { extra_info: "\u{1}".repeat(EXTRA_INFO_MAX_BYTES), ..StreamNote::default() };
        assert_eq!(StreamNote::read(&longest.value()), Some(longest), "the longest in its longest form");
    }

    #[test]
    fn nothing_to_say_deletes_the_attribute() {
        assert_eq!(StreamNote::default().value(), "");
        let muted = StreamNote { video: Some(DeviceState::Muted), ..StreamNote::default() };
        assert_eq!(muted.value(), "", "the track itself says that it is muted");
    }

    #[test]
    fn hostile_attributes_are_left_out() {
        for value in ["", "[", "[7]", "7", r#"{"extra":7}"#, r#"{"video":{}}"#, "null"] {
            assert_eq!(StreamNote::read(value), None, "{value}");
        }
        assert_eq!(StreamNote::read(&format!("{{\"extra\":\"{}\"}}", "x".repeat(1024))), None, "too long");
        assert_eq!(StreamNote::read(&" ".repeat(1_000_000)), None);
        let odd = StreamNote::read(r#"{"video":"on fire","audio":"off","slot":5,"more":[1,2]}"#).unwrap();
        assert_eq!(odd, StreamNote::default(), "words that are none, and fields of a later version");
        let attributes = BTreeMap::from([
            ("rotunda.stream.a b".to_owned(), "{}".to_owned()),
            ("rotunda.stream.".to_owned(), "{}".to_owned()),
            ("seat".to_owned(), "{}".to_owned()),
            ("rotunda.stream.cam".to_owned(), r#"{"extra":"hi"}"#.to_owned()),
        ]);
        let found = notes(&attributes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[&StreamId::new("cam").unwrap()].extra_info, "hi");
    }
}
