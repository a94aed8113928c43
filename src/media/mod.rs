//! Pictures and sound: frames, sources, codecs, the jitter buffer and the mixer. Plain threads and plain data; no
//! network and no ECS.

pub mod assembly;
pub mod audio;
pub mod capture;
pub mod codec;
pub mod frame;
mod pool;
mod rgba;
pub mod scale;
pub mod source;

pub use frame::{AudioBlock, ColourMatrix, ColourRange, ColourSpace, VideoFrame};
pub use pool::FramePool;
pub use rgba::to_rgba;
pub use source::{AudioSource, CaptureError, VideoFormat, VideoSource};
