//! Planes go straight into their textures: `RenderQueue::write_texture`, no `Assets<Image>` mutation, no conversion.
//!
//! The queue is filled on the main thread and taken over at extraction; writing happens in the render world, before
//! bind groups are used. Per frame at most one upload a texture set: a newer picture replaces one still waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bevy::asset::AssetId;
use bevy::prelude::*;
use bevy::render::render_asset::RenderAssets;
use bevy::render::renderer::RenderQueue;
use bevy::render::texture::GpuImage;
use bevy::render::{ExtractSchedule, MainWorld, Render, RenderApp, RenderSystems};
use wgpu::{Extent3d, TexelCopyBufferLayout, TexelCopyTextureInfo};

use super::mipmaps::Halver;
use crate::media::VideoFrame;

/// Frames a picture may wait for its textures to be created before it is let go.
const PATIENCE_FRAMES: u8 = 8;

/// One picture and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    /// Luma, Cb, Cr.
    pub planes: [AssetId<Image>; 3],
    /// Mip levels of each.
    pub levels: u32,
    pub frame: Arc<VideoFrame>,
}

/// Filled in [`crate::space::SpaceSystems::Present`], emptied at extraction.
#[derive(Resource, Debug, Default)]
pub(super) struct PendingUploads(pub Vec<Upload>);

/// What was uploaded since the start; clones share the counters.
#[derive(Resource, Clone, Debug, Default)]
pub struct UploadStats(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    frames: AtomicU64,
    bytes: AtomicU64,
    abandoned: AtomicU64,
}

impl UploadStats {
    /// Pictures written to the GPU.
    pub fn frames(&self) -> u64 {
        self.0.frames.load(Ordering::Relaxed)
    }

    /// Bytes written to the GPU.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Pictures given up because their textures never came to be.
    pub fn abandoned(&self) -> u64 {
        self.0.abandoned.load(Ordering::Relaxed)
    }
}

#[derive(Resource, Default)]
struct UploadQueue(HashMap<AssetId<Image>, (Upload, u8)>);

pub(super) struct UploadPlugin;

impl Plugin for UploadPlugin {
    fn build(&self, app: &mut App) {
        let stats = UploadStats::default();
        app.init_resource::<PendingUploads>().insert_resource(stats.clone());
        if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
            render_app
                .init_resource::<UploadQueue>()
                .insert_resource(stats)
                .add_systems(ExtractSchedule, extract_uploads)
                .add_systems(Render, upload_video_frames.in_set(RenderSystems::PrepareResources));
        }
    }
}

/// Moves the queue over. Only pointers travel.
fn extract_uploads(mut main_world: ResMut<MainWorld>, mut queue: ResMut<UploadQueue>) {
    let Some(mut pending) = main_world.get_resource_mut::<PendingUploads>() else { return };
    for upload in pending.0.drain(..) {
        queue.0.insert(upload.planes[0], (upload, 0));
    }
}

/// Writes every queued picture whose textures exist.
fn upload_video_frames(
    mut queue: ResMut<UploadQueue>,
    images: Res<RenderAssets<GpuImage>>,
    render_queue: Res<RenderQueue>,
    stats: Res<UploadStats>,
    mut halver: Local<Halver>,
) {
    queue.0.retain(|_, (upload, waited)| {
        let [Some(luma), Some(cb), Some(cr)] = upload.planes.map(|plane| images.get(plane)) else {
            *waited += 1;
            let keep = *waited < PATIENCE_FRAMES;
            if !keep {
                stats.0.abandoned.fetch_add(1, Ordering::Relaxed);
            }
            return keep;
        };
        let frame = &upload.frame;
        let (size, chroma) = ((frame.width(), frame.height()), frame.chroma_size());
        let mut bytes = 0;
        for (image, plane, size) in [(luma, frame.y(), size), (cb, frame.u(), chroma), (cr, frame.v(), chroma)] {
            halver.each_level(plane, size, upload.levels, |level, plane, size| {
                write(&render_queue, image, level, plane, size);
                bytes += plane.len() as u64;
            });
        }
        stats.0.frames.fetch_add(1, Ordering::Relaxed);
        stats.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        false
    });
}

fn write(queue: &RenderQueue, image: &GpuImage, level: u32, plane: &[u8], (width, height): (u32, u32)) {
    queue.write_texture(
        TexelCopyTextureInfo { mip_level: level, ..image.texture.as_image_copy() },
        plane,
        TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width), rows_per_image: Some(height) },
        Extent3d { width, height, depth_or_array_layers: 1 },
    );
}
