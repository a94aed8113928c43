//! Where a voice is as its listener's head has it: azimuth, elevation, distance. Plain geometry.

use super::distance;
use crate::model::sound::Listener;

/// Within this distance a direction loses its meaning: it turns to straight ahead, so that walking through somebody is
/// no jump from ear to ear. Metres.
const NEAR_M: f32 = 0.5;
/// What is not worth another filter: 1 degree, and 2 % of the level.
const SMALL_RAD: f32 = 0.0175;
const SMALL_GAIN: f32 = 0.02;

/// A direction and a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bearing {
    /// To the left of straight ahead, -PI..=PI.
    pub(super) azimuth: f32,
    /// Above the ears, -PI/2..=PI/2.
    pub(super) elevation: f32,
    /// What the distance leaves, 0..=1.
    pub(super) gain: f32,
}

impl Bearing {
    /// Whether a filter made for the other one will not do for this one.
    pub(super) fn is_far_from(&self, other: &Self) -> bool {
        let vector = |bearing: &Self| {
            let (sin, cos) = bearing.elevation.sin_cos();
            [bearing.azimuth.cos() * cos, bearing.azimuth.sin() * cos, sin]
        };
        let (a, b) = (vector(self), vector(other));
        let apart = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        apart > SMALL_RAD * SMALL_RAD || (self.gain - other.gain).abs() > SMALL_GAIN
    }
}

/// A head: where it is and its three axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    position: [f32; 3],
    forward: [f32; 3],
    left: [f32; 3],
    up: [f32; 3],
}

impl Default for Head {
    fn default() -> Self {
        Self::of(&Listener::default())
    }
}

impl Head {
    /// Of a harmless listener.
    pub(super) fn of(listener: &Listener) -> Self {
        let forward = listener.forward;
        let left = unit(cross(listener.up, forward))
            // Whoever looks along their own crown has an ear somewhere to the side.
            .or_else(|| unit(cross([1.0, 0.0, 0.0], forward)))
            .or_else(|| unit(cross([0.0, 0.0, 1.0], forward)))
            .unwrap_or([-1.0, 0.0, 0.0]);
        Self { position: listener.position, forward, left, up: cross(forward, left) }
    }

    /// Where a point is.
    pub(super) fn bearing(&self, at: [f32; 3]) -> Bearing {
        let to: [f32; 3] = std::array::from_fn(|axis| at[axis] - self.position[axis]);
        let distance_m = dot(to, to).sqrt();
        let nearness = (1.0 - distance_m / NEAR_M).max(0.0) * NEAR_M;
        let ahead = dot(to, self.forward) + nearness;
        let (left, up) = (dot(to, self.left), dot(to, self.up));
        Bearing { azimuth: left.atan2(ahead), elevation: up.atan2(ahead.hypot(left)), gain: distance::gain(distance_m) }
    }
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn unit(way: [f32; 3]) -> Option<[f32; 3]> {
    let length = dot(way, way).sqrt();
    (length > 1e-4).then(|| way.map(|part| part / length))
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_PI_2;

    use super::*;

    #[test]
    fn directions_are_the_heads_own() {
        let head = Head::of(&Listener { position: [1.0, 1.7, 8.0], ..Listener::default() });
        let near = |value: f32, wanted: f32| assert!((value - wanted).abs() < 1e-3, "{value}, not {wanted}");
        near(head.bearing([1.0, 1.7, 0.0]).azimuth, 0.0);
        near(head.bearing([-3.0, 1.7, 8.0]).azimuth, FRAC_PI_2);
        near(head.bearing([5.0, 1.7, 8.0]).azimuth, -FRAC_PI_2);
        near(head.bearing([1.0, 1.7, 12.0]).azimuth.abs(), 2.0 * FRAC_PI_2);
        near(head.bearing([1.0, 9.7, 0.0]).elevation, FRAC_PI_2 / 2.0);
        let turned = Head::of(&Listener { forward: [-1.0, 0.0, 0.0], ..Listener::default() });
        near(turned.bearing([0.0, 0.0, -4.0]).azimuth, -FRAC_PI_2);
    }

    #[test]
    fn somebody_in_the_same_place_and_odd_heads_have_a_bearing() {
        let upwards = Listener { forward: [0.0, 1.0, 0.0], up: [0.0, 1.0, 0.0], ..Listener::default() };
        for listener in [Listener::default(), upwards] {
            let head = Head::of(&listener);
            for at in [[0.0; 3], [1e-20, 0.0, 0.0], [1000.0, -1000.0, 1000.0]] {
                let bearing = head.bearing(at);
                assert!(bearing.azimuth.is_finite() && bearing.elevation.is_finite() && bearing.gain > 0.4);
            }
        }
    }

    #[test]
    fn walking_through_somebody_is_no_jump() {
        let head = Head::default();
        let mut last = head.bearing([-2.0, 0.0, -0.05]);
        let mut turned = 0.0f32;
        for step in 1..=400 {
            let now = head.bearing([-2.0 + step as f32 * 0.01, 0.0, -0.05]);
            turned = turned.max((now.azimuth - last.azimuth).abs());
            last = now;
        }
        assert!(turned < 0.06, "{turned} radians within a centimetre");
    }
}
