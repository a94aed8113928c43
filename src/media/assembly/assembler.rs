//! Puts frames together from packets that come late, twice, in the wrong order or not at all. Plain data; time is an
//! input. Owned by the task that feeds a track's decoder.
//!
//! Invariant: every packet in `packets` has a sequence number of at least `next`, there are at most [`MAX_PACKETS`] of
//! them with at most [`MAX_ENCODED_FRAME_BYTES`] of payload together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::continuity::{Continuity, Verdict};
use super::descriptor::{self, Descriptor};
use super::recovery::{BOUND, MIN_WAIT, RecoveryTime};
use super::{Assembled, AssemblyStats, Body, RtpPacketRef, Stored, h264};
use crate::model::limits::MAX_ENCODED_FRAME_BYTES;
use crate::model::media::VideoCodec;

/// Packets held at a time: more than a second of a 10 Mbit/s stream.
const MAX_PACKETS: usize = 2048;
/// Packets in a row from far behind that mean the sender started anew.
const RESTART_PACKETS: u32 = 16;
/// How far behind is far: no retransmission is that old.
const RESTART_DISTANCE: u64 = 512;
/// Where sequence numbers start, so that the ones before the first packet have room.
const FIRST_SEQUENCE: u64 = 1 << 32;

/// Collects packets of one track and gives out whole frames, in order, that can be decoded.
///
/// A missing packet is waited for as long as retransmissions have lately taken, at most 300 ms. When it has not come by
/// then, frames that do without it go on, as they often can with temporal layers. Otherwise [`Self::needs_keyframe`]
/// says that a keyframe should be asked for; whichever is there first helps, the packet for 1 s. Frames that need a
/// packet which did not come are dropped.
#[derive(Debug)]
pub struct FrameAssembler {
    codec: VideoCodec,
    packets: BTreeMap<u64, Stored>,
    bytes: usize,
    /// First sequence number that is not accounted for; `None` before the first packet.
    next: Option<u64>,
    /// Highest sequence number seen.
    highest: u64,
    far_behind: u32,
    /// A frame was given out since the sender started: what is missing from then on counts as lost.
    started: bool,
    continuity: Continuity,
    /// A keyframe's first packet is at `next`.
    collecting_keyframe: bool,
    /// Something was seen that cannot be decoded without a keyframe.
    undecodable_seen: bool,
    /// A packet is overdue that no frame can do without, and no keyframe is on its way; as of the last `poll`.
    overdue: bool,
    wait: RecoveryTime,
    /// When waiting ends, if nothing comes before.
    deadline: Option<Instant>,
    last_dropped_timestamp: Option<u32>,
    stats: AssemblyStats,
}

/// What looking for the next frame came to.
enum Step {
    Frame(Assembled),
    Again,
    Wait,
}

/// State of the run of packets at `next`.
enum Run {
    /// The whole frame: up to and including this sequence number.
    Whole(u64),
    /// This packet is missing and later ones are there.
    Missing(u64),
    /// More has yet to be sent.
    Open,
    /// The packet here belongs to no frame that starts here.
    Broken(u64),
}

impl FrameAssembler {
    /// An assembler that has seen nothing.
    pub fn new(codec: VideoCodec) -> Self {
        Self {
            codec,
            packets: BTreeMap::new(),
            bytes: 0,
            next: None,
            highest: FIRST_SEQUENCE,
            far_behind: 0,
            started: false,
            continuity: Continuity::new(),
            collecting_keyframe: false,
            undecodable_seen: false,
            overdue: false,
            wait: RecoveryTime::default(),
            deadline: None,
            last_dropped_timestamp: None,
            stats: AssemblyStats::default(),
        }
    }

