//! A copy of what a screen shows: rows are replaced as they change, and only those are converted. No I/O; owned by the
//! source that fills it.

use std::ops::Range;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::{THUMBNAIL_WIDTH_PX, Thumbnail};
use crate::media::capture::convert::{bgrx_rows_to_i420, blank, retimed};
use crate::media::capture::scale::{Scaler, fit};
use crate::media::frame::VideoFrame;
use crate::model::limits::{MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE_PX};

/// Most pixels of a screen or window that is copied: 8K UHD. What is sent of it is smaller.
const MAX_PIXELS: u32 = 7680 * 4320;

/// The pixels (B G R X, tightly packed rows) and their I420 picture, even-sized.
pub(super) struct Shadow {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    picture: VideoFrame,
    /// Rows whose picture is not up to date; empty when all is.
    stale: Range<u32>,
    scaler: Scaler,
}

impl Shadow {
    /// Black, at first.
    ///
    /// # Errors
    /// As [`check_size`].
    pub fn new(width: u32, height: u32) -> Result<Self, String> {
        check_size(width, height)?;
        let pixels = vec![0; width as usize * height as usize * 4];
        let picture = blank(width & !1, height & !1, 0, Vec::new())?;
        Ok(Self { width, height, pixels, picture, stale: 0..height, scaler: Scaler::default() })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.width as usize * 4
    }

    /// These rows, to be written; they count as changed.
    pub fn rows_mut(&mut self, rows: Range<u32>) -> &mut [u8] {
        let rows = rows.start.min(self.height)..rows.end.min(self.height);
        self.stale = union(&self.stale, &rows);
        let row = self.row_bytes();
        &mut self.pixels[rows.start as usize * row..rows.end.max(rows.start) as usize * row]
    }

    /// The picture as it is now, inside `limit`.
    ///
    /// # Errors
    /// None in practice: the sizes were checked.
    pub fn frame(&mut self, limit: (u32, u32), timestamp_us: u64) -> Result<VideoFrame, String> {
        if !self.stale.is_empty() {
            let rows = (self.stale.start & !1)..((self.stale.end + 1) & !1).min(self.picture.height());
            let row = self.row_bytes();
            let pixels = &self.pixels[rows.start as usize * row..rows.end as usize * row];
            bgrx_rows_to_i420(&mut self.picture, rows.start, pixels, self.width)?;
            self.stale = 0..0;
        }
        let size = (self.picture.width(), self.picture.height());
        let fitting = sendable(size, limit);
        let scaled = if fitting == size { self.picture.clone() } else { self.scaler.scale(&self.picture, fitting)? };
        retimed(scaled, timestamp_us)
    }

    /// The pixels, small.
    pub fn thumbnail(&self) -> Option<Thumbnail> {
        let (width, height) = fit((self.width, self.height), (THUMBNAIL_WIDTH_PX, THUMBNAIL_WIDTH_PX));
        let mut rgba = vec![0; width as usize * height as usize * 4];
        let from = TypedImageRef::<U8x4>::from_buffer(self.width, self.height, &self.pixels).ok()?;
        let mut to = TypedImage::<U8x4>::from_buffer(width, height, &mut rgba).ok()?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        Resizer::new().resize_typed(&from, &mut to, &options).ok()?;
        for pixel in rgba.chunks_exact_mut(4) {
            pixel.swap(0, 2);
            pixel[3] = 255;
        }
        Some(Thumbnail { width, height, rgba })
    }
}

/// Whether something of this size can be shared.
///
/// # Errors
/// Which sizes can.
pub(super) fn check_size(width: u32, height: u32) -> Result<(), String> {
    let sides = 2..=MAX_PICTURE_SIDE_PX;
    if sides.contains(&width) && sides.contains(&height) && width * height <= MAX_PIXELS {
        return Ok(());
    }
    Err(format!("{width}x{height} pixels cannot be shared: make it larger than 1x1 and at most 7680x4320"))
}

