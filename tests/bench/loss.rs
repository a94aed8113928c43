//! Loss: how much of the time the picture stands still and how much sound is made up, while the receiver's network is
//! bad, in both directions: for our client and for the official one through the same relay with the same seed.

use std::time::Duration;

use crate::common::relay::{Burst, Network, Rate, Relay};
use crate::pair::{Browsers, Ours, PICTURE, Pair, frozen_ms, now_ms, window};
use crate::scene::{Replay, ServerProcess};
use crate::table::{Row, Table};

const SEED: u64 = 20_260;
const SETTLE: Duration = Duration::from_secs(2);

/// A network in parts of the window, one after the other.
struct Condition {
    name: &'static str,
    parts: Vec<Network>,
}

fn conditions() -> Vec<Condition> {
    let ms = Duration::from_millis;
    let lossy = |loss| Network { delay: ms(25), ..Network::loss(loss) };
    let capped = |bits_per_sec| Network { delay: ms(25), rate: Some(Rate::new(bits_per_sec)), ..Network::default() };
    let one = |name, network| Condition { name, parts: vec![network] };
    vec![
        one("no loss, 50 ms round trip", lossy(0.0)),
        one("5 % lost", lossy(0.05)),
        one("10 % lost", lossy(0.1)),
        one("20 % lost", lossy(0.2)),
        one("30 % lost", lossy(0.3)),
        one(
            "10 % lost in bursts of 6",
            Network { delay: ms(25), burst: Some(Burst::new(0.1, 6.0)), ..Network::default() },
        ),
        one(
            "200 ms round trip, 50 ms jitter, 2 % lost",
            Network { delay: ms(100), jitter: ms(50), ..Network::loss(0.02) },
        ),
        Condition {
            name: "a cap of 1.5, then 0.35, then 1.5 Mbit/s",
            parts: [1_500_000, 350_000, 1_500_000].map(capped).into(),
        },
    ]
}

/// What a person saw and heard.
struct Suffered {
    frozen_percent: f64,
    concealed_percent: f64,
}

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint_as(PICTURE)?;
    let server = ServerProcess::rotunda()?;
    let relay = Relay::start(&server.url, SEED);
    let mut pair = Ours::start(&server.url, relay.url(), "loss", &replay)?;
    let ours = conditions().iter().map(|now| suffer(&mut pair, &relay, now)).collect::<anyhow::Result<Vec<_>>>()?;
    drop((pair, relay));
    let relay = Relay::start(&server.url, SEED);
    let beside = match Browsers::start(&server.url, relay.url(), "loss-beside")? {
        Some(mut pair) => {
            Some(conditions().iter().map(|now| suffer(&mut pair, &relay, now)).collect::<anyhow::Result<Vec<_>>>()?)
        }
        None => None,
    };
    for (number, condition) in conditions().iter().enumerate() {
        let mut add = |what: &str, pick: fn(&Suffered) -> f64| {
            table.add(Row {
                measure: format!("loss: {what}, {}", condition.name),
                value: pick(&ours[number]),
                unit: "%",
                beside: beside.as_ref().map(|beside| ("browser to browser".into(), pick(&beside[number]))),
                goal: if number > 2 { "better" } else { "no worse" },
            });
        };
        add("picture frozen", |suffered| suffered.frozen_percent);
        add("sound concealed", |suffered| suffered.concealed_percent);
    }
    Ok(())
}

fn suffer(pair: &mut dyn Pair, relay: &Relay, condition: &Condition) -> anyhow::Result<Suffered> {
    relay.both(Network::default());
    pair.watch(SETTLE)?;
    let (concealed_before, all_before) = pair.concealment()?;
    let from_ms = now_ms();
    let mut shown = Vec::new();
    for network in &condition.parts {
        relay.both(*network);
        shown.extend(pair.watch(window() / condition.parts.len() as u32)?);
    }
    let to_ms = now_ms();
    let (concealed, all) = pair.concealment()?;
    Ok(Suffered {
        frozen_percent: frozen_ms(&shown, from_ms, to_ms) / (to_ms - from_ms) * 100.0,
        concealed_percent: ((concealed - concealed_before) / (all - all_before) * 100.0).max(0.0),
    })
}
