//! Taking a link up again after its WebSocket or its media path broke: another WebSocket for the same session, then fresh
//! ICE over the same peer connection (LIVEKIT.md section 7). Tracks, channels, encoders and players stay. Runs on the
//! engine's thread; only the dialing is a task of its own.
//!
//! Invariant: while the link is not whole, requests of the session are held, in order, and sent once it is.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use livekit_api::signal_client::SignalError;
use livekit_protocol as proto;
use proto::leave_request::Action;
use proto::signal_request::Message as Request;
use rtc::peer_connection::configuration::RTCOfferOptions;
use tokio::sync::oneshot;
use tokio::time::sleep;
use webrtc::peer_connection::RTCPeerConnectionState;

use super::tasks::OwnedTask;
use super::{Channels, Link, LinkError, description, knock};
use crate::client::reasons;
use crate::model::CallError;

/// Requests that are held at most.
const HELD_MAX: usize = 256;

/// Where the link stands with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signalling {
    /// Everything can be said.
    Whole,
    /// Nothing can be said.
    Down,
    /// Descriptions and candidates can be said: the media path is being mended.
    Mending,
}

/// Why an attempt to take the link up again failed.
#[derive(Debug)]
pub(in crate::client) enum ReturnError {
    /// The server cannot be reached.
    Unreachable,
    /// Something went wrong on the way; another attempt may help.
    Failed(String),
    /// The server does not know us any more, or no longer takes this token: only a new login helps.
    Forgotten(String),
    /// The server ended the session for good.
    Ended(CallError),
}

/// The attempt that is under way, if one is.
#[derive(Default)]
pub(in crate::client) struct Returning(Option<(OwnedTask, oneshot::Receiver<Returned>)>);

type Returned = Result<proto::ReconnectResponse, ReturnError>;

impl Returning {
    /// What came of the attempt; waits for ever when there is none. Cancel-safe.
    pub(in crate::client) async fn next(&mut self) -> Returned {
        let Some((_, result)) = &mut self.0 else { return pending().await };
        let result = result.await;
        self.0 = None;
        result.unwrap_or_else(|_| Err(ReturnError::Failed("the attempt ended midway".to_owned())))
    }
}

/// How far the newest ICE restart is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Restart {
    #[default]
    None,
    Offered,
    Answered,
}

impl Link {
    /// Tries once, after a pause, to get a WebSocket for the same session; [`Returning::next`] tells what came of it.
    /// An unreachable server is waited for this long.
    pub(in crate::client) fn resume(&mut self, after: Duration, patience: Duration, media_broke: bool) {
        self.signalling = Signalling::Down;
        // What was offered will not be answered any more.
        self.offer_again |= self.offer_waits;
        self.offer_waits = false;
        self.restart = Restart::None;
        let signal = Arc::clone(&self.signal);
        let reason = if media_broke {
            proto::ReconnectReason::RrPublisherFailed
        } else {
            proto::ReconnectReason::RrSignalDisconnected
        };
        let (tell, result) = oneshot::channel();
        let task = OwnedTask::spawn(async move {
            sleep(after).await;
            let result = if knock::reachable(&[signal.url()], patience).await {
                signal.restart(reason).await.map_err(|error| return_error(&error))
            } else {
                Err(ReturnError::Unreachable)
            };
            if tell.send(result).is_err() {
                tracing::debug!("nobody waits for the link's return");
            }
        });
        self.returning = Returning(Some((task, result)));
    }

    /// The WebSocket is back: says what we know, sends again what may be lost, and restarts ICE.
    pub(in crate::client) async fn mend(
        &mut self,
        answer: &proto::ReconnectResponse,
        mut state: proto::SyncState,
    ) -> Result<(), LinkError> {
        self.signals.renewed();
        self.signalling = Signalling::Mending;
        self.use_ice_servers(&answer.ice_servers).await;
        state.offer = self.peer.current_local_description().await.map(|offer| description(offer, 0));
        state.answer = self.peer.current_remote_description().await.map(|answer| proto::SessionDescription {
            r#type: "answer".to_owned(),
            sdp: answer.sdp,
            ..Default::default()
        });
        state.data_channels = Channels::infos();
        state.datachannel_receive_states = self.channels.receive_states();
        self.pass(Request::SyncState(state)).await;
        self.restart_ice().await?;
        self.channels.resend(answer.last_message_seq).await;
        Ok(())
    }

