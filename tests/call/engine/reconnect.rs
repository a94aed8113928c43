//! Connections that break, and what is left of the call: everything, wherever the server still knows us.

use std::time::{Duration, Instant};

use rotunda::bridge::{DataMessage, RoomCommand, RoomEvent};
use rotunda::model::{PublishState, RoomId, RoomState, RoomStateReason, UserInfo};

use super::kit::*;
use crate::common::relay::{Cut, Relay};

/// The machine is busy, and a server gives a silent client 15 s.
const BACK: Duration = Duration::from_secs(40);
/// The nodes of a cluster take a while to notice that one of them is gone.
const NODE_GONE: Duration = Duration::from_secs(60);

/// A call of Ann, whose every packet goes through the relay, and Bob, whom nothing disturbs. Both publish.
struct Pair {
    ann: Bot,
    bob: Bot,
    me: UserInfo,
}

fn me(event: &RoomEvent, wanted: RoomStateReason) -> Option<UserInfo> {
    match event {
        RoomEvent::StateChanged { state: RoomState::Connected, reason, me, .. } if *reason == wanted => me.clone(),
        _ => None,
    }
}

impl Pair {
    fn start(server: &TestServer, relay: &Relay, room: &RoomId, token: String) -> Self {
        let mut ann = Bot::new("ann");
        ann.login(&[relay.url()], room, token);
        let me = ann.wait("ann is in", SOON, |event| me(event, RoomStateReason::LoggedIn));
        let mut bob = server.enter(room, "bob");
        ann.publish("ann-cam", 60);
        bob.publish("bob-cam", 180);
        picture(&bob.wait_feed("ann-cam"));
        picture(&ann.wait_feed("bob-cam"));
        for (bot, own) in [(&mut ann, "ann-cam"), (&mut bob, "bob-cam")] {
            bot.wait_publishing(own);
            bot.listen();
            bot.heard.clear();
        }
        Self { ann, bob, me }
    }

    fn frames(&self) -> [u64; 2] {
        [(&self.ann, "bob-cam"), (&self.bob, "ann-cam")]
            .map(|(bot, of)| video_of(&bot.engine.snapshot(), of).map_or(0, |video| video.frames_decoded))
    }

    /// Waits until pictures and sound go both ways; they must have gone on from the same tracks.
    fn flows(&self, since: [u64; 2]) {
        for (bot, of, since) in [(&self.ann, "bob-cam", since[0]), (&self.bob, "ann-cam", since[1])] {
            bot.wait_figures("pictures go on", |now| {
                video_of(now, of).filter(|video| video.frames_decoded > since + 15)
            });
            bot.wait_figures("sound goes on", |now| audio_of(now, of).filter(|audio| audio.level > 0.1));
        }
    }

    /// Ann says that she is back with the same session; gives the time that took.
    fn back(&mut self, since: Instant) -> Duration {
        let me = self.ann.wait("ann is back", BACK, |event| me(event, RoomStateReason::Reconnected));
        let took = since.elapsed();
        assert_eq!(me.sid, self.me.sid, "the same session");
        took
    }

    /// Nobody was told that anything ended, or was published anew.
    fn unnoticed(&mut self) {
        self.ann.listen();
        self.bob.listen();
        for (who, bot) in [("ann", &self.ann), ("bob", &self.bob)] {
            let told = bot.heard.iter().find(|event| {
                matches!(
                    event,
                    RoomEvent::UserLeft { .. }
                        | RoomEvent::UserJoined(_)
                        | RoomEvent::StreamRemoved { .. }
                        | RoomEvent::StreamAdded(_)
                        | RoomEvent::PublishStateChanged { .. }
                        | RoomEvent::PlayStateChanged { .. }
                )
            });
            assert!(told.is_none(), "{who} was told {told:?}");
        }
    }
}

fn data(number: u8) -> RoomCommand {
    let message = DataMessage { topic: "rotunda.test".into(), payload: vec![number; 100], reliable: true, to: vec![] };
    RoomCommand::SendData(message)
}

