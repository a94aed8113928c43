//! Who is in the room and what they publish: a state machine fed with LiveKit's participant messages that tells what
//! changed. No I/O, no clock; owned by whoever holds the session.
//!
//! Invariants: a stream id belongs to one owner; every stream has at least one track; a stream is told gone before
//! its owner; a participant's state never goes back to an older version of the same session.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use livekit_protocol as proto;

use super::convert::{self, StreamName};
use super::stream_note;
use crate::model::{DeviceState, EndReason, MediaKind, StreamId, StreamInfo, TrackInfo, UserId, UserInfo};

/// Participants that are kept; a server that announces more is followed only this far.
pub const MAX_PARTICIPANTS: usize = 2_000;
/// Tracks of one participant that are kept.
pub const MAX_TRACKS_PER_PARTICIPANT: usize = 32;

/// What changed in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RosterChange {
    /// Someone came.
    UserJoined(UserInfo),
    /// Someone's name, attributes or metadata changed.
    UserUpdated(UserInfo),
    /// Someone left.
    UserLeft {
        /// Who.
        user: UserId,
        /// Why.
        reason: EndReason,
    },
    /// A new stream.
    StreamAdded(StreamInfo),
    /// A stream gained or lost a track, or a track changed.
    StreamUpdated(StreamInfo),
    /// A stream ended.
    StreamRemoved {
        /// What it was.
        stream: StreamInfo,
        /// Why it ended.
        reason: EndReason,
    },
}

#[derive(Debug)]
struct Person {
    info: UserInfo,
    version: u32,
    streams: BTreeMap<StreamId, StreamInfo>,
    /// What was told of them last, while someone else holds a stream id that they gave.
    wishes: Option<Box<proto::ParticipantInfo>>,
}

/// Everyone else in the room.
#[derive(Debug, Default)]
pub struct Roster {
    me: Option<String>,
    people: BTreeMap<UserId, Person>,
    /// Who holds a stream id, ourselves included.
    owners: HashMap<StreamId, UserId>,
}

impl Roster {
    /// Takes over the state a join response tells. After a reconnection this yields only the differences.
    pub fn joined(&mut self, me: &str, others: &[proto::ParticipantInfo]) -> Vec<RosterChange> {
        self.me = Some(me.to_owned());
        let mut changes = Vec::new();
        let present: Vec<&str> = others.iter().map(|info| info.identity.as_str()).collect();
        let gone: Vec<UserId> = self.people.keys().filter(|id| !present.contains(&id.as_str())).cloned().collect();
        for id in gone {
            self.remove(&id, EndReason::Disconnected, &mut changes);
        }
        for info in others {
            self.apply(info, true, &mut changes);
        }
        self.grant_wishes(&mut changes);
        changes
    }

    /// Takes over a participant update.
    pub fn update(&mut self, participants: &[proto::ParticipantInfo]) -> Vec<RosterChange> {
        let mut changes = Vec::new();
        for info in participants {
            self.apply(info, false, &mut changes);
        }
        self.grant_wishes(&mut changes);
        changes
    }

    /// Only these are still here, by identity: what a client that was away for a while is told.
    pub fn retain(&mut self, present: &BTreeSet<String>) -> Vec<RosterChange> {
        let mut changes = Vec::new();
        let gone: Vec<UserId> = self.people.keys().filter(|id| !present.contains(id.as_str())).cloned().collect();
        for id in gone {
            self.remove(&id, EndReason::Disconnected, &mut changes);
        }
        self.grant_wishes(&mut changes);
        changes
    }

    /// Forgets everyone: what a client that is no longer in the room tells.
    pub fn clear(&mut self, reason: EndReason) -> Vec<RosterChange> {
        let mut changes = Vec::new();
        let everyone: Vec<UserId> = self.people.keys().cloned().collect();
        for id in everyone {
            self.remove(&id, reason, &mut changes);
        }
        self.owners.clear();
        self.me = None;
        changes
    }

    /// Reserves a stream id for this client; `false` when someone else has it.
    pub fn claim(&mut self, stream: &StreamId, me: &UserId) -> bool {
        match self.owners.get(stream) {
            Some(owner) => owner == me,
            None => {
                self.owners.insert(stream.clone(), me.clone());
                true
            }
        }
    }

