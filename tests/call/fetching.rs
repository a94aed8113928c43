//! What the room fetches, against a scripted engine and without a GPU: faces hung by hand before a camera that turns,
//! and the wishes that reach the engine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::f32::consts::PI;
use std::time::{Duration, Instant};

use bevy::camera::{CameraProjection, ComputedCameraValues, PerspectiveProjection, RenderTargetInfo};
use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use bevy::transform::TransformPlugin;
use bevy::window::WindowOccluded;
use rotunda::bridge::{PlayQuality, RoomCommand, RoomEvent};
use rotunda::model::{
    CallError, EndReason, ErrorCode, PlayState, RoomState, RoomStateReason, StreamId, StreamInfo, StreamKind, UserId,
};
use rotunda::space::fetch::{FetchPlugin, Reason, Want};
use rotunda::space::participant::ParticipantPlugin;
use rotunda::space::schedule::SchedulePlugin;
use rotunda::space::stream::VideoFace;
use rotunda::space::sync::{CallTrouble, Roster, SyncPlugin};
use rotunda::space::view::RoomCamera;
use rotunda::space::{EngineBridge, FetchFigures, FetchSettings, Fetched, SpaceSystems, Speaking, ViewMode};

use crate::fake_engine::{FakeEngine, stream, user};

/// A frame of the room.
const FRAME: Duration = Duration::from_millis(50);
/// Longer than the room waits before it fetches less.
const WHILE: u32 = 45;

/// A face that shows this stream as soon as it is there.
#[derive(Component)]
struct Shows(&'static str);

/// The room, its engine, and what the engine was told of each stream.
struct Hall {
    app: App,
    engine: FakeEngine,
    told: BTreeMap<String, PlayQuality>,
    /// All that was told, in order.
    log: Vec<(String, PlayQuality)>,
    /// Who was to be played, or no longer.
    played: Vec<(String, bool)>,
}

fn hang(roster: Res<Roster>, mut faces: Query<(&Shows, &mut VideoFace)>) {
    for (shows, mut face) in &mut faces {
        face.stream = roster.stream(&StreamId::new(shows.0).unwrap());
    }
}

impl Hall {
    /// Someone in the room, at the origin, who looks along -Z through a window of 1000 x 1000 pixels at 90 degrees.
    fn open() -> Self {
        let (handle, engine) = FakeEngine::new();
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, TransformPlugin, SchedulePlugin, SyncPlugin, ParticipantPlugin, FetchPlugin))
            .insert_resource(EngineBridge(handle))
            .insert_resource(TimeUpdateStrategy::ManualDuration(FRAME))
            .add_systems(Update, hang.in_set(SpaceSystems::Sync));
        app.world_mut().spawn((RoomCamera, Camera { computed: lens(UVec2::splat(1000)), ..default() }));
        engine.connect_as(user("me", "Me", 1));
        let mut hall = Self { app, engine, told: BTreeMap::new(), log: Vec::new(), played: Vec::new() };
        hall.frames(1);
        hall
    }

    fn announce(&mut self, id: &'static str, kind: StreamKind, size: (u32, u32)) {
        let owner = format!("{id}-owner");
        self.engine.tell(RoomEvent::UserJoined(user(&owner, id, 2)));
        self.announce_again(id, &owner, kind, size);
    }

    fn announce_again(&mut self, id: &str, owner: &str, kind: StreamKind, size: (u32, u32)) {
        self.engine.tell(RoomEvent::StreamAdded(sized(stream(id, owner, kind, false), size)));
    }

    /// A face of 16:9, so wide, that shows a stream.
    fn hang(&mut self, id: &'static str, width: f32, at: Vec3) -> Entity {
        let turned = Transform::from_translation(at).looking_at(at * 2.0, Vec3::Y);
        let scale = Vec3::new(width, width * 9.0 / 16.0, 1.0);
        self.app.world_mut().spawn((Shows(id), VideoFace::default(), turned.with_scale(scale))).id()
    }

    /// A camera stream of 1280 x 720 on a face.
    fn seat(&mut self, id: &'static str, width: f32, at: Vec3) -> Entity {
        self.announce(id, StreamKind::Camera, (1280, 720));
        self.hang(id, width, at)
    }

    fn look(&mut self, yaw: f32, at: Vec3) {
        let mut cameras = self.app.world_mut().query_filtered::<&mut Transform, With<RoomCamera>>();
        let transform = Transform::from_translation(at).with_rotation(Quat::from_rotation_y(yaw));
        cameras.iter_mut(self.app.world_mut()).for_each(|mut camera| *camera = transform);
    }

    fn window(&mut self, size: UVec2) {
        let mut cameras = self.app.world_mut().query_filtered::<&mut Camera, With<RoomCamera>>();
        cameras.iter_mut(self.app.world_mut()).for_each(|mut camera| camera.computed = lens(size));
    }

    /// Lets frames pass; answers the most that was told in one of them.
    fn frames(&mut self, count: u32) -> usize {
        let mut most = 0;
        for _ in 0..count {
            self.app.update();
            let before = self.log.len();
            for command in self.engine.commands() {
                match command {
                    RoomCommand::SetPlayQuality { stream, quality } => {
                        self.told.insert(stream.to_string(), quality);
                        self.log.push((stream.to_string(), quality));
                    }
                    RoomCommand::StartPlaying(stream) => self.played.push((stream.to_string(), true)),
                    RoomCommand::StopPlaying(stream) => self.played.push((stream.to_string(), false)),
                    _ => {}
                }
            }
            most = most.max(self.log.len() - before);
        }
        most
    }

    /// The width the engine was told last; 0 for what is paused.
    fn width(&self, id: &str) -> u32 {
        self.told.get(id).map(|quality| if quality.enabled { quality.width } else { 0 }).unwrap()
    }

    fn fetched(&self, id: &str) -> (Want, Reason) {
        let entity = self.app.world().resource::<Roster>().stream(&StreamId::new(id).unwrap()).unwrap();
        let fetched = self.app.world().get::<Fetched>(entity).unwrap();
        (fetched.want, fetched.reason)
    }

    fn figures(&self) -> FetchFigures {
        *self.app.world().resource::<FetchFigures>()
    }

    fn state(&mut self, state: RoomState, reason: RoomStateReason) {
        self.engine.tell(RoomEvent::StateChanged { state, reason, error: None, me: Some(user("me", "Me", 1)) });
    }
}

