//! Frame time of the room on this machine's renderer, with 0, 1, 9, 25 and 49 live panels, in the hall and in the flat
//! grid, and while something happens: ten people join at once, a share starts, the window is resized. Off-screen, fed by a
//! scripted engine so that only the room is measured; on a software renderer small and in the lowest tier, on a GPU as
//! people see it. As with a window, one frame is drawn while the next is prepared, and no more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bevy::prelude::*;
use bevy::render::renderer::{RenderDevice, RenderQueue};
use rotunda::bridge::{
    EngineHandle, EnginePort, EventEnvelope, Mailbox, RoomEvent, SessionId, VideoFeed, engine_channels,
};
use rotunda::media::capture::PortraitSource;
use rotunda::media::{VideoFormat, VideoFrame, VideoSource as _};
use rotunda::model::{
    DeviceState, MediaKind, RoomState, RoomStateReason, StreamId, StreamInfo, StreamKind, TrackInfo, TrackSid,
    TrackSource, UserId, UserInfo,
};
use rotunda::space::view::OffscreenView;
use rotunda::space::{EngineBridge, QualityTier, RotundaPlugins, SoundMode, SpaceSettings, ViewMode, ViewTarget, host};
use wgpu::PollType;

use crate::table::{Row, Table};

const PANELS: [usize; 5] = [0, 1, 9, 25, 49];
const FORMAT: VideoFormat = VideoFormat { width: 320, height: 240, fps: 15.0 };
/// A shared page, and how often it changes.
const PAGE: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 5.0 };
/// Until pipelines are compiled and panels have appeared.
const WARM: Duration = Duration::from_secs(4);
const MEASURED: Duration = Duration::from_secs(8);
/// Something happens in the middle of what is measured.
const EVENT_AFTER: Duration = Duration::from_secs(3);

/// How richly the room is drawn, and how large.
#[derive(Clone, Copy, Debug)]
struct Drawing {
    tier: QualityTier,
    size: (u32, u32),
    /// Frame time to keep with nine people.
    goal: &'static str,
}

impl Drawing {
    /// What this machine is to manage.
    fn here() -> anyhow::Result<Self> {
        let software = Self { tier: QualityTier::Low, size: (640, 360), goal: "<= 66 ms" };
        let gpu = Self { tier: QualityTier::High, size: (1920, 1080), goal: "<= 16.7 ms" };
        Ok(if host::check_gpu()?.software { software } else { gpu })
    }

    fn name(self) -> String {
        format!("{}x{}, {:?}", self.size.0, self.size.1, self.tier).to_lowercase()
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happens {
    Nothing,
    /// So many people join at once.
    Join(usize),
    /// A page is hung on the wall.
    Share,
    /// The window is dragged to three quarters of its size and back, another size with each frame.
    Resize,
}

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let drawing = Drawing::here()?;
    let drawn = drawing.name();
    let mut empty = None;
    for panels in PANELS {
        let times = frame_times(drawing, panels, ViewMode::Hall, Happens::Nothing)?;
        let name = |tail: &str| format!("room: frame time, {panels} panels, {drawn}, {tail}");
        let beside = empty.map(|time: f64| ("no video".to_owned(), time));
        let goal = if panels == 9 { drawing.goal } else { "linear in panels" };
        table.add(Row { measure: name("median"), value: times.median, unit: "ms", beside, goal });
        table.add(Row { measure: name("p99"), value: times.p99, unit: "ms", beside: None, goal: "<= 2x median" });
        empty = empty.or(Some(times.median));
    }
    let grid = frame_times(drawing, 25, ViewMode::Grid, Happens::Nothing)?;
    let beside = Some(("p99".to_owned(), grid.p99));
    let measure = format!("room: frame time, 25 in the grid, {drawn}, median");
    table.add(Row { measure, value: grid.median, unit: "ms", beside, goal: "below the hall's" });
    for (happens, what) in [
        (Happens::Join(10), "10 join 9 others"),
        (Happens::Share, "a share starts before 9 people"),
        (Happens::Resize, "the window is resized before 9 people"),
    ] {
        let times = frame_times(drawing, 9, ViewMode::Hall, happens)?;
        let measure = format!("room: frame time while {what}, {drawn}, p99");
        let beside = Some(("median".to_owned(), times.median));
        table.add(Row { measure, value: times.p99, unit: "ms", beside, goal: "<= 2x median" });
    }
    Ok(())
}

/// In ms.
struct Times {
    median: f64,
    p99: f64,
}

/// Draws for a while with so many panels from the start.
fn frame_times(drawing: Drawing, panels: usize, mode: ViewMode, happens: Happens) -> anyhow::Result<Times> {
    let (engine, port) = engine_channels();
    let mut script = Script::begin(port, panels)?;
    let mut app = room(engine, drawing, mode);
    let began = Instant::now();
    let mut times = Vec::new();
    let (mut happened, mut resized, mut in_flight) = (happens == Happens::Nothing, 0_u32, None);
    while began.elapsed() < WARM + MEASURED {
        if !happened && began.elapsed() > WARM + EVENT_AFTER {
            happened = true;
            match happens {
                Happens::Join(people) => (0..people).try_for_each(|_| script.join(StreamKind::Camera))?,
                Happens::Share => script.join(StreamKind::Screen)?,
                Happens::Resize => resized = RESIZES,
                Happens::Nothing => {}
            }
        }
        script.feed();
        if resized > 0 {
            resized -= 1;
            resize(&mut app, size_at(drawing.size, resized));
        }
        let frame = Instant::now();
        app.update();
        wait_for(&app, &mut in_flight)?;
        if began.elapsed() > WARM {
            times.push(frame.elapsed().as_secs_f64() * 1000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() - 1) as f64 * share).round() as usize).copied();
    let (median, p99) = at(0.5).zip(at(0.99)).context("no frame was drawn")?;
    Ok(Times { median, p99 })
}

/// The room as the application builds it, stepped by hand.
fn room(engine: EngineHandle, drawing: Drawing, mode: ViewMode) -> App {
    let view = ViewTarget::Offscreen { width: drawing.size.0, height: drawing.size.1 };
    let mut app = App::new();
    app.add_plugins(host::offscreen())
        .insert_resource(SpaceSettings { quality: drawing.tier, view, ..SpaceSettings::default() })
        .insert_resource(mode)
        .insert_resource(SoundMode::Mono)
        .insert_resource(EngineBridge(engine))
        .add_plugins(RotundaPlugins);
    app.finish();
    app.cleanup();
    app
}

/// Frames of a resize, there and back.
const RESIZES: u32 = 20;

fn size_at((width, height): (u32, u32), left: u32) -> (u32, u32) {
    let away = left.min(RESIZES - left);
    (width - 16 * away, height - 9 * away)
}

fn resize(app: &mut App, (width, height): (u32, u32)) {
    let view = app.world().resource::<OffscreenView>().0.handle.id();
    if let Some(mut image) = app.world_mut().resource_mut::<Assets<Image>>().get_mut(view) {
        image.resize(wgpu::Extent3d { width, height, depth_or_array_layers: 1 });
    }
}

/// Waits until the frame before this one is drawn.
fn wait_for(app: &App, in_flight: &mut Option<wgpu::SubmissionIndex>) -> anyhow::Result<()> {
    let before = in_flight.replace(app.world().resource::<RenderQueue>().submit([]));
    if before.is_some() {
        let wait = PollType::Wait { submission_index: before, timeout: None };
        app.world().resource::<RenderDevice>().wgpu_device().poll(wait)?;
    }
    Ok(())
}

/// Plays the engine: people come, and their pictures flow.
struct Script {
    port: EnginePort,
    frames: Vec<Arc<VideoFrame>>,
    page: Arc<VideoFrame>,
    feeds: Vec<(VideoFeed, StreamKind)>,
    people: usize,
    began: Instant,
    /// Pictures and pages fed so far, to each.
    fed: (u64, u64),
}

impl Script {
    fn begin(port: EnginePort, panels: usize) -> anyhow::Result<Self> {
        let frames = (0..4).map(|seed| frame(seed, FORMAT)).collect::<anyhow::Result<Vec<_>>>()?;
        let page = frame(9, PAGE)?;
        let (feeds, began) = (Vec::new(), Instant::now());
        let mut script = Self { port, frames, page, feeds, people: 0, began, fed: (0, 0) };
        let (state, reason) = (RoomState::Connected, RoomStateReason::LoggedIn);
        script.tell(RoomEvent::StateChanged { state, reason, error: None, me: Some(user(0)?) })?;
        (0..panels).try_for_each(|_| script.join(StreamKind::Camera))?;
        Ok(script)
    }

