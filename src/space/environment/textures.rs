//! Procedural textures with their mip levels: wood and stone. Drawn at start; they repeat without a seam.

use bevy::asset::RenderAssetUsages;
use bevy::image::{ImageAddressMode, ImageFilterMode, ImageSampler, ImageSamplerDescriptor};
use bevy::math::Vec3;
use bevy::prelude::*;
use wgpu::{Extent3d, TextureDimension, TextureFormat};

/// Side of a texture in texels.
const SIDE: usize = 256;

/// Planks, laid along the texture's first axis, four across.
pub(super) fn wood(anisotropy: u16) -> Image {
    texture(anisotropy, |x, y| {
        const PLANKS: usize = 4;
        let row = (y * PLANKS as f32) as usize;
        let shift = hash(row as u32, 77) * 0.5;
        let along = (x + shift).fract();
        let half = (along * 2.0) as usize;
        let plank = (row * 2 + half) as u32;
        let tone = 0.74 + 0.42 * hash(plank, 3);
        // Long, wavy grain.
        let bend = noise(x * 4.0, y * 6.0, 4, 6, 11) * 0.9;
        let grain = noise(x * 5.0, y * 64.0 + bend * 2.0, 5, 64, 5 + plank) - 0.5;
        let fine = noise(x * 16.0, y * 128.0, 16, 128, 9) - 0.5;
        let seam_across = edge((y * PLANKS as f32).fract(), 0.045);
        let seam_along = edge((along * 2.0).fract(), 0.006);
        let light = tone * (1.0 + 0.34 * grain + 0.14 * fine) * (0.48 + 0.52 * seam_across.min(seam_along));
        let warm = hash(plank, 8) * 0.10;
        Vec3::new(0.250 + warm * 0.16, 0.122 + warm * 0.05, 0.058) * light
    })
}

/// Coursed blocks of fine-grained limestone.
pub(super) fn stone(anisotropy: u16) -> Image {
    texture(anisotropy, |x, y| {
        let row = (y * 4.0) as u32;
        let along = (x * 2.0 + if row.is_multiple_of(2) { 0.0 } else { 0.5 }).rem_euclid(2.0);
        let block = row * 2 + along as u32;
        let joint = edge((y * 4.0).fract(), 0.020).min(edge(along.fract(), 0.010));
        let cloud = noise(x * 4.0, y * 4.0, 4, 4, 21) - 0.5;
        let spot = noise(x * 24.0, y * 24.0, 24, 24, 22) - 0.5;
        let dust = noise(x * 96.0, y * 96.0, 96, 96, 23) - 0.5;
        let tone = 0.95 + 0.09 * (hash(block, 31) - 0.5) + 0.12 * cloud + 0.05 * spot + 0.04 * dust;
        Vec3::new(1.0, 0.985, 0.96) * (tone * (0.80 + 0.20 * joint)).clamp(0.0, 1.0)
    })
}

/// 1 inside, falling to 0 within `width` of both ends of 0..1.
fn edge(at: f32, width: f32) -> f32 {
    (at.min(1.0 - at) / width).clamp(0.0, 1.0)
}

fn texture(anisotropy: u16, paint: impl Fn(f32, f32) -> Vec3) -> Image {
    let mut level: Vec<Vec3> =
        (0..SIDE * SIDE).map(|i| paint((i % SIDE) as f32 / SIDE as f32, (i / SIDE) as f32 / SIDE as f32)).collect();
    let mut data = Vec::with_capacity(SIDE * SIDE * 16 / 3);
    let (mut side, mut levels) = (SIDE, 0);
    loop {
        data.extend(level.iter().flat_map(|texel| encode(*texel)));
        levels += 1;
        if side == 1 {
            break;
        }
        let half = side / 2;
        level = (0..half * half)
            .map(|i| {
                let (x, y) = (i % half * 2, i / half * 2);
                (level[y * side + x]
                    + level[y * side + x + 1]
                    + level[(y + 1) * side + x]
                    + level[(y + 1) * side + x + 1])
                    * 0.25
            })
            .collect();
        side = half;
    }
    let size = Extent3d { width: SIDE as u32, height: SIDE as u32, depth_or_array_layers: 1 };
    let mut image =
        Image::new_uninit(size, TextureDimension::D2, TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::RENDER_WORLD);
    image.data = Some(data);
    image.texture_descriptor.mip_level_count = levels;
    image.sampler = ImageSampler::Descriptor(ImageSamplerDescriptor {
        address_mode_u: ImageAddressMode::Repeat,
        address_mode_v: ImageAddressMode::Repeat,
        mag_filter: ImageFilterMode::Linear,
        min_filter: ImageFilterMode::Linear,
        mipmap_filter: ImageFilterMode::Linear,
        anisotropy_clamp: anisotropy,
        ..default()
    });
    image
}

fn encode(linear: Vec3) -> [u8; 4] {
    let code = |c: f32| {
        let c = c.clamp(0.0, 1.0);
        let s = if c <= 0.003_130_8 { c * 12.92 } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
        (s * 255.0).round() as u8
    };
    [code(linear.x), code(linear.y), code(linear.z), 255]
}

/// 0..1, the same for the same input.
fn hash(a: u32, b: u32) -> f32 {
    let mut h = a.wrapping_mul(0x85eb_ca6b) ^ b.wrapping_mul(0xc2b2_ae35);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 / (1 << 24) as f32
}

/// Value noise, 0..1, repeating after `px` and `py` cells.
fn noise(x: f32, y: f32, px: u32, py: u32, seed: u32) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let (sx, sy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
    let at = |dx: i64, dy: i64| {
        let cx = (x0 as i64 + dx).rem_euclid(i64::from(px)) as u32;
        let cy = (y0 as i64 + dy).rem_euclid(i64::from(py)) as u32;
        hash(cx.wrapping_mul(7919).wrapping_add(cy), seed)
    };
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * sx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * sx;
    top + (bottom - top) * sy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textures_carry_every_mip_level() {
        let image = stone(1);
        let levels = image.texture_descriptor.mip_level_count;
        let texels: usize = (0..levels).map(|level| (SIDE >> level) * (SIDE >> level)).sum();
        assert_eq!(image.data.unwrap().len(), texels * 4);
        assert_eq!(SIDE >> (levels - 1), 1);
    }

    #[test]
    fn noise_repeats_without_a_seam() {
        for i in 0..20 {
            let y = i as f32 * 0.37;
            assert!((noise(0.0, y, 4, 8, 1) - noise(4.0, y, 4, 8, 1)).abs() < 1e-5);
        }
    }
}
