//! Guests: headless participants with generated pictures and sound, each a real engine with a real connection. One
//! named thread listens to all of them.

mod stroll;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::{EngineConfig, EngineError};
use crate::bridge::{
    AudioOptions, EngineHandle, LoginRequest, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions,
};
use crate::media::audio::AudioOutput;
use crate::media::capture::{PageSource, PortraitSource, SpeechSource};
use crate::media::{VideoFormat, VideoSource};
use crate::model::{ATTRIBUTE_HAND, CallError, PublishState, RoomState, StreamId, StreamKind, UserId};

/// How often the guests' events are read.
const LISTEN_EVERY: Duration = Duration::from_millis(20);
/// Problems that are kept altogether, the first ones: later ones tend to follow from them.
const MAX_ERRORS: usize = 32;

/// One guest.
#[derive(Clone, Debug)]
pub struct GuestConfig {
    /// Where and as whom to log in.
    pub login: LoginRequest,
    /// The identity in the token; names the guest's streams.
    pub identity: UserId,
    /// The name drawn into the picture.
    pub name: String,
    /// Varies face and voice.
    pub seed: u64,
    /// The portrait to publish.
    pub camera: Option<VideoFormat>,
    /// Whether to publish speech-like sound.
    pub voice: bool,
    /// A page of text to hang on the wall.
    pub page: Option<VideoFormat>,
    /// Gets up now and then and walks about.
    pub walks: bool,
    /// Has a hand raised.
    pub asks: bool,
}

impl GuestConfig {
    fn stream_count(&self) -> usize {
        usize::from(self.camera.is_some() || self.voice) + usize::from(self.page.is_some())
    }
}

/// How far the guests have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestsStatus {
    /// Guests in the room.
    pub connected: usize,
    /// Streams that others can play.
    pub publishing: usize,
    /// Streams that should be, in the end.
    pub streams: usize,
    /// What went wrong, newest last; the first 32.
    pub errors: Vec<String>,
}

/// Guests in a room; they leave when this is dropped.
#[derive(Debug)]
pub struct Guests {
    status: Arc<Mutex<GuestsStatus>>,
    leave: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Why guests could not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// An engine did not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system gave no thread.
    #[error("cannot start a thread for the guests: {0}")]
    Thread(#[from] std::io::Error),
}

impl Guests {
    /// Sends the guests in; returns at once.
    ///
    /// # Errors
    /// [`GuestError`] when an engine or the listening thread does not start.
    pub fn send_in(configs: Vec<GuestConfig>) -> Result<Self, GuestError> {
        let streams = configs.iter().map(GuestConfig::stream_count).sum();
        let status = Arc::new(Mutex::new(GuestsStatus { streams, ..GuestsStatus::default() }));
        let leave = Arc::new(AtomicBool::new(false));
        let guests = configs.into_iter().map(Guest::start).collect::<Result<Vec<_>, _>>()?;
        let (thread_status, thread_leave) = (Arc::clone(&status), Arc::clone(&leave));
        let thread =
            Builder::new().name("guests".into()).spawn(move || listen(guests, &thread_status, &thread_leave))?;
        Ok(Self { status, leave, thread: Some(thread) })
    }

    /// How far they have come.
    pub fn status(&self) -> GuestsStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the guests' thread panicked");
        }
    }
}

struct Guest {
    name: String,
    engine: EngineHandle,
    publications: Vec<PublishRequest>,
    /// What is told of the guest, once they are in.
    attributes: BTreeMap<String, String>,
    connected: bool,
    /// When one who walks came in.
    strolls_since: Option<Instant>,
    streams: BTreeMap<StreamId, PublishState>,
    /// Not yet in the status.
    errors: Vec<String>,
}

impl Guest {
    fn start(config: GuestConfig) -> Result<Self, GuestError> {
        let engine = super::start(EngineConfig {
            audio_output: AudioOutput::Null,
            name: config.name.clone(),
            decode: false,
            play_audio: false,
        })?;
        let publications = publications(&config);
        let hand = (ATTRIBUTE_HAND.to_owned(), "1".to_owned());
        let mut guest = Self {
            name: config.name,
            engine,
            publications,
            attributes: config.asks.then_some(hand).into_iter().collect(),
            connected: false,
            strolls_since: config.walks.then(Instant::now),
            streams: BTreeMap::new(),
            errors: Vec::new(),
        };
        guest.ask(RoomCommand::Login(config.login));
        Ok(guest)
    }

