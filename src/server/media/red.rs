//! Redundant sound (RFC 2198, `audio/red`): finds the blocks of a payload, so that receivers who take plain Opus get
//! the newest one and what the others mend. Pure functions over bytes; hostile ones give `None`.

use std::ops::Range;
use std::sync::Arc;

use str0m::media::Pt;

/// Older blocks of one payload that are looked at; senders use one or two.
const OLDER_MAX: usize = 8;
/// The continuation bit of a block header.
const MORE: u8 = 0x80;
/// Bytes of an older block's header.
const HEADER_BYTES: usize = 4;

/// One block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// How much older than the packet it is, in ticks of the RTP clock (14 bits).
    pub(super) age: u32,
    /// Where its bytes are.
    pub(super) bytes: Range<usize>,
}

/// The blocks of a payload.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    older: [Block; OLDER_MAX],
    count: usize,
    /// The newest block: the packet itself.
    pub(super) newest: Range<usize>,
}

impl Blocks {
    /// The older blocks, the newest of them first: packet n-1, n-2, ...
    pub(super) fn older(&self) -> impl Iterator<Item = &Block> {
        self.older[..self.count].iter().rev()
    }
}

/// Finds the blocks; `None` when the lengths make no sense or there are too many.
pub(super) fn split(payload: &[u8]) -> Option<Blocks> {
    let mut blocks = Blocks::default();
    let mut at = 0;
    while payload.get(at)? & MORE != 0 {
        let &[_, high, middle, low] = payload.get(at..at + HEADER_BYTES)? else { return None };
        let age = u32::from(high) << 6 | u32::from(middle) >> 2;
        let len = usize::from(middle & 3) << 8 | usize::from(low);
        // The place is filled in below, when it is known where the blocks begin.
        *blocks.older.get_mut(blocks.count)? = Block { age, bytes: 0..len };
        blocks.count += 1;
        at += HEADER_BYTES;
    }
    at += 1;
    for block in &mut blocks.older[..blocks.count] {
        let end = at + block.bytes.end;
        block.bytes = at..end;
        at = end;
    }
    (at < payload.len()).then(|| {
        blocks.newest = at..payload.len();
        blocks
    })
}

/// The payload as a receiver understands it whose sound has the payload type `pt`: numbers are per connection.
pub(super) fn with_payload_type(payload: &Arc<[u8]>, pt: Pt) -> Arc<[u8]> {
    let same = |byte: u8| byte & !MORE == *pt;
    if headers(payload).all(|at| same(payload[at])) {
        return payload.clone();
    }
    let mut copy = payload.to_vec();
    for at in headers(payload) {
        copy[at] = copy[at] & MORE | *pt;
    }
    copy.into()
}

/// Where the block headers of a payload that [`split`] accepts begin.
fn headers(payload: &[u8]) -> impl Iterator<Item = usize> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let at = next.filter(|at| *at < payload.len())?;
        next = (payload[at] & MORE != 0).then_some(at + HEADER_BYTES);
        Some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two older blocks of 2 and 3 bytes, then the newest.
    fn payload() -> Vec<u8> {
        vec![0x80 | 111, 0x1e, 0, 2, 0x80 | 111, 0x0f, 0, 3, 111, 1, 2, 3, 4, 5, 9, 9]
    }

    #[test]
    fn blocks_are_found_with_their_age() {
        let payload = payload();
        let blocks = split(&payload).unwrap();
        assert_eq!(payload[blocks.newest.clone()], [9, 9]);
        let older: Vec<(u32, &[u8])> = blocks.older().map(|b| (b.age, &payload[b.bytes.clone()])).collect();
        assert_eq!(older, [(960, &[3, 4, 5][..]), (1920, &[1, 2][..])]);
        assert_eq!(split(&[111, 7]).unwrap().newest, 1..2, "a packet without redundancy");
    }

    #[test]
    fn lying_lengths_and_truncation_are_refused() {
        let whole = payload();
        for len in 0..whole.len() - 1 {
            assert!(split(&whole[..len]).is_none(), "{len} bytes");
        }
        let mut lying = whole;
        lying[7] = 200;
        assert!(split(&lying).is_none());
        let endless: Vec<u8> = [0x80 | 111, 0, 0, 0].repeat(200);
        assert!(split(&endless).is_none());
    }

    #[test]
    fn every_block_gets_the_receivers_payload_type() {
        let payload: Arc<[u8]> = payload().into();
        assert!(Arc::ptr_eq(&with_payload_type(&payload, 111.into()), &payload), "no copy without need");
        let other = with_payload_type(&payload, 96.into());
        assert_eq!((other[0], other[4], other[8]), (0x80 | 96, 0x80 | 96, 96));
        assert_eq!(other[9..], payload[9..]);
    }
}
