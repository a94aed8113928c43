//! What lets keyframe requests and sender reports through the peer connection's packet chain to us, and counts what
//! comes in. Runs inside the connection's driver task and never blocks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rtc::interceptor::{Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Application-most slot of the chain: every interceptor has seen the packet before.
pub(super) const RTCP_TAP_SLOT: usize = 14_000;

/// Marks PLI, FIR and sender reports for the application: by itself the chain ends inbound RTCP. Each goes alone, because
/// the connection looks at the first packet of a compound only to find the track it belongs to.
pub(super) struct RtcpTap {
    arrived: Arc<AtomicU64>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl RtcpTap {
    /// A tap that counts in `arrived` every packet of media and every report that comes in.
    pub(super) fn new(arrived: Arc<AtomicU64>) -> Self {
        Self { arrived, inbound: VecDeque::new(), outbound: VecDeque::new() }
    }
}

/// What the application is told of this packet.
fn relevant(mut packet: Box<dyn rtc::rtcp::Packet>) -> Option<Box<dyn rtc::rtcp::Packet>> {
    if let Some(report) = packet.as_any().downcast_ref::<SenderReport>() {
        // Its reception blocks name tracks of ours; without them it goes to the track that it is about.
        packet = Box::new(SenderReport { reports: Vec::new(), ..report.clone() });
        return Some(packet);
    }
    let any = packet.as_any();
    (any.is::<PictureLossIndication>() || any.is::<FullIntraRequest>()).then_some(packet)
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for RtcpTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let Packet::Rtcp(packets) = message.message.packet else {
            self.inbound.push_back(message);
            return Ok(());
        };
        for packet in packets.into_iter().filter_map(relevant) {
            let packet = AttributedPacket::new(Packet::Rtcp(vec![packet])).with(Attribute::DeliverToApplication);
            let (now, transport) = (message.now, message.transport);
            self.inbound.push_back(TaggedPacket { now, transport, message: packet });
        }
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

impl Interceptor for RtcpTap {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::rtcp::reception_report::ReceptionReport;

    #[test]
    fn requests_and_reports_come_through_one_by_one_and_nothing_else() {
        let mut tap = RtcpTap::new(Arc::default());
        let report = SenderReport {
            ssrc: 7,
            ntp_time: 9,
            reports: vec![ReceptionReport { ssrc: 1, ..Default::default() }],
            ..Default::default()
        };
        let packets: Vec<Box<dyn rtc::rtcp::Packet>> = vec![
            Box::new(rtc::rtcp::receiver_report::ReceiverReport::default()),
            Box::new(report),
            Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc: 3 }),
            Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc: 4 }),
        ];
        let message = AttributedPacket::new(Packet::Rtcp(packets));
        tap.handle_read(TaggedPacket { now: Instant::now(), transport: Default::default(), message }).unwrap();
        let mut destinations = Vec::new();
        while let Some(message) = tap.poll_read() {
            assert!(message.message.has(&Attribute::DeliverToApplication));
            let Packet::Rtcp(packets) = &message.message.packet else { panic!("not RTCP") };
            assert_eq!(packets.len(), 1);
            destinations.extend(packets[0].destination_ssrc());
        }
        assert_eq!(destinations, [7, 3, 4]);
    }
}
