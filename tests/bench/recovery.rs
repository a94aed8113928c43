//! Recovery: how long after the way is there again the picture goes on, for our client and the official one.

use std::time::Duration;

use crate::common::relay::{Cut, Relay};
use crate::pair::{Browsers, Ours, PICTURE, Pair, Shown, now_ms};
use crate::scene::{Replay, ServerProcess};
use crate::table::{Row, Table};

const GONE: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(3);
/// Longer than any client tries.
const LIMIT: Duration = Duration::from_secs(60);
/// A server that is asked to end may take this long.
const DRAIN: Duration = Duration::from_secs(8);

/// What happens to the second person.
const CASES: [(&str, Case); 4] = [
    ("network gone 5 s", gone),
    ("address changed", moved),
    ("server restarted", restarted),
    ("server killed, back after 1 s", killed),
];

type Case = fn(&mut dyn Pair, &Relay, &mut ServerProcess) -> anyhow::Result<Option<f64>>;

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint_as(PICTURE)?;
    for (name, case) in CASES {
        let mut server = ServerProcess::rotunda()?;
        let relay = Relay::start(&server.url, 1);
        let mut pair = Ours::start(&server.url, relay.url(), "recovery", &replay)?;
        pair.watch(CALM)?;
        let ours = case(&mut pair, &relay, &mut server)?;
        drop((pair, relay));
        let relay = Relay::start(&server.url, 1);
        let beside = match Browsers::start(&server.url, relay.url(), "recovery-beside")? {
            Some(mut pair) => {
                pair.watch(CALM)?;
                Some(case(&mut pair, &relay, &mut server)?)
            }
            None => None,
        };
        // Who never comes back stands there with the limit.
        let secs = |took: Option<f64>| took.map_or(LIMIT.as_secs_f64(), |ms| ms / 1000.0);
        table.add(Row {
            measure: format!("recovery: {name}, picture goes on after"),
            value: secs(ours),
            unit: "s",
            beside: beside.map(|took| ("official client".into(), secs(took))),
            goal: "<= 2 s",
        });
    }
    Ok(())
}

fn gone(pair: &mut dyn Pair, relay: &Relay, _server: &mut ServerProcess) -> anyhow::Result<Option<f64>> {
    relay.cut(Cut::Both);
    pair.watch(GONE)?;
    relay.cut(Cut::Nothing);
    pair.first_after(now_ms(), LIMIT)
}

/// The longest standstill afterwards: pictures may not stop at all.
fn moved(pair: &mut dyn Pair, relay: &Relay, _server: &mut ServerProcess) -> anyhow::Result<Option<f64>> {
    let from_ms = now_ms();
    relay.change_address();
    relay.break_signalling();
    let mut shown: Vec<Shown> = pair.watch(Duration::from_secs(2))?;
    while now_ms() - from_ms < LIMIT.as_secs_f64() * 1000.0 {
        // It goes on when a second went by with at least half of its pictures.
        let since_ms = now_ms();
        shown.extend(pair.watch(Duration::from_secs(1))?);
        if shown.iter().filter(|shown| shown.at_ms > since_ms).count() as f32 > PICTURE.fps / 2.0 {
            let times: Vec<f64> = std::iter::once(from_ms).chain(shown.iter().map(|shown| shown.at_ms)).collect();
            return Ok(times.windows(2).map(|pair| pair[1] - pair[0]).reduce(f64::max));
        }
    }
    Ok(None)
}

fn restarted(pair: &mut dyn Pair, _relay: &Relay, server: &mut ServerProcess) -> anyhow::Result<Option<f64>> {
    server.terminate(DRAIN)?;
    server.run()?;
    pair.first_after(now_ms(), LIMIT)
}

fn killed(pair: &mut dyn Pair, _relay: &Relay, server: &mut ServerProcess) -> anyhow::Result<Option<f64>> {
    server.kill();
    pair.watch(Duration::from_secs(1))?;
    server.run()?;
    pair.first_after(now_ms(), LIMIT)
}
