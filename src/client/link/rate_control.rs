//! From what reports say to a rate: one control by delay, one by loss (draft-ietf-rmcat-gcc-02 sections 5 and 6). Sans-IO:
//! time comes with the reports.
//!
//! Two things are ours. Delay counts only where a queue *stands*: the smallest delay of the last moments is what tells a
//! narrow way from a thread that ran late, whose backlog is gone with the next packets. And loss or delay that stays as
//! it is when less is sent belongs to the way: sending still less would not mend it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rtc::interceptor::{PacketReport, Usage};

/// Where the estimate starts, in bit/s. Nothing probes, so it starts at what a camera wants.
pub(super) const INITIAL_BPS: f64 = 2_000_000.0;
/// The estimate never falls below, in bit/s.
pub(super) const MIN_BPS: f64 = 150_000.0;
/// The estimate never rises above, in bit/s.
pub(super) const MAX_BPS: f64 = 20_000_000.0;
/// Backing off leaves this share of what arrived (draft section 5.5).
const DECREASE: f64 = 0.85;
/// Growth per second near the rate at which the way was last found full, and elsewhere.
const CAREFUL_GROWTH: f64 = 1.15;
const GROWTH: f64 = 1.6;
/// Near means within these shares of that rate.
const NEAR: std::ops::RangeInclusive<f64> = 0.7..=1.1;
/// Changes are given this long to take effect.
const CHANGE_INTERVAL: Duration = Duration::from_millis(200);
/// Sending less than this share of the estimate says little about the way.
const IDLE_SHARE: f64 = 0.7;
/// The estimate is not grown beyond this multiple of what is sent: there is no evidence for more.
const MAX_LEAD: f64 = 2.0;
/// A queue stands when no packet of these last moments was faster than this.
const QUEUE_WINDOW: Duration = Duration::from_millis(250);
const QUEUE_STANDS_MS: f64 = 15.0;
/// A queue so long is proof, however little is sent.
const QUEUE_LONG_MS: f64 = 60.0;
/// A long queue that keeps its length within this although less is sent is none: the way itself has become that slow.
const QUEUE_STEADY_MS: f64 = 30.0;
/// That is judged once what is sent has fallen to this share of what arrived: a queue would be shorter by then.
const QUEUE_TRIAL: f64 = 0.75;
/// And this share of it must arrive: behind a full way less does.
const QUEUE_THROUGH: f64 = 0.85;
/// The way's own delay is the smallest within one or two of these.
const BASE_WINDOW: Duration = Duration::from_secs(10);
/// Loss is looked at over so long and so many packets.
const LOSS_WINDOW: Duration = Duration::from_millis(500);
const LOSS_PACKETS: usize = 20;
/// Loss above this backs off, below that grows (draft section 6).
const LOSS_HIGH: f64 = 0.10;
const LOSS_LOW: f64 = 0.02;
/// Growth per window without loss.
const LOSS_GROWTH: f64 = 1.15;
/// What a window adds to the smoothed loss.
const SMOOTHING: f64 = 0.3;
/// Loss is judged again once what is sent has fallen to this share.
const LOSS_TRIAL: f64 = 0.75;

/// More loss than this is no way's own.
const INHERENT_MAX: f64 = 0.4;

/// How long packets wait on the way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    began: Option<Instant>,
    /// Departure, and delay in ms up to a constant.
    recent: VecDeque<(Instant, f64)>,
    /// Smallest delays of this and the last base window, and when this one began.
    base_ms: f64,
    last_base_ms: f64,
    base_began: Option<Instant>,
}

impl Queue {
    /// Takes a packet in that arrived.
    pub(super) fn add(&mut self, report: &PacketReport) {
        let Some(arrival) = report.arrival else { return };
        let began = *self.began.get_or_insert(report.departure);
        let departed = report.departure.saturating_duration_since(began);
        let delay_ms = (arrival.as_secs_f64() - departed.as_secs_f64()) * 1000.0;
        match self.base_began {
            Some(at) if report.departure.saturating_duration_since(at) < BASE_WINDOW => {
                self.base_ms = self.base_ms.min(delay_ms);
            }
            at => {
                self.last_base_ms = if at.is_some() { self.base_ms } else { delay_ms };
                self.base_ms = delay_ms;
                self.base_began = Some(report.departure);
            }
        }
        self.recent.push_back((report.departure, delay_ms));
        while self.recent.front().is_some_and(|(at, _)| report.departure.saturating_duration_since(*at) > QUEUE_WINDOW)
        {
            self.recent.pop_front();
        }
    }

