//! Each layout against the codes that ITU-R BT.601 gives for known colours, and hostile pictures against a crash.

use super::*;
use crate::media::codec::tests::Random;

const JPEG: &[u8] = include_bytes!("testdata/fields-422.jpg");
const GREY_JPEG: &[u8] = include_bytes!("testdata/fields-grey.jpg");

/// Red, green, blue, white and their codes.
const COLOURS: [([u8; 3], [u8; 3]); 4] = [
    ([255, 0, 0], [81, 90, 240]),
    ([0, 255, 0], [145, 54, 34]),
    ([0, 0, 255], [41, 240, 110]),
    ([255, 255, 255], [235, 128, 128]),
];

fn raw(format: PixelFormat, width: u32, height: u32, stride: usize, data: &[u8]) -> RawPicture<'_> {
    RawPicture { width, height, stride, format, data }
}

fn assert_flat(frame: &VideoFrame, codes: [u8; 3], what: &str) {
    for (plane, code) in [frame.y(), frame.u(), frame.v()].into_iter().zip(codes) {
        assert!(
            plane.iter().all(|&p| p.abs_diff(code) <= 1),
            "{what}: {:?} is not {code}",
            &plane[..plane.len().min(8)]
        );
    }
}

/// Rows with two bytes of filth after each.
fn padded(row: &[u8], rows: usize) -> (usize, Vec<u8>) {
    let mut padded = row.to_vec();
    padded.extend([0xAB, 0xCD]);
    let stride = padded.len();
    (stride, padded.repeat(rows))
}

#[test]
fn every_layout_gives_the_same_codes_with_any_stride() {
    for ([r, g, b], codes @ [y, u, v]) in COLOURS {
        for (width, height) in [(16, 8), (34, 6), (6, 2)] {
            let w = width as usize;
            let rows = |row: &[u8], rows: usize| padded(row, rows);
            let (luma_stride, mut nv12) = rows(&vec![y; w], height as usize);
            nv12.extend(rows(&[u, v].repeat(w / 2), height as usize / 2).1);
            let cases = [
                (PixelFormat::Rgb, rows(&[r, g, b].repeat(w), height as usize)),
                (PixelFormat::Bgr, rows(&[b, g, r].repeat(w), height as usize)),
                (PixelFormat::Yuyv, rows(&[y, u, y, v].repeat(w / 2), height as usize)),
                (PixelFormat::Nv12, (luma_stride, nv12)),
            ];
            for (format, (stride, data)) in cases {
                let frame = to_i420(&raw(format, width, height, stride, &data), 7, Vec::new()).unwrap();
                assert_eq!((frame.width(), frame.height(), frame.timestamp_us()), (width, height, 7));
                assert_flat(&frame, codes, &format!("{format:?} {width}x{height}"));
                // The padding of the last row may be missing; one byte more may not.
                let end = data.len() - 2;
                assert!(
                    to_i420(&raw(format, width, height, stride, &data[..end]), 0, Vec::new()).is_ok(),
                    "{format:?}"
                );
                let error = to_i420(&raw(format, width, height, stride, &data[..end - 1]), 0, Vec::new()).unwrap_err();
                assert!(error.contains("cut short"), "{format:?}: {error}");
            }
        }
    }
}

#[test]
fn odd_sizes_lose_a_row_and_a_column() {
    let data = [9, 8, 7].repeat(7 * 5);
    let frame = to_i420(&raw(PixelFormat::Rgb, 7, 5, 0, &data), 0, Vec::new()).unwrap();
    assert_eq!((frame.width(), frame.height()), (6, 4));
    let frame = to_i420(&raw(PixelFormat::Yuyv, 7, 5, 0, &[50; 16 * 5]), 0, Vec::new()).unwrap();
    assert_eq!((frame.width(), frame.height()), (6, 4));
}

