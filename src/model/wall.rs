//! Who hangs where on the wall: one rule for everybody, from facts that everybody has. A share claims a slot where it
//! is published, beside the stream; a host's choices stand in the room's metadata. Nothing else counts: not who joined
//! when, nor who saw what come first.
//!
//! The rule: what a host pinned goes first, then the claims, then shares that claim nothing (of plain LiveKit clients).
//! Whoever finds their slot taken takes the first free one, in the order of their stream ids; what finds none waits.
//! At last the enlarged share changes places with the one in the centre.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ids::StreamId;
use super::room_text::{self, ChoicesError};

/// Places on the wall; 0 is the great centre, odd ones are left of it, even ones right, the lower the nearer.
pub const WALL_SLOTS: usize = 5;

/// Where in our part of a room's metadata the wall stands.
const PART: &str = "wall";
/// Pins that are looked at: there are fewer slots, but nobody knows what stands there.
const PINS_READ_AT_MOST: usize = 64;

/// A shared screen with a picture, and the slot it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WallShare {
    /// The stream.
    pub stream: StreamId,
    /// What its owner claims; see [`claim`].
    pub claim: Option<u8>,
}

/// What a host chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WallChoices {
    /// Streams that hang in a slot whatever anybody claims, by slot.
    pins: BTreeMap<u8, StreamId>,
    /// The stream that has the whole centre; the others hang smaller.
    large: Option<StreamId>,
}

/// Who hangs where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WallPlan {
    /// The stream in each slot.
    pub slots: [Option<StreamId>; WALL_SLOTS],
    /// The one in the centre was enlarged: the others hang smaller.
    pub enlarged: bool,
}

impl WallPlan {
    /// The slot of a stream.
    pub fn slot_of(&self, stream: &StreamId) -> Option<usize> {
        self.slots.iter().position(|held| held.as_ref() == Some(stream))
    }

    /// Every share at its place.
    pub fn of(shares: &[WallShare], choices: &WallChoices) -> Self {
        let mut plan = Self::default();
        let mut waiting: Vec<&WallShare> = shares.iter().collect();
        waiting.sort_by(|a, b| a.stream.cmp(&b.stream));
        waiting.dedup_by(|a, b| a.stream == b.stream);
        let mut seat = |plan: &mut Self, slot_of: &dyn Fn(&WallShare) -> Option<usize>| {
            waiting.retain(|share| match slot_of(share).and_then(|slot| plan.slots.get_mut(slot)) {
                Some(place) if place.is_none() => {
                    *place = Some(share.stream.clone());
                    false
                }
                _ => true,
            });
        };
        seat(&mut plan, &|share| choices.pin_of(&share.stream));
        seat(&mut plan, &|share| share.claim.map(usize::from));
        let left: Vec<StreamId> = waiting.into_iter().map(|share| share.stream.clone()).collect();
        for stream in left {
            if let Some(place) = plan.slots.iter_mut().find(|place| place.is_none()) {
                *place = Some(stream);
            }
        }
        if let Some(slot) = choices.large.as_ref().and_then(|large| plan.slot_of(large)) {
            plan.slots.swap(0, slot);
            plan.enlarged = true;
        }
        plan
    }
}

/// The slot that a new share claims: the first free one as things stand, whatever hosts chose meanwhile; `None` when
/// the wall is full.
pub fn claim(shares: &[WallShare]) -> Option<u8> {
    let plan = WallPlan::of(shares, &WallChoices::default());
    let free = plan.slots.iter().position(Option::is_none)?;
    u8::try_from(free).ok()
}

impl WallChoices {
    /// Reads a room's metadata, piece by piece: what makes no sense is left out, and the rest holds.
    pub fn read(metadata: &str) -> Self {
        let mut choices = Self::default();
        let wall = room_text::read(metadata, PART);
        let stream = |value: &Value| StreamId::new(value.as_str()?).ok();
        for (slot, pinned) in wall["pins"].as_object().into_iter().flatten().take(PINS_READ_AT_MOST) {
            let slot = slot.parse::<u8>().ok().filter(|slot| usize::from(*slot) < WALL_SLOTS);
            if let (Some(slot), Some(pinned)) = (slot, stream(pinned)) {
                choices.pin(pinned, usize::from(slot));
            }
        }
        choices.large = stream(&wall["large"]);
        choices
    }

