//! Glass to glass: from the moment a picture is taken to the moment it is there to be shown, read off the picture's
//! own stamp. Beside it the official client: from the canvas being drawn to the frame being handed to the compositor.

use std::time::Duration;

use crate::pair::{Browsers, Ours, PICTURE, Pair, Shown, window};
use crate::scene::{Replay, ServerProcess};
use crate::table::{Row, Table, percentile};

/// The first pictures are not counted: encoders and jitter buffers settle.
const SETTLE: Duration = Duration::from_secs(3);

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint_as(PICTURE)?;
    let server = ServerProcess::rotunda()?;
    let mut pair = Ours::start(&server.url, &server.url, "glass", &replay)?;
    let mut ours = ages(&mut pair)?;
    let of_it = pair.video().unwrap_or_default();
    drop(pair);
    let mut browser = match Browsers::start(&server.url, &server.url, "glass-beside")? {
        Some(mut pair) => Some(ages(&mut pair)?),
        None => None,
    };
    for (name, share) in [("p50", 0.5), ("p95", 0.95)] {
        table.add(Row {
            measure: format!("glass to glass: picture taken to shown, 360p30 VP8, {name}"),
            value: percentile(&mut ours, share),
            unit: "ms",
            beside: browser.as_mut().map(|ages| ("browser to browser".into(), percentile(ages, share))),
            goal: "<= the browser's",
        });
    }
    for (what, ms) in [("decoding, mean", of_it.decode_ms), ("held for its rhythm and its sound", of_it.held_ms)] {
        table.add(Row {
            measure: format!("glass to glass: of it {what}"),
            value: f64::from(ms),
            unit: "ms",
            beside: None,
            goal: "-",
        });
    }
    Ok(())
}

fn ages(pair: &mut dyn Pair) -> anyhow::Result<Vec<f64>> {
    pair.watch(SETTLE)?;
    let ages: Vec<f64> = pair.watch(window())?.iter().filter_map(|shown: &Shown| shown.age_ms).collect();
    anyhow::ensure!(ages.len() > 30, "only {} pictures with a stamp were shown", ages.len());
    Ok(ages)
}
