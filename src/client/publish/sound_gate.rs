//! What the actor tells the capture thread of a sound besides what every track is told: what is lost on the way, and
//! whether the server takes redundant packets; and what it is told in turn. Atomics; nobody waits.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(in crate::client) struct SoundGate {
    /// As the bits of an `f32`.
    loss: AtomicU32,
    /// 0 for none.
    red_payload_type: AtomicU8,
    bitrate_bps: AtomicU32,
    planned_bps: AtomicU32,
    speaks_muted: AtomicBool,
}

impl SoundGate {
    /// Sets how much the sound may send, in bit/s.
    pub(in crate::client) fn set_bitrate(&self, bps: u32) {
        self.bitrate_bps.store(bps, Ordering::Relaxed);
    }

    /// How much the sound may send, in bit/s; 0 before anyone said.
    pub(super) fn bitrate(&self) -> u32 {
        self.bitrate_bps.load(Ordering::Relaxed)
    }

    /// Sets the share of packets that the server misses, 0..=1.
    pub(in crate::client) fn set_loss(&self, share: f32) {
        self.loss.store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    /// The share of packets that the server misses, 0..=1.
    pub(super) fn loss(&self) -> f32 {
        f32::from_bits(self.loss.load(Ordering::Relaxed))
    }

    /// Sets under which payload type the server takes redundant packets (RFC 2198), if it does.
    pub(in crate::client) fn set_red(&self, payload_type: Option<u8>) {
        self.red_payload_type.store(payload_type.unwrap_or(0), Ordering::Relaxed);
    }

    /// Under which payload type the server takes redundant packets, if it does.
    pub(super) fn red(&self) -> Option<u8> {
        Some(self.red_payload_type.load(Ordering::Relaxed)).filter(|payload_type| *payload_type > 0)
    }

    /// Shows what the sound puts on the way now while it is heard, with all headers, in bit/s.
    pub(super) fn set_planned(&self, bps: u32) {
        self.planned_bps.store(bps, Ordering::Relaxed);
    }

    /// Shows whether somebody speaks while nothing is sent for being muted.
    pub(super) fn set_speaks_muted(&self, speaks: bool) {
        self.speaks_muted.store(speaks, Ordering::Relaxed);
    }

    /// Whether somebody speaks while nothing is sent for being muted.
    pub(in crate::client) fn speaks_muted(&self) -> bool {
        self.speaks_muted.load(Ordering::Relaxed)
    }

    /// What the sound puts on the way now while it is heard, with all headers, in bit/s; 0 before its first block.
    pub(in crate::client) fn planned(&self) -> u32 {
        self.planned_bps.load(Ordering::Relaxed)
    }
}
