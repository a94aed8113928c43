//! The passes and their textures. Everything is recorded into a command encoder of the caller's; nothing waits.
//!
//! | pass | size | what it makes |
//! |---|---|---|
//! | `skin` | half | the picture in Oklab, and how likely each place is skin |
//! | `moments`, `coefficients` | half | the guided filter's share and rest, from means over boxes |
//! | `rows`, `columns` | half | the means of those |
//! | `finish` | full | the filtered picture |
//!
//! Without anything for the skin and in good light only `finish` runs, and without anything at all none.

use std::collections::HashMap;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingResource, BindingType, Buffer, BufferBindingType, BufferDescriptor, BufferUsages, ColorTargetState,
    CommandEncoder, Device, Extent3d, FilterMode, FragmentState, LoadOp, MultisampleState, Operations,
    PipelineCompilationOptions, PipelineLayoutDescriptor, PrimitiveState, Queue, RenderPassColorAttachment,
    RenderPassDescriptor, RenderPipeline, RenderPipelineDescriptor, Sampler, SamplerBindingType, SamplerDescriptor,
    ShaderModuleDescriptor, ShaderSource, ShaderStages, StoreOp, TextureDescriptor, TextureDimension, TextureFormat,
    TextureSampleType, TextureUsages, TextureView, TextureViewDimension, VertexState,
};

use super::clock::PassClock;
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

const SHARED: &str = include_str!("../../../shaders/beauty/shared.wgsl");
const COMMON: &str = include_str!("../../../shaders/beauty/common.wgsl");
const SKIN: &str = include_str!("../../../shaders/beauty/skin.wgsl");
const BOX: &str = include_str!("../../../shaders/beauty/box.wgsl");
const FINISH: &str = include_str!("../../../shaders/beauty/finish.wgsl");

/// What is to be done to one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retouch {
    /// How much of each filter.
    pub params: BeautyParams,
    /// How much a dark picture is brightened, 0..=1.
    pub lift: f32,
}

impl Retouch {
    /// Whether the picture stays as it is.
    pub fn is_none(self) -> bool {
        self.params.is_none() && self.lift <= 0.0
    }
}

impl From<BeautyParams> for Retouch {
    fn from(params: BeautyParams) -> Self {
        Self { params, lift: 0.0 }
    }
}

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
    finish: Finish,
    working: Option<Working>,
}

/// The last pass, compiled for what it has to do.
struct Finish {
    layout: BindGroupLayout,
    made: HashMap<[bool; 3], RenderPipeline>,
}

impl Finish {
    /// For retouching skin, lifting the dark, sharpening.
    fn get(&mut self, device: &Device, does: [bool; 3]) -> &RenderPipeline {
        let layout = &self.layout;
        self.made.entry(does).or_insert_with(|| {
            let constants = ["retouches", "lifts", "sharpens"].into_iter().zip(does.map(f64::from)).collect::<Vec<_>>();
            let targets = [Some(ColorTargetState::from(PICTURE_FORMAT))];
            pipeline(device, layout, &with_common(FINISH), ("fragment", &constants), &targets)
        })
    }
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
        let make = |layout, source: &str, entry, targets: &[Option<ColorTargetState>]| {
            pipeline(device, layout, &with_common(source), (entry, &[]), targets)
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
            finish: Finish { layout: sampled.clone(), made: HashMap::new() },
            sampled,
            loaded,
            sampler,
            working: None,
        }
    }

    /// Compiles what is compiled when it is first needed, so that nothing has to wait for it later.
    pub fn warm_up(&mut self, device: &Device) {
        for (retouches, lifts) in [(true, false), (true, true), (false, false)] {
            for sharpens in [false, true] {
                self.finish.get(device, [retouches, lifts, sharpens]);
            }
        }
    }

    /// Records what turns `source` into `target`, both of this size, `Rgba8Unorm`, coded as sRGB is. With
    /// nothing to be done nothing is recorded, and `target` stays as it was: `false`.
    #[expect(clippy::too_many_arguments, reason = "a device, a recording, what from, what to, how much")]
    pub fn filter(
        &mut self,
        device: &Device,
        queue: &Queue,
        encoder: &mut CommandEncoder,
        (source, target): (&TextureView, &TextureView),
        size: (u32, u32),
        retouch: Retouch,
        clock: &mut PassClock,
    ) -> bool {
        if retouch.is_none() {
            return false;
        }
        let working = match self.working.take() {
            Some(working) if working.size == size => working,
            _ => Working::new(device, size),
        };
        queue.write_buffer(&working.uniform, 0, &uniform(size, retouch));
        let mut run = |name, pipeline: &RenderPipeline, seen: &BindGroup, targets: &[&TextureView]| {
            draw(encoder, pipeline, seen, targets);
            clock.mark(encoder, name);
        };
        let (sampled, loaded, sampler) = (&self.sampled, &self.loaded, &self.sampler);
        let bind = |seen: [&TextureView; 3]| sampled_group(device, sampled, sampler, &working, seen);
        let [m0, m1, c0, c1] = &working.exact;
        let [share, rest] = &working.soft;
        let [smooth, whiten, rosy, sharpen] = retouch.params.values();
        let lifts = retouch.lift > 0.0;
        let retouches = lifts || smooth > 0 || whiten > 0 || rosy > 0;
        let finish = self.finish.get(device, [retouches, lifts, sharpen > 0]);
        if retouches {
            let pair = |first, second| loaded_group(device, loaded, &working, first, second);
            run("skin", &self.skin, &bind([source; 3]), &[&working.lab]);
            run("moments", &self.moments, &pair(&working.lab, &working.lab), &[m0, m1]);
            run("coefficients", &self.coefficients, &pair(m0, m1), &[c0, c1]);
            run("rows", &self.rows, &pair(c0, c1), &[m0, m1]);
            run("columns", &self.columns, &pair(m0, m1), &[share, rest]);
            run("finish", finish, &bind([source, share, rest]), &[target]);
        } else {
            run("finish", finish, &bind([source; 3]), &[target]);
        }
        self.working = Some(working);
        true
    }
}

