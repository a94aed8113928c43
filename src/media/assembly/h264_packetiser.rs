//! Encoded H.264 frames to RTP payloads: packetisation mode 1 of RFC 6184 (single NAL units, STAP-A for parameter sets,
//! FU-A for what is too long). Owned by the thread that sends a track.

/// Bits of a NAL unit's first byte (ITU-T H.264 section 7.3.1): forbidden and importance, type.
const NRI_MASK: u8 = 0xe0;
const TYPE_MASK: u8 = 0x1f;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
/// RFC 6184 section 5.2.
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// Payload bytes of a fragment before its piece (RFC 6184 section 5.8).
const FU_HEADER_LEN: usize = 2;

/// Cuts frames into payloads.
#[derive(Debug)]
pub struct H264Packetiser {
    max_payload: usize,
    payload: Vec<u8>,
}

impl H264Packetiser {
    /// Payloads will have at most `max_payload` bytes (at least 16 are used).
    pub fn new(max_payload: usize) -> Self {
        let max_payload = max_payload.max(16);
        Self { max_payload, payload: Vec::with_capacity(max_payload) }
    }

    /// Hands the payloads of one frame to `sink` in order, the last one with the marker. `frame` is NAL units after
    /// start codes (ITU-T H.264 annex B); one without any gives no payload.
    pub fn packetise(&mut self, frame: &[u8], mut sink: impl FnMut(&[u8], bool)) {
        let mut units = NalUnits { rest: frame }.peekable();
        while let Some(unit) = units.next() {
            let Some(&first) = unit.first() else { continue };
            if is_parameter(first) {
                self.aggregate(first, unit);
                while let Some(next) = units.next_if(|next| {
                    next.first().is_some_and(|first| is_parameter(*first))
                        && self.payload.len() + 2 + next.len() <= self.max_payload
                }) {
                    self.aggregate(next[0], next);
                }
                // Alone, or longer than a packet: as any other unit.
                if self.payload.len() > 1 + 2 + unit.len() {
                    let payload = std::mem::take(&mut self.payload);
                    sink(&payload, units.peek().is_none());
                    self.payload = payload;
                    self.payload.clear();
                    continue;
                }
                self.payload.clear();
            }
            let last = units.peek().is_none();
            if unit.len() <= self.max_payload {
                sink(unit, last);
            } else {
                self.fragment(unit, last, &mut sink);
            }
        }
    }

    /// Adds a unit to the STAP-A that is being put together (RFC 6184 section 5.7.1).
    fn aggregate(&mut self, first: u8, unit: &[u8]) {
        if self.payload.is_empty() {
            self.payload.push(STAP_A);
        }
        self.payload[0] |= first & NRI_MASK;
        self.payload.extend((unit.len() as u16).to_be_bytes());
        self.payload.extend_from_slice(unit);
    }

    /// Fragments of nearly equal size, so that no packet is much likelier to be lost than another.
    fn fragment(&mut self, unit: &[u8], last_unit: bool, sink: &mut impl FnMut(&[u8], bool)) {
        let Some((&first, body)) = unit.split_first() else { return };
        let pieces = body.len().div_ceil(self.max_payload - FU_HEADER_LEN);
        let piece_len = body.len().div_ceil(pieces.max(1));
        let last = body.len().div_ceil(piece_len) - 1;
        for (index, piece) in body.chunks(piece_len).enumerate() {
            let (start, end) = (u8::from(index == 0) << 7, u8::from(index == last) << 6);
            self.payload.clear();
            self.payload.extend([first & NRI_MASK | FU_A, start | end | first & TYPE_MASK]);
            self.payload.extend_from_slice(piece);
            sink(&self.payload, last_unit && index == last);
        }
        self.payload.clear();
    }
}

fn is_parameter(first: u8) -> bool {
    matches!(first & TYPE_MASK, SEI | SPS | PPS)
}

/// The NAL units of a byte stream that are not empty, without start codes and the zeros around them.
struct NalUnits<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let start = start_code(self.rest)? + 3;
            let body = self.rest.get(start..)?;
            let end = start_code(body).unwrap_or(body.len());
            self.rest = &body[end..];
            // A four-byte start code's first zero, or trailing zeros (annex B.1): a unit itself never ends in one.
            if let Some(last) = body[..end].iter().rposition(|byte| *byte != 0) {
                return Some(&body[..=last]);
            }
        }
    }
}

