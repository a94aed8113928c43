//! Leaving the room, by button or by closing the window; with a question before it where others lose something by it.

use bevy::prelude::*;
use bevy::window::WindowCloseRequested;
use bevy_egui::{EguiContexts, egui};
use egui::{Color32, RichText};

use super::theme;
use crate::bridge::RoomCommand;
use crate::model::{RoomState, StreamKind};
use crate::space::participant::{LocalParticipant, Participant};
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::stream::OwnStreams;
use crate::space::sync::{Outbox, RoomStatus};
use crate::space::words::BarWords;

/// The room's server runs in this program and ends with it. Inserted by the application that started it.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct RoomIsHere;

/// The user wants to leave, by the bar's button or by closing the window; asked first where others depend on them.
#[derive(Message, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantsToLeave {
    /// The whole program is to end.
    pub closes: bool,
}

/// The user leaves. The logout is on its way; whether the program ends is the application's choice.
#[derive(Message, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaveRequested {
    /// The whole program is to end.
    pub closes: bool,
}

/// What is being asked.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaving {
    asked: Option<WantsToLeave>,
}

impl Leaving {
    /// The question stands.
    pub(super) fn is_asked(self) -> bool {
        self.asked.is_some()
    }
}

/// What others lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Loss {
    /// So many others are in a room that ends.
    others_here: usize,
    /// What is on the wall.
    share: bool,
}

type Others<'w, 's> = Query<'w, 's, (), (With<Participant>, Without<LocalParticipant>)>;

fn loss(here: bool, others: &Others, own: &OwnStreams) -> Loss {
    let others = others.iter().count();
    let share = others > 0 && own.of(StreamKind::Screen).next().is_some();
    Loss { others_here: if here { others } else { 0 }, share }
}

/// Asks, or leaves at once. Whoever wants it again while being asked has answered.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn consider(
    mut wishes: MessageReader<WantsToLeave>,
    mut closing: MessageReader<WindowCloseRequested>,
    (here, settings, status): (Option<Res<RoomIsHere>>, Res<SpaceSettings>, Res<RoomStatus>),
    others: Others,
    own: OwnStreams,
    mut leaving: ResMut<Leaving>,
    mut outbox: ResMut<Outbox>,
    mut leave: MessageWriter<LeaveRequested>,
) {
    let closed = closing.read().map(|_| WantsToLeave { closes: true });
    let Some(wish) = wishes.read().copied().chain(closed).reduce(|a, b| WantsToLeave { closes: a.closes || b.closes })
    else {
        return;
    };
    let inside = status.state == RoomState::Connected;
    let matters = inside && loss(here.is_some(), &others, &own) != Loss::default();
    if settings.overlay && matters && leaving.asked.is_none() {
        leaving.asked = Some(wish);
        return;
    }
    leaving.asked = None;
    go(wish, status.state, &mut outbox, &mut leave);
}

fn go(wish: WantsToLeave, state: RoomState, outbox: &mut Outbox, leave: &mut MessageWriter<LeaveRequested>) {
    if state != RoomState::Disconnected {
        outbox.push(RoomCommand::Logout);
    }
    leave.write(LeaveRequested { closes: wish.closes });
}

/// The question. What it is about may end meanwhile; then so does the question.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    (here, settings): (Option<Res<RoomIsHere>>, Res<SpaceSettings>),
    (comfort, status): (Res<Comfort>, Res<RoomStatus>),
    others: Others,
    own: OwnStreams,
    mut leaving: ResMut<Leaving>,
    mut outbox: ResMut<Outbox>,
    mut leave: MessageWriter<LeaveRequested>,
) -> Result {
    let Some(asked) = leaving.asked else { return Ok(()) };
    if status.state != RoomState::Connected || !settings.overlay {
        leaving.asked = None;
        return Ok(());
    }
    let loss = loss(here.is_some(), &others, &own);
    match question(contexts.ctx_mut()?, &comfort.language.words().bar, loss) {
        Some(true) => {
            leaving.asked = None;
            go(asked, status.state, &mut outbox, &mut leave);
        }
        Some(false) => leaving.asked = None,
        None => {}
    }
    Ok(())
}

