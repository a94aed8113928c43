//! How a display's pixels lie in memory, and their way to B G R X bytes. Plain data.

/// The layout of one depth and visual, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    kind: Kind,
    bits_per_pixel: u8,
    row_pad_bits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Four bytes B G R X: as we keep them.
    Bgrx,
    /// Three bytes B G R.
    Bgr,
    /// 16 bits, 5-6-5.
    Rgb565,
    /// 32 bits, 10 for each colour.
    Rgb30,
}

impl Layout {
    /// Depths 24 and 32 with 8 bits a colour, 16 (5-6-5) and 30.
    ///
    /// # Errors
    /// Which layout it is, when it is another.
    pub fn new(depth: u8, bits_per_pixel: u8, row_pad_bits: u8, masks: (u32, u32, u32)) -> Result<Self, String> {
        let kind = match (bits_per_pixel, masks) {
            (32, (0xFF_0000, 0xFF00, 0xFF)) => Kind::Bgrx,
            (24, (0xFF_0000, 0xFF00, 0xFF)) => Kind::Bgr,
            (16, (0xF800, 0x07E0, 0x001F)) => Kind::Rgb565,
            (32, (0x3FF0_0000, 0xF_FC00, 0x3FF)) => Kind::Rgb30,
            _ => {
                return Err(format!(
                    "its depth of {depth} bits ({bits_per_pixel} a pixel) is not supported: 16, 24, 30 and 32 are"
                ));
            }
        };
        Ok(Self { kind, bits_per_pixel, row_pad_bits: row_pad_bits.max(8) })
    }

    /// Bytes of a row of so many pixels, as the server pads it.
    pub fn row_bytes(self, width: u32) -> usize {
        let pad = usize::from(self.row_pad_bits);
        (width as usize * usize::from(self.bits_per_pixel)).div_ceil(pad) * pad / 8
    }

    /// Whether rows of this width are already as we keep them.
    pub fn is_plain(self, width: u32) -> bool {
        self.kind == Kind::Bgrx && self.row_bytes(width) == width as usize * 4
    }

    /// Unpacks rows of `width` pixels from the server's layout; both sides hold whole rows.
    pub fn unpack(self, from: &[u8], width: u32, to: &mut [u8]) {
        let rows =
            from.chunks_exact(self.row_bytes(width).max(1)).zip(to.chunks_exact_mut((width as usize * 4).max(1)));
        for (from, to) in rows {
            let out = to.chunks_exact_mut(4);
            match self.kind {
                Kind::Bgrx => to.copy_from_slice(&from[..width as usize * 4]),
                Kind::Bgr => out.zip(from.chunks_exact(3)).for_each(|(to, p)| to[..3].copy_from_slice(p)),
                Kind::Rgb565 => out.zip(from.chunks_exact(2)).for_each(|(to, p)| {
                    let p = u32::from(u16::from_le_bytes([p[0], p[1]]));
                    let wide = |value: u32, most: u32| ((value * 255 + most / 2) / most) as u8;
                    to.copy_from_slice(&[wide(p & 31, 31), wide(p >> 5 & 63, 63), wide(p >> 11, 31), 0]);
                }),
                Kind::Rgb30 => out.zip(from.chunks_exact(4)).for_each(|(to, p)| {
                    let p = u32::from_le_bytes([p[0], p[1], p[2], p[3]]);
                    to.copy_from_slice(&[(p >> 2) as u8, (p >> 12) as u8, (p >> 22) as u8, 0]);
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(layout: Layout, from: &[u8], width: u32) -> Vec<u8> {
        let mut to = vec![9; width as usize * 4];
        layout.unpack(from, width, &mut to);
        to
    }

    #[test]
    fn every_layout_becomes_bgrx() {
        let masks = (0xFF_0000, 0xFF00, 0xFF);
        let plain = Layout::new(24, 32, 32, masks).unwrap();
        assert!(plain.is_plain(7));
        assert_eq!(unpack(plain, &[1, 2, 3, 0, 4, 5, 6, 0], 2), [1, 2, 3, 0, 4, 5, 6, 0]);
        let packed = Layout::new(24, 24, 32, masks).unwrap();
        assert_eq!(packed.row_bytes(1), 4);
        assert_eq!(unpack(packed, &[1, 2, 3, 77], 1), [1, 2, 3, 9]);
        let high = Layout::new(16, 16, 32, (0xF800, 0x07E0, 0x001F)).unwrap();
        assert_eq!(high.row_bytes(3), 8);
        assert_eq!(unpack(high, &[0xE0, 0x07, 0x1F, 0xF8], 2), [0, 255, 0, 0, 255, 0, 255, 0]);
        let deep = Layout::new(30, 32, 32, (0x3FF0_0000, 0xF_FC00, 0x3FF)).unwrap();
        assert_eq!(unpack(deep, &(0x3FF0_0003u32).to_le_bytes(), 1), [0, 0, 255, 0]);
    }

    #[test]
    fn other_layouts_are_refused_by_name() {
        for (depth, bits, masks) in
            [(8, 8, (0, 0, 0)), (15, 16, (0x7C00, 0x3E0, 0x1F)), (24, 32, (0xFF, 0xFF00, 0xFF_0000))]
        {
            let error = Layout::new(depth, bits, 32, masks).unwrap_err();
            assert!(error.contains(&format!("depth of {depth}")), "{error}");
        }
    }
}
