//! Hair and headscarves, in head coordinates: the part behind the head and the part that falls over the face.

use ab_glyph::point;

use super::super::paint::{Canvas, Colour, Paint};
use super::super::path::{Path, Transform};
use super::looks::{HairStyle, Looks};

/// Lit from the upper left.
fn sheen(head: &Transform, colour: Colour) -> Paint {
    Paint::Linear {
        from: head.at(-0.7, -1.5),
        to: head.at(1.0, 0.6),
        start: colour.lighter(0.22),
        end: colour.darker(0.18),
    }
}

fn shadowed(colour: Colour) -> Colour {
    colour.darker(0.38)
}

/// What lies behind neck and face.
pub(super) fn draw_back(canvas: &mut Canvas, head: &Transform, looks: &Looks) {
    let path = Path::new(head);
    let hair = shadowed(looks.hair);
    match looks.style {
        HairStyle::SidePart | HairStyle::Crop | HairStyle::Quiff => {}
        HairStyle::Bob => canvas.fill(
            &path
                .from(0.0, -1.45)
                .curve((0.95, -1.45), (1.38, -0.8), (1.36, 0.0))
                .curve((1.35, 0.55), (1.42, 0.8), (1.22, 1.02))
                .curve((0.7, 1.2), (-0.7, 1.2), (-1.22, 1.02))
                .curve((-1.42, 0.8), (-1.35, 0.55), (-1.36, 0.0))
                .curve((-1.38, -0.8), (-0.95, -1.45), (0.0, -1.45)),
            hair,
        ),
        HairStyle::Long => canvas.fill(
            &path
                .from(0.0, -1.45)
                .curve((0.95, -1.45), (1.34, -0.8), (1.3, 0.0))
                .curve((1.28, 0.7), (1.62, 1.1), (1.5, 1.7))
                .curve((1.42, 2.0), (0.9, 2.1), (0.6, 1.95))
                .line(-0.6, 1.95)
                .curve((-0.9, 2.1), (-1.42, 2.0), (-1.5, 1.7))
                .curve((-1.62, 1.1), (-1.28, 0.7), (-1.3, 0.0))
                .curve((-1.34, -0.8), (-0.95, -1.45), (0.0, -1.45)),
            hair,
        ),
        HairStyle::Bun => {
            canvas.fill(&Path::new(head).ellipse(0.1, -1.68, 0.46, 0.4), sheen(head, looks.hair.darker(0.1)));
            canvas.fill(
                &path.stroke((-0.22, -1.62), (0.05, -1.86), (0.38, -1.72), (0.05, 0.03)),
                looks.hair.lighter(0.25).fade(0.5),
            );
        }
        HairStyle::Curls => {
            let mut path = path;
            for (x, y, r) in [
                (-1.08, 0.12, 0.4),
                (-1.22, -0.38, 0.44),
                (-1.02, -0.9, 0.46),
                (-0.58, -1.3, 0.46),
                (0.0, -1.45, 0.48),
                (0.58, -1.3, 0.46),
                (1.02, -0.9, 0.46),
                (1.22, -0.38, 0.44),
                (1.08, 0.12, 0.4),
                (0.0, -0.7, 0.95),
            ] {
                path = path.ellipse(x, y, r, r);
            }
            canvas.fill(&path, sheen(head, looks.hair.darker(0.12)));
        }
        HairStyle::Scarf => canvas.fill(
            &path
                .from(0.0, -1.5)
                .curve((0.95, -1.5), (1.36, -0.8), (1.32, 0.0))
                .curve((1.3, 0.7), (1.5, 1.2), (1.75, 1.85))
                .curve((1.0, 2.1), (-1.0, 2.1), (-1.75, 1.85))
                .curve((-1.5, 1.2), (-1.3, 0.7), (-1.32, 0.0))
                .curve((-1.36, -0.8), (-0.95, -1.5), (0.0, -1.5)),
            sheen(head, looks.accent.darker(0.12)),
        ),
    }
}

