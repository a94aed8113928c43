//! One WebRTC connection of a participant, and the participant itself as the media side sees it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::Instant;

use str0m::bwe::{Bitrate, BweKind};
use str0m::change::SdpPendingOffer;
use str0m::channel::ChannelId;
use str0m::config::DtlsCert;
use str0m::format::Codec;
use str0m::media::{Mid, Pt};
use str0m::rtp::Ssrc;
use str0m::{Candidate, Rtc};

use super::layers::{Plan, Shortage, Want};
use super::socket::{is_stun, rtp_ssrc};
use super::wall_clock::WallClock;
use super::{NewPeer, PeerId, TrackId};
use crate::protocol::sdp::{SDP_MAX_BYTES, SDP_MAX_SECTIONS};
use crate::server::rate::Rate;

/// Addresses one link may have sent from: clients have a few, not many.
const ADDRESSES_PER_LINK: usize = 16;
/// Addresses that may be tried for one link over its whole time, in STUN requests: the WebRTC stack keeps each.
const SOURCES_PER_LINK: usize = 256;
/// SSRCs one link may carry over its whole time, enough for some 150 cameras one after the other: the WebRTC stack
/// keeps each.
const SSRCS_PER_LINK: usize = 1024;
/// The estimate a new receiver starts with: a few small pictures, or one large one.
const START_BPS: u64 = 2_500_000;
/// Largest message on a data channel that is taken, in bytes; also told to clients.
const MESSAGE_MAX_BYTES: u32 = 64 * 1024 + 1024;
/// SCTP data that may be on its way to one client, in bytes.
const SCTP_BUFFER_BYTES: usize = 512 * 1024;
/// How often loss is looked at.
const STATS_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);
/// H.264 as every browser has it: constrained baseline, level 3.1, packetisation mode 1 (RFC 6184 section 8.1).
const H264_PROFILE: u32 = 0x42_e01f;
/// Its payload types where we offer, and that of its retransmissions.
const H264_PTS: (u8, u8) = (108, 109);
/// Sent packets kept for retransmission, per stream.
pub(super) const RTX_PACKETS: usize = 1024;

/// Which of a participant's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    /// The client's offers: publishing (v0), or everything (v1).
    Publisher,
    /// Our offers: receiving (v0).
    Subscriber,
}

/// Names a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LinkId {
    pub(super) peer: PeerId,
    pub(super) role: Role,
}

/// A media section in which we can send.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) mid: Mid,
    pub(super) video: bool,
    /// What it carries.
    pub(super) track: Option<TrackId>,
    /// The client knows that it carries it: media may flow.
    pub(super) live: bool,
}

/// Data that waits until a slow client takes it.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub(super) messages: VecDeque<std::sync::Arc<[u8]>>,
    pub(super) bytes: usize,
}

/// One WebRTC connection.
pub(super) struct Link {
    pub(super) rtc: Rtc,
    /// When the connection wants to be looked at again; the shard's timers say the same.
    pub(super) timeout: Instant,
    /// Something was written to it since it was looked at.
    pub(super) dirty: bool,
    pub(super) connected: bool,
    pub(super) created: Instant,
    /// When its last datagram came.
    pub(super) heard: Instant,
    pub(super) addresses: VecDeque<SocketAddr>,
    sources: HashSet<SocketAddr>,
    ssrcs: HashSet<u32>,
    /// Our user name fragment, by which STUN requests find it.
    pub(super) ufrag: String,
    /// Tracks published through it, by section.
    pub(super) published: HashMap<Mid, TrackId>,
    /// The same by what packets carry; filled as they come.
    pub(super) incoming: HashMap<Ssrc, (TrackId, usize)>,
    /// The payload type of redundant sound, where both sides know it.
    pub(super) red: Option<Pt>,
    /// The client's clock, as its sender reports tell it.
    pub(super) clock: WallClock,
    /// What its receiver is denied for want of bandwidth.
    pub(super) shortage: Shortage,
    /// Loss as a share 0..=1 and round trip, as last reported.
    pub(super) loss: f32,
    pub(super) rtt: Option<std::time::Duration>,
    pub(super) sections: Vec<Section>,
    pub(super) reliable: Option<ChannelId>,
    pub(super) lossy: Option<ChannelId>,
    pub(super) backlog: Backlog,
    /// Estimated bandwidth towards the client; `None` without estimation.
    pub(super) estimate: Option<Bitrate>,
    /// The estimate is our own, from transport-cc.
    transport_cc: bool,
    /// The bandwidth last asked of the estimator: to sustain, and to probe for.
    pub(super) aimed_bps: (u64, u64),
    /// Our outstanding offer (v0).
    pub(super) pending: Option<(SdpPendingOffer, u32)>,
    /// The next offer shall restart ICE (v0).
    pub(super) restart: bool,
    /// Something changed while the offer was outstanding.
    pub(super) again: bool,
    pub(super) next_offer: u32,
    /// Sections that were offered and ended (v0).
    pub(super) ended: usize,
    /// Sections and bytes of the client's newest offer.
    pub(super) described: (usize, usize),
    /// Sections asked for and not offered yet: sound, pictures (v1).
    pub(super) asked: [u32; 2],
    /// Sections changed: the client shall offer again (v1).
    pub(super) stale: bool,
}

