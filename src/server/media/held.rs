//! Reliable data that a participant sends faster than it may: it waits here in its order and is passed on at the
//! permitted rate. Bounded; whoever fills it up is let go, since what was promised reliable cannot be dropped.

use std::collections::VecDeque;
use std::time::Instant;

use livekit_protocol::DataPacket;
use livekit_protocol::data_packet::Kind;

use super::link::Peer;
use super::shard::Shard;

/// Data of one participant that may wait, in bytes and in messages: a file of some megabytes.
const HELD_BYTES: usize = 4 * 1024 * 1024;
const HELD_MESSAGES: usize = 4096;

/// What of one participant waits, the oldest first, each message with its length in bytes.
#[derive(Debug, Default)]
pub(super) struct Held {
    messages: VecDeque<(DataPacket, usize)>,
    bytes: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes a message of `len` bytes in; answers whether there was room.
    pub(super) fn push(&mut self, packet: DataPacket, len: usize) -> bool {
        let fits = self.messages.len() < HELD_MESSAGES && self.bytes + len <= HELD_BYTES;
        if fits {
            self.bytes += len;
            self.messages.push_back((packet, len));
        }
        fits
    }

    fn pop(&mut self) -> Option<DataPacket> {
        let (packet, len) = self.messages.pop_front()?;
        self.bytes -= len;
        Some(packet)
    }
}

impl Peer {
    /// Takes `len` bytes of data out of its rates, or nothing when they do not allow it now.
    pub(super) fn may_send(&mut self, len: usize, now: Instant) -> bool {
        self.data_packets.covers(1, now) && self.data_bytes.take(len, now) && self.data_packets.take(1, now)
    }

    /// Whether its rates ever allow `len` bytes at once.
    pub(super) fn may_ever_send(&self, len: usize) -> bool {
        self.data_packets.holds(1) && self.data_bytes.holds(len)
    }

    /// The next of what waits, when its rates allow it by now.
    fn next_held(&mut self, now: Instant) -> Option<DataPacket> {
        let len = self.held.messages.front()?.1;
        if self.may_send(len, now) { self.held.pop() } else { None }
    }
}

impl Shard {
    /// Passes on what waited and may go by now.
    pub(super) fn pass_held(&mut self, now: Instant) {
        for sender in std::mem::take(&mut self.holding) {
            while let Some(packet) = self.peers.get_mut(&sender).and_then(|peer| peer.next_held(now)) {
                self.pass_on(sender, packet, Kind::Reliable, now);
            }
            if self.peers.get(&sender).is_some_and(|peer| !peer.held.is_empty()) {
                self.holding.push(sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_keeps_its_order_and_has_a_bound() {
        let numbered = |sequence: u32| DataPacket { sequence, ..DataPacket::default() };
        let mut held = Held::default();
        let taken = (1..=10_000).take_while(|sequence| held.push(numbered(*sequence), 15_000)).count();
        assert_eq!(taken, HELD_BYTES / 15_000);
        assert!(!held.push(numbered(1), 15_000));
        assert_eq!(held.pop().map(|packet| packet.sequence), Some(1));
        assert!(held.push(numbered(7), 15_000), "there is room again");
        let rest: Vec<u32> = std::iter::from_fn(|| held.pop()).map(|packet| packet.sequence).collect();
        assert_eq!((rest[0], rest[rest.len() - 1], rest.len()), (2, 7, taken));
        assert_eq!(held.bytes, 0);
        assert_eq!((0..9000).take_while(|_| held.push(numbered(1), 0)).count(), HELD_MESSAGES);
    }
}
