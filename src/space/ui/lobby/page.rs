//! The lobby's page: at the left how one looks and sounds, at the right who one is and where to go; one below the other
//! where there is no room for both.

use bevy_egui::egui;
use egui::{Align2, Color32, CornerRadius, Key, RichText, TextEdit, vec2};

use super::preview::Mirror;
use super::state::{Field, LINK_MAX_BYTES, Lobby, LobbyTrouble, SECRET_MAX_BYTES, Target, Way};
use crate::model::Beauty;
use crate::model::limits::{ROOM_ID_MAX_BYTES, USER_NAME_MAX_BYTES};
use crate::space::devices::{ChooseDevice, DeviceChoice, DeviceKind, DeviceLists};
use crate::space::settings::Comfort;
use crate::space::ui::devices::{self, Checks};
use crate::space::ui::signs::{self, Sign};
use crate::space::ui::{settings, theme};
use crate::space::words::{LobbyWords, Words};

/// Width of each half, in points, and of what is between them.
const HALF_PT: f32 = 300.0;
const BETWEEN_PT: f32 = 28.0;
/// Width that a pane at the left takes, in points.
const PANE_TAKES_PT: f32 = 340.0;
/// Height of the own picture, in points.
const PICTURE_PT: f32 = HALF_PT * 9.0 / 16.0;

/// Height of the button that leads in, in points.
const GO_PT: f32 = 38.0;

/// What the page shows and changes besides what is written on it.
pub(super) struct Parts<'a> {
    pub words: &'static Words,
    pub lists: &'a DeviceLists,
    pub choice: &'a DeviceChoice,
    pub mirror: Option<&'a Mirror>,
    pub checks: &'a mut Checks,
    pub beauty: &'a mut Beauty,
    pub comfort: Comfort,
    /// Picture and voice come from devices, which can be chosen.
    pub from_devices: bool,
    /// Something stands at the left.
    pub pane_open: bool,
    /// It is shown for the first time.
    pub greets: bool,
    pub footing: &'a mut Footing,
}

/// Keeps the page where it is while something is said on it and taken back: only its lower edge moves. It stands in the
/// middle as high as it was when it was last laid out anew, whatever it said then.
#[derive(Default)]
pub(super) struct Footing {
    laid_out: Option<LaidOut>,
    /// Frames since: the page has its height after a few.
    frames: u8,
    height: f32,
}

/// What the page is laid out for.
#[derive(Clone, Copy, PartialEq)]
struct LaidOut {
    view: egui::Vec2,
    beside: bool,
    comfort: Comfort,
    way: Way,
    to_server: bool,
    with_keys: bool,
}

/// Frames until a page is laid out.
const LAYING_OUT: u8 = 4;

impl Footing {
    /// How far below the middle of the view the page's is, in points. `drawn` is its height in the frame before.
    fn below_middle(&mut self, laid_out: LaidOut, drawn: f32) -> f32 {
        if self.laid_out != Some(laid_out) {
            (self.laid_out, self.frames) = (Some(laid_out), 0);
        }
        if self.frames < LAYING_OUT {
            (self.frames, self.height) = (self.frames + 1, drawn);
        }
        // What would leave the view pushes it up all the same.
        let room = ((laid_out.view.y - drawn) * 0.5 - theme::EDGE_PT).max(0.0);
        ((drawn - self.height) * 0.5).min(room)
    }
}

/// What was pressed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Choose(ChooseDevice),
    Beauty,
    ClosePane,
    Enter,
    Cancel,
}

