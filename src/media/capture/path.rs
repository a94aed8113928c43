//! Outlines: lines and curves through an affine transform, and the shapes built of them.

use ab_glyph::{Point, point};
use ab_glyph_rasterizer::Rasterizer;

/// An affine map from a drawing's own coordinates to canvas pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transform {
    /// Image of the x unit vector.
    x_axis: Point,
    /// Image of the y unit vector.
    y_axis: Point,
    /// Image of the origin.
    origin: Point,
}

impl Transform {
    /// Canvas pixels themselves.
    pub const IDENTITY: Self =
        Self { x_axis: Point { x: 1.0, y: 0.0 }, y_axis: Point { x: 0.0, y: 1.0 }, origin: Point { x: 0.0, y: 0.0 } };

    /// `scale` pixels a unit, turned by `angle` radians, with (0, 0) at `origin`.
    pub fn new(origin: Point, scale: f32, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { x_axis: point(cos * scale, sin * scale), y_axis: point(-sin * scale, cos * scale), origin }
    }

    /// The same, with the drawing moved by (dx, dy) of its own units first.
    pub fn moved(self, dx: f32, dy: f32) -> Self {
        Self { origin: self.at(dx, dy), ..self }
    }

    /// Where a point of the drawing comes to lie.
    pub fn at(&self, x: f32, y: f32) -> Point {
        point(
            self.origin.x + x * self.x_axis.x + y * self.y_axis.x,
            self.origin.y + x * self.x_axis.y + y * self.y_axis.y,
        )
    }

    /// Pixels a unit.
    pub fn scale(&self) -> f32 {
        (self.x_axis.x * self.x_axis.x + self.x_axis.y * self.x_axis.y).sqrt()
    }
}

#[derive(Clone, Copy, Debug)]
enum Segment {
    Line(Point, Point),
    Quad(Point, Point, Point),
    Cubic(Point, Point, Point, Point),
}

/// A shape of one or more contours, each closed by itself. Contours that overlap must run the same way round.
#[derive(Clone, Debug)]
pub(super) struct Path {
    transform: Transform,
    segments: Vec<Segment>,
    start: Point,
    here: Point,
}

impl Path {
    /// An empty shape in the drawing's coordinates.
    pub fn new(transform: &Transform) -> Self {
        let origin = transform.at(0.0, 0.0);
        Self { transform: *transform, segments: Vec::with_capacity(16), start: origin, here: origin }
    }

    /// Starts a contour.
    pub fn from(mut self, x: f32, y: f32) -> Self {
        self.close();
        self.here = self.transform.at(x, y);
        self.start = self.here;
        self
    }

    /// A straight line.
    pub fn line(mut self, x: f32, y: f32) -> Self {
        let to = self.transform.at(x, y);
        self.segments.push(Segment::Line(self.here, to));
        self.here = to;
        self
    }

    /// A quadratic curve by its control point and end.
    pub fn quad(mut self, cx: f32, cy: f32, x: f32, y: f32) -> Self {
        let to = self.transform.at(x, y);
        self.segments.push(Segment::Quad(self.here, self.transform.at(cx, cy), to));
        self.here = to;
        self
    }

    /// A cubic curve by its two control points and end.
    pub fn curve(mut self, a: (f32, f32), b: (f32, f32), to: (f32, f32)) -> Self {
        let end = self.transform.at(to.0, to.1);
        self.segments.push(Segment::Cubic(self.here, self.transform.at(a.0, a.1), self.transform.at(b.0, b.1), end));
        self.here = end;
        self
    }

    /// An ellipse (its own contour).
    pub fn ellipse(self, cx: f32, cy: f32, rx: f32, ry: f32) -> Self {
        // Four cubics; the constant makes them a circle to 0.03 %.
        const K: f32 = 0.552_284_8;
        let (kx, ky) = (rx * K, ry * K);
        self.from(cx + rx, cy)
            .curve((cx + rx, cy + ky), (cx + kx, cy + ry), (cx, cy + ry))
            .curve((cx - kx, cy + ry), (cx - rx, cy + ky), (cx - rx, cy))
            .curve((cx - rx, cy - ky), (cx - kx, cy - ry), (cx, cy - ry))
            .curve((cx + kx, cy - ry), (cx + rx, cy - ky), (cx + rx, cy))
    }

    /// A rectangle by two corners (its own contour).
    pub fn rect(self, left: f32, top: f32, right: f32, bottom: f32) -> Self {
        self.from(left, top).line(right, top).line(right, bottom).line(left, bottom)
    }

