//! The call inside the app: publishes once in, keeps the figures, and ends the app in good order.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bevy::platform::cell::SyncCell;
use bevy::prelude::*;

use super::{Progress, TokenRenewal};
use crate::bridge::{PublishRequest, RoomCommand, RoomEvent};
use crate::client::report::{Expectations, FetchReport, Recorder, Report};
use crate::media::capture::stamp::unix_now_ms;
use crate::model::{RoomState, RoomStateReason};
use crate::space::picture::{PictureRequest, PictureTaken};
use crate::space::ui::LeaveRequested;
use crate::space::{
    EngineBridge, EngineEvent, Fetched, FramePresented, Outbox, SpaceSettings, VideoStream, ViewTarget, fetch::Want,
};

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Frames left out of the frame-time figures while pipelines are built.
const WARM_UP_FRAMES: u32 = 10;
/// How long the window stays after a call that ended with an error: the notice that says why stays a little longer.
const READING_TIME: Duration = Duration::from_secs(8);
/// How long the last picture may take before the app ends without it.
const PICTURE_WITHIN: Duration = Duration::from_secs(10);

/// All the call needs inside the app.
pub(super) struct CallSetup {
    pub recorder: Recorder,
    pub renewal: Option<SyncCell<TokenRenewal>>,
    /// Reached through `&mut` alone: a source is `Send` only.
    pub publications: SyncCell<Vec<PublishRequest>>,
    pub limit: Option<Duration>,
    pub picture: Option<PathBuf>,
    pub expected: Expectations,
    pub progress: Option<SyncCell<Box<dyn Progress>>>,
    pub result: Arc<Mutex<Option<Report>>>,
}

/// Follows the call.
pub(super) struct CallPlugin(Mutex<Option<CallSetup>>);

impl CallPlugin {
    pub fn new(setup: CallSetup) -> Self {
        Self(Mutex::new(Some(setup)))
    }
}

impl Plugin for CallPlugin {
    fn build(&self, app: &mut App) {
        let Some(setup) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        app.insert_resource(Call { setup, over_at: None, closing: None, since_progress: Duration::ZERO, frames: 0 })
            .add_systems(
                Update,
                (follow_events, count_presented, measure_frames, tell_progress, decide_to_end, end_with_picture)
                    .chain(),
            )
            .add_systems(Last, report_on_exit);
    }
}

/// The call while it runs.
#[derive(Resource)]
struct Call {
    setup: CallSetup,
    /// The call has ended, and the app may end from then on.
    over_at: Option<Instant>,
    /// When the report was made and the picture asked for.
    closing: Option<Instant>,
    since_progress: Duration,
    frames: u32,
}

impl Call {
    fn make_report(&mut self, bridge: &EngineBridge) {
        self.setup.recorder.on_snapshot(&bridge.0.snapshot());
        let report = self.setup.recorder.report(self.setup.expected);
        *self.setup.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }
}

fn follow_events(
    mut call: ResMut<Call>,
    mut events: MessageReader<EngineEvent>,
    bridge: Res<EngineBridge>,
    mut outbox: ResMut<Outbox>,
) {
    for EngineEvent(event) in events.read() {
        call.setup.recorder.on_event(event);
        if let RoomEvent::StateChanged { state: RoomState::Connected, .. } = event {
            for publication in std::mem::take(call.setup.publications.get()) {
                outbox.push(RoomCommand::PublishStream(publication));
            }
        }
        if let RoomEvent::TokenExpiring { .. } = event
            && let Some(renewal) = &mut call.setup.renewal
            && let Some(token) = (renewal.get())()
            && let Err(error) = bridge.0.send(RoomCommand::RenewToken(token))
        {
            tracing::error!(%error, "the token was not renewed");
        }
    }
}

fn count_presented(mut call: ResMut<Call>, mut frames: MessageReader<FramePresented>) {
    let now_ms = unix_now_ms();
    for shown in frames.read() {
        call.setup.recorder.on_frame_presented(&shown.stream, &shown.frame, now_ms);
    }
}

fn measure_frames(mut call: ResMut<Call>, time: Res<Time<Real>>) {
    call.frames = call.frames.saturating_add(1);
    if call.frames > WARM_UP_FRAMES && call.closing.is_none() {
        call.setup.recorder.on_room_frame(time.delta_secs() * 1000.0);
    }
}

