//! What the actor and one capture thread share: whether to stop, to send, to start afresh, how much, and whereto.
//! Atomics and one short lock; the capture thread never waits for the actor.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rtc::rtp;
use tokio::sync::mpsc;

use super::counters::PictureCounters;
use super::sound_gate::SoundGate;

/// Frames (or 20 ms of sound) that may wait for the connection. A capture thread that finds the queue full leaves
/// the frame out before encoding it, so nothing that others build on is ever missing.
pub(in crate::client) const SEND_QUEUE: usize = 8;

/// Where packets go on the present link.
#[derive(Clone, Debug)]
pub(in crate::client) struct Sink {
    /// One entry is one frame's packets.
    pub(in crate::client) packets: mpsc::Sender<Vec<rtp::Packet>>,
    /// The track's RTP stream.
    pub(in crate::client) ssrc: u32,
    /// As negotiated.
    pub(in crate::client) payload_type: u8,
    /// Header extension of the sound level, when negotiated.
    pub(in crate::client) level_extension: Option<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::client) struct Gate {
    stopped: AtomicBool,
    muted: AtomicBool,
    keyframe: AtomicBool,
    bitrate_bps: AtomicU32,
    level: AtomicU32,
    sent_bytes: AtomicU64,
    sink: Mutex<Option<Sink>>,
    /// What only sound needs.
    pub(in crate::client) sound: SoundGate,
    /// What became of its pictures.
    pub(in crate::client) pictures: PictureCounters,
}

impl Gate {
    /// Tells the capture thread to end.
    pub(in crate::client) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.detach();
    }

    /// Whether the capture thread must end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Mutes or unmutes; a picture comes back with a keyframe.
    pub(in crate::client) fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Release);
        if !muted {
            self.ask_keyframe();
        }
    }

    /// Asks for a keyframe.
    pub(in crate::client) fn ask_keyframe(&self) {
        self.keyframe.store(true, Ordering::Release);
    }

    /// Whether a keyframe is wanted.
    pub(super) fn keyframe_wanted(&self) -> bool {
        self.keyframe.load(Ordering::Acquire)
    }

    /// A keyframe was sent.
    pub(super) fn keyframe_done(&self) {
        self.keyframe.store(false, Ordering::Release);
    }

    /// Sets how much may be sent, in bit/s.
    pub(in crate::client) fn set_bitrate(&self, bps: u32) {
        self.bitrate_bps.store(bps, Ordering::Relaxed);
    }

    /// How much may be sent, in bit/s.
    pub(super) fn bitrate(&self) -> u32 {
        self.bitrate_bps.load(Ordering::Relaxed)
    }

    /// The newest sound level, root mean square, 0..=1.
    pub(in crate::client) fn level(&self) -> f32 {
        f32::from_bits(self.level.load(Ordering::Relaxed))
    }

    /// Shows a sound level.
    pub(super) fn set_level(&self, level: f32) {
        self.level.store(level.to_bits(), Ordering::Relaxed);
    }

    /// Payload bytes handed to the connection so far.
    pub(in crate::client) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Counts payload bytes.
    pub(super) fn count_sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Sends to this link from now on, beginning with a keyframe.
    pub(in crate::client) fn attach(&self, sink: Sink) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
        self.ask_keyframe();
    }

    /// Sends nowhere from now on.
    pub(in crate::client) fn detach(&self) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether nothing may be heard or seen.
    pub(super) fn is_muted(&self) -> bool {
        self.muted.load(Ordering::Acquire)
    }

    /// Where packets go, muted or not; `None` while unlinked or stopped.
    pub(super) fn line(&self) -> Option<Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where to send now; `None` while muted, unlinked or stopped.
    pub(super) fn sink(&self) -> Option<Sink> {
        if self.muted.load(Ordering::Acquire) {
            return None;
        }
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_muted_gate_sends_nowhere_and_comes_back_with_a_keyframe() {
        let gate = Gate::default();
        let (packets, _receiver) = mpsc::channel(1);
        gate.attach(Sink { packets, ssrc: 1, payload_type: 96, level_extension: None });
        gate.keyframe_done();
        gate.set_muted(true);
        assert!(gate.sink().is_none());
        assert!(!gate.keyframe_wanted());
        gate.set_muted(false);
        assert!(gate.sink().is_some() && gate.keyframe_wanted());
        gate.stop();
        assert!(gate.sink().is_none() && gate.is_stopped());
    }
}
