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

/// Puts an image into a texture, a new one where there is none.
pub(super) fn put(ctx: &egui::Context, texture: &mut Option<TextureHandle>, image: ColorImage) {
    match texture {
        Some(texture) => texture.set(image, TextureOptions::LINEAR),
        None => *texture = Some(ctx.load_texture("picture", image, TextureOptions::LINEAR)),
    }
}

/// Draws a picture in the middle of a place, as large as it fits.
pub(super) fn draw(painter: &egui::Painter, place: Rect, texture: &TextureHandle, mirrored: bool) {
    let size = texture.size_vec2();
    let scale = (place.width() / size.x).min(place.height() / size.y);
    let rect = Rect::from_center_size(place.center(), vec2(size.x * scale, size.y * scale));
    let (left, right) = if mirrored { (1.0, 0.0) } else { (0.0, 1.0) };
    let whole = Rect { min: pos2(left, 0.0), max: pos2(right, 1.0) };
    let picture = egui::epaint::RectShape::filled(rect, CornerRadius::same(6), Color32::WHITE);
    painter.add(picture.with_texture(texture.id(), whole));
}
