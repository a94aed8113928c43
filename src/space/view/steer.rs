//! Walking, looking, circling and zooming. Input is read into wishes, which a second system turns into movement, so that
//! tests and later remote control can steer without a keyboard.
//!
//! | input | what happens |
//! |---|---|
//! | `W A S D`, up and down | walk; with shift, run |
//! | left and right | turn |
//! | left button | look around |
//! | right button | walk around what is in the middle of the view |
//! | wheel | zoom |
//! | `Home`, `H` | back to the first view |

use std::f32::consts::{FRAC_PI_2, PI};

use bevy::input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll, MouseScrollUnit};
use bevy::prelude::*;
use bevy_egui::input::EguiWantsInput;

use super::RoomCamera;
use super::collide::slide;
use super::flight::{Flight, Station};
use crate::space::geometry::{EYE_HEIGHT, floor_height};
use crate::space::layout::{Entrance, RoomLayout};
use crate::space::participant::SeatPlan;
use crate::space::settings::Comfort;

/// Vertical field of view at the start, in radians.
pub(super) const DEFAULT_FOV: f32 = 0.83;
const NARROWEST_FOV: f32 = 0.25;
const WIDEST_FOV: f32 = 1.25;
const WALK_M_PER_SEC: f32 = 3.0;
const TURN_RAD_PER_SEC: f32 = 1.6;
const LOOK_RAD_PER_PX: f32 = 0.0032;
const ACCELERATION_PER_SEC: f32 = 9.0;
/// The longest frame that is walked through whole; longer ones slow down.
const LONGEST_FRAME_SECS: f32 = 0.25;
/// How near and how far what one walks around may be, in metres.
const AROUND_M: (f32, f32) = (1.5, 9.0);

/// So near the entrance one counts as sitting, in metres.
const AT_ENTRANCE_M: f32 = 2.0;

/// Whether one counts as sitting at one's seat or stands where the view is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Posture {
    /// At the seat that everyone sees, looking from there or from the entrance, where everyone begins.
    #[default]
    Seated,
    /// On one's own feet, where everyone sees it: away from the entrance, where the others look from and would see nobody.
    Standing,
}

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
    /// Wished turn around [`Walker::around`] in this frame, to the left, radians.
    pub circle: f32,
    /// What one walks around, on the floor, while one does.
    pub around: Option<Vec2>,
    /// Sitting or standing.
    pub posture: Posture,
    /// Looks from the own seat.
    pub(super) in_seat: bool,
    flight: Option<Flight>,
    velocity: Vec2,
    /// Height of the floor below, eased over steps.
    height: f32,
    /// Height of the eyes above it.
    eye_m: f32,
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
            circle: 0.0,
            around: None,
            posture: Posture::Seated,
            in_seat: false,
            flight: None,
            velocity: Vec2::ZERO,
            height: eye.y - EYE_HEIGHT,
            eye_m: EYE_HEIGHT,
        }
    }

    /// As everyone begins: at the entrance.
    pub fn at_entrance(layout: &RoomLayout) -> Self {
        let Entrance { at, look } = layout.entrance;
        Self::looking_at(Vec3::new(at.x, floor_height(at.length()) + EYE_HEIGHT, at.y), look)
    }

    /// Where the eyes are and whereto they look.
    pub fn pose(&self) -> Transform {
        Transform::from_xyz(self.ground.x, self.height + self.eye_m, self.ground.y).with_rotation(Quat::from_euler(
            EulerRot::YXZ,
            self.yaw,
            self.pitch,
            0.0,
        ))
    }

    /// Goes somewhere without walking.
    pub(super) fn fly_to(&mut self, to: Station, posture: Posture, in_seat: bool) {
        let from = Station { ground: self.ground, eye_m: self.eye_m, yaw: self.yaw, pitch: self.pitch };
        self.flight = Some(Flight::new(from, to));
        (self.posture, self.in_seat) = (posture, in_seat);
        (self.velocity, self.around) = (Vec2::ZERO, None);
    }

    fn stand_up(&mut self) {
        (self.posture, self.in_seat, self.flight) = (Posture::Standing, false, None);
    }

    /// Goes on with a flight, unless a step ends it.
    fn fly(&mut self, secs: f32) {
        if self.stride != Vec2::ZERO || self.circle != 0.0 {
            self.stand_up();
        }
        if let Some(flight) = self.flight {
            let (at, rest) = flight.go_on(secs);
            (self.ground, self.eye_m, self.yaw, self.pitch) = (at.ground, at.eye_m, at.yaw, at.pitch);
            self.flight = rest;
        }
    }

    /// Who has not gone far from the entrance, or is back there, is shown at their seat.
    fn settle(&mut self, entrance: Vec2) {
        if self.flight.is_none() && self.ground.distance(entrance) < AT_ENTRANCE_M {
            self.posture = Posture::Seated;
        }
    }

    /// The direction of view on the floor.
    fn forward(&self) -> Vec2 {
        let right = Vec2::from_angle(-self.yaw);
        Vec2::new(right.y, -right.x)
    }

    /// The point on the floor in the middle of the view: where the gaze meets it, or where it passes the hall's centre.
    fn looked_at(&self) -> Vec2 {
        let (near, far) = AROUND_M;
        let forward = self.forward();
        let down = if self.pitch < -0.05 { self.eye_m / -self.pitch.tan() } else { f32::MAX };
        let passing = -self.ground.dot(forward);
        self.ground + forward * down.min(passing).clamp(near, far)
    }
}

