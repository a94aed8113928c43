//! Makes one continuous RTP stream for a receiver out of the encodings and pauses of a publisher: sequence numbers,
//! timestamps, and VP8's picture ids (RFC 7741 section 4.2). No allocation, no clock read.

use std::time::{Duration, Instant};

use str0m::rtp::{Vp8Descriptor, Vp8Patch};

/// Numbers of an incoming packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    /// Extended sequence number.
    pub(super) seq: u64,
    /// RTP timestamp.
    pub(super) timestamp: u32,
    /// When it arrived.
    pub(super) at: Instant,
    /// Its VP8 descriptor, for video.
    pub(super) vp8: Option<Vp8Descriptor>,
}

/// Numbers of the packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// Extended sequence number, from below 65 536 on: a receiver must be able to guess the rollover counter.
    pub(super) seq: u64,
    /// RTP timestamp.
    pub(super) timestamp: u32,
    /// Bytes of the VP8 descriptor to change, if any.
    pub(super) patch: Option<Vp8Patch>,
}

/// Picture ids have 15 bits.
const PICTURE_ID_MASK: u16 = 0x7fff;
/// Picture ids of a short descriptor have 7.
const SHORT_PICTURE_ID_MASK: u16 = 0x7f;
/// Where every outgoing stream starts: far enough from 0 for reordering, below the first rollover.
const FIRST_SEQ: u64 = 1000;

/// The mapping of one receiver's stream. Linear within an encoding, so that a gap stays a gap which a retransmission
/// can fill; continued without a gap at each [`Rewriter::splice`].
#[derive(Clone, Debug)]
pub(super) struct Rewriter {
    clock_rate_hz: u32,
    source_start: u64,
    out_start: u64,
    next_out: u64,
    timestamp_offset: u32,
    picture_offset: u16,
    tl0_offset: u8,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    at: Instant,
    picture: Option<u16>,
    tl0: Option<u8>,
}

impl Rewriter {
    pub(super) fn new(clock_rate_hz: u32) -> Self {
        Self {
            clock_rate_hz,
            source_start: u64::MAX,
            out_start: FIRST_SEQ,
            next_out: FIRST_SEQ,
            timestamp_offset: 0,
            picture_offset: 0,
            tl0_offset: 0,
            last: None,
        }
    }

    /// Continues the outgoing stream with `first`, whatever came before: after a pause, or with another encoding.
    pub(super) fn splice(&mut self, first: &Incoming) {
        self.source_start = first.seq;
        self.out_start = self.next_out;
        let Some(last) = self.last else { return };
        let passed = first.at.saturating_duration_since(last.at);
        let timestamp = last.timestamp.wrapping_add(ticks(passed, self.clock_rate_hz).max(1));
        self.timestamp_offset = timestamp.wrapping_sub(first.timestamp);
        if let (Some(source), Some(last)) = (first.vp8.and_then(|v| v.picture_id()), last.picture) {
            self.picture_offset = last.wrapping_add(1).wrapping_sub(source);
        }
        if let (Some(source), Some(last)) = (first.vp8.and_then(|v| v.tl0_pic_idx()), last.tl0) {
            self.tl0_offset = last.wrapping_add(1).wrapping_sub(source);
        }
    }

    /// The outgoing numbers of a packet; `None` for one from before the last splice, which has no place any more.
    pub(super) fn map(&mut self, packet: &Incoming) -> Option<Outgoing> {
        let seq = self.out_start + packet.seq.checked_sub(self.source_start)?;
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_offset);
        let picture = packet.vp8.and_then(|v| v.picture_id()).map(|p| p.wrapping_add(self.picture_offset));
        let tl0 = packet.vp8.and_then(|v| v.tl0_pic_idx()).map(|t| t.wrapping_add(self.tl0_offset));
        if seq >= self.next_out {
            self.next_out = seq + 1;
            let at = packet.at;
            let picture = picture.map(|p| p & PICTURE_ID_MASK);
            self.last = Some(Last { timestamp, at, picture, tl0 });
        }
        Some(Outgoing { seq, timestamp, patch: self.patch(packet.vp8.as_ref(), picture, tl0) })
    }

    fn patch(&self, vp8: Option<&Vp8Descriptor>, picture: Option<u16>, tl0: Option<u8>) -> Option<Vp8Patch> {
        if self.picture_offset & PICTURE_ID_MASK == 0 && self.tl0_offset == 0 {
            return None;
        }
        let with = |mask: u16| {
            let mut patch = vp8?.patch();
            if let Some(picture) = picture {
                patch = patch.picture_id(picture & mask);
            }
            if let Some(tl0) = tl0 {
                patch = patch.tl0_pic_idx(tl0);
            }
            patch.build().ok()
        };
        // A descriptor tells its width only by refusing: most have the long form.
        with(PICTURE_ID_MASK).or_else(|| with(SHORT_PICTURE_ID_MASK))
    }
}