fn sampled_group(
    device: &Device,
    layout: &BindGroupLayout,
    sampler: &Sampler,
    working: &Working,
    [first, second, third]: [&TextureView; 3],
) -> BindGroup {
    let view = |binding, view| BindGroupEntry { binding, resource: BindingResource::TextureView(view) };
    let entries = [
        BindGroupEntry { binding: 0, resource: working.uniform.as_entire_binding() },
        view(1, first),
        view(2, second),
        BindGroupEntry { binding: 3, resource: BindingResource::Sampler(sampler) },
        view(4, third),
    ];
    device.create_bind_group(&BindGroupDescriptor { label: Some("beauty"), layout, entries: &entries })
}

fn loaded_group(
    device: &Device,
    layout: &BindGroupLayout,
    working: &Working,
    first: &TextureView,
    second: &TextureView,
) -> BindGroup {
    let view = |binding, view| BindGroupEntry { binding, resource: BindingResource::TextureView(view) };
    let uniform = BindGroupEntry { binding: 0, resource: working.uniform.as_entire_binding() };
    let entries = [uniform, view(1, first), view(2, second)];
    device.create_bind_group(&BindGroupDescriptor { label: Some("beauty"), layout, entries: &entries })
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

fn uniform(size: (u32, u32), retouch: Retouch) -> [u8; UNIFORM_BYTES] {
    let mut bytes = [0; UNIFORM_BYTES];
    let (width, height) = half(size);
    let floats = retouch.params.strengths().into_iter().chain([size.0, size.1, width, height].map(|side| side as f32));
    let words = floats.map(f32::to_le_bytes).chain([radius(size).to_le_bytes(), retouch.lift.to_le_bytes()]);
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word);
    }
    bytes
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

fn with_common(source: &str) -> String {
    format!("{COMMON}\n{source}")
}

/// A pipeline that draws one triangle over its targets.
pub(super) fn pipeline(
    device: &Device,
    layout: &BindGroupLayout,
    source: &str,
    (entry, constants): (&str, &[(&str, f64)]),
    targets: &[Option<ColorTargetState>],
) -> RenderPipeline {
    let module = device.create_shader_module(ShaderModuleDescriptor {
        label: Some("beauty"),
        source: ShaderSource::Wgsl(format!("{SHARED}\n{source}").into()),
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
            compilation_options: PipelineCompilationOptions { constants, ..Default::default() },
            targets,
        }),
        multiview_mask: None,
        cache: None,
    })
}

/// Covers the targets.
pub(super) fn draw(
    encoder: &mut CommandEncoder,
    pipeline: &RenderPipeline,
    seen: &BindGroup,
    targets: &[&TextureView],
) {
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
