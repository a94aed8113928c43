//! Join: from a token to the first decoded frame.

use std::time::{Duration, Instant};

use anyhow::bail;
use rotunda::bridge::{RoomCommand, RoomEvent};

use crate::scene::{self, Replay, ServerProcess};
use crate::table::{Row, Table, median};

const JOINS: usize = 20;

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint()?;
    let server = ServerProcess::rotunda()?;
    let publisher = scene::publisher(&server.url, "join", &replay)?;
    let mut times = Vec::new();
    for number in 0..JOINS {
        times.push(join(&server.url, &format!("viewer-{number}"))?.as_secs_f64() * 1000.0);
    }
    drop(publisher);
    let p50 = median(&mut times);
    let p95 = times[(times.len() - 1) * 95 / 100];
    let row = |name: &str, value| Row {
        measure: format!("join: token to first decoded frame, {name} of {JOINS}"),
        value,
        unit: "ms",
        beside: None,
        goal: "<= 500 ms",
    };
    table.add(row("p50", p50));
    table.add(row("p95", p95));
    Ok(())
}

fn join(url: &str, identity: &str) -> anyhow::Result<Duration> {
    let login = scene::login(url, "join", identity, true)?;
    let started = Instant::now();
    let mut engine = scene::engine(identity, true)?;
    engine.send(RoomCommand::Login(login))?;
    let opened = scene::wait_for(&mut engine, "the picture", |e| matches!(e, RoomEvent::VideoFeedOpened { .. }))?;
    let RoomEvent::VideoFeedOpened { feed, .. } = opened else { bail!("no feed") };
    match feed.wait_take(Duration::from_secs(10)) {
        Some(_) => Ok(started.elapsed()),
        None => bail!("no frame within 10 s of joining"),
    }
}
