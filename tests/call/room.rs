//! The room against a scripted engine: entities follow events, pictures appear where they belong and in the right
//! colours. Tests that draw use whatever adapter there is, a software one included.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says on stderr why it was skipped"
)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bevy::camera::{RenderTarget, ScalingMode};
use bevy::core_pipeline::tonemapping::Tonemapping;
use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use rotunda::bridge::{Mailbox, RoomCommand, RoomEvent, SessionId, VideoFeed};
use rotunda::media::{ColourMatrix, ColourRange, ColourSpace, VideoFrame};
use rotunda::model::{EndReason, MediaKind, StreamId, StreamKind, UserId};
use rotunda::space::geometry::GREAT_WALL_CENTRE;
use rotunda::space::participant::ParticipantPlugin;
use rotunda::space::picture::PicturePlugin;
use rotunda::space::schedule::SchedulePlugin;
use rotunda::space::stream::{
    FaceAssets, FaceStyle, PlanePool, StreamFeed, StreamPlugin, UploadStats, VideoFace, VideoMaterial,
};
use rotunda::space::sync::{ReceiveCounts, Roster, SyncPlugin};
use rotunda::space::ui::{Sending, ToggleMuted};
use rotunda::space::view::{OffscreenView, RoomCamera, Walker};
use rotunda::space::{
    CameraOff, FramePresented, LocalParticipant, Muted, Participant, PictureRequest, PictureTaken, PublishedBy,
    Publishes, QualityTier, RotundaPlugins, Seat, SpaceSettings, VideoStream, ViewTarget, host,
};

use crate::fake_engine::{FakeEngine, stream, user};

// ---------------------------------------------------------------- entities, without a GPU

fn bare_room() -> (App, FakeEngine) {
    let (handle, engine) = FakeEngine::new();
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, SchedulePlugin, SyncPlugin, ParticipantPlugin))
        .insert_resource(rotunda::space::EngineBridge(handle));
    (app, engine)
}

fn count<F: bevy::ecs::query::QueryFilter>(app: &mut App) -> usize {
    app.world_mut().query_filtered::<(), F>().iter(app.world()).count()
}

pub fn entity(app: &App, user: &str) -> Entity {
    app.world().resource::<Roster>().user(&UserId::new(user).unwrap()).unwrap()
}

#[test]
fn people_and_streams_come_and_go_as_entities() {
    let (mut app, engine) = bare_room();
    engine.connect_as(user("me", "Me", 5));
    engine.join_with_camera("ada", "Ada", 1, false);
    engine.join_with_camera("ben", "Ben", 2, true);
    app.update();
    assert_eq!(count::<With<Participant>>(&mut app), 3);
    assert_eq!(count::<With<LocalParticipant>>(&mut app), 1);
    assert_eq!(count::<(With<VideoStream>, With<StreamFeed>, With<PublishedBy>)>(&mut app), 2);
    let (ada, ben) = (entity(&app, "ada"), entity(&app, "ben"));
    assert_eq!(app.world().get::<Publishes>(ada).unwrap().iter().count(), 1);
    assert!(app.world().get::<Muted>(ada).is_none(), "Ada can be heard");
    assert!(app.world().get::<Muted>(ben).is_some(), "Ben is muted");
    assert!(app.world().get::<CameraOff>(entity(&app, "me")).is_some(), "I publish nothing");
    let seat = |who| app.world().get::<Seat>(who).unwrap().index;
    assert_eq!((seat(ada), seat(ben), seat(entity(&app, "me"))), (0, 1, 2), "seats follow the time of joining");

    // A stream goes: the person stays. A person goes: their streams go with them, told or not.
    engine.tell(RoomEvent::StreamRemoved {
        stream: StreamId::new("ada-cam").unwrap(),
        owner: UserId::new("ada").unwrap(),
        reason: EndReason::Stopped,
    });
    engine.leave("ben");
    app.update();
    assert_eq!(count::<With<VideoStream>>(&mut app), 0);
    assert_eq!(count::<With<Participant>>(&mut app), 2);
    assert!(app.world().get::<CameraOff>(ada).is_some());
}

