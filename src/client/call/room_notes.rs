//! What stands beside the room for everyone: its metadata, read from what the server says and, by hosts, written through
//! the server's RoomService.

use livekit_protocol as proto;

use super::Call;
use super::room_service::Ask;
use crate::bridge::RoomEvent;
use crate::client::link::Link;
use crate::model::limits::ROOM_METADATA_MAX_BYTES;
use crate::model::sound::VOICE_ATTRIBUTE;
use crate::model::{CallError, ErrorCode, RoomOrder};
use crate::protocol::token;

/// What is known of the room.
#[derive(Debug, Default)]
pub(super) struct RoomNotes {
    /// As it was told; `None` before the first time.
    told: Option<(String, bool)>,
    /// The server is one of ours, which reads what hosts choose.
    pub(super) server_keeps_order: bool,
}

impl Call<'_> {
    /// The server describes the room.
    pub(super) async fn room_is(&mut self, room: &proto::Room, token: &str) {
        // Longer than any server takes: not worth carrying about.
        let metadata = if room.metadata.len() > 2 * ROOM_METADATA_MAX_BYTES { "" } else { room.metadata.as_str() };
        self.tell_room(metadata.to_owned(), token).await;
    }

    /// The token of the call is another one now.
    pub(super) async fn room_rights(&mut self, token: &str) {
        if let Some((metadata, _)) = self.room_notes.told.clone() {
            self.tell_room(metadata, token).await;
        }
    }

    /// Whether this client is a host here: by its token, or because another one made it one and the server holds to that.
    fn is_host(&self, token: &str, metadata: &str) -> bool {
        let granted = || {
            let claims = token::peek(token);
            claims.is_ok_and(|claims| claims.video.room_admin && claims.video.room == self.request.room.as_str())
        };
        let me = self.me.as_ref().filter(|_| self.room_notes.server_keeps_order);
        granted() || me.is_some_and(|me| RoomOrder::read(metadata).makes_host(me.id.as_str()))
    }

    /// What [`Call::is_host`] said last.
    pub(super) fn was_told_host(&self) -> bool {
        self.room_notes.told.as_ref().is_some_and(|(_, host)| *host)
    }

    async fn tell_room(&mut self, metadata: String, token: &str) {
        let may_change = self.is_host(token, &metadata);
        let now = (metadata, may_change);
        if self.room_notes.told.as_ref() != Some(&now) {
            if self.was_told_host() && !may_change {
                self.attributes.forget(VOICE_ATTRIBUTE);
            }
            self.room_notes.told = Some(now.clone());
            self.tell(RoomEvent::RoomChanged { metadata: now.0, may_change: now.1 }).await;
        }
    }

    /// Changes the room's metadata.
    pub(super) async fn set_room_metadata(&mut self, link: &Link, metadata: String) {
        if let Err(error) = self.try_room_metadata(link, metadata) {
            self.refuse(error).await;
        }
    }

    fn try_room_metadata(&mut self, link: &Link, metadata: String) -> Result<(), CallError> {
        if metadata.len() > ROOM_METADATA_MAX_BYTES {
            let message = format!(
                "the room's metadata has {} bytes: shorten it to at most {ROOM_METADATA_MAX_BYTES}",
                metadata.len()
            );
            return Err(CallError::new(ErrorCode::MessageTooLong, message));
        }
        self.ask_server(link, Ask::Metadata(metadata))
    }
}
