//! A stream of one's own making: pictures that a program draws and sound that it computes, published like a camera and a
//! microphone. Here: a moving rainbow and a slow siren.
//!
//! ```sh
//! rotunda serve --dev &
//! cargo run --example custom_source -- ws://127.0.0.1:7880 hall
//! ```

use std::error::Error;
use std::f32::consts::TAU;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rotunda::bridge::{AudioOptions, RoomEvent};
use rotunda::client::{Engine, EngineConfig, PublishOptions, RoomConfig, Stream, User};
use rotunda::media::{AudioBlock, AudioSource, CaptureError, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{RoomState, StreamKind};
use rotunda::protocol::token::{TokenRequest, issue};

const KEYS: (&str, &str) = ("devkey", "secret");
const ID: &str = "artist";
const FORMAT: VideoFormat = VideoFormat { width: 640, height: 360, fps: 15.0 };

/// A rainbow that moves to the left.
struct Rainbow {
    started: Instant,
    frame: u32,
}

impl VideoSource for Rainbow {
    fn format(&self) -> VideoFormat {
        FORMAT
    }

    /// A source paces itself: the call returns when the next frame is due.
    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = Duration::from_secs(1).mul_f32(self.frame as f32 / FORMAT.fps);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        let (width, height) = (FORMAT.width as usize, FORMAT.height as usize);
        // I420: a plane of brightness, then two of colour at half the size.
        let mut data = vec![150; VideoFrame::byte_len(FORMAT.width, FORMAT.height)];
        let (chroma_width, chroma_len) = (width.div_ceil(2), width.div_ceil(2) * height.div_ceil(2));
        for (at, value) in data[width * height..].iter_mut().enumerate() {
            let x = (at % chroma_len % chroma_width) as f32 / chroma_width as f32 + self.frame as f32 / 90.0;
            let quarter = if at < chroma_len { 0.0 } else { 0.25 };
            *value = (128.0 + 90.0 * ((x + quarter) * TAU).sin()) as u8;
        }
        self.frame += 1;
        let at_us = due.as_micros() as u64;
        VideoFrame::new(FORMAT.width, FORMAT.height, ColourSpace::default(), at_us, data)
            .map(Some)
            .map_err(|error| CaptureError::Format { what: "the rainbow".into(), why: error.to_string() })
    }
}

/// A tone that rises and falls.
struct Siren {
    started: Instant,
    block: u32,
    phase: f32,
}

impl AudioSource for Siren {
    /// 10 ms: 480 samples of a channel at 48 kHz.
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        let due = Duration::from_millis(10) * self.block;
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        let pitch_hz = 440.0 + 110.0 * (self.block as f32 / 200.0 * TAU).sin();
        let samples = (0..480).map(|_| {
            self.phase = (self.phase + pitch_hz / 48_000.0).fract();
            (self.phase * TAU).sin() * 0.1
        });
        let samples = samples.collect();
        self.block += 1;
        Ok(Some(AudioBlock { samples, channels: 1 }))
    }
}

#[allow(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:7880".to_owned());
    let room = arguments.next().unwrap_or_else(|| "hall".to_owned());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let token = issue(&TokenRequest::member(KEYS.0, KEYS.1, room.as_str(), ID), now)?;

    let mut engine = Engine::new(KEYS.0, [server], EngineConfig::named("artist"))?;
    engine.login_room(&room, &token, &User::new(ID), RoomConfig::default())?;
    loop {
        let Some(told) = engine.try_event() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        match told.event {
            RoomEvent::StateChanged { state: RoomState::Connected, .. } => {
                let started = Instant::now();
                let art = Stream::picture(StreamKind::Camera, Rainbow { started, frame: 0 }, 600_000)
                    .with_sound(Siren { started, block: 0, phase: 0.0 }, AudioOptions::PLAIN);
                engine.start_publishing("rainbow", art, PublishOptions::default())?;
            }
            RoomEvent::StateChanged { state: RoomState::Disconnected, error, .. } => {
                return error.map_or(Ok(()), |error| Err(error.into()));
            }
            RoomEvent::PublishStateChanged { stream, state, error } => {
                println!("{stream} is {state:?}");
                if let Some(error) = error {
                    return Err(error.into());
                }
            }
            _ => {}
        }
    }
}
