//! What hosts want of the room, against a scripted engine; drawn by nobody.

use bevy::prelude::*;
use rotunda::bridge::{HostCommand, RoomCommand, RoomEvent};
use rotunda::model::{RoomOrder, StreamKind, UserId, WallChoices};
use rotunda::space::order::OrderPlugin;
use rotunda::space::participant::ParticipantPlugin;
use rotunda::space::schedule::SchedulePlugin;
use rotunda::space::sync::SyncPlugin;
use rotunda::space::{EngineBridge, KeepOrder, Spotlit};

use crate::fake_engine::{FakeEngine, stream, user};
use crate::room::entity;

/// A host's room with Ada in it, who speaks and shares.
fn hosted() -> (App, FakeEngine) {
    let (handle, engine) = FakeEngine::new();
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, SchedulePlugin, SyncPlugin, ParticipantPlugin, OrderPlugin))
        .insert_resource(EngineBridge(handle));
    engine.connect_as(user("me", "Me", 1));
    engine
        .tell(RoomEvent::RoomChanged { metadata: r#"{"rotunda":{"wall":{"large":"page"}}}"#.into(), may_change: true });
    engine.join_with_camera("ada", "Ada", 2, false);
    engine.publish(stream("ada-page", "ada", StreamKind::Screen, false));
    app.update();
    (app, engine)
}

fn want(app: &mut App, wishes: impl IntoIterator<Item = KeepOrder>) {
    app.world_mut().write_message_batch(wishes);
    app.update();
}

fn ada() -> UserId {
    UserId::new("ada").unwrap()
}

#[test]
fn choices_that_follow_at_once_build_on_each_other_and_keep_what_else_was_chosen() {
    let (mut app, mut engine) = hosted();
    want(&mut app, [KeepOrder::Lock(true)]);
    want(&mut app, [KeepOrder::Spotlight(Some(ada())), KeepOrder::Remove { user: ada(), ban: true }]);
    let sent = engine.commands();
    let texts: Vec<&str> = sent
        .iter()
        .filter_map(|command| if let RoomCommand::SetRoomMetadata(text) = command { Some(text.as_str()) } else { None })
        .collect();
    let last = texts.last().unwrap();
    let order = RoomOrder::read(last);
    assert!(order.locked && order.bans("ada") && order.spotlight == Some(ada()), "{last}");
    assert_ne!(WallChoices::read(last), WallChoices::default(), "the wall is as it was");
    // Banned before they are put out, or they would be back at once.
    assert!(matches!(sent.last(), Some(RoomCommand::Host(HostCommand::Remove(who))) if *who == ada()), "{sent:?}");

    let metadata = (*last).to_owned();
    engine.tell(RoomEvent::RoomChanged { metadata, may_change: true });
    app.update();
    app.update();
    assert!(app.world().get::<Spotlit>(entity(&app, "ada")).is_some());
    assert!(app.world().get::<Spotlit>(entity(&app, "me")).is_none());
    want(&mut app, [KeepOrder::Lock(true)]);
    assert!(engine.commands().is_empty(), "it is locked already");
    want(&mut app, [KeepOrder::RenewLink]);
    let sent = engine.commands();
    let [RoomCommand::SetRoomMetadata(text)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(RoomOrder::read(text).renewals, 1);
}

#[test]
fn a_host_makes_another_one_and_who_is_put_out_is_none() {
    let (mut app, mut engine) = hosted();
    want(&mut app, [KeepOrder::Host { user: ada(), host: true }]);
    let chosen = |engine: &mut FakeEngine| {
        let sent = engine.commands().into_iter();
        let text = |command| if let RoomCommand::SetRoomMetadata(text) = command { Some(text) } else { None };
        RoomOrder::read(&sent.filter_map(text).last().unwrap())
    };
    assert!(chosen(&mut engine).makes_host("ada"));
    want(&mut app, [KeepOrder::Host { user: ada(), host: false }]);
    assert!(!chosen(&mut engine).makes_host("ada"));
    want(&mut app, [KeepOrder::Host { user: ada(), host: true }, KeepOrder::Remove { user: ada(), ban: false }]);
    assert!(!chosen(&mut engine).makes_host("ada"));
}

#[test]
fn a_voice_is_muted_and_what_a_share_plays_is_not() {
    let (mut app, mut engine) = hosted();
    want(&mut app, [KeepOrder::Mute(ada()), KeepOrder::MuteAll, KeepOrder::StopSharing(ada())]);
    let sent = engine.commands();
    let kinds: Vec<&HostCommand> = sent
        .iter()
        .filter_map(|command| if let RoomCommand::Host(command) = command { Some(command) } else { None })
        .collect();
    assert!(
        matches!(&kinds[..], [HostCommand::Mute { user, .. }, HostCommand::MuteAll, HostCommand::StopSharing(who)]
            if *user == ada() && *who == ada()),
        "{kinds:?}"
    );
    want(&mut app, [KeepOrder::Mute(UserId::new("nobody").unwrap())]);
    assert!(engine.commands().is_empty());
}
