//! Figures that come often, kept in bounded memory: median and tail of all of them.

use serde::Serialize;

/// Median and tail of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// 50th percentile.
    pub median: f32,
    /// 95th percentile.
    pub p95: f32,
    /// 99th percentile.
    pub p99: f32,
    /// Samples seen.
    pub count: u64,
}

/// Samples for percentiles in bounded memory: when full, every other one is let go and every other one is skipped.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    values: Vec<f32>,
    stride: u64,
    seen: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self { values: Vec::new(), stride: 1, seen: 0 }
    }
}

impl Samples {
    const CAPACITY: usize = 16_384;

    /// Takes one in.
    pub(super) fn push(&mut self, value: f32) {
        if self.seen.is_multiple_of(self.stride) {
            if self.values.len() == Self::CAPACITY {
                let mut keep = false;
                self.values.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride *= 2;
            }
            self.values.push(value);
        }
        self.seen += 1;
    }

    /// What they come to; `None` without any.
    pub(super) fn spread(&self) -> Option<Spread> {
        if self.values.is_empty() {
            return None;
        }
        let mut sorted = self.values.clone();
        sorted.sort_by(f32::total_cmp);
        let at = |share: f32| sorted[((sorted.len() - 1) as f32 * share).round() as usize];
        Some(Spread { median: at(0.5), p95: at(0.95), p99: at(0.99), count: self.seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_survive_decimation() {
        let mut samples = Samples::default();
        for i in 0..100_000 {
            samples.push(i as f32);
        }
        let spread = samples.spread().unwrap();
        assert!(samples.values.len() <= Samples::CAPACITY);
        assert_eq!(spread.count, 100_000);
        assert!((spread.median - 50_000.0).abs() < 500.0 && (spread.p99 - 99_000.0).abs() < 500.0, "{spread:?}");
    }
}
