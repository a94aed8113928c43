//! People in a room.

use std::collections::BTreeMap;

use super::ids::UserId;

/// The attribute that says which seat somebody wishes to keep: its number, in decimal.
pub const ATTRIBUTE_SEAT: &str = "rotunda.seat";
/// The attribute that says since when somebody has been here, where a fresh login hides it: Unix time in ms, in decimal.
pub const ATTRIBUTE_SINCE: &str = "rotunda.since";
/// The participant attribute of a raised hand: present and not empty while it is up.
pub const ATTRIBUTE_HAND: &str = "rotunda.hand";

/// The attribute of a host, by their token or because another one made them one. Our server alone sets it; on other
/// servers it says nothing.
pub const ATTRIBUTE_HOST: &str = "rotunda.host";

/// A user as everyone in the room sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// The participant identity, unique in the room.
    pub id: UserId,
    /// The name to show; the id when none was given.
    pub name: String,
    /// The participant's session id (`PA_…`): new on every full login.
    pub sid: String,
    /// Unix time of joining, in ms; orders seats.
    pub joined_at_ms: i64,
    /// Participant attributes, ours and others'.
    pub attributes: BTreeMap<String, String>,
    /// The participant's metadata text.
    pub metadata: String,
}
