//! I420 to what the passes work on, and back (`shaders/beauty/planes.wgsl`): pipelines, and the textures of one size.
//! Everything is recorded into a command encoder of the caller's; nothing waits.

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingResource, BindingType, Buffer, BufferBindingType, BufferDescriptor, BufferUsages, CommandEncoder, Device,
    Extent3d, FilterMode, Queue, RenderPipeline, Sampler, SamplerBindingType, SamplerDescriptor, ShaderStages,
    TexelCopyBufferInfo, TexelCopyBufferLayout, Texture, TextureDescriptor, TextureDimension, TextureFormat,
    TextureSampleType, TextureUsages, TextureView, TextureViewDimension,
};

use super::passes::{PICTURE_FORMAT, draw, half, pipeline};
use crate::media::{ColourMatrix, ColourRange, ColourSpace, VideoFrame};

/// The format of each plane.
const PLANE: TextureFormat = TextureFormat::R8Unorm;
/// What a preview is drawn into.
pub(super) const PREVIEW_FORMAT: TextureFormat = TextureFormat::Rgba8UnormSrgb;
const SHADER: &str = include_str!("../../../shaders/beauty/planes.wgsl");
/// Bytes of the uniform in it.
const UNIFORM_BYTES: usize = 48;

/// Pipelines for one device.
pub(super) struct PlanePasses {
    layout: BindGroupLayout,
    sampler: Sampler,
    to_rgb: RenderPipeline,
    to_luma: RenderPipeline,
    to_chroma: RenderPipeline,
    to_preview: RenderPipeline,
}

/// The textures of one picture size.
pub(super) struct PlaneTextures {
    size: (u32, u32),
    uniform: Buffer,
    preview_uniform: Buffer,
    /// Y, Cb, Cr as they came.
    given: [Plane; 3],
    /// And filtered.
    made: [Plane; 3],
    /// In coded sRGB, before the passes and after them.
    pub before: TextureView,
    pub after: TextureView,
    /// Bound where a pass writes what others read.
    blank: TextureView,
}

struct Plane {
    texture: Texture,
    view: TextureView,
    size: (u32, u32),
}

/// Where each plane of a picture lies in a buffer that it is copied to: rows begin at multiples of 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packing {
    size: (u32, u32),
}

impl Packing {
    pub(super) fn of(size: (u32, u32)) -> Self {
        Self { size }
    }

    /// Width, height, bytes from row to row, and where it begins, of Y, Cb and Cr.
    fn planes(self) -> [(u32, u32, u32, u64); 3] {
        let pitch = |width: u32| width.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let ((width, height), (half_width, half_height)) = (self.size, half(self.size));
        let luma = u64::from(pitch(width)) * u64::from(height);
        let chroma = u64::from(pitch(half_width)) * u64::from(half_height);
        let chroma_at = |begin| (half_width, half_height, pitch(half_width), begin);
        [(width, height, pitch(width), 0), chroma_at(luma), chroma_at(luma + chroma)]
    }

    /// Bytes in all.
    pub(super) fn bytes(self) -> u64 {
        let [_, _, (_, height, pitch, begin)] = self.planes();
        begin + u64::from(pitch) * u64::from(height)
    }

    /// Appends the planes, tightly packed, to `data`.
    pub(super) fn unpack(self, packed: &[u8], data: &mut Vec<u8>) {
        for (width, height, pitch, begin) in self.planes() {
            let rows = packed[begin as usize..].chunks_exact(pitch as usize).take(height as usize);
            rows.for_each(|row| data.extend_from_slice(&row[..width as usize]));
        }
    }
}

