//! Names and initials as small coverage textures, drawn once when a face is made. Shaping, direction and the choice of
//! fonts are `cosmic-text`'s; the fonts are the two that are part of the binary and whatever the system has. CPU, main
//! thread, about a millisecond for a new name.

use std::sync::{LazyLock, Mutex, PoisonError};

use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::tasks::AsyncComputeTaskPool;
use cosmic_text::{
    Attrs, Buffer, Color, Ellipsize, EllipsizeHeightLimit, Family, FontSystem, Metrics, Shaping, SwashCache, Weight,
    Wrap,
};
use wgpu::{Extent3d, TextureDimension, TextureFormat};

use super::material::plane_sampler;
use crate::model::limits::CHAT_MAX_BYTES;
use crate::model::text;

/// Width of a label texture in pixels.
pub const LABEL_WIDTH_PX: u32 = 512;
/// Height of a label texture: the name above (64), the initials below (128).
pub const LABEL_HEIGHT_PX: u32 = 192;
const NAME: Line = Line { top: 0, height: 64, size: 46.0, left: 8 };
const INITIALS: Line = Line { top: 64, height: 128, size: 96.0, left: 4 };
/// Characters of a name that are shaped at all; what is too wide ends in an ellipsis.
const NAME_MAX_CHARS: usize = 64;
/// And of any other line: as much as anybody may write. Its room is what it ends at.
const LINE_MAX_CHARS: usize = CHAT_MAX_BYTES;
/// Lines of a paragraph that are drawn at most.
const MAX_LINES: u32 = 24;
/// From line to line, as a share of the size of the letters.
const LINE_SPACING: f32 = 1.4;
/// Glyph pictures are dropped when so many different characters were drawn.
const CACHED_GLYPHS: usize = 4096;

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

/// Rows of the label that a line of text has for itself, its font size and where it begins; in pixels.
#[derive(Clone, Copy, Debug)]
struct Line {
    top: u32,
    height: u32,
    size: f32,
    left: u32,
}

/// One line of text as a picture of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Lettering {
    /// Coverage, `width` x `height`, row by row.
    pub pixels: Vec<u8>,
    /// In pixels: as wide as the text.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// The fonts and their glyphs: one for the whole program, as fonts are found once.
struct Fonts {
    system: FontSystem,
    glyphs: SwashCache,
}

static FONTS: LazyLock<Mutex<Fonts>> = LazyLock::new(|| {
    let mut system = FontSystem::new();
    // The system may have no fonts at all.
    system.db_mut().load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    system.db_mut().load_font_data(epaint_default_fonts::NOTO_EMOJI_REGULAR.to_vec());
    Mutex::new(Fonts { system, glyphs: SwashCache::new() })
});

/// Finds the system's fonts, beside the first frames.
pub(super) fn find_fonts() {
    AsyncComputeTaskPool::get().spawn(async { LazyLock::force(&FONTS) }).detach();
}

impl Label {
    /// Draws a name and its initials.
    pub fn draw(name: &str, initials: &str) -> Self {
        let mut label =
            Self { pixels: vec![0; (LABEL_WIDTH_PX * LABEL_HEIGHT_PX) as usize], name_px: 0.0, initials_px: 0.0 };
        let mut fonts = FONTS.lock().unwrap_or_else(PoisonError::into_inner);
        label.name_px = label.line(&mut fonts, &presentable(name), NAME);
        label.initials_px = label.line(&mut fonts, &presentable(initials), INITIALS);
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

    /// Draws one line, centred upright in its rows; returns its width.
    fn line(&mut self, fonts: &mut Fonts, text: &str, line: Line) -> f32 {
        fonts.write(text, line, LABEL_WIDTH_PX - 2 * line.left, |x, y, coverage| self.ink(line, x, y, coverage))
    }

    /// Darkens one pixel, if it belongs to the line's rows.
    fn ink(&mut self, line: Line, x: i32, y: i32, coverage: u8) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if x < LABEL_WIDTH_PX && (line.top..line.top + line.height).contains(&y) {
            let pixel = &mut self.pixels[(y * LABEL_WIDTH_PX + x) as usize];
            *pixel = (*pixel).max(coverage);
        }
    }
}

