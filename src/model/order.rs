//! Order in a room as its hosts chose it, in the room's metadata: whether newcomers are let in, who is not, who stands in
//! the light, who else is a host, and which links lead in. Our server holds to it; others let in whoever has a token, and
//! their hosts are those whose token says so.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ids::UserId;
use super::link_code::LinkCode;
use super::room_text::{self, ChoicesError};

/// Where in our part of a room's metadata it stands.
const PART: &str = "order";
/// People who are not let in, at most, and people who were made hosts; nobody knows what stands there.
pub const MAX_NAMED: usize = 64;

/// What hosts chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomOrder {
    /// Nobody comes in any more, but for hosts and who was here.
    pub locked: bool,
    banned: BTreeSet<UserId>,
    /// Whom everyone is to look at.
    pub spotlight: Option<UserId>,
    /// How often the links into the room were made anew: those before lead nowhere. A host asks for one more; whoever is
    /// banned knows the link, and the server makes another one by itself.
    pub renewals: u32,
    /// Their code by now, once they were: the server's to say, and whoever is inside may know it.
    pub link: Option<LinkCode>,
    hosts: BTreeSet<UserId>,
}

impl RoomOrder {
    /// Reads a room's metadata; what makes no sense is left out.
    pub fn read(metadata: &str) -> Self {
        let order = room_text::read(metadata, PART);
        let user = |value: &Value| UserId::new(value.as_str()?).ok();
        let users = |value: &Value| value.as_array().into_iter().flatten().take(MAX_NAMED).filter_map(user).collect();
        Self {
            locked: order["locked"].as_bool().unwrap_or_default(),
            banned: users(&order["banned"]),
            spotlight: user(&order["spotlight"]),
            renewals: order["renewals"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or_default(),
            link: order["link"].as_str().and_then(LinkCode::read),
            hosts: users(&order["hosts"]),
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
        for (name, users) in [("banned", &self.banned), ("hosts", &self.hosts)] {
            if !users.is_empty() {
                order.insert(name.to_owned(), users.iter().map(UserId::as_str).collect());
            }
        }
        if let Some(spotlight) = &self.spotlight {
            order.insert("spotlight".to_owned(), spotlight.as_str().into());
        }
        if self.renewals > 0 {
            order.insert("renewals".to_owned(), self.renewals.into());
        }
        if let Some(link) = &self.link {
            order.insert("link".to_owned(), link.to_string().into());
        }
        room_text::write(metadata, PART, order.into())
    }

    /// Whether somebody may not come in any more.
    pub fn bans(&self, user: &str) -> bool {
        self.banned.iter().any(|banned| banned.as_str() == user)
    }

    /// Whether somebody is banned who was not.
    pub fn bans_more_than(&self, before: &Self) -> bool {
        !self.banned.is_subset(&before.banned)
    }

    /// Does not let somebody in again; with too many the list is full, and `false`.
    pub fn ban(&mut self, user: UserId) -> bool {
        self.dismiss(&user);
        put(&mut self.banned, user)
    }

    /// Whether somebody was made a host, and is not banned. Who is one by their token is not told here.
    pub fn makes_host(&self, user: &str) -> bool {
        self.hosts.iter().any(|host| host.as_str() == user) && !self.bans(user)
    }

    /// Makes somebody a host; with too many the list is full, and `false`.
    pub fn appoint(&mut self, user: UserId) -> bool {
        put(&mut self.hosts, user)
    }

    /// Somebody is no host any more, but by a token that says so.
    pub fn dismiss(&mut self, user: &UserId) {
        self.hosts.remove(user);
    }
}

/// Puts somebody on a list that has an end; whether they are on it.
fn put(list: &mut BTreeSet<UserId>, user: UserId) -> bool {
    let fits = list.len() < MAX_NAMED || list.contains(&user);
    if fits {
        list.insert(user);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_beside_everything_else() {
        let user = |id: &str| UserId::new(id).unwrap();
        let mut order = RoomOrder {
            locked: true,
            spotlight: Some(user("ada")),
            renewals: 3,
            link: Some(LinkCode { made_secs: 3, mark: [9; 10] }),
            ..RoomOrder::default()
        };
        assert!(order.ban(user("eve")) && order.appoint(user("ben")));
        let text = order.write(r#"{"rotunda": {"wall": {"large": "page"}}, "theirs": 1}"#).unwrap();
        assert_eq!(RoomOrder::read(&text), order);
        assert!(text.contains("large") && text.contains("theirs"));
        assert!(order.bans("eve") && !order.bans("ada"));
        assert!(order.bans_more_than(&RoomOrder::default()) && !RoomOrder::default().bans_more_than(&order));
        assert!(order.makes_host("ben") && !order.makes_host("ada"));
        assert!(order.ban(user("ben")) && !order.makes_host("ben"), "nobody who is not let in is a host");
        let none = RoomOrder::default().write(&text).unwrap();
        assert_eq!(RoomOrder::read(&none), RoomOrder::default());
    }

    #[test]
    fn nonsense_bans_nobody_and_the_list_has_an_end() {
        for text in [
            "",
            "7",
            r#"{"rotunda": {"order": {"locked": "yes", "banned": [5, "", null], "hosts": 1, "link": "x", "renewals": -1}}}"#,
        ] {
            assert_eq!(RoomOrder::read(text), RoomOrder::default());
        }
        let (mut order, users) = (RoomOrder::default(), || (0..100).map(|n| UserId::new(format!("u{n}")).unwrap()));
        assert_eq!(users().filter(|user| order.ban(user.clone())).count(), MAX_NAMED);
        assert_eq!(users().filter(|user| order.appoint(user.clone())).count(), MAX_NAMED);
        order.dismiss(&UserId::new("u0").unwrap());
        assert!(!order.makes_host("u0") && order.appoint(UserId::new("u99").unwrap()));
    }
}
