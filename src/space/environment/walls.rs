//! The wall: bays with apse niches, the curtain behind the great wall, mouldings, cornice and the great frame.

use std::f32::consts::FRAC_PI_2;

use bevy::math::{Vec2, Vec3};

use super::builder::{Builder, Corner, Lathe, SHINES};
use super::palette::{
    BRASS, BRONZE, LAMP_GLASS, LIMESTONE, LIMESTONE_DEEP, MARBLE, NICHE, PLASTER, TERRACOTTA, VELVET,
};
use super::plan::{BAY, great_wall_half_angle, niche_angles, on_wall};
use crate::space::geometry::{
    CORNICE_HEIGHT, DOME_BASE_HEIGHT, GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, STEPS, WALL_RADIUS,
};

const FOOT: f32 = STEPS[1].1;
const NICHE_HALF_WIDTH: f32 = 1.18;
const NICHE_SILL: f32 = FOOT + 0.52;
const NICHE_SPRING: f32 = 4.35;
/// Depth of a niche as a share of its half width.
const NICHE_DEPTH: f32 = 0.86;
const UV: f32 = 0.4;

/// A bay's own coordinates to the room's: metres along the wall, height, metres into the wall.
fn bay_point(angle: f32, x: f32, y: f32, into: f32) -> Vec3 {
    on_wall(angle + x / WALL_RADIUS, WALL_RADIUS + into, y)
}

fn bay_normal(angle: f32, x: f32, local: Vec3) -> Vec3 {
    let at = angle + x / WALL_RADIUS;
    let (right, out) = (Vec3::new(at.cos(), 0.0, at.sin()), Vec3::new(at.sin(), 0.0, -at.cos()));
    (right * local.x + Vec3::Y * local.y + out * local.z).normalize()
}

/// Everything of stone.
pub(super) fn stone(builder: &mut Builder) {
    for (index, angle) in niche_angles().enumerate() {
        bay(builder, angle);
        niche(builder, angle);
        vase(builder, angle, index);
    }
    entablature(builder);
}

fn arch_top(x: f32) -> f32 {
    NICHE_SPRING + (NICHE_HALF_WIDTH * NICHE_HALF_WIDTH - x * x).max(0.0).sqrt()
}

/// The flat wall around a niche.
fn bay(builder: &mut Builder, angle: f32) {
    let half = BAY * WALL_RADIUS * 0.5;
    let w = NICHE_HALF_WIDTH;
    let tint = |y: f32| if y < FOOT + 0.40 { LIMESTONE_DEEP } else { LIMESTONE };
    // Beside a column and at the floor it is darker.
    let open = move |x: f32, y: f32| {
        let corner = ((half - x.abs()) / 0.8).clamp(0.0, 1.0);
        let floor = ((y - FOOT) / 0.8).clamp(0.0, 1.0);
        let cornice = ((CORNICE_HEIGHT - y) / 1.2).clamp(0.0, 1.0);
        (0.55 + 0.45 * corner) * (0.72 + 0.28 * floor) * (0.65 + 0.35 * cornice)
    };
    let flat = move |x: f32, y: f32| Corner {
        at: bay_point(angle, x, y, 0.0),
        normal: bay_normal(angle, x, Vec3::NEG_Z),
        uv: Vec2::new(angle * WALL_RADIUS + x, -y) * UV,
        tint: tint(y),
        open: open(x, y),
    };
    for side in [-1.0, 1.0] {
        builder.grid(4, 18, |u, v| flat(side * (w + (half - w) * u), FOOT + (CORNICE_HEIGHT - FOOT) * v));
    }
    builder.grid(6, 3, |u, v| flat(w * (2.0 * u - 1.0), FOOT + (NICHE_SILL - FOOT) * v));
    builder.grid(16, 8, |u, v| {
        let x = w * (FRAC_PI_2 * (2.0 * u - 1.0)).sin();
        flat(x, arch_top(x) + (CORNICE_HEIGHT - arch_top(x)) * v)
    });
    archivolt(builder, angle);
}

