//! RTP payloads of H.264 (RFC 6184), reading: single NAL units, aggregates (STAP-A) and fragments (FU-A), the three of
//! packetisation mode 1. What only the interleaved mode has (STAP-B, MTAP, FU-B) is refused: it is never offered.

/// NAL unit types (ITU-T H.264 table 7-1, RFC 6184 table 1).
const SLICE: u8 = 1;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const LAST_SINGLE: u8 = 23;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// What goes before each NAL unit in a byte stream (H.264 annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// NAL units of one aggregate that are looked at; a picture has a handful.
const MAX_AGGREGATED: usize = 64;

/// What one payload holds.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// A frame may start here: what comes before a picture, or its first slice.
    pub starts_frame: bool,
    /// There is a sequence parameter set: a keyframe starts here.
    pub has_parameters: bool,
    /// There is a slice of a picture that needs no other.
    pub refreshes: bool,
    /// No later frame refers to the slices in here.
    pub unreferenced: bool,
    /// The units with their start codes, or the bytes that continue the one of the packet before.
    pub data: Vec<u8>,
}

/// Reads a payload; `None` when it is cut off, lies about its lengths, or is of a kind that was not negotiated.
pub(super) fn parse(payload: &[u8]) -> Option<Units> {
    let (&indicator, rest) = payload.split_first()?;
    let mut units = Units { unreferenced: true, ..Units::default() };
    match indicator & 0x1f {
        1..=LAST_SINGLE => {
            units.data.reserve_exact(START_CODE.len() + payload.len());
            units.whole(payload)?;
        }
        STAP_A => {
            units.data.reserve_exact(payload.len() * 2);
            let mut rest = rest;
            let mut count = 0;
            while let [high, low, unit @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                count += 1;
                if length > unit.len() || count > MAX_AGGREGATED {
                    return None;
                }
                let (unit, after) = unit.split_at(length);
                units.whole(unit)?;
                rest = after;
            }
            // A single byte left over is a length that was cut off.
            if count == 0 || !rest.is_empty() {
                return None;
            }
        }
        FU_A => {
            let (&fragment, body) = rest.split_first()?;
            let kind = fragment & 0x1f;
            let (starts, ends) = (fragment & 0x80 != 0, fragment & 0x40 != 0);
            if body.is_empty() || !(1..=LAST_SINGLE).contains(&kind) || (starts && ends) {
                return None;
            }
            let header = indicator & 0xe0 | kind;
            units.data.reserve_exact(START_CODE.len() + 1 + body.len());
            if starts {
                units.note(header, body);
                units.data.extend(START_CODE);
                units.data.push(header);
            } else {
                units.unreferenced = header & 0x60 == 0;
                units.refreshes = kind == IDR;
            }
            units.data.extend_from_slice(body);
        }
        _ => return None,
    }
    Some(units)
}

impl Units {
    /// Takes a whole NAL unit in.
    fn whole(&mut self, unit: &[u8]) -> Option<()> {
        let (&header, body) = unit.split_first()?;
        // Aggregates and fragments do not nest (RFC 6184 section 5.7).
        if !(1..=LAST_SINGLE).contains(&(header & 0x1f)) {
            return None;
        }
        self.note(header, body);
        self.data.extend(START_CODE);
        self.data.extend_from_slice(unit);
        Some(())
    }

    /// Looks at a unit from its header and at least the first byte that follows.
    fn note(&mut self, header: u8, body: &[u8]) {
        let kind = header & 0x1f;
        self.starts_frame |= match kind {
            // `first_mb_in_slice` comes first; 0 is written as a single set bit (H.264 sections 7.3.3, 9.1).
            SLICE | IDR => body.first().is_some_and(|byte| byte & 0x80 != 0),
            SEI | SPS | PPS | DELIMITER => true,
            _ => false,
        };
        self.has_parameters |= kind == SPS;
        self.refreshes |= kind == IDR;
        self.unreferenced &= header & 0x60 == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::tests::Random;

    #[test]
    fn a_single_unit_gets_its_start_code() {
        let units = parse(&[0x65, 0x88, 1, 2]).unwrap();
        assert!(units.starts_frame && units.refreshes && !units.has_parameters && !units.unreferenced);
        assert_eq!(units.data, [0, 0, 0, 1, 0x65, 0x88, 1, 2]);
        let second_slice = parse(&[0x41, 0x42, 1]).unwrap();
        assert!(!second_slice.starts_frame && !second_slice.refreshes);
        assert!(parse(&[0x01, 0x80]).unwrap().unreferenced, "nal_ref_idc is 0");
    }

    #[test]
    fn an_aggregate_is_taken_apart() {
        let units = parse(&[0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]).unwrap();
        assert!(units.starts_frame && units.has_parameters && !units.refreshes);
        assert_eq!(units.data, [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3]);
    }

    #[test]
    fn fragments_are_joined_behind_the_rebuilt_header() {
        let parts = [[0x7c, 0x85, 0x88], [0x7c, 0x05, 7], [0x7c, 0x45, 9]].map(|part| parse(&part).unwrap());
        assert!(parts[0].starts_frame && !parts[1].starts_frame && parts.iter().all(|part| part.refreshes));
        let joined: Vec<u8> = parts.iter().flat_map(|part| part.data.clone()).collect();
        assert_eq!(joined, [0, 0, 0, 1, 0x65, 0x88, 7, 9]);
    }

    #[test]
    fn what_was_not_negotiated_or_lies_is_refused() {
        for (payload, what) in [
            (&[][..], "nothing"),
            (&[0x60, 1], "type 0"),
            (&[0x79, 0, 0, 0, 2, 0x67, 1], "STAP-B"),
            (&[0x7a, 0, 0, 0, 0, 0, 0, 1], "MTAP16"),
            (&[0x7d, 0x85, 0, 0, 1], "FU-B"),
            (&[0x78], "an empty aggregate"),
            (&[0x78, 0, 9, 0x67], "a length past the end"),
            (&[0x78, 0, 0], "an empty unit"),
            (&[0x78, 0, 2, 0x67, 1, 0], "half a length"),
            (&[0x78, 0, 2, 0x78, 1], "a nested aggregate"),
            (&[0x7c, 0x85], "a fragment of nothing"),
            (&[0x7c, 0xc5, 1], "a fragment that starts and ends"),
            (&[0x7c, 0x9c, 1], "a fragment of a fragment"),
        ] {
            assert!(parse(payload).is_none(), "{what}");
        }
    }

    #[test]
    fn random_bytes_never_panic_and_never_grow_much() {
        let mut random = Random(3);
        for _ in 0..50_000 {
            let mut payload: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
            if random.chance(0.5) && !payload.is_empty() {
                payload[0] = [0x78, 0x7c, 0x67, 0x65][random.below(4)];
            }
            if let Some(units) = parse(&payload) {
                assert!(units.data.len() <= payload.len() * 4 + 5);
            }
        }
    }
}
