//! Keys and mouse to wishes about the wall; whatever the overlay wants is left to it.
//!
//! | input | in the hall | at the wall |
//! |---|---|---|
//! | `E` | up to the picture nearest to the middle of the view | back |
//! | `Enter` | the same | |
//! | double click on a picture | up to it | pixel for pixel there, or whole again |
//! | `Esc` | | back |
//! | left, right | | the neighbour |
//! | wheel, `+`, `-` | | zoom around the pointer |
//! | drag | | pan |
//! | `0`, `1` | | whole, pixel for pixel |
//! | `P` held | points at the own share, where the mouse is | the same |

use bevy::ecs::system::SystemParam;
use bevy::input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll, MouseButtonInput, MouseScrollUnit};
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::input::EguiWantsInput;

use super::pointer::Pointing;
use super::slots::WallSlots;
use super::step::{CloseView, StepWish};
use super::surface::is_inside;
use super::{WallSlot, picture_in};
use crate::space::stream::{FaceLook, VideoFace};
use crate::space::view::{RoomCamera, ViewMode};

/// Two clicks within this are one double click, when the mouse hardly moves between them.
const DOUBLE_CLICK_SECS: f32 = 0.35;
const DOUBLE_CLICK_PX: f32 = 6.0;
/// A notch of the wheel, or a key, zooms by this.
const ZOOM_STEP: f32 = 1.2;
/// `E` steps up to pictures within this angle of the view's middle, in radians.
const NEAR_VIEW: f32 = 1.2;

/// What is seen where.
#[derive(SystemParam)]
pub(super) struct Sight<'w, 's> {
    slots: Res<'w, WallSlots>,
    faces: Query<'w, 's, (&'static WallSlot, &'static VideoFace, &'static FaceLook)>,
    cameras: Query<'w, 's, (&'static Camera, &'static GlobalTransform), With<RoomCamera>>,
    windows: Query<'w, 's, &'static Window, With<PrimaryWindow>>,
}

impl Sight<'_, '_> {
    /// Where the mouse is in the window, in logical pixels.
    fn mouse(&self) -> Option<Vec2> {
        self.windows.iter().next()?.cursor_position()
    }

    /// A place in the window as -1..=1 from the view's middle, Y up.
    fn in_view(&self, mouse: Vec2) -> Option<Vec2> {
        let size = self.cameras.iter().next()?.0.logical_viewport_size()?;
        let at = mouse / size * 2.0 - 1.0;
        Some(Vec2::new(at.x, -at.y))
    }

    /// The line of sight through a place in the window; through the middle of the view without one.
    fn ray(&self, mouse: Option<Vec2>) -> Option<Ray3d> {
        let (camera, transform) = self.cameras.iter().next()?;
        match mouse {
            Some(mouse) => camera.viewport_to_world(transform, mouse).ok(),
            None => Some(Ray3d { origin: transform.translation(), direction: transform.forward() }),
        }
    }

    /// The slot whose picture a line of sight meets, and where.
    fn met(&self, ray: Ray3d) -> Option<(usize, Vec2)> {
        self.slots.taken().find_map(|slot| {
            let at = picture_in(slot, &self.slots, &self.faces).met_by(ray.origin, *ray.direction)?;
            is_inside(at).then_some((slot, at))
        })
    }

    /// The slot whose picture is nearest to the middle of the view.
    fn looked_at(&self) -> Option<usize> {
        let ray = self.ray(None)?;
        let away = |slot: usize| {
            let to = picture_in(slot, &self.slots, &self.faces).centre - ray.origin;
            to.angle_between(*ray.direction)
        };
        let near = self.slots.taken().map(|slot| (slot, away(slot))).filter(|(_, angle)| *angle < NEAR_VIEW);
        near.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(slot, _)| slot)
    }
}