impl Link {
    pub(super) fn new(candidates: &[SocketAddr], cert: Option<&DtlsCert>, sends_video: bool, now: Instant) -> Self {
        let mut config = Rtc::builder()
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(true)
            .set_stats_interval(Some(STATS_INTERVAL))
            .set_sctp_max_buffered_amount(SCTP_BUFFER_BYTES)
            .set_sctp_max_message_size(MESSAGE_MAX_BYTES);
        let (pt, resent) = H264_PTS;
        config.codec_config().add_h264(pt.into(), Some(resent.into()), true, H264_PROFILE);
        if let Some(cert) = cert {
            config = config.set_dtls_cert(cert.clone());
        }
        if sends_video {
            config = config.enable_bwe(Some(Bitrate::bps(START_BPS)));
        }
        let mut rtc = config.build(now);
        for addr in candidates {
            match Candidate::host(*addr, "udp") {
                Ok(candidate) => {
                    rtc.add_local_candidate(candidate);
                }
                Err(error) => tracing::error!(%addr, %error, "this address cannot be told to clients"),
            }
        }
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        Self {
            rtc,
            timeout: now,
            dirty: false,
            connected: false,
            created: now,
            heard: now,
            addresses: VecDeque::new(),
            sources: HashSet::new(),
            ssrcs: HashSet::new(),
            ufrag,
            published: HashMap::new(),
            incoming: HashMap::new(),
            red: None,
            clock: WallClock::default(),
            shortage: Shortage::None,
            loss: 0.0,
            rtt: None,
            sections: Vec::new(),
            reliable: None,
            lossy: None,
            backlog: Backlog::default(),
            estimate: None,
            transport_cc: false,
            aimed_bps: (0, 0),
            pending: None,
            restart: false,
            again: false,
            next_offer: 1,
            ended: 0,
            described: (0, 0),
            asked: [0; 2],
            stale: false,
        }
    }

    /// Whether the WebRTC stack may see a datagram: what it keeps for every address and SSRC must stay bounded.
    pub(super) fn admits(&mut self, datagram: &[u8], source: SocketAddr) -> bool {
        if is_stun(datagram) {
            return admit(&mut self.sources, source, SOURCES_PER_LINK);
        }
        rtp_ssrc(datagram).is_none_or(|ssrc| admit(&mut self.ssrcs, ssrc, SSRCS_PER_LINK))
    }

    /// The same for the streams a description names.
    pub(super) fn admits_streams(&mut self, description: &str) -> bool {
        let named = description.lines().filter_map(|line| line.strip_prefix("a=ssrc:"));
        let mut ssrcs = named.filter_map(|rest| rest.split(' ').next()?.parse().ok());
        ssrcs.all(|ssrc| admit(&mut self.ssrcs, ssrc, SSRCS_PER_LINK))
    }

    /// ICE began anew: the WebRTC stack has forgotten the addresses.
    pub(super) fn forget_sources(&mut self) {
        self.sources.clear();
    }

    /// Remembers that the client sends from `addr`; answers the address that was forgotten for it.
    pub(super) fn add_address(&mut self, addr: SocketAddr) -> Option<SocketAddr> {
        if self.addresses.contains(&addr) {
            return None;
        }
        self.addresses.push_back(addr);
        if self.addresses.len() > ADDRESSES_PER_LINK { self.addresses.pop_front() } else { None }
    }

    /// Takes over an estimate: our own from transport-cc where the client reports that, else what it says itself (REMB).
    pub(super) fn note_estimate(&mut self, kind: &BweKind) {
        match *kind {
            BweKind::Twcc { estimate, can_probe } => {
                if can_probe || self.transport_cc {
                    self.estimate = can_probe.then_some(estimate);
                }
                self.transport_cc = can_probe;
            }
            BweKind::Remb { estimate, .. } if !self.transport_cc => self.estimate = Some(estimate),
            _ => {}
        }
    }

    /// Tells the estimator what to look for: enough padding to find the next step up, and the whole wish.
    pub(super) fn aim(&mut self, plan: &Plan) {
        let aim = (plan.next_bps, (plan.wish_bps * 3 / 2).max(plan.next_bps));
        let moved = |new: u64, old: u64| new.abs_diff(old) > old / 10;
        if moved(aim.0, self.aimed_bps.0) || moved(aim.1, self.aimed_bps.1) {
            self.aimed_bps = aim;
            self.rtc.bwe().set_bitrate(Bitrate::bps(aim.0), Bitrate::bps(aim.1));
        }
    }

    /// As many of the `missing` sections (sound, pictures) as a description may still gain, so that we do not ask for an
    /// offer that we would refuse.
    pub(super) fn clip_to_room(&self, missing: [u32; 2]) -> [u32; 2] {
        let (sections, bytes) = self.described;
        let bytes_each = bytes.checked_div(sections).unwrap_or(0).max(1);
        let most = (SDP_MAX_BYTES / bytes_each).min(SDP_MAX_SECTIONS);
        let asked = (self.asked[0] + self.asked[1]) as usize;
        let room = u32::try_from(most.saturating_sub(sections + asked)).unwrap_or(u32::MAX);
        let audios = missing[0].min(room);
        [audios, missing[1].min(room - audios)]
    }