impl PlanePasses {
    /// Compiles the passes.
    pub(super) fn new(device: &Device) -> Self {
        let layout = layout(device);
        let make = |entry, targets: &[TextureFormat]| {
            let targets: Vec<_> = targets.iter().map(|format| Some((*format).into())).collect();
            pipeline(device, &layout, SHADER, (entry, &[]), &targets)
        };
        Self {
            to_rgb: make("to_rgb", &[PICTURE_FORMAT]),
            to_luma: make("to_luma", &[PLANE]),
            to_chroma: make("to_chroma", &[PLANE, PLANE]),
            to_preview: make("to_preview", &[PREVIEW_FORMAT]),
            sampler: device.create_sampler(&SamplerDescriptor {
                label: Some("beauty planes"),
                mag_filter: FilterMode::Linear,
                min_filter: FilterMode::Linear,
                ..Default::default()
            }),
            layout,
        }
    }

    /// Writes a picture into its textures and records what turns it into coded sRGB.
    pub(super) fn take_in(
        &self,
        device: &Device,
        queue: &Queue,
        encoder: &mut CommandEncoder,
        textures: &PlaneTextures,
        frame: &VideoFrame,
    ) {
        for (plane, bytes) in textures.given.iter().zip([frame.y(), frame.u(), frame.v()]) {
            let (width, height) = plane.size;
            let layout = TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width), rows_per_image: None };
            let extent = Extent3d { width, height, depth_or_array_layers: 1 };
            queue.write_texture(plane.texture.as_image_copy(), bytes, layout, extent);
        }
        queue.write_buffer(&textures.uniform, 0, &uniform(frame.colour(), textures.size, 0.0));
        let blank = &textures.blank;
        let seen = self.group(device, textures, &textures.uniform, [blank, blank]);
        draw(encoder, &self.to_rgb, &seen, &[&textures.before]);
    }

    /// Records what carries the passes' changes over to planes, and copies those into `buffer` as [`Packing`] says.
    pub(super) fn give_out(
        &self,
        device: &Device,
        encoder: &mut CommandEncoder,
        textures: &PlaneTextures,
        buffer: &Buffer,
    ) {
        let seen = self.group(device, textures, &textures.uniform, [&textures.before, &textures.after]);
        let [y, cb, cr] = &textures.made;
        draw(encoder, &self.to_luma, &seen, &[&y.view]);
        draw(encoder, &self.to_chroma, &seen, &[&cb.view, &cr.view]);
        for (plane, (width, height, pitch, offset)) in textures.made.iter().zip(Packing::of(textures.size).planes()) {
            let layout = TexelCopyBufferLayout { offset, bytes_per_row: Some(pitch), rows_per_image: None };
            let extent = Extent3d { width, height, depth_or_array_layers: 1 };
            encoder.copy_texture_to_buffer(
                plane.texture.as_image_copy(),
                TexelCopyBufferInfo { buffer, layout },
                extent,
            );
        }
    }

    /// Records what shows the picture before and after, mirrored, divided at `split` of the width; `changed` is whether any
    /// pass ran.
    #[expect(clippy::too_many_arguments, reason = "what is drawn, of what, where to")]
    pub(super) fn show(
        &self,
        device: &Device,
        queue: &Queue,
        encoder: &mut CommandEncoder,
        textures: &PlaneTextures,
        (target, size): (&TextureView, (u32, u32)),
        split: f32,
        changed: bool,
    ) {
        queue.write_buffer(&textures.preview_uniform, 0, &uniform(ColourSpace::default(), size, split));
        let after = if changed { &textures.after } else { &textures.before };
        let seen = self.group(device, textures, &textures.preview_uniform, [&textures.before, after]);
        draw(encoder, &self.to_preview, &seen, &[target]);
    }

    fn group(
        &self,
        device: &Device,
        textures: &PlaneTextures,
        uniform: &Buffer,
        [before, after]: [&TextureView; 2],
    ) -> BindGroup {
        let view = |binding, view| BindGroupEntry { binding, resource: BindingResource::TextureView(view) };
        let [y, cb, cr] = &textures.given;
        let entries = [
            BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() },
            view(1, &y.view),
            view(2, &cb.view),
            view(3, &cr.view),
            view(4, before),
            view(5, after),
            BindGroupEntry { binding: 6, resource: BindingResource::Sampler(&self.sampler) },
        ];
        let layout = &self.layout;
        device.create_bind_group(&BindGroupDescriptor { label: Some("beauty planes"), layout, entries: &entries })
    }
}

