//! Messages and signs in both directions, between the engine's events and what is shown.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bevy::prelude::*;

use super::float::Floats;
use super::log::{ChatLog, Happened, Voice};
use crate::bridge::{DataMessage, RoomCommand, SessionId};
use crate::model::topic::{TOPIC_BARRAGE, TOPIC_REACTION};
use crate::model::{CallError, ErrorCode, Reaction, RoomState, UserId, text};
use crate::space::participant::{LocalParticipant, Participant};
use crate::space::sync::{ChatReceived, ChatRefused, ChatSent, DataReceived, Outbox, RoomStatus, UserCame, UserWent};

/// Signs of one user that are shown in a second, and that this client gives.
const SIGNS_PER_SEC: usize = 5;
/// Comings are not told while the room fills right after a login.
const SETTLE: Duration = Duration::from_secs(2);

/// Writes to everyone: by the overlay, by a plugin.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub enum SendMessage {
    /// A message that stays: 1 to 1024 bytes.
    Chat(String),
    /// A remark that floats by: sent once, and not again when it is lost.
    Remark(String),
}

/// Gives a sign to everyone.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct React(pub Reaction);

/// Somebody asks everyone to look at the wall.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct AskedToLook {
    /// Who, as an entity.
    pub by: Entity,
    /// Their name.
    pub name: String,
}

/// Hands messages to the engine; what became of one is told later.
pub(super) fn send(
    mut wishes: MessageReader<SendMessage>,
    mut outbox: ResMut<Outbox>,
    mut log: ResMut<ChatLog>,
    mut floats: ResMut<Floats>,
) {
    for wish in wishes.read() {
        match wish {
            SendMessage::Chat(text) => {
                if !outbox.push(RoomCommand::SendChat(text.clone())) {
                    let why = "too much is being sent: try again in a moment";
                    log.refused(text, CallError::new(ErrorCode::SendFailed, why));
                }
            }
            SendMessage::Remark(text) => {
                if outbox.push(RoomCommand::SendBarrage(text.clone())) {
                    // Nobody sends it back to whoever said it.
                    floats.remark(text);
                }
            }
        }
    }
}

/// Gives signs, not too many.
pub(super) fn react(
    time: Res<Time<Real>>,
    mut wishes: MessageReader<React>,
    mut outbox: ResMut<Outbox>,
    mut floats: ResMut<Floats>,
    mut given: Local<VecDeque<Duration>>,
) {
    for React(reaction) in wishes.read() {
        if !take(&mut given, time.elapsed()) {
            continue;
        }
        let payload = reaction.word().as_bytes().to_vec();
        let message = DataMessage { topic: TOPIC_REACTION.to_owned(), payload, reliable: true, to: Vec::new() };
        if outbox.push(RoomCommand::SendData(message)) && *reaction != Reaction::LookHere {
            floats.sign(*reaction, None);
        }
    }
}

/// Whether another one fits into the second.
fn take(recent: &mut VecDeque<Duration>, now: Duration) -> bool {
    while recent.front().is_some_and(|at| now.saturating_sub(*at) >= Duration::from_secs(1)) {
        recent.pop_front();
    }
    let fits = recent.len() < SIGNS_PER_SEC;
    if fits {
        recent.push_back(now);
    }
    fits
}

/// Keeps what is written.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn hear(
    time: Res<Time<Real>>,
    status: Res<RoomStatus>,
    people: Query<&Participant>,
    mut received: MessageReader<ChatReceived>,
    mut sent: MessageReader<ChatSent>,
    mut refused: MessageReader<ChatRefused>,
    mut log: ResMut<ChatLog>,
    mut session: Local<SessionId>,
) {
    if *session != status.session {
        *session = status.session;
        log.begin();
    }
    let now = time.elapsed();
    let my_name = status.me.as_ref().map_or("", |me| me.name.as_str());
    // An answer does not stand before what it answers.
    for message in sent.read() {
        log.sent(&message.text, now);
    }
    for message in received.read() {
        log.hear(voice(&message.from, &people), &message.text, now, my_name);
    }
    for message in refused.read() {
        log.refused(&message.text, message.error.clone());
    }
}

/// Somebody, by the name they have now.
fn voice(user: &UserId, people: &Query<&Participant>) -> Voice {
    let known = people.iter().find(|participant| participant.user == *user);
    let (name, colour) = known.map_or_else(
        || (user.to_string(), LinearRgba::gray(0.6)),
        |participant| (participant.name.clone(), participant.colour()),
    );
    Voice::Other { user: user.clone(), name, colour }
}

/// Remarks and signs of others.
pub(super) fn hear_data(
    time: Res<Time<Real>>,
    people: Query<(Entity, &Participant)>,
    mut data: MessageReader<DataReceived>,
    mut floats: ResMut<Floats>,
    mut log: ResMut<ChatLog>,
    mut asked: MessageWriter<AskedToLook>,
    mut recent: Local<HashMap<UserId, VecDeque<Duration>>>,
) {
    for packet in data.read() {
        let Some(from) = &packet.from else { continue };
        if packet.topic == TOPIC_BARRAGE {
            floats.remark(&String::from_utf8_lossy(&packet.payload));
            continue;
        }
        if packet.topic != TOPIC_REACTION {
            continue;
        }
        let Some(reaction) = Reaction::read(&packet.payload) else { continue };
        let Some((entity, participant)) = people.iter().find(|(_, participant)| participant.user == *from) else {
            continue;
        };
        // Those who left are forgotten with the first sign of anybody after it.
        recent.retain(|user, _| people.iter().any(|(_, participant)| participant.user == *user));
        if !take(recent.entry(from.clone()).or_default(), time.elapsed()) {
            continue;
        }
        if reaction == Reaction::LookHere {
            let name = text::in_sentence(&participant.name);
            if log.note(Happened::AsksToLook(name.clone()), time.elapsed()) {
                asked.write(AskedToLook { by: entity, name });
            }
        } else {
            floats.sign(reaction, Some(entity));
        }
    }
}

/// Who comes and goes, among the messages.
pub(super) fn note_people(
    time: Res<Time<Real>>,
    status: Res<RoomStatus>,
    mut came: MessageReader<UserCame>,
    mut went: MessageReader<UserWent>,
    local: Query<(), With<LocalParticipant>>,
    mut log: ResMut<ChatLog>,
    mut since: Local<Option<Duration>>,
) {
    let now = time.elapsed();
    if status.state != RoomState::Connected {
        *since = None;
        came.clear();
        went.clear();
        return;
    }
    let settled = now.saturating_sub(*since.get_or_insert(now)) > SETTLE;
    for user in came.read().filter(|user| settled && !local.contains(user.entity)) {
        log.moved(true, &user.user.name, now);
    }
    for user in went.read().filter(|_| settled) {
        log.moved(false, &user.name, now);
    }
}
