//! A painted scene of which only patches change: the unchanged rest is converted to I420 once and copied.

use super::paint::{Canvas, Rect};
use crate::media::frame::{ColourSpace, VideoFrame};
use crate::media::source::{CaptureError, VideoFormat};
use crate::model::limits::MAX_PICTURE_SIDE_PX;

/// The scene at rest, in RGB and in I420 (BT.601, limited range), and a canvas to paint patches on.
#[derive(Debug)]
pub(super) struct Stage {
    rest: Canvas,
    rest_planes: Vec<u8>,
    scratch: Canvas,
}

impl Stage {
    /// Takes the scene at rest.
    pub fn new(rest: Canvas) -> Self {
        let mut rest_planes = vec![0; VideoFrame::byte_len(rest.width() as u32, rest.height() as u32)];
        let whole = Rect { left: 0, top: 0, right: rest.width(), bottom: rest.height() };
        convert(&rest, whole, &mut rest_planes);
        Self { scratch: rest.clone(), rest, rest_planes }
    }

    /// The planes of the scene at rest, to be patched.
    pub fn planes(&self) -> Vec<u8> {
        self.rest_planes.clone()
    }

    /// Paints over one rectangle of the scene at rest. The rectangle begins at even coordinates.
    pub fn patch(&mut self, planes: &mut [u8], rect: Rect, paint: impl FnOnce(&mut Canvas)) {
        self.scratch.copy_rect(&self.rest, rect);
        self.scratch.set_clip(rect);
        paint(&mut self.scratch);
        convert(&self.scratch, rect, planes);
    }

    /// The finished picture.
    ///
    /// # Errors
    /// None in practice: the planes were made for this size.
    pub fn frame(&self, planes: Vec<u8>, timestamp_us: u64) -> Result<VideoFrame, CaptureError> {
        let (width, height) = (self.rest.width() as u32, self.rest.height() as u32);
        VideoFrame::new(width, height, ColourSpace::default(), timestamp_us, planes)
            .map_err(|error| CaptureError::Format { what: "generated picture".into(), why: error.to_string() })
    }
}

/// The nearest format a generated source can paint: sides from 64 x 48 to the house's limit, 1 to 120 fps.
pub(super) fn paintable(format: VideoFormat) -> VideoFormat {
    VideoFormat {
        width: format.width.clamp(64, MAX_PICTURE_SIDE_PX),
        height: format.height.clamp(48, MAX_PICTURE_SIDE_PX),
        fps: if format.fps.is_finite() { format.fps.clamp(1.0, 120.0) } else { 15.0 },
    }
}

/// RGB to I420 by BT.601 limited range, 8-bit fixed point; chroma is the mean of each 2 x 2 block.
fn convert(canvas: &Canvas, rect: Rect, planes: &mut [u8]) {
    let (width, height) = (canvas.width(), canvas.height());
    let chroma_width = width.div_ceil(2);
    let (luma, chroma) = planes.split_at_mut(width * height);
    let (u_plane, v_plane) = chroma.split_at_mut(chroma_width * height.div_ceil(2));
    for y in rect.top..rect.bottom {
        let source = &canvas.row(y)[rect.left..rect.right];
        for (out, p) in luma[y * width + rect.left..y * width + rect.right].iter_mut().zip(source) {
            let sum = 66 * u32::from(p[0]) + 129 * u32::from(p[1]) + 25 * u32::from(p[2]);
            *out = ((sum + 128) >> 8) as u8 + 16;
        }
    }
    for y in (rect.top..rect.bottom).step_by(2) {
        let upper = &canvas.row(y)[rect.left..rect.right];
        let lower = &canvas.row((y + 1).min(height - 1))[rect.left..rect.right];
        let span = y / 2 * chroma_width + rect.left / 2..y / 2 * chroma_width + rect.right.div_ceil(2);
        let outs = u_plane[span.clone()].iter_mut().zip(&mut v_plane[span]);
        for ((u, v), (a, b)) in outs.zip(upper.chunks(2).zip(lower.chunks(2))) {
            let mean = |c: usize| {
                let right = |pair: &[[u8; 4]]| i32::from(pair[pair.len() - 1][c]);
                (i32::from(a[0][c]) + right(a) + i32::from(b[0][c]) + right(b) + 2) / 4
            };
            let (red, green, blue) = (mean(0), mean(1), mean(2));
            *u = ((-38 * red - 74 * green + 112 * blue + 128) >> 8) as u8 ^ 0x80;
            *v = ((112 * red - 94 * green - 18 * blue + 128) >> 8) as u8 ^ 0x80;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::paint::Colour;
    use super::*;

    fn planes_of(colour: Colour) -> (u8, u8, u8) {
        let stage = Stage::new(Canvas::new(5, 3, colour));
        let frame = stage.frame(stage.planes(), 0).unwrap();
        assert!(frame.y().iter().all(|&p| p == frame.y()[0]) && frame.u().iter().all(|&p| p == frame.u()[0]));
        (frame.y()[7], frame.u()[3], frame.v()[3])
    }

    #[test]
    fn primaries_have_their_bt601_codes() {
        // Reference: ITU-R BT.601 with luma 16..=235, chroma 16..=240, rounded; tolerance 1.
        for (rgb, y, u, v) in [
            (0x00_00_00, 16, 128, 128),
            (0xFF_FF_FF, 235, 128, 128),
            (0xFF_00_00, 81, 90, 240),
            (0x00_FF_00, 145, 54, 34),
            (0x00_00_FF, 41, 240, 110),
        ] {
            let (gy, gu, gv) = planes_of(Colour::hex(rgb));
            for (got, want) in [(gy, y), (gu, u), (gv, v)] {
                assert!((i32::from(got) - want).abs() <= 1, "{rgb:06x}: {gy} {gu} {gv}");
            }
        }
    }

    #[test]
    fn a_patch_changes_nothing_outside() {
        let mut stage = Stage::new(Canvas::new(32, 32, Colour::hex(0)));
        let mut planes = stage.planes();
        let rect = Rect { left: 8, top: 8, right: 16, bottom: 16 };
        stage.patch(&mut planes, rect, |canvas| {
            for y in 0..32 {
                for x in 0..32 {
                    canvas.blend(x, y, Colour::hex(0xFF_FF_FF), 1.0);
                }
            }
        });
        let lit: Vec<usize> = (0..32 * 32).filter(|&i| planes[i] == 235).collect();
        assert_eq!(lit.len(), 64);
        assert!(lit.iter().all(|i| (8..16).contains(&(i % 32)) && (8..16).contains(&(i / 32))));
    }
}
