//! `rotunda join`: enter a room on any LiveKit-compatible server, with the room drawn or without.

mod follow;
mod way;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use rotunda::bridge::{EngineHandle, Entry, PublishRequest};
use rotunda::client::headless::{HeadlessCall, TICK_EVERY};
use rotunda::client::report::Report;
use rotunda::client::{self, EngineConfig};
use rotunda::media::audio::{AudioOutput, list_devices};
use rotunda::model::limits::USER_NAME_MAX_BYTES;
use rotunda::protocol::token::TokenRequest;

use super::args::{Place, ServerUrl, SourceArg, Span, SpeakerArg};
use super::{progress, runtime, say, sources};
use follow::Follower;
use way::Way;

#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The server, ws://HOST:PORT or wss://HOST; or an invitation's link, which needs a name only.
    url: Place,
    /// Another server, tried when those before cannot be reached; may be given more than once.
    #[arg(long = "server", value_name = "URL")]
    servers: Vec<ServerUrl>,
    /// The room to enter.
    #[arg(long)]
    room: Option<String>,
    /// The name others see.
    #[arg(long)]
    name: String,
    /// An access token for the room.
    #[arg(long, env = "ROTUNDA_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// API key, to make the token here.
    #[arg(long, env = "LIVEKIT_API_KEY", requires = "api_secret", conflicts_with = "token")]
    api_key: Option<String>,
    /// API secret that belongs to the key.
    #[arg(long, env = "LIVEKIT_API_SECRET", hide_env_values = true)]
    api_secret: Option<String>,
    /// The user's id, unique in the room [default: made from the name].
    #[arg(long)]
    identity: Option<String>,
    /// Picture to publish: test, camera[:ID], file:PATH (Y4M, IVF) or none.
    #[arg(long, default_value = "test", value_parser = SourceArg::video)]
    video: SourceArg,
    /// Sound to publish: test, microphone[:ID], file:PATH (WAV, Ogg Opus) or none.
    #[arg(long, default_value = "test", value_parser = SourceArg::audio)]
    audio: SourceArg,
    /// Screen to share: test, screen[:NAME], window:ID or none; `rotunda devices` lists them.
    #[arg(long, default_value = "none", value_parser = SourceArg::screen)]
    screen: SourceArg,
    #[command(flatten)]
    send: sources::SendArgs,
    /// Loudspeaker to play on: an id or name that `rotunda devices` lists [default: the system's].
    #[arg(long, value_name = "ID")]
    speaker: Option<SpeakerArg>,
    /// Draw the room into a picture instead of a window.
    #[arg(long)]
    headless: bool,
    /// Do not draw the room at all.
    #[arg(long)]
    no_render: bool,
    /// Do not draw the room, but print a line for everything that happens, and all figures every 3 seconds.
    #[arg(long)]
    watch: bool,
    /// Leave after this long [default: stay].
    #[arg(long)]
    seconds: Option<Span>,
    /// Folder for room.png and report.json.
    #[arg(long)]
    out: Option<PathBuf>,
    #[cfg(feature = "app")]
    #[command(flatten)]
    look: super::look::LookArgs,
}

pub fn run(args: JoinArgs) -> anyhow::Result<()> {
    if args.name.is_empty() || args.name.len() > USER_NAME_MAX_BYTES {
        bail!("--name takes 1 to {USER_NAME_MAX_BYTES} bytes");
    }
    let Way { entry, identity, renewal } = way::of(&args)?;
    let wishes =
        sources::Wishes { video: &args.video, audio: &args.audio, screen: &args.screen, look: args.send.clone() };
    let publications = sources::publications(&wishes, &args.name, &identity)?;
    if let Some(out) = &args.out {
        create_out(out)?;
    }
    let report = call(&args, entry, publications, renewal)?;
    finish(&report, args.out.as_deref())
}

/// The call itself, with the room drawn unless that is not wanted.
#[cfg(feature = "app")]
fn call(
    args: &JoinArgs,
    entry: Entry,
    publications: Vec<PublishRequest>,
    renewal: Option<TokenRequest>,
) -> anyhow::Result<Report> {
    use rotunda::app::{BeautyChange, RoomRun, SettingsFile, TokenRenewal, View};
    if args.no_render || args.watch {
        if args.look.beauty() != BeautyChange::default() {
            bail!(
                "beauty is done where the room is drawn: leave out --no-render and --watch, or --beauty and --low-light"
            );
        }
        return call_without_room(args, entry, publications, renewal);
    }
    let view = if args.headless || !View::has_display() { View::Offscreen } else { View::Window };
    let fresh = |request: TokenRequest| -> TokenRenewal {
        Box::new(move || match super::token::issue(&request) {
            Ok(token) => Some(token),
            Err(error) => {
                tracing::error!(%error, "the token cannot be renewed");
                None
            }
        })
    };
    let title = match client::room_of(&entry) {
        Some(room) => format!("{} in {room}", args.name),
        None => args.name.clone(),
    };
    let run = RoomRun {
        view,
        look: args.look.read()?,
        engine: engine(args, AudioOutput::Device)?,
        entry,
        renewal: renewal.map(fresh),
        publications,
        limit: args.seconds.map(|span| span.0),
        out: args.out.clone(),
        remote_videos: 0,
        title,
        progress: None,
        settings: SettingsFile::of_this_user(),
        link: None,
    };
    Ok(run.run()?)
}

