//! What is shared: from the wish, over opening it on a thread of its own, to the published stream, and what is told of it.

use bevy::prelude::*;
use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::offer::ShareOffer;
use super::sources::{ShareFrom, ShareSources};
use super::start_thread;
use crate::bridge::{AudioOptions, PublishRequest, RoomCommand, StartsMuted, VideoOptions};
use crate::media::{AudioSource, CaptureError, VideoFormat, VideoSource};
use crate::model::{CallError, ErrorCode, PublishState, RoomState, StreamId, StreamKind, VideoPreset};
use crate::space::stream::OwnStreams;
use crate::space::sync::{CallTrouble, Outbox, PublishStateChanged, RoomStatus};

/// A wish that the engine has not answered is taken for granted so long.
const PATIENCE_SECS: f32 = 3.0;

/// Shares a screen or a window, in place of what is shared.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct StartSharing {
    /// An id of [`ScreenInfo`](crate::media::capture::ScreenInfo).
    pub source: String,
    /// Largest size, highest rate and bitrate.
    pub preset: VideoPreset,
    /// With what the loudspeaker plays.
    pub with_sound: bool,
}

/// Ends it.
#[derive(Message, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopSharing;

/// What is shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// As it was wished for.
    pub wish: StartSharing,
    /// What it is called.
    pub title: String,
}

/// Whether this client shares a screen, and which.
#[derive(Resource, Debug, Default)]
pub struct Sharing {
    opening: Option<Opening>,
    /// What was shared last from here.
    last: Option<Shared>,
    /// The engine publishes the stream that is meant for it.
    told: bool,
    /// An own stream of that kind, whoever published it.
    own: Option<StreamId>,
    /// Sharing, or not, as it will be in a moment; and how long that is believed.
    wished: Option<(bool, f32)>,
}

/// A share whose sources are being opened.
#[derive(Debug)]
struct Opening {
    shared: Shared,
    answer: Receiver<Result<Opened, CaptureError>>,
}

struct Opened {
    picture: Box<dyn VideoSource>,
    sound: Option<Box<dyn AudioSource>>,
}

impl Sharing {
    /// Whether something of this client's is on the wall, or will be in a moment.
    pub fn is_sharing(&self) -> bool {
        self.wished.map_or(self.told || self.own.is_some(), |(sharing, _)| sharing)
    }

    /// Whether something is being opened, to be shared.
    pub fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// What is shared; `None` also where that was begun elsewhere, as by the command line.
    pub fn shared(&self) -> Option<&Shared> {
        self.last.as_ref().filter(|_| self.is_sharing())
    }

    fn open(&mut self, shared: Shared, from: &ShareFrom) -> Result<(), CaptureError> {
        let (answer, answers) = bounded(1);
        let (sources, wish) = (from.0.clone(), shared.wish.clone());
        start_thread("share-open", move || {
            if answer.send(open(&*sources, &wish)).is_err() {
                debug!("another share was begun meanwhile");
            }
        })?;
        self.opening = Some(Opening { shared, answer: answers });
        Ok(())
    }
}

fn open(sources: &dyn ShareSources, wish: &StartSharing) -> Result<Opened, CaptureError> {
    let limit = VideoFormat { width: wish.preset.width, height: wish.preset.height, fps: wish.preset.fps };
    let picture = sources.open(&wish.source, limit)?;
    let sound = if wish.with_sound { Some(sources.sound()?) } else { None };
    Ok(Opened { picture, sound })
}

fn failed(error: &CaptureError) -> CallTrouble {
    CallTrouble(CallError::new(ErrorCode::CaptureFailed, format!("nothing new is shared: {error}")))
}

/// There is no wall to share on.
fn outside() -> CallTrouble {
    CallTrouble(CallError::new(ErrorCode::WrongState, "nothing is shared: enter a room first"))
}

/// The stream that carries what is shared; `None` outside of rooms.
fn stream_of(status: &RoomStatus) -> Option<StreamId> {
    let inside = status.state != RoomState::Disconnected;
    status.me.as_ref().filter(|_| inside).map(|me| StreamId::derived(&me.id, "screen"))
}