/// Whose a held mouse button is. That is decided a frame after it went down, when the overlay has seen where: with few
/// frames a second the mouse comes and presses within one, and what it moved before is no dragging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Drag {
    /// None is held.
    #[default]
    None,
    /// It just went down.
    Pressed,
    /// It drags the view.
    Room,
    /// It is the overlay's.
    Overlay,
}

impl Drag {
    fn next(self, buttons: &ButtonInput<MouseButton>, pointing: bool) -> Self {
        let looking = [MouseButton::Left, MouseButton::Right];
        match self {
            _ if buttons.any_just_pressed(looking) => Self::Pressed,
            _ if !buttons.any_pressed(looking) => Self::None,
            Self::Pressed if pointing => Self::Overlay,
            Self::Pressed => Self::Room,
            same => same,
        }
    }
}

/// Keys and mouse to wishes; whatever the overlay wants is left to it.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn read_input(
    time: Res<Time>,
    layout: Res<RoomLayout>,
    keys: Option<Res<ButtonInput<KeyCode>>>,
    buttons: Option<Res<ButtonInput<MouseButton>>>,
    motion: Option<Res<AccumulatedMouseMotion>>,
    scroll: Option<Res<AccumulatedMouseScroll>>,
    overlay: Option<Res<EguiWantsInput>>,
    mut drag: Local<Drag>,
    mut walkers: Query<&mut Walker>,
) {
    let (Some(keys), Some(buttons), Some(motion), Some(scroll)) = (keys, buttons, motion, scroll) else { return };
    let typing = overlay.as_ref().is_some_and(|overlay| overlay.wants_any_keyboard_input());
    let pointing = overlay.as_ref().is_some_and(|overlay| overlay.wants_any_pointer_input());
    *drag = drag.next(&buttons, pointing);
    let looks = *drag == Drag::Room;
    let held = |codes: &[KeyCode]| f32::from(!typing && codes.iter().any(|code| keys.pressed(*code)));
    for mut walker in &mut walkers {
        let forward = held(&[KeyCode::KeyW, KeyCode::ArrowUp]) - held(&[KeyCode::KeyS, KeyCode::ArrowDown]);
        let right = held(&[KeyCode::KeyD]) - held(&[KeyCode::KeyA]);
        let turn = held(&[KeyCode::ArrowLeft]) - held(&[KeyCode::ArrowRight]);
        let mut next = walker.clone();
        if !typing && keys.any_just_pressed([KeyCode::Home, KeyCode::KeyH]) {
            next.fly_to(Station::entrance(&layout), Posture::Seated, false);
            next.fov = DEFAULT_FOV;
        }
        next.stride = Vec2::new(right, forward).clamp_length_max(1.0);
        next.run = held(&[KeyCode::ShiftLeft, KeyCode::ShiftRight]) > 0.0;
        next.yaw += turn * TURN_RAD_PER_SEC * time.delta_secs();
        let finer = next.fov / DEFAULT_FOV;
        let moved = motion.delta * LOOK_RAD_PER_PX * finer;
        next.circle = 0.0;
        if looks && buttons.pressed(MouseButton::Right) {
            if next.around.is_none() {
                next.around = Some(next.looked_at());
            }
            next.circle = moved.x;
            next.pitch += moved.y;
        } else {
            next.around = None;
            if looks && buttons.pressed(MouseButton::Left) {
                next.yaw += moved.x;
                next.pitch += moved.y;
            }
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
    (time, comfort): (Res<Time>, Res<Comfort>),
    (plan, layout): (Res<SeatPlan>, Res<RoomLayout>),
    mut cameras: Query<(&mut Walker, &mut Transform, &mut Projection), With<RoomCamera>>,
) {
    let dt = time.delta_secs().min(LONGEST_FRAME_SECS);
    let chairs: Vec<Vec2> = plan.seats.iter().map(|seat| seat.place.xz()).collect();
    for (mut walker, mut transform, mut projection) in &mut cameras {
        walker.fly(comfort.motion_secs(&time).max(dt));
        advance(&mut walker, &chairs, dt);
        walker.settle(layout.entrance.at);
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

/// One frame of movement.
fn advance(walker: &mut Walker, chairs: &[Vec2], dt: f32) {
    let (forward, right) = (walker.forward(), Vec2::from_angle(-walker.yaw));
    let pace = if walker.run { WALK_M_PER_SEC * 1.9 } else { WALK_M_PER_SEC };
    let wished = (right * walker.stride.x + forward * walker.stride.y) * pace;
    let blend = 1.0 - (-ACCELERATION_PER_SEC * dt).exp();
    let velocity = walker.velocity.lerp(wished, blend);
    walker.velocity = if velocity.length_squared() < 1e-5 { Vec2::ZERO } else { velocity };
    if walker.velocity != Vec2::ZERO {
        walker.ground = slide(walker.ground, walker.velocity * dt, chairs);
    }
    if let Some(around) = walker.around.filter(|_| walker.circle != 0.0) {
        let from = walker.ground - around;
        let wished = around + Vec2::from_angle(walker.circle).rotate(from);
        walker.ground = slide(walker.ground, wished - walker.ground, chairs);
        // Angles on the floor grow from X towards Z, the direction of view the other way.
        walker.yaw -= from.angle_to(walker.ground - around);
    }
    if !walker.in_seat && walker.flight.is_none() {
        walker.eye_m += (EYE_HEIGHT - walker.eye_m) * (1.0 - (-7.0 * dt).exp());
    }
    let floor = floor_height(walker.ground.length());
    walker.height += (floor - walker.height) * (1.0 - (-10.0 * dt).exp());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advance(walker: &mut Walker, chairs: &[Vec2], dt: f32) {
        walker.fly(dt);
        super::advance(walker, chairs, dt);
        walker.settle(VIEWPOINT);
    }
    use crate::space::geometry::{VIEWPOINT, WALK_RADIUS};
    use crate::space::participant::seat_plan;

    fn walker() -> Walker {
        Walker::at_entrance(&RoomLayout::built_in())
    }

    #[test]
    fn looking_at_the_wall_means_looking_north() {
        let walker = Walker::looking_at(Vec3::new(0.0, 2.0, 8.0), Vec3::new(0.0, 2.0, -8.0));
        assert!(walker.yaw.abs() < 1e-6 && walker.pitch.abs() < 1e-6);
        let east = Walker::looking_at(Vec3::ZERO, Vec3::X);
        let facing = Quat::from_rotation_y(east.yaw) * Vec3::NEG_Z;
        assert!(facing.distance(Vec3::X) < 1e-5);
        assert!(east.forward().distance(Vec2::X) < 1e-5);
    }

    #[test]
    fn the_way_is_the_same_at_every_frame_rate_and_who_goes_into_the_hall_stands_there() {
        let walked = |fps: u32| {
            let mut walker = walker();
            assert_eq!(walker.posture, Posture::Seated, "everyone begins at their seat");
            walker.stride = Vec2::Y;
            (0..fps * 2).for_each(|_| advance(&mut walker, &[], 1.0 / fps as f32));
            assert_eq!(walker.posture, Posture::Standing);
            let way = VIEWPOINT.y - walker.ground.y;
            walker.stride = -Vec2::Y;
            (0..fps * 2).for_each(|_| advance(&mut walker, &[], 1.0 / fps as f32));
            assert_eq!(walker.posture, Posture::Seated, "back at the entrance, where nobody looks");
            way
        };
        let (slow, fast) = (walked(5), walked(60));
        assert!((5.0..6.0).contains(&fast) && (slow - fast).abs() < 0.5, "{slow} and {fast} m in two seconds");
    }

    #[test]
    fn a_flight_ends_in_the_seat_and_a_step_gets_up_from_it() {
        let plan = seat_plan(5);
        let chairs: Vec<Vec2> = plan.seats.iter().map(|seat| seat.place.xz()).collect();
        let mut walker = walker();
        walker.fly_to(Station::in_seat(&plan.seats[2]), Posture::Seated, true);
        (0..120).for_each(|_| advance(&mut walker, &chairs, 1.0 / 60.0));
        assert!(walker.ground.distance(chairs[2]) < 1e-3 && walker.eye_m < 1.5 && walker.in_seat);
        walker.stride = -Vec2::Y;
        (0..60).for_each(|_| advance(&mut walker, &chairs, 1.0 / 60.0));
        assert!(walker.ground.distance(chairs[2]) > 0.6 && walker.eye_m > 1.7 && !walker.in_seat);
    }

    #[test]
    fn walking_around_something_keeps_it_in_the_middle() {
        let mut walker = walker();
        walker.pitch = -0.3;
        let around = walker.looked_at();
        walker.around = Some(around);
        let far = walker.ground.distance(around);
        for _ in 0..30 {
            walker.circle = 0.05;
            advance(&mut walker, &[], 1.0 / 60.0);
            assert!((walker.ground.distance(around) - far).abs() < 0.8 && walker.ground.length() <= WALK_RADIUS + 1e-3);
            let to = (around - walker.ground).normalize();
            assert!(to.dot(walker.forward()) > 0.999, "{to} is ahead of {}", walker.forward());
        }
        assert!(walker.ground.distance(VIEWPOINT) > 1.5);
    }
}
