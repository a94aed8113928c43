//! Sharing without a display: sources by hand, wishes as the overlay would send them, and what the engine is asked.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::bridge::RoomCommand;
use crate::media::capture::{ScreenInfo, ScreenKind, Thumbnail};
use crate::media::{AudioBlock, AudioSource, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use crate::model::{
    CallError, DeviceState, ErrorCode, PublishState, RoomState, StreamId, StreamInfo, StreamKind, UserId, UserInfo,
    VideoPreset,
};
use crate::space::participant::LocalParticipant;
use crate::space::schedule::SchedulePlugin;
use crate::space::stream::{PublishedBy, VideoStream};
use crate::space::sync::{CallTrouble, Outbox, PublishStateChanged, RoomStatus};

/// A display by hand.
pub struct Script {
    pub screens: Mutex<Vec<ScreenInfo>>,
    /// Whether the system's sound can be heard.
    pub sound: bool,
}

impl Script {
    /// A screen and two windows, and sound.
    pub fn new() -> Self {
        let screens = vec![
            screen("screen:A", ScreenKind::Monitor, "A"),
            screen("window:0x1", ScreenKind::Window, "Folien – 第一季度"),
            screen("window:0x2", ScreenKind::Window, "Notes"),
        ];
        Self { screens: Mutex::new(screens), sound: true }
    }
}

fn screen(id: &str, kind: ScreenKind, title: &str) -> ScreenInfo {
    ScreenInfo {
        id: id.to_owned(),
        kind,
        title: title.to_owned(),
        app: String::new(),
        width: 800,
        height: 600,
        is_default: kind == ScreenKind::Monitor,
        thumbnail: Some(Thumbnail { width: 4, height: 3, rgba: vec![200; 48] }),
    }
}

fn missing(what: &str) -> CaptureError {
    CaptureError::Open { what: what.to_owned(), why: "it is not there".to_owned() }
}

struct Picture(VideoFormat);

impl VideoSource for Picture {
    fn format(&self) -> VideoFormat {
        self.0
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        std::thread::sleep(Duration::from_millis(20));
        Ok(VideoFrame::new(4, 2, ColourSpace::default(), 0, vec![128; VideoFrame::byte_len(4, 2)]).ok())
    }
}

struct Silence;

impl AudioSource for Silence {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        Ok(None)
    }
}

impl ShareSources for Script {
    fn list(&self) -> Result<Vec<ScreenInfo>, CaptureError> {
        Ok(self.screens.lock().unwrap().clone())
    }

    fn open(&self, id: &str, limit: VideoFormat) -> Result<Box<dyn VideoSource>, CaptureError> {
        let there = self.screens.lock().unwrap().iter().any(|info| info.id == id);
        if there { Ok(Box::new(Picture(limit))) } else { Err(missing(id)) }
    }

    fn sound(&self) -> Result<Box<dyn AudioSource>, CaptureError> {
        if self.sound { Ok(Box::new(Silence)) } else { Err(missing("sound")) }
    }
}

/// What the engine is asked, in short.
#[derive(Debug, PartialEq)]
enum Asked {
    Publish { fps: f32, bps: u32, sound: bool },
    Switch,
    Stop,
}

struct Room {
    app: App,
}

impl Room {
    fn new(sources: Arc<dyn ShareSources>) -> Self {
        let mut app = App::new();
        let me = UserInfo {
            id: UserId::new("ann").unwrap(),
            name: "Ann".to_owned(),
            sid: String::new(),
            joined_at_ms: 0,
            attributes: default(),
            metadata: String::new(),
        };
        let status = RoomStatus { state: RoomState::Connected, me: Some(me), ..default() };
        app.add_plugins((SchedulePlugin, SharingPlugin))
            .insert_resource(ShareFrom(sources))
            .insert_resource(status)
            .init_resource::<Outbox>()
            .init_resource::<Time>()
            .add_message::<PublishStateChanged>()
            .add_message::<CallTrouble>();
        Self { app }
    }

    fn sharing(&self) -> &Sharing {
        self.app.world().resource()
    }

    fn start(&mut self, source: &str, preset: VideoPreset, with_sound: bool) {
        let source = source.to_owned();
        self.app.world_mut().write_message(StartSharing { source, preset, with_sound });
    }

