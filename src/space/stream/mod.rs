//! Streams as entities, and their way to the screen: the newest picture from the mailbox, persistent plane textures,
//! the material that shows them. Everything here runs on the main thread except the upload, which lives in the render
//! world.

mod face;
mod lettering;
mod material;
mod mipmaps;
mod planes;
mod upload;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;

pub use face::{FaceLook, FramePresented, LinkLook, Mipmapped, VideoFace};
pub use lettering::{LABEL_HEIGHT_PX, LABEL_WIDTH_PX, Label, Lettering, further_fonts};
pub use material::{FaceAssets, FaceStyle, VideoMaterial};
pub use planes::PlanePool;
pub use upload::UploadStats;

use super::participant::LocalParticipant;
use super::schedule::SpaceSystems;
use crate::bridge::VideoFeed;
use crate::model::{StreamInfo, StreamKind};

/// A published stream of someone in the room. Its picture, if it has one, arrives through [`StreamFeed`].
#[derive(Component, Clone, Debug, PartialEq, Eq)]
pub struct VideoStream {
    /// As announced.
    pub info: StreamInfo,
}

/// Where the pictures of a stream wait.
#[derive(Component, Clone, Debug)]
pub struct StreamFeed(pub VideoFeed);

/// The picture of this stream is wanted and not sent, for want of bandwidth: what is seen is old.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct PictureWaits;

/// Where the sound of a stream comes from: whoever hangs a stream's picture somewhere writes it. A stream without one is
/// heard from nowhere in particular.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct SoundPlace(pub Vec3);

/// The participant who publishes this stream.
#[derive(Component, Debug)]
#[relationship(relationship_target = Publishes)]
pub struct PublishedBy(pub Entity);

/// The streams a participant publishes; they go with them.
#[derive(Component, Debug)]
#[relationship_target(relationship = PublishedBy, linked_spawn)]
pub struct Publishes(Vec<Entity>);

impl Publishes {
    /// The streams.
    pub fn iter(&self) -> impl Iterator<Item = Entity> {
        self.0.iter().copied()
    }
}

/// What this client publishes, for systems.
#[derive(SystemParam)]
pub struct OwnStreams<'w, 's> {
    me: Query<'w, 's, &'static Publishes, With<LocalParticipant>>,
    streams: Query<'w, 's, &'static VideoStream>,
}

impl OwnStreams<'_, '_> {
    /// Those of a kind.
    pub fn of(&self, kind: StreamKind) -> impl Iterator<Item = &StreamInfo> {
        let own = self.me.iter().flat_map(Publishes::iter).filter_map(|stream| self.streams.get(stream).ok());
        own.map(|stream| &stream.info).filter(move |info| info.kind == kind)
    }
}

/// Shows pictures of streams on faces.
pub struct StreamPlugin;

impl Plugin for StreamPlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins((material::VideoMaterialPlugin, upload::UploadPlugin))
            .init_resource::<PlanePool>()
            .add_message::<FramePresented>()
            .add_observer(planes::return_planes)
            .add_systems(Startup, lettering::find_fonts)
            .add_systems(
                PostUpdate,
                (face::take_frames, face::fade_faces, face::show_signs, face::pack_tags)
                    .chain()
                    .in_set(SpaceSystems::Present),
            );
    }
}
