//! One played sound: its packets go into a voice of the mixer, which buffers, decodes and conceals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::clock::{SenderClock, local_us};
use super::meter::Rate;
use super::sync::Lag;
use crate::client::capture_time::capture_time;
use crate::client::link::RED_PAYLOAD_TYPE;
use crate::media::audio::{Playout, Voice};
use crate::model::quality::AudioStats;
use crate::model::{StreamId, TrackSid};

/// A played sound.
pub(in crate::client) struct AudioTrack {
    sid: TrackSid,
    wanted: AtomicBool,
    voice: Option<Voice>,
    counted: Mutex<Counted>,
    clock: Mutex<SenderClock>,
    hold: Mutex<Hold>,
}

/// How long the sound is held, in ms after the fastest packets' way.
#[derive(Default)]
struct Hold {
    /// At least this, for its picture's sake; 0 is as it likes.
    wanted_ms: f32,
    /// What that accounts for: more than is wanted while less than before is, until the buffer has followed.
    granted_ms: f32,
    /// What it holds, or last held, for its own sake.
    own_ms: f32,
}

impl Hold {
    /// Takes the delay it holds now; answers what it would hold by itself. What is held for the picture hides that, but
    /// where more is held than the picture wants it is the sound's own affair.
    fn own(&mut self, held_ms: f32) -> f32 {
        self.granted_ms = self.granted_ms.min(held_ms).max(self.wanted_ms);
        let is_own = self.wanted_ms == 0.0 || held_ms > self.granted_ms + STRAY_MS;
        self.own_ms = if is_own { held_ms } else { self.own_ms.min(held_ms) };
        self.own_ms
    }
}

/// How far above its target a buffer and its device may hold, in ms, without having a reason.
const STRAY_MS: f32 = 25.0;

/// RTP clock of Opus, in Hz (RFC 7587 section 4.1).
const CLOCK_HZ: u32 = 48_000;

/// What is counted when no voice counts.
#[derive(Default)]
struct Counted {
    packets: u64,
    bytes: u64,
    rate: Rate,
}

impl AudioTrack {
    /// A stream's track that is wanted from the start; without a mixer its packets are only counted.
    pub(in crate::client) fn new(stream: &StreamId, sid: TrackSid, playout: Option<&Playout>) -> Self {
        Self {
            sid,
            wanted: AtomicBool::new(true),
            voice: playout.map(|playout| playout.add_voice_of(stream)),
            counted: Mutex::default(),
            clock: Mutex::new(SenderClock::new(CLOCK_HZ)),
            hold: Mutex::default(),
        }
    }

    /// The server's id.
    pub(in crate::client) fn sid(&self) -> &TrackSid {
        &self.sid
    }

    /// Stops taking packets in: late ones of a track that is no longer played are not heard.
    pub(in crate::client) fn stop(&self) {
        self.wanted.store(false, Ordering::Release);
    }