    /// The engine tells how far the stream is.
    fn tell(&mut self, state: PublishState, error: Option<CallError>) {
        let stream = StreamId::new("ann-screen").unwrap();
        self.app.world_mut().write_message(PublishStateChanged { stream, state, error });
        self.app.update();
    }

    fn until(&mut self, what: &str, mut reached: impl FnMut(&mut World) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.app.update();
            if reached(self.app.world_mut()) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} does not come");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What was asked of the engine since.
    fn asked(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        self.app.world_mut().resource_mut::<Outbox>().for_each(|command| {
            asked.push(match command {
                RoomCommand::PublishStream(request) => {
                    assert_eq!((request.stream.as_str(), request.kind), ("ann-screen", StreamKind::Screen));
                    let (source, options) = request.video.as_ref().unwrap();
                    let (fps, bps) = (source.format().fps, options.max_bitrate_bps);
                    Asked::Publish { fps, bps, sound: request.audio.is_some() }
                }
                RoomCommand::SwitchVideo { stream, .. } => {
                    assert_eq!(stream.as_str(), "ann-screen");
                    Asked::Switch
                }
                RoomCommand::StopPublishing(_) => Asked::Stop,
                other => panic!("{other:?}"),
            });
        });
        self.app.insert_resource(Outbox::default());
        asked
    }

    /// What it comes to, once the sources are open.
    fn shared(&mut self, source: &str, preset: VideoPreset, with_sound: bool) -> Vec<Asked> {
        self.start(source, preset, with_sound);
        self.app.update();
        self.until("the share", |world| !world.resource::<Sharing>().is_opening());
        self.asked()
    }

    fn troubles(&mut self) -> Vec<String> {
        let mut messages = self.app.world_mut().resource_mut::<Messages<CallTrouble>>();
        messages.drain().map(|trouble| trouble.0.message).collect()
    }
}

const BALANCED: VideoPreset = VideoPreset::SCREEN_BALANCED;
const SHARP: VideoPreset = VideoPreset::SCREEN_SHARP;

#[test]
fn a_share_is_published_switched_and_stopped() {
    let mut room = Room::new(Arc::new(Script::new()));
    assert!(!room.sharing().is_sharing());
    let asked = room.shared("screen:A", BALANCED, false);
    assert_eq!(asked, [Asked::Publish { fps: 15.0, bps: 1_500_000, sound: false }]);
    assert!(room.sharing().is_sharing(), "at once");
    room.tell(PublishState::Requesting, None);
    room.tell(PublishState::Publishing, None);
    assert_eq!(room.shared("window:0x1", BALANCED, false), [Asked::Switch], "within the same stream");
    assert_eq!(room.sharing().shared().unwrap().wish.source, "window:0x1");

    // Another bitrate, or sound: that needs a new stream.
    let asked = room.shared("window:0x1", SHARP, true);
    assert_eq!(asked, [Asked::Stop, Asked::Publish { fps: 5.0, bps: 2_000_000, sound: true }]);
    room.tell(PublishState::NoPublish, None);
    assert!(room.sharing().is_sharing(), "between the two it is shared all the same");
    room.tell(PublishState::Requesting, None);

    room.app.world_mut().write_message(StopSharing);
    room.app.update();
    assert_eq!(room.asked(), [Asked::Stop]);
    assert!(!room.sharing().is_sharing(), "at once");
    room.app.world_mut().write_message(StopSharing);
    room.app.update();
    assert_eq!(room.asked(), [], "twice is once");
    room.tell(PublishState::NoPublish, None);
    assert!(!room.sharing().is_sharing());
}

#[test]
fn a_window_that_closed_is_no_longer_shared_and_the_next_share_begins_anew() {
    let mut room = Room::new(Arc::new(Script::new()));
    room.shared("window:0x1", BALANCED, false);
    room.tell(PublishState::Publishing, None);
    room.tell(PublishState::NoPublish, Some(CallError::new(ErrorCode::SourceEnded, "closed")));
    assert!(!room.sharing().is_sharing() && room.sharing().shared().is_none());
    assert!(matches!(room.shared("window:0x2", BALANCED, false)[..], [Asked::Publish { .. }]));
}

