//! The token of the call: watched for its end, renewed by the application, refreshed by the server.

use super::Call;
use crate::bridge::RoomEvent;
use crate::client::engine::unix_now;
use crate::client::login::token_error;
use crate::protocol::token;
use crate::protocol::token_watch::{TokenWatch, check_renewal};

/// What is known of the token.
#[derive(Debug, Default)]
pub(super) struct CallToken {
    /// The newest from the application.
    renewed: Option<String>,
    /// The server sent one after that.
    refreshed: bool,
    watch: TokenWatch,
}

impl CallToken {
    /// The token to come back with: the newest that has not ended. A server refreshes with short ones, which outlive no
    /// long sleep; the application may have given one that does.
    pub(super) fn best(&self, of_link: &str, of_login: &str) -> String {
        self.best_at(of_link, of_login, unix_now().as_secs())
    }

    fn best_at(&self, of_link: &str, of_login: &str, now_unix_secs: u64) -> String {
        let mut newest_first = vec![of_link, of_login];
        if let Some(renewed) = self.renewed.as_deref() {
            newest_first.insert(usize::from(self.refreshed), renewed);
        }
        let lasts = |token: &&&str| token::peek(token).is_ok_and(|claims| claims.check_time(now_unix_secs).is_ok());
        newest_first.iter().find(lasts).map_or_else(|| newest_first[0].to_owned(), |token| (*token).to_owned())
    }

    /// A link stands with this token.
    pub(super) fn watch(&mut self, token: &str) {
        self.watch.watch(token);
    }
}

impl Call<'_> {
    /// The application has a fresh token.
    pub(super) async fn renew_token(&mut self, token: String) {
        let Some(me) = &self.me else { return };
        match check_renewal(&token, self.request.room.as_str(), me.id.as_str(), unix_now().as_secs()) {
            Ok(()) => {
                self.token.watch.watch(&token);
                self.token.renewed = Some(token);
                self.token.refreshed = false;
            }
            Err(error) => self.refuse(token_error(error)).await,
        }
    }

    /// The server sent a fresh token; the link keeps it for the next one.
    pub(super) fn token_refreshed(&mut self, token: &str) {
        self.token.refreshed = true;
        self.token.watch.watch(token);
    }

    /// Warns of the token's end, once.
    pub(super) async fn watch_token(&mut self) {
        if let Some(in_secs) = self.token.watch.due(unix_now().as_secs()) {
            self.tell(RoomEvent::TokenExpiring { in_secs }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::token::{TokenRequest, issue};

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn the_newest_token_that_still_lasts_is_used() {
        let token = |ttl_secs| {
            issue(&TokenRequest { ttl_secs, ..TokenRequest::member("devkey", "secret", "hall", "ann") }, NOW).unwrap()
        };
        let (of_login, of_link, renewed) = (token(3_600), token(600), token(7_200));
        let mut call = CallToken::default();
        assert_eq!(call.best_at(&of_link, &of_login, NOW), of_link, "the server's is newer");
        assert_eq!(call.best_at(&of_link, &of_login, NOW + 1_800), of_login, "after a long sleep");
        call.renewed = Some(renewed.clone());
        assert_eq!(call.best_at(&of_link, &of_login, NOW), renewed);
        call.refreshed = true;
        assert_eq!(call.best_at(&of_link, &of_login, NOW), of_link);
        assert_eq!(call.best_at(&of_link, &of_login, NOW + 1_800), renewed);
        assert_eq!(call.best_at(&of_link, &of_login, NOW + 10_000), of_link, "the server has the last word");
    }
}
