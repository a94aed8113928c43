//! Hosts keep order, and the server holds to it: muting, ending shares, putting out; on our own server a locked room and
//! bans, too.

use std::time::Duration;

use rotunda::bridge::{DataMessage, HostCommand, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::model::sound::{VOICE_ATTRIBUTE, VOICE_TO_ALL};
use rotunda::model::topic::TOPIC_KNOCK;
use rotunda::model::{
    ATTRIBUTE_HOST, EndReason, ErrorCode, MediaKind, PublishState, RoomOrder, RoomState, RoomStateReason, StreamKind,
};

use super::kit::{Bot, Kind, Picture, SOON, TestServer, kind, room, stream, user};

fn share(bot: &Bot, id: &str) {
    bot.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream(id),
        kind: StreamKind::Screen,
        video: Some((Box::new(Picture::new(90)), VideoOptions::single(300_000))),
        audio: None,
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
}

fn keep(bot: &Bot, command: HostCommand) {
    bot.send(RoomCommand::Host(command));
}

#[test]
fn a_host_mutes_ends_shares_and_puts_out_and_nobody_else_does() {
    let server = TestServer::start();
    let hall = room("order");
    let (mut ann, mut bob) = (server.enter_as_host(&hall, "ann"), server.enter(&hall, "bob"));
    bob.publish("bob-cam", 120);
    let voice = ann.wait("bob's voice", SOON, |event| match event {
        RoomEvent::StreamAdded(info) | RoomEvent::StreamUpdated(info) if info.id == stream("bob-cam") => {
            info.audio.as_ref().map(|track| track.sid.clone())
        }
        _ => None,
    });
    bob.wait_publishing("bob-cam");

    // Who is no host is told so, by the engine and not only by a missing button.
    keep(&bob, HostCommand::Remove(user("ann")));
    assert_eq!(bob.wait_failure().code, ErrorCode::NotPermitted);

    keep(&ann, HostCommand::Mute { user: user("bob"), track: voice });
    for bot in [&mut ann, &mut bob] {
        bot.wait("bob is muted", SOON, |event| match event {
            RoomEvent::StreamUpdated(info) if info.id == stream("bob-cam") => {
                info.audio.as_ref().is_some_and(|track| track.muted).then_some(())
            }
            _ => None,
        });
    }
    // The owner may speak again.
    bob.send(RoomCommand::SetMuted { stream: stream("bob-cam"), kind: MediaKind::Audio, muted: false });
    ann.wait("bob speaks again", SOON, |event| match event {
        RoomEvent::StreamUpdated(info) if info.id == stream("bob-cam") => {
            info.audio.as_ref().is_some_and(|track| !track.muted).then_some(())
        }
        _ => None,
    });

    keep(&ann, HostCommand::MuteAll);
    ann.wait("everybody is muted", SOON, |event| match event {
        RoomEvent::StreamUpdated(info) if info.id == stream("bob-cam") => {
            info.audio.as_ref().is_some_and(|track| track.muted).then_some(())
        }
        _ => None,
    });

    share(&bob, "bob-page");
    bob.wait_publishing("bob-page");
    ann.wait_feed("bob-page");
    keep(&ann, HostCommand::StopSharing(user("bob")));
    let error = bob.wait("the end of the share", SOON, |event| match event {
        RoomEvent::PublishStateChanged { stream: id, state: PublishState::NoPublish, error }
            if *id == stream("bob-page") =>
        {
            Some(error.clone())
        }
        _ => None,
    });
    assert!(error.is_some(), "whoever shared learns why it ended");
    ann.wait("the share is gone", SOON, |event| match event {
        RoomEvent::StreamRemoved { stream: id, .. } if *id == stream("bob-page") => Some(()),
        _ => None,
    });
    // What else they send goes on, and they may share again.
    ann.wait_figures("bob's camera", |now| {
        super::kit::video_of(now, "bob-cam").filter(|video| video.frames_decoded > 0)
    });
    std::thread::sleep(Duration::from_millis(500));
    share(&bob, "bob-page-2");
    bob.wait_publishing("bob-page-2");

    keep(&ann, HostCommand::Remove(user("bob")));
    let error = bob.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut);
    assert_eq!(error.unwrap().code, ErrorCode::KickedByHost);
    ann.wait("bob is put out", SOON, |event| match event {
        RoomEvent::UserLeft { user: who, reason } if *who == user("bob") => Some(*reason),
        _ => None,
    });
    // Who is gone already needs no putting out: that is no trouble.
    keep(&ann, HostCommand::Remove(user("bob")));
    std::thread::sleep(Duration::from_millis(500));
    ann.listen();
    assert!(!ann.heard.iter().any(|event| matches!(event, RoomEvent::CommandFailed(_))), "{:?}", ann.heard);
}

