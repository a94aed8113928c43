//! What the engine's tests share: engines with names, sources that can be recognised, and waiting with a limit.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rotunda::bridge::{
    AudioOptions, EngineHandle, LoginRequest, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoFeed,
    VideoOptions,
};
use rotunda::client::{EngineConfig, start};
use rotunda::media::audio::AudioOutput;
use rotunda::media::{AudioBlock, AudioSource, CaptureError, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::quality::{AudioStats, EngineSnapshot, TrackStats, VideoStats};
use rotunda::model::{
    CallError, EndReason, PlayState, PublishState, RoomId, RoomState, RoomStateReason, StreamId, StreamKind, UserId,
};
use rotunda::protocol::token::{TokenRequest, issue};
use rotunda::server::{Server, ServerConfig, ServerHandle};

use crate::common::servers::{Cluster, LiveKit};
pub use crate::common::servers::{KEY, SECRET};

/// Everything in a call happens within this, even on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

pub const WIDTH: u32 = 320;
pub const HEIGHT: u32 = 240;

pub fn stream(id: &str) -> StreamId {
    StreamId::new(id).unwrap()
}

pub fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

/// A room of its own for each test.
pub fn room(name: &str) -> RoomId {
    RoomId::new(format!("{name}-{}", std::process::id())).unwrap()
}

/// Which servers this copy of the suite runs against: it is compiled once for each kind, see `tests/call/main.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our own, in this process, one for each test.
    Embedded,
    /// The official one, shared by all tests.
    Official,
    /// Two official nodes with Redis, shared by all tests; clients go to one or the other by their name.
    Cluster,
}

/// The kind of this copy.
pub fn kind() -> Kind {
    match module_path!() {
        path if path.contains("::engine_official::") => Kind::Official,
        path if path.contains("::engine_cluster::") => Kind::Cluster,
        _ => Kind::Embedded,
    }
}

/// A room server of this copy's kind, or two that are one.
pub struct TestServer {
    /// Where to log in; [`TestServer::url_for`] spreads people over a cluster.
    pub url: String,
    urls: Vec<String>,
    key: String,
    secret: String,
    pub embedded: Option<ServerHandle>,
    own: Vec<LiveKit>,
    cluster: Option<Cluster>,
    ports: (u16, u16),
}

impl TestServer {
    /// A server for a test that leaves it as it is.
    pub fn start() -> Self {
        static OFFICIAL: OnceLock<Result<LiveKit, String>> = OnceLock::new();
        static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let shared = match kind() {
            Kind::Embedded => return Self::embedded_at(0, 0),
            Kind::Official => OFFICIAL.get_or_init(LiveKit::alone).as_ref().map(|server| vec![server.url()]),
            Kind::Cluster => CLUSTER
                .get_or_init(Cluster::start)
                .as_ref()
                .map(|cluster| cluster.nodes.iter().map(LiveKit::url).collect()),
        };
        match shared {
            Ok(urls) => Self::at(urls),
            Err(why) => Self::missing(why),
        }
    }

    /// A server that no other test uses, for a test that stops it.
    pub fn own() -> Self {
        let own = match kind() {
            Kind::Embedded => return Self::embedded_at(0, 0),
            Kind::Official => LiveKit::alone().map(|server| {
                let mut test = Self::at(vec![server.url()]);
                test.own.push(server);
                test
            }),
            Kind::Cluster => Cluster::start().map(|cluster| {
                let mut test = Self::at(cluster.nodes.iter().map(LiveKit::url).collect());
                test.cluster = Some(cluster);
                test
            }),
        };
        own.unwrap_or_else(|why| Self::missing(&why))
    }

    /// An embedded server on these ports; 0 takes any.
    pub fn embedded_at(port: u16, rtc_port: u16) -> Self {
        let server = Server::start(ServerConfig { port, rtc_port, ..ServerConfig::dev() }).unwrap();
        let ports = (server.http_addr().port(), server.rtc_addr().port());
        Self { ports, embedded: Some(server), ..Self::at(vec![format!("ws://127.0.0.1:{}", ports.0)]) }
    }

