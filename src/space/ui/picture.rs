//! Frames as textures of the overlay, for small pictures that nobody but the overlay shows. Main thread.

use bevy_egui::egui::{self, Color32, ColorImage, CornerRadius, Rect, TextureHandle, TextureOptions, pos2, vec2};

use crate::media::{CaptureError, VideoFrame, to_rgba};

/// A frame as an image.
///
/// # Errors
/// [`CaptureError::Format`] when its planes do not fit its size.
pub(super) fn image_of(frame: &VideoFrame) -> Result<ColorImage, CaptureError> {
    Ok(opaque([frame.width() as usize, frame.height() as usize], &to_rgba(frame)?))
}

/// An image of opaque R G B A; black where bytes are missing.
pub(super) fn opaque(size: [usize; 2], rgba: &[u8]) -> ColorImage {
    let mut pixels: Vec<Color32> =
        rgba.chunks_exact(4).map(|pixel| Color32::from_rgb(pixel[0], pixel[1], pixel[2])).collect();
    pixels.resize(size[0] * size[1], Color32::BLACK);
    ColorImage::new(size, pixels)
}

/// A texture that changes. A new image can be drawn from the next frame on: the one before is drawn meanwhile.
#[derive(Default)]
pub(super) struct Picture {
    shown: Option<TextureHandle>,
    coming: Option<TextureHandle>,
}

impl Picture {
    /// Shows another image from the next frame on.
    pub(super) fn put(&mut self, ctx: &egui::Context, image: ColorImage) {
        self.coming = Some(ctx.load_texture("picture", image, TextureOptions::LINEAR));
    }

    /// To be called once in every frame, before [`Picture::put`]: what came in the last one is there now.
    pub(super) fn settle(&mut self) {
        if let Some(coming) = self.coming.take() {
            self.shown = Some(coming);
        }
    }

    /// Whether there is anything to draw.
    #[cfg(test)]
    pub(super) fn is_there(&self) -> bool {
        self.shown.is_some()
    }

    /// Draws it in the middle of a place, as large as it fits; whether there is anything to draw.
    pub(super) fn draw(&self, painter: &egui::Painter, place: Rect, mirrored: bool) -> bool {
        let Some(texture) = &self.shown else { return false };
        let size = texture.size_vec2();
        let scale = (place.width() / size.x).min(place.height() / size.y);
        let rect = Rect::from_center_size(place.center(), vec2(size.x * scale, size.y * scale));
        let (left, right) = if mirrored { (1.0, 0.0) } else { (0.0, 1.0) };
        let whole = Rect { min: pos2(left, 0.0), max: pos2(right, 1.0) };
        let picture = egui::epaint::RectShape::filled(rect, CornerRadius::same(6), Color32::WHITE);
        painter.add(picture.with_texture(texture.id(), whole));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_before_is_drawn_until_the_next_is_there() {
        let ctx = egui::Context::default();
        let image = |side| ColorImage::new([side, 1], vec![Color32::RED; side]);
        let wide = |picture: &Picture| picture.shown.as_ref().map(|texture| texture.size()[0]);
        let mut picture = Picture::default();
        picture.put(&ctx, image(1));
        assert_eq!(wide(&picture), None);
        picture.settle();
        assert_eq!(wide(&picture), Some(1));
        picture.put(&ctx, image(2));
        assert_eq!(wide(&picture), Some(1));
        picture.settle();
        picture.settle();
        assert_eq!(wide(&picture), Some(2));
        assert_eq!(opaque([2, 1], &[1, 2, 3, 255]).pixels, [Color32::from_rgb(1, 2, 3), Color32::BLACK]);
    }
}