#[test]
fn late_events_of_an_old_login_change_nothing() {
    let (mut app, mut engine) = bare_room();
    engine.connect_as(user("me", "Me", 1));
    engine.join_with_camera("ada", "Ada", 2, false);
    app.update();
    engine.next_session();
    engine.connect_as(user("me", "Me", 3));
    engine.tell_as(SessionId(1), RoomEvent::UserJoined(user("ghost", "Ghost", 9)));
    engine.tell_as(
        SessionId(1),
        RoomEvent::ChatReceived { from: UserId::new("ghost").unwrap(), text: "boo".into(), sent_at_ms: 0 },
    );
    app.update();
    assert_eq!(count::<With<Participant>>(&mut app), 1, "only I am in the new session");
    assert_eq!(count::<With<VideoStream>>(&mut app), 0);
    assert_eq!(app.world().resource::<ReceiveCounts>().stale, 2);
}

#[test]
fn events_are_taken_within_a_budget_and_none_is_lost() {
    let (mut app, engine) = bare_room();
    app.insert_resource(SpaceSettings { events_per_frame: 10, ..default() });
    for n in 0..25 {
        engine.tell(RoomEvent::UserJoined(user(&format!("u{n}"), "U", n)));
    }
    app.update();
    assert_eq!(count::<With<Participant>>(&mut app), 10);
    app.update();
    app.update();
    assert_eq!(count::<With<Participant>>(&mut app), 25);
}

#[test]
fn an_event_about_nobody_is_dropped_and_counted() {
    let (mut app, engine) = bare_room();
    engine.leave("nobody");
    engine.tell(RoomEvent::VideoFeedOpened { stream: StreamId::new("none").unwrap(), feed: Mailbox::default() });
    app.update();
    assert_eq!(app.world().resource::<ReceiveCounts>().refused, 2);
    assert_eq!(count::<With<Participant>>(&mut app), 0);
}

// ---------------------------------------------------------------- drawn

/// Drawing tests take turns: a software renderer uses every core. Looking for a device belongs to the turn: opening and
/// closing a driver beside one that draws crashes in some.
pub fn gpu() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match host::check_gpu() {
        Ok(_) => Some(turn),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn offscreen_app() -> App {
    let mut app = App::new();
    app.add_plugins(host::offscreen()).insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(50)));
    app
}

/// Runs frames until a picture comes; pipelines are compiled meanwhile.
pub fn picture(app: &mut App) -> PictureTaken {
    app.world_mut().write_message(PictureRequest { tag: 7 });
    for _ in 0..200 {
        app.update();
        if let Some(taken) = app.world_mut().resource_mut::<Messages<PictureTaken>>().drain().next() {
            assert_eq!(taken.tag, 7);
            return taken;
        }
    }
    panic!("no picture within 200 frames");
}

pub fn pixel(picture: &PictureTaken, x: u32, y: u32) -> [i32; 3] {
    let at = ((y * picture.width + x) * 4) as usize;
    [0, 1, 2].map(|i| i32::from(picture.rgba[at + i]))
}

/// Keeps what was drawn when a comparison fails.
pub fn save(picture: &PictureTaken, name: &str) {
    let path = std::env::temp_dir().join(name);
    match picture
        .to_png()
        .map_err(|e| e.to_string())
        .and_then(|png| std::fs::write(&path, png).map_err(|e| e.to_string()))
    {
        Ok(()) => eprintln!("the picture is in {}", path.display()),
        Err(error) => eprintln!("the picture could not be kept: {error}"),
    }
}

/// ITU-R BT.601-7 and BT.709-6, in double precision from their luma weights.
pub fn reference_rgb(yuv: [u8; 3], colour: ColourSpace) -> [i32; 3] {
    let (kr, kb) = match colour.matrix {
        ColourMatrix::Bt601 => (0.299, 0.114),
        ColourMatrix::Bt709 => (0.2126, 0.0722),
    };
    let (y, cb, cr) = (f64::from(yuv[0]), f64::from(yuv[1]) - 128.0, f64::from(yuv[2]) - 128.0);
    let (y, cb, cr) = match colour.range {
        ColourRange::Limited => ((y - 16.0) / 219.0, cb / 224.0, cr / 224.0),
        ColourRange::Full => (y / 255.0, cb / 255.0, cr / 255.0),
    };
    let r = y + 2.0 * (1.0 - kr) * cr;
    let b = y + 2.0 * (1.0 - kb) * cb;
    let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
    [r, g, b].map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as i32)
}

const CELL: u32 = 8;