    /// Takes a packet. Copies of one that is here, late ones and ones whose descriptor makes no sense are ignored.
    pub fn push(&mut self, packet: RtpPacketRef<'_>, now: Instant) {
        let sequence = self.extend(packet.sequence);
        let next = *self.next.get_or_insert_with(|| {
            self.highest = sequence;
            // The first packets may come in the wrong order too: a keyframe's start might be a little behind.
            sequence - 64
        });
        if sequence < next {
            if next - sequence > RESTART_DISTANCE {
                self.far_behind += 1;
                if self.far_behind >= RESTART_PACKETS {
                    self.restart(packet, now);
                }
            }
            return;
        }
        self.far_behind = 0;
        if self.packets.contains_key(&sequence) {
            return;
        }
        let body = if packet.payload.is_empty() {
            None
        } else {
            let Some(body) = read(self.codec, packet.payload) else { return };
            Some(body)
        };
        if sequence < self.highest
            && let Some(noticed) = self.noticed_missing(sequence)
        {
            self.wait.note(now.saturating_duration_since(noticed));
        }
        self.highest = self.highest.max(sequence);
        self.stats.packets += 1;
        self.bytes += body.as_ref().map_or(0, |body| body.data.len());
        let (timestamp, marker) = (packet.timestamp, packet.marker);
        self.packets.insert(sequence, Stored { timestamp, marker, arrived: now, body });
        while self.packets.len() > MAX_PACKETS || self.bytes > MAX_ENCODED_FRAME_BYTES {
            self.give_up_on_oldest();
        }
    }

    /// The next frame that is whole and can be decoded, if there is one. Call until `None` after each packet, and at
    /// [`Self::deadline`] when nothing arrives until then.
    pub fn poll(&mut self, now: Instant) -> Option<Assembled> {
        self.deadline = None;
        self.overdue = false;
        loop {
            match self.step(now) {
                Step::Frame(frame) => {
                    self.stats.frames += 1;
                    return Some(frame);
                }
                Step::Again => {}
                Step::Wait => return None,
            }
        }
    }