impl Lettering {
    /// Draws a text in letters of this size; one that needs more room ends in an ellipsis.
    pub fn draw(text: &str, size_px: f32, room_px: u32) -> Self {
        let room = room_px.clamp(1, 4096);
        let size = size_px.clamp(4.0, 256.0);
        let height = (size * LINE_SPACING).ceil() as u32;
        let mut pixels = vec![0; (room * height) as usize];
        let mut fonts = FONTS.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line { top: 0, height, size, left: 0 };
        let text = text::one_line(text, LINE_MAX_CHARS);
        let wide = fonts.write(&text, line, room, |x, y, coverage| {
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
            if x < room && y < height {
                let pixel = &mut pixels[(y * room + x) as usize];
                *pixel = coverage.max(*pixel);
            }
        });
        // What leans over the last letter's edge belongs to it.
        let width = (wide.ceil() as u32 + 1).clamp(1, room);
        let pixels = pixels.chunks(room as usize).flat_map(|row| &row[..width as usize]).copied().collect();
        Self { pixels, width, height }
    }

    /// Draws a text in as many lines of this width as it needs; what runs from right to left begins at the right.
    pub fn paragraph(text: &str, size_px: f32, width_px: u32) -> Self {
        let (width, size) = (width_px.clamp(1, 4096), size_px.clamp(4.0, 256.0));
        let line_px = (size * LINE_SPACING).ceil();
        let mut fonts = FONTS.lock().unwrap_or_else(PoisonError::into_inner);
        let Fonts { system, glyphs } = &mut *fonts;
        let mut buffer = Buffer::new(system, Metrics::new(size, line_px));
        buffer.set_wrap(Wrap::WordOrGlyph);
        buffer.set_size(Some(width as f32), None);
        buffer.set_text(text, &attributes(), Shaping::Advanced, None);
        buffer.shape_until_scroll(system, false);
        let lines = (buffer.layout_runs().count() as u32).clamp(1, MAX_LINES);
        let height = lines * line_px as u32;
        let mut pixels = vec![0; (width * height) as usize];
        for run in buffer.layout_runs().take(lines as usize) {
            for glyph in run.glyphs {
                let physical = glyph.physical((0.0, run.line_y), 1.0);
                glyphs.with_pixels(system, physical.cache_key, Color::rgb(255, 255, 255), |x, y, colour| {
                    let place = (u32::try_from(physical.x + x), u32::try_from(physical.y + y));
                    if let (Ok(x), Ok(y)) = place
                        && x < width
                        && y < height
                    {
                        let pixel = &mut pixels[(y * width + x) as usize];
                        *pixel = coverage(colour).max(*pixel);
                    }
                });
            }
        }
        Self { pixels, width, height }
    }
}

/// The system's fonts that have what this program's own lack, each with its number in its file: for those who set text
/// themselves. Takes as long as finding fonts does: call it beside the frames.
pub fn further_fonts() -> Vec<(Vec<u8>, u32)> {
    // Chinese, Japanese, Korean, Greek and Cyrillic, Hebrew, Arabic, Thai, Devanagari.
    const SAMPLES: [&str; 8] = ["中", "あ", "한", "Ωж", "א", "ا", "ก", "अ"];
    let mut fonts = FONTS.lock().unwrap_or_else(PoisonError::into_inner);
    let system = &mut fonts.system;
    let mut found: Vec<cosmic_text::fontdb::ID> = Vec::new();
    for sample in SAMPLES {
        let mut buffer = Buffer::new(system, Metrics::new(16.0, 20.0));
        buffer.set_text(sample, &attributes(), Shaping::Advanced, None);
        buffer.shape_until_scroll(system, false);
        let glyphs =
            buffer.layout_runs().flat_map(|run| run.glyphs.iter()).map(|glyph| (glyph.font_id, glyph.glyph_id));
        // Glyph 0 is the box of a font that has no such letter.
        let of_system: Vec<_> = glyphs.filter(|(_, glyph)| *glyph != 0).map(|(font, _)| font).collect();
        found.extend(of_system.first().filter(|id| !found.contains(id)).copied());
    }
    found.into_iter().filter_map(|id| system.db().with_face_data(id, |data, index| (data.to_vec(), index))).collect()
}

fn attributes() -> Attrs<'static> {
    Attrs::new().family(Family::Name("Ubuntu")).weight(Weight::LIGHT)
}

