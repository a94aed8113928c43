//! The pictures in the pane as textures: small ones of everything, and the preview. Main thread.

use std::collections::HashMap;

use bevy_egui::egui::{self, Color32, ColorImage, CornerRadius, Rect, TextureHandle, TextureOptions, pos2, vec2};

use crate::media::{CaptureError, VideoFrame, to_rgba};
use crate::space::sharing::ShareOffer;

/// Small pictures made into textures in one frame: each takes a fraction of a millisecond, and there may be hundreds.
const THUMBNAILS_PER_FRAME: usize = 4;

/// What the pane shows besides text.
#[derive(Default)]
pub(super) struct Pictures {
    thumbnails: HashMap<String, TextureHandle>,
    /// The look at what there is of which they are, and how many of it are done.
    of_number: u32,
    done: usize,
    /// Of what the preview is.
    source: Option<String>,
    preview: Option<TextureHandle>,
    trouble: Option<CaptureError>,
}

impl Pictures {
    /// The small picture of one.
    pub(super) fn thumbnail(&self, id: &str) -> Option<&TextureHandle> {
        self.thumbnails.get(id)
    }

    /// The chosen one.
    pub(super) fn preview(&self) -> Option<&TextureHandle> {
        self.preview.as_ref()
    }

    /// Why it cannot be seen now.
    pub(super) fn trouble(&self) -> Option<&CaptureError> {
        self.trouble.as_ref()
    }

    /// Takes what was newly seen.
    pub(super) fn follow(&mut self, ctx: &egui::Context, offer: &ShareOffer, source: Option<&str>) {
        if self.source.as_deref() != source {
            (self.source, self.preview, self.trouble) = (source.map(str::to_owned), None, None);
        }
        match offer.take_preview().map(|seen| seen.and_then(|frame| image_of(&frame))) {
            Some(Ok(image)) => {
                show(ctx, &mut self.preview, image);
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
            let mut texture = self.thumbnails.remove(&info.id);
            show(ctx, &mut texture, opaque(size, &small.rgba));
            self.thumbnails.extend(texture.map(|texture| (info.id.clone(), texture)));
        }
    }
}

fn image_of(frame: &VideoFrame) -> Result<ColorImage, CaptureError> {
    Ok(opaque([frame.width() as usize, frame.height() as usize], &to_rgba(frame)?))
}

/// An image of opaque R G B A; black where bytes are missing.
fn opaque(size: [usize; 2], rgba: &[u8]) -> ColorImage {
    let mut pixels: Vec<Color32> =
        rgba.chunks_exact(4).map(|pixel| Color32::from_rgb(pixel[0], pixel[1], pixel[2])).collect();
    pixels.resize(size[0] * size[1], Color32::BLACK);
    ColorImage::new(size, pixels)
}

/// Puts an image into a texture, a new one where there is none.
fn show(ctx: &egui::Context, texture: &mut Option<TextureHandle>, image: ColorImage) {
    match texture {
        Some(texture) => texture.set(image, TextureOptions::LINEAR),
        None => *texture = Some(ctx.load_texture("share", image, TextureOptions::LINEAR)),
    }
}

/// Draws a picture in the middle of a place, as large as it fits.
pub(super) fn draw(painter: &egui::Painter, place: Rect, texture: &TextureHandle) {
    let size = texture.size_vec2();
    let scale = (place.width() / size.x).min(place.height() / size.y);
    let rect = Rect::from_center_size(place.center(), vec2(size.x * scale, size.y * scale));
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let picture = egui::epaint::RectShape::filled(rect, CornerRadius::same(6), Color32::WHITE);
    painter.add(picture.with_texture(texture.id(), whole));
}
