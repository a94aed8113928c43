//! Streams of the others: subscribing, playing, stopping. Wishes about their size are in [`super::sizes`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use webrtc::media_stream::track_remote::TrackRemote;

use super::{Call, Flow};
use crate::bridge::{PlayQuality, RoomEvent};
use crate::client::MediaHub;
use crate::client::link::{Link, OwnedTask};
use crate::client::play::{AudioTrack, PlayedTrack, VideoTrack, drain};
use crate::model::limits::MAX_PLAYED_STREAMS;
use crate::model::{CallError, ErrorCode, MediaKind, PlayState, StreamId, StreamInfo, TrackInfo, TrackSid, VideoCodec};

/// Remote tracks of one link that are looked after.
const MAX_REMOTES: usize = 1024;
/// A remote track that nobody plays by then is read away: what is not read fills a queue in the peer connection.
const UNREAD: Duration = Duration::from_secs(1);
/// Streams that may wait for one that is played to end.
const MAX_WAITING: usize = 256;
/// How long after a fresh login streams are taken up again as they were before: their owners come back, too.
const RETURN_WITHIN: Duration = Duration::from_secs(60);

/// What was wanted of the others' streams before a fresh login.
#[derive(Debug)]
pub(super) struct Wishes {
    by_stream: BTreeMap<StreamId, Wish>,
    since: Instant,
}

/// Whether a stream was played, and in which size.
#[derive(Clone, Copy, Debug)]
struct Wish {
    play: bool,
    quality: Option<PlayQuality>,
}

/// A stream that is played.
pub(super) struct Played {
    pub(super) tracks: Vec<PlayedTrack>,
    state: PlayState,
    pub(super) quality: Option<PlayQuality>,
    /// The picture that the server does not send, for want of bandwidth.
    stopped: Option<TrackSid>,
    /// Tracks that are left out, as nothing here decodes them.
    left_out: BTreeSet<TrackSid>,
}

impl Played {
    fn new() -> Self {
        Self {
            tracks: Vec::with_capacity(2),
            state: PlayState::Requesting,
            quality: None,
            stopped: None,
            left_out: BTreeSet::new(),
        }
    }

    /// Ends its tracks and closes their feeds.
    pub(super) fn stop(&self) {
        for track in &self.tracks {
            stop(track);
        }
    }

    /// Whether its picture was not turned off.
    pub(super) fn wants_picture(&self) -> bool {
        self.quality.is_none_or(|quality| quality.enabled)
    }

    /// Whether its picture is missed: wanted, and not sent for want of bandwidth.
    pub(super) fn waits(&self) -> bool {
        self.wants_picture() && self.stopped.as_ref().is_some_and(|sid| self.track(sid.as_str()).is_some())
    }

    pub(super) fn video(&self) -> Option<&VideoTrack> {
        self.tracks.iter().find_map(|track| match track {
            PlayedTrack::Video(video) => Some(video.as_ref()),
            PlayedTrack::Audio(_) => None,
        })
    }

    /// The picture that is not wanted now, by the server's id.
    pub(super) fn disabled_sid(&self) -> Option<String> {
        let unwanted = self.quality.is_some_and(|quality| !quality.enabled);
        self.video().filter(|_| unwanted).map(|video| video.sid().to_string())
    }

    fn track(&self, sid: &str) -> Option<&PlayedTrack> {
        self.tracks.iter().find(|track| track.sid().as_str() == sid)
    }
}

fn stop(track: &PlayedTrack) {
    match track {
        PlayedTrack::Video(track) => track.stop(),
        PlayedTrack::Audio(track) => track.stop(),
    }
}

/// A remote track of the present link: read into what plays it, or read away.
pub(super) struct Remote {
    track: Arc<dyn TrackRemote>,
    /// Dropped with the link.
    _reader: OwnedTask,
    played: bool,
}

