//! Data packets and chat, both ways.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use proto::data_packet::Value;

use super::{Call, Flow};
use crate::bridge::{DataMessage, RoomEvent};
use crate::client::engine::unix_now;
use crate::client::link::{Inbound, Link};
use crate::model::limits::DATA_PACKET_MAX_BYTES;
use crate::model::{CallError, ErrorCode, UserId};
use crate::protocol::text_stream::{Text, TextStreams};
use crate::protocol::topics::{
    self, Chat, TOPIC_CHAT_LEGACY, TOPIC_CHAT_STREAM, TOPIC_MAX_BYTES, chat_from_legacy, chat_from_message,
};

/// Chat messages a user may write in a second (FEATURES.md section 3).
const CHAT_PER_SECOND: usize = 2;
/// Chat ids that are remembered, so that a message that comes in two forms is told once.
const REMEMBERED_CHATS: usize = 256;

/// What data and chat remember.
#[derive(Debug, Default)]
pub(super) struct Messages {
    texts: TextStreams,
    seen: VecDeque<(UserId, String)>,
    written: VecDeque<Instant>,
}

impl Messages {
    /// Half-received texts do not survive the link.
    pub(super) fn new_link(&mut self) {
        self.texts = TextStreams::default();
    }

    /// Whether this message was not told before.
    fn is_new(&mut self, from: &UserId, id: &str) -> bool {
        if id.is_empty() {
            return true;
        }
        if self.seen.iter().any(|(user, seen)| user == from && seen == id) {
            return false;
        }
        if self.seen.len() >= REMEMBERED_CHATS {
            self.seen.pop_front();
        }
        self.seen.push_back((from.clone(), id.to_owned()));
        true
    }

    /// Whether one more chat message may be written now.
    fn may_write(&mut self, now: Instant) -> bool {
        while self.written.front().is_some_and(|at| now.saturating_duration_since(*at) >= Duration::from_secs(1)) {
            self.written.pop_front();
        }
        let may = self.written.len() < CHAT_PER_SECOND;
        if may {
            self.written.push_back(now);
        }
        may
    }
}

impl Call<'_> {
    /// Sends a data packet.
    pub(super) async fn send_data(&mut self, link: &mut Link, message: DataMessage) {
        let DataMessage { topic, payload, reliable, to } = message;
        if topic.len() > TOPIC_MAX_BYTES || payload.len() > DATA_PACKET_MAX_BYTES {
            let limits = format!("at most {DATA_PACKET_MAX_BYTES} bytes under a topic of at most {TOPIC_MAX_BYTES}");
            self.refuse(CallError::new(ErrorCode::MessageTooLong, format!("the data is too long: send {limits}")))
                .await;
            return;
        }
        let topic = (!topic.is_empty()).then_some(topic);
        let value = Value::User(proto::UserPacket { payload, topic, ..Default::default() });
        if let Err(error) = link.channels.send(value, reliable, &to).await {
            self.refuse(error).await;
        }
    }

    /// Writes a chat message to everyone.
    pub(super) async fn send_chat(&mut self, link: &mut Link, text: String) {
        let allowed = topics::check_chat(&text).and_then(|()| {
            if self.messages.may_write(Instant::now()) {
                Ok(())
            } else {
                let advice = format!("write at most {CHAT_PER_SECOND} messages a second");
                Err(CallError::new(ErrorCode::MessageTooFast, advice))
            }
        });
        if let Err(error) = allowed {
            self.refuse(error).await;
            return;
        }
        let id = format!("{:016x}", rand::random::<u64>());
        let sent_at_ms = i64::try_from(unix_now().as_millis()).unwrap_or(i64::MAX);
        for value in topics::chat_packets(&Chat { id, text, sent_at_ms }) {
            if let Err(error) = link.channels.send(value, true, &[]).await {
                self.refuse(error).await;
                return;
            }
        }
    }

    /// A data packet arrived.
    pub(super) async fn data(&mut self, link: &mut Link, inbound: Inbound) -> Flow {
        if !link.channels.is_new(&inbound) {
            return Ok(());
        }
        let Inbound { packet, reliable } = inbound;
        let from = UserId::new(packet.participant_identity).ok();
        let sender = packet.participant_sid;
        match packet.value {
            Some(Value::User(user)) => self.user_packet(from, user, reliable).await,
            Some(Value::ChatMessage(message)) => self.chat(from, chat_from_message(&message)).await,
            Some(Value::StreamHeader(header)) if header.topic == TOPIC_CHAT_STREAM => {
                let text = self.messages.texts.header(&sender, header);
                self.chat(from, text.map(chat_of)).await;
            }
            Some(Value::StreamChunk(chunk)) => self.messages.texts.chunk(&sender, &chunk),
            Some(Value::StreamTrailer(trailer)) => {
                let text = self.messages.texts.trailer(&sender, &trailer);
                self.chat(from, text.map(chat_of)).await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn user_packet(&mut self, from: Option<UserId>, user: proto::UserPacket, reliable: bool) {
        let topic = user.topic.unwrap_or_default();
        if topic.len() > TOPIC_MAX_BYTES || user.payload.len() > DATA_PACKET_MAX_BYTES {
            return;
        }
        if topic == TOPIC_CHAT_LEGACY {
            self.chat(from, chat_from_legacy(&user.payload)).await;
            return;
        }
        self.tell(RoomEvent::DataReceived { from, topic, payload: user.payload, reliable }).await;
    }

    async fn chat(&mut self, from: Option<UserId>, chat: Option<Chat>) {
        let (Some(from), Some(chat)) = (from, chat) else { return };
        if self.messages.is_new(&from, &chat.id) {
            self.tell(RoomEvent::ChatReceived { from, text: chat.text, sent_at_ms: chat.sent_at_ms }).await;
        }
    }
}

fn chat_of(text: Text) -> Chat {
    Chat { id: text.id, text: text.text, sent_at_ms: text.sent_at_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_two_forms_is_told_once() {
        let mut messages = Messages::default();
        let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
        assert!(messages.is_new(&ann, "1"));
        assert!(!messages.is_new(&ann, "1"));
        assert!(messages.is_new(&bob, "1"), "ids are unique per sender only");
        assert!(messages.is_new(&ann, "") && messages.is_new(&ann, ""), "no id, no memory");
        for n in 0..10 * REMEMBERED_CHATS {
            messages.is_new(&ann, &format!("x{n}"));
        }
        assert_eq!(messages.seen.len(), REMEMBERED_CHATS);
    }

    #[test]
    fn two_messages_a_second_may_be_written() {
        let mut messages = Messages::default();
        let now = Instant::now();
        assert!(messages.may_write(now) && messages.may_write(now));
        assert!(!messages.may_write(now + Duration::from_millis(900)));
        assert!(messages.may_write(now + Duration::from_millis(1000)));
    }
}