fn lens(physical_size: UVec2) -> ComputedCameraValues {
    let lens = PerspectiveProjection { fov: PI / 2.0, aspect_ratio: 1.0, ..default() };
    let target_info = Some(RenderTargetInfo { physical_size, scale_factor: 1.0 });
    ComputedCameraValues { clip_from_view: lens.get_clip_from_view(), target_info, ..default() }
}

fn sized(mut info: StreamInfo, (width, height): (u32, u32)) -> StreamInfo {
    let video = info.video.as_mut().unwrap();
    (video.width, video.height) = (width, height);
    info
}

/// Where a face hangs so many radians to the right, 4 m away: a metre there is 125 pixels.
fn aside(radians: f32) -> Vec3 {
    Vec3::new(4.0 * radians.sin(), 0.0, -4.0 * radians.cos())
}

#[test]
fn everyone_is_fetched_as_they_are_seen() {
    let mut hall = Hall::open();
    hall.seat("front", 4.0, aside(0.0));
    hall.seat("small", 1.0, aside(0.5));
    hall.seat("edge", 1.0, aside(-1.3));
    hall.seat("behind", 4.0, aside(PI));
    hall.announce("nowhere", StreamKind::Camera, (1280, 720));
    hall.frames(1);
    assert_eq!(hall.log[0], ("front".to_owned(), Want::Medium.quality((1280, 720))), "at once, and in its size");
    assert!(hall.log.iter().all(|(_, told)| told.width <= 640), "nothing was fetched in full: {:?}", hall.log);
    hall.frames(WHILE);
    assert_eq!(["front", "small", "edge", "behind", "nowhere"].map(|id| hall.width(id)), [640, 320, 320, 0, 0]);
    assert_eq!(hall.fetched("front"), (Want::Medium, Reason::InView));
    assert_eq!(hall.fetched("edge"), (Want::Small, Reason::Near));
    assert_eq!(hall.fetched("behind"), (Want::Paused, Reason::OutOfView));
    assert_eq!(hall.fetched("nowhere"), (Want::Paused, Reason::NotShown));
    let figures = hall.figures();
    assert_eq!((figures.full, figures.medium, figures.small, figures.paused), (0, 1, 2, 2));
    assert_eq!((figures.wanted_px, figures.held_back), (640 * 360 + 2 * 320 * 180, 0));
    let quiet = hall.log.len();
    hall.frames(200);
    assert_eq!(hall.log.len(), quiet, "nothing is said twice");
}

