//! Offers and answers, and which section carries which track. In v1 the client always offers and we ask for sections;
//! in v0 we offer the receiving connection ourselves (LIVEKIT.md sections 3 and 12).

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, Reliability};
use str0m::media::{Direction, MediaKind, Mid};

use super::forward::Track;
use super::guard::{Fault, guarded};
use super::link::{Link, LinkId, Peer, RTX_PACKETS, Role, Section};
use super::resend::Sent;
use super::shard::Shard;
use super::{MediaEvent, PeerId, Published, TrackId};
use crate::protocol::sdp::{self, Edit, SDP_MAX_SECTIONS, SectionKind};

/// Sections that may have ended for one v0 client: then its description is worth a fresh start.
const ENDED_SECTIONS_MAX: usize = SDP_MAX_SECTIONS / 2;
/// Packets older than this are not sent again.
const RTX_AGE: Duration = Duration::from_secs(3);
/// Retransmissions may take this share of what is sent: enough for a path that loses a third.
const RTX_SHARE: Option<f32> = Some(0.5);

impl Shard {
    /// The client's offer (v0 publishing, v1 everything).
    pub(super) fn on_offer(&mut self, peer: PeerId, id: u32, text: &str, published: Vec<Published>, now: Instant) {
        let link = LinkId { peer, role: Role::Publisher };
        let tracks = published.iter().map(|p| p.track).collect();
        match self.accept_offer(link, text, published, now) {
            Ok(answer) => {
                let mids = self.mids(link);
                self.tell(MediaEvent::Answered { peer, id, sdp: answer, mids, published: tracks });
                self.replan.extend(self.peers.get(&peer).map(Peer::receiving));
            }
            Err(Fault { reason, panicked }) => {
                self.counters.bad_descriptions.add(1);
                if panicked {
                    return self.fail(link, &reason);
                }
                self.tell(MediaEvent::Refused { peer, reason, published: tracks });
            }
        }
        self.learn_ufrag(link);
        self.step(link, now);
        self.ask_sections(peer);
    }

    fn accept_offer(
        &mut self,
        id: LinkId,
        text: &str,
        published: Vec<Published>,
        now: Instant,
    ) -> Result<String, Fault> {
        if self.links.get(&id).is_some_and(|link| link.described == (0, 0)) && lacks_rtx(text) {
            self.renew_without_rtx(id, now);
        }
        let link = self.links.get_mut(&id).ok_or("the connection is closed")?;
        link.payload_types.learn(text)?;
        if !link.intake.admits_streams(text) {
            return Err("it names too many streams".into());
        }
        let offer = guarded(|| SdpOffer::from_sdp_string(text))?;
        let answer = guarded(|| link.rtc.sdp_api().accept_offer(offer))?.to_sdp_string();

        link.described = (sdp::sections(text).len(), text.len());
        let found: HashSet<Mid> = published.iter().map(|p| Mid::from(p.mid.as_str())).collect();
        link.published.retain(|mid, _| found.contains(mid));
        link.incoming.clear();
        link.learn_red();
        let mut received: HashMap<&str, Edit> = HashMap::new();
        for one in &published {
            link.published.insert(Mid::from(one.mid.as_str()), one.track);
            self.tracks.entry(one.track).or_insert_with(|| Track::new(id, one));
            let edit = if one.video {
                Edit::ReceiveVideo { codec: one.codec }
            } else {
                Edit::Receive { dtx: one.dtx, stereo: one.stereo, red: one.red }
            };
            received.insert(&one.mid, edit);
        }
        let single = self.peers.get(&id.peer).is_some_and(|peer| peer.new.single);
        if single {
            link.asked = [0; 2];
            link.stale = false;
            self.sync_sections(id, text);
            self.bind(id, now);
        }
        let edits = self.edits(id);
        let edit = |mid: &str| edits.get(mid).or(received.get(mid)).cloned().unwrap_or(Edit::Keep);
        Ok(sdp::rewrite(&answer, edit))
    }

