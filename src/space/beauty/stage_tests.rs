//! Frames through the whole stage, on a real device: against the reference, and what must not change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::{BeautyLink, Entrance, Lane};
use super::picture::{Opened, open_device};
use super::reference;
use super::stage::Stage;
use super::tests::{SIZE, face, params};
use crate::media::{ColourMatrix, ColourRange, ColourSpace, VideoFrame};
use crate::model::{Beauty, BeautyState};

/// A stage and one camera.
struct Run {
    stage: Stage,
    link: BeautyLink,
    lane: Arc<Lane>,
    entrance: Entrance,
    now: Instant,
}

impl Run {
    /// `None` where there is no device, and that is no failure.
    fn start(beauty: Beauty) -> Option<Self> {
        let Opened { device, queue, .. } = match open_device() {
            Ok(opened) => opened,
            Err(_) if std::env::var_os("CI").is_none() => return None,
            Err(error) => panic!("{error}"),
        };
        let stage = Stage::new(&device, &queue, false).unwrap();
        let link = BeautyLink::new(beauty);
        let lane = link.open_lane();
        let entrance = Entrance::new(link.clone(), Arc::clone(&lane));
        Some(Self { stage, link, lane, entrance, now: Instant::now() })
    }

    /// A frame goes in; what comes out.
    fn filter(&mut self, frame: &VideoFrame) -> VideoFrame {
        self.now += Duration::from_secs(1);
        self.entrance.offer(frame.clone(), self.now).unwrap();
        self.stage.filter(&self.link, None);
        self.lane.next(Duration::from_secs(60)).unwrap().unwrap()
    }
}

const SPACES: [ColourSpace; 4] = [
    ColourSpace { matrix: ColourMatrix::Bt601, range: ColourRange::Limited },
    ColourSpace { matrix: ColourMatrix::Bt601, range: ColourRange::Full },
    ColourSpace { matrix: ColourMatrix::Bt709, range: ColourRange::Limited },
    ColourSpace { matrix: ColourMatrix::Bt709, range: ColourRange::Full },
];

/// Red and blue in luma, and how code values are spread.
fn coding(space: ColourSpace) -> (f32, f32, f32, f32, f32) {
    let (red, blue) = if space.matrix == ColourMatrix::Bt601 { (0.299, 0.114) } else { (0.2126, 0.0722) };
    if space.range == ColourRange::Full { (red, blue, 0.0, 255.0, 255.0) } else { (red, blue, 16.0, 219.0, 224.0) }
}

/// RGBA to I420, plainly; chroma is the mean of four.
fn to_frame(rgba: &[u8], (width, height): (u32, u32), space: ColourSpace) -> VideoFrame {
    let (red, blue, black, luma_span, chroma_span) = coding(space);
    let pixel = |x: u32, y: u32| {
        let at = ((y.min(height - 1) * width + x.min(width - 1)) * 4) as usize;
        [0, 1, 2].map(|i| f32::from(rgba[at + i]) / 255.0)
    };
    let luma = |[r, g, b]: [f32; 3]| red * r + (1.0 - red - blue) * g + blue * b;
    let code = |value: f32| value.round().clamp(0.0, 255.0) as u8;
    let places = |w: u32, h: u32| (0..h).flat_map(move |y| (0..w).map(move |x| (x, y)));
    let mut data: Vec<u8> = places(width, height).map(|(x, y)| code(black + luma_span * luma(pixel(x, y)))).collect();
    for (channel, weight) in [(2, blue), (0, red)] {
        data.extend(places(width.div_ceil(2), height.div_ceil(2)).map(|(x, y)| {
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| pixel(2 * x + dx, 2 * y + dy));
            let mean = four.iter().map(|rgb| rgb[channel] - luma(*rgb)).sum::<f32>() / 4.0;
            code(128.0 + chroma_span * mean / (2.0 * (1.0 - weight)))
        }));
    }
    VideoFrame::new(width, height, space, 7, data).unwrap()
}

