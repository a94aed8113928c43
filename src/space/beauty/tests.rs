//! The passes on painted faces of every tone: against the reference, and what a person would notice.

use super::reference;
use super::{PictureFilter, PictureFilterError, Retouch};
use crate::model::BeautyParams;

pub(super) const SIZE: (u32, u32) = (320, 240);

/// Six tones from very light to very dark, as lightness in Oklab: what cameras show of the Monk Skin Tone Scale's (Ellis
/// Monk, 2019) numbers 3 to 9 in good light.
const TONES: [f32; 6] = [0.85, 0.78, 0.71, 0.59, 0.47, 0.36];
/// What they have in common: chroma in proportion to lightness, and hue.
const SATURATION: f32 = 0.085;
const HUE: f32 = 52.0;

/// A tone in sRGB, 0..255.
fn tone(index: usize) -> [f32; 3] {
    let (lightness, hue) = (TONES[index], HUE.to_radians());
    let chroma = SATURATION * lightness;
    reference::from_oklab([lightness, chroma * hue.cos(), chroma * hue.sin()]).map(|c| c * 255.0)
}

/// Noise without a library: the same everywhere.
pub(super) fn hash(x: u32, y: u32, seed: u32) -> f32 {
    let mut h = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ seed.wrapping_mul(0xc2b2_ae3d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    h as f32 / u32::MAX as f32 - 0.5
}

/// What is where in a painted face.
mod at {
    use std::ops::Range;

    /// Cheek: skin with pores, x and y.
    pub const CHEEK: (Range<u32>, Range<u32>) = (40..120, 60..140);
    /// The middle of a mole, and its radius.
    pub const MOLE: (u32, u32, u32) = (140, 100, 4);
    /// Text on paper.
    pub const TEXT: (Range<u32>, Range<u32>) = (200..310, 20..120);
    /// A blue wall with a pattern.
    pub const WALL: (Range<u32>, Range<u32>) = (200..310, 140..230);
    /// Hair: dark strands beside the skin.
    pub const LASH_X: u32 = 170;
}

fn inside((xs, ys): &(std::ops::Range<u32>, std::ops::Range<u32>), x: u32, y: u32) -> bool {
    xs.contains(&x) && ys.contains(&y)
}

/// Skin of a tone with pores, blotches and a mole, beside text, a wall and a lash.
pub(super) fn face(index: usize) -> Vec<u8> {
    let skin = tone(index);
    let mut rgba = Vec::new();
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            let colour: [f32; 3] = if inside(&at::TEXT, x, y) {
                let ink = (x / 3 + y / 7 * 5) % 4 == 0 && y % 7 < 5;
                if ink { [20.0; 3] } else { [250.0; 3] }
            } else if inside(&at::WALL, x, y) {
                let stripe = f32::from(u8::from((x / 6) % 2 == 0)) * 30.0;
                [60.0 + stripe, 90.0 + stripe, 150.0 + stripe]
            } else if x >= 190 {
                [90.0, 110.0, 120.0]
            } else if x.abs_diff(at::LASH_X) < 2 {
                [22.0, 18.0, 16.0]
            } else {
                // Pores are finer than blotches; both are in proportion to how light the skin is.
                let light = skin.iter().sum::<f32>() / 3.0;
                let pores = hash(x, y, 1) * 0.10 * light;
                let blotch = ((x as f32 * 0.11).sin() * (y as f32 * 0.09).cos()) * 0.03 * light;
                let (mx, my, radius) = at::MOLE;
                let away = ((x as f32 - mx as f32).powi(2) + (y as f32 - my as f32).powi(2)).sqrt();
                let mole = if away < radius as f32 { 0.45 } else { 1.0 };
                [skin[0] + pores + blotch, skin[1] + pores, skin[2] + pores].map(|c| c * mole)
            };
            rgba.extend(colour.map(|c| c.round().clamp(0.0, 255.0) as u8));
            rgba.push(255);
        }
    }
    rgba
}

fn brightness(rgba: &[u8], x: u32, y: u32) -> f32 {
    let at = ((y * SIZE.0 + x) * 4) as usize;
    0.2126 * f32::from(rgba[at]) + 0.7152 * f32::from(rgba[at + 1]) + 0.0722 * f32::from(rgba[at + 2])
}

