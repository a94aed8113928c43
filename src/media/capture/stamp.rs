//! A stamp that machines read back from a picture: which frame it is and when it was drawn.
//!
//! It survives lossy coding and scaling, and is simple enough that a browser reads it from a canvas:
//!
//! - Two rows of 32 cells along the bottom edge, over the whole width. Cell `i` spans `i*w/32 .. (i+1)*w/32`; a row is
//!   `max(h/40, 8)` pixels high when written. Row 1 ends at the bottom edge, row 0 lies on top of it.
//! - A cell is a bit: luma 16 is 0, luma 235 is 1, chroma neutral. Most significant bit first, left to right.
//! - Row 0: the marker `0xA5`, then the low 24 bits of the frame number. Row 1: the low 24 bits of the Unix time in ms
//!   (they wrap every 4.66 hours), then CRC-8 (polynomial 0x07, start 0, not reflected) over the six bytes of frame
//!   number and time.
//!
//! A reader averages the middle half of each cell (both ways), sets its threshold halfway between the marker's ones
//! and zeros, and accepts what has the marker and the CRC. A picture scaled down by `k` has rows of
//! `max(1/40, 8/(h*k)) * h` pixels, so a reader tries `k` = 1, 2, 4, 1.5, 3 and takes the first that passes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::media::frame::{ColourRange, VideoFrame};

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Frame number; the picture carries its low 24 bits.
    pub frame: u32,
    /// Unix time of drawing, in ms.
    pub unix_ms: u64,
}

/// Cells in a row.
const CELLS: usize = 32;
const MARKER: u8 = 0xA5;
const LOW_24: u64 = 0xFF_FF_FF;
/// Least difference between the marker's ones and zeros, in luma, for a stamp to be believed.
const LEAST_CONTRAST: f32 = 40.0;
/// Scales a picture may have gone through since it was stamped.
const SCALES: [f32; 5] = [1.0, 2.0, 4.0, 1.5, 3.0];

/// Unix time now, in ms, by the system's clock.
pub fn unix_now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Writes a stamp over the bottom of a picture. Pictures narrower than 64 pixels or lower than 32 stay as they are.
pub fn write(frame: &mut VideoFrame, stamp: Stamp) {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    if width < 64 || height < 32 {
        return;
    }
    let rows = words(stamp);
    let row_px = (height as f32 / 40.0).max(8.0).round() as usize;
    let (black, white) = match frame.colour().range {
        ColourRange::Limited => (16, 235),
        ColourRange::Full => (0, 255),
    };
    let chroma_width = frame.chroma_size().0 as usize;
    let (y, u, v) = frame.planes_mut();
    let top = height - 2 * row_px;
    for (row, word) in rows.into_iter().enumerate() {
        let first = top + row * row_px;
        let (pattern, rest) = y[first * width..(first + row_px) * width].split_at_mut(width);
        for cell in 0..CELLS {
            let bit = word >> (CELLS - 1 - cell) & 1;
            pattern[cell * width / CELLS..(cell + 1) * width / CELLS].fill(if bit == 1 { white } else { black });
        }
        for line in rest.chunks_exact_mut(width) {
            line.copy_from_slice(pattern);
        }
    }
    for plane in [u, v] {
        plane[top / 2 * chroma_width..].fill(128);
    }
}

/// Reads the stamp of a picture, if it has a valid one. The time is completed from `now_unix_ms`, which may be up to
/// 2.3 hours off. The frame number holds its low 24 bits.
pub fn read(frame: &VideoFrame, now_unix_ms: u64) -> Option<Stamp> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    if width < 64 || height < 32 {
        return None;
    }
    SCALES.iter().find_map(|scale| {
        let row_px = (height as f32 / 40.0).max(8.0 / scale);
        let (frame, low_ms) = parse(row_word(frame, 0, row_px), row_word(frame, 1, row_px))?;
        Some(Stamp { frame, unix_ms: complete(low_ms, now_unix_ms) })
    })
}