impl Call<'_> {
    /// A stream is there: plays it by itself when the login says so, or when it was played before a fresh login.
    pub(super) async fn stream_added(&mut self, link: &Link, info: &StreamInfo) {
        let auto = self.request.auto_play;
        let wish = self.wish_for(&info.id).unwrap_or(Wish { play: auto, quality: None });
        self.ended.retain(|ended| *ended != info.id);
        if !wish.play {
            if auto {
                subscribe(link, info.tracks().map(|track| &track.sid), false).await;
            }
            return;
        }
        if self.played.len() >= MAX_PLAYED_STREAMS {
            subscribe(link, info.tracks().map(|track| &track.sid), false).await;
            self.play_state(info.id.clone(), PlayState::NoPlay, Some(too_many())).await;
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back(info.id.clone());
            }
            return;
        }
        if !auto {
            subscribe(link, info.tracks().map(|track| &track.sid), true).await;
        }
        self.play(info).await;
        if let Some(quality) = wish.quality.or(self.request.first_quality) {
            self.set_play_quality(link, &info.id, quality).await;
        }
    }

    /// Remembers what is played, and what is not: a fresh login finds the same streams under other ids of the server.
    pub(super) fn remember_wishes(&mut self) {
        // Those who were not back yet after the last one may come after this one.
        let before = self.wishes.take().filter(|wishes| wishes.since.elapsed() < RETURN_WITHIN);
        let mut by_stream = before.map(|wishes| wishes.by_stream).unwrap_or_default();
        by_stream.extend(self.roster.streams().map(|stream| {
            let played = self.played.get(&stream.id);
            let play = played.is_some() || self.waiting.contains(&stream.id);
            (stream.id.clone(), Wish { play, quality: played.and_then(|played| played.quality) })
        }));
        self.waiting.clear();
        self.wishes = Some(Wishes { by_stream, since: Instant::now() });
    }

    fn wish_for(&mut self, stream: &StreamId) -> Option<Wish> {
        let wishes = self.wishes.as_mut().filter(|wishes| wishes.since.elapsed() < RETURN_WITHIN)?;
        wishes.by_stream.remove(stream)
    }

    /// There may be room again for a stream that found none.
    async fn play_waiting(&mut self, link: &Link) {
        while self.played.len() < MAX_PLAYED_STREAMS
            && let Some(stream) = self.waiting.pop_front()
        {
            if self.roster.stream(&stream).is_some() {
                self.start_playing(link, stream).await;
            }
        }
    }

    /// A stream gained or lost tracks.
    pub(super) async fn stream_updated(&mut self, link: &Link, info: &StreamInfo) {
        let fresh = match self.played.get(&info.id) {
            Some(played) => new_tracks(played, info),
            None => info.tracks().map(|track| track.sid.clone()).collect(),
        };
        let is_played = self.played.contains_key(&info.id);
        // The server subscribes new tracks as the login said; say so where this stream differs.
        if !fresh.is_empty() && is_played != self.request.auto_play {
            subscribe(link, &fresh, is_played).await;
        }
        if is_played {
            self.sync_tracks(info).await;
            self.ask_size_again(link, &info.id, &fresh).await;
        }
        self.remotes_forget_absent(info);
    }

    /// A stream is gone.
    pub(super) async fn stream_ended(&mut self, link: &Link, info: &StreamInfo) {
        for track in info.tracks() {
            self.remotes.remove(track.sid.as_str());
        }
        self.note_ended(&info.id);
        if let Some(played) = self.played.remove(&info.id) {
            played.stop();
            self.play_state(info.id.clone(), PlayState::NoPlay, None).await;
            self.play_waiting(link).await;
        }
    }

    /// Plays a stream that was not played.
    pub(super) async fn start_playing(&mut self, link: &Link, stream: StreamId) {
        if self.played.contains_key(&stream) {
            return;
        }
        let Some(info) = self.roster.stream(&stream).cloned() else {
            let error = CallError::new(ErrorCode::StreamNotFound, format!("there is no stream {stream} in this room"));
            self.play_state(stream, PlayState::NoPlay, Some(error)).await;
            return;
        };
        if self.played.len() >= MAX_PLAYED_STREAMS {
            // Asked for by name, it is the next that is played.
            self.waiting.retain(|waiting| *waiting != stream);
            self.waiting.push_front(stream.clone());
            self.waiting.truncate(MAX_WAITING);
            self.play_state(stream, PlayState::NoPlay, Some(too_many())).await;
            return;
        }
        subscribe(link, info.tracks().map(|track| &track.sid), true).await;
        self.play(&info).await;
        if let Some(quality) = self.request.first_quality {
            self.set_play_quality(link, &stream, quality).await;
        }
    }

    /// Stops playing a stream.
    pub(super) async fn stop_playing(&mut self, link: &Link, stream: &StreamId) {
        // Whoever stops it does not want it when there is room again.
        self.waiting.retain(|waiting| waiting != stream);
        if self.stop_playing_unlinked(stream).await
            && let Some(info) = self.roster.stream(stream)
        {
            subscribe(link, info.tracks().map(|track| &track.sid), false).await;
        }
        self.play_waiting(link).await;
    }

    /// Stops playing a stream here; `true` when it was played.
    pub(super) async fn stop_playing_unlinked(&mut self, stream: &StreamId) -> bool {
        let Some(played) = self.played.remove(stream) else {
            let error = CallError::new(ErrorCode::StreamNotFound, format!("{stream} is not being played"));
            self.refuse(error).await;
            return false;
        };
        played.stop();
        for track in &played.tracks {
            self.read_away(track.sid().as_str());
        }
        self.play_state(stream.clone(), PlayState::NoPlay, None).await;
        true
    }

    /// Takes played streams up on a fresh link.
    pub(super) async fn resume_playing(&mut self, link: &Link) -> Flow {
        for info in self.roster.streams() {
            let is_played = self.played.contains_key(&info.id);
            if is_played != self.request.auto_play {
                subscribe(link, info.tracks().map(|track| &track.sid), is_played).await;
            }
        }
        for played in self.played.values_mut() {
            played.state = PlayState::Requesting;
            played.stopped = None;
        }
        self.ask_sizes(link).await;
        Ok(())
    }

    /// The first packet of a remote track is here.
    pub(super) async fn remote_track(&mut self, link: &Link, sid: String, track: Arc<dyn TrackRemote>) {
        if self.remotes.len() >= MAX_REMOTES {
            tracing::warn!(%sid, "more remote tracks than this client looks after");
            return;
        }
        // Its first packets wait for whoever plays it: among them is the keyframe with which it begins.
        let unread = Arc::clone(&track);
        let reader = OwnedTask::spawn(async {
            tokio::time::sleep(UNREAD).await;
            drain(unread).await;
        });
        self.remotes.insert(sid.clone(), Remote { track, _reader: reader, played: false });
        self.read_in(&sid).await;
        self.ask_size_of(link, &sid).await;
    }

    /// The server cannot give us a track.
    pub(super) async fn track_not_given(&mut self, sid: &str, code: ErrorCode, why: &str) {
        let Some(stream) = self.roster.stream_of_track(sid).map(|info| info.id.clone()) else { return };
        if self.played.contains_key(&stream) {
            let error = CallError::new(code, format!("{stream} cannot be played: {why}"));
            self.play_state(stream, PlayState::Requesting, Some(error)).await;
        }
    }

    /// The server stopped sending pictures for want of bandwidth, or sends them again.
    pub(super) async fn pictures_wait(&mut self, told: &[proto::StreamStateInfo]) {
        for told in told {
            let mut all = self.played.iter_mut();
            let Some((stream, played)) = all.find(|(_, played)| played.track(&told.track_sid).is_some()) else {
                continue;
            };
            let (stream, before) = (stream.clone(), played.waits());
            let stopped = told.state() == proto::StreamState::Paused;
            played.stopped = TrackSid::new(told.track_sid.as_str()).ok().filter(|_| stopped);
            self.tell_waiting(&stream, before).await;
        }
    }

    /// Tells when a picture begins to be missed, or no longer is.
    pub(super) async fn tell_waiting(&self, stream: &StreamId, before: bool) {
        let Some(played) = self.played.get(stream).filter(|played| played.waits() != before) else { return };
        let state = if before { played.state } else { PlayState::Requesting };
        let error = (!before).then(|| {
            let why = "the network is too slow for it now, and it comes back by itself: fewer or smaller pictures help";
            CallError::new(ErrorCode::PlayInterrupted, format!("the picture of {stream} waits: {why}"))
        });
        self.play_state(stream.clone(), state, error).await;
    }

    async fn play(&mut self, info: &StreamInfo) {
        self.played.insert(info.id.clone(), Played::new());
        self.play_state(info.id.clone(), PlayState::Requesting, None).await;
        self.sync_tracks(info).await;
    }

    /// Makes what is played match what the stream has.
    async fn sync_tracks(&mut self, info: &StreamInfo) {
        let hub = Arc::clone(&self.hub);
        let Some(played) = self.played.get_mut(&info.id) else { return };
        let waited = played.waits();
        played.left_out.retain(|sid| info.tracks().any(|present| present.sid == *sid));
        played.tracks.retain(|track| {
            let stays = info.tracks().any(|present| present.sid == *track.sid());
            if !stays {
                stop(track);
            }
            stays
        });
        let (mut fresh, mut unknown) = (Vec::new(), Vec::new());
        for track in info.tracks() {
            if !is_decoded_here(track) {
                if played.left_out.insert(track.sid.clone()) {
                    unknown.push(track.mime_type.clone());
                }
            } else if played.track(track.sid.as_str()).is_none() {
                let new = open(&info.id, track, &hub);
                fresh.push((track.sid.to_string(), new.clone()));
                played.tracks.push(new);
            }
        }
        // Nothing of it can be played: told as such, so that nobody waits. What joins it later may still be.
        let state = if played.tracks.is_empty() { PlayState::NoPlay } else { played.state };
        if !unknown.is_empty() {
            played.state = state;
        }
        for mime_type in unknown {
            let message = format!("{} cannot be shown: {mime_type} is not decoded here; ask for VP8 or H.264", info.id);
            let error = CallError::new(ErrorCode::CodecUnsupported, message);
            self.play_state(info.id.clone(), state, Some(error)).await;
        }
        for (sid, track) in fresh {
            if let PlayedTrack::Video(video) = &track {
                let feed = video.feed().clone();
                self.tell(RoomEvent::VideoFeedOpened { stream: info.id.clone(), feed }).await;
            }
            self.read_in(&sid).await;
        }
        self.sync_pause(&info.id);
        self.tell_waiting(&info.id, waited).await;
    }

    /// A picture that its publisher muted, or that is not wanted now, does not freeze.
    pub(super) fn sync_pause(&self, stream: &StreamId) {
        let Some(played) = self.played.get(stream) else { return };
        let muted = self.roster.stream(stream).and_then(|info| info.video.as_ref()).is_some_and(|video| video.muted);
        if let Some(video) = played.video() {
            video.set_paused(muted || !played.wants_picture());
        }
    }

    /// Reads a remote track into what plays it, if both are there.
    async fn read_in(&mut self, sid: &str) {
        let Some(remote) = self.remotes.get_mut(sid) else { return };
        let found = self.played.iter_mut().find_map(|(stream, played)| {
            let track = played.track(sid)?.clone();
            Some((stream.clone(), track, played))
        });
        let Some((stream, track, played)) = found else { return };
        if !remote.played {
            remote._reader = track.pump(Arc::clone(&remote.track), &self.hub, self.capture_extension);
            remote.played = true;
        }
        if played.state != PlayState::Playing {
            played.state = PlayState::Playing;
            if !played.waits() {
                self.play_state(stream, PlayState::Playing, None).await;
            }
        }
    }

    /// Reads a remote track away: what is not read fills a queue in the peer connection.
    fn read_away(&mut self, sid: &str) {
        if let Some(remote) = self.remotes.get_mut(sid) {
            remote._reader = OwnedTask::spawn(drain(Arc::clone(&remote.track)));
            remote.played = false;
        }
    }

    /// Forgets remote tracks of a stream that it no longer has.
    fn remotes_forget_absent(&mut self, info: &StreamInfo) {
        let roster = &self.roster;
        let belongs = |sid: &str| roster.stream_of_track(sid).is_some();
        if info.tracks().count() < 2 {
            self.remotes.retain(|sid, remote| !remote.played || belongs(sid));
        }
    }

    /// Tells how far playing a stream is.
    pub(super) async fn play_state(&self, stream: StreamId, state: PlayState, error: Option<CallError>) {
        self.tell(RoomEvent::PlayStateChanged { stream, state, error }).await;
    }
}

