//! People as entities: who they are, the markers that describe their state, and where everyone sits. Plain components
//! and plain geometry; [`crate::space::sync`] writes them.

mod claim;
mod rule;
mod seat;

use bevy::prelude::*;

pub(in crate::space) use claim::wish_for;
pub use rule::{SeatClaim, assign_seats, settle};
pub use seat::{Seat, SeatPlan, plan_seats, seat_plan};

use super::schedule::SpaceSystems;
use crate::model::quality::Grade;
use crate::model::{UserId, UserInfo};

/// Someone in the room.
#[derive(Component, Clone, Debug, PartialEq, Eq)]
#[require(VoiceLevel, SeatClaim)]
pub struct Participant {
    /// The participant identity.
    pub user: UserId,
    /// The name to show.
    pub name: String,
    /// Unix time of joining, in ms; orders seats, see [`SeatClaim`].
    pub joined_at_ms: i64,
}

impl From<&UserInfo> for Participant {
    fn from(user: &UserInfo) -> Self {
        let name = if user.name.trim().is_empty() { user.id.to_string() } else { user.name.clone() };
        Self { user: user.id.clone(), name, joined_at_ms: user.joined_at_ms }
    }
}

impl Participant {
    /// One or two capitals that stand for the name.
    pub fn initials(&self) -> String {
        let mut words = self.name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
        let first = words.next();
        let last = words.next_back();
        let letters: String = first.into_iter().chain(last).flat_map(char::to_uppercase).collect();
        // A name of signs alone has a first sign.
        let sign = || self.name.chars().find(|c| !c.is_whitespace() && !c.is_control());
        if letters.is_empty() { sign().unwrap_or('?').to_string() } else { letters }
    }

    /// The person's colour: the same on every client, from the identity alone.
    pub fn colour(&self) -> LinearRgba {
        let hash =
            self.user.as_str().bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        let hue = (hash.wrapping_mul(0x9e37_79b1) >> 8) as f32 / (1 << 24) as f32 * 360.0;
        Oklcha::new(0.66, 0.11, hue, 1.0).into()
    }
}

/// This client's own participant.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct LocalParticipant;

/// Speaks now.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct Speaking;

/// Cannot be heard: no microphone, or muted.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct Muted;

/// Cannot be seen: no camera, or switched off.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct CameraOff;

/// Stands somewhere else than at their seat: where they are shown, which is where they told, moved a little where two
/// would hang in one place or one before the viewer's eyes.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// On the floor, X and Z, metres.
    pub ground: Vec2,
    /// Direction of view to the left of -Z, radians.
    pub yaw: f32,
}

/// Shares something on the wall, and stands beside it meanwhile: the first left of it, the second right, and so on
/// outwards. Counts from 0, in the order of the wall's slots. In meetings so large that there are seats beside the wall,
/// presenters keep theirs and have none of this.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presenting(pub usize);

/// Asks to speak, since this Unix time in ms by their own clock; who asked first comes first.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandRaised(pub i64);

/// Keeps order in the room, as our server says. On other servers only this client's own role is known
/// ([`RoomStatus::host`](crate::space::RoomStatus)).
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host;

/// In the light: hosts want everyone to see them.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct Spotlit;

/// How good their connection is, as the server judges it; absent while nothing is known.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection(pub Grade);

/// The sound level as shown: root mean square, smoothed, 0..=1.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct VoiceLevel(pub f32);

/// Gives everyone a [`Seat`].
pub struct ParticipantPlugin;

impl Plugin for ParticipantPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<SeatPlan>()
            .add_systems(Update, (assign_seats, claim::claim_own_seat).chain().in_set(SpaceSystems::Sync));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Participant {
        Participant { user: UserId::new("id").unwrap(), name: name.into(), joined_at_ms: 0 }
    }

    #[test]
    fn initials_come_from_first_and_last_word() {
        assert_eq!(named("Ada").initials(), "A");
        assert_eq!(named("ada of the house").initials(), "AH");
        assert_eq!(named("  ").initials(), "?");
        assert_eq!(named("émile zoé").initials(), "ÉZ");
        assert_eq!(named("王小明").initials(), "王");
        assert_eq!(named("🦊").initials(), "🦊");
    }

    #[test]
    fn a_colour_depends_on_the_identity_only() {
        let mut other = named("Someone");
        assert_eq!(other.colour(), named("Else").colour());
        other.user = UserId::new("other").unwrap();
        assert_ne!(other.colour(), named("Else").colour());
    }
}
