//! `rotunda join`: enter a room on any LiveKit-compatible server, with the room drawn or without.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args};
use rotunda::bridge::{LoginRequest, PublishRequest};
use rotunda::client::headless::{HeadlessCall, TICK_EVERY};
use rotunda::client::report::Report;
use rotunda::client::{self, EngineConfig};
use rotunda::media::audio::AudioOutput;
use rotunda::model::limits::USER_NAME_MAX_BYTES;
use rotunda::model::{RoomId, UserId};
use rotunda::protocol::token::{self, TokenRequest};

use super::args::{ServerUrl, SourceArg, Span};
use super::{progress, runtime, say, sources};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("credentials").required(true).args(["token", "api_key"]))]
pub struct JoinArgs {
    /// The server, ws://HOST:PORT or wss://HOST.
    url: ServerUrl,
    /// The room to enter.
    #[arg(long)]
    room: String,
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
    /// Draw the room into a picture instead of a window.
    #[arg(long)]
    headless: bool,
    /// Do not draw the room at all.
    #[arg(long)]
    no_render: bool,
    /// Leave after this long [default: stay].
    #[arg(long)]
    seconds: Option<Span>,
    /// Folder for room.png and report.json.
    #[arg(long)]
    out: Option<PathBuf>,
    #[cfg(feature = "app")]
    #[command(flatten)]
    look: super::demo::LookArgs,
}

pub fn run(args: JoinArgs) -> anyhow::Result<()> {
    let room = RoomId::new(args.room.as_str())?;
    if args.name.is_empty() || args.name.len() > USER_NAME_MAX_BYTES {
        bail!("--name takes 1 to {USER_NAME_MAX_BYTES} bytes");
    }
    let token = token(&args, &room)?;
    let identity = UserId::new(token::peek(&token)?.identity())?;
    let wishes =
        sources::Wishes { video: &args.video, audio: &args.audio, screen: &args.screen, look: args.send.clone() };
    let publications = sources::publications(&wishes, &args.name, &identity)?;
    if let Some(out) = &args.out {
        create_out(out)?;
    }
    let login = LoginRequest { servers: vec![args.url.0.clone()], room, token, auto_play: true };
    let report = call(&args, login, publications)?;
    finish(&report, args.out.as_deref())
}

#[cfg(feature = "app")]
fn call(args: &JoinArgs, login: LoginRequest, publications: Vec<PublishRequest>) -> anyhow::Result<Report> {
    use rotunda::app::{RoomRun, View};
    if args.no_render {
        return call_without_room(args, login, publications);
    }
    let view = if args.headless || !View::has_display() { View::Offscreen } else { View::Window };
    let engine = client::start(EngineConfig {
        audio_output: AudioOutput::Device,
        name: args.name.clone(),
        decode: true,
        play_audio: true,
    })?;
    let run = RoomRun {
        view,
        size: (args.look.size.width, args.look.size.height),
        quality: args.look.quality.into(),
        engine,
        login,
        publications,
        limit: args.seconds.map(|span| span.0),
        out: args.out.clone(),
        remote_videos: 0,
        title: format!("{} in {}", args.name, args.room),
        progress: None,
    };
    Ok(run.run()?)
}

#[cfg(not(feature = "app"))]
fn call(args: &JoinArgs, login: LoginRequest, publications: Vec<PublishRequest>) -> anyhow::Result<Report> {
    call_without_room(args, login, publications)
}

fn call_without_room(
    args: &JoinArgs,
    login: LoginRequest,
    publications: Vec<PublishRequest>,
) -> anyhow::Result<Report> {
    let engine = client::start(EngineConfig {
        audio_output: if args.headless { AudioOutput::Null } else { AudioOutput::Device },
        name: args.name.clone(),
        decode: true,
        play_audio: true,
    })?;
    progress(format_args!("Joining {} on {} …", login.room, args.url.0));
    let mut call = HeadlessCall::start(engine, login, publications)?;
    runtime::wait(args.seconds.map(|span| span.0), TICK_EVERY, || call.tick())?;
    Ok(call.finish(0))
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
            "{common} {}x{} {:.0} fps {:.0} kbit/s, {} decoded, {} shown, {} lost",
            stream.width,
            stream.height,
            stream.fps,
            stream.kbps,
            stream.frames_decoded,
            stream.frames_presented,
            stream.lost
        ),
    }
}

fn token(args: &JoinArgs, room: &RoomId) -> anyhow::Result<String> {
    if let Some(token) = &args.token {
        return Ok(token.clone());
    }
    let (Some(key), Some(secret)) = (&args.api_key, &args.api_secret) else {
        bail!("give --token, or --api-key and --api-secret");
    };
    let identity = match &args.identity {
        Some(identity) => UserId::new(identity.as_str())?,
        None => identity_from(&args.name)?,
    };
    super::token::issue(&TokenRequest {
        name: args.name.clone(),
        ..TokenRequest::member(key, secret, room.as_str(), identity.as_str())
    })
}

/// An identity that others of the same name do not have.
fn identity_from(name: &str) -> anyhow::Result<UserId> {
    let stem: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(40).collect();
    Ok(UserId::new(format!("{stem}-{:06x}", rand::random::<u32>() & 0xff_ffff))?)
}
