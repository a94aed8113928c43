//! What a person chose, kept from one call to the next: one TOML file in the system's place for settings. It is written
//! beside itself and renamed, so that it is whole or not there; one that cannot be read is kept aside, and said.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bevy::prelude::*;
use bevy::tasks::{IoTaskPool, Task};
use serde::{Deserialize, Serialize};

use crate::model::{Beauty, BeautyParams, OnBeautyFailure};
use crate::space::BeautyChoice;
use crate::space::ui::Notices;

/// Names another folder for the file.
const FOLDER_VARIABLE: &str = "ROTUNDA_CONFIG_DIR";
const FILE: &str = "settings.toml";
/// What this program writes, and the newest it reads.
const VERSION: u32 = 1;
/// A file of ours has a few hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// A choice is written when it has stood for so long: a slider gives one each frame.
const SETTLES: Duration = Duration::from_millis(700);

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What a camera begins with.
    pub beauty: Beauty,
}

/// Why settings could not be used or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read or written.
    #[error("settings are not kept: {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Its content makes no sense; the file was set aside.
    #[error("your settings could not be read ({why}): they begin anew, and the old file is kept as {kept}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
        /// Where it is now.
        kept: PathBuf,
    },
}

/// Where settings are kept.
#[derive(Clone, Debug)]
pub struct SettingsFile(PathBuf);

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    #[serde(default)]
    beauty: StoredBeauty,
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

impl SettingsFile {
    /// In this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// This user's; `None` where the system has no place for it.
    pub fn of_this_user() -> Option<Self> {
        let named = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let usual = || directories::ProjectDirs::from("", "", "rotunda").map(|dirs| dirs.config_dir().to_owned());
        named.or_else(usual).map(|folder| Self::in_folder(&folder))
    }

    /// Reads it; none yet is the defaults. What went wrong is told beside them.
    pub fn load(&self) -> (Settings, Option<SettingsError>) {
        let text = match self.text() {
            Ok(Some(text)) => text,
            Ok(None) => return (Settings::default(), None),
            Err(error) => return (Settings::default(), Some(self.trouble(error))),
        };
        match read(&text) {
            Ok(settings) => (settings, None),
            Err(why) => (Settings::default(), Some(self.set_aside(why))),
        }
    }

    /// `None` when there is no file.
    fn text(&self) -> io::Result<Option<String>> {
        match fs::metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(about) if about.len() > MAX_BYTES => return Ok(Some("it is far too large".to_owned())),
            _ => {}
        }
        fs::read(&self.0).map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn set_aside(&self, why: String) -> SettingsError {
        let kept = (1..).map(|n| self.0.with_extension(format!("unreadable-{n}.toml"))).find(|path| !path.exists());
        let kept = kept.unwrap_or_else(|| self.0.with_extension("unreadable.toml"));
        match fs::rename(&self.0, &kept) {
            Ok(()) => SettingsError::Unreadable { why, kept },
            Err(error) => self.trouble(error),
        }
    }

    /// Writes it whole, or leaves the old one.
    ///
    /// # Errors
    /// [`SettingsError::File`] when the folder cannot be written.
    pub fn save(&self, settings: &Settings) -> Result<(), SettingsError> {
        let stored = Stored { version: VERSION, beauty: settings.beauty.into() };
        let text = toml::to_string_pretty(&stored).map_err(|error| self.trouble(io::Error::other(error)))?;
        let write = || {
            if let Some(folder) = self.0.parent() {
                fs::create_dir_all(folder)?;
            }
            // Two programs at once do not write into one file.
            let fresh = self.0.with_extension(format!("{}.new", std::process::id()));
            let done = fs::write(&fresh, &text).and_then(|()| fs::rename(&fresh, &self.0));
            if done.is_err() {
                // What is left of it is of no use; the first error is told.
                fs::remove_file(&fresh).unwrap_or_default();
            }
            done
        };
        write().map_err(|error| self.trouble(error))
    }

    fn trouble(&self, error: io::Error) -> SettingsError {
        SettingsError::File { path: self.0.clone(), error }
    }
}

fn read(text: &str) -> Result<Settings, String> {
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
    Ok(Settings { beauty: stored.beauty.read()? })
}

/// What of the own picture's beauty is other than as it was left, for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeautyChange {
    /// These filters, or none.
    pub filters: Option<Option<BeautyParams>>,
    /// Whether dark pictures are brightened.
    pub low_light: Option<bool>,
    /// What becomes of the stream when filtering fails.
    pub on_failure: Option<OnBeautyFailure>,
}

impl BeautyChange {
    fn of(self, left: Beauty) -> Beauty {
        let filters = self.filters;
        Beauty {
            enabled: filters.map_or(left.enabled, |filters| filters.is_some()),
            params: filters.flatten().unwrap_or(left.params),
            low_light: self.low_light.unwrap_or(left.low_light),
            on_failure: self.on_failure.unwrap_or(left.on_failure),
        }
    }
}

/// Keeps what is chosen in the room; what was kept is there before the first frame.
pub(super) struct KeepSettings {
    pub file: Option<SettingsFile>,
    /// For this call.
    pub beauty: BeautyChange,
}

/// The file, and what it holds as far as is known.
#[derive(Resource)]
struct Keeper {
    file: Option<SettingsFile>,
    kept: Settings,
    trouble: Option<String>,
    settling: Duration,
    writing: Option<Task<Result<(), SettingsError>>>,
}

