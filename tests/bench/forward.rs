//! Forwarding cost: CPU of the server process per packet it sends on, beside a loop that only encrypts and sends
//! packets of the same size, and beside the official server under the same load where it is installed.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rotunda::bridge::EngineHandle;
use rotunda::model::quality::TrackStats;

use crate::cpu;
use crate::scene::{self, Replay, ServerProcess};
use crate::table::{Row, Table, median};

const WINDOW: Duration = Duration::from_secs(5);
const SUBSCRIBERS: [usize; 3] = [1, 4, 12];

/// What one load on one server came to.
struct Load {
    /// CPU per packet-leg, in microseconds.
    cost_us: f64,
    /// Mean payload, in bytes.
    payload: usize,
    /// Resident memory per participant, in MiB.
    memory_mib: f64,
    /// Share of packets that never arrived.
    lost: f64,
}

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint()?;
    for subscribers in SUBSCRIBERS {
        let server = ServerProcess::rotunda()?;
        let ours = load(&server, subscribers, &replay)?;
        drop(server);
        let name = format!("forward: CPU per packet-leg, 1 publisher, {subscribers} subscribers");
        let floor = floor_us(ours.payload)?;
        table.add(Row {
            measure: name.clone(),
            value: ours.cost_us,
            unit: "us",
            beside: Some(("encrypt and send only".into(), floor)),
            goal: "<= 2x",
        });
        let official = ServerProcess::livekit().map(|server| load(&server, subscribers, &replay)).transpose()?;
        if let Some(official) = &official {
            table.add(Row {
                measure: name,
                value: ours.cost_us,
                unit: "us",
                beside: Some(("livekit-server".into(), official.cost_us)),
                goal: "<= 0.5x",
            });
        }
        if subscribers == SUBSCRIBERS[SUBSCRIBERS.len() - 1] {
            table.add(Row {
                measure: format!("forward: server memory per participant, {} in the room", subscribers + 1),
                value: ours.memory_mib,
                unit: "MiB",
                beside: official.map(|official| ("livekit-server".into(), official.memory_mib)),
                goal: "<= 0.5x",
            });
            table.add(Row {
                measure: "forward: packets lost below saturation".into(),
                value: ours.lost * 100.0,
                unit: "%",
                beside: None,
                goal: "0",
            });
        }
    }
    Ok(())
}

fn load(server: &ServerProcess, subscribers: usize, replay: &Replay) -> anyhow::Result<Load> {
    let empty = cpu::resident(server.pid())?;
    let mut engines: Vec<EngineHandle> = Vec::new();
    for number in 0..subscribers {
        engines.push(scene::enter(&server.url, "forward", &format!("viewer-{number}"), true, false)?);
    }
    let publisher = scene::publisher(&server.url, "forward", replay)?;
    settle(&mut engines, Duration::from_secs(4));
    let before = count(&engines);
    let (cpu_before, started) = (cpu::process(server.pid())?, Instant::now());
    settle(&mut engines, WINDOW);
    let used = cpu::process(server.pid())?.saturating_sub(cpu_before);
    let after = count(&engines);
    let memory = cpu::resident(server.pid())?.saturating_sub(empty);
    drop(publisher);
    let legs = after.packets - before.packets;
    let payload = (after.bytes - before.bytes).checked_div(legs).context("nothing was forwarded")?;
    tracing::info!(legs, seconds = started.elapsed().as_secs_f64(), "forwarded");
    Ok(Load {
        cost_us: used.as_secs_f64() * 1e6 / legs as f64,
        payload: payload as usize,
        memory_mib: memory as f64 / (1024.0 * 1024.0) / (subscribers + 1) as f64,
        lost: (after.lost - before.lost) as f64 / legs as f64,
    })
}

/// Lets time pass while events are read.
fn settle(engines: &mut [EngineHandle], time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        for engine in &mut *engines {
            while engine.try_event().is_some() {}
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[derive(Default)]
struct Counts {
    packets: u64,
    bytes: u64,
    lost: u64,
}

fn count(engines: &[EngineHandle]) -> Counts {
    let mut counts = Counts::default();
    for engine in engines {
        for (_, stats) in engine.snapshot().tracks.values() {
            if let TrackStats::Video(video) = stats {
                counts.packets += video.packets;
                counts.bytes += video.bytes;
                counts.lost += video.lost;
            }
        }
    }
    counts
}

/// CPU per packet of a loop that encrypts with SRTP's AES-128-GCM and sends over loopback, in microseconds.
fn floor_us(payload: usize) -> anyhow::Result<f64> {
    const PACKETS: u64 = 20_000;
    const HEADER: usize = 12;
    let sink = UdpSocket::bind("127.0.0.1:0")?;
    sink.set_read_timeout(Some(Duration::from_millis(50)))?;
    let to = sink.local_addr()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).map_err(|_| anyhow!("no AES-128-GCM"))?;
    let key = LessSafeKey::new(key);
    let done = AtomicBool::new(false);
    let mut figures = Vec::new();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        scope.spawn(|| {
            let mut buffer = [0; 2048];
            while !done.load(Ordering::Relaxed) {
                // Losses and time-outs at the sink are not what is measured.
                let _bytes = sink.recv(&mut buffer).unwrap_or(0);
            }
        });
        let run = || -> anyhow::Result<f64> {
            let before = cpu::this_thread()?;
            let mut packet = vec![0x5a_u8; HEADER + payload];
            for number in 0..PACKETS {
                packet.truncate(HEADER + payload);
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&number.to_be_bytes());
                let (header, body) = packet.split_at_mut(HEADER);
                let tag = key
                    .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), body)
                    .map_err(|_| anyhow!("sealing failed"))?;
                packet.extend_from_slice(tag.as_ref());
                socket.send_to(&packet, to)?;
            }
            Ok((cpu::this_thread()?.saturating_sub(before)).as_secs_f64() * 1e6 / PACKETS as f64)
        };
        for _ in 0..5 {
            figures.push(run()?);
        }
        done.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(median(&mut figures))
}
