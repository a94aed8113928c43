//! How much the way to the server carries: Google congestion control's delay and loss detectors with a rate control of
//! our own. The stock one takes whatever is sent when a delay shows up for all the way carries, so that a still picture
//! (which sends little) and one scheduling hiccup would throttle a call for half a minute. Runs inside the connection's
//! driver task; time comes with the reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rtc::interceptor::{
    BandwidthEstimator, EstimatorStats, LossController, OveruseDetector, PacketReport, RateCalculator, SlopeEstimator,
    Usage,
};

/// Where the estimate starts, in bit/s. Nothing probes, so it starts at what a camera wants.
const INITIAL_BPS: f64 = 2_000_000.0;
/// The estimate never falls below, in bit/s.
const MIN_BPS: f64 = 150_000.0;
/// The estimate never rises above, in bit/s.
const MAX_BPS: f64 = 20_000_000.0;
/// Backing off leaves this share of what arrived (draft-ietf-rmcat-gcc-02 section 5.5).
const DECREASE: f64 = 0.85;
/// Growth per second.
const GROWTH: f64 = 1.08;
/// Changes are given this long to take effect.
const CHANGE_INTERVAL: Duration = Duration::from_millis(200);
/// Sending less than this share of the estimate says little about the way.
const IDLE_SHARE: f64 = 0.7;
/// The estimate is not grown beyond this multiple of what is sent: there is no evidence for more.
const MAX_LEAD: f64 = 2.0;

/// The newest estimate of what the way to the server carries.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Bandwidth(Arc<Shown>);

/// As the bits of floating point numbers.
#[derive(Debug, Default)]
struct Shown {
    bps: AtomicU64,
    loss: AtomicU32,
}

impl Bandwidth {
    /// In bit/s; `None` before the server's first feedback.
    pub(in crate::client) fn bps(&self) -> Option<f64> {
        match self.0.bps.load(Ordering::Relaxed) {
            0 => None,
            bits => Some(f64::from_bits(bits)),
        }
    }

    /// Share of packets that the server misses, 0..=1, over the last moments.
    pub(in crate::client) fn loss(&self) -> f32 {
        f32::from_bits(self.0.loss.load(Ordering::Relaxed))
    }

    fn store(&self, bps: f64, loss: f64) {
        self.0.bps.store(bps.to_bits(), Ordering::Relaxed);
        self.0.loss.store((loss as f32).to_bits(), Ordering::Relaxed);
    }
}

/// See the module.
pub(super) struct Estimator {
    slope: SlopeEstimator,
    overuse: OveruseDetector,
    loss: LossController,
    sent: RateCalculator,
    last_departure: Option<Instant>,
    arrived: RateCalculator,
    control: RateControl,
    target_bps: f64,
    shown: Bandwidth,
}

impl Estimator {
    /// An estimator and where its estimate can be read.
    pub(super) fn new() -> (Self, Bandwidth) {
        let shown = Bandwidth::default();
        let estimator = Self {
            slope: SlopeEstimator::new(),
            overuse: OveruseDetector::new(),
            loss: LossController::new(INITIAL_BPS, MIN_BPS, MAX_BPS),
            sent: RateCalculator::default(),
            last_departure: None,
            arrived: RateCalculator::default(),
            control: RateControl::new(),
            target_bps: INITIAL_BPS,
            shown: shown.clone(),
        };
        (estimator, shown)
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        if reports.is_empty() {
            return;
        }
        let mut usage = self.overuse.usage();
        let mut lost = 0;
        for report in reports {
            // By departure: behind a narrow way reports come no faster than packets arrive.
            self.last_departure = self.last_departure.max(Some(report.departure));
            self.sent.add(report.departure, report.size);
            if report.arrived {
                self.arrived.add(now, report.size);
            } else {
                lost += 1;
            }
            if let Some(trend) = self.slope.accumulate(report) {
                usage = self.overuse.update(trend.at, trend.estimate_ms);
            }
        }
        let sent = self.last_departure.and_then(|at| self.sent.rate_bits_per_second(at));
        let arrived = self.arrived.rate_bits_per_second(now);
        let by_delay = self.control.update(now, usage, sent, arrived);
        let by_loss = self.loss.update(now, lost, reports.len());
        self.target_bps = by_delay.min(by_loss).clamp(MIN_BPS, MAX_BPS);
        self.shown.store(self.target_bps, self.loss.average_loss().unwrap_or(0.0));
    }

