//! Where people stand, told between engines: soon, rarely, and to those who come later; and the seats they wish for.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rotunda::bridge::{DataMessage, RoomCommand, RoomEvent, ToldPose};
use rotunda::model::{ATTRIBUTE_SEAT, ATTRIBUTE_SINCE, ErrorCode, Pose, RoomState, RoomStateReason, Stand};

use super::kit::{Bot, SOON, TestServer, room, user};

fn standing(x_m: f32) -> Pose {
    Pose::Standing(Stand::new(x_m, 2.0, 1.0).unwrap())
}

fn told(bot: &Bot, whose: &str) -> Option<ToldPose> {
    bot.engine.poses().look(|told| told.get(&user(whose)).copied())
}

/// Waits until somebody is known to be there; gives how long that took.
fn wait_pose(bot: &Bot, whose: &str, pose: Pose, limit: Duration) -> Duration {
    let began = Instant::now();
    while told(bot, whose).map_or(Pose::Seated, |told| told.pose) != pose {
        assert!(began.elapsed() < limit, "{whose} is not at {pose:?} after {limit:?}: {:?}", told(bot, whose));
        sleep(Duration::from_millis(2));
    }
    began.elapsed()
}

/// Two who know of each other and whose channels are open.
fn two(server: &TestServer, name: &str) -> (Bot, Bot) {
    let room = room(name);
    let mut ann = server.enter(&room, "ann");
    let mut bob = server.enter(&room, "bob");
    ann.wait_user("bob");
    bob.wait_user("ann");
    (ann, bob)
}

#[test]
fn who_walks_is_followed_and_who_rests_is_silent() {
    let server = TestServer::start();
    let (ann, bob) = two(&server, "poses-walk");
    sleep(Duration::from_secs(3));
    let packets = || bob.engine.poses().counts().taken;
    assert_eq!(packets(), 0, "who sits tells nothing");

    ann.engine.poses().move_to(standing(0.0));
    wait_pose(&bob, "ann", standing(0.0), SOON);
    let before = packets();
    let (began, mut steps) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        steps += 1;
        ann.engine.poses().move_to(standing(steps as f32 * 0.02));
        sleep(Duration::from_millis(10));
    }
    let late = wait_pose(&bob, "ann", standing(steps as f32 * 0.02), SOON);
    assert!(late < Duration::from_millis(1000), "the last step was known {late:?} later");
    let walking = packets() - before;
    assert!((20..=45).contains(&walking), "{walking} packets in two seconds of walking, {steps} steps");

    // Said again after 0.1, 0.4, 1.6 s, then every 5 s.
    sleep(Duration::from_millis(2500));
    let rested = packets();
    sleep(Duration::from_secs(4));
    assert!(packets() - rested <= 1, "{} packets in four seconds of standing still", packets() - rested);

    ann.engine.poses().move_to(Pose::Seated);
    wait_pose(&bob, "ann", Pose::Seated, SOON);
    let seated = packets();
    sleep(Duration::from_secs(3));
    assert_eq!(packets(), seated, "who sits again is silent again");
    assert_eq!(ann.engine.poses().counts().taken, 0, "and nobody hears themselves");
}

#[test]
fn a_late_joiner_learns_who_stands_and_who_leaves_is_forgotten() {
    let server = TestServer::start();
    let room = room("poses-late");
    let ann = server.enter(&room, "ann");
    ann.engine.poses().move_to(standing(3.0));
    sleep(Duration::from_secs(3));
    let bob = server.enter(&room, "bob");
    let took = wait_pose(&bob, "ann", standing(3.0), Duration::from_secs(6));
    println!("a late joiner knew after {took:?}");
    drop(ann);
    wait_pose(&bob, "ann", Pose::Seated, SOON);
}

