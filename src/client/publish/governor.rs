//! How many frames per second, and of which size, a picture is encoded with, by what the way and the processor carry.
//! Cameras give up frames first and pixels then; screens give up frames only, so that text stays sharp. Time is an
//! input: durations since any fixed moment.

use std::time::Duration;

/// What is left of the frame rate and of each side at each step down.
type Step = (f32, f32);
const CAMERA: [Step; 5] = [(1.0, 1.0), (0.67, 1.0), (0.5, 1.0), (0.5, 0.75), (0.5, 0.5)];
const SCREEN: [Step; 5] = [(1.0, 1.0), (0.67, 1.0), (0.5, 1.0), (0.33, 1.0), (0.2, 1.0)];
/// What is left of the frame rate of a camera with several layers, and whether the highest is left out, at each step
/// down for the processor: the smaller picture is there already, so nothing is scaled.
const LAYERED: [(f32, bool); 5] = [(1.0, false), (0.67, false), (0.5, false), (0.5, true), (0.33, true)];
/// Fewer frames per second are no longer a moving picture.
const MIN_FPS: f32 = 1.0;

/// The least a camera at 640x360 and 15 frames per second needs to be worth its frame rate, in bit/s; others by these
/// powers of their pixels and frames.
const CAMERA_NEED_BPS: f64 = 150_000.0;
const CAMERA_PIXELS: f64 = 640.0 * 360.0;
const CAMERA_FPS: f64 = 15.0;
const PIXELS_EXPONENT: f64 = 0.75;
const FPS_EXPONENT: f64 = 0.6;
/// The least of a screen, in bits per pixel and frame.
const SCREEN_NEED: f64 = 0.013;
/// A step up needs this much more than the step itself, and this long since the last change.
const UP_MARGIN: f64 = 1.3;
const UP_AFTER: Duration = Duration::from_secs(4);
/// Steps down leave this long for the last change to show.
const DOWN_AFTER: Duration = Duration::from_millis(1500);

/// The processor's share is taken over this long.
const LOAD_WINDOW: Duration = Duration::from_secs(1);
/// Encoding that takes more of the time than this for two windows is too much.
const TOO_BUSY: f32 = 0.8;
const BUSY_WINDOWS: u32 = 2;
/// A step up is tried when it would take less than this for so many windows.
const IDLE: f32 = 0.55;
const IDLE_WINDOWS: u32 = 10;
/// Each step up that is taken back within so many windows doubles that wait, up to so many; one that lasts ends it.
const PROVEN_WINDOWS: u32 = 30;
const MOST_IDLE_WINDOWS: u32 = 16 * IDLE_WINDOWS;

/// What to encode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Frames per second.
    pub(super) fps: f32,
    /// Of the highest of several layers, which is the first to get too little; else the same.
    pub(super) top_fps: f32,
    /// Of each side of every layer, 0..=1.
    pub(super) scale: f32,
    /// Whether the highest of several layers is left out.
    pub(super) spare_top: bool,
}

/// What the plan depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    /// Frames per second of the source.
    pub(super) source_fps: f32,
    /// Pixels of the highest layer that may be sent.
    pub(super) pixels: u64,
    /// Pixels of all layers that may be sent.
    pub(super) all_pixels: u64,
    /// What that layer may take, in bit/s.
    pub(super) bps: u32,
    /// Layers that may be sent.
    pub(super) layers: usize,
}

/// Decides for one picture.
pub(super) struct Governor {
    screen: bool,
    rate_step: usize,
    rate_changed: Option<Duration>,
    /// Of the newest plan.
    situation: Option<Situation>,
    cpu_step: usize,
    window: Option<(Duration, Duration)>,
    busy_windows: u32,
    idle_windows: u32,
    /// Idle windows before a step up.
    idle_wait: u32,
    /// Windows since the newest step up, until it proved itself.
    raised_windows: Option<u32>,
}

