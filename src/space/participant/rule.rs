//! Who sits where, by a rule that every client computes alike from what the server tells all of them.
//!
//! 1. People are put in order: since when they have been here, then by identity. A client that had to log in anew says
//!    since when it has really been here ([`ATTRIBUTE_SINCE`]).
//! 2. In that order whoever wishes for a seat ([`ATTRIBUTE_SEAT`]) gets it, if it exists and is free: of two who wish for
//!    the same, the one who was here first.
//! 3. In that order everybody else gets the first free seat.
//!
//! Our clients wish for the seat they have ([`super::claim`]), so nobody moves because somebody else went. Plain LiveKit
//! clients wish for nothing and get a seat by the third step.

use bevy::prelude::*;

use super::Participant;
use super::seat::{Seat, SeatPlan, seat_plan};
use crate::model::{ATTRIBUTE_SEAT, ATTRIBUTE_SINCE, UserInfo};

/// What somebody's attributes say about their seat.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatClaim {
    /// Since when they have been here, Unix time in ms, where that is before their present login.
    pub since_ms: Option<i64>,
    /// The seat they wish for.
    pub seat: Option<usize>,
}

impl From<&UserInfo> for SeatClaim {
    /// Attributes come from others: what is no number, or lies after the login, says nothing.
    fn from(user: &UserInfo) -> Self {
        let read = |name| user.attributes.get(name);
        let since_ms = read(ATTRIBUTE_SINCE).and_then(|value| value.parse().ok());
        Self {
            since_ms: since_ms.filter(|since| (1..user.joined_at_ms).contains(since)),
            seat: read(ATTRIBUTE_SEAT).and_then(|value| value.parse::<u16>().ok()).map(usize::from),
        }
    }
}

/// The number of everyone's seat among so many, in the order of `people`.
pub fn settle(people: &[(&Participant, SeatClaim)], seats: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..people.len()).collect();
    order.sort_by_key(|at| {
        let (participant, claim) = &people[*at];
        (claim.since_ms.unwrap_or(participant.joined_at_ms), &participant.user)
    });
    let mut taken = vec![false; seats.max(people.len())];
    let mut given: Vec<Option<usize>> = vec![None; people.len()];
    for at in &order {
        if let Some(seat) = people[*at].1.seat.filter(|seat| *seat < seats && !taken[*seat]) {
            taken[seat] = true;
            given[*at] = Some(seat);
        }
    }
    let mut free = 0;
    for at in order {
        if given[at].is_none() {
            while taken[free] {
                free += 1;
            }
            taken[free] = true;
            given[at] = Some(free);
        }
    }
    given.into_iter().flatten().collect()
}

