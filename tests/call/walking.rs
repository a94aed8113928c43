//! People who walk, against a scripted engine: panels follow them smoothly, nonsense moves nobody, seats are taken and
//! kept. Tests that draw use whatever adapter there is, a software one included.

use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use rotunda::bridge::{RoomCommand, RoomEvent};
use rotunda::model::{ATTRIBUTE_SEAT, Pose, Stand, StreamKind, UserId};
use rotunda::space::geometry::{EYE_HEIGHT, SEATED_EYE_HEIGHT, VIEWPOINT, WALK_RADIUS, floor_height};
use rotunda::space::panel::PanelOf;
use rotunda::space::participant::{ParticipantPlugin, Standing, seat_plan};
use rotunda::space::pose::PosePlugin;
use rotunda::space::schedule::SchedulePlugin;
use rotunda::space::sync::{Roster, SyncPlugin};
use rotunda::space::view::{Posture, RoomCamera, Walker};
use rotunda::space::{EngineBridge, LocalParticipant, Seat, SeatPlan, TakeSeat, ViewMode};

use crate::fake_engine::{FakeEngine, stream, user};
use crate::room::{gpu, whole_room};

fn bare_room() -> (App, FakeEngine) {
    let (handle, engine) = FakeEngine::new();
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, SchedulePlugin, SyncPlugin, ParticipantPlugin, PosePlugin))
        .insert_resource(EngineBridge(handle));
    (app, engine)
}

fn entity(app: &App, user: &str) -> Entity {
    app.world().resource::<Roster>().user(&UserId::new(user).unwrap()).unwrap()
}

fn standing(app: &App, user: &str) -> Option<Standing> {
    app.world().get::<Standing>(entity(app, user)).copied()
}

fn stand(x_m: f32, z_m: f32) -> Stand {
    Stand::new(x_m, z_m, 0.5).unwrap()
}

/// Runs the app at about 60 frames a second for a while.
fn run(app: &mut App, secs: f32, mut each: impl FnMut(&mut App, f32)) {
    let began = Instant::now();
    while began.elapsed().as_secs_f32() < secs {
        each(app, began.elapsed().as_secs_f32());
        app.update();
        std::thread::sleep(Duration::from_millis(12));
    }
}

#[test]
fn who_tells_where_they_stand_stands_there_and_sits_when_they_say_so() {
    let (mut app, engine) = bare_room();
    engine.connect_as(user("me", "Me", 9));
    engine.tell(RoomEvent::UserJoined(user("ada", "Ada", 1)));
    app.update();
    assert_eq!(standing(&app, "ada"), None, "everyone begins at their seat");
    engine.stand("ada", 0, stand(2.0, -1.0));
    engine.stand("me", 0, stand(2.0, -1.0));
    app.update();
    let ada = standing(&app, "ada").unwrap();
    assert!(ada.ground.distance(Vec2::new(2.0, -1.0)) < 1e-3 && (ada.yaw - 0.5).abs() < 1e-3, "{ada:?}");
    assert_eq!(standing(&app, "me"), None, "nobody else moves this client");
    engine.pose("ada", 50, Pose::Seated);
    app.update();
    assert_eq!(standing(&app, "ada"), None);
}

#[test]
fn poses_of_unknown_people_move_nobody_until_they_are_here() {
    let (mut app, engine) = bare_room();
    engine.connect_as(user("me", "Me", 9));
    engine.stand("ghost", 0, stand(1.0, 1.0));
    app.update();
    assert_eq!(app.world_mut().query::<&Standing>().iter(app.world()).count(), 0);
    engine.tell(RoomEvent::UserJoined(user("ghost", "Ghost", 10)));
    app.update();
    app.update();
    assert!(standing(&app, "ghost").is_some(), "who was told of before they were announced stands at once");
    engine.leave("ghost");
    app.update();
    assert_eq!(app.world_mut().query::<&Standing>().iter(app.world()).count(), 0);
}

#[test]
fn far_away_is_the_wall_and_two_hundred_in_one_spot_stand_apart() {
    let (mut app, engine) = bare_room();
    engine.connect_as(user("me", "Me", 999));
    for n in 0..200 {
        engine.tell(RoomEvent::UserJoined(user(&format!("u{n}"), "U", n)));
        engine.stand(&format!("u{n}"), 0, if n == 0 { stand(-50.0, 50.0) } else { stand(1.0, 1.0) });
    }
    run(&mut app, 1.5, |_, _| ());
    let mut all: Vec<Vec2> =
        app.world_mut().query::<&Standing>().iter(app.world()).map(|standing| standing.ground).collect();
    assert_eq!(all.len(), 200);
    assert!(all.iter().all(|ground| ground.is_finite() && ground.length() <= WALK_RADIUS + 1e-3));
    all.sort_by(|a, b| a.x.total_cmp(&b.x));
    all.dedup_by(|a, b| a.distance(*b) < 0.05);
    assert!(all.len() > 190, "only {} places", all.len());
}

