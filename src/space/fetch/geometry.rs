//! How large a face is on the screen, and whether it is seen: pure functions of the camera, the window and the face's
//! transform. No ECS, no allocation.
//!
//! Sizes are areas, in square pixels of the window. A picture wants as many pixels as it covers, so its area is what
//! its layer is chosen by: a wall seen from the side covers few, however high it still looks.

use bevy::math::{Mat4, UVec2, Vec2, Vec3, Vec4, Vec4Swizzles};

/// How far beyond the edges of the view a face counts as near, in radians: so far the head turns in the 300 ms within
/// which its picture is to be seen.
const RING_RAD: f32 = 0.6;
/// The same where parallel lines stay parallel, as in a flat view: there the view is moved instead of turned. As a
/// share of half the view's width or height.
const FLAT_RING: f32 = 0.5;
/// What is nearer to the eye than this is behind it, in metres (or units of clip space).
const NEAREST: f32 = 1e-3;
/// Less than this is not seen, in square pixels.
const SEEN_PX: f32 = 0.5;
/// A larger area is not told apart, in square pixels: far more than any window has.
const MOST_PX: f32 = 1e9;
/// Corners of a quad after it was cut by five planes.
const MAX_CORNERS: usize = 4 + 5;

/// Where a face is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// Nowhere: no face shows the stream, or one without any size, or the room itself is not seen.
    #[default]
    NotShown,
    /// Out of view.
    Away,
    /// Out of view, and a quick turn of the head away.
    Near,
    /// Some of it is in view.
    InView,
}

/// What is seen of a face.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// Where it is.
    pub sight: Sight,
    /// Square pixels all of it covers, also where it reaches beyond the view; 0 when it is not in view.
    pub area_px: f32,
    /// Its width through its height, in the room.
    pub aspect: f32,
}

/// Through what the room is seen.
#[derive(Clone, Copy, Debug)]
pub struct Eye {
    view_from_world: Mat4,
    clip_from_view: Mat4,
    /// Half the window, in pixels.
    half_px: Vec2,
    /// Half the angle of view, sideways and upwards, in radians; `None` where it has no angle.
    half_rad: Option<Vec2>,
}

impl Eye {
    /// An eye at `world_from_view` behind a lens, looking onto so many physical pixels. `None` when nothing is seen
    /// through it: a window without a size, a transform that is no number.
    pub fn new(world_from_view: Mat4, clip_from_view: Mat4, size_px: UVec2) -> Option<Self> {
        let view_from_world = world_from_view.inverse();
        let fine = view_from_world.is_finite() && clip_from_view.is_finite();
        let lens = Vec2::new(clip_from_view.x_axis.x, clip_from_view.y_axis.y);
        if !fine || size_px.min_element() == 0 || lens.min_element() <= 0.0 {
            return None;
        }
        // A lens that sees things smaller in the distance has the distance as the fourth part of its clip space.
        let narrows = clip_from_view.z_axis.w != 0.0;
        let half_rad = narrows.then(|| Vec2::new(lens.x.recip().atan(), lens.y.recip().atan()));
        Some(Self { view_from_world, clip_from_view, half_px: size_px.as_vec2() * 0.5, half_rad })
    }

    /// What is seen of a face: the square of side 1 around the origin, in X and Y, taken to the room.
    pub fn look(&self, world_from_face: Mat4) -> View {
        let view_from_face = self.view_from_world * world_from_face;
        let size = Vec2::new(world_from_face.x_axis.xyz().length(), world_from_face.y_axis.xyz().length());
        if !view_from_face.is_finite() || !size.is_finite() || size.min_element() < NEAREST {
            return View::default();
        }
        let aspect = size.x / size.y;
        let quad = Polygon::of_quad(self.clip_from_view * view_from_face);
        let before_the_eye = quad.cut(|at| at.w - NEAREST).cut(|at| at.w - at.z);
        let seen = before_the_eye.cut(|at| at.w - at.x).cut(|at| at.w + at.x);
        let seen = seen.cut(|at| at.w - at.y).cut(|at| at.w + at.y);
        if seen.area(self.half_px) >= SEEN_PX {
            return View { sight: Sight::InView, area_px: before_the_eye.area(self.half_px), aspect };
        }
        let near = self.is_near(view_from_face.w_axis.xyz(), size.length() * 0.5);
        View { sight: if near { Sight::Near } else { Sight::Away }, area_px: 0.0, aspect }
    }

    /// Whether a ball, seen from the eye, is within the ring around the view.
    fn is_near(&self, centre: Vec3, radius: f32) -> bool {
        let Some(half_rad) = self.half_rad else {
            let at = self.clip_from_view * centre.extend(1.0);
            let lens = Vec2::new(self.clip_from_view.x_axis.x, self.clip_from_view.y_axis.y);
            let reach = Vec2::splat(1.0 + FLAT_RING) + lens * radius;
            return at.w - at.z >= 0.0 && at.xy().abs().cmple(reach).all();
        };
        let distance = centre.length();
        if distance <= radius {
            return true;
        }
        let angles = Vec2::new(centre.x.atan2(-centre.z), centre.y.atan2(centre.x.hypot(centre.z)));
        let reach = half_rad + RING_RAD + (radius / distance).asin();
        angles.abs().cmple(reach).all()
    }
}

/// A flat shape in clip space, with as many corners as cutting a quad can give.
#[derive(Clone, Copy)]
struct Polygon {
    corners: [Vec4; MAX_CORNERS],
    count: usize,
}

impl Polygon {
    fn of_quad(clip_from_face: Mat4) -> Self {
        let mut corners = [Vec4::ZERO; MAX_CORNERS];
        for (corner, (x, y)) in corners.iter_mut().zip([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) {
            *corner = clip_from_face * Vec4::new(x, y, 0.0, 1.0);
        }
        Self { corners, count: 4 }
    }

    /// What of it is where `distance` is not negative (Sutherland and Hodgman's clipping, a plane at a time).
    fn cut(&self, distance: impl Fn(Vec4) -> f32) -> Self {
        let mut kept = Self { corners: [Vec4::ZERO; MAX_CORNERS], count: 0 };
        for index in 0..self.count {
            let (from, to) = (self.corners[index], self.corners[(index + 1) % self.count]);
            let (before, after) = (distance(from), distance(to));
            if before >= 0.0 {
                kept.push(from);
            }
            if (before >= 0.0) != (after >= 0.0) {
                kept.push(from.lerp(to, before / (before - after)));
            }
        }
        kept
    }

    /// Numbers that are none may cut more often than a shape allows: what is too much is left out.
    fn push(&mut self, corner: Vec4) {
        if let Some(place) = self.corners.get_mut(self.count) {
            *place = corner;
            self.count += 1;
        }
    }

    /// Its area in square pixels, on a window of twice `half_px`. All of it must be before the eye.
    fn area(&self, half_px: Vec2) -> f32 {
        let at = |index: usize| {
            let corner = self.corners[index % self.count];
            corner.xy() / corner.w * half_px
        };
        let twice: f32 = (0..self.count).map(|index| at(index).perp_dot(at(index + 1))).sum();
        let area = twice.abs() * 0.5;
        if area.is_finite() { area.min(MOST_PX) } else { MOST_PX }
    }
}

#[cfg(test)]
#[path = "geometry_tests.rs"]
mod tests;
