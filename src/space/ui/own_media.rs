//! What this client sends: whether there is a microphone and a camera, and whether they are muted. Follows the own
//! streams; a wish shows at once and gives way to what the engine tells. While the microphone is muted, the space bar
//! opens it for as long as it is held.

use bevy::prelude::*;

use super::Keys;
use crate::bridge::RoomCommand;
use crate::model::{MediaKind, StreamInfo, StreamKind, TrackInfo};
use crate::space::stream::OwnStreams;
use crate::space::sync::Outbox;

/// A wish the engine has not confirmed is shown this long.
const PATIENCE_SECS: f32 = 2.0;

/// One of the two things that can be muted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sending {
    /// Nothing of the kind is published.
    #[default]
    Absent,
    /// The others get it.
    Live,
    /// Muted.
    Muted,
}

/// The state the bar shows.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
pub struct OwnMedia {
    /// The microphone.
    pub microphone: Sending,
    /// The camera.
    pub camera: Sending,
    /// The space bar is held to be heard.
    pub talking: bool,
    /// The microphone is muted because a host wished it.
    pub hushed: bool,
    wished: [Option<(bool, f32)>; 2],
}

/// Asks for muting or unmuting: by key, by button, by a plugin.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToggleMuted(pub MediaKind);

/// The microphone is to be muted, whatever it seems to be: what was asked before may still be on its way.
#[derive(Message, Clone, Copy, Debug)]
pub(super) struct Hush;

/// Somebody else muted the own microphone: a host.
#[derive(Message, Clone, Copy, Debug)]
pub(super) struct MutedByHost;

fn slot(kind: MediaKind) -> usize {
    usize::from(kind == MediaKind::Video)
}

/// `M` and `V`, unless something is being typed.
pub(super) fn read_keys(keys: Keys, mut toggle: MessageWriter<ToggleMuted>) {
    for (key, kind) in [(KeyCode::KeyM, MediaKind::Audio), (KeyCode::KeyV, MediaKind::Video)] {
        if keys.just(key) {
            toggle.write(ToggleMuted(kind));
        }
    }
}

/// The space bar, unless something is being typed. A window that is left lets go of every key.
pub(super) fn push_to_talk(
    keys: Keys,
    mut own: ResMut<OwnMedia>,
    mut toggle: MessageWriter<ToggleMuted>,
    mut hush: MessageWriter<Hush>,
) {
    let microphone = ToggleMuted(MediaKind::Audio);
    if keys.just(KeyCode::Space) && own.microphone == Sending::Muted {
        own.talking = true;
        toggle.write(microphone);
    } else if own.talking && !keys.held(KeyCode::Space) {
        own.talking = false;
        hush.write(Hush);
    }
}

