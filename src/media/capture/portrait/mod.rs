//! A lively generated portrait: somebody in a place of their own who looks about, blinks and talks, with name, clock
//! and stamp. Runs on the thread that pulls it.

mod backdrop;
mod clothes;
mod face;
mod hair;
mod looks;

use ab_glyph::point;

use self::face::Pose;
use self::looks::Looks;
use super::clock::{Clock, clock_text};
use super::pace::Pace;
use super::paint::{Canvas, Colour, Paint, Rect};
use super::path::{Path, Transform};
use super::rhythm::{Rhythm, share};
use super::stage::{Stage, paintable};
use super::stamp::{self, Stamp};
use super::text::{Face, Type};
use crate::media::frame::VideoFrame;
use crate::media::source::{CaptureError, VideoFormat, VideoSource};

/// A person who was never born. BT.601 limited-range I420 of the asked size (sides 64 x 48 and more).
///
/// The mouth follows the same plan as [`SpeechSource`](super::SpeechSource) of the same seed. The clock shows UTC.
#[derive(Debug)]
pub struct PortraitSource {
    format: VideoFormat,
    pace: Pace,
    stage: Stage,
    looks: Looks,
    rhythm: Rhythm,
    seed: u64,
    body: Transform,
    head_rect: Rect,
    clock: Clock,
}

impl PortraitSource {
    /// Paints what stays. Seeds in a row give people who look different.
    pub fn new(name: &str, seed: u64, format: VideoFormat) -> Self {
        let format = paintable(format);
        let (width, height) = (format.width as usize, format.height as usize);
        let (w, h) = (width as f32, height as f32);
        let looks = Looks::new(seed);
        let unit = (h * 0.19).min(w * 0.2);
        let body = Transform::new(point(w * 0.5, h * 0.44), unit, 0.0);
        let mut rest = Canvas::new(width, height, looks.walls.0);
        backdrop::draw(&mut rest, &looks, seed);
        clothes::draw(&mut rest, &body, &looks);
        let (low, high) = (body.at(-2.0, -2.3), body.at(2.0, 2.12));
        let head_rect = Rect::around(low.x, low.y, high.x, high.y, width, height);
        // Inside the rectangle that moves, the shade of the caption comes after the hair: frame by frame.
        let unshaded = rest.clone();
        let clock = caption(&mut rest, name);
        rest.copy_rect(&unshaded, head_rect);
        Self {
            format,
            pace: Pace::new(f64::from(format.fps), 0),
            stage: Stage::new(rest),
            looks,
            rhythm: Rhythm::new(seed),
            seed,
            body,
            head_rect,
            clock,
        }
    }

    /// Paints the picture of one moment.
    fn paint(&mut self, frame: u32, unix_ms: u64, timestamp_us: u64) -> Result<VideoFrame, CaptureError> {
        let secs = unix_ms as f64 / 1000.0;
        let (head, pose) = self.pose(secs);
        let mut planes = self.stage.planes();
        let (body, looks) = (self.body, self.looks);
        let height = self.format.height as f32;
        self.stage.patch(&mut planes, self.head_rect, |canvas| {
            face::draw(canvas, &body, &head, &looks, &pose);
            shade_caption(canvas, height);
        });
        self.clock.paint(&mut self.stage, &mut planes, &clock_text(unix_ms));
        let mut picture = self.stage.frame(planes, timestamp_us)?;
        stamp::write(&mut picture, Stamp { frame, unix_ms });
        Ok(picture)
    }

    fn pose(&self, secs: f64) -> (Transform, Pose) {
        let moment = self.rhythm.at(secs);
        let phase = f64::from(share(self.seed, 9)) * 100.0;
        let wave = |hz: f64, shift: f64| ((secs + phase) * hz * std::f64::consts::TAU + shift).sin() as f32;
        let turn = 0.6 * wave(0.11, 0.0) + 0.4 * wave(0.27, 1.3);
        let nod = 0.6 * wave(0.19, 0.7) + 0.4 * wave(0.43, 2.1) + moment.open * 0.5;
        let tilt = 0.045 * wave(0.13, 4.0) + 0.02 * wave(0.31, 0.4);
        // A blink of a fifth of a second every 2.4 to 4.4 s, here and there a double one.
        let period = 2.4 + f64::from(share(self.seed, 10)) * 2.0;
        let since = (secs + phase) % period;
        let double = ((secs + phase) / period) as u64 % 4 == 3;
        let lid = |from: f64| (1.0 - ((since - from) / 0.1).abs()).max(0.0) as f32;
        let blink = lid(0.1).max(if double { lid(0.42) } else { 0.0 });
        let glance = ((secs + phase) / 3.7) as u64;
        let gaze = if glance.is_multiple_of(3) { share(self.seed, glance) * 2.0 - 1.0 } else { 0.2 * turn };
        let brows = (moment.open - 0.6).max(0.0) + if moment.syllable.is_some() { 0.25 } else { 0.0 };
        let moved = self.body.at(0.1 * turn, 0.035 * nod);
        let head = Transform::new(moved, self.body.scale(), tilt);
        (head, Pose { turn, blink, open: moment.open, gaze, brows })
    }
}

