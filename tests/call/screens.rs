//! Every screen of the overlay in both languages, at several sizes of text and of the window: drawn into `target/screens`
//! to be looked at, and checked for what no size may do: leave the window, cover the bar, lack a letter.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bevy::camera::RenderTarget;
use bevy::camera::visibility::RenderLayers;
use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use bevy_egui::{EguiContext, egui};
use rotunda::bridge::RoomEvent;
use rotunda::media::audio::AudioDeviceInfo;
use rotunda::media::capture::{
    CameraInfo, Devices, PageSource, PortraitSource, ScreenInfo, ScreenKind, SpeechSource, Thumbnail,
};
use rotunda::media::{AudioSource, CaptureError, VideoFormat, VideoSource};
use rotunda::model::quality::{EngineSnapshot, Grade, PlayedQuality, PublishQuality};
use rotunda::model::{CallError, ErrorCode, MediaKind, StreamId, StreamKind, UserId};
use rotunda::space::devices::{DeviceLists, OwnSources};
use rotunda::space::sharing::{ShareFrom, ShareSources};
use rotunda::space::sync::CallTrouble;
use rotunda::space::ui::{
    LeftPane, Lobby, LobbyTrouble, OpenPanes, OwnMedia, RecentRoom, RightPane, RoomIsHere, RoomLink, Sending,
    ToggleMuted, WantsToLeave, Way,
};
use rotunda::space::view::{OffscreenView, RoomCamera};
use rotunda::space::wall::StepWish;
use rotunda::space::{Comfort, Language, PictureTaken, QualityTier, SpaceSettings};

use crate::fake_engine::{FakeEngine, NAMES, page, portrait, stream, user};
use crate::room::{gpu, picture, room_with};

/// The overlay's areas that have a place of their own.
const AREAS: [&str; 11] =
    ["bar", "lobby", "people", "chat", "beauty", "share", "statistics", "settings", "signs", "wall", "muted banner"];
/// Those at the sides, which end above the bar.
const PANES: [&str; 6] = ["people", "chat", "beauty", "share", "statistics", "settings"];
/// Share of the pixels that a screen changes in the bare room, at least.
const CHANGED_AT_LEAST: f64 = 0.004;

/// What is open, beside the room.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Screen {
    LobbyOpen,
    LobbyLink,
    LobbyServer,
    LobbyTrouble,
    LobbyEntering,
    Bar,
    Muted,
    SpeakingMuted,
    Left(LeftPane),
    Right(RightPane),
    Signs,
    SignsMuted,
    Notices,
    Leaving,
    Wall,
}

const ALL: [Screen; 19] = [
    Screen::LobbyOpen,
    Screen::LobbyLink,
    Screen::LobbyServer,
    Screen::LobbyTrouble,
    Screen::LobbyEntering,
    Screen::Bar,
    Screen::Muted,
    Screen::SpeakingMuted,
    Screen::Left(LeftPane::Beauty),
    Screen::Left(LeftPane::Share),
    Screen::Left(LeftPane::Statistics),
    Screen::Left(LeftPane::Settings),
    Screen::Right(RightPane::People),
    Screen::Right(RightPane::Chat),
    Screen::Signs,
    Screen::SignsMuted,
    Screen::Notices,
    Screen::Leaving,
    Screen::Wall,
];
/// Where the size of text matters most.
const TIGHT: [Screen; 8] = [
    Screen::LobbyServer,
    Screen::Muted,
    Screen::Left(LeftPane::Share),
    Screen::Left(LeftPane::Settings),
    Screen::Right(RightPane::People),
    Screen::Right(RightPane::Chat),
    Screen::SignsMuted,
    Screen::Leaving,
];

impl Screen {
    fn name(self) -> String {
        let name = format!("{self:?}").to_lowercase();
        name.replace(['(', ')'], "-").trim_end_matches('-').to_owned()
    }
}

/// A desk with two screens and a window.
struct Desk;

