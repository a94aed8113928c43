//! Beauty in the room: what is published is what the passes made, from the first picture on, for a second client and for a
//! browser; and what becomes of it when cameras, sizes, wishes and the graphics device change.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy::render::renderer::RenderDevice;
use rotunda::bridge::{LoginRequest, PublishRequest, RoomCommand, StartsMuted, VideoFeed, VideoOptions};
use rotunda::client::{EngineConfig, start};
use rotunda::media::audio::AudioOutput;
use rotunda::media::{CaptureError, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{Beauty, BeautyParams, BeautyState, ErrorCode, OnBeautyFailure, StreamKind};
use rotunda::space::beauty::BeautyLinks;
use rotunda::space::stream::StreamFeed;
use rotunda::space::{
    BeautyChanged, BeautyChoice, BeautyStatus, EngineBridge, LocalParticipant, Publishes, QualityTier, RotundaPlugins,
    SetBeauty, SpaceSettings, VideoStream, ViewTarget, host,
};
use serde_json::json;

use crate::common::browser_driver::Browser;
use crate::engine::kit::{SOON, TestServer, brightness, room, stream};
use crate::fake_engine::{FakeEngine, user};
use crate::room::{gpu, picture, whole_room};

/// Luma, Cb and Cr of skin in good light, BT.601.
const SKIN: [u8; 3] = [140, 112, 146];
/// What is lightened in full is at least so much lighter, in code values.
const LIGHTER: f32 = 10.0;

/// Skin all over, at its own pace.
struct Skin {
    size: (u32, u32),
    fps: u32,
    frame: u32,
    started: Instant,
}

impl Skin {
    fn new(size: (u32, u32), fps: u32) -> Self {
        Self { size, fps, frame: 0, started: Instant::now() }
    }
}

impl VideoSource for Skin {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: self.size.0, height: self.size.1, fps: self.fps as f32 }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = Duration::from_secs(1) * self.frame / self.fps;
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        self.frame += 1;
        let (width, height) = self.size;
        let chroma = (width.div_ceil(2) * height.div_ceil(2)) as usize;
        let planes = [(width * height) as usize, chroma, chroma].into_iter().zip(SKIN);
        let data = planes.flat_map(|(count, code)| std::iter::repeat_n(code, count)).collect();
        let at_us = due.as_micros() as u64;
        Ok(Some(VideoFrame::new(width, height, ColourSpace::default(), at_us, data).unwrap()))
    }
}

fn lightened() -> Beauty {
    Beauty::of(BeautyParams::new(0, 100, 0, 0).unwrap())
}

fn camera(source: Skin) -> RoomCommand {
    RoomCommand::PublishStream(PublishRequest {
        stream: stream("me-cam"),
        kind: StreamKind::Camera,
        video: Some((Box::new(source), VideoOptions::single(600_000))),
        audio: None,
        extra_info: String::new(),
        muted: StartsMuted::default(),
    })
}

fn push(app: &mut App, command: RoomCommand) {
    assert!(app.world_mut().resource_mut::<rotunda::space::Outbox>().push(command));
}

fn set(app: &mut App, beauty: Beauty) {
    app.world_mut().write_message(SetBeauty { stream: stream("me-cam"), beauty });
}

/// The room goes on until something is so.
fn until<T>(app: &mut App, what: &str, mut is_so: impl FnMut(&mut App) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        app.update();
        if let Some(found) = is_so(app) {
            return found;
        }
        assert!(Instant::now() < deadline, "waited a minute for {what}");
    }
}

fn state(app: &App) -> Option<BeautyState> {
    app.world().resource::<BeautyLinks>().get(&stream("me-cam")).map(|link| link.status().state)
}

/// What was told of beauty, from the beginning on.
#[derive(Resource, Default)]
struct Told(Vec<BeautyChanged>);

fn keep_told(mut changes: MessageReader<BeautyChanged>, mut told: ResMut<Told>) {
    told.0.extend(changes.read().cloned());
}

/// The room with a scripted engine, in which own pictures are lightened.
fn lightened_room(beauty: Beauty) -> (App, FakeEngine) {
    let (mut app, engine) = whole_room(160, 90);
    app.insert_resource(BeautyChoice(beauty)).init_resource::<Told>().add_systems(Last, keep_told);
    engine.connect_as(user("me", "Me", 1));
    app.update();
    (app, engine)
}

