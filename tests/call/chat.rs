//! Messages, remarks and signs in the room, against a scripted engine; drawn by nobody.

use bevy::prelude::*;
use rotunda::bridge::{DataMessage, RoomCommand, RoomEvent};
use rotunda::model::{ATTRIBUTE_HAND, CallError, ErrorCode, Reaction, UserId};
use rotunda::space::chat::{AskedToLook, ChatPlugin, FloatKind, Floats, Happened, Voice};
use rotunda::space::participant::ParticipantPlugin;
use rotunda::space::schedule::SchedulePlugin;
use rotunda::space::sync::SyncPlugin;
use rotunda::space::{ChatLog, EngineBridge, HandRaised, React, SendMessage};

use crate::fake_engine::{FakeEngine, user};
use crate::room::entity;

/// A room with Ada in it.
fn talk() -> (App, FakeEngine) {
    let (handle, engine) = FakeEngine::new();
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, SchedulePlugin, SyncPlugin, ParticipantPlugin, ChatPlugin))
        .insert_resource(EngineBridge(handle));
    engine.connect_as(user("me", "Me Myself", 1));
    engine.tell(RoomEvent::UserJoined(user("ada", "Ada", 2)));
    app.update();
    (app, engine)
}

fn log(app: &App) -> &ChatLog {
    app.world().resource::<ChatLog>()
}

fn texts(app: &App) -> Vec<String> {
    log(app).lines().map(|(_, line)| line.text.clone()).collect()
}

fn say(engine: &FakeEngine, text: &str) {
    let from = UserId::new("ada").unwrap();
    engine.tell(RoomEvent::ChatReceived { from, text: text.to_owned(), sent_at_ms: 0 });
}

fn packet(engine: &FakeEngine, from: &str, topic: &str, payload: &[u8]) {
    let (from, topic, payload) = (UserId::new(from).ok(), topic.to_owned(), payload.to_vec());
    engine.tell(RoomEvent::DataReceived { from, topic, payload, reliable: true });
}

#[test]
fn what_is_written_goes_out_and_is_shown_when_it_did() {
    let (mut app, mut engine) = talk();
    app.world_mut().write_message(SendMessage::Chat("hello".into()));
    app.update();
    let sent = engine.commands();
    assert!(matches!(&sent[..], [RoomCommand::SendChat(text)] if text == "hello"), "{sent:?}");
    assert!(texts(&app).is_empty(), "nobody knows yet whether it went out");
    engine.tell(RoomEvent::ChatSent { text: "hello".into(), sent_at_ms: 1 });
    say(&engine, "hello, @me myself");
    app.update();
    assert_eq!(texts(&app), ["hello", "hello, @me myself"]);
    let voices: Vec<&Voice> = log(&app).lines().map(|(_, line)| &line.voice).collect();
    assert!(matches!(voices[0], Voice::Me) && matches!(voices[1], Voice::Other { name, .. } if name == "Ada"));
    assert_eq!((log(&app).unread(), log(&app).is_mentioned()), (1, true));
}

#[test]
fn what_is_refused_is_not_lost() {
    let (mut app, mut engine) = talk();
    for n in 0..3 {
        app.world_mut().write_message(SendMessage::Chat(format!("message {n}")));
    }
    app.update();
    assert_eq!(engine.commands().len(), 3);
    engine.tell(RoomEvent::ChatSent { text: "message 0".into(), sent_at_ms: 1 });
    for n in 1..3 {
        let error = CallError::new(ErrorCode::MessageTooFast, "write at most 2 messages a second");
        engine.tell(RoomEvent::ChatRefused { text: format!("message {n}"), error });
    }
    app.update();
    assert_eq!(texts(&app), ["message 0"]);
    let draft = &log(&app).draft;
    assert!(draft.contains("message 1") && draft.contains("message 2"), "{draft}");
    assert!(log(&app).trouble.as_ref().unwrap().message.contains("2 messages a second"));
    // More in one frame than fits between the room and the engine.
    for n in 0..100 {
        app.world_mut().write_message(SendMessage::Chat(format!("flood {n}")));
    }
    app.update();
    let sent = engine.commands().len();
    let kept = log(&app).draft.matches("flood").count();
    assert_eq!(sent + kept, 100, "{sent} were sent, {kept} are to be sent again");
}

