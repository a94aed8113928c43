//! The floor: an inlaid medallion, rings of wood and brass, and the steps around them.

use bevy::math::{Vec2, Vec3, Vec3Swizzles};

use super::builder::{Builder, Lathe};
use super::palette::{BRASS, GREEN_MARBLE, LIMESTONE, LIMESTONE_DEEP, MARBLE, WALNUT, WALNUT_DEEP};
use crate::space::geometry::{STEPS, WALL_RADIUS};

fn ring(builder: &mut Builder, inner: f32, outer: f32, height: f32, tint: Vec3, open: f32) {
    builder.lathe(
        &Lathe {
            profile: &[(inner, height), (outer, height)],
            segments: 128,
            longest: 0.22,
            tint,
            open,
            uv_radius: (inner + outer) * 0.5,
            uv_scale: 0.5,
            ..Lathe::default()
        },
        |_| 1.0,
    );
}

/// The parts of wood: polar planks, each ring a band of them.
pub(super) fn wood(builder: &mut Builder) {
    ring(builder, 2.06, 3.55, 0.0, WALNUT, 1.0);
    ring(builder, 3.61, 5.10, 0.0, WALNUT_DEEP, 1.0);
    ring(builder, 5.16, STEPS[0].0 + 0.01, 0.0, WALNUT, 1.0);
}

/// The level parts of stone and metal: medallion and inlays.
pub(super) fn inlays(builder: &mut Builder) {
    ring(builder, 0.0, 0.62, 0.0, MARBLE, 1.0);
    ring(builder, 0.62, 0.67, 0.0, BRASS, 1.0);
    ring(builder, 0.67, 1.62, 0.0, GREEN_MARBLE, 1.0);
    ring(builder, 1.62, 1.67, 0.0, BRASS, 1.0);
    ring(builder, 1.67, 2.0, 0.0, MARBLE, 1.0);
    ring(builder, 2.0, 2.06, 0.0, BRASS, 1.0);
    ring(builder, 3.55, 3.61, 0.0, BRASS, 1.0);
    ring(builder, 5.10, 5.16, 0.0, BRASS, 1.0);
    star(builder);
}

/// The steps around it.
pub(super) fn steps(builder: &mut Builder) {
    let mut below = 0.0;
    for (index, (inner, height)) in STEPS.into_iter().enumerate() {
        builder.lathe(
            &Lathe {
                profile: &[
                    (inner, below),
                    (inner, height - 0.035),
                    (inner - 0.03, height - 0.03),
                    (inner - 0.03, height),
                ],
                segments: 128,
                longest: 0.15,
                tint: LIMESTONE_DEEP,
                open: 0.82,
                uv_radius: inner,
                ..Lathe::default()
            },
            |_| 1.0,
        );
        let outer = STEPS.get(index + 1).map_or(WALL_RADIUS + 0.4, |step| step.0);
        ring(builder, inner - 0.03, inner + 0.06, height, BRASS, 1.0);
        let tread = builder.mark();
        ring(builder, inner + 0.06, outer, height, LIMESTONE, 1.0);
        // Darker where the next riser or the wall stands.
        builder.shade_since(tread, |corner| {
            let gap = outer - corner.at.xz().length();
            corner.open *= 0.70 + 0.30 * (gap / 0.55).clamp(0.0, 1.0);
        });
        below = height;
    }
}

/// An eight-pointed star in the medallion, a hair above the green marble.
fn star(builder: &mut Builder) {
    const LIFT: f32 = 0.004;
    let point = |angle: f32, radius: f32| Vec3::new(angle.sin() * radius, LIFT, -angle.cos() * radius);
    for ray in 0..8 {
        let angle = ray as f32 * std::f32::consts::FRAC_PI_4;
        let (long, tint) = if ray % 2 == 0 { (1.56, MARBLE) } else { (1.22, BRASS) };
        let side = std::f32::consts::FRAC_PI_8 * 0.72;
        for (turn, shade) in [(-side, 1.0), (side, 0.72)] {
            let at = [point(angle, 0.68), point(angle + turn, 0.74), point(angle, long), point(angle, 1.1)];
            builder.face(at, [Vec2::ZERO; 4], Vec3::Y * 5.0, tint * shade, [1.0; 4]);
        }
    }
}