/// A raised band around the opening.
fn archivolt(builder: &mut Builder, angle: f32) {
    const WIDTH: f32 = 0.20;
    const PROUD: f32 = 0.07;
    // Along the opening: up the left side, around the arch, down the right side.
    let outline = |t: f32| -> (Vec2, Vec2) {
        let w = NICHE_HALF_WIDTH;
        let straight = NICHE_SPRING - NICHE_SILL;
        let arc = std::f32::consts::PI * w;
        let along = t * (2.0 * straight + arc);
        if along < straight {
            (Vec2::new(-w, NICHE_SILL + along), Vec2::NEG_X)
        } else if along < straight + arc {
            let turn = (along - straight) / w;
            let out = Vec2::new(-turn.cos(), turn.sin());
            (Vec2::new(0.0, NICHE_SPRING) + out * w, out)
        } else {
            (Vec2::new(w, NICHE_SPRING - (along - straight - arc)), Vec2::X)
        }
    };
    let corner = |t: f32, out: f32, into: f32, normal: fn(Vec2) -> Vec3| {
        let (at, away) = outline(t);
        let p = at + away * out;
        Corner {
            at: bay_point(angle, p.x, p.y, into),
            normal: bay_normal(angle, p.x, normal(away)),
            uv: Vec2::new(t * 3.0, out) * UV,
            tint: MARBLE,
            open: 0.95,
        }
    };
    builder.grid(36, 1, |u, v| corner(u, WIDTH * v, -PROUD, |_| Vec3::NEG_Z));
    builder.grid(36, 1, |u, v| corner(u, WIDTH, -PROUD * v, |away| away.extend(0.0)));
    builder.grid(36, 1, |u, v| corner(u, 0.0, -PROUD * v, |away| (-away).extend(0.0)));
}

/// The apse: half a cylinder with a quarter sphere on top, and its sill.
fn niche(builder: &mut Builder, angle: f32) {
    let w = NICHE_HALF_WIDTH;
    let inner = move |x: f32, y: f32| {
        let up = (y - NICHE_SPRING).max(0.0);
        let into = NICHE_DEPTH * (w * w - x * x - up * up).max(0.0).sqrt();
        let normal = -Vec3::new(x, up, into / (NICHE_DEPTH * NICHE_DEPTH));
        let deep = into / (NICHE_DEPTH * w);
        let low = ((y - NICHE_SILL) / 0.5).clamp(0.0, 1.0);
        Corner {
            at: bay_point(angle, x, y, into),
            normal: bay_normal(angle, x, normal.normalize_or(Vec3::NEG_Z)),
            uv: Vec2::new(x, -y) * UV,
            tint: NICHE.lerp(LIMESTONE, 0.25 * (1.0 - deep)),
            open: (0.62 + 0.38 * (1.0 - deep * 0.6)) * (0.7 + 0.3 * low),
        }
    };
    let across = |u: f32| w * (FRAC_PI_2 * (2.0 * u - 1.0)).sin();
    builder.grid(16, 8, |u, v| inner(across(u), NICHE_SILL + (NICHE_SPRING - NICHE_SILL) * v));
    builder.grid(16, 7, |u, v| {
        let x = across(u);
        inner(x, NICHE_SPRING + (arch_top(x) - NICHE_SPRING) * (FRAC_PI_2 * v).sin())
    });
    builder.grid(16, 2, |u, v| {
        let x = across(u);
        let into = NICHE_DEPTH * (w * w - x * x).max(0.0).sqrt() * v;
        Corner {
            at: bay_point(angle, x, NICHE_SILL, into),
            normal: Vec3::Y,
            uv: Vec2::new(x, into) * UV,
            tint: MARBLE,
            open: 0.9 - 0.25 * v,
        }
    });
    // A slit of light on the sill, behind its edge.
    let lamp = |x: f32, into: f32| bay_point(angle, x, NICHE_SILL + 0.02, into);
    builder.face(
        [lamp(-0.5, 0.10), lamp(0.5, 0.10), lamp(0.5, 0.16), lamp(-0.5, 0.16)],
        [Vec2::ZERO; 4],
        Vec3::Y * 50.0,
        LAMP_GLASS * 0.6,
        [SHINES; 4],
    );
}

