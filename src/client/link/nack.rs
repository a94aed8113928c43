//! Asks for missing packets of pictures again: soon, as often as the round trip allows, and not for long. Runs inside the
//! connection's driver task and never blocks.
//!
//! The connection's own generator looks every 100 ms and asks without end for everything in its window; at 30 frames
//! per second that is three frames late. As in WebRTC, a gap is asked for when it is seen, and again after each round
//! trip; less and less often while that is not known.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Packets that overtake each other are mostly there within this.
const REORDER_WAIT: Duration = Duration::from_millis(4);
/// A packet is asked for while somebody waits for it: as long as the assembler does.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Round trip before one was seen, and its bounds.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(60);
const MIN_ROUND_TRIP: Duration = Duration::from_millis(15);
const MAX_ROUND_TRIP: Duration = MAX_AGE;
/// More answers in a row to repeated requests than loss explains: the way became longer.
const MAX_DOUBTFUL: u32 = 4;
/// A gap longer than this is a new beginning, not a loss.
const MAX_GAP: u64 = 500;
/// How far behind the newest a packet of the same sequence can be.
const HALF_SEQUENCE: u16 = 1 << 15;

/// Watches the sequence numbers of the streams that can be asked for packets.
#[derive(Default)]
pub(super) struct Nacks {
    streams: HashMap<u32, Stream>,
    /// When there is something to ask for.
    due: Option<Instant>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

struct Stream {
    newest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    round_trip: Duration,
    /// The longest that an answer to one of several requests may have taken since a single one was answered.
    suspected: Duration,
    /// Repeated requests since then whose answers may have been theirs, on a way that loses; and when the last was made.
    doubtful: u32,
    doubted: Option<Instant>,
    /// A single request was answered.
    learnt: bool,
}

struct Missing {
    noticed: Instant,
    asked: u32,
    first_asked: Instant,
    asked_last: Instant,
    /// Between the last request and the next.
    wait: Duration,
    next: Instant,
}

impl Stream {
    fn new() -> Self {
        Self {
            newest: None,
            missing: BTreeMap::new(),
            round_trip: FIRST_ROUND_TRIP,
            suspected: Duration::ZERO,
            doubtful: 0,
            doubted: None,
            learnt: false,
        }
    }

    /// A packet arrived; answers whether something new is missing.
    fn arrived(&mut self, sequence: u16, now: Instant) -> bool {
        let Some(newest) = self.newest else {
            // Far from 0, so that there is room behind it.
            self.newest = Some((1 << 32) + u64::from(sequence));
            return false;
        };
        let ahead = sequence.wrapping_sub(newest as u16);
        if ahead >= HALF_SEQUENCE || ahead == 0 {
            let late = newest - u64::from((newest as u16).wrapping_sub(sequence));
            if let Some(missing) = self.missing.remove(&late) {
                self.answered(&missing, now);
            }
            return false;
        }
        let arrived = newest + u64::from(ahead);
        self.newest = Some(arrived);
        if u64::from(ahead) > MAX_GAP {
            self.missing.clear();
            return false;
        }
        for sequence in newest + 1..arrived {
            let (wait, next) = (Duration::ZERO, now + REORDER_WAIT);
            let missing = Missing { noticed: now, asked: 0, first_asked: now, asked_last: now, wait, next };
            self.missing.insert(sequence, missing);
        }
        while self.missing.len() as u64 > MAX_GAP {
            self.missing.pop_first();
        }
        ahead > 1
    }

    /// Learns how long answers take. Only the answer to a single request tells it (Karn's rule). That to one of several
    /// is the first one's where it comes too soon after the last, and may be so where that goes on: until a single request
    /// is answered the next ones are given that long, so that one is.
    fn answered(&mut self, missing: &Missing, now: Instant) {
        let took = now.saturating_duration_since(missing.first_asked);
        match missing.asked {
            0 => {}
            1 => {
                // Until it is known that the way became longer, every packet costs one request more.
                let weight = if took > self.round_trip { 1 } else { 7 };
                let smoothed = (self.round_trip * weight + took) / (weight + 1);
                self.round_trip = smoothed.clamp(MIN_ROUND_TRIP, MAX_ROUND_TRIP);
                self.suspected = Duration::ZERO;
                self.doubtful = 0;
                self.learnt = true;
            }
            _ => {
                let since_last = now.saturating_duration_since(missing.asked_last);
                // One request asks for all that is missing then.
                self.doubtful += u32::from(self.doubted.replace(missing.asked_last) != Some(missing.asked_last));
                if !self.learnt || since_last < self.round_trip * 4 / 5 || self.doubtful > MAX_DOUBTFUL {
                    self.suspected = self.suspected.max(took).min(MAX_ROUND_TRIP);
                }
            }
        }
    }

    /// What to ask for now.
    fn ask(&mut self, now: Instant) -> Vec<u16> {
        self.missing.retain(|_, missing| now.saturating_duration_since(missing.noticed) < MAX_AGE);
        let expected = self.round_trip.max(self.suspected);
        let mut due = Vec::new();
        for (sequence, missing) in &mut self.missing {
            if missing.next > now {
                continue;
            }
            if missing.asked == 0 {
                missing.first_asked = now;
            }
            missing.asked += 1;
            missing.asked_last = now;
            let sure = self.learnt && self.suspected.is_zero();
            // Where requests are lost they are repeated soon; but what nobody can send again costs a dozen of them at most.
            let grown = if sure { missing.wait * 5 / 4 } else { missing.wait * 2 };
            missing.wait = grown.max(expected * 5 / 4);
            missing.next = now + missing.wait;
            due.push(*sequence as u16);
        }
        due
    }

    fn due(&self) -> Option<Instant> {
        self.missing.values().map(|missing| missing.next).min()
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Nacks {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        if let Packet::Rtp(packet) = &message.message.packet
            && let Some(stream) = self.streams.get_mut(&packet.header.ssrc)
            && stream.arrived(packet.header.sequence_number, message.now)
        {
            let due = message.now + REORDER_WAIT;
            self.due = Some(self.due.map_or(due, |before| before.min(due)));
        }
        self.inbound.push_back(message);
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

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Self::Error> {
        if self.due.is_none_or(|due| due > now) {
            return Ok(());
        }
        for (&media_ssrc, stream) in &mut self.streams {
            let sequences = stream.ask(now);
            if sequences.is_empty() {
                continue;
            }
            let nacks = nack_pairs_from_sequence_numbers(&sequences);
            let request = TransportLayerNack { sender_ssrc: 0, media_ssrc, nacks };
            let message = AttributedPacket::new(Packet::Rtcp(vec![Box::new(request)]));
            self.outbound.push_back(TaggedPacket { now, transport: Default::default(), message });
        }
        self.due = self.streams.values().filter_map(Stream::due).min();
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.due
    }
}

impl Interceptor for Nacks {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        if info.rtcp_feedback.iter().any(|feedback| feedback.typ == "nack" && feedback.parameter.is_empty()) {
            self.streams.insert(info.ssrc, Stream::new());
        }
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.streams.remove(&info.ssrc);
    }
}

#[cfg(test)]
#[path = "nack_tests.rs"]
mod tests;
