//! One played sound: its packets go into a voice of the mixer, which buffers, decodes and conceals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rtc::rtp;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::meter::Rate;
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
}

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
        Self { sid, wanted: AtomicBool::new(true), voice: playout.map(Playout::add_voice), counted: Mutex::default() }
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

    fn take(&self, packet: &rtp::Packet, now: Instant) {
        if !self.wanted.load(Ordering::Acquire) || packet.payload.is_empty() {
            return;
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
pub(super) async fn pump(remote: Arc<dyn TrackRemote>, track: Arc<AudioTrack>) {
    while let Some(event) = remote.poll().await {
        if let TrackRemoteEvent::OnRtpPacket(packet) = event {
            track.take(&packet, Instant::now());
        }
    }
}
