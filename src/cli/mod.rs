//! The command line: what each command takes, and its checks. The names and outputs here stay stable.

mod args;
#[cfg(feature = "app")]
mod beauty;
#[cfg(feature = "client")]
mod check;
#[cfg(feature = "app")]
mod demo;
#[cfg(feature = "client")]
mod devices;
#[cfg(feature = "client")]
mod join;
#[cfg(feature = "app")]
mod look;
pub mod memory;
#[cfg(any(feature = "client", feature = "server"))]
mod runtime;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "client")]
mod sources;
#[cfg(feature = "app")]
mod start;
#[cfg(any(feature = "client", feature = "server"))]
mod token;

use clap::{Parser, Subcommand};

/// An immersive call room: people meet in a 3D hall, over the LiveKit protocol, with the server built in.
#[derive(Debug, Parser)]
#[command(name = "rotunda", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open the lobby: choose a name, a camera and a room (this is what happens without a command, too).
    #[cfg(feature = "app")]
    Start(Box<start::StartArgs>),
    /// Open a room with an embedded server and generated guests.
    #[cfg(feature = "app")]
    Demo(demo::DemoArgs),
    /// Run the room server alone.
    #[cfg(feature = "server")]
    Serve(serve::ServeArgs),
    /// Join a room on a LiveKit-compatible server.
    #[cfg(feature = "client")]
    Join(Box<join::JoinArgs>),
    /// Make an access token.
    #[cfg(any(feature = "client", feature = "server"))]
    Token(token::TokenArgs),
    /// Try what calls need on this machine: devices, screen sharing, codecs, graphics.
    #[cfg(feature = "client")]
    Check(check::CheckArgs),
    /// Retouch a picture as a camera's would be.
    #[cfg(feature = "app")]
    Beauty(beauty::BeautyArgs),
    /// List what this machine has for calls.
    #[cfg(feature = "client")]
    Devices(devices::DevicesArgs),
}

impl Cli {
    /// Carries the command out.
    ///
    /// # Errors
    /// What went wrong, as a sentence that says what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let Some(command) = self.command else { return without_command() };
        match command {
            #[cfg(feature = "app")]
            Command::Start(args) => start::run(*args),
            #[cfg(feature = "app")]
            Command::Demo(args) => demo::run(args),
            #[cfg(feature = "server")]
            Command::Serve(args) => serve::run(&args),
            #[cfg(feature = "client")]
            Command::Join(args) => join::run(*args),
            #[cfg(any(feature = "client", feature = "server"))]
            Command::Token(args) => token::run(&args),
            #[cfg(feature = "client")]
            Command::Check(args) => check::run(&args),
            #[cfg(feature = "app")]
            Command::Beauty(args) => beauty::run(&args),
            #[cfg(feature = "client")]
            Command::Devices(args) => devices::run(&args),
        }
    }
}

/// The lobby, as it is without any options.
#[cfg(feature = "app")]
fn without_command() -> anyhow::Result<()> {
    let start = Cli::try_parse_from(["rotunda", "start"])?;
    start.run()
}

/// There is no window here to begin in.
#[cfg(not(feature = "app"))]
fn without_command() -> anyhow::Result<()> {
    anyhow::bail!("say what to do: rotunda --help lists it")
}

/// Prints a line for the user. Standard output carries results only; progress and logs go to standard error.
fn say(line: impl std::fmt::Display) {
    write_line(std::io::stdout(), line);
}

/// Prints a line of progress.
#[cfg(any(feature = "client", feature = "server"))]
fn progress(line: impl std::fmt::Display) {
    write_line(std::io::stderr(), line);
}

/// A reader that has gone away (`rotunda serve | head -1`) must not end a call.
fn write_line(mut to: impl std::io::Write, line: impl std::fmt::Display) {
    if let Err(error) = writeln!(to, "{line}") {
        tracing::debug!(%error, "nobody reads what is printed");
    }
}
