//! Redundant audio data, RFC 2198: a packet that carries copies of the ones before it. Plain functions on bytes.
//!
//! Each copy has a header of four bytes (a set bit, 7 bits payload type, 14 bits age in samples, 10 bits length), the
//! packet itself one of one byte; the data follow in the same order.

/// Copies read from a packet; more are left out.
pub const MAX_RED_COPIES: usize = 8;
/// Oldest a copy may be, in samples of the RTP clock: 14 bits.
pub const MAX_RED_AGE: u32 = (1 << 14) - 1;
/// Longest copy, in bytes: 10 bits.
pub const MAX_RED_COPY_BYTES: usize = (1 << 10) - 1;

const HEADER_BYTES: usize = 4;
const MORE: u8 = 0x80;

/// A copy of an earlier packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedCopy<'a> {
    /// How much earlier than the packet, in samples.
    pub age: u32,
    /// The earlier payload.
    pub payload: &'a [u8],
}

/// A packet taken apart.
#[derive(Clone, Copy, Debug)]
pub struct RedPayload<'a> {
    copies: [RedCopy<'a>; MAX_RED_COPIES],
    count: usize,
    primary: &'a [u8],
}

impl<'a> RedPayload<'a> {
    /// Takes a payload apart; `None` when its lengths lie. Copies in another format than the packet itself, and empty
    /// ones, are left out.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut headers = [(0u8, 0u32, 0usize); MAX_RED_COPIES];
        let mut count = 0;
        let mut rest = payload;
        let primary_type = loop {
            let (&first, after) = rest.split_first()?;
            if first & MORE == 0 {
                rest = after;
                break first;
            }
            let (header, after) = rest.split_first_chunk::<HEADER_BYTES>()?;
            let packed = u32::from_be_bytes(*header);
            *headers.get_mut(count)? = (first & !MORE, (packed >> 10) & MAX_RED_AGE, (packed & 0x3ff) as usize);
            count += 1;
            rest = after;
        };
        let mut red = Self { copies: [RedCopy::default(); MAX_RED_COPIES], count, primary: &[] };
        for (slot, (payload_type, age, length)) in red.copies.iter_mut().zip(headers).take(count) {
            let (data, after) = rest.split_at_checked(length)?;
            rest = after;
            let usable = payload_type == primary_type && age > 0;
            *slot = RedCopy { age, payload: if usable { data } else { &[] } };
        }
        red.primary = rest;
        Some(red)
    }

    /// The packet itself.
    pub fn primary(&self) -> &'a [u8] {
        self.primary
    }

    /// The copies, oldest first, each with how many packets it lies back.
    pub fn copies(&self) -> impl Iterator<Item = (u16, RedCopy<'a>)> {
        let count = self.count;
        (0..count).map(move |at| ((count - at) as u16, self.copies[at])).filter(|(_, copy)| !copy.payload.is_empty())
    }
}

/// Puts a packet and copies of those before it, oldest first, together in `out` (replacing what is there). Copies that
/// are too old or too long for the format are left out, and with them the ones before, so that the rest lie right
/// before the packet.
pub fn pack_red(payload_type: u8, copies: &[RedCopy<'_>], primary: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let fits = |copy: &RedCopy<'_>| {
        (1..=MAX_RED_AGE).contains(&copy.age) && (1..=MAX_RED_COPY_BYTES).contains(&copy.payload.len())
    };
    let from = copies.iter().rposition(|copy| !fits(copy)).map_or(0, |at| at + 1);
    let copies = &copies[from.max(copies.len().saturating_sub(MAX_RED_COPIES))..];
    for copy in copies {
        let packed = (copy.age << 10) | copy.payload.len() as u32;
        let [_, high, middle, low] = packed.to_be_bytes();
        out.extend_from_slice(&[MORE | payload_type, high, middle, low]);
    }
    out.push(payload_type & !MORE);
    for copy in copies {
        out.extend_from_slice(copy.payload);
    }
    out.extend_from_slice(primary);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::tests::Random;

    #[test]
    fn what_is_packed_comes_out_again() {
        let copies = [RedCopy { age: 1920, payload: &[1, 2, 3] }, RedCopy { age: 960, payload: &[4] }];
        let mut out = vec![9; 3];
        pack_red(111, &copies, &[5, 6], &mut out);
        assert_eq!(out[..4], [0x80 | 111, 0x1e, 0, 3], "type, 14 bits of age, 10 of length");
        let red = RedPayload::parse(&out).unwrap();
        assert_eq!(red.primary(), [5, 6]);
        assert_eq!(red.copies().collect::<Vec<_>>(), [(2, copies[0]), (1, copies[1])]);
        pack_red(111, &[], &[7], &mut out);
        assert_eq!(out, [111, 7]);
        assert_eq!(RedPayload::parse(&out).unwrap().copies().count(), 0);
    }

    #[test]
    fn copies_the_format_cannot_hold_are_left_out() {
        let long = [0; MAX_RED_COPY_BYTES + 1];
        let mut out = Vec::new();
        let old = RedCopy { age: MAX_RED_AGE + 1, payload: &[1] };
        let good = RedCopy { age: 960, payload: &[2] };
        pack_red(111, &[RedCopy { age: 2880, payload: &[3] }, old, good], &[5], &mut out);
        assert_eq!(RedPayload::parse(&out).unwrap().copies().collect::<Vec<_>>(), [(1, good)]);
        pack_red(111, &[good, RedCopy { age: 960, payload: &long }], &[5], &mut out);
        assert_eq!(out, [111, 5]);
    }

    #[test]
    fn lying_lengths_are_refused() {
        assert!(RedPayload::parse(&[]).is_none());
        assert!(RedPayload::parse(&[0x80 | 111]).is_none(), "half a header");
        assert!(RedPayload::parse(&[0x80 | 111, 0, 0, 9, 111, 1, 2]).is_none(), "a copy longer than the packet");
        assert!(RedPayload::parse(&[0x80 | 111, 0, 0, 1].repeat(9)).is_none(), "headers without an end");
        let other = [0x80 | 8, 0x0f, 0, 1, 111, 77, 5];
        let red = RedPayload::parse(&other).unwrap();
        assert_eq!((red.primary(), red.copies().count()), (&[5u8][..], 0), "a copy in another format");
        let mut random = Random(5);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8 | 0x80).collect();
            if let Some(red) = RedPayload::parse(&bytes) {
                let total = red.primary().len() + red.copies().map(|(_, copy)| copy.payload.len()).sum::<usize>();
                assert!(total < bytes.len());
            }
        }
    }
}
