//! In which size pictures are filtered: the camera's, or a smaller one that this machine keeps up with. Times are inputs.

use std::time::Duration;

/// Shares of each side, from the largest down.
const SHARES: [f32; 5] = [1.0, 0.75, 0.5, 0.375, 0.25];
/// A device that draws on the CPU begins with at most so many pixels.
const MODEST_PIXELS: u64 = 640 * 360;
/// Filtering may take this share of the time between two pictures: the room has to be drawn, too.
const TOO_LONG: f32 = 0.5;
/// The next larger size is tried when it would probably take less than this.
const WELL_BELOW: f32 = 0.25;
/// Pictures that a change is judged by.
const SETTLED: u32 = 12;
/// Nothing smaller than this, in pixels of the shorter side.
const LEAST_SIDE_PX: u32 = 90;

/// Chooses the size.
#[derive(Debug, Default)]
pub(super) struct WorkingSize {
    /// Index into [`SHARES`].
    step: usize,
    modest: bool,
    /// What a picture took, smoothed, as a share of the time between two.
    load: f32,
    /// Pictures since the last change.
    since: u32,
    /// The step that turned out too large lately, and how long it is avoided.
    avoided: Option<(usize, u32)>,
}

/// Pictures after which a size that was too large is tried again: a minute or so.
const AVOIDED: u32 = 1500;

impl WorkingSize {
    /// See [`MODEST_PIXELS`].
    pub(super) fn be_modest(&mut self) {
        self.modest = true;
    }

    /// The size for a picture of the camera; even sides.
    pub(super) fn of(&mut self, (width, height): (u32, u32)) -> (u32, u32) {
        let pixels = |step: usize| (f64::from(width) * f64::from(height) * f64::from(SHARES[step]).powi(2)) as u64;
        if std::mem::take(&mut self.modest) {
            self.step =
                (self.step..SHARES.len()).find(|step| pixels(*step) <= MODEST_PIXELS).unwrap_or(SHARES.len() - 1);
        }
        let least = |step: &usize| (width.min(height) as f32 * SHARES[*step]) as u32 >= LEAST_SIDE_PX;
        let step = (0..=self.step).rev().find(least).unwrap_or(0);
        let side = |side: u32| ((side as f32 * SHARES[step]).round() as u32 & !1).max(2);
        if step == 0 { (width, height) } else { (side(width), side(height)) }
    }

    /// A picture took so long; the camera gives one every `interval`.
    pub(super) fn took(&mut self, cost: Duration, interval: Duration) {
        if interval.is_zero() {
            return;
        }
        let load = (cost.as_secs_f32() / interval.as_secs_f32()).min(10.0);
        self.load = if self.since == 0 { load } else { self.load * 0.8 + load * 0.2 };
        self.since += 1;
        if let Some((_, left)) = &mut self.avoided {
            *left -= 1;
            if *left == 0 {
                self.avoided = None;
            }
        }
        if self.since < SETTLED {
            return;
        }
        if self.load > TOO_LONG && self.step + 1 < SHARES.len() {
            self.avoided = Some((self.step, AVOIDED));
            self.change(self.step + 1);
        } else if let Some(larger) = self.step.checked_sub(1)
            && self.load * (SHARES[larger] / SHARES[self.step]).powi(2) < WELL_BELOW
            && self.avoided.is_none_or(|(step, _)| step != larger)
        {
            self.change(larger);
        }
    }

    fn change(&mut self, step: usize) {
        (self.step, self.since) = (step, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: (u32, u32) = (1280, 720);

    /// So many pictures on a machine that takes so long for each megapixel.
    fn run(size: &mut WorkingSize, ms_per_megapixel: f32, pictures: u32) -> (u32, u32) {
        for _ in 0..pictures {
            let (width, height) = size.of(CAMERA);
            let cost_ms = width as f32 * height as f32 / 1e6 * ms_per_megapixel;
            size.took(Duration::from_secs_f32(cost_ms / 1e3), Duration::from_millis(50));
        }
        size.of(CAMERA)
    }

    #[test]
    fn a_fast_machine_filters_what_the_camera_gives() {
        assert_eq!(run(&mut WorkingSize::default(), 1.0, 2000), CAMERA);
    }

    #[test]
    fn a_slow_one_filters_less_and_keeps_up() {
        let mut size = WorkingSize::default();
        size.be_modest();
        assert_eq!(size.of(CAMERA), (640, 360));
        let (width, height) = run(&mut size, 100.0, 400);
        assert!(width * height * 100 / 1_000_000 <= 25, "{width}x{height}");
        assert!(width >= 320, "{width}x{height}: smaller than needed");
    }

    #[test]
    fn it_grows_again_when_there_is_room_and_does_not_swing() {
        let mut size = WorkingSize::default();
        size.be_modest();
        assert_eq!(run(&mut size, 5.0, 200), CAMERA);
        // 0.5 of the interval is passed by the largest size alone, and it is not tried over and over.
        let mut changes = 0;
        let mut before = size.of(CAMERA);
        for _ in 0..1000 {
            let now = run(&mut size, 28.0, 1);
            changes += u32::from(now != before);
            before = now;
        }
        assert!(changes <= 2, "{changes} changes");
    }

    #[test]
    fn tiny_and_odd_pictures_keep_their_size() {
        let mut size = WorkingSize::default();
        size.be_modest();
        for camera in [(1, 1), (3, 5), (160, 90), (641, 101)] {
            assert_eq!(size.of(camera), camera);
        }
        for _ in 0..1000 {
            size.of((161, 121));
            size.took(Duration::from_secs(1), Duration::from_millis(33));
        }
        let (width, height) = size.of((161, 121));
        assert!(height >= LEAST_SIDE_PX && width >= LEAST_SIDE_PX);
    }
}