impl ShareSources for Desk {
    fn list(&self) -> Result<Vec<ScreenInfo>, CaptureError> {
        let info = |id: &str, kind, title: &str, tone| ScreenInfo {
            id: id.into(),
            kind,
            title: title.into(),
            app: String::new(),
            width: 1920,
            height: 1080,
            is_default: id == "screen:one",
            thumbnail: Some(Thumbnail { width: 32, height: 18, rgba: [tone, 120, 90, 255].repeat(32 * 18) }),
        };
        Ok(vec![
            info("screen:one", ScreenKind::Monitor, "one", 40),
            info("screen:two", ScreenKind::Monitor, "two", 160),
            info("window:0x1", ScreenKind::Window, "Quarterly figures – 季度报告", 220),
        ])
    }

    fn open(&self, id: &str, limit: VideoFormat) -> Result<Box<dyn VideoSource>, CaptureError> {
        Ok(Box::new(PageSource::new(id, VideoFormat { width: 640, height: 360, ..limit })))
    }

    fn sound(&self) -> Result<Box<dyn AudioSource>, CaptureError> {
        Ok(Box::new(SpeechSource::new(3)))
    }
}

fn devices() -> Devices {
    let sound = |id: &str, name: &str| AudioDeviceInfo {
        id: id.into(),
        name: name.into(),
        is_default: true,
        is_monitor: false,
    };
    Devices {
        cameras: vec![
            CameraInfo { id: "a".into(), name: "Integrated camera".into() },
            CameraInfo { id: "b".into(), name: "A camera whose maker gave it a name that goes on and on".into() },
        ],
        microphones: vec![sound("m", "Headset microphone")],
        speakers: vec![sound("s", "Headset"), sound("t", "Living room")],
        ..Devices::default()
    }
}

fn figures() -> EngineSnapshot {
    let id = |text: &str| StreamId::new(text).unwrap();
    let playing = (0..8).map(|n| {
        let quality = PlayedQuality {
            received_fps: 14.8,
            decoded_fps: 14.8,
            shown_fps: 14.6,
            video_kbps: 210.0 + 40.0 * n as f32,
            audio_kbps: 31.0,
            rtt_ms: Some(23.0),
            loss: 0.02 * n as f32,
            delay_ms: Some(92.0),
            av_offset_ms: Some(-8.0),
            freezes: n,
            grade: if n > 5 { Grade::Poor } else { Grade::Excellent },
        };
        (id(&format!("guest{n}-cam")), quality)
    });
    let sent = PublishQuality {
        captured_fps: 15.0,
        encoded_fps: 15.0,
        sent_fps: 15.0,
        width: 640,
        height: 480,
        layers: 2,
        video_kbps: 640.0,
        audio_kbps: 32.0,
        rtt_ms: Some(23.0),
        loss: 0.01,
        grade: Grade::Good,
    };
    EngineSnapshot {
        rtt_ms: Some(23.0),
        sent_kbps: 690.0,
        send_bandwidth_kbps: Some(2_300.0),
        may_set_attributes: true,
        keeps_order: true,
        playing: playing.collect(),
        publishing: [(id("me-cam"), sent)].into(),
        levels: [(UserId::new("guest1").unwrap(), 0.2)].into(),
        ..EngineSnapshot::default()
    }
}

