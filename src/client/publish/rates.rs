//! What the way carries, shared among own pictures and their layers, as WebRTC does: the lowest layer of each picture
//! first, a higher one only when there is room for enough of it. Pure functions.

use super::layers::MAX_LAYERS;

/// However bad the estimate, a picture's lowest layer keeps a quarter of its wish, within these bounds, in bit/s.
const FLOOR_BPS: std::ops::RangeInclusive<u32> = 100_000..=300_000;
/// A higher layer below this share of its wish looks worse than the layer under it.
const LEAST_SHARE: f64 = 0.4;
/// Starting a layer needs this much more than keeping it, so that it does not flap.
const START_MARGIN: f64 = 1.25;

/// What one own picture would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Claim {
    /// The most each layer takes, in bit/s; 0 for one that is not there or not wanted.
    pub(in crate::client) caps_bps: [u32; MAX_LAYERS],
    /// Which are sent now.
    pub(in crate::client) sending: [bool; MAX_LAYERS],
    /// Served before the others: a shared screen.
    pub(in crate::client) first: bool,
}

/// How much each layer gets, in bit/s; 0 stops it.
pub(in crate::client) fn share_out(budget_bps: f64, claims: &[Claim]) -> Vec<[u32; MAX_LAYERS]> {
    let mut given = vec![[0; MAX_LAYERS]; claims.len()];
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|index| !claims[*index].first);
    let mut left = budget_bps;
    for &index in &order {
        if let Some((layer, cap)) = wanted(&claims[index]).next() {
            let floor = (cap / 4).clamp(*FLOOR_BPS.start(), *FLOOR_BPS.end()).min(cap);
            given[index][layer] = floor;
            left -= f64::from(floor);
        }
    }
    // A layer is started from the rest only when those under it run.
    let mut stopped = vec![false; claims.len()];
    for layer in 1..MAX_LAYERS {
        for &index in &order {
            let claim = &claims[index];
            let cap = claim.caps_bps[layer];
            if cap == 0 || given[index][layer] > 0 || stopped[index] {
                continue;
            }
            let least = f64::from(cap) * LEAST_SHARE;
            let needed = if claim.sending[layer] { least } else { least * START_MARGIN };
            if left >= needed {
                given[index][layer] = least as u32;
                left -= least;
            } else {
                stopped[index] = true;
            }
        }
    }
    fill(claims, &order, &mut given, left);
    given
}

/// Shares what is left: lower layers first, and among those of one rank screens first, then evenly by what they lack.
fn fill(claims: &[Claim], order: &[usize], given: &mut [[u32; MAX_LAYERS]], mut left: f64) {
    for layer in 0..MAX_LAYERS {
        for first in [true, false] {
            let same = || order.iter().copied().filter(|index| claims[*index].first == first);
            let lacking = |given: &[[u32; MAX_LAYERS]], index: usize| match given[index][layer] {
                0 => 0.0,
                now => f64::from(claims[index].caps_bps[layer].saturating_sub(now)),
            };
            let all: f64 = same().map(|index| lacking(given, index)).sum();
            if all <= 0.0 || left <= 0.0 {
                continue;
            }
            let share = (left / all).min(1.0);
            for index in same() {
                given[index][layer] += (lacking(given, index) * share) as u32;
            }
            left -= all * share;
        }
    }
}

fn wanted(claim: &Claim) -> impl Iterator<Item = (usize, u32)> {
    claim.caps_bps.into_iter().enumerate().filter(|(_, cap)| *cap > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: [u32; 3] = [130_000, 360_000, 1_010_000];

    fn claim(caps_bps: [u32; 3]) -> Claim {
        Claim { caps_bps, sending: [false; 3], first: false }
    }

    #[test]
    fn a_wide_way_gives_everyone_all_they_want() {
        assert_eq!(share_out(2_000_000.0, &[claim(CAMERA)]), [CAMERA]);
        assert_eq!(share_out(1e9, &[claim([400_000, 0, 0]), claim(CAMERA)]), [[400_000, 0, 0], CAMERA]);
        assert!(share_out(1e9, &[]).is_empty());
    }

    #[test]
    fn a_narrow_way_stops_the_high_layers_first_and_never_the_lowest() {
        let three = |budget| share_out(budget, &[claim(CAMERA)])[0];
        let [low, middle, high] = three(600_000.0);
        assert!(low == 130_000 && middle == 360_000 && high == 0, "{low} {middle} {high}");
        let [low, middle, high] = three(300_000.0);
        assert!(low == 130_000 && (144_000..=170_000).contains(&middle) && high == 0, "{low} {middle} {high}");
        assert_eq!(three(0.0), [100_000, 0, 0]);
        assert_eq!(three(-50_000.0), [100_000, 0, 0]);
        assert_eq!(share_out(0.0, &[claim([50_000, 0, 0])])[0], [50_000, 0, 0], "a floor is never above the wish");
    }

    #[test]
    fn a_layer_that_runs_is_kept_where_it_would_not_be_started() {
        let budget = 100_000.0 + 144_000.0 + 404_000.0 + 20_000.0;
        let running = Claim { sending: [true; 3], ..claim(CAMERA) };
        assert!(share_out(budget, &[running])[0][2] > 0);
        assert_eq!(share_out(budget, &[claim(CAMERA)])[0][2], 0);
    }

    #[test]
    fn unwatched_layers_take_nothing_and_a_high_one_alone_runs() {
        let [low, middle, high] = share_out(2_000_000.0, &[claim([0, 0, 1_010_000])])[0];
        assert_eq!([low, middle, high], [0, 0, 1_010_000]);
        assert_eq!(share_out(2_000_000.0, &[claim([0; 3])])[0], [0; 3]);
    }

    #[test]
    fn a_screen_is_filled_before_cameras_and_cameras_share_evenly() {
        let screen = Claim { first: true, ..claim([1_500_000, 0, 0]) };
        let given = share_out(1_800_000.0, &[claim(CAMERA), screen]);
        assert!(given[1][0] == 1_500_000 && given[0][2] == 0, "{given:?}");
        let given = share_out(900_000.0, &[claim([800_000, 0, 0]), claim([800_000, 0, 0])]);
        assert!(given[0][0].abs_diff(given[1][0]) <= 1 && given[0][0] > 440_000, "{given:?}");
    }

    #[test]
    fn no_more_than_the_budget_is_given_above_the_floors() {
        for budget in (0..40).map(|n| f64::from(n) * 100_000.0) {
            let given = share_out(budget, &[claim(CAMERA), claim(CAMERA), claim([700_000, 0, 0])]);
            let all: u32 = given.iter().flatten().sum();
            assert!(f64::from(all) <= budget.max(375_000.0) + 1.0, "{all} of {budget}");
        }
    }
}
