//! The wall against a scripted engine: the host's choices, stepping up and back, text that is read where one stands, a
//! picture that does not shimmer from the seat, the presenter's pointer and their place beside the wall.

use std::sync::Arc;

use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput, NativeKey};
use bevy::prelude::*;
use rotunda::bridge::{RoomCommand, RoomEvent, VideoFeed};
use rotunda::media::{ColourSpace, VideoFrame};
use rotunda::model::{EndReason, ErrorCode, StreamId, StreamInfo, StreamKind, UserId};
use rotunda::space::panel::PanelOf;
use rotunda::space::participant::Presenting;
use rotunda::space::stream::Mipmapped;
use rotunda::space::sync::CallTrouble;
use rotunda::space::view::{RoomCamera, ViewMode, Walker};
use rotunda::space::wall::{ArrangeWall, CloseView, Pointing, StepWish, WallPointer, WallSlot, WallSlots};
use rotunda::space::{PictureTaken, Seat, SpaceSettings};

use crate::fake_engine::{FakeEngine, stream, user};
use crate::room::{entity, flat, gpu, on_screen, picture, pixel, save, whole_room};
use crate::screen::page;

fn id(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn share(name: &str, owner: &str, slot: Option<u8>) -> StreamInfo {
    StreamInfo { wall_slot: slot, ..stream(name, owner, StreamKind::Screen, false) }
}

fn hung(app: &App) -> [Option<String>; 5] {
    let slots = app.world().resource::<WallSlots>();
    std::array::from_fn(|slot| slots.stream(slot).map(ToString::to_string))
}

fn names(names: [&str; 5]) -> [Option<String>; 5] {
    names.map(|name| (name != "-").then(|| name.to_owned()))
}

/// What the room asked the server to keep, told back as the server does.
fn serve(app: &mut App, engine: &mut FakeEngine) -> usize {
    app.update();
    let texts: Vec<String> = engine
        .commands()
        .into_iter()
        .filter_map(|command| match command {
            RoomCommand::SetRoomMetadata(text) => Some(text),
            _ => None,
        })
        .collect();
    for text in &texts {
        engine.tell(RoomEvent::RoomChanged { metadata: text.clone(), may_change: true });
    }
    app.update();
    texts.len()
}

#[test]
fn a_host_pins_swaps_and_enlarges_and_everyone_sees_it() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = whole_room(64, 36);
    engine.connect_as(user("me", "Me", 1));
    engine.tell(RoomEvent::RoomChanged { metadata: r#"{"title":"x"}"#.into(), may_change: true });
    let shares = [share("a", "ada", Some(0)), share("b", "ben", Some(1)), share("c", "cyd", None)];
    shares.iter().for_each(|share| drop(engine.publish(share.clone())));
    app.update();
    assert_eq!(hung(&app), names(["a", "b", "c", "-", "-"]));

    app.world_mut().write_message(ArrangeWall::Pin { stream: id("c"), slot: 4 });
    assert_eq!(serve(&mut app, &mut engine), 1);
    assert_eq!(hung(&app), names(["a", "b", "-", "-", "c"]));
    // Two wishes before the server has told of the first.
    app.world_mut().write_message(ArrangeWall::Swap(0, 1));
    app.update();
    app.world_mut().write_message(ArrangeWall::Swap(1, 3));
    assert_eq!(serve(&mut app, &mut engine), 2);
    assert_eq!(hung(&app), names(["b", "-", "-", "a", "c"]));
    let mut faces = app.world_mut().query::<(&WallSlot, &Transform)>();
    let width = |app: &App, faces: &mut QueryState<(&WallSlot, &Transform)>, slot| {
        faces.iter(app.world()).find(|(s, _)| s.0 == slot).unwrap().1.scale.x
    };
    let before = width(&app, &mut faces, 3);
    app.world_mut().write_message(ArrangeWall::Enlarge(Some(id("a"))));
    assert_eq!(serve(&mut app, &mut engine), 1);
    assert_eq!(hung(&app), names(["a", "-", "-", "b", "c"]), "it has the centre");
    (0..60).for_each(|_| app.update());
    assert!(width(&app, &mut faces, 3) < before - 0.5, "the others hang smaller");

    // Somebody who comes now, and hears of the streams the other way round, sees the same.
    let metadata = app.world().resource::<rotunda::space::RoomStatus>().metadata.clone();
    assert!(metadata.contains("title"), "what others keep there is kept: {metadata}");
    let (mut late, late_engine) = whole_room(64, 36);
    late_engine.connect_as(user("late", "Late", 9));
    shares.iter().rev().for_each(|share| drop(late_engine.publish(share.clone())));
    late_engine.tell(RoomEvent::RoomChanged { metadata, may_change: false });
    late.update();
    assert_eq!(hung(&late), hung(&app));

    // A guest is told why not, and nothing is asked.
    let mut late_engine = late_engine;
    late.world_mut().write_message(ArrangeWall::Swap(0, 3));
    late.update();
    let trouble: Vec<_> = late.world_mut().resource_mut::<Messages<CallTrouble>>().drain().collect();
    assert!(trouble.iter().any(|told| told.0.code == ErrorCode::NotPermitted), "{trouble:?}");
    assert!(late_engine.commands().iter().all(|command| !matches!(command, RoomCommand::SetRoomMetadata(_))));
    late_engine.tell(RoomEvent::RoomChanged { metadata: "{{{".into(), may_change: false });
    late.update();
    assert_eq!(hung(&late), names(["a", "b", "c", "-", "-"]), "nonsense is no choice");

    // A share goes for a moment and comes back, as in a reconnection: nobody else moves, and it hangs where it hung.
    engine.tell(RoomEvent::StreamRemoved {
        stream: id("a"),
        owner: UserId::new("ada").unwrap(),
        reason: EndReason::Disconnected,
    });
    app.update();
    let alone = hung(&app);
    engine.publish(shares[0].clone());
    app.update();
    assert_eq!(hung(&app), names(["a", "-", "-", "b", "c"]));
    assert_eq!(alone, names(["b", "-", "-", "-", "c"]), "without it nothing is enlarged");
}

fn luma_frame(picture: &PictureTaken) -> VideoFrame {
    let luma = picture
        .rgba
        .chunks_exact(4)
        .map(|p| (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])).round() as u8);
    let mut data: Vec<u8> = luma.collect();
    data.resize(VideoFrame::byte_len(picture.width, picture.height), 128);
    VideoFrame::new(picture.width, picture.height, ColourSpace::default(), 0, data).unwrap()
}

