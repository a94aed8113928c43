//! What is wished for own streams, and what came of it. Main thread.

use bevy::prelude::*;

use super::link::{BeautyLink, BeautyStatus};
use super::render::BeautyLinks;
use super::source::BeautySource;
use crate::bridge::RoomCommand;
use crate::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use crate::model::{Beauty, BeautyState, CallError, ErrorCode, OnBeautyFailure, StreamId, StreamKind};
use crate::space::participant::LocalParticipant;
use crate::space::stream::{Publishes, VideoStream};
use crate::space::sync::{CallTrouble, Outbox};

/// What a camera begins with when it is published.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeautyChoice(pub Beauty);

/// Filters an own stream from its next picture on, in this way or not at all. [`BeautyChanged`] tells when it is so.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct SetBeauty {
    /// An own camera's stream.
    pub stream: StreamId,
    /// How.
    pub beauty: Beauty,
}

/// The filtering of an own stream came further: [`BeautyState::On`] with the first filtered picture.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct BeautyChanged {
    /// Which.
    pub stream: StreamId,
    /// How far it is.
    pub state: BeautyState,
    /// What went wrong, if anything.
    pub error: Option<CallError>,
}

/// Hands wishes on.
pub(super) fn set_beauty(
    mut wishes: MessageReader<SetBeauty>,
    links: Res<BeautyLinks>,
    mut changed: MessageWriter<BeautyChanged>,
    mut trouble: MessageWriter<CallTrouble>,
) {
    for SetBeauty { stream, beauty } in wishes.read() {
        if let Some(link) = links.get(stream) {
            link.set(*beauty);
            continue;
        }
        let message = format!("{stream} shows no camera of yours: publish one first");
        let error = CallError::new(ErrorCode::StreamNotFound, message);
        trouble.write(CallTrouble(error.clone()));
        let (stream, error) = (stream.clone(), Some(error));
        changed.write(BeautyChanged { stream, state: BeautyState::Off, error });
    }
}

/// Tells what changed, and keeps the status beside each own stream.
pub(super) fn follow(
    mut commands: Commands,
    links: Res<BeautyLinks>,
    me: Query<&Publishes, With<LocalParticipant>>,
    streams: Query<(&VideoStream, Option<&BeautyStatus>)>,
    mut told: Local<Vec<(StreamId, BeautyState)>>,
    mut changed: MessageWriter<BeautyChanged>,
    mut trouble: MessageWriter<CallTrouble>,
) {
    // With those that ended since: how they did is told, too.
    let all = links.take_stock();
    told.retain(|(stream, _)| all.iter().any(|(known, _)| known == stream));
    for (stream, link) in all {
        let status = link.status();
        let before = told.iter().position(|(known, _)| *known == stream).unwrap_or_else(|| {
            told.push((stream.clone(), BeautyState::Off));
            told.len() - 1
        });
        if told[before].1 != status.state {
            told[before].1 = status.state;
            let error = status.error.as_ref().map(|why| trouble_of(&link, why));
            if let Some(error) = &error {
                trouble.write(CallTrouble(error.clone()));
            }
            changed.write(BeautyChanged { stream: stream.clone(), state: status.state, error });
        }
        for entity in me.iter().flat_map(Publishes::iter) {
            let own = streams
                .get(entity)
                .ok()
                .filter(|(shown, known)| shown.info.id == stream && known.is_none_or(|known| *known != status));
            if own.is_some() {
                commands.entity(entity).insert(status.clone());
            }
        }
    }
}

/// What people read of a failure.
fn trouble_of(link: &BeautyLink, why: &str) -> CallError {
    let then = match link.wish().on_failure {
        OnBeautyFailure::Continue => "your picture goes on as it is, and beauty when it works again",
        OnBeautyFailure::Stop => "your picture was stopped, as you chose",
    };
    CallError::new(ErrorCode::BeautyFailed, format!("beauty does not work: {why}; {then}"))
}

/// Leads the cameras that are published in this frame through the passes.
pub(super) fn wrap_cameras(mut outbox: ResMut<Outbox>, links: Res<BeautyLinks>, choice: Res<BeautyChoice>) {
    outbox.bypass_change_detection().for_each(|command| match command {
        RoomCommand::PublishStream(request) if request.kind == StreamKind::Camera => {
            if let Some((camera, options)) = request.video.take() {
                let link = links.open(&request.stream, choice.0);
                request.video = Some((Box::new(BeautySource::new(camera, link)), options));
            }
        }
        RoomCommand::SwitchVideo { stream, source } => {
            if let Some(link) = links.get(stream) {
                let camera = std::mem::replace(source, Box::new(Nothing));
                *source = Box::new(BeautySource::new(camera, link));
            }
        }
        _ => {}
    });
}

/// Stands in for a camera that changes hands.
struct Nothing;

impl VideoSource for Nothing {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: 0, height: 0, fps: 0.0 }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        Ok(None)
    }
}
