//! Speech from a microphone, through two clients and a server, to a loudspeaker: how late, how loud, how clear.
//!
//! One loudspeaker with two channels holds both ends, so that one recording has them on one clock: on its left channel
//! plays the mouth, which the microphone hears; on its right one the ear.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rotunda::bridge::{AudioOptions, PublishRequest, RoomCommand, StartsMuted};
use rotunda::client::{EngineConfig, start};
use rotunda::media::AudioSource as _;
use rotunda::media::audio::{AudioInput, AudioOutput, Microphone};
use rotunda::media::capture::SpeechSource;
use rotunda::model::{RoomState, RoomStateReason, StreamKind};

use super::{pactl, score, wait_for};
use crate::engine::kit::{Bot, TestServer, audio_of, room, stream};

const RATE_HZ: usize = 48_000;
/// Length of the recording.
const SECONDS: usize = 12;

fn plug_both_ends_in() {
    let both = ["sink_name=both", "rate=48000", "channels=2", "channel_map=front-left,front-right"];
    pactl(&[&["load-module", "module-null-sink"][..], &both].concat());
    let end = |kind: &str, name: &str, master: &str, channel: &str| {
        let side = format!("master_channel_map={channel}");
        pactl(&["load-module", kind, name, master, "channels=1", "channel_map=mono", &side, "remix=no"]);
    };
    end("module-remap-sink", "sink_name=mouth", "master=both", "front-left");
    end("module-remap-sink", "sink_name=ear", "master=both", "front-right");
    end("module-remap-source", "source_name=microphone", "master=both.monitor", "front-left");
}

/// Speaks through the mouth until told to stop.
fn speak(stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new()
        .name("mouth".to_owned())
        .spawn(move || {
            let mut player = Command::new("pacat")
                .args(["--playback", "--device=mouth", "--raw", "--format=float32le", "--channels=1", "--rate=48000"])
                .args(["--latency-msec=40"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut pipe = player.stdin.take().unwrap();
            let mut speech = SpeechSource::new(7);
            while !stop.load(Ordering::Relaxed) {
                let block = speech.next_block().unwrap().unwrap();
                let bytes: Vec<u8> = block.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                pipe.write_all(&bytes).unwrap();
            }
            drop(pipe);
            player.wait().unwrap();
        })
        .unwrap()
}

/// Both channels of a recording.
fn record() -> (Vec<f32>, Vec<f32>) {
    let mut recorder = Microphone::stereo(AudioInput::Named("both.monitor".to_owned()));
    let (mut mouth, mut ear) = (Vec::new(), Vec::new());
    // It may take longer to open than it waits for sound.
    wait_for("the recorder", || recorder.next_block().ok().flatten());
    while mouth.len() < SECONDS * RATE_HZ {
        let block = recorder.next_block().unwrap().unwrap();
        for frame in block.samples.chunks_exact(2) {
            mouth.push(frame[0]);
            ear.push(frame[1]);
        }
    }
    (mouth, ear)
}

#[test]
#[ignore = "run by its parent, with a sound system of its own"]
fn child() {
    plug_both_ends_in();
    let server = TestServer::start();
    let room = room("mouth-to-ear");
    let mut speaker = server.enter(&room, "speaker");
    speaker.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("voice"),
        kind: StreamKind::Camera,
        video: None,
        audio: Some((Box::new(Microphone::new(AudioInput::Named("microphone".to_owned()))), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
    speaker.wait_publishing("voice");
    let config = EngineConfig {
        audio_output: AudioOutput::Named("ear".to_owned()),
        name: "listener".to_owned(),
        decode: false,
        play_audio: true,
    };
    let mut listener = Bot { engine: start(config).unwrap(), ..Bot::new("unused") };
    listener.login(&[server.url_for("listener")], &room, server.token(&room, "listener"));
    listener.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    let stop = Arc::new(AtomicBool::new(false));
    let mouth = speak(Arc::clone(&stop));
    wait_for("the voice", || {
        audio_of(&listener.engine.snapshot(), "voice").filter(|stats| stats.packets > 150 && stats.peak_level > 0.01)
    });
    let (said, heard) = record();
    let stats = audio_of(&listener.engine.snapshot(), "voice").unwrap();
    stop.store(true, Ordering::Relaxed);
    mouth.join().unwrap();

    let heard = score::Heard::of(&said, &heard, RATE_HZ);
    println!(
        "mouth to ear: {:.0} ms late (seconds {:.0} ms apart), {:+.2} dB, correlation {:.3}, STOI {:.3}; jitter buffer {:.0} ms, \
         {:.2} % concealed, {} lost",
        heard.delay_ms,
        heard.spread_ms,
        heard.level_db,
        heard.correlation,
        heard.stoi,
        stats.jitter_buffer_ms,
        stats.concealed * 100.0,
        stats.lost
    );
    // Delay and clarity belong to the machine as well: the bounds only tell a call from a broken one.
    assert!(heard.delay_ms > 0.0 && heard.delay_ms < 900.0, "{} ms", heard.delay_ms);
    assert!(heard.level_db.abs() < 1.0, "{} dB louder than it was said", heard.level_db);
    assert!(heard.stoi > 0.75, "an intelligibility of {}", heard.stoi);
}
