//! What floats for a while: remarks across the view, signs above those who gave them. Main thread.

use bevy::prelude::*;

use crate::model::{Reaction, text};

/// Seconds a remark takes across the view, and more for each of its characters: a long one passes hardly faster.
const REMARK_SECS: f32 = 9.0;
const CHARACTER_SECS: f32 = 0.06;
/// Seconds a sign rises.
const SIGN_SECS: f32 = 3.2;
/// As many float at once; more are let go: nobody could read them.
const MOST: usize = 48;
/// Remarks float in so many rows.
pub const ROWS: usize = 6;
/// Characters of a remark that are shown.
const MOST_CHARS: usize = 240;

/// What floats.
#[derive(Clone, Debug, PartialEq)]
pub enum FloatKind {
    /// A remark, from the right to the left, in a row counted from the top.
    Remark {
        /// What it says.
        text: String,
        /// Which row.
        row: usize,
    },
    /// A sign, upwards from whoever gave it; `None` for this client's user.
    Sign {
        /// Which.
        reaction: Reaction,
        /// Whose, as an entity.
        of: Option<Entity>,
        /// Sidewards, -1..=1, so that many do not hide each other.
        drift: f32,
    },
}

/// Something that floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Float {
    /// What.
    pub kind: FloatKind,
    age_secs: f32,
}

impl Float {
    /// How far it is, 0..=1.
    pub fn progress(&self) -> f32 {
        let whole = match &self.kind {
            FloatKind::Remark { text, .. } => REMARK_SECS + CHARACTER_SECS * text.chars().count() as f32,
            FloatKind::Sign { .. } => SIGN_SECS,
        };
        (self.age_secs / whole).clamp(0.0, 1.0)
    }
}

/// Everything that floats now.
#[derive(Resource, Debug, Default)]
pub struct Floats {
    all: Vec<Float>,
    given: usize,
}

impl Floats {
    /// What floats.
    pub fn iter(&self) -> impl Iterator<Item = &Float> {
        self.all.iter()
    }

    pub(super) fn remark(&mut self, words: &str) {
        let text = text::excerpt(words, MOST_CHARS);
        if text.is_empty() {
            return;
        }
        // The row whose last remark is farthest on its way.
        let newest = |row: usize| {
            let of_row =
                self.all.iter().filter(|float| matches!(&float.kind, FloatKind::Remark { row: of, .. } if *of == row));
            of_row.map(Float::progress).fold(1.0, f32::min)
        };
        let row = (0..ROWS).max_by(|a, b| newest(*a).total_cmp(&newest(*b)).then(b.cmp(a))).unwrap_or(0);
        self.put(FloatKind::Remark { text, row });
    }

    pub(super) fn sign(&mut self, reaction: Reaction, of: Option<Entity>) {
        self.given += 1;
        // The golden ratio spreads any number of them evenly.
        let drift = (self.given as f32 * 0.618_034).fract() * 2.0 - 1.0;
        self.put(FloatKind::Sign { reaction, of, drift });
    }

    fn put(&mut self, kind: FloatKind) {
        if self.all.len() < MOST {
            self.all.push(Float { kind, age_secs: 0.0 });
        }
    }

    fn age(&mut self, secs: f32) {
        self.all.iter_mut().for_each(|float| float.age_secs += secs);
        self.all.retain(|float| float.progress() < 1.0);
    }
}

/// Lets everything float on.
pub(super) fn age(time: Res<Time>, mut floats: ResMut<Floats>) {
    if !floats.all.is_empty() {
        floats.age(time.delta_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_keep_apart_end_and_are_not_too_many() {
        let mut floats = Floats::default();
        for n in 0..8 {
            floats.remark(&format!("n{n}"));
            floats.age(0.3);
        }
        let rows: Vec<usize> = floats
            .iter()
            .filter_map(|float| if let FloatKind::Remark { row, .. } = &float.kind { Some(*row) } else { None })
            .collect();
        assert_eq!(rows, [0, 1, 2, 3, 4, 5, 0, 1]);
        (0..1000).for_each(|_| floats.remark("spam"));
        floats.remark(" \u{202e} ");
        assert_eq!(floats.iter().count(), MOST);
        floats.age(REMARK_SECS + 4.0 * CHARACTER_SECS);
        assert_eq!(floats.iter().count(), 0);
        floats.sign(Reaction::Heart, None);
        floats.sign(Reaction::Heart, None);
        let drifts: Vec<_> = floats.iter().map(|float| float.kind.clone()).collect();
        assert_ne!(drifts[0], drifts[1]);
    }
}
