//! When a whole frame should be decoded and shown: at once on a calm path, a little later on one that delivers unevenly,
//! and later still when its sound needs it. Plain data; time is an input.
//!
//! The idea is that of WebRTC's video timing: how much later than the fastest ones frames become whole is their jitter,
//! and a delay that covers nearly all of it makes their rhythm the sender's again. As for sound, a forgetful histogram
//! collects the lateness and the delay is a high quantile of it.

use std::time::{Duration, Instant};

use super::clock::{Least, local_us};

/// Width of a histogram bin in ms, and their number: 400 ms in all, the most a picture is held.
const BIN_MS: u64 = 5;
const BINS: usize = 80;
/// Share of frames that should become whole in time.
const QUANTILE: f32 = 0.95;
/// What a frame leaves of the weights before it: a memory of about 100 frames.
const FORGET: f32 = 0.99;
/// Jitter up to this is not worth a delay: nobody sees it.
const CALM_MS: u64 = 10;
/// Frames before a delay is held: the first ones are shown when they come.
const LEARN_FRAMES: u32 = 15;
/// A frame this far from where the time stamps put it means that they jumped, or that the path was cut.
const JUMP_US: i64 = 2_000_000;
/// Ticks of a picture's RTP clock in 9 ms.
const TICKS_PER_9_MS: i64 = 810;

/// Learns the rhythm of one picture's frames.
#[derive(Debug)]
pub(super) struct FrameTiming {
    fastest: Least,
    histogram: [f32; BINS],
    frames: u32,
    held: Duration,
    last_due: Option<Instant>,
}

impl FrameTiming {
    pub(super) fn new() -> Self {
        Self { fastest: Least::default(), histogram: [0.0; BINS], frames: 0, held: Duration::ZERO, last_due: None }
    }

    /// When to show the frame with this (unwrapped) time stamp, which became whole now, when it is to be shown at least
    /// `extra` after the fastest ones.
    pub(super) fn due(&mut self, ticks: i64, now: Instant, extra: Duration) -> Instant {
        let now_us = local_us(now);
        let transit_us = now_us - ticks * 9_000 / TICKS_PER_9_MS;
        if self.fastest.get().is_some_and(|fastest| (transit_us - fastest).abs() > JUMP_US) {
            *self = Self::new();
        }
        self.fastest.note(transit_us, now_us);
        let late_us = (transit_us - self.fastest.get().unwrap_or(transit_us)).max(0) as u64;
        self.note(late_us / 1000);
        let hold = self.held.max(extra);
        let due = now + hold.saturating_sub(Duration::from_micros(late_us));
        // Frames stay in order when the delay shrinks.
        let due = self.last_due.map_or(due, |before| due.max(before));
        self.last_due = Some(due);
        due
    }

    /// How long after the fastest ones frames are shown to even their rhythm out.
    pub(super) fn held(&self) -> Duration {
        self.held
    }

    fn note(&mut self, late_ms: u64) {
        self.frames = self.frames.saturating_add(1);
        let forget = FORGET.min(1.0 - 1.0 / self.frames as f32);
        self.histogram.iter_mut().for_each(|weight| *weight *= forget);
        self.histogram[((late_ms / BIN_MS) as usize).min(BINS - 1)] += 1.0 - forget;
        if self.frames < LEARN_FRAMES {
            return;
        }
        let mut within = 0.0;
        let bins = self.histogram.iter().take_while(|weight| {
            within += **weight;
            within < QUANTILE
        });
        let covers_ms = (bins.count() as u64 + 1) * BIN_MS;
        let held_ms = if covers_ms <= CALM_MS { 0 } else { covers_ms.min(BINS as u64 * BIN_MS) };
        self.held = Duration::from_millis(held_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::tests::Random;

    /// Feeds frames at 30 a second whose lateness in ms `late` gives; answers when each was shown, in ms.
    fn shown(timing: &mut FrameTiming, frames: u64, extra_ms: u64, mut late: impl FnMut(u64) -> u64) -> Vec<u64> {
        let start = Instant::now();
        let mut before = start;
        (0..frames)
            .map(|index| {
                let now = (start + Duration::from_millis(index * 100 / 3 + late(index))).max(before);
                before = now;
                let due = timing.due(index as i64 * 3000, now, Duration::from_millis(extra_ms));
                assert!(due >= now);
                due.duration_since(start).as_millis() as u64
            })
            .collect()
    }

    fn uneven(shown: &[u64]) -> usize {
        shown.windows(2).filter(|pair| !(22..=45).contains(&pair[1].saturating_sub(pair[0]))).count()
    }

    #[test]
    fn on_a_calm_path_every_frame_is_shown_when_it_comes() {
        let mut random = Random(4);
        let mut timing = FrameTiming::new();
        let start_late: Vec<u64> = (0..300).map(|_| random.below(8) as u64).collect();
        let shown = shown(&mut timing, 300, 0, |index| start_late[index as usize]);
        let waited = shown.iter().enumerate().map(|(n, at)| at - n as u64 * 100 / 3 - start_late[n]).max();
        assert!(waited <= Some(1), "{waited:?} ms");
    }

    #[test]
    fn jitter_is_evened_out_and_forgotten() {
        let mut random = Random(4);
        let mut timing = FrameTiming::new();
        let late: Vec<u64> = (0..900).map(|index| if index < 450 { random.below(60) as u64 } else { 1 }).collect();
        let shown = shown(&mut timing, 900, 0, |index| late[index as usize]);
        let rough = uneven(&(0..450).map(|n| n * 100 / 3 + late[n as usize]).collect::<Vec<_>>()[100..]);
        let smooth = uneven(&shown[100..450]);
        assert!(smooth * 5 < rough, "{smooth} uneven intervals, {rough} without a delay");
        assert_eq!(timing.held(), Duration::ZERO, "the storm is over");
    }

    #[test]
    fn the_extra_delay_is_kept_and_is_no_jitter() {
        let mut timing = FrameTiming::new();
        let shown = shown(&mut timing, 200, 120, |_| 0);
        assert!(shown.iter().enumerate().all(|(n, at)| at.abs_diff(n as u64 * 100 / 3 + 120) <= 1));
        assert_eq!(timing.held(), Duration::ZERO);
    }

    #[test]
    fn time_stamps_that_jump_hold_nothing_up() {
        let mut timing = FrameTiming::new();
        let start = Instant::now();
        let mut ticks = 0;
        for index in 0..200u64 {
            ticks += if index % 50 == 49 { -5_000_000_000 } else { 3000 };
            let now = start + Duration::from_millis(index * 33);
            let due = timing.due(ticks, now, Duration::ZERO);
            assert!(due.duration_since(now) < Duration::from_millis(50), "frame {index}");
        }
    }
}
