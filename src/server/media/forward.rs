//! The packet path: from a publisher's packet to one packet for each receiver. The payload is shared, never copied
//! here; each leg keeps its own numbers. Allocates nothing per packet and leg.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::format::{Codec, detect_h264_nalu};
use str0m::media::{KeyframeRequestKind, Pt};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, Ssrc, Vp8Descriptor};

use super::keyframe::KeyframeWish;
use super::layers::{Demand, Given, LAYERS, allocate, rank_of};
use super::levels::Level;
use super::link::{Link, LinkId};
use super::red;
use super::rewrite::{Incoming, Rewriter};
use super::shard::Shard;
use super::{MediaEvent, Published, TrackId};
use crate::model::media::VideoCodec;

/// RTP clock of pictures, in Hz.
const VIDEO_HZ: u32 = 90_000;
/// RTP clock of Opus, in Hz (RFC 7587).
const OPUS_HZ: u32 = 48_000;
/// An encoding without packets for this long does not flow: the publisher stopped it.
const FLOW_TIMEOUT: Duration = Duration::from_millis(1000);
/// What an encoding usually takes, in bit/s, by rank: until its first rate was read.
const USUAL_BPS: [u64; LAYERS] = [150_000, 500_000, 1_700_000];
/// SSRCs remembered of one client: more come only from one that changes them without need.
const SSRCS_MAX: usize = 256;
/// Largest payload sent on, in bytes: what fits a datagram with our own header extensions.
const PAYLOAD_MAX_BYTES: usize = 1400;
/// Lost sound that one redundant packet mends at most: what senders add, and a burst of lies stays harmless.
const MENDED_MAX: usize = 3;
/// A sequence parameter set (RFC 6184 table 1): H.264 keyframes begin with one.
const H264_SPS: u8 = 7;

/// One encoding of a published track.
#[derive(Debug, Default)]
pub(super) struct Layer {
    ssrc: Option<Ssrc>,
    /// The newest extended sequence number of `ssrc`.
    newest_seq: Option<u64>,
    heard: Option<Instant>,
    /// Bytes since the rate was read.
    bytes: usize,
    rate_bps: u64,
    wish: KeyframeWish,
    /// Numbers of sound packets that were sent on although they had not come: they shall not go twice.
    mended: Recent,
}

/// The newest few of the sequence numbers noted.
#[derive(Debug, Default)]
struct Recent {
    numbers: [u64; 8],
    next: usize,
}

impl Recent {
    fn insert(&mut self, number: u64) {
        self.numbers[self.next] = number;
        self.next = (self.next + 1) % self.numbers.len();
    }

    fn contains(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }
}

impl Layer {
    /// The blocks of a redundant packet; notes those that mend a loss as come. `None` when they make no sense.
    fn unpack(&mut self, packet: &RtpPacket) -> Option<Redundant> {
        let blocks = red::split(&packet.payload)?;
        let newest = packet.payload[blocks.newest.clone()].into();
        let mut mended = Vec::new();
        let lost = match self.newest_seq {
            Some(last) if self.ssrc == Some(packet.header.ssrc) => packet.seq_no.saturating_sub(last + 1),
            _ => 0,
        };
        for (back, block) in (1..=lost).zip(blocks.older()).take(MENDED_MAX) {
            if !block.bytes.is_empty() {
                mended.push((back, block.age, packet.payload[block.bytes.clone()].into()));
                self.mended.insert(*packet.seq_no - back);
            }
        }
        mended.reverse();
        Some(Redundant { newest, mended })
    }

    fn flows(&self, now: Instant) -> bool {
        self.heard.is_some_and(|at| now.saturating_duration_since(at) < FLOW_TIMEOUT)
    }

    /// Whether the packet continues the stream: not reordered, not sent again.
    fn is_newest(&self, ssrc: Ssrc, seq: u64) -> bool {
        self.ssrc != Some(ssrc) || self.newest_seq.is_none_or(|newest| seq > newest)
    }
}

