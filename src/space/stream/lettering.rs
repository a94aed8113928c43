//! Names and initials as small coverage textures, drawn once when a face is made. CPU, main thread, well below a
//! millisecond: only glyph boxes are touched.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use wgpu::{Extent3d, TextureDimension, TextureFormat};

use super::material::plane_sampler;

/// Width of a label texture in pixels.
pub const LABEL_WIDTH_PX: u32 = 512;
/// Height of a label texture: the name above (64), the initials below (128).
pub const LABEL_HEIGHT_PX: u32 = 192;
const NAME_HEIGHT_PX: f32 = 64.0;
const INITIALS_PX: f32 = 128.0;
/// Characters of a name that are drawn; longer ones end in an ellipsis.
const NAME_MAX_CHARS: usize = 28;

/// A drawn label.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Coverage, `LABEL_WIDTH_PX` x `LABEL_HEIGHT_PX`, row by row.
    pub pixels: Vec<u8>,
    /// Width of the name in pixels.
    pub name_px: f32,
    /// Width of the initials in pixels.
    pub initials_px: f32,
}

impl Label {
    /// Draws a name and its initials.
    pub fn draw(name: &str, initials: &str) -> Self {
        let mut label =
            Self { pixels: vec![0; (LABEL_WIDTH_PX * LABEL_HEIGHT_PX) as usize], name_px: 0.0, initials_px: 0.0 };
        // The font is part of the binary; should it ever not parse, faces go without text rather than the call
        // without faces.
        let Ok(font) = FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT) else {
            error_once!("the built-in font cannot be read: faces show no names");
            return label;
        };
        let name = shorten(name);
        label.name_px = label.line(&font, &name, 46.0, 8.0, 0.0, NAME_HEIGHT_PX, LABEL_WIDTH_PX as f32 - 16.0);
        label.initials_px =
            label.line(&font, initials, 96.0, 4.0, NAME_HEIGHT_PX, INITIALS_PX, LABEL_WIDTH_PX as f32 - 8.0);
        label
    }

    /// The label as a texture.
    pub fn into_image(self) -> Image {
        let size = Extent3d { width: LABEL_WIDTH_PX, height: LABEL_HEIGHT_PX, depth_or_array_layers: 1 };
        let mut image = Image::new(
            size,
            TextureDimension::D2,
            self.pixels,
            TextureFormat::R8Unorm,
            RenderAssetUsages::RENDER_WORLD,
        );
        image.sampler = plane_sampler();
        image
    }

    /// Draws one line from `left`, vertically centred between `top` and `top + height`; returns its width. A line
    /// wider than `room` is drawn smaller.
    #[expect(clippy::too_many_arguments, reason = "a line of text has this many parts")]
    fn line(&mut self, font: &FontRef<'_>, text: &str, size: f32, left: f32, top: f32, height: f32, room: f32) -> f32 {
        let natural = width_of(font, text, size);
        let size = if natural > room { size * room / natural } else { size };
        let scaled = font.as_scaled(PxScale::from(size));
        let baseline = top + (height + scaled.ascent() + scaled.descent()) * 0.5;
        let mut x = left;
        let mut last = None;
        for character in text.chars() {
            let id = scaled.glyph_id(character);
            if let Some(last) = last {
                x += scaled.kern(last, id);
            }
            let glyph = id.with_scale_and_position(PxScale::from(size), point(x, baseline));
            x += scaled.h_advance(id);
            last = Some(id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            outline.draw(|dx, dy, coverage| {
                let (px, py) = (bounds.min.x as i32 + dx as i32, bounds.min.y as i32 + dy as i32);
                let inside =
                    (0..LABEL_WIDTH_PX as i32).contains(&px) && (top as i32..(top + height) as i32).contains(&py);
                if inside {
                    let pixel = &mut self.pixels[(py as u32 * LABEL_WIDTH_PX + px as u32) as usize];
                    *pixel = (*pixel).max((coverage.clamp(0.0, 1.0) * 255.0) as u8);
                }
            });
        }
        x - left
    }
}

fn width_of(font: &FontRef<'_>, text: &str, size: f32) -> f32 {
    let scaled = font.as_scaled(PxScale::from(size));
    text.chars().map(|character| scaled.h_advance(scaled.glyph_id(character))).sum()
}

fn shorten(name: &str) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    if clean.chars().count() <= NAME_MAX_CHARS {
        return clean;
    }
    clean.chars().take(NAME_MAX_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(label: &Label, rows: std::ops::Range<u32>) -> usize {
        let from = (rows.start * LABEL_WIDTH_PX) as usize;
        let to = (rows.end * LABEL_WIDTH_PX) as usize;
        label.pixels[from..to].iter().filter(|p| **p > 128).count()
    }

    #[test]
    fn name_and_initials_are_drawn_in_their_own_rows() {
        let label = Label::draw("Ada", "A");
        assert!(ink(&label, 0..64) > 100, "the name is there");
        assert!(ink(&label, 64..192) > 200, "the initial is there");
        assert!(ink(&Label::draw("", "A"), 0..64) == 0, "and nothing without a name");
        assert!(Label::draw("Adalbert", "A").name_px > label.name_px);
    }

    #[test]
    fn very_long_names_stay_inside() {
        let label = Label::draw(&"W".repeat(200), "WW");
        assert!(label.name_px <= LABEL_WIDTH_PX as f32);
        assert_eq!(shorten(&"x".repeat(99)).chars().count(), NAME_MAX_CHARS);
        assert_eq!(shorten("a\u{7}b"), "ab");
    }
}
