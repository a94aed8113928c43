//! Topics of data packets that both the engine and the room know by name; every topic of ours starts with `rotunda.`.

/// Remarks that float by; lossy.
pub const TOPIC_BARRAGE: &str = "rotunda.barrage";
/// Commands of applications; reliable.
pub const TOPIC_CUSTOM: &str = "rotunda.command";
/// Signs without words: the payload is a [`Reaction::word`](crate::model::Reaction::word); reliable.
pub const TOPIC_REACTION: &str = "rotunda.reaction";
/// Somebody wants to come into a locked room: to its hosts, from our server alone, which passes on nobody's packets on this
/// topic. The payload is their name; reliable.
pub const TOPIC_KNOCK: &str = "rotunda.knock";
