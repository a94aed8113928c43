//! The playout thread without a device: pace, levels, voices that come and go, and where they are heard from.

use std::collections::BTreeMap;

use super::*;
use crate::media::codec::opus::tests::speech_packets;
use crate::model::sound::{SoundScene, VoicePlace};

#[test]
fn a_voice_is_played_metered_and_removed() {
    let playout = Playout::start(AudioOutput::Null).unwrap();
    assert_eq!((playout.output_name(), playout.fallback_reason()), (None, None));
    let voice = playout.add_voice();
    let (_, packets) = speech_packets(60);
    let start = Instant::now();
    for (index, packet) in packets.iter().enumerate() {
        voice.push(index as u16, (index * 960) as u32, packet, Instant::now());
        let due = start + Duration::from_millis(20 * (index as u64 + 1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let stats = voice.stats();
    assert_eq!((stats.packets, stats.lost), (60, 0));
    assert_eq!(stats.bytes, packets.iter().map(|packet| packet.len() as u64).sum::<u64>());
    assert!(stats.peak_level > 0.05, "heard: {stats:?}");
    assert!(stats.kbps > 5.0, "{stats:?}");
    drop(voice);
    std::thread::sleep(Duration::from_millis(50));
    let second = playout.add_voice();
    assert_eq!(playout.shared.voices.lock().unwrap().len(), 1, "the dropped voice is gone");
    assert_eq!(second.stats().packets, 0);
}

#[test]
fn a_device_that_asks_for_nothing_stands_still() {
    let now = Instant::now();
    let mut pulse = Pulse::new(now);
    assert!(!pulse.is_still(0, now + STALLED));
    assert!(pulse.is_still(0, now + STALLED + TICK));
    assert!(!pulse.is_still(1, now + STALLED + TICK), "it asked");
    assert!(!pulse.is_still(1, now + STALLED * 2));
    assert!(pulse.is_still(1, now + STALLED * 2 + TICK * 2));
}

#[test]
fn nothing_is_wrong_with_going_nowhere() {
    assert_eq!(Playout::probe(&AudioOutput::Null), OutputState::default());
}

#[test]
fn the_clock_follows_smoothly_and_jumps_when_it_must() {
    let now = Instant::now() + Duration::from_secs(100);
    let late = follow(now - Duration::from_millis(20), now);
    assert!(late > now - Duration::from_millis(20) && late < now - Duration::from_millis(15));
    let early = follow(now + Duration::from_millis(20), now);
    assert!(early < now + Duration::from_millis(20) && early > now + Duration::from_millis(15));
    assert_eq!(follow(now - Duration::from_secs(3), now), now);
}

#[test]
fn trouble_raises_what_is_kept_ready_and_calm_lowers_it() {
    let mut ready = Ready::new();
    assert_eq!(ready.wanted_ms(0), MIN_READY_MS);
    assert_eq!(ready.wanted_ms(1), MIN_READY_MS + TICK_MS);
    for underruns in 2..100 {
        assert!(ready.wanted_ms(underruns) <= MAX_READY_MS);
    }
    for _ in 0..CALM_TICKS {
        ready.wanted_ms(99);
    }
    assert_eq!(ready.wanted_ms(99), MAX_READY_MS - TICK_MS);
}

/// Needs a sound system, so it only runs when asked for: plays twenty seconds of a 440 Hz tone on the default device,
/// through Opus and the jitter buffer, and says how the output did. Record the device's monitor meanwhile and look for
/// gaps.
#[test]
#[ignore = "needs an audio device"]
fn a_tone_on_the_default_device() {
    tracing_subscriber::fmt().with_env_filter("rotunda=debug").init();
    let playout = Playout::start(AudioOutput::Device).unwrap();
    let name = playout.output_name().unwrap_or_else(|| panic!("{:?}", playout.fallback_reason()));
    assert!(!name.is_empty());
    let voice = playout.add_voice();
    let mut encoder = crate::media::codec::opus::OpusEncoder::new(1, 64_000).unwrap();
    let (start, mut packet) = (Instant::now(), Vec::new());
    for index in 0..1_000usize {
        let block: Vec<f32> = (index * 960..(index + 1) * 960)
            .map(|sample| (sample as f32 / 48_000.0 * 440.0 * std::f32::consts::TAU).sin() * 0.3)
            .collect();
        encoder.encode(&block, &mut packet).unwrap();
        voice.push(index as u16, (index * 960) as u32, &packet, Instant::now());
        let due = start + Duration::from_millis(20 * (index as u64 + 1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let stats = voice.stats();
    assert_eq!(playout.fallback_reason(), None, "the device is still there");
    assert!(stats.concealed < 0.05, "{stats:?}");
    assert!((stats.level - 0.3 / 2f32.sqrt()).abs() < 0.02, "{stats:?}");
}

/// The level of each ear, of what is played of a voice that speaks for a second.
fn ears(player: &mut Player, voice: &Voice) -> [f32; 2] {
    let (_, packets) = speech_packets(50);
    let mut heard = [Vec::new(), Vec::new()];
    let start = Instant::now();
    for (index, packet) in packets.iter().enumerate() {
        voice.push(index as u16, (index * 960) as u32, packet, Instant::now());
        for half in 0..2 {
            let block = player.block();
            heard.iter_mut().zip(block).for_each(|(heard, ear)| heard.extend(ear));
            let due = start + Duration::from_millis(20 * index as u64 + 10 * half + 10);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    heard.map(|ear| crate::media::frame::rms(&ear))
}

#[test]
fn a_published_scene_puts_a_stream_to_the_left_and_mono_back_in_the_middle() {
    Ears::kemar().unwrap();
    let scene = SoundSceneCell::default();
    let playout = Playout { shared: Arc::new(Shared { scene: scene.clone(), ..Shared::default() }), thread: None };
    let mut player = Player::new(Arc::clone(&playout.shared));
    let stream = StreamId::new("voice").unwrap();
    let place = VoicePlace { from: Some([-4.0, 0.0, 0.0]), volume: 1.0 };
    let voices = BTreeMap::from([(stream.clone(), place)]);
    scene.publish(SoundScene { hearing: Hearing::Spatial, voices: voices.clone(), ..SoundScene::default() });
    // The voice comes after the scene, and is in its place nevertheless.
    let [left, right] = ears(&mut player, &playout.add_voice_of(&stream));
    assert!(left > right * 1.4, "{left} {right}");
    let [left, right] = ears(&mut player, &playout.add_voice_of(&StreamId::new("unplaced").unwrap()));
    // The room still answers the one before.
    assert!((left - right).abs() < left * 0.05 && left > 0.01, "{left} {right}");
    let voice = playout.add_voice_of(&stream);
    scene.publish(SoundScene { hearing: Hearing::Plain, voices, ..SoundScene::default() });
    let [left, right] = ears(&mut player, &voice);
    assert!((left - right).abs() < left * 0.05 && left > 0.01, "{left} {right}");
    let silent = BTreeMap::from([(stream.clone(), VoicePlace { volume: 0.0, ..place })]);
    scene.publish(SoundScene { hearing: Hearing::Plain, voices: silent, ..SoundScene::default() });
    let [left, _] = ears(&mut player, &playout.add_voice_of(&stream));
    assert!(left < 0.01, "turned down: {left}");
}
