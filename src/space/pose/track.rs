//! The way of one person, from the poses that arrive now and then: shown a little late, so that there are mostly two to
//! move between. No clock: seconds are given.

use std::collections::VecDeque;
use std::f32::consts::PI;

use bevy::prelude::*;

/// How much later than it could be somebody's place is shown, in seconds: two packets and what their arrival varies.
const DELAY_SECS: f64 = 0.12;
/// Who walks tells it this often.
const SPACING_SECS: f64 = 0.05;
/// After a gap longer than this one stood still, and set off just before the next packet; shorter ones are lost packets.
const STOOD_SECS: f64 = 0.16;
/// Without news one is believed to come to rest, walking on for as far as this long would have brought them.
const WALK_ON_SECS: f64 = 0.05;
/// After this long the way may have become another one.
const FRESH_SECS: f64 = 1.0;
/// How fast the assumed delay of the network grows when packets come later, as a share of the difference per packet.
const LATER_SHARE: f64 = 0.05;
const MAX_SAMPLES: usize = 16;

/// A place and a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spot {
    /// On the floor, metres.
    pub ground: Vec2,
    /// To the left of -Z, radians.
    pub yaw: f32,
}

impl Spot {
    fn between(self, other: Self, share: f32) -> Self {
        let turn = (other.yaw - self.yaw + PI).rem_euclid(2.0 * PI) - PI;
        Self { ground: self.ground + (other.ground - self.ground) * share, yaw: self.yaw + turn * share }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    /// By the sender's clock, in seconds since its first packet.
    samples: VecDeque<(f64, Spot)>,
    newest_ms: u32,
    newest_at: f64,
    /// What has to be added to the sender's clock to get ours, with the shortest delay seen lately.
    offset_secs: f64,
}

impl Track {
    /// A packet: the sender's clock in ms, when it came here in seconds by our clock, and what it says. The packets come
    /// in order.
    pub(super) fn push(&mut self, sent_ms: u32, heard_secs: f64, spot: Spot) {
        let passed = f64::from(sent_ms.wrapping_sub(self.newest_ms)) / 1000.0;
        let at = if self.samples.is_empty() { 0.0 } else { self.newest_at + passed };
        let offset = heard_secs - at;
        if self.samples.is_empty() || passed > FRESH_SECS || offset < self.offset_secs {
            self.offset_secs = offset;
        } else {
            self.offset_secs += (offset - self.offset_secs) * LATER_SHARE;
        }
        if let Some((before, rested)) = self.samples.back().copied()
            && at - before > STOOD_SECS
        {
            self.samples.push_back((at - SPACING_SECS, rested));
        }
        self.samples.push_back((at, spot));
        while self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
        (self.newest_ms, self.newest_at) = (sent_ms, at);
    }

