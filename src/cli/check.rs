//! `rotunda check`: what works for calls on this machine, and what to do about the rest.

use clap::Args;
use rotunda::client::requirements::{Requirement, check_system_requirements};

use super::say;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let mut requirements = check_system_requirements();
    requirements.extend(graphics());
    if args.json {
        say(serde_json::to_string_pretty(&requirements)?);
        return Ok(());
    }
    for requirement in &requirements {
        say(requirement);
    }
    Ok(())
}

/// Whether the room can be drawn.
#[cfg(feature = "app")]
fn graphics() -> Option<Requirement> {
    use rotunda::client::requirements::Part;
    use rotunda::space::host::check_gpu;
    Some(match check_gpu() {
        Ok(gpu) if gpu.software => {
            Requirement::works(Part::Gpu, format!("{}, in software: the room is drawn plainly", gpu.name))
        }
        Ok(gpu) => Requirement::works(Part::Gpu, gpu.name),
        Err(error) => Requirement::missing(Part::Gpu, error.to_string(), "calls without the room work: --no-render"),
    })
}

#[cfg(not(feature = "app"))]
fn graphics() -> Option<Requirement> {
    None
}
