//! Coming back after the connection broke. First the link is taken up again while the call goes on over it; where that
//! fails, a fresh login with growing pauses, and a clear end when nothing helps. What was published and played is taken
//! up again by `Call::begin` then.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use tokio::time::sleep;

use super::recovery::{Next, Recovery, Relogin, Setback};
use super::{Call, CallEnd, Flow, LinkEnd};
use crate::bridge::{COMMAND_CAPACITY, Entry, RoomCommand, RoomEvent};
use crate::client::engine::dial_any;
use crate::client::link::{Dialed, Link, ReturnError, reachable};
use crate::client::reasons;
use crate::model::{
    CallError, DeviceState, ErrorCode, PlayState, PublishState, RoomState, RoomStateReason, StreamInfo,
};

/// The others are told by the server within this after the link is back; who is not named by then has left meanwhile.
const ROLL_CALL: Duration = Duration::from_secs(3);

/// A break is noticed this late at most: what was said to the server since then may be lost.
const UNNOTICED: Duration = Duration::from_secs(20);

/// Who was named since the link began to come back.
#[derive(Debug)]
pub(super) struct RollCall {
    /// When the break was noticed.
    broke: Instant,
    /// Not known before the link is back.
    until: Option<Instant>,
    named: BTreeSet<String>,
}

impl RollCall {
    fn new(broke: Instant) -> Self {
        Self { broke, until: None, named: BTreeSet::new() }
    }
}

/// What broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The WebSocket, or everything.
    Signalling,
    /// The way of the media.
    Media,
}