/// The page of ten-point text as it is captured: 1920x1080, limited range.
fn page_frame(page: &page::Page) -> Arc<VideoFrame> {
    let luma = page.pixels.chunks_exact(4).map(|p| (16.0 + f32::from(p[0]) * 219.0 / 255.0).round() as u8);
    let mut data: Vec<u8> = luma.collect();
    let (width, height) = (u32::from(page::WIDTH), u32::from(page::HEIGHT));
    data.resize(VideoFrame::byte_len(width, height), 128);
    Arc::new(VideoFrame::new(width, height, ColourSpace::default(), 0, data).unwrap())
}

/// A room where somebody shares a page, drawn until it is shown.
fn room_with_page(width: u32, height: u32, page: &page::Page, mipmaps: bool) -> (App, FakeEngine, VideoFeed) {
    let (mut app, engine) = whole_room(width, height);
    app.world_mut().resource_mut::<SpaceSettings>().overlay = false;
    engine.connect_as(user("me", "Me", 1));
    let feed = engine.publish(share("slides", "ada", Some(0)));
    app.update();
    if !mipmaps {
        let mut faces = app.world_mut().query_filtered::<Entity, With<Mipmapped>>();
        let faces: Vec<Entity> = faces.iter(app.world()).collect();
        for face in faces {
            app.world_mut().entity_mut(face).remove::<Mipmapped>();
        }
    }
    feed.put(page_frame(page));
    for _ in 0..25 {
        app.update();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    (app, engine, feed)
}

/// The share of a page's words that has to be read from the rendered view.
const READABLE: f64 = 0.95;

#[test]
fn a_page_of_ten_point_text_is_read_by_who_steps_up() {
    if !crate::screen::have_tesseract() {
        return;
    }
    let Some(_turn) = gpu() else { return };
    let page = page::paint();
    let (mut app, _engine, _feed) = room_with_page(1920, 1080, &page, true);
    app.world_mut().write_message(StepWish::Up(0));
    (0..10).for_each(|_| app.update());
    let shown = picture(&mut app);
    let read = page.share_read(&luma_frame(&shown), "page-at-the-wall");
    println!("{:.1} % of {} words of ten points are read at the wall, 1920x1080", read * 100.0, page.words.len());
    if read < READABLE {
        save(&shown, "rotunda-page-at-the-wall.png");
    }
    assert!(read >= READABLE, "only {:.1} % of the words can be read at the wall", read * 100.0);
}

/// Mean difference between two pictures over the great wall, in code values.
fn difference(small: &PictureTaken, large: &PictureTaken, area: [(u32, u32); 2]) -> f64 {
    let scale = large.width / small.width;
    let (mut sum, mut count) = (0.0, 0.0);
    for y in area[0].1..area[1].1 {
        for x in area[0].0..area[1].0 {
            let mut mean = 0.0;
            for dy in 0..scale {
                for dx in 0..scale {
                    // Averaged in linear light, as an eye does.
                    let code = f64::from(pixel(large, x * scale + dx, y * scale + dy)[1]) / 255.0;
                    mean += if code <= 0.04045 { code / 12.92 } else { ((code + 0.055) / 1.055).powf(2.4) };
                }
            }
            mean /= f64::from(scale * scale);
            let code = if mean <= 0.003_130_8 { mean * 12.92 } else { 1.055 * mean.powf(1.0 / 2.4) - 0.055 };
            sum += (code * 255.0 - f64::from(pixel(small, x, y)[1])).powi(2);
            count += 1.0;
        }
    }
    (sum / count as f64).sqrt()
}

#[test]
fn from_the_seat_a_page_looks_as_if_drawn_in_many_samples() {
    let Some(_turn) = gpu() else { return };
    let page = page::paint();
    let (width, height, samples) = (320, 180, 6);
    let (mut app, ..) = room_with_page(width * samples, height * samples, &page, true);
    let reference = picture(&mut app);
    drop(app);
    let mut errors = Vec::new();
    for mipmaps in [true, false] {
        let (mut app, ..) = room_with_page(width, height, &page, mipmaps);
        let centre = rotunda::space::geometry::GREAT_WALL_CENTRE;
        let half = Vec3::new(3.8, 2.1, 0.0);
        let (low, high) = (on_screen(&mut app, centre - half), on_screen(&mut app, centre + half));
        let shown = picture(&mut app);
        let area = [(low.0, high.1), (high.0, low.1)];
        errors.push(difference(&shown, &reference, area));
        if mipmaps && errors[0] > 6.0 {
            save(&shown, "rotunda-wall-from-the-seat.png");
        }
    }
    println!("from the seat a page differs by {:.2} with mipmaps, {:.2} without (RMS of 255)", errors[0], errors[1]);
    assert!(errors[0] < 6.0, "{:.2} of 255 from what many samples show", errors[0]);
    assert!(errors[0] < 0.6 * errors[1], "mipmaps gain nothing: {errors:?}");
}

fn camera(app: &mut App) -> (Transform, f32) {
    let mut cameras = app.world_mut().query_filtered::<(&Transform, &Projection), With<RoomCamera>>();
    let (transform, projection) = cameras.single(app.world()).unwrap();
    let Projection::Perspective(lens) = projection else { panic!("{projection:?}") };
    (*transform, lens.fov)
}

fn wish(app: &mut App, wishes: &[StepWish]) {
    for wish in wishes {
        app.world_mut().write_message(*wish);
        app.update();
    }
    // Longer than the way takes.
    (0..10).for_each(|_| app.update());
}

/// Where the corners of the great picture are in the view, -1..=1.
fn corners(app: &mut App) -> [Vec2; 2] {
    let centre = rotunda::space::geometry::GREAT_WALL_CENTRE;
    let half = Vec3::new(rotunda::space::geometry::GREAT_WALL_WIDTH * 0.5, 0.0, 0.0).with_y(7.9 * 9.0 / 32.0);
    let mut cameras = app.world_mut().query_filtered::<(&Camera, &GlobalTransform), With<RoomCamera>>();
    let (camera, transform) = cameras.single(app.world()).unwrap();
    [centre - half, centre + half].map(|at| camera.world_to_ndc(transform, at).unwrap().xy())
}

#[test]
fn one_steps_up_zooms_pans_and_steps_back_to_where_one_stood() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(160, 90);
    engine.connect_as(user("me", "Me", 1));
    let feed = engine.publish(share("slides", "ada", Some(0)));
    engine.publish(share("code", "ben", Some(2)));
    feed.put(flat(1920, 1080, [120, 128, 128]));
    (0..20).for_each(|_| app.update());
    let mut walkers = app.world_mut().query::<&mut Walker>();
    let mut walker = walkers.single_mut(app.world_mut()).unwrap();
    (walker.yaw, walker.pitch, walker.fov) = (0.3, 0.05, 0.7);
    (0..40).for_each(|_| app.update());
    let stood = camera(&mut app);

    app.world_mut().write_message(StepWish::Up(0));
    app.update();
    let mut way = vec![camera(&mut app).0.translation];
    (0..10).for_each(|_| {
        app.update();
        way.push(camera(&mut app).0.translation);
    });
    let steps: Vec<f32> = way.windows(2).map(|pair| pair[0].distance(pair[1])).collect();
    assert!(steps.iter().filter(|step| **step > 0.1).count() >= 4, "one glides there: {steps:?}");
    assert!(steps[8..].iter().all(|step| *step < 1e-4), "in a third of a second: {steps:?}");
    assert_eq!(*app.world().resource::<ViewMode>(), ViewMode::Wall(0));
    let whole = corners(&mut app);
    assert!((whole[0] + whole[1]).length() < 1e-3, "the picture is in the middle: {whole:?}");
    assert!((0.92..0.96).contains(&whole[1].x) && whole[1].y < 0.96, "and fills the view: {whole:?}");

    // Pixel for pixel, then as near as it gets, then far beyond the edge.
    wish(&mut app, &[StepWish::Exact(Vec2::ZERO)]);
    let exact = corners(&mut app);
    assert!(((exact[1].x - exact[0].x) * 0.5 * 160.0 - 1920.0).abs() < 4.0, "{exact:?} is not pixel for pixel");
    wish(&mut app, &[StepWish::Zoom { factor: 1e6, around: Vec2::ZERO }]);
    let near = corners(&mut app);
    assert!(((near[1].x - near[0].x) * 0.5 * 160.0 - 4.0 * 1920.0).abs() < 16.0, "{near:?}: four to one is the end");
    wish(&mut app, &[StepWish::Pan(Vec2::splat(-1000.0)), StepWish::Pan(Vec2::splat(f32::NAN))]);
    let edge = corners(&mut app);
    assert!((edge[1] - whole[1]).length() < 0.05, "the picture's edge stays within the view: {edge:?}");
    wish(
        &mut app,
        &[StepWish::Zoom { factor: 0.0, around: Vec2::ZERO }, StepWish::Zoom { factor: 1e-6, around: Vec2::ONE }],
    );
    assert!(corners(&mut app)[1].distance(whole[1]) < 1e-3, "as far as the whole picture and no further");

    // To the neighbour and no further; the picture is followed where a host hangs it.
    wish(&mut app, &[StepWish::Along(1), StepWish::Along(1)]);
    assert_eq!(app.world().resource::<CloseView>().slot(), Some(2));
    let metadata = r#"{"rotunda":{"wall":{"pins":{"3":"code"}}}}"#;
    engine.tell(RoomEvent::RoomChanged { metadata: metadata.into(), may_change: false });
    wish(&mut app, &[]);
    assert_eq!(*app.world().resource::<ViewMode>(), ViewMode::Wall(3));
    wish(&mut app, &[StepWish::Up(4)]);
    assert_eq!(*app.world().resource::<ViewMode>(), ViewMode::Wall(3), "nothing hangs in slot 4");

    wish(&mut app, &[StepWish::Back]);
    assert_eq!(*app.world().resource::<ViewMode>(), ViewMode::Hall);
    let back = camera(&mut app);
    assert!(back.0.translation.distance(stood.0.translation) < 1e-4 && (back.1 - stood.1).abs() < 2e-3, "{back:?}");
    assert!(back.0.rotation.angle_between(stood.0.rotation) < 1e-3, "exactly where one stood");
    // What one looks at ends: one is back in the hall.
    wish(&mut app, &[StepWish::Up(3)]);
    engine.tell(RoomEvent::StreamRemoved {
        stream: id("code"),
        owner: UserId::new("ben").unwrap(),
        reason: EndReason::Stopped,
    });
    wish(&mut app, &[]);
    assert_eq!(*app.world().resource::<ViewMode>(), ViewMode::Hall);
    assert!(camera(&mut app).0.translation.distance(stood.0.translation) < 1e-4);
}

