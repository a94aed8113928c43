//! Who is here: a list at the right, with what each sends.

use bevy_egui::egui::{self, Align2, Color32, pos2, vec2};

use super::signs::{self, Sign};
use super::theme;

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

pub(super) fn show(ctx: &egui::Context, rows: &[Row]) {
    let tallest = ctx.content_rect().height() - 2.0 * theme::EDGE_PT - 140.0;
    egui::Area::new(egui::Id::new("people")).anchor(Align2::RIGHT_TOP, [-theme::EDGE_PT, theme::EDGE_PT]).show(
        ctx,
        |ui| {
            theme::pane().show(ui, |ui| {
                ui.set_width(220.0);
                ui.label(egui::RichText::new(format!("In the room: {}", rows.len())).font(theme::body()).strong());
                ui.add_space(4.0);
                egui::ScrollArea::vertical().max_height(tallest.max(80.0)).show(ui, |ui| {
                    for row in rows {
                        line(ui, row);
                    }
                });
            });
        },
    );
}

fn line(ui: &mut egui::Ui, row: &Row) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), egui::Sense::hover());
    let painter = ui.painter_at(rect);
    let middle = rect.center().y;
    let dot = pos2(rect.left() + 8.0, middle);
    painter.circle_filled(dot, 6.0, row.colour);
    if row.speaking {
        painter.circle_stroke(dot, 7.5, egui::Stroke::new(2.0, theme::BRASS));
    }
    let name = if row.local { format!("{} (you)", row.name) } else { row.name.clone() };
    let text_room = rect.width() - 76.0;
    let galley = painter.layout(name, theme::body(), theme::PAPER, f32::INFINITY);
    let clip = egui::Rect::from_min_size(pos2(rect.left() + 22.0, rect.top()), vec2(text_room, rect.height()));
    painter.with_clip_rect(clip).galley(pos2(clip.left(), middle - galley.size().y * 0.5), galley, theme::PAPER);
    for (sign, off, x) in [(Sign::Microphone, row.muted, 34.0), (Sign::Camera, row.camera_off, 10.0)] {
        let colour = if off { theme::CORAL_HOVER } else { theme::FADED };
        signs::draw(&painter, sign, pos2(rect.right() - x, middle), 13.0, colour, off.then_some(theme::GROUND));
    }
}