impl Plugin for KeepSettings {
    fn build(&self, app: &mut App) {
        let (kept, trouble) = self.file.as_ref().map_or_else(Default::default, SettingsFile::load);
        let beauty = self.beauty.of(kept.beauty);
        let trouble = trouble.map(|error| error.to_string());
        // What the command line says for one call is not kept.
        let kept = Settings { beauty };
        let keeper = Keeper { file: self.file.clone(), kept, trouble, settling: Duration::ZERO, writing: None };
        app.insert_resource(BeautyChoice(beauty))
            .insert_resource(keeper)
            .add_systems(Update, keep)
            .add_systems(Last, keep_at_exit);
    }
}

/// Writes what changed, beside the frames.
fn keep(time: Res<Time<Real>>, choice: Res<BeautyChoice>, mut keeper: ResMut<Keeper>, mut notices: ResMut<Notices>) {
    let keeper = &mut *keeper;
    if let Some(trouble) = keeper.trouble.take() {
        warn!(trouble, "settings");
        notices.tell(trouble, true);
    }
    if let Some(task) = &mut keeper.writing {
        let Some(done) = bevy::tasks::block_on(bevy::tasks::poll_once(task)) else { return };
        keeper.writing = None;
        keeper.trouble = done.err().map(|error| error.to_string());
    }
    let now = Settings { beauty: choice.0 };
    if now == keeper.kept {
        return;
    }
    keeper.settling = if choice.is_changed() { Duration::ZERO } else { keeper.settling + time.delta() };
    if keeper.settling >= SETTLES {
        keeper.kept = now;
        if let Some(file) = keeper.file.clone() {
            keeper.writing = Some(IoTaskPool::get().spawn(async move { file.save(&now) }));
        }
    }
}

/// The last choice has no time to settle.
fn keep_at_exit(exits: MessageReader<AppExit>, choice: Res<BeautyChoice>, mut keeper: ResMut<Keeper>) {
    let now = Settings { beauty: choice.0 };
    // What is being written may not come to its end either.
    if exits.is_empty() || (now == keeper.kept && keeper.writing.is_none()) {
        return;
    }
    keeper.kept = now;
    if let Some(file) = &keeper.file
        && let Err(error) = file.save(&now)
    {
        error!(%error, "settings");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rotunda-settings-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).unwrap_or_default();
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn chosen() -> Settings {
        let beauty = Beauty {
            low_light: true,
            on_failure: OnBeautyFailure::Stop,
            ..Beauty::of(BeautyParams::new(0, 100, 7, 50).unwrap())
        };
        Settings { beauty }
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_lies_about() {
        let folder = folder("kept").join("deeper");
        let file = SettingsFile::in_folder(&folder);
        assert!(matches!(file.load(), (settings, None) if settings == Settings::default()), "none yet");
        file.save(&Settings::default()).unwrap();
        file.save(&chosen()).unwrap();
        assert!(matches!(file.load(), (settings, None) if settings == chosen()));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn what_is_said_for_one_call_changes_that_alone() {
        let left = chosen().beauty;
        assert_eq!(BeautyChange::default().of(left), left);
        let low = BeautyChange { low_light: Some(false), ..BeautyChange::default() };
        assert_eq!(low.of(left), Beauty { low_light: false, ..left });
        let off = BeautyChange { filters: Some(None), ..BeautyChange::default() };
        assert_eq!(off.of(left), Beauty { enabled: false, ..left }, "the sliders stay where they were");
        let params = BeautyParams::new(1, 2, 3, 4).unwrap();
        let other = BeautyChange { filters: Some(Some(params)), ..BeautyChange::default() };
        assert_eq!(other.of(Beauty::default()), Beauty::of(params));
    }

    #[test]
    fn files_that_make_no_sense_are_kept_aside_and_said() {
        let folder = folder("broken");
        let file = SettingsFile::in_folder(&folder);
        let large = format!("version = 1\n{}", "#".repeat(100_000));
        let broken =
            ["", "version = 1\n[beauty", "version = 7", "version = 1\n[beauty]\nsmooth = 101", "\0\u{fffd}", &large];
        for (index, text) in broken.iter().enumerate() {
            fs::write(folder.join(FILE), text).unwrap();
            let (settings, error) = file.load();
            assert_eq!(settings, Settings::default());
            let error = error.unwrap().to_string();
            let kept = folder.join(format!("settings.unreadable-{}.toml", index + 1));
            assert!(error.contains(&kept.display().to_string()) && error.len() < 400, "{text:.20}: {error}");
            assert_eq!(fs::read_to_string(kept).unwrap(), *text);
            assert!(matches!(file.load(), (_, None)), "it begins anew");
        }
        // What is not named is as it was made.
        fs::write(folder.join(FILE), "version = 1\nsomething = 'else'\n[beauty]\nenabled = true\n").unwrap();
        assert_eq!(file.load().0, Settings { beauty: Beauty { enabled: true, ..Beauty::default() } });
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_said_and_nothing_is_lost() {
        let folder = folder("blocked");
        fs::write(folder.join("file"), "").unwrap();
        let file = SettingsFile::in_folder(&folder.join("file"));
        let error = file.save(&chosen()).unwrap_err().to_string();
        assert!(error.contains("settings.toml"), "{error}");
    }
}