pub(super) fn show(ctx: &egui::Context, lobby: &mut Lobby, parts: &mut Parts<'_>) -> Option<Wish> {
    let view = ctx.content_rect();
    let beside = view.width() >= 2.0 * HALF_PT + BETWEEN_PT + 2.0 * (theme::EDGE_PT + theme::PANE_X_PT);
    let tallest = view.height() - 2.0 * theme::EDGE_PT - 24.0;
    // Asked before anything is drawn: a list that is open takes the key for itself.
    let escapes = ctx.input(|input| input.key_pressed(Key::Escape)) && !egui::Popup::is_any_open(ctx);
    let mut wish = (escapes && parts.pane_open).then_some(Wish::ClosePane);
    // A pane at the left leaves the rest of a wide view to the lobby.
    let taken = if parts.pane_open { PANE_TAKES_PT } else { 0.0 };
    let aside = if view.width() > taken + 2.0 * HALF_PT + BETWEEN_PT + 60.0 { taken * 0.5 } else { 0.0 };
    let id = egui::Id::new("lobby");
    let drawn = ctx.memory(|memory| memory.area_rect(id)).map_or(0.0, |rect| rect.height());
    let laid_out = LaidOut {
        view: view.size(),
        beside,
        comfort: parts.comfort,
        way: lobby.way,
        to_server: matches!(lobby.target(), Some(Target::Server(_))),
        with_keys: lobby.with_keys,
    };
    let below = parts.footing.below_middle(laid_out, drawn);
    egui::Area::new(id).anchor(Align2::CENTER_CENTER, [aside, below]).show(ctx, |ui| {
        theme::pane().show(ui, |ui| {
            let all = egui::ScrollArea::vertical().max_height(tallest).min_scrolled_height(tallest);
            all.auto_shrink([true, true]).show(ui, |ui| {
                ui.spacing_mut().item_spacing = vec2(8.0, 7.0);
                let mut take = |wished: Option<Wish>| wish = wish.take().or(wished);
                if beside {
                    ui.horizontal_top(|ui| {
                        half(ui, |ui| take(oneself(ui, lobby, parts)));
                        ui.add_space(BETWEEN_PT - 16.0);
                        half(ui, |ui| take(whereto(ui, lobby, parts)));
                    });
                } else {
                    ui.set_max_width(HALF_PT + 12.0);
                    half(ui, |ui| take(whereto(ui, lobby, parts)));
                    ui.separator();
                    half(ui, |ui| take(oneself(ui, lobby, parts)));
                }
            });
        });
    });
    wish
}

fn half(ui: &mut egui::Ui, contents: impl FnOnce(&mut egui::Ui)) {
    ui.allocate_ui(vec2(HALF_PT, 0.0), |ui| {
        ui.vertical(|ui| {
            ui.set_width(HALF_PT);
            contents(ui);
        });
    });
}

/// How one looks and sounds.
fn oneself(ui: &mut egui::Ui, lobby: &mut Lobby, parts: &mut Parts<'_>) -> Option<Wish> {
    let (words, settings_words) = (&parts.words.lobby, &parts.words.settings);
    let mut wish = None;
    own_picture(ui, parts.words, lobby, parts.mirror);
    ui.horizontal(|ui| {
        let camera = (Sign::Camera, [words.camera_on, words.camera_off]);
        switch(ui, camera, &mut lobby.camera_on);
        switch(ui, (Sign::Microphone, [words.microphone_on, words.microphone_off]), &mut lobby.microphone_on);
    });
    let beauty = RichText::new(parts.words.bar.beauty).font(theme::body());
    ui.horizontal(|ui| {
        ui.checkbox(&mut parts.beauty.enabled, beauty).on_hover_text(parts.words.bar.beauty_hint);
        if ui.button(RichText::new("…").font(theme::body())).on_hover_text(parts.words.bar.beauty_hint).clicked() {
            wish = Some(Wish::Beauty);
        }
    });
    for kind in [DeviceKind::Camera, DeviceKind::Microphone, DeviceKind::Speaker] {
        let choice = (parts.choice, parts.from_devices);
        let chosen = devices::chooser(ui, settings_words, parts.lists, choice, (kind, HALF_PT));
        wish = wish.or(chosen.map(Wish::Choose));
        if kind == DeviceKind::Microphone && lobby.microphone_on {
            devices::microphone_meter(ui, settings_words, parts.checks, HALF_PT);
        }
    }
    devices::speaker_test(ui, settings_words, parts.choice.output(), parts.checks);
    wish
}

/// As others will see it, but as in a mirror.
fn own_picture(ui: &mut egui::Ui, words: &Words, lobby: &Lobby, mirror: Option<&Mirror>) {
    let (rect, _) = ui.allocate_exact_size(vec2(HALF_PT, PICTURE_PT), egui::Sense::hover());
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, CornerRadius::same(10), theme::DEAD);
    let device = mirror.map(Mirror::device).unwrap_or_default();
    let trouble = device.why.map(|why| (words.settings.device)(device.state, &why));
    let words = &words.lobby;
    // Another camera may stand in for the one that was chosen: it is seen all the same.
    let delivers = trouble.is_none() || device.name.is_some();
    if delivers && mirror.is_some_and(|mirror| mirror.picture().draw(&painter, rect, true)) {
        if let Some(why) = trouble {
            let galley = painter.layout(why, theme::caption(), theme::PAPER, HALF_PT - 20.0);
            let size = galley.size() + vec2(12.0, 6.0);
            let plate = egui::Rect::from_min_size(rect.left_bottom() + vec2(4.0, -4.0 - size.y), size);
            painter.rect_filled(plate, CornerRadius::same(6), theme::GROUND);
            painter.galley(plate.min + vec2(6.0, 3.0), galley, theme::PAPER);
        }
        return;
    }
    let off = !lobby.camera_on;
    let text = match &trouble {
        _ if off => words.camera_off,
        Some(why) => why,
        None => words.camera_starts,
    };
    let struck = off.then_some(theme::DEAD);
    signs::draw(&painter, Sign::Camera, rect.center() - vec2(0.0, 26.0), 30.0, theme::DEAD_INK, struck);
    let galley = painter.layout(text.to_owned(), theme::body(), theme::FADED, HALF_PT - 30.0);
    painter.galley(rect.center() + vec2(-galley.size().x * 0.5, 2.0), galley, theme::FADED);
}

