//! The two lists of what can be shared.

use bevy_egui::egui::{self, Align2, CornerRadius, Rect, Response, Sense, Stroke, StrokeKind, pos2, vec2};

use super::{Picker, segment, theme};
use crate::media::capture::{ScreenInfo, ScreenKind};
use crate::space::sharing::ShareOffer;
use crate::space::ui::picture::Picture;
use crate::space::ui::writing::Writing;
use crate::space::words::ShareWords;

/// Between two pictures, in points.
const GAP_PT: f32 = 8.0;
/// Height of a title, in points.
const TITLE_PT: f32 = 20.0;

/// Screens or windows, of which one can be chosen.
pub(super) fn show(ui: &mut egui::Ui, words: &ShareWords, offer: &ShareOffer, picker: &mut Picker) {
    ui.horizontal(|ui| {
        for (text, windows) in [(words.screens, false), (words.windows, true)] {
            if segment(ui, text, picker.choice.windows == windows).clicked() && picker.choice.windows != windows {
                // What is not seen is not shared.
                (picker.choice.windows, picker.choice.source) = (windows, None);
            }
        }
    });
    let screens = match offer.screens() {
        None => return theme::hint(ui, words.looking),
        Some(Err(error)) => return theme::hint(ui, &(words.failed)(error)),
        Some(Ok(screens)) => screens,
    };
    let (kind, none) = if picker.choice.windows {
        (ScreenKind::Window, words.no_window)
    } else {
        (ScreenKind::Monitor, words.no_screen)
    };
    let shown: Vec<&ScreenInfo> = screens.iter().filter(|info| info.kind == kind).collect();
    if shown.is_empty() {
        theme::hint(ui, none);
    }
    ui.spacing_mut().item_spacing = vec2(GAP_PT, GAP_PT);
    // Floored, or two do not fit beside each other.
    let width = ((ui.available_width() - GAP_PT) * 0.5).floor();
    for row in shown.chunks(2) {
        ui.horizontal(|ui| {
            for info in row {
                let chosen = picker.choice.source.as_ref() == Some(&info.id);
                let texture = picker.pictures.thumbnail(&info.id);
                if cell(ui, words, info, texture, (chosen, width), &mut picker.writing).clicked() {
                    picker.choice.source = Some(info.id.clone());
                }
            }
        });
    }
}

/// One of them; the chosen one has a frame and a tick.
fn cell(
    ui: &mut egui::Ui,
    words: &ShareWords,
    info: &ScreenInfo,
    small: Option<&Picture>,
    (chosen, width): (bool, f32),
    writing: &mut Writing,
) -> Response {
    let plate = vec2(width, width * 9.0 / 16.0);
    let (rect, response) = ui.allocate_exact_size(plate + vec2(0.0, TITLE_PT), Sense::click());
    if response.gained_focus() {
        response.scroll_to_me(None);
    }
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let plate = Rect::from_min_size(rect.min, plate);
    let painter = ui.painter();
    let ground = if response.hovered() { theme::BUTTON_HOVER } else { theme::BUTTON };
    painter.rect_filled(plate, CornerRadius::same(8), ground);
    if !small.is_some_and(|small| small.draw(painter, plate.shrink(3.0), false)) {
        painter.text(plate.center(), Align2::CENTER_CENTER, words.no_picture, theme::caption(), theme::FADED);
    }
    if chosen {
        painter.rect_stroke(plate, CornerRadius::same(8), Stroke::new(2.5, theme::BRASS), StrokeKind::Inside);
        tick(painter, pos2(plate.right() - 14.0, plate.top() + 14.0));
    }
    let title = match info.kind {
        ScreenKind::Monitor => format!("{} · {}×{}", info.title, info.width, info.height),
        ScreenKind::Window => info.title.clone(),
    };
    let colour = if chosen { theme::PAPER } else { theme::FADED };
    let at = pos2(rect.left() + 3.0, rect.bottom() - TITLE_PT * 0.5);
    writing.paint(painter, at, &title, (theme::caption().size + 1.0, rect.width() - 6.0), colour);
    theme::focus_ring(ui, &response);
    response
}

fn tick(painter: &egui::Painter, at: egui::Pos2) {
    painter.circle_filled(at, 9.0, theme::BRASS);
    let line = Stroke::new(2.0, theme::INK);
    painter.line_segment([at + vec2(-4.0, 0.2), at + vec2(-1.2, 3.2)], line);
    painter.line_segment([at + vec2(-1.2, 3.2), at + vec2(4.2, -3.0)], line);
}
