//! Receive cost: CPU of a client process per played 720p30 stream, beside bare libvpx decoding the same frames in the
//! same rhythm.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rotunda::media::codec::vp8::{Vp8Decoder, Vp8Encoder, Vp8EncoderConfig};

use crate::cpu;
use crate::scene::{self, BITRATE_BPS, FORMAT, Pace, Replay, ServerProcess};
use crate::table::{Row, Table, median};

const WINDOW: Duration = Duration::from_secs(5);
const RUNS: usize = 3;

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint()?;
    let bare = bare_decode(&replay)? * 1000.0;
    let server = ServerProcess::rotunda()?;
    let idle = client(&server.url, "nobody")?;
    let publisher = scene::publisher(&server.url, "receive", &replay)?;
    let playing = client(&server.url, "receive")?;
    drop(publisher);
    table.add(Row {
        measure: "receive: CPU per 720p30 VP8 stream, packets to picture, idle client taken off".into(),
        value: (playing - idle) * 1000.0,
        unit: "ms/s",
        beside: Some(("bare libvpx decode".into(), bare)),
        goal: "<= 1.15x",
    });
    Ok(())
}

/// CPU seconds per second that decoding the stream alone takes.
fn bare_decode(replay: &Replay) -> anyhow::Result<f64> {
    let mut encoder = Vp8Encoder::new(Vp8EncoderConfig {
        width: FORMAT.width,
        height: FORMAT.height,
        fps: FORMAT.fps,
        bitrate_bps: BITRATE_BPS,
        screen: false,
        threads: 1,
    })?;
    let mut source = replay.clone();
    let mut packets = Vec::new();
    for number in 0..120 {
        use rotunda::media::VideoSource as _;
        let frame = source.next_frame()?.context("the replay ended")?;
        packets.extend(encoder.encode(&frame, number == 0)?);
    }
    let mut figures = Vec::new();
    for _ in 0..RUNS {
        let mut decoder = Vp8Decoder::new()?;
        let mut pace = Pace::start();
        let before = cpu::this_thread()?;
        for packet in &packets {
            drop(decoder.decode(&packet.data, 0)?);
            pace.wait();
        }
        let used = cpu::this_thread()?.saturating_sub(before);
        figures.push(used.as_secs_f64() / packets.len() as f64 * f64::from(FORMAT.fps));
    }
    Ok(median(&mut figures))
}

/// CPU seconds per second of a client process without a room.
fn client(url: &str, room: &str) -> anyhow::Result<f64> {
    let mut figures = Vec::new();
    for run in 0..RUNS {
        let seconds = (WINDOW + Duration::from_secs(4)).as_secs().to_string();
        let token = scene::token(room, &format!("viewer-{run}"))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
            .args(["join", url, "--room", room, "--name", "viewer", "--token", &token, "--no-render", "--headless"])
            .args(["--video", "none", "--audio", "none", "--seconds", &seconds])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_secs(2));
        let share = cpu::share(child.id(), WINDOW);
        child.wait()?;
        figures.push(share?);
    }
    Ok(median(&mut figures))
}
