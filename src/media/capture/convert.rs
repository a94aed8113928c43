//! Raw pictures as cameras and displays hand them over, to I420. Everything becomes BT.601 limited range: it is what VP8
//! means (RFC 6386 section 9.2) and what receivers assume. Runs on the thread that pulls the device.

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPackedImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::media::frame::{ColourSpace, VideoFrame};
use crate::model::limits::{MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE_PX};

/// How a camera lays its pixels out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelFormat {
    /// A baseline JPEG for each picture, full range; the Huffman tables may be missing (as in AVI).
    Mjpeg,
    /// 4:2:2, bytes Y0 U Y1 V.
    Yuyv,
    /// 4:2:0, a luma plane and one of interleaved U and V with the same stride.
    Nv12,
    /// Bytes R G B.
    Rgb,
    /// Bytes B G R.
    Bgr,
    /// Luma alone.
    Grey,
}

/// A picture in a device's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawPicture<'a> {
    /// Width in pixels, as the device says.
    pub width: u32,
    /// Height in pixels, as the device says.
    pub height: u32,
    /// Bytes from one row to the next; 0 where rows follow without a gap.
    pub stride: usize,
    /// How its bytes are to be read.
    pub format: PixelFormat,
    /// The bytes; more than needed is fine.
    pub data: &'a [u8],
}

/// The picture as I420, BT.601 limited range; an odd last column or row is left out. `buffer` is used for its planes.
///
/// # Errors
/// What does not fit: the size, the stride, the number of bytes, or the JPEG.
pub(super) fn to_i420(raw: &RawPicture<'_>, timestamp_us: u64, buffer: Vec<u8>) -> Result<VideoFrame, String> {
    check_size(raw.width, raw.height)?;
    if raw.format == PixelFormat::Mjpeg {
        return jpeg_to_i420(raw.data, timestamp_us, buffer);
    }
    let (width, height) = (raw.width & !1, raw.height & !1);
    let row = match raw.format {
        PixelFormat::Yuyv => raw.width.div_ceil(2) as usize * 4,
        PixelFormat::Rgb | PixelFormat::Bgr => raw.width as usize * 3,
        _ => raw.width as usize,
    };
    let stride = if raw.stride == 0 { row } else { raw.stride };
    if stride < row || stride > row.saturating_add(1 << 16) {
        return Err(format!("rows of {stride} bytes cannot hold {} pixels", raw.width));
    }
    let rows = match raw.format {
        PixelFormat::Nv12 => raw.height as usize + raw.height.div_ceil(2) as usize,
        _ => raw.height as usize,
    };
    // The padding after the last row may be missing.
    let needed = stride * (rows - 1) + row;
    if raw.data.len() < needed {
        return Err(format!("the picture is cut short: {} of {needed} bytes", raw.data.len()));
    }
    let mut frame = blank(width, height, timestamp_us, buffer)?;
    match raw.format {
        PixelFormat::Yuyv => yuyv(&mut frame, raw.data, stride)?,
        PixelFormat::Rgb | PixelFormat::Bgr => rgb(&mut frame, raw.data, stride, raw.format == PixelFormat::Bgr)?,
        PixelFormat::Nv12 => nv12(&mut frame, raw.data, stride, raw.height as usize),
        PixelFormat::Grey | PixelFormat::Mjpeg => grey(&mut frame, raw.data, stride),
    }
    Ok(frame)
}

/// Converts rows of BGRX pixels (4 bytes each, tightly packed rows of `row_px` pixels) into the same rows of a frame
/// that is at most as wide. `first_row` is even, and `pixels` holds an even number of rows.
///
/// # Errors
/// When the rows do not lie inside the frame.
pub(super) fn bgrx_rows_to_i420(
    frame: &mut VideoFrame,
    first_row: u32,
    pixels: &[u8],
    row_px: u32,
) -> Result<(), String> {
    let (width, chroma_width) = (frame.width(), frame.chroma_size().0);
    let rows = pixels.len() / (row_px as usize * 4);
    let luma = first_row as usize * width as usize..(first_row as usize + rows) * width as usize;
    let chroma = first_row as usize / 2 * chroma_width as usize;
    let chroma = chroma..chroma + rows.div_ceil(2) * chroma_width as usize;
    let (y, u, v) = frame.planes_mut();
    let (Some(y), Some(u), Some(v)) = (y.get_mut(luma), u.get_mut(chroma.clone()), v.get_mut(chroma)) else {
        return Err("the rows lie outside the picture".into());
    };
    let mut planes = planar(y, u, v, width, rows as u32);
    yuv::bgra_to_yuv420(&mut planes, pixels, row_px * 4, RANGE, MATRIX, YuvConversionMode::Balanced).map_err(said)
}