/// A track on its way to one receiver.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) link: LinkId,
    ssrc: Ssrc,
    pt: Pt,
    /// The payload type under which it takes redundant sound.
    red: Option<Pt>,
    rewriter: Rewriter,
    pub(super) disabled: bool,
    /// Its bandwidth does not even carry the lowest encoding.
    paused: bool,
    /// The encoding it shall get.
    target: usize,
    /// The encoding it gets; `None` until a keyframe starts it.
    current: Option<usize>,
}

/// A published track and everyone who receives it.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) video: bool,
    /// What its packets must be.
    codec: Codec,
    pub(super) screen: bool,
    pub(super) widths_px: [u32; LAYERS],
    /// The link it comes in through.
    pub(super) link: LinkId,
    pub(super) layers: [Layer; LAYERS],
    pub(super) legs: Vec<Leg>,
    pub(super) level: Level,
    /// The level last reported.
    pub(super) reported: f32,
}

impl Track {
    pub(super) fn new(link: LinkId, published: &Published) -> Self {
        Self {
            video: published.video,
            codec: codec_of(published),
            screen: published.screen,
            widths_px: published.widths_px,
            link,
            layers: Default::default(),
            legs: Vec::new(),
            level: Level::default(),
            reported: 0.0,
        }
    }

    /// Adds a receiver. Its keyframe is asked for by the plan that follows, and not before its connection stands: one
    /// that came sooner would be lost on it, and hold up the next.
    pub(super) fn add_leg(&mut self, link: LinkId, ssrc: Ssrc, (pt, red): (Pt, Option<Pt>), disabled: bool) {
        let rewriter = Rewriter::new(if self.video { VIDEO_HZ } else { OPUS_HZ });
        tracing::trace!(receiver = link.peer.0, %ssrc, "leg");
        self.legs.push(Leg { link, ssrc, pt, red, rewriter, disabled, paused: false, target: 0, current: None });
    }

    /// The codec of its packets.
    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Someone cannot show the picture until a keyframe comes.
    pub(super) fn want_keyframe(&mut self, link: LinkId) {
        let Some(leg) = self.legs.iter().find(|leg| leg.link == link) else { return };
        self.layers[leg.current.unwrap_or(leg.target)].wish.want();
    }

    /// Pauses or resumes one receiver; it resumes with a keyframe.
    pub(super) fn set_disabled(&mut self, link: LinkId, disabled: bool) {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.link == link) else { return };
        if leg.disabled && !disabled {
            leg.current = None;
            self.layers[leg.target].wish.want();
        }
        leg.disabled = disabled;
    }

    /// Asks the publisher for the keyframes that are due; answers how many requests that were.
    pub(super) fn ask_keyframes(&mut self, links: &mut HashMap<LinkId, Link>, now: Instant) -> u64 {
        if !self.video {
            return 0;
        }
        let mut asked = 0;
        for layer in &mut self.layers {
            let (Some(ssrc), true) = (layer.ssrc, layer.heard.is_some()) else { continue };
            if !layer.wish.due(now) {
                continue;
            }
            let Some(link) = links.get_mut(&self.link) else { return asked };
            if let Some(stream) = link.rtc.direct_api().stream_rx(&ssrc) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
                link.dirty = true;
                asked += 1;
                tracing::trace!(publisher = self.link.peer.0, %ssrc, "keyframe asked for");
            }
        }
        asked
    }

    /// Turns the bytes of the last `elapsed` into rates.
    pub(super) fn read_rates(&mut self, elapsed: Duration) {
        let secs = elapsed.as_secs_f64().max(0.001);
        for layer in &mut self.layers {
            let rate = layer.bytes as f64 * 8.0 / secs;
            layer.rate_bps = if layer.rate_bps == 0 { rate as u64 } else { (layer.rate_bps + rate as u64) / 2 };
            layer.bytes = 0;
        }
    }

    fn demand(&self, max_rank: usize, current: Option<usize>, now: Instant) -> Demand {
        let rates_bps = std::array::from_fn(|rank| {
            let layer = &self.layers[rank];
            let rate_bps = if layer.rate_bps == 0 { USUAL_BPS[rank] } else { layer.rate_bps };
            layer.flows(now).then_some(rate_bps)
        });
        Demand { rates_bps, max_rank, current, first: self.screen }
    }

    /// Stops or resumes one leg for want of bandwidth; answers whether that is new. It resumes with a keyframe.
    fn pause(&mut self, link: LinkId, paused: bool) -> bool {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.link == link && leg.paused != paused) else { return false };
        leg.paused = paused;
        leg.current = None;
        true
    }

    /// One leg shall get another encoding.
    fn retarget(&mut self, link: LinkId, rank: usize) {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.link == link) else { return };
        leg.target = rank;
        if leg.current != Some(rank) && !leg.disabled && !leg.paused {
            self.layers[rank].wish.want();
        }
    }
}

