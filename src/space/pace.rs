//! Frame times, for the report and the statistics; and the brake that an off-screen room needs: without a swap chain
//! nothing else keeps frames from piling up in the driver's queue.

use std::collections::VecDeque;
use std::time::Instant;

use bevy::prelude::*;
use bevy::render::renderer::{RenderDevice, RenderQueue};
use bevy::render::{Render, RenderApp, RenderSystems};
use wgpu::{PollType, SubmissionIndex};

use super::settings::{SpaceSettings, ViewTarget};

/// Frame times kept: over two minutes at 60 Hz.
const KEPT: usize = 8192;
/// Frames that may be in flight before the next one waits.
const IN_FLIGHT: usize = 1;

/// Time between frames.
#[derive(Resource, Debug, Default)]
pub struct FrameTimes {
    last: Option<Instant>,
    newest_ms: VecDeque<f32>,
    total: u64,
}

/// Frame times in short.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameTimeSummary {
    /// Frames counted.
    pub frames: u64,
    /// Median, in ms.
    pub median_ms: f32,
    /// 95th percentile, in ms.
    pub p95_ms: f32,
    /// 99th percentile, in ms.
    pub p99_ms: f32,
}

impl FrameTimes {
    /// Percentiles over the newest frames (up to 8192).
    pub fn summary(&self) -> FrameTimeSummary {
        let mut sorted: Vec<f32> = self.newest_ms.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let at = |share: f32| {
            let index = (sorted.len().saturating_sub(1) as f32 * share).round() as usize;
            sorted.get(index).copied().unwrap_or(0.0)
        };
        FrameTimeSummary { frames: self.total, median_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99) }
    }

    /// Forgets what was counted, to leave the start out of a measurement.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn tick(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            if self.newest_ms.len() == KEPT {
                self.newest_ms.pop_front();
            }
            self.newest_ms.push_back((now - last).as_secs_f32() * 1000.0);
            self.total += 1;
        }
    }
}

#[derive(Resource, Default)]
struct Submitted(VecDeque<SubmissionIndex>);

/// Counts frame times and brakes off-screen rendering.
pub struct PacePlugin;

impl Plugin for PacePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<FrameTimes>().add_systems(First, count_frame);
        let offscreen = app
            .world()
            .get_resource::<SpaceSettings>()
            .is_some_and(|settings| matches!(settings.view, ViewTarget::Offscreen { .. }));
        if let Some(render_app) = app.get_sub_app_mut(RenderApp)
            && offscreen
        {
            render_app.init_resource::<Submitted>().add_systems(Render, brake.in_set(RenderSystems::Cleanup));
        }
    }
}

fn count_frame(mut times: ResMut<FrameTimes>) {
    times.tick(Instant::now());
}

/// Waits until all but the newest frame are drawn.
fn brake(mut submitted: ResMut<Submitted>, queue: Res<RenderQueue>, device: Res<RenderDevice>) {
    // An empty submission marks the end of this frame's work.
    submitted.0.push_back(queue.submit([]));
    while submitted.0.len() > IN_FLIGHT {
        let Some(index) = submitted.0.pop_front() else { return };
        let done = device.poll(PollType::Wait { submission_index: Some(index), timeout: None });
        if let Err(error) = done {
            warn_once!(%error, "waiting for the GPU failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn percentiles_come_from_the_gaps_between_frames() {
        let mut times = FrameTimes::default();
        let start = Instant::now();
        let mut at = start;
        for frame in 0..=100 {
            times.tick(at);
            at += Duration::from_millis(if frame == 50 { 200 } else { 10 });
        }
        let summary = times.summary();
        assert_eq!(summary.frames, 100);
        assert!((summary.median_ms - 10.0).abs() < 0.5, "{summary:?}");
        assert!((summary.p95_ms - 10.0).abs() < 0.5, "{summary:?}");
        times.clear();
        assert_eq!(times.summary(), FrameTimeSummary::default());
    }
}
