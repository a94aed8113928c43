//! What supplies pictures and sound to a published stream. A source is pulled from a thread of its own and paces
//! itself: the call returns when the next frame is due.

use std::fmt;

use super::frame::{AudioBlock, VideoFrame};
use crate::model::{DeviceState, DeviceUse};

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
    /// The device delivers nothing for now, for this reason; the source goes on trying: ask again.
    #[error("{what} delivers nothing ({}): {why}", state.word())]
    Interrupted {
        /// The device.
        what: String,
        /// What everyone is told of it.
        state: DeviceState,
        /// What to do.
        why: String,
    },
}

/// A source of pictures.
pub trait VideoSource: Send {
    /// What it delivers. A source may change its size later; every frame carries its own.
    fn format(&self) -> VideoFormat;

    /// Blocks until the next frame is due, for a second at most; `None` when there will be no more.
    ///
    /// # Errors
    /// [`CaptureError::Interrupted`] when nothing comes for now, after which it may be asked again; any other
    /// [`CaptureError`] when the source broke for good.
    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError>;

    /// Nobody asks for pictures for a while: a device may be let go. The next [`next_frame`](Self::next_frame) opens it
    /// again. Returns soon. A source that paces itself goes on from then: what fell due meanwhile is left out.
    fn rest(&mut self) {}

    /// What changed of the device behind it since this was last asked; nothing where there is no device. Cheap: asked
    /// after every pull.
    fn device_news(&mut self) -> Option<DeviceUse> {
        None
    }
}

impl fmt::Debug for dyn VideoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VideoSource").field(&self.format()).finish()
    }
}

impl fmt::Debug for dyn AudioSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AudioSource")
    }
}

/// A source of sound.
pub trait AudioSource: Send {
    /// Blocks until the next 10 ms (480 samples a channel, mono or stereo) are due; `None` when there is no more.
    /// Waits for a second at most.
    ///
    /// # Errors
    /// As [`VideoSource::next_frame`].
    fn next_block(&mut self) -> Result<Option<AudioBlock>, CaptureError>;

    /// What changed of the device behind it since this was last asked; nothing where there is no device. Cheap: asked
    /// after every pull.
    fn device_news(&mut self) -> Option<DeviceUse> {
        None
    }
}