    /// Gives a claimed stream id back.
    pub fn release(&mut self, stream: &StreamId, me: &UserId) {
        if self.owners.get(stream) == Some(me) {
            self.owners.remove(stream);
        }
    }

    /// Our stream ids under which others publish, too, and who: they asked in the same moment.
    pub fn contested(&self, participants: &[proto::ParticipantInfo]) -> Vec<(StreamId, String)> {
        let ours = |id: &StreamId| self.owners.get(id).is_some_and(|owner| self.me.as_deref() == Some(owner.as_str()));
        let mut contested = Vec::new();
        for info in participants.iter().filter(|info| self.me.as_deref() != Some(info.identity.as_str())) {
            for track in info.tracks.iter().take(MAX_TRACKS_PER_PARTICIPANT) {
                if let StreamName::Given(id) = convert::stream_name(track)
                    && ours(&id)
                {
                    contested.push((id, info.identity.clone()));
                }
            }
        }
        contested
    }

    /// A stream of someone else.
    pub fn stream(&self, id: &StreamId) -> Option<&StreamInfo> {
        self.people.get(self.owners.get(id)?)?.streams.get(id)
    }

    /// The stream a track belongs to.
    pub fn stream_of_track(&self, sid: &str) -> Option<&StreamInfo> {
        self.streams().find(|stream| stream.tracks().any(|track| track.sid.as_str() == sid))
    }

    /// Every stream of the others.
    pub fn streams(&self) -> impl Iterator<Item = &StreamInfo> {
        self.people.values().flat_map(|person| person.streams.values())
    }

    /// How many others are in the room.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nobody else is in the room.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Who has this participant session id (`PA_…`).
    pub fn user_of_sid(&self, sid: &str) -> Option<&UserId> {
        self.people.iter().find(|(_, person)| person.info.sid == sid).map(|(id, _)| id)
    }

    fn apply(&mut self, info: &proto::ParticipantInfo, complete: bool, changes: &mut Vec<RosterChange>) {
        if self.me.as_deref() == Some(info.identity.as_str()) {
            return;
        }
        let user = match convert::user_info(info) {
            Ok(user) => user,
            Err(error) => {
                tracing::warn!(%error, "a participant with an illegal identity is left out");
                return;
            }
        };
        let known = self.people.get(&user.id).map(|person| (person.info.sid.clone(), person.version));
        if info.state() == proto::participant_info::State::Disconnected {
            // A second login may be announced before the first is taken back: only the session that is meant ends.
            if known.is_some_and(|(sid, _)| sid == user.sid) {
                self.remove(&user.id, convert::end_reason(info.disconnect_reason()), changes);
            }
            return;
        }
        match known {
            Some((sid, version)) if sid == user.sid && !complete && info.version < version => return,
            Some((sid, _)) if sid != user.sid => {
                // A second login of the same user: what the first one published ended with it. What happened while we
                // were away may as well have been that the server began anew.
                let reason = if complete { EndReason::Disconnected } else { EndReason::ReplacedBySecondLogin };
                self.end_streams(&user.id, reason, changes);
            }
            None if self.people.len() >= MAX_PARTICIPANTS => {
                tracing::warn!(user = %user.id, "more participants than this client keeps");
                return;
            }
            _ => {}
        }
        let id = user.id.clone();
        match self.people.get_mut(&id) {
            Some(person) => {
                person.version = info.version;
                if person.info != user {
                    person.info = user.clone();
                    changes.push(RosterChange::UserUpdated(user));
                }
            }
            None => {
                changes.push(RosterChange::UserJoined(user.clone()));
                self.people.insert(
                    id.clone(),
                    Person { info: user, version: info.version, streams: BTreeMap::new(), wishes: None },
                );
            }
        }
        self.apply_streams(&id, info, changes);
    }