/// Gives everyone the seat that the rule gives them whenever someone came, changed or went.
pub fn assign_seats(
    mut commands: Commands,
    people: Query<(Entity, &Participant, &SeatClaim, Option<&Seat>)>,
    changed: Query<(), Or<(Changed<Participant>, Changed<SeatClaim>)>>,
    mut gone: RemovedComponents<Participant>,
    mut plan: ResMut<SeatPlan>,
) {
    if changed.is_empty() && gone.read().count() == 0 {
        return;
    }
    let mut next = if people.is_empty() { SeatPlan::default() } else { seat_plan(people.iter().count()) };
    let claims: Vec<_> = people.iter().map(|(_, participant, claim, _)| (participant, *claim)).collect();
    for ((entity, .., old), index) in people.iter().zip(settle(&claims, next.seats.len())) {
        let Some(seat) = next.seats.get(index) else { continue };
        if old != Some(seat) {
            commands.entity(entity).insert(*seat);
        }
        next.taken[index] = true;
    }
    plan.set_if_neq(next);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;

    fn person(id: &str, joined_at_ms: i64, attributes: &[(&str, &str)]) -> UserInfo {
        UserInfo {
            id: UserId::new(id).unwrap(),
            name: id.into(),
            sid: format!("PA_{id}"),
            joined_at_ms,
            attributes: attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            metadata: String::new(),
        }
    }

    /// Who sits where, as a client computes it that heard of people in this order.
    fn seats(people: &[UserInfo], seats: usize) -> Vec<(String, usize)> {
        let people: Vec<_> = people.iter().map(|user| (Participant::from(user), SeatClaim::from(user))).collect();
        let claims: Vec<_> = people.iter().map(|(participant, claim)| (participant, *claim)).collect();
        let mut all: Vec<_> =
            claims.iter().zip(settle(&claims, seats)).map(|((p, _), seat)| (p.user.to_string(), seat)).collect();
        all.sort();
        all
    }

    fn seat_of(all: &[(String, usize)], id: &str) -> usize {
        all.iter().find(|(user, _)| user == id).unwrap().1
    }

    #[test]
    fn every_client_computes_the_same_in_whatever_order_it_heard_of_people() {
        let mut people: Vec<_> = (0..40)
            .map(|n: i64| {
                let wish = (n * 7 % 11).to_string();
                let wishes: &[(&str, &str)] = if n % 3 == 0 { &[(ATTRIBUTE_SEAT, &wish)] } else { &[] };
                person(&format!("u{n}"), 1000 + n * 37 % 20, wishes)
            })
            .collect();
        let first = seats(&people, 44);
        for turn in 1..40 {
            people.rotate_left(turn);
            people.swap(0, turn);
            assert_eq!(seats(&people, 44), first);
        }
        let mut given: Vec<_> = first.iter().map(|(_, seat)| *seat).collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 40, "everyone has a seat of their own");
    }

    #[test]
    fn without_wishes_seats_follow_the_time_of_joining() {
        let people = [person("cid", 3, &[]), person("bob", 1, &[]), person("ann", 1, &[])];
        let expected = [("ann", 0), ("bob", 1), ("cid", 2)].map(|(id, seat)| (id.to_owned(), seat));
        assert_eq!(seats(&people, 5), expected);
    }

    #[test]
    fn of_two_who_want_one_seat_the_earlier_gets_it_and_then_the_smaller_name() {
        let wish = &[(ATTRIBUTE_SEAT, "4")][..];
        let all = seats(&[person("ann", 9, wish), person("bob", 5, wish), person("cid", 5, wish)], 6);
        assert_eq!((seat_of(&all, "bob"), seat_of(&all, "cid"), seat_of(&all, "ann")), (4, 0, 1));
    }

    #[test]
    fn a_fresh_login_keeps_its_seat() {
        let ann = |joined, more: &[(&str, &str)]| person("ann", joined, &[&[(ATTRIBUTE_SEAT, "0")][..], more].concat());
        let bob = person("bob", 200, &[(ATTRIBUTE_SEAT, "1")]);
        let others = |ann| seats(&[ann, bob.clone(), person("cid", 300, &[])], 6);
        let before = others(ann(100, &[]));
        assert_eq!(others(ann(900, &[(ATTRIBUTE_SINCE, "100")])), before);
        // Somebody took the seat while she was away: she was here first.
        let thief = person("dan", 500, &[(ATTRIBUTE_SEAT, "0")]);
        let all = seats(&[ann(900, &[(ATTRIBUTE_SINCE, "100")]), bob.clone(), thief], 6);
        assert_eq!((seat_of(&all, "ann"), seat_of(&all, "bob"), seat_of(&all, "dan")), (0, 1, 2));
    }

    #[test]
    fn who_leaves_moves_nobody_who_wished_for_their_seat() {
        let sits = |id, at, seat| person(id, at, &[(ATTRIBUTE_SEAT, seat)]);
        let all = seats(&[sits("bob", 2, "1"), sits("cid", 3, "2"), person("plain", 4, &[])], 5);
        assert_eq!((seat_of(&all, "bob"), seat_of(&all, "cid"), seat_of(&all, "plain")), (1, 2, 0));
    }

    #[test]
    fn nonsense_wishes_for_nothing() {
        for (seat, since) in [("-1", "0"), ("65536", "901"), ("", "x"), ("1e3", "-5"), ("9", "99999999999999999999")] {
            let ann = person("ann", 900, &[(ATTRIBUTE_SEAT, seat), (ATTRIBUTE_SINCE, since)]);
            assert_eq!(SeatClaim::from(&ann).since_ms, None);
            let all = seats(&[ann, person("bob", 100, &[])], 5);
            assert_eq!((seat_of(&all, "bob"), seat_of(&all, "ann")), (0, 1), "{seat} {since}");
        }
    }

    #[test]
    fn more_people_than_seats_and_none_at_all() {
        let people: Vec<_> = (0..300).map(|n| person(&format!("u{n}"), n, &[])).collect();
        assert_eq!(seats(&people, 250).len(), 300);
        assert!(seats(&[], 0).is_empty());
    }
}