#[test]
fn what_was_shared_by_other_means_is_stopped_and_replaced() {
    let mut room = Room::new(Arc::new(Script::new()));
    let me = room.app.world_mut().spawn(LocalParticipant).id();
    let info = StreamInfo {
        id: StreamId::new("ann-screen").unwrap(),
        owner: UserId::new("ann").unwrap(),
        kind: StreamKind::Screen,
        video: None,
        audio: None,
        video_state: DeviceState::On,
        audio_state: DeviceState::On,
        extra_info: String::new(),
        wall_slot: None,
    };
    room.app.world_mut().spawn((VideoStream { info }, PublishedBy(me)));
    room.app.update();
    assert!(room.sharing().is_sharing() && room.sharing().shared().is_none());
    assert!(matches!(room.shared("screen:A", BALANCED, false)[..], [Asked::Stop, Asked::Publish { .. }]));
}

#[test]
fn what_cannot_be_opened_is_told_and_changes_nothing() {
    let mut room = Room::new(Arc::new(Script { sound: false, ..Script::new() }));
    assert_eq!(room.shared("window:0x9", BALANCED, false), []);
    let told = room.troubles();
    assert!(told.len() == 1 && told[0].contains("window:0x9") && told[0].contains("not there"), "{told:?}");
    assert_eq!(room.shared("screen:A", BALANCED, true), []);
    let told = room.troubles();
    assert!(told.len() == 1 && told[0].contains("sound"), "{told:?}");
    assert!(!room.sharing().is_sharing());
    assert!(matches!(room.shared("screen:A", BALANCED, false)[..], [Asked::Publish { .. }]));
}

#[test]
fn stopping_while_it_is_opened_shares_nothing() {
    let mut room = Room::new(Arc::new(Script::new()));
    room.start("screen:A", BALANCED, false);
    room.app.update();
    room.app.world_mut().write_message(StopSharing);
    for _ in 0..20 {
        room.app.update();
        std::thread::sleep(Duration::from_millis(5));
    }
    // It was open before it was stopped, or it never is: what was published is stopped.
    let asked = room.asked();
    assert!(asked.is_empty() || matches!(asked[..], [Asked::Publish { .. }, Asked::Stop]), "{asked:?}");
    assert!(!room.sharing().is_sharing());
}

#[test]
fn what_is_still_being_opened_when_the_room_ends_is_not_shared_in_the_next_one() {
    let mut room = Room::new(Arc::new(Script::new()));
    let state = |room: &mut Room, state| room.app.world_mut().resource_mut::<RoomStatus>().state = state;
    room.start("screen:A", BALANCED, false);
    room.app.update();
    state(&mut room, RoomState::Disconnected);
    room.start("screen:B", BALANCED, false);
    room.app.update();
    room.asked();
    state(&mut room, RoomState::Connected);
    for _ in 0..20 {
        room.app.update();
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = room.asked();
    assert!(asked.is_empty(), "nothing goes on the wall by itself: {asked:?}");
    assert!(!room.sharing().is_opening() && !room.sharing().is_sharing());
}

#[test]
fn an_open_picker_sees_what_comes_and_a_closed_one_lets_go() {
    let script = Arc::new(Script::new());
    let mut room = Room::new(script.clone());
    let from = room.app.world().resource::<ShareFrom>().clone();
    let resting = Arc::strong_count(&script);
    room.app.world_mut().resource_mut::<ShareOffer>().open(&from);
    room.until("the list", |world| matches!(world.resource::<ShareOffer>().screens(), Some(Ok(all)) if all.len() == 3));
    room.until("the sound", |world| matches!(world.resource::<ShareOffer>().sound(), Some(Ok(()))));
    script.screens.lock().unwrap().pop();
    room.until("the change", |world| world.resource::<ShareOffer>().find("window:0x2").is_none());

    let look_at = |room: &mut Room, id| room.app.world_mut().resource_mut::<ShareOffer>().look_at(id, &from);
    let seen = |world: &mut World| world.resource::<ShareOffer>().take_preview();
    look_at(&mut room, Some("window:0x1"));
    room.until("a picture", |world| matches!(seen(world), Some(Ok(_))));
    look_at(&mut room, Some("window:0x2"));
    room.until("the reason why there is none", |world| matches!(seen(world), Some(Err(CaptureError::Open { .. }))));

    room.app.world_mut().resource_mut::<ShareOffer>().close();
    assert!(room.app.world().resource::<ShareOffer>().screens().is_none());
    room.until("the end of the threads", |_| Arc::strong_count(&script) == resting);
}
