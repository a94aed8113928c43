//! The room itself: Bevy plugins that turn what the engine tells into a place.
//!
//! [`RotundaPlugins`] adds everything on top of [`host::windowed`] or [`host::offscreen`]; each plugin also works
//! alone. The engine is behind [`EngineBridge`], so a scripted stand-in made from
//! [`crate::bridge::engine_channels`] runs the whole room without network or devices.
//!
//! - foundations: [`schedule`], [`settings`], [`geometry`], [`layout`], [`words`]
//! - what is in the room: [`participant`], [`stream`], and [`sync`], which keeps them in step with the engine
//! - features: [`panel`], [`wall`], [`environment`], [`view`], [`pose`], [`fetch`], [`spatial_audio`], [`picture`],
//!   [`pace`], [`beauty`], [`sharing`], [`chat`], [`order`], [`devices`]
//! - and [`ui`], which may use all of them and which nothing uses
//!
//! Invariant: no system waits for the engine, the network or a file.

pub mod beauty;
pub mod chat;
pub mod devices;
pub mod environment;
pub mod fetch;
pub mod geometry;
pub mod host;
pub mod layout;
pub mod order;
pub mod pace;
pub mod panel;
pub mod participant;
pub mod picture;
pub mod pose;
pub mod schedule;
pub mod settings;
pub mod sharing;
pub mod spatial_audio;
pub mod stream;
pub mod sync;
pub mod ui;
pub mod view;
pub mod wall;
pub mod words;

use bevy::app::{PluginGroup, PluginGroupBuilder};

pub use beauty::{BeautyChanged, BeautyChoice, BeautyStatus, SetBeauty};
pub use chat::{ChatLog, React, SendMessage};
pub use devices::{CameraQuality, ChooseDevice, DeviceChoice, DeviceKind, DeviceLists, DevicesInUse};
pub use fetch::{FetchFigures, FetchSettings, Fetched};
pub use layout::{Mood, RoomLayout};
pub use order::KeepOrder;
pub use participant::{
    CameraOff, Connection, HandRaised, Host, LocalParticipant, Muted, Participant, Seat, SeatClaim, SeatPlan, Speaking,
    Spotlit, Standing, VoiceLevel,
};
pub use picture::{PictureRequest, PictureTaken};
pub use schedule::SpaceSystems;
pub use settings::{Comfort, QualityTier, SpaceSettings, Tier, ViewTarget};
pub use sharing::{Sharing, StartSharing, StopSharing};
pub use spatial_audio::{HearToAll, SoundMode, SpeaksToAll, Volume};
pub use stream::{FramePresented, PublishedBy, Publishes, SoundPlace, VideoStream};
pub use sync::{
    ChatReceived, ChatRefused, ChatSent, EngineBridge, EngineEvent, Outbox, RoomFigures, RoomStatus, UserCame, UserWent,
};
pub use view::{TakeSeat, ViewMode};
pub use words::Language;

/// The whole room. Insert [`SpaceSettings`] before, [`EngineBridge`] before or later.
pub struct RotundaPlugins;

impl PluginGroup for RotundaPlugins {
    fn build(self) -> PluginGroupBuilder {
        PluginGroupBuilder::start::<Self>()
            .add(schedule::SchedulePlugin)
            .add(settings::SettingsPlugin)
            .add(sync::SyncPlugin)
            .add(participant::ParticipantPlugin)
            .add(stream::StreamPlugin)
            .add(environment::EnvironmentPlugin)
            .add(panel::PanelPlugin)
            .add(wall::WallPlugin)
            .add(view::ViewPlugin)
            .add(fetch::FetchPlugin)
            .add(pose::PosePlugin)
            .add(spatial_audio::SpatialAudioPlugin)
            .add(beauty::BeautyPlugin)
            .add(sharing::SharingPlugin)
            .add(chat::ChatPlugin)
            .add(order::OrderPlugin)
            .add(devices::DevicesPlugin)
            .add(picture::PicturePlugin)
            .add(pace::PacePlugin)
            .add(ui::UiPlugin)
    }
}