/// I420 to RGBA as the passes see it; chroma lies between pixels.
fn to_rgba(frame: &VideoFrame) -> Vec<u8> {
    let (red, blue, black, luma_span, chroma_span) = coding(frame.colour());
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let (cw, ch) = (width.div_ceil(2), height.div_ceil(2));
    let sample = |plane: &[u8], x: usize, y: usize| {
        let (u, v) =
            ((x as f32 + 0.5) / width as f32 * cw as f32 - 0.5, (y as f32 + 0.5) / height as f32 * ch as f32 - 0.5);
        let at = |x: f32, y: f32| {
            let x = (x.max(0.0) as usize).min(cw - 1);
            f32::from(plane[(y.max(0.0) as usize).min(ch - 1) * cw + x])
        };
        let (fx, fy) = (u - u.floor(), v - v.floor());
        let row = |y: f32| at(u.floor(), y) * (1.0 - fx) + at(u.floor() + 1.0, y) * fx;
        (row(v.floor()) * (1.0 - fy) + row(v.floor() + 1.0) * fy - 128.0) / chroma_span
    };
    let mut rgba = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let luma = (f32::from(frame.y()[y * width + x]) - black) / luma_span;
            let r = luma + 2.0 * (1.0 - red) * sample(frame.v(), x, y);
            let b = luma + 2.0 * (1.0 - blue) * sample(frame.u(), x, y);
            let g = (luma - red * r - blue * b) / (1.0 - red - blue);
            rgba.extend([r, g, b, 1.0].map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8));
        }
    }
    rgba
}

#[test]
fn frames_come_out_as_the_reference_says_in_every_colour_space() {
    for (index, space) in SPACES.into_iter().enumerate() {
        let wish = params(50, 50, 50, 50);
        let Some(mut run) = Run::start(Beauty::of(wish)) else { return };
        let frame = to_frame(&face(index), SIZE, space);
        let out = run.filter(&frame);
        assert_eq!((out.width(), out.height(), out.colour(), out.timestamp_us()), (SIZE.0, SIZE.1, space, 7));
        let seen = to_rgba(&frame);
        let wanted: Vec<u8> = reference::filter(&seen, SIZE, wish).iter().map(|c| (c * 255.0).round() as u8).collect();
        let (before, wanted) = (to_frame(&seen, SIZE, space), to_frame(&wanted, SIZE, space));
        let planes = [(frame.y(), before.y(), wanted.y(), out.y()), (frame.v(), before.v(), wanted.v(), out.v())];
        for (plane, (given, before, wanted, out)) in planes.into_iter().enumerate() {
            // What changed is added to what was given.
            let off = |i: usize| {
                let wanted = f32::from(given[i]) + f32::from(wanted[i]) - f32::from(before[i]);
                (f32::from(out[i]) - wanted).abs()
            };
            let mean = (0..out.len()).map(off).sum::<f32>() / out.len() as f32;
            let most = (0..out.len()).map(off).fold(0.0, f32::max);
            assert!(mean < 0.7 && most <= 5.0, "{space:?}, plane {plane}: off by {mean} on average, {most} at most");
        }
    }
}

#[test]
fn what_is_not_skin_keeps_its_code_values_bit_for_bit() {
    let Some(mut run) = Run::start(Beauty::of(params(100, 100, 100, 0))) else { return };
    for space in SPACES {
        // The right part: text, a wall, a cold grey; and code values no colour has.
        let mut frame = to_frame(&face(1), SIZE, space);
        frame.planes_mut().0[SIZE.0 as usize * 10 + 250] = 255;
        frame.planes_mut().0[SIZE.0 as usize * 12 + 252] = 0;
        let out = run.filter(&frame);
        let (width, away) = (SIZE.0 as usize, 216);
        for row in 0..SIZE.1 as usize {
            let part = row * width + away..(row + 1) * width;
            assert_eq!(frame.y()[part.clone()], out.y()[part], "{space:?}, row {row}");
        }
        for row in 0..SIZE.1 as usize / 2 {
            let part = (row * width + away) / 2..(row + 1) * width / 2;
            assert_eq!(frame.u()[part.clone()], out.u()[part.clone()], "{space:?}, row {row}");
            assert_eq!(frame.v()[part.clone()], out.v()[part], "{space:?}, row {row}");
        }
        assert_ne!(frame.y(), out.y(), "the skin at the left did change");
    }
}