#[test]
fn nonsense_and_floods_are_dropped_and_counted_and_plain_data_goes_on() {
    let server = TestServer::start();
    let (mut ann, bob) = two(&server, "poses-bad");
    let data = |topic: &str, payload: &[u8]| {
        let (topic, payload) = (topic.to_owned(), payload.to_vec());
        bob.send(RoomCommand::SendData(DataMessage { topic, payload, reliable: true, to: vec![] }));
    };
    let counts = || ann.engine.poses().counts();
    let deadline = Instant::now() + SOON;
    while counts().malformed == 0 {
        data("rotunda.pose", b"nowhere at all");
        assert!(Instant::now() < deadline, "nothing came");
        sleep(Duration::from_millis(100));
    }
    for _ in 0..4 {
        (0..25).for_each(|_| data("rotunda.pose", &[0xff; 12]));
        sleep(Duration::from_millis(60));
    }
    while counts().too_fast == 0 {
        assert!(Instant::now() < deadline, "{:?}", counts());
        sleep(Duration::from_millis(20));
    }
    assert_eq!(counts().taken, 0);
    assert_eq!(told(&ann, "bob"), None);
    // Somebody else's data under a name of its own still arrives, and is the first that is told.
    data("game.move", b"e4");
    ann.wait("plain data", SOON, |event| match event {
        RoomEvent::DataReceived { topic, payload, .. } => {
            assert_eq!((topic.as_str(), payload.as_slice()), ("game.move", &b"e4"[..]), "poses are no events");
            Some(())
        }
        _ => None,
    });
    // After the flood a true pose is taken again.
    sleep(Duration::from_secs(1));
    bob.engine.poses().move_to(standing(-4.0));
    wait_pose(&ann, "bob", standing(-4.0), SOON);
}

fn wish(seat: &str) -> RoomCommand {
    RoomCommand::SetAttributes(BTreeMap::from([(ATTRIBUTE_SEAT.to_owned(), seat.to_owned())]))
}

/// Waits until this client knows that somebody wishes for a seat; gives since when they say they are here.
fn wait_wish(bot: &mut Bot, whose: &str, seat: &str) -> (Option<String>, i64) {
    bot.wait(&format!("{whose} wishes for {seat}"), SOON, |event| match event {
        RoomEvent::UserUpdated(info) | RoomEvent::UserJoined(info)
            if info.id == user(whose) && info.attributes.get(ATTRIBUTE_SEAT).map(String::as_str) == Some(seat) =>
        {
            Some((info.attributes.get(ATTRIBUTE_SINCE).cloned(), info.joined_at_ms))
        }
        _ => None,
    })
}

#[test]
fn a_wished_seat_is_known_to_all_and_survives_a_fresh_login() {
    let mut server = TestServer::own();
    let (mut ann, mut bob) = two(&server, "poses-seat");
    ann.wait_figures("the right to set attributes", |figures| figures.may_set_attributes.then_some(()));
    ann.send(wish("4"));
    let (since, first) = wait_wish(&mut bob, "ann", "4");
    assert_eq!(since, None, "the first login speaks for itself");
    wait_wish(&mut ann, "ann", "4");

    // The server forgets everybody; both come back with fresh logins.
    server.stop();
    ann.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    sleep(Duration::from_millis(1100));
    server.run_again();
    for bot in [&mut ann, &mut bob] {
        bot.wait("being back", Duration::from_secs(60), |event| match event {
            RoomEvent::StateChanged { state: RoomState::Connected, reason: RoomStateReason::Reconnected, .. } => {
                Some(())
            }
            _ => None,
        });
    }
    let (since, again) = loop {
        let (since, joined) = wait_wish(&mut bob, "ann", "4");
        if joined > first && since.is_some() {
            break (since, joined);
        }
    };
    assert_eq!(since, Some(first.to_string()), "since when she is really here, not since {again}");

    // What is too long is refused whole.
    ann.send(wish(&"9".repeat(2000)));
    assert_eq!(ann.wait_failure().code, ErrorCode::MessageTooLong);
}
