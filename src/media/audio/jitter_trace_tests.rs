//! The jitter buffer under seeded traces of bad networks: what is concealed, how long sound waits, and whether the
//! delay stays where it belongs. Figures are printed; the bounds hold for every seed.

#![allow(clippy::print_stdout, reason = "figures are shown beside a test's result")]

use super::*;

/// A network.
#[derive(Clone, Copy)]
struct Trace {
    name: &'static str,
    /// Largest jitter in ms: a packet is late by a share of it that is small for most.
    jitter_ms: f64,
    /// Share of packets lost, and how many in a row on average.
    loss: f64,
    burst: f64,
    /// Share of packets that come twice.
    copies: f64,
    /// Every so many packets the network holds everything back for `stall_ms`; 0 for never.
    stall_every: usize,
    stall_ms: f64,
    /// The sender's clock against ours.
    drift: f64,
    /// Earlier packets sent along with each.
    redundancy: usize,
    /// Most of the sound that may be made up, mean delay in ms.
    most_concealed: f64,
    most_delay_ms: f32,
}

const CLEAN: Trace = Trace {
    name: "clean",
    jitter_ms: 0.0,
    loss: 0.0,
    burst: 1.0,
    copies: 0.0,
    stall_every: 0,
    stall_ms: 0.0,
    drift: 0.0,
    redundancy: 0,
    most_concealed: 0.0,
    most_delay_ms: 35.0,
};

const TRACES: [Trace; 14] = [
    CLEAN,
    Trace { name: "sender 200 ppm fast", drift: 200e-6, most_delay_ms: 45.0, ..CLEAN },
    Trace { name: "sender 200 ppm slow", drift: -200e-6, most_delay_ms: 45.0, ..CLEAN },
    Trace { name: "jitter 30 ms", jitter_ms: 30.0, most_concealed: 0.02, most_delay_ms: 60.0, ..CLEAN },
    Trace { name: "jitter 100 ms", jitter_ms: 100.0, copies: 0.1, most_concealed: 0.03, most_delay_ms: 130.0, ..CLEAN },
    Trace {
        name: "Wi-Fi stalls 120 ms",
        stall_every: 100,
        stall_ms: 120.0,
        most_concealed: 0.08,
        most_delay_ms: 170.0,
        ..CLEAN
    },
    Trace { name: "loss 5 %", loss: 0.05, most_concealed: 0.02, most_delay_ms: 40.0, ..CLEAN },
    Trace { name: "loss 10 %", loss: 0.1, most_concealed: 0.04, most_delay_ms: 45.0, ..CLEAN },
    Trace { name: "loss 30 %", loss: 0.3, most_concealed: 0.19, most_delay_ms: 60.0, ..CLEAN },
    Trace {
        name: "loss 10 % in bursts of 3",
        loss: 0.1,
        burst: 3.0,
        most_concealed: 0.09,
        most_delay_ms: 60.0,
        ..CLEAN
    },
    Trace { name: "loss 10 %, one copy", loss: 0.1, redundancy: 1, most_concealed: 0.02, most_delay_ms: 60.0, ..CLEAN },
    Trace { name: "loss 30 %, one copy", loss: 0.3, redundancy: 1, most_concealed: 0.14, most_delay_ms: 70.0, ..CLEAN },
    Trace {
        name: "loss 30 %, two copies",
        loss: 0.3,
        redundancy: 2,
        most_concealed: 0.06,
        most_delay_ms: 90.0,
        ..CLEAN
    },
    Trace {
        name: "all at once",
        jitter_ms: 60.0,
        loss: 0.1,
        burst: 2.0,
        copies: 0.05,
        drift: 150e-6,
        redundancy: 1,
        most_concealed: 0.07,
        most_delay_ms: 120.0,
        ..CLEAN
    },
];

/// What the network makes of the packets, each with the payloads of those before it.
struct Arriving {
    at_ms: f64,
    index: usize,
}