fn tell_progress(
    mut call: ResMut<Call>,
    time: Res<Time<Real>>,
    bridge: Res<EngineBridge>,
    streams: Query<(&VideoStream, &Fetched)>,
) {
    call.since_progress += time.delta();
    if call.since_progress >= PROGRESS_EVERY {
        call.since_progress = Duration::ZERO;
        // Also between: the figures of a stream that ends go with it.
        let snapshot = bridge.0.snapshot();
        call.setup.recorder.on_snapshot(&snapshot);
        for (stream, fetched) in &streams {
            let (size, why) = (fetched.want.word(), fetched.reason.words());
            let wanted = fetched.want != Want::Paused;
            call.setup.recorder.on_fetch(&stream.info.id, FetchReport { size, why, wanted });
        }
        if let Some(progress) = &mut call.setup.progress {
            progress.get().tick();
        }
    }
}

/// Whether it is time to end: the window was closed, the time is up, or the call is over and people could read why.
fn decide_to_end(
    mut call: ResMut<Call>,
    bridge: Res<EngineBridge>,
    settings: Res<SpaceSettings>,
    mut events: MessageReader<EngineEvent>,
    mut leave: MessageReader<LeaveRequested>,
    mut requests: MessageWriter<PictureRequest>,
    mut exit: MessageWriter<AppExit>,
) {
    if let Some(stay) = events.read().filter_map(|EngineEvent(event)| stay_after(event)).last() {
        let stay = if settings.view == ViewTarget::Window { stay } else { Duration::ZERO };
        call.over_at = Some(Instant::now() + stay);
    }
    let over = call.over_at.is_some_and(|at| Instant::now() >= at);
    let closed = leave.read().any(|leave| leave.closes);
    let late = call.setup.limit.is_some_and(|limit| call.setup.recorder.elapsed() >= limit);
    if call.closing.is_some() || !(over || closed || late) {
        return;
    }
    call.make_report(&bridge);
    if call.setup.picture.is_some() {
        requests.write(PictureRequest::default());
        call.closing = Some(Instant::now());
    } else {
        exit.write(AppExit::Success);
    }
}

/// Writes the last picture, then ends the app; without a picture when none comes.
fn end_with_picture(call: Res<Call>, mut pictures: MessageReader<PictureTaken>, mut exit: MessageWriter<AppExit>) {
    let (Some(since), Some(path)) = (call.closing, &call.setup.picture) else { return };
    let picture = pictures.read().last();
    if let Some(picture) = picture
        && let Err(error) = save(picture, path)
    {
        tracing::error!(%error, path = %path.display(), "the room's picture was not written");
    }
    if picture.is_some() || since.elapsed() > PICTURE_WITHIN {
        exit.write(AppExit::Success);
    }
}

pub(super) fn save(picture: &PictureTaken, path: &Path) -> std::io::Result<()> {
    let png = picture.to_png().map_err(std::io::Error::other)?;
    std::fs::write(path, png)
}

/// Ctrl-C, or a plugin, ends the app without asking: there is a report all the same.
fn report_on_exit(mut call: ResMut<Call>, bridge: Res<EngineBridge>, mut exits: MessageReader<AppExit>) {
    if exits.read().next().is_some() && call.closing.is_none() {
        call.make_report(&bridge);
    }
}

/// How long to stay once the call is over; `None` while it is not. Who left by themselves need not be told.
fn stay_after(event: &RoomEvent) -> Option<Duration> {
    let RoomEvent::StateChanged { state: RoomState::Disconnected, reason, error, .. } = event else { return None };
    let over = matches!(
        reason,
        RoomStateReason::LoginFailed
            | RoomStateReason::ReconnectFailed
            | RoomStateReason::KickedOut
            | RoomStateReason::LoggedOut
            | RoomStateReason::LogoutFailed
    );
    over.then_some(if error.is_some() { READING_TIME } else { Duration::ZERO })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CallError, ErrorCode};

    fn told(state: RoomState, reason: RoomStateReason, code: Option<ErrorCode>) -> RoomEvent {
        let error = code.map(|code| CallError::new(code, "because"));
        RoomEvent::StateChanged { state, reason, error, me: None }
    }

    #[test]
    fn an_error_is_left_to_be_read_and_a_wish_is_followed_at_once() {
        let ended = |reason, code| stay_after(&told(RoomState::Disconnected, reason, code));
        assert_eq!(ended(RoomStateReason::KickedOut, Some(ErrorCode::KickedByHost)), Some(READING_TIME));
        assert_eq!(ended(RoomStateReason::ReconnectFailed, Some(ErrorCode::RetriesExhausted)), Some(READING_TIME));
        assert_eq!(ended(RoomStateReason::LoginFailed, Some(ErrorCode::AuthenticationFailed)), Some(READING_TIME));
        assert_eq!(ended(RoomStateReason::LoggedOut, None), Some(Duration::ZERO));
        let mending = told(RoomState::Connecting, RoomStateReason::Reconnecting, None);
        assert_eq!(stay_after(&mending), None);
    }
}