#[cfg(not(feature = "app"))]
use call_without_room as call;

fn call_without_room(
    args: &JoinArgs,
    entry: Entry,
    publications: Vec<PublishRequest>,
    renewal: Option<TokenRequest>,
) -> anyhow::Result<Report> {
    let engine = engine(args, if args.headless { AudioOutput::Null } else { AudioOutput::Device })?;
    match &entry {
        Entry::Login(login) => progress(format_args!("Joining {} on {} …", login.room, login.servers.join(", "))),
        _ => progress("Joining by invitation …"),
    }
    let mut follower = Follower::new(args.watch, renewal);
    let mut call = HeadlessCall::start(engine, entry, publications)?;
    runtime::wait(args.seconds.map(|span| span.0), TICK_EVERY, || {
        follower.tick(&call);
        call.tick_with(|event, engine| follower.hear(event, engine))
    })?;
    Ok(call.finish_with(0, |event, engine| follower.hear(event, engine)))
}

/// An engine that plays on the loudspeaker that was asked for, or as `otherwise` says.
fn engine(args: &JoinArgs, otherwise: AudioOutput) -> anyhow::Result<EngineHandle> {
    let audio_output = match &args.speaker {
        Some(speaker) => AudioOutput::Named(find_speaker(&speaker.0)?),
        None => otherwise,
    };
    Ok(client::start(EngineConfig { audio_output, name: args.name.clone(), decode: true, play_audio: true })?)
}

/// The id of a loudspeaker by its id or name. It must be there now: a slip of the pen would be told by silence only.
fn find_speaker(wanted: &str) -> anyhow::Result<String> {
    let speakers = list_devices().outputs;
    if speakers.is_empty() {
        bail!("no loudspeaker was found: plug one in, or check that a sound server runs");
    }
    let Some(speaker) = speakers.iter().find(|speaker| speaker.id == wanted || speaker.name == wanted) else {
        let known: Vec<&str> = speakers.iter().map(|speaker| speaker.id.as_str()).collect();
        bail!("the loudspeaker {wanted} is not among those found: {}", known.join(", "));
    };
    Ok(speaker.id.clone())
}

/// Makes the folder for results, before a call is spent on it.
pub fn create_out(out: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}: choose another --out", out.display()))?;
    // An earlier call's picture must not pass for this one's.
    let picture = out.join("room.png");
    match std::fs::remove_file(&picture) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}: choose another --out", picture.display()))
        }
        _ => Ok(()),
    }
}

/// Writes the report and turns a call that did not work into an error.
pub fn finish(report: &Report, out: Option<&Path>) -> anyhow::Result<()> {
    if let Some(out) = out {
        let path = out.join("report.json");
        std::fs::write(&path, serde_json::to_string_pretty(report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
        say(format_args!("report  {}", path.display()));
        let picture = out.join("room.png");
        if picture.exists() {
            say(format_args!("picture {}", picture.display()));
        }
    }
    for stream in &report.streams {
        say(summary(stream));
    }
    if let Some(time) = report.frame_time_ms {
        say(format_args!(
            "frame time {:.1} ms median, {:.1} p95, {:.1} p99 over {} frames",
            time.median, time.p95, time.p99, time.count
        ));
    }
    if !report.fetched.is_empty() {
        let sizes: Vec<String> = report.fetched.iter().map(|(size, count)| format!("{count} {size}")).collect();
        say(format_args!("pictures fetched: {}", sizes.join(", ")));
    }
    if report.ok {
        return Ok(());
    }
    bail!("the call did not work: {}", report.problems.join("; "))
}

fn summary(stream: &rotunda::client::report::StreamReport) -> String {
    let common = format!("{:<12} {:<24} {:<10}", stream.name, stream.stream_id, stream.codec);
    match stream.audio_level {
        Some(level) => format!("{common} {} packets, level {level:.3}", stream.packets),
        None => format!(
            "{common} {}x{} {:.0} fps {:.0} kbit/s, {} decoded, {} shown, {} lost{}",
            stream.width,
            stream.height,
            stream.fps,
            stream.kbps,
            stream.frames_decoded,
            stream.frames_presented,
            stream.lost,
            stream.fetched.map_or_else(String::new, |fetched| format!(", {} ({})", fetched.size, fetched.why))
        ),
    }
}
