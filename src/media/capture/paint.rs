//! Colours, gradients and the small RGB canvas the generated sources are painted on. Plain data, used on whichever
//! thread pulls the source.

use ab_glyph::Point;
use ab_glyph_rasterizer::Rasterizer;

use super::path::Path;

/// An sRGB colour with coverage, 0..=255 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    pub r: u8,
    pub g: u8,
    pub b: u8,
    pub a: u8,
}

impl Colour {
    /// From `0xRRGGBB`, opaque.
    pub const fn hex(rgb: u32) -> Self {
        Self { r: (rgb >> 16) as u8, g: (rgb >> 8) as u8, b: rgb as u8, a: 255 }
    }

    /// The same colour, `alpha` 0..=1 opaque.
    pub fn fade(self, alpha: f32) -> Self {
        Self { a: (alpha.clamp(0.0, 1.0) * 255.0) as u8, ..self }
    }

    /// `share` 0..=1 of the way to `other`.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let lerp = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * share + 0.5) as u8;
        Self { r: lerp(self.r, other.r), g: lerp(self.g, other.g), b: lerp(self.b, other.b), a: lerp(self.a, other.a) }
    }

    /// Towards a deep violet, which shades skin and cloth more kindly than black does.
    pub fn darker(self, share: f32) -> Self {
        self.mix(Self { a: self.a, ..Self::hex(0x1C_10_24) }, share)
    }

    /// Towards a warm white.
    pub fn lighter(self, share: f32) -> Self {
        self.mix(Self { a: self.a, ..Self::hex(0xFF_F6_E8) }, share)
    }
}

/// What a shape is filled with. Points are in canvas pixels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    /// One colour.
    Flat(Colour),
    /// From one colour at `from` to another at `to`, constant beyond.
    Linear { from: Point, to: Point, start: Colour, end: Colour },
    /// From the centre outwards, eased; constant beyond `radius`.
    Radial { centre: Point, radius: f32, inner: Colour, outer: Colour },
}

impl From<Colour> for Paint {
    fn from(colour: Colour) -> Self {
        Self::Flat(colour)
    }
}

impl Paint {
    fn at(&self, x: f32, y: f32) -> Colour {
        match *self {
            Self::Flat(colour) => colour,
            Self::Linear { from, to, start, end } => {
                let (ax, ay) = (to.x - from.x, to.y - from.y);
                let along = ((x - from.x) * ax + (y - from.y) * ay) / (ax * ax + ay * ay).max(1e-6);
                start.mix(end, along.clamp(0.0, 1.0))
            }
            Self::Radial { centre, radius, inner, outer } => {
                let (dx, dy) = (x - centre.x, y - centre.y);
                let t = ((dx * dx + dy * dy).sqrt() / radius.max(1e-6)).min(1.0);
                inner.mix(outer, t * t * (3.0 - 2.0 * t))
            }
        }
    }
}

/// A rectangle of pixels: `left..right`, `top..bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub left: usize,
    pub top: usize,
    pub right: usize,
    pub bottom: usize,
}

impl Rect {
    /// Around these bounds in pixels, grown outwards to even coordinates and cut to `width` x `height`.
    pub fn around(left: f32, top: f32, right: f32, bottom: f32, width: usize, height: usize) -> Self {
        let low = |v: f32, max: usize| (v.floor().max(0.0) as usize).min(max) & !1;
        let high = |v: f32, max: usize| (v.ceil().max(0.0) as usize).next_multiple_of(2).min(max);
        Self { left: low(left, width), top: low(top, height), right: high(right, width), bottom: high(bottom, height) }
    }

    fn contains(&self, x: i32, y: i32) -> bool {
        x >= self.left as i32 && x < self.right as i32 && y >= self.top as i32 && y < self.bottom as i32
    }
}

/// An opaque sRGB picture, four bytes a pixel (the fourth unused), with an antialiasing fill.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
    clip: Rect,
    raster: Rasterizer,
}

impl Clone for Canvas {
    fn clone(&self) -> Self {
        let raster = Rasterizer::new(1, 1);
        Self { width: self.width, height: self.height, pixels: self.pixels.clone(), clip: self.clip, raster }
    }
}

