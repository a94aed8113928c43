//! Short notices at the top: where the connection stands, who came and went, what went wrong.

use std::collections::VecDeque;

use bevy::prelude::*;
use bevy_egui::egui::{self, Align2, Color32};

use super::own_media::MutedByHost;
use super::writing::Writing;
use super::{OpenPanes, RightPane, theme};
use crate::model::topic::TOPIC_KNOCK;
use crate::model::{CallError, ErrorCode, RoomState, RoomStateReason, text};
use crate::space::chat::AskedToLook;
use crate::space::participant::{HandRaised, LocalParticipant, Participant, Spotlit};
use crate::space::settings::Comfort;
use crate::space::sync::{
    CallTrouble, ChatReceived, DataReceived, PlayStateChanged, PublishStateChanged, RoomStateChanged, RoomStatus,
    UserCame, UserWent,
};
use crate::space::words::{ChatWords, NoticeWords};

/// Notices shown at once; older ones give way.
const SHOWN: usize = 4;
const SECS: f32 = 4.0;
/// Characters of a message.
const WROTE_CHARS: usize = 72;
/// Characters of the name of one who stands before the door.
const KNOCKER_CHARS: usize = 24;
const LONGER_SECS: f32 = 9.0;
/// Of people who come or go together so many are named.
const NAMED: usize = 3;
/// Comings and goings are not told while the room fills right after a login.
const SETTLE_SECS: f32 = 2.0;

/// What is being told.
#[derive(Resource, Debug, Default)]
pub struct Notices {
    lines: VecDeque<Notice>,
    connected_secs: f32,
}

/// What gives way to what, when there is too much to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Good to know.
    News,
    /// One may want to do something about it.
    Call,
    /// Something went wrong.
    Trouble,
}

