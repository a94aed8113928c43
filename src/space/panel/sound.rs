//! Where people are heard from: their panel in the hall, or their mouth where they stand. Main thread,
//! [`SpaceSystems::Sync`](crate::space::SpaceSystems::Sync).

use bevy::prelude::*;

use crate::model::StreamKind;
use crate::space::geometry::floor_height;
use crate::space::participant::{Presenting, Seat, Standing};
use crate::space::stream::{Publishes, SoundPlace, VideoStream};

/// Height of the mouth of somebody who stands, above the floor.
const MOUTH_M: f32 = 1.5;
/// Smaller movements are not heard, in metres.
const SMALL_M: f32 = 0.02;

/// Gives every camera stream its owner's place.
pub(super) fn place_voices(
    mut commands: Commands,
    people: Query<(&Seat, Option<&Standing>, Option<&Presenting>, &Publishes)>,
    streams: Query<(&VideoStream, Option<&SoundPlace>)>,
) {
    for (seat, standing, presenting, publishes) in &people {
        let mouth = mouth(seat, standing, presenting);
        for entity in publishes.iter() {
            let Ok((stream, place)) = streams.get(entity) else { continue };
            let there = place.is_some_and(|place| place.0.distance_squared(mouth) < SMALL_M * SMALL_M);
            if stream.info.kind == StreamKind::Camera && !there {
                commands.entity(entity).try_insert(SoundPlace(mouth));
            }
        }
    }
}

fn mouth(seat: &Seat, standing: Option<&Standing>, presenting: Option<&Presenting>) -> Vec3 {
    // Whoever presents is seen beside the wall, wherever they walk meanwhile.
    if let Some(presenting) = presenting {
        return seat.beside_wall(presenting.0).panel;
    }
    standing.map_or(seat.panel, |standing| {
        let floor = floor_height(standing.ground.length());
        Vec3::new(standing.ground.x, floor + MOUTH_M, standing.ground.y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceState, StreamId, StreamInfo, UserId};
    use crate::space::participant::seat_plan;
    use crate::space::stream::PublishedBy;

    fn stream(id: &str, kind: StreamKind) -> VideoStream {
        let info = StreamInfo {
            id: StreamId::new(id).unwrap(),
            owner: UserId::new("ada").unwrap(),
            kind,
            video: None,
            audio: None,
            video_state: DeviceState::On,
            audio_state: DeviceState::On,
            extra_info: String::new(),
            wall_slot: None,
        };
        VideoStream { info }
    }

    #[test]
    fn a_voice_comes_from_the_panel_or_from_where_somebody_stands() {
        let mut app = App::new();
        app.add_systems(Update, place_voices);
        let seat = seat_plan(3).seats[1];
        let ada = app.world_mut().spawn(seat).id();
        let face = app.world_mut().spawn((stream("face", StreamKind::Camera), PublishedBy(ada))).id();
        let page = app.world_mut().spawn((stream("page", StreamKind::Screen), PublishedBy(ada))).id();
        app.update();
        assert_eq!(app.world().get::<SoundPlace>(face), Some(&SoundPlace(seat.panel)));
        assert_eq!(app.world().get::<SoundPlace>(page), None, "a screen hangs elsewhere");

        app.world_mut().entity_mut(ada).insert(Standing { ground: Vec2::new(2.0, -9.0), yaw: 0.0 });
        app.update();
        let at = app.world().get::<SoundPlace>(face).unwrap().0;
        assert_eq!((at.x, at.z), (2.0, -9.0));
        assert!((at.y - (0.68 + MOUTH_M)).abs() < 1e-3, "on the upper step: {at}");
        app.world_mut().entity_mut(ada).insert(Presenting(1));
        app.update();
        let at = app.world().get::<SoundPlace>(face).unwrap().0;
        assert!(at.x > 3.0 && at.z < -5.0, "beside the wall: {at}");
        app.world_mut().entity_mut(ada).remove::<(Standing, Presenting)>();
        app.update();
        assert_eq!(app.world().get::<SoundPlace>(face), Some(&SoundPlace(seat.panel)), "and seated again");
    }
}
