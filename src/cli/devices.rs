//! `rotunda devices`: what this machine has for calls, with the ids that `rotunda join` takes.

use clap::Args;
use rotunda::media::audio::AudioDeviceInfo;
use rotunda::media::capture::{Devices, ScreenInfo, ScreenKind};
use serde_json::{Value, json};

use super::say;

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &DevicesArgs) -> anyhow::Result<()> {
    let devices = Devices::now();
    if args.json {
        say(serde_json::to_string_pretty(&as_json(&devices))?);
        return Ok(());
    }
    let cameras: Vec<String> =
        devices.cameras.iter().map(|camera| format!("camera:{}  {}", camera.id, camera.name)).collect();
    section("Cameras", "none found: plug one in", &cameras);
    let microphones = sounds("microphone", &devices.microphones);
    section("Microphones", "none found: plug one in, or check that a sound server runs", &microphones);
    section("Speakers", "none found: calls stay silent here", &sounds("speaker", &devices.speakers));
    let missing = devices.screens_missing.as_deref().unwrap_or("none found");
    section("Screens", missing, &screens(&devices.screens, ScreenKind::Monitor));
    section("Windows", missing, &screens(&devices.screens, ScreenKind::Window));
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

fn sounds(kind: &str, devices: &[AudioDeviceInfo]) -> Vec<String> {
    let mark = |device: &AudioDeviceInfo| if device.is_default { " (default)" } else { "" };
    devices.iter().map(|device| format!("{kind}:{}{}", device.name, mark(device))).collect()
}

fn screens(screens: &[ScreenInfo], kind: ScreenKind) -> Vec<String> {
    let line = |screen: &ScreenInfo| {
        let app = if screen.app.is_empty() { String::new() } else { format!(" ({})", screen.app) };
        format!("{}  {}x{}  {}{app}", screen.id, screen.width, screen.height, screen.title)
    };
    screens.iter().filter(|screen| screen.kind == kind).map(line).collect()
}

fn as_json(devices: &Devices) -> Value {
    let sound = |devices: &[AudioDeviceInfo]| -> Vec<Value> {
        devices
            .iter()
            .map(|device| {
                json!({
                    "id": device.id, "name": device.name, "default": device.is_default, "monitor": device.is_monitor,
                })
            })
            .collect()
    };
    let screen = |kind: ScreenKind| -> Vec<Value> {
        let shown = devices.screens.iter().filter(|screen| screen.kind == kind);
        let describe = |screen: &ScreenInfo| {
            json!({
                "id": screen.id, "title": screen.title, "app": screen.app,
                "width": screen.width, "height": screen.height, "default": screen.is_default,
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