    /// Takes over from an offer which sections the client can receive in.
    fn sync_sections(&mut self, id: LinkId, text: &str) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut ended = Vec::new();
        for section in sdp::sections(text) {
            let video = match section.kind {
                SectionKind::Audio => false,
                SectionKind::Video => true,
                _ => continue,
            };
            let mid = Mid::from(section.mid);
            let sends = link.rtc.media(mid).is_some_and(|media| media.direction().is_sending());
            let known = link.sections.iter().position(|section| section.mid == mid);
            match (sends, known) {
                (true, None) => link.sections.push(Section { mid, video, track: None, live: false }),
                (false, Some(index)) => ended.extend(link.sections.remove(index).track),
                _ => {}
            }
        }
        for track in ended {
            self.remove_leg(id, track);
        }
    }

    /// Gives free sections to tracks that have none and lets media flow there.
    fn bind(&mut self, id: LinkId, now: Instant) {
        for (track, video) in self.unbound(id) {
            let Some(link) = self.links.get_mut(&id) else { return };
            let Some(section) = link.sections.iter_mut().find(|s| s.track.is_none() && s.video == video) else {
                continue;
            };
            section.track = Some(track);
            self.start_leg(id, track, now);
        }
    }

    /// Subscribed tracks without a section, in the order of their publication.
    fn unbound(&self, id: LinkId) -> Vec<(TrackId, bool)> {
        let (Some(link), Some(peer)) = (self.links.get(&id), self.peers.get(&id.peer)) else { return Vec::new() };
        let bound: HashSet<TrackId> = link.sections.iter().filter_map(|section| section.track).collect();
        let wanted = peer.subscriptions.keys().filter(|track| !bound.contains(track));
        wanted.filter_map(|id| Some((*id, self.tracks.get(id)?.video))).collect()
    }

    /// The client knows the section of `track`: media flows from here on.
    fn start_leg(&mut self, id: LinkId, track_id: TrackId, now: Instant) {
        let (Some(link), Some(track)) = (self.links.get_mut(&id), self.tracks.get_mut(&track_id)) else { return };
        let Some(section) = link.section_of(track_id) else { return };
        let mid = section.mid;
        let Some(pts) = link.payload_types(mid, track.codec()) else {
            tracing::info!(peer = id.peer.0, track = track_id.0, codec = ?track.codec(), "the client cannot receive this");
            self.tell(MediaEvent::Unsupported { peer: id.peer, track: track_id });
            return;
        };
        let mut api = link.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else { return };
        // An SFU adds no delay of its own: the publisher has paced already.
        stream.set_unpaced(true);
        stream.set_rtx_cache(RTX_PACKETS, RTX_AGE, RTX_SHARE);
        let ssrc = stream.ssrc();
        if let Some(section) = link.section_of(track_id) {
            section.live = true;
        }
        let disabled =
            self.peers.get(&id.peer).and_then(|p| p.subscriptions.get(&track_id)).is_some_and(|s| s.disabled);
        let sent = (track.video && link.plain_resends).then(|| Sent::new(now));
        track.add_leg(id, ssrc, pts, disabled, sent);
        self.replan.insert(id);
        self.tell(MediaEvent::Bound { peer: id.peer, track: track_id });
    }

    /// Stops sending `track` through `link` and frees its section. A section that carries something else later needs
    /// another SSRC: with the old one receivers stop.
    pub(super) fn unbind(&mut self, id: LinkId, track: TrackId) {
        self.remove_leg(id, track);
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(section) = link.section_of(track) else { return };
        section.track = None;
        section.live = false;
        let mid = section.mid;
        renew_ssrc(link, mid);
        link.stale = true;
    }

    fn remove_leg(&mut self, id: LinkId, track: TrackId) {
        if let Some(track) = self.tracks.get_mut(&track) {
            track.legs.retain(|leg| leg.link != id);
        }
    }

    /// Makes what changed for a receiver known to it: asks for sections (v1), or offers (v0).
    pub(super) fn renegotiate(&mut self, peer: PeerId, now: Instant) {
        let Some(known) = self.peers.get(&peer) else { return };
        if known.new.single {
            self.ask_sections(peer);
        } else {
            self.offer(LinkId { peer, role: Role::Subscriber }, now);
        }
    }

    /// v1: asks for the sections that are missing; with nothing missing but something stale, for a new offer.
    fn ask_sections(&mut self, peer: PeerId) {
        if !self.peers.get(&peer).is_some_and(|peer| peer.new.single) {
            return;
        }
        let id = LinkId { peer, role: Role::Publisher };
        let unbound = self.unbound(id);
        let Some(link) = self.links.get_mut(&id) else { return };
        let free = |video: bool| link.sections.iter().filter(|s| s.track.is_none() && s.video == video).count() as u32;
        let needed = |video: bool| unbound.iter().filter(|(_, v)| *v == video).count() as u32;
        let missing = [false, true]
            .map(|video| needed(video).saturating_sub(free(video)).saturating_sub(link.asked[usize::from(video)]));
        let missing = link.clip_to_room(missing);
        // Free sections that wait for their track need a new offer, too.
        let bindable = [false, true].iter().any(|v| needed(*v) > link.asked[usize::from(*v)] && free(*v) > 0);
        if missing == [0, 0] && !(link.stale || bindable) {
            return;
        }
        link.asked[0] += missing[0];
        link.asked[1] += missing[1];
        link.stale = false;
        let [audios, videos] = missing;
        self.tell(MediaEvent::SectionsNeeded { peer, audios, videos });
    }

    /// The client is back after its WebSocket broke. In v0 it gets an offer that restarts ICE, in place of one that may have
    /// been lost; in v1 it offers by itself.
    pub(super) fn resume(&mut self, peer: PeerId, now: Instant) {
        let id = LinkId { peer, role: Role::Subscriber };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.restart = true;
        if link.pending.take().is_some() {
            // What the lost offer would have added was never agreed on: it is offered anew.
            let rtc = &link.rtc;
            link.sections.retain(|section| rtc.media(section.mid).is_some());
        }
        self.offer(id, now);
    }

    /// v0: offers what changed, once the last offer is answered. The first offer opens the data channels as well.
    fn offer(&mut self, id: LinkId, now: Instant) {
        let unbound = self.unbound(id);
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.pending.is_some() {
            link.again = true;
            return;
        }
        link.again = false;
        link.stale = false;
        let first = link.next_offer == 1;
        let mut api = link.rtc.sdp_api();
        if std::mem::take(&mut link.restart) {
            api.ice_restart(true);
        }
        if first {
            for config in channels() {
                api.add_channel_with_config(config);
            }
        }
        // A browser's track keeps the id of its section's first offer, and v0 clients go by that id: a section that
        // ended is never used again.
        for section in link.sections.extract_if(.., |section| section.track.is_none()) {
            api.stop_media(section.mid);
            link.ended += 1;
        }
        // One more carries data. Tracks beyond wait until others end.
        let room = SDP_MAX_SECTIONS.saturating_sub(1 + link.ended + link.sections.len());
        for (track, video) in unbound.into_iter().take(room) {
            let kind = if video { MediaKind::Video } else { MediaKind::Audio };
            let mid = api.add_media(kind, Direction::SendOnly, None, None, None);
            link.sections.push(Section { mid, video, track: Some(track), live: false });
        }
        let Some((offer, pending)) = api.apply() else { return };
        link.pending = Some((pending, link.next_offer));
        let exhausted = link.ended > ENDED_SECTIONS_MAX;
        self.send_offer(id, &offer.to_sdp_string());
        self.step(id, now);
        if exhausted {
            self.lose(id.peer, "its description has grown too long");
        }
    }

    fn send_offer(&mut self, id: LinkId, text: &str) {
        let edits = self.edits(id);
        let sdp = sdp::rewrite(text, |mid| edits.get(mid).cloned().unwrap_or(Edit::Keep));
        let mids = self.mids(id);
        let Some(link) = self.links.get_mut(&id) else { return };
        let offer = link.next_offer;
        link.next_offer = link.next_offer.wrapping_add(1).max(1);
        self.tell(MediaEvent::Offer { peer: id.peer, id: offer, sdp, mids });
    }

    /// v0: the client's answer to our offer. Rust clients answer with id 0.
    pub(super) fn on_answer(&mut self, peer: PeerId, answered: u32, text: &str, now: Instant) {
        let id = LinkId { peer, role: Role::Subscriber };
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some((pending, offered)) = link.pending.take() else { return };
        if answered != 0 && answered != offered {
            link.pending = Some((pending, offered));
            return;
        }
        if let Err(fault) = accept_answer(link, pending, text) {
            self.counters.bad_descriptions.add(1);
            if fault.panicked {
                return self.fail(id, &fault.reason);
            }
            self.tell(MediaEvent::Refused { peer, reason: fault.reason, published: Vec::new() });
            return self.lose(peer, "its answer made no sense");
        }
        link.learn_red();
        let again = link.again || link.stale;
        let waiting = link.sections.iter().filter(|section| !section.live).filter_map(|section| section.track);
        for track in waiting.collect::<Vec<_>>() {
            self.start_leg(id, track, now);
        }
        self.learn_ufrag(id);
        self.step(id, now);
        if again || !self.unbound(id).is_empty() {
            self.offer(id, now);
        }
    }

    /// Which track each sending section carries, as clients are told.
    fn mids(&self, id: LinkId) -> HashMap<String, String> {
        self.bound(id).map(|(mid, _, sid)| (mid.to_string(), sid.to_owned())).collect()
    }

    /// What our description shall say of each section we can send in.
    fn edits(&self, id: LinkId) -> HashMap<String, Edit> {
        let Some(link) = self.links.get(&id) else { return HashMap::new() };
        let mut edits: HashMap<String, Edit> = link.sections.iter().map(|s| (s.mid.to_string(), Edit::Idle)).collect();
        for (mid, stream, sid) in self.bound(id) {
            edits.insert(mid.to_string(), Edit::Send { stream: stream.to_owned(), track: sid.to_owned() });
        }
        edits
    }

    fn bound(&self, id: LinkId) -> impl Iterator<Item = (Mid, &str, &str)> {
        let peer = self.peers.get(&id.peer).filter(|peer| peer.receiving() == id);
        let sections = self.links.get(&id).map(|link| link.sections.as_slice()).unwrap_or_default();
        sections.iter().filter_map(move |section| {
            let wanted = peer?.subscriptions.get(&section.track?)?;
            Some((section.mid, wanted.stream.as_str(), wanted.sid.as_str()))
        })
    }
}

