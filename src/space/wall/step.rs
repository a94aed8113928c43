//! Stepping up to the wall: the view glides until a picture fills it, is zoomed and panned there, and glides back to
//! exactly where one stood, for the walker was left alone meanwhile. Input comes as wishes ([`StepWish`]), which keys,
//! mouse, overlay and tests write alike.
//!
//! The camera looks straight at the picture from close by, so a wider or narrower angle is a pure zoom and a step
//! sideways a pure pan: nothing is distorted, and nobody's panel comes in between.

use bevy::prelude::*;

use super::slots::WallSlots;
use super::surface::Surface;
use super::{WallSlot, picture_in, size_in};
use crate::model::StreamId;
use crate::space::settings::Comfort;
use crate::space::stream::{FaceLook, VideoFace};
use crate::space::view::{RoomCamera, ViewMode, Walker};

/// How long the way there and back takes.
const GLIDE_SECS: f32 = 0.35;
/// Air around a picture that fills the view, as a share of its size.
const MARGIN: f32 = 0.03;
/// A pixel of the picture may become this many of the screen.
const CLOSEST_PX: f32 = 4.0;
/// How near the eye is: nobody stands in between. Further only where the view would have to be wider than this.
const DISTANCE_M: f32 = 2.6;
const WIDEST_FOV: f32 = 1.9;

/// A wish about the close view.
#[derive(Message, Clone, Copy, Debug, PartialEq)]
pub enum StepWish {
    /// Step up to a slot.
    Up(usize),
    /// Step back to where one stood.
    Back,
    /// Go to the neighbour: so many pictures to the right, or to the left when negative.
    Along(i32),
    /// Zoom in by a factor above 1, out below, around a point of the view: -1..=1 from its centre, X right, Y up.
    Zoom {
        /// How much nearer.
        factor: f32,
        /// What stays where it is.
        around: Vec2,
    },
    /// Move the picture, in views: 1 is the whole width or height. X right, Y up.
    Pan(Vec2),
    /// Show the whole picture.
    Whole,
    /// Show each pixel of the picture as one of the screen, around a point as in `Zoom`.
    Exact(Vec2),
}

/// What is looked at closely, and how.
#[derive(Resource, Clone, Debug, Default)]
pub struct CloseView {
    close: Option<Close>,
    glide: Option<Glide>,
}

#[derive(Clone, Debug, PartialEq)]
struct Close {
    slot: usize,
    stream: StreamId,
    frame: Frame,
}

/// The part of a picture's plane that is seen: its middle from the picture's, and its height, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    middle: Vec2,
    height: f32,
    /// Follows the size of view and picture until somebody zooms.
    whole: bool,
}

#[derive(Clone, Copy, Debug)]
struct Glide {
    from: Pose,
    secs: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Pose {
    at: Vec3,
    rotation: Quat,
    fov: f32,
}

impl CloseView {
    /// The slot one stands before.
    pub fn slot(&self) -> Option<usize> {
        self.close.as_ref().map(|close| close.slot)
    }

    /// Whether all of the picture is seen, not a part of it.
    pub fn is_whole(&self) -> bool {
        self.close.as_ref().is_none_or(|close| close.frame.whole)
    }

    /// The stream one looks at.
    pub fn stream(&self) -> Option<&StreamId> {
        self.close.as_ref().map(|close| &close.stream)
    }
}

/// What limits a frame: the picture, in metres and pixels, and the view, in pixels.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    picture: Vec2,
    picture_px: UVec2,
    view_px: Vec2,
}

impl Bounds {
    fn aspect(&self) -> f32 {
        self.view_px.x / self.view_px.y
    }

    /// The height at which all of the picture is seen.
    fn whole(&self) -> f32 {
        let picture = self.picture * (1.0 + 2.0 * MARGIN);
        picture.y.max(picture.x / self.aspect())
    }