/// `Some` once it is answered.
fn question(ctx: &egui::Context, words: &BarWords, loss: Loss) -> Option<bool> {
    let shown = egui::Modal::new(egui::Id::new("leaving")).frame(theme::pane()).show(ctx, |ui| {
        ui.set_max_width(300.0);
        ui.spacing_mut().item_spacing.y = 8.0;
        ui.label(RichText::new(words.leave_title).font(theme::body()).strong());
        if loss.others_here > 0 {
            ui.label(RichText::new((words.leave_ends_room)(loss.others_here)).font(theme::body()));
        }
        if loss.share {
            ui.label(RichText::new(words.leave_ends_share).font(theme::body()));
        }
        let mut answer = None;
        ui.horizontal(|ui| {
            let anyway = RichText::new(words.leave_anyway).font(theme::body()).color(Color32::WHITE);
            let size = egui::vec2(110.0, 30.0);
            if ui.add_sized(size, egui::Button::new(anyway).fill(theme::CORAL)).clicked() {
                answer = Some(true);
            }
            if ui.add_sized(size, egui::Button::new(RichText::new(words.stay).font(theme::body()))).clicked() {
                answer = Some(false);
            }
        });
        answer
    });
    shown.inner.or_else(|| shown.should_close().then_some(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::engine_channels;
    use crate::model::{MediaKind, StreamId, StreamInfo, TrackInfo, TrackSid, TrackSource, UserId, UserInfo};
    use crate::space::stream::{PublishedBy, VideoStream};
    use crate::space::sync::EngineBridge;

    fn person(id: &str) -> Participant {
        Participant::from(&UserInfo {
            id: UserId::new(id).unwrap(),
            name: id.to_owned(),
            sid: String::new(),
            joined_at_ms: 0,
            attributes: default(),
            metadata: String::new(),
        })
    }

    /// Inside, with so many others.
    fn room(others: usize) -> App {
        let mut app = App::new();
        app.init_resource::<SpaceSettings>()
            .init_resource::<Outbox>()
            .init_resource::<Leaving>()
            .insert_resource(RoomStatus { state: RoomState::Connected, ..default() })
            .insert_resource(EngineBridge(engine_channels().0))
            .add_message::<WantsToLeave>()
            .add_message::<LeaveRequested>()
            .add_message::<WindowCloseRequested>()
            .add_systems(Update, consider);
        app.world_mut().spawn((person("me"), LocalParticipant));
        for n in 0..others {
            app.world_mut().spawn(person(&format!("p{n}")));
        }
        app
    }

    /// Whether leaving was asked about, and whether it happened.
    fn want(app: &mut App, closes: bool) -> (bool, Option<LeaveRequested>) {
        app.world_mut().write_message(WantsToLeave { closes });
        app.update();
        let left = app.world_mut().resource_mut::<Messages<LeaveRequested>>().drain().next();
        (app.world().resource::<Leaving>().asked.is_some(), left)
    }

    #[test]
    fn it_is_asked_only_where_others_lose_something() {
        let left = |closes| (false, Some(LeaveRequested { closes }));
        assert_eq!(want(&mut room(3), false), left(false), "the room goes on without me");
        let mut app = room(0);
        app.init_resource::<RoomIsHere>();
        assert_eq!(want(&mut app, true), left(true), "nobody else is here");
        let mut app = room(3);
        app.init_resource::<RoomIsHere>();
        assert_eq!(want(&mut app, true), (true, None));
        assert_eq!(want(&mut app, false), left(false), "who wants it again has answered");
        app.world_mut().resource_mut::<RoomStatus>().state = RoomState::Disconnected;
        assert_eq!(want(&mut app, true), left(true), "out already");
    }

    #[test]
    fn who_shares_a_screen_is_asked() {
        let mut app = room(1);
        let mut people = app.world_mut().query_filtered::<Entity, With<LocalParticipant>>();
        let me = people.single(app.world()).unwrap();
        let track = TrackInfo {
            sid: TrackSid::new("TR_s").unwrap(),
            kind: MediaKind::Video,
            source: TrackSource::ScreenShare,
            mime_type: String::new(),
            width: 0,
            height: 0,
            muted: false,
        };
        let info = StreamInfo {
            id: StreamId::new("s").unwrap(),
            owner: UserId::new("me").unwrap(),
            kind: StreamKind::Screen,
            video: Some(track),
            audio: None,
            video_state: default(),
            audio_state: default(),
            extra_info: String::new(),
            wall_slot: None,
        };
        let share = app.world_mut().spawn((VideoStream { info }, PublishedBy(me))).id();
        assert_eq!(want(&mut app, false), (true, None));
        app.world_mut().despawn(share);
        assert_eq!(want(&mut app, false).1, Some(LeaveRequested { closes: false }));
    }
}
