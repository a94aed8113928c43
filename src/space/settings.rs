//! What the application chooses about the room before it starts: where it is drawn and how richly.

use std::ops::RangeInclusive;

use bevy::prelude::*;
use bevy::render::renderer::RenderAdapterInfo;
use wgpu::DeviceType;

use super::layout::RoomLayout;
use super::words::Language;

/// How much the graphics may cost, as a user chooses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QualityTier {
    /// Baked light only, no anti-aliasing: stays usable on a software renderer.
    Low,
    /// Anti-aliased, a polished floor.
    Medium,
    /// High dynamic range with bloom, and the shaft of light.
    High,
    /// By the kind of graphics adapter.
    #[default]
    Auto,
}

/// The tier in use: never "auto".
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// See [`QualityTier::Low`].
    #[default]
    Low,
    /// See [`QualityTier::Medium`].
    Medium,
    /// See [`QualityTier::High`].
    High,
}

/// Where the room is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ViewTarget {
    /// The primary window.
    #[default]
    Window,
    /// An image of this size in pixels, for machines without a display.
    Offscreen {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// The application's choices. Insert before adding the plugins; read at start.
#[derive(Resource, Clone, Debug)]
pub struct SpaceSettings {
    /// How rich.
    pub quality: QualityTier,
    /// Where to.
    pub view: ViewTarget,
    /// The room itself.
    pub layout: RoomLayout,
    /// Whether the bar, the people list and notices are drawn over the room.
    pub overlay: bool,
    /// Engine events taken in one frame; the rest waits for the next.
    pub events_per_frame: usize,
}

impl Default for SpaceSettings {
    fn default() -> Self {
        Self {
            quality: QualityTier::Auto,
            view: ViewTarget::Window,
            layout: RoomLayout::built_in(),
            overlay: true,
            events_per_frame: 64,
        }
    }
}

impl QualityTier {
    /// The tier for an adapter: software renderers get low, integrated ones medium, discrete ones high.
    pub fn resolve(self, adapter: Option<DeviceType>) -> Tier {
        match self {
            Self::Low => Tier::Low,
            Self::Medium => Tier::Medium,
            Self::High => Tier::High,
            Self::Auto => match adapter {
                Some(DeviceType::DiscreteGpu) => Tier::High,
                Some(DeviceType::IntegratedGpu | DeviceType::VirtualGpu) => Tier::Medium,
                Some(DeviceType::Cpu | DeviceType::Other) | None => Tier::Low,
            },
        }
    }
}

/// What a person chose for their eyes and ears; it may change at any time.
#[derive(Resource, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comfort {
    /// The language of the overlay.
    pub language: Language,
    /// Size of the overlay's text and of all that goes with it, in percent: [`Comfort::TEXT_PERCENT`].
    pub text_percent: u16,
    /// Nothing floats, flies or fades: what moves by itself jumps or stays.
    pub reduced_motion: bool,
}

impl Comfort {
    /// Sizes that can be chosen.
    pub const TEXT_PERCENT: RangeInclusive<u16> = 75..=200;

    /// The time that passes in this frame for what moves by itself, in seconds: all there is for whoever wants no motion,
    /// so that it is where it goes at once.
    pub fn motion_secs(&self, time: &Time) -> f32 {
        if self.reduced_motion { f32::INFINITY } else { time.delta_secs().min(0.25) }
    }
}

impl Default for Comfort {
    fn default() -> Self {
        Self { language: Language::English, text_percent: 100, reduced_motion: false }
    }
}

/// How large the overlay is drawn in a view of this size, in logical pixels: small views get a small one, so that it does
/// not cover the room. Of larger text a small view takes what leaves room for a pane.
pub fn overlay_zoom(view: Vec2, text_percent: u16) -> f32 {
    let fits = (view.y / 640.0).min(view.x / 600.0).clamp(LEAST_ZOOM, 1.0);
    let wished = fits * f32::from(text_percent) / 100.0;
    wished.min((view.y / LEAST_PT.y).min(view.x / LEAST_PT.x)).max(0.5 * f32::from(text_percent.min(100)) / 100.0)
}

/// The place of the bar at the bottom in a wide view, in points of the overlay: its width, and its height with the air
/// below and above.
pub const BAR_PT: Vec2 = Vec2::new(700.0, 112.0);
/// Smaller than this nobody reads it.
const LEAST_ZOOM: f32 = 0.7;
/// The overlay has at least so much room, in points, however large its text is.
const LEAST_PT: Vec2 = Vec2::new(560.0, 320.0);

/// Settles the [`Tier`], the [`RoomLayout`] and its mood before anything is spawned.
pub struct SettingsPlugin;

impl Plugin for SettingsPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<SpaceSettings>()
            .init_resource::<Tier>()
            .init_resource::<Comfort>()
            .add_systems(PreStartup, settle_tier);
        let layout = app.world().resource::<SpaceSettings>().layout.clone();
        app.insert_resource(layout.mood).insert_resource(layout);
    }
}

fn settle_tier(settings: Res<SpaceSettings>, adapter: Option<Res<RenderAdapterInfo>>, mut tier: ResMut<Tier>) {
    *tier = settings.quality.resolve(adapter.as_ref().map(|info| info.device_type));
    if let Some(info) = adapter {
        info!(adapter = %info.name, kind = ?info.device_type, tier = ?*tier, "drawing the room");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_adapter_and_a_choice_overrules_it() {
        assert_eq!(QualityTier::Auto.resolve(Some(DeviceType::Cpu)), Tier::Low);
        assert_eq!(QualityTier::Auto.resolve(Some(DeviceType::IntegratedGpu)), Tier::Medium);
        assert_eq!(QualityTier::Auto.resolve(Some(DeviceType::DiscreteGpu)), Tier::High);
        assert_eq!(QualityTier::Auto.resolve(None), Tier::Low);
        assert_eq!(QualityTier::High.resolve(Some(DeviceType::Cpu)), Tier::High);
    }
}
