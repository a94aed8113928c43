//! What to do next when a connection broke: a state machine without I/O, clock or chance of its own. `reconnect` carries
//! out what it says.
//!
//! First the link is taken up again (a *resume*): WebSocket, then media path. When the server has forgotten us, or that
//! does not succeed in time, a fresh login follows, and when that does not succeed either, the call ends.

use std::time::{Duration, Instant};

/// Attempts before giving up, of either kind, as LiveKit's clients make (LIVEKIT.md section 7).
const ATTEMPTS: u32 = 10;
/// The n-th pause is n² times this, up to the longest (as LiveKit's clients do).
const PAUSE_STEP: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(7);
/// Up to this much is added, so that a room does not come back all at once.
const JITTER: Duration = Duration::from_millis(500);
/// After this long no server keeps the session any more (10 + 5 + 5 s, and some for a way that broke half).
const RESUME_WINDOW: Duration = Duration::from_secs(30);
/// With other servers to turn to, the one that cannot be reached is waited for only this long.
const ONE_OF_MANY: Duration = Duration::from_secs(4);
/// The media path may take this long after the WebSocket is back: servers give it up after 15 s.
const MEDIA_PATIENCE: Duration = Duration::from_secs(10);
/// A media path that stays broken this often while the WebSocket works will not come back on this link.
const MEDIA_ATTEMPTS: u32 = 2;
/// Servers that cannot be reached at all are waited for this long, from the moment the connection broke.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the link is being taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// An attempt to get a WebSocket is under way.
    Signalling,
    /// The WebSocket is back, the media path must follow by then.
    Media { until: Instant },
}

/// What happened to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// The server was waited for in vain.
    Unreachable,
    /// It broke on the way.
    Broke,
    /// The server knows nothing of us.
    Forgotten,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try to take the link up again after a pause, waiting at most so long for the server to be reachable.
    Resume { after: Duration, patience: Duration },
    /// Let the link go and log in anew.
    Login,
}

/// A link that is being taken up again.
#[derive(Debug)]
pub(super) struct Recovery {
    began: Instant,
    attempts: u32,
    media_attempts: u32,
    one_of_many: bool,
    phase: Phase,
}

impl Recovery {
    /// The connection broke. With `one_of_many` the login named other servers, too.
    pub(super) fn begin(now: Instant, one_of_many: bool) -> (Self, Next) {
        let recovery = Self { began: now, attempts: 1, media_attempts: 0, one_of_many, phase: Phase::Signalling };
        let patience = recovery.patience(now);
        (recovery, Next::Resume { after: Duration::ZERO, patience })
    }

    /// When the connection broke.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The WebSocket is back.
    pub(super) fn signalling_back(&mut self, now: Instant) {
        self.media_attempts += 1;
        self.phase = Phase::Media { until: now + MEDIA_PATIENCE };
    }

    /// Whether the WebSocket is back and the media path is not yet.
    pub(super) fn awaits_media(&self) -> bool {
        matches!(self.phase, Phase::Media { .. })
    }

    /// Whether the media path has taken too long.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Media { until } if now >= until)
    }

    /// The attempt failed; `chance` spreads the next.
    pub(super) fn failed(&mut self, setback: Setback, now: Instant, chance: u8) -> Next {
        let spent = self.attempts >= ATTEMPTS
            || self.media_attempts >= MEDIA_ATTEMPTS
            || now.saturating_duration_since(self.began) >= RESUME_WINDOW;
        if spent || setback != Setback::Broke {
            return Next::Login;
        }
        let after = pause(self.attempts, chance);
        self.attempts += 1;
        self.phase = Phase::Signalling;
        Next::Resume { after, patience: self.patience(now) }
    }

    fn patience(&self, now: Instant) -> Duration {
        let left = RESUME_WINDOW.saturating_sub(now.saturating_duration_since(self.began));
        if self.one_of_many { left.min(ONE_OF_MANY) } else { left }
    }
}

/// Logging in anew, again and again.
#[derive(Debug)]
pub(super) struct Relogin {
    began: Instant,
    attempts: u32,
}

