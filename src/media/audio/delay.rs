//! How long packets should be held so that nearly all arrive in time. Plain data; time is an input.
//!
//! The idea is that of WebRTC's NetEQ: a packet's delay is measured against the fastest one of the last seconds, a
//! forgetful histogram collects these, and the target is a high quantile of it.

use std::time::Instant;

use crate::media::frame::SAMPLE_RATE_HZ;

/// Width of a histogram bin in ms.
const BIN_MS: f32 = 5.0;
/// Bins: 1 s in all.
const BINS: usize = 200;
/// Share of packets that should arrive in time.
const QUANTILE: f32 = 0.975;
/// What a packet leaves of the weights before it: a memory of about 125 packets, 2.5 s.
const FORGET: f32 = 0.992;
/// Added to the quantile: playing happens in steps of 10 ms.
const STEP_MS: f32 = 10.0;
/// Bounds of the target in ms.
const MIN_TARGET_MS: f32 = 20.0;
const MAX_TARGET_MS: f32 = 600.0;
/// Target before anything is known.
const START_TARGET_MS: f32 = 40.0;
/// The fastest packet is looked for in the last one to two of these, in s.
const BASELINE_WINDOW_SECS: f64 = 1.5;

/// Learns the target delay of one voice.
#[derive(Debug)]
pub(super) struct DelayEstimator {
    epoch: Option<Instant>,
    histogram: [f32; BINS],
    packets: u32,
    /// Least transit in ms of the window before the current one, and of the current one.
    least: [f64; 2],
    window_start_secs: f64,
    target_ms: f32,
}

impl DelayEstimator {
    pub(super) fn new() -> Self {
        Self {
            epoch: None,
            histogram: [0.0; BINS],
            packets: 0,
            least: [f64::INFINITY; 2],
            window_start_secs: 0.0,
            target_ms: START_TARGET_MS,
        }
    }

    /// Takes the arrival of the packet whose first sample has this (unwrapped) time stamp at 48 000 Hz.
    pub(super) fn note(&mut self, timestamp: i64, arrived: Instant) {
        let transit_ms = self.transit_ms(timestamp, arrived);
        let now_secs = self.since_epoch_secs(arrived);
        let passed_secs = now_secs - self.window_start_secs;
        if passed_secs > BASELINE_WINDOW_SECS {
            // What came before a long pause says nothing any more: clocks drift meanwhile.
            let recent = if passed_secs > 2.0 * BASELINE_WINDOW_SECS { f64::INFINITY } else { self.least[1] };
            self.least = [recent, f64::INFINITY];
            self.window_start_secs = now_secs;
        }
        self.least[1] = self.least[1].min(transit_ms);
        let late_ms = (transit_ms - self.baseline_ms()).max(0.0) as f32;

        // While little is known every packet weighs the same.
        self.packets = self.packets.saturating_add(1);
        let forget = FORGET.min(1.0 - 1.0 / self.packets as f32);
        self.histogram.iter_mut().for_each(|weight| *weight *= forget);
        self.histogram[((late_ms / BIN_MS) as usize).min(BINS - 1)] += 1.0 - forget;

        let mut within = 0.0;
        let bins = self.histogram.iter().take_while(|weight| {
            within += **weight;
            within < QUANTILE
        });
        let quantile_ms = (bins.count() + 1) as f32 * BIN_MS;
        let target_ms = (quantile_ms + STEP_MS).clamp(MIN_TARGET_MS, MAX_TARGET_MS);
        // A handful of packets proves no calm, but proves a storm.
        self.target_ms = if self.packets < 10 { target_ms.max(START_TARGET_MS) } else { target_ms };
    }

    /// How long after the fastest packets a sample should be played, in ms.
    pub(super) fn target_ms(&self) -> f32 {
        self.target_ms
    }

    /// How long after the fastest packets it is played when that happens now, in ms.
    pub(super) fn delay_ms(&mut self, timestamp: i64, now: Instant) -> f32 {
        (self.transit_ms(timestamp, now) - self.baseline_ms()) as f32
    }

    fn baseline_ms(&self) -> f64 {
        self.least[0].min(self.least[1])
    }

    fn transit_ms(&mut self, timestamp: i64, at: Instant) -> f64 {
        self.since_epoch_secs(at) * 1e3 - timestamp as f64 * 1e3 / f64::from(SAMPLE_RATE_HZ)
    }

    fn since_epoch_secs(&mut self, at: Instant) -> f64 {
        let epoch = *self.epoch.get_or_insert(at);
        at.saturating_duration_since(epoch).as_secs_f64() - epoch.saturating_duration_since(at).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::codec::tests::Random;

    /// Feeds 20 ms packets whose lateness in ms `late` gives.
    fn target_after(packets: u64, mut late: impl FnMut(u64) -> f64) -> f32 {
        let mut estimator = DelayEstimator::new();
        let start = Instant::now();
        for index in 0..packets {
            let arrived = start + Duration::from_secs_f64((index as f64 * 20.0 + late(index)) / 1e3);
            estimator.note(index as i64 * 960, arrived);
        }
        estimator.target_ms()
    }

    #[test]
    fn a_calm_network_needs_little_delay() {
        let mut random = Random(5);
        let target = target_after(500, |_| random.below(3) as f64);
        assert!(target <= 20.0, "{target} ms");
    }

    #[test]
    fn the_target_covers_the_jitter_and_forgets_it() {
        let mut random = Random(5);
        let target = target_after(500, |_| random.below(60) as f64);
        assert!((60.0..=80.0).contains(&target), "{target} ms for jitter of up to 60 ms");
        let mut random = Random(5);
        let calmed = target_after(2500, |index| if index < 500 { random.below(60) as f64 } else { 0.0 });
        assert!(calmed <= 25.0, "{calmed} ms after 40 calm seconds");
    }

    #[test]
    fn drift_and_a_longer_way_are_no_jitter() {
        let drifting = target_after(3000, |index| index as f64 * 20.0 * 300e-6);
        assert!(drifting <= 25.0, "{drifting} ms with a sender 300 ppm slow");
        let moved = target_after(2000, |index| if index < 1000 { 0.0 } else { 120.0 });
        assert!(moved <= 25.0, "{moved} ms after the way became 120 ms longer");
    }

    #[test]
    fn drift_during_a_long_pause_is_no_jitter() {
        let mut estimator = DelayEstimator::new();
        let start = Instant::now();
        // Muted for half an hour, while the sender's clock ran 100 ppm slow.
        for (from_ms, drift_ms) in [(0u64, 0u64), (1_800_000, 180)] {
            for packet in 0..60u64 {
                let (sent_ms, timestamp) = (from_ms + packet * 20, (from_ms + packet * 20) as i64 * 48);
                let arrived = start + Duration::from_millis(sent_ms + drift_ms);
                estimator.note(timestamp, arrived);
                assert!(estimator.delay_ms(timestamp, arrived) < 1.0, "{sent_ms} ms");
            }
        }
        assert!(estimator.target_ms() <= 25.0, "{} ms", estimator.target_ms());
    }
}
