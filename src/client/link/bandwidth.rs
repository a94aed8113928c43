//! How much the way to the server carries: Google congestion control's detectors (draft-ietf-rmcat-gcc-02) with the rate
//! controls of `rate_control`. The stock control takes whatever is sent when a delay shows up for all the way carries, so
//! that a still picture (which sends little) and one scheduling hiccup would throttle a call for half a minute. Runs inside
//! the connection's driver task; time comes with the reports.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rtc::interceptor::{
    BandwidthEstimator, EstimatorStats, OveruseDetector, PacketReport, RateCalculator, SlopeEstimator,
};

use super::rate_control::{DelayControl, INITIAL_BPS, LossControl, MAX_BPS, MIN_BPS, Queue};

/// Streams remembered: more than one client ever has.
const MAX_STREAMS: usize = 256;

/// The newest estimate of what the way to the server carries.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Bandwidth(Arc<Shown>);

/// Numbers as the bits of floating point numbers.
#[derive(Debug, Default)]
struct Shown {
    bps: AtomicU64,
    loss: AtomicU32,
    /// The way is another one, which the estimator does not know yet.
    way_changed: AtomicBool,
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

    /// Packets take another way from now on, as after a restart of ICE: what was learnt of the old one is forgotten.
    pub(in crate::client) fn way_changed(&self) {
        self.0.way_changed.store(true, Ordering::Relaxed);
    }

    fn take_way_changed(&self) -> bool {
        self.0.way_changed.swap(false, Ordering::Relaxed)
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
    queue: Queue,
    sent: RateCalculator,
    last_departure: Option<Instant>,
    arrived: RateCalculator,
    /// Departure and arrival of the first packet: the receiver's clock in ours.
    first: Option<(Instant, Duration)>,
    last_arrival: Option<Instant>,
    by_delay: DelayControl,
    by_loss: LossControl,
    target_bps: f64,
    /// When the present way was taken; what left before says nothing of it.
    since: Option<Instant>,
    /// Streams of which something was reported to have arrived. Official servers report on pictures only: there every
    /// packet of sound would count as lost.
    reported: HashSet<u32>,
    shown: Bandwidth,
}

impl Estimator {
    /// An estimator and where its estimate can be read.
    pub(super) fn new() -> (Self, Bandwidth) {
        let shown = Bandwidth::default();
        (Self::at_start(shown.clone(), None), shown)
    }

    /// One that knows nothing yet of the way taken `since` then.
    fn at_start(shown: Bandwidth, since: Option<Instant>) -> Self {
        Self {
            slope: SlopeEstimator::new(),
            overuse: OveruseDetector::new(),
            queue: Queue::default(),
            sent: RateCalculator::default(),
            last_departure: None,
            arrived: RateCalculator::default(),
            first: None,
            last_arrival: None,
            by_delay: DelayControl::new(),
            by_loss: LossControl::new(),
            target_bps: INITIAL_BPS,
            since,
            reported: HashSet::new(),
            shown,
        }
    }

    /// When a packet arrived, up to a constant: reports themselves come late and in lumps.
    fn arrival(&mut self, report: &PacketReport) -> Option<Instant> {
        let arrival = report.arrival?;
        let (departure, first) = *self.first.get_or_insert((report.departure, arrival));
        let at = departure + arrival.saturating_sub(first);
        self.last_arrival = self.last_arrival.max(Some(at));
        self.last_arrival
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        if self.shown.take_way_changed() {
            let reported = std::mem::take(&mut self.reported);
            *self = Self { reported, ..Self::at_start(self.shown.clone(), Some(now)) };
            self.shown.store(self.target_bps, 0.0);
        }
        for report in reports.iter().filter(|report| report.arrived) {
            if self.reported.len() < MAX_STREAMS {
                self.reported.insert(report.ssrc);
            }
        }
        let (since, reported) = (self.since, std::mem::take(&mut self.reported));
        let counts = |report: &&PacketReport| {
            since.is_none_or(|since| report.departure >= since) && reported.contains(&report.ssrc)
        };
        self.take(now, reports.iter().filter(counts));
        self.reported = reported;
    }

    fn target_bitrate(&self) -> f64 {
        self.target_bps
    }