/// The brightness and the width of every picture a source gives, from a thread of its own.
fn pull(mut source: Box<dyn VideoSource>) -> Receiver<Result<(f32, u32), CaptureError>> {
    let (send, pictures) = sync_channel(10_000);
    let run = move || loop {
        let told = match source.next_frame() {
            Ok(Some(frame)) => Ok((brightness(&frame), frame.width())),
            Ok(None) => return,
            Err(CaptureError::Interrupted { .. }) => continue,
            Err(error) => Err(error),
        };
        let end = told.is_err();
        if send.send(told).is_err() || end {
            return;
        }
    };
    std::thread::Builder::new().name("pull".into()).spawn(run).unwrap();
    pictures
}

/// A room without an engine whose camera was published: what the engine would pull.
fn published(app: &mut App, engine: &mut FakeEngine, source: Skin) -> Box<dyn VideoSource> {
    push(app, camera(source));
    until(app, "the wish to publish", |_| {
        engine.commands().into_iter().find_map(|command| match command {
            RoomCommand::PublishStream(request) => request.video.map(|(source, _)| source),
            _ => None,
        })
    })
}

#[test]
fn what_the_engine_gets_is_filtered_from_the_first_picture_through_switches_and_sizes() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = lightened_room(lightened());
    let source = published(&mut app, &mut engine, Skin::new((320, 240), 30));
    assert_eq!(source.format(), VideoFormat { width: 320, height: 240, fps: 30.0 });
    let pictures = pull(source);
    let plain = f32::from(SKIN[0]);
    let gather = |app: &mut App, what: &str, count: usize| {
        let mut now: Vec<(f32, u32)> = Vec::new();
        until(app, what, |_| {
            now.extend(pictures.try_iter().map(Result::unwrap));
            (now.len() >= count).then_some(())
        });
        now
    };
    for (luma, _) in gather(&mut app, "filtered pictures", 10) {
        assert!(luma > plain + LIGHTER, "{luma}: not filtered");
    }
    assert_eq!(state(&app), Some(BeautyState::On));

    // Off: the camera's own again, in order. On again: none of them any more once it is on.
    set(&mut app, Beauty { enabled: false, ..lightened() });
    until(&mut app, "switched off", |app| (state(app) == Some(BeautyState::Off)).then_some(()));
    gather(&mut app, "what was on its way", 3);
    assert!(gather(&mut app, "plain pictures", 5).iter().all(|(luma, _)| *luma == plain));
    set(&mut app, lightened());
    until(&mut app, "switched on", |app| (state(app) == Some(BeautyState::On)).then_some(()));
    gather(&mut app, "what was on its way", 2);
    assert!(gather(&mut app, "filtered again", 5).iter().all(|(luma, _)| *luma > plain + LIGHTER));
    let told = &app.world().resource::<Told>().0;
    assert!(told.iter().all(|changed| changed.error.is_none() && changed.stream == stream("me-cam")), "{told:?}");
    let mut states: Vec<BeautyState> = told.iter().map(|changed| changed.state).collect();
    // How long starting takes is the machine's business: it may be over before it is told.
    states.retain(|state| *state != BeautyState::Starting);
    assert_eq!(states, [BeautyState::On, BeautyState::Off, BeautyState::On]);

    // More of it takes hold at once, without a gap.
    set(&mut app, Beauty::of(BeautyParams::new(0, 30, 0, 0).unwrap()));
    let less = until(&mut app, "less of it", |_| {
        pictures.try_iter().map(Result::unwrap).map(|(luma, _)| luma).find(|luma| *luma < plain + LIGHTER)
    });
    assert!(less > plain + 2.0, "{less}");
}

#[test]
fn another_camera_is_filtered_as_the_one_before() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = lightened_room(lightened());
    let first = pull(published(&mut app, &mut engine, Skin::new((320, 240), 30)));
    until(&mut app, "the first camera", |_| first.try_recv().ok()).unwrap();
    let next = Box::new(Skin::new((161, 121), 30));
    push(&mut app, RoomCommand::SwitchVideo { stream: stream("me-cam"), source: next });
    let next = until(&mut app, "the wish to switch", |_| {
        engine.commands().into_iter().find_map(|command| match command {
            RoomCommand::SwitchVideo { source, .. } => Some(source),
            _ => None,
        })
    });
    drop(first);
    let pictures = pull(next);
    let mut count = 0;
    until(&mut app, "the second camera's pictures", |_| {
        for picture in pictures.try_iter() {
            let (luma, width) = picture.unwrap();
            assert!(luma > f32::from(SKIN[0]) + LIGHTER && width == 161, "{luma}, {width}");
            count += 1;
        }
        (count >= 5).then_some(())
    });
    // A camera that is refused, because the id is taken, changes nothing for the one that is shown.
    push(&mut app, camera(Skin::new((640, 480), 30)));
    let refused = until(&mut app, "another wish to publish", |_| {
        engine.commands().into_iter().find_map(|command| match command {
            RoomCommand::PublishStream(request) => request.video.map(|(source, _)| source),
            _ => None,
        })
    });
    drop(refused);
    (0..5).for_each(|_| app.update());
    pictures.try_iter().for_each(drop);
    set(&mut app, Beauty::default());
    until(&mut app, "the first one as it is", |_| {
        pictures.try_iter().map(Result::unwrap).any(|(luma, _)| luma == f32::from(SKIN[0])).then_some(())
    });
    // Without a camera there is nothing to filter, and that is said.
    drop(pictures);
    until(&mut app, "the link is let go", |app| state(app).is_none().then_some(()));
    set(&mut app, lightened());
    let error = until(&mut app, "a refusal", |app| {
        app.world().resource::<Told>().0.iter().find_map(|changed| changed.error.clone())
    });
    assert_eq!(error.code, ErrorCode::StreamNotFound);
}

