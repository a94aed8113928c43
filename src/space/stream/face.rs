//! Faces: the surfaces that show a stream. Each frame, the newest picture of every visible face is taken from its
//! mailbox and queued for upload; what a face looks like right now is packed into its mesh tag. Main thread,
//! [`crate::space::SpaceSystems::Present`].

use std::sync::Arc;

use bevy::mesh::MeshTag;
use bevy::prelude::*;
use bevy::render::renderer::RenderDevice;

use super::material::VideoMaterial;
use super::planes::{self, PlanePool, PlaneSet};
use super::upload::{PendingUploads, Upload};
use super::{StreamFeed, VideoStream};
use crate::media::{ColourMatrix, ColourRange, ColourSpace, VideoFrame};
use crate::model::StreamId;
use crate::space::settings::Tier;

/// How fast a face appears and how fast card and picture change over, per second.
const APPEAR_PER_SEC: f32 = 3.2;
const FADE_PER_SEC: f32 = 4.5;
/// A picture older than this gives way to the card when the stream is muted or gone.
const SETTLE_SECS: f32 = 0.2;

/// A picture was handed over to be drawn this frame: the report and the statistics read its stamps.
#[derive(Message, Clone, Debug)]
pub struct FramePresented {
    /// Of which stream.
    pub stream: StreamId,
    /// The picture.
    pub frame: Arc<VideoFrame>,
}

/// A surface that shows a stream, or its card when there is none.
#[derive(Component, Clone, Copy, Debug, Default)]
#[require(FaceLook, MeshTag)]
pub struct VideoFace {
    /// The stream entity.
    pub stream: Option<Entity>,
}

/// What a face says about the way to whom it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkLook {
    /// Nothing: all is well, or nothing is known.
    #[default]
    Fine,
    /// The connection is poor.
    Poor,
    /// The picture waits for a better connection: what is seen is old.
    Waiting,
    /// Nothing gets through; they may be coming back.
    Lost,
}

/// How a face looks right now.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct FaceLook {
    /// Brightness of the speaking ring, 0..=1.
    pub ring: f32,
    /// Shows the muted sign.
    pub muted: bool,
    /// Mirrored, as one's own picture is.
    pub mirrored: bool,
    /// Shows the raised hand.
    pub hand: bool,
    /// Shows how the connection is.
    pub link: LinkLook,
    /// The picture is switched off by its owner: the card is shown.
    pub covered: bool,
    /// How far the face has appeared, 0..=1.
    pub appeared: f32,
    /// How far the picture has replaced the card, 0..=1.
    pub picture: f32,
    /// How the planes are read.
    pub colour: ColourSpace,
    /// Seconds since the newest picture.
    pub age_secs: f32,
    /// The stream whose picture lies in the planes: another one's is never shown in its place.
    pub shown: Option<Entity>,
    /// Size of the newest picture, in pixels; zero before the first.
    pub size: UVec2,
}

/// Marks a face that is looked at from afar and close up alike: its picture comes with mipmaps, so that it neither
/// shimmers small nor blurs large.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct Mipmapped;

type FaceData = (
    Entity,
    &'static VideoFace,
    &'static ViewVisibility,
    &'static MeshMaterial3d<VideoMaterial>,
    &'static mut FaceLook,
    Option<&'static PlaneSet>,
    Has<Mipmapped>,
);

