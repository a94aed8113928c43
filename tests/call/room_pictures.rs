//! Pictures of named views of the room: written to `target/room-pictures` to be looked at, and compared with the
//! references under `tests/references/room`, which were drawn by Mesa's software renderer.
//!
//! Tolerance: on average 2.5 of 255 for each channel, and at most 3 % of the pixels off by more than 40; drivers differ in
//! filtering and anti-aliasing, and fonts in details. `ROTUNDA_UPDATE_REFERENCES=1` takes what is drawn now as the
//! reference: look at it before it is committed.

use std::path::{Path, PathBuf};

use bevy::prelude::*;
use rotunda::bridge::VideoFeed;
use rotunda::model::StreamKind;
use rotunda::space::view::Walker;
use rotunda::space::{Mood, PictureTaken, QualityTier, RoomLayout, SpaceSettings, ViewMode};

use crate::fake_engine::{FakeEngine, NAMES, page, portrait, stream, user};
use crate::room::{gpu, picture, room_with};

const SIZE: (u32, u32) = (320, 180);
const MEAN_TOLERANCE: f64 = 2.5;
const OFF_TOLERANCE: f64 = 0.03;
const OFF_BY: u8 = 40;

/// A view and what is to be seen.
struct View {
    name: &'static str,
    people: usize,
    share: bool,
    tier: QualityTier,
    mood: Mood,
    mode: ViewMode,
    /// Another place to stand, and the point looked at.
    stand: Option<(Vec3, Vec3)>,
}

const DOOR: View = View {
    name: "door-9",
    people: 9,
    share: true,
    tier: QualityTier::Low,
    mood: Mood::Day,
    mode: ViewMode::Hall,
    stand: None,
};

fn views() -> Vec<View> {
    vec![
        View { name: "door-2", people: 2, ..DOOR },
        DOOR,
        View { name: "door-25", people: 25, ..DOOR },
        View { name: "door-50", people: 50, ..DOOR },
        View { name: "door-9-medium", tier: QualityTier::Medium, ..DOOR },
        View { name: "door-9-high", tier: QualityTier::High, ..DOOR },
        View { name: "door-9-night", mood: Mood::Night, ..DOOR },
        View { name: "seat-9", stand: Some((Vec3::new(-3.6, 1.72, 2.2), Vec3::new(2.5, 2.2, -6.0))), ..DOOR },
        View { name: "below-the-wall", stand: Some((Vec3::new(0.0, 1.72, -3.2), Vec3::new(0.0, 5.6, -9.35))), ..DOOR },
        View { name: "dome", people: 2, stand: Some((Vec3::new(0.0, 1.72, 2.0), Vec3::new(0.0, 14.0, -4.0))), ..DOOR },
        View { name: "grid-9", mode: ViewMode::Grid, ..DOOR },
        View { name: "grid-25", people: 25, mode: ViewMode::Grid, ..DOOR },
        View { name: "grid-50", people: 50, mode: ViewMode::Grid, ..DOOR },
        View { name: "speaker-9", share: false, mode: ViewMode::Speaker, ..DOOR },
        View { name: "speaker-9-share", mode: ViewMode::Speaker, ..DOOR },
    ]
}

fn settle(app: &mut App, engine: &FakeEngine, feeds: &[VideoFeed], share: Option<&VideoFeed>) {
    let faces: Vec<_> = (0..feeds.len()).map(|n| portrait(320, 180, n as u32, n as f32 * 0.7)).collect();
    let shared = page(1280, 720, 0.0);
    engine.set_levels([("guest1".to_owned(), 0.12)]);
    for frame in 0..64 {
        if frame % 5 == 0 {
            // The last of many keeps the camera off.
            let sending = if feeds.len() > 5 { feeds.len() - 1 } else { feeds.len() };
            for (feed, face) in feeds.iter().zip(&faces).take(sending) {
                feed.put(face.clone());
            }
            if let Some(share) = share {
                share.put(shared.clone());
            }
        }
        app.update();
        // Pipelines compile beside the frames.
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
}

fn draw(view: &View) -> PictureTaken {
    let layout = RoomLayout { mood: view.mood, ..RoomLayout::built_in() };
    let (mut app, engine) = room_with(SIZE, |settings| {
        *settings = SpaceSettings { quality: view.tier, layout, overlay: false, ..settings.clone() }
    });
    engine.connect_as(user("me", "Me", 1_000_000));
    let mut feeds = Vec::new();
    for n in 0..view.people {
        let name = NAMES[n % NAMES.len()];
        feeds.push(engine.join_with_camera(&format!("guest{n}"), name, n as i64, n % 5 == 3));
        app.update();
    }
    let share = view.share.then(|| engine.publish(stream("share", "guest0", StreamKind::Screen, false)));
    app.insert_resource(view.mode);
    if let Some((eye, target)) = view.stand {
        let mut walkers = app.world_mut().query::<&mut Walker>();
        for mut walker in walkers.iter_mut(app.world_mut()) {
            *walker = Walker::looking_at(eye, target);
        }
    }
    settle(&mut app, &engine, &feeds, share.as_ref());
    picture(&mut app)
}

/// Mean difference of a channel, and the share of pixels that are far off.
fn difference(picture: &PictureTaken, reference: &[u8]) -> (f64, f64) {
    let (mut sum, mut off) = (0_u64, 0_u64);
    for (a, b) in picture.rgba.chunks_exact(4).zip(reference.chunks_exact(4)) {
        let each = [0, 1, 2].map(|i| a[i].abs_diff(b[i]));
        sum += each.iter().map(|difference| u64::from(*difference)).sum::<u64>();
        off += u64::from(each.iter().any(|difference| *difference > OFF_BY));
    }
    let pixels = f64::from(picture.width * picture.height);
    (sum as f64 / pixels / 3.0, off as f64 / pixels)
}

fn read_png(path: &Path) -> Option<(u32, u32, Vec<u8>)> {
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).ok()?)).read_info().unwrap();
    let mut rgba = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgba).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgba, "{}", path.display());
    Some((info.width, info.height, rgba))
}

#[test]
fn named_views_look_like_their_references() {
    let Some(_turn) = gpu() else { return };
    let update = std::env::var_os("ROTUNDA_UPDATE_REFERENCES").is_some();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../room-pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let mut unlike = Vec::new();
    for view in views() {
        let drawn = draw(&view);
        let png = drawn.to_png().unwrap();
        std::fs::write(folder.join(format!("{}.png", view.name)), &png).unwrap();
        let path = Path::new("tests/references/room").join(format!("{}.png", view.name));
        if update {
            std::fs::create_dir_all("tests/references/room").unwrap();
            std::fs::write(&path, png).unwrap();
            continue;
        }
        let Some((width, height, reference)) = read_png(&path) else {
            unlike.push(format!("{} has no reference", view.name));
            continue;
        };
        assert_eq!((width, height), (drawn.width, drawn.height), "{}", view.name);
        let (mean, off) = difference(&drawn, &reference);
        println!("{}: {mean:.2} of 255 off on average, {:.2} % of the pixels far off", view.name, off * 100.0);
        if mean > MEAN_TOLERANCE || off > OFF_TOLERANCE {
            unlike.push(format!("{}: {mean:.2} of 255, {:.1} % far off", view.name, off * 100.0));
        }
    }
    assert!(unlike.is_empty(), "look into {}: {unlike:#?}", folder.display());
}
