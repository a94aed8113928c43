//! Makes I420 pictures smaller, plane by plane. Runs on the thread that pulls the device.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::convert::blank;
use crate::media::frame::VideoFrame;

/// The largest even size of the same shape inside a limit; never larger than the picture itself.
pub(super) fn fit(size: (u32, u32), limit: (u32, u32)) -> (u32, u32) {
    let (width, height) = (f64::from(size.0.max(2)), f64::from(size.1.max(2)));
    let share = (f64::from(limit.0) / width).min(f64::from(limit.1) / height).min(1.0);
    let even = |side: f64| ((side * share).round() as u32 & !1).max(2);
    (even(width), even(height))
}

/// A scaler with the buffers it works in.
#[derive(Default)]
pub(super) struct Scaler {
    resizer: Resizer,
}

impl Scaler {
    /// The picture at another size, keeping its time and colours; small text stays legible (Catmull-Rom).
    ///
    /// # Errors
    /// When the size is no picture's.
    pub fn scale(&mut self, from: &VideoFrame, (width, height): (u32, u32)) -> Result<VideoFrame, String> {
        let mut to = blank(width, height, from.timestamp_us(), Vec::new())?;
        let ((from_cw, from_ch), (to_cw, to_ch)) = (from.chroma_size(), to.chroma_size());
        let (y, u, v) = to.planes_mut();
        self.plane(from.y(), (from.width(), from.height()), y, (width, height))?;
        self.plane(from.u(), (from_cw, from_ch), u, (to_cw, to_ch))?;
        self.plane(from.v(), (from_cw, from_ch), v, (to_cw, to_ch))?;
        Ok(to)
    }

    fn plane(&mut self, from: &[u8], size: (u32, u32), to: &mut [u8], to_size: (u32, u32)) -> Result<(), String> {
        let from = TypedImageRef::<U8>::from_buffer(size.0, size.1, from).map_err(|error| error.to_string())?;
        let mut to = TypedImage::<U8>::from_buffer(to_size.0, to_size.1, to).map_err(|error| error.to_string())?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).use_alpha(false);
        self.resizer.resize_typed(&from, &mut to, &options).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_kept_and_nothing_grows() {
        assert_eq!(fit((3840, 2160), (1920, 1080)), (1920, 1080));
        assert_eq!(fit((1280, 1024), (1920, 1080)), (1280, 1024));
        assert_eq!(fit((2000, 500), (1000, 1000)), (1000, 250));
        assert_eq!(fit((641, 481), (1920, 1080)), (640, 480));
        assert_eq!(fit((7680, 2), (1920, 1080)), (1920, 2));
    }

    #[test]
    fn a_half_size_picture_keeps_its_fields() {
        let mut from = blank(64, 32, 9, Vec::new()).unwrap();
        let (y, u, _) = from.planes_mut();
        y.chunks_mut(64).for_each(|row| row[32..].fill(200));
        u.fill(77);
        let to = Scaler::default().scale(&from, (32, 16)).unwrap();
        assert_eq!((to.width(), to.height(), to.timestamp_us()), (32, 16, 9));
        assert!(to.y()[8 * 32 + 4] < 3 && to.y()[8 * 32 + 28].abs_diff(200) < 3 && to.u()[20].abs_diff(77) < 2);
    }
}
