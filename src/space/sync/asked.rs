//! What this client asked of the room's metadata and was not told yet: a change that follows at once builds on it, whoever
//! makes it. Main thread.

use bevy::prelude::*;

use super::{Outbox, RoomStatus};
use crate::bridge::RoomCommand;
use crate::model::RoomOrder;

/// A change that was asked for is taken as made this long.
const PATIENCE_SECS: f32 = 3.0;

/// The metadata that was asked for last.
#[derive(Resource, Debug, Default)]
pub struct AskedMetadata {
    text: Option<String>,
    left_secs: f32,
}

impl AskedMetadata {
    /// What to change: what was asked for, or else what the room has.
    pub fn newest<'a>(&'a self, status: &'a RoomStatus) -> &'a str {
        self.text.as_deref().unwrap_or(&status.metadata)
    }

    /// Asks for another text, unless it is that already.
    pub fn ask(&mut self, metadata: String, status: &RoomStatus, outbox: &mut Outbox) {
        if metadata != self.newest(status) && outbox.push(RoomCommand::SetRoomMetadata(metadata.clone())) {
            (self.text, self.left_secs) = (Some(metadata), PATIENCE_SECS);
        }
    }
}

/// Forgets what was told, or never will be.
pub(super) fn settle(time: Res<Time>, status: Res<RoomStatus>, mut asked: ResMut<AskedMetadata>) {
    if asked.text.is_some() {
        asked.left_secs -= time.delta_secs();
        let told = asked.text.as_ref().is_some_and(|text| *text == status.metadata || is_same(text, &status.metadata));
        if asked.left_secs <= 0.0 || told {
            asked.text = None;
        }
    }
}

/// Whether two texts say the same but for what is the server's to say.
fn is_same(asked: &str, told: &str) -> bool {
    let asked_for = |text: &str| {
        let mut order = RoomOrder::read(text);
        (order.link, order.renewals) = (None, 0);
        order.write(text).ok()
    };
    RoomOrder::read(asked).renewals <= RoomOrder::read(told).renewals && asked_for(asked) == asked_for(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LinkCode;

    #[test]
    fn what_the_server_says_beside_is_no_difference() {
        let text = |change: fn(&mut RoomOrder)| {
            let mut order = RoomOrder::default();
            change(&mut order);
            order.write(r#"{"theirs": 1}"#).unwrap()
        };
        let asked = text(|order| (order.locked, order.renewals) = (true, 1));
        let told = |order: &mut RoomOrder| {
            (order.locked, order.renewals, order.link) = (true, 1, Some(LinkCode { made_secs: 9, mark: [1; 10] }));
        };
        assert!(is_same(&asked, &text(told)));
        assert!(!is_same(&asked, &text(|order| order.locked = true)), "not made anew yet");
        assert!(!is_same(&asked, &text(|order| order.renewals = 1)), "not locked yet");
        assert!(!is_same(&asked, "no choices"));
    }
}
