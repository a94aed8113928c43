//! What a decoder must know of an H.264 stream before the library may allocate: the picture size and how its colours are
//! meant. Reads NAL units behind start codes (ITU-T H.264 annex B) and the sequence parameter set (section 7.3.2.1.1).

use crate::media::{ColourMatrix, ColourRange, ColourSpace};

/// NAL unit types (H.264 table 7-1).
pub(super) const IDR: u8 = 5;
pub(super) const SPS: u8 = 7;

/// Profiles that carry the chroma format and scaling lists.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// Most reference frames of one picture order cycle (section 7.4.2.1.1).
const MAX_ORDER_CYCLE: u32 = 255;

/// The part of a sequence parameter set that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    /// Size before cropping, which is what a decoder allocates, in pixels.
    pub coded_width: u32,
    /// See `coded_width`.
    pub coded_height: u32,
    /// How to read the planes.
    pub colour: ColourSpace,
}

/// The NAL units of a byte stream, from their header on, without start codes.
pub(super) fn units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let unit = rest?;
        let end = find_start_code(unit);
        rest = end.and_then(|at| after_start_code(&unit[at..]));
        Some(&unit[..end.unwrap_or(unit.len())])
    })
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    // A start code ends in 1, which is rare in coded data: look for that.
    let mut from = 2;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == 1)?;
        if bytes[at - 1] == 0 && bytes[at - 2] == 0 {
            return Some(at - 2);
        }
        from = at + 1;
    }
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    find_start_code(bytes).map(|at| &bytes[at + 3..])
}

/// The kind of a NAL unit; `None` for an empty one.
pub(super) fn kind(unit: &[u8]) -> Option<u8> {
    unit.first().map(|header| header & 0x1f)
}