    /// The metadata with these choices in it and everything else as it was.
    ///
    /// # Errors
    /// [`ChoicesError`] when that cannot be done without losing something, or grows too long.
    pub fn write(&self, metadata: &str) -> Result<String, ChoicesError> {
        let pins: Map<String, Value> =
            self.pins.iter().map(|(slot, stream)| (slot.to_string(), stream.as_str().into())).collect();
        let mut wall = Map::new();
        if !pins.is_empty() {
            wall.insert("pins".to_owned(), pins.into());
        }
        if let Some(large) = &self.large {
            wall.insert("large".to_owned(), large.as_str().into());
        }
        room_text::write(metadata, PART, wall.into())
    }

    /// The slot that a stream is pinned to.
    pub fn pin_of(&self, stream: &StreamId) -> Option<usize> {
        self.pins.iter().find(|(_, pinned)| *pinned == stream).map(|(slot, _)| usize::from(*slot))
    }

    /// Hangs a stream in a slot; whatever was pinned there is pinned no more. A slot that is none changes nothing.
    pub fn pin(&mut self, stream: StreamId, slot: usize) {
        let Some(slot) = u8::try_from(slot).ok().filter(|slot| usize::from(*slot) < WALL_SLOTS) else { return };
        self.pins.retain(|_, pinned| *pinned != stream);
        self.pins.insert(slot, stream);
    }

    /// Lets a stream go where its owner claims.
    pub fn unpin(&mut self, stream: &StreamId) {
        self.pins.retain(|_, pinned| pinned != stream);
    }

    /// Lets what hangs in two slots, or in one of them, change places; both stay where they come to hang.
    pub fn swap(&mut self, plan: &WallPlan, a: usize, b: usize) {
        let at = |slot: usize| plan.slots.get(slot).cloned().flatten();
        let (in_a, in_b) = (at(a), at(b));
        // Who was enlarged is so because of its place, not its pin: the places speak for themselves from now on.
        self.large = None;
        for (slot, stream) in plan.slots.iter().enumerate() {
            if let Some(stream) = stream.clone().filter(|_| slot != a && slot != b && plan.enlarged) {
                self.pin(stream, slot);
            }
        }
        for (stream, slot) in [(in_a, b), (in_b, a)] {
            if let Some(stream) = stream {
                self.pin(stream, slot);
            }
        }
    }

    /// Gives a stream the whole centre, or none.
    pub fn enlarge(&mut self, stream: Option<StreamId>) {
        self.large = stream;
    }

