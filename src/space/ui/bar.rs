//! The bar at the bottom: microphone, camera, beauty, signs, messages, people, leave.

use bevy_egui::egui::{self, Align2, Color32, CornerRadius, Response, Sense, pos2, vec2};

use super::own_media::{OwnMedia, Sending};
use super::signs::{self, Sign};
use super::theme;
use super::{LeftPane, OpenPanes, RightPane};

/// What was pressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pressed {
    pub microphone: bool,
    pub camera: bool,
    pub beauty: bool,
    pub signs: bool,
    pub chat: bool,
    pub people: bool,
    pub leave: bool,
}

/// Messages that nobody has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    pub count: usize,
    /// One of them calls this client's user by name.
    pub mentioned: bool,
}

pub(super) fn show(ctx: &egui::Context, own: &OwnMedia, people: usize, panes: OpenPanes, unread: Unread) -> Pressed {
    let mut pressed = Pressed::default();
    egui::Area::new(egui::Id::new("bar")).anchor(Align2::CENTER_BOTTOM, [0.0, -theme::EDGE_PT]).show(ctx, |ui| {
        theme::pane().show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                pressed.microphone = media(ui, Sign::Microphone, own.microphone, ["Mute", "Unmute", "No mic"], "M");
                pressed.camera = media(ui, Sign::Camera, own.camera, ["Stop video", "Start video", "No camera"], "V");
                let open = |open| if open { Look::On } else { Look::Rest };
                let hint = "How you look to the others (B)";
                pressed.beauty =
                    button(ui, Sign::Beauty, open(panes.left == Some(LeftPane::Beauty)), "Beauty", hint).clicked();
                let hint = "Applause, hearts, a raised hand (R)";
                pressed.signs = button(ui, Sign::Hand, open(panes.signs), "React", hint).clicked();
                let messages = button(
                    ui,
                    Sign::Message,
                    open(panes.right == Some(RightPane::Chat)),
                    "Messages",
                    "What is written in the room (C)",
                );
                badge(ui, messages.rect, unread);
                pressed.chat = messages.clicked();
                let count = format!("{people}");
                pressed.people =
                    button(ui, Sign::People, open(panes.right == Some(RightPane::People)), &count, "Who is here")
                        .clicked();
                ui.add_space(6.0);
                pressed.leave = button(ui, Sign::Leave, Look::Alarm, "Leave", "Leave the room").clicked();
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

/// What the flat views say instead of showing nothing.
pub(super) fn nobody_here(ctx: &egui::Context) {
    egui::Area::new(egui::Id::new("nobody here"))
        .anchor(Align2::CENTER_CENTER, [0.0, 0.0])
        .interactable(false)
        .show(ctx, |ui| {
            ui.label(egui::RichText::new("Nobody else is here yet").font(theme::body()).color(theme::FADED))
        });
}

/// Muted must not be missed: the button turns coral and this stands above it.
pub(super) fn muted_banner(ctx: &egui::Context) {
    egui::Area::new(egui::Id::new("muted banner"))
        .anchor(Align2::CENTER_BOTTOM, [0.0, -theme::EDGE_PT - 94.0])
        .interactable(false)
        .show(ctx, |ui| {
            egui::Frame::new()
                .fill(theme::CORAL)
                .corner_radius(CornerRadius::same(13))
                .inner_margin(egui::Margin::symmetric(14, 5))
                .show(ui, |ui| {
                    ui.label(egui::RichText::new("You are muted").font(theme::body()).color(Color32::WHITE))
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

fn media(ui: &mut egui::Ui, sign: Sign, state: Sending, [live, muted, absent]: [&str; 3], key: &str) -> bool {
    let (look, caption, hint) = match state {
        Sending::Live => (Look::Rest, live, format!("Mute ({key})")),
        Sending::Muted => (Look::Struck, muted, format!("Unmute ({key})")),
        Sending::Absent => (Look::Dead, absent, "Nothing of this kind is being sent".to_owned()),
    };
    button(ui, sign, look, caption, &hint).clicked() && look != Look::Dead
}

fn button(ui: &mut egui::Ui, sign: Sign, look: Look, caption: &str, hint: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(62.0, theme::BUTTON_PT + 16.0), Sense::click());
    let hovered = response.hovered();
    let (ground, ink) = match look {
        Look::Rest => (if hovered { theme::BUTTON_HOVER } else { theme::BUTTON }, theme::PAPER),
        Look::On => (theme::BRASS, theme::INK),
        Look::Alarm | Look::Struck => (if hovered { theme::CORAL_HOVER } else { theme::CORAL }, Color32::WHITE),
        Look::Dead => (Color32::from_rgb(38, 34, 31), Color32::from_rgb(120, 110, 100)),
    };
    let plate = egui::Rect::from_min_size(rect.min, vec2(rect.width(), theme::BUTTON_PT));
    let painter = ui.painter();
    painter.rect_filled(plate, CornerRadius::same(14), ground);
    let struck = matches!(look, Look::Struck | Look::Dead).then_some(ground);
    signs::draw(painter, sign, plate.center(), 21.0, ink, struck);
    let colour = if look == Look::Struck { theme::CORAL_HOVER } else { theme::FADED };
    painter.text(pos2(rect.center().x, rect.bottom()), Align2::CENTER_BOTTOM, caption, theme::caption(), colour);
    response.on_hover_text(hint)
}
