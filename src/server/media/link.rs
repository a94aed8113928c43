//! One WebRTC connection of a participant, and the participant itself as the media side sees it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use str0m::bwe::{Bitrate, BweKind};
use str0m::change::SdpPendingOffer;
use str0m::channel::ChannelId;
use str0m::config::DtlsCert;
use str0m::format::Codec;
use str0m::media::{Mid, Pt};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{Extension, Ssrc};
use str0m::{Candidate, Input, Rtc};

use super::guard::{Fault, guarded};
use super::held::Held;
use super::intake::Intake;
use super::layers::{Plan, Shortage, Want};
use super::socket::Remote;
use super::wall_clock::WallClock;
use super::way::Way;
use super::{NewPeer, PeerId, TrackId};
use crate::protocol::sdp::{PayloadTypes, SDP_MAX_BYTES, SDP_MAX_SECTIONS};
use crate::server::rate::Rate;

/// Addresses one link may have sent from: clients have a few, not many.
const ADDRESSES_PER_LINK: usize = 16;
/// The estimate a new receiver starts with: a few small pictures, or one large one.
const START_BPS: u64 = 2_500_000;
/// Largest message on a data channel that is taken, in bytes; also told to clients.
const MESSAGE_MAX_BYTES: u32 = 64 * 1024 + 1024;
/// SCTP data that may be on its way to one client, in bytes.
const SCTP_BUFFER_BYTES: usize = 512 * 1024;
/// While pictures are stopped the bandwidth is looked for anew after this, and then less and less often.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(2);
const LOOK_AGAIN_MAX: std::time::Duration = std::time::Duration::from_secs(30);
/// How often loss and round trip are looked at.
const STATS_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
/// Under what number our offers carry capture times; the client's number counts where it offers.
const CAPTURE_TIME_ID: u8 = 6;
/// Sound is reported on as often as pictures: clients keep them in step by it, and know that the way is there.
const REPORT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
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

/// When bandwidth is looked for anew. Remembered for a while after pictures came back: where they stop again and again the
/// looks become rare.
#[derive(Clone, Copy, Debug)]
struct Looks {
    /// While pictures are stopped, the next; else since when they are not.
    at: Instant,
    wait: std::time::Duration,
    stopped: bool,
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
    /// When its last datagram came. A forged one counts, too, since the WebRTC stack does not tell whether reports are
    /// authentic: it can make a participant look alive, but only as long as that has a WebSocket (`hub::resume`).
    pub(super) heard: Instant,
    /// The newest time the WebRTC stack was told.
    told: Instant,
    pub(super) addresses: VecDeque<Remote>,
    pub(super) intake: Intake,
    /// What descriptions said of payload types so far.
    pub(super) payload_types: PayloadTypes,
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
    /// Since when its bandwidth does not carry the lowest encodings.
    pub(super) short_since: Option<Instant>,
    /// The way to the client, as last reported.
    pub(super) way: Way,
    pub(super) sections: Vec<Section>,
    pub(super) reliable: Option<ChannelId>,
    pub(super) lossy: Option<ChannelId>,
    /// Open data channels, ours and the client's.
    pub(super) channels: usize,
    pub(super) backlog: Backlog,
    /// Estimated bandwidth towards the client; `None` without estimation.
    pub(super) estimate: Option<Bitrate>,
    /// The estimate is our own, from transport-cc.
    transport_cc: bool,
    /// The bandwidth last asked of the estimator: to sustain, and to probe for.
    pub(super) aimed_bps: (u64, u64),
    looks: Option<Looks>,
    /// Our outstanding offer (v0).
    pub(super) pending: Option<(SdpPendingOffer, u32)>,
    /// The next offer shall restart ICE (v0).
    pub(super) restart: bool,
    /// Something changed while the offer was outstanding.
    pub(super) again: bool,
    pub(super) next_offer: u32,
    /// Lost packets are sent again as they were: the client has no RTX.
    pub(super) plain_resends: bool,
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
    pub(super) fn new(candidates: &[Remote], cert: Option<&DtlsCert>, sends_video: bool, now: Instant) -> Self {
        Self::build(candidates, cert, sends_video, false, now)
    }

    /// A connection that has yet to be described, for a client that has no RTX.
    pub(super) fn without_rtx(candidates: &[Remote], cert: Option<&DtlsCert>, now: Instant) -> Self {
        Self::build(candidates, cert, true, true, now)
    }

