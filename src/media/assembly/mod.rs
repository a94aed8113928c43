//! Between RTP packets and encoded frames, both ways: VP8 (RFC 7741) and H.264 (RFC 6184). Plain data without sockets:
//! packets and the time are inputs. Owned by whichever thread feeds a track.

mod assembler;
mod continuity;
mod descriptor;
mod h264;
mod h264_packetiser;
mod packetiser;
mod recovery;

use std::time::Instant;

use bytes::Bytes;

pub use assembler::FrameAssembler;
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
    pub payload: &'a Bytes,
}

/// One whole encoded frame, ready for the decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// The frame's bitstream: VP8's as it is, H.264's NAL units each behind a start code (Annex B).
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
    /// True when this packet proves that the frame needs no other.
    refreshes: bool,
    /// What it adds to the frame.
    data: Bytes,
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