impl VideoSource for PortraitSource {
    fn format(&self) -> VideoFormat {
        self.format
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let (tick, timestamp_us) = self.pace.wait();
        self.paint(tick as u32, stamp::unix_now_ms(), timestamp_us).map(Some)
    }
}

/// Darkens the lower edge, so that the caption reads on any clothes.
fn shade_caption(canvas: &mut Canvas, height: f32) {
    let width = canvas.width() as f32;
    let night = Colour::hex(0x12_0C_18);
    let paint = Paint::Linear {
        from: point(0.0, height * 0.78),
        to: point(0.0, height * 0.95),
        start: night.fade(0.0),
        end: night.fade(0.66),
    };
    canvas.fill(&Path::new(&Transform::IDENTITY).rect(0.0, height * 0.78, width, height), paint);
}

/// Draws the name and makes room for the clock, above the stamp.
fn caption(canvas: &mut Canvas, name: &str) -> Clock {
    let (width, height) = (canvas.width() as f32, canvas.height() as f32);
    shade_caption(canvas, height);
    let stamp_px = 2.0 * (height / 40.0).max(8.0);
    let baseline = height - stamp_px - height * 0.03;
    let clock = Type { face: Face::Mono, size_px: (height * 0.052).max(9.0) };
    let margin = height * 0.045;
    let clock_width = clock.width("00:00:00.000");
    let title = Type { face: Face::Text, size_px: (height * 0.1).max(12.0) };
    let room = width - clock_width - 3.0 * margin;
    title.draw(canvas, margin, baseline, &title.fit(name, room), Colour::hex(0xFF_FB_F4));
    Clock::new(clock, width - margin - clock_width, baseline, canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: VideoFormat = VideoFormat { width: 320, height: 180, fps: 15.0 };

    fn difference(a: &VideoFrame, b: &VideoFrame) -> f32 {
        let sum: u32 = a.y().iter().zip(b.y()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        sum as f32 / a.y().len() as f32
    }

    fn paint(seed: u64, unix_ms: u64) -> VideoFrame {
        PortraitSource::new("Ada", seed, FORMAT).paint(1, unix_ms, 0).unwrap()
    }

    #[test]
    fn neighbours_look_different() {
        for seed in 0..8 {
            assert!(difference(&paint(seed, 1_790_000_000_000), &paint(seed + 1, 1_790_000_000_000)) > 12.0, "{seed}");
        }
    }

    #[test]
    fn the_person_moves_and_the_stamp_says_when() {
        let mut source = PortraitSource::new("Ada", 3, FORMAT);
        let first = source.paint(7, 1_790_000_000_000, 0).unwrap();
        let second = source.paint(8, 1_790_000_001_400, 0).unwrap();
        assert!(difference(&first, &second) > 0.4, "{}", difference(&first, &second));
        let stamp = stamp::read(&second, 1_790_000_001_900).unwrap();
        assert_eq!((stamp.frame, stamp.unix_ms), (8, 1_790_000_001_400));
    }

    #[test]
    fn any_size_is_painted() {
        for (width, height) in [(0, 0), (64, 48), (161, 91), (90, 160), (1921, 1079)] {
            let format = VideoFormat { width, height, fps: f32::NAN };
            let mut source = PortraitSource::new("\u{738b}\u{82b3} \u{1f600}\n", 5, format);
            let frame = source.next_frame().unwrap().unwrap();
            assert_eq!((frame.width(), frame.height()), (width.max(64), height.max(48)));
        }
    }

    #[test]
    fn frames_come_at_the_asked_rate() {
        let mut source = PortraitSource::new("Ada", 1, VideoFormat { width: 160, height: 90, fps: 50.0 });
        let first = source.next_frame().unwrap().unwrap();
        let start = std::time::Instant::now();
        let mut last = first;
        for _ in 0..10 {
            let frame = source.next_frame().unwrap().unwrap();
            assert!(frame.timestamp_us() > last.timestamp_us());
            assert_eq!(frame.timestamp_us() % 20_000, 0);
            last = frame;
        }
        assert!(start.elapsed() >= std::time::Duration::from_millis(195), "{:?}", start.elapsed());
    }
}
