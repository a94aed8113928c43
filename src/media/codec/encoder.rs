//! One encoder for whichever codec a picture is sent in. Owned by the thread that encodes.

use super::h264_encoder::H264Encoder;
use super::vp8::Vp8Encoder;
use super::{CodecError, EncodedFrame, EncoderConfig};
use crate::media::VideoFrame;
use crate::model::VideoCodec;

/// An encoder for real-time use: constant rate, no lookahead, keyframes only when asked for.
pub enum VideoEncoder {
    /// See [`Vp8Encoder`].
    Vp8(Box<Vp8Encoder>),
    /// See [`H264Encoder`].
    H264(Box<H264Encoder>),
}

impl VideoEncoder {
    /// Sets an encoder up.
    ///
    /// # Errors
    /// [`CodecError`] when a setting is out of range or the library cannot start.
    pub fn new(codec: VideoCodec, config: EncoderConfig) -> Result<Self, CodecError> {
        Ok(match codec {
            VideoCodec::Vp8 => Self::Vp8(Box::new(Vp8Encoder::new(config)?)),
            VideoCodec::H264 => Self::H264(Box::new(H264Encoder::new(config)?)),
        })
    }

    /// Which codec it is.
    pub fn codec(&self) -> VideoCodec {
        match self {
            Self::Vp8(_) => VideoCodec::Vp8,
            Self::H264(_) => VideoCodec::H264,
        }
    }

    /// Encodes one frame; `None` when rate control skipped it. A frame of another size restarts the stream with a
    /// keyframe.
    ///
    /// # Errors
    /// [`CodecError`] when the library fails; the next frame should then be forced to be a keyframe.
    pub fn encode(&mut self, frame: &VideoFrame, force_keyframe: bool) -> Result<Option<EncodedFrame>, CodecError> {
        match self {
            Self::Vp8(encoder) => encoder.encode(frame, force_keyframe),
            Self::H264(encoder) => encoder.encode(frame, force_keyframe),
        }
    }

    /// Changes the target rate from the next frame on.
    ///
    /// # Errors
    /// [`CodecError::Setting`] when the library refuses it; the old rate stays.
    pub fn set_bitrate(&mut self, bps: u32) -> Result<(), CodecError> {
        match self {
            Self::Vp8(encoder) => encoder.set_bitrate(bps),
            Self::H264(encoder) => encoder.set_bitrate(bps),
        }
    }

    /// Tells how many frames per second will come, 1 to 240, where the codec plans with it.
    ///
    /// # Errors
    /// [`CodecError::Setting`] when the library refuses it.
    pub fn set_fps(&mut self, fps: f32) -> Result<(), CodecError> {
        match self {
            // Goes by the frames' time stamps.
            Self::Vp8(_) => Ok(()),
            Self::H264(encoder) => encoder.set_fps(fps),
        }
    }

    /// The quantizer of the newest frame, 0 (finest) to 63; `None` where the library does not say.
    pub fn last_quantizer(&mut self) -> Option<u32> {
        match self {
            Self::Vp8(encoder) => encoder.last_quantizer(),
            Self::H264(_) => None,
        }
    }
}
