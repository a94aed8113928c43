//! Which devices are in use now, as the engine tells it: not always those that were chosen. Main thread.

use bevy::prelude::*;

use crate::bridge::RoomEvent;
use crate::model::{MediaKind, PublishState, RoomState, StreamId, StreamInfo, StreamKind};
use crate::space::stream::OwnStreams;
use crate::space::sync::EngineEvent;

/// Words of own tracks that are kept: more than can be published.
const MOST_TOLD: usize = 16;

/// What the system calls the devices in use; `None` where there is none, or nothing was told.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicesInUse {
    /// Behind the picture of an own camera's stream.
    pub camera: Option<String>,
    /// Behind its sound.
    pub microphone: Option<String>,
    /// What plays everyone else.
    pub speaker: Option<String>,
}

/// What was told of a track's device. It may come before the stream itself is told.
pub(super) struct Told {
    stream: StreamId,
    kind: MediaKind,
    name: Option<String>,
}

/// Follows what the engine tells of devices.
pub(super) fn follow_devices(
    mut events: MessageReader<EngineEvent>,
    streams: OwnStreams,
    mut told: Local<Vec<Told>>,
    mut in_use: ResMut<DevicesInUse>,
) {
    let mut speaker = in_use.speaker.clone();
    for EngineEvent(event) in events.read() {
        match event {
            RoomEvent::DeviceChanged { stream, kind, device } => {
                told.retain(|told| told.stream != *stream || told.kind != *kind);
                if told.len() >= MOST_TOLD {
                    told.remove(0);
                }
                told.push(Told { stream: stream.clone(), kind: *kind, name: device.name.clone() });
            }
            RoomEvent::PublishStateChanged { stream, state: PublishState::NoPublish, .. } => {
                told.retain(|told| told.stream != *stream);
            }
            RoomEvent::StateChanged { state: RoomState::Disconnected, .. } => told.clear(),
            RoomEvent::SpeakerChanged(device) => speaker.clone_from(&device.name),
            _ => {}
        }
    }
    // What a shared screen sounds like comes from no microphone.
    let own: Vec<&StreamInfo> = streams.of(StreamKind::Camera).collect();
    let has = |told: &Told| {
        own.iter().filter(|info| info.id == told.stream).any(|info| info.tracks().any(|track| track.kind == told.kind))
    };
    let newest = |kind: MediaKind| {
        let found = told.iter().rev().find(|told| told.kind == kind && has(told));
        found.and_then(|told| told.name.clone())
    };
    let (camera, microphone) = (newest(MediaKind::Video), newest(MediaKind::Audio));
    in_use.set_if_neq(DevicesInUse { camera, microphone, speaker });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceState, DeviceUse, RoomStateReason, TrackInfo, TrackSid, TrackSource, UserId};
    use crate::space::devices::DevicesPlugin;
    use crate::space::participant::LocalParticipant;
    use crate::space::schedule::SchedulePlugin;
    use crate::space::stream::{PublishedBy, VideoStream};

    fn named(name: &str) -> DeviceUse {
        DeviceUse { name: Some(name.to_owned()), ..DeviceUse::default() }
    }

    fn id(name: &str) -> StreamId {
        StreamId::new(name).unwrap()
    }

    fn publish(app: &mut App, by: Entity, name: &str, kind: StreamKind) {
        let track = |kind| TrackInfo {
            sid: TrackSid::new(format!("TR_{name}_{kind:?}")).unwrap(),
            kind,
            source: TrackSource::Unknown,
            mime_type: String::new(),
            width: 0,
            height: 0,
            muted: false,
        };
        let info = StreamInfo {
            id: id(name),
            owner: UserId::new("me").unwrap(),
            kind,
            video: Some(track(MediaKind::Video)),
            audio: Some(track(MediaKind::Audio)),
            video_state: DeviceState::On,
            audio_state: DeviceState::On,
            extra_info: String::new(),
            wall_slot: None,
        };
        app.world_mut().spawn((VideoStream { info }, PublishedBy(by)));
    }

    fn after(app: &mut App, events: impl IntoIterator<Item = RoomEvent>) -> [Option<String>; 3] {
        for event in events {
            app.world_mut().write_message(EngineEvent(event));
        }
        app.update();
        let DevicesInUse { camera, microphone, speaker } = app.world().resource::<DevicesInUse>().clone();
        [camera, microphone, speaker]
    }

    #[test]
    fn the_devices_of_own_cameras_and_the_loudspeaker_are_shown() {
        let mut app = App::new();
        app.init_resource::<Time>().add_plugins((SchedulePlugin, DevicesPlugin));
        let me = app.world_mut().spawn(LocalParticipant).id();
        let changed =
            |stream: &str, kind, device| RoomEvent::DeviceChanged { stream: id(stream), kind, device: named(device) };
        // The engine's word on a device may come before the stream.
        let first = [
            changed("face", MediaKind::Video, "Front"),
            changed("face", MediaKind::Audio, "Headset"),
            changed("page", MediaKind::Audio, "Monitor of Hall"),
            RoomEvent::SpeakerChanged(named("Hall")),
        ];
        let hall = Some("Hall".to_owned());
        assert_eq!(after(&mut app, first), [None, None, hall.clone()]);
        publish(&mut app, me, "face", StreamKind::Camera);
        publish(&mut app, me, "page", StreamKind::Screen);
        assert_eq!(after(&mut app, []), [Some("Front".to_owned()), Some("Headset".to_owned()), hall.clone()]);
        let other = [changed("face", MediaKind::Video, "Back")];
        assert_eq!(after(&mut app, other), [Some("Back".to_owned()), Some("Headset".to_owned()), hall.clone()]);
        let gone =
            RoomEvent::DeviceChanged { stream: id("face"), kind: MediaKind::Video, device: DeviceUse::default() };
        assert_eq!(after(&mut app, [gone])[0], None, "no camera gives anything");
        let left = RoomEvent::StateChanged {
            state: RoomState::Disconnected,
            reason: RoomStateReason::LoggedOut,
            error: None,
            me: None,
        };
        assert_eq!(after(&mut app, [left]), [None, None, hall], "what plays is there between calls, too");
    }
}
