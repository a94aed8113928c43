//! The bar at the bottom: microphone and camera with what they are chosen from, share, beauty, signs, messages, people,
//! settings, leave.

use bevy_egui::egui::{self, Align2, Color32, CornerRadius, Response, Sense, pos2, vec2};

use super::own_media::{OwnMedia, Sending};
use super::signs::{self, Sign};
use super::{LeftPane, OpenPanes, RightPane, theme};
use crate::space::words::{BarWords, Words};

/// Width of a button, in points: as wide as there is room for, within these.
const BUTTON_PT: std::ops::RangeInclusive<f32> = 34.0..=62.0;
/// Between two.
const GAP_PT: f32 = 8.0;
/// Of the place that opens a list of devices.
const ARROW_PT: f32 = 18.0;
/// Buttons, and of those with a list.
const BUTTONS: f32 = 9.0;
const ARROWS: f32 = 2.0;
/// Where what stands above the bar ends, from the bottom of the view, and the height of the row of signs there; in points.
pub(super) const ABOVE_BAR_PT: f32 = theme::EDGE_PT + 92.0;
const SIGNS_PT: f32 = 64.0;
/// Narrower ones have no caption.
const CAPTION_FROM_PT: f32 = 50.0;

/// What was pressed.
#[derive(Default)]
pub(super) struct Pressed {
    pub microphone: bool,
    pub camera: bool,
    pub leave: bool,
    /// Opens the list of microphones and loudspeakers.
    pub sound_list: Option<Response>,
    /// Opens the list of cameras.
    pub camera_list: Option<Response>,
}

/// Messages that nobody has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    pub count: usize,
    /// One of them calls this client's user by name.
    pub mentioned: bool,
}

/// What the bar shows.
pub(super) struct Shown<'a> {
    pub own: &'a OwnMedia,
    /// In the room.
    pub people: usize,
    pub unread: Unread,
    /// Something of one's own is on the wall.
    pub sharing: bool,
    /// The own hand is up.
    pub hand: bool,
}

pub(super) fn show(ctx: &egui::Context, words: &Words, shown: &Shown<'_>, panes: &mut OpenPanes) -> Pressed {
    let words = &words.bar;
    let mut pressed = Pressed::default();
    let free = ctx.content_rect().width() - 2.0 * (theme::EDGE_PT * 0.5 + theme::PANE_X_PT);
    let wide = (free - ARROWS * ARROW_PT - (BUTTONS - 1.0) * GAP_PT) / BUTTONS;
    let wide = wide.clamp(*BUTTON_PT.start(), *BUTTON_PT.end());
    egui::Area::new(egui::Id::new("bar")).anchor(Align2::CENTER_BOTTOM, [0.0, -theme::EDGE_PT]).show(ctx, |ui| {
        theme::pane().show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = GAP_PT;
                let captions = [words.mute, words.unmute, words.no_microphone];
                pressed.microphone = media(ui, wide, Sign::Microphone, shown.own.microphone, captions, (words, "M"));
                pressed.sound_list = Some(arrow(ui, words.choose_sound));
                let captions = [words.stop_video, words.start_video, words.no_camera];
                pressed.camera = media(ui, wide, Sign::Camera, shown.own.camera, captions, (words, "V"));
                pressed.camera_list = Some(arrow(ui, words.choose_camera));
                let look = |open| if open { Look::On } else { Look::Rest };
                let left = |pane| look(panes.left == Some(pane));
                let right = |pane| look(panes.right == Some(pane));
                let share = if shown.sharing { words.sharing } else { words.share };
                let looks = if shown.sharing { Look::On } else { left(LeftPane::Share) };
                let share = button(ui, wide, Sign::Share, looks, share, words.share_hint);
                let beauty = button(ui, wide, Sign::Beauty, left(LeftPane::Beauty), words.beauty, words.beauty_hint);
                let react = if shown.hand { words.hand_is_up } else { words.react };
                let signs = look(panes.signs || shown.hand);
                let signs = button(ui, wide, Sign::Hand, signs, react, words.react_hint);
                let chat = (words.messages, words.messages_hint);
                let messages = button(ui, wide, Sign::Message, right(RightPane::Chat), chat.0, chat.1);
                badge(ui, messages.rect, shown.unread);
                let count = (words.people)(shown.people);
                let people = button(ui, wide, Sign::People, right(RightPane::People), &count, words.people_hint);
                let settings = (words.settings, words.settings_hint);
                let settings = button(ui, wide, Sign::Settings, left(LeftPane::Settings), settings.0, settings.1);
                pressed.leave = button(ui, wide, Sign::Leave, Look::Alarm, words.leave, words.leave_hint).clicked();
                for (clicked, pane) in [
                    (share.clicked(), LeftPane::Share),
                    (beauty.clicked(), LeftPane::Beauty),
                    (settings.clicked(), LeftPane::Settings),
                ] {
                    if clicked {
                        panes.toggle_left(pane);
                    }
                }
                for (clicked, pane) in [(messages.clicked(), RightPane::Chat), (people.clicked(), RightPane::People)] {
                    if clicked {
                        panes.toggle_right(pane);
                    }
                }
                panes.signs ^= signs.clicked();
            });
        });
    });
    pressed
}