impl PlaneTextures {
    pub(super) fn new(device: &Device, size: (u32, u32)) -> Self {
        let texture = |(width, height): (u32, u32), format, usage| {
            device.create_texture(&TextureDescriptor {
                label: Some("beauty planes"),
                size: Extent3d { width, height, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: TextureDimension::D2,
                format,
                usage,
                view_formats: &[],
            })
        };
        let plane = |size, usage| {
            let texture = texture(size, PLANE, usage);
            Plane { view: texture.create_view(&Default::default()), texture, size }
        };
        let planes = |usage| [size, half(size), half(size)].map(|size| plane(size, usage));
        let picture = |size| {
            let usage = TextureUsages::RENDER_ATTACHMENT | TextureUsages::TEXTURE_BINDING;
            texture(size, PICTURE_FORMAT, usage).create_view(&Default::default())
        };
        let uniform = || {
            device.create_buffer(&BufferDescriptor {
                label: Some("beauty planes"),
                size: UNIFORM_BYTES as u64,
                usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        Self {
            size,
            uniform: uniform(),
            preview_uniform: uniform(),
            given: planes(TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST),
            made: planes(TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC),
            before: picture(size),
            after: picture(size),
            blank: picture((1, 1)),
        }
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }
}

/// Red, green and blue in luma.
fn luma_weights(matrix: ColourMatrix) -> [f32; 3] {
    match matrix {
        ColourMatrix::Bt601 => [0.299, 0.587, 0.114],
        ColourMatrix::Bt709 => [0.2126, 0.7152, 0.0722],
    }
}

fn uniform(colour: ColourSpace, (width, height): (u32, u32), split: f32) -> [u8; UNIFORM_BYTES] {
    let [red, green, blue] = luma_weights(colour.matrix);
    let (black, luma_span, chroma_span) = match colour.range {
        ColourRange::Limited => (16.0 / 255.0, 219.0 / 255.0, 224.0 / 255.0),
        ColourRange::Full => (0.0, 1.0, 1.0),
    };
    let mut bytes = [0; UNIFORM_BYTES];
    let words = [red, green, blue, 0.0, black, luma_span, chroma_span, split, width as f32, height as f32];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn layout(device: &Device) -> BindGroupLayout {
    let entry = |binding, ty| BindGroupLayoutEntry { binding, visibility: ShaderStages::FRAGMENT, ty, count: None };
    let texture = |binding| {
        let sample_type = TextureSampleType::Float { filterable: true };
        let view_dimension = TextureViewDimension::D2;
        entry(binding, BindingType::Texture { sample_type, view_dimension, multisampled: false })
    };
    let ty = BufferBindingType::Uniform;
    let uniform = entry(0, BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None });
    let sampler = entry(6, BindingType::Sampler(SamplerBindingType::Filtering));
    let entries = [uniform, texture(1), texture(2), texture(3), texture(4), texture(5), sampler];
    device.create_bind_group_layout(&BindGroupLayoutDescriptor { label: Some("beauty planes"), entries: &entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_in_the_buffer_and_not_in_the_picture() {
        let packing = Packing::of((3, 3));
        assert_eq!(packing.bytes(), 256 * (3 + 2 + 2));
        let packed: Vec<u8> = (0..packing.bytes()).map(|at| if at % 256 < 3 { (at / 256) as u8 } else { 99 }).collect();
        let mut data = Vec::new();
        packing.unpack(&packed, &mut data);
        assert_eq!(data, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
        assert_eq!(data.len(), VideoFrame::byte_len(3, 3));
    }
}