impl Relogin {
    /// Begins; the connection broke at `began`.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, attempts: 0 }
    }

    /// How long to wait for a server to be reachable; `None` when it has been too long already.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        let left = PATIENCE.checked_sub(now.saturating_duration_since(self.began)).filter(|left| !left.is_zero());
        // A server that lets us down again and again is given up by the count, not by the time.
        left.or((self.attempts > 0).then_some(LONGEST_PAUSE))
    }

    /// The pause before the next attempt; `None` when there have been enough.
    pub(super) fn next_pause(&mut self, chance: u8) -> Option<Duration> {
        let pause = pause(self.attempts, chance);
        self.attempts += 1;
        (self.attempts <= ATTEMPTS).then_some(pause)
    }

    /// Attempts so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.min(ATTEMPTS)
    }
}

/// The pause before an attempt; `chance` spreads it.
fn pause(attempt: u32, chance: u8) -> Duration {
    (PAUSE_STEP * attempt * attempt).min(LONGEST_PAUSE) + JITTER * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_broken_link_is_taken_up_again_at_once() {
        let now = Instant::now();
        let (mut recovery, next) = Recovery::begin(now, false);
        assert_eq!(next, Next::Resume { after: Duration::ZERO, patience: RESUME_WINDOW });
        assert!(!recovery.awaits_media() && !recovery.is_overdue(now + 100 * SECOND));
        recovery.signalling_back(now + SECOND);
        assert!(recovery.awaits_media() && !recovery.is_overdue(now + 10 * SECOND));
        assert!(recovery.is_overdue(now + 11 * SECOND));
    }

    #[test]
    fn failures_are_followed_by_growing_pauses_and_then_a_login() {
        let mut now = Instant::now();
        let (mut recovery, _) = Recovery::begin(now, false);
        let mut last = Duration::ZERO;
        let mut resumes = 0;
        while let Next::Resume { after, patience } = recovery.failed(Setback::Broke, now, 0) {
            assert!(after > last && patience <= RESUME_WINDOW);
            last = after;
            now += after;
            resumes += 1;
        }
        assert!((4..ATTEMPTS).contains(&resumes), "{resumes} within the window");
        assert!(now.saturating_duration_since(recovery.began()) < RESUME_WINDOW + LONGEST_PAUSE);
    }

    #[test]
    fn a_server_that_forgot_us_or_is_gone_is_logged_into() {
        let now = Instant::now();
        for setback in [Setback::Forgotten, Setback::Unreachable] {
            let (mut recovery, _) = Recovery::begin(now, false);
            assert_eq!(recovery.failed(setback, now, 9), Next::Login);
        }
        let (_, next) = Recovery::begin(now, true);
        assert_eq!(next, Next::Resume { after: Duration::ZERO, patience: ONE_OF_MANY }, "there are others");
    }

    #[test]
    fn a_media_path_that_stays_broken_ends_the_link() {
        let now = Instant::now();
        let (mut recovery, _) = Recovery::begin(now, false);
        recovery.signalling_back(now);
        assert!(matches!(recovery.failed(Setback::Broke, now + 10 * SECOND, 0), Next::Resume { .. }));
        assert!(!recovery.awaits_media());
        recovery.signalling_back(now + 11 * SECOND);
        assert_eq!(recovery.failed(Setback::Broke, now + 21 * SECOND, 0), Next::Login);
    }

    #[test]
    fn logins_are_tried_ten_times_or_for_a_minute() {
        let now = Instant::now();
        let mut relogin = Relogin::new(now);
        assert_eq!(relogin.patience(now + 10 * SECOND), Some(PATIENCE - 10 * SECOND));
        assert_eq!(relogin.patience(now + PATIENCE), None, "nothing was reachable for a minute");
        let pauses: Vec<Duration> = std::iter::from_fn(|| relogin.next_pause(255)).collect();
        assert_eq!(pauses.len(), ATTEMPTS as usize);
        assert_eq!(pauses[0], JITTER, "the first goes out at once");
        assert!(pauses.iter().sum::<Duration>() < PATIENCE, "giving up takes {pauses:?}");
        assert!(relogin.patience(now + 2 * PATIENCE).is_some(), "the count decides once a server answered");
        assert_eq!(relogin.attempts(), ATTEMPTS);
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(pause(0, 0), Duration::ZERO);
        assert_eq!(pause(2, 0), Duration::from_millis(1200));
        assert_eq!(pause(9, 0), LONGEST_PAUSE);
        assert_eq!(pause(9, 255), LONGEST_PAUSE + JITTER);
    }
}
