//! From the board to [`Standing`]: everyone who stands is moved every frame, and sits when they say so.

use std::time::Instant;

use bevy::prelude::*;

use super::apart::spread;
use super::track::{Spot, Track};
use crate::bridge::ToldPose;
use crate::model::{Pose, UserId};
use crate::space::geometry::WALK_RADIUS;
use crate::space::participant::{LocalParticipant, Participant, Standing};
use crate::space::sync::EngineBridge;
use crate::space::view::RoomCamera;

/// The way of somebody who stands.
#[derive(Component, Debug, Default)]
pub(super) struct Walk {
    track: Track,
    /// The newest packet that is part of it.
    newest: Option<Instant>,
}

type Someone = (Entity, &'static Participant, Option<&'static mut Walk>, Option<&'static Standing>);

/// Moves everyone who stands. Who is not drawn, or not here, is not looked at.
pub(super) fn follow_poses(
    mut commands: Commands,
    bridge: Res<EngineBridge>,
    mut people: Query<Someone, Without<LocalParticipant>>,
    viewer: Query<&Transform, With<RoomCamera>>,
    mut began: Local<Option<Instant>>,
) {
    let began = *began.get_or_insert_with(Instant::now);
    let secs = |at: Instant| at.saturating_duration_since(began).as_secs_f64();
    let now = began.elapsed().as_secs_f64();
    let mut standing: Vec<(UserId, Entity, Spot, Option<Standing>)> = Vec::new();
    bridge.0.poses().look(|told| {
        for (entity, participant, walk, shown) in &mut people {
            match told.get(&participant.user) {
                Some(ToldPose { pose: Pose::Standing(stand), sent_ms, heard }) => {
                    let spot = Spot {
                        ground: Vec2::new(stand.x_m(), stand.z_m()).clamp_length_max(WALK_RADIUS),
                        yaw: stand.yaw_rad(),
                    };
                    let at = match walk {
                        Some(mut walk) => {
                            if walk.newest != Some(*heard) {
                                walk.newest = Some(*heard);
                                walk.track.push(*sent_ms, secs(*heard), spot);
                            }
                            walk.track.at(now)
                        }
                        None => {
                            let mut walk = Walk { newest: Some(*heard), ..Walk::default() };
                            walk.track.push(*sent_ms, secs(*heard), spot);
                            commands.entity(entity).insert(walk);
                            spot
                        }
                    };
                    standing.push((participant.user.clone(), entity, at, shown.copied()));
                }
                Some(ToldPose { pose: Pose::Seated, .. }) | None => {
                    if walk.is_some() || shown.is_some() {
                        commands.entity(entity).remove::<(Walk, Standing)>();
                    }
                }
            }
        }
    });
    if standing.is_empty() {
        return;
    }
    // In one order on every client, and in every frame.
    standing.sort_by(|a, b| a.0.cmp(&b.0));
    let mut places: Vec<Vec2> = standing.iter().map(|(_, _, spot, _)| spot.ground).collect();
    spread(&mut places, viewer.iter().next().map(|transform| transform.translation.xz()));
    for ((_, entity, spot, shown), ground) in standing.into_iter().zip(places) {
        let next = Standing { ground, yaw: spot.yaw };
        if shown != Some(next) {
            commands.entity(entity).insert(next);
        }
    }
}
