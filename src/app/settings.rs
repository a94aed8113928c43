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

impl Settings {
    /// With what differs in `to` from `from`, and the rest as it is here: what is said for one call is not kept beside what
    /// was chosen, and of two programs neither takes back what the other chose before.
    fn with_changes(self, from: &Self, to: &Self) -> Self {
        fn newer<T: Clone + PartialEq>(here: T, from: &T, to: &T) -> T {
            if from == to { here } else { to.clone() }
        }
        let (comfort, devices) = (self.comfort, self.devices);
        let comfort = Comfort {
            language: newer(comfort.language, &from.comfort.language, &to.comfort.language),
            text_percent: newer(comfort.text_percent, &from.comfort.text_percent, &to.comfort.text_percent),
            reduced_motion: newer(comfort.reduced_motion, &from.comfort.reduced_motion, &to.comfort.reduced_motion),
        };
        let devices = DeviceChoice {
            camera: newer(devices.camera, &from.devices.camera, &to.devices.camera),
            microphone: newer(devices.microphone, &from.devices.microphone, &to.devices.microphone),
            speaker: newer(devices.speaker, &from.devices.speaker, &to.devices.speaker),
        };
        // Rooms come and go one by one.
        let stays = |room: &&RecentRoom| !from.recent.contains(room) || self.recent.contains(room);
        let kept: Vec<&RecentRoom> = to.recent.iter().filter(stays).collect();
        let comes = |room: &&RecentRoom| !from.recent.contains(room) && !kept.iter().any(|own| own.is_same_as(room));
        let comes = self.recent.iter().filter(comes);
        let recent = kept.iter().copied().chain(comes).take(stored::RECENT).cloned().collect();
        Self {
            beauty: newer(self.beauty, &from.beauty, &to.beauty),
            comfort,
            sound: newer(self.sound, &from.sound, &to.sound),
            devices,
            name: newer(self.name, &from.name, &to.name),
            camera_on: newer(self.camera_on, &from.camera_on, &to.camera_on),
            microphone_on: newer(self.microphone_on, &from.microphone_on, &to.microphone_on),
            recent: if from.recent == to.recent { self.recent } else { recent },
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

    /// Writes what was chosen since `from`, beside what another program chose meanwhile: whole, or the old file stays.
    ///
    /// # Errors
    /// [`SettingsError::File`] when the file cannot be read, or the folder not written; [`SettingsError::Unreadable`] when
    /// what another program wrote makes no sense: it is set aside, and what was chosen is kept all the same.
    pub fn save(&self, from: &Settings, to: &Settings) -> Result<(), SettingsError> {
        let (there, aside) = match self.load() {
            (_, Some(error @ SettingsError::File { .. })) => return Err(error),
            // What this program knows is all there is.
            (_, Some(aside)) => (from.clone(), Some(aside)),
            (there, None) => (there, None),
        };
        let stored = Stored::of(&there.with_changes(from, to));
        let text = toml::to_string_pretty(&stored).map_err(|error| self.trouble(io::Error::other(error)))?;
        let write = || {
            if let Some(folder) = self.0.parent() {
                private_folder(folder)?;
            }
            let fresh = self.fresh();
            let done = write_private(&fresh, &text).and_then(|()| fs::rename(&fresh, &self.0));
            if done.is_err() {
                // What is left of it is of no use; the first error is told.
                fs::remove_file(&fresh).unwrap_or_default();
            }
            done
        };
        write().map_err(|error| self.trouble(error))?;
        aside.map_or(Ok(()), Err)
    }

    /// Written before it takes the old one's place. Two programs at once do not write into one file.
    fn fresh(&self) -> PathBuf {
        self.0.with_extension(format!("{}.new", std::process::id()))
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

/// The file, and what this program knows of it.
#[derive(Resource)]
struct Keeper {
    file: Option<SettingsFile>,
    /// What differs from it is to be written: what was read, with what was said for this run; later what was written last.
    kept: Settings,
    trouble: Option<String>,
    /// What is to be kept, and for how long it has been so.
    settling: Option<(Settings, Duration)>,
    /// What is on its way into the file.
    writing: Option<(Settings, Task<Result<(), SettingsError>>)>,
}

impl Keeper {
    /// Takes in what became of the writing. What was not written is tried again with the next choice.
    fn written(&mut self, done: Result<(), SettingsError>) {
        if let (Some((settings, _)), Ok(()) | Err(SettingsError::Unreadable { .. })) = (self.writing.take(), &done) {
            self.kept = settings;
        }
        self.trouble = done.err().map(|error| error.to_string());
    }
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
        let known = keeper.writing.as_ref().map_or(&keeper.kept, |(written, _)| written);
        keeper.settling = (now != *known).then_some((now, Duration::ZERO));
    }
    if let Some((_, task)) = &mut keeper.writing {
        let Some(done) = bevy::tasks::block_on(bevy::tasks::poll_once(task)) else { return };
        keeper.written(done);
    }
    if let Some((_, settled)) = &mut keeper.settling {
        *settled += time.delta();
    }
    if let Some((now, _)) = keeper.settling.take_if(|(_, settled)| *settled >= SETTLES)
        && let Some(file) = keeper.file.clone()
    {
        let (from, to) = (keeper.kept.clone(), now.clone());
        keeper.writing = Some((now, IoTaskPool::get().spawn(async move { file.save(&from, &to) })));
    }
}

/// The last choice has no time to settle.
fn keep_at_exit(exits: MessageReader<AppExit>, chosen: Chosen, mut keeper: ResMut<Keeper>) {
    if exits.is_empty() {
        return;
    }
    // What is being written comes to its end first: two would write into one file.
    if let Some((_, task)) = &mut keeper.writing {
        let done = bevy::tasks::block_on(task);
        keeper.written(done);
    }
    let now = chosen.settings();
    let done = match &keeper.file {
        Some(file) if now != keeper.kept => file.save(&keeper.kept, &now),
        _ => Ok(()),
    };
    let trouble = keeper.trouble.take();
    if let Some(error) = done.err().map(|error| error.to_string()).or(trouble) {
        error!(error, "settings");
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
        let nothing = Settings::default();
        file.save(&nothing, &nothing).unwrap();
        file.save(&nothing, &chosen()).unwrap();
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
        let error = file.save(&Settings::default(), &chosen()).unwrap_err().to_string();
        assert!(error.contains("settings.toml"), "{error}");
    }

    /// The device that is always full stands in for a disk.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_said_and_the_old_file_stays() {
        let folder = folder("full");
        let file = SettingsFile::in_folder(&folder);
        let nothing = Settings::default();
        file.save(&nothing, &chosen()).unwrap();
        std::os::unix::fs::symlink("/dev/full", file.fresh()).unwrap();
        let error = file.save(&chosen(), &nothing).unwrap_err().to_string();
        assert!(error.contains("settings.toml") && error.contains("space"), "{error}");
        assert_eq!(file.load().0, chosen());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "and nothing half written beside it");
    }

    #[test]
    fn of_two_programs_neither_takes_back_what_the_other_chose() {
        let file = SettingsFile::in_folder(&folder("two"));
        let room = |room: &str| RecentRoom { room: room.into(), link: String::new() };
        let begun = Settings { recent: vec![room("old"), room("hall")], ..chosen() };
        file.save(&Settings::default(), &begun).unwrap();
        let mut theirs = Settings { name: "Bea".into(), recent: vec![room("theirs"), room("hall")], ..begun.clone() };
        theirs.devices.speaker = Some("theirs".into());
        file.save(&begun, &theirs).unwrap();
        let mut ours = Settings { sound: SoundMode::Spatial, ..begun.clone() };
        ours.devices.camera = Some("ours".into());
        ours.recent.insert(0, room("ours"));
        file.save(&begun, &ours).unwrap();
        let mut both = Settings { name: "Bea".into(), ..ours.clone() };
        both.devices.speaker = Some("theirs".into());
        both.recent = vec![room("ours"), room("hall"), room("theirs")];
        assert_eq!(file.load().0, both);
        // What was said for one call alone stands in no file.
        let said = Settings { name: "Once".into(), ..ours };
        file.save(&said, &Settings { camera_on: true, ..said.clone() }).unwrap();
        let (kept, _) = file.load();
        assert_eq!((kept.name.as_str(), kept.camera_on), ("Bea", true));
        // A room whose link they have anew is kept by that.
        let by = |code: &str| RecentRoom { room: "team".into(), link: format!("http://h/join/team?code={code}") };
        let rooms = |recent| Settings { recent, ..said.clone() };
        file.save(&rooms(vec![by("old")]), &rooms(vec![room("ours"), by("old")])).unwrap();
        let now = file.load().0.recent;
        file.save(&rooms(now), &rooms(vec![by("new")])).unwrap();
        file.save(&rooms(vec![by("old")]), &rooms(vec![room("ours"), by("old")])).unwrap();
        assert_eq!(file.load().0.recent, [room("ours"), by("new")]);
        // One from the future is kept aside, and what this program knows stays.
        fs::write(&file.0, "version = 9").unwrap();
        let now = Settings { camera_on: true, ..said.clone() };
        let trouble = file.save(&said, &now).unwrap_err();
        assert!(matches!(&trouble, SettingsError::Unreadable { kept, .. } if kept.exists()), "{trouble}");
        assert_eq!(file.load().0, now);
    }
}
