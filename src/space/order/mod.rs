//! Order in the room, for hosts: muting, ending shares, putting people out, locking the door, putting somebody in the light,
//! making others hosts, making the links in anew. The server carries it out and decides who may; what was chosen for everyone
//! stands in the room's metadata. Main thread.

use bevy::prelude::*;

use super::participant::{Participant, Spotlit};
use super::schedule::SpaceSystems;
use super::stream::{Publishes, VideoStream};
use super::sync::{AskedMetadata, CallTrouble, Outbox, RoomStatus, Roster};
use crate::bridge::{HostCommand, RoomCommand};
use crate::model::{CallError, ErrorCode, RoomOrder, StreamKind, UserId};

/// What a host wants: by the overlay, by a plugin.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub enum KeepOrder {
    /// Mute somebody's microphone.
    Mute(UserId),
    /// Mute everybody else's.
    MuteAll,
    /// End the screens somebody shares.
    StopSharing(UserId),
    /// Put somebody out.
    Remove {
        /// Whom.
        user: UserId,
        /// And do not let them in again, whatever token they have; our server makes the link they know anew.
        ban: bool,
    },
    /// Let nobody in any more, or everybody again.
    Lock(bool),
    /// Make the links into the room anew: the old ones lead nowhere.
    RenewLink,
    /// Show somebody large to everyone who looks at whoever speaks, or nobody.
    Spotlight(Option<UserId>),
    /// Make somebody a host, or no longer.
    Host {
        /// Whom.
        user: UserId,
        /// Whether they are one from now on.
        host: bool,
    },
}

/// Carries out what hosts want.
pub struct OrderPlugin;

impl Plugin for OrderPlugin {
    fn build(&self, app: &mut App) {
        app.add_message::<KeepOrder>()
            .add_systems(Update, (keep_order, mark_spotlit).chain().in_set(SpaceSystems::Sync));
    }
}

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
fn keep_order(
    mut wishes: MessageReader<KeepOrder>,
    status: Res<RoomStatus>,
    roster: Res<Roster>,
    people: Query<&Publishes>,
    streams: Query<&VideoStream>,
    mut asked: ResMut<AskedMetadata>,
    mut outbox: ResMut<Outbox>,
    mut trouble: MessageWriter<CallTrouble>,
) {
    for wish in wishes.read() {
        let known = asked.newest(&status).to_owned();
        let mut order = RoomOrder::read(&known);
        match wish {
            KeepOrder::Mute(user) => {
                let publishes = roster.user(user).and_then(|entity| people.get(entity).ok());
                let own = publishes.into_iter().flat_map(Publishes::iter).filter_map(|stream| streams.get(stream).ok());
                // What a shared screen plays is not a voice.
                let voices = own.filter(|stream| stream.info.kind != StreamKind::Screen);
                for track in voices.filter_map(|stream| stream.info.audio.as_ref()).filter(|track| !track.muted) {
                    let (user, track) = (user.clone(), track.sid.clone());
                    outbox.push(RoomCommand::Host(HostCommand::Mute { user, track }));
                }
            }
            KeepOrder::MuteAll => {
                outbox.push(RoomCommand::Host(HostCommand::MuteAll));
            }
            KeepOrder::StopSharing(user) => {
                outbox.push(RoomCommand::Host(HostCommand::StopSharing(user.clone())));
            }
            KeepOrder::Remove { user, ban } => {
                order.dismiss(user);
                if *ban && !order.ban(user.clone()) {
                    let message = "too many are banned already: only this one's token is refused";
                    trouble.write(CallTrouble(CallError::new(ErrorCode::SendFailed, message)));
                }
            }
            KeepOrder::Lock(locked) => order.locked = *locked,
            KeepOrder::RenewLink => order.renewals = order.renewals.saturating_add(1),
            KeepOrder::Spotlight(user) => order.spotlight.clone_from(user),
            KeepOrder::Host { user, host: true } => {
                if !order.appoint(user.clone()) {
                    let message = "too many are hosts already: make one of them no longer a host first";
                    trouble.write(CallTrouble(CallError::new(ErrorCode::SendFailed, message)));
                }
            }
            KeepOrder::Host { user, host: false } => order.dismiss(user),
        }
        if order != RoomOrder::read(&known) {
            match order.write(&known) {
                Ok(metadata) => asked.ask(metadata, &status, &mut outbox),
                Err(error) => {
                    trouble.write(CallTrouble(CallError::new(ErrorCode::SendFailed, error.to_string())));
                }
            }
        }
        // After the ban, or they would be back at once.
        if let KeepOrder::Remove { user, .. } = wish {
            outbox.push(RoomCommand::Host(HostCommand::Remove(user.clone())));
        }
    }
}

/// Sets [`Spotlit`].
fn mark_spotlit(mut commands: Commands, status: Res<RoomStatus>, people: Query<(Entity, &Participant, Has<Spotlit>)>) {
    for (entity, participant, lit) in &people {
        let wanted = status.order.spotlight.as_ref() == Some(&participant.user);
        if wanted && !lit {
            commands.entity(entity).insert(Spotlit);
        } else if lit && !wanted {
            commands.entity(entity).remove::<Spotlit>();
        }
    }
}
