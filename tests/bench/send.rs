//! Send cost: CPU of the thread that takes a 720p30 camera from capture to packets in three layers, beside bare libvpx
//! encoding the same three pictures of every frame in the same rhythm.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rotunda::bridge::{EngineHandle, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::media::VideoSource as _;
use rotunda::media::codec::EncoderConfig;
use rotunda::media::codec::vp8::Vp8Encoder;
use rotunda::media::scale::Scaler;
use rotunda::model::{PublishState, StreamId, StreamKind, VideoCodec};

use crate::cpu;
use crate::scene::{self, BITRATE_BPS, FORMAT, Pace, Replay, ServerProcess};
use crate::table::{Row, Table, median};

const WINDOW: Duration = Duration::from_secs(5);
const RUNS: usize = 3;
/// The layers' sizes in pixels and their shares of the bitrate, as the engine sends them.
const LAYERS: [(u32, u32, f64); 3] = [(1280, 720, 0.676), (640, 360, 0.239), (320, 180, 0.085)];

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint()?;
    let bare = bare_encode(&replay)? * 1000.0;
    let source = source_cost(&replay)?;
    let server = ServerProcess::rotunda()?;
    let mut figures = Vec::new();
    for run in 0..RUNS {
        figures.push(sending(&server.url, &format!("send-{run}"), &replay)? - source);
    }
    table.add(Row {
        measure: "send: CPU per 720p30 VP8 camera in three layers, capture to packets, the source taken off".into(),
        value: median(&mut figures) * 1000.0,
        unit: "ms/s",
        beside: Some(("bare libvpx encode of the same".into(), bare)),
        goal: "<= 1.15x",
    });
    Ok(())
}

/// CPU seconds per second that encoding the three pictures alone takes.
fn bare_encode(replay: &Replay) -> anyhow::Result<f64> {
    let mut source = replay.clone();
    let mut scaler = Scaler::default();
    let mut frames = Vec::new();
    for _ in 0..90 {
        let frame = source.next_frame()?.context("the replay ended")?;
        let half = scaler.scale(&frame, LAYERS[1].0, LAYERS[1].1)?;
        let quarter = scaler.scale(&half, LAYERS[2].0, LAYERS[2].1)?;
        frames.push([frame, half, quarter]);
    }
    let mut figures = Vec::new();
    for _ in 0..RUNS {
        let mut encoders = Vec::new();
        for (width, height, share) in LAYERS {
            let bitrate_bps = (f64::from(BITRATE_BPS) * share) as u32;
            let config = EncoderConfig { width, height, fps: FORMAT.fps, bitrate_bps, screen: false, threads: 1 };
            encoders.push(Vp8Encoder::new(config)?);
        }
        let mut pace = Pace::start();
        let before = cpu::this_thread()?;
        for (number, pictures) in frames.iter().enumerate() {
            for (encoder, picture) in encoders.iter_mut().zip(pictures) {
                drop(encoder.encode(picture, number == 0)?);
            }
            pace.wait();
        }
        let used = cpu::this_thread()?.saturating_sub(before);
        figures.push(used.as_secs_f64() / frames.len() as f64 * f64::from(FORMAT.fps));
    }
    Ok(median(&mut figures))
}

/// CPU seconds per second that the source itself takes: it copies a painted picture.
fn source_cost(replay: &Replay) -> anyhow::Result<f64> {
    let mut source = replay.clone();
    let before = cpu::this_thread()?;
    for _ in 0..60 {
        drop(source.next_frame()?.context("the replay ended")?);
    }
    let used = cpu::this_thread()?.saturating_sub(before);
    Ok(used.as_secs_f64() / 60.0 * f64::from(FORMAT.fps))
}

/// CPU seconds per second of the capture thread while all three layers are watched.
fn sending(url: &str, room: &str, replay: &Replay) -> anyhow::Result<f64> {
    let mut publisher = scene::enter(url, room, "publisher", false, false)?;
    let mut viewer = scene::enter(url, room, "viewer", true, false)?;
    publisher.send(RoomCommand::PublishStream(PublishRequest {
        stream: StreamId::new("bench")?,
        kind: StreamKind::Camera,
        video: Some((
            Box::new(replay.clone()),
            VideoOptions { codec: VideoCodec::Vp8, max_bitrate_bps: BITRATE_BPS, simulcast: true },
        )),
        audio: None,
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }))?;
    scene::wait_for(&mut publisher, "the publication", |event| {
        matches!(event, RoomEvent::PublishStateChanged { state: PublishState::Publishing, .. })
    })?;
    scene::wait_for(&mut viewer, "the pictures", |event| matches!(event, RoomEvent::VideoFeedOpened { .. }))?;
    three_layers(&publisher)?;
    let thread = capture_thread()?;
    let (started, before) = (Instant::now(), cpu::on_cpu(&thread)?);
    std::thread::sleep(WINDOW);
    let used = cpu::on_cpu(&thread)?.saturating_sub(before);
    let share = used.as_secs_f64() / started.elapsed().as_secs_f64();
    three_layers(&publisher)?;
    Ok(share)
}

/// Waits until all layers are sent, at the source's rate.
fn three_layers(publisher: &EngineHandle) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let snapshot = publisher.snapshot();
        let quality = snapshot.publishing.get(&StreamId::new("bench")?).cloned().unwrap_or_default();
        if quality.layers == 3 && quality.encoded_fps > FORMAT.fps * 0.9 {
            return Ok(());
        }
        anyhow::ensure!(started.elapsed() < Duration::from_secs(20), "not all is sent: {quality:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The capture thread of the publisher's picture, by its name.
fn capture_thread() -> anyhow::Result<PathBuf> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "publisher-cam") {
            return Ok(path.join("schedstat"));
        }
    }
    anyhow::bail!("no thread captures")
}
