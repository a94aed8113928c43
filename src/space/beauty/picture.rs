//! Single pictures, filtered on a GPU of their own: for trying the filters out and for tests. Blocks its thread.

use bevy::tasks::block_on;
use wgpu::{
    BufferDescriptor, BufferUsages, Device, Extent3d, MapMode, PollType, Queue, TexelCopyBufferInfo,
    TexelCopyBufferLayout, Texture, TextureDescriptor, TextureDimension, TextureUsages,
};

use super::clock::PassClock;
use super::passes::{BeautyPasses, PICTURE_FORMAT, Retouch};

/// A device of its own, with the passes compiled.
pub struct PictureFilter {
    device: Device,
    queue: Queue,
    passes: BeautyPasses,
}

/// Why a picture could not be filtered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureFilterError {
    /// Nothing can draw.
    #[error("no graphics device can be opened: {0}; a Vulkan driver is needed (on Debian `mesa-vulkan-drivers`)")]
    NoDevice(String),
    /// The device cannot hold such a picture.
    #[error("{width}x{height} pixels: this graphics device takes sides of 1 to {most}")]
    Size {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// Largest side, in pixels.
        most: u32,
    },
    /// Bytes and size disagree.
    #[error("{bytes} bytes are no picture of {width}x{height} pixels with four each")]
    Bytes {
        /// How many there are.
        bytes: usize,
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The device went away or ran out of memory.
    #[error("the graphics device gave no picture back: {0}; try again, or a smaller picture")]
    Lost(String),
}

use PictureFilterError as Error;

impl PictureFilter {
    /// Opens a device, a software renderer where there is no other.
    ///
    /// # Errors
    /// [`PictureFilterError::NoDevice`] when there is none.
    pub fn open() -> Result<Self, Error> {
        let Opened { device, queue, .. } = open_device()?;
        let passes = BeautyPasses::new(&device);
        Ok(Self { device, queue, passes })
    }

    /// Filters RGBA, 8 bits each, sRGB, row by row from the top; gives the same. Without anything to be done it is the
    /// same bytes.
    ///
    /// # Errors
    /// [`PictureFilterError`] when the picture is too large, no picture, or the device is lost.
    pub fn filter(&mut self, rgba: &[u8], size: (u32, u32), retouch: impl Into<Retouch>) -> Result<Vec<u8>, Error> {
        let retouch = retouch.into();
        let (width, height) = size;
        let most = self.device.limits().max_texture_dimension_2d;
        if !(1..=most).contains(&width) || !(1..=most).contains(&height) {
            return Err(Error::Size { width, height, most });
        }
        if rgba.len() as u64 != u64::from(width) * u64::from(height) * 4 {
            return Err(Error::Bytes { bytes: rgba.len(), width, height });
        }
        if retouch.is_none() {
            return Ok(rgba.to_vec());
        }
        let source = self.texture(size, TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST);
        let target = self.texture(size, TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC);
        let extent = Extent3d { width, height, depth_or_array_layers: 1 };
        let row = TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width * 4), rows_per_image: None };
        self.queue.write_texture(source.as_image_copy(), rgba, row, extent);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let views = (&source.create_view(&Default::default()), &target.create_view(&Default::default()));
        let mut clock = PassClock::none();
        self.passes.filter(&self.device, &self.queue, &mut encoder, views, size, retouch, &mut clock);
        // Rows of a buffer begin at multiples of 256 bytes.
        let pitch = (width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = self.device.create_buffer(&BufferDescriptor {
            label: Some("beauty"),
            size: u64::from(pitch) * u64::from(height),
            usage: BufferUsages::COPY_DST | BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let layout = TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: None };
        encoder.copy_texture_to_buffer(target.as_image_copy(), TexelCopyBufferInfo { buffer: &buffer, layout }, extent);
        self.queue.submit([encoder.finish()]);
        let (told, tells) = std::sync::mpsc::sync_channel(1);
        buffer.slice(..).map_async(MapMode::Read, move |mapped| {
            // Nobody waits any more only when this function has returned with an error.
            told.send(mapped).unwrap_or_default();
        });
        self.device.poll(PollType::wait_indefinitely()).map_err(lost)?;
        tells.recv().map_err(lost)?.map_err(lost)?;
        let mapped = buffer.slice(..).get_mapped_range();
        let rows = mapped.chunks_exact(pitch as usize);
        Ok(rows.flat_map(|row| &row[..(width * 4) as usize]).copied().collect())
    }

    fn texture(&self, (width, height): (u32, u32), usage: TextureUsages) -> Texture {
        self.device.create_texture(&TextureDescriptor {
            label: Some("beauty"),
            size: Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: TextureDimension::D2,
            format: PICTURE_FORMAT,
            usage,
            view_formats: &[],
        })
    }
}

/// A graphics device.
pub(super) struct Opened {
    pub device: Device,
    pub queue: Queue,
    pub name: String,
}

/// Opens the device a program without a window gets, with its clock where it has one.
pub(super) fn open_device() -> Result<Opened, Error> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::all());
    let instance = wgpu::Instance::new(descriptor);
    let adapter = block_on(instance.request_adapter(&Default::default())).map_err(no_device)?;
    let wanted = wgpu::DeviceDescriptor {
        label: Some("beauty"),
        required_limits: adapter.limits(),
        required_features: adapter.features() & PassClock::FEATURES,
        ..Default::default()
    };
    let (device, queue) = block_on(adapter.request_device(&wanted)).map_err(no_device)?;
    Ok(Opened { device, queue, name: adapter.get_info().name })
}

fn no_device(error: impl std::fmt::Display) -> Error {
    Error::NoDevice(error.to_string())
}

fn lost(error: impl std::fmt::Display) -> Error {
    Error::Lost(error.to_string())
}
