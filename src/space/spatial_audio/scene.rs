//! From the room's entities to the scene the playout thread reads: put together when something changed enough to be
//! heard. Main thread, [`SpaceSystems::Send`](crate::space::SpaceSystems::Send).

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;

use super::{HearToAll, SoundMode, SpeaksToAll, Volume};
use crate::model::StreamKind;
use crate::model::sound::{Hearing, Listener, SoundScene, VoicePlace};
use crate::space::stream::{PublishedBy, SoundPlace, VideoStream};
use crate::space::sync::EngineBridge;
use crate::space::view::RoomCamera;

/// What no ear notices of the head's movements: half a degree, and two centimetres.
const SMALL_RAD: f32 = 0.009;
const SMALL_M: f32 = 0.02;

type StreamChanged = Or<(Changed<VideoStream>, Changed<SoundPlace>, Changed<PublishedBy>)>;
type PersonChanged = Or<(Changed<Volume>, Added<SpeaksToAll>)>;

/// Whether something but the head is other than it was.
#[derive(SystemParam)]
pub(super) struct Changes<'w, 's> {
    streams: Query<'w, 's, (), StreamChanged>,
    people: Query<'w, 's, (), PersonChanged>,
    gone: RemovedComponents<'w, 's, VideoStream>,
    placeless: RemovedComponents<'w, 's, SoundPlace>,
    plain: RemovedComponents<'w, 's, Volume>,
    seated: RemovedComponents<'w, 's, SpeaksToAll>,
}

impl Changes<'_, '_> {
    fn any(&mut self) -> bool {
        // Each list is read to its end, or it would be news again in the next frame.
        let removed = [
            self.gone.read().count(),
            self.placeless.read().count(),
            self.plain.read().count(),
            self.seated.read().count(),
        ];
        !self.streams.is_empty() || !self.people.is_empty() || removed.iter().any(|count| *count > 0)
    }
}

/// What was chosen here.
#[derive(SystemParam)]
pub(super) struct Wishes<'w> {
    mode: Res<'w, SoundMode>,
    to_all: Res<'w, HearToAll>,
}

type Stream = (&'static VideoStream, Option<&'static SoundPlace>, Option<&'static PublishedBy>);

/// Publishes the scene.
pub(super) fn tell_scene(
    bridge: Res<EngineBridge>,
    wishes: Wishes,
    mut changes: Changes,
    heads: Query<&Transform, With<RoomCamera>>,
    streams: Query<Stream>,
    people: Query<(Option<&Volume>, Has<SpeaksToAll>)>,
    mut told: Local<Option<Transform>>,
) {
    let changed = changes.any() | wishes.mode.is_changed() | wishes.to_all.is_changed() | bridge.is_added();
    let head = heads.iter().next().copied().unwrap_or_default();
    if !changed && told.is_some_and(|told| is_near(&told, &head)) {
        return;
    }
    *told = Some(head);
    let voices = streams.iter().map(|(stream, place, by)| {
        let (volume, everywhere) = by.and_then(|by| people.get(by.0).ok()).unwrap_or_default();
        let everywhere = everywhere && wishes.to_all.0 && stream.info.kind == StreamKind::Camera;
        let from = place.filter(|_| !everywhere).map(|place| place.0.to_array());
        (stream.info.id.clone(), VoicePlace { from, volume: volume.copied().unwrap_or_default().0 })
    });
    bridge.0.publish_sound(SoundScene {
        hearing: Hearing::from(*wishes.mode),
        listener: Listener {
            position: head.translation.to_array(),
            forward: head.forward().to_array(),
            up: head.up().to_array(),
        },
        voices: voices.collect(),
    });
}

fn is_near(told: &Transform, head: &Transform) -> bool {
    told.translation.distance_squared(head.translation) < SMALL_M * SMALL_M
        && told.rotation.angle_between(head.rotation) < SMALL_RAD
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
