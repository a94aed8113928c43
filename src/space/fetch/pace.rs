//! How fast wishes go to the engine: it has room for a few dozen commands, and a server for fifty messages a second.
//! Plain data; time is an input.

use std::time::Duration;

use bevy::prelude::*;

/// Wishes at once: everyone in view after a turn of the head.
const BURST: f32 = 64.0;
/// Wishes a second in the long run.
const PER_SEC: f32 = 30.0;
/// Wishes in one frame: half of what the engine has room for, so that the user's own find some.
const PER_FRAME: u32 = 32;

/// A bucket that fills while nothing is told.
#[derive(Resource, Clone, Copy, Debug)]
pub(super) struct Pace {
    level: f32,
    at: Duration,
    in_frame: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { level: BURST, at: Duration::ZERO, in_frame: 0 }
    }
}

impl Pace {
    /// A frame begins at `now`, a time that only grows.
    pub(super) fn begin_frame(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f32();
        self.at = now;
        self.level = (self.level + passed * PER_SEC).min(BURST);
        self.in_frame = 0;
    }

    /// Whether one more wish may go in this frame; counts it when it may.
    pub(super) fn take(&mut self) -> bool {
        let may = self.level >= 1.0 && self.in_frame < PER_FRAME;
        if may {
            self.level -= 1.0;
            self.in_frame += 1;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_of_the_head_goes_at_once_and_a_storm_is_slowed() {
        let mut pace = Pace::default();
        let mut told = Vec::new();
        for frame in 0..600u64 {
            pace.begin_frame(Duration::from_millis(frame * 1000 / 60));
            told.push(std::iter::repeat_with(|| pace.take()).take_while(|may| *may).count());
        }
        assert_eq!(told[..2], [32, 32], "64 within two frames");
        let all: usize = told.iter().sum();
        assert!((330..=366).contains(&all), "{all} in ten seconds");
    }
}