/// Cells of 8x8 pixels with colours all over the cube.
fn cells(width: u32, height: u32, colour: ColourSpace) -> (Arc<VideoFrame>, Vec<[u8; 3]>) {
    let (columns, rows) = (width / CELL, height / CELL);
    let palette: Vec<[u8; 3]> = (0..columns * rows)
        .map(|n| [(n * 53 % 240 + 8) as u8, (n * 97 % 225 + 15) as u8, (n * 151 % 225 + 15) as u8])
        .collect();
    let mut frame = VideoFrame::new(width, height, colour, 0, vec![0; VideoFrame::byte_len(width, height)]).unwrap();
    let (y, u, v) = frame.planes_mut();
    for (i, code) in y.iter_mut().enumerate() {
        let (x, y) = (i as u32 % width, i as u32 / width);
        *code = palette[(y / CELL * columns + x / CELL) as usize][0];
    }
    for (plane, channel) in [(u, 1), (v, 2)] {
        for (i, code) in plane.iter_mut().enumerate() {
            let (x, y) = (i as u32 % (width / 2), i as u32 / (width / 2));
            *code = palette[(y / (CELL / 2) * columns + x / (CELL / 2)) as usize][channel];
        }
    }
    (Arc::new(frame), palette)
}

/// The shader shows every colour space as the standards say, within 2 of 255 in each channel: the planes have 8 bits,
/// the target has 8 bits, and the way through linear light rounds once more.
#[test]
fn pictures_have_the_colours_of_the_reference() {
    let Some(_turn) = gpu() else { return };
    const TOLERANCE: i32 = 2;
    let (width, height) = (128, 72);
    let mut app = offscreen_app();
    app.add_plugins((SchedulePlugin, StreamPlugin, PicturePlugin));
    let target = Image::new_target_texture(width, height, wgpu::TextureFormat::Rgba8UnormSrgb, None);
    let target = app.world_mut().resource_mut::<Assets<Image>>().add(target);
    app.insert_resource(OffscreenView(target.clone().into()));
    app.world_mut().spawn((
        Camera3d::default(),
        RenderTarget::Image(target.into()),
        Projection::Orthographic(OrthographicProjection {
            scaling_mode: ScalingMode::Fixed { width: 16.0, height: 9.0 },
            ..OrthographicProjection::default_3d()
        }),
        Tonemapping::None,
        Msaa::Off,
        Transform::from_xyz(0.0, 0.0, 5.0),
    ));
    let feed: VideoFeed = Mailbox::default();
    let source = app
        .world_mut()
        .spawn((VideoStream { info: stream("test", "ada", StreamKind::Camera, false) }, StreamFeed(feed.clone())))
        .id();
    let assets = app.world().resource::<FaceAssets>().clone();
    // No margin, no plate, no bezel: one pixel of the picture on one pixel of the target.
    let style = FaceStyle { accent: Vec4::ONE, frame: Vec4::ZERO, text: Vec4::ZERO };
    let material = VideoMaterial::empty(&assets, style);
    let material = app.world_mut().resource_mut::<Assets<VideoMaterial>>().add(material);
    app.world_mut().spawn((
        VideoFace { stream: Some(source) },
        Mesh3d(assets.quad),
        MeshMaterial3d(material),
        Transform::from_scale(Vec3::new(16.0, 9.0, 1.0)),
    ));
    app.finish();
    app.cleanup();
    // Card to picture takes its time.
    feed.put(cells(width, height, ColourSpace::default()).0);
    for _ in 0..30 {
        app.update();
        std::thread::sleep(Duration::from_millis(10));
    }
    for matrix in [ColourMatrix::Bt601, ColourMatrix::Bt709] {
        for range in [ColourRange::Limited, ColourRange::Full] {
            let colour = ColourSpace { matrix, range };
            let (frame, palette) = cells(width, height, colour);
            feed.put(frame);
            app.update();
            app.update();
            let shown = picture(&mut app);
            let mut worst = (0, String::new());
            for (n, yuv) in palette.iter().enumerate() {
                let (column, row) = (n as u32 % (width / CELL), n as u32 / (width / CELL));
                let got = pixel(&shown, column * CELL + CELL / 2, row * CELL + CELL / 2);
                let want = reference_rgb(*yuv, colour);
                let off = (0..3).map(|i| (got[i] - want[i]).abs()).max().unwrap_or(0);
                if off > worst.0 {
                    worst = (off, format!("{colour:?} cell {n} {yuv:?}: {got:?} instead of {want:?}"));
                }
            }
            if worst.0 > TOLERANCE {
                save(&shown, "rotunda-colours.png");
            }
            assert!(worst.0 <= TOLERANCE, "{}", worst.1);
        }
    }
    assert_eq!(app.world().resource::<PlanePool>().created(), 1, "one set of textures served every picture");
}