    fn at(urls: Vec<String>) -> Self {
        let (key, secret) = (KEY.to_owned(), SECRET.to_owned());
        let url = urls[0].clone();
        Self { url, urls, key, secret, embedded: None, own: Vec::new(), cluster: None, ports: (0, 0) }
    }

    /// Where a part is missing the test is no test of this kind, and says so; with `CI` set that is a failure.
    fn missing(why: &str) -> Self {
        assert!(std::env::var_os("CI").is_none(), "the tests of kind {:?} cannot run: {why}", kind());
        eprintln!("SKIPPED: the tests of kind {:?} cannot run: {why}; this one uses the embedded server", kind());
        Self::embedded_at(0, 0)
    }

    fn nodes(&mut self) -> impl Iterator<Item = &mut LiveKit> {
        self.own.iter_mut().chain(self.cluster.iter_mut().flat_map(|cluster| &mut cluster.nodes))
    }

    /// Ends a server of the test's own without a goodbye.
    pub fn stop(&mut self) {
        self.embedded = None;
        self.nodes().for_each(LiveKit::stop);
    }

    /// Starts it again where it was.
    pub fn run_again(&mut self) {
        self.nodes().for_each(|node| node.run().unwrap());
        if self.ports.0 != 0 {
            let (port, rtc_port) = self.ports;
            let config = ServerConfig { port, rtc_port, ..ServerConfig::dev() };
            self.embedded = Some(Server::start(config).unwrap());
        }
    }

    /// Where a person logs in: in a cluster those whose name begins with an odd letter (`a`, `c`) on one node, the
    /// others on the other.
    pub fn url_for(&self, identity: &str) -> &str {
        &self.urls[self.place_of(identity)]
    }

    /// Every address there is, beginning with the one where this person logs in.
    pub fn urls_for(&self, identity: &str) -> Vec<&str> {
        let first = self.place_of(identity);
        (0..self.urls.len()).map(|n| self.urls[(first + n) % self.urls.len()].as_str()).collect()
    }

    /// Ends, without a goodbye, the node of the test's own cluster where this person logs in.
    pub fn stop_node_of(&mut self, identity: &str) {
        let place = self.place_of(identity);
        if let Some(node) = self.nodes().nth(place) {
            node.stop();
        }
    }

    fn place_of(&self, identity: &str) -> usize {
        let first = identity.bytes().next().unwrap_or_default();
        usize::from(first.is_multiple_of(2)) % self.urls.len()
    }

    pub fn token(&self, room: &RoomId, identity: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        self.token_at(room, identity, now)
    }

    pub fn token_at(&self, room: &RoomId, identity: &str, now_unix_secs: u64) -> String {
        let request = TokenRequest {
            name: identity.to_uppercase(),
            ttl_secs: 600,
            ..TokenRequest::member(self.key.as_str(), self.secret.as_str(), room.as_str(), identity)
        };
        issue(&request, now_unix_secs).unwrap()
    }

    /// The token of a host: it may administer the room.
    pub fn host_token(&self, room: &RoomId, identity: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let member = TokenRequest::member(self.key.as_str(), self.secret.as_str(), room.as_str(), identity);
        issue(&TokenRequest { admin: true, ttl_secs: 600, ..member }, now).unwrap()
    }

    /// An engine in the room.
    pub fn enter(&self, room: &RoomId, identity: &str) -> Bot {
        let mut bot = Bot::new(identity);
        bot.login(&[self.url_for(identity)], room, self.token(room, identity));
        bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        bot
    }

    /// The same with a token that makes it a host.
    pub fn enter_as_host(&self, room: &RoomId, identity: &str) -> Bot {
        let mut bot = Bot::new(identity);
        bot.login(&[self.url_for(identity)], room, self.host_token(room, identity));
        bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        bot
    }
}

