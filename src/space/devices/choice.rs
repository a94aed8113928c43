//! Which devices were chosen, and what comes of another choice in a call. Main thread; nothing is opened here.

use bevy::prelude::*;

use super::OwnSources;
use crate::bridge::RoomCommand;
use crate::media::VideoFormat;
use crate::media::audio::AudioOutput;
use crate::model::{StreamKind, VideoPreset};
use crate::space::stream::OwnStreams;
use crate::space::sync::{EngineBridge, Outbox};

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// What takes the own picture.
    Camera,
    /// What takes the own voice.
    Microphone,
    /// What plays everyone else's.
    Speaker,
}

/// The devices that were chosen, by their ids; `None` is the system's default one, whichever that is at the time.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChoice {
    /// The camera.
    pub camera: Option<String>,
    /// The microphone, or the monitor of a loudspeaker.
    pub microphone: Option<String>,
    /// The loudspeaker.
    pub speaker: Option<String>,
}

impl DeviceChoice {
    /// The choice of a kind.
    pub fn of(&self, kind: DeviceKind) -> Option<&str> {
        match kind {
            DeviceKind::Camera => self.camera.as_deref(),
            DeviceKind::Microphone => self.microphone.as_deref(),
            DeviceKind::Speaker => self.speaker.as_deref(),
        }
    }

    /// Where sound is to go by it.
    pub fn output(&self) -> AudioOutput {
        self.speaker.clone().map_or(AudioOutput::Device, AudioOutput::Named)
    }

    fn set(&mut self, kind: DeviceKind, id: Option<String>) {
        match kind {
            DeviceKind::Camera => self.camera = id,
            DeviceKind::Microphone => self.microphone = id,
            DeviceKind::Speaker => self.speaker = id,
        }
    }
}

/// Chooses a device: in a call for all own cameras, their voices, or for what is heard. What was chosen and is missing is
/// waited for, and the default one stands in ([`super::DevicesInUse`]). The same choice again opens it again.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct ChooseDevice {
    /// Which kind.
    pub kind: DeviceKind,
    /// Its id; `None` for the system's default one.
    pub id: Option<String>,
}

/// How large and how often pictures of a camera are taken from the next choice on. How many bits they may take was said
/// when the stream was published, and stays.
#[derive(Resource, Clone, Copy, Debug, PartialEq)]
pub struct CameraQuality(pub VideoPreset);

impl Default for CameraQuality {
    fn default() -> Self {
        Self(VideoPreset::CAMERA_STANDARD)
    }
}

impl CameraQuality {
    /// What is asked of the camera.
    pub fn format(self) -> VideoFormat {
        let VideoPreset { width, height, fps, .. } = self.0;
        VideoFormat { width, height, fps }
    }
}

