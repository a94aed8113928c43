//! The hall: a rotunda with a coffered dome and an oculus, columns and niches, a floor of wood and stone, and a great
//! wall. Built at start from the measures in [`crate::space::geometry`], lit on the CPU for the [`Mood`] and the
//! layout's lamps, drawn in a handful of calls.

mod builder;
mod columns;
mod dome;
mod floor;
mod furniture;
mod hall;
mod light;
mod material;
mod mirror;
mod mood;
mod palette;
mod plan;
mod textures;
mod walls;

use bevy::light::{CascadeShadowConfigBuilder, NotShadowCaster};
use bevy::prelude::*;

use hall::Part;
use light::MoodLight;
use material::{HallAssets, HallKind, HallMaterial, HallMaterialPlugin, HallUniform};

use textures::Filter;

use super::geometry::{GREAT_WALL_CENTRE, GREAT_WALL_WIDTH};
use super::layout::{Mood, RoomLayout};
use super::participant::SeatPlan;
use super::schedule::SpaceSystems;
use super::settings::Tier;
use super::stream::VideoStream;
use super::view::{AimedSeat, on_the_floor};
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
            .add_plugins((HallMaterialPlugin, mirror::FloorMirrorPlugin))
            .add_systems(Startup, build_hall)
            .add_systems(
                Update,
                (
                    furniture::set_out_chairs,
                    furniture::raise_stands,
                    furniture::move_stands,
                    furniture::mark_aimed_chair,
                    glow_with_the_wall,
                    (mood::begin_relighting, mood::finish_relighting).chain(),
                )
                    .in_set(SpaceSystems::Sync),
            );
    }
}

fn build_hall(
    mut commands: Commands,
    tier: Res<Tier>,
    mood: Res<Mood>,
    layout: Res<RoomLayout>,
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
    let beam = MoodLight::of(*mood).beam.extend(0.0);
    let uniform = HallUniform { glow: IDLE_GLOW.extend(1.0), beam, picture };
    let rich = *tier == Tier::High;
    let mirror = rich.then(|| mirror::spawn(&mut commands, &mut images));
    if rich {
        commands.spawn(sun());
    }
    let mut material = |texture: &Handle<Image>, kind, mirror: Option<&Handle<Image>>| {
        let shadows = rich && matches!(kind, HallKind::Lit | HallKind::Polished);
        materials.add(HallMaterial { uniform, texture: texture.clone(), mirror: mirror.cloned(), kind, shadows })
    };
    let assets = HallAssets {
        plain: material(&white, HallKind::Plain, None),
        stone: material(&stone, HallKind::Lit, None),
        inlays: material(&stone, HallKind::Polished, mirror.as_ref()),
        steps: material(&stone, HallKind::Polished, None),
        wood: material(&wood, HallKind::Polished, mirror.as_ref()),
        shadow: material(&white, HallKind::Shadow, None),
        beam: material(&white, HallKind::Beam, None),
        parts: hall::meshes(*mood, &layout.lamps).into_iter().map(|mesh| meshes.add(mesh)).collect(),
        shadow_disc: meshes.add(furniture::shadow_mesh()),
        ring: meshes.add(furniture::ring_mesh()),
    };
    for part in Part::ALL {
        let material = match part {
            Part::Parquet => &assets.wood,
            Part::Inlays => &assets.inlays,
            Part::Steps => &assets.steps,
            Part::Walls => &assets.stone,
            Part::Velvet | Part::Dome => &assets.plain,
            Part::Beam if *tier >= Tier::Medium => &assets.beam,
            // Too dear for the lowest tier; chairs and stands come with the people.
            Part::Beam | Part::Chair | Part::Stand => continue,
        };
        let look = (Mesh3d(assets.mesh(part).clone()), MeshMaterial3d(material.clone()), Transform::default());
        // What the sun is blocked by is in the light already.
        let mut spawned = commands.spawn((Name::new(part.name()), look, NotShadowCaster));
        if matches!(part, Part::Parquet | Part::Inlays) {
            spawned.insert(on_the_floor());
        }
    }
    commands.insert_resource(assets);
}

/// For the shadows alone: its light is in the vertices.
fn sun() -> impl Bundle {
    let cascades = CascadeShadowConfigBuilder { num_cascades: 2, maximum_distance: 26.0, ..default() };
    (
        Name::new("sun"),
        DirectionalLight { shadow_maps_enabled: true, ..default() },
        cascades.build(),
        Transform::default().looking_to(-light::towards_sun(), Vec3::X),
    )
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
    for handle in [&assets.plain, &assets.stone, &assets.inlays, &assets.steps, &assets.wood] {
        if let Some(mut material) = materials.get_mut(handle) {
            material.uniform.glow = glow;
        }
    }
}
