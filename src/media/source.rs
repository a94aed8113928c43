//! What supplies pictures and sound to a published stream. A source is pulled from a thread of its own and paces
//! itself: the call returns when the next frame is due.

use super::frame::{AudioBlock, VideoFrame};

/// Size and rate of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoFormat {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second the source aims for.
    pub fps: f32,
}

/// Why a source gives nothing more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file or device could not be opened.
    #[error("cannot open {what}: {why}")]
    Open {
        /// The file or device.
        what: String,
        /// What the system said, and what to do.
        why: String,
    },
    /// What it delivers cannot be read.
    #[error("{what} cannot be used: {why}")]
    Format {
        /// The file or device.
        what: String,
        /// What is wrong, and what would do.
        why: String,
    },
}

/// A source of pictures.
pub trait VideoSource: Send {
    /// What it delivers. A source may change its size later; every frame carries its own.
    fn format(&self) -> VideoFormat;

    /// Blocks until the next frame is due; `None` when there will be no more.
    ///
    /// # Errors
    /// [`CaptureError`] when the source broke.
    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError>;
}

/// A source of sound.
pub trait AudioSource: Send {
    /// Blocks until the next 10 ms (480 samples a channel, mono or stereo) are due; `None` when there is no more.
    ///
    /// # Errors
    /// [`CaptureError`] when the source broke.
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError>;
}
