//! The head: neck, face, eyes that blink and look about, a mouth that speaks.

use super::super::paint::{Canvas, Colour, Paint};
use super::super::path::{Path, Transform};
use super::hair;
use super::looks::{HairStyle, Looks};

/// What changes from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pose {
    /// Head turned to the side, -1..=1: features move against the outline.
    pub turn: f32,
    /// Eyelids, 0 open to 1 closed.
    pub blink: f32,
    /// Mouth, 0 closed to 1 wide open.
    pub open: f32,
    /// Eyes to the side, -1..=1.
    pub gaze: f32,
    /// Brows raised, 0..=1.
    pub brows: f32,
}

/// Everything above the collar. `body` is the head at rest (the neck grows out of it), `head` the head now.
pub(super) fn draw(canvas: &mut Canvas, body: &Transform, head: &Transform, looks: &Looks, pose: &Pose) {
    hair::draw_back(canvas, head, looks);
    draw_neck(canvas, body, head, looks);
    draw_skull(canvas, head, looks);
    let features = head.moved(pose.turn * 0.12, 0.0);
    if looks.beard {
        draw_beard(canvas, head, looks);
    }
    draw_cheeks_and_nose(canvas, &features, looks);
    draw_mouth(canvas, &features, looks, pose);
    for side in [-1.0, 1.0] {
        draw_eye(canvas, &features, looks, pose, side);
    }
    hair::draw_front(canvas, head, looks);
    if looks.glasses {
        draw_glasses(canvas, &features, looks);
    }
}

fn draw_neck(canvas: &mut Canvas, body: &Transform, head: &Transform, looks: &Looks) {
    if looks.style == HairStyle::Scarf {
        return;
    }
    // Between the jaw of the head now and the collar of the body at rest: drawn in body coordinates, its upper end
    // following the head.
    let unit = body.scale();
    let jaw = head.at(0.0, 0.7);
    let rest = body.at(0.0, 0.7);
    let (dx, dy) = ((jaw.x - rest.x) / unit, (jaw.y - rest.y) / unit);
    let path = Path::new(body)
        .from(-0.5 + dx, 0.55 + dy)
        .curve((-0.5 + dx * 0.6, 1.2), (-0.5, 1.3), (-0.55, 1.48))
        .quad(0.0, 2.2, 0.55, 1.48)
        .curve((0.5, 1.3), (0.5 + dx * 0.6, 1.2), (0.5 + dx, 0.55 + dy));
    let paint = Paint::Linear {
        from: body.at(0.0, 0.95),
        to: body.at(0.0, 1.75),
        start: looks.skin.darker(0.34),
        end: looks.skin.darker(0.1),
    };
    canvas.fill(&path, paint);
}

fn face_outline(transform: &Transform, broad: f32) -> Path {
    Path::new(transform)
        .from(0.0, -1.22)
        .curve((0.64 * broad, -1.22), (1.02 * broad, -0.78), (1.0 * broad, -0.12))
        .curve((0.98 * broad, 0.58), (0.56 * broad, 1.24), (0.0, 1.24))
        .curve((-0.56 * broad, 1.24), (-0.98 * broad, 0.58), (-broad, -0.12))
        .curve((-1.02 * broad, -0.78), (-0.64 * broad, -1.22), (0.0, -1.22))
}

fn draw_skull(canvas: &mut Canvas, head: &Transform, looks: &Looks) {
    let covered = matches!(looks.style, HairStyle::Scarf | HairStyle::Bob | HairStyle::Long);
    if !covered {
        for side in [-1.0, 1.0] {
            let x = side * 1.0 * looks.broad;
            canvas.fill(&Path::new(head).ellipse(x, 0.08, 0.18, 0.27), looks.skin.darker(0.1));
            canvas.fill(&Path::new(head).ellipse(x + side * 0.02, 0.1, 0.08, 0.15), looks.skin.darker(0.26));
            if looks.earrings {
                canvas.fill(&Path::new(head).ellipse(x + side * 0.03, 0.42, 0.07, 0.07), Colour::hex(0xF0_C2_5A));
            }
        }
    }
    let paint = Paint::Linear {
        from: head.at(-0.75, -0.6),
        to: head.at(1.05, 0.75),
        start: looks.skin.lighter(0.14),
        end: looks.skin.darker(0.17),
    };
    canvas.fill(&face_outline(head, looks.broad), paint);
    // Light that the chin catches from below keeps the jaw from looking flat.
    let chin = Paint::Radial {
        centre: head.at(-0.1, 1.0),
        radius: 0.5 * head.scale(),
        inner: looks.skin.lighter(0.3).fade(0.28),
        outer: looks.skin.fade(0.0),
    };
    canvas.fill(&Path::new(head).ellipse(-0.1, 0.98, 0.42, 0.2), chin);
}

