//! Shares a screen or a window: lists what there is, shares the one that is named, or the first, and switches to
//! another when its id is typed in. An empty line, or the end of the input, stops.
//!
//! ```sh
//! rotunda serve --dev &
//! cargo run --example share -- screen ws://127.0.0.1:7880 hall [TOKEN]
//! ```

use std::error::Error;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rotunda::bridge::RoomEvent;
use rotunda::client::{Engine, EngineConfig, PublishOptions, RoomConfig, ScreenPreset, Stream, User};
use rotunda::media::capture::Screens;
use rotunda::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{DeviceUse, ErrorCode, PublishState, RoomState, StreamId, UserId};
use rotunda::protocol::token::{TokenRequest, issue, peek};

/// The development keys of `rotunda serve --dev` and `livekit-server --dev`: who has a token needs none.
const KEYS: (&str, &str) = ("devkey", "secret");
const ID: &str = "presenter";
const PRESET: ScreenPreset = ScreenPreset::Balanced;

#[allow(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next();
    let server = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:7880".to_owned());
    let room = arguments.next().unwrap_or_else(|| "hall".to_owned());
    let token = arguments.next().map_or_else(|| own_token(&room), Ok)?;

    let screens = Screens::of_this_session().list(false)?;
    for screen in &screens {
        println!("{}  {}x{}  {}", screen.id, screen.width, screen.height, screen.title);
    }
    let first = screens.first().map(|screen| screen.id.clone());
    let source = wanted.or(first).ok_or("there is nothing to share: open a window")?;
    let mut share = Some(Stream::screen(&source, PRESET)?);

    let claims = peek(&token)?;
    let stream = StreamId::derived(&UserId::new(claims.identity())?, "screen");
    let mut engine = Engine::new(claims.iss.as_str(), [server], EngineConfig::named("share"))?;
    engine.login_room(&room, &token, &User::new(claims.identity()), RoomConfig { auto_play: false })?;
    let lines = typed_lines()?;
    let mut failure = None;
    loop {
        match lines.try_recv() {
            Ok(id) if !id.is_empty() => match Screen::open(&id) {
                Ok(screen) => engine.switch_video(stream.as_str(), screen)?,
                Err(error) => println!("{error}"),
            },
            Ok(_) | Err(TryRecvError::Disconnected) => {
                println!("sharing stops");
                engine.logout_room()?;
                return wait_for_end(&mut engine);
            }
            Err(TryRecvError::Empty) => {}
        }
        let Some(told) = engine.try_event() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        match told.event {
            RoomEvent::StateChanged { state: RoomState::Connected, .. } => {
                if let Some(share) = share.take() {
                    engine.start_publishing(stream.as_str(), share, PublishOptions::default())?;
                }
            }
            RoomEvent::StateChanged { state: RoomState::Disconnected, error, .. } => {
                return error.or(failure).map_or(Ok(()), |error| Err(error.into()));
            }
            RoomEvent::PublishStateChanged { state: PublishState::Publishing, .. } => println!("{source} is shared"),
            RoomEvent::PublishStateChanged { state: PublishState::NoPublish, error, .. } => {
                println!("sharing ended");
                // A window that was closed is no failure.
                failure = error.filter(|error| error.code != ErrorCode::SourceEnded);
                engine.logout_room()?;
            }
            RoomEvent::DeviceChanged { device: DeviceUse { why: Some(why), .. }, .. } => println!("{why}"),
            RoomEvent::UserJoined(user) => println!("{} came", user.name),
            RoomEvent::CommandFailed(error) => println!("{error}"),
            _ => {}
        }
    }
}

/// Reads on until the room is left.
fn wait_for_end(engine: &mut Engine) -> Result<(), Box<dyn Error>> {
    loop {
        match engine.try_event() {
            Some(told) => {
                if let RoomEvent::StateChanged { state: RoomState::Disconnected, error, .. } = told.event {
                    return error.map_or(Ok(()), |error| Err(error.into()));
                }
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A token of one's own making, for a server with the development keys.
fn own_token(room: &str) -> Result<String, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let request = TokenRequest { name: "Presenter".to_owned(), ..TokenRequest::member(KEYS.0, KEYS.1, room, ID) };
    Ok(issue(&request, now)?)
}

/// What is typed in, from a thread of its own: reading waits.
fn typed_lines() -> std::io::Result<Receiver<String>> {
    let (teller, lines) = sync_channel(4);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if teller.send(line.trim().to_owned()).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

/// A screen or window as a source to switch to.
struct Screen(Box<dyn VideoSource>);

impl Screen {
    fn open(id: &str) -> Result<Self, CaptureError> {
        let values = PRESET.values();
        let limit = VideoFormat { width: values.width, height: values.height, fps: values.fps };
        Ok(Self(Screens::of_this_session().open(id, limit)?))
    }
}

impl VideoSource for Screen {
    fn format(&self) -> VideoFormat {
        self.0.format()
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        self.0.next_frame()
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        self.0.device_news()
    }
}