/// A vessel on a low block in the niche; three shapes take turns.
fn vase(builder: &mut Builder, angle: f32, index: usize) {
    let axis = bay_point(angle, 0.0, NICHE_SILL, 0.44);
    let block = Lathe {
        profile: &[(0.30, 0.0), (0.30, 0.34), (0.0, 0.34)],
        axis,
        segments: 20,
        inside: false,
        tint: MARBLE,
        open: 0.9,
        ..Lathe::default()
    };
    builder.lathe(&block, |_| 1.0);
    const AMPHORA: &[(f32, f32)] = &[
        (0.10, 0.34),
        (0.13, 0.38),
        (0.08, 0.44),
        (0.20, 0.66),
        (0.295, 0.92),
        (0.30, 1.08),
        (0.24, 1.27),
        (0.12, 1.40),
        (0.10, 1.50),
        (0.17, 1.57),
        (0.13, 1.575),
    ];
    const BOWL: &[(f32, f32)] = &[
        (0.14, 0.34),
        (0.08, 0.40),
        (0.06, 0.58),
        (0.12, 0.66),
        (0.34, 0.84),
        (0.42, 1.04),
        (0.39, 1.05),
        (0.30, 0.95),
    ];
    const SPHERE: &[(f32, f32)] = &[
        (0.0, 0.34),
        (0.12, 0.36),
        (0.26, 0.45),
        (0.36, 0.60),
        (0.39, 0.74),
        (0.36, 0.89),
        (0.26, 1.04),
        (0.12, 1.12),
        (0.0, 1.14),
    ];
    let (profile, tint) = match index % 3 {
        0 => (AMPHORA, TERRACOTTA),
        1 => (SPHERE, BRONZE * 1.6),
        _ => (BOWL, MARBLE),
    };
    builder.lathe(
        &Lathe { profile, axis, segments: 20, inside: false, tint, open: 1.0, uv_scale: 0.15, ..Lathe::default() },
        |_| 1.0,
    );
}

/// Mouldings that run around the hall, and the cornice.
fn entablature(builder: &mut Builder) {
    let around = great_wall_half_angle();
    let band = |builder: &mut Builder, profile: &[(f32, f32)], tint, from, to| {
        builder.lathe(
            &Lathe {
                profile,
                from,
                to,
                segments: 144,
                tint,
                open: 0.92,
                uv_radius: 10.0,
                longest: 0.3,
                ..Lathe::default()
            },
            |_| 1.0,
        );
    };
    let tau = std::f32::consts::TAU;
    let r = WALL_RADIUS;
    // Base course and string course, interrupted by the great wall.
    band(
        builder,
        &[(r - 0.10, FOOT), (r - 0.10, FOOT + 0.34), (r - 0.02, FOOT + 0.42)],
        LIMESTONE_DEEP,
        around,
        tau - around,
    );
    band(
        builder,
        &[(r - 0.01, 6.72), (r - 0.14, 6.78), (r - 0.16, 6.90), (r - 0.06, 6.98), (r - 0.01, 7.0)],
        MARBLE,
        around,
        tau - around,
    );
    // Architrave, frieze, cornice.
    let y = CORNICE_HEIGHT;
    band(
        builder,
        &[(r + 0.1, y - 0.55), (r - 1.12, y - 0.55), (r - 1.12, y - 0.33), (r - 1.16, y - 0.31), (r - 1.16, y - 0.02)],
        MARBLE,
        0.0,
        tau,
    );
    band(
        builder,
        &[(r - 1.16, y - 0.02), (r - 1.185, y + 0.0), (r - 1.185, y + 0.05), (r - 1.16, y + 0.07)],
        BRASS,
        0.0,
        tau,
    );
    band(
        builder,
        &[
            (r - 1.16, y + 0.07),
            (r - 1.16, y + 0.42),
            (r - 1.30, y + 0.47),
            (r - 1.42, y + 0.58),
            (r - 1.46, y + 0.70),
            (r - 1.46, y + 0.82),
            (r - 1.36, y + 0.84),
        ],
        PLASTER,
        0.0,
        tau,
    );
    // The cove: light lies behind the cornice's edge.
    builder.lathe(
        &Lathe {
            profile: &[(r - 0.95, DOME_BASE_HEIGHT - 0.08), (r - 1.2, DOME_BASE_HEIGHT - 0.05)],
            segments: 96,
            inside: false,
            tint: LAMP_GLASS * 0.55,
            open: SHINES,
            ..Lathe::default()
        },
        |_| 1.0,
    );
}

