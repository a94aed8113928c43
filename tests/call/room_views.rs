//! The room seen flat, and what panels say about people: drawn off-screen against a scripted engine and read back from
//! the pixels.

use bevy::prelude::*;
use rotunda::bridge::{RoomEvent, VideoFeed};
use rotunda::media::ColourSpace;
use rotunda::model::quality::{EngineSnapshot, Grade};
use rotunda::model::{CallError, ErrorCode, PlayState, StreamId, StreamKind, UserId};
use rotunda::space::panel::GridPage;
use rotunda::space::stream::{FaceLook, LinkLook, UploadStats, VideoFace};
use rotunda::space::{Mood, PictureTaken, ViewMode};

use crate::fake_engine::{FakeEngine, stream, user};
use crate::room::{assert_near, flat, gpu, on_screen, picture, pixel, reference_rgb, save, whole_room};

/// Lets the room settle while everyone sends.
fn run(app: &mut App, feeds: &[(VideoFeed, [u8; 3])], frames: usize) {
    for frame in 0..frames {
        if frame % 4 == 0 {
            for (feed, colour) in feeds {
                feed.put(flat(160, 90, *colour));
            }
        }
        app.update();
        // Pipelines compile beside the frames.
        std::thread::sleep(std::time::Duration::from_millis(4));
    }
}

fn colour_of(n: usize) -> [u8; 3] {
    [(60 + n * 37 % 150) as u8, (60 + n * 53 % 140) as u8, (60 + n * 71 % 140) as u8]
}

fn guests(engine: &FakeEngine, count: usize) -> Vec<(VideoFeed, [u8; 3])> {
    let guest = |n: usize| engine.join_with_camera(&format!("g{n}"), &format!("Guest {n}"), n as i64, false);
    (0..count).map(|n| (guest(n), colour_of(n))).collect()
}

/// Where the panel of a guest is in the picture now.
fn panel(app: &mut App, who: &str) -> Option<(Vec3, Visibility)> {
    let stream =
        app.world().resource::<rotunda::space::sync::Roster>().stream(&StreamId::new(format!("{who}-cam")).unwrap());
    let mut faces = app.world_mut().query::<(&VideoFace, &GlobalTransform, &Visibility)>();
    let found = faces.iter(app.world()).find(|(face, ..)| face.stream == stream);
    found.map(|(_, at, visibility)| (at.translation(), *visibility))
}

fn look(app: &mut App, who: &str) -> FaceLook {
    let stream =
        app.world().resource::<rotunda::space::sync::Roster>().stream(&StreamId::new(format!("{who}-cam")).unwrap());
    let mut faces = app.world_mut().query::<(&VideoFace, &FaceLook)>();
    *faces.iter(app.world()).find(|(face, _)| face.stream == stream).unwrap().1
}

fn mean_difference(a: &PictureTaken, b: &PictureTaken) -> f64 {
    let sum: u64 = a.rgba.iter().zip(&b.rgba).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.rgba.len() as f64
}

#[test]
fn the_grid_shows_every_face_without_the_hall_and_leads_back() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(480, 270);
    engine.connect_as(user("me", "Me", 999));
    let feeds = guests(&engine, 9);
    run(&mut app, &feeds, 60);
    let hall = picture(&mut app);

    app.insert_resource(ViewMode::Grid);
    run(&mut app, &feeds, 60);
    let grid = picture(&mut app);
    let corner = pixel(&grid, 3, 3);
    assert!(corner.iter().all(|channel| *channel < 40), "no hall behind the faces: {corner:?}");
    let mut seen = Vec::new();
    for (n, (_, colour)) in feeds.iter().enumerate() {
        let (at, _) = panel(&mut app, &format!("g{n}")).unwrap();
        let at = on_screen(&mut app, at);
        assert_near(&grid, at, reference_rgb(*colour, ColourSpace::default()), &format!("guest {n} in the grid"));
        seen.push(at);
    }
    // Three rows of three, in the order of the seats.
    let rows: std::collections::BTreeSet<_> = seen.iter().map(|(_, y)| y).collect();
    assert!((3..=4).contains(&rows.len()) || seen.len() % rows.len() == 0, "{seen:?}");
    assert!(seen[0].1 <= seen[8].1, "the first sits above the last");

    app.insert_resource(ViewMode::Hall);
    run(&mut app, &feeds, 60);
    let back = picture(&mut app);
    let off = mean_difference(&hall, &back);
    if off > 1.0 {
        save(&back, "rotunda-back-from-grid.png");
    }
    assert!(off <= 1.0, "the hall is as it was: off by {off} of 255");
}

