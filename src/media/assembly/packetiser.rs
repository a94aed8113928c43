//! Encoded VP8 frames to RTP payloads (RFC 7741 section 4.3). Owned by the thread that sends a track.

use super::descriptor::{WRITTEN_LEN, write};

/// Cuts frames into payloads that each carry a descriptor with a 15-bit picture id.
#[derive(Debug)]
pub struct Vp8Packetiser {
    max_body: usize,
    picture_id: u16,
    payload: Vec<u8>,
}

impl Vp8Packetiser {
    /// Payloads will have at most `max_payload` bytes, descriptor included (at least 16 are used).
    pub fn new(max_payload: usize) -> Self {
        let max_payload = max_payload.max(16);
        Self { max_body: max_payload - WRITTEN_LEN, picture_id: 0, payload: Vec::with_capacity(max_payload) }
    }

    /// Hands the payloads of one frame to `sink` in order, the last one with the marker. They are of nearly equal
    /// size, so that no packet is much likelier to be lost than another. An empty frame gives none. `keyframe` says
    /// what the bitstream says; VP8's descriptor does not repeat it, others' do.
    pub fn packetise(&mut self, frame: &[u8], keyframe: bool, mut sink: impl FnMut(&[u8], bool)) {
        if frame.is_empty() {
            return;
        }
        let packets = frame.len().div_ceil(self.max_body);
        let body_len = frame.len().div_ceil(packets);
        tracing::trace!(picture_id = self.picture_id, keyframe, packets, bytes = frame.len(), "packetised a frame");
        let last = frame.len().div_ceil(body_len) - 1;
        for (index, body) in frame.chunks(body_len).enumerate() {
            self.payload.clear();
            self.payload.extend(write(self.picture_id, index == 0));
            self.payload.extend_from_slice(body);
            sink(&self.payload, index == last);
        }
        self.picture_id = (self.picture_id + 1) & 0x7fff;
    }
}

#[cfg(test)]
mod tests {
    use super::super::descriptor::parse;
    use super::*;

    #[test]
    fn frames_are_cut_evenly_and_marked() {
        let mut packetiser = Vp8Packetiser::new(100);
        for (length, expected) in [(1, 1), (96, 1), (97, 2), (1000, 11)] {
            let frame: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let mut packets = Vec::new();
            packetiser.packetise(&frame, false, |payload, marker| packets.push((payload.to_vec(), marker)));
            assert_eq!(packets.len(), expected);
            let sizes: Vec<usize> = packets.iter().map(|(payload, _)| payload.len()).collect();
            assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= expected, "{sizes:?}");
            let joined: Vec<u8> = packets.iter().flat_map(|(payload, _)| parse(payload).unwrap().1.to_vec()).collect();
            assert_eq!(joined, frame);
            for (index, (payload, marker)) in packets.iter().enumerate() {
                assert_eq!(*marker, index == expected - 1);
                assert_eq!(parse(payload).unwrap().0.starts_frame, index == 0);
            }
        }
    }

    #[test]
    fn picture_ids_count_frames_and_wrap() {
        let mut packetiser = Vp8Packetiser::new(1200);
        packetiser.picture_id = 0x7fff;
        let mut ids = Vec::new();
        for _ in 0..2 {
            packetiser
                .packetise(&[0; 3000], true, |payload, _| ids.push(parse(payload).unwrap().0.picture.unwrap().value));
        }
        assert_eq!(ids, [0x7fff, 0x7fff, 0x7fff, 0, 0, 0]);
        packetiser.packetise(&[], true, |_, _| panic!("an empty frame has no packets"));
    }
}
