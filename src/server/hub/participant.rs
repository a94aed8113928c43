//! A participant as signalling sees it: who it is, what it may do, what it publishes and receives.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use livekit_protocol::participant_info::{Kind, State};
use livekit_protocol::{
    AddTrackRequest, ClientInfo, ConnectionQuality, DisconnectReason, ParticipantInfo, ParticipantPermission,
    SessionDescription, SubscriptionPermission, TrackInfo, TrackSource, TrackType,
};

use super::audience::Audience;
use super::dynacast::{Told, Wish};
use super::resume::{Absence, Rehearsal};
use crate::model::ATTRIBUTE_HOST;
use crate::model::media::VideoCodec;
use crate::protocol::token::{Claims, VideoGrant};
use crate::server::media::{PeerId, Published, RoomKey, TrackId};
use crate::server::outbox::{Outbox, Signal};
use crate::server::rate::Rate;

/// A published or announced track.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) id: TrackId,
    /// The client's name for it.
    pub(super) cid: String,
    pub(super) info: TrackInfo,
    /// Bound to a section: others know of it.
    pub(super) live: bool,
    /// Its publisher was told that somebody receives it.
    pub(super) reported: bool,
    /// An administrator muted it, and its publisher has not said that it knows.
    pub(super) hushed: bool,
    /// When it was announced.
    pub(super) announced: Instant,
    /// What its publisher was told of the encodings that are wanted.
    pub(super) told: Told,
}

impl Track {
    pub(super) fn is_video(&self) -> bool {
        self.info.r#type == i32::from(TrackType::Video)
    }

    /// What the media side needs to know, once `info.mid` is set.
    pub(super) fn published(&self) -> Published {
        let mut widths_px = [0; 3];
        for layer in self.info.codecs.iter().flat_map(|codec| &codec.layers) {
            if let Some(width) = usize::try_from(layer.quality).ok().and_then(|rank| widths_px.get_mut(rank)) {
                *width = layer.width;
            }
        }
        #[expect(deprecated, reason = "clients still say it here as well as in audio_features")]
        let (no_dtx, stereo) = (self.info.disable_dtx, self.info.stereo);
        let feature =
            |feature: livekit_protocol::AudioTrackFeature| self.info.audio_features.contains(&i32::from(feature));
        Published {
            mid: self.info.mid.clone(),
            track: self.id,
            video: self.is_video(),
            codec: VideoCodec::of_mime_type(&self.info.mime_type).unwrap_or_default(),
            screen: self.info.source == i32::from(TrackSource::ScreenShare),
            widths_px,
            dtx: !no_dtx && !feature(livekit_protocol::AudioTrackFeature::TfNoDtx),
            stereo: stereo || feature(livekit_protocol::AudioTrackFeature::TfStereo),
            red: !self.info.disable_red,
        }
    }
}

/// One participant.
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) id: PeerId,
    pub(super) room: RoomKey,
    pub(super) outbox: Outbox,
    /// Which WebSocket it has; an earlier one's messages no longer count.
    pub(super) socket: u64,
    /// What of its connections is missing.
    pub(super) absence: Absence,
    /// A failure the client asked to have staged when it comes back.
    pub(super) rehearsal: Option<Rehearsal>,
    /// Sequence number of the last reliable data packet it sent; the media thread counts.
    pub(super) last_sequence: Arc<AtomicU32>,
    pub(super) sid: String,
    pub(super) identity: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) metadata: String,
    pub(super) attributes: HashMap<String, String>,
    pub(super) grant: VideoGrant,
    /// What its token said.
    pub(super) claims: Claims,
    /// Another host made it one.
    pub(super) appointed: bool,
    /// When it gets a fresh token.
    pub(super) refresh_at: Instant,
    pub(super) client: ClientInfo,
    pub(super) single: bool,
    pub(super) auto_subscribe: bool,
    pub(super) joined_at_ms: i64,
    pub(super) joined: Instant,
    pub(super) state: State,
    pub(super) version: u32,
    pub(super) reason: DisconnectReason,
    pub(super) tracks: Vec<Track>,
    /// Announced under a name that is still in use: published when that ends.
    pub(super) queued: Vec<AddTrackRequest>,
    /// What it receives.
    pub(super) receives: BTreeSet<TrackId>,
    /// How it wants what it receives, where it said so.
    pub(super) wishes: HashMap<TrackId, Wish>,
    /// What it would receive if it still might receive anything.
    pub(super) suspended: BTreeSet<TrackId>,
    /// What its publishers keep from it: received as soon as they allow it.
    pub(super) barred: BTreeSet<TrackId>,
    /// What it was told of pictures that stop for want of bandwidth: whether they do now.
    pub(super) stopped: BTreeMap<TrackId, bool>,
    /// What it was told of tracks that are kept from it: whether it may have them now.
    pub(super) allowed: BTreeMap<TrackId, bool>,
    /// Whom it lets receive its tracks.
    pub(super) audience: Audience,
    /// Its newest word on that, when it came too fast.
    pub(super) held_audience: Option<SubscriptionPermission>,
    /// How fast it may change what everyone is told of.
    pub(super) changes: Rate,
    pub(super) quality: Option<ConnectionQuality>,
    pub(super) level: f32,
    /// How fast it may offer.
    pub(super) offers: Rate,
    /// Its newest offer, when that came too fast.
    pub(super) held_offer: Option<SessionDescription>,
}