impl Fonts {
    /// Shapes one line of at most `room` pixels and gives each inked pixel; returns its width.
    fn write(&mut self, text: &str, line: Line, room: u32, mut ink: impl FnMut(i32, i32, u8)) -> f32 {
        if text.is_empty() {
            return 0.0;
        }
        let Self { system, glyphs } = self;
        if glyphs.image_cache.len() > CACHED_GLYPHS {
            *glyphs = SwashCache::new();
        }
        let mut buffer = Buffer::new(system, Metrics::new(line.size, line.height as f32));
        buffer.set_wrap(Wrap::None);
        buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(1)));
        buffer.set_size(Some(room as f32), Some(line.height as f32));
        buffer.set_text(text, &attributes(), Shaping::Advanced, None);
        buffer.shape_until_scroll(system, false);
        let mut width = 0.0_f32;
        for run in buffer.layout_runs().take(1) {
            // Text from right to left ends at the right edge of its room: it is drawn from the left like any other.
            let begin = run.glyphs.iter().map(|glyph| glyph.x).fold(f32::INFINITY, f32::min);
            let end = run.glyphs.iter().map(|glyph| glyph.x + glyph.w).fold(f32::NEG_INFINITY, f32::max);
            if !(begin.is_finite() && end.is_finite()) {
                continue;
            }
            width = (end - begin).clamp(0.0, room as f32);
            for glyph in run.glyphs {
                let origin = (line.left as f32 - begin, line.top as f32 + run.line_y);
                let physical = glyph.physical(origin, 1.0);
                glyphs.with_pixels(system, physical.cache_key, Color::rgb(255, 255, 255), |x, y, colour| {
                    ink(physical.x + x, physical.y + y, coverage(colour));
                });
            }
        }
        width
    }
}

/// A label has one colour: coloured glyphs, as some emoji are, show their brightness.
fn coverage(colour: Color) -> u8 {
    let [r, g, b, a] = colour.as_rgba().map(u32::from);
    let bright = (54 * r + 183 * g + 19 * b) / 256;
    (a * (96 + bright * 159 / 255) / 255).min(255) as u8
}

