//! `make bench`: what Rotunda costs, beside what it is measured against, in one table. Every figure is the median of
//! several runs on this machine in this run; nothing here passes or fails.
//!
//! Arguments select measures by name, as [`MEASURES`] has them; none means all. `ROTUNDA_BENCH_SECS` (10) is how long
//! each picture or sound is watched. Without the `app` feature everything but the room's frame times and beauty is measured, which
//! spares an optimised build of Bevy.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports to the terminal")]

#[cfg(feature = "app")]
mod beauty;
mod binaural;
mod capture;
#[path = "../common/mod.rs"]
mod common;
mod cpu;
mod delay;
mod ear;
mod forward;
#[cfg(feature = "app")]
mod frames;
mod glass;
mod join;
mod loss;
mod memory;
mod pair;
mod receive;
mod recovery;
mod scene;
mod send;
mod table;

use std::path::Path;

use table::Table;

type Measure = fn(&mut Table) -> anyhow::Result<()>;

/// Every measure by its name.
const MEASURES: &[(&str, Measure)] = &[
    ("join", join::measure),
    ("receive", receive::measure),
    ("send", send::measure),
    ("forward", forward::measure),
    ("delay", delay::measure),
    #[cfg(feature = "app")]
    ("frames", frames::measure),
    #[cfg(feature = "app")]
    ("beauty", beauty::measure),
    ("glass", glass::measure),
    ("ear", ear::measure),
    ("binaural", binaural::measure),
    ("loss", loss::measure),
    ("recovery", recovery::measure),
    ("memory", memory::measure),
    ("capture", capture::measure),
];

fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| MEASURES.iter().all(|(known, _)| known != name)) {
        anyhow::bail!(
            "no measure {unknown}; there are: {}",
            MEASURES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
        );
    }
    let mut table = Table::default();
    let mut failed = Vec::new();
    for &(name, measure) in MEASURES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name} …");
            // What one measure found is not lost because another failed.
            if let Err(error) = measure(&mut table) {
                eprintln!("{name}: {error:#}");
                failed.push(name);
            }
        }
    }
    println!("{table}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    let (csv, plot) = table.write(&folder)?;
    println!("{}\n{}", csv.display(), plot.display());
    anyhow::ensure!(failed.is_empty(), "these measures failed: {}", failed.join(" "));
    Ok(())
}