/// A host chooses, and is told that it was done.
fn choose(host: &mut Bot, order: &RoomOrder) {
    let text = order.write("").unwrap();
    host.send(RoomCommand::SetRoomMetadata(text.clone()));
    host.wait("what was chosen", SOON, |event| match event {
        RoomEvent::RoomChanged { metadata, .. } if *metadata == text => Some(()),
        _ => None,
    });
}

/// Waits until somebody is told whether they are a host.
fn wait_host(bot: &mut Bot, wanted: bool) {
    bot.wait("being a host, or not", SOON, |event| match event {
        RoomEvent::RoomChanged { may_change, .. } if *may_change == wanted => Some(()),
        _ => None,
    });
}

#[test]
fn whom_a_host_makes_one_keeps_order_until_that_is_taken_back() {
    let server = TestServer::start();
    let hall = room("heirs");
    let (mut ann, mut bob, mut eve) =
        (server.enter_as_host(&hall, "ann"), server.enter(&hall, "bob"), server.enter(&hall, "eve"));
    ann.wait_user("bob");
    ann.wait_user("eve");
    let mut order = RoomOrder::default();
    assert!(order.appoint(user("bob")));
    choose(&mut ann, &order);
    if kind() != Kind::Embedded {
        // LiveKit's own server asks the token alone; nobody is told that they are what they are not.
        std::thread::sleep(Duration::from_millis(500));
        bob.listen();
        assert!(!bob.heard.iter().any(|event| matches!(event, RoomEvent::RoomChanged { may_change: true, .. })));
        keep(&bob, HostCommand::Remove(user("eve")));
        assert_eq!(bob.wait_failure().code, ErrorCode::NotPermitted);
        return;
    }
    wait_host(&mut bob, true);
    // Everybody sees whom to ask, and nobody can only say so.
    eve.send(RoomCommand::SetAttributes([(ATTRIBUTE_HOST.to_owned(), "yes".to_owned())].into()));
    for (seen, host) in [("ann", true), ("bob", true), ("eve", false)] {
        let mut fay = server.enter(&hall, "fay");
        let is_host = fay.wait(&format!("{seen} is a host: {host}"), SOON, |event| match event {
            RoomEvent::UserJoined(info) if info.id == user(seen) => Some(info.attributes.contains_key(ATTRIBUTE_HOST)),
            _ => None,
        });
        assert_eq!(is_host, host, "{seen}");
    }
    bob.send(RoomCommand::SetAttributes([(VOICE_ATTRIBUTE.to_owned(), VOICE_TO_ALL.to_owned())].into()));
    let speaks_to_all = |ann: &mut Bot, wanted: bool| {
        ann.wait("whom bob speaks to", SOON, |event| match event {
            RoomEvent::UserUpdated(info) if info.id == user("bob") => {
                (info.attributes.contains_key(VOICE_ATTRIBUTE) == wanted).then_some(())
            }
            _ => None,
        });
    };
    speaks_to_all(&mut ann, true);

    // Who hosts when the first one is gone lets nobody in, makes others hosts, and puts out.
    drop(ann);
    bob.wait_left("ann");
    assert!(order.appoint(user("eve")));
    order.locked = true;
    choose(&mut bob, &order);
    wait_host(&mut eve, true);
    let mut dan = Bot::new("dan");
    dan.login(&[server.url_for("dan")], &hall, server.token(&hall, "dan"));
    let error = dan.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).unwrap();
    assert_eq!(error.code, ErrorCode::RoomLocked, "{error}");
    let mut ann = server.enter_as_host(&hall, "ann");
    ann.wait_user("bob");
    // A host made so comes back into a locked room as one.
    drop(eve);
    bob.wait_left("eve");
    let mut eve = server.enter(&hall, "eve");
    wait_host(&mut eve, true);

    order.dismiss(&user("bob"));
    choose(&mut eve, &order);
    wait_host(&mut bob, false);
    speaks_to_all(&mut ann, false);
    keep(&bob, HostCommand::Remove(user("eve")));
    assert_eq!(bob.wait_failure().code, ErrorCode::NotPermitted);
    // Who is a host by their token stays one, whatever is chosen.
    choose(&mut ann, &RoomOrder::default());
    wait_host(&mut eve, false);
    keep(&ann, HostCommand::Remove(user("bob")));
    assert_eq!(
        bob.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut).unwrap().code,
        ErrorCode::KickedByHost
    );
}

