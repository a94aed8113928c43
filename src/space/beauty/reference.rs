//! What the passes are to compute, plainly and slowly on the CPU. For tests.

use super::passes::{Retouch, half, radius};

/// As many values a pixel as a texture has.
type Texel = [f32; 4];

/// A picture of any size, read as textures are: outside is the nearest edge.
struct Plane {
    width: usize,
    height: usize,
    texels: Vec<Texel>,
}

impl Plane {
    fn of((width, height): (u32, u32), at: impl Fn(usize, usize) -> Texel) -> Self {
        let (width, height) = (width as usize, height as usize);
        let texels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| at(x, y)).collect();
        Self { width, height, texels }
    }

    fn load(&self, x: i64, y: i64) -> Texel {
        let x = x.clamp(0, self.width as i64 - 1) as usize;
        let y = y.clamp(0, self.height as i64 - 1) as usize;
        self.texels[y * self.width + x]
    }

    /// Between texels, at `u`, `v` in 0..1.
    fn sample(&self, u: f32, v: f32) -> Texel {
        let (x, y) = (u * self.width as f32 - 0.5, v * self.height as f32 - 0.5);
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let (x, y) = (x.floor() as i64, y.floor() as i64);
        let corners = [self.load(x, y), self.load(x + 1, y), self.load(x, y + 1), self.load(x + 1, y + 1)];
        std::array::from_fn(|i| {
            let [a, b, c, d] = corners.map(|corner| corner[i]);
            (a * (1.0 - fx) + b * fx) * (1.0 - fy) + (c * (1.0 - fx) + d * fx) * fy
        })
    }

    /// The mean of a box around each texel.
    fn boxed(&self, radius: i64) -> Self {
        let count = ((2 * radius + 1) * (2 * radius + 1)) as f32;
        Self::of((self.width as u32, self.height as u32), |x, y| {
            let mut sum = [0.0; 4];
            for dy in -radius..=radius {
                for dx in -radius..=radius {
                    let texel = self.load(x as i64 + dx, y as i64 + dy);
                    sum.iter_mut().zip(texel).for_each(|(sum, value)| *sum += value);
                }
            }
            sum.map(|sum| sum / count)
        })
    }
}

