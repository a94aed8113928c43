//! Two small things in the peer connection's packet chain: one lets keyframe requests through to us, one lets the
//! bandwidth estimate out. Both run inside the connection's driver task and never block.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rtc::interceptor::{
    Attribute, BandwidthEstimator, EstimatorStats, Gcc, Interceptor, Packet, PacketReport, StreamInfo, TaggedPacket,
};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Application-most slot of the chain: every interceptor has seen the packet before.
pub(super) const KEYFRAME_TAP_SLOT: usize = 14_000;
/// Where the estimate starts, in bit/s. There is no probing, and growth is 8 % a second: start at what a camera wants.
const INITIAL_BPS: f64 = 2_000_000.0;
/// The estimate never falls below, in bit/s.
const MIN_BPS: f64 = 150_000.0;
/// The estimate never rises above, in bit/s.
const MAX_BPS: f64 = 20_000_000.0;

/// Marks PLI and FIR for the application: by itself the chain ends inbound RTCP.
#[derive(Default)]
pub(super) struct KeyframeTap {
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

fn is_keyframe_request(packet: &dyn rtc::rtcp::Packet) -> bool {
    let packet = packet.as_any();
    packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>()
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyframeTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut message: TaggedPacket) -> Result<(), Self::Error> {
        if let Packet::Rtcp(packets) = &mut message.message.packet {
            packets.retain(|packet| is_keyframe_request(packet.as_ref()));
            if packets.is_empty() {
                return Ok(());
            }
            message.message.add(Attribute::DeliverToApplication);
        }
        self.inbound.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        self.outbound.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.outbound.pop_front()
    }
}

impl Interceptor for KeyframeTap {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

/// The newest estimate of what the way to the server carries.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Bandwidth(Arc<AtomicU64>);

impl Bandwidth {
    /// In bit/s; `None` before the server's first feedback.
    pub(in crate::client) fn bps(&self) -> Option<f64> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            bits => Some(f64::from_bits(bits)),
        }
    }

    fn store(&self, bps: f64) {
        self.0.store(bps.to_bits(), Ordering::Relaxed);
    }
}

/// Google congestion control that shows its estimate.
pub(super) struct ReportingGcc {
    gcc: Gcc,
    shown: Bandwidth,
}

impl ReportingGcc {
    /// An estimator and where its estimate can be read.
    pub(super) fn new() -> (Self, Bandwidth) {
        let shown = Bandwidth::default();
        (Self { gcc: Gcc::new(INITIAL_BPS, MIN_BPS, MAX_BPS), shown: shown.clone() }, shown)
    }
}

impl BandwidthEstimator for ReportingGcc {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        self.gcc.on_reports(now, reports);
        self.shown.store(self.gcc.target_bitrate());
    }

    fn target_bitrate(&self) -> f64 {
        self.gcc.target_bitrate()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.gcc.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.gcc.poll_timeout()
    }

    fn stats(&self) -> EstimatorStats {
        self.gcc.stats()
    }
}
