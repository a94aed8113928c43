//! The signs on the buttons, drawn, so that they are sharp at every scale and need no icon font.

use std::f32::consts::TAU;

use bevy_egui::egui::{Color32, CornerRadius, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, vec2};

/// What a sign shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A microphone.
    Microphone,
    /// A camera.
    Camera,
    /// People.
    People,
    /// A raised hand.
    Hand,
    /// What somebody says.
    Message,
    /// Two sparkles.
    Beauty,
    /// A screen with an arrow into it.
    Share,
    /// Two sliders.
    Settings,
    /// A door.
    Leave,
    /// A star.
    Host,
}

/// Draws a sign around `centre`, `size` points high; `struck` puts a bar across it.
pub fn draw(painter: &Painter, sign: Sign, centre: Pos2, size: f32, colour: Color32, struck: Option<Color32>) {
    let s = size / 20.0;
    let at = |x: f32, y: f32| centre + vec2(x, y) * s;
    let line = Stroke::new(1.7 * s, colour);
    match sign {
        Sign::Microphone => {
            let body = Rect::from_center_size(at(0.0, -3.5), vec2(6.4, 11.5) * s);
            painter.rect_filled(body, round(3.2 * s), colour);
            let arc: Vec<Pos2> = (0..=12)
                .map(|i| {
                    let angle = std::f32::consts::PI * i as f32 / 12.0;
                    at(6.2 * angle.cos(), -2.0 + 6.2 * angle.sin())
                })
                .collect();
            painter.line(arc, line);
            painter.line_segment([at(0.0, 4.3), at(0.0, 8.2)], line);
            painter.line_segment([at(-3.4, 8.4), at(3.4, 8.4)], line);
        }
        Sign::Camera => {
            let body = Rect::from_min_max(at(-9.0, -5.5), at(3.6, 5.5));
            painter.rect_filled(body, round(2.4 * s), colour);
            let lens = vec![at(5.0, -1.4), at(9.2, -4.6), at(9.2, 4.6), at(5.0, 1.4)];
            painter.add(Shape::convex_polygon(lens, colour, Stroke::NONE));
        }
        Sign::People => {
            for (x, y, scale) in [(4.2, -0.6, 0.82), (-2.6, 0.0, 1.0)] {
                painter.circle_filled(at(x, y - 4.2 * scale), 3.1 * s * scale, colour);
                let shoulders: Vec<Pos2> = (0..=10)
                    .map(|i| {
                        let angle = std::f32::consts::PI * (1.0 + i as f32 / 10.0);
                        at(x + 5.8 * scale * angle.cos(), y + 6.6 * scale + 6.4 * scale * angle.sin())
                    })
                    .collect();
                painter.add(Shape::convex_polygon(shoulders, colour, Stroke::NONE));
            }
        }
        Sign::Hand => {
            let palm = Rect::from_min_max(at(-5.2, -1.0), at(4.6, 8.6));
            painter.rect_filled(palm, round(3.6 * s), colour);
            for (x, top) in [(-4.0, -6.4), (-1.3, -8.8), (1.4, -8.4), (4.0, -6.0)] {
                painter.line_segment([at(x - 0.1, 1.5), at(x, top)], Stroke::new(2.2 * s, colour));
                painter.circle_filled(at(x, top), 1.1 * s, colour);
            }
            painter.line_segment([at(-4.0, 5.0), at(-8.2, 0.6)], Stroke::new(2.4 * s, colour));
            painter.circle_filled(at(-8.2, 0.6), 1.2 * s, colour);
        }
        Sign::Message => {
            let bubble = Rect::from_min_max(at(-9.0, -7.5), at(9.0, 4.6));
            painter.rect_filled(bubble, round(4.0 * s), colour);
            let tail = vec![at(-4.6, 3.6), at(0.6, 3.6), at(-5.4, 8.8)];
            painter.add(Shape::convex_polygon(tail, colour, Stroke::NONE));
        }
        Sign::Beauty => {
            for (x, y, reach) in [(-2.2, 1.4, 8.2), (6.4, -5.6, 4.2)] {
                // Four points with hollow sides: each side is a polygon of its own, for only convex ones are filled.
                let waist = reach * 0.22;
                for turn in 0..4 {
                    let angle = std::f32::consts::FRAC_PI_2 * turn as f32;
                    let (sin, cos) = angle.sin_cos();
                    let place = |px: f32, py: f32| at(x + px * cos - py * sin, y + px * sin + py * cos);
                    let point = vec![place(reach, 0.0), place(waist, waist), place(0.0, 0.0), place(waist, -waist)];
                    painter.add(Shape::convex_polygon(point, colour, Stroke::NONE));
                }
            }
        }
        Sign::Share => {
            let screen = Rect::from_min_max(at(-9.0, -6.6), at(9.0, 4.8));
            painter.rect_stroke(screen, round(2.0 * s), line, StrokeKind::Middle);
            painter.line_segment([at(-4.0, 8.2), at(4.0, 8.2)], line);
            painter.line_segment([at(0.0, 2.4), at(0.0, -3.4)], line);
            painter.line(vec![at(-2.8, -0.9), at(0.0, -3.8), at(2.8, -0.9)], line);
        }
        Sign::Settings => {
            for (y, knob) in [(-4.4, 3.2), (4.4, -3.2)] {
                painter.line_segment([at(-8.6, y), at(8.6, y)], line);
                painter.circle_filled(at(knob, y), 3.1 * s, colour);
            }
        }
        Sign::Leave => {
            let door = Rect::from_min_max(at(-7.5, -7.5), at(1.0, 7.5));
            painter.rect_stroke(door, round(1.5 * s), line, StrokeKind::Middle);
            painter.line_segment([at(-2.5, 0.0), at(8.5, 0.0)], line);
            painter.line_segment([at(5.0, -3.6), at(8.7, 0.0)], line);
            painter.line_segment([at(5.0, 3.6), at(8.7, 0.0)], line);
        }
        Sign::Host => {
            let corner = |i: i32| {
                let (angle, radius) = (TAU * i as f32 / 10.0 - TAU / 4.0, if i % 2 == 0 { 8.6 } else { 3.9 });
                at(radius * angle.cos(), radius * angle.sin() + 0.8)
            };
            for point in 0..5 {
                let [left, tip, right] = [-1, 0, 1].map(|beside| corner(2 * point + beside));
                painter.add(Shape::convex_polygon(vec![left, tip, right, at(0.0, 0.8)], colour, Stroke::NONE));
            }
        }
    }
    if let Some(ground) = struck {
        painter.line_segment([at(-8.6, -8.6), at(8.6, 8.6)], Stroke::new(5.0 * s, ground));
        painter.line_segment([at(-8.6, -8.6), at(8.6, 8.6)], Stroke::new(2.0 * s, colour));
    }
}

fn round(radius: f32) -> CornerRadius {
    CornerRadius::same(radius.round().clamp(0.0, 255.0) as u8)
}
