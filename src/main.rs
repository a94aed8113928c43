//! The `rotunda` command: reads the command line, carries it out, reports.

mod cli;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    cli::memory::keep_together();
    let cli = cli::Cli::parse();
    log_to_stderr();
    if let Err(error) = cli.run() {
        report(&error);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What is shown unless `RUST_LOG` asks for something else: warnings of ours, and errors of others. The WebRTC stack takes
/// each report that comes after its track's end for one, and each answer that comes after an address was left; what goes
/// wrong in a connection we tell ourselves.
const LOGGED: &str = "error,webrtc::peer_connection::driver=off,rtc_ice=off,rotunda=warn";

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .compact()
        .init();
}

/// The last word of a command that failed: the whole chain of causes in one line.
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
fn report(error: &anyhow::Error) {
    eprintln!("rotunda: {error:#}");
}
