//! What the actor and one capture thread share: whether to stop, to send, to start afresh, how much, and whereto.
//! Atomics and one short lock; the capture thread never waits for the actor, but to be unmuted.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rtc::rtp;
use tokio::sync::mpsc;

use super::counters::PictureCounters;
use super::layers::{Layers, MAX_LAYERS};
use super::sound_gate::SoundGate;
use crate::model::VideoCodec;

/// Frames of a layer (or 20 ms of sound) that may wait for the connection. A capture thread that finds the queue full
/// leaves the frame out before encoding it, so nothing that others build on is ever missing.
pub(in crate::client) const SEND_QUEUE: usize = 8;
/// A muted picture looks this often whether it is fed by another source.
const MUTED_LOOK: Duration = Duration::from_millis(50);
/// Stands for "as much as the options allow": no share was given yet.
const UNSHARED: u32 = u32::MAX;

/// Where packets go on the present link.
#[derive(Clone, Debug)]
pub(in crate::client) struct Sink {
    /// One entry is one frame's packets.
    pub(in crate::client) packets: mpsc::Sender<Vec<rtp::Packet>>,
    /// The track's RTP stream; of a picture's lowest layer.
    pub(in crate::client) ssrc: u32,
    /// As negotiated.
    pub(in crate::client) payload_type: u8,
    /// Header extension of the sound level, when negotiated.
    pub(in crate::client) level_extension: Option<u8>,
    /// Header extension of the capture time, when negotiated.
    pub(in crate::client) capture_extension: Option<u8>,
    /// What a picture needs besides; sound has none.
    pub(in crate::client) picture: Option<Arc<PictureSink>>,
}

/// What a picture's sink knows besides.
#[derive(Debug)]
pub(in crate::client) struct PictureSink {
    /// What the server took.
    pub(in crate::client) codec: VideoCodec,
    /// How many layers were offered.
    pub(in crate::client) layers: Layers,
    /// The RTP stream of each layer, lowest first.
    pub(in crate::client) ssrcs: Vec<u32>,
    /// Header extensions of every packet of a layer, by layer: the names of section and layer (RFC 9143, RFC 8852).
    pub(in crate::client) names: Vec<Vec<(u8, Bytes)>>,
}

#[derive(Debug)]
struct LayerGate {
    keyframe: AtomicBool,
    bitrate_bps: AtomicU32,
    active: AtomicBool,
}

