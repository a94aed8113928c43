//! Order in a room as its hosts chose it, in the room's metadata: whether newcomers are let in, who is not, and who stands
//! in the light. Our server holds to it; others
//! let in whoever has a token.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ids::UserId;
use super::room_text::{self, ChoicesError};

/// Where in our part of a room's metadata it stands.
const PART: &str = "order";
/// People who are not let in, at most; nobody knows what stands there.
pub const MAX_BANNED: usize = 64;

/// What hosts chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomOrder {
    /// Nobody comes in any more, but for hosts and who was here.
    pub locked: bool,
    banned: BTreeSet<UserId>,
    /// Whom everyone is to look at.
    pub spotlight: Option<UserId>,
}

impl RoomOrder {
    /// Reads a room's metadata; what makes no sense is left out.
    pub fn read(metadata: &str) -> Self {
        let order = room_text::read(metadata, PART);
        let user = |value: &Value| UserId::new(value.as_str()?).ok();
        Self {
            locked: order["locked"].as_bool().unwrap_or_default(),
            banned: order["banned"].as_array().into_iter().flatten().take(MAX_BANNED).filter_map(user).collect(),
            spotlight: user(&order["spotlight"]),
        }
    }

    /// The metadata with this in it and everything else as it was.
    ///
    /// # Errors
    /// [`ChoicesError`] when that cannot be done without losing something, or grows too long.
    pub fn write(&self, metadata: &str) -> Result<String, ChoicesError> {
        let mut order = Map::new();
        if self.locked {
            order.insert("locked".to_owned(), true.into());
        }
        if !self.banned.is_empty() {
            order.insert("banned".to_owned(), self.banned.iter().map(UserId::as_str).collect());
        }
        if let Some(spotlight) = &self.spotlight {
            order.insert("spotlight".to_owned(), spotlight.as_str().into());
        }
        room_text::write(metadata, PART, order.into())
    }

    /// Whether somebody may not come in any more.
    pub fn bans(&self, user: &str) -> bool {
        self.banned.iter().any(|banned| banned.as_str() == user)
    }

    /// Does not let somebody in again; with too many the list is full, and `false`.
    pub fn ban(&mut self, user: UserId) -> bool {
        let fits = self.banned.len() < MAX_BANNED || self.banned.contains(&user);
        if fits {
            self.banned.insert(user);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_beside_everything_else() {
        let user = |id: &str| UserId::new(id).unwrap();
        let mut order = RoomOrder { locked: true, spotlight: Some(user("ada")), ..RoomOrder::default() };
        assert!(order.ban(user("eve")));
        let text = order.write(r#"{"rotunda": {"wall": {"large": "page"}}, "theirs": 1}"#).unwrap();
        assert_eq!(RoomOrder::read(&text), order);
        assert!(text.contains("large") && text.contains("theirs"));
        assert!(order.bans("eve") && !order.bans("ada"));
        let none = RoomOrder::default().write(&text).unwrap();
        assert_eq!(RoomOrder::read(&none), RoomOrder::default());
    }

    #[test]
    fn nonsense_bans_nobody_and_the_list_has_an_end() {
        for text in ["", "7", r#"{"rotunda": {"order": {"locked": "yes", "banned": [5, "", null], "spotlight": []}}}"#]
        {
            assert_eq!(RoomOrder::read(text), RoomOrder::default());
        }
        let mut order = RoomOrder::default();
        let fits = (0..100).filter(|n| order.ban(UserId::new(format!("u{n}")).unwrap())).count();
        assert_eq!(fits, MAX_BANNED);
    }
}
