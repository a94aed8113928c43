//! The passes in the render schedule, once a frame of the room, and what the main world and the render world share about
//! them.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bevy::asset::{AssetId, RenderAssetUsages};
use bevy::prelude::*;
use bevy::render::render_asset::RenderAssets;
use bevy::render::renderer::{RenderAdapterInfo, RenderDevice, RenderQueue};
use bevy::render::texture::GpuImage;
use bevy::render::{Render, RenderApp, RenderStartup, RenderSystems};
use wgpu::{DeviceType, Extent3d, TextureDimension, TextureUsages};

use super::link::BeautyLink;
use super::planes::PREVIEW_FORMAT;
use super::stage::{PreviewTarget, Stage};
use crate::model::{Beauty, StreamId};

/// The links of own streams, and which of them is looked at; clones are the same.
#[derive(Resource, Clone, Debug, Default)]
pub struct BeautyLinks(Arc<Mutex<Links>>);

#[derive(Debug, Default)]
struct Links {
    all: Vec<(StreamId, BeautyLink)>,
    preview: Option<Preview>,
}

#[derive(Clone, Debug)]
struct Preview {
    stream: StreamId,
    image: AssetId<Image>,
    split: f32,
}

impl BeautyLinks {
    fn lock(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link of an own camera's stream.
    pub fn get(&self, stream: &StreamId) -> Option<BeautyLink> {
        self.lock().all.iter().find(|(known, _)| known == stream).map(|(_, link)| link.clone())
    }

    /// The streams that have one.
    pub fn streams(&self) -> Vec<StreamId> {
        self.lock().all.iter().map(|(stream, _)| stream.clone()).collect()
    }

    /// The link of a stream that is to be published; the one it has while a camera feeds that.
    pub fn open(&self, stream: &StreamId, beauty: Beauty) -> BeautyLink {
        let mut links = self.lock();
        links.all.retain(|(known, link)| known != stream || link.is_fed());
        if let Some((_, link)) = links.all.iter().find(|(known, _)| known == stream) {
            return link.clone();
        }
        let link = BeautyLink::new(beauty);
        links.all.push((stream.clone(), link.clone()));
        link
    }

    /// Draws a stream's picture into an image (see [`preview_image`]) as it comes, left of `split` (0..=1 of the width) as
    /// the camera gives it, right of it as it is sent; or nothing any more.
    pub fn show(&self, preview: Option<(&StreamId, &Handle<Image>, f32)>) {
        let mut links = self.lock();
        links.preview =
            preview.map(|(stream, image, split)| Preview { stream: stream.clone(), image: image.id(), split });
        let looked_at = links.preview.as_ref().map(|preview| preview.stream.clone());
        for (stream, link) in &links.all {
            link.watch(looked_at.as_ref() == Some(stream));
        }
    }

    /// All of them; those that no camera feeds any more are not among them the next time.
    pub(super) fn take_stock(&self) -> Vec<(StreamId, BeautyLink)> {
        let mut links = self.lock();
        let all = links.all.clone();
        links.all.retain(|(_, link)| link.is_fed());
        all
    }
}

/// An image that [`BeautyLinks::show`] can draw into.
pub fn preview_image((width, height): (u32, u32)) -> Image {
    let size = Extent3d { width, height, depth_or_array_layers: 1 };
    let pixel = [0, 0, 0, 255];
    let usage = RenderAssetUsages::RENDER_WORLD;
    let mut image = Image::new_fill(size, TextureDimension::D2, &pixel, PREVIEW_FORMAT, usage);
    image.texture_descriptor.usage =
        TextureUsages::RENDER_ATTACHMENT | TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST;
    image
}

pub(super) struct BeautyRenderPlugin;

impl Plugin for BeautyRenderPlugin {
    fn build(&self, app: &mut App) {
        let links = BeautyLinks::default();
        app.insert_resource(links.clone());
        if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
            render_app
                .insert_resource(links)
                .init_resource::<TheStage>()
                .add_systems(RenderStartup, forget_stage)
                .add_systems(
                    Render,
                    filter_own_pictures.after(RenderSystems::PrepareAssets).before(RenderSystems::CreateViews),
                );
        }
    }
}

/// The stage, once it is built.
#[derive(Resource, Default)]
struct TheStage(Mutex<Building>);

#[derive(Default)]
enum Building {
    /// Nobody has wanted it yet.
    #[default]
    Unwanted,
    /// A thread compiles it: that would hold up the room.
    Begun(Receiver<Stage>),
    Built(Box<Stage>),
    /// There can be no thread.
    Failed,
}

/// The device may be another one.
fn forget_stage(mut stage: ResMut<TheStage>) {
    *stage = TheStage::default();
}

fn filter_own_pictures(
    mut stage: ResMut<TheStage>,
    links: Res<BeautyLinks>,
    device: Res<RenderDevice>,
    queue: Res<RenderQueue>,
    adapter: Res<RenderAdapterInfo>,
    images: Res<RenderAssets<GpuImage>>,
) {
    let building = stage.0.get_mut().unwrap_or_else(PoisonError::into_inner);
    let (all, preview) = {
        let links = links.lock();
        (links.all.clone(), links.preview.clone())
    };
    match building {
        Building::Unwanted if all.iter().any(|(_, link)| link.is_needed()) => {
            *building = begin(&device, &queue, adapter.device_type == DeviceType::Cpu);
        }
        Building::Begun(built) => {
            if let Ok(stage) = built.try_recv() {
                *building = Building::Built(Box::new(stage));
            }
        }
        Building::Built(stage) => {
            for (stream, link) in &all {
                let preview = preview.as_ref().filter(|preview| preview.stream == *stream);
                let target = preview.and_then(|preview| {
                    let image = images.get(preview.image)?;
                    let size = image.texture_descriptor.size;
                    let (view, size) = (&*image.texture_view, (size.width, size.height));
                    Some(PreviewTarget { view, size, split: preview.split })
                });
                stage.filter(link, target);
            }
            let links: Vec<BeautyLink> = all.into_iter().map(|(_, link)| link).collect();
            stage.keep(&links);
        }
        Building::Unwanted | Building::Failed => {}
    }
}

/// Compiles the passes beside the room.
fn begin(device: &RenderDevice, queue: &RenderQueue, software: bool) -> Building {
    let (device, queue) = (device.wgpu_device().clone(), (***queue).clone());
    let (send, built) = sync_channel(1);
    let thread = std::thread::Builder::new().name("beauty-build".to_owned()).spawn(move || {
        match Stage::new(&device, &queue, software) {
            // Nobody waits any more when the device was lost meanwhile.
            Ok(stage) => send.send(stage).unwrap_or_default(),
            Err(error) => error!(%error, "no thread for beauty: close other programs"),
        }
    });
    match thread {
        Ok(_) => Building::Begun(built),
        Err(error) => {
            error!(%error, "no thread for beauty: close other programs");
            Building::Failed
        }
    }
}