    /// The height at which a pixel of the picture is one of the screen; unknown before the first picture.
    fn exact(&self) -> Option<f32> {
        (self.picture_px.y > 0).then(|| self.view_px.y * self.picture.y / self.picture_px.y as f32)
    }

    fn closest(&self) -> f32 {
        let whole = self.whole();
        self.exact().map_or(whole / 8.0, |exact| (exact / CLOSEST_PX).min(whole))
    }

    /// Where a frame may be: not further than the whole picture, not nearer than the closest, and over the picture.
    fn keep(&self, frame: Frame) -> Frame {
        let height = if frame.whole || !frame.height.is_finite() {
            self.whole()
        } else {
            frame.height.clamp(self.closest(), self.whole())
        };
        let seen = Vec2::new(height * self.aspect(), height);
        // As much air beside the picture's edge as around the whole picture.
        let room = ((self.picture - seen / (1.0 + 2.0 * MARGIN)) * 0.5).max(Vec2::ZERO);
        let middle = if frame.middle.is_finite() { frame.middle.clamp(-room, room) } else { Vec2::ZERO };
        Frame { middle, height, whole: frame.whole }
    }

    /// Another height, so that what is seen `around` stays there.
    fn zoomed(&self, frame: Frame, height: f32, around: Vec2) -> Frame {
        let around = around.clamp(Vec2::NEG_ONE, Vec2::ONE);
        let next = self.keep(Frame { height, whole: false, ..frame });
        let middle = frame.middle + around * Vec2::new(self.aspect(), 1.0) * 0.5 * (frame.height - next.height);
        // Zoomed out as far as it goes, it is whole again.
        self.keep(Frame { middle, whole: next.height >= self.whole(), ..next })
    }
}

type Cameras<'w, 's> = Query<
    'w,
    's,
    (&'static Camera, &'static Walker, &'static mut Transform, &'static mut Projection),
    With<RoomCamera>,