/// Where the next 00 00 01 begins.
fn start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == [0, 0, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::tests::Random;

    /// The units a receiver gets from payloads (RFC 6184 sections 5.6 to 5.8).
    fn units_of(payloads: &[(Vec<u8>, bool)]) -> Vec<Vec<u8>> {
        let mut units: Vec<Vec<u8>> = Vec::new();
        for (payload, _) in payloads {
            match payload[0] & TYPE_MASK {
                STAP_A => {
                    let mut rest = &payload[1..];
                    while let [high, low, tail @ ..] = rest {
                        let length = usize::from(u16::from_be_bytes([*high, *low]));
                        units.push(tail[..length].to_vec());
                        rest = &tail[length..];
                    }
                }
                FU_A => {
                    if payload[1] & 0x80 != 0 {
                        units.push(vec![payload[0] & NRI_MASK | payload[1] & TYPE_MASK]);
                    }
                    units.last_mut().unwrap().extend(&payload[2..]);
                }
                _ => units.push(payload.clone()),
            }
        }
        units
    }

    fn cut(frame: &[u8], max: usize) -> Vec<(Vec<u8>, bool)> {
        let mut payloads = Vec::new();
        H264Packetiser::new(max).packetise(frame, |payload, marker| payloads.push((payload.to_vec(), marker)));
        payloads
    }

    fn stream(units: &[Vec<u8>]) -> Vec<u8> {
        let mut frame = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            frame.extend_from_slice(if index % 2 == 0 { &[0, 0, 0, 1] } else { &[0, 0, 1] });
            frame.extend_from_slice(unit);
        }
        frame
    }

    #[test]
    fn a_keyframe_is_parameter_sets_in_one_packet_and_fragments_of_equal_size() {
        let slice: Vec<u8> = std::iter::once(0x65).chain((0..1000).map(|byte| byte as u8 | 1)).collect();
        let units = [vec![0x67, 66, 0xc0, 31, 9], vec![0x68, 0xce, 1], slice];
        let payloads = cut(&stream(&units), 300);
        assert_eq!(payloads[0].0[0], 0x60 | STAP_A);
        assert_eq!(payloads.len(), 1 + 4);
        assert!(payloads.iter().all(|(payload, _)| payload.len() <= 300));
        let sizes: Vec<usize> = payloads[1..].iter().map(|(payload, _)| payload.len()).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 4, "{sizes:?}");
        let markers: Vec<bool> = payloads.iter().map(|(_, marker)| *marker).collect();
        assert_eq!(markers, [false, false, false, false, true]);
        assert_eq!(units_of(&payloads), units);
    }

    #[test]
    fn small_frames_are_one_packet_as_they_are() {
        assert_eq!(cut(&[0, 0, 0, 1, 0x41, 1, 2, 3], 300), [(vec![0x41, 1, 2, 3], true)]);
        assert_eq!(cut(&[0, 0, 1, 0x67, 1], 300), [(vec![0x67, 1], true)], "a lone parameter set needs no aggregate");
        assert_eq!(cut(&[], 300), []);
        assert_eq!(cut(&[1, 2, 3, 4, 5], 300), [], "nothing after a start code");
    }

    #[test]
    fn whatever_comes_out_of_an_encoder_comes_back() {
        let mut random = Random(5);
        for round in 0..500 {
            let units: Vec<Vec<u8>> = (0..1 + random.below(6))
                .map(|_| {
                    let kind = [1, 5, 6, 7, 8, 9][random.below(6)];
                    let body = (0..1 + random.below(400)).map(|_| 1 + random.below(255) as u8);
                    std::iter::once(0x60 | kind).chain(body).collect()
                })
                .collect();
            let payloads = cut(&stream(&units), 64 + random.below(200));
            assert_eq!(units_of(&payloads), units, "round {round}");
            assert_eq!(payloads.iter().filter(|(_, marker)| *marker).count(), 1);
            assert!(payloads.last().unwrap().1);
        }
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = Random(9);
        for _ in 0..5_000 {
            let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.below(3) as u8).collect();
            for (payload, _) in cut(&bytes, 16) {
                assert!(!payload.is_empty() && payload.len() <= 16);
            }
        }
    }
}