    /// How long the fastest packet of the last moments waited, in ms.
    fn standing_ms(&self) -> f64 {
        self.fastest_ms().map_or(0.0, |fastest| (fastest - self.base_ms.min(self.last_base_ms)).max(0.0))
    }

    /// What the fastest packet of the last moments took is what the way takes now.
    fn rebase(&mut self) {
        let Some(fastest) = self.fastest_ms() else { return };
        (self.base_ms, self.last_base_ms) = (fastest, fastest);
    }

    /// When the oldest and the newest packet of these moments left.
    fn departures(&self) -> Option<(Instant, Instant)> {
        Some((self.recent.front()?.0, self.recent.back()?.0))
    }

    fn fastest_ms(&self) -> Option<f64> {
        self.recent.iter().map(|(_, delay)| *delay).reduce(f64::min)
    }
}

/// Turns what the delay says into a rate.
#[derive(Debug)]
pub(super) struct DelayControl {
    target_bps: f64,
    /// What arrived when the way was last found full.
    full_bps: Option<f64>,
    changed: Option<Instant>,
    /// Less is sent for a long queue.
    trial: Option<Trial>,
}

/// How things were when less began to be sent for a long queue.
#[derive(Clone, Copy, Debug)]
struct Trial {
    queue_ms: f64,
    arrived_bps: f64,
    /// When the newest packet had left.
    departed: Instant,
}

impl DelayControl {
    pub(super) fn new() -> Self {
        Self { target_bps: INITIAL_BPS, full_bps: None, changed: None, trial: None }
    }

    pub(super) fn target_bps(&self) -> f64 {
        self.target_bps
    }

    /// `sent` and `arrived` in bit/s over the last moments, once known.
    pub(super) fn update(
        &mut self,
        now: Instant,
        usage: Usage,
        queue: &mut Queue,
        sent: Option<f64>,
        arrived: Option<f64>,
    ) -> f64 {
        let since = self.changed.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < CHANGE_INTERVAL) {
            return self.target_bps;
        }
        let (Some(sent), Some(arrived)) = (sent, arrived) else { return self.target_bps };
        let secs = since.unwrap_or(CHANGE_INTERVAL).as_secs_f64().min(1.0);
        let queue_ms = queue.standing_ms();
        if queue_ms < QUEUE_LONG_MS {
            self.trial = None;
        }
        match usage {
            Usage::Over if queue_ms > QUEUE_STANDS_MS => {
                let idle = sent < IDLE_SHARE * self.target_bps && queue_ms < QUEUE_LONG_MS;
                let carried = if idle { self.target_bps } else { arrived.min(self.target_bps) };
                if !idle {
                    self.full_bps = Some(carried);
                }
                self.target_bps = (carried * DECREASE).clamp(MIN_BPS, MAX_BPS);
            }
            Usage::Normal if queue_ms < QUEUE_LONG_MS => {
                let limit = (sent * MAX_LEAD).clamp(INITIAL_BPS, MAX_BPS);
                if self.target_bps < limit {
                    let near = self.full_bps.is_some_and(|full| NEAR.contains(&(self.target_bps / full)));
                    let growth: f64 = if near { CAREFUL_GROWTH } else { GROWTH };
                    self.target_bps = (self.target_bps * growth.powf(secs)).min(limit);
                }
            }
            // The way is another one, or was led another way: nothing is known of what this one carries.
            Usage::Normal if self.is_the_way(queue, sent, arrived) => {
                queue.rebase();
                (self.trial, self.full_bps) = (None, None);
            }
            // The detector has grown used to it: a long queue is one all the same. It shows what the way carries.
            Usage::Normal => {
                self.full_bps = Some(arrived);
                self.target_bps = self.target_bps.min(arrived * DECREASE).max(MIN_BPS);
            }
            // A queue drains, or a thread ran late: wait until it is over.
            _ => {}
        }
        self.changed = Some(now);
        self.target_bps
    }

    /// Whether what seems to be a long queue is the way's own delay: a queue gets shorter when less is sent.
    fn is_the_way(&mut self, queue: &Queue, sent: f64, arrived: f64) -> bool {
        let Some((oldest, newest)) = queue.departures() else { return false };
        let queue_ms = queue.standing_ms();
        let steady = |trial: &Trial| (queue_ms - trial.queue_ms).abs() <= QUEUE_STEADY_MS;
        let Some(trial) = self.trial.filter(steady) else {
            self.trial = Some(Trial { queue_ms, arrived_bps: arrived, departed: newest });
            return false;
        };
        // Below the least there is nothing to try.
        let less = sent <= (QUEUE_TRIAL * trial.arrived_bps).max(MIN_BPS);
        less && oldest >= trial.departed && arrived >= QUEUE_THROUGH * sent
    }
}

