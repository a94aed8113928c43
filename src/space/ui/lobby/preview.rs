//! The own picture in the lobby: pulled on a thread of its own, led through beauty as it will be when it is sent, and shown
//! as in a mirror.

use bevy::prelude::*;
use bevy_egui::egui;

use crate::bridge::{Preview, VideoFeed};
use crate::model::{Beauty, DeviceUse, StreamId};
use crate::space::beauty::{BeautyLinks, BeautySource};
use crate::space::devices::{CameraQuality, OwnSources};
use crate::space::ui::picture::{Picture, image_of};

/// The name under which beauty knows what is not sent yet.
const STREAM: &str = "lobby";

/// A camera that is looked at.
pub(super) struct Mirror {
    of: (Option<String>, CameraQuality),
    preview: Preview,
    feed: VideoFeed,
    picture: Picture,
}

impl Mirror {
    /// Opens the wanted camera, or lets go of the one before.
    pub(super) fn follow(
        mirror: &mut Option<Self>,
        wanted: Option<(Option<String>, CameraQuality)>,
        sources: &OwnSources,
        links: &BeautyLinks,
        beauty: Beauty,
    ) {
        if mirror.as_ref().map(|mirror| &mirror.of) == wanted.as_ref() {
            return;
        }
        // The one before is closed first: the same device may be wanted again.
        *mirror = None;
        let Some(of) = wanted else { return };
        let Ok(stream) = StreamId::new(STREAM) else { return };
        let camera = sources.camera(of.0.as_deref(), of.1.format());
        let camera = Box::new(BeautySource::new(camera, links.open(&stream, beauty)));
        match Preview::start(camera) {
            Ok((preview, feed)) => *mirror = Some(Self { of, preview, feed, picture: Picture::default() }),
            Err(error) => warn!(%error, "no thread to look at the camera on"),
        }
    }

    /// Takes the newest picture.
    pub(super) fn take(&mut self, ctx: &egui::Context) {
        self.picture.settle();
        let Some(frame) = self.feed.take() else { return };
        match image_of(&frame) {
            Ok(image) => self.picture.put(ctx, image),
            Err(error) => warn!(%error, "a picture of the camera cannot be shown"),
        }
    }

    /// What it shows.
    pub(super) fn picture(&self) -> &Picture {
        &self.picture
    }

    /// How the camera does.
    pub(super) fn device(&self) -> DeviceUse {
        self.preview.device()
    }
}