    fn apply_streams(&mut self, owner: &UserId, info: &proto::ParticipantInfo, changes: &mut Vec<RosterChange>) {
        let mut wanted: BTreeMap<StreamId, StreamInfo> = BTreeMap::new();
        let mut refused = false;
        for track_info in info.tracks.iter().take(MAX_TRACKS_PER_PARTICIPANT) {
            let Some(track) = convert::track_info(track_info) else { continue };
            let id = self.stream_id(owner, track_info);
            refused |= matches!(convert::stream_name(track_info), StreamName::Given(given) if given != id);
            place(&mut wanted, owner, id, track);
        }
        // Notes are read from their owner's attributes only: nobody marks the streams of others.
        let mut notes = stream_note::notes(&info.attributes);
        for (id, stream) in &mut wanted {
            notes.remove(id).unwrap_or_default().mark(stream);
        }
        let Some(person) = self.people.get_mut(owner) else { return };
        person.wishes = refused.then(|| Box::new(info.clone()));
        let old = std::mem::take(&mut person.streams);
        person.streams = wanted.clone();
        for (id, stream) in &old {
            if !wanted.contains_key(id) {
                self.owners.remove(id);
                let permitted = convert::may_publish(info, stream);
                let reason = if permitted { EndReason::Stopped } else { EndReason::RemovedByServer };
                changes.push(RosterChange::StreamRemoved { stream: stream.clone(), reason });
            }
        }
        for (id, stream) in wanted {
            match old.get(&id) {
                None => {
                    self.owners.insert(id, owner.clone());
                    changes.push(RosterChange::StreamAdded(stream));
                }
                Some(before) if *before != stream => changes.push(RosterChange::StreamUpdated(stream)),
                Some(_) => {}
            }
        }
    }

    /// Stream ids may be free again that somebody gave who did not get them.
    fn grant_wishes(&mut self, changes: &mut Vec<RosterChange>) {
        let wishes = self.people.iter().filter_map(|(id, person)| Some((id.clone(), person.wishes.clone()?)));
        for (owner, info) in wishes.collect::<Vec<_>>() {
            self.apply_streams(&owner, &info, changes);
        }
    }

    /// The id of the stream a track belongs to; one that someone else holds is derived from instead.
    fn stream_id(&self, owner: &UserId, info: &proto::TrackInfo) -> StreamId {
        let is_free = |id: &StreamId| self.owners.get(id).is_none_or(|holder| holder == owner);
        let name = match convert::stream_name(info) {
            StreamName::Given(id) if is_free(&id) => return id,
            StreamName::Given(id) => id.to_string(),
            StreamName::Derived(name) => name,
        };
        let id = StreamId::derived(owner, &name);
        if is_free(&id) { id } else { StreamId::derived(owner, &info.sid) }
    }

    fn end_streams(&mut self, owner: &UserId, reason: EndReason, changes: &mut Vec<RosterChange>) {
        let Some(person) = self.people.get_mut(owner) else { return };
        for (id, stream) in std::mem::take(&mut person.streams) {
            self.owners.remove(&id);
            changes.push(RosterChange::StreamRemoved { stream, reason });
        }
    }

    fn remove(&mut self, user: &UserId, reason: EndReason, changes: &mut Vec<RosterChange>) {
        self.end_streams(user, reason, changes);
        if self.people.remove(user).is_some() {
            changes.push(RosterChange::UserLeft { user: user.clone(), reason });
        }
    }
}

