//! The messages, at the right: what was written since one joined, and a place to write. Signs without words are given from
//! a row above the bar.

use std::collections::HashMap;
use std::time::Duration;

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use chrono::DateTime;
use egui::{Align2, Color32, Key, KeyboardShortcut, Modifiers, RichText, vec2};

use super::theme::Side;
use super::writing::Writing;
use super::{Keys, OpenPanes, RightPane, bar, theme};
use crate::bridge::RoomCommand;
use crate::media::capture::stamp::unix_now_ms;
use crate::model::limits::CHAT_MAX_BYTES;
use crate::model::{ATTRIBUTE_HAND, Reaction, text};
use crate::space::chat::{ChatLine, ChatLog, Happened, React, SendMessage, Voice};
use crate::space::participant::{HandRaised, LocalParticipant};
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::sync::{Outbox, RoomFigures, RoomStatus};
use crate::space::words::ChatWords;

/// Width of the pane's contents, in points.
const WIDTH_PT: f32 = 290.0;
/// Characters that can be typed: more than can be sent, so that what is too long can be shortened.
const TYPED_CHARS: usize = 4096;
/// From so many bytes on it is said how many are left.
const NEARLY_FULL: usize = CHAT_MAX_BYTES - 200;
/// Lines of one voice within this stand under one name.
const ONE_BREATH: Duration = Duration::from_secs(120);
/// The place the own picture needs below the pane, in points.
const BELOW_PT: f32 = 60.0;
/// In a pane of this height that place is the messages'.
const SHORT_PT: f32 = 320.0;
/// Height of a row of what is being written, in points: four are seen.
const ROW_PT: f32 = 19.0;
/// What is being written, to egui.
const DRAFT: &str = "chat draft";
/// The signs, as letters of the built-in emoji font.
const SIGNS: [(Reaction, &str); 5] = [
    (Reaction::Applause, "👏"),
    (Reaction::Heart, "❤"),
    (Reaction::Laugh, "😂"),
    (Reaction::Wow, "😮"),
    (Reaction::ThumbUp, "👍"),
];

/// The letter of a sign.
pub(super) fn letter(reaction: Reaction) -> &'static str {
    SIGNS.iter().find(|(sign, _)| *sign == reaction).map_or("👀", |(_, letter)| letter)
}

/// `C` opens and closes the messages, `R` the signs, unless something is being typed.
pub(super) fn read_keys(keys: Keys, mut panes: ResMut<OpenPanes>) {
    if keys.just(KeyCode::KeyC) {
        panes.toggle_right(RightPane::Chat);
    }
    if keys.just(KeyCode::KeyR) {
        panes.signs = !panes.signs;
    }
}

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    (settings, comfort): (Res<SpaceSettings>, Res<Comfort>),
    mut panes: ResMut<OpenPanes>,
    mut log: ResMut<ChatLog>,
    mut messages: MessageWriter<SendMessage>,
    mut writing: Local<Writing>,
    mut heights: Local<Heights>,
    mut was_open: Local<bool>,
) -> Result {
    let opened = panes.right == Some(RightPane::Chat) && !*was_open;
    *was_open = panes.right == Some(RightPane::Chat);
    if !settings.overlay || !*was_open {
        return Ok(());
    }
    let words = comfort.language.words();
    let trouble = log.trouble.as_ref().map(|error| (words.notices.trouble)(error));
    let words = &words.chat;
    let ctx = contexts.ctx_mut()?;
    writing.begin();
    log.mark_read();
    let mut wish = None;
    let closed = theme::plain_side_pane(ctx, Side::Right, ("chat", words.title), WIDTH_PT, |ui, tallest| {
        let below = heights.compose + BELOW_PT.min((tallest - SHORT_PT).max(0.0));
        let height = (tallest - below).max(60.0);
        let list = egui::ScrollArea::vertical().stick_to_bottom(true).auto_shrink(false);
        list.max_height(height).min_scrolled_height(height).show(ui, |ui| {
            ui.set_width(WIDTH_PT - 8.0);
            history(ui, words, &log, &mut writing, &mut heights);
        });
        let top = ui.cursor().top();
        ui.add_space(4.0);
        wish = compose(ui, words, trouble.as_deref(), &mut log, opened);
        heights.compose = ui.cursor().top() - top;
    });
    // One press closes it from within the field, too, which egui only leaves at the first.
    let escaped = ctx.input(|input| input.key_pressed(Key::Escape))
        && ctx.memory(|memory| memory.had_focus_last_frame(egui::Id::new(DRAFT)));
    if closed || escaped {
        panes.right = None;
    }
    if let Some(wish) = wish {
        messages.write(wish);
    }
    Ok(())
}

