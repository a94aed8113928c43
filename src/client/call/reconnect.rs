//! Coming back after the link broke: a fresh login with growing pauses, and a clear end when nothing helps. What was
//! published and played is taken up again by `Call::begin`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Call, CallEnd};
use crate::bridge::{RoomCommand, RoomEvent};
use crate::client::engine::dial_any;
use crate::client::link::Dialed;
use crate::client::reasons;
use crate::model::{CallError, ErrorCode, PlayState, PublishState, RoomState, RoomStateReason};

/// Attempts before giving up.
const ATTEMPTS: u32 = 10;
/// The n-th pause is n² times this, up to the longest (as LiveKit's clients do).
const PAUSE_STEP: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(7);
/// Up to this much is added, so that a room does not come back all at once.
const JITTER: Duration = Duration::from_millis(500);

impl Call<'_> {
    /// Dials until a link stands. `Err` when the user leaves meanwhile, or nothing helped.
    pub(super) async fn come_back(&mut self, why: &str, token: String) -> Result<Dialed, CallEnd> {
        tracing::warn!(session = self.session.0, why, "the connection broke");
        self.tell(RoomEvent::StateChanged {
            state: RoomState::Connecting,
            reason: RoomStateReason::Reconnecting,
            error: None,
            me: self.me.clone(),
        })
        .await;
        self.tell_interrupted().await;
        let mut last = CallError::new(ErrorCode::ConnectFailed, why.to_owned());
        for attempt in 0..ATTEMPTS {
            // Renewed meanwhile, perhaps.
            let token = self.token.newest(token.clone());
            let (hub, request) = (Arc::clone(&self.hub), self.request.clone());
            let dialing = async {
                sleep(pause(attempt, rand::random())).await;
                Box::pin(dial_any(&hub, &request, &token)).await
            };
            tokio::pin!(dialing);
            let result = loop {
                tokio::select! {
                    result = &mut dialing => break result,
                    command = self.port.commands.recv() => {
                        if let Some(end) = self.command_meanwhile(command).await {
                            self.finish(RoomStateReason::LoggedOut, None).await;
                            return Err(end);
                        }
                    }
                }
            };
            match result {
                Ok(dialed) => return Ok(dialed),
                Err(error) => {
                    tracing::warn!(session = self.session.0, attempt, %error, "not back yet");
                    let hopeless = !reasons::may_retry(&error);
                    last = error;
                    if hopeless {
                        self.finish(RoomStateReason::ReconnectFailed, Some(last)).await;
                        return Err(CallEnd::Left);
                    }
                }
            }
        }
        let error = CallError::new(
            ErrorCode::RetriesExhausted,
            format!("the connection could not be mended in {ATTEMPTS} attempts ({}): join again", last.message),
        );
        self.finish(RoomStateReason::ReconnectFailed, Some(error)).await;
        Err(CallEnd::Left)
    }

    /// Own and played streams are being brought back.
    async fn tell_interrupted(&mut self) {
        let own: Vec<_> = self.own.keys().cloned().collect();
        for stream in own {
            self.publish_state(stream, PublishState::Requesting, None).await;
        }
        let played: Vec<_> = self.played.keys().cloned().collect();
        for stream in played {
            self.play_state(stream, PlayState::Requesting, None).await;
        }
    }

    /// Between links only leaving, stopping and muting work; the rest is refused.
    async fn command_meanwhile(&mut self, command: Option<RoomCommand>) -> Option<CallEnd> {
        match command {
            None => return Some(CallEnd::Stopped),
            Some(RoomCommand::Logout) => return Some(CallEnd::Left),
            Some(RoomCommand::Login(request)) => return Some(CallEnd::Login(request)),
            Some(RoomCommand::StopPublishing(stream)) => self.stop_unlinked(&stream).await,
            Some(RoomCommand::SetMuted { stream, kind, muted }) => {
                // Nobody to tell: the server learns it when the track is asked for again.
                self.mute_unlinked(&stream, kind, muted).await;
            }
            Some(RoomCommand::StopPlaying(stream)) => {
                self.stop_playing_unlinked(&stream).await;
            }
            Some(RoomCommand::SetExtraInfo { stream, extra_info }) => self.set_extra_info(&stream, extra_info).await,
            Some(RoomCommand::RenewToken(token)) => self.renew_token(token).await,
            Some(RoomCommand::PublishStream(request)) => {
                self.publish_state(request.stream, PublishState::NoPublish, Some(reconnecting())).await;
            }
            Some(_) => self.refuse(reconnecting()).await,
        }
        None
    }
}

fn reconnecting() -> CallError {
    CallError::new(ErrorCode::WrongState, "the connection is being mended: try again in a moment")
}

/// The pause before an attempt; `chance` spreads it.
fn pause(attempt: u32, chance: u8) -> Duration {
    (PAUSE_STEP * attempt * attempt).min(LONGEST_PAUSE) + JITTER * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(pause(0, 0), Duration::ZERO);
        assert!(pause(0, 255) <= JITTER);
        assert_eq!(pause(2, 0), Duration::from_millis(1200));
        assert_eq!(pause(9, 0), LONGEST_PAUSE);
        let longest: Duration = (0..ATTEMPTS).map(|attempt| pause(attempt, 255)).sum();
        assert!(longest < Duration::from_secs(60), "giving up takes {longest:?}");
    }
}
