//! Keeps the first packets of tracks that are not known yet. Runs inside the connection's driver task and never blocks.
//!
//! The server sends media as soon as the connection stands, and its answer that names the tracks travels over the
//! WebSocket meanwhile. What overtakes the answer is thrown away by the connection, and with it goes the keyframe that
//! everything else builds on. So packets wait here until their stream is bound.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Behind the one that reports arrivals to the sender's bandwidth estimation (8 000), which wants to see every packet when
/// it comes, and before everything that counts a stream's packets: what waited here is seen by all of it when it goes on.
pub(super) const EARLY_TAP_SLOT: usize = 8_500;
/// Probes for bandwidth to a client without RTX come under this SSRC, which belongs to no stream.
const PROBE_SSRC: u32 = 0;
/// Packets that wait at most: three keyframes of 720p and some sound.
const MAX_PACKETS: usize = 512;
/// How long an answer may be overtaken by.
const MAX_AGE: Duration = Duration::from_secs(2);

/// Holds packets of streams that are not bound yet.
#[derive(Default)]
pub(super) struct EarlyTap {
    bound: HashSet<u32>,
    held: VecDeque<TaggedPacket>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl EarlyTap {
    fn hold(&mut self, message: TaggedPacket) {
        while self.held.len() >= MAX_PACKETS
            || self.held.front().is_some_and(|first| message.now.saturating_duration_since(first.now) > MAX_AGE)
        {
            self.held.pop_front();
        }
        self.held.push_back(message);
    }
}

fn ssrc(message: &TaggedPacket) -> Option<u32> {
    match &message.message.packet {
        Packet::Rtp(packet) => Some(packet.header.ssrc),
        _ => None,
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for EarlyTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        if ssrc(&message).is_none_or(|ssrc| ssrc == PROBE_SSRC || self.bound.contains(&ssrc)) {
            self.inbound.push_back(message);
        } else {
            self.hold(message);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        self.outbound.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.outbound.pop_front()
    }
}

impl Interceptor for EarlyTap {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    /// The stream's next packet is on its way here: those that waited go first.
    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.bound.insert(info.ssrc);
        let before = self.held.len();
        for message in std::mem::take(&mut self.held) {
            if ssrc(&message) == Some(info.ssrc) {
                self.inbound.push_back(message);
            } else {
                self.held.push_back(message);
            }
        }
        tracing::trace!(ssrc = info.ssrc, waited = before - self.held.len(), "a track's packets begin");
    }

    /// A stream that was known once never waits again: the connection does not bind it a second time.
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::interceptor::AttributedPacket;
    use rtc::rtp;

    fn packet(ssrc: u32, sequence_number: u16, now: Instant) -> TaggedPacket {
        let header = rtp::Header { ssrc, sequence_number, ..Default::default() };
        let packet = rtp::Packet { header, payload: Default::default() };
        TaggedPacket { now, transport: Default::default(), message: AttributedPacket::new(Packet::Rtp(packet)) }
    }

    fn came(tap: &mut EarlyTap) -> Vec<(u32, u16)> {
        std::iter::from_fn(|| tap.poll_read())
            .map(|message| match message.message.packet {
                Packet::Rtp(packet) => (packet.header.ssrc, packet.header.sequence_number),
                _ => panic!("not RTP"),
            })
            .collect()
    }

    #[test]
    fn packets_wait_for_their_stream_and_keep_their_order() {
        let (mut tap, now) = (EarlyTap::default(), Instant::now());
        for sequence in 0..5 {
            tap.handle_read(packet(1, sequence, now)).unwrap();
            tap.handle_read(packet(2, sequence, now)).unwrap();
        }
        assert!(came(&mut tap).is_empty());
        tap.bind_remote_stream(&StreamInfo { ssrc: 1, ..Default::default() });
        tap.handle_read(packet(1, 5, now)).unwrap();
        assert_eq!(came(&mut tap), [0, 1, 2, 3, 4, 5].map(|sequence| (1, sequence)));
        assert_eq!(tap.held.len(), 5, "the other stream is still unknown");
        tap.unbind_remote_stream(&StreamInfo { ssrc: 1, ..Default::default() });
        tap.handle_read(packet(1, 6, now)).unwrap();
        assert_eq!(came(&mut tap), [(1, 6)], "what was known once never waits again");
    }

    #[test]
    fn probes_do_not_wait_and_push_nobody_out() {
        let (mut tap, now) = (EarlyTap::default(), Instant::now());
        tap.handle_read(packet(1, 0, now)).unwrap();
        for sequence in 0..1_000 {
            tap.handle_read(packet(PROBE_SSRC, sequence, now)).unwrap();
        }
        assert_eq!(came(&mut tap).len(), 1_000);
        assert_eq!(tap.held.len(), 1);
    }

    #[test]
    fn strangers_fill_nothing() {
        let (mut tap, start) = (EarlyTap::default(), Instant::now());
        for n in 1..5_000u32 {
            tap.handle_read(packet(n, 0, start)).unwrap();
        }
        assert_eq!(tap.held.len(), MAX_PACKETS);
        tap.handle_read(packet(9, 0, start + 2 * MAX_AGE)).unwrap();
        assert_eq!(tap.held.len(), 1);
    }
}
