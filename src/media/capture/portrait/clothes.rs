//! Shoulders and what they wear, in body coordinates (the head at rest is the unit circle around (0, 0)).

use super::super::paint::{Canvas, Colour, Paint};
use super::super::path::{Path, Transform};
use super::looks::{Garment, HairStyle, Looks};

/// Draws the bust, down past the lower edge of the picture.
pub(super) fn draw(canvas: &mut Canvas, body: &Transform, looks: &Looks) {
    let cloth = Paint::Linear {
        from: body.at(-1.6, 1.4),
        to: body.at(1.9, 3.6),
        start: looks.cloth.lighter(0.16),
        end: looks.cloth.darker(0.3),
    };
    canvas.fill(&bust(body), cloth);
    draw_arms(canvas, body, looks);
    match looks.garment {
        Garment::Sweater => draw_sweater(canvas, body, looks),
        Garment::Shirt => draw_shirt(canvas, body, looks),
        Garment::Hoodie => draw_hoodie(canvas, body, looks),
        Garment::Blazer => draw_blazer(canvas, body, looks),
    }
}

fn bust(body: &Transform) -> Path {
    Path::new(body)
        .from(-2.75, 5.0)
        .curve((-2.75, 3.2), (-2.62, 2.3), (-1.75, 1.98))
        .curve((-1.2, 1.78), (-0.75, 1.72), (-0.56, 1.42))
        .line(0.56, 1.42)
        .curve((0.75, 1.72), (1.2, 1.78), (1.75, 1.98))
        .curve((2.62, 2.3), (2.75, 3.2), (2.75, 5.0))
}

fn draw_arms(canvas: &mut Canvas, body: &Transform, looks: &Looks) {
    let crease = looks.cloth.darker(0.45).fade(0.4);
    canvas.fill(&Path::new(body).stroke((-1.72, 2.85), (-1.66, 3.3), (-1.75, 4.2), (0.03, 0.09)), crease);
    canvas.fill(&Path::new(body).stroke((1.72, 2.85), (1.66, 3.3), (1.75, 4.2), (0.03, 0.09)), crease);
}

/// The skin that an open collar shows: down to `depth`.
fn neckline(canvas: &mut Canvas, body: &Transform, looks: &Looks, depth: f32) {
    if looks.style == HairStyle::Scarf {
        return;
    }
    let skin = Path::new(body).from(-0.62, 1.4).curve((-0.6, 1.75), (-0.35, depth), (0.0, depth)).curve(
        (0.35, depth),
        (0.6, 1.75),
        (0.62, 1.4),
    );
    canvas.fill(&skin, looks.skin.darker(0.1));
}

fn draw_sweater(canvas: &mut Canvas, body: &Transform, looks: &Looks) {
    neckline(canvas, body, looks, 2.02);
    let rib = Path::new(body)
        .from(-0.78, 1.62)
        .curve((-0.66, 2.0), (-0.35, 2.26), (0.0, 2.26))
        .curve((0.35, 2.26), (0.66, 2.0), (0.78, 1.62))
        .line(0.58, 1.52)
        .curve((0.5, 1.82), (0.3, 2.02), (0.0, 2.02))
        .curve((-0.3, 2.02), (-0.5, 1.82), (-0.58, 1.52));
    canvas.fill(&rib, looks.cloth.darker(0.22));
    for (y, height) in [(2.85, 0.13), (3.1, 0.06)] {
        let band = Path::new(body).from(-1.66, y).quad(0.0, y + 0.2, 1.66, y).line(1.66, y + height).quad(
            0.0,
            y + height + 0.2,
            -1.66,
            y + height,
        );
        canvas.fill(&band, looks.accent.fade(0.75));
    }
}