/// Parts without texture: the velvet behind the great wall and the frame around its picture.
pub(super) fn plain(builder: &mut Builder) {
    let half = great_wall_half_angle();
    builder.grid(150, 10, |u, v| {
        let angle = -half + 2.0 * half * u;
        let fold = (angle * 62.0).sin();
        let second = (angle * 23.0 + 1.0).sin() * 0.35;
        let along = ((angle * 62.0).cos() * 62.0 * 0.085) / WALL_RADIUS;
        let out = Vec3::new(angle.sin(), 0.0, -angle.cos());
        let right = Vec3::new(angle.cos(), 0.0, angle.sin());
        let y = FOOT + (CORNICE_HEIGHT - 0.5 - FOOT) * v;
        let low = ((y - FOOT) / 0.9).clamp(0.0, 1.0);
        let high = ((CORNICE_HEIGHT - 0.5 - y) / 1.6).clamp(0.0, 1.0);
        let edge = ((half - angle.abs()) / 0.07).clamp(0.0, 1.0);
        Corner {
            at: out * (WALL_RADIUS - 0.22 + 0.085 * (fold + second)) + Vec3::Y * y,
            normal: (-out + right * along).normalize(),
            uv: Vec2::ZERO,
            tint: VELVET,
            open: (0.62 - 0.34 * fold) * (0.65 + 0.35 * low) * (0.5 + 0.5 * high) * (0.55 + 0.45 * edge) * 1.7,
        }
    });
    great_frame(builder);
}

/// A moulded frame, mitred at the corners.
fn great_frame(builder: &mut Builder) {
    // Outwards from the picture, towards the room.
    const PROFILE: [(f32, f32); 7] =
        [(0.00, 0.00), (0.03, 0.07), (0.10, 0.08), (0.14, 0.16), (0.30, 0.19), (0.36, 0.12), (0.38, -0.10)];
    let half = Vec2::new(GREAT_WALL_WIDTH, GREAT_WALL_WIDTH * 9.0 / 16.0) * 0.5;
    let point = |corner: Vec2, step: (f32, f32)| {
        GREAT_WALL_CENTRE + (corner * (half + Vec2::splat(step.0))).extend(step.1 - 0.06)
    };
    let corners = [Vec2::new(-1.0, -1.0), Vec2::new(1.0, -1.0), Vec2::new(1.0, 1.0), Vec2::new(-1.0, 1.0)];
    for side in 0..4 {
        let (a, b) = (corners[side], corners[(side + 1) % 4]);
        for (index, pair) in PROFILE.windows(2).enumerate() {
            let tint = if index == 0 || index == 2 { BRASS } else { BRONZE };
            // Each strip in pieces, so that the light along it is not one flat tone.
            for piece in 0..8 {
                let along = |t: f32, step| point(a, step).lerp(point(b, step), t);
                let (t0, t1) = (piece as f32 / 8.0, (piece + 1) as f32 / 8.0);
                let at = [along(t0, pair[0]), along(t1, pair[0]), along(t1, pair[1]), along(t0, pair[1])];
                builder.face(at, [Vec2::ZERO; 4], at[0] + Vec3::Z * 10.0, tint, [1.0; 4]);
            }
        }
    }
    // The back, so that the velvet is not seen through the edge.
    let back = |corner: Vec2| point(corner, (0.36, -0.08));
    builder.face(corners.map(back), [Vec2::ZERO; 4], GREAT_WALL_CENTRE + Vec3::Z * 9.0, BRONZE * 0.3, [0.4; 4]);
}
