//! A chair at every seat with the soft shadow below it, for everyone who sits the slim stand their panel rests on, and
//! the ring of light around the chair that a click would take. One mesh each, drawn many times; so they are lit by what
//! light there is on average, not by where they stand. Follows seats in [`crate::space::SpaceSystems::Sync`].

use bevy::light::NotShadowCaster;
use bevy::math::Vec3;
use bevy::prelude::*;

use super::builder::{Builder, Lathe, SHINES};
use super::hall::Part;
use super::light::MoodLight;
use super::material::HallAssets;
use super::palette::{BRASS, BRONZE, LAMP_GLASS, TEAL_LEATHER};
use crate::space::geometry::VIEWPOINT;
use crate::space::participant::{LocalParticipant, Presenting, Seat, SeatPlan, Standing};
use crate::space::view::{AimedSeat, on_the_floor};

/// The stand at a participant's seat.
#[derive(Component, Debug)]
#[relationship(relationship_target = HasStand)]
pub(super) struct StandOf(pub Entity);

/// The stand of a participant; it goes with them.
#[derive(Component, Debug)]
#[relationship_target(relationship = StandOf, linked_spawn)]
pub(super) struct HasStand(Vec<Entity>);

/// What stands at a seat, by the seat's number.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StandsAt(usize);

/// Which piece.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Chair,
    Stand,
    Shadow,
}

/// The ring around the chair that is aimed at.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct AimRing;

/// A round club chair, its front towards +Z.
pub(super) fn chair_mesh(mood: &MoodLight) -> Mesh {
    let mut builder = Builder::default();
    // Angles run clockwise from -Z, the back: the shell goes around it and ends in two arms.
    let shell = |profile, open, inside| Lathe {
        profile,
        from: -2.15,
        to: 2.15,
        segments: 36,
        longest: 0.2,
        inside,
        tint: TEAL_LEATHER,
        open,
        ..Lathe::default()
    };
    let mark = builder.mark();
    builder
        .lathe(&shell(&[(0.40, 0.12), (0.45, 0.26), (0.47, 0.50), (0.465, 0.585), (0.435, 0.615)], 0.9, false), |_| {
            1.0
        });
    builder.lathe(&shell(&[(0.435, 0.615), (0.40, 0.60), (0.375, 0.54), (0.36, 0.36)], 0.8, false), |_| 1.0);
    builder.shade_since(mark, |corner| {
        // The back is a little higher than the arms, in one soft curve; deep inside it is darker.
        let back = 0.5 + 0.5 * (corner.at.x.atan2(-corner.at.z) * 1.25).clamp(-3.1, 3.1).cos();
        let share = ((corner.at.y - 0.26) / 0.36).clamp(0.0, 1.0);
        corner.at.y += 0.20 * back * share;
        corner.open *= 0.55 + 0.45 * ((corner.at.y - 0.1) / 0.5).clamp(0.0, 1.0);
    });
    let round = |profile, tint, open| Lathe { profile, segments: 28, inside: false, tint, open, ..Lathe::default() };
    builder.lathe(
        &round(
            &[(0.34, 0.24), (0.375, 0.30), (0.37, 0.36), (0.33, 0.395), (0.18, 0.41), (0.0, 0.41)],
            TEAL_LEATHER * 1.2,
            0.85,
        ),
        |_| 1.0,
    );
    // A dark swivel base with a brass rim.
    builder.lathe(&round(&[(0.34, 0.24), (0.30, 0.14), (0.26, 0.06)], BRONZE * 0.5, 0.35), |_| 1.0);
    builder.lathe(&round(&[(0.30, 0.012), (0.30, 0.035), (0.0, 0.06)], BRASS * 0.7, 0.6), |_| 1.0);
    builder.finish_with(|corner| furniture_light(corner.normal, mood), |corner| 0.03 * (-corner.normal.z).max(0.0))
}

/// A brass rod, one metre high, to be stretched.
pub(super) fn stand_mesh(mood: &MoodLight) -> Mesh {
    let mut builder = Builder::default();
    let rod = [(0.016, 0.0), (0.016, 1.0)];
    builder.lathe(
        &Lathe { profile: &rod, segments: 8, inside: false, tint: BRASS.lerp(BRONZE, 0.4), ..Lathe::default() },
        |_| 1.0,
    );
    builder.finish_with(|corner| furniture_light(corner.normal, mood), |_| 0.0)
}

/// A disc on the floor; its texture coordinates run from the centre (0) to the edge (1).
pub(super) fn shadow_mesh() -> Mesh {
    let mut builder = Builder::default();
    builder.grid(24, 1, |u, v| {
        let angle = u * std::f32::consts::TAU;
        super::builder::Corner {
            at: Vec3::new(angle.sin() * v, 0.0, -angle.cos() * v),
            normal: Vec3::Y,
            uv: Vec2::new(v, 0.0),
            tint: Vec3::ONE,
            open: 1.0,
        }
    });
    builder.finish_with(|_| Vec3::ONE, |_| 0.0)
}

/// A flat ring that shines, to lie around a chair.
pub(super) fn ring_mesh() -> Mesh {
    let mut builder = Builder::default();
    builder.lathe(
        &Lathe {
            profile: &[(0.62, 0.0), (0.70, 0.0)],
            segments: 48,
            tint: LAMP_GLASS.lerp(BRASS, 0.35),
            open: SHINES,
            ..Lathe::default()
        },
        |_| 1.0,
    );
    builder.finish_with(|_| Vec3::ONE, |_| 0.0)
}