    fn build(
        candidates: &[Remote],
        cert: Option<&DtlsCert>,
        sends_video: bool,
        plain_resends: bool,
        now: Instant,
    ) -> Self {
        let mut config = Rtc::builder()
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(true)
            .set_stats_interval(Some(STATS_INTERVAL))
            .set_rtcp_report_interval_audio(REPORT_INTERVAL)
            .set_extension(CAPTURE_TIME_ID, Extension::AbsoluteCaptureTime)
            // The only way to see which packets a client misses.
            .enable_raw_packets(plain_resends)
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
        for (protocol, addr) in candidates {
            let candidate = match protocol {
                Protocol::Udp => Candidate::host(*addr, "udp"),
                _ => Candidate::builder().tcp().host(*addr).tcptype(TcpType::Passive).build(),
            };
            match candidate {
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
            told: now,
            addresses: VecDeque::new(),
            intake: Intake::new(now),
            payload_types: PayloadTypes::default(),
            ufrag,
            published: HashMap::new(),
            incoming: HashMap::new(),
            red: None,
            clock: WallClock::default(),
            shortage: Shortage::None,
            short_since: None,
            way: Way::default(),
            sections: Vec::new(),
            reliable: None,
            lossy: None,
            channels: 0,
            backlog: Backlog::default(),
            estimate: None,
            transport_cc: false,
            aimed_bps: (0, 0),
            looks: None,
            pending: None,
            restart: false,
            again: false,
            next_offer: 1,
            plain_resends,
            ended: 0,
            described: (0, 0),
            asked: [0; 2],
            stale: false,
        }
    }

    /// Lets the WebRTC stack act on the time. It ignores a time before one that it was told, and `drain` runs ahead a
    /// little: so time never goes back here.
    pub(super) fn act(&mut self, now: Instant) -> Result<(), Fault> {
        self.told = self.told.max(now);
        let input = Input::Timeout(self.told);
        guarded(|| self.rtc.handle_input(input))
    }

    /// Hands the WebRTC stack a datagram; `None` when it is not of this connection, or one too many.
    pub(super) fn take(&mut self, receive: Receive<'_>, datagram: &[u8], now: Instant) -> Option<Result<(), Fault>> {
        let source = receive.source;
        let now = self.told.max(now);
        let input = Input::Receive(now, receive);
        if !self.rtc.accepts(&input) || !self.intake.admits(datagram, source, now) {
            return None;
        }
        self.told = now;
        self.heard = now;
        Some(guarded(|| self.rtc.handle_input(input)))
    }

    /// Remembers that the client sends from `addr`; answers the address that was forgotten for it.
    pub(super) fn add_address(&mut self, addr: Remote) -> Option<Remote> {
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

    /// Tells the estimator what to look for: enough padding to find the next step up, and the whole wish, each with the
    /// `sound_bps` that go beside the pictures.
    pub(super) fn aim(&mut self, plan: &Plan, sound_bps: u64) {
        let next_bps = if plan.next_bps == 0 { 0 } else { plan.next_bps + sound_bps };
        let aim = (next_bps, ((plan.wish_bps + sound_bps) * 3 / 2).max(next_bps));
        let moved = |new: u64, old: u64| new.abs_diff(old) > old / 10;
        if moved(aim.0, self.aimed_bps.0) || moved(aim.1, self.aimed_bps.1) {
            self.aimed_bps = aim;
            self.rtc.bwe().set_bitrate(Bitrate::bps(aim.0), Bitrate::bps(aim.1));
        }
    }

    /// Looks for bandwidth anew, now and then, while pictures are stopped and nothing waits on the way: an estimator takes
    /// long to believe in a way that it saw narrow, as only sound is left to tell of it.
    pub(super) fn look_again(&mut self, stopped: bool, now: Instant) {
        let Some(looks) = &mut self.looks else {
            self.looks = stopped.then_some(Looks { at: now + LOOK_AGAIN, wait: LOOK_AGAIN, stopped });
            return;
        };
        if std::mem::replace(&mut looks.stopped, stopped) != stopped {
            looks.at = if stopped { now + looks.wait } else { now };
        } else if !stopped {
            if now.saturating_duration_since(looks.at) > LOOK_AGAIN_MAX {
                self.looks = None;
            }
        } else if self.way.is_full() {
            looks.at = looks.at.max(now + LOOK_AGAIN);
        } else if now >= looks.at
            && let Some(estimate) = self.estimate
        {
            looks.wait = (looks.wait * 2).min(LOOK_AGAIN_MAX);
            looks.at = now + looks.wait;
            self.rtc.bwe().reset(estimate);
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
    /// Reliable data that it sent faster than it is passed on.
    pub(super) held: Held,
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
    fn bandwidth_is_looked_for_less_often_where_pictures_stop_again_and_again() {
        let start = Instant::now();
        let mut link = Link::new(&[], None, true, start);
        link.estimate = Some(Bitrate::kbps(100));
        link.way.note(Some(std::time::Duration::from_millis(20)), (0.0, 0.0), start);
        let mut waits = Vec::new();
        // Pictures come back one second after each look, and stop again three seconds later.
        let (mut stopped, mut change, mut wait) = (true, u64::MAX, None);
        for second in 0..200 {
            if second == change {
                (stopped, change) = (!stopped, if stopped { second + 3 } else { u64::MAX });
            }
            link.look_again(stopped, start + std::time::Duration::from_secs(second));
            let now = link.looks.map(|looks| looks.wait);
            if wait.is_some() && now > wait {
                waits.push(second);
                change = second + 1;
            }
            wait = now;
        }
        assert_eq!(waits[0], 2, "soon at first");
        let pauses: Vec<u64> = waits.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.is_sorted() && pauses.last() > Some(&15), "{waits:?}");
        link.look_again(false, start + std::time::Duration::from_secs(300));
        link.look_again(false, start + std::time::Duration::from_secs(340));
        assert!(link.looks.is_none(), "it went well for long");
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
}