/// The numbers of the data packets that were heard, in order, until so many came.
fn numbers(bot: &mut Bot, count: usize) -> Vec<u8> {
    let take = |event: &RoomEvent| match event {
        RoomEvent::DataReceived { payload, .. } => payload.first().copied(),
        _ => None,
    };
    (0..count).map(|_| bot.wait("data", BACK, take)).collect()
}

#[test]
fn a_broken_websocket_changes_nothing_for_anyone() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 11);
    let room = room("resume");
    let mut pair = Pair::start(&server, &relay, &room, server.token(&room, "ann"));
    for round in 0..3 {
        let (before, broken) = (pair.frames(), Instant::now());
        relay.break_signalling();
        pair.ann.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
        // Asked for while there is no connection: carried out when there is one.
        pair.ann.send(data(round));
        let took = pair.back(broken);
        println!("back after {took:?}");
        pair.flows(before);
        pair.bob.send(data(100 + round));
        assert_eq!(numbers(&mut pair.bob, 1), [round]);
        assert_eq!(numbers(&mut pair.ann, 1), [100 + round]);
        pair.unnoticed();
    }
    pair.ann.send(RoomCommand::SendChat("still here".into()));
    pair.bob.wait("chat", SOON, |event| matches!(event, RoomEvent::ChatReceived { .. }).then_some(()));
}

#[test]
fn media_that_no_longer_gets_through_finds_its_way_again() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 12);
    let room = room("media");
    let mut pair = Pair::start(&server, &relay, &room, server.token(&room, "ann"));
    relay.cut(Cut::Media);
    pair.ann.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    std::thread::sleep(Duration::from_secs(3));
    let (before, mended) = (pair.frames(), Instant::now());
    relay.cut(Cut::Nothing);
    println!("back {:?} after the way was", pair.back(mended));
    pair.flows(before);
    pair.unnoticed();
}

#[test]
fn a_network_that_was_gone_loses_nothing_reliable() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 13);
    let room = room("offline");
    let mut pair = Pair::start(&server, &relay, &room, server.token(&room, "ann"));
    pair.ann.send(data(0));
    assert_eq!(numbers(&mut pair.bob, 1), [0]);
    relay.cut(Cut::Both);
    for number in 1..10 {
        pair.ann.send(data(number));
        std::thread::sleep(Duration::from_millis(600));
    }
    let (before, mended) = (pair.frames(), Instant::now());
    relay.cut(Cut::Nothing);
    println!("back {:?} after the network was", pair.back(mended));
    pair.ann.send(data(10));
    assert_eq!(numbers(&mut pair.bob, 10), (1..11).collect::<Vec<u8>>(), "each once and in order");
    pair.flows(before);
    pair.unnoticed();
    let more = pair.bob.heard.iter().any(|event| matches!(event, RoomEvent::DataReceived { .. }));
    assert!(!more, "something came twice: {:?}", pair.bob.heard);
}

#[test]
fn another_address_keeps_the_call() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 14);
    let room = room("roaming");
    let mut pair = Pair::start(&server, &relay, &room, server.token(&room, "ann"));
    let (before, moved) = (pair.frames(), Instant::now());
    relay.change_address();
    let deadline = Instant::now() + BACK;
    while pair.frames().iter().zip(before).any(|(now, before)| *now < before + 30) {
        assert!(Instant::now() < deadline, "{:?} after {before:?}", pair.frames());
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("pictures both ways {:?} after the move", moved.elapsed());
    pair.flows(before);
    pair.unnoticed();
}

#[test]
fn a_token_that_expired_meanwhile_is_no_hindrance() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 15);
    let room = room("expiry");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // Valid for ten minutes, of which eight seconds are left, the leeway of a minute included.
    let token = server.token_at(&room, "ann", now - 652);
    let mut pair = Pair::start(&server, &relay, &room, token);
    std::thread::sleep(Duration::from_secs(9));
    let (before, broken) = (pair.frames(), Instant::now());
    relay.break_signalling();
    pair.back(broken);
    pair.flows(before);
}

