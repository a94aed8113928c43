//! Walking, looking and zooming. Input is read into wishes, which a second system turns into movement, so that tests
//! and later remote control can steer without a keyboard.

use std::f32::consts::{FRAC_PI_2, PI};

use bevy::input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll, MouseScrollUnit};
use bevy::prelude::*;
use bevy_egui::input::EguiWantsInput;

use super::RoomCamera;
use crate::space::geometry::{BAYS, COLUMN_RADIUS, EYE_HEIGHT, WALK_RADIUS, floor_height};
use crate::space::participant::Seat;

/// Vertical field of view at the start, in radians.
pub(super) const DEFAULT_FOV: f32 = 0.83;
const NARROWEST_FOV: f32 = 0.25;
const WIDEST_FOV: f32 = 1.25;
const WALK_M_PER_SEC: f32 = 3.0;
const TURN_RAD_PER_SEC: f32 = 1.6;
const LOOK_RAD_PER_PX: f32 = 0.0032;
const ACCELERATION_PER_SEC: f32 = 9.0;
/// Nobody walks through a chair or a column.
const CHAIR_CLEARANCE: f32 = 0.75;
const COLUMN_CLEARANCE: f32 = 0.85;

/// Position, direction and what is wished for.
#[derive(Component, Clone, Debug)]
pub struct Walker {
    /// On the floor, metres.
    pub ground: Vec2,
    /// Direction of view to the left of -Z, radians.
    pub yaw: f32,
    /// Upwards, radians.
    pub pitch: f32,
    /// Vertical field of view aimed for, radians.
    pub fov: f32,
    /// Wished movement: right and forward, each -1..=1.
    pub stride: Vec2,
    /// Running.
    pub run: bool,
    velocity: Vec2,
    height: f32,
}

impl Walker {
    /// Standing with the eyes at `eye`, looking at `target`.
    pub fn looking_at(eye: Vec3, target: Vec3) -> Self {
        let to = target - eye;
        Self {
            ground: eye.xz(),
            yaw: (-to.x).atan2(-to.z),
            pitch: to.y.atan2(to.x.hypot(to.z)),
            fov: DEFAULT_FOV,
            stride: Vec2::ZERO,
            run: false,
            velocity: Vec2::ZERO,
            height: eye.y - EYE_HEIGHT,
        }
    }

    /// Where the eyes are and whereto they look.
    pub fn pose(&self) -> Transform {
        Transform::from_xyz(self.ground.x, self.height + EYE_HEIGHT, self.ground.y).with_rotation(Quat::from_euler(
            EulerRot::YXZ,
            self.yaw,
            self.pitch,
            0.0,
        ))
    }
}

/// Keys and mouse to wishes; whatever the overlay wants is left to it.
pub(super) fn read_input(
    time: Res<Time>,
    keys: Option<Res<ButtonInput<KeyCode>>>,
    buttons: Option<Res<ButtonInput<MouseButton>>>,
    motion: Option<Res<AccumulatedMouseMotion>>,
    scroll: Option<Res<AccumulatedMouseScroll>>,
    overlay: Option<Res<EguiWantsInput>>,
    mut walkers: Query<&mut Walker>,
) {
    let (Some(keys), Some(buttons), Some(motion), Some(scroll)) = (keys, buttons, motion, scroll) else { return };
    let typing = overlay.as_ref().is_some_and(|overlay| overlay.wants_any_keyboard_input());
    let pointing = overlay.as_ref().is_some_and(|overlay| overlay.wants_any_pointer_input());
    let held = |codes: &[KeyCode]| f32::from(!typing && codes.iter().any(|code| keys.pressed(*code)));
    for mut walker in &mut walkers {
        let forward = held(&[KeyCode::KeyW, KeyCode::ArrowUp]) - held(&[KeyCode::KeyS, KeyCode::ArrowDown]);
        let right = held(&[KeyCode::KeyD]) - held(&[KeyCode::KeyA]);
        let turn = held(&[KeyCode::ArrowLeft]) - held(&[KeyCode::ArrowRight]);
        let mut next = walker.clone();
        next.stride = Vec2::new(right, forward).clamp_length_max(1.0);
        next.run = held(&[KeyCode::ShiftLeft, KeyCode::ShiftRight]) > 0.0;
        next.yaw += turn * TURN_RAD_PER_SEC * time.delta_secs();
        if !pointing && (buttons.pressed(MouseButton::Left) || buttons.pressed(MouseButton::Right)) {
            let finer = next.fov / DEFAULT_FOV;
            next.yaw += motion.delta.x * LOOK_RAD_PER_PX * finer;
            next.pitch += motion.delta.y * LOOK_RAD_PER_PX * finer;
        }
        if !pointing && scroll.delta.y != 0.0 {
            let lines = if scroll.unit == MouseScrollUnit::Pixel { scroll.delta.y / 40.0 } else { scroll.delta.y };
            next.fov *= (-lines.clamp(-5.0, 5.0) * 0.09).exp();
        }
        next.pitch = next.pitch.clamp(-1.2, FRAC_PI_2 - 0.08);
        next.yaw = (next.yaw + PI).rem_euclid(2.0 * PI) - PI;
        next.fov = next.fov.clamp(NARROWEST_FOV, WIDEST_FOV);
        *walker = next;
    }
}