/// Reads the own streams and carries out wishes.
pub(super) fn follow_own_streams(
    time: Res<Time>,
    streams: OwnStreams,
    (mut toggles, mut hushes): (MessageReader<ToggleMuted>, MessageReader<Hush>),
    mut own: ResMut<OwnMedia>,
    mut outbox: ResMut<Outbox>,
    mut muted_by_host: MessageWriter<MutedByHost>,
    mut wished_ago_secs: Local<f32>,
) {
    let cameras: Vec<&StreamInfo> = streams.of(StreamKind::Camera).collect();
    fn track(stream: &StreamInfo, kind: MediaKind) -> Option<&TrackInfo> {
        if kind == MediaKind::Audio { stream.audio.as_ref() } else { stream.video.as_ref() }
    }
    let told = |kind| {
        let mut tracks = cameras.iter().filter_map(|stream| track(stream, kind)).peekable();
        if tracks.peek().is_none() {
            Sending::Absent
        } else if tracks.all(|track| track.muted) {
            Sending::Muted
        } else {
            Sending::Live
        }
    };
    let mut next = *own;
    *wished_ago_secs += time.delta_secs();
    for toggle in toggles.read() {
        if toggle.0 == MediaKind::Audio {
            *wished_ago_secs = 0.0;
        }
        let now = if toggle.0 == MediaKind::Audio { next.microphone } else { next.camera };
        if now == Sending::Absent {
            continue;
        }
        let muted = now == Sending::Live;
        for stream in cameras.iter().filter(|stream| track(stream, toggle.0).is_some()) {
            outbox.push(RoomCommand::SetMuted { stream: stream.id.clone(), kind: toggle.0, muted });
        }
        next.wished[slot(toggle.0)] = Some((muted, PATIENCE_SECS));
        // The space bar opens it for a moment.
        next.hushed &= toggle.0 != MediaKind::Audio || next.talking;
        let shown = if muted { Sending::Muted } else { Sending::Live };
        match toggle.0 {
            MediaKind::Audio => next.microphone = shown,
            MediaKind::Video => next.camera = shown,
        }
    }
    if hushes.read().count() > 0 && next.microphone != Sending::Absent {
        *wished_ago_secs = 0.0;
        for stream in cameras.iter().filter(|stream| stream.audio.is_some()) {
            let (stream, kind) = (stream.id.clone(), MediaKind::Audio);
            outbox.push(RoomCommand::SetMuted { stream, kind, muted: true });
        }
        next.wished[slot(MediaKind::Audio)] = Some((true, PATIENCE_SECS));
        next.microphone = Sending::Muted;
    }
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let told = told(kind);
        let wish = &mut next.wished[slot(kind)];
        let shown = match wish {
            Some((muted, left)) if told != Sending::Absent => {
                let wanted = if *muted { Sending::Muted } else { Sending::Live };
                *left -= time.delta_secs();
                if told == wanted || *left <= 0.0 {
                    *wish = None;
                    told
                } else {
                    wanted
                }
            }
            _ => {
                *wish = None;
                // What one wished oneself may be told late.
                let quiet = *wished_ago_secs > PATIENCE_SECS;
                if kind == MediaKind::Audio && own.microphone == Sending::Live && told == Sending::Muted && quiet {
                    muted_by_host.write(MutedByHost);
                    next.hushed = true;
                }
                told
            }
        };
        match kind {
            MediaKind::Audio => next.microphone = shown,
            MediaKind::Video => next.camera = shown,
        }
    }
    if next != *own {
        *own = next;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bevy::time::TimeUpdateStrategy;

    use super::*;
    use crate::model::{DeviceState, StreamId, TrackSid, TrackSource, UserId};
    use crate::space::participant::LocalParticipant;
    use crate::space::stream::{PublishedBy, VideoStream};

    fn voice(muted: bool) -> StreamInfo {
        let owner = UserId::new("me").unwrap();
        let track = TrackInfo {
            sid: TrackSid::new("TR_1").unwrap(),
            kind: MediaKind::Audio,
            source: TrackSource::Microphone,
            mime_type: String::new(),
            width: 0,
            height: 0,
            muted,
        };
        StreamInfo {
            id: StreamId::derived(&owner, "camera"),
            owner,
            kind: StreamKind::Camera,
            video: None,
            audio: Some(track),
            video_state: DeviceState::Off,
            audio_state: DeviceState::On,
            extra_info: String::new(),
            wall_slot: None,
        }
    }

    /// How often it was said that somebody else muted the microphone.
    fn told(app: &mut App) -> usize {
        app.update();
        app.world_mut().resource_mut::<Messages<MutedByHost>>().drain().count()
    }

    #[test]
    fn being_muted_by_a_host_is_told_and_muting_oneself_is_not() {
        let mut app = App::new();
        app.add_plugins(MinimalPlugins)
            .insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(200)))
            .init_resource::<OwnMedia>()
            .init_resource::<Outbox>()
            .add_message::<ToggleMuted>()
            .add_message::<Hush>()
            .add_message::<MutedByHost>()
            .add_systems(Update, follow_own_streams);
        let me = app.world_mut().spawn(LocalParticipant).id();
        let stream = app.world_mut().spawn((VideoStream { info: voice(false) }, PublishedBy(me))).id();
        let tell = |app: &mut App, muted| app.world_mut().get_mut::<VideoStream>(stream).unwrap().info = voice(muted);
        assert_eq!(told(&mut app), 0);
        app.world_mut().write_message(ToggleMuted(MediaKind::Audio));
        assert_eq!(told(&mut app), 0);
        app.world_mut().write_message(ToggleMuted(MediaKind::Audio));
        assert_eq!(told(&mut app), 0);
        app.world_mut().write_message(ToggleMuted(MediaKind::Audio));
        assert_eq!(told(&mut app), 0);
        tell(&mut app, true);
        assert_eq!(told(&mut app), 0, "as one wished, told late");
        app.world_mut().write_message(ToggleMuted(MediaKind::Audio));
        assert_eq!(told(&mut app), 0);
        tell(&mut app, false);
        assert_eq!(told(&mut app), 0);
        assert_eq!((0..12).map(|_| told(&mut app)).sum::<usize>(), 0);
        tell(&mut app, true);
        assert_eq!(told(&mut app), 1, "nobody here wished for that");
        let now = |app: &mut App| (told(app), *app.world().resource::<OwnMedia>());
        assert!(matches!(now(&mut app), (0, OwnMedia { microphone: Sending::Muted, hushed: true, .. })));
        app.world_mut().write_message(ToggleMuted(MediaKind::Audio));
        assert!(matches!(now(&mut app), (0, OwnMedia { microphone: Sending::Live, hushed: false, .. })));
    }
}
