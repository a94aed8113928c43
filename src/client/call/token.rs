//! The token of the call: watched for its end, renewed by the application, refreshed by the server.

use super::Call;
use crate::bridge::RoomEvent;
use crate::client::engine::unix_now;
use crate::client::login::token_error;
use crate::protocol::token_watch::{TokenWatch, check_renewal};

/// What is known of the token.
#[derive(Debug, Default)]
pub(super) struct CallToken {
    /// From the application, newer than what the link has.
    renewed: Option<String>,
    watch: TokenWatch,
}

impl CallToken {
    /// The token of the present link, or a newer one: servers refresh it without a word to us.
    pub(super) fn newest(&self, of_link: String) -> String {
        self.renewed.clone().unwrap_or(of_link)
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
            }
            Err(error) => self.refuse(token_error(error)).await,
        }
    }

    /// The server sent a fresh token; the link keeps it for the next one.
    pub(super) fn token_refreshed(&mut self, token: &str) {
        self.token.renewed = None;
        self.token.watch.watch(token);
    }

    /// Warns of the token's end, once.
    pub(super) async fn watch_token(&mut self) {
        if let Some(in_secs) = self.token.watch.due(unix_now().as_secs()) {
            self.tell(RoomEvent::TokenExpiring { in_secs }).await;
        }
    }
}
