//! The jitter buffer under scripted networks, in simulated time.

use std::time::Duration;

use super::*;
use crate::media::codec::opus::tests::{speech, speech_packets};
use crate::media::codec::opus::{FRAME_SAMPLES, OpusEncoder};
use crate::media::codec::tests::Random;
use crate::media::frame::rms;

/// A packet on its way: when it arrives in ms, and what it is.
#[derive(Clone)]
struct Sent {
    at_ms: f64,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

/// Speech in 20 ms packets without any delay, with numbers that soon wrap.
fn speech_sent(count: usize) -> Vec<Sent> {
    let (_, packets) = speech_packets(count);
    packets
        .into_iter()
        .enumerate()
        .map(|(index, payload)| Sent {
            at_ms: index as f64 * 20.0,
            sequence: 65_500u16.wrapping_add(index as u16),
            timestamp: (u32::MAX - 50_000).wrapping_add((index * FRAME_SAMPLES) as u32),
            payload,
        })
        .collect()
}

struct Played {
    sound: Vec<f32>,
    stats: JitterStats,
    /// Delay in ms after each 10 ms.
    delays_ms: Vec<f32>,
}

impl Played {
    fn concealed(&self) -> f64 {
        self.stats.concealed_samples as f64 / self.stats.played_samples.max(1) as f64
    }