#[test]
fn every_size_comes_back_as_large_as_it_went_in() {
    let Some(mut run) = Run::start(Beauty::of(params(50, 50, 50, 50))) else { return };
    for size in [(1, 1), (2, 1), (3, 5), (17, 33), (255, 3), (257, 9), (640, 2)] {
        let rgba: Vec<u8> = (0..size.0 * size.1).flat_map(|i| [200, 150, (100 + i % 30) as u8, 255]).collect();
        let out = run.filter(&to_frame(&rgba, size, SPACES[0]));
        assert_eq!((out.width(), out.height()), size);
        assert_eq!(out.y().len() as u32, size.0 * size.1);
    }
    assert_eq!(run.link.status().state, BeautyState::On);
}

#[test]
fn no_more_than_three_pictures_are_on_their_way() {
    let Some(mut run) = Run::start(Beauty::of(params(50, 0, 0, 0))) else { return };
    let frame = to_frame(&face(1), SIZE, SPACES[0]);
    for _ in 0..50 {
        run.now += Duration::from_millis(1);
        run.entrance.offer(frame.clone(), run.now).unwrap();
        run.stage.filter(&run.link, None);
    }
    assert!(run.stage.buffers() <= super::stage::IN_FLIGHT, "{} buffers", run.stage.buffers());
    assert!(run.lane.next(Duration::from_secs(60)).is_some());
    run.stage.keep(&[]);
    assert_eq!(run.stage.buffers(), 0);
}

#[test]
fn a_dark_room_is_brightened_and_its_noise_is_not() {
    // A grey scene in little light, with noise; nothing of it is skin.
    let noisy: Vec<u8> = (0..SIZE.1)
        .flat_map(|y| (0..SIZE.0).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let light = 22.0 + f32::from(u8::from(x / 40 % 2 == 0)) * 26.0 + super::tests::hash(x, y, 3) * 12.0;
            [light as u8, light as u8, (light * 1.04) as u8, 255]
        })
        .collect();
    let dark = to_frame(&noisy, SIZE, SPACES[0]);
    let Some(mut run) = Run::start(Beauty { low_light: true, ..Beauty::default() }) else { return };
    let lit = run.filter(&dark);
    let column = |frame: &VideoFrame, from: usize| -> (f32, f32) {
        let width = SIZE.0 as usize;
        let all: Vec<f32> = (20..220)
            .flat_map(|y| (from + 8..from + 32).map(move |x| y * width + x))
            .map(|i| f32::from(frame.y()[i]))
            .collect();
        let mean = all.iter().sum::<f32>() / all.len() as f32;
        (mean, (all.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / all.len() as f32).sqrt())
    };
    for from in [0, 40] {
        let ((before, noise_before), (after, noise_after)) = (column(&dark, from), column(&lit, from));
        assert!(after - 16.0 > (before - 16.0) * 1.6, "{before} became {after}");
        // What the curve alone would make of the noise: it grows with the lightness.
        let gain = (after - 16.0) / (before - 16.0);
        assert!(
            noise_after < noise_before * (1.0 + (gain - 1.0) * 0.5),
            "noise {noise_before} became {noise_after}, light {gain}"
        );
    }
    let ((_, _), (left, _), (right, _)) = (column(&dark, 0), column(&lit, 0), column(&lit, 40));
    assert!(left > right + 10.0, "and what was lighter still is");
    // In good light nothing happens at all.
    let bright = to_frame(&face(0), SIZE, SPACES[0]);
    let Some(mut run) = Run::start(Beauty { low_light: true, ..Beauty::default() }) else { return };
    assert_eq!(run.filter(&bright), bright);
    assert_eq!(run.link.status().state, BeautyState::Off);
}