    /// Where to show them now, by our clock.
    pub(super) fn at(&self, now_secs: f64) -> Spot {
        let when = now_secs - self.offset_secs - DELAY_SECS;
        let after = self.samples.partition_point(|(at, _)| *at <= when);
        let sample = |index: usize| self.samples.get(index).copied();
        match (after.checked_sub(1).and_then(sample), sample(after)) {
            (Some((from, a)), Some((to, b))) => a.between(b, ((when - from) / (to - from)) as f32),
            (None, Some((_, first))) => first,
            (Some((newest, last)), None) => match after.checked_sub(2).and_then(sample) {
                Some((before, earlier)) if newest - before <= STOOD_SECS => {
                    let on = WALK_ON_SECS * (1.0 - (-(when - newest) / WALK_ON_SECS).exp());
                    earlier.between(last, (1.0 + on / (newest - before).max(1e-3)) as f32)
                }
                _ => last,
            },
            (None, None) => Spot::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEED: f64 = 3.0;

    fn spot(x: f64) -> Spot {
        Spot { ground: Vec2::new(x as f32, 0.0), yaw: 0.0 }
    }

    /// Somebody stands until 1 s, walks until 3 s, stands: packets as the engine sends them, with this delay each.
    /// Gives what is shown every 16 ms from 0.5 s to 4 s.
    fn watch(delay: impl Fn(u32) -> Option<f64>) -> Vec<(f64, f32)> {
        let place = |at: f64| (at.clamp(1.0, 3.0) - 1.0) * SPEED;
        let moving = (0..=40).map(|n| 1.0 + f64::from(n) * 0.05);
        let times: Vec<f64> = [0.0, 0.4].into_iter().chain(moving).chain([3.1, 3.5]).collect();
        let mut arrivals: Vec<(f64, u32, Spot)> = times
            .iter()
            .enumerate()
            .filter_map(|(n, at)| Some((at + delay(n as u32)?, (at * 1000.0) as u32, spot(place(*at)))))
            .collect();
        arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut track, mut newest, mut shown) = (Track::default(), None, Vec::new());
        let mut waiting = arrivals.into_iter().peekable();
        for frame in 0..250 {
            let now = f64::from(frame) * 0.016;
            while let Some((came, sent, spot)) = waiting.next_if(|(came, ..)| *came <= now) {
                // As the engine does: what is overtaken is dropped.
                if newest.is_none_or(|newest| sent > newest) {
                    track.push(sent.wrapping_add(u32::MAX - 1500), came, spot);
                    newest = Some(sent);
                }
            }
            if now > 0.5 {
                shown.push((now, track.at(now).ground.x));
            }
        }
        shown
    }

    fn steps(shown: &[(f64, f32)]) -> impl Iterator<Item = f32> {
        shown.windows(2).map(|pair| pair[1].1 - pair[0].1)
    }

    #[test]
    fn on_a_steady_way_the_walk_is_even_and_a_tenth_of_a_second_late() {
        let shown = watch(|_| Some(0.040));
        let even = SPEED as f32 * 0.016;
        assert!(steps(&shown).all(|step| (-1e-3..even * 1.1).contains(&step)), "{shown:?}");
        let (passed_3m, _) = shown.iter().find(|(_, x)| *x >= 3.0).unwrap();
        assert!((2.1..2.25).contains(passed_3m), "shown at {passed_3m} what was at 2.0");
        assert_eq!(shown.last().unwrap().1, 6.0, "and ends where they stand");
        assert!(shown.iter().all(|(_, x)| *x <= 6.01), "without passing it");
    }

    #[test]
    fn jitter_and_loss_make_no_leaps() {
        let jitter = |n: u32| f64::from(n * 7919 % 60) / 1000.0;
        let lossy = watch(|n| (n * 31 % 10 != 3 || n < 2).then(|| 0.030 + jitter(n)));
        let most = steps(&lossy).fold(0.0, f32::max);
        let back = steps(&lossy).fold(0.0, f32::min);
        assert!(most < 0.20 && back > -0.16, "{most} forward and {back} back in one frame of 16 ms");
        assert!((lossy.last().unwrap().1 - 6.0).abs() < 0.01);
    }

    #[test]
    fn without_news_one_comes_to_rest() {
        let mut track = Track::default();
        for n in 0..5_u32 {
            track.push(n * 50, f64::from(n) * 0.05, spot(f64::from(n) * 0.15));
        }
        let x = |now: f64| track.at(now).ground.x;
        assert!((x(0.2 + DELAY_SECS) - 0.6).abs() < 1e-3);
        assert!((0.66..0.74).contains(&x(0.25 + DELAY_SECS)), "on for a moment");
        assert!((x(9.0) - 0.75).abs() < 1e-3, "no further");
    }

    #[test]
    fn turning_takes_the_short_way() {
        let mut track = Track::default();
        track.push(0, 0.0, Spot { ground: Vec2::ZERO, yaw: 3.1 });
        track.push(50, 0.05, Spot { ground: Vec2::ZERO, yaw: -3.1 });
        let yaw = track.at(0.025 + DELAY_SECS).yaw;
        assert!((yaw.abs() - PI).abs() < 0.05, "{yaw}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut track = Track::default();
        for n in 0..10_000_u32 {
            track.push(n * 200, f64::from(n) * 0.2, spot(1.0));
        }
        assert!(track.samples.len() <= MAX_SAMPLES);
        assert_eq!(Track::default().at(5.0), Spot::default());
    }
}