impl Governor {
    pub(super) fn new(screen: bool) -> Self {
        Self {
            screen,
            rate_step: 0,
            rate_changed: None,
            situation: None,
            cpu_step: 0,
            window: None,
            busy_windows: 0,
            idle_windows: 0,
            idle_wait: IDLE_WINDOWS,
            raised_windows: None,
        }
    }

    fn steps(&self) -> &'static [Step; 5] {
        if self.screen { &SCREEN } else { &CAMERA }
    }

    /// What to encode now.
    pub(super) fn plan(&mut self, now: Duration, at: Situation) -> Plan {
        self.follow_rate(now, at);
        self.situation = Some(at);
        self.plan_at(self.cpu_step, at)
    }

    /// What is encoded at a step of the processor's.
    fn plan_at(&self, cpu_step: usize, at: Situation) -> Plan {
        let several = at.layers > 1;
        let (rate_fps, rate_scale) = self.steps()[self.rate_step];
        let (cpu_fps, cpu_scale, spare_top) = if several && !self.screen {
            let (fps, spare_top) = LAYERED[cpu_step];
            (fps, 1.0, spare_top)
        } else {
            let (fps, scale) = self.steps()[cpu_step];
            (fps, scale, false)
        };
        let fps = |share: f32| (at.source_fps * share).max(MIN_FPS.min(at.source_fps));
        let top_fps = fps(rate_fps.min(cpu_fps));
        // Lower layers are served first: one that gets too little is the highest.
        let fps = if several { fps(cpu_fps) } else { top_fps };
        Plan { fps, top_fps, scale: rate_scale.min(cpu_scale), spare_top }
    }

    /// What encoding takes at a step of the processor's, in pixels per second.
    fn work(&self, cpu_step: usize, at: Situation) -> f32 {
        let plan = self.plan_at(cpu_step, at);
        let top = if plan.spare_top { 0.0 } else { at.pixels as f32 * plan.top_fps };
        let below = at.all_pixels.saturating_sub(at.pixels) as f32 * plan.fps;
        (top + below) * plan.scale.powi(2)
    }

    fn follow_rate(&mut self, now: Duration, at: Situation) {
        let steps = self.steps();
        let last = if at.layers > 1 { self.last_whole_step() } else { steps.len() - 1 };
        self.rate_step = self.rate_step.min(last);
        let since = self.rate_changed.map(|changed| now.saturating_sub(changed));
        let bps = f64::from(at.bps);
        let fitting = (0..last).find(|step| self.need_bps(*step, at) <= bps).unwrap_or(last);
        let before = self.rate_step;
        if fitting > self.rate_step {
            if since.is_none_or(|since| since >= DOWN_AFTER) {
                self.rate_step = fitting;
            }
        } else if self.rate_step > 0
            && since.is_none_or(|since| since >= UP_AFTER)
            && self.need_bps(self.rate_step - 1, at) * UP_MARGIN <= bps
        {
            self.rate_step -= 1;
        }
        if self.rate_step != before {
            tracing::debug!(bps = at.bps, step = self.rate_step, "the frame rate or size follows the bitrate");
            self.rate_changed = Some(now);
        }
    }

    /// The last step that keeps the size.
    fn last_whole_step(&self) -> usize {
        self.steps().iter().rposition(|step| step.1 >= 1.0).unwrap_or(0)
    }

    /// What a picture needs at a step, in bit/s.
    fn need_bps(&self, step: usize, at: Situation) -> f64 {
        let (fps, scale) = self.steps()[step];
        let fps = f64::from(at.source_fps * fps);
        let pixels = at.pixels as f64 * f64::from(scale).powi(2);
        if self.screen {
            return SCREEN_NEED * pixels * fps;
        }
        CAMERA_NEED_BPS * (pixels / CAMERA_PIXELS).powf(PIXELS_EXPONENT) * (fps / CAMERA_FPS).powf(FPS_EXPONENT)
    }

    /// Encoding one frame took this long, and the wait for the next begins now.
    pub(super) fn spent(&mut self, now: Duration, took: Duration) {
        let (since, busy) = self.window.get_or_insert((now.saturating_sub(took), Duration::ZERO));
        *busy += took;
        let elapsed = now.saturating_sub(*since);
        if elapsed < LOAD_WINDOW {
            return;
        }
        let load = busy.as_secs_f32() / elapsed.as_secs_f32();
        self.window = Some((now, Duration::ZERO));
        self.judge(load);
    }

    fn judge(&mut self, load: f32) {
        let Some(at) = self.situation else { return };
        self.prove();
        self.busy_windows = if load > TOO_BUSY { self.busy_windows + 1 } else { 0 };
        let above = self.cpu_step.checked_sub(1).map(|step| load * self.work(step, at) / self.work(self.cpu_step, at));
        self.idle_windows = if above.is_some_and(|load| load < IDLE) { self.idle_windows + 1 } else { 0 };
        if self.busy_windows >= BUSY_WINDOWS && self.cpu_step + 1 < self.steps().len() {
            if self.raised_windows.take().is_some() {
                self.idle_wait = (self.idle_wait * 2).min(MOST_IDLE_WINDOWS);
            }
            self.cpu_step += 1;
            self.busy_windows = 0;
            tracing::info!(load, step = self.cpu_step, "encoding takes too much of the processor: less is encoded");
        } else if self.idle_windows >= self.idle_wait {
            self.cpu_step -= 1;
            self.idle_windows = 0;
            self.raised_windows = Some(0);
            tracing::info!(load, step = self.cpu_step, "the processor carries more again");
        }
    }

    /// A step up that has lasted long enough shows that earlier failures are over.
    fn prove(&mut self) {
        let Some(windows) = &mut self.raised_windows else { return };
        *windows += 1;
        if *windows >= PROVEN_WINDOWS {
            self.raised_windows = None;
            self.idle_wait = IDLE_WINDOWS;
        }
    }
}