    /// The figures now.
    pub(super) fn stats(&self) -> AudioStats {
        if let Some(voice) = &self.voice {
            return voice.stats();
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        AudioStats {
            packets: counted.packets,
            bytes: counted.bytes,
            kbps: counted.rate.per_second(Instant::now()) * 8.0 / 1000.0,
            ..Default::default()
        }
    }

    /// How far behind its sender it is heard, once the sender's clock is known, and what to take off for clocks that
    /// differ, once that is known, too; both in ms.
    pub(super) fn lag(&self, round_trip_us: i64) -> Option<(Lag, Option<f64>)> {
        let voice = self.voice.as_ref()?;
        let hold_ms = voice.playout_delay_ms();
        let own_hold_ms = self.hold.lock().unwrap_or_else(PoisonError::into_inner).own(hold_ms);
        let clock = self.clock();
        let (transit_us, difference_us) = (clock.transit_us()?, clock.difference_us(round_trip_us));
        // What is heard now tells it exactly; while the sender pauses the delays on the way add up to it.
        let heard = voice.heard().and_then(|(rtp, at)| Some(local_us(at) - clock.captured_us(rtp)?));
        let whole_ms = heard.map_or(transit_us as f64 / 1e3 + f64::from(hold_ms), |us| us as f64 / 1e3);
        let lag = Lag { whole_ms, own_hold_ms, hold_ms };
        Some((lag, difference_us.map(|us| us as f64 / 1e3)))
    }

    /// Is heard at least this long after the fastest packets' way.
    pub(super) fn set_hold_ms(&self, ms: f32) {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(voice) = self.voice.as_ref().filter(|_| hold.wanted_ms != ms) {
            // The policy counts the way to the device, the voice its buffer only.
            let device_ms = (voice.playout_delay_ms() - voice.stats().jitter_buffer_ms).max(0.0);
            voice.set_minimum_delay((ms - device_ms).max(0.0));
            hold.wanted_ms = ms;
        }
    }

    fn report(&self, report: &SenderReport, now: Instant) {
        self.clock().report(report.ntp_time, report.rtp_time, local_us(now));
    }

    fn clock(&self) -> MutexGuard<'_, SenderClock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, packet: &rtp::Packet, capture_extension: Option<u8>, now: Instant) {
        if !self.wanted.load(Ordering::Acquire) || packet.payload.is_empty() {
            return;
        }
        {
            let mut clock = self.clock();
            if let Some(ntp) = capture_time(packet, capture_extension) {
                clock.captured(ntp, packet.header.timestamp);
            }
            clock.arrived(packet.header.timestamp, local_us(now));
        }
        match &self.voice {
            Some(voice) => {
                let (sequence, timestamp) = (packet.header.sequence_number, packet.header.timestamp);
                match packet.header.payload_type {
                    RED_PAYLOAD_TYPE => voice.push_redundant(sequence, timestamp, &packet.payload, now),
                    _ => voice.push(sequence, timestamp, &packet.payload, now),
                }
            }
            None => {
                let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
                counted.packets += 1;
                counted.bytes += packet.payload.len() as u64;
                counted.rate.add(packet.payload.len() as u64, now);
            }
        }
    }
}

/// Reads a remote track until the link ends.
pub(super) async fn pump(remote: Arc<dyn TrackRemote>, track: Arc<AudioTrack>, capture_extension: Option<u8>) {
    // Another link has another time base.
    *track.clock() = SenderClock::new(CLOCK_HZ);
    while let Some(event) = remote.poll().await {
        let now = Instant::now();
        match event {
            TrackRemoteEvent::OnRtpPacket(packet) => track.take(&packet, capture_extension, now),
            TrackRemoteEvent::OnRtcpPacket(packets) => {
                for report in packets.iter().filter_map(|packet| packet.as_any().downcast_ref()) {
                    track.report(report, now);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_delay_is_known_while_it_waits_for_its_picture() {
        let mut hold = Hold::default();
        assert_eq!([40.0, 60.0].map(|held| hold.own(held)), [40.0, 60.0]);
        hold.wanted_ms = 150.0;
        assert_eq!([60.0, 90.0, 130.0, 158.0].map(|held| hold.own(held)), [60.0; 4], "the rest is for the picture");
        assert_eq!([230.0, 260.0].map(|held| hold.own(held)), [230.0, 260.0], "jitter beyond what the picture wants");
        assert!(hold.own(150.0) <= 150.0, "and its end");
    }

    #[test]
    fn a_buffer_that_follows_slowly_is_not_its_own_delay() {
        let mut hold = Hold::default();
        hold.own(40.0);
        hold.wanted_ms = 200.0;
        hold.own(200.0);
        hold.wanted_ms = 120.0;
        assert_eq!([201.0, 190.0, 160.0, 130.0, 121.0].map(|held| hold.own(held)), [40.0; 5]);
        assert_eq!(hold.own(170.0), 170.0);
    }
}