fn ticks(time: Duration, clock_rate_hz: u32) -> u32 {
    // Truncation is right here: RTP timestamps wrap.
    (time.as_micros() * u128::from(clock_rate_hz) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A VP8 payload with a 15-bit picture id and a TL0PICIDX, as Chromium sends.
    fn payload(picture: u16, tl0: u8, keyframe: bool) -> Vec<u8> {
        vec![0x90, 0xe0, 0x80 | (picture >> 8) as u8, picture as u8, tl0, 0x20, u8::from(!keyframe), 0, 0]
    }

    fn packet(seq: u64, timestamp: u32, at: Instant, payload: &[u8]) -> Incoming {
        Incoming { seq, timestamp, at, vp8: Vp8Descriptor::parse(payload).ok() }
    }

    #[test]
    fn a_gap_stays_a_gap_that_can_be_filled() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(90_000);
        let first = packet(70_000, 1, now, &[]);
        rewriter.splice(&first);
        assert_eq!(rewriter.map(&first).unwrap().seq, FIRST_SEQ);
        assert_eq!(rewriter.map(&packet(70_003, 1, now, &[])).unwrap().seq, FIRST_SEQ + 3);
        assert_eq!(rewriter.map(&packet(70_001, 1, now, &[])).unwrap().seq, FIRST_SEQ + 1);
        assert_eq!(rewriter.map(&packet(69_999, 1, now, &[])), None, "before the start");
    }

    #[test]
    fn another_encoding_continues_where_the_last_one_ended() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(90_000);
        let low = payload(100, 7, true);
        rewriter.splice(&packet(5, 1_000, now, &low));
        let out = rewriter.map(&packet(5, 1_000, now, &low)).unwrap();
        assert_eq!((out.seq, out.timestamp, out.patch), (FIRST_SEQ, 1_000, None));

        let later = now + Duration::from_millis(100);
        let high = payload(0x7ffe, 250, true);
        let first = packet(900, 77, later, &high);
        rewriter.splice(&first);
        let out = rewriter.map(&first).unwrap();
        assert_eq!((out.seq, out.timestamp), (FIRST_SEQ + 1, 10_000));
        let descriptor = first.vp8.unwrap();
        let expected = descriptor.patch().picture_id(101).tl0_pic_idx(8).build().unwrap();
        assert_eq!(out.patch, Some(expected));

        let next = packet(901, 77 + 3_000, later, &payload(0x7fff, 251, false));
        let expected = next.vp8.unwrap().patch().picture_id(102).tl0_pic_idx(9).build().unwrap();
        let out = rewriter.map(&next).unwrap();
        assert_eq!((out.seq, out.timestamp, out.patch), (FIRST_SEQ + 2, 13_000, Some(expected)));
    }

    #[test]
    fn a_short_picture_id_stays_short() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(90_000);
        let short = |picture: u8| vec![0x90, 0x80, picture, 0, 0];
        rewriter.splice(&packet(1, 0, now, &short(126)));
        rewriter.map(&packet(1, 0, now, &short(126)));
        let first = packet(50, 0, now, &short(3));
        rewriter.splice(&first);
        let expected = first.vp8.unwrap().patch().picture_id(127).build().unwrap();
        assert_eq!(rewriter.map(&first).unwrap().patch, Some(expected));
        let next = packet(51, 0, now, &short(4));
        let expected = next.vp8.unwrap().patch().picture_id(0).build().unwrap();
        assert_eq!(rewriter.map(&next).unwrap().patch, Some(expected), "128 wraps to 0");
    }
}