/// Begins to open what is wished for, or stops.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn hear_wishes(
    mut starts: MessageReader<StartSharing>,
    mut stops: MessageReader<StopSharing>,
    from: Res<ShareFrom>,
    offer: Res<ShareOffer>,
    status: Res<RoomStatus>,
    mut sharing: ResMut<Sharing>,
    mut outbox: ResMut<Outbox>,
    mut trouble: MessageWriter<CallTrouble>,
) {
    if stops.read().count() > 0 {
        sharing.opening = None;
        if sharing.is_sharing()
            && let Some(stream) = sharing.own.clone().or_else(|| stream_of(&status))
        {
            outbox.push(RoomCommand::StopPublishing(stream));
            sharing.wished = Some((false, PATIENCE_SECS));
        }
    }
    // Of several the last one counts.
    if let Some(wish) = starts.read().last() {
        if stream_of(&status).is_none() {
            trouble.write(outside());
            return;
        }
        let title = offer.find(&wish.source).map_or_else(|| wish.source.clone(), |info| info.title.clone());
        if let Err(error) = sharing.open(Shared { wish: wish.clone(), title }, &from) {
            trouble.write(failed(&error));
        }
    }
}

/// Publishes what was opened, or lets it feed what is published.
pub(super) fn publish_opened(
    status: Res<RoomStatus>,
    mut sharing: ResMut<Sharing>,
    mut outbox: ResMut<Outbox>,
    mut trouble: MessageWriter<CallTrouble>,
) {
    let Some(opening) = &sharing.opening else { return };
    let result = match opening.answer.try_recv() {
        Err(TryRecvError::Empty) => return,
        Ok(result) => result,
        Err(TryRecvError::Disconnected) => Err(CaptureError::Open {
            what: opening.shared.title.clone(),
            why: "the part that opens it crashed: try again".to_owned(),
        }),
    };
    let Some(Opening { shared, .. }) = sharing.opening.take() else { return };
    let opened = match result {
        Ok(opened) => opened,
        Err(error) => {
            trouble.write(failed(&error));
            return;
        }
    };
    let Some(stream) = sharing.own.clone().or_else(|| stream_of(&status)) else {
        trouble.write(outside());
        return;
    };
    let wish = &shared.wish;
    let alike = |before: &Shared| before.wish.preset == wish.preset && before.wish.with_sound == wish.with_sound;
    if sharing.shared().is_some_and(alike) {
        outbox.push(RoomCommand::SwitchVideo { stream, source: opened.picture });
    } else {
        // A stream keeps the bitrate and the tracks it began with.
        if sharing.is_sharing() {
            outbox.push(RoomCommand::StopPublishing(stream.clone()));
        }
        outbox.push(RoomCommand::PublishStream(PublishRequest {
            stream,
            kind: StreamKind::Screen,
            video: Some((opened.picture, VideoOptions::single(wish.preset.max_bitrate_bps))),
            audio: opened.sound.map(|sound| (sound, AudioOptions::PLAIN)),
            extra_info: String::new(),
            muted: StartsMuted::default(),
        }));
        sharing.wished = Some((true, PATIENCE_SECS));
    }
    sharing.last = Some(shared);
}

/// Takes in what the engine tells. Why a share ended it tells everyone who reads [`PublishStateChanged`].
pub(super) fn follow(
    time: Res<Time>,
    status: Res<RoomStatus>,
    mut changes: MessageReader<PublishStateChanged>,
    own: OwnStreams,
    mut sharing: ResMut<Sharing>,
) {
    sharing.own = own.of(StreamKind::Screen).next().map(|info| info.id.clone());
    let stream = stream_of(&status);
    for change in changes.read().filter(|change| Some(&change.stream) == stream.as_ref()) {
        sharing.told = change.state != PublishState::NoPublish;
        let settled = match sharing.wished {
            // What is published anew ends before, without trouble.
            Some((true, _)) => sharing.told || change.error.is_some(),
            Some((false, _)) => !sharing.told,
            None => false,
        };
        if settled {
            sharing.wished = None;
        }
    }
    if let Some((_, left)) = &mut sharing.wished {
        *left -= time.delta_secs();
        if *left <= 0.0 {
            sharing.wished = None;
        }
    }
    if status.state == RoomState::Disconnected {
        // What is still being opened was meant for the room that ended.
        (sharing.told, sharing.wished, sharing.opening, sharing.last) = (false, None, None, None);
    }
}