    /// Forgets pins of streams that are gone.
    pub fn keep_only(&mut self, present: impl Fn(&StreamId) -> bool) {
        self.pins.retain(|_, stream| present(stream));
        self.large = self.large.take().filter(|stream| present(stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::ROOM_METADATA_MAX_BYTES;

    fn id(name: &str) -> StreamId {
        StreamId::new(name).unwrap()
    }

    fn share(name: &str, claim: Option<u8>) -> WallShare {
        WallShare { stream: id(name), claim }
    }

    fn slots(plan: &WallPlan) -> Vec<&str> {
        plan.slots.iter().map(|slot| slot.as_ref().map_or("-", StreamId::as_str)).collect()
    }

    fn plan(shares: &[WallShare], choices: &WallChoices) -> WallPlan {
        let plan = WallPlan::of(shares, choices);
        let mut turned: Vec<WallShare> = shares.iter().rev().cloned().collect();
        assert_eq!(WallPlan::of(&turned, choices), plan, "the order of hearing changes nothing");
        turned.extend_from_slice(shares);
        assert_eq!(WallPlan::of(&turned, choices), plan, "nor does hearing twice");
        plan
    }

    #[test]
    fn the_first_share_claims_the_centre_and_later_ones_leave_it_alone() {
        let mut shares = Vec::new();
        for (name, slot) in [("z", 0), ("a", 1), ("m", 2)] {
            assert_eq!(claim(&shares), Some(slot));
            shares.push(share(name, claim(&shares)));
        }
        assert_eq!(slots(&plan(&shares, &WallChoices::default())), ["z", "a", "m", "-", "-"]);
        shares.remove(0);
        assert_eq!(slots(&plan(&shares, &WallChoices::default())), ["-", "a", "m", "-", "-"], "nobody moves");
        assert_eq!(claim(&shares), Some(0), "the next one takes the centre");
    }

    #[test]
    fn shares_without_a_claim_and_double_claims_find_a_place() {
        let shares = [share("plain", None), share("b", Some(0)), share("a", Some(0)), share("wild", Some(77))];
        assert_eq!(slots(&plan(&shares, &WallChoices::default())), ["a", "b", "plain", "wild", "-"]);
        let many: Vec<WallShare> = (0..7).map(|n| share(&format!("s{n}"), None)).collect();
        assert_eq!(slots(&plan(&many, &WallChoices::default())), ["s0", "s1", "s2", "s3", "s4"], "the rest waits");
        assert_eq!(claim(&many), None);
    }

    #[test]
    fn a_host_pins_swaps_and_enlarges() {
        let shares = [share("a", Some(0)), share("b", Some(1)), share("c", Some(2))];
        let mut choices = WallChoices::default();
        choices.pin(id("c"), 0);
        assert_eq!(slots(&plan(&shares, &choices)), ["c", "b", "a", "-", "-"]);
        let mut released = choices.clone();
        released.unpin(&id("c"));
        assert_eq!(slots(&plan(&shares, &released)), ["a", "b", "c", "-", "-"], "everyone where they claimed");
        choices.swap(&plan(&shares, &choices), 1, 4);
        assert_eq!(slots(&plan(&shares, &choices)), ["c", "a", "-", "-", "b"], "an empty slot is a place, too");
        choices.enlarge(Some(id("b")));
        let large = plan(&shares, &choices);
        assert_eq!((slots(&large), large.enlarged), (vec!["b", "a", "-", "-", "c"], true));
        let mut back = choices.clone();
        back.enlarge(None);
        assert_eq!(slots(&plan(&shares, &back)), ["c", "a", "-", "-", "b"], "as it was");
        choices.swap(&large, 0, 1);
        let swapped = plan(&shares, &choices);
        assert_eq!((slots(&swapped), swapped.enlarged), (vec!["a", "b", "-", "-", "c"], false));
        choices.enlarge(Some(id("gone")));
        assert_eq!(plan(&shares, &choices).slots, swapped.slots, "who is not there is not enlarged");
    }

    #[test]
    fn choices_live_in_the_metadata_beside_what_others_keep_there() {
        let mut choices = WallChoices::default();
        choices.pin(id("a"), 3);
        choices.enlarge(Some(id("b")));
        let text = choices.write(r#"{"title":"All hands","rotunda":{"mood":"night"}}"#).unwrap();
        assert_eq!(WallChoices::read(&text), choices);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["title"], &value["rotunda"]["mood"]), (&"All hands".into(), &"night".into()));
        let cleared = WallChoices::default().write(&text).unwrap();
        assert_eq!(WallChoices::read(&cleared), WallChoices::default());
        assert_eq!(choices.write("a plain title"), Err(ChoicesError::Foreign));
        assert_eq!(choices.write("[1]"), Err(ChoicesError::Foreign));
        let full = format!(r#"{{"x":"{}"}}"#, "x".repeat(ROOM_METADATA_MAX_BYTES - 20));
        assert_eq!(choices.write(&full), Err(ChoicesError::Full));
        choices.keep_only(|stream| *stream == id("b"));
        assert_eq!(choices.write("").unwrap(), r#"{"rotunda":{"wall":{"large":"b"}}}"#);
    }

    #[test]
    fn hostile_metadata_is_read_piece_by_piece() {
        let none = WallChoices::default();
        for text in ["", "nonsense", "[]", "7", "null", r#"{"rotunda":7}"#, r#"{"rotunda":{"wall":[[]]}}"#] {
            assert_eq!(WallChoices::read(text), none, "{text}");
        }
        assert_eq!(WallChoices::read(&"[".repeat(200_000)), none);
        assert_eq!(WallChoices::read(&"[".repeat(100_000)), none, "deep nesting is refused, not followed");
        let text =
            r#"{"rotunda":{"wall":{"pins":{"0":"a","9":"x","-1":"x","1":"a b","2":7,"3":"c","03":"d"},"large":{}}}}"#;
        let choices = WallChoices::read(text);
        let plan = plan(&[share("a", None), share("c", None), share("d", None), share("x", None)], &choices);
        assert_eq!(plan.slots.iter().flatten().count(), 4, "everyone has a place: {plan:?}");
        assert_eq!(plan.slot_of(&id("a")), Some(0));
        // One stream in two slots, and two streams in one: the last word holds, and nobody is lost.
        let twice = WallChoices::read(r#"{"rotunda":{"wall":{"pins":{"0":"a","1":"a"}}}}"#);
        let both = WallPlan::of(&[share("a", None), share("b", None)], &twice);
        assert_eq!(slots(&both), ["b", "a", "-", "-", "-"]);
    }
}
