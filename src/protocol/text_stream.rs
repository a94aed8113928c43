//! LiveKit text streams put together: a header, chunks, a trailer (or all in the header), with limits on how many are
//! open and how much they hold. Sans-IO; owned by whoever reads the data channel.

use std::collections::VecDeque;

use livekit_protocol::data_stream;

use super::topics::TOPIC_MAX_BYTES;
use crate::model::limits::CHAT_MAX_BYTES;

/// Streams that may be open at once; opening one more drops the oldest.
pub const MAX_OPEN_STREAMS: usize = 64;
/// Longest text that is put together, in bytes: nothing longer than a chat message is shown.
pub const MAX_TEXT_BYTES: usize = CHAT_MAX_BYTES;

/// A whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The stream's id, unique per sender.
    pub id: String,
    /// Its topic.
    pub topic: String,
    /// Unix time of writing by the writer's clock, in ms.
    pub sent_at_ms: i64,
    /// What was written.
    pub text: String,
}

#[derive(Debug)]
struct Open {
    sender: String,
    header: data_stream::Header,
    next_chunk: u64,
    content: Vec<u8>,
}

/// The text streams that are being received.
#[derive(Debug, Default)]
pub struct TextStreams {
    open: VecDeque<Open>,
}

impl TextStreams {
    /// A stream begins; gives its text when the header carries all of it.
    pub fn header(&mut self, sender: &str, mut header: data_stream::Header) -> Option<Text> {
        use data_stream::header::ContentHeader;
        let is_text = matches!(header.content_header, Some(ContentHeader::TextHeader(_)));
        let fits = header.total_length.is_none_or(|length| length <= MAX_TEXT_BYTES as u64);
        let plain = header.compression() == data_stream::CompressionType::None;
        if !is_text || !fits || !plain || header.topic.len() > TOPIC_MAX_BYTES {
            return None;
        }
        if let Some(content) = header.inline_content.take() {
            return finish(header, content);
        }
        self.drop_stream(sender, &header.stream_id);
        if self.open.len() >= MAX_OPEN_STREAMS {
            self.open.pop_front();
        }
        self.open.push_back(Open { sender: sender.to_owned(), header, next_chunk: 0, content: Vec::new() });
        None
    }

    /// A part of a stream; a stream that is out of order or too long is dropped whole.
    pub fn chunk(&mut self, sender: &str, chunk: &data_stream::Chunk) {
        let Some(at) = self.find(sender, &chunk.stream_id) else { return };
        let Some(open) = self.open.get_mut(at) else { return };
        if chunk.chunk_index != open.next_chunk || open.content.len() + chunk.content.len() > MAX_TEXT_BYTES {
            self.open.remove(at);
            return;
        }
        open.next_chunk += 1;
        open.content.extend_from_slice(&chunk.content);
    }

    /// A stream ends; gives its text unless the sender gave up or something is missing.
    pub fn trailer(&mut self, sender: &str, trailer: &data_stream::Trailer) -> Option<Text> {
        let at = self.find(sender, &trailer.stream_id)?;
        let open = self.open.remove(at)?;
        let whole = open.header.total_length.is_none_or(|length| length == open.content.len() as u64);
        if !trailer.reason.is_empty() || !whole {
            return None;
        }
        finish(open.header, open.content)
    }

    /// Forgets what a sender that is gone left unfinished.
    pub fn forget(&mut self, sender: &str) {
        self.open.retain(|open| open.sender != sender);
    }

    fn find(&self, sender: &str, id: &str) -> Option<usize> {
        self.open.iter().position(|open| open.sender == sender && open.header.stream_id == id)
    }

    fn drop_stream(&mut self, sender: &str, id: &str) {
        if let Some(at) = self.find(sender, id) {
            self.open.remove(at);
        }
    }
}

fn finish(header: data_stream::Header, content: Vec<u8>) -> Option<Text> {
    if content.len() > MAX_TEXT_BYTES {
        return None;
    }
    let text = String::from_utf8(content).ok()?;
    Some(Text { id: header.stream_id, topic: header.topic, sent_at_ms: header.timestamp, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: &str) -> data_stream::Header {
        data_stream::Header {
            stream_id: id.into(),
            topic: "lk.chat".into(),
            content_header: Some(data_stream::header::ContentHeader::TextHeader(Default::default())),
            ..Default::default()
        }
    }

    fn chunk(id: &str, index: u64, content: &[u8]) -> data_stream::Chunk {
        data_stream::Chunk { stream_id: id.into(), chunk_index: index, content: content.into(), ..Default::default() }
    }

    fn trailer(id: &str) -> data_stream::Trailer {
        data_stream::Trailer { stream_id: id.into(), ..Default::default() }
    }

    #[test]
    fn chunks_are_joined_even_inside_a_character() {
        let mut streams = TextStreams::default();
        let bytes = "grüße".as_bytes();
        streams.header("PA_1", header("a"));
        streams.chunk("PA_1", &chunk("a", 0, &bytes[..3]));
        streams.chunk("PA_1", &chunk("a", 1, &bytes[3..]));
        assert!(streams.trailer("PA_2", &trailer("a")).is_none(), "another sender's stream is another stream");
        assert_eq!(streams.trailer("PA_1", &trailer("a")).unwrap().text, "grüße");
        assert!(streams.trailer("PA_1", &trailer("a")).is_none(), "it ends once");
    }

    #[test]
    fn a_header_may_carry_all() {
        let mut streams = TextStreams::default();
        let mut inline = header("a");
        inline.inline_content = Some(b"hello".to_vec());
        assert_eq!(streams.header("PA_1", inline).unwrap().text, "hello");
    }

    #[test]
    fn limits_hold_against_a_flood() {
        let mut streams = TextStreams::default();
        for n in 0..10 * MAX_OPEN_STREAMS {
            streams.header("PA_1", header(&n.to_string()));
        }
        assert_eq!(streams.open.len(), MAX_OPEN_STREAMS);
        let last = (10 * MAX_OPEN_STREAMS - 1).to_string();
        streams.chunk("PA_1", &chunk(&last, 0, &vec![b'x'; MAX_TEXT_BYTES + 1]));
        assert!(streams.trailer("PA_1", &trailer(&last)).is_none(), "too long is dropped whole");
        streams.forget("PA_1");
        assert!(streams.open.is_empty());
    }

    #[test]
    fn gaps_wrong_lengths_and_cancelled_streams_give_nothing() {
        let mut streams = TextStreams::default();
        streams.header("PA_1", header("gap"));
        streams.chunk("PA_1", &chunk("gap", 1, b"x"));
        assert!(streams.trailer("PA_1", &trailer("gap")).is_none());
        let mut short = header("short");
        short.total_length = Some(5);
        streams.header("PA_1", short);
        streams.chunk("PA_1", &chunk("short", 0, b"abc"));
        assert!(streams.trailer("PA_1", &trailer("short")).is_none());
        streams.header("PA_1", header("stop"));
        let stopped = data_stream::Trailer { reason: "cancelled".into(), ..trailer("stop") };
        assert!(streams.trailer("PA_1", &stopped).is_none());
    }
}
