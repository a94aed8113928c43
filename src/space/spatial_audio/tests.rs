//! The scene that a room of entities comes to, as the engine would read it.

use std::collections::BTreeMap;

use super::*;
use crate::bridge::{EnginePort, engine_channels};
use crate::model::sound::{VOICE_ATTRIBUTE, VOICE_TO_ALL};
use crate::model::{DeviceState, StreamId, StreamInfo, UserId, UserInfo};
use crate::space::ViewMode;
use crate::space::participant::Participant;
use crate::space::schedule::SchedulePlugin;
use crate::space::spatial_audio::SpatialAudioPlugin;
use crate::space::sync::{UserCame, UserChanged};

struct Room {
    app: App,
    port: EnginePort,
}

impl Room {
    fn new() -> Self {
        let (handle, port) = engine_channels();
        let mut app = App::new();
        app.add_plugins((SchedulePlugin, SpatialAudioPlugin)).insert_resource(EngineBridge(handle));
        app.world_mut().spawn((RoomCamera, Transform::from_xyz(0.0, 1.7, 8.0)));
        Self { app, port }
    }

    fn user(id: &str, attributes: &[(&str, &str)]) -> UserInfo {
        UserInfo {
            id: UserId::new(id).unwrap(),
            name: id.to_owned(),
            sid: String::new(),
            joined_at_ms: 0,
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            metadata: String::new(),
        }
    }

    fn person(&mut self, id: &str) -> Entity {
        self.app.world_mut().spawn(Participant::from(&Self::user(id, &[]))).id()
    }

    fn stream(&mut self, by: Entity, id: &str, kind: StreamKind, place: Option<Vec3>) -> Entity {
        let info = StreamInfo {
            id: StreamId::new(id).unwrap(),
            owner: UserId::new("someone").unwrap(),
            kind,
            video: None,
            audio: None,
            video_state: DeviceState::On,
            audio_state: DeviceState::On,
            extra_info: String::new(),
            wall_slot: None,
        };
        let stream = self.app.world_mut().spawn((VideoStream { info }, PublishedBy(by))).id();
        if let Some(place) = place {
            self.app.world_mut().entity_mut(stream).insert(SoundPlace(place));
        }
        stream
    }

    fn scene(&mut self) -> SoundScene {
        self.app.update();
        self.port.sound.load()
    }

    fn voices(&mut self) -> BTreeMap<String, (Option<[f32; 3]>, f32)> {
        let scene = self.scene();
        scene.voices.iter().map(|(id, voice)| (id.to_string(), (voice.from, voice.volume))).collect()
    }

    fn head(&mut self) -> Mut<'_, Transform> {
        let world = self.app.world_mut();
        let mut heads = world.query_filtered::<&mut Transform, With<RoomCamera>>();
        heads.single_mut(world).unwrap()
    }
}

#[test]
fn streams_sound_from_their_places_as_loud_as_their_owners_are_set() {
    let mut room = Room::new();
    let (ada, noor) = (room.person("ada"), room.person("noor"));
    room.stream(ada, "face", StreamKind::Camera, Some(Vec3::new(-3.0, 1.5, 0.0)));
    room.stream(ada, "page", StreamKind::Screen, Some(Vec3::new(0.0, 6.0, -9.0)));
    room.stream(noor, "unseen", StreamKind::Camera, None);
    room.app.world_mut().entity_mut(ada).insert(Volume(0.5));
    let scene = room.scene();
    assert_eq!(scene.hearing, Hearing::Spatial);
    assert_eq!(scene.listener.position, [0.0, 1.7, 8.0]);
    assert_eq!(scene.listener.forward, [0.0, 0.0, -1.0]);
    let voices = room.voices();
    assert_eq!(voices["face"], (Some([-3.0, 1.5, 0.0]), 0.5));
    assert_eq!(voices["page"], (Some([0.0, 6.0, -9.0]), 0.5));
    assert_eq!(voices["unseen"], (None, 1.0));

    room.app.world_mut().entity_mut(ada).insert(Volume(f32::NAN));
    room.app.world_mut().entity_mut(noor).insert(Volume(9.0));
    let voices = room.voices();
    assert_eq!((voices["face"].1, voices["unseen"].1), (1.0, 2.0));
    room.app.world_mut().entity_mut(noor).remove::<Volume>();
    assert_eq!(room.voices()["unseen"].1, 1.0);
}

#[test]
fn only_what_is_heard_is_told() {
    let mut room = Room::new();
    let ada = room.person("ada");
    let face = room.stream(ada, "face", StreamKind::Camera, Some(Vec3::X));
    room.scene();
    // Whatever is told next shows over this.
    let untouched = SoundScene::default();
    room.port.sound.publish(untouched.clone());
    room.head().translation.x += 0.005;
    assert_eq!(room.scene(), untouched.clone().made_harmless(), "nobody hears half a centimetre");
    room.head().translation.x += 1.0;
    assert_eq!(room.scene().listener.position[0], 1.005);
    room.head().rotate_y(0.5);
    assert!(room.scene().listener.forward[0] < -0.4);
    room.port.sound.publish(untouched);
    room.app.world_mut().entity_mut(face).insert(SoundPlace(Vec3::Z));
    assert_eq!(room.voices()["face"].0, Some([0.0, 0.0, 1.0]));
    room.app.world_mut().entity_mut(face).despawn();
    assert!(room.voices().is_empty());
}

#[test]
fn mono_is_a_choice_and_a_flat_view_is_none() {
    let mut room = Room::new();
    room.app.insert_resource(ViewMode::Grid);
    let ada = room.person("ada");
    room.stream(ada, "face", StreamKind::Camera, Some(Vec3::X));
    let scene = room.scene();
    assert_eq!(scene.hearing, Hearing::Spatial);
    assert_eq!(scene.voices.values().next().unwrap().from, Some([1.0, 0.0, 0.0]), "people stay where they are");
    room.app.insert_resource(SoundMode::Mono);
    assert_eq!(room.scene().hearing, Hearing::Plain);
}

#[test]
fn who_speaks_to_all_is_heard_everywhere_unless_that_is_not_wanted() {
    let mut room = Room::new();
    let host = room.person("host");
    room.stream(host, "voice", StreamKind::Camera, Some(Vec3::X));
    room.stream(host, "page", StreamKind::Screen, Some(Vec3::Y));
    let to_all = Room::user("host", &[(VOICE_ATTRIBUTE, VOICE_TO_ALL)]);
    room.app.world_mut().write_message(UserCame { entity: host, user: to_all.clone() });
    room.app.update();
    let voices = room.voices();
    assert_eq!(voices["voice"].0, None);
    assert_eq!(voices["page"].0, Some([0.0, 1.0, 0.0]), "the page stays on the wall");

    room.app.insert_resource(HearToAll(false));
    assert_eq!(room.voices()["voice"].0, Some([1.0, 0.0, 0.0]));
    room.app.insert_resource(HearToAll(true));
    assert_eq!(room.voices()["voice"].0, None);
    let seated = Room::user("host", &[(VOICE_ATTRIBUTE, "room")]);
    room.app.world_mut().write_message(UserChanged { entity: host, user: seated });
    room.app.update();
    assert_eq!(room.voices()["voice"].0, Some([1.0, 0.0, 0.0]));

    // Word of somebody who is gone again.
    room.app.world_mut().write_message(UserChanged { entity: host, user: to_all });
    room.app.world_mut().entity_mut(host).despawn();
    room.app.update();
}
