//! What a person chose, kept from one call to the next: one TOML file in the system's place for settings. It is written
//! beside itself and renamed, so that it is whole or not there; one that cannot be read is kept aside, and said.

mod stored;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy::tasks::{IoTaskPool, Task};

use self::stored::Stored;
use crate::model::{Beauty, BeautyParams, OnBeautyFailure};
use crate::space::devices::DeviceChoice;
use crate::space::ui::{Lobby, Notices, RecentRoom};
use crate::space::{BeautyChoice, Comfort, Language, SoundMode};

/// Names another folder for the file.
const FOLDER_VARIABLE: &str = "ROTUNDA_CONFIG_DIR";
const FILE: &str = "settings.toml";
/// A file of ours has a few hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// A choice is written when it has stood for so long: a slider gives one each frame.
const SETTLES: Duration = Duration::from_millis(700);

/// What is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What a camera begins with.
    pub beauty: Beauty,
    /// Language, size of text, motion.
    pub comfort: Comfort,
    /// How voices are heard.
    pub sound: SoundMode,
    /// The devices that were chosen.
    pub devices: DeviceChoice,
    /// The name others see.
    pub name: String,
    /// Whether one goes into a room with the camera on.
    pub camera_on: bool,
    /// Whether one goes in with the microphone on.
    pub microphone_on: bool,
    /// Rooms one was in, the newest first.
    pub recent: Vec<RecentRoom>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            beauty: Beauty::default(),
            comfort: Comfort { language: Language::of_this_user(), ..Comfort::default() },
            sound: SoundMode::default(),
            devices: DeviceChoice::default(),
            name: String::new(),
            camera_on: true,
            microphone_on: true,
            recent: Vec::new(),
        }
    }
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
        match stored::read(&text) {
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
        let text =
            toml::to_string_pretty(&Stored::of(settings)).map_err(|error| self.trouble(io::Error::other(error)))?;
        let write = || {
            if let Some(folder) = self.0.parent() {
                private_folder(folder)?;
            }
            // Two programs at once do not write into one file.
            let fresh = self.0.with_extension(format!("{}.new", std::process::id()));
            let done = write_private(&fresh, &text).and_then(|()| fs::rename(&fresh, &self.0));
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

/// Links of rooms are kept, and whoever has one may come in: the folder and the file are for their owner alone.
#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// See [`private_folder`].
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(path)?, text.as_bytes())
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

/// Keeps what is chosen in the lobby and in rooms; what was kept is there before the first frame.
pub(super) struct KeepSettings {
    pub file: Option<SettingsFile>,
    /// See `beauty`.
    pub name: Option<String>,
    /// For this run.
    pub beauty: BeautyChange,
    /// See `beauty`.
    pub sound: Option<SoundMode>,
    /// See `beauty`.
    pub language: Option<Language>,
    /// See `beauty`.
    pub text_percent: Option<u16>,
}

/// The file, and what it holds as far as is known.
#[derive(Resource)]
struct Keeper {
    file: Option<SettingsFile>,
    kept: Settings,
    trouble: Option<String>,
    /// What is to be kept, and for how long it has been so.
    settling: Option<(Settings, Duration)>,
    writing: Option<Task<Result<(), SettingsError>>>,
}

/// Everything that is kept, where it is chosen.
#[derive(SystemParam)]
struct Chosen<'w> {
    beauty: Res<'w, BeautyChoice>,
    comfort: Res<'w, Comfort>,
    sound: Res<'w, SoundMode>,
    devices: Res<'w, DeviceChoice>,
    lobby: Res<'w, Lobby>,
}

impl Chosen<'_> {
    fn may_differ(&self) -> bool {
        self.beauty.is_changed()
            || self.comfort.is_changed()
            || self.sound.is_changed()
            || self.devices.is_changed()
            || self.lobby.is_changed()
    }

    fn settings(&self) -> Settings {
        Settings {
            beauty: self.beauty.0,
            comfort: *self.comfort,
            sound: *self.sound,
            devices: self.devices.clone(),
            name: self.lobby.name.clone(),
            camera_on: self.lobby.camera_on,
            microphone_on: self.lobby.microphone_on,
            recent: self.lobby.recent.clone(),
        }
    }
}

