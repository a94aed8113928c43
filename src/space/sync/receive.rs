//! `apply_room_events`: engine events become entities, components and messages, with a budget per frame. Main thread,
//! [`crate::space::SpaceSystems::Receive`].

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;

use super::messages::{
    CallTrouble, ChatReceived, ChatRefused, ChatSent, DataReceived, EngineEvent, PlayStateChanged, PublishStateChanged,
    RoomStateChanged, StreamCame, StreamChanged, StreamWent, UserCame, UserChanged, UserWent,
};
use super::roster::{MAX_PARTICIPANTS, MAX_STREAMS, Roster};
use super::{EngineBridge, RoomStatus};
use crate::bridge::{RoomEvent, SessionId, VideoFeed};
use crate::model::topic::{TOPIC_BARRAGE, TOPIC_CUSTOM};
use crate::model::{
    ATTRIBUTE_HAND, ATTRIBUTE_HOST, CallError, EndReason, ErrorCode, RoomOrder, RoomState, StreamId, StreamInfo,
    UserId, UserInfo,
};
use crate::space::participant::{HandRaised, Host, LocalParticipant, Participant, SeatClaim};
use crate::space::settings::SpaceSettings;
use crate::space::stream::{PictureWaits, PublishedBy, StreamFeed, VideoStream};

/// What became of the engine's events.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveCounts {
    /// Events applied.
    pub applied: u64,
    /// Events of an earlier login, dropped.
    pub stale: u64,
    /// Users or streams over the room's limits, or events about unknown ones, dropped.
    pub refused: u64,
}

fn hand_raised(user: &UserInfo) -> Option<HandRaised> {
    let value = user.attributes.get(ATTRIBUTE_HAND).filter(|value| !value.is_empty())?;
    // Who only says that it is raised comes first.
    Some(HandRaised(value.parse().unwrap_or_default()))
}

/// What somebody's attributes say of them.
fn mark(entity: &mut EntityCommands, user: &UserInfo) {
    match hand_raised(user) {
        Some(raised) => entity.insert(raised),
        None => entity.remove::<HandRaised>(),
    };
    if user.attributes.contains_key(ATTRIBUTE_HOST) {
        entity.insert(Host);
    } else {
        entity.remove::<Host>();
    }
}

#[derive(SystemParam)]
pub(super) struct Told<'w> {
    state: MessageWriter<'w, RoomStateChanged>,
    user_came: MessageWriter<'w, UserCame>,
    user_changed: MessageWriter<'w, UserChanged>,
    user_went: MessageWriter<'w, UserWent>,
    stream_came: MessageWriter<'w, StreamCame>,
    stream_changed: MessageWriter<'w, StreamChanged>,
    stream_went: MessageWriter<'w, StreamWent>,
    publish: MessageWriter<'w, PublishStateChanged>,
    play: MessageWriter<'w, PlayStateChanged>,
    chat: MessageWriter<'w, ChatReceived>,
    chat_sent: MessageWriter<'w, ChatSent>,
    chat_refused: MessageWriter<'w, ChatRefused>,
    data: MessageWriter<'w, DataReceived>,
    trouble: MessageWriter<'w, CallTrouble>,
    every: MessageWriter<'w, EngineEvent>,
}

#[derive(SystemParam)]
pub(super) struct Room<'w, 's> {
    commands: Commands<'w, 's>,
    roster: ResMut<'w, Roster>,
    status: ResMut<'w, RoomStatus>,
    counts: ResMut<'w, ReceiveCounts>,
    names: Query<'w, 's, &'static Participant>,
    told: Told<'w>,
}

/// Drains at most `events_per_frame` events.
pub(super) fn apply_room_events(mut bridge: ResMut<EngineBridge>, settings: Res<SpaceSettings>, mut room: Room) {
    for _ in 0..settings.events_per_frame.max(1) {
        let Some(envelope) = bridge.0.try_event() else { return };
        if envelope.session < room.status.session {
            room.counts.stale += 1;
            continue;
        }
        if envelope.session > room.status.session {
            room.begin_session(envelope.session);
        }
        room.counts.applied += 1;
        room.told.every.write(EngineEvent(envelope.event.clone()));
        room.apply(envelope.event);
    }
}

