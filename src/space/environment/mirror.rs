//! The floor's mirror image, at the richest tier: the hall drawn once more, by a camera as far below the floor as the
//! viewer is above it, into an image that the floor's material shows. Main thread, `PostUpdate`, when the viewer stands
//! where the frame will show them.
//!
//! The lower camera sees the mirrored hall upside down: a mirror turns left hands into right ones, which no camera that
//! can be built does, so its picture is turned over where it is shown (`shaders/hall.wgsl`).

use bevy::camera::{CameraUpdateSystems, RenderTarget};
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::prelude::*;
use bevy::transform::TransformSystems;
use wgpu::{Extent3d, TextureFormat};

use super::material::{HallAssets, HallMaterial};
use crate::space::view::{BEHIND_HALL, RoomCamera, ViewMode};

/// The camera below the floor, and what it draws into.
#[derive(Component, Debug)]
pub(super) struct FloorMirror(Handle<Image>);

/// Its image has a half of the view's width and height: the polish blurs it anyway.
const SHARE: u32 = 2;

pub(super) struct FloorMirrorPlugin;

impl Plugin for FloorMirrorPlugin {
    fn build(&self, app: &mut App) {
        let follow = follow_viewer.before(CameraUpdateSystems).before(TransformSystems::Propagate);
        app.add_systems(PostUpdate, follow.run_if(any_with_component::<FloorMirror>));
    }
}

/// Sets the camera up; gives what the floor is to show.
pub(super) fn spawn(commands: &mut Commands, images: &mut Assets<Image>) -> Handle<Image> {
    // Gets the view's size with the first frame.
    let image = images.add(Image::new_target_texture(1, 1, TextureFormat::Rgba8UnormSrgb, None));
    commands.spawn((
        Name::new("mirror in the floor"),
        FloorMirror(image.clone()),
        Camera3d::default(),
        Camera { order: -1, clear_color: ClearColorConfig::Custom(BEHIND_HALL), ..default() },
        RenderTarget::Image(image.clone().into()),
        Tonemapping::None,
        DebandDither::Disabled,
        Msaa::Off,
    ));
    image
}

type Viewer = (With<RoomCamera>, Without<FloorMirror>);

fn follow_viewer(
    viewers: Query<(&Camera, &Transform, &Projection), Viewer>,
    mode: Res<ViewMode>,
    assets: Res<HallAssets>,
    mut mirrors: Query<(&FloorMirror, &mut Camera, &mut Transform, &mut Projection), Without<RoomCamera>>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<HallMaterial>>,
) {
    let Ok((viewer, eye, lens)) = viewers.single() else { return };
    for (FloorMirror(image), mut camera, mut below, mut projection) in &mut mirrors {
        camera.is_active = !mode.is_flat();
        below.set_if_neq(mirrored(eye));
        *projection = lens.clone();
        let size = viewer.physical_target_size().unwrap_or_default() / SHARE;
        let wanted = Extent3d { width: size.x.max(1), height: size.y.max(1), depth_or_array_layers: 1 };
        if images.get(image).is_some_and(|image| image.texture_descriptor.size != wanted) {
            if let Some(mut image) = images.get_mut(image) {
                image.resize(wanted);
            }
            // Their bind groups hold the texture that was: set again, they are made anew.
            for floor in [&assets.wood, &assets.inlays] {
                if let Some(mut material) = materials.get_mut(floor) {
                    material.mirror = Some(image.clone());
                }
            }
        }
    }
}

/// Where the camera below stands: mirrored in the floor, and its picture turned over.
fn mirrored(eye: &Transform) -> Transform {
    let mirror = Vec3::new(1.0, -1.0, 1.0);
    let axes = Mat3::from_quat(eye.rotation);
    let turned = Mat3::from_cols(axes.x_axis * mirror, -axes.y_axis * mirror, axes.z_axis * mirror);
    Transform::from_translation(eye.translation * mirror).with_rotation(Quat::from_mat3(&turned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_camera_below_sees_the_mirror_image_upside_down() {
        let eye = Transform::from_xyz(1.0, 1.6, 4.0).looking_at(Vec3::new(-2.0, 1.1, -3.0), Vec3::Y);
        let below = mirrored(&eye);
        assert!((below.rotation.length() - 1.0).abs() < 1e-5, "a camera that can be built");
        for point in [Vec3::new(0.5, 2.0, -1.0), Vec3::new(-3.0, 0.2, -4.0), Vec3::new(1.0, 5.0, 0.0)] {
            let image = point * Vec3::new(1.0, -1.0, 1.0);
            let seen_in_floor = eye.to_matrix().inverse().transform_point3(image);
            let seen_below = below.to_matrix().inverse().transform_point3(point);
            let turned_over = seen_below * Vec3::new(1.0, -1.0, 1.0);
            assert!(seen_in_floor.distance(turned_over) < 1e-4, "{seen_in_floor} and {turned_over}");
        }
    }
}
