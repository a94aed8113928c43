//! Pictures in other sizes: each plane is resampled by itself. Owned by the thread that scales.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::{CaptureError, VideoFrame};

/// Scales pictures; keeps its tables and a buffer from one to the next.
#[derive(Default)]
pub struct Scaler {
    resizer: Resizer,
    spare: Vec<u8>,
}

impl Scaler {
    /// The picture in another size, with the same time stamp.
    ///
    /// # Errors
    /// [`CaptureError::Format`] when a side is 0 or over the limit.
    pub fn scale(&mut self, frame: &VideoFrame, width: u32, height: u32) -> Result<VideoFrame, CaptureError> {
        let unusable = |why: String| CaptureError::Format { what: "the picture".to_owned(), why };
        let mut buffer = std::mem::take(&mut self.spare);
        buffer.resize(VideoFrame::byte_len(width, height), 0);
        let mut scaled = VideoFrame::new(width, height, frame.colour(), frame.timestamp_us(), buffer)
            .map_err(|error| unusable(error.to_string()))?;
        let (from, to) = ((frame.width(), frame.height()), (width, height));
        let (from_chroma, to_chroma) = (frame.chroma_size(), scaled.chroma_size());
        let (y, u, v) = scaled.planes_mut();
        let planes =
            [(frame.y(), y, from, to), (frame.u(), u, from_chroma, to_chroma), (frame.v(), v, from_chroma, to_chroma)];
        // As sharp as bicubic when scaling down, at the cost of bilinear.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Hamming));
        for (source, target, from, to) in planes {
            let source = ImageRef::new(from.0, from.1, source, PixelType::U8).map_err(|e| unusable(e.to_string()))?;
            let mut target =
                Image::from_slice_u8(to.0, to.1, target, PixelType::U8).map_err(|e| unusable(e.to_string()))?;
            self.resizer.resize(&source, &mut target, &options).map_err(|e| unusable(e.to_string()))?;
        }
        Ok(scaled)
    }

    /// Takes back a picture nobody needs any more, so that its buffer serves a later one.
    pub fn recycle(&mut self, frame: VideoFrame) {
        self.spare = frame.into_data();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ColourSpace;
    use crate::media::codec::tests::{moving_picture, psnr_db};

    #[test]
    fn pictures_keep_their_look_in_every_size() {
        let mut scaler = Scaler::default();
        let whole = moving_picture(320, 180, 3);
        for (width, height) in [(160, 90), (80, 45), (107, 61), (1, 1), (640, 360), (2, 180)] {
            let scaled = scaler.scale(&whole, width, height).unwrap();
            assert_eq!((scaled.width(), scaled.height(), scaled.timestamp_us()), (width, height, whole.timestamp_us()));
            let mean = |plane: &[u8]| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / plane.len() as f64;
            for (a, b) in [(whole.y(), scaled.y()), (whole.u(), scaled.u()), (whole.v(), scaled.v())] {
                assert!((mean(a) - mean(b)).abs() < 4.0, "{width}x{height}: {} became {}", mean(a), mean(b));
            }
            scaler.recycle(scaled);
        }
        let half = scaler.scale(&whole, 160, 90).unwrap();
        let again = scaler.scale(&half, 320, 180).unwrap();
        assert!(psnr_db(&whole, &again) > 18.0, "{} dB after halving and doubling", psnr_db(&whole, &again));
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let mut data = vec![77; 31 * 17];
        data.extend(vec![150; 2 * 16 * 9]);
        let frame = VideoFrame::new(31, 17, ColourSpace::default(), 0, data).unwrap();
        let scaled = Scaler::default().scale(&frame, 14, 8).unwrap();
        assert!(scaled.y().iter().all(|y| *y == 77) && scaled.u().iter().all(|u| *u == 150));
        assert!(Scaler::default().scale(&frame, 0, 8).is_err());
        assert!(Scaler::default().scale(&frame, 8, 100_000).is_err());
    }
}
