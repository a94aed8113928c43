//! Plane textures, created once per picture size and reused: a stream that ends or changes its size hands its set to
//! the next one of that size. Main thread; the textures themselves live in the render world.

use std::collections::HashMap;

use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use wgpu::{Extent3d, TextureDimension, TextureFormat};

use super::material::plane_sampler;
use crate::media::VideoFrame;

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
}

impl PlaneSet {
    pub(super) fn fits(&self, frame: &VideoFrame) -> bool {
        (self.width, self.height) == (frame.width(), frame.height())
    }
}

/// Sets that nobody uses now.
#[derive(Resource, Debug, Default)]
pub struct PlanePool {
    free: HashMap<(u32, u32), Vec<PlaneSet>>,
    kept: usize,
    created: u64,
}

impl PlanePool {
    /// Sets created since the start; reuse does not count.
    pub fn created(&self) -> u64 {
        self.created
    }

    pub(super) fn get(&mut self, images: &mut Assets<Image>, frame: &VideoFrame) -> PlaneSet {
        let (width, height) = (frame.width(), frame.height());
        if let Some(set) = self.free.get_mut(&(width, height)).and_then(Vec::pop) {
            self.kept -= 1;
            return set;
        }
        self.created += 1;
        let (chroma_width, chroma_height) = frame.chroma_size();
        PlaneSet {
            luma: images.add(plane(width, height)),
            cb: images.add(plane(chroma_width, chroma_height)),
            cr: images.add(plane(chroma_width, chroma_height)),
            width,
            height,
        }
    }

    pub(super) fn put(&mut self, set: PlaneSet) {
        if self.kept < POOLED_SETS {
            self.kept += 1;
            self.free.entry((set.width, set.height)).or_default().push(set);
        }
    }
}

fn plane(width: u32, height: u32) -> Image {
    let size = Extent3d { width, height, depth_or_array_layers: 1 };
    let mut image =
        Image::new_uninit(size, TextureDimension::D2, TextureFormat::R8Unorm, RenderAssetUsages::RENDER_WORLD);
    image.sampler = plane_sampler();
    image
}

/// A face that goes gives its planes back.
pub(super) fn return_planes(removed: On<Remove, PlaneSet>, sets: Query<&PlaneSet>, mut pool: ResMut<PlanePool>) {
    if let Ok(set) = sets.get(removed.entity) {
        pool.put(set.clone());
    }
}