/// A room with nine others, of whom one shares a page, and something written in it.
fn furnished(size: (u32, u32)) -> (App, FakeEngine) {
    let (mut app, engine) = room_with(size, |settings| {
        *settings = SpaceSettings { quality: QualityTier::Low, ..settings.clone() };
    });
    app.insert_resource(DeviceLists::scripted(devices()))
        .insert_resource(ShareFrom(Arc::new(Desk)))
        .insert_resource(RoomLink(Some("http://192.0.2.7:7880/join/team?code=abc".into())))
        .insert_resource(OwnSources::other(
            |_, format| Box::new(PortraitSource::new("Me", 5, format)),
            |_| Box::new(SpeechSource::new(5)),
        ));
    engine.connect_as(user("me", "Me", 1_000_000));
    engine.tell(RoomEvent::RoomChanged { metadata: String::new(), may_change: true });
    engine.publish(stream("me-cam", "me", StreamKind::Camera, false)).put(portrait(320, 180, 5, 0.0));
    for n in 0..9_u32 {
        let feed = engine.join_with_camera(&format!("guest{n}"), NAMES[n as usize], i64::from(n), n % 4 == 3);
        feed.put(portrait(320, 180, n, 0.0));
        app.update();
    }
    engine.publish(stream("share", "guest0", StreamKind::Screen, false)).put(page(640, 360, 0.0));
    engine.set_figures(figures());
    let says = |from: &str, text: &str| {
        let from = UserId::new(from).unwrap();
        engine.tell(RoomEvent::ChatReceived { from, text: text.into(), sent_at_ms: 0 });
    };
    says("guest1", "Good morning! The agenda: https://example.org/agenda?week=48");
    says("guest2", "@Me, could you begin?\nI am two minutes late.");
    says("guest3", "你好，大家早上好。");
    says("guest4", "صباح الخير");
    let error = CallError::new(ErrorCode::MessageTooFast, "2 messages a second: wait a moment and send it again");
    engine.tell(RoomEvent::ChatRefused { text: "Of course".into(), error });
    // Letters and further fonts come beside the frames.
    frames(&mut app, 60);
    (app, engine)
}

fn frames(app: &mut App, count: usize) {
    for _ in 0..count {
        app.update();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Opens this screen and nothing else.
fn show(app: &mut App, engine: &FakeEngine, screen: Screen) {
    let muted = matches!(screen, Screen::Muted | Screen::SpeakingMuted | Screen::SignsMuted);
    // As by the own key: no host mutes anybody here.
    if (app.world().resource::<OwnMedia>().microphone == Sending::Muted) != muted {
        app.world_mut().write_message(ToggleMuted(MediaKind::Audio));
    }
    engine.tell(RoomEvent::StreamUpdated(stream("me-cam", "me", StreamKind::Camera, muted)));
    engine.set_figures(EngineSnapshot { speaking_muted: screen == Screen::SpeakingMuted, ..figures() });
    let blank = Lobby {
        name: "Ann".into(),
        room: "team-monday".into(),
        camera_on: true,
        microphone_on: true,
        recent: vec![
            RecentRoom { room: "team-monday".into(), link: String::new() },
            RecentRoom { room: "all-hands".into(), link: "https://rooms.example.org/join/all-hands?code=k".into() },
        ],
        ..Lobby::default()
    };
    let joining = |link: &str| Lobby { open: true, way: Way::Join, link: link.into(), ..blank.clone() };
    let lobby = match screen {
        Screen::LobbyOpen => Lobby { open: true, camera_on: false, ..blank.clone() },
        Screen::LobbyLink => joining("http://192.0.2.7:7880/join/team?code=abc"),
        Screen::LobbyServer => Lobby { with_keys: true, ..joining("wss://rooms.example.org") },
        Screen::LobbyTrouble => {
            Lobby { trouble: Some(LobbyTrouble::LinkWrong), microphone_on: false, ..joining("rooms.example.org") }
        }
        Screen::LobbyEntering => Lobby { entering: true, ..joining("http://192.0.2.7:7880/join/team?code=abc") },
        _ => blank,
    };
    let panes = match screen {
        Screen::Left(pane) => OpenPanes { left: Some(pane), ..OpenPanes::default() },
        Screen::Right(pane) => OpenPanes { right: Some(pane), ..OpenPanes::default() },
        Screen::Signs | Screen::SignsMuted => OpenPanes { signs: true, ..OpenPanes::default() },
        _ => OpenPanes::default(),
    };
    app.insert_resource(lobby).insert_resource(panes);
    match screen {
        Screen::Wall => {
            app.world_mut().write_message(StepWish::Up(0));
        }
        Screen::Leaving => {
            app.init_resource::<RoomIsHere>();
            app.world_mut().write_message(WantsToLeave::default());
        }
        Screen::Notices => {
            let why = "the camera is not there (any more): plug it in again, or choose another one";
            app.world_mut().write_message(CallTrouble(CallError::new(ErrorCode::CaptureFailed, why)));
            engine.tell(RoomEvent::UserJoined(user("late", "Zoe", 99)));
            engine.leave("late");
        }
        _ => {}
    }
    // Pictures and preview are made beside the frames.
    frames(app, if matches!(screen, Screen::Left(LeftPane::Share)) { 14 } else { 6 });
}

fn close(app: &mut App, screen: Screen) {
    match screen {
        // Whoever wants to leave again while being asked has answered; so the question ends with the room.
        Screen::Leaving => {
            app.world_mut().remove_resource::<RoomIsHere>();
            app.world_mut().write_message(WantsToLeave::default());
            frames(app, 2);
        }
        Screen::Wall => {
            app.world_mut().write_message(StepWish::Back);
            frames(app, 4);
        }
        // Nine seconds of the app's time, a twentieth each.
        Screen::Notices => {
            app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_secs(1)));
            frames(app, 10);
            app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(50)));
        }
        _ => {}
    }
}

