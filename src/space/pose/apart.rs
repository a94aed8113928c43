//! Two who stand in one place would hang in each other, and one before the viewer's nose would be all there is to see:
//! where people are shown is moved as little as keeps them apart. Pure geometry, the same for the same people.

use bevy::prelude::*;

use crate::space::geometry::WALK_RADIUS;

/// How near two who stand may be shown, in metres: a panel's width.
const APART_M: f32 = 1.15;
/// How near somebody may be shown to the viewer, in metres.
const FROM_VIEWER_M: f32 = 1.7;
/// How often places are looked at again, at most: a crowd needs many, two who meet one or two.
const ROUNDS: usize = 16;
/// Directions for those who stand in exactly one place: no two follow each other (the golden angle).
const GOLDEN_RAD: f32 = 2.399_963_2;

/// Moves these places apart, in the order given.
pub(super) fn spread(places: &mut [Vec2], viewer: Option<Vec2>) {
    for _ in 0..ROUNDS {
        let mut moved = false;
        for a in 0..places.len() {
            for b in a + 1..places.len() {
                if let Some(push) = push(places[a], places[b], APART_M, b) {
                    places[a] -= push * 0.5;
                    places[b] += push * 0.5;
                    moved = true;
                }
            }
        }
        for (index, place) in places.iter_mut().enumerate() {
            if let Some(push) = viewer.and_then(|viewer| push(viewer, *place, FROM_VIEWER_M, index)) {
                *place += push;
                moved = true;
            }
            *place = place.clamp_length_max(WALK_RADIUS);
        }
        if !moved {
            return;
        }
    }
}

/// What moves `b` far enough from `a`.
fn push(a: Vec2, b: Vec2, apart_m: f32, index: usize) -> Option<Vec2> {
    let to = b - a;
    let distance = to.length();
    (distance < apart_m).then(|| {
        let direction = if distance > 1e-3 { to / distance } else { Vec2::from_angle(index as f32 * GOLDEN_RAD) };
        direction * (apart_m - distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(places: &[Vec2]) -> f32 {
        let pairs = places.iter().enumerate().flat_map(|(n, a)| places[n + 1..].iter().map(|b| a.distance(*b)));
        pairs.fold(f32::MAX, f32::min)
    }

    #[test]
    fn who_stands_alone_is_shown_where_they_stand() {
        let places = [Vec2::new(1.0, 2.0), Vec2::new(-4.0, 0.0)];
        let mut moved = places;
        spread(&mut moved, Some(Vec2::new(0.0, 8.0)));
        assert_eq!(moved, places);
    }

    #[test]
    fn two_in_one_place_part_and_every_time_alike() {
        let mut places = [Vec2::new(1.0, 1.0); 2];
        spread(&mut places, None);
        assert!(nearest(&places) >= APART_M - 1e-3, "{places:?}");
        assert!(places.iter().all(|place| place.distance(Vec2::ONE) <= 0.6), "each by half: {places:?}");
        let mut again = [Vec2::new(1.0, 1.0); 2];
        spread(&mut again, None);
        assert_eq!(again, places);
    }

    #[test]
    fn nobody_hangs_before_the_viewers_nose_not_even_at_the_wall() {
        for viewer in [Vec2::ZERO, Vec2::new(0.0, 9.2), Vec2::new(-6.5, 6.5)] {
            for away in [0.0, 0.2, 1.0] {
                let mut places = [viewer + Vec2::new(away, 0.0)];
                spread(&mut places, Some(viewer));
                assert!(places[0].distance(viewer) > 1.0, "{} from {viewer}", places[0]);
                assert!(places[0].length() <= WALK_RADIUS + 1e-3);
            }
        }
    }

    #[test]
    fn a_crowd_of_two_hundred_in_one_spot_spreads_within_the_hall() {
        let mut places = [Vec2::new(2.0, -1.0); 200];
        spread(&mut places, Some(Vec2::new(0.0, 8.7)));
        assert!(places.iter().all(|place| place.is_finite() && place.length() <= WALK_RADIUS + 1e-3));
        assert!(nearest(&places) > 0.05, "{}", nearest(&places));
    }
}
