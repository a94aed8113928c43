//! Publishing: tracks are announced by request, bound to a section by an offer, and end when the section does.

use std::time::{Duration, Instant};

use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, BackupCodecPolicy, MuteTrackRequest, SessionDescription, SimulcastCodecInfo, TrackInfo,
    TrackPublishedResponse, TrackSource, TrackType, VideoLayer,
};

use super::join::Mids;
use super::participant::Track;
use super::{Hub, new_sid};
use crate::model::limits::{MAX_PICTURE_SIDE_PX, STREAM_ID_MAX_BYTES};
use crate::model::media::VideoCodec;
use crate::protocol::sdp::{self, SDP_MAX_BYTES, SDP_MAX_SECTIONS, Section, SectionKind};
use crate::server::media::{MediaCommand, PeerId, Published, TrackId};
use crate::server::outbox::response;

/// Longest name a client may give a track in its own terms, in bytes.
const CID_MAX_BYTES: usize = 256;
/// A track whose media does not come within this was given up by its publisher, which has no other way to say so:
/// clients wait 10 s for the answer to the announcement and 15 s for that to their offer.
const PROMISE: Duration = Duration::from_secs(30);
/// Encodings, codecs or features one request may list.
const LIST_MAX: usize = 16;
/// An offer of this many sections counts as one more: a whole room's comes every two seconds at most.
const SECTIONS_PER_COST: usize = SDP_MAX_SECTIONS / 8;

impl Hub {
    /// The client announces a track.
    pub(super) fn add_track(&mut self, id: PeerId, request: AddTrackRequest) {
        let limits = self.limits;
        let track_id = self.new_track_id();
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if let Err((reason, text)) = check(participant, &request, &limits) {
            return self.respond(id, 0, reason, text, Some(naming(request.cid)));
        }
        let earlier = participant.tracks.iter().find(|track| track.cid == request.cid);
        if let Some(unkept) = earlier.filter(|track| track.info.mid.is_empty()).map(|track| track.info.sid.clone()) {
            // Announced again before its media came: the new word counts.
            participant.tracks.retain(|track| track.info.sid != unkept);
            self.tracks_by_sid.remove(&unkept);
        } else if earlier.is_some() {
            let named = naming(request.cid.clone());
            participant.queued.push(request);
            return self.respond(id, 0, Reason::Queued, "a track of this name is still published", Some(named));
        }
        let cid = request.cid.clone();
        let info = describe(request);
        let published = TrackPublishedResponse { cid: cid.clone(), track: Some(info.clone()) };
        self.tracks_by_sid.insert(info.sid.clone(), (id, track_id));
        let announced = Instant::now();
        let told = super::dynacast::Told::default();
        let (live, reported, hushed) = (false, false, false);
        participant.tracks.push(Track { id: track_id, cid, info, live, reported, hushed, announced, told });
        participant.send(&response(Message::TrackPublished(published)));
    }

    /// The client offers its sections. Offers take long, so one that comes too fast is held until the next sweep; only
    /// the newest is, since a client that offers anew no longer waits for an answer to its last offer.
    pub(super) fn on_offer(&mut self, id: PeerId, offer: SessionDescription, now: Instant) {
        if let Some(problem) = problem_of(&offer.sdp) {
            return self.description_refused(id, &problem, &[]);
        }
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.offers.take(cost_of(&offer), now) {
            participant.held_offer = None;
            self.take_offer(id, offer);
        } else {
            participant.held_offer = Some(offer);
        }
    }

    /// Takes up the offers that were held.
    pub(super) fn take_held_offers(&mut self, now: Instant) {
        let mut due = Vec::new();
        for participant in self.participants.values_mut() {
            let cost = participant.held_offer.as_ref().map(cost_of);
            if cost.is_some_and(|cost| participant.offers.take(cost, now)) {
                due.extend(participant.held_offer.take().map(|offer| (participant.id, offer)));
            }
        }
        for (id, offer) in due {
            self.take_offer(id, offer);
        }
    }

