//! Official LiveKit servers as tests see them: one alone, or two nodes that share a Redis, each a process of its own
//! with its own configuration, on free ports of this machine. They end with the value, and also when the test process
//! is killed.
//!
//! `livekit-server` is looked for in this order: the variable `LIVEKIT_SERVER`, the `PATH`, Go's folder of programs
//! (`$GOBIN`, `$GOPATH/bin`, `~/go/bin`), `~/.cache/rotunda/bin` (where `.ci/deps test` puts it).

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// LiveKit's conventional key pair of the development mode.
pub const KEY: &str = "devkey";
/// See [`KEY`].
pub const SECRET: &str = "secret";

/// A server's start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A program that ends when this is dropped or this process ends: a shell holds it and reads a pipe that only we write.
pub struct Guarded {
    shell: Child,
    pipe: Option<ChildStdin>,
    pid: u32,
}

impl Guarded {
    /// Starts a program; what it prints goes to `log`, where one is given, which is removed at the end.
    ///
    /// # Errors
    /// When there is no shell, no such program or no place for the log.
    pub fn start(program: &Path, arguments: &[&str], log: Option<&Path>) -> std::io::Result<Self> {
        let output = || -> std::io::Result<Stdio> {
            Ok(match log {
                Some(path) => std::fs::File::options().create(true).append(true).open(path)?.into(),
                None => Stdio::null(),
            })
        };
        // The program's own output must not keep our pipe open.
        let script = r#"exec 3>&1 1>&2; "$@" 3>&- & pid=$!; echo "$pid" >&3; exec 3>&-; cat >/dev/null; kill -9 "$pid"; wait "$pid"; rm -f "$ROTUNDA_LOG""#;
        let mut shell = Command::new("sh")
            .env("ROTUNDA_LOG", log.unwrap_or(Path::new("")))
            .args(["-c", script, "sh"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output()?)
            .spawn()?;
        let pipe = shell.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let pid = line.trim().parse().map_err(|_| std::io::Error::other(format!("no process: {line:?}")))?;
        Ok(Self { shell, pipe, pid })
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.pipe = None;
        if let Err(error) = self.shell.wait() {
            tracing::warn!(%error, "a guarded program did not end");
        }
    }
}

/// A port that was free a moment ago, for TCP and UDP.
pub fn free_port() -> std::io::Result<u16> {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}

/// Where the official server is, or a sentence on how to get it.
///
/// # Errors
/// The sentence.
pub fn livekit_server() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("LIVEKIT_SERVER").filter(|given| !given.is_empty()) {
        return on_path(Path::new(&given)).ok_or_else(|| format!("LIVEKIT_SERVER names no program: {given:?}"));
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let folder = |name: &str, tail: &str| std::env::var_os(name).map(|folder| Path::new(&folder).join(tail));
    let folders = [
        folder("GOBIN", ""),
        folder("GOPATH", "bin"),
        Some(home.join("go/bin")),
        Some(home.join(".cache/rotunda/bin")),
    ];
    on_path(Path::new("livekit-server"))
        .or_else(|| {
            folders.into_iter().flatten().map(|folder| folder.join("livekit-server")).find(|path| path.is_file())
        })
        .ok_or_else(|| "livekit-server is not installed (`make test` installs it where Go is)".to_owned())
}

/// Where Redis is, or a sentence on how to get it.
///
/// # Errors
/// The sentence.
pub fn redis_server() -> Result<PathBuf, String> {
    on_path(Path::new("redis-server"))
        .ok_or_else(|| "redis-server is not installed (`make test` installs it on Debian)".to_owned())
}

fn on_path(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// One official server.
pub struct LiveKit {
    process: Option<Guarded>,
    program: PathBuf,
    config: String,
    port: u16,
}

impl LiveKit {
    /// One alone.
    ///
    /// # Errors
    /// A sentence that says what is missing or went wrong.
    pub fn alone() -> Result<Self, String> {
        Self::node("")
    }

    fn node(more: &str) -> Result<Self, String> {
        let program = livekit_server()?;
        let mut said = String::new();
        // A port may be taken between being found and being used.
        for _ in 0..3 {
            let ports = [free_port(), free_port(), free_port()].map(|port| port.map_err(|error| error.to_string()));
            let [port, rtc, tcp] = ports;
            let (port, rtc, tcp) = (port?, rtc?, tcp?);
            // Over loopback alone: another interface is told as `node_ip`, too, and when that one is gathered first, nobody
            // listens to what comes in over loopback.
            let config = format!(
                "port: {port}\nbind_addresses: [127.0.0.1]\nkeys: {{{KEY}: {SECRET}}}\nlogging: {{level: info}}\n\
                 rtc: {{udp_port: {rtc}, tcp_port: {tcp}, node_ip: 127.0.0.1, use_external_ip: false, \
                 ips: {{includes: [127.0.0.1/32]}}, enable_loopback_candidate: true, \
                 stun_servers: [\"127.0.0.1:3478\"]}}\n\
                 room: {{empty_timeout: 30, departure_timeout: 5}}\n{more}"
            );
            let mut server = Self { process: None, program: program.clone(), config, port };
            match server.run() {
                Ok(()) => return Ok(server),
                Err(error) => said = error,
            }
        }
        Err(said)
    }

    /// Where clients log in.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Its process id; 0 while it is stopped.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Guarded::pid)
    }

    /// Ends it at once, as a crash does.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same ports.
    ///
    /// # Errors
    /// A sentence with the end of its log.
    pub fn run(&mut self) -> Result<(), String> {
        let log = std::env::temp_dir().join(format!("rotunda-livekit-{}.log", self.port));
        let process = Guarded::start(&self.program, &["--config-body", &self.config], Some(&log));
        self.process = Some(process.map_err(|error| format!("{}: {error}", self.program.display()))?);
        if answers(self.port, self.pid()) {
            return Ok(());
        }
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        self.process = None;
        let tail: Vec<&str> = text.lines().rev().take(5).collect();
        Err(format!("livekit-server did not start: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n")))
    }
}

/// Two official servers that share a Redis, so that a room spans both.
pub struct Cluster {
    /// The nodes; a client may use either.
    pub nodes: [LiveKit; 2],
    _redis: Guarded,
}

impl Cluster {
    /// Starts all three.
    ///
    /// # Errors
    /// A sentence that says what is missing or went wrong.
    pub fn start() -> Result<Self, String> {
        livekit_server()?;
        let program = redis_server()?;
        let port = free_port().map_err(|error| error.to_string())?;
        let text = port.to_string();
        let arguments = ["--port", &text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let redis = Guarded::start(&program, &arguments, None).map_err(|error| format!("redis-server: {error}"))?;
        if !answers(port, redis.pid()) {
            return Err("redis-server did not start".to_owned());
        }
        let more = format!("redis: {{address: \"127.0.0.1:{port}\"}}\n");
        Ok(Self { nodes: [LiveKit::node(&more)?, LiveKit::node(&more)?], _redis: redis })
    }
}

/// Waits until a port is listened to, while the process lives.
fn answers(port: u16, pid: u32) -> bool {
    let started = Instant::now();
    while started.elapsed() < START_LIMIT && alive(pid) {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    false
}

/// Whether a process runs; where there is no `/proc`, it is believed.
fn alive(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{pid}")).exists()
}