fn smoothstep(from: f32, to: f32, at: f32) -> f32 {
    let t = ((at - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(super) fn to_oklab(coded: [f32; 3]) -> [f32; 3] {
    let [r, g, b] = coded.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

pub(super) fn from_oklab([lightness, a, b]: [f32; 3]) -> [f32; 3] {
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let linear = [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_93 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ];
    linear.map(|c| c.clamp(0.0, 1.0)).map(
        |c| {
            if c <= 0.003_130_8 { c * 12.92 } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 }
        },
    )
}

/// How likely a colour is skin; sRGB, 0..=1.
pub(super) fn skin_likelihood(coded: [f32; 3]) -> f32 {
    let [lightness, a, b] = to_oklab(coded);
    let hue = b.atan2(a).to_degrees();
    let hued = smoothstep(5.0, 22.0, hue) * (1.0 - smoothstep(76.0, 92.0, hue));
    let saturation = a.hypot(b) / lightness.max(0.05);
    let coloured = smoothstep(0.018, 0.045, saturation) * (1.0 - smoothstep(0.26, 0.36, saturation));
    hued * coloured * smoothstep(0.16, 0.28, lightness) * (1.0 - smoothstep(0.95, 0.99, lightness))
}

/// Filters as the passes do, but for the dither.
pub(super) fn filter(rgba: &[u8], size: (u32, u32), retouch: impl Into<Retouch>) -> Vec<f32> {
    let Retouch { params, lift } = retouch.into();
    let [smooth, whiten, rosy, sharpen] = params.strengths();
    let picture = Plane::of(size, |x, y| {
        let at = (y * size.0 as usize + x) * 4;
        std::array::from_fn(|i| f32::from(rgba[at + i]) / 255.0)
    });
    let skin_passes = smooth + whiten + rosy + lift > 0.0;
    let small = half(size);
    let lab = Plane::of(small, |x, y| {
        let (u, v) = ((x as f32 + 0.5) * 2.0 / size.0 as f32, (y as f32 + 0.5) * 2.0 / size.1 as f32);
        let [r, g, b, _] = picture.sample(u, v);
        let [l, a, b2] = to_oklab([r, g, b]);
        [l, a, b2, skin_likelihood([r, g, b])]
    });
    let reach = i64::from(radius(size));
    let means = lab.boxed(reach);
    let squares = Plane::of(small, |x, y| {
        let texel = lab.load(x as i64, y as i64);
        texel.map(|value| texel[0] * value)
    });
    let squares = squares.boxed(reach);
    let softness = (0.0002 + (0.0022 - 0.0002) * smooth).max(0.0012 * lift);
    let share = Plane::of(small, |x, y| {
        let (mean, square) = (means.load(x as i64, y as i64), squares.load(x as i64, y as i64));
        let spread: Texel = std::array::from_fn(|i| square[i] - mean[0] * mean[i]);
        spread.map(|s| s / (spread[0].max(0.0) + softness))
    });
    let rest = Plane::of(small, |x, y| {
        let (mean, share) = (means.load(x as i64, y as i64), share.load(x as i64, y as i64));
        std::array::from_fn(|i| mean[i] - share[i] * mean[0])
    });
    let (share, rest) = (share.boxed(reach), rest.boxed(reach));
    let filtered = Plane::of(size, |x, y| {
        let coded = picture.load(x as i64, y as i64);
        let (mut colour, mut crisp) = ([coded[0], coded[1], coded[2]], 1.0);
        if skin_passes {
            let (u, v) = ((x as f32 + 0.5) / size.0 as f32, (y as f32 + 0.5) / size.1 as f32);
            let (share, rest) = (share.sample(u, v), rest.sample(u, v));
            let mut lab = to_oklab(colour);
            let skin = (share[3] * lab[0] + rest[3]).clamp(0.0, 1.0);
            let mut even: [f32; 3] = std::array::from_fn(|i| share[i] * lab[0] + rest[i]);
            let mut brightest = coded[0].max(coded[1]).max(coded[2]);
            if lift > 0.0 {
                let (gain, base) = (2.2 * lift, even[0].clamp(0.0, 1.0));
                let raised = base * (1.0 + gain) / (1.0 + gain * base);
                let ratio = raised / base.max(0.05);
                let hue = [1, 2].map(|i| (lab[i] + (even[i] - lab[i]) * 0.7 * lift) * ratio);
                lab = [(lab[0] + raised - base).max(0.0), hue[0], hue[1]];
                even = [raised, even[1] * ratio, even[2] * ratio];
                brightest = from_oklab(lab).into_iter().fold(0.0, f32::max);
            }
            let smoothing = smooth * skin * 0.86;
            let mut lab: [f32; 3] = std::array::from_fn(|i| lab[i] + (even[i] - lab[i]) * smoothing);
            crisp = 1.0 - 0.7 * smooth * skin;
            let (wished, above) = (0.065 * whiten * skin, (1.0 - brightest) * 0.5);
            let larger = wished.max(above).max(1e-6);
            let lesser = wished * above / larger * (1.0 + (wished.min(above) / larger).powi(8)).powf(-0.125);
            let lighter = lab[0] + lesser;
            let grown = lighter / lab[0].max(0.05);
            lab = [lighter, lab[1] * grown, lab[2] * grown];
            let redness = even[1] / even[1].hypot(even[2]).max(0.01);
            let room = ((1.0 - coded[0]) * 8.0).clamp(0.0, 1.0);
            lab[1] += 0.024 * rosy * skin * (0.3 + 0.7 * smoothstep(0.5, 0.9, redness)) * room;
            if skin > 0.004 || lift > 0.0 {
                colour = from_oklab(lab);
            }
        }
        if sharpen > 0.0 {
            let bright = |dx: i64, dy: i64| {
                let [r, g, b, _] = picture.load(x as i64 + dx, y as i64 + dy);
                0.2126 * r + 0.7152 * g + 0.0722 * b
            };
            let here = bright(0, 0);
            let (mut blurred, mut low, mut high) = (0.25 * here, here, here);
            for (dx, dy) in [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)] {
                let beside = bright(dx, dy);
                blurred += beside * if dx != 0 && dy != 0 { 0.0625 } else { 0.125 };
                (low, high) = (low.min(beside), high.max(beside));
            }
            let detail = here - blurred;
            let told = detail.signum() * (detail.abs() - 0.008).max(0.0);
            let added = (here + 1.5 * sharpen * told).clamp(low - 0.03, high + 0.03) - here;
            colour = colour.map(|c| c + added * crisp);
        }
        [colour[0], colour[1], colour[2], coded[3]].map(|c| c.clamp(0.0, 1.0))
    });
    filtered.texels.into_iter().flatten().collect()
}