#[test]
fn leaving_does_not_wait_for_the_connection() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 16);
    let room = room("leaving");
    let mut pair = Pair::start(&server, &relay, &room, server.token(&room, "ann"));
    relay.cut(Cut::Both);
    pair.ann.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    let asked = Instant::now();
    pair.ann.send(RoomCommand::Logout);
    // The server could not be told.
    pair.ann.wait_state(RoomState::Disconnected, RoomStateReason::LogoutFailed);
    assert!(asked.elapsed() < Duration::from_secs(5), "leaving took {:?}", asked.elapsed());
    relay.cut(Cut::Nothing);
    // The others learn it when the server has waited long enough.
    pair.bob.wait("ann leaves", BACK, |event| matches!(event, RoomEvent::UserLeft { .. }).then_some(()));
}

#[test]
fn a_server_that_forgot_everything_is_joined_anew_and_what_was_asked_meanwhile_is_done() {
    let mut server = TestServer::own();
    let room = room("forgotten");
    let (mut ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("ann-cam", 70);
    picture(&bob.wait_feed("ann-cam"));
    ann.wait_publishing("ann-cam");
    server.stop();
    for bot in [&mut ann, &mut bob] {
        bot.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    }
    ann.publish("ann-second", 200);
    server.run_again();
    let up = Instant::now();
    for bot in [&mut ann, &mut bob] {
        bot.wait("the call is back", BACK, |event| me(event, RoomStateReason::Reconnected));
    }
    println!("both are back {:?} after the server was", up.elapsed());
    for own in ["ann-cam", "ann-second"] {
        ann.wait(&format!("publishing {own}"), BACK, |event| match event {
            RoomEvent::PublishStateChanged { stream: id, state: PublishState::Publishing, .. }
                if *id == stream(own) =>
            {
                Some(())
            }
            _ => None,
        });
    }
    bob.wait_figures("both streams show", |now| {
        let shows = |of| video_of(now, of).is_some_and(|video| video.frames_decoded > 10);
        (shows("ann-cam") && shows("ann-second")).then_some(())
    });
}

#[test]
fn what_happened_meanwhile_is_told_afterwards() {
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 17);
    let room = room("meanwhile");
    let mut pair = Pair::start(&server, &relay, &room, server.token(&room, "ann"));
    relay.cut(Cut::Both);
    pair.ann.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    pair.bob.send(RoomCommand::Logout);
    pair.bob.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    let cid = server.enter(&room, "cid");
    cid.publish("cid-cam", 120);
    let mended = Instant::now();
    relay.cut(Cut::Nothing);
    pair.back(mended);
    pair.ann.wait("bob has left", SOON, |event| match event {
        RoomEvent::UserLeft { user: who, .. } => (*who == user("bob")).then_some(()),
        _ => None,
    });
    pair.ann.wait_user("cid");
    picture(&pair.ann.wait_feed("cid-cam"));
}

#[test]
fn a_node_that_dies_is_left_for_another() {
    if kind() != Kind::Cluster {
        return;
    }
    let mut server = TestServer::own();
    if server.urls_for("ann").len() < 2 {
        return;
    }
    let room = room("nodes");
    let mut ann = Bot::new("ann");
    ann.login(&server.urls_for("ann"), &room, server.token(&room, "ann"));
    ann.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    ann.publish("ann-cam", 60);
    ann.wait_publishing("ann-cam");
    server.stop_node_of("ann");
    let died = Instant::now();
    ann.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    ann.wait("ann is back", NODE_GONE, |event| me(event, RoomStateReason::Reconnected));
    println!("back {:?} after the node died", died.elapsed());
    // On the node that is left, and seen there.
    let mut dee = server.enter(&room, "dee");
    dee.publish("dee-cam", 180);
    picture(&dee.wait_feed("ann-cam"));
    picture(&ann.wait_feed("dee-cam"));
}
