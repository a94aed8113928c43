//! A picture's rectangle in the hall: from points of the picture to places, and back along a line of sight. Pure
//! geometry.

use bevy::prelude::*;

/// A flat rectangle, facing its +Z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Surface {
    /// Its middle, metres.
    pub centre: Vec3,
    /// Turns +Z to where it faces.
    pub rotation: Quat,
    /// Width and height, metres.
    pub size: Vec2,
}

impl Surface {
    /// The part of it that a picture of this size in pixels takes: whole, with its own aspect.
    pub(super) fn fitted(self, picture: UVec2) -> Self {
        if picture.min_element() == 0 {
            return self;
        }
        let picture = picture.as_vec2();
        let scale = (self.size / picture).min_element();
        Self { size: picture * scale, ..self }
    }

    /// The place of a point of the picture: 0..=1 from its upper left corner.
    pub(super) fn point(&self, at: Vec2) -> Vec3 {
        self.centre + self.rotation * (Vec2::new(at.x - 0.5, 0.5 - at.y) * self.size).extend(0.0)
    }

    /// Whereto it faces.
    pub(super) fn normal(&self) -> Vec3 {
        self.rotation * Vec3::Z
    }

    /// The point of the picture that a line of sight meets from the front; outside of 0..=1 beside it.
    pub(super) fn met_by(&self, from: Vec3, direction: Vec3) -> Option<Vec2> {
        let (normal, to) = (self.normal(), self.centre - from);
        let towards = direction.dot(normal);
        if towards > -1e-4 {
            return None;
        }
        let hit = from + direction * (to.dot(normal) / towards);
        let local = self.rotation.inverse() * (hit - self.centre);
        let at = Vec2::new(local.x, -local.y) / self.size + 0.5;
        (to.dot(normal) < 0.0 && at.is_finite()).then_some(at)
    }
}

/// Whether a point is on the picture.
pub(super) fn is_inside(at: Vec2) -> bool {
    at.cmpge(Vec2::ZERO).all() && at.cmple(Vec2::ONE).all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_sight_finds_the_point_it_looks_at() {
        let surface = Surface {
            centre: Vec3::new(3.0, 4.0, -5.0),
            rotation: Quat::from_rotation_y(-0.7),
            size: Vec2::new(4.0, 2.25),
        };
        let eye = surface.centre + surface.normal() * 6.0 + Vec3::new(0.4, -1.0, 0.2);
        for at in [Vec2::new(0.5, 0.5), Vec2::new(0.1, 0.9), Vec2::new(1.2, -0.3)] {
            let seen = surface.met_by(eye, (surface.point(at) - eye).normalize()).unwrap();
            assert!(seen.distance(at) < 1e-4, "{seen} instead of {at}");
        }
        assert!(surface.met_by(eye, surface.normal()).is_none(), "away from it");
        let behind = surface.centre - surface.normal();
        assert!(surface.met_by(behind, surface.normal()).is_none(), "nobody sees it from behind");
        assert!(is_inside(Vec2::splat(0.5)) && !is_inside(Vec2::new(1.2, -0.3)));
    }

    #[test]
    fn pictures_keep_their_aspect() {
        let surface = Surface { centre: Vec3::ZERO, rotation: Quat::IDENTITY, size: Vec2::new(16.0, 9.0) };
        assert_eq!(surface.fitted(UVec2::new(1920, 1080)).size, Vec2::new(16.0, 9.0));
        assert_eq!(surface.fitted(UVec2::new(900, 1600)).size, Vec2::new(9.0 * 9.0 / 16.0, 9.0));
        assert_eq!(surface.fitted(UVec2::new(3200, 900)).size, Vec2::new(16.0, 4.5));
        assert_eq!(surface.fitted(UVec2::ZERO), surface);
    }
}