fn arrivals(trace: &Trace, count: usize, random: &mut Random) -> (Vec<Arriving>, usize) {
    let mut arriving = Vec::new();
    let (mut lost, mut losing, mut held_until) = (0, false, 0.0f64);
    for index in 0..count {
        let sent_ms = index as f64 * 20.0 / (1.0 + trace.drift);
        // Gilbert's model: from good to bad and back, by the share and the length of bursts.
        let leave = 1.0 / trace.burst.max(1.0);
        let enter = trace.loss * leave / (1.0 - trace.loss).max(0.01);
        losing = if trace.burst <= 1.0 {
            random.chance(trace.loss)
        } else if losing {
            !random.chance(leave)
        } else {
            random.chance(enter)
        };
        if trace.stall_every > 0 && index % trace.stall_every == trace.stall_every - 1 {
            held_until = sent_ms + trace.stall_ms;
        }
        // The first arrives, and the last, so that what is missing in between is known.
        if losing && index > 0 && index + 1 < count {
            lost += 1;
            continue;
        }
        let share = random.below(1000) as f64 / 1000.0;
        let at_ms = (sent_ms + trace.jitter_ms * share * share).max(held_until);
        arriving.push(Arriving { at_ms, index });
        if random.chance(trace.copies) {
            arriving.push(Arriving { at_ms: at_ms + random.below(40) as f64, index });
        }
    }
    arriving.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    (arriving, lost)
}

struct Outcome {
    stats: JitterStats,
    lost: usize,
    mean_delay_ms: f32,
    last_delay_ms: f32,
    sound: Vec<f32>,
}

fn run(trace: &Trace, payloads: &[Vec<u8>], seed: u64, minimum_ms: f32) -> Outcome {
    let mut random = Random(seed);
    let (arriving, lost) = arrivals(trace, payloads.len(), &mut random);
    // Numbers that wrap soon.
    let numbers = |index: usize| {
        let timestamp = (u32::MAX - 100_000).wrapping_add((index * FRAME_SAMPLES) as u32);
        (65_400u16.wrapping_add(index as u16), timestamp)
    };
    let start = Instant::now();
    let at = |ms: f64| start + Duration::from_secs_f64(ms / 1e3);
    let mut buffer = JitterBuffer::new().unwrap();
    buffer.set_minimum_delay(minimum_ms);
    let mut next = arriving.iter().peekable();
    let (mut delays, mut sound) = (Vec::new(), Vec::new());
    let mut block = [0.0; SAMPLES_10MS];
    let steps = (payloads.len() as f64 * 2.0 / (1.0 + trace.drift)) as usize;
    for step in 0..steps {
        let now_ms = step as f64 * 10.0 + 3.0;
        while let Some(packet) = next.next_if(|packet| packet.at_ms <= now_ms) {
            let (sequence, timestamp) = numbers(packet.index);
            buffer.push(sequence, timestamp, &payloads[packet.index], at(packet.at_ms));
            for back in (1..=trace.redundancy.min(packet.index)).rev() {
                let (sequence, timestamp) = numbers(packet.index - back);
                buffer.push_copy(sequence, timestamp, &payloads[packet.index - back], at(packet.at_ms));
            }
        }
        buffer.pull(at(now_ms), &mut block);
        sound.extend_from_slice(&block);
        delays.push(buffer.stats().delay_ms);
    }
    let settled = &delays[delays.len() / 5..];
    Outcome {
        stats: buffer.stats(),
        lost,
        mean_delay_ms: settled.iter().sum::<f32>() / settled.len() as f32,
        last_delay_ms: delays[delays.len() - 1],
        sound,
    }
}

fn concealed(stats: &JitterStats) -> f64 {
    stats.concealed_samples as f64 / stats.played_samples.max(1) as f64
}