/// The rectangle of each area that is drawn, in points, and that of the view.
fn areas(app: &mut App) -> (egui::Rect, Vec<(&'static str, egui::Rect)>) {
    let mut contexts = app.world_mut().query::<&mut EguiContext>();
    let ctx = contexts.iter_mut(app.world_mut()).next().expect("an overlay").get_mut().clone();
    let visible = |id: &str| {
        let layer = egui::LayerId::new(egui::Order::Middle, egui::Id::new(id));
        ctx.memory(|memory| memory.areas().is_visible(&layer))
    };
    let rects = AREAS.into_iter().filter(|id| visible(id)).filter_map(|id| {
        let rect = ctx.memory(|memory| memory.area_rect(egui::Id::new(id)))?;
        Some((id, rect))
    });
    (ctx.content_rect(), rects.collect())
}

/// What no size may do.
fn check(app: &mut App, what: &str, wrong: &mut Vec<String>) {
    let (view, areas) = areas(app);
    let of = |id: &str| areas.iter().find(|(name, _)| *name == id).map(|(_, rect)| *rect);
    for (id, rect) in &areas {
        if !view.expand(1.5).contains_rect(*rect) {
            wrong.push(format!("{what}: {id} leaves the view: {rect:?} in {view:?}"));
        }
    }
    if let (Some(signs), Some(banner)) = (of("signs"), of("muted banner"))
        && signs.intersects(banner.shrink(1.0))
    {
        wrong.push(format!("{what}: the banner covers the signs: {banner:?} and {signs:?}"));
    }
    let Some(bar) = of("bar") else { return };
    for (id, pane) in PANES.iter().filter_map(|id| Some((id, of(id)?))) {
        if pane.bottom() > bar.top() + 1.5 {
            wrong.push(format!("{what}: {id} covers the bar: {pane:?} and {bar:?}"));
        }
    }
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../screens");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The share of pixels in which two pictures are clearly unlike.
fn changed(a: &PictureTaken, b: &PictureTaken) -> f64 {
    let unlike = |(a, b): (&[u8], &[u8])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 24);
    let count = a.rgba.chunks_exact(4).zip(b.rgba.chunks_exact(4)).filter(|pair| unlike(*pair)).count();
    count as f64 / f64::from(a.width * a.height)
}

/// What the screens stand before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ground {
    Room,
    /// Nothing: where it is about sizes, the room would only cost time.
    Plain,
}

/// Screens in one language and size of text.
type Take<'a> = (Language, u16, &'a [Screen]);

