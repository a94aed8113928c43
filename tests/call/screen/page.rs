//! A page of 10-point text, and a reader: Tesseract, which is shown a picture three times enlarged, as an eye near the
//! wall would see it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use ab_glyph::{Font as _, FontRef, ScaleFont as _, point};
use rotunda::media::VideoFrame;

pub const WIDTH: u16 = 1920;
pub const HEIGHT: u16 = 1080;
/// Ten points at 96 dots an inch are 13.3 pixels.
const TEXT_PT: f32 = 10.0;
const LINE_PX: f32 = 19.0;
const MARGIN_PX: f32 = 40.0;
const ENLARGED: u32 = 3;
/// Lines that are read where the whole page would take too long.
const UPPER_LINES: u32 = 10;

const WORDS: &str = "round building under dome with one opening top that lets daylight people stand circle everybody \
    sees nobody sits head table because there none call should feel like hear where they who looks your way what \
    somebody shares hangs wall large enough read from any seat garden window paper letter summer winter bridge river \
    mountain village station ticket kitchen dinner morning evening history science music number market doctor teacher \
    question answer picture colour shadow silver yellow orange purple thunder weather holiday weekend journey";

/// What is on the page.
pub struct Page {
    /// All words, in order.
    pub words: Vec<&'static str>,
    /// How many of them are on the upper lines.
    upper: usize,
    /// B G R X.
    pub pixels: Vec<u8>,
}

impl Page {
    /// The share of all words that Tesseract reads in a picture.
    pub fn share_read(&self, frame: &VideoFrame, name: &str) -> f64 {
        share_read(&self.words, &read(frame, frame.height(), name))
    }

    /// The share of the words on the upper lines that it reads: a matter of a second or two.
    pub fn share_read_above(&self, frame: &VideoFrame, name: &str) -> f64 {
        // Below the last of these lines, above the next.
        let rows = MARGIN_PX + LINE_PX * (UPPER_LINES as f32 - 1.0) + LINE_PX / 3.0;
        share_read(&self.words[..self.upper], &read(frame, rows as u32, name))
    }
}

/// Paints the page.
pub fn paint() -> Page {
    let font = FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR).unwrap();
    let scaled = font.as_scaled(font.pt_to_px_scale(TEXT_PT).unwrap());
    let vocabulary: Vec<&str> = WORDS.split_whitespace().collect();
    let (mut words, mut pixels) = (Vec::new(), vec![255; usize::from(WIDTH) * usize::from(HEIGHT) * 4]);
    let (mut x, mut baseline, mut seed) = (MARGIN_PX, MARGIN_PX, 1u64);
    let (mut line, mut upper) = (1, 0);
    let space = scaled.h_advance(scaled.glyph_id(' '));
    loop {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = vocabulary[(seed >> 33) as usize % vocabulary.len()];
        let width: f32 = word.chars().map(|c| scaled.h_advance(scaled.glyph_id(c))).sum();
        if x + width > f32::from(WIDTH) - MARGIN_PX {
            (x, baseline, line) = (MARGIN_PX, baseline + LINE_PX, line + 1);
        }
        if baseline > f32::from(HEIGHT) - MARGIN_PX {
            return Page { words, upper, pixels };
        }
        upper += usize::from(line <= UPPER_LINES);
        for c in word.chars() {
            let glyph = scaled.glyph_id(c).with_scale_and_position(scaled.scale(), point(x, baseline));
            x += scaled.h_advance(glyph.id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, ink| {
                let at = (corner.y as usize + dy as usize) * usize::from(WIDTH) + corner.x as usize + dx as usize;
                let value = 255 - (ink.min(1.0) * 235.0) as u8;
                pixels[at * 4..at * 4 + 3].fill(value);
            });
        }
        x += space;
        words.push(word);
    }
}

/// The words Tesseract reads in the upper rows of a picture.
fn read(frame: &VideoFrame, rows: u32, name: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pgm"));
    std::fs::write(&path, enlarged(frame, rows)).unwrap();
    let output = Command::new("tesseract")
        .arg(&path)
        .args(["-", "--psm", "6", "-l", "eng"])
        .env("OMP_THREAD_LIMIT", "1")
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "tesseract failed on {}", path.display());
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_lowercase).collect()
}

/// The luma of the upper rows as a PGM file, enlarged bilinearly.
fn enlarged(frame: &VideoFrame, rows: u32) -> Vec<u8> {
    let (width, height) = (frame.width(), frame.height().min(rows));
    let mut file = format!("P5\n{} {}\n255\n", width * ENLARGED, height * ENLARGED).into_bytes();
    let at = |x: u32, y: u32| f32::from(frame.y()[(y.min(height - 1) * width + x.min(width - 1)) as usize]);
    for y in 0..height * ENLARGED {
        for x in 0..width * ENLARGED {
            let (x0, y0) = (x / ENLARGED, y / ENLARGED);
            let share = |v: u32| (v % ENLARGED) as f32 / ENLARGED as f32;
            let (sx, sy) = (share(x), share(y));
            let upper = at(x0, y0) * (1.0 - sx) + at(x0 + 1, y0) * sx;
            let lower = at(x0, y0 + 1) * (1.0 - sx) + at(x0 + 1, y0 + 1) * sx;
            file.push((upper * (1.0 - sy) + lower * sy) as u8);
        }
    }
    file
}

/// The share of the words that were read, in their order (longest common subsequence).
fn share_read(words: &[&str], read: &[String]) -> f64 {
    let mut before = vec![0u32; read.len() + 1];
    for word in words {
        let mut now = vec![0; read.len() + 1];
        for (i, seen) in read.iter().enumerate() {
            now[i + 1] = if seen == word { before[i] + 1 } else { before[i + 1].max(now[i]) };
        }
        before = now;
    }
    f64::from(before[read.len()]) / words.len() as f64
}

#[test]
fn the_share_of_words_counts_order_and_losses() {
    let read: Vec<String> = ["one", "x", "three", "two", "four"].map(String::from).into();
    assert!((share_read(&["one", "two", "three", "four"], &read) - 0.75).abs() < 1e-9);
    assert!(share_read(&["one"], &[]) < 1e-9);
}
