//! Own streams: from the wish to publish to others playing them, over every link the call takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::own_track::OwnTrack;
use super::{Call, Flow, LinkEnd};
use crate::bridge::{PublishRequest, RoomEvent, VideoFeed};
use crate::client::link::{Link, LinkError};
use crate::client::publish::{self, Gate, SourceNews, SourceReport, SourceSlot, SourceSwitch, SourceWord};
use crate::media::audio::Playout;
use crate::media::{AudioSource, VideoSource};
use crate::model::limits::MAX_PUBLISHED_STREAMS;
use crate::model::{
    CallError, DeviceState, EndReason, ErrorCode, MediaKind, PublishState, StreamId, StreamInfo, StreamKind, UserId,
    WallShare, wall,
};
use crate::protocol::convert;
use crate::protocol::stream_note::StreamNote;

/// The server may take this long to take a track (LIVEKIT.md section 3).
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// Within this after the server took it, a stream may turn out to have an id that was taken in the same moment.
const CONTEST: Duration = Duration::from_secs(5);
/// An own stream.
pub(super) struct Publication {
    serial: u64,
    kind: StreamKind,
    pub(super) extra_info: String,
    /// Where on the wall it wants to hang, for as long as it is published.
    wall_slot: Option<u8>,
    pub(super) tracks: Vec<OwnTrack>,
    preview: Option<VideoFeed>,
    preview_told: bool,
    /// When it was first told by `StreamUpdated`, as the server had taken all of it; so it is to be told removed.
    told: Option<Instant>,
    state: PublishState,
}

impl Publication {
    /// Lets go of what belonged to the link.
    pub(super) fn unlink(&mut self) {
        for track in &mut self.tracks {
            track.unlink();
        }
        self.state = PublishState::Requesting;
    }

    /// The stream as far as the server knows it.
    fn info(&self, id: &StreamId, owner: &UserId) -> StreamInfo {
        let track = |media| self.tracks.iter().find(|track| track.media == media).and_then(OwnTrack::info);
        StreamInfo {
            id: id.clone(),
            owner: owner.clone(),
            kind: self.kind,
            video: track(MediaKind::Video),
            audio: track(MediaKind::Audio),
            video_state: self.device_state(MediaKind::Video),
            audio_state: self.device_state(MediaKind::Audio),
            extra_info: self.extra_info.clone(),
            wall_slot: self.wall_slot,
        }
    }

    /// What stands beside the stream.
    pub(super) fn note(&self) -> StreamNote {
        let device = |media| self.tracks.iter().find(|track| track.media == media).map(|track| track.device);
        StreamNote {
            extra_info: self.extra_info.clone(),
            video: device(MediaKind::Video),
            audio: device(MediaKind::Audio),
            wall_slot: self.wall_slot,
        }
    }

    fn device_state(&self, media: MediaKind) -> DeviceState {
        match self.tracks.iter().find(|track| track.media == media) {
            None => DeviceState::Off,
            // As the others see it: trouble goes before mute.
            Some(track) if track.muted && track.device == DeviceState::On => DeviceState::Muted,
            Some(track) => track.device,
        }
    }

    /// What it shows.
    pub(super) fn kind(&self) -> StreamKind {
        self.kind
    }

    fn has(&self, media: MediaKind) -> bool {
        self.tracks.iter().any(|track| track.media == media)
    }

    fn track(&mut self, media: MediaKind) -> Option<&mut OwnTrack> {
        self.tracks.iter_mut().find(|track| track.media == media)
    }
}

fn link_lost(error: LinkError) -> LinkEnd {
    LinkEnd::Lost(error.to_string())
}