    /// Which sections carry announced tracks is settled here, the rest by the media side.
    fn take_offer(&mut self, id: PeerId, offer: SessionDescription) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let sections = sdp::sections(&offer.sdp);
        let sending: Vec<&Section<'_>> = sections.iter().filter(|s| s.direction.sends() && !s.mid.is_empty()).collect();
        // Tracks whose section ended are unpublished: clients say it in no other way.
        let ended: Vec<String> = participant
            .tracks
            .iter()
            .filter(|track| !track.info.mid.is_empty() && !sending.iter().any(|s| s.mid == track.info.mid))
            .map(|track| track.info.sid.clone())
            .collect();
        for section in sending {
            let video = match section.kind {
                SectionKind::Audio => false,
                SectionKind::Video => true,
                _ => continue,
            };
            if participant.tracks.iter().any(|track| track.info.mid == section.mid) {
                continue;
            }
            let name = section.msid.map_or("", |(_, track)| track);
            let waiting = |track: &&mut Track| track.info.mid.is_empty() && track.is_video() == video;
            let named = |track: &Track| track.cid == name || track.info.codecs.iter().any(|codec| codec.cid == name);
            let by_name = participant.tracks.iter_mut().filter(waiting).find(|track| named(track));
            let track = match by_name {
                Some(track) => Some(track),
                None => participant.tracks.iter_mut().find(waiting),
            };
            if let Some(track) = track {
                section.mid.clone_into(&mut track.info.mid);
                for codec in &mut track.info.codecs {
                    section.mid.clone_into(&mut codec.mid);
                }
            }
        }
        let published: Vec<Published> = participant
            .tracks
            .iter()
            .filter(|track| !track.info.mid.is_empty() && !ended.contains(&track.info.sid))
            .map(Track::published)
            .collect();
        self.commands.push(MediaCommand::Offer { peer: id, id: offer.id, sdp: offer.sdp, published });
        for sid in ended {
            self.unpublish(id, &sid);
        }
    }

    /// The media side took an offer: its tracks are live and everyone may know.
    pub(super) fn answered(&mut self, id: PeerId, offer: u32, sdp: String, mids: Mids, published: &[TrackId]) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.send(&response(Message::Answer(SessionDescription {
            r#type: "answer".to_owned(),
            sdp,
            id: offer,
            mid_to_track_id: mids,
        })));
        let mut new = Vec::new();
        for track in participant.tracks.iter_mut().filter(|track| published.contains(&track.id) && !track.live) {
            track.live = true;
            new.push(track.id);
        }
        if new.is_empty() {
            return;
        }
        // Clients drop tracks of which they have not heard: this comes before any section carries them.
        self.announce(id);
        for track in new {
            self.offer_to_everyone(id, track);
            self.wishes_changed(track);
        }
    }

    /// Drops announced tracks whose media never came.
    pub(super) fn forget_unkept_promises(&mut self, now: Instant) {
        let mut gone = Vec::new();
        for participant in self.participants.values() {
            let unkept =
                |track: &&Track| track.info.mid.is_empty() && now.saturating_duration_since(track.announced) > PROMISE;
            gone.extend(participant.tracks.iter().filter(unkept).map(|t| (participant.id, t.info.sid.clone())));
        }
        for (id, sid) in gone {
            tracing::debug!(peer = id.0, sid, "an announced track never came");
            self.unpublish(id, &sid);
        }
    }

    /// A description made no sense: its author is told, and what it would have bound waits on.
    pub(super) fn description_refused(&mut self, id: PeerId, reason: &str, published: &[TrackId]) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        for track in participant.tracks.iter_mut().filter(|track| published.contains(&track.id) && !track.live) {
            track.info.mid.clear();
        }
        let text = format!("the session description makes no sense: {reason}");
        self.respond(id, 0, Reason::InvalidRequest, &text, None);
    }

    /// A track ends.
    pub(super) fn unpublish(&mut self, id: PeerId, sid: &str) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(index) = participant.tracks.iter().position(|track| track.info.sid == sid) else { return };
        let track = participant.tracks.remove(index);
        let room = participant.room;
        let next = participant.queued.iter().position(|request| request.cid == track.cid);
        let next = next.map(|index| participant.queued.remove(index));
        self.tracks_by_sid.remove(&track.info.sid);
        self.commands.push(MediaCommand::RemoveTrack(track.id));
        self.forget_tracks(room, &[track.id]);
        self.announce(id);
        self.silence(id);
        if let Some(request) = next {
            self.add_track(id, request);
        }
    }

    /// The client muted or unmuted a track of its own.
    pub(super) fn mute(&mut self, id: PeerId, request: &MuteTrackRequest) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(track) = participant.track_mut(&request.sid) else {
            return self.respond(id, 0, Reason::NotFound, "no such track", None);
        };
        track.hushed = false;
        if track.info.muted != request.muted {
            track.info.muted = request.muted;
            self.announce(id);
        }
    }
}

/// What an offer costs of its author's rate: the media thread is kept busy longer with a long one.
fn cost_of(offer: &SessionDescription) -> usize {
    1 + sdp::sections(&offer.sdp).len() / SECTIONS_PER_COST
}

/// Why a description is not even looked at: the media thread shall not be kept busy with it.
pub(super) fn problem_of(sdp: &str) -> Option<String> {
    if sdp.len() > SDP_MAX_BYTES {
        Some(format!("it has {} bytes, more than {SDP_MAX_BYTES}", sdp.len()))
    } else if sdp::has_too_many_sections(sdp) {
        Some(format!("it has more than {SDP_MAX_SECTIONS} sections"))
    } else {
        None
    }
}

