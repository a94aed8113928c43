//! Our part of a room's metadata: what hosts chose for everyone, as JSON under a key of ours, beside whatever other
//! applications keep there.

use serde_json::{Map, Value};

use super::limits::ROOM_METADATA_MAX_BYTES;

/// The part of a room's metadata that is ours.
const OURS: &str = "rotunda";

/// Why choices cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoicesError {
    /// Somebody else's text would be lost.
    #[error("the room's metadata is another application's and no JSON object: clear it to choose for everyone here")]
    Foreign,
    /// It would not be taken.
    #[error("the room's metadata is full: shorten what other applications keep there")]
    Full,
}

/// A part of ours; null when there is none, or what stands there is no JSON.
pub(super) fn read(metadata: &str, part: &str) -> Value {
    if metadata.len() > 2 * ROOM_METADATA_MAX_BYTES {
        return Value::Null;
    }
    let whole = serde_json::from_str::<Value>(metadata);
    whole.ok().and_then(|whole| whole.get(OURS)?.get(part).cloned()).unwrap_or_default()
}

/// The metadata with this part in it and everything else as it was.
pub(super) fn write(metadata: &str, part: &str, value: Value) -> Result<String, ChoicesError> {
    let mut all: Map<String, Value> = match metadata.trim() {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|_| ChoicesError::Foreign)?,
    };
    let ours = all.entry(OURS).or_insert_with(|| Value::Object(Map::new()));
    if !ours.is_object() {
        *ours = Value::Object(Map::new());
    }
    ours[part] = value;
    let text = Value::Object(all).to_string();
    if text.len() > ROOM_METADATA_MAX_BYTES { Err(ChoicesError::Full) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_beside_each_other_and_beside_what_is_not_ours() {
        let one = write(r#"{"theirs": [1]}"#, "a", 1.into()).unwrap();
        let both = write(&one, "b", "two".into()).unwrap();
        assert_eq!((read(&both, "a"), read(&both, "b"), read(&both, "c")), (1.into(), "two".into(), Value::Null));
        assert!(both.contains("theirs"));
        assert_eq!(write("no JSON", "a", 1.into()), Err(ChoicesError::Foreign));
        assert_eq!(write("[1]", "a", 1.into()), Err(ChoicesError::Foreign));
        assert_eq!(write("", "a", "x".repeat(ROOM_METADATA_MAX_BYTES).into()), Err(ChoicesError::Full));
        for hostile in ["", "[]", "7", "{\"rotunda\": 5}", "{\"rotunda\": []}", &"[".repeat(10_000)] {
            assert_eq!(read(hostile, "a"), Value::Null);
        }
    }
}