    fn tell(&self, event: RoomEvent) -> anyhow::Result<()> {
        let told = self.port.events.try_send(EventEnvelope { session: SessionId(1), event });
        told.ok().context("the room does not listen")
    }

    /// Somebody comes, with a picture.
    fn join(&mut self, kind: StreamKind) -> anyhow::Result<()> {
        self.people += 1;
        self.tell(RoomEvent::UserJoined(user(self.people)?))?;
        let stream = stream(self.people, kind)?;
        let (id, feed) = (stream.id.clone(), Mailbox::default());
        self.tell(RoomEvent::StreamAdded(stream))?;
        self.tell(RoomEvent::VideoFeedOpened { stream: id, feed: feed.clone() })?;
        self.feeds.push((feed, kind));
        Ok(())
    }

    /// Gives every feed what is due; what the room wishes for is not answered.
    fn feed(&mut self) {
        while self.port.commands.try_recv().is_ok() {}
        let secs = self.began.elapsed().as_secs_f32();
        let due = ((secs * FORMAT.fps) as u64, (secs * PAGE.fps) as u64);
        for (number, (feed, kind)) in self.feeds.iter().enumerate() {
            if *kind == StreamKind::Screen && due.1 > self.fed.1 {
                feed.put(Arc::clone(&self.page));
            } else if *kind == StreamKind::Camera && due.0 > self.fed.0 {
                feed.put(Arc::clone(&self.frames[(number + due.0 as usize) % self.frames.len()]));
            }
        }
        self.fed = due;
    }
}

fn frame(seed: u64, format: VideoFormat) -> anyhow::Result<Arc<VideoFrame>> {
    Ok(Arc::new(PortraitSource::new("Bench", seed, format).next_frame()?.context("the portrait ended")?))
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

fn stream(number: usize, kind: StreamKind) -> anyhow::Result<StreamInfo> {
    let screen = kind == StreamKind::Screen;
    let format = if screen { PAGE } else { FORMAT };
    Ok(StreamInfo {
        id: StreamId::new(format!("stream-{number}"))?,
        owner: UserId::new(format!("user-{number}"))?,
        kind,
        video: Some(TrackInfo {
            sid: TrackSid::new(format!("TR_{number}"))?,
            kind: MediaKind::Video,
            source: if screen { TrackSource::ScreenShare } else { TrackSource::Camera },
            mime_type: "video/VP8".into(),
            width: format.width,
            height: format.height,
            muted: false,
        }),
        audio: None,
        video_state: DeviceState::On,
        audio_state: DeviceState::Off,
        extra_info: String::new(),
        wall_slot: None,
    })
}