    /// What a description settled about sound.
    pub(super) fn learn_red(&mut self) {
        self.red = self.rtc.codec_config().find(|p| p.spec().codec == Codec::Opus).and_then(|p| p.red());
    }

    /// The payload types under which the client takes a codec in a section: plain, and with redundancy.
    pub(super) fn payload_types(&self, mid: Mid, codec: Codec) -> Option<(Pt, Option<Pt>)> {
        let accepted = self.rtc.media(mid)?.remote_pts();
        let mut params = self.rtc.codec_config().params().iter();
        params.find(|p| p.spec().codec == codec && accepted.contains(&p.pt())).map(|p| (p.pt(), p.red()))
    }

    /// The section that carries `track`.
    pub(super) fn section_of(&mut self, track: TrackId) -> Option<&mut Section> {
        self.sections.iter_mut().find(|section| section.track == Some(track))
    }
}

/// Whether `key` is known, or is still taken in.
fn admit<K: Eq + Hash>(known: &mut HashSet<K>, key: K, limit: usize) -> bool {
    if known.len() < limit {
        known.insert(key);
        return true;
    }
    known.contains(&key)
}

/// What a participant wants of one track.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The stream id to announce: `PA_x|name`.
    pub(super) stream: String,
    /// The track id to announce.
    pub(super) sid: String,
    pub(super) disabled: bool,
    pub(super) want: Want,
}

/// A participant.
pub(super) struct Peer {
    pub(super) new: NewPeer,
    pub(super) subscriptions: BTreeMap<TrackId, Subscription>,
    pub(super) data_bytes: Rate,
    pub(super) data_packets: Rate,
    pub(super) reported_lost: bool,
    pub(super) silent: bool,
}

impl Peer {
    /// The link it receives through.
    pub(super) fn receiving(&self) -> LinkId {
        let role = if self.new.single { Role::Publisher } else { Role::Subscriber };
        LinkId { peer: self.new.id, role }
    }

    /// The link that makes it a part of the call: what clients wait for.
    pub(super) fn primary(&self) -> LinkId {
        let role = if self.new.subscriber_primary { Role::Subscriber } else { Role::Publisher };
        LinkId { peer: self.new.id, role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(ssrc: u32) -> Vec<u8> {
        [&[0x80, 111, 0, 1, 0, 0, 0, 0][..], &ssrc.to_be_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn the_newest_report_counts_unless_we_estimate_ourselves() {
        let mut link = Link::new(&[], None, true, Instant::now());
        let remb = |kbps| BweKind::Remb { estimate: Bitrate::kbps(kbps), mid: Mid::from("0") };
        link.note_estimate(&remb(900));
        link.note_estimate(&remb(300));
        assert_eq!(link.estimate, Some(Bitrate::kbps(300)), "a path that got worse");
        link.note_estimate(&BweKind::Twcc { estimate: Bitrate::kbps(700), can_probe: true });
        link.note_estimate(&remb(100));
        assert_eq!(link.estimate, Some(Bitrate::kbps(700)));
        link.note_estimate(&BweKind::Twcc { estimate: Bitrate::kbps(700), can_probe: false });
        assert_eq!(link.estimate, None, "nothing is sent by which to estimate");
        link.note_estimate(&remb(200));
        assert_eq!(link.estimate, Some(Bitrate::kbps(200)));
    }

    #[test]
    fn no_more_sections_are_asked_for_than_a_description_may_have() {
        let mut link = Link::new(&[], None, false, Instant::now());
        assert_eq!(link.clip_to_room([3, 4]), [3, 4]);
        link.described = (SDP_MAX_SECTIONS - 5, 200_000);
        link.asked = [1, 1];
        assert_eq!(link.clip_to_room([2, 4]), [2, 1], "sound comes first");
        link.described = (100, 100 * (SDP_MAX_BYTES / 110));
        link.asked = [0, 0];
        assert_eq!(link.clip_to_room([0, 400]), [0, 10], "long sections fill it sooner");
    }

    #[test]
    fn what_a_client_makes_the_stack_remember_is_bounded() {
        let mut link = Link::new(&[], None, false, Instant::now());
        let from = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let admitted = (1..5000).filter(|ssrc| link.admits(&rtp(*ssrc), from(1))).count();
        assert_eq!(admitted, SSRCS_PER_LINK);
        assert!(link.admits(&rtp(1), from(1)), "what flows goes on");
        let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        assert_eq!((1..5000).filter(|port| link.admits(&stun, from(*port))).count(), SOURCES_PER_LINK);
        assert!(link.admits(&stun, from(1)));
        let report = [0x80, 200, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert!(link.admits(&report, from(1)), "reports are no stream");
        assert!(link.admits_streams("v=0\r\na=ssrc:1 cname:x\r\n") && !link.admits_streams("a=ssrc:9999 cname:x\n"));
    }
}