/// A wide button that is on or off.
fn switch(ui: &mut egui::Ui, (sign, [on_text, off_text]): (Sign, [&str; 2]), on: &mut bool) {
    let (rect, response) = ui.allocate_exact_size(vec2((HALF_PT - 8.0) * 0.5, 34.0), egui::Sense::click());
    if response.clicked() {
        *on = !*on;
    }
    let text = if *on { on_text } else { off_text };
    response.widget_info(|| egui::WidgetInfo::selected(egui::WidgetType::Button, true, *on, text));
    let (ground, ink) = match (*on, response.hovered()) {
        (true, false) => (theme::BUTTON, theme::PAPER),
        (true, true) => (theme::BUTTON_HOVER, theme::PAPER),
        (false, false) => (theme::CORAL, Color32::WHITE),
        (false, true) => (theme::CORAL_HOVER, Color32::WHITE),
    };
    ui.painter().rect_filled(rect, CornerRadius::same(10), ground);
    let struck = (!*on).then_some(ground);
    signs::draw(ui.painter(), sign, rect.left_center() + vec2(20.0, 0.0), 17.0, ink, struck);
    let at = rect.left_center() + vec2(38.0, 0.0);
    ui.painter().text(at, Align2::LEFT_CENTER, text, theme::body(), ink);
    theme::focus_ring(ui, &response);
}

/// Who one is, and where to go.
fn whereto(ui: &mut egui::Ui, lobby: &mut Lobby, parts: &mut Parts<'_>) -> Option<Wish> {
    let words = &parts.words.lobby;
    ui.label(RichText::new(words.title).size(26.0).color(theme::BRASS));
    let mut asked = false;
    let name = (words.your_name, words.name_hint, USER_NAME_MAX_BYTES, false);
    let field = text(ui, name, &mut lobby.name);
    if parts.greets {
        field.request_focus();
    }
    asked |= entered(ui, &field);
    say_at(ui, parts.words, lobby, Field::Name);
    ui.horizontal(|ui| {
        for (way, title) in [(Way::Open, words.open), (Way::Join, words.join)] {
            let chosen = lobby.way == way;
            let ink = if chosen { theme::INK } else { theme::PAPER };
            let tab = egui::Button::new(RichText::new(title).font(theme::body()).color(ink)).selected(chosen);
            if ui.add_sized(vec2((HALF_PT - 8.0) * 0.5, 28.0), tab).clicked() && !chosen {
                lobby.way = way;
            }
        }
    });
    let title = match lobby.way {
        Way::Open => {
            let field = text(ui, (words.room, "", ROOM_ID_MAX_BYTES, false), &mut lobby.room);
            asked |= entered(ui, &field);
            say_at(ui, parts.words, lobby, Field::Room);
            ui.label(RichText::new(words.open_hint).font(theme::caption()).color(theme::FADED));
            words.enter_new
        }
        Way::Join => {
            let field = text(ui, (words.link, words.link_hint, LINK_MAX_BYTES, false), &mut lobby.link);
            asked |= entered(ui, &field);
            say_at(ui, parts.words, lobby, Field::Link);
            if matches!(lobby.target(), Some(Target::Server(_))) {
                asked |= server(ui, parts.words, lobby);
                say_at(ui, parts.words, lobby, Field::Pass);
            }
            words.enter
        }
    };
    ui.add_space(2.0);
    let wish = if lobby.entering {
        let mut cancelled = false;
        // As high as the button in whose place it stands.
        ui.allocate_ui_with_layout(vec2(HALF_PT, GO_PT), egui::Layout::left_to_right(egui::Align::Center), |ui| {
            ui.set_min_height(GO_PT);
            ui.add(egui::Spinner::new().color(theme::BRASS));
            ui.label(RichText::new(words.entering).font(theme::body()).color(theme::BRASS));
            cancelled = ui.button(RichText::new(words.cancel).font(theme::body())).clicked();
        });
        cancelled.then_some(Wish::Cancel)
    } else {
        let title = RichText::new(title).font(theme::body()).color(theme::INK).strong();
        let button = egui::Button::new(title).fill(theme::BRASS).corner_radius(CornerRadius::same(10));
        let pressed = ui.add_sized(vec2(HALF_PT, GO_PT), button).clicked();
        (pressed || asked).then_some(Wish::Enter)
    };
    say_at(ui, parts.words, lobby, Field::Whole);
    let again = recent(ui, words, lobby).then_some(Wish::Enter);
    ui.add_space(4.0);
    settings::read(ui, &parts.words.settings, &mut parts.comfort);
    again.or(wish)
}