/// How high each line was drawn, so that those out of view need not be laid out.
pub(super) struct Heights {
    known: HashMap<u64, f32>,
    /// For this many pixels a point.
    scale: f32,
    /// The place to write below them: as it grows they give way, and its buttons stay where they are.
    compose: f32,
}

impl Default for Heights {
    fn default() -> Self {
        Self { known: HashMap::new(), scale: 0.0, compose: 75.0 }
    }
}

/// What a line is taken for that was never in view.
const GUESSED_PT: f32 = 44.0;

fn history(ui: &mut egui::Ui, words: &ChatWords, log: &ChatLog, writing: &mut Writing, heights: &mut Heights) {
    if heights.scale != ui.ctx().pixels_per_point() || heights.known.len() > 2 * log.lines().len() + 64 {
        *heights = Heights { scale: ui.ctx().pixels_per_point(), compose: heights.compose, ..Heights::default() };
    }
    ui.spacing_mut().item_spacing.y = 3.0;
    if log.lines().len() == 0 {
        theme::hint(ui, words.empty);
    }
    let mut before: Option<&ChatLine> = None;
    for (key, line) in log.lines() {
        let goes_on =
            before.is_some_and(|before| before.voice == line.voice && line.at.saturating_sub(before.at) < ONE_BREATH);
        before = Some(line);
        let top = ui.cursor().top();
        let height = heights.known.get(&key).copied().unwrap_or(GUESSED_PT);
        let place = egui::Rect::from_min_size(ui.cursor().min, vec2(WIDTH_PT - 8.0, height));
        if !ui.is_rect_visible(place) {
            ui.allocate_space(place.size() - vec2(0.0, ui.spacing().item_spacing.y));
            continue;
        }
        if !goes_on {
            ui.add_space(5.0);
        }
        ui.push_id(key, |ui| match &line.voice {
            Voice::Room(happened) => {
                body(ui, words, &told(words, happened), false, theme::FADED, writing);
            }
            Voice::Me => {
                if !goes_on {
                    name(ui, words.you, theme::BRASS, time_of_day(line), writing);
                }
                body(ui, words, &line.text, line.mentions_me, theme::PAPER, writing);
            }
            Voice::Other { name: who, colour, .. } => {
                if !goes_on {
                    let [r, g, b, _] = Srgba::from(*colour).to_u8_array();
                    name(ui, who, Color32::from_rgb(r, g, b), time_of_day(line), writing);
                }
                body(ui, words, &line.text, line.mentions_me, theme::PAPER, writing);
            }
        });
        heights.known.insert(key, ui.cursor().top() - top);
    }
}

/// What happened, in words.
fn told(words: &ChatWords, happened: &Happened) -> String {
    match happened {
        Happened::Came(names, more) => (words.came)(names, *more),
        Happened::Left(names, more) => (words.left)(names, *more),
        Happened::AsksToLook(name) => (words.asks_to_look)(name),
    }
}

/// When a line came, by the clock on the wall.
fn time_of_day(line: &ChatLine) -> String {
    DateTime::<chrono::Local>::from(line.came).format("%H:%M").to_string()
}