#[test]
fn a_room_that_is_not_drawn_any_more_ends_the_stream_or_lets_it_go_on_as_was_chosen() {
    let Some(_turn) = gpu() else { return };
    for on_failure in [OnBeautyFailure::Continue, OnBeautyFailure::Stop] {
        let (mut app, mut engine) = lightened_room(Beauty { on_failure, ..lightened() });
        let pictures = pull(published(&mut app, &mut engine, Skin::new((64, 64), 30)));
        until(&mut app, "a filtered picture", |_| pictures.try_recv().ok()).unwrap();
        // The frames stop, as when a driver hangs.
        let deadline = Instant::now() + Duration::from_secs(30);
        let next = loop {
            match pictures.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap() {
                Ok((luma, _)) if luma > f32::from(SKIN[0]) + LIGHTER => {}
                other => break other,
            }
        };
        match on_failure {
            OnBeautyFailure::Continue => assert_eq!(next.unwrap().0, f32::from(SKIN[0])),
            OnBeautyFailure::Stop => assert!(next.unwrap_err().to_string().contains("publish it again")),
        }
        // It is drawn again: the failure is told, and what goes on is filtered again.
        if on_failure == OnBeautyFailure::Continue {
            until(&mut app, "filtered again", |_| {
                let newest = pictures.try_iter().last()?.unwrap();
                (newest.0 > f32::from(SKIN[0]) + LIGHTER).then_some(())
            });
            let told = &app.world().resource::<Told>().0;
            let errors: Vec<ErrorCode> = told.iter().filter_map(|changed| Some(changed.error.as_ref()?.code)).collect();
            assert_eq!(errors, [ErrorCode::BeautyFailed]);
        }
    }
}

#[test]
fn no_wish_no_passes() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = lightened_room(Beauty::default());
    let pictures = pull(published(&mut app, &mut engine, Skin::new((64, 64), 60)));
    let mut count = 0;
    until(&mut app, "plain pictures", |_| {
        count += pictures.try_iter().inspect(|picture| assert_eq!(picture.as_ref().unwrap().0, 140.0)).count();
        (count > 20).then_some(())
    });
    let link = app.world().resource::<BeautyLinks>().get(&stream("me-cam")).unwrap();
    assert_eq!(link.status(), BeautyStatus::default());
}

