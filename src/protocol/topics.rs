//! Data topics, and chat in the forms LiveKit clients write it. Sans-IO; any thread.
//!
//! Chat goes out twice over the reliable channel, as LiveKit's `ChatMessage` packet (what `sendChatMessage` of the
//! official clients sends) and as a text stream on `lk.chat` (what LiveKit's ready-made components read), under one
//! id; whoever reads both keeps the first of each id.

use livekit_protocol as proto;
use proto::data_packet::Value;
use proto::data_stream;
use serde::Deserialize;

use crate::model::limits::CHAT_MAX_BYTES;
pub use crate::model::topic::{TOPIC_BARRAGE, TOPIC_CUSTOM};
use crate::model::{CallError, ErrorCode};

/// Every topic of ours starts with this.
pub const TOPIC_PREFIX: &str = "rotunda.";
/// Where people stand and look; lossy, 10 to 20 times a second while they move.
pub const TOPIC_POSE: &str = "rotunda.pose";
/// Text streams of LiveKit's components carry chat on this topic.
pub const TOPIC_CHAT_STREAM: &str = "lk.chat";
/// Older components send chat as JSON in a data packet on this topic.
pub const TOPIC_CHAT_LEGACY: &str = "lk-chat-topic";
/// Longest topic that is sent or taken in, in bytes.
pub const TOPIC_MAX_BYTES: usize = 256;

/// One chat message, whichever way it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Unique per sender.
    pub id: String,
    /// The text.
    pub text: String,
    /// Unix time of writing by the writer's clock, in ms.
    pub sent_at_ms: i64,
}

/// Checks a chat text before it is sent.
///
/// # Errors
/// [`CallError`] with the code for messages that are too long, or that say nothing.
pub fn check_chat(text: &str) -> Result<(), CallError> {
    check_length(text)?;
    if text.trim().is_empty() {
        return Err(CallError::new(ErrorCode::SendFailed, "the message is empty: write something first"));
    }
    Ok(())
}

/// Checks what a barrage message or a custom command says before it is sent.
///
/// # Errors
/// [`CallError`] with the code for messages that are too long, or that say nothing.
pub fn check_content(content: &str) -> Result<(), CallError> {
    if content.is_empty() {
        return Err(CallError::new(ErrorCode::SendFailed, "the message is empty: write something first"));
    }
    check_length(content)
}

fn check_length(text: &str) -> Result<(), CallError> {
    if text.len() <= CHAT_MAX_BYTES {
        return Ok(());
    }
    let message = format!("the message has {} bytes: shorten it to at most {CHAT_MAX_BYTES}", text.len());
    Err(CallError::new(ErrorCode::MessageTooLong, message))
}

/// Reads a barrage message or a custom command; `None` for what nobody could have sent by the rules.
pub fn content_of(payload: Vec<u8>) -> Option<String> {
    String::from_utf8(payload).ok().filter(|content| check_content(content).is_ok())
}

/// The packets that carry a chat message, in order.
pub fn chat_packets(chat: &Chat) -> [Value; 4] {
    let message = proto::ChatMessage {
        id: chat.id.clone(),
        timestamp: chat.sent_at_ms,
        message: chat.text.clone(),
        ..Default::default()
    };
    let header = data_stream::Header {
        stream_id: chat.id.clone(),
        timestamp: chat.sent_at_ms,
        topic: TOPIC_CHAT_STREAM.to_owned(),
        mime_type: "text/plain".to_owned(),
        total_length: Some(chat.text.len() as u64),
        content_header: Some(data_stream::header::ContentHeader::TextHeader(data_stream::TextHeader::default())),
        ..Default::default()
    };
    let chunk = data_stream::Chunk {
        stream_id: chat.id.clone(),
        chunk_index: 0,
        content: chat.text.clone().into_bytes(),
        ..Default::default()
    };
    let trailer = data_stream::Trailer { stream_id: chat.id.clone(), ..Default::default() };
    [Value::ChatMessage(message), Value::StreamHeader(header), Value::StreamChunk(chunk), Value::StreamTrailer(trailer)]
}