    fn ask(&mut self, command: RoomCommand) {
        if let Err(error) = self.engine.send(command) {
            self.note(&error.into());
        }
    }

    fn note(&mut self, error: &CallError) {
        tracing::warn!(guest = %self.name, %error, "a guest has a problem");
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(format!("{}: {error}", self.name));
        }
    }

    fn listen(&mut self) {
        if let Some(since) = self.strolls_since {
            self.engine.poses().move_to(stroll::stroll(since.elapsed().as_secs_f64()));
        }
        while let Some(envelope) = self.engine.try_event() {
            match envelope.event {
                RoomEvent::StateChanged { state, error, .. } => {
                    self.connected = state == RoomState::Connected;
                    if let Some(error) = error {
                        self.note(&error);
                    }
                    if self.connected {
                        for publication in std::mem::take(&mut self.publications) {
                            self.ask(RoomCommand::PublishStream(publication));
                        }
                        let attributes = std::mem::take(&mut self.attributes);
                        if !attributes.is_empty() {
                            self.ask(RoomCommand::SetAttributes(attributes));
                        }
                    }
                }
                RoomEvent::PublishStateChanged { stream, state, error } => {
                    self.streams.insert(stream, state);
                    if let Some(error) = error {
                        self.note(&error);
                    }
                }
                RoomEvent::CommandFailed(error) => self.note(&error),
                _ => {}
            }
        }
    }
}

fn publications(config: &GuestConfig) -> Vec<PublishRequest> {
    let mut publications = Vec::new();
    if config.camera.is_some() || config.voice {
        let video = config.camera.map(|format| {
            let source: Box<dyn VideoSource> = Box::new(PortraitSource::new(&config.name, config.seed, format));
            (source, VideoOptions::single(camera_bitrate_bps(format)))
        });
        publications.push(PublishRequest {
            stream: StreamId::derived(&config.identity, "camera"),
            kind: StreamKind::Camera,
            video,
            audio: config.voice.then(|| (Box::new(SpeechSource::new(config.seed)) as Box<_>, AudioOptions::PLAIN)),
            extra_info: String::new(),
            muted: StartsMuted::default(),
        });
    }
    if let Some(format) = config.page {
        let title = format!("{}’s notes", config.name);
        let source: Box<dyn VideoSource> = Box::new(PageSource::new(&title, format));
        publications.push(PublishRequest {
            stream: StreamId::derived(&config.identity, "screen"),
            kind: StreamKind::Screen,
            video: Some((source, VideoOptions::single(1_500_000))),
            audio: None,
            extra_info: String::new(),
            muted: StartsMuted::default(),
        });
    }
    publications
}

/// The bitrate that FEATURES.md's camera presets give this many pixels a second, in bit/s: 300k for 320x240@15 up to
/// 1500k for 1280x720@20, with the square root of the area in between (detail grows slower than area).
pub fn camera_bitrate_bps(format: VideoFormat) -> u32 {
    let area = (format.width * format.height) as f32 / (320.0 * 240.0);
    let rate = (format.fps / 15.0).max(0.5);
    (300_000.0 * area.powf(0.65) * rate.sqrt()).clamp(150_000.0, 2_500_000.0) as u32
}

fn listen(mut guests: Vec<Guest>, status: &Mutex<GuestsStatus>, leave: &AtomicBool) {
    while !leave.load(Ordering::Acquire) {
        for guest in &mut guests {
            guest.listen();
        }
        let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
        status.connected = guests.iter().filter(|g| g.connected).count();
        status.publishing =
            guests.iter().flat_map(|g| g.streams.values()).filter(|s| **s == PublishState::Publishing).count();
        for guest in &mut guests {
            let room = MAX_ERRORS.saturating_sub(status.errors.len());
            status.errors.extend(guest.errors.drain(..).take(room));
        }
        drop(status);
        std::thread::sleep(LISTEN_EVERY);
    }
    // All leave together: each handle waits for its engine, so the requests go out first.
    for guest in &guests {
        if let Err(error) = guest.engine.send(RoomCommand::Logout) {
            tracing::debug!(guest = %guest.name, %error, "already gone");
        }
    }
}