/// Takes the newest picture of each visible face: at most one upload a stream and frame; what is out of view is not
/// uploaded at all.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn take_frames(
    mut commands: Commands,
    mut faces: Query<FaceData>,
    streams: Query<(&VideoStream, &StreamFeed)>,
    mut materials: ResMut<Assets<VideoMaterial>>,
    mut images: ResMut<Assets<Image>>,
    mut pool: ResMut<PlanePool>,
    mut pending: ResMut<PendingUploads>,
    mut presented: MessageWriter<FramePresented>,
    device: Option<Res<RenderDevice>>,
    tier: Option<Res<Tier>>,
) {
    let anisotropy = planes::anisotropy(tier.map_or(Tier::Low, |tier| *tier));
    let largest = device.map_or(u32::MAX, |device| device.limits().max_texture_dimension_2d);
    for (entity, face, visibility, material, mut look, planes, mipmapped) in &mut faces {
        // One's own picture is not brought to where it is covered; the newest waits in its mailbox.
        let hidden = look.covered && look.mirrored && look.picture == 0.0;
        if !visibility.get() || hidden {
            continue;
        }
        let Some((stream, feed)) = face.stream.and_then(|stream| streams.get(stream).ok()) else { continue };
        let Some(frame) = feed.0.take() else { continue };
        if frame.width().max(frame.height()) > largest {
            warn_once!(stream = %stream.info.id, "a picture is larger than this GPU's textures: not shown");
            continue;
        }
        let set = match planes {
            Some(set) if set.fits(&frame, mipmapped) => set.clone(),
            old => {
                if let Some(old) = old {
                    pool.put(old.clone());
                }
                let set = pool.get(&mut images, &frame, mipmapped.then_some(anisotropy));
                if let Some(mut material) = materials.get_mut(material.id()) {
                    material.luma = set.luma.clone();
                    material.cb = set.cb.clone();
                    material.cr = set.cr.clone();
                    material.mipmaps = set.levels > 1;
                }
                // `try_insert` replaces without `Remove`, so the old set is handed back above.
                commands.entity(entity).try_insert(set.clone());
                set
            }
        };
        look.colour = frame.colour();
        look.age_secs = 0.0;
        look.shown = face.stream;
        look.size = UVec2::new(frame.width(), frame.height());
        let planes = [set.luma.id(), set.cb.id(), set.cr.id()];
        pending.0.push(Upload { planes, levels: set.levels, frame: Arc::clone(&frame) });
        presented.write(FramePresented { stream: stream.info.id.clone(), frame });
    }
}

/// Eases faces in, and between card and picture.
pub(super) fn fade_faces(time: Res<Time>, mut faces: Query<(&VideoFace, &mut FaceLook, Has<PlaneSet>)>) {
    let dt = time.delta_secs().min(0.1);
    for (face, mut look, has_planes) in &mut faces {
        let mut next = *look;
        next.age_secs += dt;
        next.appeared = (next.appeared + dt * APPEAR_PER_SEC).min(1.0);
        // One's own camera goes on, so that it is back at once; nobody is to think that it is still seen.
        let covered = next.covered && (next.mirrored || next.age_secs > SETTLE_SECS);
        let own = face.stream.is_some() && next.shown == face.stream;
        if face.stream.is_some() && !own {
            next.picture = 0.0;
        }
        let target = f32::from(has_planes && own && !covered);
        let step = dt * FADE_PER_SEC;
        next.picture += (target - next.picture).clamp(-step, step);
        if covered && next.picture == 0.0 && !next.mirrored {
            // What was seen before the camera went off is not flashed when it comes back.
            next.shown = None;
        }
        if next != *look {
            *look = next;
        }
    }
}

/// Takes the signs into the shader of faces that have some, and out again.
pub(super) fn show_signs(
    faces: Query<(&FaceLook, &MeshMaterial3d<VideoMaterial>), Changed<FaceLook>>,
    mut materials: ResMut<Assets<VideoMaterial>>,
) {
    for (look, material) in &faces {
        let signs = look.hand || look.link != LinkLook::Fine;
        if materials.get(material.id()).is_some_and(|material| material.signs != signs)
            && let Some(mut material) = materials.get_mut(material.id())
        {
            material.signs = signs;
        }
    }
}

/// Packs the look into the tag that `shaders/video.wgsl` unpacks.
pub(super) fn pack_tags(mut faces: Query<(&FaceLook, &mut MeshTag)>) {
    for (look, mut tag) in &mut faces {
        let packed = pack(look);
        if tag.0 != packed {
            tag.0 = packed;
        }
    }
}