fn press(app: &mut App, key: KeyCode) {
    for state in [ButtonState::Pressed, ButtonState::Released] {
        app.world_mut().write_message(KeyboardInput {
            key_code: key,
            logical_key: Key::Unidentified(NativeKey::Unidentified),
            state,
            text: None,
            repeat: false,
            window: Entity::PLACEHOLDER,
        });
        app.update();
    }
}

#[test]
fn keys_lead_to_the_wall_and_back() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(64, 36);
    engine.connect_as(user("me", "Me", 1));
    app.update();
    press(&mut app, KeyCode::KeyE);
    assert_eq!(*app.world().resource::<ViewMode>(), ViewMode::Hall, "nothing hangs there");
    engine.publish(share("slides", "ada", Some(0)));
    app.update();
    for (key, mode) in [
        (KeyCode::KeyE, ViewMode::Wall(0)),
        (KeyCode::Escape, ViewMode::Hall),
        (KeyCode::Enter, ViewMode::Wall(0)),
        (KeyCode::KeyE, ViewMode::Hall),
    ] {
        press(&mut app, key);
        (0..10).for_each(|_| app.update());
        assert_eq!(*app.world().resource::<ViewMode>(), mode, "{key:?}");
    }
}

fn pointer_packet(stream: &str, x: u16, y: u16) -> Vec<u8> {
    [&[1][..], &x.to_le_bytes(), &y.to_le_bytes(), stream.as_bytes()].concat()
}

