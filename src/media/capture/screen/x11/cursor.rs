//! The pointer, drawn over the pixels and taken off again before they are fetched anew.

use std::ops::Range;

use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::ConnectionExt as _;

use super::super::shadow::Shadow;
use super::server::{Fault, Server};

/// Largest pointer that is drawn, in pixels a side: larger ones are no pointers.
const MAX_SIDE_PX: u16 = 256;

/// What the pointer looks like, and where its upper left corner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sprite {
    left: i32,
    top: i32,
    width: u16,
    height: u16,
    /// Premultiplied A R G B from the high byte down.
    pixels: Vec<u32>,
}

/// The pointer's state on one shadow.
#[derive(Default)]
pub(super) struct Pointer {
    drawn: Option<Sprite>,
    /// What lies under the pointer: the rows, and their pixels in full width.
    under: Option<(Range<u32>, Vec<u8>)>,
}

impl Pointer {
    /// Takes the pointer off.
    pub fn lift(&mut self, shadow: &mut Shadow) {
        if let Some((rows, pixels)) = self.under.take() {
            let to = shadow.rows_mut(rows);
            if to.len() == pixels.len() {
                to.copy_from_slice(&pixels);
            }
        }
    }

    /// Forgets it: the shadow is another one.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the pointer would look different from what is drawn.
    pub fn differs(&self, now: Option<&Sprite>) -> bool {
        self.drawn.as_ref() != now
    }

    /// Draws it, after [`Self::lift`].
    pub fn draw(&mut self, shadow: &mut Shadow, sprite: Option<Sprite>) {
        if let Some(sprite) = &sprite {
            let (width, height) = shadow.size();
            let top = sprite.top.clamp(0, height as i32) as u32;
            let bottom = (sprite.top + i32::from(sprite.height)).clamp(0, height as i32) as u32;
            if top < bottom {
                let row = shadow.row_bytes();
                let rows = shadow.rows_mut(top..bottom);
                self.under = Some((top..bottom, rows.to_vec()));
                for (y, row) in rows.chunks_exact_mut(row).enumerate() {
                    blend(sprite, (top as i32 + y as i32 - sprite.top) as usize, row, width as i32);
                }
            }
        }
        self.drawn = sprite;
    }
}

/// One row of the pointer over one row of pixels.
fn blend(sprite: &Sprite, y: usize, row: &mut [u8], width: i32) {
    let line = sprite.pixels.chunks_exact(usize::from(sprite.width)).nth(y).unwrap_or(&[]);
    for (x, pixel) in (sprite.left..).zip(line) {
        if !(0..width).contains(&x) {
            continue;
        }
        let [blue, green, red, alpha] = pixel.to_le_bytes();
        let at = x as usize * 4;
        for (under, over) in row[at..at + 3].iter_mut().zip([blue, green, red]) {
            let kept = u32::from(*under) * (255 - u32::from(alpha)) + 127;
            *under = (u32::from(over) + kept / 255).min(255) as u8;
        }
    }
}

/// The pointer as it is now, seen from a place of the screen; `None` while another window is under it.
pub(super) fn look(server: &Server, origin: (i32, i32), top_level: Option<u32>) -> Result<Option<Sprite>, Fault> {
    if !server.has_xfixes {
        return Ok(None);
    }
    let image = server.conn.xfixes_get_cursor_image()?;
    let place = server.conn.query_pointer(server.root)?;
    let (image, place) = (image.reply()?, place.reply()?);
    let covered = top_level.is_some_and(|window| place.child != window);
    let count = usize::from(image.width) * usize::from(image.height);
    let odd = image.width > MAX_SIDE_PX || image.height > MAX_SIDE_PX || count == 0 || image.cursor_image.len() < count;
    if covered || odd || !place.same_screen {
        return Ok(None);
    }
    let mut pixels = image.cursor_image;
    pixels.truncate(count);
    Ok(Some(Sprite {
        left: i32::from(image.x) - i32::from(image.xhot) - origin.0,
        top: i32::from(image.y) - i32::from(image.yhot) - origin.1,
        width: image.width,
        height: image.height,
        pixels,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma(shadow: &mut Shadow) -> Vec<u8> {
        shadow.frame((64, 64), 0).unwrap().y().to_vec()
    }

    #[test]
    fn the_pointer_is_drawn_at_every_edge_and_leaves_no_trace() {
        let mut shadow = Shadow::new(8, 8).unwrap();
        shadow.rows_mut(0..8).chunks_mut(4).enumerate().for_each(|(i, p)| p.fill(i as u8));
        let clean = luma(&mut shadow);
        let mut pointer = Pointer::default();
        for (left, top, seen) in [(2, 3, 4), (-1, -1, 1), (7, 7, 1), (7, 0, 2), (-2, 0, 0), (0, 8, 0), (-9, -9, 0)] {
            let sprite = Sprite { left, top, width: 2, height: 2, pixels: vec![0xFFFF_FFFF; 4] };
            assert!(pointer.differs(Some(&sprite)));
            pointer.draw(&mut shadow, Some(sprite.clone()));
            assert!(!pointer.differs(Some(&sprite)));
            assert_eq!(luma(&mut shadow).iter().filter(|&&y| y == 235).count(), seen, "at {left},{top}");
            pointer.lift(&mut shadow);
            assert_eq!(luma(&mut shadow), clean);
        }
        pointer.draw(&mut shadow, None);
        assert!(!pointer.differs(None) && luma(&mut shadow) == clean);
    }

    #[test]
    fn half_transparent_pixels_mix() {
        let mut row = [100, 100, 100, 0].repeat(2);
        let sprite = Sprite { left: 0, top: 0, width: 2, height: 1, pixels: vec![0x8080_0000, 0] };
        blend(&sprite, 0, &mut row, 2);
        assert_eq!(row, [50, 50, 178, 0, 100, 100, 100, 0]);
    }
}
