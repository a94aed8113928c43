//! Who is here: a list at the right, with what each sends.

use bevy_egui::egui::{self, Align2, Color32, pos2, vec2};

use super::signs::{self, Sign};
use super::theme;
use super::writing::Writing;

/// Height of a line, and what is between two.
const LINE_PT: f32 = 26.0;
const GAP_PT: f32 = 3.0;

/// One line of the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub name: String,
    pub colour: Color32,
    pub local: bool,
    pub speaking: bool,
    pub muted: bool,
    pub camera_off: bool,
}

pub(super) fn show(ctx: &egui::Context, rows: &[Row], writing: &mut Writing) {
    let tallest = (ctx.content_rect().height() - 2.0 * theme::EDGE_PT - 140.0).max(80.0);
    let needed = rows.len() as f32 * (LINE_PT + GAP_PT);
    egui::Area::new(egui::Id::new("people")).anchor(Align2::RIGHT_TOP, [-theme::EDGE_PT, theme::EDGE_PT]).show(
        ctx,
        |ui| {
            theme::pane().show(ui, |ui| {
                ui.set_width(220.0);
                ui.label(egui::RichText::new(format!("In the room: {}", rows.len())).font(theme::body()).strong());
                ui.add_space(4.0);
                ui.spacing_mut().item_spacing.y = GAP_PT;
                // As tall as the list, though the pane was smaller when fewer were here.
                let list = egui::ScrollArea::vertical().max_height(tallest).min_scrolled_height(needed.min(tallest));
                list.show(ui, |ui| {
                    for row in rows {
                        line(ui, row, writing);
                    }
                });
            });
        },
    );
}

fn line(ui: &mut egui::Ui, row: &Row, writing: &mut Writing) {
    // The scroll bar, when it comes, has room at the right.
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), LINE_PT), egui::Sense::hover());
    if !ui.is_rect_visible(rect) {
        return;
    }
    let painter = ui.painter_at(rect);
    let middle = rect.center().y;
    let dot = pos2(rect.left() + 10.0, middle);
    painter.circle_filled(dot, 6.0, row.colour);
    if row.speaking {
        painter.circle_stroke(dot, 7.5, egui::Stroke::new(2.0, theme::BRASS));
    }
    let name = if row.local { format!("{} (you)", row.name) } else { row.name.clone() };
    let size = (theme::body().size, rect.width() - 84.0);
    writing.paint(&painter, pos2(rect.left() + 24.0, middle), &name, size, theme::PAPER);
    for (sign, off, x) in [(Sign::Microphone, row.muted, 42.0), (Sign::Camera, row.camera_off, 18.0)] {
        let colour = if off { theme::CORAL_HOVER } else { theme::FADED };
        signs::draw(&painter, sign, pos2(rect.right() - x, middle), 13.0, colour, off.then_some(theme::GROUND));
    }
}
