//! How good something is, as a sign: bars as on a telephone, more of them and another colour the better it is; nothing at
//! all is a cross. It is read without its colours, too.

use bevy_egui::egui::{self, Color32, CornerRadius, Pos2, Rect, Stroke, pos2, vec2};

use crate::model::quality::Grade;
use crate::space::ui::theme;

/// Width and height of the sign, in points.
pub(super) const SIGN_PT: f32 = 14.0;
const BARS: u8 = 4;
/// What is good.
const GREEN: Color32 = Color32::from_rgb(134, 192, 132);

/// The colour that goes with it; each passes 3:1 on the pane's ground.
pub(super) fn colour(grade: Grade) -> Color32 {
    match grade {
        Grade::Excellent | Grade::Good => GREEN,
        Grade::Medium => theme::BRASS,
        Grade::Poor | Grade::Lost => theme::CORAL_HOVER,
    }
}

/// Bars that are lit.
fn lit(grade: Grade) -> u8 {
    BARS.saturating_sub(grade.number())
}

/// Draws the sign around `centre`.
pub(super) fn draw(painter: &egui::Painter, centre: Pos2, grade: Grade) {
    let corner = centre + vec2(-SIGN_PT, SIGN_PT) * 0.5;
    let width = SIGN_PT / f32::from(BARS);
    for bar in 0..BARS {
        let height = SIGN_PT * f32::from(bar + 1) / f32::from(BARS);
        let left = corner.x + width * f32::from(bar);
        let rect = Rect::from_min_max(pos2(left, corner.y - height), pos2(left + width - 1.0, corner.y));
        let ink = if bar < lit(grade) { colour(grade) } else { theme::WIDGET };
        painter.rect_filled(rect, CornerRadius::same(1), ink);
    }
    if grade == Grade::Lost {
        for across in [vec2(4.0, 4.0), vec2(4.0, -4.0)] {
            painter.line_segment([centre - across, centre + across], Stroke::new(2.0, colour(grade)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grade_has_another_shape() {
        let grades = [Grade::Excellent, Grade::Good, Grade::Medium, Grade::Poor, Grade::Lost];
        assert_eq!(grades.map(lit), [4, 3, 2, 1, 0]);
    }
}