/// A packet on its way, as every leg needs it.
struct Passing<'a> {
    track: TrackId,
    rank: usize,
    packet: &'a RtpPacket,
    incoming: Incoming,
    /// A receiver may begin with it.
    starts: bool,
    extensions: ExtensionValues,
    red: Option<Redundant>,
}

/// Redundant sound, and what of it goes to those who take plain Opus.
struct Redundant {
    newest: Arc<[u8]>,
    /// Packets that were lost: how many before this one, how much older in ticks, and their bytes; the oldest first.
    mended: Vec<(u64, u32, Arc<[u8]>)>,
}

impl Shard {
    /// A publisher's packet came in through `from`.
    pub(super) fn forward(&mut self, from: LinkId, packet: RtpPacket, now: Instant) {
        self.counters.packets_in.add(1);
        let ssrc = packet.header.ssrc;
        let Some((track_id, rank)) = self.route_packet(from, ssrc, packet.header.payload_type) else { return };
        if packet.payload.is_empty() || packet.payload.len() > PAYLOAD_MAX_BYTES {
            return;
        }
        let (Some(track), Some(link)) = (self.tracks.get_mut(&track_id), self.links.get_mut(&from)) else { return };
        let at = link.clock.captured(&packet, now);
        let is_red = !track.video && link.red == Some(packet.header.payload_type);
        let vp8 = if track.codec == Codec::Vp8 { Vp8Descriptor::parse(&packet.payload).ok() } else { None };
        // A keyframe that comes late starts nobody: what followed it has passed already.
        let newest = track.layers[rank].is_newest(ssrc, *packet.seq_no);
        let starts = newest
            && match track.codec {
                Codec::Vp8 => vp8.is_some_and(|descriptor| descriptor.starts_keyframe(&packet.payload)),
                Codec::H264 => detect_h264_nalu(&packet.payload, H264_SPS),
                _ => true,
            };
        if !newest && !track.video && track.layers[rank].mended.contains(*packet.seq_no) {
            return;
        }
        let red = if is_red {
            let Some(red) = track.layers[rank].unpack(&packet) else { return };
            Some(red)
        } else {
            None
        };
        let incoming = Incoming { seq: *packet.seq_no, timestamp: packet.header.timestamp, at, vp8 };
        if track.take_in(ssrc, rank, &packet, starts, now) && track.video {
            self.replan.extend(track.legs.iter().map(|leg| leg.link));
        }
        let values = &packet.header.ext_vals;
        let extensions = ExtensionValues {
            audio_level: values.audio_level,
            voice_activity: values.voice_activity,
            video_orientation: values.video_orientation,
            video_content_type: values.video_content_type,
            play_delay_min: values.play_delay_min,
            play_delay_max: values.play_delay_max,
            ..ExtensionValues::default()
        };
        let passing = Passing { track: track_id, rank, packet: &packet, incoming, starts, extensions, red };
        let mut sent = 0;
        for leg in &mut track.legs {
            if leg.disabled || leg.paused {
                continue;
            }
            // Before it is connected the stack would only store what it gets.
            let Some(link) = self.links.get_mut(&leg.link).filter(|link| link.connected) else { continue };
            let written = leg.write(link, &passing, track.video);
            if written > 0 && !link.dirty {
                link.dirty = true;
                self.dirty.push(leg.link);
            }
            sent += written;
        }
        self.counters.packets_forwarded.add(sent);
    }

