//! What a published sound puts on the way: numbers, time stamps, levels, pauses and copies.

use tokio::sync::mpsc;

use super::*;
use crate::client::publish::pump::OVERHEAD_BYTES;
use crate::media::audio::RedPayload;
use crate::media::capture::SpeechSource;
use crate::media::codec::opus::tests::speech;
use crate::media::codec::opus::{MAX_PACKET_SAMPLES, OpusDecoder};
use crate::media::codec::tests::Random;

type Sent = mpsc::Receiver<Vec<rtp::Packet>>;

const BLOCK: Duration = Duration::from_millis(10);

impl Encoding {
    /// Takes a block that comes 10 ms after the one before.
    fn take_next(&mut self, block: AudioBlock, gate: &Gate) -> Result<(), CallError> {
        self.take_after(BLOCK, block, gate)
    }

    fn take_after(&mut self, waited: Duration, block: AudioBlock, gate: &Gate) -> Result<(), CallError> {
        let now = self.clock.newest.unwrap_or_default() + waited;
        self.take_at(block, gate, now)
    }
}

fn line(gate: &Gate, room: usize) -> Sent {
    let (packets, sent) = mpsc::channel(room);
    gate.attach(Sink {
        packets,
        ssrc: 7,
        payload_type: 111,
        level_extension: Some(3),
        capture_extension: None,
        picture: None,
    });
    sent
}

fn mono(samples: &[f32]) -> AudioBlock {
    AudioBlock { samples: samples.to_vec(), channels: 1 }
}

fn packets(sent: &mut Sent) -> Vec<rtp::Packet> {
    std::iter::from_fn(|| sent.try_recv().ok()).flatten().collect()
}

/// What a receiver hears of plain Opus packets.
fn heard(packets: &[rtp::Packet]) -> Vec<f32> {
    let mut decoder = OpusDecoder::new().unwrap();
    let mut out = Vec::new();
    let mut block = [0.0; MAX_PACKET_SAMPLES];
    for packet in packets {
        let samples = decoder.decode(&packet.payload, &mut block).unwrap();
        out.extend_from_slice(&block[..samples]);
    }
    out
}

#[test]
fn levels_are_in_dbov() {
    assert_eq!(level_byte(1.0, true), 0x80);
    assert_eq!(level_byte(0.1, true), 0x80 | 20);
    assert_eq!(level_byte(0.001, false), 60);
    assert_eq!(level_byte(0.0, false), 127);
}

#[test]
fn sound_that_is_left_out_leaves_no_gap() {
    let gate = Gate::default();
    let mut sent = line(&gate, 1);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    let mut headers = Vec::new();
    for _ in 0..2 {
        for _ in 0..6 {
            encoding.take_next(mono(&[0.1; SAMPLES_10MS]), &gate).unwrap();
        }
        headers.push(sent.try_recv().unwrap().remove(0).header);
    }
    assert_eq!(headers[1].sequence_number, headers[0].sequence_number.wrapping_add(1));
    assert_eq!(headers[1].timestamp, headers[0].timestamp.wrapping_add(3 * PACKET_SAMPLES as u32));
}

#[test]
fn two_blocks_make_a_packet_and_time_runs_on_while_muted() {
    let gate = Gate::default();
    let mut sent = line(&gate, 64);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    let tone: Vec<f32> = (0..SAMPLES_10MS).map(|n| (n as f32 * 0.1).sin() * 0.5).collect();
    encoding.take_next(mono(&tone), &gate).unwrap();
    assert!(sent.try_recv().is_err(), "10 ms are not sent");
    encoding.take_next(mono(&tone), &gate).unwrap();
    let first = sent.try_recv().unwrap().remove(0);
    assert_eq!((first.header.ssrc, first.header.payload_type, first.header.marker), (7, 111, true));
    let level = first.header.get_extension(3).unwrap();
    assert_eq!(level[0] & 0x80, 0x80, "a tone at -9 dBov is heard");
    gate.set_muted(true);
    for _ in 0..20 {
        encoding.take_next(mono(&tone), &gate).unwrap();
    }
    let tail = packets(&mut sent);
    assert_eq!(tail.len(), TAIL_PACKETS as usize - 1, "the end of the sound, then nothing");
    gate.set_muted(false);
    encoding.take_next(mono(&tone), &gate).unwrap();
    encoding.take_next(mono(&tone), &gate).unwrap();
    let next = sent.try_recv().unwrap().remove(0);
    assert_eq!(next.header.timestamp.wrapping_sub(first.header.timestamp), 11 * PACKET_SAMPLES as u32);
    assert_eq!(next.header.sequence_number.wrapping_sub(first.header.sequence_number), tail.len() as u16 + 1);
    assert!(next.header.marker, "sound after silence is marked");
}

