//! Lines of type on a canvas, from the two typefaces that travel in the binary.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

use super::paint::{Canvas, Colour};

/// Which typeface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// Ubuntu Light: names and running text.
    Text,
    /// Hack: clocks and code; every character equally wide.
    Mono,
}

static TEXT: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).ok());
static MONO: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR).ok());

fn font(face: Face) -> Option<&'static FontRef<'static>> {
    match face {
        Face::Text => TEXT.as_ref(),
        Face::Mono => MONO.as_ref(),
    }
}

/// One size of one typeface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    /// The typeface.
    pub face: Face,
    /// Height from ascender to descender, in pixels.
    pub size_px: f32,
}

impl Type {
    /// Lays glyphs on a baseline starting at (0, 0); returns them with the width of the line in pixels.
    fn lay(self, text: &str) -> (Vec<Glyph>, f32) {
        let Some(font) = font(self.face) else { return (Vec::new(), 0.0) };
        let scaled = font.as_scaled(PxScale::from(self.size_px));
        let mut glyphs = Vec::with_capacity(text.len());
        let (mut x, mut last) = (0.0, None);
        for letter in text.chars() {
            let mut id = scaled.glyph_id(letter);
            if id.0 == 0 {
                id = scaled.glyph_id('\u{b7}');
            }
            if let Some(last) = last {
                x += scaled.kern(last, id);
            }
            glyphs.push(id.with_scale_and_position(PxScale::from(self.size_px), point(x, 0.0)));
            x += scaled.h_advance(id);
            last = Some(id);
        }
        (glyphs, x)
    }

    /// Width of a line in pixels.
    pub fn width(self, text: &str) -> f32 {
        self.lay(text).1
    }

    /// Draws a line whose baseline starts at (x, baseline); returns where it ends.
    pub fn draw(self, canvas: &mut Canvas, x: f32, baseline: f32, text: &str, colour: Colour) -> f32 {
        let Some(font) = font(self.face) else { return x };
        let (glyphs, width) = self.lay(text);
        for mut glyph in glyphs {
            glyph.position.x += x;
            glyph.position.y += baseline;
            if let Some(outline) = font.outline_glyph(glyph) {
                let bounds = outline.px_bounds();
                let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
                outline.draw(|gx, gy, coverage| {
                    canvas.blend(left + gx as i32, top + gy as i32, colour, coverage);
                });
            }
        }
        x + width
    }

    /// As much of `text` as fits `max_px`, with an ellipsis where something was cut.
    pub fn fit(self, text: &str, max_px: f32) -> String {
        // No line here is longer than this, whatever the name's length.
        const MOST: usize = 80;
        let mut kept: String = text.chars().filter(|c| !c.is_control()).take(MOST).collect();
        let mut cut = kept.chars().count() == MOST;
        loop {
            let shown = if cut { format!("{}\u{2026}", kept.trim_end()) } else { kept.clone() };
            if self.width(&shown) <= max_px || kept.is_empty() {
                return shown;
            }
            kept.pop();
            cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_typefaces_load_and_measure() {
        let text = Type { face: Face::Text, size_px: 20.0 };
        let mono = Type { face: Face::Mono, size_px: 20.0 };
        assert!(text.width("Rotunda") > 40.0);
        assert_eq!(mono.width("1111"), mono.width("0000"));
    }

    #[test]
    fn long_names_are_cut_to_fit() {
        let face = Type { face: Face::Text, size_px: 20.0 };
        let shown = face.fit(&"Wilhelmina ".repeat(40), 120.0);
        assert!(face.width(&shown) <= 120.0 && shown.ends_with('\u{2026}') && shown.len() > 6, "{shown}");
        assert_eq!(face.fit("Ada", 120.0), "Ada");
    }
}
