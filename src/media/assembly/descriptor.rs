//! The VP8 payload descriptor (RFC 7741 section 4.2): reading all its extensions, and writing the one form we send.

/// Which frame a picture id names, and how many there are before it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureId {
    pub value: u16,
    /// 7 or 15.
    pub bits: u8,
}

impl PictureId {
    /// True when `self` is the frame right after `before`.
    pub(super) fn follows(self, before: Self) -> bool {
        let modulus = 1u32 << self.bits;
        self.bits == before.bits && (u32::from(before.value) + 1) % modulus == u32::from(self.value)
    }
}

/// Place of a frame in the temporal layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// Running number of base layer frames (TL0PICIDX).
    pub base_index: u8,
    /// Temporal layer, 0 is the base (TID).
    pub id: u8,
    /// The frame needs nothing but base layer frames (Y).
    pub sync: bool,
}

/// What the descriptor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// First packet of a frame: S = 1 and partition 0.
    pub starts_frame: bool,
    /// No later frame refers to this one (N).
    pub unreferenced: bool,
    pub picture: Option<PictureId>,
    pub layer: Option<Layer>,
}

/// Reads the descriptor and gives it with the VP8 payload after it; `None` when it is cut off or nothing follows.
pub(super) fn parse(payload: &[u8]) -> Option<(Descriptor, &[u8])> {
    let mut rest = payload.iter();
    let first = *rest.next()?;
    let extended = first & 0x80 != 0;
    let mut descriptor =
        Descriptor { starts_frame: first & 0x17 == 0x10, unreferenced: first & 0x20 != 0, picture: None, layer: None };
    if extended {
        let flags = *rest.next()?;
        if flags & 0x80 != 0 {
            let high = *rest.next()?;
            descriptor.picture = Some(if high & 0x80 != 0 {
                PictureId { value: u16::from(high & 0x7f) << 8 | u16::from(*rest.next()?), bits: 15 }
            } else {
                PictureId { value: u16::from(high), bits: 7 }
            });
        }
        let base_index = if flags & 0x40 != 0 { Some(*rest.next()?) } else { None };
        // TID and KEYIDX share a byte that is there when either flag is set.
        if flags & 0x30 != 0 {
            let byte = *rest.next()?;
            if let (Some(base_index), true) = (base_index, flags & 0x20 != 0) {
                descriptor.layer = Some(Layer { base_index, id: byte >> 6, sync: byte & 0x20 != 0 });
            }
        }
    }
    let body = rest.as_slice();
    (!body.is_empty()).then_some((descriptor, body))
}

/// Length of the descriptor that [`write()`] makes, in bytes.
pub(super) const WRITTEN_LEN: usize = 4;

/// The descriptor of one packet of ours: a 15-bit picture id and nothing else; every frame may be referred to.
pub(super) fn write(picture_id: u16, starts_frame: bool) -> [u8; WRITTEN_LEN] {
    let [high, low] = picture_id.to_be_bytes();
    [if starts_frame { 0x90 } else { 0x80 }, 0x80, 0x80 | high, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::tests::Random;

    #[test]
    fn reads_what_browsers_send() {
        // X S, I L T, 15-bit picture id 0x1234, TL0PICIDX 7, TID 2 with Y.
        let payload = [0x90, 0xe0, 0x92, 0x34, 7, 0xa0, 0xaa];
        let (descriptor, body) = parse(&payload).unwrap();
        assert!(descriptor.starts_frame && !descriptor.unreferenced);
        assert_eq!(descriptor.picture, Some(PictureId { value: 0x1234, bits: 15 }));
        assert_eq!(descriptor.layer, Some(Layer { base_index: 7, id: 2, sync: true }));
        assert_eq!(body, [0xaa]);
    }

    #[test]
    fn reads_short_forms_and_tells_partitions_apart() {
        let (plain, body) = parse(&[0x30, 1, 2]).unwrap();
        assert!(plain.starts_frame && plain.unreferenced && plain.picture.is_none() && plain.layer.is_none());
        assert_eq!(body, [1, 2]);
        // S = 1 of partition 3 is not the start of a frame.
        assert!(!parse(&[0x13, 1]).unwrap().0.starts_frame);
        let (short, _) = parse(&[0x80, 0x80, 0x7f, 9]).unwrap();
        assert_eq!(short.picture, Some(PictureId { value: 127, bits: 7 }));
        // KEYIDX alone: the byte is skipped.
        assert_eq!(parse(&[0x80, 0x10, 0x1f, 9]).unwrap().1, [9]);
    }

    #[test]
    fn every_cut_is_refused() {
        let payload = [0x90, 0xf0, 0x92, 0x34, 7, 0xa0, 0xaa];
        for length in 0..payload.len() {
            assert!(parse(&payload[..length]).is_none(), "{length} bytes");
        }
        let mut random = Random(11);
        for _ in 0..10_000 {
            let payload: Vec<u8> = (0..random.below(9)).map(|_| random.below(256) as u8).collect();
            if let Some((_, body)) = parse(&payload) {
                assert!(!body.is_empty() && body.len() < payload.len());
            }
        }
    }

    #[test]
    fn picture_ids_wrap_at_their_own_width() {
        let id = |value, bits| PictureId { value, bits };
        assert!(id(0, 7).follows(id(127, 7)));
        assert!(id(0, 15).follows(id(0x7fff, 15)));
        assert!(!id(0, 15).follows(id(127, 15)));
        assert!(!id(5, 15).follows(id(4, 7)));
    }

    #[test]
    fn what_we_write_reads_back() {
        let mut payload = write(0x7fff, true).to_vec();
        payload.push(1);
        let (descriptor, _) = parse(&payload).unwrap();
        assert!(descriptor.starts_frame && !descriptor.unreferenced);
        assert_eq!(descriptor.picture, Some(PictureId { value: 0x7fff, bits: 15 }));
    }
}
