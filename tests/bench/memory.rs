//! Memory: what a client without a room holds in RAM while it plays 0, 9 and 25 streams at 360p, beside a browser's
//! tab in the same call (its renderer process alone, which is to the browser's favour).

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rotunda::bridge::{EngineHandle, PublishRequest, RoomCommand, StartsMuted, VideoOptions};
use rotunda::media::VideoFormat;
use rotunda::model::{StreamId, StreamKind};
use serde_json::json;

use crate::common::browser_driver::Browser;
use crate::cpu;
use crate::scene::{self, Replay, ServerProcess};
use crate::table::{Row, Table};

/// Ten pictures a second, so that two cores carry 25 streams twice.
const FORMAT: VideoFormat = VideoFormat { width: 640, height: 360, fps: 10.0 };
const BITRATE_BPS: u32 = 250_000;
const STREAMS: [usize; 3] = [0, 9, 25];
/// Streams of one publisher.
const EACH: usize = 4;
const SETTLE: Duration = Duration::from_secs(12);
const MIB: f64 = 1024.0 * 1024.0;

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint_as(FORMAT)?;
    for streams in STREAMS {
        let server = ServerProcess::rotunda()?;
        let publishers = publish(&server.url, streams, &replay)?;
        let ours = client(&server.url)?;
        let tab = tab(&server.url, streams)?;
        drop(publishers);
        table.add(Row {
            measure: format!("memory: client playing {streams} streams at 360p"),
            value: ours / MIB,
            unit: "MiB",
            beside: tab.map(|bytes| ("browser tab".into(), bytes / MIB)),
            goal: "<= 0.5x",
        });
    }
    Ok(())
}

fn publish(url: &str, streams: usize, replay: &Replay) -> anyhow::Result<Vec<EngineHandle>> {
    let mut engines: Vec<EngineHandle> = Vec::new();
    for number in 0..streams {
        if number % EACH == 0 {
            engines.push(scene::enter(url, "memory", &format!("publisher-{number}"), false, false)?);
        }
        let engine = engines.last().context("no publisher")?;
        engine.send(RoomCommand::PublishStream(PublishRequest {
            stream: StreamId::new(format!("memory-{number}"))?,
            kind: StreamKind::Camera,
            video: Some((Box::new(replay.clone()), VideoOptions::single(BITRATE_BPS))),
            audio: None,
            extra_info: String::new(),
            muted: StartsMuted::default(),
        }))?;
    }
    Ok(engines)
}

/// Our client as a process of its own.
fn client(url: &str) -> anyhow::Result<f64> {
    let token = scene::token("memory", "viewer")?;
    let seconds = (SETTLE + Duration::from_secs(3)).as_secs().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["join", url, "--room", "memory", "--name", "viewer", "--token", &token, "--no-render", "--headless"])
        .args(["--video", "none", "--audio", "none", "--seconds", &seconds])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(SETTLE);
    let bytes = cpu::resident(child.id());
    child.wait()?;
    Ok(bytes? as f64)
}

/// The renderer of a page of the official client; `None` where there is no browser.
fn tab(url: &str, streams: usize) -> anyhow::Result<Option<f64>> {
    let Some(mut browser) = Browser::start() else { return Ok(None) };
    browser.ask("tab", "join", json!({ "url": url, "token": scene::token("memory", "tab")? }));
    std::thread::sleep(SETTLE);
    let state = browser.ask("tab", "state", json!({}));
    let participants = state["participants"].as_array().context("no participants")?;
    let playing: usize = participants.iter().map(|one| one["tracks"].as_array().map_or(0, Vec::len)).sum();
    anyhow::ensure!(playing >= streams, "the browser plays {playing} of {streams} streams");
    // The page is the largest renderer; an empty one is kept in reserve.
    let renderers = cpu::descendants(browser.pid())?;
    let bytes = renderers.iter().filter(|pid| cpu::has_argument(**pid, "--type=renderer"));
    Ok(bytes.filter_map(|pid| cpu::resident(*pid).ok()).max().map(|bytes| bytes as f64))
}
