//! Fresh tokens: a client that comes back needs one that is valid still and says what it may now, so it is given one at
//! once, every [`INTERVAL`], and whenever its rights or descriptions change (LIVEKIT.md section 2).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use livekit_protocol::signal_response::Message;

use super::participant::Participant;
use super::{Hub, now_ms};
use crate::model::sound::VOICE_ATTRIBUTE;
use crate::protocol::token;
use crate::server::media::PeerId;

/// How often, as the official server does.
const INTERVAL: Duration = Duration::from_secs(300);
/// How long a fresh token is valid at least, in seconds.
const TTL_SECS: u64 = 600;

impl Hub {
    /// Gives a participant a fresh token.
    pub(super) fn refresh_token(&mut self, id: PeerId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.refresh_at = now + INTERVAL;
        let participant = &*participant;
        let now_secs = u64::try_from(now_ms() / 1000).unwrap_or(0);
        let claims = claims(participant, now_secs);
        let Some(key) = self.keys.iter().find(|key| key.key == claims.iss) else { return };
        match token::sign(&claims, &key.secret) {
            Ok(token) => self.send(id, Message::RefreshToken(token)),
            Err(error) => tracing::warn!(%error, "a token could not be refreshed"),
        }
    }

    /// Gives fresh tokens to those whose turn it is.
    pub(super) fn refresh_tokens(&mut self, now: Instant) {
        let due: Vec<PeerId> =
            self.participants.values().filter(|p| now >= p.refresh_at).map(|participant| participant.id).collect();
        for id in due {
            self.refresh_token(id, now);
        }
    }
}

/// What the participant is and may by now, never for a shorter time than its own token says.
fn claims(participant: &Participant, now_secs: u64) -> token::Claims {
    let exp = participant.claims.exp.max(now_secs + TTL_SECS);
    let mut attributes: BTreeMap<String, String> = participant.attributes.clone().into_iter().collect();
    // A right that another host gave ends when they take it back: no token carries it on.
    if !participant.grant.room_admin && !participant.claims.attributes.contains_key(VOICE_ATTRIBUTE) {
        attributes.remove(VOICE_ATTRIBUTE);
    }
    token::Claims {
        nbf: now_secs,
        exp,
        name: participant.name.clone(),
        metadata: participant.metadata.clone(),
        attributes,
        video: participant.grant.clone(),
        ..participant.claims.clone()
    }
}
