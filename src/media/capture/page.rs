//! A page of readable text and graphics, as somebody would share it: the test source of a screen share. Runs on the
//! thread that pulls it.

mod figures;

use ab_glyph::point;

use super::clock::{Clock, clock_text};
use super::pace::Pace;
use super::paint::{Canvas, Colour, Paint, Rect};
use super::path::{Path, Transform};
use super::stage::{Stage, paintable};
use super::stamp::{self, Stamp};
use super::text::{Face, Type};
use crate::media::frame::VideoFrame;
use crate::media::source::{CaptureError, VideoFormat, VideoSource};

/// Ink on the page, the darkest first.
const INK: Colour = Colour::hex(0x22_26_33);
const SOFT_INK: Colour = Colour::hex(0x5A_62_75);
const PAPER: Colour = Colour::hex(0xFB_F9_F4);
const RULE: Colour = Colour::hex(0xE2_DD_D2);
const ACCENT: Colour = Colour::hex(0xC2_5B_3A);
const COOL: Colour = Colour::hex(0x2F_6F_8F);

/// Layout is made for this height and scaled to the real one.
const DESIGN_HEIGHT: f32 = 720.0;

const PARAGRAPHS: [&[&str]; 2] = [
    &[
        "A rotunda is a round building under a dome, with one opening at the top",
        "that lets the daylight in. People stand in a circle and everybody sees",
        "everybody: nobody sits at the head of the table, because there is none.",
    ],
    &[
        "A call should feel like that. You hear people where they sit, you see",
        "who looks your way, and what somebody shares hangs on the wall, large",
        "enough to read from any seat: this line is ten point on a laptop.",
    ],
];

const CODE: [&str; 10] = [
    "fn seat(index: u32, people: u32) -> Pose {",
    "    let share = index as f32 / people as f32;",
    "    let angle = ARC * (share - 0.5);",
    "    Pose::facing_centre(RADIUS, angle)",
    "}",
    "",
    "for (index, guest) in guests.iter().enumerate() {",
    "    guest.sit(seat(index as u32, 25));",
    "}",
    "// 0 O o  1 l I |  {} [] ()  => != <=",
];

/// A shared page: heading, paragraphs, code, a bar chart and a line chart; a pointer that wanders and a line that
/// shows how far the reader is. BT.601 limited-range I420 of the asked size (sides 64 x 48 and more); clock in UTC.
#[derive(Debug)]
pub struct PageSource {
    format: VideoFormat,
    pace: Pace,
    stage: Stage,
    page: Transform,
    clock: Clock,
}

impl PageSource {
    /// Draws the page that stays.
    pub fn new(title: &str, format: VideoFormat) -> Self {
        let format = paintable(format);
        let (width, height) = (format.width as usize, format.height as usize);
        let scale = (height as f32 / DESIGN_HEIGHT).min(width as f32 / 1280.0);
        let page = Transform::new(point(0.0, 0.0), scale, 0.0);
        let mut rest = Canvas::new(width, height, PAPER);
        let clock = draw_page(&mut rest, &page, title, width as f32 / scale);
        Self { format, pace: Pace::new(f64::from(format.fps), 0), stage: Stage::new(rest), page, clock }
    }

    fn paint(&mut self, frame: u32, unix_ms: u64, timestamp_us: u64) -> Result<VideoFrame, CaptureError> {
        let secs = unix_ms as f64 / 1000.0;
        let mut planes = self.stage.planes();
        let page = self.page;
        let (width, height) = (self.format.width as usize, self.format.height as usize);
        let around = |left: f32, top: f32, right: f32, bottom: f32| {
            let (low, high) = (page.at(left, top), page.at(right, bottom));
            Rect::around(low.x, low.y, high.x, high.y, width, height)
        };

        // Thirty seconds to read the page.
        let read = (secs / 30.0).fract() as f32;
        self.stage.patch(&mut planes, around(60.0, 118.0, 1222.0, 126.0), |canvas| {
            let done = Path::new(&page).round_rect(64.0, 120.0, 64.0 + 1152.0 * read, 124.0, 2.0);
            canvas.fill(&done, ACCENT);
        });
        self.clock.paint(&mut self.stage, &mut planes, &clock_text(unix_ms));
        let (x, y) = pointer_at(secs);
        self.stage.patch(&mut planes, around(x - 22.0, y - 22.0, x + 34.0, y + 42.0), |canvas| {
            draw_pointer(canvas, &page.moved(x, y));
        });
        let mut picture = self.stage.frame(planes, timestamp_us)?;
        stamp::write(&mut picture, Stamp { frame, unix_ms });
        Ok(picture)
    }
}

impl VideoSource for PageSource {
    fn format(&self) -> VideoFormat {
        self.format
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let (tick, timestamp_us) = self.pace.wait();
        self.paint(tick as u32, stamp::unix_now_ms(), timestamp_us).map(Some)
    }
}

/// Type of a design size on this page.
fn type_of(page: &Transform, face: Face, size: f32) -> Type {
    Type { face, size_px: size * page.scale() }
}

/// Writes a line whose baseline starts at a place of the page.
fn write(canvas: &mut Canvas, page: &Transform, face: Type, at: (f32, f32), text: &str, colour: Colour) {
    let start = page.at(at.0, at.1);
    face.draw(canvas, start.x, start.y, text, colour);
}