/// Draws screens in one size of window, in pixels, of which so many make a point.
fn draw_all(size: (u32, u32), scale: f32, ground: Ground, takes: &[Take<'_>], wrong: &mut Vec<String>) {
    let (mut app, engine) = furnished(size);
    let mut view = app.world_mut().resource_mut::<OffscreenView>();
    view.0.scale_factor = scale;
    let image = view.0.clone();
    let mut cameras = app.world_mut().query_filtered::<(&mut RenderTarget, &mut Projection), With<RoomCamera>>();
    let (mut target, mut projection) = cameras.single_mut(app.world_mut()).unwrap();
    *target = RenderTarget::Image(image);
    // What a camera draws into is looked at again with its projection alone.
    projection.set_changed();
    if ground == Ground::Plain {
        let mut cameras = app.world_mut().query_filtered::<&mut RenderLayers, With<RoomCamera>>();
        cameras.iter_mut(app.world_mut()).for_each(|mut layers| *layers = RenderLayers::none());
    }
    app.world_mut().resource_mut::<SpaceSettings>().overlay = false;
    frames(&mut app, 2);
    let bare = picture(&mut app);
    let mut cameras = app.world_mut().query_filtered::<&Camera, With<RoomCamera>>();
    let logical = cameras.single(app.world()).unwrap().logical_viewport_size().unwrap();
    assert_eq!((logical * scale).as_uvec2(), UVec2::from(size));
    app.world_mut().resource_mut::<SpaceSettings>().overlay = true;
    for (language, text_percent, screens) in takes {
        app.insert_resource(Comfort { language: *language, text_percent: *text_percent, reduced_motion: true });
        for screen in *screens {
            show(&mut app, &engine, *screen);
            let drawn = picture(&mut app);
            let at = if scale == 1.0 { String::new() } else { format!("@{scale}") };
            let name = format!("{}-{text_percent}-{}x{}{at}-{}", language.tag(), size.0, size.1, screen.name());
            std::fs::write(folder().join(format!("{name}.png")), drawn.to_png().unwrap()).unwrap();
            check(&mut app, &name, wrong);
            let share = changed(&drawn, &bare);
            if share < CHANGED_AT_LEAST {
                wrong.push(format!("{name}: only {:.2} % of the room are changed: nothing is shown", share * 100.0));
            }
            close(&mut app, *screen);
        }
    }
}

#[test]
fn every_screen_fits_in_both_languages_and_all_sizes() {
    let Some(_turn) = gpu() else { return };
    let (en, zh) = (Language::English, Language::Chinese);
    let mut wrong = Vec::new();
    draw_all((1280, 720), 1.0, Ground::Room, &[(en, 100, &ALL), (zh, 100, &ALL)], &mut wrong);
    let extremes: [Take<'_>; 4] = [(en, 75, &ALL), (en, 200, &ALL), (zh, 75, &ALL), (zh, 200, &ALL)];
    draw_all((1280, 720), 1.0, Ground::Plain, &extremes, &mut wrong);
    let small: [Take<'_>; 4] = [(en, 100, &ALL), (zh, 100, &TIGHT), (en, 200, &TIGHT), (zh, 200, &TIGHT)];
    draw_all((480, 320), 1.0, Ground::Plain, &small, &mut wrong);
    draw_all((3840, 2160), 1.0, Ground::Plain, &[(zh, 200, &TIGHT[..2])], &mut wrong);
    // Screens whose pixels are small.
    draw_all((1920, 1200), 1.5, Ground::Plain, &[(en, 100, &TIGHT[..3])], &mut wrong);
    draw_all((1280, 720), 2.0, Ground::Plain, &[(en, 100, &TIGHT), (zh, 200, &TIGHT[..4])], &mut wrong);
    assert!(wrong.is_empty(), "look into {}: {wrong:#?}", folder().display());
}

#[test]
fn no_letter_is_missing_in_either_language() {
    let Some(_turn) = gpu() else { return };
    let (mut app, _engine) = furnished((320, 180));
    let mut contexts = app.world_mut().query::<&mut EguiContext>();
    let ctx = contexts.iter_mut(app.world_mut()).next().expect("an overlay").get_mut().clone();
    let has = |letter: char| {
        let font = egui::FontId::proportional(15.0);
        ctx.fonts_mut(|fonts| fonts.has_glyph(&font, letter))
    };
    if !has('房') && std::env::var_os("CI").is_none() {
        println!("SKIPPED: this system has no font with Chinese letters");
        return;
    }
    for language in Language::ALL {
        // The texts stand in it as they are.
        let texts = format!("{:?}", language.words());
        let missing: BTreeSet<char> = texts.chars().filter(|letter| !letter.is_control() && !has(*letter)).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", language.name());
    }
}
