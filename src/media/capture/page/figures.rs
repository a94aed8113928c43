//! The two charts of the shared page, in page units.

use super::super::paint::{Canvas, Colour, Paint};
use super::super::path::{Path, Transform};
use super::super::text::Face;
use super::{ACCENT, COOL, INK, RULE, SOFT_INK, type_of, write};

const LEFT: f32 = 716.0;
const RIGHT: f32 = 1216.0;

fn frame(canvas: &mut Canvas, page: &Transform, top: f32, bottom: f32, title: &str) {
    let white = Colour::hex(0xFF_FF_FF);
    let edge = Path::new(page).round_rect(LEFT - 21.0, top - 1.0, RIGHT + 1.0, bottom + 1.0, 11.0);
    canvas.fill(&edge, RULE);
    canvas.fill(&Path::new(page).round_rect(LEFT - 20.0, top, RIGHT, bottom, 10.0), white);
    write(canvas, page, type_of(page, Face::Text, 20.0), (LEFT, top + 30.0), title, INK);
}

/// A bar chart: people in the room by day.
pub(super) fn draw_bars(canvas: &mut Canvas, page: &Transform) {
    const DAYS: [(&str, f32); 7] =
        [("Mon", 12.0), ("Tue", 18.0), ("Wed", 25.0), ("Thu", 21.0), ("Fri", 16.0), ("Sat", 5.0), ("Sun", 7.0)];
    let (top, bottom) = (146.0, 388.0);
    frame(canvas, page, top, bottom, "People in the room, by day");
    let label = type_of(page, Face::Text, 16.0);
    let floor = bottom - 34.0;
    for step in 1..=3 {
        let y = floor - step as f32 * 50.0;
        canvas.fill(&Path::new(page).rect(LEFT, y, RIGHT - 24.0, y + 1.0), RULE);
    }
    for (i, (day, people)) in DAYS.into_iter().enumerate() {
        let x = LEFT + 8.0 + i as f32 * 67.0;
        let y = floor - people * 5.6;
        let paint = Paint::Linear {
            from: page.at(x, y),
            to: page.at(x, floor),
            start: if i == 2 { ACCENT } else { COOL },
            end: if i == 2 { ACCENT.lighter(0.35) } else { COOL.lighter(0.35) },
        };
        canvas.fill(&Path::new(page).round_rect(x, y, x + 42.0, floor, 5.0), paint);
        write(canvas, page, label, (x + 7.0, floor + 22.0), day, SOFT_INK);
        write(canvas, page, label, (x + 13.0, y - 6.0), &format!("{people:.0}"), INK);
    }
    canvas.fill(&Path::new(page).rect(LEFT, floor, RIGHT - 24.0, floor + 1.5), SOFT_INK);
}

/// A line chart: two curves over time, with a legend.
pub(super) fn draw_lines(canvas: &mut Canvas, page: &Transform) {
    const SENT: [f32; 9] = [0.2, 0.42, 0.5, 0.47, 0.66, 0.72, 0.68, 0.85, 0.9];
    const HEARD: [f32; 9] = [0.1, 0.14, 0.3, 0.36, 0.33, 0.48, 0.58, 0.6, 0.74];
    let (top, bottom) = (408.0, 650.0);
    frame(canvas, page, top, bottom, "Words a minute, sent and heard");
    let (floor, height) = (bottom - 30.0, 150.0);
    for step in 0..=3 {
        let y = floor - step as f32 * height / 3.0;
        canvas.fill(&Path::new(page).rect(LEFT, y, RIGHT - 24.0, y + 1.0), RULE);
    }
    let place = |i: usize, v: f32| (LEFT + 10.0 + i as f32 * 57.0, floor - v * height);
    for (values, colour) in [(SENT, ACCENT), (HEARD, COOL)] {
        for (i, pair) in values.windows(2).enumerate() {
            let (a, b) = (place(i, pair[0]), place(i + 1, pair[1]));
            let middle = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
            canvas.fill(&Path::new(page).stroke(a, middle, b, (3.0, 3.0)), colour);
        }
        for (i, v) in values.into_iter().enumerate() {
            let (x, y) = place(i, v);
            canvas.fill(&Path::new(page).ellipse(x, y, 5.0, 5.0), colour);
            canvas.fill(&Path::new(page).ellipse(x, y, 2.4, 2.4), Colour::hex(0xFF_FF_FF));
        }
    }
    let label = type_of(page, Face::Text, 16.0);
    for (x, name, colour) in [(LEFT + 10.0, "sent", ACCENT), (LEFT + 90.0, "heard", COOL)] {
        canvas.fill(&Path::new(page).round_rect(x, top + 46.0, x + 16.0, top + 50.0, 2.0), colour);
        write(canvas, page, label, (x + 22.0, top + 54.0), name, SOFT_INK);
    }
}