    fn stats(&self) -> EstimatorStats {
        let mut stats = EstimatorStats::default();
        stats.delay_based_bitrate = Some(self.by_delay.target_bps());
        stats.loss_based_bitrate = Some(self.by_loss.target_bps());
        stats.packet_loss = Some(self.by_loss.average());
        stats
    }
}

impl Estimator {
    /// Takes what is known of some packets in.
    fn take<'a>(&mut self, now: Instant, reports: impl Iterator<Item = &'a PacketReport>) {
        let mut reports = reports.peekable();
        if reports.peek().is_none() {
            return;
        }
        let mut usage = self.overuse.usage();
        for report in reports {
            // By departure: behind a narrow way reports come no faster than packets arrive.
            self.last_departure = self.last_departure.max(Some(report.departure));
            self.sent.add(report.departure, report.size);
            self.by_loss.add(report);
            if report.arrived {
                self.queue.add(report);
                let at = self.arrival(report).unwrap_or(now);
                self.arrived.add(at, report.size);
            }
            if let Some(trend) = self.slope.accumulate(report) {
                usage = self.overuse.update(trend.at, trend.estimate_ms);
            }
        }
        let sent = self.last_departure.and_then(|at| self.sent.rate_bits_per_second(at));
        let arrived = self.arrived.rate_bits_per_second(self.last_arrival.unwrap_or(now));
        let by_delay = self.by_delay.update(now, usage, &mut self.queue, sent, arrived);
        let by_loss = self.by_loss.update(now, by_delay);
        self.target_bps = by_delay.min(by_loss).clamp(MIN_BPS, MAX_BPS);
        self.shown.store(self.target_bps, self.by_loss.average());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PACKET_BYTES: usize = 1000;
    /// What the sender would send if it could, in bit/s.
    const WISH_BPS: f64 = 2_000_000.0;

    /// A sender that sends what the estimate says, up to its wish, over a way with a queue; virtual time.
    struct Way {
        estimator: Estimator,
        start: Instant,
        now_ms: u64,
        id: u64,
        owed_bytes: f64,
        /// When the way has carried everything it was given, in ms.
        free_ms: f64,
        reports: Vec<PacketReport>,
        capacity_bps: f64,
        /// Of the way itself, in ms.
        delay_ms: f64,
        loss: f64,
        wish_bps: f64,
        /// The sender's thread stands still until then, and packets pile up behind it.
        asleep_until_ms: u64,
        asleep: Vec<PacketReport>,
    }

    impl Way {
        fn new(capacity_bps: f64) -> Self {
            Self {
                estimator: Estimator::new().0,
                start: Instant::now(),
                now_ms: 0,
                id: 0,
                owed_bytes: 0.0,
                free_ms: 0.0,
                reports: Vec::new(),
                capacity_bps,
                delay_ms: 20.0,
                loss: 0.0,
                wish_bps: WISH_BPS,
                asleep_until_ms: 0,
                asleep: Vec::new(),
            }
        }

        /// Runs for so many ms: a packet whenever one is due, reports every 50 ms.
        fn run(&mut self, ms: u64) -> f64 {
            for _ in 0..ms {
                self.now_ms += 1;
                self.owed_bytes += self.estimator.target_bps.min(self.wish_bps) / 8000.0;
                while self.owed_bytes >= PACKET_BYTES as f64 {
                    self.owed_bytes -= PACKET_BYTES as f64;
                    self.send();
                }
                if self.now_ms >= self.asleep_until_ms {
                    let slept = std::mem::take(&mut self.asleep);
                    for report in slept {
                        self.carry(report);
                    }
                }
                if self.now_ms.is_multiple_of(50) {
                    let (now, now_ms) = (self.start + MS * self.now_ms as u32, self.now_ms as f64);
                    let arrived =
                        |report: &PacketReport| report.arrival.is_none_or(|at| at.as_secs_f64() * 1000.0 <= now_ms);
                    let (ready, waiting) = std::mem::take(&mut self.reports).into_iter().partition(arrived);
                    self.reports = waiting;
                    let ready: Vec<PacketReport> = ready;
                    self.estimator.on_reports(now, &ready);
                }
            }
            self.estimator.target_bps
        }

        fn send(&mut self) {
            self.id += 1;
            let report = PacketReport {
                id: self.id,
                is_twcc: true,
                twcc_sequence_number: self.id as u16,
                size: PACKET_BYTES,
                departure: self.start + MS * self.now_ms as u32,
                ssrc: 1,
                rtp_sequence_number: self.id as u16,
                arrived: false,
                arrival: None,
                ecn: Default::default(),
            };
            if self.now_ms < self.asleep_until_ms { self.asleep.push(report) } else { self.carry(report) }
        }

        fn carry(&mut self, mut report: PacketReport) {
            // Spread evenly, the same every time.
            let lost = (self.id as f64 * self.loss).fract() < self.loss && self.loss > 0.0;
            let now_ms = self.now_ms as f64;
            let through_ms = self.free_ms.max(now_ms) + PACKET_BYTES as f64 * 8000.0 / self.capacity_bps;
            // Queues of routers end somewhere.
            if through_ms - now_ms < 1000.0 {
                self.free_ms = through_ms;
                report.arrived = !lost;
                report.arrival = (!lost).then(|| Duration::from_secs_f64((through_ms + self.delay_ms) / 1000.0));
            }
            self.reports.push(report);
        }
    }

    #[test]
    fn a_stream_that_is_never_reported_on_is_not_lost() {
        let mut way = Way::new(50_000_000.0);
        for _ in 0..400 {
            way.run(50);
            // Sound that a server says nothing about, twice as many packets as there are pictures.
            let departure = way.start + MS * way.now_ms as u32;
            let silent = |id| PacketReport {
                id,
                is_twcc: true,
                twcc_sequence_number: id as u16,
                size: 100,
                departure,
                ssrc: 2,
                rtp_sequence_number: id as u16,
                arrived: false,
                arrival: None,
                ecn: Default::default(),
            };
            let unheard: Vec<PacketReport> = (0..20).map(silent).collect();
            way.estimator.on_reports(departure, &unheard);
        }
        assert!(way.estimator.target_bps >= WISH_BPS, "{}", way.estimator.target_bps);
        assert!(way.estimator.by_loss.average() < 0.01);
    }

    #[test]
    fn a_wide_way_is_left_alone() {
        let mut way = Way::new(50_000_000.0);
        assert!(way.run(20_000) >= WISH_BPS);
    }

    #[test]
    fn a_narrow_way_is_found_quickly_and_kept_busy() {
        let mut way = Way::new(500_000.0);
        let found = way.run(2_000);
        assert!(found < 700_000.0, "after two seconds: {found}");
        way.run(5_000);
        let (mut sum, mut worst_queue) = (0.0, 0.0_f64);
        for _ in 0..100 {
            sum += way.run(200);
            worst_queue = worst_queue.max(way.free_ms - way.now_ms as f64);
        }
        let mean = sum / 100.0;
        assert!((330_000.0..560_000.0).contains(&mean), "{mean} of 500 kbit/s");
        assert!(worst_queue < 400.0, "a queue of {worst_queue} ms");
    }

    #[test]
    fn a_thread_that_runs_late_costs_little() {
        let mut way = Way::new(20_000_000.0);
        way.wish_bps = 400_000.0;
        way.run(3_000);
        for _ in 0..20 {
            way.asleep_until_ms = way.now_ms + 300;
            let after = way.run(500);
            assert!(after > 0.6 * INITIAL_BPS, "{after}");
        }
        let later = way.run(3_000);
        assert!(later > 0.9 * INITIAL_BPS, "{later}");
    }

    #[test]
    fn a_cap_that_is_lifted_is_noticed_within_seconds() {
        let mut way = Way::new(400_000.0);
        way.run(10_000);
        way.capacity_bps = 20_000_000.0;
        let after = way.run(8_000);
        assert!(after > 1_500_000.0, "after eight seconds: {after}");
    }

    #[test]
    fn a_detour_is_not_taken_for_a_queue() {
        for wish_bps in [WISH_BPS, 700_000.0] {
            let mut way = Way::new(50_000_000.0);
            way.wish_bps = wish_bps;
            way.run(5_000);
            way.delay_ms += 80.0;
            let least = (0..40).map(|_| way.run(100)).fold(f64::MAX, f64::min);
            assert!(least > 0.5 * wish_bps, "{least} of {wish_bps} in four seconds");
            let later = way.run(4_000);
            assert!(later > 0.95 * INITIAL_BPS, "{later} of {wish_bps} after eight seconds");
        }
    }

    #[test]
    fn a_queue_is_not_taken_for_a_detour() {
        let mut way = Way::new(2_500_000.0);
        way.run(5_000);
        way.capacity_bps = 400_000.0;
        way.run(4_000);
        // It is found, and from then on no more stands for long than the control itself lets stand.
        let mut queues: Vec<f64> = Vec::new();
        for _ in 0..300 {
            way.run(100);
            queues.push(way.free_ms - way.now_ms as f64);
        }
        let mean = queues.iter().sum::<f64>() / queues.len() as f64;
        assert!(mean < 150.0, "{mean} ms on average");
    }

    #[test]
    fn another_way_is_begun_as_if_it_were_the_first() {
        let mut way = Way::new(300_000.0);
        assert!(way.run(10_000) < 400_000.0);
        way.capacity_bps = 50_000_000.0;
        way.free_ms = way.now_ms as f64;
        way.delay_ms += 120.0;
        way.estimator.shown.way_changed();
        let least = (0..20).map(|_| way.run(100)).fold(f64::MAX, f64::min);
        assert!(least >= INITIAL_BPS, "{least}");
        assert_eq!(way.estimator.shown.bps(), Some(way.estimator.target_bps));
    }

    #[test]
    fn loss_that_is_the_ways_own_does_not_starve_the_call() {
        let mut way = Way::new(50_000_000.0);
        way.loss = 0.25;
        way.run(20_000);
        let settled = way.run(1_000);
        assert!(settled > 600_000.0, "{settled}");
        way.loss = 0.0;
        assert!(way.run(10_000) > 1_800_000.0);
    }

    #[test]
    fn bounds_hold_whatever_comes() {
        let mut way = Way::new(20_000.0);
        way.loss = 0.5;
        for _ in 0..50 {
            let target = way.run(500);
            assert!((MIN_BPS..=MAX_BPS).contains(&target), "{target}");
        }
        assert!(way.run(100) < 400_000.0);
    }
}