#[test]
fn everyone_has_a_seat_plain_clients_too_and_nobody_moves_when_another_goes() {
    let (mut app, engine) = bare_room();
    let ours = |id: &str, at: i64, seat: &str| {
        let mut info = user(id, id, at);
        info.attributes.insert(ATTRIBUTE_SEAT.into(), seat.into());
        info
    };
    engine.connect_as(user("me", "Me", 50));
    engine.tell(RoomEvent::UserJoined(ours("ada", 1, "0")));
    engine.tell(RoomEvent::UserJoined(ours("ben", 2, "1")));
    engine.tell(RoomEvent::UserJoined(user("plain", "A browser", 3)));
    app.update();
    let seat = |app: &App, who: &str| app.world().get::<Seat>(entity(app, who)).copied().unwrap();
    let numbers = |app: &App| ["ada", "ben", "plain", "me"].map(|who| seat(app, who).index);
    assert_eq!(numbers(&app), [0, 1, 2, 3]);
    assert!(
        app.world().resource::<SeatPlan>().free(3).is_none() && app.world().resource::<SeatPlan>().free(4).is_some()
    );
    let ben = seat(&app, "ben");
    engine.leave("ada");
    engine.tell(RoomEvent::UserJoined(user("new", "New", 99)));
    app.update();
    assert_eq!(seat(&app, "ben"), ben, "Ben stays where he is");
    // Ben logs in anew, and says since when he is here: the newcomer does not get between.
    let mut again = ours("ben", 500, "1");
    again.attributes.insert("rotunda.since".into(), "2".into());
    engine.tell(RoomEvent::UserUpdated(again));
    app.update();
    assert_eq!(seat(&app, "ben"), ben);
}

/// Chairs that are asked for.
fn wished(engine: &mut FakeEngine) -> Vec<String> {
    let wish = |command| match command {
        RoomCommand::SetAttributes(mut changes) => changes.remove(ATTRIBUTE_SEAT),
        _ => None,
    };
    engine.commands().into_iter().filter_map(wish).collect()
}

#[test]
fn this_client_wishes_for_the_seat_it_got_where_it_may() {
    for allowed in [true, false] {
        let (mut app, mut engine) = bare_room();
        if allowed {
            engine.allow_attributes();
        }
        engine.connect_as(user("me", "Me", 9));
        engine.tell(RoomEvent::UserJoined(user("ada", "Ada", 1)));
        run(&mut app, 2.6, |_, _| ());
        let expected: &[&str] = if allowed { &["1"] } else { &[] };
        assert_eq!(wished(&mut engine), expected, "once, and only with the right to");
    }
}

fn walker(app: &mut App) -> Walker {
    app.world_mut().query::<&Walker>().single(app.world()).unwrap().clone()
}

#[test]
fn a_panel_follows_its_owner_smoothly_and_goes_back_to_the_seat() {
    let Some(_turn) = gpu() else { return };
    let (mut app, engine) = whole_room(160, 90);
    app.insert_resource(TimeUpdateStrategy::Automatic);
    engine.connect_as(user("me", "Me", 99));
    for (n, id) in ["ada", "ben"].into_iter().enumerate() {
        engine.tell(RoomEvent::UserJoined(user(id, id, n as i64)));
        engine.tell(RoomEvent::StreamAdded(stream(&format!("{id}-cam"), id, StreamKind::Camera, false)));
    }
    let panel = |app: &mut App, of: &str| {
        let owner = entity(app, of);
        let mut panels = app.world_mut().query::<(&PanelOf, &Transform)>();
        panels.iter(app.world()).find(|(panel, _)| panel.0 == owner).map(|(_, transform)| *transform).unwrap()
    };
    run(&mut app, 1.0, |_, _| ());
    let (seat, ben) = (panel(&mut app, "ada"), panel(&mut app, "ben"));
    engine.stand("ada", 0, stand(-3.0, 3.0));
    run(&mut app, 2.5, |_, _| ());
    let at = panel(&mut app, "ada");
    assert!(at.translation.xz().distance(Vec2::new(-3.0, 3.0)) < 0.1, "{at:?}");
    assert!((1.0..2.2).contains(&at.translation.y), "at the height of a head: {at:?}");
    assert!((1.0..1.6).contains(&at.scale.x), "as large as a person: {at:?}");

    // She walks three metres in two seconds, told 20 times a second: no frame leaps.
    let (mut told, mut last, mut fastest) = (0_u32, at.translation, 0.0_f32);
    run(&mut app, 2.6, |app, now| {
        while told < 40 && now > told as f32 * 0.05 {
            told += 1;
            engine.stand("ada", 10_000 + told * 50, stand(-3.0 + told as f32 * 0.075, 3.0));
        }
        let here = panel(app, "ada").translation;
        let frame = app.world().resource::<Time<Real>>().delta_secs().max(0.012);
        fastest = fastest.max(here.distance(last) / frame);
        last = here;
    });
    assert!(last.xz().distance(Vec2::new(0.0, 3.0)) < 0.1, "she arrives: {last}");
    assert!(fastest < 6.0, "the panel of one who walks at 1.5 m/s moved at {fastest} m/s");
    assert!(panel(&mut app, "ben").translation.distance(ben.translation) < 1e-3, "nobody else moves");

    engine.pose("ada", 20_000, Pose::Seated);
    run(&mut app, 2.5, |_, _| ());
    assert!(panel(&mut app, "ada").translation.distance(seat.translation) < 0.05, "back above the seat");
}