#[test]
fn time_runs_on_while_the_device_is_away() {
    let gate = Gate::default();
    let mut sent = line(&gate, 64);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    // The device goes in the middle of a packet.
    for blocks in [5, 4] {
        encoding.take_after(BLOCK * 100, mono(&[0.1; SAMPLES_10MS]), &gate).unwrap();
        for _ in 1..blocks {
            encoding.take_next(mono(&[0.1; SAMPLES_10MS]), &gate).unwrap();
        }
    }
    let packets = packets(&mut sent);
    assert_eq!(packets.len(), 4);
    let before = &packets[1].header;
    let after = &packets[2].header;
    // The packet before ends with the fourth block, the one after begins 100 blocks later.
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), ((2 + 100) * SAMPLES_10MS) as u32);
    assert_eq!(after.sequence_number, before.sequence_number.wrapping_add(1));
    assert!(after.marker && !before.marker && !packets[3].header.marker);
    assert_eq!(packets[3].header.timestamp.wrapping_sub(after.timestamp), PACKET_SAMPLES as u32);
}

#[test]
fn a_thread_that_ran_late_leaves_no_gap() {
    let gate = Gate::default();
    let mut sent = line(&gate, 64);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    let mut waits = vec![BLOCK; 4];
    // 300 ms late, and what waited comes at once.
    waits.push(BLOCK * 30);
    waits.extend([Duration::ZERO; 29]);
    waits.extend([BLOCK; 6]);
    let blocks = waits.len();
    for waited in waits {
        encoding.take_after(waited, mono(&[0.1; SAMPLES_10MS]), &gate).unwrap();
    }
    let packets = packets(&mut sent);
    assert_eq!(packets.len(), blocks / 2);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp), PACKET_SAMPLES as u32);
        assert!(!pair[1].header.marker);
    }
}

#[test]
fn what_sound_takes_of_the_way_is_told() {
    let gate = Gate::default();
    let mut sent = line(&gate, 512);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    gate.sound.set_red(Some(63));
    gate.sound.set_bitrate(500_000);
    gate.sound.set_loss(0.3);
    for block in speech(200 * SAMPLES_10MS).chunks(SAMPLES_10MS) {
        encoding.take_next(mono(block), &gate).unwrap();
    }
    let packets = packets(&mut sent);
    let bytes: usize = packets.iter().map(|packet| packet.payload.len() + OVERHEAD_BYTES).sum();
    // Two seconds.
    let measured = bytes as f32 * 8.0 / 2.0;
    let planned = gate.sound.planned() as f32;
    assert!((0.7..1.1).contains(&(measured / planned)), "{measured} bit/s sent, {planned} planned");
}

#[test]
fn muting_is_silent_at_once_and_does_not_click() {
    let gate = Gate::default();
    let mut sent = line(&gate, 256);
    let options = AudioOptions { max_bitrate_bps: 128_000, ..AudioOptions::PLAIN };
    let mut encoding = Encoding::new(options, None);
    let tone = |block: usize| -> Vec<f32> {
        (0..SAMPLES_10MS)
            .map(|n| ((block * SAMPLES_10MS + n) as f32 * 300.0 / 48_000.0 * std::f32::consts::TAU).cos() * 0.5)
            .collect()
    };
    for block in 0..200 {
        // Muted in the middle of a packet, at the top of a wave, for a while.
        gate.set_muted((101..140).contains(&block));
        encoding.take_next(mono(&tone(block)), &gate).unwrap();
    }
    let packets = packets(&mut sent);
    let first_back = packets.iter().rposition(|packet| packet.header.marker).unwrap();
    let sound = heard(&packets[..first_back]);
    // The decoder is some 6.5 ms behind; 20 ms after the mute nothing is left.
    let muted_at = 101 * SAMPLES_10MS;
    assert!(rms(&sound[muted_at - 2 * SAMPLES_10MS..muted_at]) > 0.3, "heard until then");
    let after = &sound[muted_at + 2 * SAMPLES_10MS..];
    assert!(!after.is_empty() && rms(after) < 0.003, "{} after muting", rms(after));
    let all = heard(&packets);
    let steepest = 0.5 * 300.0 / 48_000.0 * std::f32::consts::TAU;
    let roughest = all[4_800..].windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(roughest < steepest * 3.0, "a step of {roughest}, the tone's own is {steepest}");
}

#[test]
fn silence_costs_next_to_nothing_with_dtx() {
    let gate = Gate::default();
    let mut sent = line(&gate, 1024);
    let mut encoding = Encoding::new(AudioOptions { dtx: true, red: false, ..AudioOptions::PLAIN }, None);
    for block in speech(100 * SAMPLES_10MS).chunks(SAMPLES_10MS) {
        encoding.take_next(mono(block), &gate).unwrap();
    }
    let spoken = packets(&mut sent).len();
    assert_eq!(spoken, 50);
    for _ in 0..500 {
        encoding.take_next(mono(&[0.0; SAMPLES_10MS]), &gate).unwrap();
    }
    let silent = packets(&mut sent);
    assert!(silent.len() < 40, "{} packets for five seconds of silence", silent.len());
    assert!(silent.iter().skip(20).filter(|packet| packet.payload.len() <= DTX_BYTES).count() <= silent.len());
    for block in speech(20 * SAMPLES_10MS).chunks(SAMPLES_10MS) {
        encoding.take_next(mono(block), &gate).unwrap();
    }
    let again = packets(&mut sent);
    assert!(again.len() >= 9 && again[0].header.marker, "the first packet after the pause is marked");
}

