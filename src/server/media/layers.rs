//! Which encoding of a simulcast picture each receiver gets: what it asked for, what flows, what its bandwidth carries.
//! Pure functions over plain numbers.

use str0m::media::Rid;

/// Encodings of one picture: low, medium, high.
pub(super) const LAYERS: usize = 3;

/// Raising a picture needs this much more estimated bandwidth than the picture itself takes, so that it does not flap.
const RAISE_MARGIN: f64 = 1.15;

/// The rank of an encoding by its rid: `q h f`, or `2 1 0` as some clients name them; without rid there is only one.
pub(super) fn rank_of(rid: Option<Rid>) -> usize {
    match rid.as_deref().map(|rid| rid.trim_start_matches('~')) {
        Some("h" | "1") => 1,
        Some("f" | "0") => 2,
        _ => 0,
    }
}

/// A picture is not stopped before its receiver's bandwidth falls below this share of what it takes: estimates are
/// careful, and a picture that stops is noticed.
const KEEP_SHARE: f64 = 0.7;

/// The most a receiver wants of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Up to this rank: 0 low, 1 medium, 2 high.
    Rank(usize),
    /// The smallest encoding at least this wide, in pixels.
    Width(u32),
}

impl Want {
    /// The highest rank this asks for, given the announced widths in pixels (0: not announced).
    pub(crate) fn max_rank(self, widths: &[u32; LAYERS]) -> usize {
        match self {
            Self::Rank(rank) => rank.min(LAYERS - 1),
            Self::Width(width) => widths.iter().position(|w| *w >= width).unwrap_or(LAYERS - 1),
        }
    }
}

/// One picture of one receiver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// What each encoding takes now, in bit/s; `None` while it does not flow.
    pub(super) rates_bps: [Option<u64>; LAYERS],
    /// The highest rank the receiver wants.
    pub(super) max_rank: usize,
    /// What it gets now.
    pub(super) current: Option<usize>,
    /// Served before the others: a shared screen.
    pub(super) first: bool,
    /// It is stopped for want of bandwidth.
    pub(super) paused: bool,
}

impl Demand {
    fn flowing(&self) -> impl Iterator<Item = (usize, u64)> {
        self.rates_bps.into_iter().enumerate().filter_map(|(rank, rate)| Some((rank, rate?)))
    }

    /// The lowest flowing rank: everyone gets at least that.
    fn lowest(&self) -> Option<(usize, u64)> {
        self.flowing().next()
    }

    /// The rate of the best flowing encoding that is wanted, in bit/s.
    pub(super) fn wish_bps(&self) -> u64 {
        let wanted = self.flowing().filter(|(rank, _)| *rank <= self.max_rank).last();
        wanted.or(self.lowest()).map_or(0, |(_, rate)| rate)
    }
}

/// What one picture gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// Nothing flows that could be given.
    Nothing,
    /// Nothing, since the bandwidth does not even carry the lowest encoding.
    Paused,
    /// This encoding.
    Rank(usize),
}

/// How much a receiver is denied for want of bandwidth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shortage {
    /// It gets what it wants.
    #[default]
    None,
    /// Smaller pictures than it wants.
    Smaller,
    /// Some pictures not at all.
    Paused,
}

/// What [`allocate`] decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each picture.
    pub(super) ranks: Vec<Given>,
    /// What the best of everything wanted would take, in bit/s.
    pub(super) wish_bps: u64,
    /// The estimate that would allow the next step up, in bit/s: worth probing for. 0 when nothing is held back.
    pub(super) next_bps: u64,
}

impl Plan {
    /// Whether it stops a picture.
    pub(super) fn pauses(&self) -> bool {
        self.ranks.contains(&Given::Paused)
    }