    /// When [`Self::poll`] has something to do although nothing arrives; as of its last call.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells the round trip to the sender: until retransmissions were seen it says how long they take.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.wait.set_round_trip(round_trip);
    }

    /// True while nothing can be decoded, or nothing until an overdue packet is there, and no keyframe is on its way:
    /// ask the sender for one, again and again at a decent interval. False before the first packet.
    pub fn needs_keyframe(&self) -> bool {
        self.overdue || !self.continuity.decodable() && self.undecodable_seen && !self.collecting_keyframe
    }

    /// The decoder refused a frame: only a keyframe helps.
    pub fn decode_failed(&mut self) {
        self.continuity.lose();
        self.undecodable_seen = true;
        self.collecting_keyframe = false;
    }

    /// The counters.
    pub fn stats(&self) -> AssemblyStats {
        self.stats
    }

    /// Packets and payload bytes held now, counted afresh.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let bytes = self.packets.values().filter_map(|stored| stored.body.as_ref()).map(|body| body.data.len()).sum();
        assert_eq!(bytes, self.bytes, "the running count is right");
        (self.packets.len(), bytes)
    }

    /// The full number whose low 16 bits these are, nearest to the highest one seen.
    fn extend(&self, sequence: u16) -> u64 {
        if self.next.is_none() {
            return FIRST_SEQUENCE + u64::from(sequence);
        }
        let distance = sequence.wrapping_sub(self.highest as u16) as i16;
        self.highest.saturating_add_signed(i64::from(distance))
    }

    fn restart(&mut self, packet: RtpPacketRef<'_>, now: Instant) {
        while let Some((_, stored)) = self.packets.pop_first() {
            self.count_dropped(&stored);
        }
        let stats = self.stats;
        let wait = std::mem::take(&mut self.wait);
        *self = Self { stats, wait, undecodable_seen: true, ..Self::new(self.codec) };
        self.push(packet, now);
    }

    fn step(&mut self, now: Instant) -> Step {
        let Some(next) = self.next else { return Step::Wait };
        if !self.continuity.decodable() && !self.collecting_keyframe {
            return self.seek_keyframe(now);
        }
        if self.packets.get(&next).is_some_and(|stored| stored.body.is_none()) {
            self.take(next);
            return Step::Again;
        }
        match self.run_at(next) {
            Run::Whole(last) => self.give(next, last),
            Run::Open => Step::Wait,
            Run::Broken(end) => {
                self.skip_to(end + 1);
                Step::Again
            }
            Run::Missing(missing) => self.bridge(next, missing, now),
        }
    }

    /// Looks at the packets from `start` on, which should be the start of a frame.
    fn run_at(&self, start: u64) -> Run {
        let mut timestamp = None;
        for (expected, (&sequence, stored)) in (start..).zip(self.packets.range(start..)) {
            if sequence != expected {
                return Run::Missing(expected);
            }
            if stored.body.is_none() {
                continue;
            }
            match timestamp {
                None if !stored.starts_frame() => return Run::Broken(sequence),
                None => timestamp = Some(stored.timestamp),
                // A new frame without the marker on the one before: that one ends here.
                Some(current) if current != stored.timestamp && stored.starts_frame() => {
                    return Run::Whole(sequence - 1);
                }
                // H.264 does not mark where a frame starts; several packets of one may look like it.
                Some(current)
                    if current != stored.timestamp || (stored.starts_frame() && self.codec == VideoCodec::Vp8) =>
                {
                    return Run::Broken(sequence - 1);
                }
                Some(_) => {}
            }
            if stored.marker {
                return Run::Whole(sequence);
            }
        }
        Run::Open
    }

    /// Decides about a missing packet: wait, go around it, or give up on it.
    fn bridge(&mut self, next: u64, missing: u64, now: Instant) -> Step {
        // A whole keyframe later on makes everything before it pointless to wait for.
        if let Some(key) = self.whole_keyframe_after(missing) {
            self.skip_to(key);
            return Step::Again;
        }
        // Nothing but padding is missing when the frame after the gap is the one after the frame before it.
        if missing == next
            && let Some((&after, stored)) = self.packets.range(missing..).next()
            && let Some(body) = &stored.body
            && body.descriptor.starts_frame
            && self.continuity.follows_picture(&body.descriptor)
        {
            self.stats.lost += after - missing;
            self.next = Some(after);
            return Step::Again;
        }
        let noticed = self.noticed_missing(missing).unwrap_or(now);
        let waited = now.saturating_duration_since(noticed);
        if waited < self.wait.patience() {
            self.deadline = Some(noticed + self.wait.patience());
            return Step::Wait;
        }
        let unreferenced = self.descriptor_at(next).filter(|descriptor| descriptor.unreferenced);
        let restart = self.packets.range(missing..).find(|(_, stored)| stored.starts_frame()).map(|(&at, _)| at);
        // Giving up wins nothing where only a keyframe would help: the packet may well come first.
        if waited < BOUND && !restart.is_some_and(|at| self.goes_on_at(at, unreferenced)) {
            // A keyframe that is not whole either in good time is no help.
            let patience = self.wait.patience();
            let hopes = self.packets.range(missing..).filter(|(_, stored)| stored.starts_keyframe());
            let hope = hopes.map(|(_, stored)| stored.arrived + patience).max().filter(|until| *until > now);
            self.overdue = hope.is_none();
            self.deadline = Some(hope.map_or(noticed + BOUND, |until| until.min(noticed + BOUND)));
            return Step::Wait;
        }
        // Give up: go on at the next frame that starts after the gap, or behind everything that is here.
        self.undecodable_seen |= !self.continuity.decodable();
        self.skip_to(restart.unwrap_or(self.highest + 1));
        if let Some(descriptor) = unreferenced {
            self.continuity.pass_over_unreferenced(&descriptor);
        }
        Step::Again
    }

    /// Whether the frame that starts here can do without what is missing before it; `unreferenced` is the frame that
    /// lacks it, when no other refers to that one.
    fn goes_on_at(&self, start: u64, unreferenced: Option<Descriptor>) -> bool {
        let Some(descriptor) = self.descriptor_at(start) else { return false };
        let mut ahead = self.continuity.clone();
        ahead.note_gap();
        if let Some(passed) = unreferenced {
            ahead.pass_over_unreferenced(&passed);
        }
        ahead.judge(&descriptor, false) != Verdict::Lost
    }

    /// When the first packet after this one arrived.
    fn noticed_missing(&self, sequence: u64) -> Option<Instant> {
        self.packets.range(sequence..).map(|(_, stored)| stored.arrived).min()
    }

    fn descriptor_at(&self, sequence: u64) -> Option<Descriptor> {
        self.packets.get(&sequence)?.body.as_ref().map(|body| body.descriptor)
    }

    fn whole_keyframe_after(&self, missing: u64) -> Option<u64> {
        self.packets
            .range(missing..)
            .filter(|(_, stored)| stored.starts_keyframe())
            .map(|(&at, _)| at)
            .find(|&at| matches!(self.run_at(at), Run::Whole(_)))
    }

    /// Waits for the start of a keyframe, forgetting what is older than any retransmission.
    fn seek_keyframe(&mut self, now: Instant) -> Step {
        let key = self.packets.iter().find(|(_, stored)| stored.starts_keyframe()).map(|(&at, _)| at);
        if let Some(key) = key {
            self.skip_to(key);
            self.collecting_keyframe = true;
            return Step::Again;
        }
        // Any frame that starts without being a keyframe shows that one is missing, and so does what lies around.
        self.undecodable_seen |= self
            .packets
            .values()
            .any(|stored| stored.starts_frame() || now.saturating_duration_since(stored.arrived) >= MIN_WAIT);
        while let Some((&sequence, stored)) = self.packets.first_key_value()
            && now.saturating_duration_since(stored.arrived) >= BOUND
        {
            self.skip_to(sequence + 1);
        }
        let patience = if self.undecodable_seen { BOUND } else { MIN_WAIT };
        self.deadline = self.packets.first_key_value().map(|(_, stored)| stored.arrived + patience);
        Step::Wait
    }

    /// Takes the whole frame at `first..=last` out, and gives it if it can be decoded.
    fn give(&mut self, first: u64, last: u64) -> Step {
        let length = self
            .packets
            .range(first..=last)
            .filter_map(|(_, stored)| stored.body.as_ref())
            .fold(0, |length, body| length + body.data.len());
        let mut data = Vec::with_capacity(length);
        let mut head: Option<(Descriptor, bool, u32)> = None;
        let mut refreshes = self.codec == VideoCodec::Vp8;
        for sequence in first..=last {
            let Some(stored) = self.take(sequence) else { continue };
            if let Some(body) = stored.body {
                head.get_or_insert((body.descriptor, body.keyframe, stored.timestamp));
                data.extend_from_slice(&body.data);
                refreshes |= body.refreshes;
            }
        }
        let Some((descriptor, keyframe, timestamp)) = head else { return Step::Again };
        let keyframe = keyframe && refreshes;
        self.collecting_keyframe = false;
        match self.continuity.judge(&descriptor, keyframe) {
            Verdict::Give => {
                self.undecodable_seen = false;
                self.started = true;
                Step::Frame(Assembled { data, keyframe, timestamp })
            }
            verdict => {
                self.stats.dropped += 1;
                self.undecodable_seen |= verdict == Verdict::Lost;
                Step::Again
            }
        }
    }

    /// Removes the packet at `next` and moves on behind it.
    fn take(&mut self, sequence: u64) -> Option<Stored> {
        self.next = Some(sequence + 1);
        let stored = self.packets.remove(&sequence)?;
        self.bytes -= stored.body.as_ref().map_or(0, |body| body.data.len());
        Some(stored)
    }

    /// Gives up on everything before `target`.
    fn skip_to(&mut self, target: u64) {
        let Some(next) = self.next else { return };
        let mut there = 0;
        while let Some(entry) = self.packets.first_entry() {
            if *entry.key() >= target {
                break;
            }
            let stored = entry.remove();
            there += 1;
            self.bytes -= stored.body.as_ref().map_or(0, |body| body.data.len());
            self.count_dropped(&stored);
        }
        if self.started {
            self.stats.lost += target.saturating_sub(next).saturating_sub(there);
        }
        self.next = Some(target.max(next));
        self.collecting_keyframe = false;
        self.continuity.note_gap();
    }

    fn give_up_on_oldest(&mut self) {
        self.undecodable_seen |= !self.continuity.decodable();
        let restart = self.packets.iter().skip(1).find(|(_, stored)| stored.starts_frame()).map(|(&at, _)| at);
        self.skip_to(restart.unwrap_or(self.highest + 1));
    }

    fn count_dropped(&mut self, stored: &Stored) {
        if stored.body.is_some() && self.last_dropped_timestamp != Some(stored.timestamp) {
            self.last_dropped_timestamp = Some(stored.timestamp);
            self.stats.dropped += 1;
        }
    }
}

/// Reads one payload; `None` when it makes no sense.
fn read(codec: VideoCodec, payload: &Bytes) -> Option<Body> {
    match codec {
        VideoCodec::Vp8 => {
            let (descriptor, data) = descriptor::parse(payload)?;
            let keyframe = descriptor.starts_frame && data.first().is_some_and(|byte| byte & 1 == 0);
            Some(Body { descriptor, keyframe, refreshes: keyframe, data: payload.slice(payload.len() - data.len()..) })
        }
        VideoCodec::H264 => {
            let units = h264::parse(payload)?;
            let descriptor = Descriptor {
                starts_frame: units.starts_frame,
                unreferenced: units.unreferenced,
                picture: None,
                layer: None,
            };
            Some(Body {
                descriptor,
                keyframe: units.has_parameters,
                refreshes: units.refreshes,
                data: units.data.into(),
            })
        }
    }
}