/// A frame of this size whose planes are yet to be written.
pub(super) fn blank(width: u32, height: u32, timestamp_us: u64, mut buffer: Vec<u8>) -> Result<VideoFrame, String> {
    buffer.resize(VideoFrame::byte_len(width, height), 0);
    VideoFrame::new(width, height, ColourSpace::default(), timestamp_us, buffer).map_err(|error| error.to_string())
}

/// The same picture at another time.
pub(super) fn retimed(frame: VideoFrame, timestamp_us: u64) -> Result<VideoFrame, String> {
    let (width, height, colour) = (frame.width(), frame.height(), frame.colour());
    VideoFrame::new(width, height, colour, timestamp_us, frame.into_data()).map_err(|error| error.to_string())
}

const RANGE: YuvRange = YuvRange::Limited;
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;

fn check_size(width: u32, height: u32) -> Result<(), String> {
    let sides = 2..=MAX_PICTURE_SIDE_PX;
    if sides.contains(&width) && sides.contains(&height) && width * height <= MAX_PICTURE_PIXELS {
        return Ok(());
    }
    Err(format!("a picture of {width}x{height} is not supported"))
}

fn planar<'a>(y: &'a mut [u8], u: &'a mut [u8], v: &'a mut [u8], width: u32, height: u32) -> YuvPlanarImageMut<'a, u8> {
    YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: width.div_ceil(2),
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: width.div_ceil(2),
        width,
        height,
    }
}

fn said(error: YuvError) -> String {
    error.to_string()
}

fn yuyv(frame: &mut VideoFrame, data: &[u8], stride: usize) -> Result<(), String> {
    let (width, height) = (frame.width(), frame.height());
    let whole = stride * height as usize;
    let (y, u, v) = frame.planes_mut();
    let mut planes = planar(y, u, v, width, height);
    let mut padded = Vec::new();
    let yuy = data.get(..whole).unwrap_or_else(|| {
        padded.extend_from_slice(data);
        padded.resize(whole, 0);
        &padded
    });
    yuv::yuyv422_to_yuv420(&mut planes, &YuvPackedImage { yuy, yuy_stride: stride as u32, width, height }).map_err(said)
}

fn rgb(frame: &mut VideoFrame, data: &[u8], stride: usize, bgr: bool) -> Result<(), String> {
    let (width, height) = (frame.width(), frame.height());
    let (y, u, v) = frame.planes_mut();
    let mut planes = planar(y, u, v, width, height);
    let convert = if bgr { yuv::bgr_to_yuv420 } else { yuv::rgb_to_yuv420 };
    convert(&mut planes, data, stride as u32, RANGE, MATRIX, YuvConversionMode::Balanced).map_err(said)
}

fn nv12(frame: &mut VideoFrame, data: &[u8], stride: usize, rows: usize) {
    let (width, chroma_width) = (frame.width() as usize, frame.chroma_size().0 as usize);
    let (luma, chroma) = data.split_at(stride * rows);
    let (y, u, v) = frame.planes_mut();
    for (to, from) in y.chunks_exact_mut(width).zip(luma.chunks(stride)) {
        to.copy_from_slice(&from[..width]);
    }
    let outs = u.chunks_exact_mut(chroma_width).zip(v.chunks_exact_mut(chroma_width));
    for ((u, v), from) in outs.zip(chroma.chunks(stride)) {
        for ((u, v), pair) in u.iter_mut().zip(v).zip(from.chunks_exact(2)) {
            (*u, *v) = (pair[0], pair[1]);
        }
    }
}

fn grey(frame: &mut VideoFrame, data: &[u8], stride: usize) {
    let width = frame.width() as usize;
    let (y, u, v) = frame.planes_mut();
    for (to, from) in y.chunks_exact_mut(width).zip(data.chunks(stride)) {
        to.copy_from_slice(&from[..width]);
    }
    u.fill(128);
    v.fill(128);
}