fn hear(engine: &FakeEngine, from: &str, payload: Vec<u8>) {
    engine.tell(RoomEvent::DataReceived {
        from: UserId::new(from).ok(),
        topic: "rotunda.pointer".into(),
        payload,
        reliable: false,
    });
}

#[test]
fn the_presenters_pointer_is_seen_and_nobody_elses() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(480, 270);
    app.world_mut().resource_mut::<SpaceSettings>().overlay = false;
    engine.connect_as(user("me", "Me", 9));
    engine.join_with_camera("ada", "Ada", 1, false);
    engine.join_with_camera("eve", "Eve", 2, false);
    let feed = engine.publish(share("slides", "ada", Some(0)));
    feed.put(flat(1920, 1080, [60, 128, 128]));
    (0..25).for_each(|_| app.update());
    wish(&mut app, &[StepWish::Up(0)]);
    // A quarter from the left, a quarter from above.
    let there = rotunda::space::geometry::GREAT_WALL_CENTRE + Vec3::new(-7.9 / 4.0, 7.9 * 9.0 / 64.0, 0.0);
    let plain = picture(&mut app);
    let (x, y) = on_screen(&mut app, there);
    let dark = pixel(&plain, x, y);

    hear(&engine, "eve", pointer_packet("slides", 16_384, 16_384));
    for payload in [vec![], vec![1, 2], pointer_packet("nothing", 0, 0), pointer_packet("b d", 1, 1), vec![9; 60_000]] {
        hear(&engine, "ada", payload);
    }
    (0..10).for_each(|_| app.update());
    assert_eq!(
        app.world_mut().resource_mut::<Messages<WallPointer>>().drain().count(),
        0,
        "a stranger's, and nonsense"
    );
    assert_eq!(pixel(&picture(&mut app), x, y), dark);

    hear(&engine, "ada", pointer_packet("slides", 16_384, 16_384));
    (0..10).for_each(|_| app.update());
    let shown = picture(&mut app);
    let bright = pixel(&shown, x, y);
    if bright.iter().any(|c| *c < 200) {
        save(&shown, "rotunda-pointer.png");
    }
    assert!(bright.iter().all(|c| *c > 200), "a bright dot is there: {bright:?}, before {dark:?}");
    assert_eq!(pixel(&shown, x + 60, y + 40), pixel(&plain, x + 60, y + 40), "and only there");
    // Nothing more is heard of it: gone after three seconds.
    (0..70).for_each(|_| app.update());
    assert_eq!(pixel(&picture(&mut app), x, y), dark);
}