impl Room<'_, '_> {
    fn begin_session(&mut self, session: SessionId) {
        self.clear();
        *self.status = RoomStatus { session, ..default() };
    }

    /// Takes everyone and everything out; their despawn ends feeds and panels.
    fn clear(&mut self) {
        let streams: Vec<StreamId> = self.roster.streams.keys().cloned().collect();
        for stream in streams {
            self.remove_stream(&stream, EndReason::Disconnected);
        }
        let users: Vec<UserId> = self.roster.users.keys().cloned().collect();
        for user in users {
            self.remove_user(&user, EndReason::Disconnected);
        }
        self.roster.local = None;
    }

    fn apply(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::StateChanged { state, reason, error, me } => {
                self.status.state = state;
                self.status.reason = Some(reason);
                if state == RoomState::Connected {
                    self.status.error = None;
                }
                if error.is_some() {
                    self.status.error.clone_from(&error);
                }
                if let Some(me) = me {
                    self.roster.local = Some(me.id.clone());
                    self.put_user(&me);
                    self.status.me = Some(me);
                }
                if state == RoomState::Disconnected {
                    self.clear();
                }
                self.told.state.write(RoomStateChanged { state, reason, error });
            }
            RoomEvent::RoomChanged { metadata, may_change } => {
                self.status.order = RoomOrder::read(&metadata);
                self.status.metadata = metadata;
                self.status.host = may_change;
            }
            RoomEvent::UserJoined(user) | RoomEvent::UserUpdated(user) => {
                self.put_user(&user);
            }
            RoomEvent::UserLeft { user, reason } => self.remove_user(&user, reason),
            RoomEvent::StreamAdded(info) | RoomEvent::StreamUpdated(info) => self.put_stream(info),
            RoomEvent::StreamRemoved { stream, reason, .. } => self.remove_stream(&stream, reason),
            RoomEvent::PublishStateChanged { stream, state, error } => {
                self.told.publish.write(PublishStateChanged { stream, state, error });
            }
            RoomEvent::PlayStateChanged { stream, state, error } => {
                self.mark_waiting(&stream, error.as_ref());
                self.told.play.write(PlayStateChanged { stream, state, error });
            }
            RoomEvent::VideoFeedOpened { stream, feed } => self.open_feed(&stream, feed),
            RoomEvent::ChatReceived { from, text, sent_at_ms } => {
                self.told.chat.write(ChatReceived { from, text, sent_at_ms });
            }
            RoomEvent::ChatSent { text, sent_at_ms } => {
                self.told.chat_sent.write(ChatSent { text, sent_at_ms });
            }
            RoomEvent::ChatRefused { text, error } => {
                self.told.chat_refused.write(ChatRefused { text, error });
            }
            RoomEvent::DataReceived { from, topic, payload, reliable } => {
                self.told.data.write(DataReceived { from, topic, payload, reliable });
            }
            // Plugins read them like any data, under their topics.
            RoomEvent::BarrageReceived { from, text } => {
                self.tell_data(from, TOPIC_BARRAGE, text, false);
            }
            RoomEvent::CustomReceived { from, content } => {
                self.tell_data(from, TOPIC_CUSTOM, content, true);
            }
            RoomEvent::TokenExpiring { in_secs } => {
                let sentence = format!("the token ends in {in_secs} s: ask the room's host for a fresh one");
                self.told.trouble.write(CallTrouble(CallError::new(ErrorCode::TokenExpired, sentence)));
            }
            // Only trouble is news: that a device works is expected.
            RoomEvent::DeviceChanged { device, .. } | RoomEvent::SpeakerChanged(device) => {
                if let Some(why) = device.why {
                    let used = device.name.map_or_else(String::new, |name| format!("; {name} is used meanwhile"));
                    let sentence = format!("{why}{used}");
                    self.told.trouble.write(CallTrouble(CallError::new(ErrorCode::CaptureFailed, sentence)));
                }
            }
            RoomEvent::CommandFailed(error) => {
                self.told.trouble.write(CallTrouble(error));
            }
        }
    }

    fn tell_data(&mut self, from: UserId, topic: &str, text: String, reliable: bool) {
        let (topic, payload) = (topic.to_owned(), text.into_bytes());
        self.told.data.write(DataReceived { from: Some(from), topic, payload, reliable });
    }

    fn put_user(&mut self, user: &UserInfo) -> Option<Entity> {
        let local = self.roster.local.as_ref() == Some(&user.id);
        if let Some(entity) = self.roster.user(&user.id) {
            let mut entity_commands = self.commands.entity(entity);
            entity_commands.insert((Participant::from(user), SeatClaim::from(user)));
            if local {
                entity_commands.insert(LocalParticipant);
            }
            mark(&mut entity_commands, user);
            self.told.user_changed.write(UserChanged { entity, user: user.clone() });
            return Some(entity);
        }
        if self.roster.users.len() >= MAX_PARTICIPANTS {
            self.counts.refused += 1;
            return None;
        }
        let mut entity_commands = self.commands.spawn((Participant::from(user), SeatClaim::from(user)));
        if local {
            entity_commands.insert(LocalParticipant);
        }
        mark(&mut entity_commands, user);
        let entity = entity_commands.id();
        self.roster.users.insert(user.id.clone(), entity);
        self.told.user_came.write(UserCame { entity, user: user.clone() });
        Some(entity)
    }

    fn remove_user(&mut self, user: &UserId, reason: EndReason) {
        let Some(entity) = self.roster.users.remove(user) else {
            self.counts.refused += 1;
            return;
        };
        // Streams that were not withdrawn before go with their owner.
        let theirs: Vec<StreamId> =
            self.roster.streams.iter().filter(|(_, (_, owner))| owner == user).map(|(id, _)| id.clone()).collect();
        for stream in theirs {
            self.remove_stream(&stream, reason);
        }
        let name = self.names.get(entity).map_or_else(|_| user.to_string(), |participant| participant.name.clone());
        self.commands.entity(entity).try_despawn();
        self.told.user_went.write(UserWent { user: user.clone(), name, reason });
    }

    fn put_stream(&mut self, info: StreamInfo) {
        if let Some(entity) = self.roster.stream(&info.id) {
            let stream = info.id.clone();
            self.commands.entity(entity).insert(VideoStream { info });
            self.told.stream_changed.write(StreamChanged { entity, stream });
            return;
        }
        if self.roster.streams.len() >= MAX_STREAMS {
            self.counts.refused += 1;
            return;
        }
        // The owner is announced first; should a server do it the other way round, the stream still has a home.
        let owner = match self.roster.user(&info.owner) {
            Some(owner) => Some(owner),
            None => self.put_user(&UserInfo {
                id: info.owner.clone(),
                name: info.owner.to_string(),
                sid: String::new(),
                joined_at_ms: i64::MAX,
                attributes: default(),
                metadata: String::new(),
            }),
        };
        let Some(owner) = owner else { return };
        let (stream, owner_id) = (info.id.clone(), info.owner.clone());
        let entity = self.commands.spawn((VideoStream { info }, PublishedBy(owner))).id();
        self.roster.streams.insert(stream.clone(), (entity, owner_id.clone()));
        self.told.stream_came.write(StreamCame { entity, stream, owner: owner_id });
    }

    fn remove_stream(&mut self, stream: &StreamId, reason: EndReason) {
        let Some((entity, owner)) = self.roster.streams.remove(stream) else {
            self.counts.refused += 1;
            return;
        };
        self.commands.entity(entity).try_despawn();
        self.told.stream_went.write(StreamWent { stream: stream.clone(), owner, reason });
    }

    /// A picture waits from when that is told until the stream's next change.
    fn mark_waiting(&mut self, stream: &StreamId, error: Option<&CallError>) {
        let Some(entity) = self.roster.stream(stream) else { return };
        let waits = error.is_some_and(|error| error.code == ErrorCode::PlayInterrupted);
        if waits {
            self.commands.entity(entity).insert(PictureWaits);
        } else {
            self.commands.entity(entity).remove::<PictureWaits>();
        }
    }

    fn open_feed(&mut self, stream: &StreamId, feed: VideoFeed) {
        match self.roster.stream(stream) {
            Some(entity) => {
                self.commands.entity(entity).insert(StreamFeed(feed));
            }
            None => self.counts.refused += 1,
        }
    }
}