fn name(ui: &mut egui::Ui, who: &str, colour: Color32, when: String, writing: &mut Writing) {
    ui.horizontal(|ui| {
        let size = (theme::body().size, WIDTH_PT - 70.0);
        let (rect, _) = ui.allocate_exact_size(vec2(WIDTH_PT - 60.0, 20.0), egui::Sense::hover());
        writing.paint(&ui.painter_at(rect), rect.left_center(), who, size, colour);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.label(RichText::new(when).font(theme::caption()).color(theme::FADED));
        });
    });
}

/// The text, which can be selected, with links that open; scripts that are to be shaped are lettered.
fn body(ui: &mut egui::Ui, words: &ChatWords, what: &str, mentions_me: bool, colour: Color32, writing: &mut Writing) {
    let ground = if mentions_me { theme::MENTION } else { Color32::TRANSPARENT };
    let frame = egui::Frame::new().fill(ground).corner_radius(5).inner_margin(egui::Margin::symmetric(4, 1));
    let shown = frame.show(ui, |ui| {
        if text::needs_shaping(what) {
            writing.paragraph(ui, what, (theme::body().size, WIDTH_PT - 20.0), colour);
            return;
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            for part in parts(what) {
                match part {
                    Part::Text(text) => {
                        ui.label(RichText::new(text).font(theme::body()).color(colour));
                    }
                    Part::Link(link) => {
                        let text = RichText::new(link).font(theme::body()).color(theme::BRASS);
                        ui.hyperlink_to(text, link).on_hover_text(link);
                    }
                }
            }
        });
    });
    shown.response.interact(egui::Sense::click()).context_menu(|ui| {
        if ui.button(RichText::new(words.copy).font(theme::body())).clicked() {
            ui.ctx().copy_text(what.to_owned());
            ui.close();
        }
    });
}

/// A piece of a message.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    Link(&'a str),
}

/// Splits a text at its links: `http://` and `https://` only.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = ["https://", "http://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, link) = rest.split_at(at);
        let end = link.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')).unwrap_or(link.len());
        // What ends a sentence does not belong to it.
        let link = link[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']);
        if link.len() <= "https://".len() {
            let skipped = at + link.len().max(1);
            parts.push(Part::Text(&rest[..skipped]));
            rest = &rest[skipped..];
            continue;
        }
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Link(link));
        rest = &rest[at + link.len()..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// The place to write; gives what is to be sent.
fn compose(
    ui: &mut egui::Ui,
    words: &ChatWords,
    trouble: Option<&str>,
    log: &mut ChatLog,
    focus: bool,
) -> Option<SendMessage> {
    if let Some(why) = trouble {
        ui.label(RichText::new((words.not_sent)(why)).font(theme::caption()).color(theme::CORAL_TEXT));
    }
    // The frame stays, and a long text scrolls within.
    let (draft, visuals) = (egui::Id::new(DRAFT), ui.visuals());
    let writes = ui.memory(|memory| memory.has_focus(draft));
    let stroke = if writes { visuals.selection.stroke } else { visuals.widgets.inactive.bg_stroke };
    let frame = egui::Frame::new()
        .fill(visuals.text_edit_bg_color())
        .stroke(stroke)
        .corner_radius(visuals.widgets.inactive.corner_radius)
        .inner_margin(egui::Margin::symmetric(4, 2));
    let scroll = egui::ScrollArea::vertical().id_salt("draft").max_height(ROW_PT * 4.0).auto_shrink([false, true]);
    let edit = egui::TextEdit::multiline(&mut log.draft)
        .id(draft)
        .hint_text(words.write_here)
        .font(theme::body())
        .char_limit(TYPED_CHARS)
        .desired_rows(1)
        .desired_width(f32::INFINITY)
        .frame(egui::Frame::NONE)
        .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter));
    let field = frame.show(ui, |ui| scroll.show(ui, |ui| ui.add(edit)).inner).inner;
    if focus {
        field.request_focus();
    }
    let bytes = log.draft.trim().len();
    let fits = (1..=CHAT_MAX_BYTES).contains(&bytes);
    let enter = field.has_focus() && ui.input(|input| input.key_pressed(Key::Enter) && !input.modifiers.shift);
    let (mut send, mut float) = (enter, false);
    ui.horizontal(|ui| {
        if bytes > NEARLY_FULL {
            let colour = if fits { theme::FADED } else { theme::CORAL_TEXT };
            let count = RichText::new((words.bytes)(bytes, CHAT_MAX_BYTES)).font(theme::caption()).color(colour);
            ui.label(count);
        } else {
            ui.label(RichText::new(words.new_line).font(theme::caption()).color(theme::FADED));
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let button = |text: &str| egui::Button::new(RichText::new(text).font(theme::body()));
            send |= ui.add_enabled(fits, button(words.send)).clicked();
            float = ui.add_enabled(fits, button(words.float)).on_hover_text(words.float_hint).clicked();
        });
    });
    if !fits || !(send || float) {
        return None;
    }
    let text = log.take_draft();
    field.request_focus();
    Some(if float { SendMessage::Remark(text) } else { SendMessage::Chat(text) })
}

