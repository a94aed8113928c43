//! This client wishes for the seat it has, so that it keeps it whoever comes and goes. Main thread,
//! [`crate::space::SpaceSystems::Sync`]. Where the token does not allow attributes, the rule's seat is as good.

use std::collections::BTreeMap;

use bevy::prelude::*;

use super::LocalParticipant;
use super::rule::SeatClaim;
use super::seat::Seat;
use crate::bridge::RoomCommand;
use crate::model::ATTRIBUTE_SEAT;
use crate::space::sync::{Outbox, RoomFigures};

/// A seat is wished for once it is the same for this long: while many come at once it may still change.
const SETTLED_SECS: f32 = 2.0;
/// A wish that shows no effect is said again after this.
const AGAIN_SECS: f32 = 10.0;

/// What is known of the own seat.
#[derive(Default)]
pub(super) struct Settling {
    index: Option<usize>,
    for_secs: f32,
    /// Time until the next wish may be said.
    wait_secs: f32,
}

impl Settling {
    /// Whether the seat has to be wished for now.
    fn tick(&mut self, seat: usize, claim: SeatClaim, dt: f32) -> bool {
        self.for_secs = if self.index == Some(seat) { self.for_secs + dt } else { 0.0 };
        self.index = Some(seat);
        self.wait_secs = (self.wait_secs - dt).max(0.0);
        let wish = claim.seat != Some(seat) && self.for_secs >= SETTLED_SECS && self.wait_secs == 0.0;
        if wish {
            self.wait_secs = AGAIN_SECS;
        }
        wish
    }
}

/// The command that wishes for a seat.
pub(in crate::space) fn wish_for(seat: usize) -> RoomCommand {
    RoomCommand::SetAttributes(BTreeMap::from([(ATTRIBUTE_SEAT.to_owned(), seat.to_string())]))
}

pub(super) fn claim_own_seat(
    time: Res<Time>,
    own: Query<(&Seat, &SeatClaim), With<LocalParticipant>>,
    figures: Option<Res<RoomFigures>>,
    outbox: Option<ResMut<Outbox>>,
    mut settling: Local<Settling>,
) {
    let Ok((seat, claim)) = own.single() else {
        *settling = Settling::default();
        return;
    };
    let (Some(figures), Some(mut outbox)) = (figures, outbox) else { return };
    if figures.0.may_set_attributes && settling.tick(seat.index, *claim, time.delta_secs()) {
        outbox.push(wish_for(seat.index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_wished_for_once_it_has_settled() {
        let mut settling = Settling::default();
        let claim = |seat| SeatClaim { seat, ..SeatClaim::default() };
        let wishes = |settling: &mut Settling, seat, claim, secs: f32| {
            (0..(secs * 20.0) as u32).filter(|_| settling.tick(seat, claim, 0.05)).count()
        };
        assert_eq!(wishes(&mut settling, 4, claim(None), 1.5), 0);
        assert_eq!(wishes(&mut settling, 3, claim(None), 1.9), 0, "another seat begins anew");
        assert_eq!(wishes(&mut settling, 3, claim(None), 5.0), 1);
        assert_eq!(wishes(&mut settling, 3, claim(Some(3)), 60.0), 0, "the room knows it");
        assert_eq!(wishes(&mut settling, 2, claim(Some(3)), 25.0), 3, "lost to somebody who was here before");
    }
}