fn pack(look: &FaceLook) -> u32 {
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u32;
    let matrix = u32::from(look.colour.matrix == ColourMatrix::Bt709);
    let range = u32::from(look.colour.range == ColourRange::Full);
    // Six bits are enough for the eased ones; the ring keeps eight.
    byte(look.ring)
        | (byte(look.picture) << 8)
        | ((byte(look.appeared) >> 2) << 16)
        | (matrix << 22)
        | (range << 23)
        | (u32::from(look.muted) << 24)
        | (u32::from(look.mirrored) << 25)
        | (u32::from(look.hand) << 26)
        | ((look.link as u32) << 27)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stream_never_shows_the_last_ones_picture() {
        let mut app = App::new();
        app.init_resource::<Time>().add_systems(Update, fade_faces);
        let streams = [app.world_mut().spawn_empty().id(), app.world_mut().spawn_empty().id()];
        let image = Handle::<Image>::default();
        let planes = PlaneSet { luma: image.clone(), cb: image.clone(), cr: image, width: 1, height: 1, levels: 1 };
        let look = FaceLook { shown: Some(streams[0]), picture: 1.0, ..default() };
        let face = app.world_mut().spawn((VideoFace { stream: Some(streams[0]) }, look, planes)).id();
        let step = |app: &mut App| {
            app.world_mut().resource_mut::<Time>().advance_by(std::time::Duration::from_millis(50));
            app.update();
            app.world().get::<FaceLook>(face).map(|look| look.picture).unwrap()
        };
        assert_eq!(step(&mut app), 1.0);
        app.world_mut().get_mut::<VideoFace>(face).unwrap().stream = Some(streams[1]);
        assert_eq!(step(&mut app), 0.0);
        app.world_mut().get_mut::<FaceLook>(face).unwrap().shown = Some(streams[1]);
        assert!(step(&mut app) > 0.0, "its own picture fades in");
    }

    #[test]
    fn ones_own_picture_is_covered_at_once_though_the_camera_goes_on() {
        let mut app = App::new();
        app.init_resource::<Time>().add_systems(Update, fade_faces);
        let stream = app.world_mut().spawn_empty().id();
        let image = Handle::<Image>::default();
        let planes = PlaneSet { luma: image.clone(), cb: image.clone(), cr: image, width: 1, height: 1, levels: 1 };
        let look = FaceLook { shown: Some(stream), picture: 1.0, mirrored: true, covered: true, ..default() };
        let face = app.world_mut().spawn((VideoFace { stream: Some(stream) }, look, planes)).id();
        for _ in 0..10 {
            app.world_mut().get_mut::<FaceLook>(face).unwrap().age_secs = 0.0;
            app.world_mut().resource_mut::<Time>().advance_by(std::time::Duration::from_millis(50));
            app.update();
        }
        assert_eq!(app.world().get::<FaceLook>(face).unwrap().picture, 0.0);
        app.world_mut().get_mut::<FaceLook>(face).unwrap().covered = false;
        app.world_mut().resource_mut::<Time>().advance_by(std::time::Duration::from_millis(50));
        app.update();
        assert!(app.world().get::<FaceLook>(face).unwrap().picture > 0.0, "and is back at once");
    }

    #[test]
    fn the_tag_carries_every_part_of_the_look() {
        let plain = pack(&FaceLook::default());
        assert_eq!(plain, 0);
        let full = FaceLook {
            ring: 1.0,
            muted: true,
            mirrored: true,
            hand: true,
            link: LinkLook::Lost,
            appeared: 1.0,
            picture: 1.0,
            colour: ColourSpace { matrix: ColourMatrix::Bt709, range: ColourRange::Full },
            ..FaceLook::default()
        };
        assert_eq!(pack(&full), 0x1fff_ffff);
        assert_eq!(pack(&FaceLook { ring: f32::NAN, ..default() }), 0, "a bad level darkens the ring, nothing else");
    }
}
