//! The pictures in the pane as textures: small ones of everything, and the preview. Main thread.

use std::collections::HashMap;

use bevy_egui::egui;

use crate::media::CaptureError;
use crate::space::sharing::ShareOffer;
use crate::space::ui::picture::{Picture, image_of, opaque};

/// Small pictures made into textures in one frame: each takes a fraction of a millisecond, and there may be hundreds.
const THUMBNAILS_PER_FRAME: usize = 4;

/// What the pane shows besides text.
#[derive(Default)]
pub(super) struct Pictures {
    thumbnails: HashMap<String, Picture>,
    /// The look at what there is of which they are, and how many of it are done.
    of_number: u32,
    done: usize,
    /// Of what the preview is.
    source: Option<String>,
    preview: Picture,
    trouble: Option<CaptureError>,
}

impl Pictures {
    /// The small picture of one.
    pub(super) fn thumbnail(&self, id: &str) -> Option<&Picture> {
        self.thumbnails.get(id)
    }

    /// The chosen one.
    pub(super) fn preview(&self) -> &Picture {
        &self.preview
    }

    /// Why it cannot be seen now.
    pub(super) fn trouble(&self) -> Option<&CaptureError> {
        self.trouble.as_ref()
    }

    /// Takes what was newly seen.
    pub(super) fn follow(&mut self, ctx: &egui::Context, offer: &ShareOffer, source: Option<&str>) {
        if self.source.as_deref() != source {
            (self.source, self.preview, self.trouble) = (source.map(str::to_owned), Picture::default(), None);
        }
        self.preview.settle();
        self.thumbnails.values_mut().for_each(Picture::settle);
        match offer.take_preview().map(|seen| seen.and_then(|frame| image_of(&frame))) {
            Some(Ok(image)) => {
                self.preview.put(ctx, image);
                self.trouble = None;
            }
            Some(Err(error)) => self.trouble = Some(error),
            None => {}
        }
        let Some(Ok(screens)) = offer.screens() else { return };
        if self.of_number != offer.number() {
            (self.of_number, self.done) = (offer.number(), 0);
            self.thumbnails.retain(|id, _| offer.find(id).is_some_and(|info| info.thumbnail.is_some()));
        }
        for info in screens.iter().skip(self.done).take(THUMBNAILS_PER_FRAME) {
            self.done += 1;
            let Some(small) = &info.thumbnail else { continue };
            let size = [small.width as usize, small.height as usize];
            self.thumbnails.entry(info.id.clone()).or_default().put(ctx, opaque(size, &small.rgba));
        }
    }
}