    fn target_bitrate(&self) -> f64 {
        self.target_bps
    }

    fn stats(&self) -> EstimatorStats {
        let mut stats = EstimatorStats::default();
        stats.delay_based_bitrate = Some(self.control.target_bps);
        stats.loss_based_bitrate = Some(self.loss.target());
        stats.packet_loss = self.loss.average_loss();
        stats
    }
}

/// Turns what the delay says into a rate.
struct RateControl {
    target_bps: f64,
    changed: Option<Instant>,
}

impl RateControl {
    fn new() -> Self {
        Self { target_bps: INITIAL_BPS, changed: None }
    }

    /// `sent` and `arrived` in bit/s over the last moments, once known.
    fn update(&mut self, now: Instant, usage: Usage, sent: Option<f64>, arrived: Option<f64>) -> f64 {
        let since = self.changed.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < CHANGE_INTERVAL) {
            return self.target_bps;
        }
        let (Some(sent), Some(arrived)) = (sent, arrived) else { return self.target_bps };
        match usage {
            Usage::Over => {
                let idle = sent < IDLE_SHARE * self.target_bps;
                let carried = if idle { self.target_bps } else { arrived.min(self.target_bps) };
                self.target_bps = (carried * DECREASE).clamp(MIN_BPS, MAX_BPS);
            }
            Usage::Normal => {
                let limit = (sent * MAX_LEAD).clamp(INITIAL_BPS, MAX_BPS);
                if self.target_bps < limit {
                    let secs = since.unwrap_or(CHANGE_INTERVAL).as_secs_f64().min(1.0);
                    self.target_bps = (self.target_bps * GROWTH.powf(secs)).min(limit);
                }
            }
            // A queue drains: wait until it has.
            Usage::Under => {}
        }
        self.changed = Some(now);
        self.target_bps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(200);

    fn run(control: &mut RateControl, from: Instant, steps: u32, usage: Usage, sent: f64, arrived: f64) -> Instant {
        for step in 1..=steps {
            control.update(from + STEP * step, usage, Some(sent), Some(arrived));
        }
        from + STEP * steps
    }

    #[test]
    fn a_hiccup_while_little_is_sent_costs_little() {
        let mut control = RateControl::new();
        let at = run(&mut control, Instant::now(), 1, Usage::Over, 50_000.0, 50_000.0);
        assert!((control.target_bps - INITIAL_BPS * DECREASE).abs() < 1.0);
        run(&mut control, at, 15, Usage::Normal, 50_000.0, 50_000.0);
        assert!(control.target_bps > 0.98 * INITIAL_BPS, "back within three seconds: {}", control.target_bps);
    }

    #[test]
    fn a_narrow_way_is_found_quickly() {
        let mut control = RateControl::new();
        // 2 Mbit/s into 500 kbit/s.
        run(&mut control, Instant::now(), 1, Usage::Over, 1_900_000.0, 500_000.0);
        assert!((control.target_bps - 425_000.0).abs() < 1.0);
        // 1 Mbit/s into 500 kbit/s, beside an estimate of 2: idle at first, then not.
        let mut control = RateControl::new();
        run(&mut control, Instant::now(), 5, Usage::Over, 1_000_000.0, 500_000.0);
        assert!(control.target_bps <= 425_000.0, "after a second: {}", control.target_bps);
    }

    #[test]
    fn growth_stays_near_what_is_sent_and_bounds_hold() {
        let mut control = RateControl::new();
        let at = run(&mut control, Instant::now(), 1000, Usage::Normal, 1_500_000.0, 1_500_000.0);
        assert!((control.target_bps - 3_000_000.0).abs() < 1.0);
        run(&mut control, at, 1000, Usage::Over, 0.0, 0.0);
        assert!((control.target_bps - MIN_BPS).abs() < 1.0);
    }

    #[test]
    fn changes_are_given_time() {
        let mut control = RateControl::new();
        let start = Instant::now();
        for ms in 0..100 {
            control.update(start + Duration::from_millis(ms), Usage::Over, Some(50_000.0), Some(50_000.0));
        }
        assert!((control.target_bps - INITIAL_BPS * DECREASE).abs() < 1.0, "one step in 100 ms");
    }
}
