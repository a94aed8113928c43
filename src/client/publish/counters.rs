//! What became of the pictures of one own track: counted by its capture thread, read by the actor.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Counts since the track began.
#[derive(Debug, Default)]
pub(in crate::client) struct PictureCounters {
    captured: AtomicU64,
    encoded: AtomicU64,
    sent: AtomicU64,
    width: AtomicU32,
    height: AtomicU32,
    layers: AtomicU32,
}

/// What was counted so far. Encoded and sent frames are those of the largest layer that is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::client) struct PictureCounts {
    /// Frames the source delivered.
    pub(in crate::client) captured: u64,
    /// Frames that were encoded.
    pub(in crate::client) encoded: u64,
    /// Frames handed to the connection.
    pub(in crate::client) sent: u64,
    /// Size of the newest sent frame, in pixels.
    pub(in crate::client) width: u32,
    /// See `width`.
    pub(in crate::client) height: u32,
    /// Layers that were sent of it.
    pub(in crate::client) layers: u32,
}

impl PictureCounters {
    /// The source delivered a frame.
    pub(super) fn captured(&self) {
        self.captured.fetch_add(1, Ordering::Relaxed);
    }

    /// A frame was encoded.
    pub(super) fn encoded(&self) {
        self.encoded.fetch_add(1, Ordering::Relaxed);
    }

    /// A frame of this size was handed to the connection in so many layers.
    pub(super) fn sent(&self, width: u32, height: u32, layers: u32) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.show(width, height, layers);
    }

    /// What is sent from now on; zeros when nothing is.
    pub(super) fn show(&self, width: u32, height: u32, layers: u32) {
        self.width.store(width, Ordering::Relaxed);
        self.height.store(height, Ordering::Relaxed);
        self.layers.store(layers, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(in crate::client) fn counts(&self) -> PictureCounts {
        PictureCounts {
            captured: self.captured.load(Ordering::Relaxed),
            encoded: self.encoded.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            width: self.width.load(Ordering::Relaxed),
            height: self.height.load(Ordering::Relaxed),
            layers: self.layers.load(Ordering::Relaxed),
        }
    }
}
