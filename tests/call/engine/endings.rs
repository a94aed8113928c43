//! People who are gone without having left: everyone learns it, and why.

use std::path::Path;
use std::time::{Duration, Instant};

use rotunda::bridge::RoomEvent;
use rotunda::model::{EndReason, RoomId, RoomState, RoomStateReason};
use serde_json::json;

use super::kit::*;
use crate::admin::{call_at, grant};
use crate::common::servers::Guarded;

/// Servers wait some 20 s for who says nothing: it might come back.
const MISSED: Duration = Duration::from_secs(35);

fn wait_stream_end(bot: &mut Bot, of: &str, limit: Duration) -> EndReason {
    bot.wait(&format!("{of} ends"), limit, |event| match event {
        RoomEvent::StreamRemoved { stream: id, reason, .. } if *id == stream(of) => Some(*reason),
        _ => None,
    })
}

fn wait_leave(bot: &mut Bot, who: &str, limit: Duration) -> EndReason {
    bot.wait(&format!("{who} leaves"), limit, |event| match event {
        RoomEvent::UserLeft { user: left, reason } if *left == user(who) => Some(*reason),
        _ => None,
    })
}

/// What a host's tools ask of the server; it must work.
fn ask_as_host(server: &TestServer, room: &RoomId, method: &str, body: serde_json::Value) {
    let token = grant(|video| {
        video.room_admin = true;
        video.room_create = true;
        video.room = room.to_string();
    });
    let (status, answer) = call_at(server.url.trim_start_matches("ws://"), &token, method, body);
    assert_eq!(status, 200, "{method}: {answer}");
}

/// Two people who publish and see each other.
fn pair(server: &TestServer, room: &RoomId) -> (Bot, Bot) {
    let (mut ann, mut bob) = (server.enter(room, "ann"), server.enter(room, "bob"));
    for (bot, own) in [(&mut ann, "ann-cam"), (&mut bob, "bob-cam")] {
        bot.publish(own, 90);
        bot.wait_publishing(own);
    }
    ann.wait_feed("bob-cam");
    bob.wait_feed("ann-cam");
    (ann, bob)
}

#[test]
fn a_process_that_is_killed_is_missed_within_half_a_minute() {
    // A cluster's nodes wait as one alone does.
    if kind() == Kind::Cluster {
        return;
    }
    let server = TestServer::start();
    let room = room("killed");
    let mut bob = server.enter(&room, "bob");
    let token = server.token(&room, "cid");
    let mut arguments = vec!["join", server.url_for("cid"), "--room", room.as_str(), "--name", "Cid"];
    arguments.extend(["--token", token.as_str(), "--headless", "--no-render", "--seconds", "90"]);
    arguments.extend(["--video", "test", "--audio", "none", "--preset", "320x240@10:200", "--no-simulcast"]);
    let process = Guarded::start(Path::new(env!("CARGO_BIN_EXE_rotunda")), &arguments, None).unwrap();
    picture(&bob.wait_feed("cid-camera"));
    let killed = Instant::now();
    // That is a `kill -9`.
    drop(process);
    assert_eq!(wait_stream_end(&mut bob, "cid-camera", MISSED), EndReason::TimedOut);
    assert_eq!(wait_leave(&mut bob, "cid", SOON), EndReason::TimedOut);
    println!("missed after {:?}", killed.elapsed());
}

#[test]
fn who_is_removed_by_a_host_learns_it_and_so_do_the_others() {
    let server = TestServer::start();
    let room = room("removed");
    let (mut ann, mut bob) = pair(&server, &room);
    ask_as_host(&server, &room, "RemoveParticipant", json!({ "room": room.as_str(), "identity": "ann" }));
    let error = ann.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut).unwrap();
    assert_eq!(error.code.number(), 1_002_055, "{error}");
    assert_eq!(wait_stream_end(&mut ann, "ann-cam", SOON), EndReason::Kicked);
    assert_eq!(wait_stream_end(&mut bob, "ann-cam", SOON), EndReason::Kicked);
    assert_eq!(wait_leave(&mut bob, "ann", SOON), EndReason::Kicked);
}

#[test]
fn everyone_in_a_room_that_is_deleted_learns_it() {
    let server = TestServer::start();
    let room = room("deleted");
    let (mut ann, mut bob) = pair(&server, &room);
    ask_as_host(&server, &room, "DeleteRoom", json!({ "room": room.as_str() }));
    for (bot, own, other) in [(&mut ann, "ann-cam", "bob-cam"), (&mut bob, "bob-cam", "ann-cam")] {
        let error = bot.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut).unwrap();
        assert_eq!(error.code.number(), 1_002_055, "{error}");
        assert_eq!(wait_stream_end(bot, own, SOON), EndReason::Kicked);
        // The other one may have been put out a moment before.
        let told = wait_stream_end(bot, other, SOON);
        assert!(matches!(told, EndReason::Kicked | EndReason::RemovedByServer), "{told:?}");
    }
}
