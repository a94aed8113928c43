//! The two things that flow through the house: a picture and a block of sound.

use super::pool::FramePool;
use crate::model::limits::MAX_PICTURE_SIDE_PX;

/// Sound everywhere inside is 48 000 Hz.
pub const SAMPLE_RATE_HZ: u32 = 48_000;
/// Samples per channel in 10 ms.
pub const SAMPLES_10MS: usize = 480;

/// Which weights turn YUV into RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ColourMatrix {
    /// ITU-R BT.601: what WebRTC cameras send unless they say otherwise.
    #[default]
    Bt601,
    /// ITU-R BT.709.
    Bt709,
}

/// Which code values black and white have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ColourRange {
    /// Luma 16..=235, chroma 16..=240.
    #[default]
    Limited,
    /// 0..=255.
    Full,
}

/// How the planes of a frame are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ColourSpace {
    /// The weights.
    pub matrix: ColourMatrix,
    /// The code values.
    pub range: ColourRange,
}

/// One picture: I420, 8 bits, planes Y, U, V one after the other in `data`, each tightly packed (stride = plane
/// width). Luma is `width` x `height`; chroma is `width.div_ceil(2)` x `height.div_ceil(2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFrame {
    width: u32,
    height: u32,
    colour: ColourSpace,
    timestamp_us: u64,
    data: Planes,
}

/// The bytes of a picture; they go back to where they came from.
#[derive(Debug)]
struct Planes {
    bytes: Vec<u8>,
    home: Option<FramePool>,
}

impl Drop for Planes {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Clone for Planes {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), home: None }
    }
}

impl PartialEq for Planes {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Planes {}

/// A buffer does not fit the size it is said to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {width}x{height} I420 picture needs {needed} bytes (sides 1 to {MAX_PICTURE_SIDE_PX}), not {given}")]
pub struct FrameSizeError {
    width: u32,
    height: u32,
    needed: usize,
    given: usize,
}

impl VideoFrame {
    /// Bytes of an I420 picture of this size.
    pub const fn byte_len(width: u32, height: u32) -> usize {
        let luma = width as usize * height as usize;
        luma + 2 * (width.div_ceil(2) as usize * height.div_ceil(2) as usize)
    }

    /// Wraps planes laid out as the type says. `timestamp_us` is the capture time on the source's own clock.
    ///
    /// # Errors
    /// [`FrameSizeError`] when `data` has another length, or a side is 0 or over the limit.
    pub fn new(
        width: u32,
        height: u32,
        colour: ColourSpace,
        timestamp_us: u64,
        data: Vec<u8>,
    ) -> Result<Self, FrameSizeError> {
        let sides = 1..=MAX_PICTURE_SIDE_PX;
        let fits = sides.contains(&width) && sides.contains(&height);
        let needed = if fits { Self::byte_len(width, height) } else { 0 };
        if !fits || data.len() != needed {
            return Err(FrameSizeError { width, height, needed, given: data.len() });
        }
        Ok(Self { width, height, colour, timestamp_us, data: Planes { bytes: data, home: None } })
    }

    /// The same picture, whose buffer goes to `pool` when it is dropped.
    #[must_use]
    pub fn with_home(mut self, pool: &FramePool) -> Self {
        self.data.home = Some(pool.clone());
        self
    }

    /// Luma width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Luma height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Chroma width and height in pixels.
    pub fn chroma_size(&self) -> (u32, u32) {
        (self.width.div_ceil(2), self.height.div_ceil(2))
    }

    /// How to read the planes.
    pub fn colour(&self) -> ColourSpace {
        self.colour
    }

    /// Capture time on the source's clock (or the RTP clock of a remote one), in microseconds.
    pub fn timestamp_us(&self) -> u64 {
        self.timestamp_us
    }

    /// The Y plane, `width` x `height` bytes.
    pub fn y(&self) -> &[u8] {
        &self.data.bytes[..self.luma_len()]
    }

    /// The U plane.
    pub fn u(&self) -> &[u8] {
        let start = self.luma_len();
        &self.data.bytes[start..start + self.chroma_len()]
    }

    /// The V plane.
    pub fn v(&self) -> &[u8] {
        &self.data.bytes[self.luma_len() + self.chroma_len()..]
    }

    /// All three planes for writing, in order Y, U, V.
    pub fn planes_mut(&mut self) -> (&mut [u8], &mut [u8], &mut [u8]) {
        let (luma, chroma) = (self.luma_len(), self.chroma_len());
        let (y, rest) = self.data.bytes.split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        (y, u, v)
    }

    /// Gives the buffer out, for reuse.
    pub fn into_data(mut self) -> Vec<u8> {
        self.data.home = None;
        std::mem::take(&mut self.data.bytes)
    }

    fn luma_len(&self) -> usize {
        self.width as usize * self.height as usize
    }

    fn chroma_len(&self) -> usize {
        let (width, height) = self.chroma_size();
        width as usize * height as usize
    }
}

/// A block of sound: interleaved f32, frames x channels, 48 000 Hz, nominally -1..=1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioBlock {
    /// The samples, interleaved.
    pub samples: Vec<f32>,
    /// 1 or 2.
    pub channels: u8,
}

/// Root mean square of samples; 0 for none.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sizes_round_chroma_up() {
        let data: Vec<u8> = (0..VideoFrame::byte_len(3, 3) as u8).collect();
        let frame = VideoFrame::new(3, 3, ColourSpace::default(), 0, data).unwrap();
        assert_eq!(frame.chroma_size(), (2, 2));
        assert_eq!(frame.y(), &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(frame.u(), &[9, 10, 11, 12]);
        assert_eq!(frame.v(), &[13, 14, 15, 16]);
    }

    #[test]
    fn wrong_lengths_and_sizes_are_refused() {
        let colour = ColourSpace::default();
        assert!(VideoFrame::new(4, 4, colour, 0, vec![0; 23]).is_err());
        assert!(VideoFrame::new(0, 4, colour, 0, Vec::new()).is_err());
        assert!(VideoFrame::new(MAX_PICTURE_SIDE_PX + 1, 1, colour, 0, vec![0; 16]).is_err());
    }
}
