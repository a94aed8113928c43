//! Own participant attributes that the application sets. What the server has is remembered, what differs is sent in one
//! message, and a fresh session is told all of it, with the time since when we have really been here.

use std::collections::{BTreeMap, HashMap};

use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::Call;
use crate::client::link::Link;
use crate::model::limits::{ATTRIBUTE_NAME_MAX_BYTES, ATTRIBUTE_VALUE_MAX_BYTES, MAX_OWN_ATTRIBUTES};
use crate::model::{ATTRIBUTE_SINCE, CallError, ErrorCode};
use crate::protocol::stream_note::NOTE_PREFIX;

/// What is wished for, and what the server has of it.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    wanted: BTreeMap<String, String>,
    told: BTreeMap<String, String>,
    /// When the first login of this call came in, by the server's clock.
    first_joined_ms: Option<i64>,
}

impl Attributes {
    /// A fresh session: the server knows nothing of us, and believes that we have only just come.
    pub(super) fn new_session(&mut self, joined_at_ms: i64) {
        self.told.clear();
        let first = *self.first_joined_ms.get_or_insert(joined_at_ms);
        if first < joined_at_ms {
            self.wanted.insert(ATTRIBUTE_SINCE.to_owned(), first.to_string());
        }
    }

    /// The server has these attributes of ours, whatever was said to it.
    pub(super) fn told_are(&mut self, attributes: &HashMap<String, String>) {
        let known = |name: &String| attributes.get(name).map(|value| (name.clone(), value.clone()));
        self.told = self.wanted.keys().filter_map(known).collect();
    }

    /// Takes over what the application wants.
    fn set(&mut self, changes: BTreeMap<String, String>) -> Result<(), CallError> {
        let too_long = |message: String| Err(CallError::new(ErrorCode::MessageTooLong, message));
        for (name, value) in &changes {
            if name.is_empty() || name.len() > ATTRIBUTE_NAME_MAX_BYTES || value.len() > ATTRIBUTE_VALUE_MAX_BYTES {
                return too_long(format!(
                    "an attribute has a name of 1 to {ATTRIBUTE_NAME_MAX_BYTES} bytes and a value of at most \
                     {ATTRIBUTE_VALUE_MAX_BYTES}: shorten it"
                ));
            }
            if name.starts_with(NOTE_PREFIX) {
                let message = format!("attributes that begin {NOTE_PREFIX} belong to streams: set their extra info");
                return Err(CallError::new(ErrorCode::NotPermitted, message));
            }
        }
        let fresh = changes.keys().filter(|name| !self.wanted.contains_key(*name)).count();
        if self.wanted.len() + fresh > MAX_OWN_ATTRIBUTES {
            return too_long(format!("one client sets at most {MAX_OWN_ATTRIBUTES} attributes: use fewer"));
        }
        self.wanted.extend(changes);
        Ok(())
    }

    /// Something is wanted no longer, because it is not allowed any more: the server took it away.
    pub(super) fn forget(&mut self, name: &str) {
        self.wanted.remove(name);
        self.told.remove(name);
    }

    /// What to tell the server so that it knows what is wanted; empty values delete.
    fn differences(&mut self) -> HashMap<String, String> {
        let told = |name: &str| self.told.get(name).map_or("", String::as_str);
        let changed = self.wanted.iter().filter(|(name, value)| told(name) != value.as_str());
        let changes = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
        // What is deleted everywhere needs no room here any more.
        self.wanted.retain(|_, value| !value.is_empty());
        self.told.clone_from(&self.wanted);
        changes
    }
}

impl Call<'_> {
    /// Sets own attributes, or says why not.
    pub(super) async fn set_attributes(&mut self, changes: BTreeMap<String, String>) {
        let outcome = if self.notes.are_allowed() {
            self.attributes.set(changes)
        } else {
            let why = "the token does not allow own attributes (canUpdateOwnMetadata): ask the room's host for one that \
                       does";
            Err(CallError::new(ErrorCode::NotPermitted, why))
        };
        if let Err(error) = outcome {
            self.refuse(error).await;
        }
    }

    /// Tells the server what changed.
    pub(super) async fn sync_attributes(&mut self, link: &Link) {
        // A broken link would lose them: told when it is back.
        if !self.notes.are_allowed() || self.recovery.is_some() {
            return;
        }
        let attributes = self.attributes.differences();
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

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn differences(attributes: &mut Attributes) -> BTreeMap<String, String> {
        attributes.differences().into_iter().collect()
    }

    #[test]
    fn only_changes_are_told_and_a_fresh_session_hears_all_and_since_when() {
        let mut attributes = Attributes::default();
        attributes.new_session(1_000);
        assert!(differences(&mut attributes).is_empty(), "the first login speaks for itself");
        attributes.set(pairs(&[("rotunda.seat", "3"), ("mood", "good")])).unwrap();
        assert_eq!(differences(&mut attributes), pairs(&[("rotunda.seat", "3"), ("mood", "good")]));
        attributes.set(pairs(&[("rotunda.seat", "3"), ("mood", "")])).unwrap();
        assert_eq!(differences(&mut attributes), pairs(&[("mood", "")]), "what is empty is deleted");
        attributes.new_session(9_000);
        assert_eq!(differences(&mut attributes), pairs(&[("rotunda.seat", "3"), ("rotunda.since", "1000")]));
        assert!(differences(&mut attributes).is_empty());
        attributes.told_are(&[("rotunda.seat".to_owned(), "2".to_owned())].into());
        assert_eq!(
            differences(&mut attributes),
            pairs(&[("rotunda.seat", "3"), ("rotunda.since", "1000")]),
            "what got lost on a breaking link is told again"
        );
    }

    #[test]
    fn limits_hold_and_notes_about_streams_are_not_touched() {
        let mut attributes = Attributes::default();
        let code = |attributes: &mut Attributes, name: &str, value: &str| {
            attributes.set(pairs(&[(name, value)])).unwrap_err().code
        };
        assert_eq!(code(&mut attributes, "", "x"), ErrorCode::MessageTooLong);
        assert_eq!(code(&mut attributes, &"n".repeat(129), "x"), ErrorCode::MessageTooLong);
        assert_eq!(code(&mut attributes, "n", &"x".repeat(1025)), ErrorCode::MessageTooLong);
        assert_eq!(code(&mut attributes, "rotunda.stream.cam", "x"), ErrorCode::NotPermitted);
        for n in 0..MAX_OWN_ATTRIBUTES {
            attributes.set(pairs(&[(&format!("n{n}"), "x")])).unwrap();
        }
        assert_eq!(code(&mut attributes, "one more", "x"), ErrorCode::MessageTooLong);
        attributes.set(pairs(&[("n0", "y")])).unwrap();
    }
}