#[test]
fn every_trace_is_played_with_little_made_up_and_no_runaway_delay() {
    let (_, payloads) = speech_packets(3_000);
    for trace in TRACES {
        for seed in [1, 77] {
            let outcome = run(&trace, &payloads, seed, 0.0);
            let share = concealed(&outcome.stats);
            println!(
                "{:26} seed {seed:2}: {:4} lost, {:5.2} % made up, mean delay {:3.0} ms, at the end {:3.0} ms",
                trace.name,
                outcome.lost,
                share * 100.0,
                outcome.mean_delay_ms,
                outcome.last_delay_ms
            );
            assert!(share <= trace.most_concealed, "{}, seed {seed}: {share}", trace.name);
            assert!(outcome.mean_delay_ms <= trace.most_delay_ms, "{}: {} ms", trace.name, outcome.mean_delay_ms);
            assert!(outcome.last_delay_ms <= trace.most_delay_ms * 2.0, "{}: {} ms", trace.name, outcome.last_delay_ms);
        }
    }
}

#[test]
fn copies_mend_what_the_correction_data_cannot() {
    let (_, payloads) = speech_packets(1_500);
    let heavy = Trace { loss: 0.2, burst: 2.0, ..CLEAN };
    let [plain, one, two] =
        [0, 1, 2].map(|redundancy| concealed(&run(&Trace { redundancy, ..heavy }, &payloads, 5, 0.0).stats));
    println!("20 % lost in bursts of 2: {plain:.3} made up, {one:.3} with a copy, {two:.3} with two");
    assert!(one < plain && two < one * 0.9, "{plain} {one} {two}");
    let counted = run(&Trace { redundancy: 2, ..heavy }, &payloads, 5, 0.0);
    assert!(counted.stats.lost < counted.lost as u64, "a packet whose copy came in time is not lost");
}

#[test]
fn sound_waits_for_its_picture_when_asked() {
    let (_, payloads) = speech_packets(600);
    let outcome = run(&CLEAN, &payloads, 1, 180.0);
    assert!((150.0..=230.0).contains(&outcome.last_delay_ms), "{} ms", outcome.last_delay_ms);
    assert_eq!(outcome.stats.target_ms, 180.0);
    assert!(concealed(&outcome.stats) < 0.03, "{}", concealed(&outcome.stats));
}

#[test]
fn splices_do_not_click() {
    // Speech has no steps: wherever the output steps more than speech ever does, a splice is heard.
    let (sound, payloads) = speech_packets(1_500);
    let steps = |sound: &[f32]| sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    let natural = steps(&sound);
    for trace in TRACES.iter().filter(|trace| trace.loss == 0.0) {
        let rough = steps(&run(trace, &payloads, 3, 0.0).sound);
        println!("{:26} steepest {rough:.3}, natural {natural:.3}", trace.name);
        assert!(rough < natural * 2.0, "{}: a step of {rough}, natural are {natural}", trace.name);
    }
}

#[test]
fn any_network_leaves_it_bounded() {
    let (_, payloads) = speech_packets(400);
    for seed in 1..25 {
        let mut random = Random(seed);
        let trace = Trace {
            jitter_ms: random.below(300) as f64,
            loss: random.below(60) as f64 / 100.0,
            burst: 1.0 + random.below(8) as f64,
            copies: random.below(50) as f64 / 100.0,
            stall_every: random.below(3) * 40,
            stall_ms: random.below(800) as f64,
            drift: random.below(1000) as f64 * 1e-6 - 500e-6,
            redundancy: random.below(4),
            ..CLEAN
        };
        let outcome = run(&trace, &payloads, seed, random.below(400) as f32);
        assert!(outcome.sound.iter().all(|sample| sample.is_finite() && sample.abs() <= 1.5), "seed {seed}");
        assert!(outcome.last_delay_ms < 1_600.0, "seed {seed}: {} ms", outcome.last_delay_ms);
        assert!(outcome.stats.concealed_samples <= outcome.stats.played_samples, "seed {seed}");
    }
}