fn jpeg_to_i420(data: &[u8], timestamp_us: u64, buffer: Vec<u8>) -> Result<VideoFrame, String> {
    let completed;
    let data = if has_tables(data)? {
        data
    } else {
        // This mark makes the decoder use the tables that motion JPEG leaves out.
        const AVI1: [u8; 10] = [0xFF, 0xE0, 0, 8, b'A', b'V', b'I', b'1', 0, 0];
        completed = [&data[..2], &AVI1, &data[2..]].concat();
        &completed
    };
    let side = MAX_PICTURE_SIDE_PX as usize;
    let options = DecoderOptions::default().set_max_width(side).set_max_height(side);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    let failed = |error: zune_jpeg::errors::DecodeErrors| format!("its JPEG cannot be read: {error}");
    decoder.decode_headers().map_err(failed)?;
    let info = decoder.info().ok_or("its JPEG has no size")?;
    check_size(info.width.into(), info.height.into())?;
    let colours = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        Some(ColorSpace::YCbCr) => ColorSpace::YCbCr,
        other => return Err(format!("its JPEG has the colours {other:?}; YCbCr works")),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let pixels = decoder.decode().map_err(failed)?;
    let mut frame = blank(u32::from(info.width) & !1, u32::from(info.height) & !1, timestamp_us, buffer)?;
    let row = usize::from(info.width) * colours.num_components();
    if pixels.len() < row * usize::from(info.height) {
        return Err("its JPEG gave too few pixels".into());
    }
    narrow(&mut frame, &pixels, row, colours.num_components());
    Ok(frame)
}

/// Full-range YCbCr pixels, or luma alone, to the planes: brought to limited range, chroma the mean of 2 x 2.
fn narrow(frame: &mut VideoFrame, pixels: &[u8], row: usize, components: usize) {
    let (luma_codes, chroma_codes) = limited_codes();
    let (width, chroma_width) = (frame.width() as usize, frame.chroma_size().0 as usize);
    let (y, u, v) = frame.planes_mut();
    for (to, from) in y.chunks_exact_mut(width).zip(pixels.chunks_exact(row)) {
        for (to, pixel) in to.iter_mut().zip(from.chunks_exact(components)) {
            *to = luma_codes[usize::from(pixel[0])];
        }
    }
    if components < 3 {
        u.fill(128);
        v.fill(128);
        return;
    }
    let outs = u.chunks_exact_mut(chroma_width).zip(v.chunks_exact_mut(chroma_width));
    for ((u, v), rows) in outs.zip(pixels.chunks_exact(2 * row)) {
        let (upper, lower) = rows.split_at(row);
        let quads = upper.chunks_exact(6).zip(lower.chunks_exact(6));
        for ((u, v), (a, b)) in u.iter_mut().zip(v).zip(quads) {
            let mean = |c: usize| {
                let sum = u16::from(a[c]) + u16::from(a[c + 3]) + u16::from(b[c]) + u16::from(b[c + 3]);
                chroma_codes[usize::from((sum + 2) / 4)]
            };
            (*u, *v) = (mean(1), mean(2));
        }
    }
}

/// For each full-range code its limited-range one: luma 16..=235, chroma 16..=240 (ITU-R BT.601).
fn limited_codes() -> ([u8; 256], [u8; 256]) {
    let table = |most: u32| {
        let mut codes = [0; 256];
        for (code, to) in codes.iter_mut().enumerate() {
            *to = (16 + (code as u32 * most + 127) / 255) as u8;
        }
        codes
    };
    (table(219), table(224))
}

/// Whether a JPEG brings Huffman tables; the markers up to the scan are walked (ITU-T T.81 annex B).
fn has_tables(data: &[u8]) -> Result<bool, String> {
    if data.get(..2) != Some(&[0xFF, 0xD8]) {
        return Err("it is no JPEG".into());
    }
    let mut at = 2;
    while let Some(&[mark, kind, high, low]) = data.get(at..at + 4) {
        match (mark, kind) {
            (0xFF, 0xC4) => return Ok(true),
            (0xFF, 0xDA) => return Ok(false),
            (0xFF, 0xFF) => at += 1,
            (0xFF, _) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
            _ => return Err("its JPEG is damaged before the picture begins".into()),
        }
    }
    Err("its JPEG ends before the picture begins".into())
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
