//! The sound of the system, shared along with a window from the command line, and heard at the viewer.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use rotunda::model::quality::TrackStats;

use super::display::{Window, XServer, have};
use crate::common::pulse::{Pulse, RATE_HZ};
use crate::engine::kit::{TestServer, room};

/// A program that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            self.0.wait().ok();
        }
    }
}

/// Adds a loudspeaker.
fn add_speaker(pulse: &Pulse, name: &str) {
    let sink = format!("sink_name={name}");
    pactl(pulse, &["load-module", "module-null-sink", &sink, "channels=2"]);
}

fn pactl(pulse: &Pulse, args: &[&str]) {
    let mut command = Command::new("pactl");
    let done = command.args(["--server", &pulse.server()]).args(args).stdout(Stdio::null()).status().unwrap();
    assert!(done.success(), "pactl {args:?}");
}

/// Plays a tone on a loudspeaker for a minute.
fn play_tone(pulse: &Pulse, speaker: &str) -> Running {
    let mut player = Command::new("pacat")
        .args(["--server", &pulse.server(), "--device", speaker, "--raw", "--format=s16le", "--channels=1"])
        .arg(format!("--rate={RATE_HZ}"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = player.stdin.take().unwrap();
    let sample = |n: u32| ((n as f32 * 440.0 * std::f32::consts::TAU / RATE_HZ as f32).sin() * 12_000.0) as i16;
    let second: Vec<u8> = (0..RATE_HZ).flat_map(|n| sample(n).to_le_bytes()).collect();
    // Ends by itself when the player does.
    std::thread::Builder::new()
        .name("tone".into())
        .spawn(move || (0..60).all(|_| to.write_all(&second).is_ok()))
        .unwrap();
    Running(player)
}

#[test]
fn what_the_loudspeaker_plays_comes_with_a_shared_window() {
    if !have(&["pulseaudio", "pacat", "pactl"]) {
        return;
    }
    let Some(display) = XServer::start("800x600x24", &[]) else { return };
    let window = Window::open(&display, "Film", (0, 0), (320, 240), 0xFF);
    let pulse = Pulse::start().unwrap();
    // The silent one, whose name begins alike, is listed before.
    add_speaker(&pulse, "hdmi-2");
    add_speaker(&pulse, "hdmi");
    pactl(&pulse, &["set-default-sink", "hdmi"]);
    let _player = play_tone(&pulse, "hdmi");
    let rotunda = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
        command.args(args).env("DISPLAY", &display.name).env("PULSE_SERVER", pulse.server());
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let output = rotunda(&["devices", "--json"]).output().unwrap();
    let devices: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let inputs = devices["microphones"].as_array().unwrap();
    assert!(inputs.iter().any(|input| input["system_sound"] == true), "{devices}");

    let server = TestServer::start();
    let room = room("film");
    let bob = server.enter(&room, "bob");
    let token = server.token(&room, "ann");
    let mut join = rotunda(&["join", &server.url, "--room", room.as_str(), "--name", "Ann", "--token", &token]);
    join.args(["--video", "none", "--audio", "none", "--screen", &window.share_id(), "--screen-audio"]);
    join.args(["--no-render", "--headless", "--seconds", "60"]).stdout(Stdio::null());
    let _ann = Running(join.spawn().unwrap());
    // A sine of 12 000 has a root mean square of 0.26.
    bob.wait_figures("the film is heard", |now| {
        now.tracks.values().find_map(|(_, stats)| match stats {
            TrackStats::Audio(audio) => (audio.level > 0.15).then_some(()),
            TrackStats::Video(_) => None,
        })
    });
    bob.wait_figures("the film is seen", |now| {
        now.tracks.values().find_map(|(_, stats)| match stats {
            TrackStats::Video(video) => (video.frames_decoded > 0).then_some(()),
            TrackStats::Audio(_) => None,
        })
    });
}