/// By what right one comes in; whether Enter was pressed.
fn server(ui: &mut egui::Ui, all: &Words, lobby: &mut Lobby) -> bool {
    let words = &all.lobby;
    ui.horizontal(|ui| {
        for (with_keys, title) in [(false, words.token), (true, words.keys)] {
            ui.radio_value(&mut lobby.with_keys, with_keys, RichText::new(title).font(theme::body()));
        }
    });
    if !lobby.with_keys {
        let field = text(ui, (words.token, "", SECRET_MAX_BYTES, true), &mut lobby.token.0);
        return entered(ui, &field);
    }
    let key = text(ui, (words.api_key, "", SECRET_MAX_BYTES, false), &mut lobby.api_key);
    let secret = text(ui, (words.api_secret, "", SECRET_MAX_BYTES, true), &mut lobby.api_secret.0);
    let room = text(ui, (words.room, "", ROOM_ID_MAX_BYTES, false), &mut lobby.room);
    say_at(ui, all, lobby, Field::Room);
    [key, secret, room].iter().any(|field| entered(ui, field))
}

/// A field with its title before it.
fn text(
    ui: &mut egui::Ui,
    (title, hint, most, secret): (&str, &str, usize, bool),
    written: &mut String,
) -> egui::Response {
    let label = ui.label(RichText::new(title).font(theme::caption()).color(theme::FADED));
    let field = TextEdit::singleline(written).font(theme::body()).hint_text(hint).password(secret);
    // A little more than may be sent, so that what is too long is told and not silently cut.
    ui.add(field.char_limit(most + 64).desired_width(HALF_PT)).labelled_by(label.id)
}

fn entered(ui: &egui::Ui, field: &egui::Response) -> bool {
    field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

/// What is wrong, below the field it belongs to.
fn say_at(ui: &mut egui::Ui, words: &Words, lobby: &Lobby, field: Field) {
    let Some(trouble) = lobby.trouble.as_ref().filter(|trouble| lobby.place_of(trouble) == field) else { return };
    let text = sentence(words, trouble);
    ui.label(RichText::new(text).font(theme::caption()).color(theme::CORAL_TEXT));
}

/// What is wrong, in words.
pub(super) fn sentence(words: &Words, trouble: &LobbyTrouble) -> String {
    let lobby = &words.lobby;
    match trouble {
        LobbyTrouble::NameMissing => lobby.name_missing.to_owned(),
        LobbyTrouble::NameTooLong => lobby.name_too_long.to_owned(),
        LobbyTrouble::RoomWrong => lobby.room_wrong.to_owned(),
        LobbyTrouble::LinkMissing => lobby.link_missing.to_owned(),
        LobbyTrouble::LinkWrong => lobby.link_wrong.to_owned(),
        LobbyTrouble::TokenMissing => lobby.token_missing.to_owned(),
        LobbyTrouble::KeysMissing => lobby.keys_missing.to_owned(),
        LobbyTrouble::CannotOpen(why) => (lobby.cannot_open)(why),
        LobbyTrouble::Call(error) => (words.notices.trouble)(error),
    }
}

/// Rooms one was in: a click writes down what leads there, and goes in. True when there was one.
fn recent(ui: &mut egui::Ui, words: &LobbyWords, lobby: &mut Lobby) -> bool {
    if lobby.recent.is_empty() {
        return false;
    }
    ui.label(RichText::new(words.recent).font(theme::caption()).color(theme::FADED));
    let (mut recalled, mut forgotten) = (None, None);
    for (number, room) in lobby.recent.iter().enumerate() {
        let mut name = |ui: &mut egui::Ui| {
            let title = RichText::new(room.title()).font(theme::body());
            // One way at a time.
            if ui.add_enabled(!lobby.entering, egui::Button::new(title).frame(false).truncate()).clicked() {
                recalled = Some(room.clone());
            }
        };
        let line = |ui: &mut egui::Ui| {
            let cross = egui::Button::new(RichText::new("×").font(theme::body()).color(theme::FADED)).frame(false);
            if ui.add(cross).on_hover_text(words.forget).clicked() {
                forgotten = Some(number);
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), &mut name);
        };
        ui.horizontal(|ui| ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), line));
    }
    if let Some(room) = &recalled {
        lobby.recall(room);
    }
    if let Some(number) = forgotten {
        lobby.recent.remove(number);
    }
    recalled.is_some()
}