/// Mean over a region of what `f` says of each place, a few pixels from its border.
fn mean((xs, ys): &(std::ops::Range<u32>, std::ops::Range<u32>), f: impl Fn(u32, u32) -> f32) -> f32 {
    let places: Vec<f32> = (ys.start + 6..ys.end - 6)
        .flat_map(|y| (xs.start + 6..xs.end - 6).map(move |x| (x, y)))
        .map(|(x, y)| f(x, y))
        .collect();
    places.iter().sum::<f32>() / places.len() as f32
}

/// Energy of the finest texture.
fn texture(rgba: &[u8], region: &(std::ops::Range<u32>, std::ops::Range<u32>)) -> f32 {
    mean(region, |x, y| {
        let beside = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)].map(|(x, y)| brightness(rgba, x, y));
        (brightness(rgba, x, y) - beside.iter().sum::<f32>() / 4.0).powi(2)
    })
}

/// The mean colour, in Oklab.
fn colour(rgba: &[u8], region: &(std::ops::Range<u32>, std::ops::Range<u32>)) -> [f32; 3] {
    reference::to_oklab(
        [0, 1, 2].map(|i| mean(region, |x, y| f32::from(rgba[((y * SIZE.0 + x) * 4) as usize + i]) / 255.0)),
    )
}

pub(super) fn params(smooth: u32, whiten: u32, rosy: u32, sharpen: u32) -> BeautyParams {
    BeautyParams::new(smooth, whiten, rosy, sharpen).unwrap()
}

