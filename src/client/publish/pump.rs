//! The task that takes one track's packets to the connection, and the one that hears its receivers' wishes.

use std::sync::Arc;
use std::time::Duration;

use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};

use super::gate::Gate;

/// Packets that go out at once; more are spread, so that a keyframe does not overrun small buffers on the way.
const BURST_PACKETS: usize = 6;
/// Bytes of a packet beside its payload: RTP with extensions, SRTP, UDP, IP.
pub(super) const OVERHEAD_BYTES: usize = 70;
/// Packets leave at this rate where nobody says, and at least and at most at these, in bit/s.
const USUAL_PACE_BPS: u32 = 19_000_000;
const PACE_BPS: std::ops::RangeInclusive<u32> = 2_000_000..=USUAL_PACE_BPS;
/// However slow the pace, a frame leaves within this.
const LONGEST_FRAME: Duration = Duration::from_millis(250);

/// Sends what comes until the queue or the connection ends.
pub(in crate::client) async fn send(
    track: Arc<TrackLocalStaticRTP>,
    gate: Arc<Gate>,
    mut packets: mpsc::Receiver<Vec<rtp::Packet>>,
) {
    let mut pace = Pace::new(Instant::now());
    while let Some(frame) = packets.recv().await {
        let bytes: usize = frame.iter().map(size_of_packet).sum();
        let bps = pace_for(gate.pace(), bytes);
        for packet in frame {
            let now = Instant::now();
            let due = pace.due(now, size_of_packet(&packet), bps);
            if due > now {
                sleep_until(due).await;
            }
            // `webrtc` errors here once the connection is closed: nothing more can be sent on it.
            if track.write_rtp(packet).await.is_err() {
                return;
            }
        }
    }
}

fn size_of_packet(packet: &rtp::Packet) -> usize {
    packet.payload.len() + OVERHEAD_BYTES
}

/// The rate for a frame of so many bytes.
fn pace_for(wish_bps: Option<u32>, bytes: usize) -> u32 {
    let in_time = bytes as u64 * 8 * 1000 / LONGEST_FRAME.as_millis() as u64;
    let wish = wish_bps.map_or(USUAL_PACE_BPS, |bps| bps.clamp(*PACE_BPS.start(), *PACE_BPS.end()));
    wish.max(u32::try_from(in_time).unwrap_or(u32::MAX))
}

/// A bucket that holds one burst: what is sent fills it, time empties it.
struct Pace {
    /// When it will be empty.
    empty: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { empty: now }
    }

    /// When a packet of this size may leave, at so many bit/s.
    fn due(&mut self, now: Instant, bytes: usize, bps: u32) -> Instant {
        let time = |bytes: usize| Duration::from_secs_f64(bytes as f64 * 8.0 / f64::from(bps.max(1)));
        self.empty = self.empty.max(now) + time(bytes);
        let burst = time(BURST_PACKETS * 1200);
        self.empty.checked_sub(burst).map_or(now, |due| due.max(now))
    }
}

/// Hands keyframe requests on; the encode thread limits how often it answers.
pub(in crate::client) async fn hear_requests(track: Arc<TrackLocalStaticRTP>, gate: Arc<Gate>) {
    while let Some(event) = track.poll().await {
        // The tap in the packet chain lets only what concerns us through.
        if let TrackLocalEvent::OnRtcpPacket(packets) = event {
            for packet in packets {
                let packet = packet.as_any();
                if let Some(request) = packet.downcast_ref::<PictureLossIndication>() {
                    gate.ask_keyframe_of(request.media_ssrc);
                } else if let Some(request) = packet.downcast_ref::<FullIntraRequest>() {
                    for entry in &request.fir {
                        gate.ask_keyframe_of(entry.ssrc);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_its_pace() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let dues: Vec<Duration> = (0..100).map(|_| pace.due(start, 1200, 4_800_000) - start).collect();
        assert!(dues[..BURST_PACKETS].iter().all(Duration::is_zero), "{dues:?}");
        // 2 ms a packet.
        let last = dues[99].as_secs_f64();
        assert!((last - 0.188).abs() < 0.001, "{last}");
        // After a pause the bucket is empty again, and no more than that.
        let later = start + Duration::from_secs(10);
        assert_eq!((0..=BURST_PACKETS).filter(|_| pace.due(later, 1200, 4_800_000) == later).count(), BURST_PACKETS);
    }

    #[test]
    fn a_large_frame_on_a_narrow_way_still_leaves_in_time() {
        assert_eq!(pace_for(Some(1_000_000), 5_000), 2_000_000);
        assert_eq!(pace_for(Some(5_000_000), 5_000), 5_000_000);
        assert_eq!(pace_for(Some(1 << 31), 5_000), USUAL_PACE_BPS);
        assert_eq!(pace_for(None, 5_000), USUAL_PACE_BPS);
        assert_eq!(pace_for(Some(1_000_000), 250_000), 8_000_000, "250 kB in 250 ms");
    }
}
