//! The sound of a shared screen comes from where it hangs. Main thread,
//! [`SpaceSystems::Sync`](crate::space::SpaceSystems::Sync).

use bevy::prelude::*;

use super::WallSlot;
use crate::space::stream::{SoundPlace, VideoFace, VideoStream};

/// Gives what hangs in a slot the slot's place.
pub(super) fn place_shares(
    mut commands: Commands,
    slots: Query<(&VideoFace, &Transform), With<WallSlot>>,
    places: Query<Option<&SoundPlace>, With<VideoStream>>,
) {
    for (face, slot) in &slots {
        let Some(stream) = face.stream else { continue };
        let place = SoundPlace(slot.translation);
        if places.get(stream).is_ok_and(|before| before != Some(&place)) {
            commands.entity(stream).try_insert(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceState, StreamId, StreamInfo, StreamKind, UserId};

    #[test]
    fn a_share_sounds_from_its_slot_and_follows_it() {
        let mut app = App::new();
        app.add_systems(Update, place_shares);
        let info = StreamInfo {
            id: StreamId::new("page").unwrap(),
            owner: UserId::new("ada").unwrap(),
            kind: StreamKind::Screen,
            video: None,
            audio: None,
            video_state: DeviceState::On,
            audio_state: DeviceState::On,
            extra_info: String::new(),
            wall_slot: None,
        };
        let stream = app.world_mut().spawn(VideoStream { info }).id();
        let face = VideoFace { stream: Some(stream) };
        let slot = app.world_mut().spawn((WallSlot(0), face, Transform::from_xyz(0.0, 6.0, -9.0))).id();
        app.update();
        assert_eq!(app.world().get::<SoundPlace>(stream), Some(&SoundPlace(Vec3::new(0.0, 6.0, -9.0))));
        app.world_mut().entity_mut(slot).insert(Transform::from_xyz(5.0, 6.0, -7.0));
        app.update();
        assert_eq!(app.world().get::<SoundPlace>(stream), Some(&SoundPlace(Vec3::new(5.0, 6.0, -7.0))));
    }
}
