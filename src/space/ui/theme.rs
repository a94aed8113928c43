//! Colours, sizes and type of the overlay, in one place. Warm paper on dark walnut, brass for what matters, coral for
//! "muted" and "leave"; text on every ground passes 4.5:1.

use bevy_egui::egui::style::ScrollStyle;
use bevy_egui::egui::{self, Align2, Color32, CornerRadius, FontId, Margin, Stroke};

/// Ground of bars and lists.
pub const GROUND: Color32 = Color32::from_rgba_premultiplied(22, 19, 17, 250);
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
pub const CORAL_HOVER: Color32 = Color32::from_rgb(204, 70, 54);
/// Text that says "muted" or what went wrong, on [`GROUND`].
pub const CORAL_TEXT: Color32 = Color32::from_rgb(240, 122, 104);
/// Ground of a button without anything behind it, and its sign.
pub const DEAD: Color32 = Color32::from_rgb(38, 34, 31);
/// See [`DEAD`].
pub const DEAD_INK: Color32 = Color32::from_rgb(140, 129, 117);
/// The edge of what can be pressed or ticked.
pub const EDGE: Color32 = Color32::from_rgb(136, 122, 107);
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

/// Where a pane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// At the upper left.
    Left,
    /// At the upper right.
    Right,
}

impl Side {
    /// Where it is remembered when and where its pane was drawn.
    fn key(self) -> egui::Id {
        egui::Id::new(("side pane", self))
    }
}

/// A pane with a title and a way to close it, as tall as the view lets it be: what has no room is scrolled. `true` when
/// it was closed.
pub fn side_pane(
    ctx: &egui::Context,
    side: Side,
    (id, title): (&str, &str),
    width_pt: f32,
    contents: impl FnOnce(&mut egui::Ui),
) -> bool {
    plain_side_pane(ctx, side, (id, title), width_pt, |ui, tallest| {
        let all = egui::ScrollArea::vertical().id_salt((id, "all")).max_height(tallest);
        // As tall as its contents from the first frame on.
        all.min_scrolled_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 7.0;
            contents(ui);
        });
    })
}

/// The same for contents that scroll themselves: they are told how much height there is.
pub fn plain_side_pane(
    ctx: &egui::Context,
    side: Side,
    (id, title): (&str, &str),
    width_pt: f32,
    contents: impl FnOnce(&mut egui::Ui, f32),
) -> bool {
    let (anchor, offset) = match side {
        Side::Left => (Align2::LEFT_TOP, [EDGE_PT, EDGE_PT]),
        Side::Right => (Align2::RIGHT_TOP, [-EDGE_PT, EDGE_PT]),
    };
    let view = ctx.content_rect();
    let width = width_pt.min(view.width() - 2.0 * (EDGE_PT + PANE_X_PT));
    let tallest = (view.height() - 3.0 * EDGE_PT - 40.0 - BAR_TAKES_PT).max(120.0);
    let mut closed = false;
    let area = egui::Area::new(egui::Id::new(id)).anchor(anchor, offset).show(ctx, |ui| {
        pane().show(ui, |ui| {
            ui.set_width(width);
            ui.horizontal(|ui| {
                ui.label(egui::RichText::new(title).font(body()).strong());
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| closed = close_button(ui));
            });
            contents(ui, tallest);
        });
    });
    let drawn = (ctx.cumulative_pass_nr(), area.response.rect);
    ctx.data_mut(|data| data.insert_temp(side.key(), drawn));
    closed
}

/// What the side panes leave of the view, as they were drawn last; all of it where they leave next to nothing.
pub fn between_panes(ctx: &egui::Context) -> egui::Rect {
    let (view, now) = (ctx.content_rect(), ctx.cumulative_pass_nr());
    let drawn = |side: Side| {
        let (pass, rect) = ctx.data(|data| data.get_temp::<(u64, egui::Rect)>(side.key()))?;
        (pass + 1 >= now).then_some(rect)
    };
    let left = drawn(Side::Left).map_or(view.left(), |pane| pane.right());
    let right = drawn(Side::Right).map_or(view.right(), |pane| pane.left());
    if right - left < BETWEEN_LEAST_PT {
        return view;
    }
    egui::Rect::from_x_y_ranges(left..=right, view.y_range())
}