/// Reads a sequence parameter set, a unit of type [`SPS`]; `None` when it is cut off or describes something other than
/// 8-bit 4:2:0 pictures.
pub(super) fn parse(unit: &[u8]) -> Option<Sps> {
    let mut bits = Bits::new(unit.get(1..)?);
    let profile = bits.take(8)? as u8;
    bits.take(16)?;
    bits.number()?;
    if HIGH_PROFILES.contains(&profile) {
        let (chroma_format, luma_depth, chroma_depth) = (bits.number()?, bits.number()?, bits.number()?);
        if (chroma_format, luma_depth, chroma_depth) != (1, 0, 0) {
            return None;
        }
        bits.take(1)?;
        if bits.flag()? {
            for list in 0..8 {
                if bits.flag()? {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.number()?;
    match bits.number()? {
        0 => {
            bits.number()?;
        }
        1 => {
            bits.take(1)?;
            bits.number()?;
            bits.number()?;
            let cycle = bits.number().filter(|cycle| *cycle <= MAX_ORDER_CYCLE)?;
            for _ in 0..cycle {
                bits.number()?;
            }
        }
        _ => {}
    }
    bits.number()?;
    bits.take(1)?;
    let (width_blocks, height_blocks) = (bits.number()?, bits.number()?);
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.take(1)?;
    }
    bits.take(1)?;
    if bits.flag()? {
        for _ in 0..4 {
            bits.number()?;
        }
    }
    // Hostile sizes saturate, and are over every limit then.
    let side = |blocks: u32, per_block: u32| blocks.saturating_add(1).saturating_mul(per_block);
    Some(Sps {
        coded_width: side(width_blocks, 16),
        coded_height: side(height_blocks, if frames_only { 16 } else { 32 }),
        // Without usability information, or with some that is cut off, the defaults hold.
        colour: colour(&mut bits).unwrap_or_default(),
    })
}

/// The colour description in the video usability information (annex E.1.1); `None` when there is none.
fn colour(bits: &mut Bits<'_>) -> Option<ColourSpace> {
    if !bits.flag()? {
        return None;
    }
    if bits.flag()? && bits.take(8)? == 255 {
        bits.take(32)?;
    }
    if bits.flag()? {
        bits.take(1)?;
    }
    if !bits.flag()? {
        return None;
    }
    bits.take(3)?;
    let range = if bits.flag()? { ColourRange::Full } else { ColourRange::Limited };
    let mut matrix = ColourMatrix::default();
    if bits.flag()? {
        bits.take(16)?;
        // Table E-5: 1 is BT.709; 5 and 6 are BT.601, and what is not said or not known here is taken for it.
        if bits.take(8)? == 1 {
            matrix = ColourMatrix::Bt709;
        }
    }
    Some(ColourSpace { matrix, range })
}

fn skip_scaling_list(bits: &mut Bits<'_>, length: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..length {
        if next != 0 {
            let code = i64::from(bits.number()?);
            // Section 9.1.1: 1, -1, 2, -2 ...
            let delta = if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 };
            next = ((i64::from(last) + delta + 256) % 256) as i32;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// Reads bits, skipping emulation prevention bytes (section 7.4.1.1).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    zeros: u32,
    current: u8,
    left: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, zeros: 0, current: 0, left: 0 }
    }

    fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            if self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
                self.at += 1;
                self.zeros = 0;
            }
            self.current = *self.bytes.get(self.at)?;
            self.at += 1;
            self.zeros = if self.current == 0 { self.zeros + 1 } else { 0 };
            self.left = 8;
        }
        self.left -= 1;
        Some(self.current >> self.left & 1 == 1)
    }

    /// Up to 32 bits.
    fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0u32, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    /// An unsigned Exp-Golomb code (section 9.1); `None` for one over 31 bits.
    fn number(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.take(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::tests::Random;

    /// Writes bits, the other way round.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn put(&mut self, value: u32, count: u32) -> &mut Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn number(&mut self, value: u32) -> &mut Self {
            let bits = (value + 1).ilog2();
            self.put(0, bits).put(value + 1, bits + 1)
        }

        fn unit(&self) -> Vec<u8> {
            let mut unit = vec![0x67];
            for byte in self.0.chunks(8) {
                unit.push(byte.iter().enumerate().fold(0, |value, (at, bit)| value | u8::from(*bit) << (7 - at)));
            }
            unit
        }
    }

    /// A baseline set of this many macroblocks, with a colour description.
    fn described(width_blocks: u32, height_blocks: u32, full_range: bool, matrix: u32) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.put(66, 8).put(0, 8).put(31, 8).number(0).number(0).number(2).number(1).put(0, 1);
        writer.number(width_blocks - 1).number(height_blocks - 1).put(1, 1).put(1, 1).put(0, 1);
        writer.put(1, 1).put(0, 2).put(1, 1).put(5, 3).put(u32::from(full_range), 1).put(1, 1);
        writer.put(1, 8).put(1, 8).put(matrix, 8).put(0x80, 8);
        writer.unit()
    }

    #[test]
    fn size_and_colours_are_read() {
        let sps = parse(&described(80, 45, true, 1)).unwrap();
        assert_eq!((sps.coded_width, sps.coded_height), (1280, 720));
        assert_eq!(sps.colour, ColourSpace { matrix: ColourMatrix::Bt709, range: ColourRange::Full });
        let sps = parse(&described(1, 1, false, 6)).unwrap();
        assert_eq!((sps.coded_width, sps.coded_height), (16, 16));
        assert_eq!(sps.colour, ColourSpace::default());
    }

    #[test]
    fn units_are_found_between_start_codes() {
        let stream = [9, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 0, 0, 1, 0x65, 5];
        let found: Vec<&[u8]> = units(&stream).collect();
        assert_eq!(found, [&[0x67, 1, 2, 0][..], &[0x68], &[0x65, 5]]);
        assert_eq!(units(&[1, 2, 3]).count(), 0);
        assert_eq!(units(&[0, 0, 1]).map(kind).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3, 3]);
        assert_eq!(bits.take(24), Some(1));
        assert_eq!(bits.take(24), Some(3));
        assert_eq!(bits.take(1), None);
    }

    #[test]
    fn cuts_lies_and_random_bytes_never_panic() {
        let whole = described(80, 45, true, 1);
        for length in 0..6 {
            assert!(parse(&whole[..length]).is_none(), "{length} bytes");
        }
        let mut random = Random(9);
        for _ in 0..50_000 {
            let mut unit: Vec<u8> = (0..random.below(60)).map(|_| random.below(256) as u8).collect();
            if random.chance(0.5) && unit.len() > 3 {
                unit[1] = HIGH_PROFILES[random.below(13)];
            }
            parse(&unit);
            assert!(units(&unit).map(<[u8]>::len).sum::<usize>() <= unit.len());
        }
        let huge = parse(&described(70_000, 3, false, 6)).unwrap();
        assert_eq!(huge.coded_width, 1_120_000, "to be refused by who knows the limits");
    }
}
