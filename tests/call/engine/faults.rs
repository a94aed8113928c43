//! What goes wrong is told clearly, in time, with its code.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rotunda::bridge::{RoomCommand, RoomEvent};
use rotunda::model::quality::EngineSnapshot;
use rotunda::model::{CallError, EndReason, ErrorCode, PublishState, RoomId, RoomState, RoomStateReason};
use rotunda::protocol::token::{peek, sign};

use super::kit::*;

fn failed_login(servers: &[&str], room: &RoomId, token: String) -> (CallError, Duration) {
    let mut bot = Bot::new("lost");
    let started = Instant::now();
    bot.login(servers, room, token);
    let error = bot.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).unwrap();
    (error, started.elapsed())
}

#[test]
fn tokens_that_cannot_work_are_refused() {
    let server = TestServer::start();
    let room = room("token");
    let fail = |room: &RoomId, token: String| failed_login(&[&server.url], room, token).0.code;
    assert_eq!(fail(&room, server.token_at(&room, "ann", 1_500_000_000)), ErrorCode::TokenExpired);
    assert_eq!(fail(&room, String::new()), ErrorCode::TokenMissing);
    assert_eq!(fail(&room, "not.a.token".into()), ErrorCode::TokenMalformed);
    assert_eq!(fail(&RoomId::new("elsewhere").unwrap(), server.token(&room, "ann")), ErrorCode::TokenOfOtherRoom);
    let mut forged = server.token(&room, "ann");
    forged.truncate(forged.len() - 10);
    forged.push_str("AAAAAAAAAA");
    assert_eq!(fail(&room, forged), ErrorCode::AuthenticationFailed);
    let mut visitor = peek(&server.token(&room, "ann")).unwrap();
    visitor.video.room_join = false;
    assert_eq!(fail(&room, sign(&visitor, SECRET).unwrap()).number(), 1_002_078);
}

#[test]
fn every_permitted_sign_may_stand_in_a_rooms_name() {
    let server = TestServer::start();
    let room = RoomId::new(format!("azAZ09~!@#$^&*()_+=-`;',.<>/’{}", std::process::id())).unwrap();
    let mut ann = server.enter(&room, "ann");
    let _bob = server.enter(&room, "bob");
    ann.wait_user("bob");
}

#[test]
fn servers_are_tried_in_order_and_a_silent_one_times_out() {
    let server = TestServer::start();
    let room = room("order");
    let (error, waited) = failed_login(&["ws://127.0.0.1:9"], &room, server.token(&room, "ann"));
    assert_eq!(error.code, ErrorCode::ConnectFailed, "{error}");
    assert!(waited < Duration::from_secs(3), "a closed port took {waited:?}");
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("ws://{}", silent.local_addr().unwrap());
    let (error, waited) = failed_login(&[&address], &room, server.token(&room, "ann"));
    assert_eq!(error.code, ErrorCode::ConnectTimeout, "{error}");
    assert!(waited < Duration::from_secs(13), "a silent server took {waited:?}");
    let mut ann = Bot::new("ann");
    ann.login(&["ws://127.0.0.1:9", &server.url], &room, server.token(&room, "ann"));
    ann.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
}

#[test]
fn a_second_login_ends_the_first_and_says_why() {
    let server = TestServer::start();
    let room = room("twice");
    let mut first = server.enter(&room, "ann");
    let mut bob = server.enter(&room, "bob");
    first.publish("ann-cam", 50);
    first.wait_publishing("ann-cam");
    bob.wait_feed("ann-cam");
    let _second = server.enter(&room, "ann");
    let error = first.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut).unwrap();
    assert_eq!(error.code, ErrorCode::KickedBySecondLogin, "{error}");
    for bot in [&mut first, &mut bob] {
        bot.wait_removed("ann-cam", EndReason::ReplacedBySecondLogin);
    }
}