fn draw_shirt(canvas: &mut Canvas, body: &Transform, looks: &Looks) {
    neckline(canvas, body, looks, 2.5);
    let shade = looks.cloth.darker(0.4);
    canvas.fill(&Path::new(body).stroke((0.0, 2.5), (0.02, 3.4), (0.0, 4.6), (0.05, 0.05)), shade.fade(0.5));
    for side in [-1.0, 1.0] {
        let collar = Path::new(body)
            .from(side * 0.52, 1.34)
            .curve((side * 0.86, 1.5), (side * 0.98, 1.75), (side * 0.92, 2.4))
            .line(side * 0.06, 2.5)
            .curve((side * 0.3, 2.1), (side * 0.52, 1.8), (side * 0.52, 1.34));
        canvas.fill(&collar, looks.cloth.lighter(if side < 0.0 { 0.34 } else { 0.2 }));
        let edge = (side * 0.92, 2.4);
        canvas
            .fill(&Path::new(body).stroke((side * 0.06, 2.5), (side * 0.5, 2.5), edge, (0.03, 0.03)), shade.fade(0.4));
    }
    for y in [2.78, 3.25, 3.72] {
        canvas.fill(&Path::new(body).ellipse(0.0, y, 0.06, 0.06), looks.accent);
    }
}

fn draw_hoodie(canvas: &mut Canvas, body: &Transform, looks: &Looks) {
    let hood = Path::new(body)
        .from(-0.62, 1.2)
        .curve((-1.3, 1.45), (-1.4, 1.95), (-1.15, 2.2))
        .curve((-0.7, 2.75), (0.7, 2.75), (1.15, 2.2))
        .curve((1.4, 1.95), (1.3, 1.45), (0.62, 1.2))
        .line(0.0, 1.6);
    canvas.fill(&hood, looks.cloth.darker(0.16));
    let shirt = Path::new(body).from(-0.66, 1.4).curve((-0.7, 1.9), (-0.3, 2.35), (0.0, 2.4)).curve(
        (0.3, 2.35),
        (0.7, 1.9),
        (0.66, 1.4),
    );
    canvas.fill(&shirt, looks.accent.darker(0.06));
    neckline(canvas, body, looks, 1.98);
    for side in [-1.0, 1.0] {
        let cord = Path::new(body).stroke((side * 0.34, 2.42), (side * 0.42, 2.8), (side * 0.36, 3.3), (0.06, 0.06));
        canvas.fill(&cord, looks.accent);
        canvas.fill(&Path::new(body).ellipse(side * 0.36, 3.32, 0.06, 0.09), looks.accent.darker(0.3));
    }
}

fn draw_blazer(canvas: &mut Canvas, body: &Transform, looks: &Looks) {
    let blouse = Path::new(body).from(-0.72, 1.5).line(0.72, 1.5).curve((0.6, 2.6), (0.3, 3.5), (0.0, 4.2)).curve(
        (-0.3, 3.5),
        (-0.6, 2.6),
        (-0.72, 1.5),
    );
    canvas.fill(&blouse, looks.accent.lighter(0.2));
    neckline(canvas, body, looks, 2.2);
    let seam = Colour::hex(0x10_08_14);
    for side in [-1.0, 1.0] {
        let lapel = Path::new(body)
            .from(side * 0.6, 1.42)
            .curve((side * 0.98, 1.62), (side * 1.2, 1.82), (side * 1.28, 2.3))
            .line(side * 0.98, 2.42)
            .line(side * 1.16, 2.62)
            .curve((side * 0.8, 3.3), (side * 0.3, 3.9), (side * 0.02, 4.3))
            .curve((side * 0.2, 3.4), (side * 0.56, 2.4), (side * 0.6, 1.42));
        canvas.fill(&lapel, looks.cloth.lighter(if side < 0.0 { 0.14 } else { 0.03 }));
        let fold = Path::new(body).stroke((side * 0.6, 1.5), (side * 0.55, 2.6), (side * 0.03, 4.2), (0.05, 0.04));
        canvas.fill(&fold, seam.fade(0.28));
    }
}