impl Canvas {
    /// A picture of one colour.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        let clip = Rect { left: 0, top: 0, right: width, bottom: height };
        let pixels = vec![[colour.r, colour.g, colour.b, 255]; width * height];
        Self { width, height, pixels, clip, raster: Rasterizer::new(1, 1) }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// One row of pixels.
    pub fn row(&self, y: usize) -> &[[u8; 4]] {
        &self.pixels[y * self.width..(y + 1) * self.width]
    }

    /// Nothing outside is touched from now on.
    pub fn set_clip(&mut self, clip: Rect) {
        self.clip = clip;
    }

    /// Takes one rectangle over from a picture of the same size.
    pub fn copy_rect(&mut self, from: &Canvas, rect: Rect) {
        for y in rect.top..rect.bottom {
            let span = y * self.width + rect.left..y * self.width + rect.right;
            self.pixels[span.clone()].copy_from_slice(&from.pixels[span]);
        }
    }

    /// Lays a colour over one pixel, `coverage` 0..=1.
    pub fn blend(&mut self, x: i32, y: i32, colour: Colour, coverage: f32) {
        if self.clip.contains(x, y) {
            let index = y as usize * self.width + x as usize;
            blend_pixel(&mut self.pixels[index], colour, coverage);
        }
    }

    /// Fills a shape, antialiased.
    pub fn fill(&mut self, path: &Path, paint: impl Into<Paint>) {
        let paint = paint.into();
        let Some((low, high)) = path.bounds() else { return };
        let left = low.x.floor() as i32 - 1;
        let right = high.x.ceil() as i32 + 2;
        let top = (low.y.floor() as i32).max(self.clip.top as i32);
        let bottom = (high.y.ceil() as i32).min(self.clip.bottom as i32);
        if top >= bottom || right <= self.clip.left as i32 || left >= self.clip.right as i32 {
            return;
        }
        let (width, height) = ((right - left) as usize, (bottom - top) as usize);
        self.raster.reset(width, height);
        path.trace(&mut self.raster, left as f32, top as f32);
        let (pixels, clip, stride) = (&mut self.pixels, self.clip, self.width);
        let (mut column, mut row) = (0, 0);
        self.raster.for_each_pixel(|_, coverage| {
            let (x, y) = (left + column, top + row);
            if coverage > 0.004 && clip.contains(x, y) {
                let colour = paint.at(x as f32 + 0.5, y as f32 + 0.5);
                blend_pixel(&mut pixels[y as usize * stride + x as usize], colour, coverage);
            }
            column += 1;
            if column == width as i32 {
                column = 0;
                row += 1;
            }
        });
    }
}

fn blend_pixel(pixel: &mut [u8; 4], colour: Colour, coverage: f32) {
    let alpha = (coverage.min(1.0) * f32::from(colour.a)) as i32;
    if alpha >= 255 {
        *pixel = [colour.r, colour.g, colour.b, 255];
        return;
    }
    for (under, over) in pixel.iter_mut().zip([colour.r, colour.g, colour.b]) {
        let below = i32::from(*under);
        *under = (below + ((i32::from(over) - below) * alpha + 127) / 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::capture::path::Transform;

    #[test]
    fn a_shape_covers_its_inside_and_half_covers_its_edge() {
        let mut canvas = Canvas::new(16, 16, Colour::hex(0));
        canvas.fill(&Path::new(&Transform::IDENTITY).rect(4.0, 4.0, 10.5, 10.0), Colour::hex(0xFF_FF_FF));
        assert_eq!(canvas.row(5)[5][0], 255);
        assert!((120..136).contains(&canvas.row(5)[10][0]), "edge {}", canvas.row(5)[10][0]);
        assert_eq!(canvas.row(5)[12][0], 0);
        assert_eq!(canvas.row(2)[5][0], 0);
    }

    #[test]
    fn shapes_beyond_the_picture_are_cut_not_wrapped() {
        let mut canvas = Canvas::new(8, 8, Colour::hex(0));
        canvas.fill(&Path::new(&Transform::IDENTITY).rect(-20.0, -20.0, 2.0, 40.0), Colour::hex(0xFF_FF_FF));
        assert_eq!(canvas.row(3)[1][0], 255);
        assert_eq!(canvas.row(3)[2][0], 0);
        assert_eq!(canvas.row(3)[7][0], 0);
    }
}