#[test]
fn a_jpeg_is_brought_to_limited_range() {
    let frame = to_i420(&raw(PixelFormat::Mjpeg, 64, 48, 0, JPEG), 0, Vec::new()).unwrap();
    assert_eq!((frame.width(), frame.height(), frame.colour()), (64, 48, ColourSpace::default()));
    for (index, (_, codes)) in COLOURS.into_iter().enumerate() {
        let (x, y) = (16 + index % 2 * 32, 12 + index / 2 * 24);
        let chroma = y / 2 * 32 + x / 2;
        for (got, code) in [frame.y()[y * 64 + x], frame.u()[chroma], frame.v()[chroma]].into_iter().zip(codes) {
            assert!(got.abs_diff(code) <= 4, "field {index}: {got} for {code}");
        }
    }
    let grey = to_i420(&raw(PixelFormat::Mjpeg, 64, 48, 0, GREY_JPEG), 0, Vec::new()).unwrap();
    assert!(grey.y()[47 * 64 + 63].abs_diff(235) <= 2 && grey.u().iter().all(|&u| u == 128));
}

#[test]
fn a_jpeg_without_huffman_tables_is_read_with_the_usual_ones() {
    // The segments that define tables are cut out, as many cameras never send them.
    let (mut bare, mut at) = (JPEG[..2].to_vec(), 2);
    while JPEG[at + 1] != 0xDA {
        let end = at + 2 + usize::from(u16::from_be_bytes([JPEG[at + 2], JPEG[at + 3]]));
        if JPEG[at + 1] != 0xC4 {
            bare.extend_from_slice(&JPEG[at..end]);
        }
        at = end;
    }
    bare.extend_from_slice(&JPEG[at..]);
    assert!(bare.len() < JPEG.len());
    let whole = to_i420(&raw(PixelFormat::Mjpeg, 64, 48, 0, JPEG), 0, Vec::new()).unwrap();
    assert_eq!(to_i420(&raw(PixelFormat::Mjpeg, 64, 48, 0, &bare), 0, Vec::new()), Ok(whole));
}

#[test]
fn bgrx_rows_land_where_they_belong() {
    let mut frame = blank(6, 8, 0, Vec::new()).unwrap();
    // Seven pixels a row: the last column is left out.
    bgrx_rows_to_i420(&mut frame, 4, &[0, 0, 255, 0].repeat(7 * 2), 7).unwrap();
    let rows: Vec<u8> = frame.y().chunks(6).map(|row| row[3]).collect();
    assert_eq!(rows.iter().filter(|&&y| y.abs_diff(81) <= 1).count(), 2, "{rows:?}");
    assert!(rows[4].abs_diff(81) <= 1 && frame.v()[2 * 3].abs_diff(240) <= 1 && frame.v()[0] == 0);
    assert!(bgrx_rows_to_i420(&mut frame, 8, &[0; 7 * 2 * 4], 7).is_err());
}

#[test]
fn hostile_pictures_are_refused_and_never_crash() {
    for (width, height) in [(0, 0), (1, 1), (u32::MAX, u32::MAX), (MAX_PICTURE_SIDE_PX, MAX_PICTURE_SIDE_PX)] {
        for format in [PixelFormat::Rgb, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Grey, PixelFormat::Mjpeg] {
            assert!(to_i420(&raw(format, width, height, 0, &[0; 64]), 0, Vec::new()).is_err());
        }
    }
    assert!(to_i420(&raw(PixelFormat::Rgb, 8, 8, 5, &[0; 4096]), 0, Vec::new()).is_err(), "the stride is too short");
    assert!(to_i420(&raw(PixelFormat::Rgb, 8, 8, usize::MAX, &[0; 4096]), 0, Vec::new()).is_err());
    assert!(to_i420(&raw(PixelFormat::Mjpeg, 64, 48, 0, &[]), 0, Vec::new()).is_err());
    assert!(to_i420(&raw(PixelFormat::Mjpeg, 64, 48, 0, &[0; 9000]), 0, Vec::new()).is_err());
    let (mut random, mut read) = (Random(11), 0);
    for _ in 0..1500 {
        let mut data = JPEG.to_vec();
        for _ in 0..1 + random.below(8) {
            let at = random.below(data.len());
            data[at] = random.below(256) as u8;
        }
        data.truncate(1 + random.below(data.len()));
        read += usize::from(to_i420(&raw(PixelFormat::Mjpeg, 64, 48, 0, &data), 0, Vec::new()).is_ok());
    }
    assert!(read < 1500, "some of these cannot be read");
}