#[test]
fn a_chosen_seat_is_told_and_looked_from_and_a_step_leaves_it() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = whole_room(160, 90);
    app.insert_resource(TimeUpdateStrategy::Automatic);
    engine.allow_attributes();
    engine.connect_as(user("me", "Me", 9));
    engine.tell(RoomEvent::UserJoined(user("ada", "Ada", 1)));
    app.update();
    app.update();
    let first = walker(&mut app);
    assert!(first.ground.distance(VIEWPOINT) < 1e-3 && first.posture == Posture::Seated);
    assert_eq!(engine.own_pose(), Pose::Seated);

    // Ada's chair cannot be taken; a free one can.
    app.world_mut().write_message(TakeSeat(0));
    app.update();
    assert!(wished(&mut engine).is_empty());
    app.world_mut().write_message(TakeSeat(3));
    app.update();
    assert_eq!(wished(&mut engine), ["3"]);
    let mut me = user("me", "Me", 9);
    me.attributes.insert(ATTRIBUTE_SEAT.into(), "3".into());
    engine.tell(RoomEvent::UserUpdated(me));
    run(&mut app, 2.0, |_, _| ());
    let chair = seat_plan(2).seats[3].place;
    let mut local = app.world_mut().query_filtered::<&Seat, With<LocalParticipant>>();
    assert_eq!(local.single(app.world()).unwrap().index, 3);
    let mut cameras = app.world_mut().query_filtered::<&Transform, With<RoomCamera>>();
    let eye = cameras.single(app.world()).unwrap().translation;
    assert!(eye.xz().distance(chair.xz()) < 0.01, "{eye} is not above {chair}");
    assert!((eye.y - chair.y - SEATED_EYE_HEIGHT).abs() < 0.02);
    assert_eq!(engine.own_pose(), Pose::Seated, "who sits in their seat needs to tell no pose");

    let press = |app: &mut App, key| app.world_mut().resource_mut::<ButtonInput<KeyCode>>().press(key);
    let release = |app: &mut App| app.world_mut().resource_mut::<ButtonInput<KeyCode>>().release_all();
    press(&mut app, KeyCode::KeyS);
    run(&mut app, 0.7, |_, _| ());
    release(&mut app);
    run(&mut app, 0.9, |_, _| ());
    let stood = walker(&mut app);
    let Pose::Standing(told) = engine.own_pose() else { panic!("who walks tells it") };
    assert!(Vec2::new(told.x_m(), told.z_m()).distance(stood.ground) < 0.03);
    assert!(stood.ground.distance(chair.xz()) > 0.6);
    let eye = cameras.single(app.world()).unwrap().translation;
    assert!((eye.y - floor_height(stood.ground.length()) - EYE_HEIGHT).abs() < 0.05);

    // In the grid one stays where one is, whatever is pressed.
    *app.world_mut().resource_mut::<ViewMode>() = ViewMode::Grid;
    press(&mut app, KeyCode::KeyW);
    run(&mut app, 0.3, |_, _| ());
    assert_eq!(walker(&mut app).ground, stood.ground);
    release(&mut app);
    *app.world_mut().resource_mut::<ViewMode>() = ViewMode::Hall;
    app.update();
    assert_eq!(walker(&mut app).ground, stood.ground);
}