/// What lies over forehead and temples.
pub(super) fn draw_front(canvas: &mut Canvas, head: &Transform, looks: &Looks) {
    let hair = sheen(head, looks.hair);
    let shine = looks.hair.lighter(0.4).fade(0.3);
    let path = Path::new(head);
    match looks.style {
        HairStyle::SidePart => {
            let shape = path
                .from(-1.05, 0.02)
                .curve((-1.22, -0.75), (-0.98, -1.5), (-0.05, -1.54))
                .curve((0.85, -1.58), (1.25, -0.85), (1.04, 0.05))
                .curve((1.0, -0.25), (0.96, -0.45), (0.86, -0.66))
                .curve((0.3, -0.6), (-0.2, -0.75), (-0.42, -1.0))
                .curve((-0.6, -0.75), (-0.9, -0.6), (-1.05, 0.02));
            canvas.fill(&shape, hair);
            canvas.fill(&Path::new(head).stroke((-0.36, -1.1), (0.2, -1.2), (0.75, -0.86), (0.05, 0.02)), shine);
            canvas.fill(&Path::new(head).stroke((-0.2, -1.3), (0.35, -1.36), (0.85, -1.02), (0.04, 0.02)), shine);
        }
        HairStyle::Bob => {
            let shape = path
                .from(-1.08, 0.55)
                .curve((-1.32, -0.3), (-1.2, -1.46), (0.0, -1.5))
                .curve((1.2, -1.46), (1.32, -0.3), (1.08, 0.55))
                .curve((1.0, 0.2), (1.0, -0.2), (0.9, -0.42))
                .curve((0.35, -0.5), (-0.35, -0.5), (-0.9, -0.42))
                .curve((-1.0, -0.2), (-1.0, 0.2), (-1.08, 0.55));
            canvas.fill(&shape, hair);
            canvas.fill(&Path::new(head).stroke((-0.85, -0.92), (0.0, -1.22), (0.8, -0.95), (0.09, 0.05)), shine);
            let strand = shadowed(looks.hair).fade(0.4);
            canvas.fill(&Path::new(head).stroke((-0.3, -0.95), (-0.34, -0.7), (-0.3, -0.48), (0.03, 0.01)), strand);
            canvas.fill(&Path::new(head).stroke((0.25, -1.0), (0.32, -0.7), (0.3, -0.48), (0.03, 0.01)), strand);
        }
        HairStyle::Long => {
            let left = path
                .from(0.08, -1.46)
                .curve((-0.95, -1.5), (-1.35, -0.7), (-1.2, 0.35))
                .curve((-1.15, 0.75), (-1.3, 1.1), (-1.18, 1.5))
                .curve((-0.98, 1.1), (-0.98, 0.5), (-0.94, 0.0))
                .curve((-0.9, -0.5), (-0.4, -0.95), (0.08, -1.2));
            canvas.fill(&left, hair);
            let right = Path::new(head)
                .from(0.0, -1.46)
                .curve((0.95, -1.5), (1.35, -0.7), (1.2, 0.35))
                .curve((1.15, 0.75), (1.3, 1.1), (1.18, 1.5))
                .curve((0.98, 1.1), (0.98, 0.5), (0.94, 0.0))
                .curve((0.9, -0.5), (0.4, -0.95), (0.0, -1.2));
            canvas.fill(&right, hair);
            canvas.fill(&Path::new(head).stroke((-0.15, -1.3), (-0.85, -1.1), (-1.02, -0.3), (0.05, 0.02)), shine);
            canvas.fill(&Path::new(head).stroke((0.3, -1.28), (0.85, -1.0), (1.0, -0.4), (0.04, 0.02)), shine);
        }
        HairStyle::Bun => {
            let shape = path
                .from(-1.05, 0.1)
                .curve((-1.2, -0.8), (-0.85, -1.48), (0.0, -1.48))
                .curve((0.85, -1.48), (1.2, -0.8), (1.05, 0.1))
                .curve((1.0, -0.35), (0.8, -0.85), (0.0, -0.92))
                .curve((-0.8, -0.85), (-1.0, -0.35), (-1.05, 0.1));
            canvas.fill(&shape, hair);
            for x in [-0.55, -0.15, 0.3, 0.62] {
                let strand = Path::new(head).stroke((x, -0.95), (x * 0.6, -1.2), (0.05, -1.46), (0.03, 0.02));
                canvas.fill(&strand, shadowed(looks.hair).fade(0.3));
            }
        }
        HairStyle::Curls => {
            let mut path = path;
            for (x, y, r) in [
                (-0.9, -0.5, 0.25),
                (-0.68, -0.82, 0.29),
                (-0.3, -0.98, 0.31),
                (0.12, -1.02, 0.31),
                (0.5, -0.92, 0.3),
                (0.82, -0.62, 0.27),
            ] {
                path = path.ellipse(x, y, r, r);
            }
            canvas.fill(&path, hair);
            for (x, y) in [(-0.7, -1.1), (-0.1, -1.35), (0.5, -1.2), (-1.1, -0.5), (0.98, -0.75), (-0.35, -0.95)] {
                let curl = Path::new(head).stroke((x - 0.15, y), (x, y - 0.22), (x + 0.15, y), (0.04, 0.03));
                canvas.fill(&curl, looks.hair.lighter(0.3).fade(0.35));
            }
        }
        HairStyle::Crop => {
            let shape = path
                .from(-1.02, -0.05)
                .curve((-1.12, -0.85), (-0.75, -1.36), (0.0, -1.37))
                .curve((0.75, -1.36), (1.12, -0.85), (1.02, -0.05))
                .curve((0.96, -0.3), (0.94, -0.5), (0.82, -0.72))
                .curve((0.4, -0.86), (-0.4, -0.86), (-0.82, -0.72))
                .curve((-0.94, -0.5), (-0.96, -0.3), (-1.02, -0.05));
            canvas.fill(&shape, hair);
        }
        HairStyle::Quiff => {
            let shape = path
                .from(-1.04, 0.05)
                .curve((-1.2, -0.5), (-1.12, -0.95), (-0.92, -1.18))
                .curve((-0.75, -1.62), (0.1, -1.86), (0.72, -1.62))
                .curve((1.15, -1.46), (1.22, -0.7), (1.04, 0.05))
                .curve((1.0, -0.3), (0.98, -0.5), (0.84, -0.72))
                .curve((0.55, -0.98), (0.05, -0.82), (-0.35, -0.9))
                .curve((-0.62, -0.95), (-0.85, -0.75), (-0.9, -0.5))
                .curve((-0.98, -0.35), (-1.0, -0.2), (-1.04, 0.05));
            canvas.fill(&shape, hair);
            for (a, c, b) in [
                ((-0.6, -1.02), (-0.4, -1.5), (0.25, -1.66)),
                ((-0.15, -0.98), (0.05, -1.38), (0.6, -1.5)),
                ((0.3, -0.98), (0.5, -1.2), (0.88, -1.24)),
            ] {
                canvas.fill(&Path::new(head).stroke(a, c, b, (0.05, 0.02)), shine);
            }
        }
        HairStyle::Scarf => draw_scarf(canvas, head, looks),
    }
}

