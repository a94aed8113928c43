//! The application: engine, room and report in one Bevy `App`, in a window or off-screen. [`Home`] begins in the lobby and
//! goes from room to room; [`RoomRun`] is one call in one room.
//!
//! Runs on the main thread until the window is closed, the time is up, the call ends for good or Ctrl-C is pressed;
//! then takes the last picture, leaves the room and says how the call went.

mod home;
mod link;
mod opening;
mod recording;
mod settings;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bevy::platform::cell::SyncCell;
use bevy::prelude::*;
use bevy::window::ExitCondition;

pub use self::home::Home;
use self::link::LinkAddress;
use self::recording::{CallPlugin, CallSetup};
use self::settings::KeepSettings;
pub use self::settings::{BeautyChange, Settings, SettingsError, SettingsFile};
use crate::bridge::{CommandError, EngineHandle, Entry, PublishRequest};
use crate::client::report::{Expectations, Recorder, Report};
use crate::client::room_of;
use crate::protocol::invitation;
use crate::space::fetch::FIRST_QUALITY;
use crate::space::ui::{RoomIsHere, RoomLink};
use crate::space::{
    EngineBridge, Language, QualityTier, RoomLayout, RotundaPlugins, SoundMode, SpaceSettings, ViewMode, ViewTarget,
    host,
};

/// Where the room is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A window.
    Window,
    /// A picture in memory: no display needed.
    Offscreen,
}

impl View {
    /// Whether this machine shows windows.
    pub fn has_display() -> bool {
        let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        !cfg!(all(unix, not(target_os = "macos"))) || named("DISPLAY") || named("WAYLAND_DISPLAY")
    }
}

/// Something that wants to tell the user how things come along, a few times a second.
pub trait Progress: Send + 'static {
    /// Called about four times a second.
    fn tick(&mut self);
}

/// Makes a fresh token for the call; `None` when that is not possible now.
pub type TokenRenewal = Box<dyn FnMut() -> Option<String> + Send>;

/// What a room looks like when it opens.
#[derive(Clone, Debug)]
pub struct RoomLook {
    /// Size of the window or picture in pixels.
    pub size: (u32, u32),
    /// How richly it is drawn.
    pub quality: QualityTier,
    /// The room itself.
    pub layout: RoomLayout,
    /// How it is looked at.
    pub mode: ViewMode,
    /// How voices are heard, other than as it was left.
    pub sound: Option<SoundMode>,
    /// What is done to the own picture in this call other than as it was left.
    pub beauty: BeautyChange,
    /// The overlay's language, other than as it was left.
    pub language: Option<Language>,
    /// The overlay's size of text in percent, other than as it was left.
    pub text_percent: Option<u16>,
}

impl RoomLook {
    /// Bevy with the room, the engine and what a person chose before.
    /// A name is for this run.
    fn build(
        self,
        view: View,
        title: &str,
        engine: EngineHandle,
        (settings, name): (Option<SettingsFile>, Option<String>),
    ) -> App {
        let (width, height) = self.size;
        let mut app = App::new();
        let target = match view {
            View::Window => {
                // The call ends before the window does.
                app.add_plugins(host::windowed(self.size, title).set(WindowPlugin {
                    primary_window: Some(host::window(self.size, title)),
                    exit_condition: ExitCondition::DontExit,
                    close_when_requested: false,
                    ..default()
                }));
                ViewTarget::Window
            }
            View::Offscreen => {
                app.add_plugins(host::offscreen());
                ViewTarget::Offscreen { width, height }
            }
        };
        let keeps = KeepSettings {
            file: settings,
            name,
            beauty: self.beauty,
            sound: self.sound,
            language: self.language,
            text_percent: self.text_percent,
        };
        let (quality, layout) = (self.quality, self.layout);
        app.insert_resource(SpaceSettings { quality, view: target, layout, ..SpaceSettings::default() })
            .insert_resource(self.mode)
            .insert_resource(EngineBridge(engine))
            .add_plugins(RotundaPlugins)
            .add_plugins((keeps, link::plugin));
        app
    }
}

/// One call in one room.
pub struct RoomRun {
    /// Window or picture.
    pub view: View,
    /// What it looks like.
    pub look: RoomLook,
    /// The engine, started.
    pub engine: EngineHandle,
    /// Where to log in, or the link that says so.
    pub entry: Entry,
    /// Asked when the token is about to end; without it the user is told.
    pub renewal: Option<TokenRenewal>,
    /// What to publish once inside.
    pub publications: Vec<PublishRequest>,
    /// Leave after this long.
    pub limit: Option<Duration>,
    /// Folder for `room.png`, which exists.
    pub out: Option<PathBuf>,
    /// Remote pictures that must be decoded for the call to count as working.
    pub remote_videos: usize,
    /// The window's title.
    pub title: String,
    /// Told about four times a second.
    pub progress: Option<Box<dyn Progress>>,
    /// Where what is chosen in the room is kept; nowhere when `None`.
    pub settings: Option<SettingsFile>,
    /// The room is on this computer, ends with this program, and others come in by this link.
    pub link: Option<String>,
}

/// Why the room could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// No graphics.
    #[error(transparent)]
    Gpu(#[from] host::GpuError),
    /// The engine takes no commands.
    #[error(transparent)]
    Engine(#[from] CommandError),
    /// The room ended without a word about the call.
    #[error("the room ended unexpectedly ({0:?}): run again with RUST_LOG=info to see why")]
    Ended(AppExit),
}

/// What leads others into the room: the link one comes in by, or else where links lead.
fn links(entry: &Entry) -> (Option<String>, Option<String>) {
    match entry {
        Entry::Invitation(request) => (Some(request.link.clone()), None),
        Entry::Login(request) => {
            let address = |server: &String| invitation::address(server, &request.room);
            (None, request.servers.first().and_then(address))
        }
    }
}

impl RoomRun {
    /// Runs the call to its end.
    ///
    /// # Errors
    /// [`AppError`] when there is nothing to draw with or the engine has stopped.
    pub fn run(self) -> Result<Report, AppError> {
        host::check_gpu()?;
        let recorder = Recorder::new(room_of(&self.entry).map_or_else(String::new, String::from));
        let (link, address) = links(&self.entry);
        // What is not looked at yet is not fetched in full while the room is being built.
        self.engine.send(self.entry.with_first_quality(FIRST_QUALITY).into_command())?;
        let mut app = self.look.build(self.view, &self.title, self.engine, (self.settings, None));
        app.insert_resource(RoomLink(self.link.clone().or(link))).insert_resource(LinkAddress(address));
        if self.link.is_some() {
            app.init_resource::<RoomIsHere>();
        }
        let result = Arc::new(Mutex::new(None));
        let expected =
            Expectations { remote_videos: self.remote_videos, own_streams: self.publications.len(), rendered: true };
        app.add_plugins(CallPlugin::new(CallSetup {
            recorder,
            renewal: self.renewal.map(SyncCell::new),
            publications: SyncCell::new(self.publications),
            limit: self.limit,
            picture: self.out.map(|out| out.join("room.png")),
            expected,
            progress: self.progress.map(SyncCell::new),
            result: Arc::clone(&result),
        }));
        let exit = app.run();
        let report = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        report.ok_or(AppError::Ended(exit))
    }
}
