//! The task that takes one track's packets to the connection, and the one that hears its receivers' wishes.

use std::sync::Arc;
use std::time::Duration;

use rtc::rtp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};

use super::gate::Gate;

/// Packets that go out at once; more are spread, so that a keyframe does not overrun small buffers on the way.
const BURST_PACKETS: usize = 6;
/// Pause between bursts. With six packets of 1.2 kB this is some 19 Mbit/s: a large keyframe takes 20 ms.
const BURST_PAUSE: Duration = Duration::from_millis(3);

/// Sends what comes until the queue or the connection ends.
pub(in crate::client) async fn send(track: Arc<TrackLocalStaticRTP>, mut packets: mpsc::Receiver<Vec<rtp::Packet>>) {
    while let Some(frame) = packets.recv().await {
        let mut next_burst = Instant::now();
        for (at, packet) in frame.into_iter().enumerate() {
            if at > 0 && at % BURST_PACKETS == 0 {
                next_burst += BURST_PAUSE;
                sleep_until(next_burst).await;
            }
            // `webrtc` errors here once the connection is closed: nothing more can be sent on it.
            if track.write_rtp(packet).await.is_err() {
                return;
            }
        }
    }
}

/// Hands keyframe requests on; the encode thread limits how often it answers.
pub(in crate::client) async fn hear_requests(track: Arc<TrackLocalStaticRTP>, gate: Arc<Gate>) {
    while let Some(event) = track.poll().await {
        // The tap in the packet chain lets nothing but keyframe requests through.
        if let TrackLocalEvent::OnRtcpPacket(_) = event {
            gate.ask_keyframe();
        }
    }
}