    /// Which track and encoding an SSRC is: looked up once, then remembered until the next offer. Nothing when the
    /// packet is not of the announced codec: receivers could make nothing of it.
    fn route_packet(&mut self, from: LinkId, ssrc: Ssrc, pt: Pt) -> Option<(TrackId, usize)> {
        let link = self.links.get_mut(&from)?;
        if let Some(found) = link.incoming.get(&ssrc) {
            return Some(*found);
        }
        let params = link.rtc.codec_config().find(|p| p.pt() == pt || p.red() == Some(pt))?;
        let (codec, resends, nacks) = (params.spec().codec, params.resend().is_some(), params.fb_nack());
        let mut api = link.rtc.direct_api();
        let stream = api.stream_rx(&ssrc)?;
        let (mid, rid) = (stream.mid(), stream.rid());
        let found = (*link.published.get(&mid)?, rank_of(rid));
        if self.tracks.get(&found.0)?.codec != codec {
            return None;
        }
        if nacks && !resends {
            // Without a stream of their own, resent packets come as they were: it is enough to ask.
            stream.suppress_nack(false);
        }
        if link.incoming.len() >= SSRCS_MAX {
            link.incoming.clear();
        }
        link.incoming.insert(ssrc, found);
        Some(found)
    }

    /// Shares each receiver's bandwidth among its pictures.
    pub(super) fn plan_layers(&mut self, now: Instant) {
        let receivers: Vec<LinkId> = self.peers.values().map(|peer| peer.receiving()).collect();
        for receiver in receivers {
            self.plan_receiver(receiver, now);
        }
    }

    pub(super) fn plan_receiver(&mut self, receiver: LinkId, now: Instant) {
        let (Some(link), Some(peer)) = (self.links.get_mut(&receiver), self.peers.get(&receiver.peer)) else { return };
        if !link.connected {
            return;
        }
        let mut ids = Vec::new();
        let mut demands = Vec::new();
        for id in link.sections.iter().filter(|s| s.video && s.live).filter_map(|s| s.track) {
            let (Some(track), Some(wanted)) = (self.tracks.get(&id), peer.subscriptions.get(&id)) else { continue };
            if wanted.disabled {
                continue;
            }
            let current = track.legs.iter().find(|leg| leg.link == receiver).and_then(|leg| leg.current);
            ids.push((id, wanted.sid.as_str()));
            demands.push(track.demand(wanted.want.max_rank(&track.widths_px), current, now));
        }
        let plan = allocate(&demands, link.estimate.map(|estimate| estimate.as_u64()), peer.new.may_pause);
        link.aim(&plan);
        link.shortage = plan.shortage(&demands);
        tracing::trace!(peer = receiver.peer.0, estimate = ?link.estimate, ?demands, ?plan, "layers");
        let mut states = Vec::new();
        for ((id, sid), rank) in ids.into_iter().zip(plan.ranks) {
            let Some(track) = self.tracks.get_mut(&id) else { continue };
            if track.pause(receiver, rank == Given::Paused) {
                states.push((id, sid.to_owned(), rank == Given::Paused));
            }
            if let Given::Rank(rank) = rank {
                track.retarget(receiver, rank);
            }
        }
        if !states.is_empty() {
            self.tell(MediaEvent::StreamStates { peer: receiver.peer, states });
        }
    }
}

