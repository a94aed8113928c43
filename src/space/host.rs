//! What carries the room: a window, or an image when there is no display. Bevy's own plugins, chosen and set up; and
//! the question whether there is a GPU at all, asked before anything is built.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bevy::app::{PluginGroup, PluginGroupBuilder, ScheduleRunnerPlugin};
use bevy::light::cluster::GlobalClusterSettings;
use bevy::log::LogPlugin;
use bevy::pbr::PbrPlugin;
use bevy::prelude::*;
use bevy::render::batching::gpu_preprocessing::{GpuPreprocessingMode, GpuPreprocessingSupport};
use bevy::render::error_handler::{ErrorType, RenderErrorHandler, RenderErrorPolicy};
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_resource::PipelineCache;
use bevy::render::settings::{Backends, PowerPreference, RenderCreation, WgpuSettings};
use bevy::render::{Render, RenderApp, RenderPlugin, RenderStartup, RenderSystems, init_gpu_resource};
use bevy::window::{ExitCondition, PresentMode, PrimaryWindow, WindowResolution};
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
        .set(RenderPlugin { render_creation: renderer(), ..default() })
        .set(PbrPlugin {
            use_gpu_instance_buffer_builder: false,
            prepass_enabled: false,
            add_default_deferred_lighting_plugin: false,
            ..default()
        })
        .add_after::<PbrPlugin>(PlainDrawing)
        .add_after::<RenderPlugin>(Recovery)
}

fn renderer() -> RenderCreation {
    RenderCreation::Automatic(Box::new(WgpuSettings {
        power_preference: PowerPreference::from_env().unwrap_or(PowerPreference::HighPerformance),
        ..default()
    }))
}

/// Opens a graphics device anew that was lost, as drivers lose them when they hang or are replaced: the call goes on
/// meanwhile, and the room is drawn again.
struct Recovery;

impl Plugin for Recovery {
    fn build(&self, app: &mut App) {
        app.insert_resource(RenderErrorHandler(|error, main, _| {
            if error.ty == ErrorType::DeviceLost {
                warn!("the graphics device was lost: opening one anew");
                return RenderErrorPolicy::Recover(renderer());
            }
            error!(kind = ?error.ty, "drawing cannot go on");
            main.write_message(AppExit::error());
            RenderErrorPolicy::StopRendering
        }));
    }
}

/// Draws without preparing draws and sorting lights in compute shaders. The room has a few hundred meshes and a handful of
/// lights: that preparation costs a software renderer some milliseconds of every frame and gains a GPU nothing; and so
/// every machine takes the path that is tested.
struct PlainDrawing;

impl Plugin for PlainDrawing {
    fn build(&self, app: &mut App) {
        app.add_systems(PreStartup, sort_lights_on_the_cpu);
        if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
            render_app
                .add_systems(RenderStartup, prepare_on_the_cpu.after(init_gpu_resource::<GpuPreprocessingSupport>));
        }
    }
}

/// Also, what the compute shaders read back cannot be read from a device that was lost.
fn sort_lights_on_the_cpu(settings: Option<ResMut<GlobalClusterSettings>>) {
    if let Some(mut settings) = settings {
        settings.gpu_clustering = None;
    }
}

/// Phases and instances must agree: `PbrPlugin` was told above, the phases read this.
fn prepare_on_the_cpu(mut support: ResMut<GpuPreprocessingSupport>) {
    support.max_supported_mode = GpuPreprocessingMode::None;
}

/// Whether drawing one frame while the next is prepared pays: with few cores both only get in each other's way.
fn cores_to_spare() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 3)
}

/// Bevy with a window of this size in logical pixels. Closing the window ends the app.
pub fn windowed((width, height): (u32, u32), title: impl Into<String>) -> PluginGroupBuilder {
    let base = if cores_to_spare() { base() } else { base().disable::<PipelinedRenderingPlugin>() };
    base.set(WindowPlugin { primary_window: Some(window((width, height), title)), ..default() }).add(ShowWhenDrawn)
}

/// Shows the window once the room is drawn into it: while pipelines are compiled it holds whatever was in memory.
struct ShowWhenDrawn;

/// Frames drawn without a missing pipeline before the window is shown.
const READY_FRAMES: u32 = 3;
/// A window is shown after this long, come what may.
const HIDDEN_AT_MOST: Duration = Duration::from_secs(10);

/// What the renderer knows and the window waits for: frames drawn since no pipeline was missing.
#[derive(Resource, Clone, Debug, Default)]
struct Drawn(Arc<AtomicU32>);

impl Plugin for ShowWhenDrawn {
    fn build(&self, app: &mut App) {
        let drawn = Drawn::default();
        app.insert_resource(drawn.clone()).add_systems(Last, show_when_drawn);
        if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
            render_app.insert_resource(drawn).add_systems(Render, count_drawn.in_set(RenderSystems::Cleanup));
        }
    }
}

fn count_drawn(pipelines: Res<PipelineCache>, drawn: Res<Drawn>) {
    let ready = pipelines.pipelines().next().is_some() && pipelines.waiting_pipelines().next().is_none();
    let frames = if ready { drawn.0.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
    drawn.0.store(frames, Ordering::Relaxed);
}

fn show_when_drawn(
    time: Res<Time<Real>>,
    drawn: Res<Drawn>,
    mut windows: Query<&mut Window, With<PrimaryWindow>>,
    mut shown: Local<bool>,
) {
    if *shown || (drawn.0.load(Ordering::Relaxed) < READY_FRAMES && time.elapsed() < HIDDEN_AT_MOST) {
        return;
    }
    *shown = true;
    windows.iter_mut().for_each(|mut window| window.visible = true);
}

/// The room's window, of this size in logical pixels. [`windowed`] shows it with its first picture.
pub fn window((width, height): (u32, u32), title: impl Into<String>) -> Window {
    Window {
        title: title.into(),
        name: Some("rotunda".into()),
        resolution: WindowResolution::new(width.max(1), height.max(1)),
        present_mode: PresentMode::AutoVsync,
        visible: false,
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
