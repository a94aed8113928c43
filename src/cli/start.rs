//! `rotunda start`, and `rotunda` alone: the lobby, and from there into rooms.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use rotunda::app::{Home, SettingsFile, View};
use rotunda::client::{self, EngineConfig};
use rotunda::media::audio::{AudioOutput, Microphone};
use rotunda::media::capture::{Camera, PortraitSource, SpeechSource};
use rotunda::media::{AudioSource, VideoFormat, VideoSource};
use rotunda::model::limits::USER_NAME_MAX_BYTES;
use rotunda::space::devices::OwnSources;

use super::args::Span;
use super::join;
use super::look::LookArgs;

#[derive(Debug, Args)]
pub struct StartArgs {
    /// A link into a room, as somebody sent it.
    link: Option<String>,
    /// The name others see [default: as you left it].
    #[arg(long)]
    name: Option<String>,
    /// Show a generated face and say generated words instead of using a camera and a microphone.
    #[arg(long)]
    generated: bool,
    /// Port of rooms that are opened on this computer [default: 7880, or a free one when that is taken].
    #[arg(long)]
    port: Option<u16>,
    /// Draw into a picture instead of a window.
    #[arg(long)]
    headless: bool,
    /// End after this long [default: when the window is closed].
    #[arg(long)]
    seconds: Option<Span>,
    /// Folder for room.png, the last picture.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    look: LookArgs,
}

pub fn run(args: StartArgs) -> anyhow::Result<()> {
    if args.name.as_ref().is_some_and(|name| name.len() > USER_NAME_MAX_BYTES) {
        bail!("--name takes at most {USER_NAME_MAX_BYTES} bytes");
    }
    let view = if args.headless { View::Offscreen } else { View::Window };
    if view == View::Window && !View::has_display() {
        bail!(
            "there is no display to open a window on: run it on a desktop, or `rotunda demo` to see a room as a picture, \
             or `rotunda join` with --headless"
        );
    }
    if view == View::Offscreen && args.seconds.is_none() {
        bail!("without a window nobody can end it: say for how long (--seconds 30)");
    }
    if let Some(out) = &args.out {
        join::create_out(out)?;
    }
    let audio_output = if args.headless { AudioOutput::Null } else { AudioOutput::Device };
    let engine = EngineConfig { audio_output, name: "you".into(), decode: true, play_audio: true };
    let home = Home {
        view,
        look: args.look.read()?,
        engine: client::start(engine)?,
        sources: args.generated.then(|| generated(args.name.clone().unwrap_or_default())),
        name: args.name,
        link: args.link,
        port: args.port,
        limit: args.seconds.map(|span| span.0),
        out: args.out,
        settings: SettingsFile::of_this_user(),
    };
    Ok(home.run()?)
}

/// A face, with a name below it where one was given, and a voice; a camera or a microphone that is chosen by name is used
/// all the same.
fn generated(name: String) -> OwnSources {
    let seed = rand::random();
    OwnSources::other(
        move |id, format: VideoFormat| -> Box<dyn VideoSource> {
            match id {
                Some(_) => Box::new(Camera::waiting(id, format)),
                None => Box::new(PortraitSource::new(&name, seed, format)),
            }
        },
        move |id| -> Box<dyn AudioSource> {
            match id {
                Some(_) => Box::new(Microphone::of_id(id)),
                None => Box::new(SpeechSource::new(seed)),
            }
        },
    )
}
