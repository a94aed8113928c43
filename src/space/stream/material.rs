//! The material of every face: three plane textures, a label, and a style. `shaders/video.wgsl` converts and draws.

use bevy::asset::uuid_handle;
use bevy::image::{ImageSampler, ImageSamplerDescriptor};
use bevy::mesh::MeshVertexBufferLayoutRef;
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey};
use bevy::prelude::*;
use bevy::render::render_resource::{AsBindGroup, RenderPipelineDescriptor, ShaderType, SpecializedMeshPipelineError};
use bevy::shader::ShaderRef;

const VIDEO_SHADER: Handle<Shader> = uuid_handle!("5f0c3a8e-6d51-4c57-9d0e-2f4e1b7a9c11");

/// Shape and colours of one face, in metres and linear light.
#[derive(ShaderType, Clone, Copy, Debug, PartialEq)]
pub struct FaceStyle {
    /// The person's colour, and the width in metres of the whole face that `frame` was measured for: margin, corners and
    /// bezel of one shown in another size keep their proportions. 0 where it never is.
    pub accent: Vec4,
    /// Margin for the glow, height of the name plate (0 for none), corner radius, width of the bezel. A person's plate is as
    /// high as the face leaves below a picture of 16 to 9.
    pub frame: Vec4,
    /// Width of the name in the label, width of the initials (both as shares of the label's), strength of the glow
    /// around the face when it shows a picture, and which kind of face it is: one of the constants here.
    pub text: Vec4,
}

impl FaceStyle {
    /// A person's face: without a picture it shows a card with initials.
    pub const PERSON: f32 = 0.0;
    /// A place on the wall: without a picture it shows the hall's emblem.
    pub const WALL: f32 = 1.0;
    /// A dot of light in the accent's colour, and nothing else: it marks a place on the face behind it.
    pub const DOT: f32 = 2.0;
}

/// How much nearer than it is a dot is taken to be when faces are drawn in their order, in metres: the face it marks is
/// larger than it and may have its middle nearer.
const DOT_NEARER_M: f32 = 4.0;

/// A video face. What changes from frame to frame travels in the mesh tag, so that no material is prepared anew.
#[derive(Asset, TypePath, AsBindGroup, Clone, Debug)]
#[bind_group_data(FaceKey)]
pub struct VideoMaterial {
    /// Luma plane, R8.
    #[texture(0)]
    #[sampler(1)]
    pub luma: Handle<Image>,
    /// First chroma plane (Cb), R8.
    #[texture(2)]
    pub cb: Handle<Image>,
    /// Second chroma plane (Cr), R8.
    #[texture(3)]
    pub cr: Handle<Image>,
    /// Name and initials, coverage in R8: see [`super::Label`].
    #[texture(4)]
    pub label: Handle<Image>,
    /// Shape and colours.
    #[uniform(5)]
    pub style: FaceStyle,
    /// Whether the planes have mipmaps.
    pub mipmaps: bool,
    /// Whether there is a hand or the state of a connection to be shown: rare, and left out of the shader without.
    pub signs: bool,
}

/// What is compiled into the shader of a face.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaceKey {
    wall: bool,
    dot: bool,
    mipmaps: bool,
    signs: bool,
}

impl From<&VideoMaterial> for FaceKey {
    fn from(material: &VideoMaterial) -> Self {
        let kind = material.style.text.w;
        Self {
            wall: kind == FaceStyle::WALL,
            dot: kind == FaceStyle::DOT,
            mipmaps: material.mipmaps,
            signs: material.signs,
        }
    }
}

impl VideoMaterial {
    /// A face without a picture and without a name.
    pub fn empty(assets: &FaceAssets, style: FaceStyle) -> Self {
        let black = || assets.black.clone();
        Self { luma: black(), cb: black(), cr: black(), label: black(), style, mipmaps: false, signs: false }
    }
}

impl Material for VideoMaterial {
    fn vertex_shader() -> ShaderRef {
        VIDEO_SHADER.into()
    }

    fn fragment_shader() -> ShaderRef {
        VIDEO_SHADER.into()
    }

    fn alpha_mode(&self) -> AlphaMode {
        AlphaMode::Premultiplied
    }

    fn depth_bias(&self) -> f32 {
        if self.style.text.w == FaceStyle::DOT { DOT_NEARER_M } else { 0.0 }
    }

    fn enable_prepass() -> bool {
        false
    }

    fn enable_shadows() -> bool {
        false
    }

    fn specialize(
        _: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        _: &MeshVertexBufferLayoutRef,
        key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let FaceKey { wall, dot, mipmaps, signs } = key.bind_group_data;
        let defines = [("WALL", wall), ("DOT", dot), ("MIPMAPS", mipmaps), ("SIGNS", signs)];
        if let Some(fragment) = &mut descriptor.fragment {
            fragment.shader_defs.extend(defines.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).into()));
        }
        Ok(())
    }
}

/// What all faces share: one quad, one black pixel to start from.
#[derive(Resource, Clone, Debug)]
pub struct FaceAssets {
    /// A unit quad in X and Y, facing +Z.
    pub quad: Handle<Mesh>,
    /// A one-pixel R8 texture that stands in for planes and labels.
    pub black: Handle<Image>,
}

/// The sampler of planes and labels: bilinear, clamped.
pub(super) fn plane_sampler() -> ImageSampler {
    ImageSampler::Descriptor(ImageSamplerDescriptor::linear())
}

/// The sampler of planes with mipmaps: trilinear, clamped, with up to so many samples along a slanted pixel.
pub(super) fn mipmap_sampler(anisotropy: u16) -> ImageSampler {
    let mut sampler = ImageSamplerDescriptor::linear();
    sampler.set_anisotropic_filter(anisotropy);
    ImageSampler::Descriptor(sampler)
}

impl FromWorld for FaceAssets {
    fn from_world(world: &mut World) -> Self {
        let quad = world.resource_mut::<Assets<Mesh>>().add(Rectangle::new(1.0, 1.0));
        let mut black = Image::new_fill(
            wgpu::Extent3d { width: 1, height: 1, depth_or_array_layers: 1 },
            wgpu::TextureDimension::D2,
            &[0],
            wgpu::TextureFormat::R8Unorm,
            bevy::asset::RenderAssetUsages::RENDER_WORLD,
        );
        black.sampler = plane_sampler();
        let black = world.resource_mut::<Assets<Image>>().add(black);
        Self { quad, black }
    }
}

/// Registers the material and its shader, which is part of the binary.
pub(super) struct VideoMaterialPlugin;

impl Plugin for VideoMaterialPlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins(MaterialPlugin::<VideoMaterial>::default());
        let shader = Shader::from_wgsl(include_str!("../../../shaders/video.wgsl"), "shaders/video.wgsl");
        if let Err(error) = app.world_mut().resource_mut::<Assets<Shader>>().insert(VIDEO_SHADER.id(), shader) {
            error!(%error, "the video shader could not be registered");
        }
        app.init_resource::<FaceAssets>();
    }
}