#[test]
fn a_turn_of_the_head_asks_in_the_same_frame_and_lets_go_later() {
    let mut hall = Hall::open();
    hall.seat("front", 4.0, aside(0.0));
    hall.seat("behind", 6.8, aside(PI));
    hall.frames(WHILE);
    assert_eq!((hall.width("front"), hall.width("behind")), (640, 0));
    hall.look(PI, Vec3::ZERO);
    hall.frames(1);
    assert_eq!((hall.width("front"), hall.width("behind")), (640, 1280));
    hall.frames(30);
    assert_eq!(hall.fetched("front"), (Want::Medium, Reason::Lingering));
    hall.look(0.0, Vec3::ZERO);
    hall.frames(60);
    assert_eq!((hall.width("front"), hall.width("behind")), (640, 0));
    assert!(hall.log.iter().filter(|(id, _)| id == "front").count() == 1, "a glance cost it nothing: {:?}", hall.log);
}

#[test]
fn stepping_close_and_larger_windows_raise_it() {
    let mut hall = Hall::open();
    hall.seat("wall", 2.0, Vec3::NEG_Z * 9.0);
    hall.frames(2);
    assert_eq!(hall.width("wall"), 320);
    hall.look(0.0, Vec3::NEG_Z * 7.0);
    hall.frames(1);
    assert_eq!(hall.width("wall"), 640);
    hall.window(UVec2::new(3840, 2160));
    hall.frames(1);
    assert_eq!(hall.width("wall"), 1280);
    hall.look(0.0, Vec3::ZERO);
    hall.window(UVec2::new(100, 100));
    hall.frames(WHILE);
    assert_eq!(hall.width("wall"), 320);
}

#[test]
fn with_little_bandwidth_the_stepped_up_wall_comes_first_and_speakers_next() {
    let mut hall = Hall::open();
    hall.announce("page", StreamKind::Screen, (1280, 720));
    hall.hang("page", 8.0, aside(-0.3));
    hall.announce("other-page", StreamKind::Screen, (1280, 720));
    hall.hang("other-page", 1.0, aside(0.7));
    hall.seat("ann", 4.5, aside(0.2));
    hall.seat("bob", 4.4, aside(0.3));
    hall.frames(1);
    let bob = hall.app.world().resource::<Roster>().user(&UserId::new("bob-owner").unwrap()).unwrap();
    hall.app.world_mut().entity_mut(bob).insert(Speaking);
    hall.engine.set_levels([("bob-owner".to_owned(), 0.5)]);
    hall.app.insert_resource(FetchSettings { most_kbps: Some(2800) });
    hall.app.insert_resource(ViewMode::Wall(0));
    hall.frames(2);
    assert_eq!(hall.fetched("page"), (Want::Full, Reason::SteppedUp));
    assert_eq!(hall.fetched("bob").0, Want::Medium, "{:?}", hall.figures());
    assert_eq!(hall.fetched("ann"), (Want::Small, Reason::HeldBack));
    assert_eq!((hall.figures().held_back, hall.figures().budget_kbps), (1, Some(2800.0)));
    hall.app.insert_resource(ViewMode::Hall);
    hall.app.insert_resource(FetchSettings { most_kbps: None });
    hall.frames(1);
    assert_eq!((hall.fetched("ann").0, hall.fetched("bob")), (Want::Medium, (Want::Medium, Reason::Speaking)));
}

#[test]
fn what_the_server_lets_wait_makes_room_for_what_matters_more() {
    let mut hall = Hall::open();
    for (id, at) in [("ann", 0.3), ("bob", -0.3)] {
        hall.seat(id, 4.0, aside(at));
    }
    hall.engine.set_received([("ann", 400.0)]);
    hall.frames(2);
    assert_eq!((hall.figures().kbps, hall.figures().budget_kbps), (400.0, None));
    let id = StreamId::new("ann").unwrap();
    let error = Some(CallError::new(ErrorCode::PlayInterrupted, "it waits"));
    hall.engine.tell(RoomEvent::PlayStateChanged { stream: id.clone(), state: PlayState::Requesting, error });
    hall.frames(2);
    assert_eq!(hall.figures().budget_kbps, Some(400.0));
    assert_eq!((hall.figures().held_back, hall.figures().small, hall.figures().paused), (2, 1, 1));
    hall.engine.tell(RoomEvent::PlayStateChanged { stream: id, state: PlayState::Playing, error: None });
    hall.frames(20 * 60);
    assert_eq!((hall.figures().held_back, hall.width("ann"), hall.width("bob")), (0, 640, 640), "it comes back");
}

