//! A bot that joins a room, speaks, and answers everyone who writes to it.
//!
//! ```sh
//! rotunda serve --dev &
//! cargo run --example bot -- ws://127.0.0.1:7880 hall
//! rotunda join ws://127.0.0.1:7880 --room hall --name Ann --api-key devkey --api-secret secret
//! ```

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rotunda::bridge::RoomEvent;
use rotunda::client::{Engine, EngineConfig, PublishOptions, RoomConfig, Stream, User};
use rotunda::media::VideoFormat;
use rotunda::media::capture::{PortraitSource, SpeechSource};
use rotunda::model::{RoomState, StreamKind};
use rotunda::protocol::token::{TokenRequest, issue};

/// The development keys of `rotunda serve --dev` and `livekit-server --dev`; a real bot gets its token from its host.
const KEYS: (&str, &str) = ("devkey", "secret");
const ID: &str = "bot-1";
const CAMERA: VideoFormat = VideoFormat { width: 320, height: 240, fps: 10.0 };

#[allow(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:7880".to_owned());
    let room = arguments.next().unwrap_or_else(|| "hall".to_owned());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let request = TokenRequest { name: "Echo".to_owned(), ..TokenRequest::member(KEYS.0, KEYS.1, room.as_str(), ID) };

    let mut engine = Engine::new(KEYS.0, [server], EngineConfig::named("bot"))?;
    engine.login_room(&room, &issue(&request, now)?, &User::new(ID), RoomConfig::default())?;
    loop {
        let Some(told) = engine.try_event() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        match told.event {
            RoomEvent::StateChanged { state: RoomState::Connected, .. } => {
                println!("in {room}");
                let face = Stream::picture(StreamKind::Camera, PortraitSource::new("Echo", 7, CAMERA), 150_000)
                    .with_sound(SpeechSource::new(7), rotunda::bridge::AudioOptions::PLAIN);
                let options = PublishOptions { extra_info: r#"{"bot":true}"#.to_owned(), ..PublishOptions::default() };
                engine.start_publishing("bot-face", face, options)?;
            }
            RoomEvent::StateChanged { state: RoomState::Disconnected, error, .. } => {
                return error.map_or(Ok(()), |error| Err(error.into()));
            }
            RoomEvent::UserJoined(user) => println!("{} came", user.name),
            RoomEvent::ChatReceived { from, text, .. } => {
                println!("{from}: {text}");
                engine
                    .send_broadcast_message(&format!("{from} said: {}", text.chars().take(200).collect::<String>()))?;
            }
            RoomEvent::PublishStateChanged { error: Some(error), .. } | RoomEvent::CommandFailed(error) => {
                println!("{error}");
            }
            _ => {}
        }
    }
}
