//! How dark a camera's picture is, and so how much it is to be brightened: slowly, so that nothing flickers. On the
//! camera's thread.

use std::time::Duration;

use crate::media::{ColourRange, VideoFrame};

/// About so many points are looked at.
const POINTS: usize = 1024;
/// A picture with this mean brightness, as it is coded (0..=1), is bright enough.
const BRIGHT: f32 = 0.40;
/// With this or less it is brightened as far as it goes.
const DARK: f32 = 0.12;
/// The brightening follows within about this time.
const FOLLOWS: Duration = Duration::from_millis(600);
/// Less is nothing: no pass need run.
const LEAST: f32 = 0.01;

/// Follows the light.
#[derive(Debug, Default)]
pub(super) struct LightMeter {
    lift: Option<f32>,
}

impl LightMeter {
    /// How much a picture is to be brightened, 0..=1, the last one having come `since` ago.
    pub(super) fn lift(&mut self, frame: &VideoFrame, since: Duration) -> f32 {
        let wanted = ((BRIGHT - brightness(frame)) / (BRIGHT - DARK)).clamp(0.0, 1.0);
        let share = 1.0 - (-since.as_secs_f32() / FOLLOWS.as_secs_f32()).exp();
        let lift = self.lift.map_or(wanted, |lift| lift + (wanted - lift) * share);
        self.lift = Some(lift);
        if lift < LEAST { 0.0 } else { lift }
    }
}

/// Mean luma of a grid of points, 0..=1.
fn brightness(frame: &VideoFrame) -> f32 {
    let (width, luma) = (frame.width() as usize, frame.y());
    // An odd stride that is no divisor of the width: the points do not stand in a column.
    let mut stride = (luma.len() / POINTS).max(1) | 1;
    if stride > 1 && width.is_multiple_of(stride) {
        stride += 2;
    }
    let (sum, count) = luma.iter().step_by(stride).fold((0_u64, 0_u64), |(sum, n), y| (sum + u64::from(*y), n + 1));
    let mean = sum as f32 / count.max(1) as f32;
    match frame.colour().range {
        ColourRange::Full => mean / 255.0,
        ColourRange::Limited => ((mean - 16.0) / 219.0).clamp(0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(luma: u8) -> VideoFrame {
        let mut data = vec![128; VideoFrame::byte_len(64, 48)];
        data[..64 * 48].fill(luma);
        VideoFrame::new(64, 48, Default::default(), 0, data).unwrap()
    }

    #[test]
    fn dark_pictures_are_lifted_bright_ones_are_left_alone() {
        let first = |luma| LightMeter::default().lift(&frame(luma), Duration::ZERO);
        assert_eq!((first(150), first(235)), (0.0, 0.0));
        assert_eq!((first(16), first(30)), (1.0, 1.0));
        assert!(first(50) > first(70) && first(70) > 0.0);
    }

    #[test]
    fn a_lamp_switched_on_is_followed_without_a_jump() {
        let mut meter = LightMeter::default();
        let step = Duration::from_millis(50);
        let mut before = meter.lift(&frame(30), step);
        for _ in 0..200 {
            let now = meter.lift(&frame(200), step);
            assert!(now <= before && before - now < 0.1, "{before} to {now}");
            before = now;
        }
        assert_eq!(before, 0.0);
    }
}