#[test]
fn a_stream_that_replaces_another_begins_in_its_size() {
    let mut hall = Hall::open();
    hall.seat("old", 4.0, aside(0.0));
    hall.hang("new", 4.0, aside(0.0));
    hall.frames(3);
    let owner = UserId::new("old-owner").unwrap();
    let reason = EndReason::Stopped;
    hall.engine.tell(RoomEvent::StreamRemoved { stream: StreamId::new("old").unwrap(), owner, reason });
    hall.announce_again("new", "old-owner", StreamKind::Camera, (1280, 720));
    hall.frames(WHILE);
    let of_new: Vec<_> = hall.log.iter().filter(|(id, _)| id == "new").map(|(_, told)| told.width).collect();
    assert_eq!(of_new, [640]);
}

#[test]
fn a_hidden_window_fetches_nothing_and_ones_own_streams_are_left_alone() {
    let mut hall = Hall::open();
    hall.seat("front", 4.0, aside(0.0));
    hall.announce_again("mine", "me", StreamKind::Camera, (1280, 720));
    hall.hang("mine", 4.0, aside(0.1));
    hall.frames(2);
    let occlude = |hall: &mut Hall, occluded| {
        hall.app.world_mut().write_message(WindowOccluded { window: Entity::PLACEHOLDER, occluded });
    };
    occlude(&mut hall, true);
    hall.frames(WHILE);
    assert_eq!((hall.width("front"), hall.fetched("front").1), (0, Reason::WindowHidden));
    occlude(&mut hall, false);
    hall.frames(1);
    assert_eq!(hall.width("front"), 640);
    hall.window(UVec2::ZERO);
    hall.frames(WHILE);
    assert_eq!(hall.width("front"), 0, "minimised");
    hall.window(UVec2::splat(1000));
    hall.frames(1);
    assert_eq!(hall.width("front"), 640);
    assert!(!hall.told.contains_key("mine"));
}

#[test]
fn while_the_connection_is_mended_nothing_is_told_and_afterwards_only_what_changed() {
    let mut hall = Hall::open();
    hall.seat("front", 4.0, aside(0.0));
    hall.seat("behind", 4.0, aside(PI));
    hall.frames(WHILE);
    let before = hall.log.len();
    hall.state(RoomState::Connecting, RoomStateReason::Reconnecting);
    hall.look(PI, Vec3::ZERO);
    hall.frames(10);
    assert_eq!(hall.log.len(), before);
    hall.state(RoomState::Connected, RoomStateReason::Reconnected);
    hall.frames(1);
    assert_eq!(hall.log[before..], [("behind".to_owned(), Want::Medium.quality((1280, 720)))]);
    // One that found no place is told once it has one.
    let id = StreamId::new("front").unwrap();
    hall.engine.tell(RoomEvent::PlayStateChanged { stream: id.clone(), state: PlayState::NoPlay, error: None });
    hall.frames(WHILE);
    assert_eq!(hall.width("front"), 640, "the last that was told");
    hall.engine.tell(RoomEvent::PlayStateChanged { stream: id, state: PlayState::Requesting, error: None });
    hall.frames(1);
    assert_eq!(hall.width("front"), 0);
}

#[test]
fn odd_streams_and_odd_faces_break_nothing() {
    let mut hall = Hall::open();
    let sizes =
        [("dot", (1, 1)), ("vast", (7680, 4320)), ("none", (0, 0)), ("nonsense", (u32::MAX, 3)), ("tall", (3, 4000))];
    for (id, size) in sizes {
        hall.announce(id, StreamKind::Camera, size);
        hall.hang(id, 4.0, aside(0.0));
    }
    for bad in [Vec3::NAN, Vec3::INFINITY, Vec3::ZERO] {
        hall.hang("vast", 4.0, bad);
        let face = hall.hang("none", 4.0, aside(0.0));
        hall.app.world_mut().get_mut::<Transform>(face).unwrap().scale = bad;
    }
    hall.frames(3);
    for (id, _) in sizes {
        assert!(hall.told[id].enabled && hall.told[id].width > 0 && hall.told[id].height > 0, "{id}");
    }
    assert_eq!((hall.width("dot"), hall.width("vast"), hall.width("none")), (1, 1920, 640));
    // A stream that changes its size is told anew.
    hall.engine
        .tell(RoomEvent::StreamUpdated(sized(stream("vast", "vast-owner", StreamKind::Camera, false), (1280, 720))));
    hall.frames(1);
    assert_eq!(hall.width("vast"), 640);
}

