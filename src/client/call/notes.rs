//! What we say beside our streams: extra info and device states, in participant attributes. What the server has is
//! remembered, and what differs is sent in one message.

use std::collections::{BTreeMap, HashMap};

use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::Call;
use super::publishing::not_published;
use crate::client::link::Link;
use crate::model::limits::EXTRA_INFO_MAX_BYTES;
use crate::model::{CallError, ErrorCode, StreamId};
use crate::protocol::stream_note::StreamNote;
use crate::protocol::token;

/// Notes as the server has them, and whether it takes any.
#[derive(Debug, Default)]
pub(super) struct Notes {
    told: BTreeMap<StreamId, String>,
    allowed: bool,
}

impl Notes {
    /// The server knows nothing of us: a fresh session began.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }

    /// The server has these attributes of ours, whatever was said to it.
    fn told_are(&mut self, attributes: &HashMap<String, String>) {
        self.told =
            attributes.iter().filter_map(|(name, value)| Some((StreamNote::stream_of(name)?, value.clone()))).collect();
    }

    /// What the server, or the token when the server says nothing, allows.
    pub(super) fn allow(&mut self, permission: Option<&proto::ParticipantPermission>, token: &str) {
        self.allowed = match permission {
            Some(permission) => permission.can_update_metadata,
            None => token::peek(token).is_ok_and(|claims| claims.video.may_update_own_metadata()),
        };
    }

    /// Whether own attributes may be changed at all.
    pub(super) const fn are_allowed(&self) -> bool {
        self.allowed
    }

    /// Checks what a user wants to stand beside a stream.
    pub(super) fn check(&self, extra_info: &str) -> Result<(), CallError> {
        check_extra_info(extra_info)?;
        if !self.allowed && !extra_info.is_empty() {
            return Err(CallError::new(
                ErrorCode::NotPermitted,
                "the token does not allow extra info (canUpdateOwnMetadata): ask the room's host for one that does",
            ));
        }
        Ok(())
    }

    /// What to tell the server so that it knows these notes and no others; empty values delete.
    fn differences(&mut self, wanted: BTreeMap<StreamId, String>) -> HashMap<String, String> {
        let mut changes = HashMap::new();
        for stream in self.told.keys().filter(|stream| !wanted.contains_key(*stream)) {
            changes.insert(StreamNote::attribute(stream), String::new());
        }
        for (stream, value) in &wanted {
            if self.told.get(stream) != Some(value) {
                changes.insert(StreamNote::attribute(stream), value.clone());
            }
        }
        self.told = wanted;
        changes
    }
}

/// Checks the length of extra info.
///
/// # Errors
/// [`CallError`] with the code for extra info that is too long.
pub(in crate::client) fn check_extra_info(extra_info: &str) -> Result<(), CallError> {
    if extra_info.len() <= EXTRA_INFO_MAX_BYTES {
        return Ok(());
    }
    let message =
        format!("the extra info has {} bytes: shorten it to at most {EXTRA_INFO_MAX_BYTES}", extra_info.len());
    Err(CallError::new(ErrorCode::ExtraInfoTooLong, message))
}

impl Call<'_> {
    /// Changes what stands beside an own stream.
    pub(super) async fn set_extra_info(&mut self, stream: &StreamId, extra_info: String) {
        let outcome = match self.own.get_mut(stream) {
            None => Err(not_published(stream)),
            Some(publication) => self.notes.check(&extra_info).map(|()| publication.extra_info = extra_info),
        };
        match outcome {
            Ok(()) => self.tell_own_updated(stream).await,
            Err(error) => self.refuse(error).await,
        }
    }

    /// The server says what it has of our notes: what it missed is told again.
    pub(super) fn notes_are(&mut self, attributes: &HashMap<String, String>) {
        self.notes.told_are(attributes);
    }

    /// Tells the server what changed beside our streams.
    pub(super) async fn sync_notes(&mut self, link: &Link) {
        // A broken link would lose them: told when it is back.
        if !self.notes.allowed || self.recovery.is_some() {
            return;
        }
        let notes = self.own.iter().map(|(stream, publication)| (stream.clone(), publication.note().value()));
        let wanted = notes.filter(|(_, value)| !value.is_empty()).collect();
        let attributes = self.notes.differences(wanted);
        if !attributes.is_empty() {
            link.request(Request::UpdateMetadata(proto::UpdateParticipantMetadata {
                attributes,
                ..Default::default()
            }))
            .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: &str) -> StreamId {
        StreamId::new(id).unwrap()
    }

    #[test]
    fn only_differences_are_sent_and_what_ended_is_deleted() {
        let mut notes = Notes::default();
        let wanted =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(id, value)| (stream(id), (*value).to_owned())).collect();
        let first = notes.differences(wanted(&[("a", "1"), ("b", "2")]));
        assert_eq!(first.len(), 2);
        assert!(notes.differences(wanted(&[("a", "1"), ("b", "2")])).is_empty());
        let changed = notes.differences(wanted(&[("a", "3")]));
        let expected = [("rotunda.stream.a", "3"), ("rotunda.stream.b", "")];
        assert_eq!(changed, HashMap::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned()))));
        notes.forget();
        assert_eq!(notes.differences(wanted(&[("a", "3")])).len(), 1, "a fresh session is told all of it");
    }

    #[test]
    fn what_got_lost_on_a_breaking_link_is_told_again() {
        let mut notes = Notes::default();
        let wanted = || BTreeMap::from([(stream("a"), "new".to_owned())]);
        notes.differences(wanted());
        let known = [("rotunda.stream.a", "old"), ("rotunda.stream.gone", "x"), ("seat", "7")];
        notes.told_are(&known.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let expected = [("rotunda.stream.a", "new"), ("rotunda.stream.gone", "")];
        assert_eq!(
            notes.differences(wanted()),
            HashMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned())))
        );
    }

    #[test]
    fn extra_info_needs_room_and_permission() {
        let mut notes = Notes::default();
        assert_eq!(notes.check("x").unwrap_err().code, ErrorCode::NotPermitted);
        assert!(notes.check("").is_ok(), "nothing to say needs no permission");
        notes.allow(Some(&proto::ParticipantPermission { can_update_metadata: true, ..Default::default() }), "");
        assert!(notes.check(&"x".repeat(1023)).is_ok());
        assert_eq!(notes.check(&"x".repeat(1024)).unwrap_err().code.number(), 1_003_051);
    }
}