/// What of a name is drawn.
fn presentable(name: &str) -> String {
    text::one_line(name, NAME_MAX_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(label: &Label, rows: std::ops::Range<u32>) -> usize {
        let from = (rows.start * LABEL_WIDTH_PX) as usize;
        let to = (rows.end * LABEL_WIDTH_PX) as usize;
        label.pixels[from..to].iter().filter(|p| **p > 128).count()
    }

    /// The columns of the name that have ink, from the first to the last.
    fn columns(label: &Label) -> std::ops::Range<u32> {
        let inked = |x: &u32| (0..64).any(|y| label.pixels[(y * LABEL_WIDTH_PX + x) as usize] > 128);
        let first = (0..LABEL_WIDTH_PX).find(inked).unwrap();
        first..(0..LABEL_WIDTH_PX).rfind(inked).unwrap() + 1
    }

    #[test]
    fn name_and_initials_are_drawn_in_their_own_rows() {
        let label = Label::draw("Ada", "A");
        assert!(ink(&label, 0..64) > 100, "the name is there");
        assert!(ink(&label, 64..192) > 200, "the initial is there");
        assert_eq!(ink(&Label::draw("", "A"), 0..64), 0, "and nothing without a name");
        assert!(Label::draw("Adalbert", "A").name_px > label.name_px);
        let drawn = columns(&label);
        assert!(
            drawn.start >= 6 && (drawn.len() as f32 - label.name_px).abs() < 8.0,
            "{drawn:?} for {}",
            label.name_px
        );
    }

    #[test]
    fn very_long_names_end_in_an_ellipsis_inside() {
        let long = Label::draw(&"W".repeat(255), "WW");
        assert!(long.name_px <= LABEL_WIDTH_PX as f32 - 16.0 && long.name_px > 400.0, "{}", long.name_px);
        assert!(columns(&long).end <= LABEL_WIDTH_PX - 4);
        let row = |label: &Label| label.pixels[..(40 * LABEL_WIDTH_PX) as usize].to_vec();
        assert_ne!(row(&long), row(&Label::draw(&"W".repeat(9), "WW")), "it is not merely cut");
    }

    #[test]
    fn every_script_has_letters_of_its_own() {
        // A font without a letter draws the same box for each.
        let scripts = [
            ("Ελένη", "Άννα Β"),
            ("Łukasz", "Jürgen"),
            ("Дарья", "Олег И"),
            ("שרה", "דוד"),
            ("محمد", "فاطمة"),
            ("王小明", "李大龙"),
        ];
        for (one, other) in scripts {
            let (one_drawn, other_drawn) = (Label::draw(one, "X"), Label::draw(other, "X"));
            assert!(ink(&one_drawn, 0..64) > 60, "{one} leaves no ink");
            assert_ne!(one_drawn.pixels, other_drawn.pixels, "{one} and {other} look alike");
        }
        let (a, b) = (Label::draw("王王", "X"), Label::draw("李李", "X"));
        assert_ne!(a.pixels, b.pixels, "no font with Chinese letters: see .ci/deps");
        let joined = Label::draw("محمد", "X").name_px;
        let apart: f32 = ["م", "ح", "م", "د"].iter().map(|letter| Label::draw(letter, "X").name_px).sum();
        assert!(joined < apart - 1.0, "Arabic letters join: {joined} px instead of {apart}");
        assert!(ink(&Label::draw("🦊", "🦊"), 0..64) > 60, "emoji are drawn");
    }

    #[test]
    fn text_from_right_to_left_begins_at_the_same_edge() {
        let drawn = columns(&Label::draw("שלום", "X"));
        assert!((6..24).contains(&drawn.start), "{drawn:?}");
    }

    #[test]
    fn a_line_is_as_wide_as_its_text_and_never_wider_than_its_room() {
        let short = Lettering::draw("محمد", 15.0, 200);
        assert!((10..60).contains(&short.width) && short.height == 21, "{} x {}", short.width, short.height);
        assert!(short.pixels.iter().any(|p| *p > 128) && short.pixels.len() == (short.width * short.height) as usize);
        let long = Lettering::draw(&"W".repeat(60), 15.0, 120);
        assert!((100..=120).contains(&long.width), "{}", long.width);
        // A sentence is no name: only its room ends it.
        let widths = [60, 100, 2000].map(|count| Lettering::draw(&"i".repeat(count), 15.0, 4000).width);
        assert!(widths[0] * 3 < widths[1] * 2 && widths[1] * 9 < widths[2], "{widths:?}");
        let nothing = Lettering::draw("", 15.0, 0);
        assert!(nothing.width == 1 && nothing.pixels.iter().all(|p| *p == 0));
    }

    #[test]
    fn pranks_are_taken_out() {
        assert_eq!(presentable("a\u{7}b\n"), "ab");
        assert_eq!(presentable("\u{202e}ab\u{2066}"), "ab", "no turning around of what follows");
        assert_eq!(presentable(&format!("z{}", "\u{311}".repeat(200))).chars().count(), 4);
        assert_eq!(presentable("e\u{301}"), "e\u{301}", "an accent is no prank");
        assert_eq!(presentable(&"x".repeat(255)).chars().count(), NAME_MAX_CHARS);
    }

    #[test]
    fn a_name_from_right_to_left_stays_where_it_stands_in_a_sentence() {
        let draw = |text: &str| Lettering::draw(text, 32.0, 600);
        let name = draw("محمد");
        let sentence = draw(&format!("{} came in", text::in_sentence("محمد")));
        assert!(sentence.width > name.width + 40 && sentence.height == name.height);
        // The sentence begins with the name, and what isolates it is not seen.
        let at = |drawn: &Lettering, x: u32, y: u32| drawn.pixels[(y * drawn.width + x) as usize];
        let all = || (0..name.height).flat_map(|y| (0..name.width - 2).map(move |x| (x, y)));
        let ink = all().filter(|(x, y)| at(&name, *x, *y) > 128).count();
        // It may begin a part of a pixel farther right.
        let unlike =
            |by: u32| all().filter(|(x, y)| at(&name, *x, *y).abs_diff(at(&sentence, x + by, *y)) > 96).count();
        let least = (0..3).map(unlike).min().unwrap();
        assert!(least * 8 < ink, "{least} pixels are unlike, of {ink}");
    }
}