/// Reads every picture of a feed.
fn watch(feed: VideoFeed) -> Receiver<f32> {
    let (send, seen) = sync_channel(10_000);
    let run = move || {
        while let Some(frame) = feed.wait_take(Duration::from_secs(20)) {
            if send.send(brightness(&frame)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("watch".into()).spawn(run).unwrap();
    seen
}

/// Through a real server: a second client and a browser see what the passes made, the preview shows the same, and nothing
/// else was ever sent.
#[test]
fn others_see_what_the_preview_shows_and_never_anything_else() {
    let Some(_turn) = gpu() else { return };
    let server = TestServer::start();
    let hall = room("beauty");
    let mut eve = server.enter(&hall, "eve");
    let mut browser = Browser::start();
    if let Some(browser) = &mut browser {
        browser.ask("bea", "join", json!({ "url": server.url, "token": server.token(&hall, "bea") }));
    }

    let config = EngineConfig { audio_output: AudioOutput::Null, name: "me".into(), decode: false, play_audio: false };
    let engine = start(config).unwrap();
    let mut app = App::new();
    app.add_plugins(host::offscreen());
    let view = ViewTarget::Offscreen { width: 160, height: 90 };
    app.insert_resource(SpaceSettings { quality: QualityTier::Low, view, ..default() })
        .insert_resource(BeautyChoice(lightened()))
        .insert_resource(EngineBridge(engine))
        .add_plugins(RotundaPlugins);
    app.finish();
    app.cleanup();
    let login = LoginRequest {
        servers: vec![server.url.clone()],
        room: hall.clone(),
        token: server.token(&hall, "me"),
        auto_play: false,
        first_quality: None,
    };
    push(&mut app, RoomCommand::Login(login));
    push(&mut app, camera(Skin::new((320, 240), 15)));
    let mut sent = false;
    until(&mut app, "login", |app| {
        // Refused before one is in; asked again then.
        let me = app.world_mut().query_filtered::<Entity, With<LocalParticipant>>().iter(app.world()).next();
        if me.is_some() && !sent {
            sent = true;
            push(app, camera(Skin::new((320, 240), 15)));
        }
        eve.listen();
        eve.heard.iter().any(|event| matches!(event, rotunda::bridge::RoomEvent::VideoFeedOpened { .. })).then_some(())
    });
    let seen = watch(eve.wait_feed("me-cam"));
    let plain = f32::from(SKIN[0]);
    let mut theirs = Vec::new();
    until(&mut app, "pictures at a second client", |_| {
        theirs.extend(seen.try_iter());
        (theirs.len() >= 20).then_some(())
    });
    assert!(theirs.iter().all(|luma| *luma > plain + LIGHTER), "unfiltered pictures were sent: {theirs:?}");

    // The own preview.
    let feed = until(&mut app, "the own preview", |app| {
        let mut own = app.world_mut().query_filtered::<&Publishes, With<LocalParticipant>>();
        let streams: Vec<Entity> = own.iter(app.world()).flat_map(Publishes::iter).collect();
        let mut feeds = app.world_mut().query::<(&VideoStream, &StreamFeed)>();
        streams.into_iter().find_map(|stream| feeds.get(app.world(), stream).ok().map(|(_, feed)| feed.0.clone()))
    });
    let preview = until(&mut app, "a picture of it", |_| feed.take());
    let sent = theirs[theirs.len() - 1];
    assert!((brightness(&preview) - sent).abs() < 3.0, "{} is shown, {sent} is sent", brightness(&preview));

    if let Some(browser) = &mut browser {
        let ask = json!({ "identity": "me", "source": "camera", "columns": 4, "rows": 3 });
        let deadline = Instant::now() + SOON;
        let red = loop {
            (0..10).for_each(|_| app.update());
            let picture = browser.ask("bea", "picture", ask.clone());
            let red = picture["cells"][0][0].as_f64();
            if let Some(red) = red {
                break red;
            }
            assert!(Instant::now() < deadline, "no picture in the browser: {picture}");
        };
        // Red of the plain skin is 173; what is filtered is lighter by as much as its luma, and a little more.
        assert!(red > 181.0, "the browser shows red {red}");
    }
}

#[test]
fn a_graphics_device_that_is_lost_ends_neither_the_room_nor_the_stream() {
    let Some(_turn) = gpu() else { return };
    let (mut app, mut engine) = lightened_room(lightened());
    let pictures = pull(published(&mut app, &mut engine, Skin::new((64, 64), 30)));
    until(&mut app, "a filtered picture", |_| pictures.try_recv().ok()).unwrap();
    let device = app.world().resource::<RenderDevice>().wgpu_device().clone();
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    device.destroy();
    // It tells so when it is asked.
    device.poll(wgpu::PollType::Poll).unwrap();
    pictures.try_iter().for_each(drop);
    // Perhaps as it is for a moment; filtered again in the end.
    let mut seen = (0, 0);
    until(&mut app, "the stream goes on, and is filtered again", |app| {
        for (luma, _) in pictures.try_iter().map(Result::unwrap) {
            if luma > f32::from(SKIN[0]) + LIGHTER { seen.1 += 1 } else { seen.0 += 1 }
        }
        if seen.0 > 600 {
            panic!("never filtered again: {seen:?}, {:?}", state(app));
        }
        // More than were on their way: a device that was destroyed filters nothing.
        (seen.1 >= 40).then_some(())
    });
    // And the room is drawn on the new one.
    let shown = picture(&mut app);
    let mean = shown.rgba.chunks_exact(4).map(|p| f64::from(p[1])).sum::<f64>() / f64::from(shown.width * shown.height);
    assert!((40.0..220.0).contains(&mean), "the room is dark or blown out: {mean}");
}