/// A device, or `None` where there is none and that is no failure.
fn filter() -> Option<PictureFilter> {
    match PictureFilter::open() {
        Ok(filter) => Some(filter),
        Err(_) if std::env::var_os("CI").is_none() => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_passes_compute_what_the_reference_does() {
    let Some(mut filter) = filter() else { return };
    for (index, params, lift) in [
        (0, params(50, 50, 50, 50), 0.0),
        (2, params(100, 0, 0, 0), 0.0),
        (3, params(0, 100, 100, 0), 0.0),
        (4, params(100, 100, 100, 100), 0.0),
        (5, params(0, 0, 0, 100), 0.0),
        (1, params(0, 0, 0, 0), 1.0),
        (3, params(60, 40, 20, 30), 0.5),
    ] {
        let retouch = Retouch { params, lift };
        let before = face(index);
        let after = filter.filter(&before, SIZE, retouch).unwrap();
        let wanted = reference::filter(&before, SIZE, retouch);
        let off = |i: usize| (f32::from(after[i]) - wanted[i] * 255.0).abs();
        let (mut most, mut sum) = (0.0_f32, 0.0);
        for i in 0..after.len() {
            most = most.max(off(i));
            sum += off(i);
        }
        let mean = sum / after.len() as f32;
        assert!(mean < 0.45 && most < 4.0, "tone {index}, {params}: off by {mean} on average, {most} at most");
    }
}

#[test]
fn with_everything_off_the_picture_is_the_same_bit_for_bit() {
    let Some(mut filter) = filter() else { return };
    let before: Vec<u8> = (0..SIZE.0 * SIZE.1 * 4).map(|i| (hash(i, 7, 3) * 255.0 + 128.0) as u8).collect();
    assert_eq!(filter.filter(&before, SIZE, BeautyParams::NONE).unwrap(), before);
}

#[test]
fn pores_even_out_and_moles_lashes_text_and_walls_stay() {
    let Some(mut filter) = filter() else { return };
    for index in 0..TONES.len() {
        let before = face(index);
        let pores = texture(&before, &at::CHEEK);
        let mut last = pores;
        for (smooth, most) in [(25, 0.8), (50, 0.55), (100, 0.25)] {
            let after = filter.filter(&before, SIZE, params(smooth, 0, 0, 0)).unwrap();
            let left = texture(&after, &at::CHEEK);
            // Rounding to eight bits leaves some in the darkest.
            assert!(left < most * pores + 0.5 && left < last, "tone {index} at {smooth}: {left} of {pores} are left");
            last = left;
            let (x, y, _) = at::MOLE;
            let contrast = |rgba: &[u8]| brightness(rgba, x + 14, y) - brightness(rgba, x, y);
            let (was, is) = (contrast(&before), contrast(&after));
            assert!(is > 0.7 * was, "tone {index} at {smooth}: a mole of {was} has {is} left");
            let lash = |rgba: &[u8]| brightness(rgba, at::LASH_X - 12, 180) - brightness(rgba, at::LASH_X, 180);
            assert!(lash(&after) > 0.8 * lash(&before), "tone {index} at {smooth}: the lash is gone");
            for (what, region) in [("text", at::TEXT), ("the wall", at::WALL)] {
                let (was, is) = (texture(&before, &region), texture(&after, &region));
                assert!((is / was - 1.0).abs() < 0.02, "tone {index} at {smooth}: {what} went from {was} to {is}");
            }
        }
    }
}

#[test]
fn skin_grows_lighter_and_warmer_alike_in_every_tone() {
    let Some(mut filter) = filter() else { return };
    let mut gains = Vec::new();
    for index in 0..TONES.len() {
        let before = face(index);
        let was = colour(&before, &at::CHEEK);
        let (mut lightest, mut reddest) = (was[0], was[1]);
        for value in [25, 50, 100] {
            let white = filter.filter(&before, SIZE, params(0, value, 0, 0)).unwrap();
            let [light, a, b] = colour(&white, &at::CHEEK);
            assert!(light > lightest, "tone {index} at {value}: {light} after {lightest}");
            assert!(a.hypot(b) > 0.95 * was[1].hypot(was[2]), "tone {index} at {value}: grey");
            lightest = light;
            let rosy = filter.filter(&before, SIZE, params(0, 0, value, 0)).unwrap();
            let [_, red, _] = colour(&rosy, &at::CHEEK);
            assert!(red > reddest, "tone {index} at {value}: {red} after {reddest}");
            reddest = red;
            for after in [&white, &rosy] {
                let clips = |(after, before): &(&u8, &u8)| **after == 255 && **before < 250;
                let clipped = after.iter().zip(&before).filter(clips).count();
                assert!(clipped * 400 < before.len(), "tone {index} at {value}: {clipped} clipped");
                for region in [at::TEXT, at::WALL] {
                    let (was, is) = (colour(&before, &region), colour(after, &region));
                    let moved = (0..3).map(|i| (is[i] - was[i]).abs()).fold(0.0, f32::max);
                    assert!(moved < 0.002, "only skin changes: {was:?} to {is:?}");
                }
            }
        }
        gains.push((lightest - was[0], reddest - was[1]));
    }
    // The lightest has the least room above it.
    let alike = |gains: &[f32]| {
        let (least, most) = gains.iter().fold((f32::MAX, 0.0_f32), |(l, m), g| (l.min(*g), m.max(*g)));
        least > 0.9 * most
    };
    let of = |pick: fn(&(f32, f32)) -> f32| gains[1..].iter().map(pick).collect::<Vec<_>>();
    assert!(alike(&of(|gain| gain.0)) && alike(&of(|gain| gain.1)), "{gains:?}");
    assert!(gains[0].0 > 0.25 * gains[2].0 && gains[0].1 > 0.25 * gains[2].1, "{gains:?}");
}

#[test]
fn edges_are_brought_out_without_halo_and_noise_is_not() {
    let Some(mut filter) = filter() else { return };
    let flat_with_edge: Vec<u8> = (0..SIZE.1)
        .flat_map(|y| (0..SIZE.0).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let edge = ((x as f32 - 160.0) / 3.0).clamp(-1.0, 1.0) * 60.0;
            let level = (110.0 + edge + hash(x, y, 5) * 2.0).round() as u8;
            [level, level, level, 255]
        })
        .collect();
    let after = filter.filter(&flat_with_edge, SIZE, params(0, 0, 0, 100)).unwrap();
    let (low, high) = after.chunks_exact(4).fold((255, 0), |(l, h), p| (p[0].min(l), p[0].max(h)));
    assert!(low >= 50 - 9 && high <= 170 + 9, "{low} to {high}: a halo");
    let steepest = |rgba: &[u8]| {
        (150..170).map(|x| brightness(rgba, x + 1, 120) - brightness(rgba, x, 120)).fold(0.0_f32, f32::max)
    };
    assert!(steepest(&after) > 1.1 * steepest(&flat_with_edge), "{} not steeper", steepest(&after));
    let calm = (10..100, 10..200);
    let (was, is) = (texture(&flat_with_edge, &calm), texture(&after, &calm));
    assert!(is < 1.5 * was + 0.1, "noise went from {was} to {is}");
}

#[test]
fn noise_does_not_shimmer_more_than_it_did() {
    let Some(mut filter) = filter() else { return };
    let clean = face(2);
    let noisy = |seed: u32| -> Vec<u8> {
        let noise = |i: usize| hash(i as u32, 0, seed) * 6.0;
        clean
            .iter()
            .enumerate()
            .map(|(i, v)| if i % 4 == 3 { *v } else { (f32::from(*v) + noise(i)).clamp(0.0, 255.0) as u8 })
            .collect()
    };
    let frames = [noisy(11), noisy(12)];
    let apart = |frames: &[Vec<u8>; 2]| {
        mean(&at::CHEEK, |x, y| (brightness(&frames[0], x, y) - brightness(&frames[1], x, y)).abs())
    };
    let filtered = [0, 1].map(|i| filter.filter(&frames[i], SIZE, params(100, 50, 50, 0)).unwrap());
    assert!(apart(&filtered) < 0.6 * apart(&frames), "{} from {}", apart(&filtered), apart(&frames));
}

#[test]
fn a_gentle_change_stays_gentle() {
    let Some(mut filter) = filter() else { return };
    // Skin that goes from shade to light, finer than eight bits can say.
    let (dark, light) = (tone(4), tone(1));
    let ramp: Vec<u8> = (0..SIZE.1)
        .flat_map(|_| 0..SIZE.0)
        .flat_map(|x| {
            let share = x as f32 / SIZE.0 as f32;
            let mixed = std::array::from_fn::<f32, 3, _>(|i| dark[i] + (light[i] - dark[i]) * share);
            [mixed[0].round() as u8, mixed[1].round() as u8, mixed[2].round() as u8, 255]
        })
        .collect();
    for params in [params(50, 50, 50, 0), params(100, 100, 100, 0)] {
        let after = filter.filter(&ramp, SIZE, params).unwrap();
        // Of a column: what is spread over its pixels is no band.
        let column = |rgba: &[u8], x: u32| (40..200).map(|y| brightness(rgba, x, y)).sum::<f32>() / 160.0;
        let steps =
            |rgba: &[u8]| -> Vec<f32> { (20..SIZE.0 - 20).map(|x| column(rgba, x + 1) - column(rgba, x)).collect() };
        let (was, is) = (steps(&ramp), steps(&after));
        let steepest = |steps: &[f32]| steps.iter().copied().fold(0.0, f32::max);
        assert!(is.iter().all(|step| *step > -0.35), "{params}: it goes back");
        assert!(
            steepest(&is) < 1.6 * steepest(&was),
            "{params}: a step of {} beside {}",
            steepest(&is),
            steepest(&was)
        );
    }
}

#[test]
fn pictures_of_any_size_are_filtered_and_impossible_ones_refused() {
    let Some(mut filter) = filter() else { return };
    for size in [(1, 1), (2, 1), (1, 3), (641, 359), (17, 480), (2000, 3)] {
        let before: Vec<u8> = (0..size.0 * size.1).flat_map(|i| [200, 150, 120, (i % 256) as u8]).collect();
        let after = filter.filter(&before, size, params(100, 100, 100, 100)).unwrap();
        assert_eq!(after.len(), before.len(), "{size:?}");
        assert!(after.chunks_exact(4).zip(before.chunks_exact(4)).all(|(a, b)| a[3] == b[3]), "{size:?}: alpha");
        assert!(after[0] >= 200, "{size:?}: lighter skin, not {:?}", &after[..4]);
    }
    for (bytes, size) in [(0, (0, 0)), (4, (0, 1)), (4, (1, 1_000_000))] {
        let error = filter.filter(&vec![0; bytes], size, BeautyParams::default()).unwrap_err();
        assert!(matches!(error, PictureFilterError::Size { .. }), "{error}");
    }
    let error = filter.filter(&[0; 7], (2, 1), BeautyParams::default()).unwrap_err();
    assert!(matches!(error, PictureFilterError::Bytes { bytes: 7, .. }), "{error}");
}

#[test]
fn skin_is_known_by_its_hue_whatever_its_tone() {
    let likelihood = |colour: [f32; 3]| reference::skin_likelihood(colour.map(|c| c / 255.0));
    for index in 0..TONES.len() {
        assert!(likelihood(tone(index)) > 0.8, "tone {index}: {}", likelihood(tone(index)));
        for white_balance in [[1.04, 1.0, 0.92], [0.95, 1.0, 1.06]] {
            let tinted = std::array::from_fn(|i| (tone(index)[i] * white_balance[i]).min(255.0));
            assert!(likelihood(tinted) > 0.3, "tone {index} in {white_balance:?}: {}", likelihood(tinted));
        }
    }
    for other in [[250.0; 3], [20.0; 3], [128.0; 3], [60.0, 90.0, 150.0], [70.0, 140.0, 60.0], [220.0, 30.0, 30.0]] {
        assert!(likelihood(other) < 0.05, "{other:?}: {}", likelihood(other));
    }
}