fn draw_cheeks_and_nose(canvas: &mut Canvas, features: &Transform, looks: &Looks) {
    let blush = looks.skin.mix(Colour::hex(0xE0_50_50), 0.55);
    for side in [-1.0, 1.0] {
        let paint = Paint::Radial {
            centre: features.at(side * 0.58, 0.42),
            radius: 0.32 * features.scale(),
            inner: blush.fade(0.3),
            outer: blush.fade(0.0),
        };
        canvas.fill(&Path::new(features).ellipse(side * 0.58, 0.42, 0.32, 0.32), paint);
    }
    let shade = looks.skin.darker(0.28);
    canvas.fill(
        &Path::new(features)
            .from(0.06, -0.1)
            .curve((0.1, 0.15), (0.24, 0.3), (0.16, 0.4))
            .curve((0.06, 0.47), (-0.06, 0.45), (-0.12, 0.38))
            .curve((0.02, 0.36), (0.04, 0.2), (0.06, -0.1)),
        shade.fade(0.55),
    );
    canvas.fill(
        &Path::new(features).stroke((-0.05, 0.08), (-0.04, 0.2), (-0.06, 0.3), (0.04, 0.09)),
        looks.skin.lighter(0.45).fade(0.45),
    );
}

fn draw_eye(canvas: &mut Canvas, features: &Transform, looks: &Looks, pose: &Pose, side: f32) {
    let x = side * 0.41;
    let y = -0.06;
    let open = 1.0 - pose.blink;
    let half = 0.19;
    let (upper, lower) = (0.2 * open, 0.13 * open.max(0.15));
    let lash = looks.hair.darker(0.5).mix(Colour::hex(0x20_16_18), 0.6);
    // Socket shade, then the white, the iris cut to the opening by drawing lids over it.
    let socket = Paint::Radial {
        centre: features.at(x, y - 0.04),
        radius: 0.34 * features.scale(),
        inner: looks.skin.darker(0.3).fade(0.4),
        outer: looks.skin.fade(0.0),
    };
    canvas.fill(&Path::new(features).ellipse(x, y - 0.04, 0.33, 0.28), socket);
    if open > 0.3 {
        let almond = Path::new(features).from(x - half, y + 0.02).quad(x, y - 2.0 * upper, x + half, y + 0.02).quad(
            x,
            y + 2.0 * lower,
            x - half,
            y + 0.02,
        );
        canvas.fill(&almond, Colour::hex(0xFB_F7_F2));
        let gaze = x + pose.gaze * 0.05;
        let ry = 0.125 * open.min(1.0);
        canvas.fill(&Path::new(features).ellipse(gaze, y - 0.02, 0.115, ry), looks.iris);
        canvas.fill(&Path::new(features).ellipse(gaze, y - 0.02, 0.06, ry * 0.52), Colour::hex(0x14_0E_10));
        let glint = Path::new(features).ellipse(gaze - 0.04, y - 0.07 * open, 0.033, 0.033 * open);
        canvas.fill(&glint, Colour::hex(0xFF_FF_FF).fade(0.95 * open * open));
    }
    // Upper lid: from an arch to a closed, slightly drooping line.
    let arch = y + 0.03 - 2.0 * upper + pose.blink * 0.14;
    let lid = Path::new(features).stroke((x - half - 0.015, y + 0.03), (x, arch), (x + half + 0.015, y + 0.03), {
        if side < 0.0 { (0.075, 0.05) } else { (0.05, 0.075) }
    });
    canvas.fill(&lid, lash);
    let brow_y = -0.43 - 0.07 * pose.brows;
    let brow = Path::new(features).stroke(
        (side * 0.2, brow_y + 0.05),
        (side * 0.42, brow_y - 0.09),
        (side * 0.68, brow_y + 0.06),
        (0.11, 0.04),
    );
    let brow_colour = if looks.style == HairStyle::Scarf { Colour::hex(0x3A_28_22) } else { looks.hair.darker(0.25) };
    canvas.fill(&brow, brow_colour);
}

