//! Data packets and chat, both ways.

use std::collections::VecDeque;
use std::time::Instant;

use livekit_protocol as proto;
use proto::data_packet::Value;

use super::{Call, Flow};
use crate::bridge::{DataMessage, RoomEvent};
use crate::client::engine::unix_now;
use crate::client::link::{Inbound, Link};
use crate::model::limits::DATA_PACKET_MAX_BYTES;
use crate::model::{CallError, ErrorCode, UserId};
use crate::protocol::rates::MessageRates;
use crate::protocol::text_stream::{Text, TextStreams};
use crate::protocol::topics::{
    self, Chat, TOPIC_BARRAGE, TOPIC_CHAT_LEGACY, TOPIC_CHAT_STREAM, TOPIC_CUSTOM, TOPIC_MAX_BYTES, TOPIC_POSE,
    chat_from_legacy, chat_from_message,
};

/// What a packet of a chat message needs beside its text, in bytes.
const CHAT_PACKET_BYTES: usize = 256;
/// Chat ids that are remembered, so that a message that comes in two forms is told once.
const REMEMBERED_CHATS: usize = 256;

/// What data and chat remember.
#[derive(Debug)]
pub(super) struct Messages {
    texts: TextStreams,
    seen: VecDeque<(UserId, String)>,
    rates: MessageRates,
    /// What the rates' clock counts from.
    began: Instant,
}

impl Default for Messages {
    fn default() -> Self {
        let (texts, seen, rates) = (TextStreams::default(), VecDeque::new(), MessageRates::default());
        Self { texts, seen, rates, began: Instant::now() }
    }
}

impl Messages {
    /// Half-received texts do not survive the link.
    pub(super) fn new_link(&mut self) {
        self.texts = TextStreams::default();
    }

    /// Someone is gone: what they left unfinished stays so.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.texts.forget(user.as_str());
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
        let id = format!("{:016x}", rand::random::<u64>());
        let sent_at_ms = i64::try_from(unix_now().as_millis()).unwrap_or(i64::MAX);
        let chat = Chat { id, text, sent_at_ms };
        let sent = self.try_chat(link, &chat).await;
        let text = chat.text;
        self.tell(match sent {
            Ok(()) => RoomEvent::ChatSent { text, sent_at_ms },
            Err(error) => RoomEvent::ChatRefused { text, error },
        })
        .await;
    }

    async fn try_chat(&mut self, link: &mut Link, chat: &Chat) -> Result<(), CallError> {
        topics::check_chat(&chat.text)?;
        let values = topics::chat_packets(chat);
        // In two forms and several packets, but never half of it.
        let bytes = values.iter().map(|_| CHAT_PACKET_BYTES + chat.text.len()).sum();
        link.channels.check_room(true, bytes).await?;
        let now = self.messages.began.elapsed();
        self.messages.rates.chat(now)?;
        for value in values {
            link.channels.send(value, true, &[]).await?;
        }
        Ok(())
    }

    /// Writes a barrage message to everyone.
    pub(super) async fn send_barrage(&mut self, link: &mut Link, text: String) {
        let now = self.messages.began.elapsed();
        let allowed = topics::check_content(&text).and_then(|()| self.messages.rates.barrage(now));
        self.send_content(link, allowed, TOPIC_BARRAGE, text, &[]).await;
    }

    /// Sends a custom command to these users.
    pub(super) async fn send_custom(&mut self, link: &mut Link, to: &[UserId], content: String) {
        let now = self.messages.began.elapsed();
        let rates = &mut self.messages.rates;
        let allowed = topics::check_content(&content).and_then(|()| rates.custom(to.len(), now));
        self.send_content(link, allowed, TOPIC_CUSTOM, content, to).await;
    }

    async fn send_content(
        &mut self,
        link: &mut Link,
        allowed: Result<(), CallError>,
        topic: &str,
        content: String,
        to: &[UserId],
    ) {
        let sent = match allowed {
            Ok(()) => {
                let packet = proto::UserPacket {
                    payload: content.into_bytes(),
                    topic: Some(topic.into()),
                    ..Default::default()
                };
                link.channels.send(Value::User(packet), topic != TOPIC_BARRAGE, to).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            self.refuse(error).await;
        }
    }

    /// A data packet arrived.
    pub(super) async fn data(&mut self, link: &mut Link, inbound: Inbound) -> Flow {
        if !link.channels.is_new(&inbound) {
            return Ok(());
        }
        let Inbound { packet, reliable } = inbound;
        let (sender, session) = (packet.participant_identity, packet.participant_sid);
        let from = UserId::new(sender.as_str()).ok();
        match packet.value {
            Some(Value::User(user)) if user.topic.as_deref() == Some(TOPIC_POSE) => {
                self.poses.heard(from.as_ref(), &session, &user.payload);
            }
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
        if matches!(topic.as_str(), TOPIC_BARRAGE | TOPIC_CUSTOM) {
            let (Some(from), Some(content)) = (from, topics::content_of(user.payload)) else { return };
            let event = match topic.as_str() {
                TOPIC_BARRAGE => RoomEvent::BarrageReceived { from, text: content },
                _ => RoomEvent::CustomReceived { from, content },
            };
            self.tell(event).await;
            return;
        }
        self.tell(RoomEvent::DataReceived { from, topic, payload: user.payload, reliable }).await;
    }

    async fn chat(&mut self, from: Option<UserId>, chat: Option<Chat>) {
        let (Some(from), Some(chat)) = (from, chat) else { return };
        if self.messages.is_new(&from, &chat.id) {
            let now = self.messages.began.elapsed();
            self.messages.rates.heard_chat(now);
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
}
