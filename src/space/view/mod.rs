//! The viewer: one camera, where it starts, how it is steered. Main thread.

mod collide;
mod flight;
mod mode;
mod steer;
mod take_seat;

use bevy::camera::{Hdr, ImageRenderTarget, RenderTarget};
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::post_process::bloom::{Bloom, BloomCompositeMode, BloomPrefilter};
use bevy::prelude::*;
use bevy_egui::PrimaryEguiContext;
use wgpu::TextureFormat;

pub use flight::Station;
pub use mode::{BEHIND_HALL, EscapeTaken, ViewMode, in_every_view, in_flat_views, on_the_floor};
pub use steer::{Posture, Walker};
pub use take_seat::{AimedSeat, TakeSeat};

use super::layout::RoomLayout;
use super::participant::SeatPlan;
use super::schedule::SpaceSystems;
use super::settings::{Comfort, SpaceSettings, Tier, ViewTarget};
use super::sync::{Outbox, RoomFigures};

/// The camera the room is seen through.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct RoomCamera;

/// What moves the camera. Features that show something from elsewhere come after it.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViewSystems {
    /// Walking and looking around, while the view is that of the hall.
    Steer,
}

/// The image the room is drawn into when there is no window.
#[derive(Resource, Clone, Debug)]
pub struct OffscreenView(pub ImageRenderTarget);

/// Spawns the camera and steers it.
pub struct ViewPlugin;

impl Plugin for ViewPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<ViewMode>()
            .init_resource::<EscapeTaken>()
            .init_resource::<Comfort>()
            .init_resource::<RoomLayout>()
            .init_resource::<SeatPlan>()
            .init_resource::<AimedSeat>()
            .init_resource::<RoomFigures>()
            .init_resource::<Outbox>()
            .add_message::<TakeSeat>()
            .add_systems(Startup, spawn_camera)
            .configure_sets(Update, ViewSystems::Steer.in_set(SpaceSystems::Sync).run_if(mode::in_hall))
            .add_systems(Update, (mode::read_mode_keys, mode::show_layers).chain().in_set(SpaceSystems::Sync))
            .add_systems(
                Update,
                (steer::read_input, steer::walk).chain().after(mode::show_layers).in_set(ViewSystems::Steer),
            )
            .add_systems(
                Update,
                (take_seat::aim_at_chair, take_seat::read_clicks, take_seat::take_seat, take_seat::stay_in_seat)
                    .chain()
                    .before(steer::walk)
                    .in_set(SpaceSystems::Sync),
            );
    }
}

fn spawn_camera(
    mut commands: Commands,
    settings: Res<SpaceSettings>,
    tier: Res<Tier>,
    layout: Res<RoomLayout>,
    mut images: ResMut<Assets<Image>>,
) {
    let walker = Walker::at_entrance(&layout);
    let place = walker.pose();
    let mut camera = commands.spawn((
        Name::new("room camera"),
        RoomCamera,
        walker,
        Camera3d::default(),
        Camera { clear_color: ClearColorConfig::Custom(mode::BEHIND_HALL), ..default() },
        Projection::Perspective(PerspectiveProjection { fov: steer::DEFAULT_FOV, near: 0.1, far: 80.0, ..default() }),
        place,
        // The hall's shader maps its own tones, and pictures of people are shown as they are.
        Tonemapping::None,
        DebandDither::Disabled,
        if *tier == Tier::Low { Msaa::Off } else { Msaa::Sample4 },
        PrimaryEguiContext,
    ));
    if *tier == Tier::High {
        camera.insert((
            Hdr,
            Bloom {
                intensity: 0.16,
                prefilter: BloomPrefilter { threshold: 0.95, threshold_softness: 0.35 },
                composite_mode: BloomCompositeMode::Additive,
                ..Bloom::NATURAL
            },
        ));
    }
    if let ViewTarget::Offscreen { width, height } = settings.view {
        let image = Image::new_target_texture(width.max(1), height.max(1), TextureFormat::Rgba8UnormSrgb, None);
        let image = ImageRenderTarget::from(images.add(image));
        camera.insert(RenderTarget::Image(image.clone()));
        commands.insert_resource(OffscreenView(image));
    }
}