/// The two rows of a stamp as bits.
fn words(stamp: Stamp) -> [u32; 2] {
    let frame = stamp.frame & LOW_24 as u32;
    let low_ms = (stamp.unix_ms & LOW_24) as u32;
    [u32::from(MARKER) << 24 | frame, low_ms << 8 | u32::from(crc8(frame, low_ms))]
}

/// Luma of the 32 cells of a row, as the mean of each one's middle.
fn row_luma(frame: &VideoFrame, row: usize, row_px: f32) -> [f32; CELLS] {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let y = frame.y();
    let top = height as f32 - (2 - row) as f32 * row_px;
    let first = ((top + row_px * 0.25).round() as usize).min(height - 1);
    let last = ((top + row_px * 0.75).round() as usize).clamp(first + 1, height);
    let cell_px = width as f32 / CELLS as f32;
    let mut luma = [0.0; CELLS];
    for (cell, mean) in luma.iter_mut().enumerate() {
        let left = ((cell as f32 + 0.25) * cell_px).round() as usize;
        let right = (((cell as f32 + 0.75) * cell_px).round() as usize).clamp(left + 1, width);
        let sum: u32 =
            (first..last).flat_map(|line| &y[line * width + left..line * width + right]).map(|&p| u32::from(p)).sum();
        *mean = sum as f32 / ((last - first) * (right - left)) as f32;
    }
    luma
}

struct Row {
    luma: [f32; CELLS],
}

fn row_word(frame: &VideoFrame, row: usize, row_px: f32) -> Row {
    Row { luma: row_luma(frame, row, row_px) }
}

impl Row {
    fn bits(&self, threshold: f32) -> u32 {
        self.luma.iter().fold(0, |word, &luma| word << 1 | u32::from(luma > threshold))
    }

    /// Halfway between the marker's ones and zeros, when they differ enough.
    fn threshold(&self) -> Option<f32> {
        let (mut ones, mut zeros) = (0.0, 0.0);
        for (bit, luma) in self.luma[..8].iter().enumerate() {
            if MARKER >> (7 - bit) & 1 == 1 {
                ones += luma / 4.0;
            } else {
                zeros += luma / 4.0;
            }
        }
        (ones - zeros >= LEAST_CONTRAST).then_some((ones + zeros) / 2.0)
    }
}

fn parse(first: Row, second: Row) -> Option<(u32, u64)> {
    let threshold = first.threshold()?;
    let (head, tail) = (first.bits(threshold), second.bits(threshold));
    let (frame, low_ms) = (head & LOW_24 as u32, tail >> 8);
    let valid = head >> 24 == u32::from(MARKER) && tail & 0xFF == u32::from(crc8(frame, low_ms));
    valid.then_some((frame, u64::from(low_ms)))
}

/// The time nearest to `now` that ends in these 24 bits.
fn complete(low_ms: u64, now: u64) -> u64 {
    const SPAN: u64 = LOW_24 + 1;
    let near = now & !LOW_24 | low_ms;
    if near > now + SPAN / 2 {
        near.saturating_sub(SPAN)
    } else if near + SPAN / 2 < now {
        near + SPAN
    } else {
        near
    }
}