impl Leg {
    /// Sends a packet on, when this receiver gets that encoding; answers how many packets that made.
    fn write(&mut self, link: &mut Link, passing: &Passing<'_>, video: bool) -> u64 {
        if self.current != Some(passing.rank) {
            // Whoever sees nothing yet starts with the first keyframe it may have.
            let welcome = passing.rank == self.target || (self.current.is_none() && passing.rank < self.target);
            if !welcome || !passing.starts {
                return 0;
            }
            let (receiver, track, rank) = (self.link.peer.0, passing.track.0, passing.rank);
            tracing::trace!(receiver, track, rank, "starts with a keyframe");
            self.current = Some(passing.rank);
            self.rewriter.splice(&passing.incoming);
        }
        let mut api = link.rtc.direct_api();
        let Some(stream) = api.stream_tx(&self.ssrc) else { return 0 };
        let mut sent = 0;
        let mut pt = self.pt;
        let mut payload = &passing.packet.payload;
        let relabelled;
        match (&passing.red, self.red) {
            (Some(_), Some(red)) => {
                relabelled = red::with_payload_type(payload, self.pt);
                payload = &relabelled;
                pt = red;
            }
            (Some(red), None) => {
                for (back, age, bytes) in &red.mended {
                    let seq = passing.incoming.seq.wrapping_sub(*back);
                    let timestamp = passing.incoming.timestamp.wrapping_sub(*age);
                    let Some(out) = self.rewriter.map(&Incoming { seq, timestamp, ..passing.incoming }) else {
                        continue;
                    };
                    let at = passing.incoming.at;
                    stream.write_rtp(RtpWrite::new(pt, out.seq.into(), out.timestamp, at, bytes.clone()));
                    sent += 1;
                }
                payload = &red.newest;
            }
            (None, _) => {}
        }
        let Some(out) = self.rewriter.map(&passing.incoming) else { return sent };
        let mut write = RtpWrite::new(pt, out.seq.into(), out.timestamp, passing.incoming.at, payload.clone())
            .marker(passing.packet.header.marker)
            .ext_vals(passing.extensions.clone())
            .nackable(video);
        if let Some(patch) = out.patch {
            write = write.vp8_patch(patch);
        }
        stream.write_rtp(write);
        sent + 1
    }
}

/// What the packets of a track must be.
fn codec_of(published: &Published) -> Codec {
    match (published.video, published.codec) {
        (false, _) => Codec::Opus,
        (true, VideoCodec::Vp8) => Codec::Vp8,
        (true, VideoCodec::H264) => Codec::H264,
    }
}

impl Track {
    /// Notes a packet of one encoding; answers whether the encoding began to flow with it.
    fn take_in(&mut self, ssrc: Ssrc, rank: usize, packet: &RtpPacket, starts: bool, now: Instant) -> bool {
        if !self.video
            && let Some(level) = packet.header.ext_vals.audio_level
        {
            self.level.observe(level);
        }
        let layer = &mut self.layers[rank];
        let began = !layer.flows(now);
        if layer.ssrc != Some(ssrc) {
            // The publisher began anew: nothing continues what was sent before.
            layer.ssrc = Some(ssrc);
            layer.newest_seq = None;
            let mut waiting = false;
            for leg in self.legs.iter_mut().filter(|leg| leg.current == Some(rank) || leg.target == rank) {
                leg.current = None;
                waiting = true;
            }
            if waiting && self.video {
                layer.wish.want();
            }
        }
        layer.newest_seq = layer.newest_seq.max(Some(*packet.seq_no));
        layer.heard = Some(now);
        layer.bytes += packet.payload.len();
        if starts {
            if self.video {
                tracing::trace!(publisher = self.link.peer.0, rank, "keyframe");
            }
            layer.wish.arrived();
        }
        began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_packet_starts_nothing_until_the_stream_begins_anew() {
        let mut layer = Layer::default();
        let (first, second): (Ssrc, Ssrc) = (1.into(), 2.into());
        assert!(layer.is_newest(first, 10));
        layer.ssrc = Some(first);
        layer.newest_seq = Some(10);
        assert!(layer.is_newest(first, 11));
        assert!(!layer.is_newest(first, 10) && !layer.is_newest(first, 9));
        assert!(layer.is_newest(second, 3), "another SSRC counts anew");
    }
}
