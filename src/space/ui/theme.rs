//! Colours, sizes and type of the overlay, in one place. Warm paper on dark walnut, brass for what matters, coral for
//! "muted" and "leave"; text on every ground passes 4.5:1.

use bevy_egui::egui::{self, Color32, CornerRadius, FontId, Margin, Stroke};

/// Ground of bars and lists.
pub const GROUND: Color32 = Color32::from_rgba_premultiplied(21, 18, 16, 238);
/// Ground of a button at rest.
pub const BUTTON: Color32 = Color32::from_rgb(52, 45, 40);
/// Ground of a button under the pointer.
pub const BUTTON_HOVER: Color32 = Color32::from_rgb(74, 64, 56);
/// Ground of a small button in a pane, and under the pointer.
pub const WIDGET: Color32 = Color32::from_rgb(70, 61, 53);
/// See [`WIDGET`].
pub const WIDGET_HOVER: Color32 = Color32::from_rgb(92, 80, 69);
/// Text and signs.
pub const PAPER: Color32 = Color32::from_rgb(242, 234, 220);
/// Less important text.
pub const FADED: Color32 = Color32::from_rgb(190, 176, 158);
/// Text on [`BRASS`].
pub const INK: Color32 = Color32::from_rgb(30, 24, 18);
/// What is on, or speaks.
pub const BRASS: Color32 = Color32::from_rgb(226, 174, 92);
/// Behind a message that calls one by name.
pub const MENTION: Color32 = Color32::from_rgba_premultiplied(58, 44, 22, 120);
/// Muted, or leaving.
pub const CORAL: Color32 = Color32::from_rgb(196, 62, 46);
/// The same under the pointer.
pub const CORAL_HOVER: Color32 = Color32::from_rgb(216, 80, 62);
/// Thin lines.
pub const LINE: Color32 = Color32::from_rgba_premultiplied(70, 58, 44, 120);

/// Height of a button, in points.
pub const BUTTON_PT: f32 = 46.0;
/// Distance from the window's edge, in points.
pub const EDGE_PT: f32 = 16.0;

/// Air at the left and right in a floating ground, in points.
pub const PANE_X_PT: f32 = 14.0;

/// Body text.
pub fn body() -> FontId {
    FontId::proportional(15.0)
}

/// Captions below buttons.
pub fn caption() -> FontId {
    FontId::proportional(11.5)
}

/// A floating ground.
pub fn pane() -> egui::Frame {
    egui::Frame::new()
        .fill(GROUND)
        .corner_radius(CornerRadius::same(18))
        .inner_margin(Margin::symmetric(PANE_X_PT as i8, 9))
        .stroke(Stroke::new(1.0, LINE))
}

/// Sets the overlay's style once.
pub fn apply(ctx: &egui::Context) {
    let mut visuals = egui::Visuals::dark();
    visuals.override_text_color = Some(PAPER);
    visuals.panel_fill = GROUND;
    visuals.window_fill = GROUND;
    visuals.selection.bg_fill = BRASS;
    let widgets = &mut visuals.widgets;
    for (widget, ground) in [
        (&mut widgets.inactive, WIDGET),
        (&mut widgets.hovered, WIDGET_HOVER),
        (&mut widgets.active, WIDGET_HOVER),
        (&mut widgets.open, WIDGET_HOVER),
    ] {
        (widget.bg_fill, widget.weak_bg_fill) = (ground, ground);
        widget.fg_stroke = Stroke::new(1.8, PAPER);
        widget.corner_radius = CornerRadius::same(6);
    }
    visuals.slider_trailing_fill = true;
    ctx.set_visuals(visuals);
    // A letter is missing in the frame in which it is first used: all come at the start.
    let letters: String = (' '..='~').chain(['…', '–', '×', '·']).collect();
    ctx.fonts_mut(|fonts| {
        for font in [body(), caption()] {
            fonts.layout_no_wrap(letters.clone(), font, PAPER);
        }
    });
}
