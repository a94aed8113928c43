//! A small plot of the last two minutes: a line over a filled ground, and gaps where nothing is known. Under the pointer
//! it says the value and how long ago that was.

use bevy_egui::egui::{self, Align2, Color32, CornerRadius, Mesh, Pos2, Rect, Sense, Shape, Stroke, pos2, vec2};

use super::history::{POINTS, Series};
use crate::space::ui::theme;

/// Height of the text above a plot, of the plot, and what is between two plots, in points.
const HEAD_PT: f32 = 16.0;
const GRAPH_PT: f32 = 44.0;
const GAP_PT: f32 = 10.0;
/// Air within a plot, in points.
const INSET_PT: f32 = 2.0;

/// What is plotted.
pub(super) struct Plot<'a> {
    pub(super) title: &'static str,
    pub(super) series: &'a Series,
    /// The axis reaches at least so far.
    pub(super) least: f32,
    /// A value with its unit.
    pub(super) say: fn(f32) -> String,
}

/// The end of an axis that reaches `most`: 1, 2 or 5 times a power of ten.
fn rounded_up(most: f32) -> f32 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let power = 10_f32.powi(most.log10().floor() as i32);
    // A hair is forgiven: 0.1 has no exact value.
    let reaches = |top: &f32| *top >= most * 0.9999;
    [1.0, 2.0, 5.0].map(|step| step * power).into_iter().find(reaches).unwrap_or(10.0 * power)
}

/// Draws plots that end at the second `now`, two in a row.
pub(super) fn rows(ui: &mut egui::Ui, plots: &[Plot], now: u64, ago: fn(usize) -> String) {
    let width = (ui.available_width() - GAP_PT) * 0.5;
    for pair in plots.chunks(2) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = GAP_PT;
            for plot in pair {
                plot.show(ui, width.max(40.0), now, ago);
            }
        });
    }
}

impl Plot<'_> {
    fn show(&self, ui: &mut egui::Ui, width: f32, now: u64, ago: fn(usize) -> String) {
        let (rect, response) = ui.allocate_exact_size(vec2(width, HEAD_PT + GRAPH_PT), Sense::hover());
        if !ui.is_rect_visible(rect) {
            return;
        }
        let (head, ground) = rect.split_top_bottom_at_y(rect.top() + HEAD_PT);
        let painter = ui.painter_at(rect);
        painter.rect_filled(ground, CornerRadius::same(5), theme::BUTTON);
        painter.hline(ground.x_range(), ground.center().y, Stroke::new(1.0, theme::LINE));
        let top = rounded_up(self.series.highest().unwrap_or(0.0).max(self.least));
        let axes = Axes { graph: ground.shrink(INSET_PT), top };
        for run in self.runs(now, &axes) {
            draw_run(&painter, &run, axes.graph.bottom());
        }
        let corner = ground.left_top() + vec2(4.0, 1.0);
        let scale = painter.layout_no_wrap((self.say)(top), theme::caption(), theme::FADED);
        // A curve that is high just then does not cross it out.
        let place = Rect::from_min_size(corner, scale.size()).expand2(vec2(2.0, 0.0));
        painter.rect_filled(place, CornerRadius::same(3), theme::BUTTON);
        painter.galley(corner, scale, theme::FADED);
        let pointed = response.hover_pos().map(|pointer| axes.secs_ago(pointer.x));
        let value = self.series.ago(now, pointed.unwrap_or(0));
        if let Some(secs) = pointed {
            let x = axes.x(secs);
            painter.vline(x, ground.y_range(), Stroke::new(1.0, theme::FADED));
            if let Some(value) = value {
                painter.circle_filled(pos2(x, axes.y(value)), 3.0, theme::PAPER);
            }
        }
        let title = pointed.map_or_else(|| self.title.to_owned(), ago);
        let said = value.map_or_else(|| "–".to_owned(), self.say);
        painter.text(head.left_center(), Align2::LEFT_CENTER, title, theme::caption(), theme::FADED);
        painter.text(head.right_center(), Align2::RIGHT_CENTER, said, theme::caption(), theme::PAPER);
    }

    /// The points between gaps, the oldest first.
    fn runs(&self, now: u64, axes: &Axes) -> Vec<Vec<Pos2>> {
        let mut runs = vec![Vec::new()];
        for secs in (0..POINTS).rev() {
            match (self.series.ago(now, secs), runs.last_mut()) {
                (Some(value), Some(run)) => run.push(pos2(axes.x(secs), axes.y(value))),
                (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
                _ => {}
            }
        }
        runs
    }
}