fn draw_page(canvas: &mut Canvas, page: &Transform, title: &str, page_width: f32) -> Clock {
    let heading = type_of(page, Face::Text, 54.0);
    let small = type_of(page, Face::Text, 19.0);
    let body = type_of(page, Face::Text, 20.5);
    let code = type_of(page, Face::Mono, 17.0);
    canvas.fill(&Path::new(page).rect(0.0, 0.0, page_width, 10.0), ACCENT);

    let clock_face = type_of(page, Face::Mono, 22.0);
    let clock_width = clock_face.width("00:00:00.000");
    let right = page.at(1216.0, 0.0).x;
    let fitted = heading.fit(title, right - clock_width - page.at(100.0, 0.0).x);
    write(canvas, page, heading, (64.0, 84.0), &fitted, INK);
    write(canvas, page, small, (66.0, 108.0), "Rotunda \u{b7} a shared page \u{b7} text, code and figures", SOFT_INK);
    canvas.fill(&Path::new(page).round_rect(64.0, 120.0, 1216.0, 124.0, 2.0), RULE);

    let mut y = 168.0;
    for lines in PARAGRAPHS {
        for line in lines {
            write(canvas, page, body, (64.0, y), line, INK);
            y += 28.0;
        }
        y += 14.0;
    }
    let top = y - 12.0;
    let card = Path::new(page).round_rect(64.0, top, 664.0, 650.0, 10.0);
    canvas.fill(&card, Colour::hex(0x23_27_36));
    for (i, line) in CODE.into_iter().enumerate() {
        let colour = match i {
            0 | 6 => Colour::hex(0xF2_C1_78),
            9 => Colour::hex(0x8F_9A_B5),
            _ => Colour::hex(0xE6_EA_F4),
        };
        write(canvas, page, code, (88.0, top + 38.0 + 27.0 * i as f32), line, colour);
    }
    figures::draw_bars(canvas, page);
    figures::draw_lines(canvas, page);
    Clock::new(clock_face, right - clock_width, page.at(0.0, 84.0).y, canvas).coloured(SOFT_INK)
}

/// Where the pointer is, in page units: it wanders over text and figures and rests now and then.
fn pointer_at(secs: f64) -> (f32, f32) {
    const STOPS: [(f32, f32); 6] =
        [(560.0, 232.0), (300.0, 360.0), (420.0, 470.0), (830.0, 300.0), (1080.0, 560.0), (900.0, 250.0)];
    let leg = secs / 2.5;
    let (from, to) = (STOPS[leg as usize % 6], STOPS[(leg as usize + 1) % 6]);
    // The first half of each leg is movement, eased; the rest is stillness.
    let t = (leg.fract() as f32 * 2.0).min(1.0);
    let eased = t * t * (3.0 - 2.0 * t);
    (from.0 + (to.0 - from.0) * eased, from.1 + (to.1 - from.1) * eased)
}

fn draw_pointer(canvas: &mut Canvas, tip: &Transform) {
    let halo = Paint::Radial {
        centre: tip.at(0.0, 0.0),
        radius: 20.0 * tip.scale(),
        inner: ACCENT.fade(0.4),
        outer: ACCENT.fade(0.0),
    };
    canvas.fill(&Path::new(tip).ellipse(0.0, 0.0, 20.0, 20.0), halo);
    let arrow = |grow: f32| {
        Path::new(tip)
            .from(-grow, -2.4 * grow)
            .line(19.0 + 2.0 * grow, 18.0 + grow)
            .line(11.5, 19.0 + grow)
            .line(16.0 + grow, 29.0)
            .line(11.5, 31.0 + grow)
            .line(7.0, 21.0)
            .line(-grow, 27.0 + 2.0 * grow)
    };
    canvas.fill(&arrow(1.6), Colour::hex(0xFF_FF_FF));
    canvas.fill(&arrow(0.0), INK);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma_range(frame: &VideoFrame, rect: Rect) -> (u8, u8) {
        let rows = (rect.top..rect.bottom).flat_map(|y| {
            let row = y * frame.width() as usize;
            &frame.y()[row + rect.left..row + rect.right]
        });
        rows.fold((255, 0), |(low, high), &p| (low.min(p), high.max(p)))
    }

    #[test]
    fn text_stands_out_from_the_paper() {
        let format = VideoFormat { width: 1280, height: 720, fps: 5.0 };
        let frame = PageSource::new("Hello", format).paint(0, 1_790_000_000_000, 0).unwrap();
        for (what, rect) in [
            ("heading", Rect { left: 64, top: 40, right: 200, bottom: 90 }),
            ("paragraph", Rect { left: 64, top: 150, right: 500, bottom: 230 }),
            ("code", Rect { left: 80, top: 440, right: 400, bottom: 560 }),
        ] {
            let (low, high) = luma_range(&frame, rect);
            assert!(high - low > 130, "{what}: {low}..{high}");
        }
    }

    #[test]
    fn something_moves_and_the_stamp_is_there() {
        let format = VideoFormat { width: 640, height: 360, fps: 5.0 };
        let mut page = PageSource::new("Hello", format);
        let first = page.paint(0, 1_790_000_000_000, 0).unwrap();
        let later = page.paint(1, 1_790_000_000_600, 0).unwrap();
        let changed = first.y().iter().zip(later.y()).filter(|(a, b)| a.abs_diff(**b) > 30).count();
        assert!((100..20_000).contains(&changed), "{changed} pixels changed");
        assert_eq!(stamp::read(&later, 1_790_000_000_700).map(|s| s.unix_ms), Some(1_790_000_000_600));
    }
}