    /// How far the plan stays behind what is wanted.
    pub(super) fn shortage(&self, demands: &[Demand]) -> Shortage {
        let short = |(given, demand): (&Given, &Demand)| match given {
            Given::Nothing => Shortage::None,
            Given::Paused => Shortage::Paused,
            Given::Rank(rank) if demand.flowing().any(|(next, _)| next > *rank && next <= demand.max_rank) => {
                Shortage::Smaller
            }
            Given::Rank(_) => Shortage::None,
        };
        self.ranks.iter().zip(demands).map(short).max().unwrap_or_default()
    }
}

/// Which pictures whose lowest encoding does not fit are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Never,
    /// Those that are stopped already stay so.
    Keep,
    All,
}

/// Shares `budget_bps` (none: unlimited) among the pictures of one receiver: first the lowest encoding for each, then
/// one step up at a time, shared screens first.
pub(super) fn allocate(demands: &[Demand], budget_bps: Option<u64>, pause: Pause) -> Plan {
    let mut ranks = vec![Given::Nothing; demands.len()];
    let mut spent: u64 = 0;
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|index| !demands[*index].first);
    let wish_bps = demands.iter().map(Demand::wish_bps).sum();
    let mut denied_bps = u64::MAX;
    for &index in &order {
        let Some((rank, rate)) = demands[index].lowest() else { continue };
        let total = spent.saturating_add(rate);
        let margin = if demands[index].current.is_some() { KEEP_SHARE } else { RAISE_MARGIN };
        let may_pause = pause == Pause::All || (pause == Pause::Keep && demands[index].paused);
        if may_pause && budget_bps.is_some_and(|budget| total as f64 * margin > budget as f64) {
            ranks[index] = Given::Paused;
            denied_bps = denied_bps.min((total as f64 * RAISE_MARGIN) as u64);
        } else {
            ranks[index] = Given::Rank(rank);
            spent = total;
        }
    }
    loop {
        let mut raised = false;
        let mut next_bps = denied_bps;
        for &index in &order {
            let (demand, Given::Rank(rank)) = (&demands[index], ranks[index]) else { continue };
            let next = demand.flowing().find(|(next, _)| *next > rank && *next <= demand.max_rank);
            let Some((next, rate)) = next else { continue };
            let extra = rate.saturating_sub(demand.rates_bps[rank].unwrap_or(0));
            if fits(spent.saturating_add(extra), budget_bps, demand.current.is_some_and(|now| now >= next)) {
                spent = spent.saturating_add(extra);
                ranks[index] = Given::Rank(next);
                raised = true;
            } else {
                next_bps = next_bps.min((spent.saturating_add(extra) as f64 * RAISE_MARGIN) as u64);
            }
        }
        if !raised {
            let next_bps = if next_bps == u64::MAX { 0 } else { next_bps };
            return Plan { ranks, wish_bps, next_bps };
        }
    }
}

fn fits(total_bps: u64, budget_bps: Option<u64>, held: bool) -> bool {
    let margin = if held { 1.0 } else { RAISE_MARGIN };
    budget_bps.is_none_or(|budget| total_bps as f64 * margin <= budget as f64)
}

#[cfg(test)]
mod tests {
    use super::Given::{Nothing, Paused, Rank};
    use super::*;

    fn demand(rates: [u64; 3]) -> Demand {
        let rates_bps = rates.map(|rate| (rate > 0).then_some(rate * 1000));
        Demand { rates_bps, max_rank: 2, current: None, first: false, paused: false }
    }

    #[test]
    fn rids_of_every_client_are_ranked() {
        let rank = |rid: &str| rank_of(Some(Rid::from(rid)));
        assert_eq!([rank("q"), rank("h"), rank("f")], [0, 1, 2]);
        assert_eq!([rank("2"), rank("1"), rank("0")], [0, 1, 2]);
        assert_eq!(rank_of(None), 0);
    }

