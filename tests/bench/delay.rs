//! Added delay in the server: from a picture's packet going in to the same packet coming out for a subscriber, as the
//! relay sees both from the server's side; beside it the official server in the same place. What the relay's own thread
//! adds is in both.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::common::relay::{Direction, Relay, Seen};
use crate::pair::window;
use crate::scene::{self, Replay, ServerProcess};
use crate::table::{Row, Table, percentile};

/// Packets of which the offset between both numberings is found.
const VOTERS: usize = 200;
/// A packet is looked for this far back.
const LATEST: Duration = Duration::from_millis(100);

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let replay = Replay::paint()?;
    let mut ours = delays_ms(&ServerProcess::rotunda()?, &replay)?;
    let mut official = match ServerProcess::livekit() {
        Some(server) => Some(delays_ms(&server, &replay)?),
        None => None,
    };
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        table.add(Row {
            measure: format!("delay: packet in to packet out, 720p30 to one, {name}"),
            value: percentile(&mut ours, share),
            unit: "ms",
            beside: official.as_mut().map(|delays| ("livekit-server".into(), percentile(delays, share))),
            goal: if name == "p99" { "<= 2 ms" } else { "-" },
        });
    }
    Ok(())
}

fn delays_ms(server: &ServerProcess, replay: &Replay) -> anyhow::Result<Vec<f64>> {
    let relay = Relay::start(&server.url, 1);
    let mut viewer = scene::enter(relay.url(), "delay", "viewer", true, false)?;
    let mut publisher = scene::publisher(relay.url(), "delay", replay)?;
    let mut pass = |time: Duration| {
        let started = Instant::now();
        while started.elapsed() < time {
            while viewer.try_event().is_some() || publisher.try_event().is_some() {}
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    // The bandwidth estimation comes to rest.
    pass(Duration::from_secs(4));
    let tap = relay.tap();
    pass(window());
    let seen: Vec<Seen> = tap.try_iter().collect();
    let of = |direction| -> Vec<Seen> {
        let way = seen.iter().filter(|seen| seen.direction == direction);
        // The picture is what most packets are of; probes and retransmissions have sources of their own.
        let mut counts: HashMap<u32, usize> = HashMap::new();
        way.clone().for_each(|seen| *counts.entry(seen.ssrc).or_default() += 1);
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(ssrc, _)| ssrc);
        way.filter(|seen| Some(seen.ssrc) == most).copied().collect()
    };
    let (inward, outward) = (of(Direction::Up), of(Direction::Down));
    let delays = paired(&inward, &outward);
    anyhow::ensure!(
        delays.len() * 2 > outward.len() && delays.len() > 100,
        "{} packets went in, {} came out, {} are the same",
        inward.len(),
        outward.len(),
        delays.len()
    );
    Ok(delays)
}

/// The server numbers anew, by one offset: the one for which most packets have just gone in.
fn paired(inward: &[Seen], outward: &[Seen]) -> Vec<f64> {
    let mut votes: HashMap<u16, usize> = HashMap::new();
    for out in outward.iter().take(VOTERS) {
        let before = inward.iter().filter(|seen| seen.at <= out.at && out.at - seen.at < LATEST);
        before.for_each(|seen| *votes.entry(out.sequence.wrapping_sub(seen.sequence)).or_default() += 1);
    }
    let Some(offset) = votes.into_iter().max_by_key(|(_, count)| *count).map(|(offset, _)| offset) else {
        return Vec::new();
    };
    let went_in: HashMap<u16, Instant> = inward.iter().map(|seen| (seen.sequence, seen.at)).collect();
    let took = |out: &Seen| out.at.checked_duration_since(*went_in.get(&out.sequence.wrapping_sub(offset))?);
    // A packet that was asked for again comes out twice; the first time counts.
    let mut known = HashSet::new();
    let fresh = outward.iter().filter(|out| known.insert(out.sequence));
    fresh.filter_map(took).map(|took| took.as_secs_f64() * 1000.0).collect()
}
