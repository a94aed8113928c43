//! A PulseAudio of our own, with one loudspeaker that is heard by nobody and can be recorded: sound devices where there
//! are none. It ends with the value.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::servers::Guarded;

/// The rate of the loudspeaker and of recordings.
pub const RATE_HZ: u32 = 48_000;
const START_LIMIT: Duration = Duration::from_secs(20);

/// The running daemon.
pub struct Pulse {
    process: Guarded,
    folder: PathBuf,
}

impl Pulse {
    /// Starts one.
    ///
    /// # Errors
    /// A sentence that says what is missing or went wrong.
    pub fn start() -> Result<Self, String> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rotunda-pulse-{}-{nth}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let home = format!("HOME={0}", folder.display());
        let runtime = format!("PULSE_RUNTIME_PATH={0}", folder.display());
        let socket = format!("module-native-protocol-unix auth-anonymous=1 socket={}/socket", folder.display());
        let sink = format!("module-null-sink sink_name=speaker rate={RATE_HZ} channels=2");
        let daemon = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"];
        let arguments: Vec<&str> = [&home, &runtime]
            .map(String::as_str)
            .into_iter()
            .chain(daemon)
            .chain(["-L", &socket, "-L", &sink])
            .collect();
        let process = Guarded::start("/usr/bin/env".as_ref(), &arguments, None).map_err(|error| error.to_string())?;
        let pulse = Self { process, folder };
        let started = Instant::now();
        while !pulse.answers() {
            if started.elapsed() > START_LIMIT {
                return Err("pulseaudio does not start (`make test` installs it on Debian)".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(pulse)
    }

    /// What `PULSE_SERVER` has to say for a program to use it.
    pub fn server(&self) -> String {
        format!("unix:{}/socket", self.folder.display())
    }

    /// The daemon's process id, for signals.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Records what the loudspeaker plays: samples of 16 bits, little endian, one channel, on the child's output.
    ///
    /// # Errors
    /// When `parec` is missing.
    pub fn record(&self) -> std::io::Result<Child> {
        Command::new("parec")
            .args(["--server", &self.server(), "--device", "speaker.monitor", "--raw", "--format=s16le"])
            .args(["--channels=1", "--latency-msec=10"])
            .arg(format!("--rate={RATE_HZ}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }

    fn answers(&self) -> bool {
        let asked = Command::new("pactl")
            .args(["--server", &self.server(), "info"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the sound server's folder is left");
        }
    }
}