/// The hall's mean light: from the oculus above, warm from the columns around.
fn furniture_light(normal: Vec3, mood: &MoodLight) -> Vec3 {
    let sky = Vec3::new(0.62, 0.66, 0.70) * normal.y.max(0.0);
    let around = Vec3::new(0.34, 0.22, 0.13) * (0.35 + 0.65 * normal.xz().length());
    let below = Vec3::new(0.09, 0.065, 0.045);
    sky * mood.furniture[0] + (around + below) * mood.furniture[1]
}

/// Sets out a chair and its shadow at every seat, and takes away what is too many.
pub(super) fn set_out_chairs(
    mut commands: Commands,
    plan: Res<SeatPlan>,
    assets: Res<HallAssets>,
    mut pieces: Query<(Entity, &StandsAt, &Piece, &mut Transform)>,
) {
    if !plan.is_changed() {
        return;
    }
    let mut furnished = 0;
    for (entity, at, piece, mut transform) in &mut pieces {
        furnished = furnished.max(at.0 + 1);
        match plan.seats.get(at.0) {
            Some(seat) => {
                transform.set_if_neq(place(*piece, seat));
            }
            None => commands.entity(entity).despawn(),
        }
    }
    for seat in plan.seats.iter().skip(furnished) {
        let chair = (Mesh3d(assets.mesh(Part::Chair).clone()), MeshMaterial3d(assets.plain.clone()));
        commands.spawn((StandsAt(seat.index), Piece::Chair, chair, place(Piece::Chair, seat)));
        let shadow = (Mesh3d(assets.shadow_disc.clone()), MeshMaterial3d(assets.shadow.clone()));
        let flat = (NotShadowCaster, on_the_floor());
        commands.spawn((StandsAt(seat.index), Piece::Shadow, shadow, flat, place(Piece::Shadow, seat)));
    }
}

type Unsupported = (Without<HasStand>, Without<LocalParticipant>);

/// A stand for everyone whose panel hangs above their seat. One's own chair has none.
pub(super) fn raise_stands(
    mut commands: Commands,
    people: Query<(Entity, &Seat), Unsupported>,
    local: Query<&HasStand, With<LocalParticipant>>,
    assets: Res<HallAssets>,
) {
    // One was raised when the login had not yet told who "me" is.
    for stand in local.iter().flat_map(|stands| &stands.0) {
        commands.entity(*stand).despawn();
    }
    for (entity, seat) in &people {
        let look = (Mesh3d(assets.mesh(Part::Stand).clone()), MeshMaterial3d(assets.plain.clone()));
        // The panel on it throws no shadow: a rod's alone would look odd.
        commands.spawn((StandOf(entity), Piece::Stand, look, NotShadowCaster, place(Piece::Stand, seat)));
    }
}

/// Moves stands with their seats; nothing rests on that of one who walks or presents.
pub(super) fn move_stands(
    people: Query<(Ref<Seat>, Has<Standing>, Has<Presenting>)>,
    mut stands: Query<(&StandOf, &mut Transform, &mut Visibility)>,
) {
    for (of, mut transform, mut visibility) in &mut stands {
        let Ok((seat, walks, presents)) = people.get(of.0) else { continue };
        if seat.is_changed() {
            *transform = place(Piece::Stand, &seat);
        }
        visibility.set_if_neq(if walks || presents { Visibility::Hidden } else { Visibility::Inherited });
    }
}

/// Lays the ring around the chair that a click would take.
pub(super) fn mark_aimed_chair(
    mut commands: Commands,
    aimed: Res<AimedSeat>,
    plan: Res<SeatPlan>,
    assets: Res<HallAssets>,
    mut rings: Query<(&mut Transform, &mut Visibility), With<AimRing>>,
) {
    let seat = aimed.0.and_then(|index| plan.seats.get(index));
    let Some((mut transform, mut visibility)) = rings.iter_mut().next() else {
        let look = (Mesh3d(assets.ring.clone()), MeshMaterial3d(assets.plain.clone()));
        let flat = (NotShadowCaster, on_the_floor());
        commands.spawn((Name::new("aimed chair"), AimRing, look, flat, Transform::default(), Visibility::Hidden));
        return;
    };
    match seat {
        Some(seat) => {
            transform.set_if_neq(Transform::from_translation(seat.place + Vec3::Y * 0.02));
            visibility.set_if_neq(Visibility::Inherited);
        }
        None => {
            visibility.set_if_neq(Visibility::Hidden);
        }
    }
}

fn place(piece: Piece, seat: &Seat) -> Transform {
    let to = Vec3::new(VIEWPOINT.x, 0.0, VIEWPOINT.y) - seat.place;
    let facing = Quat::from_rotation_y(to.x.atan2(to.z));
    let behind = seat.place + facing * Vec3::new(0.0, 0.0, -0.46);
    match piece {
        Piece::Chair => Transform::from_translation(seat.place).with_rotation(facing),
        Piece::Stand => {
            let height = (seat.panel.y - seat.place.y).max(0.1);

            Transform::from_translation(behind).with_scale(Vec3::new(1.0, height, 1.0))
        }
        Piece::Shadow => {
            Transform::from_translation(seat.place + Vec3::Y * 0.012).with_scale(Vec3::new(0.95, 1.0, 0.95))
        }
    }
}