/// The keys.
pub(super) fn read_keys(
    keys: Option<Res<ButtonInput<KeyCode>>>,
    overlay: Option<Res<EguiWantsInput>>,
    mode: Res<ViewMode>,
    view: Res<CloseView>,
    sight: Sight,
    mut wishes: MessageWriter<StepWish>,
) {
    let Some(keys) = keys else { return };
    if overlay.is_some_and(|overlay| overlay.wants_any_keyboard_input()) {
        return;
    }
    if view.slot().is_none() {
        if *mode != ViewMode::Hall {
            return;
        }
        let asked = keys.any_just_pressed([KeyCode::KeyE, KeyCode::Enter]);
        if let Some(slot) = asked.then(|| sight.looked_at()).flatten() {
            wishes.write(StepWish::Up(slot));
        }
        return;
    }
    let around = sight.mouse().and_then(|mouse| sight.in_view(mouse)).unwrap_or(Vec2::ZERO);
    for key in keys.get_just_pressed() {
        let wish = match key {
            KeyCode::KeyE | KeyCode::Escape => StepWish::Back,
            KeyCode::ArrowLeft => StepWish::Along(-1),
            KeyCode::ArrowRight => StepWish::Along(1),
            KeyCode::Equal | KeyCode::NumpadAdd => StepWish::Zoom { factor: ZOOM_STEP, around },
            KeyCode::Minus | KeyCode::NumpadSubtract => StepWish::Zoom { factor: 1.0 / ZOOM_STEP, around },
            KeyCode::Digit0 | KeyCode::Numpad0 => StepWish::Whole,
            KeyCode::Digit1 | KeyCode::Numpad1 => StepWish::Exact(around),
            _ => continue,
        };
        wishes.write(wish);
    }
}

/// The click before this one.
#[derive(Default)]
pub(super) struct LastClick {
    at: Vec2,
    ago_secs: f32,
}

/// Double clicks, the wheel, and dragging.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn read_mouse(
    time: Res<Time>,
    buttons: Option<Res<ButtonInput<MouseButton>>>,
    motion: Option<Res<AccumulatedMouseMotion>>,
    scroll: Option<Res<AccumulatedMouseScroll>>,
    mut clicks: MessageReader<MouseButtonInput>,
    overlay: Option<Res<EguiWantsInput>>,
    mode: Res<ViewMode>,
    view: Res<CloseView>,
    sight: Sight,
    mut last: Local<LastClick>,
    mut wishes: MessageWriter<StepWish>,
) {
    last.ago_secs += time.delta_secs();
    // Both clicks of a double click may fall into one frame.
    let pressed = |click: &&MouseButtonInput| click.button == MouseButton::Left && click.state.is_pressed();
    let presses = clicks.read().filter(pressed).count();
    let (Some(buttons), Some(motion), Some(scroll)) = (buttons, motion, scroll) else { return };
    let Some(mouse) = sight.mouse() else { return };
    if overlay.is_some_and(|overlay| overlay.wants_any_pointer_input()) {
        return;
    }
    let close = view.slot().is_some();
    let around = sight.in_view(mouse).unwrap_or(Vec2::ZERO);
    for _ in 0..presses {
        let double = last.ago_secs < DOUBLE_CLICK_SECS && last.at.distance(mouse) < DOUBLE_CLICK_PX;
        (last.at, last.ago_secs) = (mouse, if double { f32::MAX } else { 0.0 });
        if double && close {
            wishes.write(if view.is_whole() { StepWish::Exact(around) } else { StepWish::Whole });
        } else if double
            && *mode == ViewMode::Hall
            && let Some((slot, _)) = sight.ray(Some(mouse)).and_then(|ray| sight.met(ray))
        {
            wishes.write(StepWish::Up(slot));
        }
    }
    if !close {
        return;
    }
    if scroll.delta.y != 0.0 {
        let notches = if scroll.unit == MouseScrollUnit::Pixel { scroll.delta.y / 40.0 } else { scroll.delta.y };
        wishes.write(StepWish::Zoom { factor: ZOOM_STEP.powf(notches.clamp(-5.0, 5.0)), around });
    }
    let size = sight.cameras.iter().next().and_then(|(camera, _)| camera.logical_viewport_size());
    if let Some(size) = size.filter(|size| size.min_element() > 0.0)
        && buttons.pressed(MouseButton::Left)
        && motion.delta != Vec2::ZERO
    {
        wishes.write(StepWish::Pan(motion.delta * Vec2::new(1.0, -1.0) / size));
    }
}

/// `P`: points where the mouse is, for as long as it is held.
pub(super) fn read_pointer(
    keys: Option<Res<ButtonInput<KeyCode>>>,
    overlay: Option<Res<EguiWantsInput>>,
    sight: Sight,
    mut pointing: ResMut<Pointing>,
) {
    let Some(keys) = keys else { return };
    let typing = overlay.is_some_and(|overlay| overlay.wants_any_keyboard_input());
    if keys.pressed(KeyCode::KeyP) && !typing {
        let met = sight.mouse().and_then(|mouse| sight.met(sight.ray(Some(mouse))?));
        let target = met.and_then(|(slot, at)| Some((sight.slots.stream(slot)?.clone(), at)));
        pointing.set_if_neq(Pointing(target));
    } else if keys.just_released(KeyCode::KeyP) {
        pointing.set_if_neq(Pointing(None));
    }
}