/// Moves the camera: inside the walls, around columns and chairs, up and down the steps.
pub(super) fn walk(
    time: Res<Time>,
    seats: Query<&Seat>,
    mut cameras: Query<(&mut Walker, &mut Transform, &mut Projection), With<RoomCamera>>,
) {
    let dt = time.delta_secs().min(0.1);
    for (mut walker, mut transform, mut projection) in &mut cameras {
        let facing = Vec2::from_angle(-walker.yaw);
        let (right, forward) = (facing, Vec2::new(facing.y, -facing.x));
        let pace = if walker.run { WALK_M_PER_SEC * 1.9 } else { WALK_M_PER_SEC };
        let wished = (right * walker.stride.x + forward * walker.stride.y) * pace;
        let blend = 1.0 - (-ACCELERATION_PER_SEC * dt).exp();
        let velocity = walker.velocity.lerp(wished, blend);
        walker.velocity = if velocity.length_squared() < 1e-5 { Vec2::ZERO } else { velocity };
        if walker.velocity != Vec2::ZERO {
            let ground = walker.ground + walker.velocity * dt;
            walker.ground = keep_clear(ground, seats.iter().map(|seat| seat.place.xz()));
        }
        let floor = floor_height(walker.ground.length());
        walker.height += (floor - walker.height) * (1.0 - (-10.0 * dt).exp());
        let goal = walker.pose();
        if *transform != goal {
            *transform = goal;
        }
        if let Projection::Perspective(lens) = projection.as_ref()
            && (lens.fov - walker.fov).abs() > 1e-3
        {
            let fov = lens.fov + (walker.fov - lens.fov) * (1.0 - (-12.0 * dt).exp());
            if let Projection::Perspective(lens) = projection.as_mut() {
                lens.fov = fov;
            }
        }
    }
}

/// Pushes a point out of what stands around.
fn keep_clear(point: Vec2, chairs: impl Iterator<Item = Vec2>) -> Vec2 {
    let mut at = point;
    for chair in chairs {
        at = push_out(at, chair, CHAIR_CLEARANCE);
    }
    for bay in 0..BAYS {
        let angle = (bay as f32 + 0.5) / BAYS as f32 * 2.0 * PI;
        at = push_out(at, Vec2::new(angle.sin(), -angle.cos()) * COLUMN_RADIUS, COLUMN_CLEARANCE);
    }
    at.clamp_length_max(WALK_RADIUS)
}

fn push_out(at: Vec2, obstacle: Vec2, clearance: f32) -> Vec2 {
    let away = at - obstacle;
    if away.length_squared() >= clearance * clearance {
        return at;
    }
    obstacle + away.try_normalize().unwrap_or(Vec2::Y) * clearance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_leaves_the_hall_or_stands_in_a_chair() {
        assert!(keep_clear(Vec2::new(50.0, 0.0), std::iter::empty()).length() <= WALK_RADIUS + 1e-4);
        let chair = Vec2::new(1.0, 1.0);
        let at = keep_clear(Vec2::new(1.1, 1.0), std::iter::once(chair));
        assert!(at.distance(chair) >= CHAIR_CLEARANCE - 1e-4);
    }

    #[test]
    fn looking_at_the_wall_means_looking_north() {
        let walker = Walker::looking_at(Vec3::new(0.0, 2.0, 8.0), Vec3::new(0.0, 2.0, -8.0));
        assert!(walker.yaw.abs() < 1e-6 && walker.pitch.abs() < 1e-6);
        let east = Walker::looking_at(Vec3::ZERO, Vec3::X);
        let facing = Quat::from_rotation_y(east.yaw) * Vec3::NEG_Z;
        assert!(facing.distance(Vec3::X) < 1e-5);
    }
}
