//! What the engine's tests share: engines with names, sources that can be recognised, and waiting with a limit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rotunda::bridge::{
    AudioOptions, EngineHandle, LoginRequest, PublishRequest, RoomCommand, RoomEvent, VideoFeed, VideoOptions,
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

/// A room server: an embedded one of its own, or the one the environment names.
pub struct TestServer {
    pub url: String,
    key: String,
    secret: String,
    pub embedded: Option<ServerHandle>,
}

impl TestServer {
    pub fn start() -> Self {
        if let Ok(url) = std::env::var("ROTUNDA_TEST_SERVER") {
            let var = |name| std::env::var(name).unwrap();
            return Self { url, key: var("ROTUNDA_TEST_KEY"), secret: var("ROTUNDA_TEST_SECRET"), embedded: None };
        }
        Self::embedded_at(0, 0)
    }

    /// An embedded server on these ports; 0 takes any.
    pub fn embedded_at(port: u16, rtc_port: u16) -> Self {
        let server = Server::start(ServerConfig { port, rtc_port, ..ServerConfig::dev() }).unwrap();
        Self { url: server.url(), key: "devkey".into(), secret: "secret".into(), embedded: Some(server) }
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

    /// An engine in the room.
    pub fn enter(&self, room: &RoomId, identity: &str) -> Bot {
        let mut bot = Bot::new(identity);
        bot.login(&[&self.url], room, self.token(room, identity));
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
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .finish();
        tracing::subscriber::set_global_default(subscriber).ok();
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
            RoomEvent::CommandFailed(error) => Some(error.clone()),
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
    frame: u64,
    started: Instant,
}

const FPS: u64 = 15;

impl Picture {
    pub fn new(luma: u8) -> Self {
        Self { luma, frame: 0, started: Instant::now() }
    }
}

impl VideoSource for Picture {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: WIDTH, height: HEIGHT, fps: FPS as f32 }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = Duration::from_micros(self.frame * 1_000_000 / FPS);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        let mut data = vec![self.luma; VideoFrame::byte_len(WIDTH, HEIGHT)];
        data[(WIDTH * HEIGHT) as usize..].fill(128);
        let bar = (self.frame * 8 % u64::from(WIDTH - 8)) as usize;
        for row in data[..(WIDTH * HEIGHT) as usize].chunks_mut(WIDTH as usize) {
            row[bar..bar + 8].fill(235);
        }
        self.frame += 1;
        let frame = VideoFrame::new(WIDTH, HEIGHT, ColourSpace::default(), due.as_micros() as u64, data).unwrap();
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
