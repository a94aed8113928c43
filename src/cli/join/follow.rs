//! Following a call that is not drawn: prints what happens when asked to, and keeps the call's token fresh. Runs on the
//! thread that waits for the call's end.

use std::time::{Duration, Instant};

use rotunda::bridge::{EngineHandle, RoomCommand, RoomEvent};
use rotunda::client::headless::{HeadlessCall, Watch};
use rotunda::protocol::token::TokenRequest;

use crate::cli::{progress, say, token};

/// Figures are printed this often: qualities cover as much time.
const FIGURES_EVERY: Duration = Duration::from_secs(3);

/// Whoever follows a call from the terminal.
pub struct Follower {
    /// Puts the call into words, when it is watched.
    watch: Option<Watch>,
    /// Makes a token like the one the call began with; `None` for one that was given.
    renewal: Option<TokenRequest>,
    started: Instant,
    figures_told: Instant,
}

impl Follower {
    /// Prints nothing unless `watch` is set; renews the token if it knows how.
    pub fn new(watch: bool, renewal: Option<TokenRequest>) -> Self {
        let now = Instant::now();
        Self { watch: watch.then(Watch::default), renewal, started: now, figures_told: now }
    }

    /// Something happened in the call.
    pub fn hear(&mut self, event: &RoomEvent, engine: &EngineHandle) {
        if let Some(watch) = &mut self.watch {
            let line = watch.event(event);
            self.tell(&line);
        }
        if let RoomEvent::TokenExpiring { in_secs } = event {
            self.renew(*in_secs, engine);
        }
    }

    /// Prints the figures when they are due.
    pub fn tick(&mut self, call: &HeadlessCall) {
        let Some(watch) = self.watch.as_ref().filter(|_| self.figures_told.elapsed() >= FIGURES_EVERY) else { return };
        for line in watch.figures(&call.snapshot()) {
            self.tell(&line);
        }
        self.figures_told = Instant::now();
    }

    fn tell(&self, line: &str) {
        say(format_args!("{:>8.1} {line}", self.started.elapsed().as_secs_f32()));
    }

    fn renew(&self, in_secs: u64, engine: &EngineHandle) {
        let Some(request) = &self.renewal else {
            progress(format_args!(
                "The token ends in {in_secs} s. The call goes on, but cannot come back after a break then: \
                 get a fresh token from the room's host, and join again with it (--token)."
            ));
            return;
        };
        match ask_renewal(request, engine) {
            Ok(()) => progress("The token was about to end and was renewed."),
            Err(error) => progress(format_args!("The token ends in {in_secs} s and cannot be renewed: {error:#}")),
        }
    }
}

fn ask_renewal(request: &TokenRequest, engine: &EngineHandle) -> anyhow::Result<()> {
    engine.send(RoomCommand::RenewToken(token::issue(request)?))?;
    Ok(())
}