pub fn flat(width: u32, height: u32, yuv: [u8; 3]) -> Arc<VideoFrame> {
    let luma = (width * height) as usize;
    let chroma = (width.div_ceil(2) * height.div_ceil(2)) as usize;
    let data = [vec![yuv[0]; luma], vec![yuv[1]; chroma], vec![yuv[2]; chroma]].concat();
    Arc::new(VideoFrame::new(width, height, ColourSpace::default(), 0, data).unwrap())
}

pub fn whole_room(width: u32, height: u32) -> (App, FakeEngine) {
    room_with((width, height), |_| ())
}

/// The whole room off-screen, on the lowest tier unless `choose` says otherwise.
pub fn room_with((width, height): (u32, u32), choose: impl FnOnce(&mut SpaceSettings)) -> (App, FakeEngine) {
    let (handle, engine) = FakeEngine::new();
    let mut app = offscreen_app();
    let view = ViewTarget::Offscreen { width, height };
    let mut settings = SpaceSettings { quality: QualityTier::Low, view, ..default() };
    choose(&mut settings);
    app.insert_resource(settings).insert_resource(rotunda::space::EngineBridge(handle)).add_plugins(RotundaPlugins);
    app.finish();
    app.cleanup();
    (app, engine)
}

/// Where the face that shows a stream hangs now.
fn face_of(app: &mut App, of: &str) -> Vec3 {
    let stream = app.world().resource::<Roster>().stream(&StreamId::new(of).unwrap());
    let mut faces = app.world_mut().query::<(&VideoFace, &GlobalTransform)>();
    faces.iter(app.world()).find(|(face, _)| face.stream == stream).unwrap().1.translation()
}

/// Where a point of the hall is in the picture.
pub fn on_screen(app: &mut App, at: Vec3) -> (u32, u32) {
    let mut cameras = app.world_mut().query_filtered::<(&Camera, &GlobalTransform), With<RoomCamera>>();
    let (camera, transform) = cameras.single(app.world()).unwrap();
    let at = camera.world_to_viewport(transform, at).unwrap();
    (at.x as u32, at.y as u32)
}

pub fn assert_near(picture: &PictureTaken, (x, y): (u32, u32), want: [i32; 3], what: &str) {
    let got = pixel(picture, x, y);
    let off = (0..3).map(|i| (got[i] - want[i]).abs()).max().unwrap_or(0);
    if off > 6 {
        save(picture, "rotunda-room.png");
    }
    assert!(off <= 6, "{what}: {got:?} at {x},{y} instead of {want:?}");
}

#[test]
fn guests_and_the_share_hang_where_they_belong() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(720, 405);
    engine.connect_as(user("me", "Me", 99));
    let colours: [[u8; 3]; 5] = [[82, 90, 240], [145, 54, 34], [41, 240, 110], [210, 16, 146], [170, 166, 16]];
    let feeds: Vec<_> = (0..5).map(|n| engine.join_with_camera(&format!("g{n}"), &format!("G{n}"), n, false)).collect();
    let share_colour = [106, 202, 222];
    let share = engine.publish(stream("share", "g0", StreamKind::Screen, false));
    let mut presented = 0;
    for frame in 0..60 {
        if frame % 5 == 0 {
            for (feed, colour) in feeds.iter().zip(colours) {
                feed.put(flat(160, 90, colour));
            }
            share.put(flat(320, 180, share_colour));
        }
        app.update();
        presented += app.world_mut().resource_mut::<Messages<FramePresented>>().drain().count();
        // Pipelines compile beside the frames.
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(presented >= 6 * 10, "{presented} pictures were presented");
    let shown = picture(&mut app);
    for (n, colour) in colours.into_iter().enumerate() {
        // Who presents is beside the wall, everyone else above their seat.
        let at = match n {
            0 => face_of(&mut app, "g0-cam"),
            _ => app.world().get::<Seat>(entity(&app, &format!("g{n}"))).unwrap().panel,
        };
        let at = on_screen(&mut app, at);
        assert_near(&shown, at, reference_rgb(colour, ColourSpace::default()), &format!("guest {n}"));
    }
    let wall = on_screen(&mut app, GREAT_WALL_CENTRE);
    assert_near(&shown, wall, reference_rgb(share_colour, ColourSpace::default()), "the share");
    // The hall around them is there and lit: its floor differs from its wall, and neither is what is behind them.
    // Beside the bar.
    let floor = on_screen(&mut app, Vec3::new(5.2, 0.0, -0.6));
    let floor = pixel(&shown, floor.0, floor.1);
    let column = on_screen(&mut app, Vec3::new(-8.2, 5.6, -5.5));
    let column = pixel(&shown, column.0, column.1);
    assert!(floor[0] - floor[2] > 15, "the parquet is brown: {floor:?}");
    assert!(column[0] > floor[0] + 25, "marble and limestone are light: {column:?} beside {floor:?}");
    let mean: f64 =
        shown.rgba.chunks_exact(4).map(|p| f64::from(p[1])).sum::<f64>() / f64::from(shown.width * shown.height);
    assert!((40.0..220.0).contains(&mean), "the room is neither dark nor blown out: {mean}");

    // The camera goes off: the card takes the picture's place.
    let mut off = stream("g2-cam", "g2", StreamKind::Camera, false);
    if let Some(video) = &mut off.video {
        video.muted = true;
    }
    engine.tell(RoomEvent::StreamUpdated(off));
    for _ in 0..25 {
        app.update();
    }
    let shown = picture(&mut app);
    let at = app.world().get::<Seat>(entity(&app, "g2")).unwrap().panel;
    let (x, y) = on_screen(&mut app, at);
    let want = reference_rgb(colours[2], ColourSpace::default());
    let got = pixel(&shown, x, y);
    assert!((0..3).any(|i| (got[i] - want[i]).abs() > 30), "guest 2 is still shown: {got:?}");
}