impl Call<'_> {
    /// Begins to publish a stream.
    pub(super) async fn publish(&mut self, link: &mut Link, request: PublishRequest) -> Flow {
        let stream = request.stream.clone();
        if let Err(error) = self.may_publish(&request) {
            self.publish_state(stream, PublishState::NoPublish, Some(error)).await;
            return Ok(());
        }
        match self.start_sources(request) {
            Ok(publication) => {
                self.own.insert(stream.clone(), publication);
                self.publish_state(stream.clone(), PublishState::Requesting, None).await;
                // First what stands beside it: whoever sees the stream finds that, too.
                self.sync_notes(link).await;
                self.ask(link, &stream).await;
            }
            Err(error) => {
                self.release(&stream);
                self.publish_state(stream, PublishState::NoPublish, Some(error)).await;
            }
        }
        Ok(())
    }

    fn may_publish(&mut self, request: &PublishRequest) -> Result<(), CallError> {
        let stream = &request.stream;
        if request.video.is_none() && request.audio.is_none() {
            return Err(CallError::new(ErrorCode::WrongState, "there is nothing to publish: give a picture or sound"));
        }
        if self.own.contains_key(stream) {
            return Err(CallError::new(
                ErrorCode::AlreadyPublishing,
                format!("{stream} is being published already: stop it first"),
            ));
        }
        if self.own.len() >= MAX_PUBLISHED_STREAMS {
            return Err(CallError::new(
                ErrorCode::AlreadyPublishing,
                format!("{MAX_PUBLISHED_STREAMS} streams are being published: stop one first"),
            ));
        }
        self.notes.check(&request.extra_info)?;
        let claimed = self.me.as_ref().is_some_and(|me| self.roster.claim(stream, &me.id));
        if !claimed {
            return Err(CallError::new(
                ErrorCode::StreamIdTaken,
                format!("someone else publishes under {stream}: choose another stream id"),
            ));
        }
        Ok(())
    }

    /// The first slot of the wall that no share has, as far as is known here. Nothing is claimed that nobody can be told.
    fn free_wall_slot(&self) -> Option<u8> {
        if !self.notes.are_allowed() {
            return None;
        }
        let theirs = self.roster.streams().filter(|stream| stream.is_picture_share());
        let theirs = theirs.map(|stream| WallShare { stream: stream.id.clone(), claim: stream.wall_slot });
        let own = self.own.iter().filter(|(_, own)| own.kind == StreamKind::Screen && own.has(MediaKind::Video));
        let own = own.map(|(id, own)| WallShare { stream: id.clone(), claim: own.wall_slot });
        wall::claim(&theirs.chain(own).collect::<Vec<_>>())
    }

    fn start_sources(&mut self, request: PublishRequest) -> Result<Publication, CallError> {
        let serial = self.next_serial;
        self.next_serial += 1;
        let report =
            |media| SourceReport { stream: request.stream.clone(), media, serial, to: self.source_teller.clone() };
        let failed = |error: std::io::Error| {
            CallError::new(ErrorCode::CaptureFailed, format!("no thread for capturing ({error}): close other programs"))
        };
        let mut publication = Publication {
            serial,
            kind: request.kind,
            extra_info: request.extra_info.clone(),
            wall_slot: (request.kind == StreamKind::Screen && request.video.is_some())
                .then(|| self.free_wall_slot())
                .flatten(),
            tracks: Vec::with_capacity(2),
            preview: None,
            preview_told: false,
            told: None,
            state: PublishState::Requesting,
        };
        if let Some((source, options)) = request.video {
            let (gate, slot) = (Arc::new(Gate::default()), SourceSlot::default());
            let switch = SourceSwitch::Video(slot.clone());
            let track = OwnTrack::picture(Arc::clone(&gate), switch, source.format(), options);
            let track = track.starting_muted(request.muted.video);
            let report = report(MediaKind::Video);
            publication.tracks.push(track);
            publication.preview = Some(
                publish::start_video(&self.hub.name, source, options, request.kind, gate, slot, report)
                    .map_err(failed)?,
            );
        }
        if let Some((source, options)) = request.audio {
            let (gate, slot) = (Arc::new(Gate::default()), SourceSlot::default());
            let switch = SourceSwitch::Audio(slot.clone());
            publication.tracks.push(OwnTrack::sound(Arc::clone(&gate), switch).starting_muted(request.muted.audio));
            let hears = options.processing.echo_cancellation;
            let reference = self.hub.playout.as_ref().filter(|_| hears).map(Playout::echo_reference);
            let report = report(MediaKind::Audio);
            publish::start_audio(&self.hub.name, source, options, reference, gate, slot, report).map_err(failed)?;
        }
        Ok(publication)
    }

    /// Asks again for tracks that were asked for before and that the server has not taken: it may not have heard.
    pub(super) async fn ask_again(&mut self, link: &Link, before: Instant) {
        for (stream, publication) in &mut self.own {
            for track in publication.tracks.iter_mut().filter(|track| track.waits_unnamed_since(before)) {
                track.ask(link, stream, publication.kind, &self.publish_codecs).await;
            }
        }
    }

    async fn ask(&mut self, link: &Link, stream: &StreamId) {
        let Some(publication) = self.own.get_mut(stream) else { return };
        for track in &mut publication.tracks {
            track.ask(link, stream, publication.kind, &self.publish_codecs).await;
        }
    }

    /// Takes every own stream up on a fresh link.
    pub(super) async fn resume_publishing(&mut self, link: &mut Link) -> Flow {
        self.sync_notes(link).await;
        let streams: Vec<StreamId> = self.own.keys().cloned().collect();
        for stream in streams {
            let claimed = self.me.as_ref().is_some_and(|me| self.roster.claim(&stream, &me.id));
            if claimed {
                self.ask(link, &stream).await;
            } else if let Some(publication) = self.own.remove(&stream) {
                let error = CallError::new(
                    ErrorCode::StreamIdTaken,
                    format!("someone else took {stream} meanwhile: publish under another stream id"),
                );
                self.end_publication(stream, publication, EndReason::Disconnected, Some(error)).await;
            }
        }
        Ok(())
    }

    /// The server took a track.
    pub(super) async fn track_published(&mut self, link: &mut Link, cid: &str, info: &proto::TrackInfo) -> Flow {
        let Some(me) = self.me.as_ref().map(|me| me.id.clone()) else { return Ok(()) };
        let found = self.own.iter_mut().find(|(_, publication)| publication.tracks.iter().any(|t| t.has_cid(cid)));
        let Some((stream, publication)) = found else { return Ok(()) };
        let Some(track) = publication.tracks.iter_mut().find(|track| track.has_cid(cid)) else { return Ok(()) };
        let Some(info) = convert::track_info(info) else {
            return Err(LinkEnd::Lost("the server named a track that is none".to_owned()));
        };
        if info.muted != track.muted {
            let mute = proto::MuteTrackRequest { sid: info.sid.to_string(), muted: track.muted };
            link.request(Request::Mute(mute)).await;
        }
        track.taken(link, info).await.map_err(link_lost)?;
        link.negotiate().await.map_err(link_lost)?;
        if publication.tracks.iter().all(|track| track.sid().is_some()) {
            publication.told.get_or_insert_with(Instant::now);
            let info = publication.info(stream, &me);
            let preview = if publication.preview_told { None } else { publication.preview.clone() };
            publication.preview_told = true;
            let stream = stream.clone();
            self.tell(RoomEvent::StreamUpdated(info)).await;
            if let Some(feed) = preview {
                self.tell(RoomEvent::VideoFeedOpened { stream, feed }).await;
            }
        }
        Ok(())
    }

    /// An answer is in force: starts what it takes.
    pub(super) async fn answered(&mut self) -> Flow {
        let mut publishing = Vec::new();
        for (stream, publication) in &mut self.own {
            for track in &mut publication.tracks {
                track.start_if_answered().await.map_err(link_lost)?;
            }
            if publication.state != PublishState::Publishing && publication.tracks.iter().all(OwnTrack::flows) {
                publication.state = PublishState::Publishing;
                publishing.push(stream.clone());
            }
        }
        for stream in publishing {
            self.publish_state(stream, PublishState::Publishing, None).await;
        }
        Ok(())
    }

    /// The server refuses a track.
    pub(super) async fn track_refused(&mut self, link: &mut Link, cid: &str, error: CallError) -> Flow {
        let found = self.own.iter().find(|(_, publication)| publication.tracks.iter().any(|t| t.has_cid(cid)));
        let Some(stream) = found.map(|(stream, _)| stream.clone()) else { return Ok(()) };
        self.end_own(link, &stream, EndReason::RemovedByServer, Some(error)).await
    }

    /// Others may have asked for one of our stream ids in the same moment: of two, the one whose user id comes first
    /// keeps it. Both know that at once, as they hear of each other. A stream that stands yields to nobody.
    pub(super) async fn yield_contested(&mut self, link: &mut Link, told: &[proto::ParticipantInfo]) -> Flow {
        for (stream, by) in self.roster.contested(told) {
            let first = self.me.as_ref().is_none_or(|me| me.id.as_str() < by.as_str());
            let stands = |own: &Publication| own.told.is_some_and(|told| told.elapsed() > CONTEST);
            if first || self.own.get(&stream).is_none_or(stands) {
                continue;
            }
            let message = format!("{by} took {stream} in the same moment: choose another stream id");
            let error = CallError::new(ErrorCode::StreamIdTaken, message);
            self.end_own(link, &stream, EndReason::Stopped, Some(error)).await?;
        }
        Ok(())
    }

    /// The server removed a track of ours.
    pub(super) async fn track_unpublished(&mut self, link: &mut Link, sid: &str) -> Flow {
        let Some(stream) = self.own_stream_of(sid) else { return Ok(()) };
        let error = CallError::new(ErrorCode::NotPermitted, "a host took back the permission to publish");
        self.end_own(link, &stream, EndReason::RemovedByServer, Some(error)).await
    }

    /// Gives up on tracks that the server did not take in time.
    pub(super) async fn expire_requests(&mut self, link: &mut Link) -> Flow {
        let whole = link.whole_since();
        let late =
            |track: &OwnTrack| track.waits_since().is_some_and(|since| since.max(whole).elapsed() > PUBLISH_TIMEOUT);
        let expired: Vec<StreamId> = self
            .own
            .iter()
            .filter(|(_, publication)| publication.tracks.iter().any(late))
            .map(|(stream, _)| stream.clone())
            .collect();
        for stream in expired {
            let error = CallError::new(
                ErrorCode::PublishInterrupted,
                format!("the server did not take {stream} in time: publish it again"),
            );
            self.end_own(link, &stream, EndReason::TimedOut, Some(error)).await?;
        }
        Ok(())
    }

    /// Stops publishing a stream.
    pub(super) async fn stop_publishing(&mut self, link: &mut Link, stream: &StreamId) -> Flow {
        if !self.own.contains_key(stream) {
            self.refuse(not_published(stream)).await;
            return Ok(());
        }
        self.end_own(link, stream, EndReason::Stopped, None).await
    }

    /// Stops publishing a stream between links.
    pub(super) async fn stop_unlinked(&mut self, stream: &StreamId) {
        match self.own.remove(stream) {
            Some(publication) => {
                self.end_publication(stream.clone(), publication, EndReason::Stopped, None).await;
            }
            None => self.refuse(not_published(stream)).await,
        }
    }

    async fn end_own(
        &mut self,
        link: &mut Link,
        stream: &StreamId,
        reason: EndReason,
        error: Option<CallError>,
    ) -> Flow {
        let Some(mut publication) = self.own.remove(stream) else { return Ok(()) };
        let mut withdrawn = false;
        for track in &mut publication.tracks {
            withdrawn |= track.withdraw(link).await.map_err(link_lost)?;
        }
        self.end_publication(stream.clone(), publication, reason, error).await;
        if withdrawn {
            link.negotiate().await.map_err(link_lost)?;
        }
        Ok(())
    }

    /// Tells the end of an own stream and lets its sources go.
    pub(super) async fn end_publication(
        &mut self,
        stream: StreamId,
        publication: Publication,
        reason: EndReason,
        error: Option<CallError>,
    ) {
        self.release(&stream);
        if publication.told.is_some()
            && let Some(owner) = self.me.as_ref().map(|me| me.id.clone())
        {
            self.tell(RoomEvent::StreamRemoved { stream: stream.clone(), owner, reason }).await;
        }
        drop(publication);
        self.publish_state(stream, PublishState::NoPublish, error).await;
    }

    /// A source ended by itself: its track ends, and with the last one the stream. Or its device came or went.
    pub(super) async fn source_spoke(&mut self, link: &mut Link, news: SourceNews) -> Flow {
        let SourceNews { stream, media, serial, word } = news;
        let Some(publication) = self.own.get_mut(&stream).filter(|publication| publication.serial == serial) else {
            return Ok(());
        };
        let error = match word {
            SourceWord::State(state) => {
                if let Some(track) = publication.track(media) {
                    track.device = state;
                }
                self.tell_own_updated(&stream).await;
                return Ok(());
            }
            SourceWord::Device(device) => {
                self.tell(RoomEvent::DeviceChanged { stream, kind: media, device }).await;
                return Ok(());
            }
            SourceWord::Finished if publication.kind == StreamKind::Screen => Some(sharing_ended(&stream)),
            SourceWord::Finished => None,
            SourceWord::Failed(error) => Some(error),
        };
        // The sound of a shared screen is nothing without its picture.
        let whole = publication.kind == StreamKind::Screen && media == MediaKind::Video;
        if whole || publication.tracks.len() <= 1 {
            return self.end_own(link, &stream, EndReason::Stopped, error).await;
        }
        if let Some(at) = publication.tracks.iter().position(|track| track.media == media) {
            let mut track = publication.tracks.remove(at);
            if track.withdraw(link).await.map_err(link_lost)? {
                link.negotiate().await.map_err(link_lost)?;
            }
        }
        self.tell_own_updated(&stream).await;
        if let Some(error) = error {
            self.refuse(error).await;
        }
        Ok(())
    }

    /// Lets another source feed the picture of an own stream.
    pub(super) async fn switch_video(&mut self, stream: &StreamId, source: Box<dyn VideoSource>) {
        match self.own.get_mut(stream).and_then(|publication| publication.track(MediaKind::Video)) {
            Some(OwnTrack { switch: SourceSwitch::Video(slot), .. }) => slot.put(source),
            _ => self.refuse(not_published(stream)).await,
        }
    }

    /// Lets another source feed the sound of an own stream.
    pub(super) async fn switch_audio(&mut self, stream: &StreamId, source: Box<dyn AudioSource>) {
        match self.own.get_mut(stream).and_then(|publication| publication.track(MediaKind::Audio)) {
            Some(OwnTrack { switch: SourceSwitch::Audio(slot), .. }) => slot.put(source),
            _ => self.refuse(not_published(stream)).await,
        }
    }

    /// Mutes or unmutes an own track.
    pub(super) async fn set_muted(&mut self, link: &Link, stream: &StreamId, media: MediaKind, muted: bool) {
        if let Some(sid) = self.mute_unlinked(stream, media, muted).await {
            link.request(Request::Mute(proto::MuteTrackRequest { sid, muted })).await;
        }
    }

    /// Mutes or unmutes an own track here; gives the server's id of it when the server must know, too.
    pub(super) async fn mute_unlinked(&mut self, stream: &StreamId, media: MediaKind, muted: bool) -> Option<String> {
        let Some(track) = self.own.get_mut(stream).and_then(|publication| publication.track(media)) else {
            self.refuse(not_published(stream)).await;
            return None;
        };
        if track.muted == muted {
            return None;
        }
        track.muted = muted;
        track.muted_at = Some(Instant::now());
        track.gate.set_muted(muted);
        let sid = track.sid().map(ToString::to_string);
        self.tell_own_updated(stream).await;
        sid
    }

    /// A host muted a track of ours.
    pub(super) async fn muted_by_server(&mut self, sid: &str, muted: bool) {
        let Some(stream) = self.own_stream_of(sid) else { return };
        let Some(publication) = self.own.get_mut(&stream) else { return };
        for track in &mut publication.tracks {
            if track.sid().is_some_and(|named| named.as_str() == sid) {
                track.muted = muted;
                track.gate.set_muted(muted);
            }
        }
        self.tell_own_updated(&stream).await;
    }

    pub(super) async fn tell_own_updated(&self, stream: &StreamId) {
        let (Some(publication), Some(me)) = (self.own.get(stream), &self.me) else { return };
        if publication.told.is_some() {
            self.tell(RoomEvent::StreamUpdated(publication.info(stream, &me.id))).await;
        }
    }

    fn own_stream_of(&self, sid: &str) -> Option<StreamId> {
        let has = |track: &OwnTrack| track.sid().is_some_and(|named| named.as_str() == sid);
        self.own.iter().find(|(_, publication)| publication.tracks.iter().any(has)).map(|(stream, _)| stream.clone())
    }

    fn release(&mut self, stream: &StreamId) {
        if let Some(me) = &self.me {
            self.roster.release(stream, &me.id);
        }
    }

    /// Tells how far an own stream is.
    pub(super) async fn publish_state(&self, stream: StreamId, state: PublishState, error: Option<CallError>) {
        self.tell(RoomEvent::PublishStateChanged { stream, state, error }).await;
    }
}

fn sharing_ended(stream: &StreamId) -> CallError {
    let message = format!("sharing ended: what {stream} showed was closed; choose another window or screen");
    CallError::new(ErrorCode::SourceEnded, message)
}

pub(super) fn not_published(stream: &StreamId) -> CallError {
    CallError::new(ErrorCode::StreamNotFound, format!("{stream} is not being published, or has no such track"))
}