#[test]
fn with_more_streams_than_places_those_who_are_seen_and_heard_are_played() {
    let mut hall = Hall::open();
    let ids: Vec<&'static str> = (0..70).map(|n| &*Box::leak(format!("p{n:02}").into_boxed_str())).collect();
    let play_state = |hall: &Hall, id: &str, state, code: Option<ErrorCode>| {
        let error = code.map(|code| CallError::new(code, "so it is"));
        hall.engine.tell(RoomEvent::PlayStateChanged { stream: StreamId::new(id).unwrap(), state, error });
    };
    for (index, id) in ids.iter().enumerate() {
        // The first found a place, and sit behind; of those who did not, three are in view.
        hall.seat(id, 1.0, aside(if index < 67 { PI } else { 0.0 }));
        if index >= 64 {
            play_state(&hall, id, PlayState::NoPlay, Some(ErrorCode::TooManyPlays));
        }
        hall.frames(1);
    }
    hall.engine.set_levels([("p00-owner".to_owned(), 0.5)]);
    hall.frames(4 * 20);
    assert!(hall.played.is_empty(), "nobody has been quiet for long: {:?}", hall.played);
    hall.engine.set_levels([("p00-owner".to_owned(), 0.5), ("p65-owner".to_owned(), 0.5)]);
    hall.frames(5 * 20);
    let of = |hall: &Hall, start| {
        let mut ids: Vec<_> = hall.played.iter().filter(|(_, s)| *s == start).map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    };
    let (started, stopped) = (of(&hall, true), of(&hall, false));
    assert_eq!(hall.played[0], ("p65".to_owned(), true), "the voice first");
    assert_eq!(started, ["p65", "p67", "p68", "p69"], "then those in view");
    assert!(stopped.len() == 4 && stopped[0] > "p00".to_owned(), "who speaks stays: {stopped:?}");
    // As the engine answers.
    for id in &started {
        play_state(&hall, id, PlayState::Requesting, None);
    }
    for id in &stopped {
        play_state(&hall, id, PlayState::NoPlay, None);
    }
    hall.frames(2);
    assert_eq!(["p67", "p68", "p69"].map(|id| hall.told[id].enabled), [true; 3]);
    hall.played.clear();
    hall.frames(20 * 20);
    assert!(hall.played.is_empty(), "{:?}", hall.played);
}

#[test]
fn two_hundred_people_and_an_engine_that_is_busy() {
    let mut hall = Hall::open();
    let ids: Vec<&'static str> = (0..200).map(|n| &*Box::leak(format!("p{n:03}").into_boxed_str())).collect();
    for group in ids.chunks(25) {
        for (index, id) in group.iter().enumerate() {
            hall.seat(id, 1.0, aside(index as f32 / 25.0 * 2.0 * PI));
        }
        hall.frames(1);
    }
    // Nobody reads for two seconds, while the head turns.
    for turn in 0..40 {
        hall.look(turn as f32 * 0.3, Vec3::ZERO);
        hall.app.update();
    }
    hall.look(0.0, Vec3::ZERO);
    let most = hall.frames(1);
    assert!(most <= 64, "{most}");
    let most = hall.frames(400);
    assert!(most <= 32, "{most} in one frame");
    assert!(hall.app.world().resource::<Messages<CallTrouble>>().is_empty(), "nobody was shown an error");
    for id in &ids {
        let wanted = hall.fetched(id).0;
        assert_eq!(hall.width(id) > 0, wanted != Want::Paused, "{id}");
    }
    let figures = hall.figures();
    assert!(figures.paused > 60 && figures.small > 60, "{figures:?}");
    let started = Instant::now();
    for turn in 0..100 {
        hall.look(turn as f32 * 0.05, Vec3::ZERO);
        hall.frames(1);
    }
    let each = started.elapsed() / 100;
    println!("a frame of the bare room with 200 faces, all of its systems: {each:?}");
    assert!(each < Duration::from_millis(20), "{each:?}");
}