fn crc8(frame: u32, low_ms: u32) -> u8 {
    let bytes = frame.to_be_bytes().into_iter().skip(1).chain(low_ms.to_be_bytes().into_iter().skip(1));
    bytes.fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::ColourSpace;

    const NOW: u64 = 1_790_000_123_456;

    fn busy_picture(width: u32, height: u32) -> VideoFrame {
        let data = (0..VideoFrame::byte_len(width, height)).map(|i| (i * 37 % 200) as u8 + 20).collect();
        VideoFrame::new(width, height, ColourSpace::default(), 0, data).unwrap()
    }

    fn with_luma(width: u32, height: u32, luma: impl Fn(usize, usize) -> u8) -> VideoFrame {
        let mut frame = busy_picture(width, height);
        for (i, p) in frame.planes_mut().0.iter_mut().enumerate() {
            *p = luma(i % width as usize, i / width as usize);
        }
        frame
    }

    /// Halves both sides, averaging four pixels.
    fn halved(frame: &VideoFrame) -> VideoFrame {
        let (w, y) = (frame.width() as usize, frame.y());
        with_luma(frame.width() / 2, frame.height() / 2, |cx, cy| {
            let at = |dx: usize, dy: usize| u32::from(y[(2 * cy + dy) * w + 2 * cx + dx]);
            ((at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4) as u8
        })
    }

    /// What a starved codec leaves: each pixel the mean of its 5 x 5 neighbours, in steps of 12, with noise.
    fn starved(frame: &VideoFrame) -> VideoFrame {
        let (w, h, y) = (frame.width() as usize, frame.height() as usize, frame.y());
        with_luma(frame.width(), frame.height(), |x, line| {
            let (mut sum, mut count) = (0, 0);
            for ny in line.saturating_sub(2)..(line + 3).min(h) {
                for nx in x.saturating_sub(2)..(x + 3).min(w) {
                    sum += u32::from(y[ny * w + nx]);
                    count += 1;
                }
            }
            let noise = ((x * 7 + line * 13) % 17) as u32;
            ((sum / count / 12 * 12) + noise).min(255) as u8
        })
    }

    #[test]
    fn what_is_written_is_read() {
        for (width, height) in [(640, 360), (160, 90), (1280, 720), (333, 187), (1920, 1080)] {
            let mut frame = busy_picture(width, height);
            assert_eq!(read(&frame, NOW), None, "{width}x{height}");
            let stamp = Stamp { frame: 0xAB_CD_EF, unix_ms: NOW - 250 };
            write(&mut frame, stamp);
            assert_eq!(read(&frame, NOW), Some(stamp), "{width}x{height}");
        }
    }

    #[test]
    fn it_survives_a_starved_codec_and_scaling() {
        for (width, height) in [(640, 360), (320, 180), (1280, 720)] {
            let mut frame = busy_picture(width, height);
            let stamp = Stamp { frame: 77, unix_ms: NOW };
            write(&mut frame, stamp);
            assert_eq!(read(&starved(&frame), NOW + 900), Some(stamp), "starved {width}x{height}");
            assert_eq!(read(&starved(&halved(&frame)), NOW + 900), Some(stamp), "half of {width}x{height}");
        }
        let mut frame = busy_picture(640, 360);
        let stamp = Stamp { frame: 78, unix_ms: NOW };
        write(&mut frame, stamp);
        assert_eq!(read(&halved(&halved(&frame)), NOW), Some(stamp));
    }

    #[test]
    fn a_damaged_stamp_is_refused() {
        let mut frame = busy_picture(640, 360);
        write(&mut frame, Stamp { frame: 5, unix_ms: NOW });
        let clean = frame.clone();
        for cell in 8..32 {
            let mut torn = clean.clone();
            let (y, _, _) = torn.planes_mut();
            for line in 342..351 {
                for p in &mut y[line * 640 + cell * 20..line * 640 + (cell + 1) * 20] {
                    *p = 251 - *p;
                }
            }
            assert_eq!(read(&torn, NOW), None, "bit {cell} of the frame number flipped");
        }
    }

    #[test]
    fn the_time_is_completed_across_the_wrap() {
        let wrap = (NOW | LOW_24) + 1;
        for (drawn, now) in [(wrap - 20, wrap + 30), (wrap + 20, wrap - 30), (wrap, wrap)] {
            assert_eq!(complete(drawn & LOW_24, now), drawn);
        }
    }

    #[test]
    fn the_check_is_the_documented_crc() {
        // CRC-8/SMBUS of "123456", computed by the plain definition over bits.
        let bytes = *b"123456";
        let mut register: u8 = 0;
        for bit in bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)) {
            let out = register >> 7 ^ bit;
            register = register << 1 ^ if out == 1 { 0x07 } else { 0 };
        }
        assert_eq!(crc8(0x31_32_33, 0x34_35_36), register);
    }
}
