//! What is behind the person: a lit wall, out of focus, with a hint of a place.

use ab_glyph::point;

use super::super::paint::{Canvas, Colour, Paint};
use super::super::path::{Path, Transform};
use super::super::rhythm::share;
use super::looks::{Looks, Scene};

/// Paints the whole canvas.
pub(super) fn draw(canvas: &mut Canvas, looks: &Looks, seed: u64) {
    let (width, height) = (canvas.width() as f32, canvas.height() as f32);
    let (lit, far) = looks.walls;
    let wall = Paint::Linear { from: point(0.0, 0.0), to: point(width, height), start: lit, end: far };
    canvas.fill(&Path::new(&Transform::IDENTITY).rect(0.0, 0.0, width, height), wall);
    // Pictures units: one is the height; (0, 0) the middle of the upper edge.
    let place = Transform::new(point(width / 2.0, 0.0), height, 0.0);
    match looks.scene {
        Scene::Lights => draw_lights(canvas, &place, looks, seed),
        Scene::Window => draw_window(canvas, &place, looks),
        Scene::Shelf => draw_shelf(canvas, &place, looks, seed),
        Scene::Plant => draw_plant(canvas, &place, looks),
    }
    glow(canvas, &place, (0.0, 0.42), 0.62, lit.lighter(0.35).fade(0.42));
}

/// A soft round light.
fn glow(canvas: &mut Canvas, place: &Transform, at: (f32, f32), radius: f32, colour: Colour) {
    let centre = place.at(at.0, at.1);
    let paint = Paint::Radial { centre, radius: radius * place.scale(), inner: colour, outer: colour.fade(0.0) };
    canvas.fill(&Path::new(place).ellipse(at.0, at.1, radius, radius), paint);
}

/// A shape with edges `blur` wide, drawn as nested fills.
fn soft(canvas: &mut Canvas, blur: f32, colour: Colour, shape: impl Fn(f32) -> Path) {
    const LAYERS: usize = 7;
    // Each layer adds its share of what is still missing, so that the middle ends at the full colour's strength.
    let strength = f32::from(colour.a) / 255.0;
    for layer in 0..LAYERS {
        let grow = blur * (0.5 - layer as f32 / (LAYERS - 1) as f32);
        let alpha = strength / (LAYERS as f32 - layer as f32 * strength);
        canvas.fill(&shape(grow), colour.fade(alpha));
    }
}

fn draw_lights(canvas: &mut Canvas, place: &Transform, looks: &Looks, seed: u64) {
    let (lit, far) = looks.walls;
    for i in 0..16 {
        let chance = |what: u64| share(seed, 1000 + i * 8 + what);
        let (x, y) = (chance(0) * 2.0 - 1.0, chance(1) * 0.85);
        let radius = 0.035 + chance(2) * 0.075;
        let warm = lit.lighter(0.2 + 0.5 * chance(3)).mix(looks.accent, chance(4) * 0.35);
        let colour = warm.fade(0.14 + 0.2 * chance(5));
        soft(canvas, 0.018, colour, |grow| Path::new(place).ellipse(x, y, radius + grow, radius + grow));
        let rim = Path::new(place).ellipse(x, y, radius, radius).ellipse(x, y, -radius * 0.93, radius * 0.93);
        canvas.fill(&rim, warm.fade(0.16));
    }
    glow(canvas, place, (0.75, 0.9), 0.6, far.darker(0.3).fade(0.5));
}

fn draw_window(canvas: &mut Canvas, place: &Transform, looks: &Looks) {
    let (lit, far) = looks.walls;
    let (left, right, top, bottom) = (-0.78, -0.24, 0.06, 0.66);
    soft(canvas, 0.03, far.darker(0.2).fade(0.75), |grow| {
        Path::new(place).round_rect(
            left - 0.03 - grow,
            top - 0.03 - grow,
            right + 0.03 + grow,
            bottom + 0.03 + grow,
            0.02,
        )
    });
    let sky = |grow: f32| Path::new(place).round_rect(left - grow, top - grow, right + grow, bottom + grow, 0.015);
    let paint = Paint::Linear {
        from: place.at(0.0, top),
        to: place.at(0.0, bottom),
        start: Colour::hex(0x9F_CD_EA),
        end: Colour::hex(0xFF_E9_C9),
    };
    canvas.fill(&sky(0.0), paint);
    let hills = Colour::hex(0x8F_B0_9A);
    canvas.fill(
        &Path::new(place)
            .from(left, bottom)
            .line(left, 0.52)
            .curve((-0.62, 0.44), (-0.52, 0.5), (-0.44, 0.53))
            .curve((-0.36, 0.56), (-0.3, 0.48), (right, 0.5))
            .line(right, bottom),
        hills.fade(0.85),
    );
    glow(canvas, place, (-0.4, 0.3), 0.22, Colour::hex(0xFF_FA_E8).fade(0.8));
    let bar = lit.mix(far, 0.55).darker(0.1);
    soft(canvas, 0.012, bar, |grow| Path::new(place).rect(-0.52 - grow, top, -0.5 + grow, bottom));
    soft(canvas, 0.012, bar, |grow| Path::new(place).rect(left, 0.35 - grow, right, 0.37 + grow));
    // Light that falls through it, and a lamp on the far side.
    let beam = Path::new(place).from(-0.24, 0.1).line(0.95, 0.55).line(0.95, 1.05).line(-0.24, 0.62);
    canvas.fill(&beam, Colour::hex(0xFF_F2_D8).fade(0.1));
    glow(canvas, place, (0.66, 0.2), 0.3, lit.lighter(0.55).fade(0.55));
}

