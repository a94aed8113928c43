//! What the measures share: a 720p30 picture that costs nothing to make, engines, a server in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use rotunda::bridge::{EngineHandle, LoginRequest, PublishRequest, RoomCommand, RoomEvent, VideoOptions};
use rotunda::client::{self, EngineConfig};
use rotunda::media::audio::AudioOutput;
use rotunda::media::capture::PortraitSource;
use rotunda::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{PublishState, RoomId, RoomState, StreamId, StreamKind};
use rotunda::protocol::token::{self, TokenRequest};

/// 720p30, as MEASURES.md asks.
pub const FORMAT: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 30.0 };
/// The camera preset for 720p.
pub const BITRATE_BPS: u32 = 1_500_000;

/// A few seconds of a portrait, painted once and replayed, so that painting is not what is measured.
#[derive(Clone)]
pub struct Replay {
    frames: Arc<Vec<VideoFrame>>,
    next: usize,
    due: Option<Instant>,
}

impl Replay {
    /// Paints two seconds of `FORMAT`.
    pub fn paint() -> anyhow::Result<Self> {
        let mut portrait = PortraitSource::new("Bench", 7, FORMAT);
        let mut frames = Vec::new();
        while frames.len() < 60 {
            frames.push(portrait.next_frame()?.context("the portrait ended")?);
        }
        Ok(Self { frames: Arc::new(frames), next: 0, due: None })
    }
}

impl VideoSource for Replay {
    fn format(&self) -> VideoFormat {
        FORMAT
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = self.due.unwrap_or_else(Instant::now);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        self.due = Some(due + Duration::from_secs_f32(1.0 / FORMAT.fps));
        // Back and forth, so that there is no jump where the loop closes.
        let (len, at) = (self.frames.len(), self.next % (2 * self.frames.len()));
        let frame = &self.frames[if at < len { at } else { 2 * len - 1 - at }];
        self.next += 1;
        let stamp_us = self.next as u64 * 1_000_000 / FORMAT.fps as u64;
        let data = [frame.y(), frame.u(), frame.v()].concat();
        let stamped = VideoFrame::new(frame.width(), frame.height(), frame.colour(), stamp_us, data);
        stamped.map(Some).map_err(|error| CaptureError::Format { what: "replay".into(), why: error.to_string() })
    }
}

/// A token of the development key pair.
pub fn token(room: &str, identity: &str) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(token::issue(&TokenRequest::member("devkey", "secret", room, identity), now)?)
}

/// A login to `room` on `url`.
pub fn login(url: &str, room: &str, identity: &str, auto_play: bool) -> anyhow::Result<LoginRequest> {
    Ok(LoginRequest { servers: vec![url.into()], room: RoomId::new(room)?, token: token(room, identity)?, auto_play })
}

/// A silent engine.
pub fn engine(name: &str, decode: bool) -> anyhow::Result<EngineHandle> {
    let config = EngineConfig { audio_output: AudioOutput::Null, name: name.into(), decode, play_audio: false };
    Ok(client::start(config)?)
}

/// Waits for an event, up to 15 s.
pub fn wait_for(engine: &mut EngineHandle, what: &str, is: impl Fn(&RoomEvent) -> bool) -> anyhow::Result<RoomEvent> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(15) {
        match engine.try_event() {
            Some(envelope) if is(&envelope.event) => return Ok(envelope.event),
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    bail!("waited 15 s for {what}")
}

/// Logs in and waits until inside.
pub fn enter(url: &str, room: &str, identity: &str, auto_play: bool, decode: bool) -> anyhow::Result<EngineHandle> {
    let mut engine = engine(identity, decode)?;
    engine.send(RoomCommand::Login(login(url, room, identity, auto_play)?))?;
    wait_for(&mut engine, "the login", |event| {
        matches!(event, RoomEvent::StateChanged { state: RoomState::Connected, .. })
    })?;
    Ok(engine)
}

/// Enters and publishes a replay.
pub fn publisher(url: &str, room: &str, replay: &Replay) -> anyhow::Result<EngineHandle> {
    let mut engine = enter(url, room, "publisher", false, false)?;
    engine.send(RoomCommand::PublishStream(PublishRequest {
        stream: StreamId::new("bench")?,
        kind: StreamKind::Camera,
        video: Some((Box::new(replay.clone()), VideoOptions::single(BITRATE_BPS))),
        audio: None,
        extra_info: String::new(),
    }))?;
    let told = wait_for(&mut engine, "the publication", |event| {
        matches!(event, RoomEvent::PublishStateChanged { state, error, .. }
            if *state == PublishState::Publishing || error.is_some())
    })?;
    match told {
        RoomEvent::PublishStateChanged { error: Some(error), .. } => bail!("the publication failed: {error}"),
        _ => Ok(engine),
    }
}

/// A server in a process of its own; ended on drop.
pub struct ServerProcess {
    child: Child,
    /// Where to log in.
    pub url: String,
}

impl ServerProcess {
    /// Our own.
    pub fn rotunda() -> anyhow::Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
            .args(["serve", "--dev", "--port", "0", "--rtc-port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let url = line.split_whitespace().last().context("the server said nothing")?.to_owned();
        Ok(Self { child, url })
    }

    /// The official one, where it is installed.
    pub fn livekit() -> Option<Self> {
        let (port, rtc, tcp) = (17_780_u16, 17_782_u16, 17_781_u16);
        let name = std::env::var("LIVEKIT_SERVER").unwrap_or_else(|_| "livekit-server".into());
        let child = Command::new(name)
            .args(["--dev", "--bind", "127.0.0.1", "--port", &port.to_string(), "--node-ip", "127.0.0.1"])
            .args(["--config-body", &format!("rtc: {{udp_port: {rtc}, tcp_port: {tcp}, enable_loopback_candidate: true, stun_servers: [\"127.0.0.1:3478\"]}}\nlogging: {{level: error}}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let server = Self { child, url: format!("ws://127.0.0.1:{port}") };
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("a server process would not end: {error}");
        }
    }
}
