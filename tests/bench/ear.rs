//! Mouth to ear: a tone that begins at every full second of the clock is spoken by one person, and recorded from the
//! other's loudspeaker (a PulseAudio null sink) by its monitor; and by how much the sound comes after its picture.
//! Beside it the official client, whose own audio output says when each sample is played.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rotunda::bridge::{AudioOptions, EngineHandle, PublishRequest, RoomCommand, StartsMuted, VideoOptions};
use rotunda::media::{AudioBlock, AudioSource, CaptureError};
use rotunda::model::{StreamId, StreamKind};
use serde_json::{Value, json};

use crate::common::browser_driver::Browser;
use crate::common::pulse::{Pulse, RATE_HZ};
use crate::pair::{PICTURE, PICTURE_BPS, now_ms, window};
use crate::scene::{self, Replay, ServerProcess};
use crate::table::{Row, Table, median};

const BLOCK: u64 = 480;
const PULSE_MS: f64 = 40.0;
const SETTLE: Duration = Duration::from_secs(5);

/// What was heard and seen, in ms after it was said and shown.
struct Sensed {
    ear_ms: f64,
    glass_ms: f64,
}

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint_as(PICTURE)?;
    let server = ServerProcess::rotunda()?;
    let pulse = Pulse::start().map_err(anyhow::Error::msg)?;
    let ours = ours(&server, &pulse, &replay)?;
    let beside = browsers(&server)?;
    let mut add = |measure: &str, pick: fn(&Sensed) -> f64, goal| {
        table.add(Row {
            measure: measure.into(),
            value: pick(&ours),
            unit: "ms",
            beside: beside.as_ref().map(|beside| ("browser to browser".into(), pick(beside))),
            goal,
        });
    };
    add("ear: mouth to ear, median", |sensed| sensed.ear_ms, "<= 120 ms");
    add("ear: sound after its picture", |sensed| sensed.ear_ms - sensed.glass_ms, "+-45 ms");
    Ok(())
}

/// A microphone that is silent but for a tone at the beginning of every second of the clock.
struct Pulses {
    began: Instant,
    began_ms: f64,
    blocks: u64,
}

impl AudioSource for Pulses {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError> {
        // A block is there when its last sample is, as from a device.
        let due = Duration::from_millis(10 * (self.blocks + 1));
        std::thread::sleep(due.saturating_sub(self.began.elapsed()));
        let first = self.blocks * BLOCK;
        let sample = |n: u64| {
            let ms = self.began_ms + n as f64 / 48.0;
            let tone = (n as f32 / 48.0 * std::f32::consts::TAU).sin() * 0.5;
            if ms.rem_euclid(1000.0) < PULSE_MS { tone } else { 0.0 }
        };
        self.blocks += 1;
        Ok(Some(AudioBlock { samples: (first..first + BLOCK).map(sample).collect(), channels: 1 }))
    }
}

fn ours(server: &ServerProcess, pulse: &Pulse, replay: &Replay) -> anyhow::Result<Sensed> {
    let out = std::env::temp_dir().join(format!("rotunda-ear-{}", std::process::id()));
    let speaker = speak(server, replay)?;
    let listener = listen(server, pulse, &out)?;
    std::thread::sleep(SETTLE);
    let mut recorder = pulse.record()?;
    let heard = onsets(&mut recorder);
    recorder.kill()?;
    recorder.wait()?;
    drop(speaker);
    let output = listener.wait_with_output()?;
    let report: Value = serde_json::from_slice(&std::fs::read(out.join("report.json"))?)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    std::fs::remove_dir_all(&out)?;
    let glass = report["streams"]
        .as_array()
        .context("no streams")?
        .iter()
        .find_map(|stream| stream["capture_to_present_ms"]["median"].as_f64());
    Ok(Sensed { ear_ms: delay(heard?)?, glass_ms: glass.context("no picture was shown")? })
}