fn draw_mouth(canvas: &mut Canvas, features: &Transform, looks: &Looks, pose: &Pose) {
    let lip = looks.skin.mix(Colour::hex(0xB0_38_48), 0.5).lighter(if looks.beard { 0.25 } else { 0.0 });
    let (x, y) = (0.0, 0.7);
    let width = 0.34 - 0.07 * pose.open;
    if pose.open < 0.08 {
        let smile = Path::new(features).stroke((x - 0.33, y - 0.02), (x, y + 0.16), (x + 0.33, y - 0.02), (0.05, 0.05));
        if looks.beard {
            canvas.fill(&Path::new(features).ellipse(x, y + 0.07, 0.3, 0.075), lip);
            canvas.fill(&smile, lip.darker(0.55));
            return;
        }
        canvas.fill(&smile, lip.darker(0.3));
        let under = Path::new(features).stroke((x - 0.15, y + 0.17), (x, y + 0.2), (x + 0.15, y + 0.17), (0.05, 0.05));
        canvas.fill(&under, looks.skin.darker(0.2).fade(0.6));
        return;
    }
    let drop = 0.1 + 0.36 * pose.open;
    let shape = |grow: f32| {
        Path::new(features)
            .from(x - width - grow, y - 0.02)
            .curve((x - width * 0.5, y - 0.09 - grow), (x + width * 0.5, y - 0.09 - grow), (x + width + grow, y - 0.02))
            .curve((x + width * 0.8, y + drop + grow), (x - width * 0.8, y + drop + grow), (x - width - grow, y - 0.02))
    };
    canvas.fill(&shape(0.055), lip);
    canvas.fill(&shape(0.0), Colour::hex(0x4A_16_1E));
    if pose.open > 0.2 {
        let tongue_y = y + drop * 0.66;
        canvas.fill(&Path::new(features).ellipse(x, tongue_y, width * 0.5, drop * 0.16), Colour::hex(0xD0_62_66));
    }
    let teeth = Path::new(features)
        .from(x - width * 0.78, y - 0.035)
        .quad(x, y - 0.075, x + width * 0.78, y - 0.035)
        .quad(x, y + 0.1, x - width * 0.78, y - 0.035);
    canvas.fill(&teeth, Colour::hex(0xFD_FA_F4));
}

fn draw_beard(canvas: &mut Canvas, head: &Transform, looks: &Looks) {
    let broad = looks.broad;
    let path = Path::new(head)
        .from(-broad, -0.1)
        .curve((-0.99 * broad, 0.62), (-0.58 * broad, 1.34), (0.0, 1.34))
        .curve((0.58 * broad, 1.34), (0.99 * broad, 0.62), (1.0 * broad, -0.1))
        .curve((0.92 * broad, 0.3), (0.75, 0.5), (0.45, 0.52))
        .curve((0.2, 0.45), (-0.2, 0.45), (-0.45, 0.52))
        .curve((-0.75, 0.5), (-0.92 * broad, 0.3), (-broad, -0.1));
    let paint = Paint::Linear {
        from: head.at(-0.8, 0.3),
        to: head.at(0.8, 1.2),
        start: looks.hair.lighter(0.1).fade(0.93),
        end: looks.hair.darker(0.2).fade(0.96),
    };
    canvas.fill(&path, paint);
}

fn draw_glasses(canvas: &mut Canvas, features: &Transform, looks: &Looks) {
    let rim = Colour::hex(if looks.skin.r < 0xA0 { 0xDD_B9_6E } else { 0x2A_24_2C });
    for side in [-1.0, 1.0] {
        let x = side * 0.42;
        // A ring: outer contour one way round, inner the other.
        let (rx, ry, rim_px) = (0.33, 0.28, 0.05);
        let glint = Colour::hex(0xFF_FF_FF);
        canvas.fill(&Path::new(features).ellipse(x, -0.02, rx, ry), glint.fade(0.1));
        let ring = Path::new(features).ellipse(x, -0.02, rx, ry).ellipse(x, -0.02, -(rx - rim_px), ry - rim_px);
        canvas.fill(&ring, rim);
        let streak = Path::new(features).stroke((x - 0.16, 0.08), (x - 0.06, -0.06), (x + 0.06, -0.18), (0.03, 0.05));
        canvas.fill(&streak, glint.fade(0.28));
        let temple =
            Path::new(features).stroke((x + side * 0.33, -0.06), (side * 0.9, -0.1), (side * 1.0, -0.06), (0.05, 0.05));
        canvas.fill(&temple, rim);
    }
    canvas.fill(&Path::new(features).stroke((-0.1, -0.05), (0.0, -0.12), (0.1, -0.05), (0.05, 0.05)), rim);
}
