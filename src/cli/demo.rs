//! `rotunda demo`: one command that opens a room with people in it: an embedded server, generated guests over real
//! connections, and this window.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use rotunda::app::{RoomRun, SettingsFile, View};
use rotunda::bridge::{AudioOptions, LoginRequest, PublishRequest, StartsMuted, VideoOptions};
use rotunda::client::guest::{GuestConfig, Guests, camera_bitrate_bps};
use rotunda::client::{self, EngineConfig};
use rotunda::media::audio::AudioOutput;
use rotunda::media::capture::{PortraitSource, SpeechSource};
use rotunda::media::{VideoFormat, VideoSource};
use rotunda::model::{RoomId, StreamId, StreamKind, UserId};
use rotunda::protocol::token::TokenRequest;
use rotunda::server::{Server, ServerConfig, ServerError, ServerHandle};

use super::args::Span;
use super::look::LookArgs;
use super::{join, progress, say, sources, token};

/// The room a demo opens.
const ROOM: &str = "rotunda";
/// The conventional development key pair (LIVEKIT.md section 10).
const DEV_KEY: (&str, &str) = ("devkey", "secret");
/// Without a display nobody can close the window: stop by itself after this long.
const HEADLESS_LIMIT: Duration = Duration::from_secs(30);
/// The port tried first.
const DEFAULT_PORT: u16 = 7880;
const GUEST_NAMES: [&str; 12] =
    ["Ada", "Noor", "Mateo", "Yuki", "Amara", "Liv", "Tariq", "Mei", "Jonas", "Priya", "Kofi", "Elena"];

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Guests in the room.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=49))]
    guests: u16,
    /// Draw the room into a picture instead of a window.
    #[arg(long)]
    headless: bool,
    /// Stop after this long [default: when the window is closed; 30 s without a display].
    #[arg(long)]
    seconds: Option<Span>,
    /// Folder for room.png and report.json [default: none; out without a display].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Port for signalling [default: 7880, or a free one when that is taken].
    #[arg(long)]
    port: Option<u16>,
    #[command(flatten)]
    look: LookArgs,
}

pub fn run(args: DemoArgs) -> anyhow::Result<()> {
    let look = args.look.read()?;
    let offscreen = args.headless || !View::has_display();
    // What cannot be seen is left behind as a picture.
    let out = args.out.clone().or_else(|| offscreen.then(|| PathBuf::from("out")));
    if let Some(out) = &out {
        join::create_out(out)?;
    }
    progress("Opening the room server …");
    let server = start_server(args.port)?.closing_its_rooms();
    let url = server.url();
    say(format_args!("url    {url}"));
    say(format_args!("room   {ROOM}"));
    say(format_args!("token  {}", token::issue(&request("visitor", "Visitor"))?));
    let link = server.invitation(&RoomId::new(ROOM)?);
    if let Some(link) = &link {
        say(format_args!("link   {link}"));
        progress(format_args!("Others paste the link, or join with: rotunda join '{link}' --name NAME"));
    }

    let guests = Guests::send_in(guest_configs(&args, &url)?)?;
    let me = UserId::new("host")?;
    let run = RoomRun {
        view: if offscreen { View::Offscreen } else { View::Window },
        look,
        engine: client::start(EngineConfig {
            audio_output: if offscreen { AudioOutput::Null } else { AudioOutput::Device },
            name: "you".into(),
            decode: true,
            play_audio: true,
        })?,
        entry: login(&url, &TokenRequest { admin: true, ..request(me.as_str(), "You") })?.into(),
        renewal: None,
        publications: vec![own_stream(&me)],
        limit: args.seconds.map(|span| span.0).or(offscreen.then_some(HEADLESS_LIMIT)),
        out: out.clone(),
        remote_videos: video_count(args.guests),
        title: "Rotunda".into(),
        progress: Some(Box::new(GuestProgress::new(guests))),
        settings: SettingsFile::of_this_user(),
        link,
    };
    let report = run.run()?;
    progress("Closing the room.");
    server.shutdown();
    join::finish(&report, out.as_deref())
}

/// Counts the guests in, for the terminal; holds them in the room as long as it lives.
struct GuestProgress {
    guests: Guests,
    told: String,
    errors_told: usize,
    started: Instant,
}

impl GuestProgress {
    fn new(guests: Guests) -> Self {
        Self { guests, told: String::new(), errors_told: 0, started: Instant::now() }
    }
}

