//! Smaller and smaller copies of a plane, each half as large as the one before, for pictures that are seen from afar.
//! Made on the CPU when a picture is uploaded: half a millisecond for 1080p, a few times a second, where a software
//! renderer would take longer to draw them and a GPU would gain nothing. Render world.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// The plane itself and at most this many smaller ones: a 1080p page is then sharp down to a width of 120 pixels.
const LEVELS_MAX: u32 = 5;

/// Levels for a picture whose chroma planes have this size: no side of any plane may vanish.
pub(super) fn levels_for((width, height): (u32, u32)) -> u32 {
    (width.min(height).max(1).ilog2() + 1).min(LEVELS_MAX)
}

/// Makes smaller copies; keeps its tables and buffers from one picture to the next.
#[derive(Default)]
pub(super) struct Halver {
    resizer: Resizer,
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Halver {
    /// Hands out a plane (rows of `width` bytes) and its smaller copies, `levels` in all, with level and size.
    pub(super) fn each_level(
        &mut self,
        plane: &[u8],
        size: (u32, u32),
        levels: u32,
        mut take: impl FnMut(u32, &[u8], (u32, u32)),
    ) {
        take(0, plane, size);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
        let mut from = size;
        for level in 1..levels {
            let to = ((from.0 / 2).max(1), (from.1 / 2).max(1));
            let source = if level == 1 { plane } else { &self.from };
            self.to.resize(to.0 as usize * to.1 as usize, 0);
            let halved = ImageRef::new(from.0, from.1, source, PixelType::U8).ok().and_then(|source| {
                let mut target = Image::from_slice_u8(to.0, to.1, &mut self.to, PixelType::U8).ok()?;
                self.resizer.resize(&source, &mut target, &options).ok()
            });
            if halved.is_none() {
                // Sizes are right by construction; should they not be, this level keeps the last picture's.
                return;
            }
            take(level, &self.to, to);
            std::mem::swap(&mut self.from, &mut self.to);
            from = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_plane_vanishes() {
        assert_eq!(levels_for((960, 540)), LEVELS_MAX);
        assert_eq!((levels_for((1, 1)), levels_for((1, 4320)), levels_for((8, 9))), (1, 1, 4));
    }

    #[test]
    fn every_level_is_the_mean_of_the_one_before() {
        let (width, height) = (10, 6);
        let plane: Vec<u8> = (0..width * height).map(|n| (n * 37 % 251) as u8).collect();
        let mut seen = Vec::new();
        Halver::default().each_level(&plane, (width, height), 3, |level, plane, size| {
            seen.push((level, plane.to_vec(), size));
        });
        assert_eq!(
            seen.iter().map(|(level, _, size)| (*level, *size)).collect::<Vec<_>>(),
            [(0, (10, 6)), (1, (5, 3)), (2, (2, 1))]
        );
        for y in 0..3u32 {
            for x in 0..5u32 {
                let at = |dx: u32, dy: u32| u32::from(plane[((y * 2 + dy) * width + x * 2 + dx) as usize]);
                let mean = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1)) as f32 / 4.0;
                let got = f32::from(seen[1].1[(y * 5 + x) as usize]);
                assert!((got - mean).abs() <= 1.0, "{x},{y}: {got} instead of {mean}");
            }
        }
        let mean = |plane: &[u8]| plane.iter().map(|v| f32::from(*v)).sum::<f32>() / plane.len() as f32;
        assert!((mean(&seen[0].1) - mean(&seen[2].1)).abs() < 12.0, "odd sizes lose nothing that matters");
    }
}
