//! When the own pose is told, and to whom. No I/O; time is an input: how long after any one fixed moment something
//! happens, and chance is one, too.
//!
//! - Who moves tells it at most [`RATE_HZ`] times a second, over the lossy channel.
//! - Who stops says so again after 0.1, 0.4 and 1.6 s, then every five seconds or so while standing: what got lost is
//!   mended, and late joiners learn it. A large room is told more rarely, so that all who stand together never fill the
//!   way.
//! - Who sits down says so once, over the reliable channel, and then nothing: a seat is where people are anyway.
//! - A newcomer is told by everyone who stands, reliably, each after a pause of its own.

use std::time::Duration;

use crate::model::{Pose, UserId};

/// Poses a second, at most.
pub const RATE_HZ: u32 = 20;
const SPACING: Duration = Duration::from_millis(1000 / RATE_HZ as u64);
/// How long after the last packet the same is said again, the first times; later every [`PosePace::rest`].
const AGAIN: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];
const REST_SHORTEST: Duration = Duration::from_secs(5);
/// What one more person adds to the pause once it is longer than the shortest.
const REST_PER_PERSON: Duration = Duration::from_millis(100);
/// A newcomer is told after this and up to as much again: their data channels open first.
const GREETING: Duration = Duration::from_secs(1);
/// Newcomers greeted at once; further ones learn it from what is said to everyone.
const MAX_GREETED: usize = 64;
/// What could not be sent is tried again after this.
const RETRY: Duration = Duration::from_millis(200);

/// What is to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Where this client is.
    pub pose: Pose,
    /// Over the reliable channel.
    pub reliable: bool,
    /// To whom; everyone when empty.
    pub to: Vec<UserId>,
}

/// See the module.
#[derive(Debug)]
pub struct PosePace {
    pose: Pose,
    /// What everyone knows; `None` when that is not sure.
    told: Option<Pose>,
    /// When it was told last.
    last: Option<Duration>,
    /// How often it was said again since.
    again: usize,
    newcomers: Vec<UserId>,
    greet_at: Option<Duration>,
    online: u32,
}

impl Default for PosePace {
    /// Everyone believes that we sit, and that is so.
    fn default() -> Self {
        Self {
            pose: Pose::Seated,
            told: Some(Pose::Seated),
            last: None,
            again: 0,
            newcomers: Vec::new(),
            greet_at: None,
            online: 1,
        }
    }
}

impl PosePace {
    /// The own pose as it is now.
    pub fn set(&mut self, pose: Pose) {
        self.pose = pose;
        if pose == Pose::Seated {
            // That is what newcomers believe anyway.
            self.newcomers.clear();
            self.greet_at = None;
        }
    }

    /// A fresh login: everyone believes that we sit.
    pub fn new_link(&mut self) {
        *self = Self { pose: self.pose, online: self.online, ..Self::default() };
    }

    /// How many people are in the room.
    pub fn set_online(&mut self, online: u32) {
        self.online = online;
    }

    /// Somebody came; `chance` (0..1) spreads the greetings of many.
    pub fn came(&mut self, user: &UserId, now: Duration, chance: f32) {
        if self.pose == Pose::Seated {
            return;
        }
        if self.newcomers.len() < MAX_GREETED && !self.newcomers.contains(user) {
            self.newcomers.push(user.clone());
        }
        let at = now + GREETING + GREETING.mul_f32(chance.clamp(0.0, 1.0));
        // The first who came does not wait for the last; whoever came after them is greeted with them.
        self.greet_at.get_or_insert(at);
    }

    /// Somebody went.
    pub fn went(&mut self, user: &UserId) {
        self.newcomers.retain(|newcomer| newcomer != user);
    }

    /// How long a pose that does not change is not said again: five seconds, more in rooms of more than fifty.
    pub fn rest(&self) -> Duration {
        REST_SHORTEST.max(REST_PER_PERSON * self.online)
    }

    /// When something has to be told next; `None` while nothing has.
    pub fn due(&self) -> Option<Duration> {
        let stands = self.pose != Pose::Seated;
        let pause = if self.told != Some(self.pose) {
            Some(SPACING)
        } else {
            stands.then(|| AGAIN.get(self.again).copied().unwrap_or_else(|| self.rest()))
        };
        let to_all = pause.map(|pause| self.last.map_or(Duration::ZERO, |last| last + pause));
        let greeting = self.greet_at.filter(|_| stands && !self.newcomers.is_empty());
        to_all.into_iter().chain(greeting).min()
    }