fn accept_answer(link: &mut Link, pending: SdpPendingOffer, text: &str) -> Result<(), Fault> {
    link.payload_types.learn(text)?;
    let answer = guarded(|| SdpAnswer::from_sdp_string(text))?;
    guarded(|| link.rtc.sdp_api().accept_answer(pending, answer))
}

/// Whether a client that takes pictures has no stream of its own for packets sent again (RFC 4588).
fn lacks_rtx(offer: &str) -> bool {
    let mut formats = offer.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' '));
    let mut pictures = false;
    let rtx = formats.any(|(_, format)| {
        pictures |= format.starts_with("VP8/") || format.starts_with("H264/");
        format.starts_with("rtx/")
    });
    pictures && !rtx
}

/// The channels on which we send data.
fn channels() -> [ChannelConfig; 2] {
    let reliable = ChannelConfig { label: super::data::RELIABLE.to_owned(), ..ChannelConfig::default() };
    let lossy = ChannelConfig {
        label: super::data::LOSSY.to_owned(),
        ordered: false,
        reliability: Reliability::MaxRetransmits { retransmits: 0 },
        ..ChannelConfig::default()
    };
    [reliable, lossy]
}

/// Gives a section another SSRC pair. Not by `reset_stream_tx`: str0m 0.25 keeps finding the stream under its old SSRC,
/// so that the receiver's NACKs and keyframe requests are lost.
fn renew_ssrc(link: &mut Link, mid: Mid) {
    if link.rtc.media(mid).is_none() {
        return;
    }
    let mut api = link.rtc.direct_api();
    let Some((old, had_rtx)) = api.stream_tx_by_mid(mid, None).map(|s| (s.ssrc(), s.rtx().is_some())) else { return };
    let ssrc = api.new_ssrc();
    let mut rtx = api.new_ssrc();
    while rtx == ssrc {
        rtx = api.new_ssrc();
    }
    api.remove_stream_tx(old);
    api.declare_stream_tx(ssrc, had_rtx.then_some(rtx), mid, None);
}

impl Peer {
    /// Whether it receives `track` or is about to.
    pub(super) fn wants(&self, track: TrackId) -> bool {
        self.subscriptions.contains_key(&track)
    }
}