    /// A rectangle with rounded corners (its own contour).
    pub fn round_rect(self, left: f32, top: f32, right: f32, bottom: f32, radius: f32) -> Self {
        let r = radius.min((right - left) / 2.0).min((bottom - top) / 2.0);
        self.from(left + r, top)
            .line(right - r, top)
            .quad(right, top, right, top + r)
            .line(right, bottom - r)
            .quad(right, bottom, right - r, bottom)
            .line(left + r, bottom)
            .quad(left, bottom, left, bottom - r)
            .line(left, top + r)
            .quad(left, top, left + r, top)
    }

    /// A brush stroke along a quadratic curve with round ends; its width runs from `width.0` to `width.1`.
    pub fn stroke(self, a: (f32, f32), control: (f32, f32), b: (f32, f32), width: (f32, f32)) -> Self {
        const STEPS: usize = 14;
        let (mut lefts, mut rights) = ([(0.0, 0.0); STEPS + 1], [(0.0, 0.0); STEPS + 1]);
        let mut ends = [(0.0, 0.0); 2];
        for (step, (left, right)) in lefts.iter_mut().zip(&mut rights).enumerate() {
            let t = step as f32 / STEPS as f32;
            let s = 1.0 - t;
            let x = s * s * a.0 + 2.0 * s * t * control.0 + t * t * b.0;
            let y = s * s * a.1 + 2.0 * s * t * control.1 + t * t * b.1;
            let mut dx = s * (control.0 - a.0) + t * (b.0 - control.0);
            let mut dy = s * (control.1 - a.1) + t * (b.1 - control.1);
            if dx.hypot(dy) < 1e-6 {
                (dx, dy) = (b.0 - a.0, b.1 - a.1);
            }
            let length = dx.hypot(dy).max(1e-6);
            let half = (width.0 + (width.1 - width.0) * t) / 2.0;
            let (nx, ny) = (-dy / length * half, dx / length * half);
            *left = (x + nx, y + ny);
            *right = (x - nx, y - ny);
            if step == 0 {
                ends[0] = (-dx / length * width.0, -dy / length * width.0);
            } else if step == STEPS {
                ends[1] = (dx / length * width.1, dy / length * width.1);
            }
        }
        let cap = 0.66;
        let (first, last) = (lefts[0], lefts[STEPS]);
        let mut path = self.from(first.0, first.1);
        for p in &lefts[1..] {
            path = path.line(p.0, p.1);
        }
        let over = rights[STEPS];
        path = path.curve(
            (last.0 + ends[1].0 * cap, last.1 + ends[1].1 * cap),
            (over.0 + ends[1].0 * cap, over.1 + ends[1].1 * cap),
            over,
        );
        for p in rights[..STEPS].iter().rev() {
            path = path.line(p.0, p.1);
        }
        let back = rights[0];
        path.curve(
            (back.0 + ends[0].0 * cap, back.1 + ends[0].1 * cap),
            (first.0 + ends[0].0 * cap, first.1 + ends[0].1 * cap),
            first,
        )
    }

    /// Corners of the box that holds every point and control point; `None` for an empty or non-finite shape.
    pub fn bounds(&self) -> Option<(Point, Point)> {
        let mut low = point(f32::MAX, f32::MAX);
        let mut high = point(f32::MIN, f32::MIN);
        let mut grow = |p: Point| {
            low = point(low.x.min(p.x), low.y.min(p.y));
            high = point(high.x.max(p.x), high.y.max(p.y));
        };
        for segment in &self.segments {
            match *segment {
                Segment::Line(a, b) => [a, b].into_iter().for_each(&mut grow),
                Segment::Quad(a, b, c) => [a, b, c].into_iter().for_each(&mut grow),
                Segment::Cubic(a, b, c, d) => [a, b, c, d].into_iter().for_each(&mut grow),
            }
        }
        let sane = low.x <= high.x && (high.x - low.x) < 32_768.0 && (high.y - low.y) < 32_768.0;
        sane.then_some((low, high))
    }

    /// Draws the outline, shifted so that (left, top) becomes (0, 0).
    pub fn trace(&self, raster: &mut Rasterizer, left: f32, top: f32) {
        let shift = |p: Point| point(p.x - left, p.y - top);
        for segment in &self.segments {
            match *segment {
                Segment::Line(a, b) => raster.draw_line(shift(a), shift(b)),
                Segment::Quad(a, b, c) => raster.draw_quad(shift(a), shift(b), shift(c)),
                Segment::Cubic(a, b, c, d) => raster.draw_cubic(shift(a), shift(b), shift(c), shift(d)),
            }
        }
        raster.draw_line(shift(self.here), shift(self.start));
    }

    fn close(&mut self) {
        if self.here != self.start {
            self.segments.push(Segment::Line(self.here, self.start));
        }
    }
}