#[test]
fn copies_go_along_when_the_server_takes_them() {
    let gate = Gate::default();
    let mut sent = line(&gate, 64);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    let sound = speech(20 * SAMPLES_10MS);
    gate.sound.set_red(Some(63));
    for block in sound.chunks(SAMPLES_10MS) {
        encoding.take_next(mono(block), &gate).unwrap();
    }
    let sent = packets(&mut sent);
    assert_eq!(sent.len(), 10);
    let mut before: Option<Vec<u8>> = None;
    for packet in &sent {
        assert_eq!(packet.header.payload_type, 63);
        let red = RedPayload::parse(&packet.payload).unwrap();
        let copies: Vec<_> = red.copies().collect();
        match &before {
            None => assert!(copies.is_empty()),
            Some(before) => {
                assert_eq!(copies, [(1, RedCopy { age: 960, payload: before })]);
            }
        }
        before = Some(red.primary().to_vec());
    }
}

#[test]
fn channels_may_change_and_nonsense_is_refused() {
    let gate = Gate::default();
    let mut sent = line(&gate, 64);
    let mut encoding = Encoding::new(AudioOptions::MICROPHONE, None);
    for (samples, channels) in [(480, 1), (480, 1), (960, 2), (960, 2), (480, 1), (7, 1), (0, 2), (480, 1)] {
        encoding.take_next(AudioBlock { samples: vec![0.1; samples], channels }, &gate).unwrap();
    }
    assert!(!packets(&mut sent).is_empty());
    assert!(encoding.take_next(AudioBlock { samples: vec![0.1; 480], channels: 6 }, &gate).is_err());
    assert!(encoding.take_next(AudioBlock { samples: vec![0.1; 480], channels: 0 }, &gate).is_err());
}

#[test]
fn what_begins_muted_sends_nothing_until_it_is_unmuted() {
    let gate = Gate::default();
    gate.set_muted(true);
    let mut sent = line(&gate, 256);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    let sound = speech(100 * SAMPLES_10MS);
    for block in sound.chunks(SAMPLES_10MS) {
        encoding.take_next(mono(block), &gate).unwrap();
    }
    assert!(packets(&mut sent).is_empty(), "not even a tail");
    assert_eq!(gate.level(), 0.0);
    gate.set_muted(false);
    for block in sound.chunks(SAMPLES_10MS) {
        encoding.take_next(mono(block), &gate).unwrap();
    }
    let packets = packets(&mut sent);
    assert!(packets.len() == 50 && packets[0].header.marker, "{} packets", packets.len());
}

#[test]
fn speaking_into_a_muted_microphone_is_noticed_here_and_sent_nowhere() {
    for options in [AudioOptions::PLAIN, AudioOptions::MICROPHONE] {
        let gate = Gate::default();
        gate.set_muted(true);
        let mut sent = line(&gate, 4_096);
        let mut encoding = Encoding::new(options, None);
        // It speaks two seconds of every five at least.
        let mut source = SpeechSource::new(7);
        let noticed = (0..1_200).any(|_| {
            let block = source.next_block().unwrap().unwrap();
            encoding.take_next(block, &gate).unwrap();
            gate.sound.speaks_muted()
        });
        assert!(noticed, "twelve seconds of somebody who talks with {options:?}");
        assert!(packets(&mut sent).is_empty() && gate.level() == 0.0);
        gate.set_muted(false);
        encoding.take_next(source.next_block().unwrap().unwrap(), &gate).unwrap();
        assert!(!gate.sound.speaks_muted(), "who is heard speaks to somebody");
    }
}

#[test]
fn silence_noise_and_a_lost_device_are_nobody_speaking() {
    let gate = Gate::default();
    gate.set_muted(true);
    let mut encoding = Encoding::new(AudioOptions::PLAIN, None);
    let mut random = Random(3);
    let mut noise =
        || -> Vec<f32> { (0..SAMPLES_10MS).map(|_| (random.below(2001) as f32 / 1000.0 - 1.0) * 0.02).collect() };
    for n in 0..1_500 {
        // Silence, a fan that is switched on, and silence again.
        let block = if (300..1_200).contains(&n) { noise() } else { vec![0.0; SAMPLES_10MS] };
        encoding.take_next(mono(&block), &gate).unwrap();
        assert!(!gate.sound.speaks_muted(), "block {n}");
    }
    // Somebody speaks, and the device goes.
    for block in speech(300 * SAMPLES_10MS).chunks(SAMPLES_10MS) {
        encoding.take_next(mono(block), &gate).unwrap();
    }
    assert!(gate.sound.speaks_muted());
    encoding.hear_nothing(&gate);
    assert!(!gate.sound.speaks_muted());
}
