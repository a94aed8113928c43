//! What it costs to hear 25 voices from where they are, a block of 10 ms at a time, beside the plain mix of the same
//! voices: at rest, and while the listener turns so that every block needs every filter anew.

use std::time::{Duration, Instant};

use rotunda::media::audio::{Ears, Stage, StageVoice};
use rotunda::model::sound::{Hearing, Listener, VoicePlace};

use crate::table::{Row, Table, median};

const VOICES: usize = 25;
const BLOCK: usize = 480;
const BLOCKS: usize = 100;
const RUNS: usize = 15;

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let made = Instant::now();
    let ears = Ears::kemar()?;
    let made_ms = made.elapsed().as_secs_f64() * 1e3;
    let time = |hearing, turn: f32| {
        let mut runs: Vec<f64> = (0..RUNS)
            .map(|_| {
                let mut stage = Stage::with_ears(ears.clone());
                mix(&mut stage, hearing, turn).as_secs_f64() * 1e3 / BLOCKS as f64
            })
            .collect();
        median(&mut runs)
    };
    let plain = time(Hearing::Plain, 0.0);
    for (measure, turn, goal) in [
        ("binaural: 25 voices, a block of 10 ms", 0.0, "<= 0.5 ms"),
        ("binaural: the same while the head turns", 0.03, "<= 2 ms"),
    ] {
        table.add(Row {
            measure: measure.into(),
            value: time(Hearing::Spatial, turn),
            unit: "ms",
            beside: Some(("plain mono mix".into(), plain)),
            goal,
        });
    }
    table.add(Row {
        measure: "binaural: reading a head's measurements, once".into(),
        value: made_ms,
        unit: "ms",
        beside: None,
        goal: "<= 1000 ms",
    });
    Ok(())
}

/// Mixes a second of voices all around, with the head turning by so many radians a block.
fn mix(stage: &mut Stage, hearing: Hearing, turn: f32) -> Duration {
    let mut voices: Vec<(StageVoice, [f32; BLOCK])> = (0..VOICES)
        .map(|n| {
            let angle = n as f32 * 0.25;
            let mut voice = StageVoice::default();
            voice.put(VoicePlace { from: Some([angle.sin() * 8.0, 1.0, angle.cos() * 8.0]), volume: 1.0 });
            let sound = std::array::from_fn(|at| (at as f32 * (0.01 + n as f32 * 0.003)).sin() * 0.02);
            (voice, sound)
        })
        .collect();
    let began = Instant::now();
    for block in 0..BLOCKS {
        let (sin, cos) = (block as f32 * turn).sin_cos();
        stage.listen(hearing, &Listener { forward: [sin, 0.0, -cos], ..Listener::default() });
        for (voice, sound) in &mut voices {
            stage.add(voice, sound, (1.0, 1.0));
        }
        std::hint::black_box(stage.finish());
    }
    began.elapsed()
}