fn draw_scarf(canvas: &mut Canvas, head: &Transform, looks: &Looks) {
    // A band around the face: the outer edge one way round, the opening the other.
    let shape = Path::new(head)
        .from(0.0, -1.52)
        .curve((-0.95, -1.52), (-1.36, -0.8), (-1.28, 0.0))
        .curve((-1.22, 0.75), (-0.75, 1.6), (0.0, 1.62))
        .curve((0.75, 1.6), (1.22, 0.75), (1.28, 0.0))
        .curve((1.36, -0.8), (0.95, -1.52), (0.0, -1.52))
        .from(0.0, -0.86)
        .curve((0.6, -0.86), (0.92, -0.5), (0.92, 0.0))
        .curve((0.92, 0.62), (0.5, 1.14), (0.0, 1.14))
        .curve((-0.5, 1.14), (-0.92, 0.62), (-0.92, 0.0))
        .curve((-0.92, -0.5), (-0.6, -0.86), (0.0, -0.86));
    canvas.fill(&shape, sheen(head, looks.accent));
    let fold = looks.accent.darker(0.35).fade(0.45);
    canvas.fill(&Path::new(head).stroke((-1.1, 0.3), (-0.6, 1.35), (0.5, 1.5), (0.03, 0.05)), fold);
    canvas.fill(&Path::new(head).stroke((-0.9, -0.95), (0.0, -1.3), (0.95, -0.9), (0.03, 0.02)), fold);
    let drape = Path::new(head)
        .from(0.75, 1.1)
        .curve((0.2, 1.75), (-0.9, 1.75), (-1.5, 1.62))
        .curve((-1.3, 2.1), (0.7, 2.15), (1.3, 1.75))
        .curve((1.2, 1.5), (1.0, 1.3), (0.75, 1.1));
    let paint = Paint::Linear {
        from: head.at(0.0, 1.2),
        to: head.at(0.2, 2.2),
        start: looks.accent.lighter(0.1),
        end: looks.accent.darker(0.3),
    };
    canvas.fill(&drape, paint);
    let soft = Paint::Radial {
        centre: point(head.at(-0.5, -1.2).x, head.at(-0.5, -1.2).y),
        radius: 0.6 * head.scale(),
        inner: looks.accent.lighter(0.5).fade(0.35),
        outer: looks.accent.fade(0.0),
    };
    canvas.fill(&Path::new(head).ellipse(-0.5, -1.15, 0.55, 0.3), soft);
}