#[test]
fn a_large_meeting_takes_pages_and_only_the_page_in_view_is_uploaded() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(320, 180);
    app.world_mut().resource_mut::<rotunda::space::SpaceSettings>().events_per_frame = 400;
    engine.connect_as(user("me", "Me", 999));
    let mut feeds = Vec::new();
    for n in 0..60 {
        let feed = engine.join_with_camera(&format!("g{n}"), &format!("Guest {n}"), n, false);
        feeds.push((feed, colour_of(n as usize)));
        app.update();
    }
    app.insert_resource(ViewMode::Grid);
    run(&mut app, &feeds, 40);
    assert_eq!(*app.world().resource::<GridPage>(), GridPage { shown: 0, pages: 2 });
    let uploads = app.world().resource::<UploadStats>().clone();
    let before = uploads.frames();
    for (feed, colour) in &feeds {
        feed.put(flat(160, 90, *colour));
    }
    app.update();
    assert_eq!(uploads.frames() - before, 49, "a page of 49");
    app.world_mut().resource_mut::<GridPage>().shown = 1;
    app.update();
    let turned = panel(&mut app, "g59").unwrap().0;
    run(&mut app, &feeds, 40);
    assert_eq!(panel(&mut app, "g0").unwrap().1, Visibility::Hidden);
    let (last, visibility) = panel(&mut app, "g59").unwrap();
    assert_eq!(visibility, Visibility::Inherited);
    assert!(last.distance(turned) < 1e-3, "a page that is turned to flies in: from {turned} to {last}");
    let shown = picture(&mut app);
    let at = on_screen(&mut app, last);
    assert_near(&shown, at, reference_rgb(colour_of(59), ColourSpace::default()), "the last guest on the second page");

    // People go: there is no second page to be on.
    for n in 10..60 {
        engine.leave(&format!("g{n}"));
    }
    feeds.truncate(10);
    run(&mut app, &feeds, 30);
    assert_eq!(*app.world().resource::<GridPage>(), GridPage { shown: 0, pages: 1 });
    assert_eq!(panel(&mut app, "g0").unwrap().1, Visibility::Inherited);
}

#[test]
fn whoever_speaks_is_large_and_a_shared_screen_larger() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(480, 270);
    engine.connect_as(user("me", "Me", 999));
    let feeds = guests(&engine, 5);
    app.insert_resource(ViewMode::Speaker);
    engine.set_levels([("g3".to_owned(), 0.3)]);
    run(&mut app, &feeds, 80);
    let middle = |app: &mut App| {
        let shown = picture(app);
        pixel(&shown, 190, 110)
    };
    let near = |got: [i32; 3], want: [i32; 3]| (0..3).all(|i| (got[i] - want[i]).abs() <= 6);
    let want = |n: usize| reference_rgb(colour_of(n), ColourSpace::default());
    let got = middle(&mut app);
    assert!(near(got, want(3)), "guest 3 speaks: {got:?} instead of {:?}", want(3));

    engine.set_levels([("g1".to_owned(), 0.3)]);
    run(&mut app, &feeds, 60);
    let got = middle(&mut app);
    assert!(near(got, want(1)), "now guest 1 does: {got:?} instead of {:?}", want(1));

    let share = [106, 202, 222];
    let feed = engine.publish(stream("share", "g0", StreamKind::Screen, false));
    let all: Vec<_> = feeds.iter().cloned().chain([(feed, share)]).collect();
    run(&mut app, &all, 60);
    let got = middle(&mut app);
    assert!(near(got, reference_rgb(share, ColourSpace::default())), "the share is large: {got:?}");
    assert_eq!(panel(&mut app, "g1").unwrap().1, Visibility::Inherited, "the speaker is in the strip");
    engine.tell(RoomEvent::StreamRemoved {
        stream: StreamId::new("share").unwrap(),
        owner: UserId::new("g0").unwrap(),
        reason: rotunda::model::EndReason::Stopped,
    });
    run(&mut app, &feeds, 40);
    let got = middle(&mut app);
    assert!(near(got, want(1)), "the share ended: {got:?}");
}

