//! Between RTP packets and encoded VP8 frames, both ways (RFC 7741). Plain data without sockets: packets and the
//! time are inputs. Owned by whichever thread feeds a track.

mod assembler;
mod continuity;
mod descriptor;
mod h264_packetiser;
mod packetiser;

use std::time::Instant;

pub use assembler::Vp8Assembler;
pub use h264_packetiser::H264Packetiser;
pub use packetiser::Vp8Packetiser;

/// One RTP packet of a video track, without header extensions and padding.
#[derive(Clone, Copy, Debug)]
pub struct RtpPacketRef<'a> {
    /// Sequence number.
    pub sequence: u16,
    /// Time stamp, 90 000 Hz.
    pub timestamp: u32,
    /// True on the last packet of a frame.
    pub marker: bool,
    /// What follows the RTP header; empty for a packet of padding only.
    pub payload: &'a [u8],
}

/// One whole encoded frame, ready for the decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// The VP8 bitstream of the frame.
    pub data: Vec<u8>,
    /// True when it can be decoded without any other.
    pub keyframe: bool,
    /// Its RTP time stamp, 90 000 Hz.
    pub timestamp: u32,
}

/// Counters since the assembler was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssemblyStats {
    /// Different packets that arrived, padding included.
    pub packets: u64,
    /// Packets given up on.
    pub lost: u64,
    /// Whole frames given out.
    pub frames: u64,
    /// Frames of which something arrived and which were not given out.
    pub dropped: u64,
}

/// What the assembler keeps of a packet until its frame is whole.
#[derive(Debug)]
struct Stored {
    timestamp: u32,
    marker: bool,
    arrived: Instant,
    /// `None` for padding only.
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    descriptor: descriptor::Descriptor,
    /// True when this packet starts a keyframe.
    keyframe: bool,
    data: Vec<u8>,
}

impl Stored {
    fn starts_frame(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.descriptor.starts_frame)
    }

    fn starts_keyframe(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.keyframe)
    }
}

#[cfg(test)]
mod tests;
