//! The passes and their textures. Everything is recorded into a command encoder of the caller's; nothing waits.
//!
//! | pass | size | what it makes |
//! |---|---|---|
//! | `skin` | half | the picture in Oklab, and how likely each place is skin |
//! | `moments`, `coefficients` | half | the guided filter's share and rest, from means over boxes |
//! | `rows`, `columns` | half | the means of those |
//! | `finish` | full | the filtered picture |
//!
//! Without anything for the skin only `finish` runs, and without anything at all none.

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingResource, BindingType, Buffer, BufferBindingType, BufferDescriptor, BufferUsages, ColorTargetState,
    CommandEncoder, Device, Extent3d, FilterMode, FragmentState, LoadOp, MultisampleState, Operations,
    PipelineLayoutDescriptor, PrimitiveState, Queue, RenderPassColorAttachment, RenderPassDescriptor, RenderPipeline,
    RenderPipelineDescriptor, Sampler, SamplerBindingType, SamplerDescriptor, ShaderModuleDescriptor, ShaderSource,
    ShaderStages, StoreOp, TextureDescriptor, TextureDimension, TextureFormat, TextureSampleType, TextureUsages,
    TextureView, TextureViewDimension, VertexState,
};

use crate::model::BeautyParams;

/// What is filtered and what comes out: coded sRGB, so that nothing is converted on the way.
pub(super) const PICTURE_FORMAT: TextureFormat = TextureFormat::Rgba8Unorm;
/// Oklab and coefficients that are sampled between texels: half floats are a sixteenth of an 8-bit step apart.
const SOFT: TextureFormat = TextureFormat::Rgba16Float;
/// Means of squares lose what matters in half floats.
const EXACT: TextureFormat = TextureFormat::Rgba32Float;
/// The box filters reach over this share of a picture's height.
const REACH: f32 = 1.0 / 80.0;
/// Bytes of the uniform in `shaders/beauty/common.wgsl`.
const UNIFORM_BYTES: usize = 48;

const COMMON: &str = include_str!("../../../shaders/beauty/common.wgsl");
const SKIN: &str = include_str!("../../../shaders/beauty/skin.wgsl");
const BOX: &str = include_str!("../../../shaders/beauty/box.wgsl");
const FINISH: &str = include_str!("../../../shaders/beauty/finish.wgsl");

/// Pipelines for one device, and textures for the size that was filtered last.
pub struct BeautyPasses {
    sampled: BindGroupLayout,
    loaded: BindGroupLayout,
    sampler: Sampler,
    skin: RenderPipeline,
    moments: RenderPipeline,
    coefficients: RenderPipeline,
    rows: RenderPipeline,
    columns: RenderPipeline,
    finish: RenderPipeline,
    sharpen: RenderPipeline,
    working: Option<Working>,
}

/// What pictures of one size are worked out in.
struct Working {
    size: (u32, u32),
    uniform: Buffer,
    lab: TextureView,
    exact: [TextureView; 4],
    soft: [TextureView; 2],
}

impl BeautyPasses {
    /// Compiles the passes: some tens of milliseconds.
    pub fn new(device: &Device) -> Self {
        let (sampled, loaded) = layouts(device);
        let pair = [Some(EXACT.into()), Some(EXACT.into())];
        let soft_pair = [Some(SOFT.into()), Some(SOFT.into())];
        let picture = [Some(ColorTargetState::from(PICTURE_FORMAT))];
        let make = |layout, source: &str, entry, targets: &[Option<ColorTargetState>]| {
            pipeline(device, layout, source, entry, targets)
        };
        let sampler = device.create_sampler(&SamplerDescriptor {
            label: Some("beauty"),
            mag_filter: FilterMode::Linear,
            min_filter: FilterMode::Linear,
            ..Default::default()
        });
        Self {
            skin: make(&sampled, SKIN, "fragment", &[Some(SOFT.into())]),
            moments: make(&loaded, BOX, "moments", &pair),
            coefficients: make(&loaded, BOX, "smooth_coefficients", &pair),
            rows: make(&loaded, BOX, "rows", &pair),
            columns: make(&loaded, BOX, "columns", &soft_pair),
            finish: make(&sampled, &FINISH.replace("#SKIN", "").replace("#END", ""), "fragment", &picture),
            sharpen: make(&sampled, &without_skin(FINISH), "fragment", &picture),
            sampled,
            loaded,
            sampler,
            working: None,
        }
    }