    /// Level between two times in ms.
    fn level(&self, from_ms: usize, to_ms: usize) -> f32 {
        rms(&self.sound[from_ms * 48..to_ms * 48])
    }
}

/// Plays for as long as asked on a clock that gives `10 ms * (1 + drift)` steps.
fn play(mut sent: Vec<Sent>, ms: usize, drift: f64) -> Played {
    sent.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    let start = Instant::now();
    let at = |ms: f64| start + Duration::from_secs_f64(ms / 1e3);
    let mut buffer = JitterBuffer::new().unwrap();
    let mut arriving = sent.iter().peekable();
    let (mut sound, mut delays_ms) = (Vec::new(), Vec::new());
    let mut block = [0.0; SAMPLES_10MS];
    for step in 0..ms / 10 {
        let now_ms = step as f64 * 10.0 * (1.0 + drift) + 3.0;
        while let Some(packet) = arriving.next_if(|packet| packet.at_ms <= now_ms) {
            buffer.push(packet.sequence, packet.timestamp, &packet.payload, at(packet.at_ms));
        }
        buffer.pull(at(now_ms), &mut block);
        assert!(block.iter().all(|sample| sample.is_finite()));
        sound.extend_from_slice(&block);
        delays_ms.push(buffer.stats().delay_ms);
        assert!(buffer.packets.len() <= MAX_PACKETS && buffer.sound.len() < 8 * MAX_PACKET_SAMPLES);
    }
    Played { sound, stats: buffer.stats(), delays_ms }
}

#[test]
fn a_clean_network_is_played_whole_and_at_once() {
    let played = play(speech_sent(200), 4_000, 0.0);
    assert_eq!((played.stats.lost, played.stats.concealed_samples), (0, 0));
    assert!(played.stats.delay_ms <= 35.0, "{} ms", played.stats.delay_ms);
    let original = rms(&speech(4_000 * 48));
    assert!((played.level(500, 3_900) / original - 1.0).abs() < 0.1, "as loud as it was");
}

#[test]
fn jitter_and_reordering_are_absorbed() {
    let mut random = Random(21);
    let mut sent = speech_sent(500);
    for packet in &mut sent {
        packet.at_ms += random.below(70) as f64;
    }
    let copies: Vec<Sent> =
        sent.iter().step_by(7).map(|packet| Sent { at_ms: packet.at_ms + 9.0, ..packet.clone() }).collect();
    sent.extend(copies);
    let played = play(sent, 10_080, 0.0);
    assert!(played.concealed() < 0.02, "{} concealed", played.concealed());
    assert!(played.stats.lost <= 10, "{} lost", played.stats.lost);
    assert_eq!(played.stats.packets, 500);
    let settled = &played.delays_ms[400..];
    let mean = settled.iter().sum::<f32>() / settled.len() as f32;
    assert!((50.0..=110.0).contains(&mean), "{mean} ms for jitter of up to 70 ms");
}

#[test]
fn single_losses_are_restored_from_the_next_packet() {
    let sent: Vec<Sent> =
        speech_sent(500).into_iter().enumerate().filter(|(index, _)| index % 10 != 7).map(|(_, sent)| sent).collect();
    let played = play(sent, 10_000, 0.0);
    assert_eq!(played.stats.lost, 50);
    assert!(played.concealed() < 0.03, "{} concealed at 10 % loss", played.concealed());
}

#[test]
fn random_loss_of_thirty_percent_stays_understandable() {
    let mut random = Random(4);
    // The first and the last packet arrive, so that what is missing in between is known.
    let mut sent = speech_sent(1_000);
    sent.retain(|packet| packet.at_ms == 0.0 || packet.at_ms == 19_980.0 || !random.chance(0.3));
    let arrived = sent.len() as u64;
    let played = play(sent, 20_060, 0.0);
    let missing = 1_000 - arrived;
    assert!(played.stats.lost.abs_diff(missing) <= 2, "{} lost of {missing} missing", played.stats.lost);
    assert!(played.concealed() < 0.2, "{} concealed at 30 % loss", played.concealed());
    let original = rms(&speech(20_000 * 48));
    assert!((played.level(500, 19_500) / original - 1.0).abs() < 0.25);
}

#[test]
fn clocks_that_differ_are_followed_without_a_gap() {
    for drift in [300e-6, -300e-6] {
        let played = play(speech_sent(6_000), 119_000, drift);
        assert!(played.concealed() < 0.001, "{} concealed with a drift of {drift}", played.concealed());
        assert_eq!(played.stats.lost, 0);
        let worst = played.delays_ms[500..].iter().fold(0.0f32, |worst, delay| worst.max(*delay));
        assert!(worst < 60.0, "{worst} ms with a drift of {drift}");
    }
}

#[test]
fn a_sender_that_pauses_is_no_loss() {
    let mut sent = speech_sent(300);
    for packet in &mut sent[150..] {
        packet.at_ms += 2_500.0;
        packet.timestamp = packet.timestamp.wrapping_add(2_500 * 48);
    }
    let played = play(sent, 8_400, 0.0);
    assert_eq!(played.stats.lost, 0);
    assert_eq!(played.stats.concealed_samples, 0, "silence of a muted microphone is not concealment");
    assert!(played.level(3_400, 5_400) < 1e-4, "silent while paused");
    assert!(played.level(5_700, 8_000) > 0.05, "heard again after it");
    assert!(played.stats.delay_ms < 50.0, "{} ms", played.stats.delay_ms);
}

#[test]
fn an_outage_fades_out_and_counts() {
    let sent: Vec<Sent> = speech_sent(300)
        .into_iter()
        .enumerate()
        .filter(|(index, _)| !(100..150).contains(index))
        .map(|(_, sent)| sent)
        .collect();
    let played = play(sent, 5_900, 0.0);
    assert!(played.level(2_300, 2_900) < 1e-3, "silent 300 ms into the outage");
    assert!(played.level(3_200, 5_800) > 0.05, "heard again after it");
    let concealed_ms = played.stats.concealed_samples as f64 / 48.0;
    assert!((700.0..=1_050.0).contains(&concealed_ms), "{concealed_ms} ms concealed for an outage of 1 000");
    assert!(played.delays_ms[590 - 1] < 60.0);
}

#[test]
fn a_stalled_network_is_caught_up_with() {
    let mut sent = speech_sent(500);
    for packet in &mut sent[100..125] {
        packet.at_ms = 2_500.0;
    }
    let played = play(sent, 9_900, 0.0);
    let after = played.delays_ms[260..].iter().fold(0.0f32, |worst, delay| worst.max(*delay));
    assert!(after > 200.0, "the stalled speech is not thrown away ({after} ms)");
    assert!(played.delays_ms[989] < 200.0, "{} ms seven seconds later", played.delays_ms[989]);
    assert!(played.level(2_500, 3_000) > 0.03);
}

#[test]
fn a_sender_that_starts_anew_is_heard_at_once() {
    let mut sent = speech_sent(100);
    let mut second = speech_sent(100);
    for packet in &mut second {
        packet.at_ms += 2_040.0;
        packet.sequence = packet.sequence.wrapping_add(20_000);
        packet.timestamp = packet.timestamp.wrapping_add(1_000_000_000);
    }
    sent.extend(second);
    let played = play(sent, 4_000, 0.0);
    assert!(played.level(2_200, 2_500) > 0.03, "{}", played.level(2_200, 2_500));
    assert!(played.stats.lost <= 3, "{} lost", played.stats.lost);
}

#[test]
fn stretching_leaves_no_clicks() {
    // A steady tone over a network whose jitter changes, so that the delay must move up and down.
    let tone: Vec<f32> =
        (0..1_000 * FRAME_SAMPLES).map(|i| (i as f32 / 48_000.0 * 220.0 * std::f32::consts::TAU).sin() * 0.4).collect();
    let mut encoder = OpusEncoder::new(1, 48_000).unwrap();
    let mut random = Random(8);
    let sent = tone
        .chunks_exact(FRAME_SAMPLES)
        .enumerate()
        .map(|(index, block)| {
            let mut payload = Vec::new();
            encoder.encode(block, &mut payload).unwrap();
            let jitter = if (200..400).contains(&index) { random.below(80) } else { 0 };
            Sent {
                at_ms: index as f64 * 20.0 + jitter as f64,
                sequence: index as u16,
                timestamp: (index * FRAME_SAMPLES) as u32,
                payload,
            }
        })
        .collect();
    let played = play(sent, 19_900, 0.0);
    let highest = played.delays_ms[300..800].iter().fold(0.0f32, |worst, delay| worst.max(*delay));
    assert!(highest > 60.0, "the delay went up ({highest} ms)");
    assert!(played.stats.delay_ms < 45.0, "and came down ({} ms)", played.stats.delay_ms);
    // Where nothing had to be made up, the tone is whole: both after it settled and while the delay comes down.
    let steepest = 0.4 * 220.0 / 48_000.0 * std::f32::consts::TAU;
    let calm = &played.sound[9_000 * 48..19_800 * 48];
    let roughest = calm.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(roughest < steepest * 1.5, "a step of {roughest}, the tone's own is {steepest}");
    for block in calm.chunks_exact(480) {
        assert!((rms(block) - 0.283).abs() < 0.06, "a hole or a bump: {}", rms(block));
    }
}

#[test]
fn hostile_packets_neither_panic_nor_grow_it() {
    let (_, packets) = speech_packets(50);
    for seed in 1..20 {
        let mut random = Random(seed);
        let mut buffer = JitterBuffer::new().unwrap();
        let start = Instant::now();
        let mut block = [0.0; SAMPLES_10MS];
        let (mut sequence, mut timestamp) = (0u16, 0u32);
        for step in 0..1_500u64 {
            let now = start + Duration::from_millis(step * 10);
            for _ in 0..random.below(4) {
                match random.below(12) {
                    0 => sequence = random.below(65_536) as u16,
                    1 => timestamp = random.next() as u32,
                    2 => timestamp = timestamp.wrapping_add(random.below(200_000) as u32),
                    3 => timestamp = timestamp.wrapping_sub(random.below(20_000) as u32),
                    _ => (sequence, timestamp) = (sequence.wrapping_add(1), timestamp.wrapping_add(960)),
                }
                let mut payload = packets[random.below(packets.len())].clone();
                for _ in 0..random.below(3) {
                    let at = random.below(payload.len());
                    payload[at] = random.below(256) as u8;
                }
                payload.truncate(random.below(payload.len() + 1));
                buffer.push(sequence, timestamp, &payload, now - Duration::from_millis(random.below(50) as u64));
            }
            buffer.pull(now, &mut block);
            assert!(block.iter().all(|sample| sample.is_finite()));
            assert!(buffer.packets.len() <= MAX_PACKETS && buffer.sound.len() < 8 * MAX_PACKET_SAMPLES);
        }
        let stats = buffer.stats();
        assert!(stats.concealed_samples <= stats.played_samples);
    }
}

#[path = "jitter_trace_tests.rs"]
mod traces;