fn draw_shelf(canvas: &mut Canvas, place: &Transform, looks: &Looks, seed: u64) {
    let (lit, far) = looks.walls;
    for (row, y) in [0.3_f32, 0.64].into_iter().enumerate() {
        soft(canvas, 0.014, far.darker(0.35), |grow| {
            Path::new(place).rect(-1.2, y - grow * 0.6, 1.2, y + 0.028 + grow * 0.6)
        });
        let mut x = -0.98;
        let mut book = 0;
        while x < 1.0 {
            let chance = |what: u64| share(seed, 2000 + row as u64 * 400 + book * 8 + what);
            let (width, height) = (0.026 + chance(0) * 0.03, 0.13 + chance(1) * 0.09);
            if chance(2) < 0.82 {
                let tint = lit.mix(far, chance(3)).mix([looks.accent, looks.cloth][(book % 2) as usize], 0.3);
                let spine = tint.darker(0.25 * chance(4)).fade(0.85);
                soft(canvas, 0.01, spine, |grow| {
                    Path::new(place).rect(x - grow, y - height - grow, x + width + grow, y - 0.002)
                });
            } else {
                x += 0.07;
            }
            x += width + 0.006;
            book += 1;
        }
    }
    glow(canvas, place, (-0.7, 0.1), 0.45, lit.lighter(0.5).fade(0.5));
    glow(canvas, place, (0.8, 0.8), 0.6, far.darker(0.45).fade(0.45));
}

fn draw_plant(canvas: &mut Canvas, place: &Transform, looks: &Looks) {
    let (lit, far) = looks.walls;
    let leaf = Colour::hex(0x3E_6B_4A).mix(far, 0.25);
    let root = (0.62, 0.86);
    for (i, (dx, dy, bend)) in
        [(-0.3, -0.42, -0.16), (-0.12, -0.6, -0.1), (0.08, -0.66, 0.06), (0.26, -0.5, 0.14), (0.36, -0.28, 0.16)]
            .into_iter()
            .enumerate()
    {
        let tip = (root.0 + dx, root.1 + dy);
        let middle = (root.0 + dx * 0.35 + bend * 0.2, root.1 + dy * 0.6);
        let shade = leaf.lighter(0.07 * i as f32).fade(0.8);
        soft(canvas, 0.014, shade, |grow| {
            let wide = 0.075 + grow;
            Path::new(place).from(root.0, root.1).quad(middle.0 - wide, middle.1, tip.0, tip.1).quad(
                middle.0 + wide,
                middle.1 + 0.05,
                root.0,
                root.1,
            )
        });
    }
    let pot = looks.accent.mix(far, 0.35);
    soft(canvas, 0.014, pot, |grow| {
        Path::new(place)
            .from(0.5 - grow, 0.8 - grow)
            .line(0.74 + grow, 0.8 - grow)
            .line(0.71 + grow, 1.05)
            .line(0.53 - grow, 1.05)
    });
    // A framed print on the other side.
    soft(canvas, 0.012, far.darker(0.25), |grow| {
        Path::new(place).rect(-0.76 - grow, 0.12 - grow, -0.42 + grow, 0.52 + grow)
    });
    canvas.fill(&Path::new(place).rect(-0.735, 0.145, -0.445, 0.495), lit.lighter(0.55));
    canvas.fill(&Path::new(place).ellipse(-0.6, 0.3, 0.08, 0.08), looks.accent.mix(lit, 0.25));
    canvas.fill(&Path::new(place).rect(-0.735, 0.4, -0.445, 0.495), looks.cloth.mix(lit, 0.45));
    glow(canvas, place, (-0.3, 0.0), 0.5, lit.lighter(0.5).fade(0.4));
}
