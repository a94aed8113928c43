//! What carries the room: a window, or an image when there is no display. Bevy's own plugins, chosen and set up; and
//! the question whether there is a GPU at all, asked before anything is built.

use std::time::Duration;

use bevy::app::{PluginGroup, PluginGroupBuilder, ScheduleRunnerPlugin};
use bevy::log::LogPlugin;
use bevy::pbr::PbrPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::settings::{Backends, PowerPreference, RenderCreation, WgpuSettings};
use bevy::window::{ExitCondition, PresentMode, WindowResolution};
use bevy::winit::WinitPlugin;

/// Frames per second an off-screen room aims for.
const OFFSCREEN_FPS: f64 = 60.0;

/// The graphics adapter the room would use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuInfo {
    /// Its name as the driver gives it.
    pub name: String,
    /// Whether it draws on the CPU.
    pub software: bool,
}

/// Why nothing can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No driver offers an adapter.
    #[error(
        "no graphics adapter was found ({0}): install a Vulkan driver (on Debian and Ubuntu `mesa-vulkan-drivers` \
         draws in software), or run without rendering (--no-render)"
    )]
    NoAdapter(String),
}

/// Asks for the adapter the room would use. Takes some tens of milliseconds.
///
/// # Errors
/// [`GpuError`] when there is none.
pub fn check_gpu() -> Result<GpuInfo, GpuError> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = Backends::from_env().unwrap_or(Backends::all());
    let instance = wgpu::Instance::new(descriptor);
    let options = wgpu::RequestAdapterOptions {
        power_preference: PowerPreference::from_env().unwrap_or(PowerPreference::HighPerformance),
        force_fallback_adapter: false,
        compatible_surface: None,
    };
    let adapter = bevy::tasks::block_on(instance.request_adapter(&options))
        .map_err(|error| GpuError::NoAdapter(error.to_string()))?;
    let info = adapter.get_info();
    Ok(GpuInfo { name: info.name, software: info.device_type == wgpu::DeviceType::Cpu })
}

fn base() -> PluginGroupBuilder {
    // The binary sets up its own log subscriber; a second one would be refused.
    DefaultPlugins
        .build()
        .disable::<LogPlugin>()
        .set(RenderPlugin {
            render_creation: RenderCreation::Automatic(Box::new(WgpuSettings {
                power_preference: PowerPreference::from_env().unwrap_or(PowerPreference::HighPerformance),
                ..default()
            })),
            ..default()
        })
        // The room has some hundred meshes and no prepass: building instances with compute shaders costs a software
        // renderer half of every frame and gains nothing on a GPU.
        .set(PbrPlugin {
            use_gpu_instance_buffer_builder: false,
            prepass_enabled: false,
            add_default_deferred_lighting_plugin: false,
            ..default()
        })
}

/// Whether drawing one frame while the next is prepared pays: with few cores both only get in each other's way.
fn cores_to_spare() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 3)
}

/// Bevy with a window of this size in logical pixels. Closing the window ends the app.
pub fn windowed((width, height): (u32, u32), title: impl Into<String>) -> PluginGroupBuilder {
    base().set(WindowPlugin { primary_window: Some(window((width, height), title)), ..default() })
}

/// The room's window, of this size in logical pixels.
pub fn window((width, height): (u32, u32), title: impl Into<String>) -> Window {
    Window {
        title: title.into(),
        name: Some("rotunda".into()),
        resolution: WindowResolution::new(width.max(1), height.max(1)),
        present_mode: PresentMode::AutoVsync,
        ..default()
    }
}

/// Bevy without a window: the room is drawn into an image (choose [`super::ViewTarget::Offscreen`] with the size), at
/// most 60 times a second. `app.update()` may be called by hand instead of `run`.
pub fn offscreen() -> PluginGroupBuilder {
    base()
        .set(WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() })
        .disable::<WinitPlugin>()
        .disable::<PipelinedRenderingPlugin>()
        .add(ScheduleRunnerPlugin::run_loop(Duration::from_secs_f64(1.0 / OFFSCREEN_FPS)))
}
