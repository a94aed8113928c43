//! Who is here: a list at the right, with what each sends. A click on a line shows how loud they are for oneself and, for
//! hosts, what can be done.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use egui::{Color32, RichText, Sense, pos2, vec2};

use super::signs::{self, Sign};
use super::theme::Side;
use super::writing::Writing;
use super::{Notices, OpenPanes, RightPane, RoomLink, theme};
use crate::model::{StreamKind, UserId};
use crate::space::order::KeepOrder;
use crate::space::participant::{
    CameraOff, HandRaised, Host, LocalParticipant, Muted, Participant, Seat, Speaking, Spotlit,
};
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::spatial_audio::Volume;
use crate::space::stream::{Publishes, VideoStream};
use crate::space::sync::{RoomFigures, RoomStatus};
use crate::space::words::PeopleWords;

/// Height of a line, and what is between two.
const LINE_PT: f32 = 26.0;
const GAP_PT: f32 = 3.0;
/// Width of the list.
const WIDTH_PT: f32 = 236.0;
/// With more people than this one can search.
const SEARCH_FROM: usize = 8;
/// Characters that can be searched for.
const SEARCH_CHARS: usize = 64;

/// What one looks at in the list.
#[derive(Default)]
pub(super) struct Looking {
    chosen: Option<UserId>,
    search: String,
    /// Asked whether it is really meant.
    sure: Option<Sure>,
}

/// What is not undone easily.
#[derive(PartialEq)]
enum Sure {
    Remove(UserId),
    Ban(UserId),
    NewLink,
}

/// One line of the list.
struct Row {
    entity: Entity,
    user: UserId,
    name: String,
    colour: Color32,
    seat: usize,
    local: bool,
    speaking: bool,
    muted: bool,
    camera_off: bool,
    /// Asks to speak, since then.
    hand: Option<i64>,
    shares: bool,
    spotlit: bool,
    /// Keeps order; and because another host made them one.
    host: bool,
    made: bool,
    volume: f32,
}

/// What the room lets one do.
#[derive(Clone, Copy)]
struct Powers {
    host: bool,
    /// The server holds to a locked door, to bans, and to hosts that hosts made.
    doors: bool,
    locked: bool,
    /// There is a link for others.
    link: bool,
}

enum Wish {
    Volume(Entity, f32),
    Order(KeepOrder),
    CopyLink,
    Close,
}