/// How many messages wait, at a button's corner; coral when one of them is for this client's user.
fn badge(ui: &egui::Ui, rect: egui::Rect, unread: Unread) {
    if unread.count == 0 {
        return;
    }
    let text = if unread.count > 99 { "99+".to_owned() } else { unread.count.to_string() };
    let (ground, ink) = if unread.mentioned { (theme::CORAL, Color32::WHITE) } else { (theme::BRASS, theme::INK) };
    let at = pos2(rect.right() - 10.0, rect.top() + 8.0);
    let wide = 9.0 + 3.5 * (text.len() as f32 - 1.0);
    let plate = egui::Rect::from_center_size(at, vec2(2.0 * wide, 17.0));
    ui.painter().rect_filled(plate, CornerRadius::same(8), ground);
    ui.painter().text(at, Align2::CENTER_CENTER, text, theme::caption(), ink);
}

/// Says that nobody else is here and offers what others come in by; whether that is to be copied. It stands where the row
/// of signs does.
pub(super) fn invite(ctx: &egui::Context, words: &Words) -> bool {
    let area = egui::Area::new(egui::Id::new("invite")).anchor(Align2::CENTER_BOTTOM, [0.0, -ABOVE_BAR_PT]);
    let shown = area.show(ctx, |ui| {
        let row = |ui: &mut egui::Ui| {
            ui.label(egui::RichText::new(words.bar.nobody_here).font(theme::body()));
            let copy = egui::Button::new(egui::RichText::new(words.people.copy_link).font(theme::body()));
            ui.add(copy).on_hover_text(words.people.copy_link_hint).clicked()
        };
        theme::pane().show(ui, |ui| ui.horizontal(row).inner).inner
    });
    shown.inner
}

/// What the flat views say instead of showing nothing.
pub(super) fn nobody_here(ctx: &egui::Context, words: &BarWords) {
    egui::Area::new(egui::Id::new("nobody here"))
        .anchor(Align2::CENTER_CENTER, [0.0, 0.0])
        .interactable(false)
        .show(ctx, |ui| theme::hint(ui, words.nobody_here));
}

/// What stands above the bar about the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Banner {
    /// Muted must not be missed: the button turns coral and this stands above it.
    Muted,
    /// Muted, and speaking.
    SpeakingWhileMuted,
    /// Heard as long as the key is held.
    Talking,
}

/// Above the row of signs, or what stands in its place, where that is open.
pub(super) fn banner(ctx: &egui::Context, words: &BarWords, banner: Banner, row_open: bool) {
    let (ground, ink) = match banner {
        Banner::Talking => (theme::BRASS, theme::INK),
        Banner::Muted | Banner::SpeakingWhileMuted => (theme::CORAL, Color32::WHITE),
    };
    egui::Area::new(egui::Id::new("muted banner"))
        .anchor(Align2::CENTER_BOTTOM, [0.0, -ABOVE_BAR_PT - if row_open { SIGNS_PT } else { 0.0 }])
        .interactable(false)
        .show(ctx, |ui| {
            let frame = egui::Frame::new().fill(ground).corner_radius(CornerRadius::same(13));
            frame.inner_margin(egui::Margin::symmetric(14, 5)).show(ui, |ui| {
                ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
                ui.vertical_centered(|ui| {
                    ui.spacing_mut().item_spacing.y = 1.0;
                    let mut line = |text: &str, font| ui.label(egui::RichText::new(text).font(font).color(ink));
                    match banner {
                        Banner::Talking => line(words.talking, theme::body()),
                        Banner::SpeakingWhileMuted => line(words.speaking_while_muted, theme::body()),
                        Banner::Muted => {
                            line(words.you_are_muted, theme::body());
                            line(words.hold_to_talk, theme::caption())
                        }
                    }
                });
            });
        });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Rest,
    On,
    Alarm,
    Struck,
    Dead,
}

