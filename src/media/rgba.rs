//! Frames as plain pictures, for files: on the CPU.

use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix};

use super::{CaptureError, ColourMatrix, ColourRange, VideoFrame};

/// A frame as RGBA, 8 bits each, coded sRGB, row by row from the top; alpha is 255.
///
/// # Errors
/// [`CaptureError::Format`] when the planes do not fit their size.
pub fn to_rgba(frame: &VideoFrame) -> Result<Vec<u8>, CaptureError> {
    let (width, height) = (frame.width(), frame.height());
    let (chroma, _) = frame.chroma_size();
    let planes = YuvPlanarImage {
        y_plane: frame.y(),
        y_stride: width,
        u_plane: frame.u(),
        u_stride: chroma,
        v_plane: frame.v(),
        v_stride: chroma,
        width,
        height,
    };
    let range = match frame.colour().range {
        ColourRange::Limited => YuvRange::Limited,
        ColourRange::Full => YuvRange::Full,
    };
    let matrix = match frame.colour().matrix {
        ColourMatrix::Bt601 => YuvStandardMatrix::Bt601,
        ColourMatrix::Bt709 => YuvStandardMatrix::Bt709,
    };
    let mut rgba = vec![255; width as usize * height as usize * 4];
    let stride = width * 4;
    let unusable =
        |error: yuv::YuvError| CaptureError::Format { what: "the picture".to_owned(), why: error.to_string() };
    yuv::yuv420_to_rgba(&planes, &mut rgba, stride, range, matrix).map_err(unusable)?;
    Ok(rgba)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ColourSpace;

    #[test]
    fn colours_are_read_by_the_frames_own_matrix_and_range() {
        let planes = |y: u8, u: u8, v: u8| [vec![y; 9], vec![u; 4], vec![v; 4]].concat();
        let colour = |matrix, range, data| {
            let frame = VideoFrame::new(3, 3, ColourSpace { matrix, range }, 0, data).unwrap();
            let rgba = to_rgba(&frame).unwrap();
            assert_eq!(rgba.len(), 36);
            [rgba[16], rgba[17], rgba[18], rgba[19]]
        };
        let near = |a: [u8; 4], b: [u8; 4]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 2);
        use ColourMatrix::{Bt601, Bt709};
        use ColourRange::{Full, Limited};
        // White, and red as each codes it (ITU-R BT.601 and BT.709).
        assert!(near(colour(Bt601, Limited, planes(235, 128, 128)), [255; 4]));
        assert!(near(colour(Bt601, Full, planes(255, 128, 128)), [255; 4]));
        assert!(near(colour(Bt601, Limited, planes(81, 90, 240)), [255, 0, 0, 255]));
        assert!(near(colour(Bt709, Limited, planes(63, 102, 240)), [255, 0, 0, 255]));
    }
}
