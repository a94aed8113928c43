//! `make bench`: what Rotunda costs, beside what it is measured against, in one table. Every figure is the median of
//! several runs on this machine in this run; nothing here passes or fails.
//!
//! Arguments select measures by name (`receive`, `forward`, `frames`, `join`, `capture`); none means all.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports to the terminal")]

mod capture;
mod cpu;
mod forward;
mod frames;
mod join;
mod receive;
mod scene;
mod table;

use std::path::Path;

use table::Table;

fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let mut table = Table::default();
    type Measure = fn(&mut Table) -> anyhow::Result<()>;
    let measures: [(&str, Measure); 5] = [
        ("join", join::measure),
        ("receive", receive::measure),
        ("forward", forward::measure),
        ("frames", frames::measure),
        ("capture", capture::measure),
    ];
    for (name, measure) in measures {
        if wants(name) {
            eprintln!("measuring {name} …");
            measure(&mut table)?;
        }
    }
    println!("{table}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    let (csv, plot) = table.write(&folder)?;
    println!("{}\n{}", csv.display(), plot.display());
    Ok(())
}
