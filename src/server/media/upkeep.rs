//! What the media thread does from time to time: encodings, keyframe wishes, levels, figures, silence.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::levels::WINDOW;
use super::shard::Shard;
use super::{LinkFigures, MediaEvent, PeerId};

/// How often keyframe wishes are looked at.
const WISH_INTERVAL: Duration = Duration::from_millis(50);
/// How often encodings are chosen anew.
const PLAN_INTERVAL: Duration = Duration::from_millis(500);
/// How often signalling is told how the connections do, as in the official server.
const QUALITY_INTERVAL: Duration = Duration::from_secs(5);
/// A connection from which nothing came for this long is told as lost: clients send something every 2.5 s.
const QUIET: Duration = Duration::from_secs(6);

impl Shard {
    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        self.pass_held(now);
        let replan = std::mem::take(&mut self.replan);
        if now >= self.next_plan {
            let elapsed = now.saturating_duration_since(self.last_plan);
            self.tracks.values_mut().for_each(|track| track.read_rates(elapsed));
            self.last_plan = now;
            self.next_plan = now + PLAN_INTERVAL;
            self.plan_layers(now);
            self.next_wishes = now;
        } else if !replan.is_empty() {
            for receiver in replan {
                self.plan_receiver(receiver, now);
            }
            self.next_wishes = now;
        }
        if now >= self.next_wishes {
            self.next_wishes = now + WISH_INTERVAL;
            let mut asked = 0;
            for track in self.tracks.values_mut() {
                let count = track.ask_keyframes(&mut self.links, now);
                if count > 0 {
                    self.dirty.push(track.link);
                    asked += count;
                }
            }
            self.counters.keyframe_requests.add(asked);
        }
        if now >= self.next_levels {
            self.next_levels = now + WINDOW;
            self.read_levels();
        }
        if now >= self.next_quality {
            self.next_quality = now + QUALITY_INTERVAL;
            self.read_quality(now);
        }
        if now >= self.next_silence {
            self.next_silence = now + Duration::from_secs(1);
            self.socket.sweep(now);
            self.counters.tracks.set(self.tracks.len() as u64);
            self.counters.subscriptions.set(self.tracks.values().map(|track| track.legs.len() as u64).sum());
            self.notice_silence(now);
        }
    }

    fn read_quality(&mut self, now: Instant) {
        let mut figures: HashMap<PeerId, LinkFigures> = HashMap::new();
        for (id, link) in self.links.iter().filter(|(_, link)| link.connected) {
            let entry = figures.entry(id.peer).or_default();
            entry.loss = entry.loss.max(link.way.loss());
            entry.rtt_ms = entry.rtt_ms.max(link.way.rtt().map_or(0.0, |rtt| rtt.as_secs_f32() * 1000.0));
            entry.shortage = entry.shortage.max(link.shortage);
            entry.silent |= now.saturating_duration_since(link.heard) > QUIET;
        }
        let connected = figures.len().max(1) as f32;
        let mean = |of: fn(&LinkFigures) -> f32| figures.values().map(of).sum::<f32>() / connected;
        self.counters.loss_ppm.set((mean(|f| f.loss) * 1e6) as u64);
        self.counters.rtt_us.set((mean(|f| f.rtt_ms) * 1e3) as u64);
        for (peer, figures) in figures {
            self.tell(MediaEvent::Quality { peer, figures });
        }
    }

    fn read_levels(&mut self) {
        let mut levels = Vec::new();
        for (id, track) in self.tracks.iter_mut().filter(|(_, track)| !track.video) {
            let level = track.level.read();
            if level > 0.0 || track.reported > 0.0 {
                levels.push((*id, level));
            }
            track.reported = level;
        }
        if !levels.is_empty() {
            self.tell(MediaEvent::Levels(levels));
        }
    }
}