impl Participant {
    pub(super) fn is_hidden(&self) -> bool {
        self.grant.hidden
    }

    /// Queues a message.
    pub(super) fn send(&self, message: &Arc<Signal>) {
        self.outbox.send(message);
    }

    pub(super) fn track(&self, sid: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.info.sid == sid)
    }

    pub(super) fn track_mut(&mut self, sid: &str) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.info.sid == sid)
    }

    /// Whether the grant allows publishing from `source`.
    pub(super) fn may_publish(&self, source: TrackSource) -> bool {
        let sources = &self.grant.can_publish_sources;
        self.grant.may_publish()
            && (sources.is_empty() || sources.iter().any(|name| name.eq_ignore_ascii_case(source.as_str_name())))
    }

    /// Its description for others. Only bound tracks are listed.
    pub(super) fn info(&self) -> ParticipantInfo {
        let tracks: Vec<TrackInfo> = self.tracks.iter().filter(|t| t.live).map(|t| t.info.clone()).collect();
        let mut attributes = self.attributes.clone();
        attributes.remove(ATTRIBUTE_HOST);
        if self.is_host() {
            attributes.insert(ATTRIBUTE_HOST.to_owned(), "yes".to_owned());
        }
        ParticipantInfo {
            sid: self.sid.clone(),
            identity: self.identity.clone(),
            state: self.state.into(),
            is_publisher: !tracks.is_empty(),
            tracks,
            metadata: self.metadata.clone(),
            joined_at: self.joined_at_ms / 1000,
            joined_at_ms: self.joined_at_ms,
            name: self.name.clone(),
            version: self.version,
            permission: Some(self.permission()),
            kind: self.kind.into(),
            attributes,
            disconnect_reason: self.reason.into(),
            client_protocol: self.client.client_protocol,
            capabilities: self.client.capabilities.clone(),
            ..ParticipantInfo::default()
        }
    }

    /// Keeps order in the room.
    pub(super) fn is_host(&self) -> bool {
        self.grant.room_admin || self.appointed
    }

    fn permission(&self) -> ParticipantPermission {
        let sources =
            [TrackSource::Camera, TrackSource::Microphone, TrackSource::ScreenShare, TrackSource::ScreenShareAudio];
        let restricted = !self.grant.can_publish_sources.is_empty();
        let can_publish_sources = if restricted {
            sources.into_iter().filter(|source| self.may_publish(*source)).map(i32::from).collect()
        } else {
            Vec::new()
        };
        #[expect(deprecated, reason = "older clients read the recorder right here")]
        let permission = ParticipantPermission {
            can_subscribe: self.grant.may_subscribe(),
            can_publish: self.grant.may_publish(),
            can_publish_data: self.grant.may_publish_data(),
            can_publish_sources,
            hidden: self.grant.hidden,
            recorder: self.grant.recorder,
            can_update_metadata: self.grant.may_update_own_metadata(),
            ..ParticipantPermission::default()
        };
        permission
    }
}