fn media(
    ui: &mut egui::Ui,
    wide: f32,
    sign: Sign,
    state: Sending,
    [live, muted, absent]: [&str; 3],
    (words, key): (&BarWords, &str),
) -> bool {
    let (look, caption) = match state {
        Sending::Live => (Look::Rest, live),
        Sending::Muted => (Look::Struck, muted),
        Sending::Absent => (Look::Dead, absent),
    };
    let hint = if look == Look::Dead { words.nothing_sent.to_owned() } else { format!("{caption} ({key})") };
    button(ui, wide, sign, look, caption, &hint).clicked() && look != Look::Dead
}

fn button(ui: &mut egui::Ui, wide: f32, sign: Sign, look: Look, caption: &str, hint: &str) -> Response {
    let captioned = wide >= CAPTION_FROM_PT;
    let tall = theme::BUTTON_PT + if captioned { 16.0 } else { 0.0 };
    let (rect, response) = ui.allocate_exact_size(vec2(wide, tall), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Button, true, caption));
    let hovered = response.hovered();
    let (ground, ink) = match look {
        Look::Rest => (if hovered { theme::BUTTON_HOVER } else { theme::BUTTON }, theme::PAPER),
        Look::On => (theme::BRASS, theme::INK),
        Look::Alarm | Look::Struck => (if hovered { theme::CORAL_HOVER } else { theme::CORAL }, Color32::WHITE),
        Look::Dead => (theme::DEAD, theme::DEAD_INK),
    };
    let plate = egui::Rect::from_min_size(rect.min, vec2(rect.width(), theme::BUTTON_PT));
    let painter = ui.painter();
    painter.rect_filled(plate, CornerRadius::same(14), ground);
    let struck = matches!(look, Look::Struck | Look::Dead).then_some(ground);
    signs::draw(painter, sign, plate.center(), 21.0, ink, struck);
    if captioned {
        let colour = if look == Look::Struck { theme::CORAL_TEXT } else { theme::FADED };
        let at = pos2(rect.center().x, rect.bottom());
        let galley = painter.layout_no_wrap(caption.to_owned(), theme::caption(), colour);
        // What is a little wider than its button leans into the gap; what is much wider is made smaller.
        let room = wide + GAP_PT - 2.0;
        let galley = if galley.size().x > room {
            let small = egui::FontId::proportional(theme::caption().size * room / galley.size().x);
            painter.layout_no_wrap(caption.to_owned(), small, colour)
        } else {
            galley
        };
        painter.galley(at - vec2(galley.size().x * 0.5, galley.size().y), galley, colour);
    }
    theme::focus_ring(ui, &response);
    response.on_hover_text(hint)
}

/// Opens the list of what the button before it is chosen from.
fn arrow(ui: &mut egui::Ui, hint: &str) -> Response {
    // It belongs to the button: the gap between them is taken back.
    ui.add_space(-GAP_PT + 1.0);
    let (rect, response) = ui.allocate_exact_size(vec2(ARROW_PT, theme::BUTTON_PT), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Button, true, hint));
    let ink = if response.hovered() || response.has_focus() { theme::PAPER } else { theme::FADED };
    let at = rect.center();
    let point = |x: f32, y: f32| at + vec2(x, y);
    let line = vec![point(-4.0, 2.0), point(0.0, -2.0), point(4.0, 2.0)];
    ui.painter().line(line, egui::Stroke::new(1.8, ink));
    theme::focus_ring(ui, &response);
    response.on_hover_text(hint)
}
