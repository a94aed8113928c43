//! The running clock that generated pictures carry.

use super::paint::{Canvas, Colour, Rect};
use super::stage::Stage;
use super::text::Type;

/// Where the clock stands, and in which type.
#[derive(Debug)]
pub(super) struct Clock {
    face: Type,
    left: f32,
    baseline: f32,
    rect: Rect,
    colour: Colour,
}

impl Clock {
    /// A light clock whose text starts at (left, baseline).
    pub fn new(face: Type, left: f32, baseline: f32, canvas: &Canvas) -> Self {
        let size = face.size_px;
        let (top, bottom) = (baseline - size, baseline + size * 0.3);
        let right = left + face.width("00:00:00.000") + 2.0;
        let rect = Rect::around(left - 2.0, top, right, bottom, canvas.width(), canvas.height());
        Self { face, left, baseline, rect, colour: Colour::hex(0xF3_E9_DC) }
    }

    /// The same in another colour.
    pub fn coloured(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    /// Paints the time over the scene at rest.
    pub fn paint(&self, stage: &mut Stage, planes: &mut [u8], text: &str) {
        stage.patch(planes, self.rect, |canvas| {
            self.face.draw(canvas, self.left, self.baseline, text, self.colour);
        });
    }
}

/// `HH:MM:SS.mmm`, UTC.
pub(super) fn clock_text(unix_ms: u64) -> String {
    let (ms, secs) = (unix_ms % 1000, unix_ms / 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", secs / 3600 % 24, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_reads_utc() {
        assert_eq!(clock_text(1_789_999_999_042), "14:13:19.042");
        assert_eq!(clock_text(86_400_000), "00:00:00.000");
    }
}