impl Call<'_> {
    /// The link broke, or may have: takes it up again. Trouble on a way that is being mended already is part of that.
    pub(super) async fn trouble(&mut self, link: &mut Link, what: Trouble, why: &str) -> Flow {
        let now = Instant::now();
        match &mut self.recovery {
            None => {
                self.tell_reconnecting(why).await;
                let (recovery, next) = Recovery::begin(now, self.request.servers.len() > 1);
                self.recovery = Some(recovery);
                self.go_on(link, next, what, why)
            }
            Some(recovery) if recovery.awaits_media() => {
                let next = recovery.failed(Setback::Broke, now, rand::random());
                self.go_on(link, next, what, why)
            }
            Some(_) => Ok(()),
        }
    }

    fn go_on(&mut self, link: &mut Link, next: Next, what: Trouble, why: &str) -> Flow {
        match next {
            Next::Resume { after, patience } => {
                tracing::info!(session = self.session.0, why, ?after, "taking the connection up again");
                // From here on: the new WebSocket's first messages may be seen before we know that it stands.
                self.roll_call = Some(RollCall::new(Instant::now()));
                self.way_broke |= what == Trouble::Media;
                link.resume(after, patience, what == Trouble::Media);
                Ok(())
            }
            Next::Login => Err(LinkEnd::Lost(why.to_owned())),
        }
    }

    /// An attempt to take the link up again ended.
    pub(super) async fn returned(
        &mut self,
        link: &mut Link,
        result: Result<proto::ReconnectResponse, ReturnError>,
    ) -> Flow {
        let Some(recovery) = &mut self.recovery else { return Ok(()) };
        let (setback, why) = match result {
            Ok(answer) => {
                recovery.signalling_back(Instant::now());
                let now = Instant::now();
                self.roll_call.get_or_insert_with(|| RollCall::new(now)).until = Some(now + ROLL_CALL);
                let state = self.sync_state();
                return link.mend(&answer, state).await.map_err(|error| LinkEnd::Lost(error.to_string()));
            }
            Err(ReturnError::Ended(error)) => return Err(LinkEnd::Ended(error)),
            Err(ReturnError::Unreachable) => (Setback::Unreachable, "the server cannot be reached".to_owned()),
            Err(ReturnError::Failed(why)) => (Setback::Broke, why),
            Err(ReturnError::Forgotten(why)) => (Setback::Forgotten, why),
        };
        let next = recovery.failed(setback, Instant::now(), rand::random());
        self.go_on(link, next, Trouble::Signalling, &why)
    }

    /// The media path may be back, too: then the link is whole.
    pub(super) async fn mended(&mut self, link: &mut Link) -> Flow {
        if link.is_broken() {
            return Err(LinkEnd::Lost("the data channels did not survive".to_owned()));
        }
        let began = self.recovery.take().map(|recovery| recovery.began());
        tracing::info!(session = self.session.0, took = ?began.map(|began| began.elapsed()), "the connection is back");
        link.whole_again().await;
        self.levels.silence();
        if std::mem::take(&mut self.way_broke) {
            // It may be another one by now: what it carries has to be found anew.
            link.bandwidth.way_changed();
        }
        // What was said to the breaking link may be lost.
        self.ask_sizes(link).await;
        if let Some(began) = began {
            self.ask_again(link, began).await;
        }
        for track in self.own.values().flat_map(|publication| &publication.tracks) {
            track.gate.ask_keyframe();
        }
        self.state(RoomState::Connected, RoomStateReason::Reconnected).await;
        Ok(())
    }

    /// Whether the server must be sending: media of others, or reports on ours.
    pub(super) fn expects_media(&self) -> bool {
        let mut own = self.own.values().flat_map(|publication| &publication.tracks);
        let mut played = self.roster.streams().filter(|stream| self.played.contains_key(&stream.id));
        // A device that is away sends nothing, however unmuted its track is.
        let sends = |stream: &StreamInfo| [stream.video_state, stream.audio_state].contains(&DeviceState::On);
        own.any(|track| track.flows() && !track.muted) || played.any(sends)
    }

    /// Deadlines of coming back.
    pub(super) async fn expire_recovery(&mut self, link: &mut Link) -> Flow {
        let now = Instant::now();
        if self.recovery.as_ref().is_some_and(|recovery| recovery.is_overdue(now)) {
            self.trouble(link, Trouble::Media, "no media gets through").await?;
        }
        if self.roll_call.as_ref().is_some_and(|call| call.until.is_some_and(|until| now >= until))
            && let Some(call) = self.roll_call.take()
        {
            // A server that named not even us was not asked for a roll call.
            let complete = self.me.as_ref().is_some_and(|me| call.named.contains(me.id.as_str()));
            if complete {
                let changes = self.roster.retain(&call.named);
                self.roster_changed(link, changes).await?;
            }
        }
        Ok(())
    }

    /// The server says what it knows of us after a break: what it missed is said again, what it was told by others holds.
    pub(super) async fn compare_with(&mut self, link: &Link, mine: &proto::ParticipantInfo) {
        let Some(broke) = self.roll_call.as_ref().map(|call| call.broke) else { return };
        self.notes_are(&mine.attributes);
        self.attributes.told_are(&mine.attributes);
        let (mut missed, mut done_by_host) = (Vec::new(), Vec::new());
        for track in self.own.values().flat_map(|publication| &publication.tracks) {
            let known = |info: &&proto::TrackInfo| track.sid().is_some_and(|sid| sid.as_str() == info.sid);
            let Some(info) = mine.tracks.iter().find(known).filter(|info| info.muted != track.muted) else { continue };
            let lately = track.muted_at.is_some_and(|at| broke.saturating_duration_since(at) < UNNOTICED);
            // Whoever is muted stays so: nobody is heard without knowing it.
            let list = if track.muted || lately { &mut missed } else { &mut done_by_host };
            list.push((info.sid.clone(), track.muted));
        }
        for (sid, muted) in missed {
            link.request(Request::Mute(proto::MuteTrackRequest { sid, muted })).await;
        }
        for (sid, _) in done_by_host {
            self.muted_by_server(&sid, true).await;
        }
    }

    /// The server named people.
    pub(super) fn call_roll(&mut self, participants: &[proto::ParticipantInfo]) {
        if let Some(call) = &mut self.roll_call {
            call.named.extend(participants.iter().map(|info| info.identity.clone()));
        }
    }

    /// What we know of the session, for a server to compare (LIVEKIT.md section 7).
    fn sync_state(&self) -> proto::SyncState {
        let own = self.own.values().flat_map(|publication| &publication.tracks);
        let publish_tracks = own.filter_map(super::own_track::OwnTrack::published).collect();
        // The exceptions to what the login said.
        let auto = self.request.auto_play;
        let exceptions = self.roster.streams().filter(|stream| self.played.contains_key(&stream.id) != auto);
        let track_sids: Vec<String> =
            exceptions.flat_map(|stream| stream.tracks().map(|track| track.sid.to_string())).collect();
        proto::SyncState {
            publish_tracks,
            subscription: Some(proto::UpdateSubscription { track_sids, subscribe: !auto, ..Default::default() }),
            track_sids_disabled: self.played.values().filter_map(super::playing::Played::disabled_sid).collect(),
            ..Default::default()
        }
    }

    async fn tell_reconnecting(&mut self, why: &str) {
        tracing::warn!(session = self.session.0, why, "the connection broke");
        self.state(RoomState::Connecting, RoomStateReason::Reconnecting).await;
    }

    async fn state(&self, state: RoomState, reason: RoomStateReason) {
        self.tell(RoomEvent::StateChanged { state, reason, error: None, me: self.me.clone() }).await;
    }

    /// Dials until a link stands; gives the commands that wait for it. `Err` when the user leaves meanwhile, or nothing
    /// helped.
    pub(super) async fn come_back(
        &mut self,
        why: &str,
        token: String,
    ) -> Result<(Dialed, VecDeque<RoomCommand>), CallEnd> {
        let began = match self.recovery.take() {
            Some(recovery) => recovery.began(),
            None => {
                self.tell_reconnecting(why).await;
                Instant::now()
            }
        };
        self.roll_call = None;
        self.tell_interrupted().await;
        // Nothing is heard or measured until there is a link again.
        self.port.snapshot.store(self.snapshot_away());
        let mut relogin = Relogin::new(began);
        let mut waiting = VecDeque::new();
        let mut last = CallError::new(ErrorCode::ConnectFailed, why.to_owned());
        while let Some(patience) = relogin.patience(Instant::now()) {
            let Some(pause) = relogin.next_pause(rand::random()) else { break };
            let (hub, request) = (Arc::clone(&self.hub), self.request.clone());
            // Renewed meanwhile, perhaps.
            let token = self.token.best(&token, &self.request.token);
            let dialing = async {
                sleep(pause).await;
                if !reachable(&request.servers, patience).await {
                    let why = "no server can be reached: check the network";
                    return Err(CallError::new(ErrorCode::ConnectFailed, why));
                }
                Box::pin(dial_any(&hub, &request, &token)).await
            };
            let mut dialing = Box::pin(dialing);
            let result = loop {
                tokio::select! {
                    result = &mut dialing => break result,
                    command = self.port.commands.recv() => {
                        if let Some(end) = self.command_meanwhile(command, &mut waiting).await {
                            self.refuse_waiting(waiting).await;
                            self.finish(RoomStateReason::LoggedOut, None).await;
                            return Err(end);
                        }
                    }
                }
            };
            match result {
                Ok(dialed) => return Ok((dialed, waiting)),
                Err(error) => {
                    tracing::warn!(session = self.session.0, attempt = relogin.attempts(), %error, "not back yet");
                    let hopeless = !reasons::may_retry(&error);
                    last = error;
                    if hopeless {
                        self.refuse_waiting(waiting).await;
                        self.finish(RoomStateReason::ReconnectFailed, Some(last)).await;
                        return Err(CallEnd::Left);
                    }
                }
            }
        }
        let error = CallError::new(
            ErrorCode::RetriesExhausted,
            format!(
                "the connection could not be mended in {} attempts ({}): join again",
                relogin.attempts(),
                last.message
            ),
        );
        self.refuse_waiting(waiting).await;
        self.finish(RoomStateReason::ReconnectFailed, Some(error)).await;
        Err(CallEnd::Left)
    }

    /// What waited for a connection that does not come: whoever wrote or wanted to publish something learns it.
    pub(super) async fn refuse_waiting(&self, waiting: impl IntoIterator<Item = RoomCommand>) {
        for command in waiting {
            if matches!(command, RoomCommand::SendChat(_) | RoomCommand::PublishStream(_)) {
                let error =
                    CallError::new(ErrorCode::SendFailed, "the connection was lost: come in again, then try again");
                self.tell(RoomEvent::refused(command, error)).await;
            }
        }
    }

    /// Own and played streams are being brought back.
    async fn tell_interrupted(&mut self) {
        let own: Vec<_> = self.own.keys().cloned().collect();
        for stream in own {
            self.publish_state(stream, PublishState::Requesting, None).await;
        }
        // What is not decoded here is not waited for either.
        let waited_for = self.played.iter().filter(|(_, played)| !played.tracks.is_empty());
        let played: Vec<_> = waited_for.map(|(stream, _)| stream.clone()).collect();
        for stream in played {
            self.play_state(stream, PlayState::Requesting, None).await;
        }
    }

    /// Between links leaving, stopping and muting work at once; the rest waits for the next link, as long as there is
    /// room. What is of no use later is dropped.
    async fn command_meanwhile(
        &mut self,
        command: Option<RoomCommand>,
        waiting: &mut VecDeque<RoomCommand>,
    ) -> Option<CallEnd> {
        match command {
            None => return Some(CallEnd::Stopped),
            Some(RoomCommand::Logout) => return Some(CallEnd::Left),
            Some(RoomCommand::Login(request)) => return Some(CallEnd::Enter(Entry::Login(request))),
            Some(RoomCommand::AcceptInvitation(request)) => return Some(CallEnd::Enter(Entry::Invitation(request))),
            Some(RoomCommand::StopPublishing(stream)) if self.own.contains_key(&stream) => {
                self.stop_unlinked(&stream).await;
            }
            Some(RoomCommand::SetMuted { stream, kind, muted }) if self.own.contains_key(&stream) => {
                // Nobody to tell: the server learns it when the track is asked for again.
                self.mute_unlinked(&stream, kind, muted).await;
            }
            Some(RoomCommand::StopPlaying(stream)) if self.played.contains_key(&stream) => {
                self.stop_playing_unlinked(&stream).await;
            }
            Some(RoomCommand::SetExtraInfo { stream, extra_info }) if self.own.contains_key(&stream) => {
                self.set_extra_info(&stream, extra_info).await;
            }
            Some(RoomCommand::SetAttributes(changes)) => self.set_attributes(changes).await,
            Some(RoomCommand::RenewToken(token)) => self.renew_token(token).await,
            Some(RoomCommand::SwitchSpeaker(output)) => self.switch_speaker(output).await,
            Some(RoomCommand::SendBarrage(_)) => {
                tracing::debug!("a barrage message is dropped: there is no connection");
            }
            Some(RoomCommand::SendData(message)) if !message.reliable => {
                tracing::debug!(topic = message.topic, "unreliable data is dropped: there is no connection");
            }
            Some(other) if waiting.len() < COMMAND_CAPACITY => waiting.push_back(other),
            Some(other) => self.tell(RoomEvent::refused(other, reconnecting())).await,
        }
        None
    }
}

/// Too much waits for the connection already.
pub(super) fn reconnecting() -> CallError {
    CallError::new(ErrorCode::WrongState, "the connection is being mended: try again in a moment")
}
