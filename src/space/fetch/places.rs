//! Whom to play when the room has more streams than an engine plays at a time: who is seen or speaks takes the place of
//! someone who is neither seen nor was heard lately. Plain data; time is an input.
//!
//! Only here sound may be left out, too: a stream is played as a whole. Whoever begins to speak has a place again
//! within a second.

use std::time::Duration;

use super::budget::Rank;

/// Whoever spoke within this keeps the place.
const QUIET: Duration = Duration::from_secs(10);
/// Places are changed this often, and so many at a time: each change is negotiated with the server.
pub(super) const EVERY: Duration = Duration::from_millis(500);
pub(super) const AT_ONCE: usize = 8;

/// How one stream stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<K> {
    /// Whose.
    pub key: K,
    /// It has a place.
    pub played: bool,
    /// How much its picture matters.
    pub rank: Rank,
    /// Square pixels its picture covers.
    pub area_px: f32,
    /// For how long its owner has not been heard; zero while they speak.
    pub quiet: Duration,
}

impl<K> Standing<K> {
    /// The smaller the more it matters.
    fn rank(&self) -> Rank {
        if self.quiet.is_zero() { self.rank.min(Rank::Speaking) } else { self.rank }
    }

    fn may_go(&self) -> bool {
        self.played && self.rank == Rank::Unseen && self.quiet >= QUIET
    }
}

/// Who shall be played now, and in whose place if none of the `places` is free; at most `AT_ONCE`. Puts the standings
/// in order.
pub fn changes<K: Copy + Ord>(
    standings: &mut [Standing<K>],
    places: usize,
) -> impl Iterator<Item = (K, Option<K>)> + use<'_, K> {
    standings.sort_unstable_by(|a, b| {
        a.rank()
            .cmp(&b.rank())
            .then(b.area_px.total_cmp(&a.area_px))
            .then(a.quiet.cmp(&b.quiet))
            .then(a.key.cmp(&b.key))
    });
    let standings = &*standings;
    let mut free = places.saturating_sub(standings.iter().filter(|one| one.played).count());
    let mut goes = standings.iter().rev().filter(|one| one.may_go());
    let comes = standings.iter().filter(|one| !one.played);
    comes.take(AT_ONCE).map_while(move |one| {
        if free > 0 {
            free -= 1;
            return Some((one.key, None));
        }
        (one.rank() < Rank::Unseen).then(|| goes.next()).flatten().map(|other| (one.key, Some(other.key)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: u32, played: bool, rank: Rank, quiet_secs: u64) -> Standing<u32> {
        Standing { key, played, rank, area_px: 10.0, quiet: Duration::from_secs(quiet_secs) }
    }

    fn found(standings: &[Standing<u32>], places: usize) -> Vec<(u32, Option<u32>)> {
        changes(&mut standings.to_vec(), places).collect()
    }

    #[test]
    fn who_is_seen_or_speaks_takes_the_place_of_the_longest_quiet_unseen() {
        let room = [
            one(1, true, Rank::Unseen, 90),
            one(2, true, Rank::Unseen, 20),
            one(3, true, Rank::Unseen, 3),
            one(4, true, Rank::InView, 99),
            one(5, false, Rank::InView, 99),
            one(6, false, Rank::Unseen, 0),
            one(7, false, Rank::Unseen, 99),
        ];
        assert_eq!(found(&room, 4), [(6, Some(1)), (5, Some(2))], "the voice first; who spoke just now stays");
        assert_eq!(found(&room, 6), [(6, None), (5, None)]);
        assert_eq!(found(&room, 7), [(6, None), (5, None), (7, None)], "with room for all, all are heard");
        assert_eq!(found(&room[..4], 4), []);
    }

    #[test]
    fn nobody_gives_way_to_someone_who_matters_no_more() {
        let seen = [one(1, true, Rank::InView, 99), one(2, false, Rank::InView, 99)];
        assert_eq!(found(&seen, 1), []);
        let unseen = [one(1, true, Rank::Unseen, 99), one(2, false, Rank::Unseen, 99)];
        assert_eq!(found(&unseen, 1), []);
    }

    #[test]
    fn a_full_turn_in_a_crowd_changes_a_few_at_a_time() {
        let crowd: Vec<_> =
            (0..200).map(|key| one(key, key < 64, if key < 64 { Rank::Unseen } else { Rank::InView }, 60)).collect();
        let found = found(&crowd, 64);
        assert_eq!(found.len(), AT_ONCE);
        assert!(found.iter().all(|(comes, goes)| *comes >= 64 && goes.is_some_and(|goes| goes < 64)));
    }
}