#[test]
fn pointing_is_told_at_most_twenty_times_a_second_and_not_while_idle() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = whole_room(64, 36);
    engine.connect_as(user("me", "Me", 1));
    engine.tell(RoomEvent::StreamUpdated(share("mine", "me", Some(0))));
    engine.publish(share("theirs", "ada", Some(1)));
    app.update();
    engine.commands();
    let run = |app: &mut App,
               engine: &mut FakeEngine,
               frames: usize,
               target: &dyn Fn(usize) -> Option<(&'static str, Vec2)>| {
        for frame in 0..frames {
            app.world_mut().resource_mut::<Pointing>().0 = target(frame).map(|(stream, at)| (id(stream), at));
            app.update();
        }
        let packets = engine.commands().into_iter().filter_map(|command| match command {
            RoomCommand::SendData(data) if data.topic == "rotunda.pointer" => Some(data),
            _ => None,
        });
        packets.collect::<Vec<_>>()
    };
    // 50 ms a frame: two seconds each.
    let moving = run(&mut app, &mut engine, 40, &|frame| Some(("mine", Vec2::splat(frame as f32 / 40.0))));
    assert!((20..=41).contains(&moving.len()), "{} packets in two seconds", moving.len());
    assert!(moving.iter().all(|data| !data.reliable && data.to.is_empty() && data.payload.len() < 16));
    let resting = run(&mut app, &mut engine, 40, &|_| Some(("mine", Vec2::splat(0.5))));
    assert!((1..=4).contains(&resting.len()), "{} packets while it rests", resting.len());
    let lifted = run(&mut app, &mut engine, 40, &|_| None);
    assert_eq!(lifted.len(), 1, "that it is lifted is told once");
    assert_eq!(lifted[0].payload[0], 0);
    for (stream, at) in
        [("theirs", Vec2::splat(0.5)), ("mine", Vec2::new(1.5, 0.5)), ("mine", Vec2::NAN), ("none", Vec2::ZERO)]
    {
        assert_eq!(run(&mut app, &mut engine, 10, &|_| Some((stream, at))).len(), 0, "{stream} {at}");
    }
}

