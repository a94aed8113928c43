//! From the engine's latest-value figures and the streams' tracks to markers on participants: who speaks, who is
//! muted, whose camera is off, whose connection is poor. Runs after the events of the frame were applied.

use bevy::prelude::*;

use super::{EngineBridge, RoomFigures};
use crate::model::{StreamKind, TrackInfo};
use crate::space::participant::{CameraOff, Connection, Muted, Participant, Speaking, VoiceLevel};
use crate::space::stream::{Publishes, VideoStream};

/// Level (root mean square, 0..=1) above which someone counts as speaking.
const SPEAKING_ABOVE: f32 = 0.02;
/// Level below which they have stopped; lower, so that the ring does not flicker between syllables.
const SILENT_BELOW: f32 = 0.008;
/// How fast the shown level rises and falls, per second.
const RISE_PER_SEC: f32 = 18.0;
const FALL_PER_SEC: f32 = 4.0;

/// Takes the newest snapshot: a pointer copy.
pub(super) fn read_figures(bridge: Res<EngineBridge>, mut figures: ResMut<RoomFigures>) {
    figures.0 = bridge.0.snapshot();
}

type Voice = (Entity, &'static Participant, &'static mut VoiceLevel, Has<Speaking>, Has<Muted>);
type States = (Entity, Option<&'static Publishes>, Has<Muted>, Has<CameraOff>);

/// Smooths levels and sets [`Speaking`].
pub(super) fn mark_speaking(
    mut commands: Commands,
    time: Res<Time>,
    figures: Res<RoomFigures>,
    mut people: Query<Voice>,
) {
    let dt = time.delta_secs().min(0.25);
    for (entity, participant, mut level, speaking, muted) in &mut people {
        let told = figures.0.levels.get(&participant.user).copied().unwrap_or(0.0);
        let target = if muted || !told.is_finite() { 0.0 } else { told.clamp(0.0, 1.0) };
        let rate = if target > level.0 { RISE_PER_SEC } else { FALL_PER_SEC };
        let next = level.0 + (target - level.0) * (1.0 - (-rate * dt).exp());
        if (next - level.0).abs() > 1e-4 {
            level.0 = next;
        }
        if !speaking && level.0 > SPEAKING_ABOVE {
            commands.entity(entity).insert(Speaking);
        } else if speaking && level.0 < SILENT_BELOW {
            commands.entity(entity).remove::<Speaking>();
        }
    }
}

/// Sets [`Connection`] from what the server says of everyone.
pub(super) fn mark_connections(
    mut commands: Commands,
    figures: Res<RoomFigures>,
    people: Query<(Entity, &Participant, Option<&Connection>)>,
) {
    for (entity, participant, old) in &people {
        let told = figures.0.network.get(&participant.user).copied().map(Connection);
        match (told, old) {
            (Some(told), old) if old != Some(&told) => {
                commands.entity(entity).insert(told);
            }
            (None, Some(_)) => {
                commands.entity(entity).remove::<Connection>();
            }
            _ => {}
        }
    }
}

/// Sets [`Muted`] and [`CameraOff`] from the tracks of the camera streams.
pub(super) fn mark_states(
    mut commands: Commands,
    people: Query<States, With<Participant>>,
    streams: Query<&VideoStream>,
) {
    let live = |track: Option<&TrackInfo>| track.is_some_and(|track| !track.muted);
    for (entity, publishes, muted, camera_off) in &people {
        let own = || publishes.into_iter().flat_map(|list| list.iter()).filter_map(|stream| streams.get(stream).ok());
        let camera = || own().filter(|stream| stream.info.kind == StreamKind::Camera);
        let speaks = camera().any(|stream| live(stream.info.audio.as_ref()));
        let shows = camera().any(|stream| live(stream.info.video.as_ref()));
        match (speaks, muted) {
            (false, false) => {
                commands.entity(entity).insert(Muted);
            }
            (true, true) => {
                commands.entity(entity).remove::<Muted>();
            }
            _ => {}
        }
        match (shows, camera_off) {
            (false, false) => {
                commands.entity(entity).insert(CameraOff);
            }
            (true, true) => {
                commands.entity(entity).remove::<CameraOff>();
            }
            _ => {}
        }
    }
}