/// Carries out choices. Before [`crate::space::SpaceSystems::Send`], where beauty takes cameras that are switched to
/// through its passes.
pub(super) fn choose_devices(
    mut wishes: MessageReader<ChooseDevice>,
    engine: Option<Res<EngineBridge>>,
    (quality, sources): (Res<CameraQuality>, Res<OwnSources>),
    own: OwnStreams,
    mut choice: ResMut<DeviceChoice>,
    mut outbox: ResMut<Outbox>,
) {
    for ChooseDevice { kind, id } in wishes.read() {
        choice.set(*kind, id.clone());
        // Without an engine there is nothing to switch, and commands would wait for one.
        if engine.is_none() {
            continue;
        }
        let cameras = own.of(StreamKind::Camera);
        match kind {
            DeviceKind::Camera => {
                for info in cameras.filter(|info| info.video.is_some()) {
                    let source = sources.camera(id.as_deref(), quality.format());
                    outbox.push(RoomCommand::SwitchVideo { stream: info.id.clone(), source });
                }
            }
            DeviceKind::Microphone => {
                for info in cameras.filter(|info| info.audio.is_some()) {
                    let source = sources.microphone(id.as_deref());
                    outbox.push(RoomCommand::SwitchAudio { stream: info.id.clone(), source });
                }
            }
            DeviceKind::Speaker => {
                outbox.push(RoomCommand::SwitchSpeaker(choice.output()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{EnginePort, engine_channels};
    use crate::model::{DeviceState, MediaKind, StreamId, StreamInfo, TrackInfo, TrackSid, TrackSource, UserId};
    use crate::space::devices::DevicesPlugin;
    use crate::space::participant::LocalParticipant;
    use crate::space::schedule::SchedulePlugin;
    use crate::space::stream::{PublishedBy, VideoStream};

    fn room() -> (App, EnginePort) {
        let (handle, port) = engine_channels();
        let mut app = App::new();
        app.init_resource::<Time>().add_plugins((SchedulePlugin, DevicesPlugin)).insert_resource(EngineBridge(handle));
        (app, port)
    }

    fn publish(app: &mut App, by: Entity, id: &str, kind: StreamKind, tracks: &[MediaKind]) {
        let track = |kind| {
            tracks.contains(&kind).then(|| TrackInfo {
                sid: TrackSid::new(format!("TR_{id}")).unwrap(),
                kind,
                source: TrackSource::Unknown,
                mime_type: String::new(),
                width: 0,
                height: 0,
                muted: false,
            })
        };
        let info = StreamInfo {
            id: StreamId::new(id).unwrap(),
            owner: UserId::new("someone").unwrap(),
            kind,
            video: track(MediaKind::Video),
            audio: track(MediaKind::Audio),
            video_state: DeviceState::On,
            audio_state: DeviceState::On,
            extra_info: String::new(),
            wall_slot: None,
        };
        app.world_mut().spawn((VideoStream { info }, PublishedBy(by)));
    }

    /// What is asked of the engine after a choice, in words.
    fn asked(app: &mut App, kind: DeviceKind, id: Option<&str>) -> Vec<String> {
        app.world_mut().write_message(ChooseDevice { kind, id: id.map(str::to_owned) });
        app.update();
        let mut asked = Vec::new();
        let mut outbox = std::mem::take(&mut *app.world_mut().resource_mut::<Outbox>());
        outbox.for_each(|command| {
            asked.push(match command {
                RoomCommand::SwitchVideo { stream, source } => {
                    let VideoFormat { width, height, fps } = source.format();
                    format!("{stream} {width}x{height}@{fps}")
                }
                RoomCommand::SwitchAudio { stream, .. } => format!("{stream} sound"),
                RoomCommand::SwitchSpeaker(output) => format!("{output:?}"),
                other => format!("{other:?}"),
            });
        });
        asked
    }

    #[test]
    fn a_choice_in_a_call_switches_what_own_cameras_have() {
        let (mut app, _port) = room();
        let me = app.world_mut().spawn(LocalParticipant).id();
        let other = app.world_mut().spawn_empty().id();
        let both = [MediaKind::Video, MediaKind::Audio];
        publish(&mut app, me, "face", StreamKind::Camera, &both);
        publish(&mut app, me, "voice", StreamKind::Camera, &[MediaKind::Audio]);
        publish(&mut app, me, "page", StreamKind::Screen, &both);
        publish(&mut app, other, "theirs", StreamKind::Camera, &both);
        assert_eq!(asked(&mut app, DeviceKind::Camera, Some("usb-1")), ["face 640x480@15"]);
        app.insert_resource(CameraQuality(VideoPreset::CAMERA_HIGH));
        assert_eq!(asked(&mut app, DeviceKind::Camera, None), ["face 1280x720@20"]);
        let mut sounds = asked(&mut app, DeviceKind::Microphone, Some("pulse:headset"));
        sounds.sort();
        assert_eq!(sounds, ["face sound", "voice sound"]);
        assert_eq!(asked(&mut app, DeviceKind::Speaker, Some("pulse:hall")), ["Named(\"pulse:hall\")"]);
        assert_eq!(asked(&mut app, DeviceKind::Speaker, None), ["Device"]);
        let choice = app.world().resource::<DeviceChoice>();
        let chosen = DeviceChoice { microphone: Some("pulse:headset".to_owned()), ..DeviceChoice::default() };
        assert_eq!(*choice, chosen);
    }

    #[test]
    fn a_choice_outside_of_a_call_is_kept_for_the_next() {
        let (mut app, _port) = room();
        assert!(asked(&mut app, DeviceKind::Camera, Some("usb-1")).is_empty(), "nothing is published");
        app.world_mut().remove_resource::<EngineBridge>();
        assert!(asked(&mut app, DeviceKind::Speaker, Some("pulse:hall")).is_empty(), "nobody takes it");
        let choice = app.world().resource::<DeviceChoice>();
        assert_eq!((choice.of(DeviceKind::Camera), choice.of(DeviceKind::Microphone)), (Some("usb-1"), None));
        assert_eq!(choice.output(), AudioOutput::Named("pulse:hall".to_owned()));
    }
}
