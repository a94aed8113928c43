//! Builds lit meshes: surfaces are described by points, normals and tints; light is computed for each vertex when the
//! mesh is finished. CPU, at start.

use bevy::asset::RenderAssetUsages;
use bevy::math::{Vec2, Vec3};
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;

use super::light::Light;

/// One corner of a surface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corner {
    /// Position, metres.
    pub at: Vec3,
    /// Unit normal into the room.
    pub normal: Vec3,
    /// Texture coordinates.
    pub uv: Vec2,
    /// Reflected share per channel, multiplied with the texture.
    pub tint: Vec3,
    /// Share of light that reaches it past its near surroundings, 0..=1; above 1 it shines by itself with `tint`.
    pub open: f32,
}

/// Marks a corner as shining.
pub(super) const SHINES: f32 = 2.0;

/// A mesh in the making.
#[derive(Default)]
pub(super) struct Builder {
    corners: Vec<Corner>,
    indices: Vec<u32>,
}

impl Builder {
    /// A grid of `columns` x `rows` cells; `f` gives the corner at (column, row) as shares 0..=1.
    pub(super) fn grid(&mut self, columns: usize, rows: usize, f: impl Fn(f32, f32) -> Corner) {
        let first = self.corners.len() as u32;
        for row in 0..=rows {
            for column in 0..=columns {
                self.corners.push(f(column as f32 / columns as f32, row as f32 / rows as f32));
            }
        }
        let stride = columns as u32 + 1;
        for row in 0..rows as u32 {
            for column in 0..columns as u32 {
                let a = first + row * stride + column;
                self.indices.extend([a, a + 1, a + stride, a + 1, a + stride + 1, a + stride]);
            }
        }
    }

    /// A flat four-sided face; corners in order around it. The normal follows from them and points towards `to`.
    pub(super) fn face(&mut self, at: [Vec3; 4], uv: [Vec2; 4], to: Vec3, tint: Vec3, open: [f32; 4]) {
        let normal = (at[2] - at[0]).cross(at[3] - at[1]).normalize_or_zero();
        let middle = (at[0] + at[1] + at[2] + at[3]) * 0.25;
        let normal = if normal.dot(to - middle) < 0.0 { -normal } else { normal };
        let first = self.corners.len() as u32;
        for i in 0..4 {
            self.corners.push(Corner { at: at[i], normal, uv: uv[i], tint, open: open[i] });
        }
        self.indices.extend([first, first + 1, first + 2, first, first + 2, first + 3]);
    }

    /// Turns a profile around the Y axis through `axis`, from angle `from` to `to`. The profile is (radius, height)
    /// from one end to the other; each piece gets a normal of its own, to the left of its direction, so edges stay
    /// sharp. `swell` scales the radius by angle (flutes).
    pub(super) fn lathe(&mut self, turned: &Lathe<'_>, swell: impl Fn(f32) -> f32) {
        for piece in turned.profile.windows(2) {
            let ((r0, y0), (r1, y1)) = (piece[0], piece[1]);
            let normal2 = Vec2::new(-(y1 - y0), r1 - r0).normalize_or_zero() * if turned.inside { 1.0 } else { -1.0 };
            let length = (r1 - r0).hypot(y1 - y0);
            let rows = ((length / turned.longest).ceil() as usize).clamp(1, 24);
            self.grid(turned.segments, rows, |u, v| {
                let angle = turned.from + (turned.to - turned.from) * u;
                let (radius, y) = ((r0 + (r1 - r0) * v) * swell(angle), y0 + (y1 - y0) * v);
                let out = Vec3::new(angle.sin(), 0.0, -angle.cos());
                Corner {
                    at: turned.axis + out * radius + Vec3::Y * y,
                    normal: out * normal2.x + Vec3::Y * normal2.y,
                    uv: Vec2::new(
                        angle * turned.uv_radius,
                        if (y1 - y0).abs() > (r1 - r0).abs() { -y } else { radius },
                    ) * turned.uv_scale,
                    tint: turned.tint,
                    open: turned.open,
                }
            });
        }
    }

    /// Changes corners added since `mark`.
    pub(super) fn shade_since(&mut self, mark: usize, f: impl Fn(&mut Corner)) {
        self.corners[mark..].iter_mut().for_each(f);
    }

    /// For [`Builder::shade_since`].
    pub(super) fn mark(&self) -> usize {
        self.corners.len()
    }

    /// Lights every vertex where it stands and makes the mesh. Its second texture coordinates carry the sun's share of
    /// that light.
    pub(super) fn finish(self, light: &Light) -> Mesh {
        let sunlit: Vec<[f32; 2]> = self
            .corners
            .iter()
            .map(|corner| [if corner.open < SHINES { light.sun_share(corner.at, corner.normal) } else { 0.0 }, 0.0])
            .collect();
        self.finish_with(
            |corner| light.at(corner.at, corner.normal),
            |corner| light.wall_share(corner.at, corner.normal),
        )
        .with_inserted_attribute(Mesh::ATTRIBUTE_UV_1, sunlit)
    }

    /// As [`Builder::finish`], lit by functions: for things that stand in several places.
    pub(super) fn finish_with(self, lit: impl Fn(&Corner) -> Vec3, glow: impl Fn(&Corner) -> f32) -> Mesh {
        let colours: Vec<[f32; 4]> = self
            .corners
            .iter()
            .map(|corner| {
                if corner.open >= SHINES {
                    return corner.tint.extend(0.0).to_array();
                }
                let colour = corner.tint * lit(corner) * corner.open;
                colour.extend(glow(corner) * corner.open * corner.tint.dot(Vec3::splat(1.0 / 3.0))).to_array()
            })
            .collect();
        Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
            .with_inserted_attribute(
                Mesh::ATTRIBUTE_POSITION,
                self.corners.iter().map(|c| c.at.to_array()).collect::<Vec<_>>(),
            )
            .with_inserted_attribute(
                Mesh::ATTRIBUTE_NORMAL,
                self.corners.iter().map(|c| c.normal.to_array()).collect::<Vec<_>>(),
            )
            .with_inserted_attribute(
                Mesh::ATTRIBUTE_UV_0,
                self.corners.iter().map(|c| c.uv.to_array()).collect::<Vec<_>>(),
            )
            .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, colours)
            .with_inserted_indices(Indices::U32(self.indices))
    }
}

/// A profile to turn.
pub(super) struct Lathe<'a> {
    /// (radius, height) in metres.
    pub profile: &'a [(f32, f32)],
    /// Where its axis stands.
    pub axis: Vec3,
    /// First angle.
    pub from: f32,
    /// Last angle.
    pub to: f32,
    /// Pieces around.
    pub segments: usize,
    /// Longest piece along the profile, metres: finer pieces catch more of the light's course.
    pub longest: f32,
    /// Seen from inside: normals point to the left of the profile's direction.
    pub inside: bool,
    /// Reflected share.
    pub tint: Vec3,
    /// See [`Corner::open`].
    pub open: f32,
    /// Radius at which texture lengths are true.
    pub uv_radius: f32,
    /// Texture repeats per metre.
    pub uv_scale: f32,
}

impl Default for Lathe<'_> {
    fn default() -> Self {
        Self {
            profile: &[],
            axis: Vec3::ZERO,
            from: 0.0,
            to: std::f32::consts::TAU,
            segments: 96,
            longest: 1.0,
            inside: true,
            tint: Vec3::ONE,
            open: 1.0,
            uv_radius: 1.0,
            uv_scale: 0.4,
        }
    }
}