/// The row of signs above the bar.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw_signs(
    mut contexts: EguiContexts,
    (settings, comfort): (Res<SpaceSettings>, Res<Comfort>),
    panes: Res<OpenPanes>,
    status: Res<RoomStatus>,
    figures: Res<RoomFigures>,
    me: Query<Has<HandRaised>, With<LocalParticipant>>,
    mut signs: MessageWriter<React>,
    mut outbox: ResMut<Outbox>,
) -> Result {
    if !settings.overlay || !panes.signs {
        return Ok(());
    }
    let words = &comfort.language.words().chat;
    let ctx = contexts.ctx_mut()?;
    let raised = me.iter().next().unwrap_or(false);
    egui::Area::new(egui::Id::new("signs")).anchor(Align2::CENTER_BOTTOM, [0.0, -bar::ABOVE_BAR_PT]).show(ctx, |ui| {
        theme::pane().show(ui, |ui| {
            ui.horizontal(|ui| {
                for ((reaction, letter), hint) in SIGNS.into_iter().zip(words.signs) {
                    let letter = RichText::new(letter).size(24.0);
                    if ui.add(egui::Button::new(letter).frame(false)).on_hover_text(hint).clicked() {
                        signs.write(React(reaction));
                    }
                }
                ui.separator();
                let text = if raised { words.lower_hand } else { words.raise_hand };
                let ink = if raised { theme::INK } else { theme::PAPER };
                let button = egui::Button::new(RichText::new(text).font(theme::body()).color(ink)).selected(raised);
                let may = figures.0.may_set_attributes;
                let hint = if may { words.hand_hint } else { words.not_allowed };
                if ui.add_enabled(may, button).on_hover_text(hint).on_disabled_hover_text(hint).clicked() {
                    let value = if raised { String::new() } else { unix_now_ms().to_string() };
                    outbox.push(RoomCommand::SetAttributes([(ATTRIBUTE_HAND.to_owned(), value)].into()));
                }
                if status.host {
                    let button = egui::Button::new(RichText::new(words.look_here).font(theme::body()));
                    if ui.add(button).on_hover_text(words.look_here_hint).clicked() {
                        signs.write(React(Reaction::LookHere));
                    }
                }
            });
        });
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_nothing_else_opens() {
        use Part::{Link, Text};
        assert_eq!(
            parts("see https://example.org/a?b=c. Or (http://x.y)!"),
            [Text("see "), Link("https://example.org/a?b=c"), Text(". Or ("), Link("http://x.y"), Text(")!")]
        );
        for harmless in ["javascript:alert(1)", "file:///etc/passwd", "https://", "http://.", "no link", "https:// x"] {
            assert!(parts(harmless).iter().all(|part| matches!(part, Text(_))), "{harmless}");
            let whole: String = parts(harmless)
                .iter()
                .map(|part| match part {
                    Text(t) | Link(t) => *t,
                })
                .collect();
            assert_eq!(whole, harmless);
        }
        assert_eq!(parts(""), []);
        assert!(parts(&"https://".repeat(1000)).len() < 2000);
    }
}
