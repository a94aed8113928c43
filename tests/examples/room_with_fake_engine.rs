//! The room without network and devices: a scripted engine, painted people, one picture written to a file.
//!
//! `cargo run --example room_with_fake_engine -- [PEOPLE] [WxH] [low|medium|high] [OUT.png] [--no-share] [--walker]`

#[path = "../call/fake_engine.rs"]
mod fake_engine;

use std::collections::HashMap;

use bevy::prelude::*;
use fake_engine::{FakeEngine, NAMES, page, portrait, stream, user};
use rotunda::bridge::VideoFeed;
use rotunda::model::{Stand, StreamKind};
use rotunda::space::pace::FrameTimes;
use rotunda::space::stream::UploadStats;
use rotunda::space::{
    EngineBridge, PictureRequest, PictureTaken, QualityTier, RotundaPlugins, SpaceSettings, ViewTarget, host,
};

/// Frames before the picture is taken and the measurement ends.
const FRAMES: u32 = 150;
const WARM_UP: u32 = 60;

#[derive(Resource)]
struct Script {
    engine: FakeEngine,
    feeds: Vec<VideoFeed>,
    share: Option<VideoFeed>,
    /// The last guest walks about instead of sitting.
    walker: Option<String>,
    painted: HashMap<(usize, u32), std::sync::Arc<rotunda::media::VideoFrame>>,
    out: String,
    frame: u32,
}

fn main() {
    tracing_subscriber::fmt().with_env_filter("info,wgpu=error,naga=warn").init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let people: usize = args.first().and_then(|a| a.parse().ok()).unwrap_or(5);
    let (width, height) = args
        .get(1)
        .and_then(|a| a.split_once('x'))
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)))
        .unwrap_or((1280, 720));
    let quality = match args.get(2).map(String::as_str) {
        Some("medium") => QualityTier::Medium,
        Some("high") => QualityTier::High,
        Some("low") => QualityTier::Low,
        _ => QualityTier::Auto,
    };
    let out = args.get(3).cloned().unwrap_or_else(|| "room.png".into());
    match host::check_gpu() {
        Ok(gpu) => info!(?gpu, "adapter"),
        Err(error) => {
            error!(%error, "no picture");
            return;
        }
    }

    let (handle, engine) = FakeEngine::new();
    engine.connect_as(user("me", "Me", 1_000_000));
    let feeds: Vec<_> = (0..people)
        .map(|n| engine.join_with_camera(&format!("guest{n}"), NAMES[n % NAMES.len()], n as i64, n % 5 == 3))
        .collect();
    let share = (!args.iter().any(|a| a == "--no-share") && people > 0)
        .then(|| engine.publish(stream("share", "guest0", StreamKind::Screen, false)));

    let walker = (args.iter().any(|a| a == "--walker") && people > 0).then(|| format!("guest{}", people - 1));
    let settings = SpaceSettings { quality, view: ViewTarget::Offscreen { width, height }, ..default() };
    App::new()
        .insert_resource(settings)
        .insert_resource(EngineBridge(handle))
        .insert_resource(Script { engine, feeds, share, walker, painted: HashMap::new(), out, frame: 0 })
        .add_plugins((host::offscreen(), RotundaPlugins))
        .add_systems(Update, (play, finish))
        .run();
}

/// New pictures at 15 a second, levels for two who speak.
fn play(mut script: ResMut<Script>, mut times: ResMut<FrameTimes>, mut requests: MessageWriter<PictureRequest>) {
    let script = &mut *script;
    script.frame += 1;
    if script.frame == WARM_UP {
        times.clear();
    }
    if script.frame == FRAMES {
        requests.write(PictureRequest::default());
    }
    if let Some(walker) = script.walker.as_deref().filter(|_| script.frame.is_multiple_of(3)) {
        // Slowly to and fro before the seats.
        let x_m = (script.frame as f32 * 0.02).sin() * 2.0 - 1.5;
        if let Some(stand) = Stand::new(x_m, 2.5, 0.0) {
            script.engine.stand(walker, script.frame * 16, stand);
        }
    }
    let pose = (script.frame / 4) % 4;
    if script.frame.is_multiple_of(4) {
        for (n, feed) in script.feeds.iter().enumerate() {
            // The last of many guests keeps the camera off.
            if n + 1 == script.feeds.len() && n > 3 {
                continue;
            }
            let picture =
                script.painted.entry((n, pose)).or_insert_with(|| portrait(320, 180, n as u32, pose as f32 * 1.6));
            feed.put(picture.clone());
        }
        if let Some(share) = &script.share {
            share.put(
                script.painted.entry((usize::MAX, pose)).or_insert_with(|| page(1280, 720, pose as f32 * 0.1)).clone(),
            );
        }
    }
    script.engine.set_levels([("guest1".into(), 0.12), ("guest4".into(), 0.05)]);
}

fn finish(
    mut taken: MessageReader<PictureTaken>,
    script: Res<Script>,
    times: Res<FrameTimes>,
    uploads: Res<UploadStats>,
    mut exit: MessageWriter<AppExit>,
) {
    for picture in taken.read() {
        let written = picture
            .to_png()
            .map_err(|e| e.to_string())
            .and_then(|png| std::fs::write(&script.out, png).map_err(|e| e.to_string()));
        info!(out = %script.out, times = ?times.summary(), uploads = uploads.frames(), bytes = uploads.bytes(), ?written, "done");
        exit.write(AppExit::Success);
    }
}
