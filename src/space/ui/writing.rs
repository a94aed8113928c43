//! Text that people wrote, in the overlay: egui knows neither every script nor writing from right to left; so it is
//! lettered as the names on the panels are, and drawn as a picture. Main thread.

use std::collections::HashMap;

use bevy_egui::egui::{self, Color32, Pos2, Rect, TextureHandle, TextureOptions, Vec2, pos2, vec2};

use crate::space::stream::Lettering;

/// New texts lettered in one frame: each takes about a millisecond. The others come with the next frames.
const NEW_PER_FRAME: usize = 3;
/// Texts that were not shown for so many frames are forgotten.
const KEPT_FRAMES: u64 = 240;
/// With more pixels than this all but those in view are.
const MOST_PIXELS: f32 = 4_000_000.0;

/// The texts that are shown, as pictures.
#[derive(Default)]
pub(super) struct Writing {
    lines: HashMap<Key, Written>,
    frame: u64,
    lettered: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    text: String,
    /// Size and room in pixels, in tenths.
    size: u32,
    room: u32,
    /// In as many lines as it needs.
    wraps: bool,
}

struct Written {
    picture: TextureHandle,
    size_px: Vec2,
    seen: u64,
}

impl Writing {
    /// Before the first text of a frame.
    pub(super) fn begin(&mut self) {
        self.frame += 1;
        self.lettered = 0;
        let frame = self.frame;
        let area = |line: &Written| line.size_px.x * line.size_px.y;
        let kept = if self.lines.values().map(area).sum::<f32>() > MOST_PIXELS { 2 } else { KEPT_FRAMES };
        self.lines.retain(|_, line| line.seen + kept > frame);
    }

    /// How large a text will be, in points; `None` until its picture is there.
    pub(super) fn measure(&mut self, ctx: &egui::Context, text: &str, size_pt: f32, room_pt: f32) -> Option<Vec2> {
        let scale = ctx.pixels_per_point();
        self.line(ctx, text, size_pt * scale, room_pt * scale, false).map(|line| line.size_px / scale)
    }

    /// Draws a text of this size, its left edge and middle at `at`; what is too long for its room ends in an ellipsis.
    pub(super) fn paint(
        &mut self,
        painter: &egui::Painter,
        at: Pos2,
        text: &str,
        (size_pt, room_pt): (f32, f32),
        colour: Color32,
    ) {
        let scale = painter.ctx().pixels_per_point();
        let Some(line) = self.line(&painter.ctx().clone(), text, size_pt * scale, room_pt * scale, false) else {
            return;
        };
        let size = line.size_px / scale;
        // On whole pixels: letters are drawn as they were lettered.
        let snap = |value: f32| (value * scale).round() / scale;
        let rect = Rect::from_min_size(pos2(snap(at.x), snap(at.y - size.y * 0.5)), size);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        painter.image(line.picture.id(), rect, whole, colour);
    }

    /// Puts a text there in as many lines of this width as it needs; nothing until its picture is there.
    pub(super) fn paragraph(
        &mut self,
        ui: &mut egui::Ui,
        text: &str,
        (size_pt, width_pt): (f32, f32),
        colour: Color32,
    ) {
        let scale = ui.ctx().pixels_per_point();
        let ctx = ui.ctx().clone();
        let Some(line) = self.line(&ctx, text, size_pt * scale, width_pt * scale, true) else { return };
        let image = egui::Image::from_texture((line.picture.id(), line.size_px / scale)).tint(colour);
        ui.add(image.fit_to_original_size(1.0));
    }

    fn line(&mut self, ctx: &egui::Context, text: &str, size_px: f32, room_px: f32, wraps: bool) -> Option<&Written> {
        let tenths = |px: f32| (px.clamp(1.0, 4096.0) * 10.0) as u32;
        let key = Key { text: text.to_owned(), size: tenths(size_px), room: tenths(room_px), wraps };
        if !self.lines.contains_key(&key) {
            if self.lettered >= NEW_PER_FRAME {
                return None;
            }
            self.lettered += 1;
            let draw = if wraps { Lettering::paragraph } else { Lettering::draw };
            let lettering = draw(text, size_px, room_px as u32);
            let size = [lettering.width as usize, lettering.height as usize];
            let pixels = lettering.pixels.iter().map(|coverage| Color32::from_white_alpha(*coverage)).collect();
            let picture = ctx.load_texture("writing", egui::ColorImage::new(size, pixels), TextureOptions::LINEAR);
            let size_px = vec2(size[0] as f32, size[1] as f32);
            self.lines.insert(key.clone(), Written { picture, size_px, seen: self.frame });
        }
        let frame = self.frame;
        let line = self.lines.get_mut(&key)?;
        line.seen = frame;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_texts_come_with_each_frame_and_go_when_they_are_not_shown() {
        let ctx = egui::Context::default();
        let mut writing = Writing::default();
        let names: Vec<String> = (0..7).map(|n| format!("李 {n}")).collect();
        let mut frames = 0;
        loop {
            writing.begin();
            let sizes: Vec<Option<Vec2>> = names.iter().map(|n| writing.measure(&ctx, n, 15.0, 100.0)).collect();
            frames += 1;
            if sizes.iter().all(Option::is_some) {
                assert!(sizes.iter().flatten().all(|size| size.x > 5.0 && size.x <= 100.0 && size.y > 10.0));
                break;
            }
        }
        assert_eq!(frames, 3, "three a frame");
        (0..=KEPT_FRAMES).for_each(|_| writing.begin());
        assert!(writing.lines.is_empty());
    }
}