/// Puts a track into its stream, or into one of its own when its place is taken.
fn place(streams: &mut BTreeMap<StreamId, StreamInfo>, owner: &UserId, id: StreamId, track: TrackInfo) {
    let taken = streams.get(&id).is_some_and(|stream| match track.kind {
        MediaKind::Video => stream.video.is_some(),
        MediaKind::Audio => stream.audio.is_some(),
    });
    let id = if taken { StreamId::derived(owner, track.sid.as_str()) } else { id };
    let kind = convert::stream_kind(track.source);
    let stream = streams.entry(id.clone()).or_insert_with(|| StreamInfo {
        id,
        owner: owner.clone(),
        kind,
        video: None,
        audio: None,
        video_state: DeviceState::On,
        audio_state: DeviceState::On,
        extra_info: String::new(),
        wall_slot: None,
    });
    match track.kind {
        MediaKind::Video => {
            stream.kind = kind;
            stream.video = Some(track);
        }
        MediaKind::Audio => stream.audio = Some(track),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::participant_info::State;

    fn track(sid: &str, source: proto::TrackSource, stream: &str) -> proto::TrackInfo {
        let kind = match source {
            proto::TrackSource::Camera | proto::TrackSource::ScreenShare => proto::TrackType::Video,
            _ => proto::TrackType::Audio,
        };
        proto::TrackInfo {
            sid: sid.into(),
            r#type: kind.into(),
            source: source.into(),
            stream: stream.into(),
            ..Default::default()
        }
    }

    fn person(identity: &str, sid: &str, version: u32, tracks: Vec<proto::TrackInfo>) -> proto::ParticipantInfo {
        proto::ParticipantInfo {
            identity: identity.into(),
            sid: sid.into(),
            version,
            state: State::Active.into(),
            tracks,
            ..Default::default()
        }
    }

    fn names(changes: &[RosterChange]) -> Vec<String> {
        changes
            .iter()
            .map(|change| match change {
                RosterChange::UserJoined(user) => format!("+{}", user.id),
                RosterChange::UserUpdated(user) => format!("~{}", user.id),
                RosterChange::UserLeft { user, .. } => format!("-{user}"),
                RosterChange::StreamAdded(stream) => format!("+s:{}", stream.id),
                RosterChange::StreamUpdated(stream) => format!("~s:{}", stream.id),
                RosterChange::StreamRemoved { stream, .. } => format!("-s:{}", stream.id),
            })
            .collect()
    }

    #[test]
    fn who_is_not_named_any_more_has_left() {
        let mut roster = Roster::default();
        let camera = track("TR_v", proto::TrackSource::Camera, "");
        roster.joined("me", &[person("ann", "PA_1", 1, vec![camera]), person("bob", "PA_2", 1, vec![])]);
        let present = ["me", "bob"].map(str::to_owned).into();
        assert_eq!(names(&roster.retain(&present)), ["-s:ann-camera", "-ann"]);
        assert!(roster.retain(&present).is_empty());
    }

    #[test]
    fn microphone_joins_the_camera_stream_and_leaves_it() {
        let mut roster = Roster::default();
        let camera = track("TR_v", proto::TrackSource::Camera, "");
        let mic = track("TR_a", proto::TrackSource::Microphone, "");
        let changes = roster.joined("me", &[person("ann", "PA_1", 1, vec![camera.clone()])]);
        assert_eq!(names(&changes), ["+ann", "+s:ann-camera"]);
        let changes = roster.update(&[person("ann", "PA_1", 2, vec![camera.clone(), mic])]);
        assert_eq!(names(&changes), ["~s:ann-camera"]);
        let stream = roster.stream_of_track("TR_a").unwrap();
        assert!(stream.video.is_some() && stream.audio.is_some());
        assert!(names(&roster.update(&[person("ann", "PA_1", 1, vec![])])).is_empty(), "an older version is ignored");
        let changes = roster.update(&[person("ann", "PA_1", 3, vec![])]);
        assert_eq!(names(&changes), ["-s:ann-camera"]);
    }

    #[test]
    fn a_taken_stream_id_is_derived() {
        let mut roster = Roster::default();
        let changes = roster.joined(
            "me",
            &[
                person("ann", "PA_1", 1, vec![track("TR_1", proto::TrackSource::Camera, "stage")]),
                person("bob", "PA_2", 1, vec![track("TR_2", proto::TrackSource::Camera, "stage")]),
            ],
        );
        assert_eq!(names(&changes), ["+ann", "+s:stage", "+bob", "+s:bob-stage"]);
        assert!(names(&roster.update(&[person("cid", "PA_3", 1, vec![])])) == ["+cid"], "nothing changes for bob");
        let freed = roster.update(&[person("ann", "PA_1", 2, vec![])]);
        assert_eq!(names(&freed), ["-s:stage", "-s:bob-stage", "+s:stage"], "bob gets it when it is free");
        let taken = [track("TR_1", proto::TrackSource::Camera, "stage")];
        assert_eq!(names(&roster.update(&[person("ann", "PA_1", 3, taken.to_vec())])), ["+s:ann-stage"]);
        let me = UserId::new("me").unwrap();
        assert!(!roster.claim(&StreamId::new("stage").unwrap(), &me));
        assert!(roster.claim(&StreamId::new("mine").unwrap(), &me));
    }

    #[test]
    fn an_id_that_others_took_in_the_same_moment_is_noticed() {
        let mut roster = Roster::default();
        roster.joined("me", &[person("bob", "PA_2", 1, vec![track("TR_2", proto::TrackSource::Camera, "hall")])]);
        let stage = StreamId::new("stage").unwrap();
        assert!(roster.claim(&stage, &UserId::new("me").unwrap()));
        let update = |who: &str| [person(who, "PA_3", 2, vec![track("TR_3", proto::TrackSource::Camera, "stage")])];
        assert_eq!(roster.contested(&update("ann")), [(stage, "ann".to_owned())]);
        assert_eq!(roster.contested(&update("me")), [], "our own is no contest");
        let hall = [person("ann", "PA_3", 2, vec![track("TR_3", proto::TrackSource::Camera, "hall")])];
        assert_eq!(roster.contested(&hall), [], "nor is what bob holds");
    }

    #[test]
    fn two_cameras_under_one_name_become_two_streams() {
        let mut roster = Roster::default();
        let changes = roster.joined(
            "me",
            &[person(
                "ann",
                "PA_1",
                1,
                vec![track("TR_1", proto::TrackSource::Camera, ""), track("TR_2", proto::TrackSource::Camera, "")],
            )],
        );
        assert_eq!(names(&changes), ["+ann", "+s:ann-TR_2", "+s:ann-camera"]);
    }

    #[test]
    fn a_second_login_replaces_the_first_whatever_the_order() {
        let mut roster = Roster::default();
        roster.joined("me", &[person("ann", "PA_1", 7, vec![track("TR_1", proto::TrackSource::Camera, "")])]);
        let changes = roster.update(&[person("ann", "PA_2", 1, vec![track("TR_2", proto::TrackSource::Camera, "")])]);
        assert!(matches!(changes[0], RosterChange::StreamRemoved { reason: EndReason::ReplacedBySecondLogin, .. }));
        assert_eq!(names(&changes), ["-s:ann-camera", "~ann", "+s:ann-camera"]);
        let mut late = person("ann", "PA_1", 8, vec![]);
        late.state = State::Disconnected.into();
        assert!(roster.update(&[late]).is_empty(), "the old session's end is not the new one's");
    }

    #[test]
    fn leaving_takes_streams_first_and_says_why() {
        let mut roster = Roster::default();
        roster.joined("me", &[person("ann", "PA_1", 1, vec![track("TR_1", proto::TrackSource::Camera, "")])]);
        let mut gone = person("ann", "PA_1", 2, vec![]);
        gone.state = State::Disconnected.into();
        gone.disconnect_reason = proto::DisconnectReason::ParticipantRemoved.into();
        let changes = roster.update(&[gone]);
        assert_eq!(names(&changes), ["-s:ann-camera", "-ann"]);
        assert!(matches!(changes[1], RosterChange::UserLeft { reason: EndReason::Kicked, .. }));
    }

    #[test]
    fn an_id_derived_from_a_taken_one_takes_nobody_elses_either() {
        let mut roster = Roster::default();
        let named = |sid: &str, stream: &str| vec![track(sid, proto::TrackSource::Camera, stream)];
        let changes = roster.joined(
            "me",
            &[
                person("ann", "PA_1", 1, named("TR_1", "stage")),
                person("eve", "PA_2", 1, named("TR_2", "bob-stage")),
                person("bob", "PA_3", 1, named("TR_3", "stage")),
            ],
        );
        assert_eq!(names(&changes), ["+ann", "+s:stage", "+eve", "+s:bob-stage", "+bob", "+s:bob-TR_3"]);
        let kept = roster.stream(&StreamId::new("bob-stage").unwrap()).unwrap();
        assert_eq!(kept.owner.as_str(), "eve");
    }

    #[test]
    fn a_stream_whose_permission_is_gone_was_removed_by_the_server() {
        let mut roster = Roster::default();
        let camera = || vec![track("TR_1", proto::TrackSource::Camera, "")];
        let reason = |changes: Vec<RosterChange>| match &changes[..] {
            [RosterChange::StreamRemoved { reason, .. }] => *reason,
            other => panic!("{other:?}"),
        };
        let permitted = |can_publish, sources: &[proto::TrackSource]| proto::ParticipantPermission {
            can_publish,
            can_publish_sources: sources.iter().map(|source| (*source).into()).collect(),
            ..Default::default()
        };
        let cases = [
            (permitted(true, &[]), EndReason::Stopped),
            (permitted(false, &[]), EndReason::RemovedByServer),
            (permitted(true, &[proto::TrackSource::Microphone]), EndReason::RemovedByServer),
            (permitted(true, &[proto::TrackSource::Camera]), EndReason::Stopped),
        ];
        roster.joined("me", &[person("ann", "PA_1", 1, vec![])]);
        for (version, (permission, expected)) in (2..).step_by(2).zip(cases) {
            roster.update(&[person("ann", "PA_1", version, camera())]);
            let gone =
                proto::ParticipantInfo { permission: Some(permission), ..person("ann", "PA_1", version + 1, vec![]) };
            assert_eq!(reason(roster.update(&[gone])), expected);
        }
    }

    #[test]
    fn whoever_is_here_anew_after_our_absence_was_not_replaced() {
        let mut roster = Roster::default();
        let camera = || vec![track("TR_1", proto::TrackSource::Camera, "")];
        roster.joined("me", &[person("ann", "PA_1", 7, camera())]);
        let changes = roster.joined("me", &[person("ann", "PA_2", 1, camera())]);
        assert!(matches!(changes[0], RosterChange::StreamRemoved { reason: EndReason::Disconnected, .. }));
    }

    #[test]
    fn coming_back_tells_only_differences() {
        let mut roster = Roster::default();
        let ann = person("ann", "PA_1", 5, vec![track("TR_1", proto::TrackSource::Camera, "")]);
        roster.joined("me", &[ann.clone(), person("bob", "PA_2", 1, vec![])]);
        let changes = roster.joined("me", &[ann, person("cid", "PA_3", 1, vec![])]);
        assert_eq!(names(&changes), ["-bob", "+cid"]);
    }

    #[test]
    fn notes_mark_their_owners_streams_only() {
        let mut roster = Roster::default();
        let camera = || track("TR_1", proto::TrackSource::Camera, "stage");
        let mut ann = person("ann", "PA_1", 1, vec![camera()]);
        let note = |value: &str| HashMap::from([("rotunda.stream.stage".to_owned(), value.to_owned())]);
        ann.attributes = note(r#"{"extra":"slides","audio":"no_permission"}"#);
        let mut bob = person("bob", "PA_2", 1, vec![]);
        bob.attributes = note(r#"{"extra":"mine"}"#);
        let changes = roster.joined("me", &[ann.clone(), bob]);
        assert_eq!(names(&changes), ["+ann", "+s:stage", "+bob"], "a late joiner finds it in the stream at once");
        let stage = StreamId::new("stage").unwrap();
        let shown = |roster: &Roster| {
            let stream = roster.stream(&stage).unwrap();
            (stream.extra_info.clone(), stream.video_state, stream.audio_state)
        };
        assert_eq!(shown(&roster), ("slides".into(), DeviceState::On, DeviceState::NoPermission));
        ann.version = 2;
        ann.tracks[0].muted = true;
        ann.attributes = note("hostile");
        assert_eq!(names(&roster.update(&[ann])), ["~s:stage"], "the user did not change");
        assert_eq!(shown(&roster), (String::new(), DeviceState::Muted, DeviceState::Off));
    }

    #[test]
    fn hostile_participants_are_left_out() {
        let mut roster = Roster::default();
        let many = (0..100).map(|n| track(&format!("TR_{n}"), proto::TrackSource::Camera, "")).collect();
        let changes = roster.joined("me", &[person("", "PA_1", 1, vec![]), person("ann", "PA_2", 1, many)]);
        assert_eq!(changes.len(), 1 + MAX_TRACKS_PER_PARTICIPANT);
        assert!(roster.update(&[person("me", "PA_9", 1, vec![])]).is_empty(), "ourselves are not someone else");
    }
}
