//! Two people in a call see, hear and write to each other, and notice each other's leave.

use std::time::{Duration, Instant};

use rotunda::bridge::{DataMessage, RoomCommand, RoomEvent};
use rotunda::model::{EndReason, MediaKind, PublishState, RoomState, RoomStateReason};

use super::kit::*;

fn server() -> (String, String, String) {
    (
        std::env::var("ROTUNDA_TEST_SERVER").unwrap(),
        std::env::var("ROTUNDA_TEST_KEY").unwrap(),
        std::env::var("ROTUNDA_TEST_SECRET").unwrap(),
    )
}

#[test]
fn two_engines_hold_a_call() {
    let (url, key, secret) = server();
    let room = room("pair");
    let (mut ann, mut bob) = (Bot::new("ann"), Bot::new("bob"));
    let started = Instant::now();
    ann.login(&[&url], &room, token((&key, &secret), &room, "ann"));
    ann.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    eprintln!("joined in {:?}", started.elapsed());
    bob.login(&[&url], &room, token((&key, &secret), &room, "bob"));
    bob.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    ann.publish("ann-cam", 60);
    bob.publish("bob-cam", 180);
    for (bot, own, other) in [(&mut ann, "ann-cam", "bob-cam"), (&mut bob, "bob-cam", "ann-cam")] {
        bot.wait("publishing", SOON, |event| match event {
            RoomEvent::PublishStateChanged { stream, state: PublishState::Publishing, .. }
                if stream.as_str() == own =>
            {
                Some(())
            }
            _ => None,
        });
        eprintln!("{own} publishing at {:?}", started.elapsed());
        let preview = bot.wait_feed(own);
        assert_eq!(picture(&preview).width(), WIDTH);
        let feed = bot.wait_feed(other);
        let frame = picture(&feed);
        eprintln!("{own} sees {other} at {:?}", started.elapsed());
        let expected = if other == "bob-cam" { 180.0 } else { 60.0 };
        assert!((brightness(&frame) - expected).abs() < 15.0, "{other} has brightness {}", brightness(&frame));
        bot.wait_figures("sound is heard", |snapshot| {
            audio_of(snapshot, other).filter(|audio| audio.level > 0.1 && audio.packets > 50)
        });
        eprintln!("{own} hears {other} at {:?}", started.elapsed());
    }
    std::thread::sleep(Duration::from_secs(5));
    eprintln!("{:#?}", ann.engine.snapshot());

    ann.send(RoomCommand::SendChat("grüße".into()));
    bob.wait("chat", SOON, |event| match event {
        RoomEvent::ChatReceived { from, text, .. } => {
            assert_eq!((from, text.as_str()), (&user("ann"), "grüße"));
            Some(())
        }
        _ => None,
    });
    for reliable in [true, false] {
        bob.send(RoomCommand::SendData(DataMessage {
            topic: "rotunda.test".into(),
            payload: vec![7; 900],
            reliable,
            to: vec![user("ann")],
        }));
        ann.wait("data", SOON, |event| match event {
            RoomEvent::DataReceived { from, topic, payload, reliable: r } if *r == reliable => {
                assert_eq!((from, topic.as_str(), payload.len()), (&Some(user("bob")), "rotunda.test", 900));
                Some(())
            }
            _ => None,
        });
    }
    bob.send(RoomCommand::SetMuted { stream: stream("bob-cam"), kind: MediaKind::Audio, muted: true });
    ann.wait("mute", SOON, |event| match event {
        RoomEvent::StreamUpdated(info) if info.id.as_str() == "bob-cam" => {
            info.audio.as_ref().is_some_and(|audio| audio.muted).then_some(())
        }
        _ => None,
    });
    let left = Instant::now();
    bob.send(RoomCommand::Logout);
    bob.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    eprintln!("left in {:?}", left.elapsed());
    ann.wait("bob's stream is gone", SOON, |event| match event {
        RoomEvent::StreamRemoved { stream, reason: EndReason::Stopped, .. } if stream.as_str() == "bob-cam" => Some(()),
        _ => None,
    });
    ann.wait("bob is gone", SOON, |event| match event {
        RoomEvent::UserLeft { user: who, .. } if *who == user("bob") => Some(()),
        _ => None,
    });
}