/// Reads a `ChatMessage` packet; `None` for what cannot be shown.
pub fn chat_from_message(message: &proto::ChatMessage) -> Option<Chat> {
    let shown = !message.deleted && !message.message.is_empty() && message.message.len() <= CHAT_MAX_BYTES;
    shown.then(|| Chat { id: message.id.clone(), text: message.message.clone(), sent_at_ms: message.timestamp })
}

/// The JSON of older components. With `ignoreLegacy` the same message comes as a text stream, too.
#[derive(Deserialize)]
struct LegacyChat {
    #[serde(default)]
    id: String,
    #[serde(default)]
    timestamp: i64,
    message: String,
    #[serde(default, rename = "ignoreLegacy")]
    ignore: bool,
}

/// Reads chat of older components; `None` for what is none or cannot be shown.
pub fn chat_from_legacy(payload: &[u8]) -> Option<Chat> {
    let legacy: LegacyChat = serde_json::from_slice(payload).ok()?;
    let shown = !legacy.ignore && !legacy.message.is_empty() && legacy.message.len() <= CHAT_MAX_BYTES;
    shown.then_some(Chat { id: legacy.id, text: legacy.message, sent_at_ms: legacy.timestamp })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::text_stream::TextStreams;

    fn chat() -> Chat {
        Chat { id: "m1".into(), text: "grüße".into(), sent_at_ms: 1_700_000_000_123 }
    }

    #[test]
    fn both_forms_say_the_same() {
        let [message, header, chunk, trailer] = chat_packets(&chat());
        let Value::ChatMessage(message) = message else { panic!("a chat message first") };
        assert_eq!(chat_from_message(&message), Some(chat()));
        let (Value::StreamHeader(header), Value::StreamChunk(chunk), Value::StreamTrailer(trailer)) =
            (header, chunk, trailer)
        else {
            panic!("then a text stream");
        };
        let mut streams = TextStreams::default();
        assert!(streams.header("PA_1", header).is_none());
        streams.chunk("PA_1", &chunk);
        let text = streams.trailer("PA_1", &trailer).unwrap();
        assert_eq!((text.text.as_str(), text.topic.as_str()), ("grüße", TOPIC_CHAT_STREAM));
    }

    #[test]
    fn too_long_and_empty_messages_are_refused() {
        assert!(check_chat(&"x".repeat(CHAT_MAX_BYTES)).is_ok());
        let error = check_chat(&"x".repeat(CHAT_MAX_BYTES + 1)).unwrap_err();
        assert_eq!(error.code.number(), 1_009_013);
        assert!(check_chat("  ").is_err());
        let long = proto::ChatMessage { message: "x".repeat(CHAT_MAX_BYTES + 1), ..Default::default() };
        assert!(chat_from_message(&long).is_none());
    }

    #[test]
    fn content_has_one_to_1024_bytes() {
        assert!(check_content("!").is_ok() && check_content(&"x".repeat(CHAT_MAX_BYTES)).is_ok());
        assert_eq!(check_content("").unwrap_err().code.number(), 1_009_010);
        assert_eq!(check_content(&"x".repeat(CHAT_MAX_BYTES + 1)).unwrap_err().code.number(), 1_009_013);
        assert_eq!(content_of(vec![0xff]), None);
        assert_eq!(content_of(b"hi".to_vec()).as_deref(), Some("hi"));
    }

    #[test]
    fn legacy_chat_is_read_unless_it_comes_twice() {
        let read = |json: &str| chat_from_legacy(json.as_bytes());
        assert_eq!(read(r#"{"id":"1","timestamp":5,"message":"hi"}"#).unwrap().text, "hi");
        assert!(read(r#"{"id":"1","message":"hi","ignoreLegacy":true}"#).is_none());
        assert!(read("[").is_none());
    }
}