#[test]
fn who_presents_stands_beside_the_wall_meanwhile() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(64, 36);
    engine.connect_as(user("me", "Me", 99));
    for (n, name) in ["ada", "ben", "cyd"].into_iter().enumerate() {
        engine.join_with_camera(name, name, n as i64, false);
    }
    (0..60).for_each(|_| app.update());
    let place = |app: &mut App, name: &str| {
        let who = entity(app, name);
        let mut panels = app.world_mut().query::<(&PanelOf, &Transform)>();
        panels.iter(app.world()).find(|(of, _)| of.0 == who).map(|(_, transform)| transform.translation).unwrap()
    };
    let seated = place(&mut app, "ada");
    let seat = app.world().get::<Seat>(entity(&app, "ada")).unwrap().panel;
    assert!(seated.distance(seat) < 0.6, "at first everyone is at their seat: {seated} {seat}");
    engine.publish(share("slides", "ada", Some(0)));
    engine.publish(share("code", "cyd", Some(1)));
    (0..120).for_each(|_| app.update());
    let (ada, cyd) = (place(&mut app, "ada"), place(&mut app, "cyd"));
    assert!(ada.x < -4.5 && ada.z < -5.0 && ada.y > 3.8, "left of the wall, not below it: {ada}");
    assert!(cyd.x > 4.5 && cyd.z < -5.0 && cyd.y > 3.8, "the second right of it: {cyd}");
    assert_eq!(app.world().get::<Presenting>(entity(&app, "cyd")), Some(&Presenting(1)));
    assert!(app.world().get::<Presenting>(entity(&app, "ben")).is_none());
    engine.tell(RoomEvent::StreamRemoved {
        stream: id("slides"),
        owner: UserId::new("ada").unwrap(),
        reason: EndReason::Stopped,
    });
    (0..120).for_each(|_| app.update());
    assert!(place(&mut app, "ada").distance(seated) < 0.05, "and back to the seat");
    assert!(place(&mut app, "cyd").x < -4.5, "who presents alone is at the first place");
}