type Person = (
    Entity,
    &'static Participant,
    &'static Seat,
    (Has<LocalParticipant>, Has<Speaking>, Has<Muted>, Has<CameraOff>, Has<Spotlit>, Has<Host>),
    Option<&'static HandRaised>,
    Option<&'static Publishes>,
    Option<&'static Volume>,
);

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    mut commands: Commands,
    (settings, comfort): (Res<SpaceSettings>, Res<Comfort>),
    (mut panes, link): (ResMut<OpenPanes>, Res<RoomLink>),
    (status, figures): (Res<RoomStatus>, Res<RoomFigures>),
    people: Query<Person>,
    streams: Query<&VideoStream>,
    mut orders: MessageWriter<KeepOrder>,
    mut notices: ResMut<Notices>,
    mut writing: Local<Writing>,
    mut looking: Local<Looking>,
) -> Result {
    if !settings.overlay || panes.right != Some(RightPane::People) {
        looking.sure = None;
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    writing.begin();
    let shares = |publishes: Option<&Publishes>| {
        let mut own = publishes.into_iter().flat_map(Publishes::iter).filter_map(|stream| streams.get(stream).ok());
        own.any(|stream| stream.info.kind == StreamKind::Screen)
    };
    let mut rows: Vec<Row> = people
        .iter()
        .map(|(entity, participant, seat, is, hand, publishes, volume)| {
            let (local, speaking, muted, camera_off, spotlit, host) = is;
            let [r, g, b, _] = Srgba::from(participant.colour()).to_u8_array();
            Row {
                entity,
                user: participant.user.clone(),
                name: participant.name.clone(),
                colour: Color32::from_rgb(r, g, b),
                seat: seat.index,
                local,
                speaking,
                muted,
                camera_off,
                hand: hand.map(|hand| hand.0),
                shares: shares(publishes),
                spotlit,
                host: figures.0.keeps_order && host || local && status.host,
                made: status.order.makes_host(participant.user.as_str()),
                volume: volume.copied().unwrap_or_default().0,
            }
        })
        .collect();
    // Who asks to speak stands first, in the order of asking.
    rows.sort_by_key(|row| (row.hand.unwrap_or(i64::MAX), row.seat));
    let powers =
        Powers { host: status.host, doors: figures.0.keeps_order, locked: status.order.locked, link: link.0.is_some() };
    let words = &comfort.language.words().people;
    for wish in show(ctx, &rows, powers, words, &mut looking, &mut writing) {
        match wish {
            Wish::Volume(entity, volume) => {
                commands.entity(entity).insert(Volume(volume));
            }
            Wish::Order(order) => {
                orders.write(order);
            }
            Wish::Close => panes.right = None,
            Wish::CopyLink => {
                ctx.copy_text(link.0.clone().unwrap_or_default());
                notices.tell(words.link_copied, false);
            }
        }
    }
    Ok(())
}

fn show(
    ctx: &egui::Context,
    rows: &[Row],
    powers: Powers,
    words: &PeopleWords,
    looking: &mut Looking,
    writing: &mut Writing,
) -> Vec<Wish> {
    let mut wishes = Vec::new();
    let title = (words.title)(rows.len());
    let closed = theme::plain_side_pane(ctx, Side::Right, ("people", &title), WIDTH_PT, |ui, tallest| {
        ui.spacing_mut().item_spacing.y = 7.0;
        let top = ui.cursor().top();
        if powers.link {
            ui.horizontal(|ui| {
                if button(ui, words.copy_link, words.copy_link_hint) {
                    wishes.push(Wish::CopyLink);
                }
                if powers.host && powers.doors {
                    let label = [words.new_link, words.new_link_hint, words.really];
                    if is_sure(ui, Sure::NewLink, true, label, &mut looking.sure) {
                        wishes.push(Wish::Order(KeepOrder::RenewLink));
                    }
                }
            });
        }
        if powers.host {
            for_all(ui, powers, words, &mut wishes);
        }
        if rows.len() > SEARCH_FROM {
            let search = egui::TextEdit::singleline(&mut looking.search);
            ui.add(search.hint_text(words.search).font(theme::body()).char_limit(SEARCH_CHARS).desired_width(WIDTH_PT));
        } else {
            looking.search.clear();
        }
        ui.add_space(4.0);
        ui.spacing_mut().item_spacing.y = GAP_PT;
        let wanted = looking.search.trim().to_lowercase();
        let found = rows.iter().filter(|row| wanted.is_empty() || row.name.to_lowercase().contains(&wanted));
        let needed = rows.len() as f32 * (LINE_PT + GAP_PT) + if looking.chosen.is_some() { 176.0 } else { 0.0 };
        // As tall as the list, though the pane was smaller when fewer were here.
        let tallest = (tallest - (ui.cursor().top() - top)).max(80.0);
        let list = egui::ScrollArea::vertical().max_height(tallest).min_scrolled_height(needed.min(tallest));
        list.show(ui, |ui| {
            for row in found {
                if line(ui, row, words, writing) {
                    let open = looking.chosen.as_ref() == Some(&row.user);
                    looking.chosen = if open { None } else { Some(row.user.clone()) };
                    looking.sure = None;
                }
                if looking.chosen.as_ref() == Some(&row.user) {
                    more(ui, row, powers, words, looking, &mut wishes);
                }
            }
        });
    });
    if closed {
        wishes.push(Wish::Close);
    }
    wishes
}

fn button(ui: &mut egui::Ui, text: &str, hint: &str) -> bool {
    ui.button(RichText::new(text).font(theme::body())).on_hover_text(hint).clicked()
}

/// A button for what is not undone easily, which asks once more: whether it was pressed again.
fn is_sure(
    ui: &mut egui::Ui,
    what: Sure,
    possible: bool,
    [text, hint, really]: [&str; 3],
    sure: &mut Option<Sure>,
) -> bool {
    let asked = sure.as_ref() == Some(&what);
    let label = RichText::new(if asked { really } else { text }).font(theme::body());
    let label = if asked { label.color(Color32::WHITE) } else { label };
    let fill = if asked { theme::CORAL } else { theme::BUTTON };
    if !ui.add_enabled(possible, egui::Button::new(label).fill(fill)).on_hover_text(hint).clicked() {
        return false;
    }
    *sure = if asked { None } else { Some(what) };
    asked
}

/// What hosts do to everyone.
fn for_all(ui: &mut egui::Ui, powers: Powers, words: &PeopleWords, wishes: &mut Vec<Wish>) {
    ui.horizontal(|ui| {
        if button(ui, words.mute_all, words.mute_all_hint) {
            wishes.push(Wish::Order(KeepOrder::MuteAll));
        }
        let (text, hint) =
            if powers.locked { (words.unlock, words.unlock_hint) } else { (words.lock, words.lock_hint) };
        let lock = egui::Button::new(RichText::new(text).font(theme::body()));
        let lock = ui.add_enabled(powers.doors, lock).on_hover_text(hint).on_disabled_hover_text(words.cannot_lock);
        if lock.clicked() {
            wishes.push(Wish::Order(KeepOrder::Lock(!powers.locked)));
        }
    });
}

/// Below the line that was chosen.
fn more(
    ui: &mut egui::Ui,
    row: &Row,
    powers: Powers,
    words: &PeopleWords,
    looking: &mut Looking,
    wishes: &mut Vec<Wish>,
) {
    let frame = egui::Frame::new().inner_margin(egui::Margin { left: 22, right: 4, top: 0, bottom: 6 });
    frame.show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 5.0;
        if row.local {
            ui.label(RichText::new(words.this_is_you).font(theme::caption()).color(theme::FADED));
        } else {
            ui.horizontal(|ui| {
                ui.label(RichText::new(words.volume).font(theme::body()).color(theme::FADED));
                let mut percent = (row.volume * 100.0).round();
                ui.spacing_mut().slider_width = 84.0;
                let slider = egui::Slider::new(&mut percent, 0.0..=200.0).suffix(" %").fixed_decimals(0);
                if ui.add(slider).on_hover_text(words.volume_hint).changed() {
                    wishes.push(Wish::Volume(row.entity, percent / 100.0));
                }
            });
        }
        if !powers.host {
            return;
        }
        let user = || row.user.clone();
        let mut order = |order| wishes.push(Wish::Order(order));
        ui.horizontal_wrapped(|ui| {
            if !row.local {
                // It stays where it is, or a second click would meet what comes after it.
                let mute = egui::Button::new(RichText::new(words.mute).font(theme::body()));
                if ui.add_enabled(!row.muted, mute).on_hover_text(words.mute_hint).clicked() {
                    order(KeepOrder::Mute(user()));
                }
            }
            let (text, next) = if row.spotlit { (words.out_of_light, None) } else { (words.spotlight, Some(user())) };
            if button(ui, text, words.spotlight_hint) {
                order(KeepOrder::Spotlight(next));
            }
            if row.local {
                return;
            }
            let (text, hint) = if row.host {
                (words.unmake_host, words.unmake_host_hint)
            } else {
                (words.make_host, words.make_host_hint)
            };
            let make = egui::Button::new(RichText::new(text).font(theme::body()));
            // Who is one by their token stays one.
            let possible = powers.doors && row.host == row.made;
            let impossible = if powers.doors { words.host_by_token } else { words.cannot_make_host };
            let make = ui.add_enabled(possible, make).on_hover_text(hint);
            if make.on_disabled_hover_text(impossible).clicked() {
                order(KeepOrder::Host { user: user(), host: !row.host });
            }
            let label = [words.remove, words.remove_hint, words.really];
            if is_sure(ui, Sure::Remove(user()), true, label, &mut looking.sure) {
                order(KeepOrder::Remove { user: user(), ban: false });
            }
            let label = [words.ban, words.ban_hint, words.really];
            if is_sure(ui, Sure::Ban(user()), powers.doors, label, &mut looking.sure) {
                order(KeepOrder::Remove { user: user(), ban: true });
            }
            if row.shares && button(ui, words.stop_share, words.stop_share_hint) {
                order(KeepOrder::StopSharing(user()));
            }
        });
    });
}