impl Weight {
    /// How long it is told.
    fn secs(self) -> f32 {
        if self == Self::News { SECS } else { LONGER_SECS }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Notice {
    text: String,
    weight: Weight,
    left_secs: f32,
    moved: Option<Moved>,
}

/// People who came, or went, told together.
#[derive(Clone, Debug, PartialEq)]
struct Moved {
    came: bool,
    names: Vec<String>,
    more: usize,
}

impl Notices {
    /// Tells something for a few seconds; trouble stays longer.
    pub fn tell(&mut self, text: impl Into<String>, trouble: bool) {
        self.put(text.into(), if trouble { Weight::Trouble } else { Weight::News }, None);
    }

    /// One has been in the room for a moment.
    pub(super) fn settled(&self) -> bool {
        self.connected_secs > SETTLE_SECS
    }

    /// Tells who came or went, together with those who did a moment ago.
    fn tell_moved(&mut self, words: &ChatWords, came: bool, name: &str) {
        let name = text::in_sentence(name);
        let before = self.lines.iter().position(|line| line.moved.as_ref().is_some_and(|moved| moved.came == came));
        let before = before.and_then(|at| self.lines.remove(at)).and_then(|line| line.moved);
        let mut moved = before.unwrap_or(Moved { came, names: Vec::new(), more: 0 });
        if moved.names.len() < NAMED {
            moved.names.push(name)
        } else {
            moved.more += 1
        }
        let told = if came { words.came } else { words.left };
        self.put(told(&moved.names, moved.more), Weight::News, Some(moved));
    }

    fn put(&mut self, text: String, weight: Weight, moved: Option<Moved>) {
        self.lines.retain(|line| line.text != text);
        if self.lines.len() == SHOWN {
            // The first of the least weight.
            let lightest = self.lines.iter().enumerate().min_by_key(|(_, line)| line.weight);
            let gives_way = lightest.map_or(0, |(at, _)| at);
            self.lines.remove(gives_way);
        }
        self.lines.push_back(Notice { text, weight, left_secs: weight.secs(), moved });
    }
}

type NewHands<'w, 's> = Query<'w, 's, &'static Participant, (Added<HandRaised>, Without<LocalParticipant>)>;

/// Events to notices; old ones end.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn collect(
    (time, comfort, panes): (Res<Time>, Res<Comfort>, Res<OpenPanes>),
    status: Res<RoomStatus>,
    mut notices: ResMut<Notices>,
    mut states: MessageReader<RoomStateChanged>,
    mut came: MessageReader<UserCame>,
    mut went: MessageReader<UserWent>,
    mut trouble: MessageReader<CallTrouble>,
    mut publish: MessageReader<PublishStateChanged>,
    mut play: MessageReader<PlayStateChanged>,
    (mut asked, mut wrote, mut hushed, mut data): (
        MessageReader<AskedToLook>,
        MessageReader<ChatReceived>,
        MessageReader<MutedByHost>,
        MessageReader<DataReceived>,
    ),
    lit: Query<(&Participant, Has<LocalParticipant>), Added<Spotlit>>,
    (people, hands): (Query<&Participant>, NewHands),
    (mut locked, mut host): (Local<Option<bool>>, Local<Option<bool>>),
    local: Query<(), With<LocalParticipant>>,
) {
    let all = comfort.language.words();
    let words = &all.notices;
    let dt = time.delta_secs();
    notices.connected_secs = if status.state == RoomState::Connected { notices.connected_secs + dt } else { 0.0 };
    for change in states.read() {
        if let Some(error) = &change.error {
            notices.tell((words.trouble)(error), true);
        } else if change.reason == RoomStateReason::Reconnected {
            notices.tell(words.back, false);
        }
    }
    // Who reads the messages reads it there.
    let settled = notices.settled() && panes.right != Some(RightPane::Chat);
    for user in came.read().filter(|_| settled) {
        if !local.contains(user.entity) {
            notices.tell_moved(&all.chat, true, &user.user.name);
        }
    }
    for user in went.read().filter(|_| settled) {
        notices.tell_moved(&all.chat, false, &user.name);
    }
    for message in wrote.read().filter(|_| settled) {
        let by = people.iter().find(|participant| participant.user == message.from);
        let name = by.map_or(message.from.as_str(), |participant| participant.name.as_str());
        let name = text::in_sentence(name);
        notices.tell((words.wrote)(&name, &text::excerpt(&message.text, WROTE_CHARS)), false);
    }
    // The messages do not tell of hands.
    let here_for_a_while = notices.settled();
    for participant in hands.iter().filter(|_| here_for_a_while) {
        notices.tell((words.raised_hand)(&text::in_sentence(&participant.name)), false);
    }
    if hushed.read().count() > 0 {
        notices.tell(words.muted_by_host, true);
    }
    let keeps_the_door = status.host && status.order.locked;
    for name in data.read().filter(|_| keeps_the_door).filter_map(knocker) {
        notices.put((words.knocks)(&name), Weight::Call, None);
    }
    for asked in asked.read() {
        notices.tell((words.asks_to_look)(&asked.name), false);
    }
    for (participant, me) in &lit {
        let told = if me { words.you_in_light.to_owned() } else { (words.in_light)(&participant.name) };
        notices.tell(told, false);
    }
    // As it was when one came in is no news.
    let now = (status.state == RoomState::Connected).then_some(status.order.locked);
    if let (Some(before), Some(now)) = (*locked, now)
        && before != now
    {
        notices.tell(if now { words.locked } else { words.unlocked }, false);
    }
    *locked = now;
    let now = notices.settled().then_some(status.host);
    if let (Some(before), Some(now)) = (*host, now)
        && before != now
    {
        notices.tell(if now { words.you_are_host } else { words.you_are_no_host }, false);
    }
    *host = now;
    // Whoever is out knows why: that what they sent ended with it is no news.
    let inside = status.state != RoomState::Disconnected;
    let ended = |error: &&CallError| inside || error.code != ErrorCode::PublishInterrupted;
    let own = trouble.read().map(|t| &t.0).chain(publish.read().filter_map(|p| p.error.as_ref()).filter(ended));
    // Who is played when there are too many is chosen by what is seen and heard: nobody has to do anything.
    let playing = play.read().filter_map(|p| p.error.as_ref()).filter(|error| error.code != ErrorCode::TooManyPlays);
    for error in own.chain(playing) {
        notices.tell((words.trouble)(error), true);
    }
    if !notices.lines.is_empty() {
        for line in &mut notices.lines {
            line.left_secs -= dt;
        }
        notices.lines.retain(|line| line.left_secs > 0.0);
    }
}

/// Who stands before the door, if that is what was sent, by a name that leaves room to say what to do.
fn knocker(data: &DataReceived) -> Option<String> {
    let tells = data.topic == TOPIC_KNOCK && data.from.is_none() && data.reliable;
    let name = tells.then(|| text::one_line(&String::from_utf8_lossy(&data.payload), KNOCKER_CHARS))?;
    Some(text::in_sentence(&name)).filter(|name| !name.is_empty())
}

/// The standing line about the connection, if it needs one.
pub(super) fn standing(words: &NoticeWords, status: &RoomStatus) -> Option<(&'static str, Color32)> {
    match (status.state, status.reason) {
        (RoomState::Connecting, Some(RoomStateReason::Reconnecting)) => Some((words.coming_back, theme::CORAL_TEXT)),
        (RoomState::Connecting, _) => Some((words.entering, theme::BRASS)),
        (RoomState::Disconnected, None) => None,
        (RoomState::Disconnected, _) => Some((words.not_in_room, theme::CORAL_TEXT)),
        (RoomState::Connected, _) => None,
    }
}

/// Draws them below what is at the top already, over everything else: nothing is more urgent.
pub(super) fn show(
    ctx: &egui::Context,
    standing: Option<(&'static str, Color32)>,
    notices: &Notices,
    below_pt: f32,
    writing: &mut Writing,
) {
    if standing.is_none() && notices.lines.is_empty() {
        return;
    }
    let free = theme::between_panes(ctx);
    let aside = free.center().x - ctx.content_rect().center().x;
    egui::Area::new(egui::Id::new("notices"))
        .anchor(Align2::CENTER_TOP, [aside, theme::EDGE_PT + below_pt])
        .order(egui::Order::Foreground)
        .interactable(false)
        .show(ctx, |ui| {
            let room = (free.width() - 2.0 * theme::EDGE_PT - 2.0 * theme::PANE_X_PT).max(120.0);
            ui.with_layout(egui::Layout::top_down(egui::Align::Center), |ui| {
                if let Some((text, colour)) = standing {
                    sentence(ui, text, room, colour, 1.0);
                }
                for notice in &notices.lines {
                    let strength = (notice.left_secs / 0.6).clamp(0.0, 1.0);
                    if notice.weight == Weight::Trouble {
                        sentence(ui, &notice.text, room, theme::CORAL_TEXT, strength);
                    } else {
                        news(ui, &notice.text, room, strength, writing);
                    }
                }
            });
        });
}

/// What went wrong, in as many lines as it needs.
fn sentence(ui: &mut egui::Ui, text: &str, room: f32, colour: Color32, strength: f32) {
    let colour = colour.gamma_multiply(strength);
    let galley = ui.fonts_mut(|fonts| fonts.layout(text.to_owned(), theme::body(), colour, room));
    plaque(ui, galley.size(), strength, |painter, rect| {
        painter.galley(rect.min, galley, colour);
    });
}

/// Who came or went, whatever script their name is in; in several lines where one has no room for it.
fn news(ui: &mut egui::Ui, text: &str, room: f32, strength: f32, writing: &mut Writing) {
    let (size, colour) = ((theme::body().size, room), theme::PAPER.gamma_multiply(strength));
    // What ends in an ellipsis takes all but a letter of its room.
    let Some(needed) = writing.measure(ui.ctx(), text, size.0, size.1) else { return };
    if needed.x > room - 2.0 * size.0 {
        theme::pane().multiply_with_opacity(strength).show(ui, |ui| writing.paragraph(ui, text, size, colour));
        return;
    }
    plaque(ui, needed, strength, |painter, rect| writing.paint(painter, rect.left_center(), text, size, colour));
}

/// A ground just as large as what is on it.
fn plaque(ui: &mut egui::Ui, size: egui::Vec2, strength: f32, draw: impl FnOnce(&egui::Painter, egui::Rect)) {
    theme::pane().multiply_with_opacity(strength).show(ui, |ui| {
        ui.set_max_width(size.x);
        let (rect, _) = ui.allocate_exact_size(size, egui::Sense::hover());
        draw(ui.painter(), rect);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;
    use crate::space::words::Language;

    #[test]
    fn the_newest_notices_stay_and_repeats_do_not_pile_up() {
        let mut notices = Notices::default();
        for n in 0..6 {
            notices.tell(format!("{n}"), false);
        }
        notices.tell("5", true);
        let texts: Vec<_> = notices.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["2", "3", "4", "5"]);
        assert_eq!(notices.lines[3].weight, Weight::Trouble);
    }

    #[test]
    fn news_give_way_to_what_asks_for_something() {
        let mut notices = Notices::default();
        notices.put("Eve is at the door".into(), Weight::Call, None);
        notices.tell("the camera is gone", true);
        (0..9).for_each(|n| notices.tell(format!("{n}"), false));
        let texts: Vec<_> = notices.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["Eve is at the door", "the camera is gone", "7", "8"]);
        (0..4).for_each(|n| notices.tell(format!("trouble {n}"), true));
        assert!(notices.lines.iter().all(|line| line.weight == Weight::Trouble));
    }

    #[test]
    fn a_knock_is_the_servers_and_has_a_name() {
        let knock = |payload: &str| DataReceived {
            from: None,
            topic: TOPIC_KNOCK.to_owned(),
            payload: payload.as_bytes().to_vec(),
            reliable: true,
        };
        assert_eq!(knocker(&knock("Eve")).as_deref(), Some("Eve"));
        assert_eq!(knocker(&knock(&"e".repeat(300))).unwrap().chars().count(), KNOCKER_CHARS);
        assert_eq!(knocker(&knock(" \u{0}\n")), None);
        assert_eq!(knocker(&DataReceived { from: UserId::new("mallory").ok(), ..knock("Eve") }), None);
        assert_eq!(knocker(&DataReceived { reliable: false, ..knock("Eve") }), None);
        assert_eq!(knocker(&DataReceived { topic: "rotunda.command".into(), ..knock("Eve") }), None);
    }

    #[test]
    fn many_who_come_share_a_notice() {
        let (mut notices, words) = (Notices::default(), &Language::English.words().chat);
        for n in 0..40 {
            notices.tell_moved(words, true, &format!("P{n}"));
        }
        notices.tell_moved(words, false, "P0");
        notices.tell_moved(words, true, "P40");
        let texts: Vec<_> = notices.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["P0 left", "P0, P1, P2 and 38 more came in"]);
    }
}
