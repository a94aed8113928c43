//! One pose as a data packet on [`super::topics::TOPIC_POSE`]. Sans-IO; any thread.
//!
//! Twelve bytes, little endian: a version (1), flags (bit 0: seated), the sender's clock in ms (32 bits, wrapping), X and
//! Z in centimetres (16 bits each, signed), the direction (16 bits of a turn). The clock orders packets and times them.

use crate::model::{Pose, Stand};

/// Bytes of a packet.
pub const POSE_BYTES: usize = 12;
const VERSION: u8 = 1;
const SEATED: u8 = 1;

/// A pose and when its owner was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PosePacket {
    /// The sender's own clock, in ms; wraps.
    pub sent_ms: u32,
    /// Where they were.
    pub pose: Pose,
}

/// Why a packet is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoseError {
    /// Not as long as a pose.
    #[error("a pose has twelve bytes, this has {0}")]
    Length(usize),
    /// Written by a later client.
    #[error("version {0} of a pose is not known here")]
    Version(u8),
    /// Says something that is not known here.
    #[error("flags {0:#x} of a pose are not known here")]
    Flags(u8),
    /// Outside of any hall.
    #[error("the pose is outside of any hall")]
    Far,
}

impl PosePacket {
    /// As it is sent.
    pub fn encode(self) -> [u8; POSE_BYTES] {
        let (flags, (x_cm, z_cm, yaw)) = match self.pose {
            Pose::Seated => (SEATED, (0, 0, 0)),
            Pose::Standing(stand) => (0, stand.parts()),
        };
        let mut bytes = [0; POSE_BYTES];
        bytes[0] = VERSION;
        bytes[1] = flags;
        bytes[2..6].copy_from_slice(&self.sent_ms.to_le_bytes());
        bytes[6..8].copy_from_slice(&x_cm.to_le_bytes());
        bytes[8..10].copy_from_slice(&z_cm.to_le_bytes());
        bytes[10..12].copy_from_slice(&yaw.to_le_bytes());
        bytes
    }

    /// Reads what came.
    ///
    /// # Errors
    /// [`PoseError`] for anything that [`PosePacket::encode`] does not write.
    pub fn decode(payload: &[u8]) -> Result<Self, PoseError> {
        let bytes: [u8; POSE_BYTES] = payload.try_into().map_err(|_| PoseError::Length(payload.len()))?;
        let [version, flags, t0, t1, t2, t3, x0, x1, z0, z1, yaw0, yaw1] = bytes;
        if version != VERSION {
            return Err(PoseError::Version(version));
        }
        let (x_cm, z_cm, yaw) =
            (i16::from_le_bytes([x0, x1]), i16::from_le_bytes([z0, z1]), u16::from_le_bytes([yaw0, yaw1]));
        let pose = match flags {
            0 => Pose::Standing(Stand::from_parts(x_cm, z_cm, yaw).ok_or(PoseError::Far)?),
            SEATED if (x_cm, z_cm, yaw) == (0, 0, 0) => Pose::Seated,
            SEATED => return Err(PoseError::Far),
            other => return Err(PoseError::Flags(other)),
        };
        Ok(Self { sent_ms: u32::from_le_bytes([t0, t1, t2, t3]), pose })
    }

    /// Whether a sender's clock is past an earlier reading of it, across the wrap.
    pub fn is_after(sent_ms: u32, earlier_ms: u32) -> bool {
        sent_ms.wrapping_sub(earlier_ms) as i32 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same in every run.
    fn noise(seed: u32) -> impl Iterator<Item = u32> {
        let mut state = seed | 1;
        std::iter::from_fn(move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            Some(state)
        })
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let mut numbers = noise(7);
        let mut next = || numbers.next().unwrap();
        for _ in 0..2000 {
            let stand =
                Stand::from_parts((next() % 10_001) as i16 - 5000, (next() % 10_001) as i16 - 5000, next() as u16);
            for pose in [Pose::Seated, Pose::Standing(stand.unwrap())] {
                let packet = PosePacket { sent_ms: next(), pose };
                assert_eq!(PosePacket::decode(&packet.encode()), Ok(packet));
            }
        }
    }

    #[test]
    fn whatever_is_read_is_written_the_same_way() {
        let mut numbers = noise(99);
        let mut read = 0;
        for round in 0..20_000_u32 {
            let mut bytes = [0; POSE_BYTES];
            bytes.fill_with(|| numbers.next().unwrap() as u8);
            // Most noise has the wrong version: half of it is given the right one.
            if round % 2 == 0 {
                (bytes[0], bytes[1]) = (1, bytes[1] % 3);
            }
            if let Ok(packet) = PosePacket::decode(&bytes) {
                assert_eq!(packet.encode(), bytes);
                read += 1;
            }
        }
        assert!(read > 40, "{read} were read at all");
    }

    #[test]
    fn anything_else_is_an_error() {
        let good = PosePacket { sent_ms: 5, pose: Pose::Standing(Stand::new(1.0, 2.0, 3.0).unwrap()) }.encode();
        assert_eq!(PosePacket::decode(&good[..11]), Err(PoseError::Length(11)));
        assert_eq!(PosePacket::decode(&[&good[..], &[0]].concat()), Err(PoseError::Length(13)));
        assert_eq!(PosePacket::decode(&[]), Err(PoseError::Length(0)));
        let with = |at: usize, value: u8| {
            let mut bytes = good;
            bytes[at] = value;
            PosePacket::decode(&bytes)
        };
        assert_eq!(with(0, 2), Err(PoseError::Version(2)));
        assert_eq!(with(1, 2), Err(PoseError::Flags(2)));
        assert_eq!(with(1, 1), Err(PoseError::Far), "who sits says nothing of a place");
        assert_eq!(with(7, 0x7f), Err(PoseError::Far), "over 300 m away");
    }

    #[test]
    fn a_clock_that_wraps_still_goes_forward() {
        assert!(PosePacket::is_after(1, 0) && !PosePacket::is_after(0, 1) && !PosePacket::is_after(7, 7));
        assert!(PosePacket::is_after(3, u32::MAX - 3));
        assert!(!PosePacket::is_after(u32::MAX - 3, 3));
    }
}