/// Whether it was clicked.
fn line(ui: &mut egui::Ui, row: &Row, words: &PeopleWords, writing: &mut Writing) -> bool {
    // The scroll bar, when it comes, has room at the right.
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LINE_PT), Sense::click());
    if !ui.is_rect_visible(rect) {
        return false;
    }
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, egui::CornerRadius::same(7), theme::BUTTON);
    }
    let painter = ui.painter_at(rect);
    let middle = rect.center().y;
    let dot = pos2(rect.left() + 10.0, middle);
    painter.circle_filled(dot, 6.0, row.colour);
    if row.speaking {
        painter.circle_stroke(dot, 7.5, egui::Stroke::new(2.0, theme::BRASS));
    }
    let name = if row.local { (words.you)(&row.name) } else { row.name.clone() };
    let extra = [(row.hand.is_some(), Sign::Hand), (row.spotlit, Sign::Beauty), (row.host, Sign::Host)];
    let mut x = 66.0;
    for (_, sign) in extra.iter().filter(|(shown, _)| *shown) {
        signs::draw(&painter, *sign, pos2(rect.right() - x, middle), 14.0, theme::BRASS, None);
        x += 22.0;
    }
    let size = (theme::body().size, rect.width() - 24.0 - x + 6.0);
    writing.paint(&painter, pos2(rect.left() + 24.0, middle), &name, size, theme::PAPER);
    for (sign, off, x) in [(Sign::Microphone, row.muted, 42.0), (Sign::Camera, row.camera_off, 18.0)] {
        let colour = if off { theme::CORAL_HOVER } else { theme::FADED };
        signs::draw(&painter, sign, pos2(rect.right() - x, middle), 13.0, colour, off.then_some(theme::GROUND));
    }
    theme::focus_ring(ui, &response);
    let hint = if row.local { words.this_is_you } else { words.more };
    let hint = if row.host { format!("{} · {hint}", words.is_host) } else { hint.to_owned() };
    response.on_hover_text(hint).clicked()
}
