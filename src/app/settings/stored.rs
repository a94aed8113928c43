//! How settings stand in their file. What is not named there is as it was made; what is unknown is passed over.

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::model::limits::USER_NAME_MAX_BYTES;
use crate::model::{Beauty, BeautyParams, OnBeautyFailure};
use crate::space::devices::DeviceChoice;
use crate::space::ui::RecentRoom;
use crate::space::{Comfort, Language, SoundMode};

/// What this program writes, and the newest it reads.
const VERSION: u32 = 1;
/// Rooms that are kept.
pub(super) const RECENT: usize = 6;

#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    version: u32,
    #[serde(default)]
    you: You,
    #[serde(default)]
    reading: Reading,
    #[serde(default)]
    sound: Sound,
    #[serde(default)]
    devices: Devices,
    #[serde(default)]
    beauty: StoredBeauty,
    #[serde(default)]
    recent: Vec<Recent>,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct You {
    name: String,
    camera_on: bool,
    microphone_on: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Reading {
    /// A language's tag; that of the system where it is none of ours.
    language: String,
    text_percent: u16,
    reduced_motion: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Sound {
    mono: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Devices {
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    microphone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Recent {
    room: String,
    /// A link holds the right to come in: the file is its owner's.
    #[serde(default)]
    link: String,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct StoredBeauty {
    enabled: bool,
    smooth: u32,
    whiten: u32,
    rosy: u32,
    sharpen: u32,
    low_light: bool,
    /// Whether a picture that cannot be filtered is not sent at all.
    stop_on_failure: bool,
}

impl Default for You {
    fn default() -> Self {
        Stored::of(&Settings::default()).you
    }
}

impl Default for Reading {
    fn default() -> Self {
        Stored::of(&Settings::default()).reading
    }
}

impl Default for StoredBeauty {
    fn default() -> Self {
        Self::from(Beauty::default())
    }
}

impl From<Beauty> for StoredBeauty {
    fn from(beauty: Beauty) -> Self {
        let [smooth, whiten, rosy, sharpen] = beauty.params.values().map(u32::from);
        let stop_on_failure = beauty.on_failure == OnBeautyFailure::Stop;
        Self { enabled: beauty.enabled, smooth, whiten, rosy, sharpen, low_light: beauty.low_light, stop_on_failure }
    }
}

impl StoredBeauty {
    fn read(&self) -> Result<Beauty, String> {
        let params = BeautyParams::new(self.smooth, self.whiten, self.rosy, self.sharpen);
        let on_failure = if self.stop_on_failure { OnBeautyFailure::Stop } else { OnBeautyFailure::Continue };
        let params = params.map_err(|error| error.to_string())?;
        Ok(Beauty { enabled: self.enabled, params, low_light: self.low_light, on_failure })
    }
}

impl Stored {
    /// As it is written.
    pub(super) fn of(settings: &Settings) -> Self {
        let Comfort { language, text_percent, reduced_motion } = settings.comfort;
        let DeviceChoice { camera, microphone, speaker } = settings.devices.clone();
        let (name, camera_on, microphone_on) = (settings.name.clone(), settings.camera_on, settings.microphone_on);
        let recent = settings.recent.iter().cloned().map(|RecentRoom { room, link }| Recent { room, link });
        Self {
            version: VERSION,
            you: You { name, camera_on, microphone_on },
            reading: Reading { language: language.tag().to_owned(), text_percent, reduced_motion },
            sound: Sound { mono: settings.sound == SoundMode::Mono },
            devices: Devices { camera, microphone, speaker },
            beauty: settings.beauty.into(),
            recent: recent.collect(),
        }
    }

    fn read(self) -> Result<Settings, String> {
        let Reading { language, text_percent, reduced_motion } = self.reading;
        let language = Language::of_tag(&language).unwrap_or_else(Language::of_this_user);
        let text_percent = text_percent.clamp(*Comfort::TEXT_PERCENT.start(), *Comfort::TEXT_PERCENT.end());
        let Devices { camera, microphone, speaker } = self.devices;
        let name = Some(self.you.name).filter(|name| name.len() <= USER_NAME_MAX_BYTES).unwrap_or_default();
        let recent = self.recent.into_iter().take(RECENT).map(|Recent { room, link }| RecentRoom { room, link });
        Ok(Settings {
            beauty: self.beauty.read()?,
            comfort: Comfort { language, text_percent, reduced_motion },
            sound: if self.sound.mono { SoundMode::Mono } else { SoundMode::Spatial },
            devices: DeviceChoice { camera, microphone, speaker },
            name,
            camera_on: self.you.camera_on,
            microphone_on: self.you.microphone_on,
            recent: recent.collect(),
        })
    }
}

/// Reads a file's text.
///
/// # Errors
/// What is wrong with it, in a line.
pub(super) fn read(text: &str) -> Result<Settings, String> {
    let one_line = |error: toml::de::Error| error.message().lines().next().unwrap_or_default().to_owned();
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = toml::from_str(text).map_err(one_line)?;
    if version > VERSION {
        return Err(format!("a newer Rotunda wrote them, version {version}"));
    }
    let stored: Stored = toml::from_str(text).map_err(one_line)?;
    stored.read()
}
