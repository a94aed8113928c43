//! What the measures share: a 720p30 picture that costs nothing to make, engines, a server in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use rotunda::bridge::{EngineHandle, LoginRequest, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::client::{self, EngineConfig};
use rotunda::media::audio::AudioOutput;
use rotunda::media::capture::PortraitSource;
use rotunda::media::capture::stamp::{self, Stamp};
use rotunda::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{PublishState, RoomId, RoomState, StreamId, StreamKind};
use rotunda::protocol::token::{self, TokenRequest};

use crate::common::servers::{LiveKit, free_port};

/// 720p30, as MEASURES.md asks.
pub const FORMAT: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 30.0 };
/// The camera preset for 720p.
pub const BITRATE_BPS: u32 = 1_500_000;

/// The rhythm of a call, in which bare codecs are measured, too: between two pictures others use the caches.
pub struct Pace(Instant);

impl Pace {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Waits for the next picture's time.
    pub fn wait(&mut self) {
        self.0 += Duration::from_secs_f32(1.0 / FORMAT.fps);
        std::thread::sleep(self.0.saturating_duration_since(Instant::now()));
    }
}

/// A few seconds of a portrait, painted once and replayed, so that painting is not what is measured.
#[derive(Clone)]
pub struct Replay {
    format: VideoFormat,
    /// Whether each picture says when it was taken.
    stamped: bool,
    frames: Arc<Vec<VideoFrame>>,
    next: usize,
    due: Option<Instant>,
}

impl Replay {
    /// Paints two seconds of `FORMAT`.
    pub fn paint() -> anyhow::Result<Self> {
        Self::paint_as(FORMAT)
    }

    /// Paints two seconds of another format.
    pub fn paint_as(format: VideoFormat) -> anyhow::Result<Self> {
        let mut portrait = PortraitSource::new("Bench", 7, format);
        let mut frames = Vec::new();
        while frames.len() < (2.0 * format.fps) as usize {
            frames.push(portrait.next_frame()?.context("the portrait ended")?);
        }
        Ok(Self { format, stamped: false, frames: Arc::new(frames), next: 0, due: None })
    }

    /// The same with a stamp on every picture, for the time at which it is taken.
    pub fn stamped(self) -> Self {
        Self { stamped: true, ..self }
    }
}

impl VideoSource for Replay {
    fn format(&self) -> VideoFormat {
        self.format
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = self.due.unwrap_or_else(Instant::now);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        self.due = Some(due + Duration::from_secs_f32(1.0 / self.format.fps));
        // Back and forth, so that there is no jump where the loop closes.
        let (len, at) = (self.frames.len(), self.next % (2 * self.frames.len()));
        let frame = &self.frames[if at < len { at } else { 2 * len - 1 - at }];
        self.next += 1;
        let time_us = self.next as u64 * 1_000_000 / self.format.fps as u64;
        let data = [frame.y(), frame.u(), frame.v()].concat();
        let mut frame = VideoFrame::new(frame.width(), frame.height(), frame.colour(), time_us, data)
            .map_err(|error| CaptureError::Format { what: "replay".into(), why: error.to_string() })?;
        if self.stamped {
            stamp::write(&mut frame, Stamp { frame: self.next as u32, unix_ms: stamp::unix_now_ms() });
        }
        Ok(Some(frame))
    }
}

/// A token of the development key pair.
pub fn token(room: &str, identity: &str) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(token::issue(&TokenRequest::member("devkey", "secret", room, identity), now)?)
}

/// A login to `room` on `url`.
pub fn login(url: &str, room: &str, identity: &str, auto_play: bool) -> anyhow::Result<LoginRequest> {
    let (room, token) = (RoomId::new(room)?, token(room, identity)?);
    Ok(LoginRequest { servers: vec![url.into()], room, token, auto_play, first_quality: None })
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
        muted: StartsMuted::default(),
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
    held: Held,
    /// Where to log in.
    pub url: String,
}

enum Held {
    /// Ours, on these ports.
    Ours(Option<Child>, [u16; 2]),
    Official(LiveKit),
}

impl ServerProcess {
    /// Our own.
    pub fn rotunda() -> anyhow::Result<Self> {
        let ports = [free_port()?, free_port()?];
        let mut server = Self { held: Held::Ours(None, ports), url: format!("ws://127.0.0.1:{}", ports[0]) };
        server.run()?;
        Ok(server)
    }

    /// The official one, where it is installed.
    pub fn livekit() -> Option<Self> {
        match LiveKit::alone() {
            Ok(server) => Some(Self { url: server.url(), held: Held::Official(server) }),
            Err(why) => {
                eprintln!("nothing beside our server: {why}");
                None
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        match &self.held {
            Held::Ours(child, _) => child.as_ref().map_or(0, Child::id),
            Held::Official(server) => server.pid(),
        }
    }

    /// Ends it without a goodbye.
    pub fn kill(&mut self) {
        match &mut self.held {
            Held::Ours(child, _) => {
                if let Some(mut child) = child.take()
                    && let Err(error) = child.kill().and_then(|()| child.wait().map(drop))
                {
                    eprintln!("a server process would not end: {error}");
                }
            }
            Held::Official(server) => server.stop(),
        }
    }

    /// Asks it to end, as a service manager does, and waits up to `limit`; ends it then.
    pub fn terminate(&mut self, limit: Duration) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Held::Ours(Some(child), _) = &mut self.held
                && child.try_wait()?.is_some()
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        Ok(())
    }

    /// Starts it where it was; ready when this returns.
    pub fn run(&mut self) -> anyhow::Result<()> {
        match &mut self.held {
            Held::Ours(child, [port, rtc_port]) => {
                let mut started = Command::new(env!("CARGO_BIN_EXE_rotunda"))
                    .args(["serve", "--dev", "--port", &port.to_string(), "--rtc-port", &rtc_port.to_string()])
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()?;
                let mut line = String::new();
                let stdout = started.stdout.take().context("no output")?;
                *child = Some(started);
                BufReader::new(stdout).read_line(&mut line)?;
                if line.is_empty() { bail!("our server did not start") } else { Ok(()) }
            }
            Held::Official(server) => server.run().map_err(anyhow::Error::msg),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
