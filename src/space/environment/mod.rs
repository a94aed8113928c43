//! The hall: a rotunda with a coffered dome and an oculus, columns and niches, a floor of wood and stone, and a great
//! wall. Built at start from the measures in [`crate::space::geometry`], lit once on the CPU, drawn in a handful of
//! calls. Nothing is loaded from files.

mod builder;
mod columns;
mod dome;
mod floor;
mod furniture;
mod light;
mod material;
mod palette;
mod plan;
mod textures;
mod walls;

use bevy::prelude::*;

use builder::{Builder, Corner};
use light::Light;
use material::{HallAssets, HallKind, HallMaterial, HallMaterialPlugin, HallUniform};

use textures::Filter;

use super::geometry::{GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, OCULUS_RADIUS};
use super::participant::SeatPlan;
use super::schedule::SpaceSystems;
use super::settings::Tier;
use super::stream::VideoStream;
use super::view::AimedSeat;
use crate::model::StreamKind;

/// Light a shared picture throws into the hall, linear, and the little the wall gives without one.
const SHARE_GLOW: Vec3 = Vec3::new(0.92, 0.98, 1.10);
const IDLE_GLOW: Vec3 = Vec3::new(0.05, 0.06, 0.06);
const GLOW_PER_SEC: f32 = 1.8;

/// Builds the hall and furnishes it.
pub struct EnvironmentPlugin;

impl Plugin for EnvironmentPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<SeatPlan>()
            .init_resource::<AimedSeat>()
            .add_plugins(HallMaterialPlugin)
            .add_systems(Startup, build_hall)
            .add_systems(
                Update,
                (
                    furniture::set_out_chairs,
                    furniture::raise_stands,
                    furniture::move_stands,
                    furniture::mark_aimed_chair,
                    glow_with_the_wall,
                )
                    .in_set(SpaceSystems::Sync),
            );
    }
}

fn build_hall(
    mut commands: Commands,
    tier: Res<Tier>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<HallMaterial>>,
    mut images: ResMut<Assets<Image>>,
) {
    let filter = match *tier {
        Tier::Low => Filter::Bilinear,
        Tier::Medium => Filter::Trilinear { anisotropy: 4 },
        Tier::High => Filter::Trilinear { anisotropy: 16 },
    };
    let wood = images.add(textures::wood(filter));
    let stone = images.add(textures::stone(filter));
    let white = images.add(Image::default());
    let half = Vec2::new(GREAT_WALL_WIDTH, GREAT_WALL_WIDTH * 9.0 / 16.0) * 0.5;
    let picture = Vec4::new(GREAT_WALL_CENTRE.y, GREAT_WALL_CENTRE.z, half.x, half.y);
    let uniform = HallUniform { glow: IDLE_GLOW.extend(1.0), picture };
    let mut material =
        |texture: &Handle<Image>, kind| materials.add(HallMaterial { uniform, texture: texture.clone(), kind });
    let assets = HallAssets {
        plain: material(&white, HallKind::Plain),
        stone: material(&stone, HallKind::Lit),
        floor: material(&stone, HallKind::Polished),
        wood: material(&wood, HallKind::Polished),
        shadow: material(&white, HallKind::Shadow),
        beam: material(&white, HallKind::Beam),
        chair: meshes.add(furniture::chair_mesh()),
        stand: meshes.add(furniture::stand_mesh()),
        shadow_disc: meshes.add(furniture::shadow_mesh()),
        ring: meshes.add(furniture::ring_mesh()),
    };

    let light = Light::new();
    let mut part = |name: &'static str, material: &Handle<HallMaterial>, build: &dyn Fn(&mut Builder)| {
        let mut builder = Builder::default();
        build(&mut builder);
        let mesh = meshes.add(builder.finish(&light));
        commands.spawn((Name::new(name), Mesh3d(mesh), MeshMaterial3d(material.clone()), Transform::default()));
    };
    part("parquet", &assets.wood, &floor::wood);
    part("inlays and steps", &assets.floor, &floor::stone);
    part("walls", &assets.stone, &walls::stone);
    part("velvet and frame", &assets.plain, &|builder| {
        walls::plain(builder);
        columns::columns(builder);
    });
    part("dome", &assets.plain, &dome::dome);
    if *tier >= Tier::Medium {
        part("shaft of light", &assets.beam, &beam);
    }
    commands.insert_resource(assets);
}

/// A slanted tube from the oculus to the pool of sunlight. Texture coordinates: around, and 0 at the top to 1 below.
fn beam(builder: &mut Builder) {
    let (pool, top) = light::sun_beam();
    builder.grid(48, 6, |u, v| {
        let angle = light::turn(1, 1) * u;
        let out = Vec3::new(angle.sin(), 0.0, -angle.cos());
        Corner {
            at: top.lerp(pool, v) + out * (OCULUS_RADIUS * 0.93),
            normal: out,
            uv: Vec2::new(u, v),
            tint: Vec3::ONE,
            open: builder::SHINES,
        }
    });
}

/// A share on the wall lights the hall; without one it rests in its own light.
fn glow_with_the_wall(
    time: Res<Time>,
    streams: Query<&VideoStream>,
    assets: Option<Res<HallAssets>>,
    mut materials: ResMut<Assets<HallMaterial>>,
    mut level: Local<f32>,
) {
    let Some(assets) = assets else { return };
    let shared = streams
        .iter()
        .any(|s| s.info.kind == StreamKind::Screen && s.info.video.as_ref().is_some_and(|video| !video.muted));
    let target = f32::from(shared);
    if (target - *level).abs() < 1e-3 {
        return;
    }
    let step = GLOW_PER_SEC * time.delta_secs().min(0.1);
    *level += (target - *level).clamp(-step, step);
    let eased = *level * *level * (3.0 - 2.0 * *level);
    let glow = IDLE_GLOW.lerp(SHARE_GLOW, eased).extend(1.0);
    for handle in [&assets.plain, &assets.stone, &assets.floor, &assets.wood] {
        if let Some(mut material) = materials.get_mut(handle) {
            material.uniform.glow = glow;
        }
    }
}