/// Less than this between two panes is no place for anything.
const BETWEEN_LEAST_PT: f32 = 240.0;

/// What the bar takes of a view's height, in points.
const BAR_TAKES_PT: f32 = 84.0;

/// A cross.
fn close_button(ui: &mut egui::Ui) -> bool {
    let (rect, response) = ui.allocate_exact_size(egui::vec2(20.0, 20.0), egui::Sense::click());
    let ink = if response.hovered() || response.has_focus() { PAPER } else { FADED };
    let arm = 4.5;
    for (x, y) in [(1.0, 1.0), (1.0, -1.0)] {
        let way = egui::vec2(x, y) * arm;
        ui.painter().line_segment([rect.center() - way, rect.center() + way], Stroke::new(1.8, ink));
    }
    focus_ring(ui, &response);
    response.clicked()
}

/// Shows which part of the screen the keyboard is at.
pub fn focus_ring(ui: &egui::Ui, response: &egui::Response) {
    if response.has_focus() {
        let rect = response.rect.expand(2.0);
        ui.painter().rect_stroke(rect, CornerRadius::same(9), Stroke::new(2.0, BRASS), egui::StrokeKind::Outside);
    }
}

/// A line of text that explains.
pub fn hint(ui: &mut egui::Ui, text: &str) {
    ui.label(egui::RichText::new(text).font(body()).color(FADED));
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
        // Small enough that a box to tick is not taken for a round one.
        widget.corner_radius = CornerRadius::same(4);
        // What can be ticked or pressed is seen by its edge, 3:1 at least.
        widget.bg_stroke = Stroke::new(1.0, EDGE);
    }
    // Where the keyboard is must be seen.
    visuals.widgets.active.bg_stroke = Stroke::new(2.0, BRASS);
    visuals.slider_trailing_fill = true;
    ctx.set_visuals(visuals);
    // That there is more below is seen without touching it.
    let scroll = ScrollStyle {
        bar_width: 8.0,
        floating_width: 3.0,
        floating_allocated_width: 6.0,
        dormant_handle_opacity: 0.5,
        ..ScrollStyle::floating()
    };
    ctx.all_styles_mut(|style| style.spacing.scroll = scroll);
    // A letter is missing in the frame in which it is first used: all come at the start.
    let letters: String = (' '..='~').chain(['…', '–', '×', '·']).collect();
    ctx.fonts_mut(|fonts| {
        for font in [body(), caption()] {
            fonts.layout_no_wrap(letters.clone(), font, PAPER);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2).
    fn luminance(colour: Color32) -> f32 {
        let linear = |code: u8| {
            let share = f32::from(code) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    /// Contrast ratio (WCAG 2.2) of two luminances, 1 to 21.
    fn contrast(a: f32, b: f32) -> f32 {
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The ground before a white page: the renderer lets it through in linear light.
    fn ground() -> f32 {
        luminance(GROUND) + f32::from(255 - GROUND.a()) / 255.0
    }

    #[test]
    fn text_and_what_can_be_pressed_stand_out_from_their_ground() {
        for (what, ink, on, least) in [
            ("text", PAPER, ground(), 4.5),
            ("less important text", FADED, ground(), 4.5),
            ("trouble", CORAL_TEXT, ground(), 4.5),
            ("headings", BRASS, ground(), 4.5),
            ("a button's text", PAPER, luminance(BUTTON_HOVER), 4.5),
            ("a small button's text", PAPER, luminance(WIDGET_HOVER), 4.5),
            ("on brass", INK, luminance(BRASS), 4.5),
            ("on coral", Color32::WHITE, luminance(CORAL), 4.5),
            ("on coral under the pointer", Color32::WHITE, luminance(CORAL_HOVER), 4.5),
            ("an edge", EDGE, ground(), 3.0),
            ("where the keyboard is", BRASS, luminance(WIDGET_HOVER), 3.0),
        ] {
            let found = contrast(luminance(ink), on);
            assert!(found >= least, "{what}: {found:.2} to 1, at least {least} is wanted");
        }
    }
}
