//! How a guest walks about: gets up, goes once around the middle of the hall, stands for a moment, sits down, and after
//! a rest again. No clock: seconds are given.

use std::f64::consts::{PI, TAU};

use crate::model::{Pose, Stand};

/// Sitting, walking and standing, in seconds.
const SITS_SECS: f64 = 6.0;
const WALKS_SECS: f64 = 13.0;
const STANDS_SECS: f64 = 4.0;
/// Metres from the middle: the floor is open there.
const AROUND_M: f64 = 2.6;

/// Where a guest is so long after coming in.
pub(super) fn stroll(secs: f64) -> Pose {
    let within = secs.max(0.0) % (SITS_SECS + WALKS_SECS + STANDS_SECS);
    if within < SITS_SECS {
        return Pose::Seated;
    }
    // From the front of the seats around and back, clockwise as seen from above, looking ahead.
    let share = ((within - SITS_SECS) / WALKS_SECS).min(1.0);
    let eased = share * share * (3.0 - 2.0 * share);
    let angle = eased * TAU;
    let (x_m, z_m) = (angle.sin() * AROUND_M, -angle.cos() * AROUND_M);
    Stand::new(x_m as f32, z_m as f32, (-angle - PI / 2.0) as f32).map_or(Pose::Seated, Pose::Standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stroll_is_a_walk_at_a_persons_pace_between_two_rests() {
        let places: Vec<Option<Stand>> = (0..460)
            .map(|n| match stroll(f64::from(n) * 0.05) {
                Pose::Standing(stand) => Some(stand),
                Pose::Seated => None,
            })
            .collect();
        assert!(places[0].is_none() && places[119].is_none() && places[121].is_some());
        assert_eq!(stroll(1.0), stroll(24.0), "and again");
        let walked: Vec<Stand> = places.into_iter().flatten().collect();
        for pair in walked.windows(2) {
            let step = (pair[1].x_m() - pair[0].x_m()).hypot(pair[1].z_m() - pair[0].z_m());
            assert!(step / 0.05 < 2.4, "{step} m in a twentieth of a second");
        }
        assert_eq!(walked[walked.len() - 1], walked[walked.len() - 40], "stands still at the end");
        assert_eq!(stroll(-5.0), Pose::Seated);
    }
}
