//! What is asked for, when and how often, with simulated time.

use rtc::interceptor::RTCPFeedback;
use rtc::rtp;

use super::*;
use crate::media::codec::tests::Random;

const SSRC: u32 = 5;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Path {
    nacks: Nacks,
    start: Instant,
}

impl Path {
    fn new() -> Self {
        let mut nacks = Nacks::default();
        let feedback = RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() };
        nacks.bind_remote_stream(&StreamInfo { ssrc: SSRC, rtcp_feedback: vec![feedback], ..Default::default() });
        Self { nacks, start: Instant::now() }
    }

    fn arrives(&mut self, sequence_number: u16, at_ms: u64) {
        let header = rtp::Header { ssrc: SSRC, sequence_number, ..Default::default() };
        let packet = Packet::Rtp(rtp::Packet { header, payload: Default::default() });
        let now = self.start + ms(at_ms);
        let message = AttributedPacket::new(packet);
        self.nacks.handle_read(TaggedPacket { now, transport: Default::default(), message }).unwrap();
        assert!(self.nacks.poll_read().is_some(), "every packet goes on");
    }

    /// What is asked for at this time.
    fn asked(&mut self, at_ms: u64) -> Vec<u16> {
        self.nacks.handle_timeout(self.start + ms(at_ms)).unwrap();
        let mut asked = Vec::new();
        while let Some(message) = self.nacks.poll_write() {
            let Packet::Rtcp(packets) = &message.message.packet else { panic!("not RTCP") };
            for nack in packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<TransportLayerNack>()) {
                assert_eq!(nack.media_ssrc, SSRC);
                asked.extend(nack.nacks.iter().flat_map(|pair| pair.packet_list()));
            }
        }
        asked.sort_unstable();
        asked
    }
}

#[test]
fn a_gap_is_asked_for_at_once_again_after_a_round_trip_and_not_for_ever() {
    let mut path = Path::new();
    path.arrives(65_534, 0);
    path.arrives(1, 10);
    assert_eq!(path.nacks.poll_timeout(), Some(path.start + ms(14)));
    assert!(path.asked(12).is_empty(), "they may only have been overtaken");
    assert_eq!(path.asked(14), [0, 65_535], "across the wrap");
    path.arrives(0, 30);
    assert!(path.asked(60).is_empty(), "the answer may be on its way");
    assert_eq!(path.asked(14 + 80), [65_535]);
    let mut times = 2;
    for at in 95..2_000 {
        times += path.asked(at).len();
    }
    assert!((3..=10).contains(&times), "{times} times");
    assert_eq!(path.nacks.poll_timeout(), None, "nobody waits any more");
}

#[test]
fn overtaking_costs_nothing_and_new_beginnings_are_no_losses() {
    let mut path = Path::new();
    for (sequence, at) in [(10, 0), (12, 5), (11, 7), (14, 9), (13, 10), (13, 11)] {
        path.arrives(sequence, at);
    }
    assert!(path.asked(100).is_empty());
    path.arrives(20_000, 110);
    path.arrives(40, 120);
    assert!(path.asked(300).is_empty());
}

#[test]
fn the_wait_between_two_requests_follows_the_round_trip() {
    let mut path = Path::new();
    path.arrives(0, 0);
    let mut at = 0;
    for sequence in 0..40u16 {
        at += 400;
        path.arrives(sequence * 2 + 2, at);
        assert_eq!(path.asked(at + 4), [sequence * 2 + 1]);
        path.arrives(sequence * 2 + 1, at + 4 + 20);
    }
    path.arrives(82, at + 100);
    assert_eq!(path.asked(at + 104), [81]);
    assert!(path.asked(at + 104 + 20).is_empty());
    assert_eq!(path.asked(at + 104 + 28), [81], "the path answers in 20 ms");
}

#[test]
fn a_lossy_path_gets_each_packet_back_without_a_storm() {
    let mut random = Random(31);
    let mut path = Path::new();
    let mut arrivals: BTreeMap<u64, Vec<u16>> = BTreeMap::new();
    for sequence in 0..3_000u64 {
        if sequence == 0 || !random.chance(0.2) {
            arrivals.entry(sequence * 3).or_default().push((sequence as u16).wrapping_add(64_000));
        }
    }
    let mut seen = std::collections::HashSet::new();
    let mut requests = 0;
    for at in 0..10_500 {
        for sequence in arrivals.remove(&at).unwrap_or_default() {
            seen.insert(sequence);
            path.arrives(sequence, at);
        }
        for sequence in path.asked(at) {
            requests += 1;
            if !random.chance(0.2) {
                arrivals.entry(at + 40).or_default().push(sequence);
            }
        }
    }
    assert!(seen.len() >= 2_995, "{} of 3000 arrived", seen.len());
    assert!(requests < 900, "{requests} requests for 600 losses");
    assert!(path.nacks.streams[&SSRC].missing.is_empty());
}

