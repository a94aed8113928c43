//! The packet path: from a publisher's packet to one packet for each receiver. The payload is shared, never copied
//! here; each leg keeps its own numbers. Allocates nothing per packet and leg.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use str0m::format::{Codec, detect_h264_nalu};
use str0m::media::{KeyframeRequestKind, Pt};
use str0m::rtp::rtcp::Nack;
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, Ssrc, Vp8Descriptor};

use super::encoding::{Layer, Redundant};
use super::keyframe::Need;
use super::layers::{Demand, LAYERS, rank_of};
use super::levels::Level;
use super::link::{Link, LinkId};
use super::red;
use super::resend::{Kept, Sent};
use super::rewrite::{Incoming, Rewriter};
use super::shard::Shard;
use super::{Published, TrackId};
use crate::model::media::VideoCodec;

/// RTP clock of pictures, in Hz.
const VIDEO_HZ: u32 = 90_000;
/// RTP clock of Opus, in Hz (RFC 7587).
const OPUS_HZ: u32 = 48_000;
/// What an encoding usually takes, in bit/s, by rank: until its first rate was read.
const USUAL_BPS: [u64; LAYERS] = [150_000, 500_000, 1_700_000];
/// SSRCs remembered of one client: more come only from one that changes them without need.
const SSRCS_MAX: usize = 256;
/// Largest payload sent on, in bytes: what fits a datagram with our own header extensions.
const PAYLOAD_MAX_BYTES: usize = 1400;
/// A sequence parameter set (RFC 6184 table 1): H.264 keyframes begin with one.
const H264_SPS: u8 = 7;

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
    pub(super) current: Option<usize>,
    /// It cannot show the picture until a keyframe comes.
    broken: bool,
    /// What was sent, where lost packets are sent again as they were.
    sent: Option<Sent>,
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
    pub(super) fn add_leg(
        &mut self,
        link: LinkId,
        ssrc: Ssrc,
        (pt, red): (Pt, Option<Pt>),
        disabled: bool,
        sent: Option<Sent>,
    ) {
        let rewriter = Rewriter::new(if self.video { VIDEO_HZ } else { OPUS_HZ });
        tracing::trace!(receiver = link.peer.0, %ssrc, "leg");
        self.legs.push(Leg {
            link,
            ssrc,
            pt,
            red,
            rewriter,
            disabled,
            paused: false,
            target: 0,
            current: None,
            broken: false,
            sent,
        });
    }

    /// The codec of its packets.
    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Someone who has no RTX misses packets.
    pub(super) fn resend(&mut self, link: &mut Link, receiver: LinkId, nack: &Nack, now: Instant) -> u64 {
        let mut legs = self.legs.iter_mut();
        let Some(leg) = legs.find(|leg| leg.link == receiver && leg.ssrc == nack.ssrc) else { return 0 };
        let writes = leg.sent.as_mut().map(|sent| sent.again(nack, now)).unwrap_or_default();
        let mut api = link.rtc.direct_api();
        let Some(stream) = api.stream_tx(&leg.ssrc) else { return 0 };
        let count = writes.len() as u64;
        writes.into_iter().for_each(|write| stream.write_rtp(write));
        count
    }

    /// How one receiver gets it.
    pub(super) fn leg(&self, link: LinkId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.link == link)
    }

    fn leg_mut(&mut self, link: LinkId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.link == link)
    }

    /// Someone cannot show the picture until a keyframe comes; answers whether that is new and one is wanted.
    pub(super) fn want_keyframe(&mut self, link: LinkId) -> bool {
        let Some(leg) = self.leg_mut(link).filter(|leg| leg.takes()) else { return false };
        !std::mem::replace(&mut leg.broken, true)
    }

    /// Pauses or resumes one receiver; it resumes with a keyframe.
    pub(super) fn set_disabled(&mut self, link: LinkId, disabled: bool) {
        let Some(leg) = self.leg_mut(link) else { return };
        if leg.disabled != disabled {
            leg.restart();
        }
        leg.disabled = disabled;
    }

    /// Asks the publisher for the keyframes that are due; answers how many requests that were.
    pub(super) fn ask_keyframes(&mut self, links: &mut HashMap<LinkId, Link>, now: Instant) -> u64 {
        if !self.video {
            return 0;
        }
        let mut asked = 0;
        for rank in 0..LAYERS {
            // Nobody answers for an encoding that was stopped, or for a camera that is off.
            let (Some(ssrc), true) = (self.layers[rank].ssrc, self.layers[rank].flows(now)) else { continue };
            let Some(need) = self.need(rank, links) else { continue };
            let Some(link) = links.get_mut(&self.link) else { return asked };
            if !self.layers[rank].wish.due(need, link.way.rtt(), now) {
                continue;
            }
            if let Some(stream) = link.rtc.direct_api().stream_rx(&ssrc) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
                link.dirty = true;
                asked += 1;
                tracing::trace!(publisher = self.link.peer.0, %ssrc, "keyframe asked for");
            }
        }
        asked
    }

    /// What its receivers need of one encoding. One whose connection does not stand yet needs nothing: the keyframe
    /// would be lost on it.
    fn need(&self, rank: usize, links: &HashMap<LinkId, Link>) -> Option<Need> {
        let stands = |leg: &Leg| links.get(&leg.link).is_some_and(|link| link.connected);
        self.legs.iter().filter_map(|leg| leg.need(rank).filter(|_| stands(leg))).max()
    }

    /// Turns the bytes of the last `elapsed` into rates.
    pub(super) fn read_rates(&mut self, elapsed: Duration) {
        self.layers.iter_mut().for_each(|layer| layer.read_rate(elapsed));
    }

    /// What one receiver wants of it.
    pub(super) fn demand(&self, max_rank: usize, receiver: LinkId, now: Instant) -> Demand {
        let leg = self.leg(receiver);
        let rates_bps = std::array::from_fn(|rank| {
            let layer = &self.layers[rank];
            let rate_bps = if layer.rate_bps == 0 { USUAL_BPS[rank] } else { layer.rate_bps };
            layer.flows(now).then_some(rate_bps)
        });
        Demand {
            rates_bps,
            max_rank,
            current: leg.and_then(|leg| leg.current),
            first: self.screen,
            paused: leg.is_some_and(|leg| leg.paused),
        }
    }

    /// Stops or resumes one leg for want of bandwidth; answers whether that is new. It resumes with a keyframe.
    pub(super) fn pause(&mut self, link: LinkId, paused: bool) -> bool {
        let Some(leg) = self.leg_mut(link).filter(|leg| leg.paused != paused) else { return false };
        leg.paused = paused;
        leg.restart();
        true
    }

    /// One leg shall get another encoding.
    pub(super) fn retarget(&mut self, link: LinkId, rank: usize) {
        if let Some(leg) = self.leg_mut(link) {
            leg.target = rank;
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
    now: Instant,
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
            // The publisher's own clock, whatever we do to its time stamps: they stay with their packet.
            abs_capture_time: values.abs_capture_time,
            play_delay_min: values.play_delay_min,
            play_delay_max: values.play_delay_max,
            ..ExtensionValues::default()
        };
        let passing = Passing { track: track_id, rank, packet: &packet, incoming, starts, extensions, red, now };
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
        link.intake.prove(*ssrc);
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
}

