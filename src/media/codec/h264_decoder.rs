//! Decoding H.264 with openh264, contained: every parameter set is looked at before the library may allocate, and after
//! any error it starts afresh. Owned by the thread that decodes.

use openh264::decoder::{DecodedYUV, Decoder};
use openh264::formats::YUVSource;

use super::{CodecError, sps};
use crate::media::{ColourSpace, FramePool, VideoFrame};

const H264: &str = "H.264";

/// An H.264 decoder for constrained baseline and what else openh264 reads without reordering. After any error, and at
/// the start, it wants a keyframe: parameter sets and an IDR picture.
#[derive(Default)]
pub struct H264Decoder {
    /// `None` until a keyframe comes: a decoder that met damaged data is not used again.
    decoder: Option<Decoder>,
    colour: ColourSpace,
    pool: FramePool,
}

impl H264Decoder {
    /// A decoder that takes nothing up until it is given a keyframe.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one frame of NAL units behind start codes (annex B); `None` when there is nothing to show. Its buffer comes
    /// back here when the picture is dropped, wherever that is. The colour space is the one the stream names, BT.601
    /// limited range when it names none.
    ///
    /// # Errors
    /// [`CodecError::NeedsKeyframe`] until a keyframe was decoded, [`CodecError::Data`] when the frame is damaged, larger
    /// than the limits or not 8-bit 4:2:0, [`CodecError::Setup`] when openh264 cannot start. All mean: ask the sender for
    /// a keyframe.
    pub fn decode(&mut self, data: &[u8], timestamp_us: u64) -> Result<Option<VideoFrame>, CodecError> {
        let decoded = self.try_decode(data, timestamp_us);
        if decoded.is_err() {
            self.decoder = None;
        }
        decoded
    }

    fn try_decode(&mut self, data: &[u8], timestamp_us: u64) -> Result<Option<VideoFrame>, CodecError> {
        let (mut parameters, mut refreshes) = (None, false);
        for unit in sps::units(data) {
            match sps::kind(unit) {
                Some(sps::SPS) => {
                    let found = sps::parse(unit).ok_or_else(|| damaged("the parameter set cannot be read"))?;
                    super::vp8::check_size(found.coded_width, found.coded_height).map_err(damaged)?;
                    parameters = Some(found);
                }
                Some(sps::IDR) => refreshes = true,
                _ => {}
            }
        }
        if let Some(found) = parameters {
            self.colour = found.colour;
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None if parameters.is_some() && refreshes => {
                let setup = |error: openh264::Error| CodecError::Setup { codec: H264, why: error.to_string() };
                self.decoder.insert(Decoder::new().map_err(setup)?)
            }
            None => return Err(CodecError::NeedsKeyframe),
        };
        match decoder.decode(data) {
            Ok(Some(picture)) => to_frame(&picture, self.colour, &self.pool, timestamp_us).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(damaged(error.to_string())),
        }
    }
}

fn damaged(why: impl Into<String>) -> CodecError {
    CodecError::Data { codec: H264, why: why.into() }
}

