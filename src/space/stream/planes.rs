//! Plane textures, created once per picture size and reused: a stream that ends or changes its size hands its set to
//! the next one of that size. Main thread; the textures themselves live in the render world.

use std::collections::HashMap;

use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use wgpu::{Extent3d, TextureDimension, TextureFormat};

use super::material::{mipmap_sampler, plane_sampler};
use super::mipmaps;
use crate::media::VideoFrame;
use crate::space::settings::Tier;

/// Sets kept for reuse at most.
const POOLED_SETS: usize = 24;

/// Three R8 textures for the planes of one picture size.
#[derive(Component, Clone, Debug)]
pub(super) struct PlaneSet {
    pub luma: Handle<Image>,
    pub cb: Handle<Image>,
    pub cr: Handle<Image>,
    pub width: u32,
    pub height: u32,
    /// Mip levels of each plane; 1 where there are only the planes themselves.
    pub levels: u32,
}

impl PlaneSet {
    pub(super) fn fits(&self, frame: &VideoFrame, mipmapped: bool) -> bool {
        (self.width, self.height, self.levels) == (frame.width(), frame.height(), levels(frame, mipmapped))
    }
}

/// Mip levels for a picture.
fn levels(frame: &VideoFrame, mipmapped: bool) -> u32 {
    if mipmapped { mipmaps::levels_for(frame.chroma_size()) } else { 1 }
}

/// How many samples along a slanted pixel mipmapped planes take at most. A software renderer pays for each.
pub(super) fn anisotropy(tier: Tier) -> u16 {
    if tier == Tier::Low { 1 } else { 8 }
}

/// Sets that nobody uses now.
#[derive(Resource, Debug, Default)]
pub struct PlanePool {
    free: HashMap<(u32, u32, u32), Vec<PlaneSet>>,
    kept: usize,
    created: u64,
}

impl PlanePool {
    /// Sets created since the start; reuse does not count.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// A set for a picture; with mipmaps, sampled so many times along a slanted pixel, where `mipmapped` says so.
    pub(super) fn get(&mut self, images: &mut Assets<Image>, frame: &VideoFrame, mipmapped: Option<u16>) -> PlaneSet {
        let (width, height) = (frame.width(), frame.height());
        let levels = levels(frame, mipmapped.is_some());
        if let Some(set) = self.free.get_mut(&(width, height, levels)).and_then(Vec::pop) {
            self.kept -= 1;
            return set;
        }
        self.created += 1;
        let (chroma_width, chroma_height) = frame.chroma_size();
        PlaneSet {
            luma: images.add(plane(width, height, levels, mipmapped)),
            cb: images.add(plane(chroma_width, chroma_height, levels, mipmapped)),
            cr: images.add(plane(chroma_width, chroma_height, levels, mipmapped)),
            width,
            height,
            levels,
        }
    }

    pub(super) fn put(&mut self, set: PlaneSet) {
        if self.kept < POOLED_SETS {
            self.kept += 1;
            self.free.entry((set.width, set.height, set.levels)).or_default().push(set);
        }
    }
}

fn plane(width: u32, height: u32, levels: u32, mipmapped: Option<u16>) -> Image {
    let size = Extent3d { width, height, depth_or_array_layers: 1 };
    let mut image =
        Image::new_uninit(size, TextureDimension::D2, TextureFormat::R8Unorm, RenderAssetUsages::RENDER_WORLD);
    image.texture_descriptor.mip_level_count = levels;
    image.sampler = mipmapped.map_or_else(plane_sampler, mipmap_sampler);
    image
}

/// A face that goes gives its planes back.
pub(super) fn return_planes(removed: On<Remove, PlaneSet>, sets: Query<&PlaneSet>, mut pool: ResMut<PlanePool>) {
    if let Ok(set) = sets.get(removed.entity) {
        pool.put(set.clone());
    }
}
