//! The hall's material: a texture times the light kept in the vertices, plus the glow of the great wall; at the richest
//! tier with shadows in the sunlight and a mirror image in the floor. `shaders/hall.wgsl` draws it; kinds differ by
//! shader definitions, so that each pays only for what it does.

use bevy::asset::uuid_handle;
use bevy::mesh::MeshVertexBufferLayoutRef;
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey};
use bevy::prelude::*;
use bevy::render::render_resource::{AsBindGroup, RenderPipelineDescriptor, ShaderType, SpecializedMeshPipelineError};
use bevy::shader::ShaderRef;

use super::hall::Part;

const HALL_SHADER: Handle<Shader> = uuid_handle!("0b8a6f04-93c5-4d0e-8a55-7d2b6c1e4f90");

/// What is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum HallKind {
    /// Stone: texture times light.
    #[default]
    Lit,
    /// Plaster, marble, metal, cloth: light alone.
    Plain,
    /// The same with a polish that mirrors the room's light.
    Polished,
    /// A soft shadow: darkens what is behind it.
    Shadow,
    /// The shaft of sunlight: brightens what is behind it.
    Beam,
}

#[derive(ShaderType, Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HallUniform {
    /// Light of the great wall's picture, linear.
    pub glow: Vec4,
    /// What the shaft of light adds to what is behind it, linear.
    pub beam: Vec4,
    /// The great wall's picture: height of its centre, its distance along Z, half its width and height, in metres.
    pub picture: Vec4,
}

/// See the module.
#[derive(Asset, TypePath, AsBindGroup, Clone, Debug)]
#[bind_group_data(HallKey)]
pub(super) struct HallMaterial {
    #[uniform(0)]
    pub uniform: HallUniform,
    #[texture(1)]
    #[sampler(2)]
    pub texture: Handle<Image>,
    /// For [`HallKind::Polished`], where the floor is level: its mirror image, over the whole view.
    #[texture(3)]
    #[sampler(4)]
    pub mirror: Option<Handle<Image>>,
    pub kind: HallKind,
    /// Whether furniture throws shadows on it.
    pub shadows: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct HallKey {
    kind: HallKind,
    shadows: bool,
    mirror: bool,
}

impl From<&HallMaterial> for HallKey {
    fn from(material: &HallMaterial) -> Self {
        Self { kind: material.kind, shadows: material.shadows, mirror: material.mirror.is_some() }
    }
}

impl Material for HallMaterial {
    fn vertex_shader() -> ShaderRef {
        HALL_SHADER.into()
    }

    fn fragment_shader() -> ShaderRef {
        HALL_SHADER.into()
    }

    fn alpha_mode(&self) -> AlphaMode {
        match self.kind {
            HallKind::Lit | HallKind::Plain | HallKind::Polished => AlphaMode::Opaque,
            HallKind::Shadow | HallKind::Beam => AlphaMode::Premultiplied,
        }
    }

    fn enable_prepass() -> bool {
        false
    }

    fn specialize(
        _: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        _: &MeshVertexBufferLayoutRef,
        key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let HallKey { kind, shadows, mirror } = key.bind_group_data;
        let defines: &[&str] = match kind {
            HallKind::Lit => &[],
            HallKind::Plain => &["PLAIN"],
            HallKind::Polished => &["POLISHED", "PLACED"],
            HallKind::Shadow => &["SHADOW"],
            HallKind::Beam => &["BEAM", "PLACED", "TURNED"],
        };
        let shadowed: &[&str] = if shadows { &["SHADOWED", "PLACED", "TURNED"] } else { &[] };
        let mirrors: &[&str] = if mirror { &["MIRRORS"] } else { &[] };
        for define in [defines, shadowed, mirrors].concat() {
            descriptor.vertex.shader_defs.push(define.into());
            if let Some(fragment) = &mut descriptor.fragment {
                fragment.shader_defs.push(define.into());
            }
        }
        // The hall is seen from inside, its furniture from every side; thin parts have no back of their own.
        descriptor.primitive.cull_mode = None;
        Ok(())
    }
}

/// What the hall's parts share.
#[derive(Resource, Clone, Debug)]
pub(super) struct HallAssets {
    pub plain: Handle<HallMaterial>,
    pub stone: Handle<HallMaterial>,
    pub inlays: Handle<HallMaterial>,
    pub steps: Handle<HallMaterial>,
    pub wood: Handle<HallMaterial>,
    pub shadow: Handle<HallMaterial>,
    pub beam: Handle<HallMaterial>,
    /// In the order of [`Part::ALL`].
    pub parts: Vec<Handle<Mesh>>,
    pub shadow_disc: Handle<Mesh>,
    pub ring: Handle<Mesh>,
}

impl HallAssets {
    pub(super) fn mesh(&self, part: Part) -> &Handle<Mesh> {
        &self.parts[part as usize]
    }
}

/// Registers the material and its shader, which is part of the binary.
pub(super) struct HallMaterialPlugin;

impl Plugin for HallMaterialPlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins(MaterialPlugin::<HallMaterial>::default());
        let shader = Shader::from_wgsl(include_str!("../../../shaders/hall.wgsl"), "shaders/hall.wgsl");
        if let Err(error) = app.world_mut().resource_mut::<Assets<Shader>>().insert(HALL_SHADER.id(), shader) {
            error!(%error, "the hall's shader could not be registered");
        }
    }
}