    /// Records what turns `source` into `target`, both of this size, `Rgba8Unorm`, coded as sRGB is. With
    /// nothing to be done nothing is recorded, and `target` stays as it was: `false`.
    pub fn filter(
        &mut self,
        device: &Device,
        queue: &Queue,
        encoder: &mut CommandEncoder,
        (source, target): (&TextureView, &TextureView),
        size: (u32, u32),
        params: BeautyParams,
    ) -> bool {
        if params.is_none() {
            return false;
        }
        let working = match self.working.take() {
            Some(working) if working.size == size => working,
            _ => Working::new(device, size),
        };
        queue.write_buffer(&working.uniform, 0, &uniform(size, params));
        let mut run = |pipeline: &RenderPipeline, seen: &BindGroup, targets: &[&TextureView]| {
            draw(encoder, pipeline, seen, targets);
        };
        let bind = |seen: [&TextureView; 3]| self.sampled_group(device, &working, seen);
        let [m0, m1, c0, c1] = &working.exact;
        let [share, rest] = &working.soft;
        let [smooth, whiten, rosy, _] = params.values();
        if smooth == 0 && whiten == 0 && rosy == 0 {
            run(&self.sharpen, &bind([source; 3]), &[target]);
        } else {
            let pair = |first, second| self.loaded_group(device, &working, first, second);
            run(&self.skin, &bind([source; 3]), &[&working.lab]);
            run(&self.moments, &pair(&working.lab, &working.lab), &[m0, m1]);
            run(&self.coefficients, &pair(m0, m1), &[c0, c1]);
            run(&self.rows, &pair(c0, c1), &[m0, m1]);
            run(&self.columns, &pair(m0, m1), &[share, rest]);
            run(&self.finish, &bind([source, share, rest]), &[target]);
        }
        self.working = Some(working);
        true
    }

    fn sampled_group(
        &self,
        device: &Device,
        working: &Working,
        [first, second, third]: [&TextureView; 3],
    ) -> BindGroup {
        let view = |binding, view| BindGroupEntry { binding, resource: BindingResource::TextureView(view) };
        let entries = [
            BindGroupEntry { binding: 0, resource: working.uniform.as_entire_binding() },
            view(1, first),
            view(2, second),
            BindGroupEntry { binding: 3, resource: BindingResource::Sampler(&self.sampler) },
            view(4, third),
        ];
        let layout = &self.sampled;
        device.create_bind_group(&BindGroupDescriptor { label: Some("beauty"), layout, entries: &entries })
    }

    fn loaded_group(&self, device: &Device, working: &Working, first: &TextureView, second: &TextureView) -> BindGroup {
        let view = |binding, view| BindGroupEntry { binding, resource: BindingResource::TextureView(view) };
        let entries = [
            BindGroupEntry { binding: 0, resource: working.uniform.as_entire_binding() },
            view(1, first),
            view(2, second),
        ];
        let layout = &self.loaded;
        device.create_bind_group(&BindGroupDescriptor { label: Some("beauty"), layout, entries: &entries })
    }
}