#[test]
fn a_locked_room_lets_in_hosts_and_who_was_there_and_a_banned_user_comes_no_more() {
    if kind() != Kind::Embedded {
        // Nothing in LiveKit's own server reads what hosts choose.
        return;
    }
    let server = TestServer::start();
    let hall = room("doors");
    let (mut ann, mut bob) = (server.enter_as_host(&hall, "ann"), server.enter(&hall, "bob"));
    let mut fay = server.enter(&hall, "fay");
    ann.wait_user("bob");
    ann.wait_user("fay");
    ann.wait_figures("a server that holds to order", |now| now.keeps_order.then_some(()));
    let refused = |name: &str| {
        let mut bot = Bot::new(name);
        bot.login(&[server.url_for(name)], &hall, server.token(&hall, name));
        bot.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).unwrap()
    };
    let mut order = RoomOrder::default();
    order.locked = true;
    assert!(order.appoint(user("fay")));
    choose(&mut ann, &order);
    wait_host(&mut fay, true);
    // Who is no host says that somebody knocked: nobody hears it.
    bob.send(RoomCommand::SendData(DataMessage {
        topic: TOPIC_KNOCK.to_owned(),
        payload: b"nobody".to_vec(),
        reliable: true,
        to: Vec::new(),
    }));
    let error = refused("eve");
    assert_eq!(error.code, ErrorCode::RoomLocked, "{error}");
    assert!(error.message.contains("ask its host"), "{error}");
    // Every host hears who it was, each who knocks, and nobody else does.
    let knocker = |event: &RoomEvent| match event {
        RoomEvent::DataReceived { topic, payload, .. } if topic == TOPIC_KNOCK => {
            Some(String::from_utf8(payload.clone()).unwrap())
        }
        _ => None,
    };
    refused("mallory");
    for host in [&mut ann, &mut fay] {
        assert_eq!(
            ["first", "second"].map(|nth| host.wait(&format!("the {nth} knock"), SOON, knocker)),
            ["EVE", "MALLORY"]
        );
    }
    ann.send(RoomCommand::SendChat("who knocks?".into()));
    bob.wait("what came after it", SOON, |event| matches!(event, RoomEvent::ChatReceived { .. }).then_some(()));
    assert!(!bob.heard.iter().any(|event| knocker(event).is_some()), "{:?}", bob.heard);
    // Who was there comes back; hosts come in.
    drop(bob);
    ann.wait_left("bob");
    let bob = server.enter(&hall, "bob");
    drop(server.enter_as_host(&hall, "dan"));

    // Banned: with the room open again, and whatever token they have.
    order.locked = false;
    assert!(order.ban(user("bob")));
    choose(&mut ann, &order);
    keep(&ann, HostCommand::Remove(user("bob")));
    ann.wait("bob is put out", SOON, |event| match event {
        RoomEvent::UserLeft { user: who, reason: EndReason::Kicked } if *who == user("bob") => Some(()),
        _ => None,
    });
    drop(bob);
    // A token of the next second is another one.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(refused("bob").code, ErrorCode::KickedByHost);
    drop(server.enter(&hall, "eve"));
    choose(&mut ann, &RoomOrder::default());
    let bob = server.enter(&hall, "bob");
    ann.wait_user("bob");

    // Who was put out of a locked room does not count as having been there.
    let mut order = RoomOrder::default();
    order.locked = true;
    choose(&mut ann, &order);
    keep(&ann, HostCommand::Remove(user("bob")));
    ann.wait_left("bob");
    drop(bob);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(refused("bob").code, ErrorCode::RoomLocked);
    // A host who logs in again, alone, finds the door as it was.
    let again = server.enter_as_host(&hall, "ann");
    drop(ann);
    assert_eq!(refused("eve").code, ErrorCode::RoomLocked);
    drop(again);
}

#[test]
fn a_room_that_ends_with_its_server_is_over_at_once() {
    if kind() != Kind::Embedded {
        return;
    }
    let mut server = TestServer::start();
    let hall = room("over");
    let one_room = server.embedded.take().unwrap().closing_its_rooms();
    let mut bob = server.enter(&hall, "bob");
    drop(one_room);
    let error = bob.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut).unwrap();
    assert!(error.message.contains("closed"), "nobody is sent to look for another server: {error}");
}
