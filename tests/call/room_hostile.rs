//! What a room may be sent that nobody would draw on purpose: pictures of odd and changing sizes, a crowd, names made to
//! break lines. Everything is shown as well as can be, and nothing is lost.

use bevy::prelude::*;
use rotunda::media::ColourSpace;
use rotunda::model::StreamId;
use rotunda::space::panel::GridPage;
use rotunda::space::stream::{PlanePool, VideoFace};
use rotunda::space::sync::{ReceiveCounts, Roster};
use rotunda::space::{Participant, Seat, SpaceSettings, ViewMode};

use crate::fake_engine::user;
use crate::room::{assert_near, entity, flat, gpu, on_screen, picture, pixel, reference_rgb, whole_room};

fn run(app: &mut App, frames: usize) {
    for _ in 0..frames {
        app.update();
        // Pipelines compile beside the frames.
        std::thread::sleep(std::time::Duration::from_millis(4));
    }
}

#[test]
fn pictures_of_every_size_are_shown_whole() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(480, 270);
    engine.connect_as(user("me", "Me", 99));
    let feed = engine.join_with_camera("ada", "Ada", 1, false);
    run(&mut app, 30);
    let colour = [120, 90, 200];
    let want = reference_rgb(colour, ColourSpace::default());
    let sizes = [(320, 180), (1, 1), (3, 5), (321, 181), (180, 320), (200, 2000), (7680, 4320), (640, 360), (1, 1)];
    for (width, height) in sizes {
        for _ in 0..6 {
            feed.put(flat(width, height, colour));
            run(&mut app, 3);
        }
        let shown = picture(&mut app);
        let seat = *app.world().get::<Seat>(entity(&app, "ada")).unwrap();
        let middle = on_screen(&mut app, seat.panel);
        assert_near(&shown, middle, want, &format!("the middle of {width}x{height}"));
        // A phone held upright is not stretched: beside its picture it is dark.
        let edge = on_screen(&mut app, seat.panel + Vec3::X * (seat.size.x * 0.42));
        let edge = pixel(&shown, edge.0, edge.1);
        let narrow = (width as f32) < height as f32 * 1.4;
        assert_eq!(edge.iter().all(|code| *code < 40), narrow, "{width}x{height}: {edge:?} at the edge");
    }
    let sets = app.world().resource::<PlanePool>().created();
    assert!(sets <= 8, "{sets} sets of textures for eight sizes");
}

#[test]
fn two_hundred_people_fit() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(320, 180);
    app.world_mut().resource_mut::<SpaceSettings>().events_per_frame = 400;
    engine.connect_as(user("me", "Me", 9_999));
    let mut feeds = Vec::new();
    for n in 0..200_usize {
        feeds.push(engine.join_with_camera(&format!("g{n}"), &format!("Guest {n}"), n as i64, n % 3 == 0));
        if n % 40 == 39 {
            app.update();
        }
    }
    for feed in &feeds {
        feed.put(flat(64, 36, [150, 110, 140]));
    }
    run(&mut app, 30);
    assert_eq!(app.world().resource::<Roster>().user_count(), 201);
    assert_eq!(app.world().resource::<ReceiveCounts>().refused, 0);
    let mut seats = app.world_mut().query::<(&Participant, &Seat)>();
    let places: Vec<_> = seats.iter(app.world()).map(|(_, seat)| seat.panel).collect();
    assert_eq!(places.len(), 201);
    assert!(places.iter().all(|place| place.is_finite() && place.length() < 25.0));
    let mut faces = app.world_mut().query::<(&VideoFace, &GlobalTransform)>();
    assert!(faces.iter(app.world()).all(|(_, at)| at.translation().is_finite()));
    app.insert_resource(ViewMode::Grid);
    run(&mut app, 10);
    assert_eq!(app.world().resource::<GridPage>().pages, 5);
    picture(&mut app);
}

#[test]
fn names_of_every_kind_are_lettered() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(480, 270);
    engine.connect_as(user("me", "Me", 99));
    let names = [
        "王小明 from the second floor".to_owned(),
        "محمد بن سلمان".to_owned(),
        "🦊🦊🦊".to_owned(),
        "x".repeat(255),
        format!("z{}", "\u{336}".repeat(120)),
        "\u{202e}evil\u{202c}\0\n".to_owned(),
        " ".to_owned(),
        "👩‍👩‍👧‍👦 family".to_owned(),
    ];
    for (n, name) in names.iter().enumerate() {
        engine.join_with_camera(&format!("g{n}"), name, n as i64, false);
    }
    run(&mut app, 30);
    for (n, name) in names.iter().enumerate() {
        let person = app.world().get::<Participant>(entity(&app, &format!("g{n}"))).unwrap();
        let kept = if name.trim().is_empty() { format!("g{n}") } else { name.clone() };
        assert_eq!(person.name, kept, "the name itself stays as it was told");
        let stream = app.world().resource::<Roster>().stream(&StreamId::new(format!("g{n}-cam")).unwrap());
        let mut faces = app.world_mut().query::<&VideoFace>();
        assert!(faces.iter(app.world()).any(|face| face.stream == stream), "{name:?} has a panel");
    }
    picture(&mut app);
}