fn open(stream: &StreamId, track: &TrackInfo, hub: &MediaHub) -> PlayedTrack {
    match track.kind {
        MediaKind::Video => PlayedTrack::Video(Arc::new(VideoTrack::new(track.sid.clone()))),
        MediaKind::Audio => {
            let track = AudioTrack::new(stream, track.sid.clone(), hub.playout.as_ref());
            PlayedTrack::Audio(Arc::new(track))
        }
    }
}

fn new_tracks(played: &Played, info: &StreamInfo) -> Vec<TrackSid> {
    let known = |sid: &TrackSid| played.track(sid.as_str()).is_some() || played.left_out.contains(sid);
    info.tracks().map(|track| track.sid.clone()).filter(|sid| !known(sid)).collect()
}

/// Whether a track's codec is known here. One that does not tell is tried.
fn is_decoded_here(track: &TrackInfo) -> bool {
    let sound = |mime: &str| ["audio/opus", "audio/red"].iter().any(|known| known.eq_ignore_ascii_case(mime));
    match track.kind {
        _ if track.mime_type.is_empty() => true,
        MediaKind::Video => VideoCodec::of_mime_type(&track.mime_type).is_some(),
        MediaKind::Audio => sound(&track.mime_type),
    }
}

fn too_many() -> CallError {
    CallError::new(
        ErrorCode::TooManyPlays,
        format!("{MAX_PLAYED_STREAMS} streams are being played: stop one to play another"),
    )
}

async fn subscribe(link: &Link, tracks: impl IntoIterator<Item = &TrackSid>, subscribe: bool) {
    let track_sids: Vec<String> = tracks.into_iter().map(ToString::to_string).collect();
    if !track_sids.is_empty() {
        let update = proto::UpdateSubscription { track_sids, subscribe, ..Default::default() };
        link.request(Request::Subscription(update)).await;
    }
}