#[test]
fn a_panel_says_who_asks_to_speak_and_whose_connection_is_poor() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(480, 270);
    engine.connect_as(user("me", "Me", 999));
    let feeds = guests(&engine, 3);
    run(&mut app, &feeds, 60);
    let calm = picture(&mut app);
    let raised = {
        let mut user = user("g0", "Guest 0", 0);
        user.attributes.insert("rotunda.hand".into(), "1764072000000".into());
        user
    };
    engine.tell(RoomEvent::UserUpdated(raised));
    let network = [("g1", Grade::Poor), ("g2", Grade::Lost)];
    let network = network.map(|(who, grade)| (UserId::new(who).unwrap(), grade)).into_iter().collect();
    engine.set_figures(EngineSnapshot { network, ..Default::default() });
    run(&mut app, &feeds, 20);
    assert!(look(&mut app, "g0").hand && look(&mut app, "g0").link == LinkLook::Fine);
    assert_eq!(look(&mut app, "g1").link, LinkLook::Poor);
    assert_eq!(look(&mut app, "g2").link, LinkLook::Lost);
    let told = picture(&mut app);
    let mut brightness = |picture: &PictureTaken, who: &str| {
        let (at, _) = panel(&mut app, who).unwrap();
        let (x, y) = on_screen(&mut app, at);
        pixel(picture, x, y).iter().sum::<i32>()
    };
    assert!((brightness(&calm, "g1") - brightness(&told, "g1")).abs() < 12, "a poor picture is shown as it is");
    assert!(brightness(&told, "g2") * 2 < brightness(&calm, "g2"), "what is lost is dark");
    assert!(mean_difference(&calm, &told) > 0.05, "signs are drawn");

    // The picture of someone with a good connection waits for ours.
    let stream = StreamId::new("g0-cam").unwrap();
    let error = Some(CallError::new(ErrorCode::PlayInterrupted, "the picture waits"));
    engine.tell(RoomEvent::PlayStateChanged { stream: stream.clone(), state: PlayState::Requesting, error });
    engine.set_figures(EngineSnapshot::default());
    engine.tell(RoomEvent::UserUpdated(user("g0", "Guest 0", 0)));
    run(&mut app, &feeds, 10);
    assert!(!look(&mut app, "g0").hand, "the hand is down");
    assert_eq!(look(&mut app, "g0").link, LinkLook::Waiting);
    assert_eq!(look(&mut app, "g2").link, LinkLook::Fine);
    engine.tell(RoomEvent::PlayStateChanged { stream, state: PlayState::Playing, error: None });
    run(&mut app, &feeds, 10);
    assert_eq!(look(&mut app, "g0").link, LinkLook::Fine);
}

#[test]
fn night_falls_and_day_breaks_while_the_room_is_open() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(320, 180);
    engine.connect_as(user("me", "Me", 999));
    run(&mut app, &[], 40);
    let sum = |picture: &PictureTaken| picture.rgba.iter().map(|code| u64::from(*code)).sum::<u64>();
    let day = picture(&mut app);
    let wait_for = |app: &mut App, mood| {
        app.insert_resource(mood);
        for _ in 0..400 {
            run(app, &[], 5);
            let now = picture(app);
            if mean_difference(&now, &day) > 4.0 || (mood == Mood::Day && mean_difference(&now, &day) < 0.5) {
                return now;
            }
        }
        panic!("the light never changed");
    };
    let night = wait_for(&mut app, Mood::Night);
    assert!(sum(&night) < sum(&day), "night is darker");
    wait_for(&mut app, Mood::Day);
}
