//! Pictures of the room, as the viewer sees it, overlay included: from the window or from the off-screen image. Asked
//! for by message, answered by message one or a few frames later.

use bevy::camera::RenderTarget;
use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};

use super::schedule::SpaceSystems;
use super::view::OffscreenView;

/// Asks for a picture. The answer carries the same tag.
#[derive(Message, Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureRequest {
    /// Told back with the picture.
    pub tag: u64,
}

/// A picture of the room.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct PictureTaken {
    /// As in the request.
    pub tag: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// RGBA, 8 bits each, sRGB, row by row from the top; alpha is 255.
    pub rgba: Vec<u8>,
}

/// Why a picture could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The PNG encoder refused.
    #[error("the picture could not be encoded: {0}")]
    Encode(#[from] png::EncodingError),
}

impl PictureTaken {
    /// The picture as a PNG file.
    ///
    /// # Errors
    /// [`PictureError`] when the buffer does not fit the size.
    pub fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgba)?;
        writer.finish()?;
        Ok(bytes)
    }
}

#[derive(Component)]
struct Tag(u64);

/// Takes pictures on request.
pub struct PicturePlugin;

impl Plugin for PicturePlugin {
    fn build(&self, app: &mut App) {
        app.add_message::<PictureRequest>()
            .add_message::<PictureTaken>()
            .add_systems(PostUpdate, take_pictures.in_set(SpaceSystems::Present));
    }
}

/// One capture a frame: the renderer takes no two of the same target at once.
fn take_pictures(
    mut commands: Commands,
    mut requests: MessageReader<PictureRequest>,
    mut waiting: Local<std::collections::VecDeque<u64>>,
    running: Query<(), With<Tag>>,
    offscreen: Option<Res<OffscreenView>>,
) {
    waiting.extend(requests.read().map(|request| request.tag));
    if !running.is_empty() {
        return;
    }
    let Some(tag) = waiting.pop_front() else { return };
    let image = |view: Res<OffscreenView>| Screenshot(RenderTarget::Image(view.0.clone()));
    let target = offscreen.map_or_else(Screenshot::primary_window, image);
    commands.spawn((target, Tag(tag))).observe(hand_over);
}

fn hand_over(captured: On<ScreenshotCaptured>, tags: Query<&Tag>, mut taken: MessageWriter<PictureTaken>) {
    let Ok(tag) = tags.get(captured.entity) else { return };
    let image = &captured.image;
    let (width, height) = (image.width(), image.height());
    match image.clone().convert(wgpu::TextureFormat::Rgba8UnormSrgb).and_then(|image| image.data) {
        Some(mut rgba) => {
            rgba.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
            taken.write(PictureTaken { tag: tag.0, width, height, rgba });
        }
        None => error!("the picture of the room came in a format that cannot be read"),
    }
}
