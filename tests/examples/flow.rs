//! The whole call flow, from the check of this machine to the last goodbye, on a server that this program starts:
//! Ann publishes, Ben plays, both write. Says what comes of every step, and fails when something does not come in time.
//!
//! ```sh
//! cargo run --example flow
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rotunda::bridge::{AudioOptions, PlayQuality, RoomEvent, VideoFeed};
use rotunda::client::requirements::Part;
use rotunda::client::{Engine, EngineConfig, PublishOptions, RoomConfig, Stream, User};
use rotunda::media::capture::{PortraitSource, SpeechSource};
use rotunda::media::{CaptureError, ColourSpace, VideoFormat, VideoFrame, VideoSource};
use rotunda::model::{
    DeviceState, EndReason, ErrorCode, MediaKind, PlayState, PublishState, RoomState, RoomStateReason, StreamInfo,
    StreamKind,
};
use rotunda::protocol::token::{TokenRequest, issue};
use rotunda::server::{DEV_KEY, DEV_SECRET, Server, ServerConfig};

const ROOM: &str = "hall";
/// Ann's camera and microphone.
const STREAM: &str = "ann-camera";
/// Wide enough for two sizes, of which everyone gets the one they ask for.
const CAMERA: VideoFormat = VideoFormat { width: 640, height: 480, fps: 15.0 };
/// Everything comes within this, on a slow machine too.
const SOON: Duration = Duration::from_secs(30);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let server = Server::start(ServerConfig { port: 0, rtc_port: 0, ..ServerConfig::dev() })?;
    let result = walk(&server.url());
    server.shutdown();
    result
}

/// All steps in order.
fn walk(url: &str) -> Outcome {
    let (mut ann, mut ben) = (Person::new("ann", url)?, Person::new("ben", url)?);
    check(&ann)?;
    enter(&mut ann, &mut ben)?;
    let feed = publish_and_play(&mut ann, &mut ben)?;
    change(&mut ann, &mut ben, &feed)?;
    write(&mut ann, &mut ben)?;
    stop_and_start(&mut ann, &mut ben)?;
    replace_and_leave(url, ann, ben)
}

/// What works on this machine. Devices may be missing, codecs not.
fn check(person: &Person) -> Outcome {
    for requirement in person.engine.check_system_requirements() {
        say("check", &requirement.to_string());
        let codec = matches!(requirement.part, Part::Vp8 | Part::H264 | Part::Opus);
        if codec && !requirement.works {
            return Err(format!("a codec does not work: {requirement}").into());
        }
    }
    Ok(())
}

/// Both log in and learn of each other.
fn enter(ann: &mut Person, ben: &mut Person) -> Outcome {
    ann.login(RoomConfig::default())?;
    // Ben plays only what he asks for.
    ben.login(RoomConfig { auto_play: false })?;
    ann.wait_user("ben")?;
    ben.wait_user("ann")
}