/// Turns what the loss says into a rate.
#[derive(Debug)]
pub(super) struct LossControl {
    target_bps: f64,
    window: Window,
    /// The loss and the rate of when it was first too much.
    trial: Option<(f64, f64)>,
    /// The share that is lost whatever is sent.
    inherent: f64,
    average: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Option<Instant>,
    packets: usize,
    lost: usize,
    bytes: usize,
}

impl LossControl {
    pub(super) fn new() -> Self {
        Self { target_bps: INITIAL_BPS, window: Window::default(), trial: None, inherent: 0.0, average: 0.0 }
    }

    pub(super) fn target_bps(&self) -> f64 {
        self.target_bps
    }

    /// The share that was lost of late, smoothed.
    pub(super) fn average(&self) -> f64 {
        self.average
    }

    /// Counts a packet.
    pub(super) fn add(&mut self, report: &PacketReport) {
        self.window.packets += 1;
        self.window.lost += usize::from(!report.arrived);
        self.window.bytes += report.size;
    }

    /// `by_delay` in bit/s: this control never runs far ahead of the other, so that it bites when it must.
    pub(super) fn update(&mut self, now: Instant, by_delay: f64) -> f64 {
        let began = *self.window.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed < LOSS_WINDOW || self.window.packets < LOSS_PACKETS {
            return self.target_bps;
        }
        let Window { packets, lost, bytes, .. } = self.window;
        self.window = Window { began: Some(now), ..Window::default() };
        let loss = lost as f64 / packets as f64;
        let sent = bytes as f64 * 8.0 / passed.as_secs_f64();
        self.average += SMOOTHING * (loss - self.average);
        self.inherent = self.inherent.min(loss);
        self.judge(loss, sent);
        let excess = loss - self.inherent;
        if excess > LOSS_HIGH {
            self.target_bps *= 1.0 - 0.5 * excess;
        } else if excess < LOSS_LOW {
            self.target_bps *= LOSS_GROWTH;
            self.trial = None;
        }
        self.target_bps = self.target_bps.min(MAX_LEAD * by_delay).clamp(MIN_BPS, MAX_BPS);
        self.target_bps
    }

    /// A full way delivers the same when less is sent; one that just loses delivers less in proportion.
    fn judge(&mut self, loss: f64, sent: f64) {
        if loss - self.inherent <= LOSS_HIGH {
            return;
        }
        let (first_loss, first_sent) = *self.trial.get_or_insert((loss, sent));
        if sent > LOSS_TRIAL * first_sent {
            return;
        }
        let less_sent = sent / first_sent;
        let less_delivered = less_sent * (1.0 - loss) / (1.0 - first_loss).max(0.01);
        if less_delivered < (1.0 + less_sent) / 2.0 {
            self.inherent = loss.min(INHERENT_MAX);
        }
        self.trial = None;
    }
}
