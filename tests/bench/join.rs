//! Join: from a token to the first decoded frame, beside the official client.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rotunda::bridge::{RoomCommand, RoomEvent};
use serde_json::json;

use crate::common::browser_driver::Browser;
use crate::scene::{self, Replay, ServerProcess};
use crate::table::{Row, Table, percentile};

const JOINS: usize = 20;
/// Keyframes are rationed to some three a second, and people seldom join at the same moment: each has one to itself.
const APART: Duration = Duration::from_secs(1);

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint()?;
    let server = ServerProcess::rotunda()?;
    let publisher = scene::publisher(&server.url, "join", &replay)?;
    let mut times = Vec::new();
    for number in 0..JOINS {
        std::thread::sleep(APART);
        times.push(join(&server.url, &format!("viewer-{number}"))?.as_secs_f64() * 1000.0);
    }
    let mut beside = browser(&server.url)?;
    drop(publisher);
    for (name, share) in [("p50", 0.5), ("p95", 0.95)] {
        table.add(Row {
            measure: format!("join: token to first shown frame, {name} of {JOINS}"),
            value: percentile(&mut times, share),
            unit: "ms",
            beside: beside.as_mut().map(|times| ("browser".into(), percentile(times, share))),
            goal: "<= 500 ms",
        });
    }
    Ok(())
}

/// The official client, in a page that has loaded; `None` where there is no browser.
fn browser(url: &str) -> anyhow::Result<Option<Vec<f64>>> {
    let Some(mut browser) = Browser::start() else { return Ok(None) };
    let mut times = Vec::new();
    for number in 0..JOINS {
        let who = format!("browser-{number}");
        // The page is there before the clock starts.
        browser.ask(&who, "state", json!({}));
        std::thread::sleep(APART);
        let login = json!({ "url": url, "token": scene::token("join", &who)? });
        let took = browser.try_ask(&who, "join_and_see", login).map_err(anyhow::Error::msg)?;
        times.push(took["ms"].as_f64().context("no time")?);
        browser.ask(&who, "close", json!({}));
    }
    Ok(Some(times))
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
