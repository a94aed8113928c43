//! When a token ends: warns once in time, and says whether another may take its place. Reads no clock.

use super::token::{self, TokenError};

/// The warning comes this long before the end, in seconds (FEATURES.md section 1).
pub const WARN_BEFORE_SECS: u64 = 30;

/// Watches one token at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenWatch {
    expires_unix_secs: Option<u64>,
    warned: bool,
}

impl TokenWatch {
    /// Watches this token from now on. What cannot be read is the server's business and is not warned of.
    pub fn watch(&mut self, token: &str) {
        let expires_unix_secs = token::peek(token).ok().map(|claims| claims.exp).filter(|exp| *exp > 0);
        *self = Self { expires_unix_secs, warned: false };
    }

    /// The seconds that remain, once, when few do.
    pub fn due(&mut self, now_unix_secs: u64) -> Option<u64> {
        let left = self.expires_unix_secs?.saturating_sub(now_unix_secs);
        if self.warned || left > WARN_BEFORE_SECS {
            return None;
        }
        self.warned = true;
        Some(left)
    }
}

/// Checks that a token may take the place of the one this user is in this room with. Its signature is the server's to
/// check.
///
/// # Errors
/// The [`TokenError`] that says why not.
pub fn check_renewal(token: &str, room: &str, user: &str, now_unix_secs: u64) -> Result<(), TokenError> {
    let claims = token::peek(token)?;
    claims.check_join(room)?;
    claims.check_identity(user)?;
    if claims.exp <= now_unix_secs {
        return Err(TokenError::Expired { since_secs: now_unix_secs - claims.exp });
    }
    claims.check_time(now_unix_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::token::{TokenRequest, issue};

    const NOW: u64 = 1_800_000_000;

    fn token(room: &str, identity: &str, ttl_secs: u64) -> String {
        issue(&TokenRequest { ttl_secs, ..TokenRequest::member("devkey", "secret", room, identity) }, NOW).unwrap()
    }

    #[test]
    fn the_warning_comes_once_and_in_time() {
        let mut watch = TokenWatch::default();
        assert_eq!(watch.due(NOW), None, "nothing is watched");
        watch.watch(&token("hall", "ann", 600));
        let told: Vec<_> = (0..700).filter_map(|second| watch.due(NOW + second).map(|left| (second, left))).collect();
        assert_eq!(told, [(570, 30)], "virtual time: once, 30 s ahead");
        watch.watch(&token("hall", "ann", 900));
        assert_eq!(watch.due(NOW + 600), None, "renewed");
        assert_eq!(watch.due(NOW + 899), Some(1), "a clock that jumps is late, not silent");
        watch.watch(&token("hall", "ann", 10));
        assert_eq!(watch.due(NOW + 5000), Some(0));
        watch.watch("no token");
        assert_eq!(watch.due(u64::MAX), None);
    }

    #[test]
    fn only_the_same_user_in_the_same_room_renews() {
        assert_eq!(check_renewal(&token("hall", "ann", 60), "hall", "ann", NOW), Ok(()));
        let refused = |token: &str, now| check_renewal(token, "hall", "ann", now).unwrap_err();
        assert!(matches!(refused(&token("attic", "ann", 60), NOW), TokenError::OtherRoom { .. }));
        assert!(matches!(refused(&token("hall", "bob", 60), NOW), TokenError::OtherUser { .. }));
        assert!(matches!(refused(&token("hall", "ann", 60), NOW + 61), TokenError::Expired { .. }), "no leeway here");
        assert_eq!(refused("", NOW), TokenError::Missing);
        assert!(matches!(refused("a.b.c", NOW), TokenError::Malformed(_)));
    }
}
