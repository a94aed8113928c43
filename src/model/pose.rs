//! Where somebody is in the hall, as everyone is told: at their seat, or standing somewhere. Places are whole
//! centimetres and small parts of a turn, so that two that look alike are equal, and what is no place cannot be written
//! down at all.

use std::f32::consts::{PI, TAU};

/// Nobody stands further from the hall's centre than this along either axis, in centimetres: halls may be larger than
/// ours, but not boundless.
pub const POSE_REACH_CM: i16 = 5_000;
/// Parts of a turn.
const TURN: f32 = 65_536.0;

/// Where somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pose {
    /// At the seat that the rule gives them, whatever they look at.
    #[default]
    Seated,
    /// Somewhere on the floor.
    Standing(Stand),
}

/// A place on the floor and a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    x_cm: i16,
    z_cm: i16,
    yaw: u16,
}

impl Stand {
    /// The nearest place that can be told, from metres along X and Z and radians to the left of -Z; `None` for what is
    /// not finite or further away than [`POSE_REACH_CM`].
    pub fn new(x_m: f32, z_m: f32, yaw_rad: f32) -> Option<Self> {
        let reach = f32::from(POSE_REACH_CM);
        let cm = |metres: f32| {
            let cm = (metres * 100.0).round();
            (cm.is_finite() && cm.abs() <= reach).then_some(cm as i16)
        };
        let parts = (yaw_rad / TAU * TURN).round();
        let yaw = parts.is_finite().then(|| parts.rem_euclid(TURN) as u32 as u16)?;
        Some(Self { x_cm: cm(x_m)?, z_cm: cm(z_m)?, yaw })
    }

    /// From whole centimetres and parts of a turn (65 536 to the turn); `None` beyond [`POSE_REACH_CM`].
    pub fn from_parts(x_cm: i16, z_cm: i16, yaw: u16) -> Option<Self> {
        let near = |cm: i16| cm.unsigned_abs() <= POSE_REACH_CM.unsigned_abs();
        (near(x_cm) && near(z_cm)).then_some(Self { x_cm, z_cm, yaw })
    }

    /// Centimetres along X and Z, and parts of a turn.
    pub const fn parts(self) -> (i16, i16, u16) {
        (self.x_cm, self.z_cm, self.yaw)
    }

    /// Metres along X.
    pub fn x_m(self) -> f32 {
        f32::from(self.x_cm) / 100.0
    }

    /// Metres along Z.
    pub fn z_m(self) -> f32 {
        f32::from(self.z_cm) / 100.0
    }

    /// Direction of view to the left of -Z, radians, -π..=π.
    pub fn yaw_rad(self) -> f32 {
        let turned = f32::from(self.yaw) / TURN * TAU;
        if turned > PI { turned - TAU } else { turned }
    }

    /// Whether nobody would see the difference: less than 2 cm and half a degree.
    pub fn is_like(self, other: Self) -> bool {
        let far = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs() > 1;
        let turned = (self.yaw.wrapping_sub(other.yaw) as i16).unsigned_abs();
        !far(self.x_cm, other.x_cm) && !far(self.z_cm, other.z_cm) && turned < 91
    }
}

/// What became of the poses that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoseCounts {
    /// Taken in.
    pub taken: u64,
    /// Unreadable, or nowhere.
    pub malformed: u64,
    /// Older than one that was taken before, or the same again.
    pub stale: u64,
    /// More than a sender may tell.
    pub too_fast: u64,
    /// From somebody who is not in the room, or from a login of theirs that has ended.
    pub strangers: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_within_half_a_centimetre_and_a_hundredth_of_a_degree() {
        for (x, z, yaw) in [(0.0, 0.0, 0.0), (-9.3, 8.704, 1.0), (3.333, -7.777, -3.1), (1.0, 2.0, 100.0)] {
            let stand = Stand::new(x, z, yaw).unwrap();
            assert!((stand.x_m() - x).abs() <= 0.0051 && (stand.z_m() - z).abs() <= 0.0051);
            let off = (stand.yaw_rad() - yaw).rem_euclid(TAU);
            assert!(off.min(TAU - off) < 2e-4, "{yaw} became {}", stand.yaw_rad());
            let (x_cm, z_cm, parts) = stand.parts();
            assert_eq!(Stand::from_parts(x_cm, z_cm, parts), Some(stand));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 50.1, -50.1, f32::MAX] {
            assert_eq!(Stand::new(bad, 0.0, 0.0), None, "{bad}");
            assert_eq!(Stand::new(0.0, bad, 0.0), None, "{bad}");
        }
        assert_eq!(Stand::new(0.0, 0.0, f32::NAN), None);
        assert_eq!(Stand::from_parts(i16::MIN, 0, 0), None);
        assert_eq!(Stand::from_parts(0, POSE_REACH_CM + 1, 0), None);
        assert!(Stand::from_parts(-POSE_REACH_CM, POSE_REACH_CM, u16::MAX).is_some());
    }

    #[test]
    fn a_breath_is_no_movement() {
        let here = Stand::new(1.0, 1.0, 3.141).unwrap();
        assert!(here.is_like(Stand::new(1.01, 0.99, -3.141).unwrap()), "just across the half turn");
        assert!(!here.is_like(Stand::new(1.02, 1.0, 3.141).unwrap()));
        assert!(!here.is_like(Stand::new(1.0, 1.0, 3.12).unwrap()));
    }
}