/// An engine and what it told so far.
pub struct Bot {
    pub engine: EngineHandle,
    pub heard: VecDeque<RoomEvent>,
}

impl Bot {
    pub fn new(name: &str) -> Self {
        // `RUST_LOG=rotunda=debug` shows what engines and server do; whoever is first sets it up.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init().ok();
        let config =
            EngineConfig { audio_output: AudioOutput::Null, name: name.to_owned(), decode: true, play_audio: true };
        Self { engine: start(config).unwrap(), heard: VecDeque::new() }
    }

    pub fn send(&self, command: RoomCommand) {
        self.engine.send(command).unwrap();
    }

    pub fn login(&self, servers: &[&str], room: &RoomId, token: String) {
        self.send(RoomCommand::Login(LoginRequest {
            servers: servers.iter().map(ToString::to_string).collect(),
            room: room.clone(),
            token,
            auto_play: true,
            first_quality: None,
        }));
    }

    /// Takes in what was told.
    pub fn listen(&mut self) {
        while let Some(envelope) = self.engine.try_event() {
            self.heard.push_back(envelope.event);
        }
    }

    /// Takes the first event that fits off what was heard, waiting for it.
    pub fn wait<T>(&mut self, what: &str, limit: Duration, mut pick: impl FnMut(&RoomEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + limit;
        let mut looked = 0;
        loop {
            self.listen();
            while looked < self.heard.len() {
                if let Some(found) = pick(&self.heard[looked]) {
                    self.heard.remove(looked);
                    return found;
                }
                looked += 1;
            }
            assert!(Instant::now() < deadline, "waited {limit:?} for {what}; heard {:#?}", self.heard);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn wait_state(&mut self, state: RoomState, reason: RoomStateReason) -> Option<CallError> {
        self.wait(&format!("{state:?} {reason:?}"), SOON, |event| match event {
            RoomEvent::StateChanged { state: now, reason: why, error, .. } if *now == state && *why == reason => {
                Some(error.clone())
            }
            _ => None,
        })
    }

    pub fn wait_publishing(&mut self, own: &str) {
        self.wait(&format!("publishing {own}"), SOON, |event| match event {
            RoomEvent::PublishStateChanged { stream, state: PublishState::Publishing, .. }
                if stream.as_str() == own =>
            {
                Some(())
            }
            _ => None,
        });
    }

    pub fn wait_user(&mut self, who: &str) {
        self.wait(&format!("{who} comes"), SOON, |event| match event {
            RoomEvent::UserJoined(info) if info.id == user(who) => Some(()),
            _ => None,
        });
    }

    pub fn wait_left(&mut self, who: &str) {
        self.wait(&format!("{who} leaves"), SOON, |event| match event {
            RoomEvent::UserLeft { user: left, .. } if *left == user(who) => Some(()),
            _ => None,
        });
    }

    pub fn wait_removed(&mut self, of: &str, why: EndReason) {
        self.wait(&format!("{of} ends"), SOON, |event| match event {
            RoomEvent::StreamRemoved { stream: id, reason, .. } if *id == stream(of) => {
                assert_eq!(*reason, why);
                Some(())
            }
            _ => None,
        });
    }

    pub fn wait_play_state(&mut self, of: &str, wanted: PlayState) {
        self.wait(&format!("{of} is {wanted:?}"), SOON, |event| match event {
            RoomEvent::PlayStateChanged { stream: id, state, .. } if *id == stream(of) && *state == wanted => Some(()),
            _ => None,
        });
    }

    pub fn wait_failure(&mut self) -> CallError {
        self.wait("a refusal", SOON, |event| match event {
            RoomEvent::CommandFailed(error) | RoomEvent::ChatRefused { error, .. } => Some(error.clone()),
            _ => None,
        })
    }

    pub fn wait_feed(&mut self, of: &str) -> VideoFeed {
        self.wait(&format!("the feed of {of}"), SOON, |event| match event {
            RoomEvent::VideoFeedOpened { stream, feed } if stream.as_str() == of => Some(feed.clone()),
            _ => None,
        })
    }

    /// Waits until the figures say so.
    pub fn wait_figures<T>(&self, what: &str, mut pick: impl FnMut(&EngineSnapshot) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        loop {
            let snapshot = self.engine.snapshot();
            if let Some(found) = pick(&snapshot) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: {snapshot:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn publish(&self, id: &str, luma: u8) {
        self.send(RoomCommand::PublishStream(PublishRequest {
            stream: stream(id),
            kind: StreamKind::Camera,
            video: Some((Box::new(Picture::new(luma)), VideoOptions::single(400_000))),
            audio: Some((Box::new(Tone::new(0.3)), AudioOptions::PLAIN)),
            extra_info: String::new(),
            muted: StartsMuted::default(),
        }));
    }
}

pub fn video_of(snapshot: &EngineSnapshot, of: &str) -> Option<VideoStats> {
    snapshot.tracks.values().find_map(|(stream, stats)| match stats {
        TrackStats::Video(video) if stream.as_str() == of => Some(video.clone()),
        _ => None,
    })
}

pub fn audio_of(snapshot: &EngineSnapshot, of: &str) -> Option<AudioStats> {
    snapshot.tracks.values().find_map(|(stream, stats)| match stats {
        TrackStats::Audio(audio) if stream.as_str() == of => Some(audio.clone()),
        _ => None,
    })
}

/// The next picture of a feed.
pub fn picture(feed: &VideoFeed) -> Arc<VideoFrame> {
    feed.wait_take(SOON).expect("no picture came")
}

/// Mean of a picture's luma.
pub fn brightness(frame: &VideoFrame) -> f32 {
    frame.y().iter().map(|y| f32::from(*y)).sum::<f32>() / frame.y().len() as f32
}

/// A plain picture of one brightness with a bar that moves.
pub struct Picture {
    luma: u8,
    width: u32,
    height: u32,
    fps: u64,
    frame: u64,
    started: Instant,
}

impl Picture {
    pub fn new(luma: u8) -> Self {
        Self { luma, width: WIDTH, height: HEIGHT, fps: 15, frame: 0, started: Instant::now() }
    }

    /// One that costs next to nothing, for tests with many.
    pub fn small(luma: u8) -> Self {
        Self { width: 96, height: 64, fps: 5, ..Self::new(luma) }
    }
}

impl VideoSource for Picture {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: self.width, height: self.height, fps: self.fps as f32 }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = Duration::from_micros(self.frame * 1_000_000 / self.fps);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        let (width, height) = (self.width, self.height);
        let mut data = vec![self.luma; VideoFrame::byte_len(width, height)];
        data[(width * height) as usize..].fill(128);
        let bar = (self.frame * 8 % u64::from(width - 8)) as usize;
        for row in data[..(width * height) as usize].chunks_mut(width as usize) {
            row[bar..bar + 8].fill(235);
        }
        self.frame += 1;
        let frame = VideoFrame::new(width, height, ColourSpace::default(), due.as_micros() as u64, data).unwrap();
        Ok(Some(frame))
    }
}

/// A steady tone.
pub struct Tone {
    amplitude: f32,
    block: u64,
    started: Instant,
}

impl Tone {
    pub fn new(amplitude: f32) -> Self {
        Self { amplitude, block: 0, started: Instant::now() }
    }
}

impl AudioSource for Tone {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        let due = Duration::from_millis(10 * self.block);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        let first = self.block * 480;
        let samples = (0..480)
            .map(|n| ((first + n) as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin() * self.amplitude)
            .collect();
        self.block += 1;
        Ok(Some(AudioBlock { samples, channels: 1 }))
    }
}
