//! How often one may write (FEATURES.md section 3). What comes too fast is refused whole, before any of it is sent.
//! Time is an input: how long after any one fixed moment something happens.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{CallError, ErrorCode};

/// Every limit is over this long, wherever it begins.
const WINDOW: Duration = Duration::from_secs(1);
/// Chat messages of this client.
const CHATS: usize = 2;
/// Chat messages of everyone in the room, as far as this client hears them.
const CHATS_IN_ROOM: usize = 10;
/// Barrage messages of this client.
const BARRAGES: usize = 20;
/// Custom commands of this client to one user.
const CUSTOM_TO_ONE: usize = 200;
/// Custom commands of this client to several users or everyone.
const CUSTOM_TO_MANY: usize = 10;

/// What was written within the last second.
#[derive(Debug, Default)]
pub struct MessageRates {
    chats: Recent,
    chats_in_room: Recent,
    barrages: Recent,
    custom_to_one: Recent,
    custom_to_many: Recent,
}

#[derive(Debug, Default)]
struct Recent(VecDeque<Duration>);

impl Recent {
    fn count(&mut self, now: Duration) -> usize {
        while self.0.front().is_some_and(|at| now.saturating_sub(*at) >= WINDOW) {
            self.0.pop_front();
        }
        self.0.len()
    }

    /// Notes one, unless there are too many already.
    fn take(&mut self, limit: usize, now: Duration) -> bool {
        let fits = self.count(now) < limit;
        if fits {
            self.0.push_back(now);
        }
        fits
    }
}

impl MessageRates {
    /// Whether a chat message may be written now; notes it when it may.
    ///
    /// # Errors
    /// [`CallError`] with the code for too fast, as with the others.
    pub fn chat(&mut self, now: Duration) -> Result<(), CallError> {
        if self.chats_in_room.count(now) >= CHATS_IN_ROOM {
            return Err(too_fast(&format!("the room writes {CHATS_IN_ROOM} messages a second, and no more fit")));
        }
        if !self.chats.take(CHATS, now) {
            return Err(too_fast(&format!("write at most {CHATS} messages a second")));
        }
        self.chats_in_room.take(CHATS_IN_ROOM, now);
        Ok(())
    }

    /// Somebody else's chat message came.
    pub fn heard_chat(&mut self, now: Duration) {
        self.chats_in_room.take(CHATS_IN_ROOM, now);
    }

    /// Whether a barrage message may be written now; notes it when it may.
    ///
    /// # Errors
    /// See [`MessageRates::chat`].
    pub fn barrage(&mut self, now: Duration) -> Result<(), CallError> {
        if self.barrages.take(BARRAGES, now) {
            return Ok(());
        }
        Err(too_fast(&format!("write at most {BARRAGES} barrage messages a second")))
    }

    /// Whether a custom command to this many users (0 means everyone) may be sent now; notes it when it may.
    ///
    /// # Errors
    /// See [`MessageRates::chat`].
    pub fn custom(&mut self, receivers: usize, now: Duration) -> Result<(), CallError> {
        let (recent, limit, whom) = match receivers {
            1 => (&mut self.custom_to_one, CUSTOM_TO_ONE, "one user"),
            _ => (&mut self.custom_to_many, CUSTOM_TO_MANY, "several users"),
        };
        if recent.take(limit, now) {
            return Ok(());
        }
        Err(too_fast(&format!("send at most {limit} commands a second to {whom}")))
    }
}

fn too_fast(advice: &str) -> CallError {
    CallError::new(ErrorCode::MessageTooFast, format!("the message was not sent: {advice}; try again in a second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// How many of these get through.
    fn passed(times: impl Iterator<Item = Duration>, mut send: impl FnMut(Duration) -> Result<(), CallError>) -> usize {
        times.filter(|now| send(*now).is_ok()).count()
    }

    #[test]
    fn each_kind_has_its_own_limit() {
        let second = || (0..1000).map(at);
        let mut rates = MessageRates::default();
        assert_eq!(passed(second(), |now| rates.chat(now)), 2);
        assert_eq!(passed(second(), |now| rates.barrage(now)), 20);
        assert_eq!(passed(second(), |now| rates.custom(1, now)), 200);
        assert_eq!(passed(second(), |now| rates.custom(0, now)), 10);
        assert_eq!(rates.custom(3, at(999)).unwrap_err().code.number(), 1_009_015);
        assert!(rates.chat(at(1000)).is_ok(), "a second later the next fits");
        assert!(rates.chat(at(1000)).is_err());
    }

    #[test]
    fn a_room_that_writes_much_is_waited_for() {
        let mut rates = MessageRates::default();
        for n in 0..30 {
            rates.heard_chat(at(n));
        }
        assert_eq!(rates.chat(at(500)).unwrap_err().code, ErrorCode::MessageTooFast);
        assert!(rates.chat(at(1009)).is_ok());
        assert!(rates.chats_in_room.0.len() <= CHATS_IN_ROOM, "what is remembered is bounded");
    }
}
