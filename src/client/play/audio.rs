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
use crate::client::link::RED_PAYLOAD_TYPE;
use crate::media::audio::{Playout, Voice};
use crate::model::TrackSid;
use crate::model::quality::AudioStats;

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
    /// What it held when it was as it liked.
    own_ms: f32,
}

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
    /// A track that is wanted from the start; without a mixer its packets are only counted.
    pub(in crate::client) fn new(sid: TrackSid, playout: Option<&Playout>) -> Self {
        Self {
            sid,
            wanted: AtomicBool::new(true),
            voice: playout.map(Playout::add_voice),
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
    /// differ, both in ms.
    pub(super) fn lag(&self, round_trip_us: i64) -> Option<(Lag, f64)> {
        let hold_ms = self.voice.as_ref()?.stats().jitter_buffer_ms;
        let own_hold_ms = {
            let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
            if hold.wanted_ms == 0.0 {
                hold.own_ms = hold_ms;
            }
            hold.own_ms
        };
        let clock = self.clock();
        let (transit_us, difference_us) = (clock.transit_us()?, clock.difference_us(round_trip_us)?);
        let lag = Lag { whole_ms: transit_us as f64 / 1e3 + f64::from(hold_ms), own_hold_ms, hold_ms };
        Some((lag, difference_us as f64 / 1e3))
    }

    /// Is heard at least this long after the fastest packets' way.
    pub(super) fn set_hold_ms(&self, ms: f32) {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).wanted_ms = ms;
    }

    fn report(&self, report: &SenderReport, now: Instant) {
        self.clock().report(report.ntp_time, report.rtp_time, local_us(now));
    }

    fn clock(&self) -> MutexGuard<'_, SenderClock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, packet: &rtp::Packet, now: Instant) {
        if !self.wanted.load(Ordering::Acquire) || packet.payload.is_empty() {
            return;
        }
        self.clock().arrived(packet.header.timestamp, local_us(now));
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
pub(super) async fn pump(remote: Arc<dyn TrackRemote>, track: Arc<AudioTrack>) {
    // Another link has another time base.
    *track.clock() = SenderClock::new(CLOCK_HZ);
    while let Some(event) = remote.poll().await {
        let now = Instant::now();
        match event {
            TrackRemoteEvent::OnRtpPacket(packet) => track.take(&packet, now),
            TrackRemoteEvent::OnRtcpPacket(packets) => {
                for report in packets.iter().filter_map(|packet| packet.as_any().downcast_ref()) {
                    track.report(report, now);
                }
            }
            _ => {}
        }
    }
}