impl Leg {
    /// Whether it wants the picture and its bandwidth carries it.
    fn takes(&self) -> bool {
        !self.disabled && !self.paused
    }

    /// It begins anew, with a keyframe.
    fn restart(&mut self) {
        self.current = None;
        self.broken = false;
    }

    /// What it needs of one encoding.
    fn need(&self, rank: usize) -> Option<Need> {
        match self.current {
            _ if !self.takes() => None,
            Some(current) if current == rank => self.broken.then_some(Need::Mend),
            _ => (self.target == rank).then_some(Need::Begin),
        }
    }

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
        self.broken &= !passing.starts;
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
        if let Some(kept) = &mut self.sent {
            kept.keep(Kept {
                seq: out.seq,
                timestamp: out.timestamp,
                at: passing.incoming.at,
                pt,
                marker: passing.packet.header.marker,
                extensions: passing.extensions.clone(),
                payload: payload.clone(),
                patch: out.patch,
                sent: passing.now,
            });
        }
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
            layer.renew(ssrc);
            for leg in self.legs.iter_mut().filter(|leg| leg.current == Some(rank) || leg.target == rank) {
                leg.restart();
            }
        }
        layer.note(*packet.seq_no, packet.header.timestamp, packet.payload.len(), now);
        if starts && self.video {
            tracing::trace!(publisher = self.link.peer.0, rank, "keyframe");
            layer.wish.arrived(now);
        }
        began
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::media::PeerId;
    use crate::server::media::link::Role;

    #[test]
    fn only_who_takes_a_picture_needs_its_keyframes() {
        let id = |peer| LinkId { peer: PeerId(peer), role: Role::Publisher };
        let published = Published {
            mid: "0".to_owned(),
            track: TrackId(1),
            video: true,
            codec: VideoCodec::Vp8,
            screen: false,
            widths_px: [0; LAYERS],
            dtx: false,
            stereo: false,
            red: false,
        };
        let mut track = Track::new(id(1), &published);
        let mut links = HashMap::from([(id(2), Link::new(&[], None, true, Instant::now()))]);
        track.add_leg(id(2), 7.into(), (96.into(), None), false, None);
        assert_eq!(track.need(0, &links), None, "it would be lost on a connection that does not stand");
        links.get_mut(&id(2)).unwrap().connected = true;
        assert_eq!(track.need(0, &links), Some(Need::Begin));
        track.retarget(id(2), 1);
        assert_eq!((track.need(0, &links), track.need(1, &links)), (None, Some(Need::Begin)), "of what it shall get");
        track.legs[0].current = Some(1);
        assert_eq!(track.need(1, &links), None, "it has begun");
        assert!(track.want_keyframe(id(2)) && !track.want_keyframe(id(2)), "said twice");
        assert_eq!(track.need(1, &links), Some(Need::Mend));
        track.set_disabled(id(2), true);
        assert!(!track.want_keyframe(id(2)), "it does not look");
        assert_eq!(track.need(1, &links), None);
        track.set_disabled(id(2), false);
        assert_eq!(track.need(1, &links), Some(Need::Begin));
        assert!(track.pause(id(2), true) && !track.want_keyframe(id(2)));
        assert_eq!(track.need(1, &links), None);
    }
}