#[test]
fn a_stream_id_belongs_to_one() {
    let server = TestServer::start();
    let room = room("ids");
    let (ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("stage", 50);
    bob.wait_feed("stage");
    bob.publish("stage", 60);
    let refused = |event: &RoomEvent| match event {
        RoomEvent::PublishStateChanged { state: PublishState::NoPublish, error, .. } => error.clone(),
        _ => None,
    };
    assert_eq!(bob.wait("a taken id", SOON, refused).code, ErrorCode::StreamIdTaken);
    bob.publish("bob-cam", 60);
    bob.publish("bob-cam", 60);
    assert_eq!(bob.wait("a doubled stream", SOON, refused).code, ErrorCode::AlreadyPublishing);
    let mut idle = Bot::new("idle");
    idle.publish("stage", 60);
    assert_eq!(idle.wait("no room", SOON, refused).code, ErrorCode::WrongState);
    idle.send(RoomCommand::SendChat("hello".into()));
    assert_eq!(idle.wait_failure().code, ErrorCode::WrongState);
}

#[test]
fn a_stream_id_that_two_take_at_once_belongs_to_one() {
    let server = TestServer::start();
    let room = room("contest");
    let mut bots = [server.enter(&room, "ann"), server.enter(&room, "bob")];
    for round in 0..3 {
        let id = format!("stage-{round}");
        bots.iter().for_each(|bot| bot.publish(&id, 60));
        let refused = |bot: &Bot| {
            bot.heard.iter().any(|event| {
                matches!(event, RoomEvent::PublishStateChanged { stream, error: Some(error), .. }
                    if stream.as_str() == id && error.code == ErrorCode::StreamIdTaken)
            })
        };
        let deadline = Instant::now() + SOON;
        let loser = loop {
            bots.iter_mut().for_each(Bot::listen);
            if let Some(loser) = bots.iter().position(refused) {
                break loser;
            }
            assert!(Instant::now() < deadline, "nobody yields: {:#?}", bots.each_ref().map(|bot| &bot.heard));
            std::thread::sleep(Duration::from_millis(10));
        };
        let playing = |now: &EngineSnapshot| video_of(now, &id).filter(|video| video.frames_decoded > 3);
        bots[loser].wait_figures("the other's picture under the id", playing);
        let winner = &mut bots[1 - loser];
        winner.listen();
        assert!(!refused(winner), "both yield");
        winner.wait_publishing(&id);
        winner.send(RoomCommand::StopPublishing(stream(&id)));
    }
}

#[test]
fn the_call_comes_back_when_the_server_does() {
    let mut server = TestServer::own();
    let room = room("back");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("ann-cam", 70);
    picture(&bob.wait_feed("ann-cam"));
    ann.wait_publishing("ann-cam");
    server.stop();
    for bot in [&mut ann, &mut bob] {
        bot.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    }
    std::thread::sleep(Duration::from_secs(1));
    server.run_again();
    for bot in [&mut ann, &mut bob] {
        bot.wait_state(RoomState::Connected, RoomStateReason::Reconnected);
    }
    ann.wait_publishing("ann-cam");
    let packets = |bot: &Bot| bot.wait_figures("pictures", |now| video_of(now, "ann-cam")).frames_decoded;
    let before = packets(&bob);
    bob.wait_figures("pictures come again", |now| {
        video_of(now, "ann-cam").filter(|video| video.frames_decoded > before + 10)
    });
}

#[test]
fn leaving_ends_everything_in_order() {
    let server = TestServer::start();
    let room = room("order-of-leaving");
    let (ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("ann-cam", 70);
    let feed = bob.wait_feed("ann-cam");
    picture(&feed);
    bob.heard.clear();
    bob.send(RoomCommand::Logout);
    bob.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    bob.listen();
    let at = |pick: &dyn Fn(&RoomEvent) -> bool| bob.heard.iter().position(pick);
    let stream_gone =
        at(&|event| matches!(event, RoomEvent::StreamRemoved { reason: EndReason::Disconnected, .. })).unwrap();
    let user_gone = at(&|event| matches!(event, RoomEvent::UserLeft { .. })).unwrap();
    assert!(stream_gone < user_gone && feed.is_closed());
    assert!(bob.engine.snapshot().tracks.is_empty());
}

#[test]
fn a_login_that_is_given_up_leaves_nobody_in_the_room() {
    let server = TestServer::start();
    let room = room("ghosts");
    let mut ann = server.enter(&room, "ann");
    // An engine that ends would take a forgotten connection along: most stay.
    let mut idle = Vec::new();
    for round in 0..24 {
        let mut ghost = Bot::new("ghost");
        ghost.login(&[&server.url], &room, server.token(&room, &format!("ghost-{round}")));
        std::thread::sleep(Duration::from_millis(4 * round));
        if round % 4 != 0 {
            ghost.send(RoomCommand::Logout);
            ghost.wait("the end", SOON, |event| {
                matches!(event, RoomEvent::StateChanged { state: RoomState::Disconnected, .. }).then_some(())
            });
            idle.push(ghost);
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    ann.listen();
    let came = ann.heard.iter().filter(|event| matches!(event, RoomEvent::UserJoined(_))).count();
    let left = ann.heard.iter().filter(|event| matches!(event, RoomEvent::UserLeft { .. })).count();
    println!("{came} of 24 came in for a moment");
    assert_eq!(came, left, "somebody is still there: {:#?}", ann.heard);
}