/// Ann publishes a camera and a microphone; Ben plays them.
fn publish_and_play(ann: &mut Person, ben: &mut Person) -> Outcome<VideoFeed> {
    let face = Stream::picture(StreamKind::Camera, PortraitSource::new("Ann", 7, CAMERA), 800_000)
        .with_sound(SpeechSource::new(7), AudioOptions::PLAIN);
    let options = PublishOptions { extra_info: r#"{"seat":1}"#.to_owned(), ..PublishOptions::default() };
    ann.engine.start_publishing(STREAM, face, options)?;
    ann.wait("the stream is published", |event| is_publish_state(event, PublishState::Publishing))?;
    ben.wait_stream("the stream is announced with its extra info", |info| {
        info.video.is_some() && info.audio.is_some() && info.extra_info == r#"{"seat":1}"#
    })?;
    ben.play()
}

/// Ann changes all that can be changed while she publishes, and Ben the size he gets.
fn change(ann: &mut Person, ben: &mut Person, feed: &VideoFeed) -> Outcome {
    ann.engine.set_extra_info(STREAM, r#"{"seat":2}"#)?;
    ben.wait_stream("the extra info changed", |info| info.extra_info == r#"{"seat":2}"#)?;
    for (kind, what) in [(MediaKind::Audio, "microphone"), (MediaKind::Video, "camera")] {
        for (muted, expected) in [(true, DeviceState::Muted), (false, DeviceState::On)] {
            ben.forget();
            ann.engine.set_muted(STREAM, kind, muted)?;
            let state = |info: &StreamInfo| if kind == MediaKind::Audio { info.audio_state } else { info.video_state };
            ben.wait_stream(&format!("ann's {what} is {}", expected.word()), |info| state(info) == expected)?;
        }
    }
    for width in [320, 640] {
        let quality = PlayQuality { enabled: true, width, height: width * 3 / 4 };
        ben.engine.set_play_quality(STREAM, quality)?;
        ben.wait_picture(feed, &format!("pictures are {width} wide"), |frame| frame.width() == width)?;
    }
    ann.engine.switch_video(STREAM, Dark { started: Instant::now(), frame: 0 })?;
    ben.wait_picture(feed, "another source feeds the stream", |frame| brightness(frame) < 40.0)
}

/// Messages of all three kinds.
fn write(ann: &mut Person, ben: &mut Person) -> Outcome {
    ann.engine.send_broadcast_message("Hello, everyone")?;
    ben.wait(
        "a message came",
        |event| matches!(event, RoomEvent::ChatReceived { text, .. } if text == "Hello, everyone"),
    )?;
    // It may be lost on the way, each of them.
    for _ in 0..5 {
        ann.engine.send_barrage_message("hooray")?;
    }
    ben.wait(
        "a barrage message came",
        |event| matches!(event, RoomEvent::BarrageReceived { text, .. } if text == "hooray"),
    )?;
    ann.engine.send_custom_command("wave", &["ben"])?;
    ben.wait(
        "a custom command came",
        |event| matches!(event, RoomEvent::CustomReceived { content, .. } if content == "wave"),
    )
}

/// Ben stops playing and starts again, Ann stops publishing.
fn stop_and_start(ann: &mut Person, ben: &mut Person) -> Outcome {
    ben.engine.stop_playing(STREAM)?;
    ben.wait("ben stopped playing", |event| is_play_state(event, PlayState::NoPlay))?;
    ben.play()?;
    ann.engine.stop_publishing(STREAM)?;
    ann.wait("the stream is not published any more", |event| is_publish_state(event, PublishState::NoPublish))?;
    ben.wait("the stream is gone: stopped", |event| {
        matches!(event, RoomEvent::StreamRemoved { reason: EndReason::Stopped, .. })
    })
}

/// Ann renews her token, logs in a second time and leaves; Ben leaves after her.
fn replace_and_leave(url: &str, mut ann: Person, mut ben: Person) -> Outcome {
    ann.engine.renew_token(&token("ann", "attic")?)?;
    ann.wait(
        "a token for another room is refused",
        |event| matches!(event, RoomEvent::CommandFailed(error) if error.code == ErrorCode::TokenOfOtherRoom),
    )?;
    ann.engine.renew_token(&token("ann", ROOM)?)?;
    // Wishes are carried out in order: when the message is here, the token was looked at.
    ann.engine.send_custom_command("renewed", &[])?;
    ben.wait(
        "the token is renewed",
        |event| matches!(event, RoomEvent::CustomReceived { content, .. } if content == "renewed"),
    )?;
    ann.none("a refused token", |event| matches!(event, RoomEvent::CommandFailed(_)))?;

    let mut again = Person::new("ann", url)?;
    let session = again.login(RoomConfig::default())?;
    ann.wait("the second login replaced the first", |event| match event {
        RoomEvent::StateChanged { reason: RoomStateReason::KickedOut, error: Some(error), .. } => {
            error.code == ErrorCode::KickedBySecondLogin
        }
        _ => false,
    })?;
    ben.wait("ann is here anew", |event| match event {
        RoomEvent::UserJoined(user) | RoomEvent::UserUpdated(user) => user.sid == session,
        _ => false,
    })?;
    again.logout()?;
    ben.wait("ann is gone: she left", |event| match event {
        RoomEvent::UserLeft { user, reason: EndReason::Stopped } => user.as_str() == "ann",
        _ => false,
    })?;
    ben.logout()
}

/// Somebody's engine, and what it told that was not waited for yet.
struct Person {
    id: &'static str,
    engine: Engine,
    heard: VecDeque<RoomEvent>,
}

impl Person {
    fn new(id: &'static str, url: &str) -> Outcome<Self> {
        Ok(Self { id, engine: Engine::new(DEV_KEY, [url], EngineConfig::named(id))?, heard: VecDeque::new() })
    }

    /// Enters the room; gives what the server calls this session.
    fn login(&mut self, config: RoomConfig) -> Outcome<String> {
        self.engine.login_room(ROOM, &token(self.id, ROOM)?, &User::new(self.id), config)?;
        self.pick("in the room", |event| match event {
            RoomEvent::StateChanged { state: RoomState::Connected, me: Some(me), .. } => Some(me.sid.clone()),
            _ => None,
        })
    }

    fn logout(&mut self) -> Outcome {
        self.engine.logout_room()?;
        self.wait("out of the room", |event| {
            matches!(event, RoomEvent::StateChanged { reason: RoomStateReason::LoggedOut, .. })
        })
    }

    /// Plays Ann's stream, until its first picture.
    fn play(&mut self) -> Outcome<VideoFeed> {
        self.engine.start_playing(STREAM)?;
        let feed = self.pick("the pictures' way is open", |event| match event {
            RoomEvent::VideoFeedOpened { feed, .. } => Some(feed.clone()),
            _ => None,
        })?;
        self.wait("the stream plays", |event| is_play_state(event, PlayState::Playing))?;
        self.wait_picture(&feed, "a picture came", |_| true)?;
        Ok(feed)
    }

    /// Takes in what was told.
    fn listen(&mut self) {
        while let Some(told) = self.engine.try_event() {
            self.heard.push_back(told.event);
        }
    }

    /// Lets go of what was told so far, so that only what comes now counts.
    fn forget(&mut self) {
        self.listen();
        self.heard.clear();
    }

    /// Waits for what fits.
    fn pick<T>(&mut self, what: &str, pick: impl Fn(&RoomEvent) -> Option<T>) -> Outcome<T> {
        let began = Instant::now();
        loop {
            self.listen();
            let found = self.heard.iter().enumerate().find_map(|(at, event)| pick(event).map(|value| (at, value)));
            if let Some((at, value)) = found {
                self.heard.remove(at);
                say(self.id, &format!("{what} ({} ms)", began.elapsed().as_millis()));
                return Ok(value);
            }
            if began.elapsed() > SOON {
                return Err(format!("{} waited in vain: {what}; heard instead: {:?}", self.id, self.heard).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait(&mut self, what: &str, fits: impl Fn(&RoomEvent) -> bool) -> Outcome {
        self.pick(what, |event| fits(event).then_some(()))
    }

    fn wait_user(&mut self, who: &str) -> Outcome {
        self.wait(&format!("{who} is here"), |event| match event {
            RoomEvent::UserJoined(user) => user.id.as_str() == who,
            _ => false,
        })
    }

    /// Waits until Ann's stream is told as wanted.
    fn wait_stream(&mut self, what: &str, fits: impl Fn(&StreamInfo) -> bool) -> Outcome {
        self.wait(what, |event| match event {
            RoomEvent::StreamAdded(info) | RoomEvent::StreamUpdated(info) => info.id.as_str() == STREAM && fits(info),
            _ => false,
        })
    }

    /// Waits for a picture as wanted.
    fn wait_picture(&self, feed: &VideoFeed, what: &str, fits: impl Fn(&VideoFrame) -> bool) -> Outcome {
        let began = Instant::now();
        while began.elapsed() < SOON {
            if feed.wait_take(Duration::from_millis(500)).is_some_and(|frame| fits(&frame)) {
                say(self.id, &format!("{what} ({} ms)", began.elapsed().as_millis()));
                return Ok(());
            }
        }
        Err(format!("{} waited in vain: {what}", self.id).into())
    }

    /// Fails when such a thing was told.
    fn none(&mut self, what: &str, fits: impl Fn(&RoomEvent) -> bool) -> Outcome {
        self.listen();
        match self.heard.iter().find(|event| fits(event)) {
            Some(event) => Err(format!("{} was told of {what}: {event:?}", self.id).into()),
            None => Ok(()),
        }
    }
}

fn is_publish_state(event: &RoomEvent, wanted: PublishState) -> bool {
    matches!(event, RoomEvent::PublishStateChanged { state, error: None, .. } if *state == wanted)
}

fn is_play_state(event: &RoomEvent, wanted: PlayState) -> bool {
    matches!(event, RoomEvent::PlayStateChanged { state, error: None, .. } if *state == wanted)
}

/// A token for six hours, as a host would give it out.
fn token(identity: &str, room: &str) -> Outcome<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(issue(&TokenRequest::member(DEV_KEY, DEV_SECRET, room, identity), now)?)
}

/// Mean of a picture's luma, 16 (black) to 235 (white).
fn brightness(frame: &VideoFrame) -> f32 {
    frame.y().iter().map(|y| f32::from(*y)).sum::<f32>() / frame.y().len() as f32
}

#[allow(clippy::print_stdout, reason = "an example shows what it does")]
fn say(who: &str, what: &str) {
    println!("{who:<6} {what}");
}

/// A camera whose lens is covered: black with a grey line that wanders down.
struct Dark {
    started: Instant,
    frame: u32,
}

impl VideoSource for Dark {
    fn format(&self) -> VideoFormat {
        CAMERA
    }

    /// A source paces itself: the call returns when the next frame is due.
    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let due = Duration::from_secs(1).mul_f32(self.frame as f32 / CAMERA.fps);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        let (width, height) = (CAMERA.width as usize, CAMERA.height as usize);
        let mut data = vec![16; VideoFrame::byte_len(CAMERA.width, CAMERA.height)];
        data[width * height..].fill(128);
        let line = self.frame as usize % height * width;
        data[line..line + width].fill(100);
        self.frame += 1;
        VideoFrame::new(CAMERA.width, CAMERA.height, ColourSpace::default(), due.as_micros() as u64, data)
            .map(Some)
            .map_err(|error| CaptureError::Format { what: "the covered camera".into(), why: error.to_string() })
    }
}