impl Working {
    fn new(device: &Device, size: (u32, u32)) -> Self {
        let (width, height) = half(size);
        let texture = |format| {
            let texture = device.create_texture(&TextureDescriptor {
                label: Some("beauty"),
                size: Extent3d { width, height, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: TextureDimension::D2,
                format,
                usage: TextureUsages::RENDER_ATTACHMENT | TextureUsages::TEXTURE_BINDING,
                view_formats: &[],
            });
            texture.create_view(&Default::default())
        };
        let uniform = device.create_buffer(&BufferDescriptor {
            label: Some("beauty"),
            size: UNIFORM_BYTES as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self {
            size,
            uniform,
            lab: texture(SOFT),
            exact: std::array::from_fn(|_| texture(EXACT)),
            soft: std::array::from_fn(|_| texture(SOFT)),
        }
    }
}

/// Half of a picture's size, rounded up.
pub(super) fn half((width, height): (u32, u32)) -> (u32, u32) {
    (width.div_ceil(2), height.div_ceil(2))
}

/// Radius of the box filters for a picture of this size, in half-size pixels.
pub(super) fn radius((_, height): (u32, u32)) -> i32 {
    ((height as f32 * REACH * 0.5).round() as i32).clamp(1, 16)
}

fn uniform(size: (u32, u32), params: BeautyParams) -> [u8; UNIFORM_BYTES] {
    let mut bytes = [0; UNIFORM_BYTES];
    let (width, height) = half(size);
    let floats = params.strengths().into_iter().chain([size.0, size.1, width, height].map(|side| side as f32));
    let words = floats.map(f32::to_le_bytes).chain([radius(size).to_le_bytes()]);
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word);
    }
    bytes
}

/// The last pass without what it does to skin.
fn without_skin(shader: &str) -> String {
    match (shader.split_once("#SKIN"), shader.split_once("#END")) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => shader.to_owned(),
    }
}

/// What is sampled between texels, and what is read texel by texel: exact pictures can only be read.
fn layouts(device: &Device) -> (BindGroupLayout, BindGroupLayout) {
    let entry = |binding, ty| BindGroupLayoutEntry { binding, visibility: ShaderStages::FRAGMENT, ty, count: None };
    let texture = |binding, filterable| {
        let sample_type = TextureSampleType::Float { filterable };
        let view_dimension = TextureViewDimension::D2;
        entry(binding, BindingType::Texture { sample_type, view_dimension, multisampled: false })
    };
    let ty = BufferBindingType::Uniform;
    let uniform = entry(0, BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None });
    let sampler = entry(3, BindingType::Sampler(SamplerBindingType::Filtering));
    let layout = |entries: &[BindGroupLayoutEntry]| {
        device.create_bind_group_layout(&BindGroupLayoutDescriptor { label: Some("beauty"), entries })
    };
    let sampled = layout(&[uniform, texture(1, true), texture(2, true), sampler, texture(4, true)]);
    (sampled, layout(&[uniform, texture(1, false), texture(2, false)]))
}

fn pipeline(
    device: &Device,
    layout: &BindGroupLayout,
    source: &str,
    entry: &str,
    targets: &[Option<ColorTargetState>],
) -> RenderPipeline {
    let module = device.create_shader_module(ShaderModuleDescriptor {
        label: Some("beauty"),
        source: ShaderSource::Wgsl(format!("{COMMON}\n{source}").into()),
    });
    let layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
        label: Some("beauty"),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_render_pipeline(&RenderPipelineDescriptor {
        label: Some(entry),
        layout: Some(&layout),
        vertex: VertexState {
            module: &module,
            entry_point: Some("vertex"),
            compilation_options: Default::default(),
            buffers: &[],
        },
        primitive: PrimitiveState::default(),
        depth_stencil: None,
        multisample: MultisampleState::default(),
        fragment: Some(FragmentState {
            module: &module,
            entry_point: Some(entry),
            compilation_options: Default::default(),
            targets,
        }),
        multiview_mask: None,
        cache: None,
    })
}

fn draw(encoder: &mut CommandEncoder, pipeline: &RenderPipeline, seen: &BindGroup, targets: &[&TextureView]) {
    let attachments: Vec<_> = targets
        .iter()
        .map(|view| {
            let ops = Operations { load: LoadOp::Clear(Default::default()), store: StoreOp::Store };
            Some(RenderPassColorAttachment { view, depth_slice: None, resolve_target: None, ops })
        })
        .collect();
    let mut pass = encoder.begin_render_pass(&RenderPassDescriptor {
        label: Some("beauty"),
        color_attachments: &attachments,
        ..Default::default()
    });
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, seen, &[]);
    pass.draw(0..3, 0..1);
}