>;
type Faces<'w, 's> = Query<'w, 's, (&'static WallSlot, &'static VideoFace, &'static FaceLook)>;

/// The size of the view in pixels; some size where nothing is drawn.
fn view_px(camera: &Camera) -> Vec2 {
    camera.physical_viewport_size().map_or(Vec2::new(1280.0, 720.0), |size| size.as_vec2().max(Vec2::ONE))
}

/// Does what was wished for, follows a picture that is moved to another slot, and steps back when it is gone.
pub(super) fn carry_out(
    mut wishes: MessageReader<StepWish>,
    slots: Res<WallSlots>,
    faces: Faces,
    mut mode: ResMut<ViewMode>,
    mut view: ResMut<CloseView>,
    cameras: Cameras,
) {
    let Some((camera, _, transform, projection)) = cameras.iter().next() else {
        wishes.clear();
        return;
    };
    let px = view_px(camera);
    let bounds = |slot: usize| Bounds {
        picture: picture_in(slot, &slots, &faces).size,
        picture_px: size_in(slot, &faces),
        view_px: px,
    };
    let before = (view.slot(), *mode);
    // Another feature, or the application, may have chosen a way of looking.
    let mut close = view.close.clone().filter(|_| matches!(*mode, ViewMode::Wall(_)));
    if let ViewMode::Wall(slot) = *mode
        && close.as_ref().is_none_or(|close| close.slot != slot)
    {
        close = step_to(slot, &slots);
    }
    if let Some(now) = &mut close {
        match slots.slot_of(&now.stream) {
            Some(slot) => now.slot = slot,
            None => close = None,
        }
    }
    for wish in wishes.read() {
        match (*wish, &mut close) {
            (StepWish::Up(slot), _) => close = step_to(slot, &slots).or(close),
            (StepWish::Back, _) => close = None,
            (StepWish::Along(steps), Some(now)) => {
                let taken: Vec<usize> = slots.taken().collect();
                let here = taken.iter().position(|slot| *slot == now.slot).unwrap_or(0);
                let there = here.saturating_add_signed(steps as isize).min(taken.len().saturating_sub(1));
                if there != here {
                    close = taken.get(there).and_then(|slot| step_to(*slot, &slots));
                }
            }
            (StepWish::Zoom { factor, around }, Some(now))
                if factor.is_finite() && factor > 0.0 && around.is_finite() =>
            {
                let (bounds, frame) = (bounds(now.slot), bounds(now.slot).keep(now.frame));
                now.frame = bounds.zoomed(frame, frame.height / factor, around);
            }
            (StepWish::Exact(around), Some(now)) if around.is_finite() => {
                let (bounds, frame) = (bounds(now.slot), bounds(now.slot).keep(now.frame));
                now.frame = bounds.zoomed(frame, bounds.exact().unwrap_or(frame.height), around);
            }
            (StepWish::Pan(by), Some(now)) if by.is_finite() => {
                let (bounds, frame) = (bounds(now.slot), bounds(now.slot).keep(now.frame));
                let by = by * Vec2::new(bounds.aspect(), 1.0) * frame.height;
                now.frame = bounds.keep(Frame { middle: frame.middle - by, ..frame });
            }
            (StepWish::Whole, Some(now)) => now.frame = Frame::WHOLE,
            _ => {}
        }
    }
    let after = close.as_ref().map(|close| close.slot);
    match after {
        Some(slot) => {
            mode.set_if_neq(ViewMode::Wall(slot));
        }
        // A flat view that was chosen meanwhile is left alone.
        None if matches!(*mode, ViewMode::Wall(_)) => *mode = ViewMode::Hall,
        None => {}
    }
    if view.close != close {
        view.close = close;
    }
    let hall =
        matches!(before.1, ViewMode::Hall | ViewMode::Wall(_)) && matches!(*mode, ViewMode::Hall | ViewMode::Wall(_));
    if before.0 != after && hall {
        let from = Pose { at: transform.translation, rotation: transform.rotation, fov: fov_of(projection) };
        view.glide = Some(Glide { from, secs: 0.0 });
    }
}

impl Frame {
    const WHOLE: Self = Self { middle: Vec2::ZERO, height: 1.0, whole: true };
}

fn step_to(slot: usize, slots: &WallSlots) -> Option<Close> {
    let stream = slots.stream(slot)?.clone();
    Some(Close { slot, stream, frame: Frame::WHOLE })
}

fn fov_of(projection: &Projection) -> f32 {
    if let Projection::Perspective(lens) = projection { lens.fov } else { 1.0 }
}

/// The camera before a picture, at rest.
fn pose(place: &Surface, frame: Frame) -> Pose {
    let half = frame.height * 0.5;
    let distance = DISTANCE_M.max(half / (WIDEST_FOV * 0.5).tan());
    Pose {
        at: place.centre + place.rotation * frame.middle.extend(distance),
        rotation: place.rotation,
        fov: 2.0 * (half / distance).atan(),
    }
}

/// Puts the camera before the picture, or on its way there or back.
pub(super) fn frame_view(
    (time, comfort): (Res<Time>, Res<Comfort>),
    slots: Res<WallSlots>,
    faces: Faces,
    mode: Res<ViewMode>,
    mut view: ResMut<CloseView>,
    mut cameras: Cameras,
) {
    if view.close.is_none() && view.glide.is_none() {
        return;
    }
    let Some((camera, walker, mut transform, mut projection)) = cameras.iter_mut().next() else { return };
    let goal = match (&view.close, *mode) {
        (Some(close), _) => {
            let picture = picture_in(close.slot, &slots, &faces);
            let bounds =
                Bounds { picture: picture.size, picture_px: size_in(close.slot, &faces), view_px: view_px(camera) };
            pose(&slots.place(close.slot), bounds.keep(close.frame))
        }
        (None, ViewMode::Hall) => {
            let stand = walker.pose();
            Pose { at: stand.translation, rotation: stand.rotation, fov: walker.fov }
        }
        // Another way of looking has the camera now.
        (None, _) => {
            view.glide = None;
            return;
        }
    };
    let mut now = goal;
    if let Some(glide) = &mut view.glide {
        glide.secs += comfort.motion_secs(&time);
        let t = (glide.secs / GLIDE_SECS).min(1.0);
        let eased = t * t * (3.0 - 2.0 * t);
        now = Pose {
            at: glide.from.at.lerp(goal.at, eased),
            rotation: glide.from.rotation.slerp(goal.rotation, eased),
            fov: glide.from.fov + (goal.fov - glide.from.fov) * eased,
        };
        if t >= 1.0 {
            now = goal;
            view.glide = None;
        }
    }
    let next = Transform { translation: now.at, rotation: now.rotation, scale: Vec3::ONE };
    transform.set_if_neq(next);
    if (fov_of(&projection) - now.fov).abs() > 1e-6
        && let Projection::Perspective(lens) = projection.as_mut()
    {
        lens.fov = now.fov;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Bounds =
        Bounds { picture: Vec2::new(8.0, 4.5), picture_px: UVec2::new(1920, 1080), view_px: Vec2::new(1280.0, 720.0) };

    #[test]
    fn the_whole_picture_fills_views_of_every_aspect() {
        for view_px in [Vec2::new(1280.0, 720.0), Vec2::new(720.0, 1280.0), Vec2::new(3440.0, 1000.0)] {
            let bounds = Bounds { view_px, ..PAGE };
            let frame = bounds.keep(Frame::WHOLE);
            let seen = Vec2::new(frame.height * bounds.aspect(), frame.height);
            assert!(seen.cmpge(PAGE.picture).all(), "{view_px}: {seen} cuts the picture");
            let fill = PAGE.picture / seen;
            assert!(fill.max_element() > 0.92, "{view_px}: the picture takes only {fill} of the view");
            let place = Surface { centre: Vec3::ZERO, rotation: Quat::IDENTITY, size: PAGE.picture };
            let pose = pose(&place, frame);
            assert!(pose.fov <= WIDEST_FOV + 1e-5, "{view_px}: {} is too wide", pose.fov);
            assert!((2.0 * pose.at.z * (pose.fov * 0.5).tan() - frame.height).abs() < 1e-4);
        }
    }

    #[test]
    fn zooming_keeps_what_is_under_the_pointer_and_ends_at_four_to_one() {
        let around = Vec2::new(0.6, -0.4);
        let seen_at = |frame: Frame| frame.middle + around * Vec2::new(PAGE.aspect(), 1.0) * 0.5 * frame.height;
        let whole = PAGE.keep(Frame::WHOLE);
        let nearer = PAGE.zoomed(whole, whole.height / 2.0, around);
        assert!(seen_at(nearer).distance(seen_at(whole)) < 1e-4);
        let nearest = PAGE.zoomed(nearer, 0.0001, around);
        let exact = PAGE.exact().unwrap();
        assert!((nearest.height - exact / 4.0).abs() < 1e-5, "a pixel takes four of the screen at most");
        assert!((exact - 720.0 * 4.5 / 1080.0).abs() < 1e-5);
        let back = PAGE.zoomed(nearest, 1000.0, around);
        assert_eq!((back.height, back.middle, back.whole), (whole.height, Vec2::ZERO, true), "and all the way back");
        assert!(!nearer.whole);
        assert!(PAGE.keep(Frame { middle: Vec2::NAN, height: f32::NAN, whole: false }).middle.is_finite());
    }

    #[test]
    fn panning_stops_at_the_edge() {
        let near = PAGE.keep(Frame { middle: Vec2::new(100.0, -100.0), height: 1.0, whole: false });
        let half = Vec2::new(PAGE.aspect(), 1.0) * 0.5;
        let air = (near.middle.abs() + half - PAGE.picture * 0.5) / half;
        assert!(air.min_element() > 0.0 && air.max_element() < 2.0 * MARGIN, "{air} of the view is beside the picture");
    }
}