impl Default for LayerGate {
    fn default() -> Self {
        Self { keyframe: AtomicBool::new(true), bitrate_bps: AtomicU32::new(UNSHARED), active: AtomicBool::default() }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::client) struct Gate {
    stopped: AtomicBool,
    muted: AtomicBool,
    level: AtomicU32,
    sent_bytes: AtomicU64,
    /// What only sound needs.
    pub(in crate::client) sound: SoundGate,
    /// What became of its pictures.
    pub(in crate::client) pictures: PictureCounters,
    /// Bits of the ranks that nobody watches.
    unwatched: AtomicU8,
    pace_bps: AtomicU32,
    layers: [LayerGate; MAX_LAYERS],
    sink: Mutex<Option<Sink>>,
    /// Unmuted or stopped; goes with `sink`.
    turned: Condvar,
}

impl Gate {
    /// Tells the capture thread to end.
    pub(in crate::client) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.detach();
        self.turned.notify_all();
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
            self.turned.notify_all();
        }
    }

    /// Asks for a keyframe of every layer.
    pub(in crate::client) fn ask_keyframe(&self) {
        for layer in &self.layers {
            layer.keyframe.store(true, Ordering::Release);
        }
    }

    /// Asks for a keyframe of the layer that has this SSRC; of every layer when none has.
    pub(in crate::client) fn ask_keyframe_of(&self, ssrc: u32) {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let layer = sink
            .and_then(|sink| sink.picture)
            .and_then(|picture| picture.ssrcs.iter().position(|own| *own == ssrc))
            .and_then(|layer| self.layers.get(layer));
        match layer {
            Some(layer) => layer.keyframe.store(true, Ordering::Release),
            None => self.ask_keyframe(),
        }
    }

    /// Whether a keyframe of a layer is wanted.
    pub(super) fn keyframe_wanted(&self, layer: usize) -> bool {
        self.layers[layer].keyframe.load(Ordering::Acquire)
    }

    /// A keyframe of a layer is wanted, or was sent.
    pub(super) fn set_keyframe_wanted(&self, layer: usize, wanted: bool) {
        self.layers[layer].keyframe.store(wanted, Ordering::Release);
    }

    /// Says which of LiveKit's qualities, low to high, somebody watches.
    pub(in crate::client) fn set_watched(&self, ranks: [bool; MAX_LAYERS]) {
        let unwatched = ranks.iter().enumerate().map(|(rank, watched)| u8::from(!watched) << rank).sum();
        self.unwatched.store(unwatched, Ordering::Relaxed);
    }

    /// Which of LiveKit's qualities somebody watches; all until the server says otherwise.
    pub(in crate::client) fn watched(&self) -> [bool; MAX_LAYERS] {
        let unwatched = self.unwatched.load(Ordering::Relaxed);
        std::array::from_fn(|rank| unwatched & (1 << rank) == 0)
    }

    /// Sets how much each layer may send, in bit/s; 0 stops it.
    pub(in crate::client) fn set_layer_rates(&self, rates_bps: [u32; MAX_LAYERS]) {
        for (layer, bps) in self.layers.iter().zip(rates_bps) {
            layer.bitrate_bps.store(bps, Ordering::Relaxed);
        }
    }

    /// How much a layer may send, in bit/s; 0 when it is stopped, `None` before anyone said.
    pub(super) fn layer_rate(&self, layer: usize) -> Option<u32> {
        Some(self.layers[layer].bitrate_bps.load(Ordering::Relaxed)).filter(|bps| *bps != UNSHARED)
    }

    /// Sets how fast packets may leave, in bit/s.
    pub(in crate::client) fn set_pace(&self, bps: u32) {
        self.pace_bps.store(bps, Ordering::Relaxed);
    }

    /// How fast packets may leave, in bit/s; `None` before anyone said.
    pub(super) fn pace(&self) -> Option<u32> {
        Some(self.pace_bps.load(Ordering::Relaxed)).filter(|bps| *bps > 0)
    }

    /// A layer is sent from now on, or no longer.
    pub(super) fn set_active(&self, layer: usize, active: bool) {
        self.layers[layer].active.store(active, Ordering::Relaxed);
    }

    /// Which layers are sent now.
    pub(in crate::client) fn active(&self) -> [bool; MAX_LAYERS] {
        std::array::from_fn(|layer| self.layers[layer].active.load(Ordering::Relaxed))
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

    /// Waits a moment while muted; whether it is muted still, and not stopped.
    pub(super) fn rests(&self) -> bool {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let muted = |_: &mut Option<Sink>| self.is_muted() && !self.is_stopped();
        drop(self.turned.wait_timeout_while(sink, MUTED_LOOK, muted).unwrap_or_else(PoisonError::into_inner));
        self.is_muted() && !self.is_stopped()
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

    fn sink(picture: Option<PictureSink>) -> (Sink, mpsc::Receiver<Vec<rtp::Packet>>) {
        let (packets, receiver) = mpsc::channel(1);
        let picture = picture.map(Arc::new);
        (Sink { packets, ssrc: 1, payload_type: 96, level_extension: None, capture_extension: None, picture }, receiver)
    }

    fn wanted(gate: &Gate) -> [bool; MAX_LAYERS] {
        std::array::from_fn(|layer| gate.keyframe_wanted(layer))
    }

    fn all_done(gate: &Gate) {
        for layer in 0..MAX_LAYERS {
            gate.set_keyframe_wanted(layer, false);
        }
    }

    #[test]
    fn a_muted_gate_sends_nowhere_and_comes_back_with_a_keyframe() {
        let gate = Gate::default();
        let (sink, _receiver) = sink(None);
        gate.attach(sink);
        all_done(&gate);
        gate.set_muted(true);
        assert!(gate.sink().is_none());
        assert_eq!(wanted(&gate), [false; 3]);
        gate.set_muted(false);
        assert!(gate.sink().is_some());
        assert_eq!(wanted(&gate), [true; 3]);
        gate.stop();
        assert!(gate.sink().is_none() && gate.is_stopped());
    }

    #[test]
    fn a_keyframe_is_asked_of_the_layer_that_lacks_it() {
        let gate = Gate::default();
        let layers = Layers::of(1280, 720, true);
        let picture = PictureSink { codec: VideoCodec::Vp8, layers, ssrcs: vec![7, 8, 9], names: Vec::new() };
        let (sink, _receiver) = sink(Some(picture));
        gate.attach(sink);
        all_done(&gate);
        gate.ask_keyframe_of(8);
        assert_eq!(wanted(&gate), [false, true, false]);
        all_done(&gate);
        gate.ask_keyframe_of(4711);
        assert_eq!(wanted(&gate), [true; 3], "an unknown one means all");
    }

    #[test]
    fn everything_is_watched_until_the_server_says_otherwise() {
        let gate = Gate::default();
        assert_eq!(gate.watched(), [true; 3]);
        gate.set_watched([true, false, false]);
        assert_eq!(gate.watched(), [true, false, false]);
        assert_eq!(gate.layer_rate(1), None);
        gate.set_layer_rates([1, 0, 3]);
        assert_eq!([gate.layer_rate(0), gate.layer_rate(1), gate.layer_rate(2)], [Some(1), Some(0), Some(3)]);
    }
}
