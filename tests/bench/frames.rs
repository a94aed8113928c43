//! Frame time of the room on this machine's renderer, with 0, 1, 9, 25 and 49 live panels, in the hall and in the flat
//! grid, and while ten people join at once: off-screen, lowest tier, fed by a scripted engine so that only the room is
//! measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rotunda::app::{RoomLook, RoomRun, View};
use rotunda::bridge::{EnginePort, Mailbox, RoomCommand, RoomEvent, SessionId, VideoFeed, engine_channels};
use rotunda::media::capture::PortraitSource;
use rotunda::media::{VideoFormat, VideoFrame, VideoSource as _};
use rotunda::model::{
    DeviceState, MediaKind, RoomState, RoomStateReason, StreamId, StreamInfo, StreamKind, TrackInfo, TrackSid,
    TrackSource, UserId, UserInfo,
};
use rotunda::space::{QualityTier, RoomLayout, SoundMode, ViewMode};

use crate::scene;
use crate::table::{Row, Table};

const PANELS: [usize; 5] = [0, 1, 9, 25, 49];
/// Who joins at once, and how many are there already.
const JOINING: (usize, usize) = (10, 9);
/// When they join: in the middle of what is measured.
const JOIN_AFTER: Duration = Duration::from_secs(5);
const SIZE: (u32, u32) = (640, 360);
const FORMAT: VideoFormat = VideoFormat { width: 320, height: 240, fps: 15.0 };

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let mut empty = None;
    for panels in PANELS {
        let times = frame_times(panels, 0, ViewMode::Hall)?;
        let name = |tail: &str| format!("room: frame time, {panels} panels, {}x{}, low, {tail}", SIZE.0, SIZE.1);
        let beside = empty.map(|time: f64| ("no video".to_owned(), time));
        let goal = if panels == 9 { "<= 66 ms" } else { "linear in panels" };
        table.add(Row { measure: name("median"), value: times.0, unit: "ms", beside, goal });
        table.add(Row { measure: name("p99"), value: times.1, unit: "ms", beside: None, goal: "<= 2x median" });
        empty = empty.or(Some(times.0));
    }
    let grid = frame_times(25, 0, ViewMode::Grid)?;
    let beside = Some(("p99".to_owned(), grid.1));
    let measure = "room: frame time, 25 in the grid, median".to_owned();
    table.add(Row { measure, value: grid.0, unit: "ms", beside, goal: "below the hall's" });
    let (joining, there) = JOINING;
    let times = frame_times(there, joining, ViewMode::Hall)?;
    let measure = format!("room: frame time while {joining} join {there} others, p99");
    let beside = Some(("median".to_owned(), times.0));
    table.add(Row { measure, value: times.1, unit: "ms", beside, goal: "<= 2x median" });
    Ok(())
}

/// Median and p99, in ms, with so many panels from the start and so many more in the middle.
fn frame_times(panels: usize, joining: usize, mode: ViewMode) -> anyhow::Result<(f64, f64)> {
    let (engine, port) = engine_channels();
    let end = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&end);
    let script =
        std::thread::Builder::new().name("script".into()).spawn(move || script(port, panels, joining, &ended))?;
    let run = RoomRun {
        view: View::Offscreen,
        look: RoomLook {
            size: SIZE,
            quality: QualityTier::Low,
            layout: RoomLayout::built_in(),
            mode,
            sound: SoundMode::Mono,
        },
        engine,
        login: scene::login("ws://127.0.0.1:1", "frames", "bench", true)?,
        publications: Vec::new(),
        limit: Some(Duration::from_secs(10)),
        out: None,
        remote_videos: 0,
        title: "bench".into(),
        renewal: None,
        progress: None,
    };
    let report = run.run()?;
    end.store(true, Ordering::Relaxed);
    script.join().ok().context("the script panicked")??;
    let times = report.frame_time_ms.context("no frame was drawn")?;
    Ok((f64::from(times.median), f64::from(times.p99)))
}

/// Plays the engine: everyone comes, pictures flow, and some come later.
fn script(mut port: EnginePort, panels: usize, joining: usize, ended: &AtomicBool) -> anyhow::Result<()> {
    let frames = (0..4).map(frame).collect::<anyhow::Result<Vec<_>>>()?;
    // The app has asked for the login before it runs.
    while !matches!(port.commands.try_recv(), Ok(RoomCommand::Login(_))) {
        if ended.load(Ordering::Relaxed) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let tell = |event| {
        let told = port.events.blocking_send(rotunda::bridge::EventEnvelope { session: SessionId(1), event });
        told.ok().context("the room has ended")
    };
    let connected = RoomEvent::StateChanged {
        state: RoomState::Connected,
        reason: RoomStateReason::LoggedIn,
        error: None,
        me: Some(user(0)?),
    };
    tell(connected)?;
    let mut feeds: Vec<VideoFeed> = Vec::new();
    let join = |number| -> anyhow::Result<VideoFeed> {
        tell(RoomEvent::UserJoined(user(number)?))?;
        let stream = stream(number)?;
        let (id, feed) = (stream.id.clone(), Mailbox::default());
        tell(RoomEvent::StreamAdded(stream))?;
        tell(RoomEvent::VideoFeedOpened { stream: id, feed: feed.clone() })?;
        Ok(feed)
    };
    for number in 1..=panels {
        feeds.push(join(number)?);
    }
    let (mut turn, began) = (0, Instant::now());
    while !ended.load(Ordering::Relaxed) {
        if began.elapsed() > JOIN_AFTER {
            for number in feeds.len() + 1..=panels + joining {
                feeds.push(join(number)?);
            }
        }
        for (number, feed) in feeds.iter().enumerate() {
            feed.put(Arc::clone(&frames[(number + turn) % frames.len()]));
        }
        turn += 1;
        std::thread::sleep(Duration::from_secs_f32(1.0 / FORMAT.fps));
    }
    Ok(())
}

fn frame(seed: u64) -> anyhow::Result<Arc<VideoFrame>> {
    Ok(Arc::new(PortraitSource::new("Bench", seed, FORMAT).next_frame()?.context("the portrait ended")?))
}

fn user(number: usize) -> anyhow::Result<UserInfo> {
    Ok(UserInfo {
        id: UserId::new(format!("user-{number}"))?,
        name: format!("User {number}"),
        sid: format!("PA_{number}"),
        joined_at_ms: number as i64,
        attributes: Default::default(),
        metadata: String::new(),
    })
}

fn stream(number: usize) -> anyhow::Result<StreamInfo> {
    Ok(StreamInfo {
        id: StreamId::new(format!("stream-{number}"))?,
        owner: UserId::new(format!("user-{number}"))?,
        kind: StreamKind::Camera,
        video: Some(TrackInfo {
            sid: TrackSid::new(format!("TR_{number}"))?,
            kind: MediaKind::Video,
            source: TrackSource::Camera,
            mime_type: "video/VP8".into(),
            width: FORMAT.width,
            height: FORMAT.height,
            muted: false,
        }),
        audio: None,
        video_state: DeviceState::On,
        audio_state: DeviceState::Off,
        extra_info: String::new(),
        wall_slot: None,
    })
}
