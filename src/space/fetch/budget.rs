//! Sharing what the way to this client carries among the pictures it wants: the share that was stepped up to first,
//! then who speaks, then other shares, then by the pixels a picture covers. Plain data; time is an input.
//!
//! The server measures the way and holds back what does not fit, and knows nothing of what matters here. So its word is
//! taken: while it lets a picture wait for want of bandwidth, what arrives is what the way carries, and the wishes are
//! cut down to that in the room's own order. When nothing waits any more the budget grows until it no longer matters.

use std::time::Duration;

use super::want::Want;

/// What a picture of 1280 x 720 usually takes, in kbit/s; others by their pixels to the power of [`RATE_EXPONENT`].
const USUAL_KBPS: f32 = 1700.0;
const USUAL_PIXELS: f32 = 1280.0 * 720.0;
const RATE_EXPONENT: f32 = 0.75;
/// Raising a picture needs so much more than it takes, so that it does not flap.
const RAISE_MARGIN: f32 = 1.15;
/// A budget is never taken for less, in kbit/s: what arrives just after a break says nothing.
const LEAST_KBPS: f32 = 300.0;
/// What the budget grows by each second once nothing waits, as a factor, and how long it keeps still before.
const GROWTH_PER_SEC: f32 = 1.10;
const STILL: Duration = Duration::from_secs(3);

/// What matters more, first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The share that was stepped up to.
    SteppedUp,
    /// In view, and its owner speaks.
    Speaking,
    /// Any other share in view.
    Share,
    /// Whoever else is in view.
    InView,
    /// What is not seen now: it gets what the others leave.
    #[default]
    Unseen,
}

/// One picture that wants bandwidth.
#[derive(Clone, Copy, Debug)]
pub struct Claim<K> {
    /// Whose.
    pub key: K,
    /// How much it matters.
    pub rank: Rank,
    /// Square pixels it covers.
    pub area_px: f32,
    /// What it wants.
    pub want: Want,
    /// What it had before.
    pub had: Want,
    /// Its announced size, in pixels.
    pub announced: (u32, u32),
    /// What arrives of it as it is fetched now, in kbit/s; 0 when that is not known.
    pub kbps: f32,
    /// What it gets: decided by [`share`].
    pub given: Want,
}

impl<K> Claim<K> {
    /// What so much of it takes, in kbit/s: as it has shown, else as usual.
    fn cost_kbps(&self, want: Want) -> f32 {
        let pixels = want.pixels(self.announced) as f32;
        let known = (self.had.pixels(self.announced) as f32, self.kbps);
        let (of_pixels, kbps) = if known.0 > 0.0 && known.1 > 0.0 { known } else { (USUAL_PIXELS, USUAL_KBPS) };
        kbps * (pixels / of_pixels).powf(RATE_EXPONENT)
    }

    /// Gives it more when that fits into `left_kbps`.
    fn raise(&mut self, to: Want, left_kbps: &mut f32) -> bool {
        let extra = self.cost_kbps(to) - self.cost_kbps(self.given);
        let margin = if self.had >= to { 1.0 } else { RAISE_MARGIN };
        let fits = extra * margin <= *left_kbps;
        if fits {
            self.given = to;
            *left_kbps -= extra;
        }
        fits
    }
}

/// Puts claims in order, what matters most first, and decides what each gets of `budget_kbps` (`None`: all it wants).
/// Everyone who is seen gets the smallest before anyone but the first gets more.
pub fn share<K: Copy + Ord>(claims: &mut [Claim<K>], budget_kbps: Option<f32>) {
    claims.sort_unstable_by(|a, b| {
        a.rank.cmp(&b.rank).then(b.area_px.total_cmp(&a.area_px)).then_with(|| a.key.cmp(&b.key))
    });
    let Some(budget) = budget_kbps else {
        claims.iter_mut().for_each(|claim| claim.given = claim.want);
        return;
    };
    let mut left = budget.max(LEAST_KBPS);
    claims.iter_mut().for_each(|claim| claim.given = Want::Paused);
    let unseen = claims.partition_point(|claim| claim.rank < Rank::Unseen);
    for claim in &mut claims[..unseen] {
        let most = if claim.rank == Rank::SteppedUp { claim.want } else { claim.want.min(Want::Small) };
        raise_up_to(claim, most, &mut left);
    }
    for claim in claims {
        raise_up_to(claim, claim.want, &mut left);
    }
}

fn raise_up_to<K>(claim: &mut Claim<K>, most: Want, left_kbps: &mut f32) {
    while let Some(larger) = claim.given.larger().filter(|larger| *larger <= most) {
        if !claim.raise(larger, left_kbps) {
            return;
        }
    }
}

/// What the way to this client carries, as far as the server's word tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate {
    kbps: Option<f32>,
    quiet_since: Option<Duration>,
    noted: Duration,
}

impl Estimate {
    /// The budget in kbit/s; `None` while nothing says that there is one.
    pub fn kbps(&self) -> Option<f32> {
        self.kbps
    }

    /// Takes note, at `now`, of whether the server lets a picture wait, of what arrives and of what all that is wanted
    /// would take, both in kbit/s.
    pub fn note(&mut self, waits: bool, received_kbps: f32, wanted_kbps: f32, now: Duration) {
        let passed = now.saturating_sub(self.noted).as_secs_f32().min(1.0);
        self.noted = now;
        if waits {
            // Nothing at all means that nothing was measured yet.
            if received_kbps > 0.0 {
                let arrives = received_kbps.max(LEAST_KBPS);
                self.kbps = Some(self.kbps.map_or(arrives, |before| before.min(arrives)));
            }
            self.quiet_since = None;
            return;
        }
        let Some(kbps) = self.kbps else { return };
        let quiet = now.saturating_sub(*self.quiet_since.get_or_insert(now)) >= STILL;
        let grown = if quiet { kbps * GROWTH_PER_SEC.powf(passed) } else { kbps };
        // With this much to spare it changes nothing any more.
        self.kbps = Some(grown).filter(|grown| *grown < wanted_kbps * RAISE_MARGIN * RAISE_MARGIN);
    }
}