    /// Offers fresh ICE credentials, over sockets bound anew to the addresses this machine has now.
    async fn restart_ice(&mut self) -> Result<(), LinkError> {
        let offer = self.peer.create_offer(Some(RTCOfferOptions { ice_restart: true })).await?;
        self.peer.set_local_description(offer.clone()).await?;
        self.answered = false;
        self.candidates.clear();
        self.early_candidates.clear();
        self.offer_again = false;
        self.restart = Restart::Offered;
        self.send_offer(offer).await;
        Ok(())
    }

    /// The peer connection's state changed. `true` when that makes a link whole again that was being mended.
    pub(in crate::client) fn is_mended(&self, state: RTCPeerConnectionState) -> bool {
        self.signalling == Signalling::Mending
            && self.restart == Restart::Answered
            && state == RTCPeerConnectionState::Connected
    }

    /// The link is whole again: says what was held.
    pub(in crate::client) async fn whole_again(&mut self) {
        self.signal.set_reconnected().await;
        self.signalling = Signalling::Whole;
        self.whole_since = Instant::now();
        self.restart = Restart::None;
        let held = std::mem::take(&mut *self.held());
        for request in held {
            self.request(request).await;
        }
    }

    /// Since when the link is whole.
    pub(in crate::client) fn whole_since(&self) -> Instant {
        self.whole_since
    }

    /// Whether so much is held already that nothing more should be asked.
    pub(in crate::client) fn is_full(&self) -> bool {
        self.held().len() >= HELD_MAX / 2
    }

    /// Whether the data channels survived.
    pub(in crate::client) fn is_broken(&self) -> bool {
        self.channels.closed.load(Ordering::Acquire)
    }

    /// Keeps a request until the link is whole.
    pub(super) fn hold(&self, request: Request) {
        let mut held = self.held();
        if held.len() < HELD_MAX {
            held.push_back(request);
        } else {
            tracing::warn!("too much is held for the server: a request is dropped");
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, VecDeque<Request>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn return_error(error: &SignalError) -> ReturnError {
    match error {
        SignalError::LeaveRequest { action: Action::Resume, reason } => {
            ReturnError::Failed(format!("the server says {}", reason.as_str_name()))
        }
        SignalError::LeaveRequest { action: Action::Reconnect, reason } => {
            ReturnError::Forgotten(format!("the server says {}", reason.as_str_name()))
        }
        SignalError::LeaveRequest { reason: proto::DisconnectReason::ServerShutdown, .. } => {
            ReturnError::Forgotten("the server is shutting down".to_owned())
        }
        SignalError::LeaveRequest { reason, .. } => ReturnError::Ended(reasons::ended(*reason)),
        SignalError::Handshake { status } | SignalError::Client(status, _) if status.is_client_error() => {
            ReturnError::Forgotten(format!("the server answered {status}"))
        }
        SignalError::TokenFormat | SignalError::UrlParse(_) => ReturnError::Forgotten(error.to_string()),
        other => ReturnError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_failures_make_another_attempt_useless() {
        let leave = |action, reason| return_error(&SignalError::LeaveRequest { action, reason });
        use proto::DisconnectReason as Reason;
        assert!(matches!(leave(Action::Reconnect, Reason::StateMismatch), ReturnError::Forgotten(_)));
        assert!(matches!(leave(Action::Disconnect, Reason::ParticipantRemoved), ReturnError::Ended(_)));
        assert!(matches!(leave(Action::Disconnect, Reason::ServerShutdown), ReturnError::Forgotten(_)));
        assert!(matches!(leave(Action::Resume, Reason::UnknownReason), ReturnError::Failed(_)));
        assert!(matches!(return_error(&SignalError::Timeout(String::new())), ReturnError::Failed(_)));
        assert!(matches!(return_error(&SignalError::Closed), ReturnError::Failed(_)));
    }
}