#[test]
fn twenty_five_panels_are_uploaded_only_while_in_view() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(320, 180);
    engine.connect_as(user("me", "Me", 99));
    let feeds: Vec<_> =
        (0..25).map(|n| engine.join_with_camera(&format!("g{n}"), &format!("G{n}"), n, false)).collect();
    let frame = flat(64, 36, [120, 100, 150]);
    let run = |app: &mut App, frames: usize| {
        for _ in 0..frames {
            // Two pictures a frame: only the newer may be uploaded.
            feeds.iter().for_each(|feed| drop(feed.put(frame.clone())));
            feeds.iter().for_each(|feed| drop(feed.put(frame.clone())));
            app.update();
        }
    };
    run(&mut app, 30);
    let stats = app.world().resource::<UploadStats>().clone();
    let before = stats.frames();
    run(&mut app, 4);
    assert_eq!(stats.frames() - before, 4 * 25, "each visible panel once a frame");
    assert_eq!(stats.bytes(), stats.frames() * VideoFrame::byte_len(64, 36) as u64);
    assert_eq!(stats.abandoned(), 0);

    // Everyone turns their back: nothing is uploaded, the newest pictures wait.
    let mut walkers = app.world_mut().query::<&mut Walker>();
    walkers.single_mut(app.world_mut()).unwrap().yaw = std::f32::consts::PI;
    run(&mut app, 3);
    let hidden = stats.frames();
    run(&mut app, 4);
    assert_eq!(stats.frames(), hidden, "what is behind is not uploaded");

    // Everyone leaves: their textures are kept for the next who come.
    let created = app.world().resource::<PlanePool>().created();
    (0..25).for_each(|n| engine.leave(&format!("g{n}")));
    app.update();
    let mut walkers = app.world_mut().query::<&mut Walker>();
    walkers.single_mut(app.world_mut()).unwrap().yaw = 0.0;
    let again: Vec<_> = (0..8).map(|n| engine.join_with_camera(&format!("h{n}"), &format!("H{n}"), n, false)).collect();
    for _ in 0..10 {
        again.iter().for_each(|feed| drop(feed.put(frame.clone())));
        app.update();
    }
    assert!(stats.frames() > hidden, "the newcomers are shown");
    assert_eq!(app.world().resource::<PlanePool>().created(), created, "in textures of those who left");
}

#[test]
fn muting_oneself_reaches_the_engine_and_shows_at_once() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = whole_room(160, 90);
    engine.connect_as(user("me", "Me", 1));
    engine.tell(RoomEvent::StreamUpdated(stream("me-cam", "me", StreamKind::Camera, false)));
    app.update();
    app.update();
    assert_eq!(app.world().resource::<rotunda::space::ui::OwnMedia>().microphone, Sending::Live);
    app.world_mut().write_message(ToggleMuted(MediaKind::Audio));
    app.update();
    assert_eq!(app.world().resource::<rotunda::space::ui::OwnMedia>().microphone, Sending::Muted);
    let sent = engine.commands();
    let muted = sent.iter().any(|command| {
        matches!(command, RoomCommand::SetMuted { stream, kind: MediaKind::Audio, muted: true } if stream.as_str() == "me-cam")
    });
    assert!(muted, "the engine was asked: {sent:?}");
}
