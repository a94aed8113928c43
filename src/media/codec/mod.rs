//! Codecs: VP8 through the system's libvpx, H.264 and Opus through bundled libraries. Every object here is plain, owned
//! by whichever thread encodes or decodes, and never shared.

pub mod encoder;
pub mod h264_decoder;
pub mod h264_encoder;
pub mod opus;
mod sps;
pub mod vp8;
mod vpx;

/// How a picture's encoder is set up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Width of the first frames in pixels; the encoder follows later changes.
    pub width: u32,
    /// Height of the first frames in pixels.
    pub height: u32,
    /// Frames per second aimed for, 1 to 240.
    pub fps: f32,
    /// Target rate in bits per second.
    pub bitrate_bps: u32,
    /// True for text and graphics: sharp first, smooth second.
    pub screen: bool,
    /// Encoder threads, 1 to 16; 1 suits everything up to 720p.
    pub threads: u32,
}

/// One encoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    /// The bitstream of one frame: VP8 (RFC 6386), or H.264 NAL units after start codes (ITU-T H.264 annex B).
    pub data: Vec<u8>,
    /// True when it can be decoded without any other.
    pub keyframe: bool,
}

/// Why a codec refused its input or could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The library could not be initialised, or was built for another interface version than the bindings.
    #[error("{codec} cannot start: {why}")]
    Setup {
        /// "VP8", "H.264" or "Opus".
        codec: &'static str,
        /// What the library said.
        why: String,
    },
    /// A setting is outside what the codec can do.
    #[error("{codec} cannot use this setting: {why}")]
    Setting {
        /// "VP8", "H.264" or "Opus".
        codec: &'static str,
        /// Which setting, and what would do.
        why: String,
    },
    /// The data is damaged, truncated or larger than the limits allow.
    #[error("{codec} data cannot be read: {why}")]
    Data {
        /// "VP8", "H.264" or "Opus".
        codec: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A frame arrived that needs earlier ones which the decoder does not have.
    #[error("a keyframe is needed first")]
    NeedsKeyframe,
}

#[cfg(test)]
pub(crate) mod tests {
    //! Test pictures and a seeded generator, shared by the tests of `media`.

    use crate::media::{ColourSpace, VideoFrame};

    /// A small, fast, seeded generator (xorshift64*), so that a failing run can be repeated.
    pub(crate) struct Random(pub u64);

    impl Random {
        pub(crate) fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }

        /// A number below `bound`.
        pub(crate) fn below(&mut self, bound: usize) -> usize {
            ((self.next() >> 33) as usize) % bound.max(1)
        }

        /// True with this probability.
        pub(crate) fn chance(&mut self, probability: f64) -> bool {
            ((self.next() >> 11) as f64 / (1u64 << 53) as f64) < probability
        }
    }

    /// A textured picture that moves with `index`, at 30 frames per second.
    pub(crate) fn moving_picture(width: u32, height: u32, index: u64) -> VideoFrame {
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let shift = index as usize * 2;
        let mut data = Vec::with_capacity(VideoFrame::byte_len(width, height));
        for y in 0..h {
            data.extend((0..w).map(|x| (((x + shift) / 8 + y / 8) % 2 * 90 + 60 + (x + y + shift) % 40) as u8));
        }
        for y in 0..ch {
            data.extend((0..cw).map(|x| (100 + (x + y) * 50 / (cw + ch)) as u8));
        }
        data.extend(std::iter::repeat_n(120 + (index % 16) as u8, cw * ch));
        VideoFrame::new(width, height, ColourSpace::default(), index * 1_000_000 / 30, data).unwrap()
    }

    /// Peak signal-to-noise ratio of the luma planes of two frames of the same size.
    pub(crate) fn psnr_db(a: &VideoFrame, b: &VideoFrame) -> f64 {
        let error: f64 = a.y().iter().zip(b.y()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        10.0 * (255.0 * 255.0 / (error / a.y().len() as f64).max(1e-9)).log10()
    }
}