impl Plugin for KeepSettings {
    fn build(&self, app: &mut App) {
        let (kept, trouble) = self.file.as_ref().map_or_else(Default::default, SettingsFile::load);
        let mut now = kept;
        // What the command line says for one run is not kept by itself.
        now.beauty = self.beauty.of(now.beauty);
        now.name = self.name.clone().unwrap_or(now.name);
        now.sound = self.sound.unwrap_or(now.sound);
        now.comfort.language = self.language.unwrap_or(now.comfort.language);
        now.comfort.text_percent = self.text_percent.unwrap_or(now.comfort.text_percent);
        let lobby = Lobby {
            name: now.name.clone(),
            camera_on: now.camera_on,
            microphone_on: now.microphone_on,
            recent: now.recent.clone(),
            ..Lobby::default()
        };
        app.insert_resource(BeautyChoice(now.beauty))
            .insert_resource(now.comfort)
            .insert_resource(now.sound)
            .insert_resource(now.devices.clone())
            .insert_resource(lobby)
            .insert_resource(Keeper {
                file: self.file.clone(),
                kept: now,
                trouble: trouble.map(|error| error.to_string()),
                settling: None,
                writing: None,
            })
            .add_systems(Update, keep)
            .add_systems(Last, keep_at_exit);
    }
}

/// Writes what changed, beside the frames.
fn keep(time: Res<Time<Real>>, chosen: Chosen, mut keeper: ResMut<Keeper>, mut notices: ResMut<Notices>) {
    let keeper = &mut *keeper;
    if let Some(trouble) = keeper.trouble.take() {
        warn!(trouble, "settings");
        notices.tell(trouble, true);
    }
    if chosen.may_differ() {
        let now = chosen.settings();
        keeper.settling = (now != keeper.kept).then_some((now, Duration::ZERO));
    }
    if let Some(task) = &mut keeper.writing {
        let Some(done) = bevy::tasks::block_on(bevy::tasks::poll_once(task)) else { return };
        keeper.writing = None;
        keeper.trouble = done.err().map(|error| error.to_string());
    }
    if let Some((_, settled)) = &mut keeper.settling {
        *settled += time.delta();
    }
    if let Some((now, _)) = keeper.settling.take_if(|(_, settled)| *settled >= SETTLES) {
        keeper.kept = now.clone();
        if let Some(file) = keeper.file.clone() {
            keeper.writing = Some(IoTaskPool::get().spawn(async move { file.save(&now) }));
        }
    }
}

/// The last choice has no time to settle.
fn keep_at_exit(exits: MessageReader<AppExit>, chosen: Chosen, mut keeper: ResMut<Keeper>) {
    if exits.is_empty() {
        return;
    }
    let now = chosen.settings();
    // What is being written comes to its end first: two would write into one file.
    if let Some(Err(error)) = keeper.writing.take().map(bevy::tasks::block_on) {
        error!(%error, "settings");
    }
    if now == keeper.kept {
        return;
    }
    if let Some(file) = &keeper.file
        && let Err(error) = file.save(&now)
    {
        error!(%error, "settings");
    }
    (keeper.kept, keeper.settling) = (now, None);
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
        Settings {
            beauty,
            comfort: Comfort { language: Language::Chinese, text_percent: 150, reduced_motion: true },
            sound: SoundMode::Mono,
            devices: DeviceChoice { camera: Some("usb \"A\"".into()), ..DeviceChoice::default() },
            name: "Ann \n 李".into(),
            camera_on: false,
            microphone_on: true,
            recent: vec![RecentRoom { room: "team".into(), link: "http://h/join/team?code=x".into() }],
        }
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
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&folder), mode(&folder.join(FILE))), (0o700, 0o600), "links are nobody else's business");
        }
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
        let beauty = Beauty { enabled: true, ..Beauty::default() };
        assert_eq!(file.load().0, Settings { beauty, ..Settings::default() });
        // What is out of bounds is brought into them where nothing is lost by it.
        let odd = "version = 1\n[reading]\ntext_percent = 900\nlanguage = 'xx'\n[you]\nname = 'N'\n";
        fs::write(folder.join(FILE), odd).unwrap();
        let (settings, trouble) = file.load();
        assert!(trouble.is_none());
        assert_eq!((settings.comfort.text_percent, settings.name.as_str()), (200, "N"));
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
