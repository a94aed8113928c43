//! `rotunda devices`: what this machine has for calls, with the ids that `rotunda join` takes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rotunda::media::audio::AudioDeviceInfo;
use rotunda::media::capture::{DeviceWatch, Devices, ScreenInfo, ScreenKind, Screens, Thumbnail};
use serde_json::{Value, json};

use super::{progress, runtime, say};

/// How often the devices are looked at, and the outcome is asked for, while they are watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Stay, and print a line whenever a device, screen or window comes or goes.
    #[arg(long, conflicts_with_all = ["json", "thumbnails"])]
    watch: bool,
    /// Write a small picture (PNG) of each screen and window into this folder.
    #[arg(long, value_name = "DIR")]
    thumbnails: Option<PathBuf>,
}

pub fn run(args: &DevicesArgs) -> anyhow::Result<()> {
    if args.watch {
        return watch();
    }
    let devices = Devices::now();
    let pictures = match &args.thumbnails {
        Some(folder) => write_thumbnails(folder)?,
        None => BTreeMap::new(),
    };
    if args.json {
        say(serde_json::to_string_pretty(&as_json(&devices, &pictures))?);
        return Ok(());
    }
    show(&devices);
    if args.thumbnails.is_some() {
        let lines: Vec<String> = pictures.iter().map(|(id, path)| format!("{id}  {}", path.display())).collect();
        section("Thumbnails", "none: nothing shows a picture", &lines);
    }
    Ok(())
}

/// Everything, in sections.
fn show(devices: &Devices) {
    section("Cameras", "none found: plug one in", &cameras(devices));
    let (monitors, microphones): (Vec<_>, Vec<_>) =
        devices.microphones.iter().cloned().partition(|input| input.is_monitor);
    let none = "none found: plug one in, or check that a sound server runs";
    section("Microphones", none, &sounds("microphone", &microphones));
    section("System sound", "none found: needs a PulseAudio or PipeWire server", &sounds("microphone", &monitors));
    section("Speakers", "none found: calls stay silent here", &sounds("speaker", &devices.speakers));
    let missing = devices.screens_missing.as_deref().unwrap_or("none found");
    section("Screens", missing, &screens(&devices.screens, ScreenKind::Monitor));
    section("Windows", missing, &screens(&devices.screens, ScreenKind::Window));
}

/// Prints everything, then what comes and goes, until the user or the system ends it.
fn watch() -> anyhow::Result<()> {
    let watch = DeviceWatch::start(LOOK_EVERY).context("cannot start the thread that watches the devices")?;
    let mut seen = 0;
    let mut known = None;
    runtime::wait(None, ASK_EVERY, || {
        if let Some((revision, devices)) = watch.wait_newer(seen, Duration::ZERO) {
            let now = by_id(&devices);
            match &known {
                Some(known) => changes(known, &now).iter().for_each(say),
                None => {
                    show(&devices);
                    progress("Watching; press Ctrl-C to stop.");
                }
            }
            (seen, known) = (revision, Some(now));
        }
        true
    })
}

/// The line of each device under its id.
fn by_id(devices: &Devices) -> BTreeMap<String, String> {
    let lines = [
        cameras(devices),
        sounds("microphone", &devices.microphones),
        sounds("speaker", &devices.speakers),
        screens(&devices.screens, ScreenKind::Monitor),
        screens(&devices.screens, ScreenKind::Window),
    ];
    let id_of = |line: &str| line.split_once("  ").map_or(line, |(id, _)| id).to_owned();
    lines.into_iter().flatten().map(|line| (id_of(&line), line)).collect()
}

/// A line for each device that went or came; one that is called otherwise now did neither.
fn changes(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let went = before.iter().filter(|(id, _)| !now.contains_key(*id)).map(|(_, line)| format!("went  {line}"));
    let came = now.iter().filter(|(id, _)| !before.contains_key(*id)).map(|(_, line)| format!("came  {line}"));
    went.chain(came).collect()
}

/// Writes what screens and windows show; gives the file of each id.
fn write_thumbnails(folder: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}: choose another --thumbnails", folder.display()))?;
    let mut files = BTreeMap::new();
    for screen in Screens::of_this_session().list(true)? {
        let Some(picture) = &screen.thumbnail else { continue };
        let path = folder.join(file_name(&screen.id));
        write_png(&path, picture).with_context(|| format!("cannot write {}", path.display()))?;
        files.insert(screen.id, path);
    }
    Ok(files)
}

/// A file's name for an id, whatever a monitor is called.
fn file_name(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    id.chars().map(plain).chain(".png".chars()).collect()
}

fn write_png(path: &Path, picture: &Thumbnail) -> anyhow::Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.rgba)?;
    writer.finish()?;
    Ok(())
}

/// A heading, and a line for each device or one that says why there is none.
fn section(title: &str, none: &str, lines: &[String]) {
    say(format_args!("{title}:"));
    if lines.is_empty() {
        say(format_args!("  {none}"));
    }
    for line in lines {
        say(format_args!("  {line}"));
    }
}

fn cameras(devices: &Devices) -> Vec<String> {
    devices.cameras.iter().map(|camera| format!("camera:{}  {}", camera.id, camera.name)).collect()
}

fn sounds(kind: &str, devices: &[AudioDeviceInfo]) -> Vec<String> {
    let mark = |device: &AudioDeviceInfo| if device.is_default { " (default)" } else { "" };
    devices.iter().map(|device| format!("{kind}:{}  {}{}", device.id, device.name, mark(device))).collect()
}

fn screens(screens: &[ScreenInfo], kind: ScreenKind) -> Vec<String> {
    let line = |screen: &ScreenInfo| {
        let app = if screen.app.is_empty() { String::new() } else { format!(" ({})", screen.app) };
        format!("{}  {}x{}  {}{app}", screen.id, screen.width, screen.height, screen.title)
    };
    screens.iter().filter(|screen| screen.kind == kind).map(line).collect()
}

fn as_json(devices: &Devices, pictures: &BTreeMap<String, PathBuf>) -> Value {
    let sound = |devices: &[AudioDeviceInfo]| -> Vec<Value> {
        let describe = |device: &AudioDeviceInfo| {
            json!({
                "id": device.id, "name": device.name, "default": device.is_default, "system_sound": device.is_monitor,
            })
        };
        devices.iter().map(describe).collect()
    };
    let screen = |kind: ScreenKind| -> Vec<Value> {
        let shown = devices.screens.iter().filter(|screen| screen.kind == kind);
        let describe = |screen: &ScreenInfo| {
            json!({
                "id": screen.id, "title": screen.title, "app": screen.app,
                "width": screen.width, "height": screen.height, "default": screen.is_default,
                "thumbnail": pictures.get(&screen.id).map(|path| path.display().to_string()),
            })
        };
        shown.map(describe).collect()
    };
    let cameras: Vec<Value> =
        devices.cameras.iter().map(|camera| json!({ "id": camera.id, "name": camera.name })).collect();
    json!({
        "cameras": cameras,
        "microphones": sound(&devices.microphones),
        "speakers": sound(&devices.speakers),
        "screens": screen(ScreenKind::Monitor),
        "windows": screen(ScreenKind::Window),
        "screens_missing": devices.screens_missing,
    })
}