/// Copies the planes, tightly packed, into a buffer of the pool.
fn to_frame(
    picture: &DecodedYUV<'_>,
    colour: ColourSpace,
    pool: &FramePool,
    timestamp_us: u64,
) -> Result<VideoFrame, CodecError> {
    let (width, height) = picture.dimensions();
    let (y_stride, u_stride, v_stride) = picture.strides();
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
    let size = |side: usize| u32::try_from(side).map_err(|_| damaged("the picture is too large"));
    let mut buffer = pool.take(VideoFrame::byte_len(size(width)?, size(height)?));
    for (plane, stride, width, height) in [
        (picture.y(), y_stride, width, height),
        (picture.u(), u_stride, chroma_width, chroma_height),
        (picture.v(), v_stride, chroma_width, chroma_height),
    ] {
        for row in 0..height {
            let line = plane.get(row * stride..row * stride + width).ok_or_else(|| damaged("a plane is too short"))?;
            buffer.extend_from_slice(line);
        }
    }
    VideoFrame::new(size(width)?, size(height)?, colour, timestamp_us, buffer)
        .map(|frame| frame.with_home(pool))
        .map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use openh264::encoder::{Encoder, EncoderConfig, FrameType};
    use openh264::formats::YUVSlices;
    use openh264::{OpenH264API, encoder};

    use super::*;
    use crate::media::codec::tests::{Random, moving_picture, psnr_db};

    fn encoder() -> Encoder {
        let config = EncoderConfig::new().bitrate(encoder::BitRate::from_bps(800_000)).skip_frames(false);
        Encoder::with_api_config(OpenH264API::from_source(), config).unwrap()
    }

    fn encode(encoder: &mut Encoder, frame: &VideoFrame, keyframe: bool) -> Vec<u8> {
        if keyframe {
            encoder.force_intra_frame();
        }
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let planes = YUVSlices::new((frame.y(), frame.u(), frame.v()), (width, height), (width, width / 2, width / 2));
        let stream = encoder.encode(&planes).unwrap();
        assert_eq!(keyframe, matches!(stream.frame_type(), FrameType::IDR));
        stream.to_vec()
    }

    #[test]
    fn pictures_survive_size_changes() {
        let mut decoder = H264Decoder::new();
        for (width, height) in [(320, 180), (640, 360), (176, 98)] {
            let mut encoder = encoder();
            for index in 0..4 {
                let frame = moving_picture(width, height, index);
                let data = encode(&mut encoder, &frame, index == 0);
                let decoded = decoder.decode(&data, frame.timestamp_us()).unwrap().expect("shown at once");
                assert_eq!((decoded.width(), decoded.height()), (width, height));
                assert_eq!(decoded.timestamp_us(), frame.timestamp_us());
                assert!(psnr_db(&frame, &decoded) > 26.0, "{width}x{height}: {} dB", psnr_db(&frame, &decoded));
            }
        }
    }

    #[test]
    fn a_keyframe_is_wanted_first_and_after_an_error() {
        let mut encoder = encoder();
        let frames: Vec<Vec<u8>> =
            (0..6).map(|index| encode(&mut encoder, &moving_picture(160, 96, index), index % 4 == 0)).collect();
        let mut decoder = H264Decoder::new();
        assert_eq!(decoder.decode(&frames[1], 0), Err(CodecError::NeedsKeyframe));
        assert!(decoder.decode(&frames[0], 0).unwrap().is_some());
        let mut huge = frames[0].clone();
        // The widest picture the level byte and the size codes of this set can be turned into.
        let sps = huge.windows(5).position(|bytes| bytes[..4] == [0, 0, 0, 1] && bytes[4] & 0x1f == 7).unwrap();
        huge[sps + 8..sps + 16].fill(0);
        assert!(decoder.decode(&huge, 0).is_err());
        assert_eq!(decoder.decode(&frames[1], 0), Err(CodecError::NeedsKeyframe));
        assert!(decoder.decode(&frames[4], 0).unwrap().is_some());
        assert!(decoder.decode(&frames[5], 0).unwrap().is_some());
    }

    #[test]
    fn damaged_and_cut_off_frames_never_panic() {
        let mut encoder = encoder();
        let frames: Vec<Vec<u8>> =
            (0..8).map(|index| encode(&mut encoder, &moving_picture(160, 96, index), index % 4 == 0)).collect();
        let mut decoder = H264Decoder::new();
        let mut random = Random(17);
        let mut refused = 0;
        for round in 0..1_500 {
            let mut data = frames[random.below(frames.len())].clone();
            for _ in 0..random.below(6) {
                let at = random.below(data.len());
                data[at] = random.below(256) as u8;
            }
            if random.chance(0.3) {
                data.truncate(1 + random.below(data.len()));
            }
            match decoder.decode(&data, round) {
                Ok(Some(frame)) => {
                    assert!(frame.width() * frame.height() <= crate::model::limits::MAX_PICTURE_PIXELS);
                }
                Ok(None) => {}
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 100, "{refused} of 1500 damaged frames were noticed");
        assert!(decoder.decode(&frames[0], 0).unwrap().is_some(), "a good keyframe mends everything");
    }

    #[test]
    fn random_bytes_behind_a_start_code_never_panic() {
        let mut decoder = H264Decoder::new();
        let mut random = Random(23);
        for round in 0..2_000 {
            let mut data = vec![0, 0, 0, 1, [0x67, 0x68, 0x65, 0x41][random.below(4)]];
            data.extend((0..random.below(200)).map(|_| random.below(256) as u8));
            if let Ok(Some(frame)) = decoder.decode(&data, round) {
                assert!(frame.width() > 0);
            }
        }
    }
}
