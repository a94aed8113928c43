//! `rotunda devices`: what this machine has for calls.

use clap::Args;
use rotunda::media::audio;
use serde_json::json;

use super::say;

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &DevicesArgs) -> anyhow::Result<()> {
    let devices = audio::list_devices();
    if args.json {
        let list = |devices: &[audio::AudioDeviceInfo]| -> Vec<_> {
            devices
                .iter()
                .enumerate()
                .map(|(number, d)| json!({ "number": number, "name": d.name, "default": d.is_default }))
                .collect()
        };
        let all = json!({ "microphones": list(&devices.inputs), "speakers": list(&devices.outputs) });
        say(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for (title, none, list) in [
        ("Microphones", "none found: plug one in, or check that a sound server runs", &devices.inputs),
        ("Speakers", "none found: calls stay silent here", &devices.outputs),
    ] {
        say(format_args!("{title}:"));
        if list.is_empty() {
            say(format_args!("  {none}"));
        }
        for (number, device) in list.iter().enumerate() {
            let mark = if device.is_default { " (default)" } else { "" };
            say(format_args!("  {number}: {}{mark}", device.name));
        }
    }
    Ok(())
}