    /// What is to be sent now, if anything is due.
    pub fn take(&mut self, now: Duration) -> Option<Telling> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        if self.greet_at.is_some_and(|at| at <= now) {
            self.greet_at = None;
            let to = std::mem::take(&mut self.newcomers);
            if !to.is_empty() {
                return Some(Telling { pose: self.pose, reliable: true, to });
            }
        }
        self.again = if self.told == Some(self.pose) { (self.again + 1).min(AGAIN.len()) } else { 0 };
        self.told = Some(self.pose);
        self.last = Some(now);
        Some(Telling { pose: self.pose, reliable: self.pose == Pose::Seated, to: Vec::new() })
    }

    /// It could not be sent.
    pub fn failed(&mut self, telling: Telling, now: Duration) {
        if telling.to.is_empty() {
            self.told = None;
            self.last = Some(now + RETRY);
        } else {
            self.newcomers.extend(telling.to);
            self.newcomers.truncate(MAX_GREETED);
            self.greet_at = Some(now + RETRY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stand;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn standing(x_m: f32) -> Pose {
        Pose::Standing(Stand::new(x_m, 0.0, 0.0).unwrap())
    }

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    /// What is sent from `from` to `to`, looked at every millisecond; `pose` says where we are.
    fn run(pace: &mut PosePace, from: u64, to: u64, pose: impl Fn(u64) -> Pose) -> Vec<(u64, Telling)> {
        let mut sent = Vec::new();
        for ms in from..to {
            pace.set(pose(ms));
            sent.extend(pace.take(at(ms)).map(|telling| (ms, telling)));
        }
        sent
    }

    #[test]
    fn who_sits_is_silent_whoever_comes() {
        let mut pace = PosePace::default();
        pace.came(&user("bob"), at(0), 0.0);
        assert!(run(&mut pace, 0, 60_000, |_| Pose::Seated).is_empty());
        assert_eq!(pace.due(), None, "and nothing wakes up for it");
    }

    #[test]
    fn who_walks_tells_it_twenty_times_a_second_and_who_stands_hardly_ever() {
        let mut pace = PosePace::default();
        let walk = |ms: u64| standing(ms.min(2000) as f32 * 0.0014);
        let sent = run(&mut pace, 0, 60_000, walk);
        let walking = sent.iter().filter(|(ms, _)| *ms <= 2000).count();
        assert!((40..=41).contains(&walking), "{walking} in two seconds");
        let after: Vec<u64> = sent.iter().map(|(ms, _)| *ms).filter(|ms| *ms > 2000).collect();
        let (last_moving, _) = sent[walking - 1];
        assert!(after[0] - last_moving <= 100, "the stop is said at once: {after:?}");
        assert!((12..=16).contains(&after.len()), "{after:?}");
        assert!(sent.iter().all(|(_, telling)| !telling.reliable && telling.to.is_empty()));
    }

    #[test]
    fn sitting_down_is_said_once_and_surely() {
        let mut pace = PosePace::default();
        let sent = run(&mut pace, 0, 30_000, |ms| if ms < 1000 { standing(1.0) } else { Pose::Seated });
        let (_, last) = sent.last().unwrap();
        assert_eq!(*last, Telling { pose: Pose::Seated, reliable: true, to: vec![] });
        assert_eq!(sent.iter().filter(|(_, telling)| telling.pose == Pose::Seated).count(), 1);
    }

    #[test]
    fn newcomers_are_told_by_each_at_another_time() {
        let greeted = |chance| {
            let mut pace = PosePace::default();
            run(&mut pace, 0, 10_000, |_| standing(1.0));
            pace.came(&user("bob"), at(10_000), chance);
            pace.came(&user("cid"), at(10_300), chance);
            let sent = run(&mut pace, 10_000, 13_000, |_| standing(1.0));
            let greeting: Vec<_> = sent.into_iter().filter(|(_, telling)| !telling.to.is_empty()).collect();
            assert_eq!(greeting.len(), 1, "both at once");
            assert_eq!(greeting[0].1.to, [user("bob"), user("cid")]);
            assert!(greeting[0].1.reliable);
            greeting[0].0
        };
        assert_eq!((greeted(0.0), greeted(0.5), greeted(1.0)), (11_000, 11_500, 12_000));
    }

    #[test]
    fn what_was_not_sent_is_tried_again_and_a_fresh_login_is_told_anew() {
        let mut pace = PosePace::default();
        pace.set(standing(1.0));
        let telling = pace.take(at(0)).unwrap();
        pace.failed(telling, at(0));
        assert_eq!(pace.take(at(100)), None, "not at once");
        assert!(pace.take(at(400)).is_some());
        pace.set(Pose::Seated);
        let telling = pace.take(at(500)).unwrap();
        pace.failed(telling, at(500));
        assert!(pace.take(at(900)).is_some_and(|telling| telling.pose == Pose::Seated), "sitting down, too");
        pace.set(standing(2.0));
        assert!(pace.take(at(1000)).is_some());
        pace.new_link();
        assert!(pace.take(at(1001)).is_some(), "nobody there knows it");
    }

    #[test]
    fn a_large_room_is_told_more_rarely() {
        let mut pace = PosePace::default();
        assert_eq!(pace.rest(), Duration::from_secs(5));
        pace.set_online(300);
        assert_eq!(pace.rest(), Duration::from_secs(30));
    }

    #[test]
    fn nobody_is_greeted_who_has_gone() {
        let mut pace = PosePace::default();
        pace.set(standing(1.0));
        pace.take(at(0));
        for n in 0..500 {
            pace.came(&user(&format!("u{n}")), at(1), 0.0);
        }
        assert_eq!(pace.newcomers.len(), MAX_GREETED);
        for n in 0..500 {
            pace.went(&user(&format!("u{n}")));
        }
        let sent = run(&mut pace, 1, 5000, |_| standing(1.0));
        assert!(sent.iter().all(|(_, telling)| telling.to.is_empty()));
    }
}