impl rotunda::app::Progress for GuestProgress {
    fn tick(&mut self) {
        let status = self.guests.status();
        let line = format!("{} guests in, {} of {} streams up", status.connected, status.publishing, status.streams);
        if line != self.told {
            progress(format_args!("{:>5.1} s  {line}", self.started.elapsed().as_secs_f32()));
            self.told = line;
        }
        for error in status.errors.iter().skip(self.errors_told) {
            progress(format_args!("{:>5.1} s  {error}", self.started.elapsed().as_secs_f32()));
        }
        self.errors_told = status.errors.len();
    }
}

fn start_server(port: Option<u16>) -> Result<ServerHandle, ServerError> {
    let config = |port, rtc_port| ServerConfig { port, rtc_port, invitations: true, ..ServerConfig::dev() };
    match port {
        Some(port) => Server::start(config(port, 0)),
        None => Server::start(config(DEFAULT_PORT, 0)).or_else(|error| {
            progress(format_args!("{error}; taking a free port instead."));
            Server::start(config(0, 0))
        }),
    }
}

fn request(identity: &str, name: &str) -> TokenRequest {
    TokenRequest { name: name.to_owned(), ..TokenRequest::member(DEV_KEY.0, DEV_KEY.1, ROOM, identity) }
}

fn login(url: &str, request: &TokenRequest) -> anyhow::Result<LoginRequest> {
    let room = RoomId::new(ROOM)?;
    let (servers, token) = (vec![url.to_owned()], token::issue(request)?);
    Ok(LoginRequest { servers, room, token, auto_play: true, first_quality: None })
}

fn guest_configs(args: &DemoArgs, url: &str) -> anyhow::Result<Vec<GuestConfig>> {
    let camera = guest_camera(args.guests);
    (0..args.guests)
        .map(|number| {
            let base = GUEST_NAMES[usize::from(number) % GUEST_NAMES.len()];
            let lap = usize::from(number) / GUEST_NAMES.len();
            let name = if lap == 0 { base.to_owned() } else { format!("{base} {}", lap + 1) };
            let identity = UserId::new(format!("guest-{number}"))?;
            // Guests only publish: playing everyone would cost two cores what five people's machines share.
            let login = LoginRequest { auto_play: false, ..login(url, &request(identity.as_str(), &name))? };
            let page = (PRESENTERS.contains(&number) || args.guests == 1).then_some(PAGE);
            let camera = (number != WITHOUT_CAMERA).then_some(camera);
            let (seed, walks, asks) = (u64::from(number), number == WALKER, number == ASKS);
            Ok(GuestConfig { login, identity, name, seed, camera, voice: true, page, walks, asks })
        })
        .collect()
}

/// Who does something besides talking, when so many come: who has a raised hand, who hangs a page on the wall, who does
/// not stay at their seat, who has no camera.
const ASKS: u16 = 0;
const PRESENTERS: [u16; 2] = [1, 3];
const WALKER: u16 = 2;
const WITHOUT_CAMERA: u16 = 4;

/// The wall's page: large enough for its text, slow enough for two cores.
const PAGE: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 4.0 };

/// Sizes that let two cores carry every guest's encoder beside a software renderer.
fn guest_camera(guests: u16) -> VideoFormat {
    match guests {
        0..=3 => VideoFormat { width: 640, height: 360, fps: 15.0 },
        4..=8 => VideoFormat { width: 480, height: 270, fps: 15.0 },
        9..=16 => VideoFormat { width: 320, height: 180, fps: 12.0 },
        _ => VideoFormat { width: 240, height: 136, fps: 8.0 },
    }
}

/// Cameras and pages.
fn video_count(guests: u16) -> usize {
    let cameras = guests - u16::from(guests > WITHOUT_CAMERA);
    let pages = PRESENTERS.iter().filter(|presenter| guests > **presenter).count().max(usize::from(guests > 0));
    usize::from(cameras) + pages
}

fn own_stream(me: &UserId) -> PublishRequest {
    let format = VideoFormat { width: 320, height: 180, fps: 15.0 };
    let source: Box<dyn VideoSource> = Box::new(PortraitSource::new("You", sources::seed_of(me), format));
    PublishRequest {
        stream: StreamId::derived(me, "camera"),
        kind: StreamKind::Camera,
        video: Some((source, VideoOptions::single(camera_bitrate_bps(format)))),
        audio: Some((Box::new(SpeechSource::new(sources::seed_of(me))), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }
}