fn speak(server: &ServerProcess, replay: &Replay) -> anyhow::Result<EngineHandle> {
    let speaker = scene::enter(&server.url, "ear", "speaker", false, false)?;
    let (began, began_ms) = (Instant::now(), now_ms());
    speaker.send(RoomCommand::PublishStream(PublishRequest {
        stream: StreamId::new("ear")?,
        kind: StreamKind::Camera,
        video: Some((Box::new(replay.clone().stamped()), VideoOptions::single(PICTURE_BPS))),
        audio: Some((Box::new(Pulses { began, began_ms, blocks: 0 }), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }))?;
    Ok(speaker)
}

/// Our client with a loudspeaker, as a process of its own: the sound server is told by the environment.
fn listen(server: &ServerProcess, pulse: &Pulse, out: &Path) -> anyhow::Result<Child> {
    let token = scene::token("ear", "listener")?;
    let seconds = (SETTLE + window() + Duration::from_secs(2)).as_secs().to_string();
    Ok(Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["join", &server.url, "--room", "ear", "--name", "listener", "--token", &token, "--no-render"])
        .args(["--video", "none", "--audio", "none", "--seconds", &seconds, "--out"])
        .arg(out)
        .env("PULSE_SERVER", pulse.server())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?)
}

/// When tones began in a recording, as Unix time in ms.
fn onsets(recorder: &mut Child) -> anyhow::Result<Vec<f64>> {
    let mut output = recorder.stdout.take().context("no recording")?;
    let deadline = Instant::now() + window();
    let (mut found, mut quiet, mut left) = (Vec::new(), 0_u32, None);
    let mut bytes = [0; 4096];
    while Instant::now() < deadline {
        let read = output.read(&mut bytes)?;
        anyhow::ensure!(read > 0, "the recording ended");
        let now = now_ms();
        // A read may end in the middle of a sample.
        let data: Vec<u8> = left.take().into_iter().chain(bytes[..read].iter().copied()).collect();
        left = (data.len() % 2 == 1).then(|| data[data.len() - 1]);
        let samples: Vec<i16> = data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        for (n, sample) in samples.iter().enumerate() {
            if sample.unsigned_abs() > 3000 {
                if quiet > RATE_HZ / 2 {
                    found.push(now - (samples.len() - n) as f64 * 1000.0 / f64::from(RATE_HZ));
                }
                quiet = 0;
            } else {
                quiet += 1;
            }
        }
    }
    Ok(found)
}

/// The median delay after the full second.
fn delay(heard: Vec<f64>) -> anyhow::Result<f64> {
    let mut delays: Vec<f64> = heard.iter().map(|ms| ms.rem_euclid(1000.0)).collect();
    anyhow::ensure!(delays.len() >= 3, "only {} tones were heard", delays.len());
    Ok(median(&mut delays))
}

fn browsers(server: &ServerProcess) -> anyhow::Result<Option<Sensed>> {
    let Some(mut browser) = Browser::start() else { return Ok(None) };
    for who in ["speaker", "listener"] {
        browser.ask(who, "join", json!({ "url": server.url, "token": scene::token("ear-beside", who)? }));
    }
    browser.ask("listener", "watch_pictures", json!({}));
    let (width, height, fps) = (PICTURE.width, PICTURE.height, PICTURE.fps);
    browser.ask(
        "speaker",
        "publish_stamped",
        json!({ "width": width, "height": height, "fps": fps, "bitrate": PICTURE_BPS }),
    );
    browser.ask("speaker", "publish_pulses", json!({}));
    let there = |answer: &Value| answer.is_object().then_some(());
    browser.wait_for("listener", "hear_pulses", json!({ "identity": "speaker" }), Duration::from_secs(20), there);
    std::thread::sleep(SETTLE);
    for command in ["pulses", "pictures"] {
        browser.ask("listener", command, json!({}));
    }
    std::thread::sleep(window());
    let heard = browser.ask("listener", "pulses", json!({}));
    let heard = heard["heard"].as_array().context("no list")?.iter().filter_map(Value::as_f64).collect();
    let shown = browser.ask("listener", "pictures", json!({}));
    let shown = shown["shown"].as_array().context("no list")?;
    let mut ages: Vec<f64> = shown.iter().filter_map(|one| one[1].as_f64()).collect();
    Ok(Some(Sensed { ear_ms: delay(heard)?, glass_ms: median(&mut ages) }))
}