fn check(
    participant: &super::participant::Participant,
    request: &AddTrackRequest,
    limits: &crate::server::config::ServerLimits,
) -> Result<(), (Reason, &'static str)> {
    let source = TrackSource::try_from(request.source).unwrap_or(TrackSource::Unknown);
    let kind = TrackType::try_from(request.r#type);
    if !participant.may_publish(source) {
        return Err((Reason::NotAllowed, "the token does not grant publishing this"));
    }
    if !matches!(kind, Ok(TrackType::Audio | TrackType::Video)) {
        return Err((Reason::UnsupportedType, "only sound and pictures can be published"));
    }
    if !request.sid.is_empty() {
        return Err((Reason::UnsupportedType, "a second codec for a track is not supported"));
    }
    if request.cid.is_empty() || request.cid.len() > CID_MAX_BYTES {
        return Err((Reason::InvalidRequest, "the track's cid is missing or too long"));
    }
    let texts = [(request.name.len(), limits.name_bytes), (request.stream.len(), STREAM_ID_MAX_BYTES)];
    let layers = || request.simulcast_codecs.iter().map(|codec| &codec.layers).chain([&request.layers]);
    let names = request.simulcast_codecs.iter().flat_map(|codec| [&codec.cid, &codec.codec]);
    let mut names = names.chain(layers().flatten().map(|layer| &layer.rid));
    let mut lists = layers().map(Vec::len).chain([request.simulcast_codecs.len(), request.audio_features.len()]);
    let sides = [request.width, request.height];
    if texts.iter().any(|(len, max)| len > max)
        || names.any(|name| name.len() > CID_MAX_BYTES)
        || lists.any(|len| len > LIST_MAX)
    {
        return Err((Reason::InvalidRequest, "a field of the track is too long"));
    }
    if sides.iter().any(|side| *side > MAX_PICTURE_SIDE_PX) {
        return Err((Reason::InvalidRequest, "the picture is too large"));
    }
    let pending = participant.tracks.iter().filter(|track| !track.live).count() + participant.queued.len();
    if pending >= limits.pending_tracks {
        return Err((Reason::LimitExceeded, "too many announced tracks have not come yet"));
    }
    if participant.tracks.len() >= limits.tracks_per_participant {
        return Err((Reason::LimitExceeded, "too many tracks are published"));
    }
    Ok(())
}

/// The request as a refusal repeats it: as much as its author needs to know it again.
fn naming(cid: String) -> Request {
    let cid = if cid.len() > CID_MAX_BYTES { String::new() } else { cid };
    Request::AddTrack(AddTrackRequest { cid, ..AddTrackRequest::default() })
}

/// The track as everyone will see it.
fn describe(request: AddTrackRequest) -> TrackInfo {
    let video = request.r#type == i32::from(TrackType::Video);
    let wanted = request.simulcast_codecs.first().map_or("", |codec| &codec.codec);
    let mime_type = if video { picture_codec(wanted).mime_type() } else { "audio/opus" }.to_owned();
    let source = TrackSource::try_from(request.source).unwrap_or(TrackSource::Unknown);
    let stream = if request.stream.is_empty() { default_stream(source).to_owned() } else { request.stream };
    let first = request.simulcast_codecs.first();
    let layers = match first.map(|codec| &codec.layers) {
        Some(layers) if !layers.is_empty() => layers.clone(),
        _ if video && request.layers.is_empty() => vec![VideoLayer {
            quality: livekit_protocol::VideoQuality::High.into(),
            width: request.width,
            height: request.height,
            ..VideoLayer::default()
        }],
        _ => request.layers,
    };
    let codec = SimulcastCodecInfo {
        mime_type: mime_type.clone(),
        cid: first.map_or(request.cid, |codec| codec.cid.clone()),
        layers: layers.clone(),
        video_layer_mode: first.map_or(0, |codec| codec.video_layer_mode),
        ..SimulcastCodecInfo::default()
    };
    #[expect(deprecated, reason = "older clients read these")]
    let info = TrackInfo {
        sid: new_sid(if video { "TR_V" } else { "TR_A" }),
        r#type: request.r#type,
        name: request.name,
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: video && layers.len() > 1,
        disable_dtx: request.disable_dtx,
        source: request.source,
        layers,
        mime_type,
        codecs: vec![codec],
        stereo: request.stereo,
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream,
        audio_features: request.audio_features,
        backup_codec_policy: BackupCodecPolicy::PreferRegression.into(),
        ..TrackInfo::default()
    };
    info
}

/// The codec of a name such as `h264` or `video/H264`; VP8 for one that is not forwarded here, which clients then use.
fn picture_codec(name: &str) -> VideoCodec {
    let mime_type = if name.contains('/') { name.to_owned() } else { format!("video/{name}") };
    VideoCodec::of_mime_type(&mime_type).unwrap_or_default()
}

fn default_stream(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Camera | TrackSource::Microphone => "camera",
        TrackSource::ScreenShare | TrackSource::ScreenShareAudio => "screen",
        TrackSource::Unknown => "unknown",
    }
}