    #[test]
    fn a_width_asks_for_the_smallest_that_is_enough() {
        let widths = [320, 640, 1280];
        assert_eq!(Want::Width(300).max_rank(&widths), 0);
        assert_eq!(Want::Width(321).max_rank(&widths), 1);
        assert_eq!(Want::Width(4000).max_rank(&widths), 2);
        assert_eq!(Want::Width(100).max_rank(&[0, 0, 0]), 2, "nothing announced: the best");
        assert_eq!(Want::Rank(9).max_rank(&widths), 2);
    }

    #[test]
    fn bandwidth_is_shared_from_below() {
        let two = [demand([150, 500, 1700]), demand([150, 500, 1700])];
        let ranks = |demands: &[Demand], budget| allocate(demands, budget, Pause::Never).ranks;
        assert_eq!(ranks(&two, None), [Rank(2), Rank(2)]);
        assert_eq!(ranks(&two, Some(1_300_000)), [Rank(1), Rank(1)]);
        assert_eq!(
            allocate(&two, Some(1_300_000), Pause::Never).next_bps,
            2_530_000,
            "the next step is worth probing for"
        );
        assert_eq!(allocate(&two, None, Pause::Never).next_bps, 0, "nothing is held back");
        assert_eq!(ranks(&two, Some(2_700_000)), [Rank(2), Rank(1)]);
        assert_eq!(ranks(&two, Some(10_000)), [Rank(0), Rank(0)], "the lowest is never taken away");
        let screen = Demand { first: true, ..demand([150, 500, 1700]) };
        assert_eq!(ranks(&[two[0], screen], Some(2_700_000)), [Rank(1), Rank(2)]);
    }

    #[test]
    fn what_does_not_flow_is_not_chosen() {
        let ranks = |demands: &[Demand], budget| allocate(demands, budget, Pause::Never).ranks;
        assert_eq!(ranks(&[demand([150, 0, 0])], None), [Rank(0)]);
        assert_eq!(ranks(&[demand([0, 500, 0])], None), [Rank(1)]);
        assert_eq!(ranks(&[demand([0, 0, 0])], None), [Nothing]);
        let small = Demand { max_rank: 0, ..demand([0, 500, 1700]) };
        assert_eq!(ranks(&[small], None), [Rank(1)], "better too big than nothing");
        assert_eq!(demand([150, 500, 0]).wish_bps(), 500_000);
    }

    #[test]
    fn a_held_picture_does_not_flap() {
        let held = Demand { current: Some(1), ..demand([150, 500, 0]) };
        assert_eq!(allocate(&[held], Some(520_000), Pause::All).ranks, [Rank(1)]);
        assert_eq!(allocate(&[demand([150, 500, 0])], Some(520_000), Pause::All).ranks, [Rank(0)]);
    }

    #[test]
    fn what_fits_in_no_form_is_paused_and_comes_back_with_room() {
        let two = [demand([150, 500, 0]), demand([150, 500, 0])];
        let ranks = |demands: &[Demand], budget| allocate(demands, Some(budget), Pause::All).ranks;
        assert_eq!(ranks(&two, 10_000), [Paused, Paused]);
        assert_eq!(allocate(&two, Some(10_000), Pause::All).next_bps, 172_500, "worth probing for");
        assert_eq!(ranks(&two, 200_000), [Rank(0), Paused]);
        assert_eq!(ranks(&two, 400_000), [Rank(0), Rank(0)]);
        let screen = Demand { first: true, ..two[0] };
        assert_eq!(ranks(&[two[0], screen], 200_000), [Paused, Rank(0)], "shared screens first");
        let held = Demand { current: Some(0), ..two[0] };
        assert_eq!(ranks(&[held], 120_000), [Rank(0)], "a picture does not stop at the first dip");
        assert_eq!(ranks(&[held], 90_000), [Paused]);
        let plan = |budget| allocate(&two, Some(budget), Pause::All).shortage(&two);
        assert_eq!(
            [plan(10_000), plan(400_000), plan(9_000_000)],
            [Shortage::Paused, Shortage::Smaller, Shortage::None]
        );
    }
}
