//! What hosts do to the wall: pin, swap, enlarge. A wish changes the room's metadata through the engine, and the wall
//! follows what the server then tells everyone; nothing changes here before it does there.

use bevy::prelude::*;

use crate::model::{CallError, ErrorCode, StreamId, WallChoices, WallPlan, WallShare};
use crate::space::stream::VideoStream;
use crate::space::sync::{AskedMetadata, CallTrouble, Outbox, RoomStatus};

/// Asks for a change of the wall, for everyone. Takes a host's token.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub enum ArrangeWall {
    /// Hang a share in a slot, whatever anybody else claims.
    Pin {
        /// The share.
        stream: StreamId,
        /// 0 is the centre.
        slot: usize,
    },
    /// Let a pinned share go where its owner claims.
    Unpin(StreamId),
    /// Let the contents of two slots change places.
    Swap(usize, usize),
    /// Give a share the whole centre, the others hang smaller; or nobody.
    Enlarge(Option<StreamId>),
    /// Forget all that was chosen: everyone hangs where they claimed.
    Reset,
}

/// Turns wishes into the room's next metadata.
pub(super) fn carry_out(
    mut wishes: MessageReader<ArrangeWall>,
    status: Res<RoomStatus>,
    streams: Query<&VideoStream>,
    mut asked: ResMut<AskedMetadata>,
    mut outbox: ResMut<Outbox>,
    mut trouble: MessageWriter<CallTrouble>,
) {
    if wishes.is_empty() {
        return;
    }
    if !status.host {
        wishes.clear();
        trouble.write(CallTrouble(CallError::new(
            ErrorCode::NotPermitted,
            "the wall is arranged by the room's hosts: ask one of them, or to be made one",
        )));
        return;
    }
    let shares: Vec<WallShare> = shares(&streams).collect();
    let known = asked.newest(&status).to_owned();
    let mut choices = WallChoices::read(&known);
    for wish in wishes.read() {
        match wish {
            ArrangeWall::Pin { stream, slot } => choices.pin(stream.clone(), *slot),
            ArrangeWall::Unpin(stream) => choices.unpin(stream),
            ArrangeWall::Swap(a, b) => choices.swap(&WallPlan::of(&shares, &choices), *a, *b),
            ArrangeWall::Enlarge(stream) => choices.enlarge(stream.clone()),
            ArrangeWall::Reset => choices = WallChoices::default(),
        }
    }
    // Those who are away for a moment keep their pins; a wall that is rearranged for hours keeps no more than it has.
    if choices.write("").is_ok_and(|text| text.len() > 4096) {
        choices.keep_only(|stream| shares.iter().any(|share| share.stream == *stream));
    }
    match choices.write(&known) {
        Ok(metadata) => asked.ask(metadata, &status, &mut outbox),
        Err(error) => {
            trouble.write(CallTrouble(CallError::new(ErrorCode::WrongState, error.to_string())));
        }
    }
}

/// Every shared screen with a picture.
pub(super) fn shares(streams: &Query<&VideoStream>) -> impl Iterator<Item = WallShare> {
    streams
        .iter()
        .filter(|stream| stream.info.is_picture_share())
        .map(|stream| WallShare { stream: stream.info.id.clone(), claim: stream.info.wall_slot })
}