/// The size a picture is sent in: inside the limit, with no more pixels than receivers decode.
fn sendable(size: (u32, u32), limit: (u32, u32)) -> (u32, u32) {
    let fitting = fit(size, limit);
    let share = (f64::from(MAX_PICTURE_PIXELS) / (f64::from(fitting.0) * f64::from(fitting.1))).sqrt();
    if share >= 1.0 {
        return fitting;
    }
    let shorter = |side: u32| (f64::from(side) * share) as u32;
    fit(size, (shorter(fitting.0), shorter(fitting.1)))
}

/// The smallest range that holds both; an empty one counts for nothing.
pub(super) fn union(a: &Range<u32>, b: &Range<u32>) -> Range<u32> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.clone(),
        (_, true) => a.clone(),
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_rows_are_converted_and_odd_edges_are_left_out() {
        let mut shadow = Shadow::new(7, 9).unwrap();
        let first = shadow.frame((1920, 1080), 5).unwrap();
        assert_eq!((first.width(), first.height(), first.timestamp_us()), (6, 8, 5));
        assert!(first.y().iter().all(|&y| y == 16), "black is 16");
        // Written behind its back, row 0 stays as it was; row 3 is announced.
        shadow.pixels[..28].fill(255);
        shadow.rows_mut(3..4).fill(255);
        let second = shadow.frame((1920, 1080), 6).unwrap();
        let rows: Vec<u8> = second.y().chunks(6).map(|row| row[0]).collect();
        assert_eq!(rows, [16, 16, 16, 235, 16, 16, 16, 16]);
        shadow.rows_mut(0..1);
        shadow.rows_mut(8..20).fill(255);
        assert_eq!(shadow.frame((1920, 1080), 7).unwrap().y()[0], 235);
    }

    #[test]
    fn large_pictures_are_made_smaller_in_shape() {
        let mut shadow = Shadow::new(400, 100).unwrap();
        let frame = shadow.frame((200, 200), 1).unwrap();
        assert_eq!((frame.width(), frame.height(), frame.timestamp_us()), (200, 50, 1));
        let mut shadow = Shadow::new(800, 400).unwrap();
        shadow.rows_mut(0..400).chunks_mut(4).for_each(|pixel| pixel.copy_from_slice(&[10, 20, 250, 0]));
        let thumbnail = shadow.thumbnail().unwrap();
        assert_eq!((thumbnail.width, thumbnail.height), (320, 160));
        assert_eq!(thumbnail.rgba[4..8], [250, 20, 10, 255]);
    }

    #[test]
    fn what_is_larger_than_can_be_sent_is_made_smaller() {
        let mut shadow = Shadow::new(5120, 2880).unwrap();
        shadow.rows_mut(0..2880).fill(255);
        let frame = shadow.frame((1920, 1080), 1).unwrap();
        assert_eq!((frame.width(), frame.height(), frame.y()[1920 * 540]), (1920, 1080, 235));
        for (size, limit) in [((5120, 2880), (7680, 4320)), ((4096, 4096), (4096, 4096)), ((2880, 5120), (2880, 5120))]
        {
            let (width, height) = sendable(size, limit);
            assert!(width * height <= MAX_PICTURE_PIXELS && width * height > MAX_PICTURE_PIXELS / 100 * 99);
            let shape = f64::from(width) / f64::from(height) * f64::from(size.1) / f64::from(size.0);
            assert!((shape - 1.0).abs() < 0.002, "{width}x{height} of {size:?}");
        }
        assert_eq!(sendable((3840, 2160), (4096, 2304)), (3840, 2160));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (width, height) in [(0, 0), (1, 900), (MAX_PICTURE_SIDE_PX + 1, 2), (7680, 7680)] {
            assert!(Shadow::new(width, height).is_err(), "{width}x{height}");
        }
    }
}