/// Where a second and a value stand.
struct Axes {
    graph: Rect,
    top: f32,
}

impl Axes {
    fn x(&self, secs_ago: usize) -> f32 {
        self.graph.right() - self.graph.width() * secs_ago as f32 / (POINTS - 1) as f32
    }

    fn y(&self, value: f32) -> f32 {
        self.graph.bottom() - self.graph.height() * (value / self.top).clamp(0.0, 1.0)
    }

    fn secs_ago(&self, x: f32) -> usize {
        let share = ((self.graph.right() - x) / self.graph.width()).clamp(0.0, 1.0);
        (share * (POINTS - 1) as f32).round() as usize
    }
}

fn draw_run(painter: &egui::Painter, run: &[Pos2], bottom: f32) {
    if let [single] = run {
        painter.circle_filled(*single, 1.5, theme::BRASS);
    }
    if run.len() < 2 {
        return;
    }
    painter.add(Shape::mesh(filled(run, bottom, theme::BRASS.gamma_multiply(0.22))));
    painter.line(run.to_vec(), Stroke::new(1.5, theme::BRASS));
}

/// What is between a line and the bottom.
fn filled(run: &[Pos2], bottom: f32, colour: Color32) -> Mesh {
    let mut mesh = Mesh::default();
    for (index, point) in (0_u32..).zip(run) {
        mesh.colored_vertex(*point, colour);
        mesh.colored_vertex(pos2(point.x, bottom), colour);
        if index > 0 {
            let (before, here) = (2 * index - 2, 2 * index);
            mesh.add_triangle(before, before + 1, here);
            mesh.add_triangle(here, before + 1, here + 1);
        }
    }
    mesh
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::history::History;
    use super::*;
    use crate::bridge::SessionId;
    use crate::model::quality::EngineSnapshot;

    #[test]
    fn axes_end_at_round_numbers() {
        let ends = [0.03, 0.1, 1.0, 1.1, 4.9, 5.0, 7.0, 99.0, 100.0, 1000.0, 1001.0, 260_000.0].map(rounded_up);
        let round = [0.05, 0.1, 1.0, 2.0, 5.0, 5.0, 10.0, 100.0, 100.0, 1000.0, 2000.0, 500_000.0];
        for (end, round) in ends.into_iter().zip(round) {
            assert!((end / round - 1.0_f32).abs() < 1e-3, "{end} where {round} is expected");
        }
        assert_eq!([0.0, -3.0, f32::NAN, f32::INFINITY].map(rounded_up), [1.0; 4]);
    }

    #[test]
    fn what_is_not_known_parts_the_line_and_what_is_pointed_at_is_found() {
        let mut history = History::default();
        for second in [1, 2, 3, 10, 20, 21] {
            let figures = EngineSnapshot { rtt_ms: Some(second as f32), ..EngineSnapshot::default() };
            history.take(Duration::from_secs(second), &figures, SessionId(1), true);
        }
        let graph = Rect::from_min_size(pos2(10.0, 10.0), vec2(119.0, 40.0));
        let axes = Axes { graph, top: 50.0 };
        let plot = Plot { title: "", series: &history.round_trip, least: 1.0, say: |value| value.to_string() };
        let runs = plot.runs(history.now(), &axes);
        let lengths: Vec<usize> = runs.iter().map(Vec::len).filter(|length| *length > 0).collect();
        assert_eq!(lengths, [3, 1, 2]);
        let newest = runs.last().and_then(|run| run.last()).unwrap();
        assert!((newest.x - graph.right()).abs() < 1e-3 && (newest.y - (50.0 - 40.0 * 21.0 / 50.0)).abs() < 1e-3);
        for secs in [0, 1, 11, 119] {
            assert_eq!(axes.secs_ago(axes.x(secs)), secs);
        }
        assert_eq!([axes.secs_ago(-1e6), axes.secs_ago(1e6)], [119, 0], "beside it");
    }

    #[test]
    fn the_ground_below_a_line_is_filled_whole() {
        let run = [pos2(0.0, 4.0), pos2(1.0, 2.0), pos2(2.0, 6.0)];
        let mesh = filled(&run, 10.0, theme::BRASS);
        let area: f32 = mesh
            .indices
            .chunks(3)
            .map(|corners| {
                let [a, b, c] = [0, 1, 2].map(|corner| mesh.vertices[corners[corner] as usize].pos);
                ((b - a).x * (c - a).y - (b - a).y * (c - a).x).abs() * 0.5
            })
            .sum();
        assert!((area - (7.0 + 6.0)).abs() < 1e-3, "{area}");
    }
}