/// What all claims would take together, in kbit/s.
pub fn wanted_kbps<K>(claims: &[Claim<K>]) -> f32 {
    claims.iter().map(|claim| claim.cost_kbps(claim.want)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(key: u32, rank: Rank, want: Want) -> Claim<u32> {
        let area_px = 100_000.0 - key as f32;
        Claim { key, rank, area_px, want, had: want, announced: (1280, 720), kbps: 0.0, given: Want::Paused }
    }

    /// What each got, by its key.
    fn given(mut claims: Vec<Claim<u32>>, budget: f32) -> Vec<Want> {
        share(&mut claims, Some(budget));
        claims.sort_by_key(|claim| claim.key);
        claims.iter().map(|claim| claim.given).collect()
    }

    #[test]
    fn without_a_budget_everyone_gets_what_they_want() {
        let mut claims: Vec<_> = (0..200).map(|key| claim(key, Rank::InView, Want::Full)).collect();
        share(&mut claims, None);
        assert!(claims.iter().all(|claim| claim.given == Want::Full));
        assert_eq!(claims[0].key, 0, "the largest first");
    }

    #[test]
    fn the_stepped_up_wall_comes_first_then_speakers_then_shares_then_the_largest() {
        use Want::{Full, Medium, Paused, Small};
        // Whole 1700 kbit/s, half 601, a quarter 212.
        let room = || {
            vec![
                claim(0, Rank::InView, Full),
                claim(1, Rank::InView, Full),
                claim(2, Rank::Share, Full),
                claim(3, Rank::Speaking, Full),
                claim(4, Rank::SteppedUp, Full),
                claim(5, Rank::Unseen, Small),
            ]
        };
        assert_eq!(given(room(), 1720.0), [Paused, Paused, Paused, Paused, Full, Paused]);
        assert_eq!(given(room(), 2600.0), [Small, Small, Small, Small, Full, Paused]);
        assert_eq!(given(room(), 3000.0), [Small, Small, Small, Medium, Full, Paused]);
        assert_eq!(given(room(), 4100.0), [Small, Small, Small, Full, Full, Paused]);
        assert_eq!(given(room(), 5600.0), [Small, Small, Full, Full, Full, Paused]);
        assert_eq!(given(room(), 7100.0), [Full, Small, Full, Full, Full, Paused]);
        assert_eq!(given(room(), 9000.0), [Full, Full, Full, Full, Full, Small]);
    }

    #[test]
    fn what_is_raised_needs_room_to_spare_and_what_is_held_does_not() {
        let now = |had| Claim { had, ..claim(0, Rank::InView, Want::Medium) };
        assert_eq!(given(vec![now(Want::Medium)], 610.0), [Want::Medium]);
        assert_eq!(given(vec![now(Want::Small)], 610.0), [Want::Small]);
        assert_eq!(given(vec![now(Want::Small)], 700.0), [Want::Medium]);
    }

    #[test]
    fn what_arrives_tells_what_a_picture_takes() {
        let quiet = Claim { kbps: 100.0, ..claim(0, Rank::InView, Want::Full) };
        assert_eq!(given(vec![quiet], 150.0), [Want::Full], "a face that hardly moves");
        let busy = Claim { had: Want::Small, kbps: 1000.0, ..claim(0, Rank::InView, Want::Full) };
        assert_eq!(given(vec![busy], 3200.0), [Want::Medium]);
        assert!(wanted_kbps(&[busy]) > 7000.0);
    }

    #[test]
    fn a_budget_of_nothing_or_no_number_still_shows_one_and_pauses_the_rest() {
        for budget in [0.0, -5.0, f32::NAN] {
            let quiet = |key| Claim { kbps: 200.0, ..claim(key, Rank::InView, Want::Small) };
            assert_eq!(given(vec![quiet(0), quiet(1)], budget), [Want::Small, Want::Paused], "{budget}");
        }
    }

    #[test]
    fn what_arrives_while_pictures_wait_is_the_budget_and_it_grows_away_afterwards() {
        let secs = Duration::from_secs_f32;
        let mut estimate = Estimate::default();
        estimate.note(false, 4000.0, 5000.0, secs(1.0));
        assert_eq!(estimate.kbps(), None, "nothing says that there is one");
        estimate.note(true, 900.0, 5000.0, secs(2.0));
        estimate.note(true, 1100.0, 5000.0, secs(3.0));
        assert_eq!(estimate.kbps(), Some(900.0));
        estimate.note(true, 0.0, 5000.0, secs(3.2));
        assert_eq!(estimate.kbps(), Some(900.0), "not measured");
        estimate.note(true, 5.0, 5000.0, secs(3.5));
        assert_eq!(estimate.kbps(), Some(LEAST_KBPS));
        estimate.note(false, 500.0, 5000.0, secs(4.0));
        estimate.note(false, 500.0, 5000.0, secs(6.0));
        assert_eq!(estimate.kbps(), Some(LEAST_KBPS), "it keeps still for a while");
        let mut at = 6.0;
        while estimate.kbps().is_some() {
            at += 0.5;
            estimate.note(false, 500.0, 5000.0, secs(at));
            assert!(at < 120.0, "{estimate:?}");
        }
        assert!(at > 30.0, "it did not jump: {at} s");
    }
}
