//! The hall's meshes for one light: which parts there are, of what material, and how each is built. Pure; takes some
//! tens of milliseconds, so a change of mood computes it beside the frames.

use bevy::prelude::*;

use super::builder::{Builder, Corner, SHINES};
use super::light::{Light, MoodLight, sun_beam, turn};
use super::{columns, dome, floor, furniture, walls};
use crate::space::geometry::OCULUS_RADIUS;
use crate::space::layout::{LampLayout, Mood};

/// A part of the hall that is drawn in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Parquet,
    Inlays,
    Steps,
    Walls,
    Velvet,
    Dome,
    Beam,
    Chair,
    Stand,
}

impl Part {
    /// Every part; the last two stand at seats, the others once in the hall.
    pub(super) const ALL: [Self; 9] = [
        Self::Parquet,
        Self::Inlays,
        Self::Steps,
        Self::Walls,
        Self::Velvet,
        Self::Dome,
        Self::Beam,
        Self::Chair,
        Self::Stand,
    ];

    /// For whoever looks into the world.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Inlays => "inlays",
            Self::Steps => "steps",
            Self::Walls => "walls",
            Self::Velvet => "velvet, frame and columns",
            Self::Dome => "dome",
            Self::Beam => "shaft of light",
            Self::Chair => "chair",
            Self::Stand => "stand",
        }
    }

    fn mesh(self, light: &Light, mood: &MoodLight) -> Mesh {
        let mut builder = Builder::default();
        match self {
            Self::Parquet => floor::wood(&mut builder),
            Self::Inlays => floor::inlays(&mut builder),
            Self::Steps => floor::steps(&mut builder),
            Self::Walls => walls::stone(&mut builder),
            Self::Velvet => {
                walls::plain(&mut builder);
                columns::columns(&mut builder);
            }
            Self::Dome => dome::dome(&mut builder, mood),
            Self::Beam => beam(&mut builder),
            Self::Chair => return furniture::chair_mesh(mood),
            Self::Stand => return furniture::stand_mesh(mood),
        }
        builder.finish(light)
    }
}

/// Every part in the order of [`Part::ALL`], lit.
pub(super) fn meshes(mood: Mood, lamps: &[LampLayout]) -> Vec<Mesh> {
    let mood = MoodLight::of(mood);
    let light = Light::new(&mood, lamps);
    Part::ALL.iter().map(|part| part.mesh(&light, &mood)).collect()
}

/// A slanted tube from the oculus to the pool of sunlight. Texture coordinates: around, and 0 at the top to 1 below.
fn beam(builder: &mut Builder) {
    let (pool, top) = sun_beam();
    builder.grid(48, 6, |u, v| {
        let angle = turn(1, 1) * u;
        let out = Vec3::new(angle.sin(), 0.0, -angle.cos());
        Corner {
            at: top.lerp(pool, v) + out * (OCULUS_RADIUS * 0.93),
            normal: out,
            uv: Vec2::new(u, v),
            tint: Vec3::ONE,
            open: SHINES,
        }
    });
}