#[test]
fn hostile_words_are_shown_harmlessly() {
    let (mut app, engine) = talk();
    for text in ["\u{202e}evil\u{0}\u{1b}[31m", "<b>&amp;</b>", &format!("z{}", "\u{301}".repeat(500)), "a\n\n\n\n\nb"]
    {
        say(&engine, text);
    }
    app.update();
    let shown = texts(&app);
    assert_eq!((shown[0].as_str(), shown[1].as_str()), ("evil[31m", "<b>&amp;</b>"));
    assert!(shown[2].chars().count() < 6);
    assert_eq!(shown[3], "a\n\nb");
}

#[test]
fn signs_rise_from_whoever_gives_them_and_not_too_many() {
    let (mut app, mut engine) = talk();
    app.world_mut().write_message(React(Reaction::Applause));
    app.update();
    let sent = engine.commands();
    let expected =
        DataMessage { topic: "rotunda.reaction".into(), payload: b"applause".to_vec(), reliable: true, to: Vec::new() };
    assert!(matches!(&sent[..], [RoomCommand::SendData(message)] if *message == expected), "{sent:?}");
    for _ in 0..50 {
        packet(&engine, "ada", "rotunda.reaction", b"heart");
        app.world_mut().write_message(React(Reaction::Heart));
    }
    packet(&engine, "ada", "rotunda.reaction", b"no such sign");
    packet(&engine, "nobody", "rotunda.reaction", b"heart");
    packet(&engine, "ada", "rotunda.barrage", "hooray 🎉".as_bytes());
    app.update();
    assert!(engine.commands().len() < 5);
    let ada = entity(&app, "ada");
    let kinds: Vec<FloatKind> = app.world().resource::<Floats>().iter().map(|float| float.kind.clone()).collect();
    let hers = |kind: &&FloatKind| matches!(kind, FloatKind::Sign { of: Some(of), .. } if *of == ada);
    assert_eq!(kinds.iter().filter(hers).count(), 5);
    assert!(kinds.iter().any(|kind| matches!(kind, FloatKind::Remark { text, .. } if text == "hooray 🎉")));
}

#[test]
fn who_asks_to_speak_is_known_in_order_and_who_asks_to_look_is_heard() {
    let (mut app, engine) = talk();
    let raised = |id: &str, value: &str| {
        let mut info = user(id, id, 3);
        info.attributes.insert(ATTRIBUTE_HAND.to_owned(), value.to_owned());
        RoomEvent::UserUpdated(info)
    };
    engine.tell(raised("ada", "2000"));
    engine.tell(raised("me", "1000"));
    app.update();
    let hand = |app: &App, id: &str| app.world().get::<HandRaised>(entity(app, id)).copied();
    assert!(hand(&app, "me").unwrap().0 < hand(&app, "ada").unwrap().0);
    engine.tell(raised("ada", ""));
    packet(&engine, "ada", "rotunda.reaction", b"look_here");
    app.update();
    assert_eq!(hand(&app, "ada"), None);
    let asked: Vec<AskedToLook> = app.world_mut().resource_mut::<Messages<AskedToLook>>().drain().collect();
    assert_eq!(asked.len(), 1);
    let (_, told) = log(&app).lines().last().unwrap();
    assert_eq!(told.voice, Voice::Room(Happened::AsksToLook("ada".to_owned())));
}

#[test]
fn another_room_begins_with_an_empty_page() {
    let (mut app, mut engine) = talk();
    say(&engine, "hello");
    app.update();
    assert_eq!(texts(&app).len(), 1);
    engine.next_session();
    engine.connect_as(user("me", "Me", 1));
    app.update();
    assert!(texts(&app).is_empty());
}
