//! Voices from where people sit: what a recording of the loudspeaker has left and right, and whether the farthest seat
//! is understood.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rotunda::bridge::{AudioOptions, PublishRequest, RoomCommand, StartsMuted};
use rotunda::client::{EngineConfig, start};
use rotunda::media::AudioSource as _;
use rotunda::media::audio::{AudioInput, AudioOutput, Ears, Microphone, Stage, StageVoice};
use rotunda::media::capture::SpeechSource;
use rotunda::model::sound::{Hearing, Listener, SoundScene, VoicePlace};
use rotunda::model::{RoomState, RoomStateReason, StreamKind};
use rotunda::space::geometry::{EYE_HEIGHT, VIEWPOINT, floor_height};
use rotunda::space::participant::seat_plan;

use super::{SOON, score, wait_for};
use crate::engine::kit::{Bot, TestServer, audio_of, room, stream};

const RATE_HZ: usize = 48_000;
const BLOCK: usize = 480;
/// A full room.
const PEOPLE: usize = 25;

/// The head of somebody who just came in.
fn listener() -> Listener {
    let height = floor_height(VIEWPOINT.length()) + EYE_HEIGHT;
    Listener { position: [VIEWPOINT.x, height, VIEWPOINT.y], ..Listener::default() }
}

/// The outermost seat's panel on one side: -1 left, 1 right.
fn outermost(side: f32) -> [f32; 3] {
    let seats = seat_plan(PEOPLE).seats;
    let angle = |at: [f32; 3]| side * (at[0] - VIEWPOINT.x).atan2(VIEWPOINT.y - at[2]);
    let panels = seats.iter().map(|seat| seat.panel.to_array());
    panels.max_by(|a, b| angle(*a).total_cmp(&angle(*b))).unwrap()
}

/// How much louder the left channel is than the right one, in dB, over two seconds of speech.
fn balance(what: &str, recorder: &mut Microphone) -> f32 {
    let (mut energy, mut spoken) = ([0.0f32; 2], 0);
    let deadline = Instant::now() + SOON;
    while spoken < 200 {
        assert!(Instant::now() < deadline, "{what}: little is heard: {spoken} blocks");
        let block = recorder.next_block().unwrap().unwrap();
        let mut ears = [0.0f32; 2];
        for frame in block.samples.chunks_exact(2) {
            ears.iter_mut().zip(frame).for_each(|(ear, sample)| *ear += sample * sample);
        }
        // A pause says nothing about where somebody sits.
        if ears[0] + ears[1] > block.samples.len() as f32 * 1e-4 {
            energy.iter_mut().zip(ears).for_each(|(sum, ear)| *sum += ear);
            spoken += 1;
        }
    }
    10.0 * (energy[0] / energy[1]).log10()
}

#[test]
#[ignore = "run by its parent, with a sound system of its own"]
fn child() {
    let server = TestServer::start();
    let room = room("in-space");
    let mut speaker = server.enter(&room, "speaker");
    speaker.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("voice"),
        kind: StreamKind::Camera,
        video: None,
        audio: Some((Box::new(SpeechSource::new(7)), AudioOptions::PLAIN)),
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
    speaker.wait_publishing("voice");
    let config = EngineConfig {
        audio_output: AudioOutput::Named("speaker".to_owned()),
        name: "ears".to_owned(),
        decode: false,
        play_audio: true,
    };
    let mut ears = Bot { engine: start(config).unwrap(), ..Bot::new("unused") };
    ears.login(&[server.url_for("ears")], &room, server.token(&room, "ears"));
    ears.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    wait_for("the voice", || {
        audio_of(&ears.engine.snapshot(), "voice").filter(|stats| stats.packets > 150 && stats.peak_level > 0.01)
    });
    Ears::kemar().unwrap();
    let mut recorder = Microphone::stereo(AudioInput::Named("speaker.monitor".to_owned()));
    wait_for("the recorder", || recorder.next_block().ok().flatten());
    let mut hear = |what: &str, hearing, from| {
        let voices = BTreeMap::from([(stream("voice"), VoicePlace { from, volume: 1.0 })]);
        ears.engine.publish_sound(SoundScene { hearing, listener: listener(), voices });
        // What was mixed before is still on its way.
        let until = Instant::now() + Duration::from_millis(600);
        while Instant::now() < until {
            recorder.next_block().unwrap();
        }
        let heard_db = balance(what, &mut recorder);
        println!("{what}: {heard_db:+.1} dB to the left");
        heard_db
    };
    let left = hear("the left seat", Hearing::Spatial, Some(outermost(-1.0)));
    let right = hear("the right seat", Hearing::Spatial, Some(outermost(1.0)));
    let everywhere = hear("everywhere", Hearing::Spatial, None);
    let mono = hear("mono", Hearing::Plain, Some(outermost(-1.0)));
    assert!(left > 1.0 && right < -1.0, "{left} dB, {right} dB");
    assert!(everywhere.abs() < 0.01 && mono.abs() < 0.01, "{everywhere} dB, {mono} dB");
}

/// Speech as it is said and as both ears hear it from a place, through the room.
fn said_and_heard(seconds: usize, from: Option<[f32; 3]>) -> (Vec<f32>, [Vec<f32>; 2]) {
    let mut stage = Stage::with_ears(Ears::kemar().unwrap());
    stage.listen(Hearing::Spatial, &listener());
    let mut voice = StageVoice::default();
    voice.put(VoicePlace { from, volume: 1.0 });
    let mut speech = SpeechSource::new(7);
    let (mut said, mut heard) = (Vec::new(), [Vec::new(), Vec::new()]);
    while said.len() < seconds * RATE_HZ {
        let block = speech.next_block().unwrap().unwrap();
        let block: &[f32; BLOCK] = block.samples.as_slice().try_into().unwrap();
        stage.add(&mut voice, block, (1.0, 1.0));
        said.extend(block);
        heard.iter_mut().zip(stage.finish()).for_each(|(ear, out)| ear.extend(out));
    }
    (said, heard)
}

#[test]
fn the_farthest_seat_is_understood() {
    let seats = seat_plan(PEOPLE).seats;
    let head = listener().position;
    let distance = |at: [f32; 3]| at.iter().zip(head).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    let panels = seats.iter().map(|seat| seat.panel.to_array());
    let farthest = panels.max_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap();
    assert!(distance(farthest) > 12.0, "{} m", distance(farthest));
    for (place, from) in [("the farthest seat", farthest), ("the left seat", outermost(-1.0))] {
        let (said, heard) = said_and_heard(8, Some(from));
        let scores = heard.map(|ear| score::Heard::of(&said, &ear, RATE_HZ));
        let better = scores[0].stoi.max(scores[1].stoi);
        let louder_db = scores[0].level_db.max(scores[1].level_db);
        println!(
            "{place}, {:.1} m: STOI {:.3} and {:.3}, {:+.1} and {:+.1} dB",
            distance(from),
            scores[0].stoi,
            scores[1].stoi,
            scores[0].level_db,
            scores[1].level_db
        );
        // Nearly every word is understood from 0.75 on.
        assert!(better > 0.8, "{place}: an intelligibility of {better}");
        // The farther ear may be in the head's shadow.
        assert!(louder_db > -8.0, "{place}: {louder_db} dB");
    }
}