#[test]
fn loss_is_not_taken_for_a_longer_way() {
    const ANSWER_MS: u64 = 40;
    let mut random = Random(8);
    let mut path = Path::new();
    let mut answers: BTreeMap<u64, Vec<u16>> = BTreeMap::new();
    let mut lost_at: BTreeMap<u16, u64> = BTreeMap::new();
    let mut took = Vec::new();
    let mut burst = 0;
    for at in 0..60_000u64 {
        if at.is_multiple_of(10) {
            let sequence = (at / 10) as u16;
            // One by one, and now and then many in a row.
            burst = if burst > 0 { burst - 1 } else { 8 * u32::from(random.chance(0.01)) };
            if sequence > 0 && (burst > 0 || random.chance(0.15)) {
                lost_at.insert(sequence, at);
            } else {
                path.arrives(sequence, at);
            }
        }
        for answer in answers.remove(&at).unwrap_or_default() {
            took.extend(lost_at.remove(&answer).map(|lost| at - lost));
            path.arrives(answer, at);
        }
        for asked in path.asked(at) {
            // Requests are lost as answers are.
            if !random.chance(0.2) && !random.chance(0.2) {
                answers.entry(at + ANSWER_MS).or_default().push(asked);
            }
        }
    }
    took.sort_unstable();
    let (most, lost) = (took[took.len() * 97 / 100], took.len() + lost_at.len());
    assert!(took.len() * 1000 >= lost * 995, "{} of {lost} came back", took.len());
    // Four requests, each as long after the one before as an answer may take.
    assert!(most <= 5 * ANSWER_MS + 60, "{most} ms");
}

/// How often packets are asked for that were lost once the way is known: every tenth one is, and comes this long after
/// each request.
fn requests_per_loss(round_trip_ms: u64) -> f64 {
    let mut path = Path::new();
    let mut answers: BTreeMap<u64, Vec<u16>> = BTreeMap::new();
    let mut requests: BTreeMap<u16, u32> = BTreeMap::new();
    for at in 0..10_000u64 {
        let sequence = (at / 10) as u16;
        if at.is_multiple_of(10) && sequence % 10 != 5 {
            path.arrives(sequence, at);
        }
        for answer in answers.remove(&at).unwrap_or_default() {
            path.arrives(answer, at);
        }
        for asked in path.asked(at) {
            *requests.entry(asked).or_default() += 1;
            answers.entry(at + round_trip_ms + at % 7).or_default().push(asked);
        }
    }
    let known: Vec<u32> = requests.range(200..880).map(|(_, times)| *times).collect();
    assert_eq!(known.len(), 68, "every loss is asked for");
    f64::from(known.iter().sum::<u32>()) / known.len() as f64
}

#[test]
fn a_long_way_is_learnt_and_not_asked_over_and_over() {
    for round_trip_ms in [20, 100, 200, 450, 700] {
        let requests = requests_per_loss(round_trip_ms);
        assert!(requests <= 1.2, "{requests} requests for each packet at {round_trip_ms} ms");
    }
}

#[test]
fn on_a_long_way_a_request_that_was_lost_is_repeated_in_time() {
    let mut path = Path::new();
    path.arrives(0, 0);
    let mut at = 0;
    for sequence in 0..40u16 {
        at += 1_000;
        path.arrives(sequence * 2 + 2, at);
        let mut asked = path.asked(at + 4);
        for later in 5..450 {
            asked.extend(path.asked(at + later));
        }
        assert!(asked.len() <= 3 && asked.contains(&(sequence * 2 + 1)), "{asked:?}");
        path.arrives(sequence * 2 + 1, at + 454);
    }
    path.arrives(82, at + 1_000);
    let times: Vec<u64> = (1_000..3_000).filter(|after| path.asked(at + after) == [81]).collect();
    assert_eq!(times.len(), 2, "asked for at {times:?}");
    assert!((450..650).contains(&(times[1] - times[0])), "{times:?}");
}