/// Leaves out frames of a source that is faster than the plan.
#[derive(Debug, Default)]
pub(super) struct FrameLimit {
    due_us: Option<u64>,
}

impl FrameLimit {
    /// Whether the frame captured at `at_us` is encoded, for `fps` of a source that gives `source_fps`.
    pub(super) fn takes(&mut self, at_us: u64, fps: f32, source_fps: f32) -> bool {
        let interval_us = (1e6 / f64::from(fps.max(0.1))) as u64;
        // Frames that come early are as many as those that come late; only a wish for fewer leaves any out.
        let early_us = if fps >= source_fps * 0.97 { interval_us / 2 } else { interval_us / 10 };
        match self.due_us {
            Some(due) if at_us + early_us < due && due - at_us <= 4 * interval_us => false,
            // Behind by a frame or more, or on another clock: begin anew.
            Some(due) if at_us < due + interval_us && at_us + early_us >= due => {
                self.due_us = Some(due + interval_us);
                true
            }
            _ => {
                self.due_us = Some(at_us + interval_us);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    fn camera(bps: u32) -> Situation {
        Situation { source_fps: 30.0, pixels: 640 * 480, all_pixels: 640 * 480, bps, layers: 1 }
    }

    fn layered(bps: u32) -> Situation {
        let pixels = 1280 * 720;
        Situation { source_fps: 30.0, pixels, all_pixels: pixels + pixels / 4 + pixels / 16, bps, layers: 3 }
    }

    const EVERYTHING: Plan = Plan { fps: 30.0, top_fps: 30.0, scale: 1.0, spare_top: false };

    /// Runs a picture for so long; `took` says how long a frame takes to encode. Gives every plan that differs from the
    /// one before.
    fn run(
        governor: &mut Governor,
        now: &mut Duration,
        secs: u64,
        at: Situation,
        took: impl Fn(Plan) -> f64,
    ) -> Vec<Plan> {
        let end = *now + Duration::from_secs(secs);
        let mut plans: Vec<Plan> = Vec::new();
        while *now < end {
            let plan = governor.plan(*now, at);
            if plans.last() != Some(&plan) {
                plans.push(plan);
            }
            let took = Duration::from_secs_f64(took(plan));
            *now += took.max(Duration::from_secs_f64(1.0 / f64::from(plan.fps)));
            governor.spent(*now, took);
        }
        plans
    }

    #[test]
    fn a_camera_gives_up_frames_then_pixels_and_comes_back_slowly() {
        let mut governor = Governor::new(false);
        assert_eq!(governor.plan(secs(0.0), camera(800_000)), EVERYTHING);
        let tight = governor.plan(secs(1.0), camera(230_000));
        assert!(tight.fps < 21.0 && tight.scale == 1.0, "{tight:?}");
        let tighter = governor.plan(secs(3.0), camera(100_000));
        assert!(tighter.fps <= 15.0 && tighter.scale < 1.0, "{tighter:?}");
        let soon = governor.plan(secs(4.0), camera(800_000));
        assert_eq!(soon, tighter, "not at once");
        let mut ups = 0;
        let mut last = soon;
        for tenth in 40..400 {
            let plan = governor.plan(secs(f64::from(tenth) / 10.0), camera(800_000));
            ups += u32::from(plan != last);
            last = plan;
        }
        assert_eq!(last, EVERYTHING);
        assert!(ups >= 2, "step by step");
    }

    #[test]
    fn a_rate_on_the_edge_does_not_flap() {
        let mut governor = Governor::new(false);
        let mut changes = 0;
        let mut last = governor.plan(secs(0.0), camera(280_000));
        for tenth in 1..1200 {
            let bps = if tenth % 7 < 3 { 260_000 } else { 300_000 };
            let plan = governor.plan(secs(f64::from(tenth) / 10.0), camera(bps));
            changes += u32::from(plan != last);
            last = plan;
        }
        assert!(changes <= 2, "{changes} changes in two minutes");
    }

    #[test]
    fn a_screen_keeps_its_size() {
        let mut governor = Governor::new(true);
        let pixels = 1920 * 1080;
        let screen = |bps| Situation { source_fps: 15.0, pixels, all_pixels: pixels, bps, layers: 1 };
        assert_eq!(governor.plan(secs(0.0), screen(1_500_000)).fps, 15.0);
        let tight = governor.plan(secs(2.0), screen(100_000));
        assert!((tight.fps - 3.0).abs() < 0.1 && tight.scale == 1.0, "{tight:?}");
        let slow = Situation { source_fps: 2.0, ..screen(10_000) };
        assert_eq!(governor.plan(secs(9.0), slow).fps, 1.0, "a frame per second is always sent");
    }

    #[test]
    fn a_slow_processor_costs_frames_and_the_top_layer_and_gets_them_back() {
        let mut governor = Governor::new(false);
        let (mut now, at) = (secs(0.0), layered(1_000_000));
        assert_eq!(run(&mut governor, &mut now, 10, at, |_| 0.010), [EVERYTHING], "a third of the time is fine");
        let slow = run(&mut governor, &mut now, 4, at, |_| 0.040);
        assert!(slow.last().is_some_and(|plan| plan.fps < 30.0 && !plan.spare_top), "{slow:?}");
        let slower = run(&mut governor, &mut now, 20, at, |_| 0.200);
        let [.., before, last] = slower[..] else { panic!("{slower:?}") };
        assert!(before.spare_top && last.spare_top && last.scale == 1.0, "{slower:?}");
        assert!(last.fps < 0.8 * before.fps, "the last step still gives relief: {slower:?}");
        let back = run(&mut governor, &mut now, 80, at, |_| 0.008);
        assert_eq!(back.last(), Some(&EVERYTHING));
    }

    #[test]
    fn the_top_layer_stays_away_while_the_processor_cannot_carry_it() {
        let mut governor = Governor::new(false);
        let mut now = secs(0.0);
        // In proportion to the pixels: 60 ms a frame with the top layer, 14 without.
        let took = |plan: Plan| if plan.spare_top { 0.060 * 0.3125 / 1.3125 } else { 0.060 };
        let plans = run(&mut governor, &mut now, 600, layered(1_000_000), took);
        assert_eq!(plans.len(), 4, "down, and that is that: {plans:?}");
        assert!(plans[3].spare_top);
    }

    #[test]
    fn a_step_up_that_fails_is_tried_less_and_less_often_and_that_is_forgotten() {
        let mut governor = Governor::new(false);
        let (mut now, at) = (secs(0.0), layered(1_000_000));
        // The top layer costs far more than its pixels.
        let plans = run(&mut governor, &mut now, 600, at, |plan| if plan.spare_top { 0.005 } else { 0.070 });
        let tries = plans.windows(2).filter(|pair| pair[0].spare_top && !pair[1].spare_top).count();
        assert!((2..=8).contains(&tries), "{tries} in ten minutes");
        // The machine is free again: everything comes back, and the next trouble is met as the first was.
        run(&mut governor, &mut now, 300, at, |_| 0.002);
        assert_eq!(governor.plan(now, at), EVERYTHING);
        run(&mut governor, &mut now, 4, at, |_| 0.060);
        let back = run(&mut governor, &mut now, 40, at, |_| 0.002);
        assert_eq!(back.last(), Some(&EVERYTHING));
    }

    #[test]
    fn a_poor_top_layer_costs_its_own_frames_only() {
        let mut governor = Governor::new(false);
        let plan = governor.plan(secs(0.0), layered(450_000));
        assert!(plan.fps == 30.0 && plan.top_fps < 21.0 && plan.scale == 1.0 && !plan.spare_top, "{plan:?}");
        let alone = governor.plan(secs(0.1), Situation { layers: 1, all_pixels: 1280 * 720, ..layered(450_000) });
        assert_eq!(alone.fps, alone.top_fps);
    }

    #[test]
    fn a_hiccup_changes_nothing() {
        let mut governor = Governor::new(false);
        let mut now = secs(0.0);
        for frame in 0..600 {
            now += secs(1.0 / 30.0);
            governor.plan(now, camera(800_000));
            governor.spent(now, Duration::from_millis(if frame % 120 == 60 { 900 } else { 5 }));
        }
        assert_eq!(governor.plan(now, camera(800_000)).fps, 30.0);
    }

    fn taken(times: impl Iterator<Item = u64>, fps: f32, source_fps: f32) -> usize {
        let mut limit = FrameLimit::default();
        times.filter(|at| limit.takes(*at, fps, source_fps)).count()
    }

    #[test]
    fn frames_are_left_out_evenly() {
        let thirty = || (0..300u64).map(|n| n * 33_333);
        assert_eq!(taken(thirty(), 30.0, 30.0), 300);
        let twenty = taken(thirty(), 20.0, 30.0);
        assert!((198..=202).contains(&twenty), "{twenty}");
        let one = taken(thirty(), 1.0, 30.0);
        assert!((10..=11).contains(&one), "{one}");
        let jittery = thirty().enumerate().map(|(n, at)| at + [0, 9_000, 3_000, 12_000][n % 4]);
        assert_eq!(taken(jittery, 30.0, 30.0), 300, "jitter costs no frame");
    }

    #[test]
    fn a_source_faster_than_it_says_is_held_to_its_word() {
        let thousand = taken((0..5_000u64).map(|n| n * 1_000), 30.0, 30.0);
        assert!((148..=153).contains(&thousand), "{thousand} in five seconds");
        // A clock that jumps stops nothing.
        assert_eq!(taken([0, 33_333, 90_000_000, 90_033_333, 5, 33_338].into_iter(), 30.0, 30.0), 6);
    }
}
