//! VP8: real-time settings for cameras and shared screens, size changes, time stamps, and a decoder that looks at the
//! frame header before the library may allocate. Owned by the thread that encodes or decodes.

use super::{CodecError, vpx};
pub use super::{EncodedFrame, EncoderConfig as Vp8EncoderConfig};
use crate::media::{FramePool, VideoFrame};
use crate::model::limits::{MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE_PX};

const VP8: &str = "VP8";
/// Longest credible pause between two frames; longer ones count as one frame interval.
const MAX_FRAME_GAP_US: u64 = 5_000_000;

/// A VP8 encoder for real-time use: constant rate, no lookahead, keyframes only when asked for.
pub struct Vp8Encoder {
    config: Vp8EncoderConfig,
    encoder: vpx::Encoder,
    clock: EncoderClock,
}

impl Vp8Encoder {
    /// Sets an encoder up.
    ///
    /// # Errors
    /// [`CodecError`] when a setting is out of range or libvpx cannot start.
    pub fn new(config: Vp8EncoderConfig) -> Result<Self, CodecError> {
        let encoder = open(&config)?;
        Ok(Self { config, encoder, clock: EncoderClock::new(config.fps) })
    }

    /// Encodes one frame; `None` when rate control skipped it. A frame of another size restarts the stream with a
    /// keyframe. Frames should be handed over in capture order; time stamps that do not advance are repaired.
    ///
    /// # Errors
    /// [`CodecError`] when libvpx fails; the next frame should then be forced to be a keyframe.
    pub fn encode(&mut self, frame: &VideoFrame, force_keyframe: bool) -> Result<Option<EncodedFrame>, CodecError> {
        if (frame.width(), frame.height()) != (self.config.width, self.config.height) {
            let config = Vp8EncoderConfig { width: frame.width(), height: frame.height(), ..self.config };
            self.encoder = open(&config)?;
            self.config = config;
        }
        let pts_us = self.clock.next(frame.timestamp_us());
        let encoded = self.encoder.encode(frame, pts_us, self.clock.interval_us, force_keyframe)?;
        Ok(encoded.map(|(data, keyframe)| EncodedFrame { data, keyframe }))
    }

    /// Changes the target rate from the next frame on.
    ///
    /// # Errors
    /// [`CodecError::Setting`] when libvpx refuses it; the old rate stays.
    pub fn set_bitrate(&mut self, bps: u32) -> Result<(), CodecError> {
        if bps == self.config.bitrate_bps {
            return Ok(());
        }
        self.encoder.set_bitrate_kbps(kbps(bps))?;
        self.config.bitrate_bps = bps;
        Ok(())
    }

    /// The quantizer of the newest frame, 0 (finest) to 63; `None` when libvpx does not say.
    pub fn last_quantizer(&mut self) -> Option<u32> {
        self.encoder.last_quantizer()
    }
}

fn kbps(bps: u32) -> u32 {
    bps.div_ceil(1000).max(1)
}

fn open(config: &Vp8EncoderConfig) -> Result<vpx::Encoder, CodecError> {
    let setting = |why: String| CodecError::Setting { codec: VP8, why };
    check_size(config.width, config.height).map_err(setting)?;
    if !(config.fps >= 1.0 && config.fps <= 240.0) {
        return Err(setting(format!("{} frames per second; 1 to 240 would do", config.fps)));
    }
    if !(1..=16).contains(&config.threads) {
        return Err(setting(format!("{} threads; 1 to 16 would do", config.threads)));
    }
    // Half of the optimal buffer (600 ms), per frame, as a percentage of a frame's share: keyframes may grow to it.
    let max_intra_bitrate_pct = ((600.0 * 0.5 * config.fps / 10.0) as i32).max(300);
    vpx::Encoder::new(&vpx::EncoderSettings {
        width: config.width,
        height: config.height,
        threads: config.threads,
        bitrate_kbps: kbps(config.bitrate_bps),
        min_quantizer: 2,
        // Text is unreadable at coarse quantizers: a shared screen would rather skip frames.
        max_quantizer: if config.screen { 44 } else { 56 },
        drop_below_buffer_pct: 30,
        // Negative: a fixed speed. Positive ones adapt to how long encoding takes, which a busy machine distorts.
        cpu_used: if config.screen { -6 } else { -8 },
        screen_content: i32::from(config.screen),
        static_threshold: if config.screen { 100 } else { 1 },
        max_intra_bitrate_pct,
    })
}

/// Turns capture times into strictly increasing presentation times.
struct EncoderClock {
    interval_us: u32,
    newest: Option<(u64, i64)>,
}

impl EncoderClock {
    fn new(fps: f32) -> Self {
        Self { interval_us: (1e6 / fps) as u32, newest: None }
    }

    fn next(&mut self, timestamp_us: u64) -> i64 {
        let pts = match self.newest {
            None => 0,
            Some((before, pts)) => {
                let elapsed = timestamp_us.checked_sub(before).filter(|gap| (1..=MAX_FRAME_GAP_US).contains(gap));
                pts + elapsed.map_or(i64::from(self.interval_us), |gap| gap as i64)
            }
        };
        self.newest = Some((timestamp_us, pts));
        pts
    }
}

/// A VP8 decoder. After any error, and at the start, it wants a keyframe.
pub struct Vp8Decoder {
    decoder: vpx::Decoder,
    ready: bool,
    pool: FramePool,
}

impl Vp8Decoder {
    /// Sets a decoder up.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libvpx cannot start.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self { decoder: vpx::Decoder::new()?, ready: false, pool: FramePool::default() })
    }

    /// Decodes one frame; `None` when it is not meant to be shown. Its buffer comes back here when the picture is dropped,
    /// wherever that is. The picture is BT.601, limited range, the only
    /// colour space VP8 has (RFC 6386 section 9.2).
    ///
    /// # Errors
    /// [`CodecError::NeedsKeyframe`] until a keyframe was decoded, [`CodecError::Data`] when the frame is damaged or
    /// larger than the limits. Both mean: ask the sender for a keyframe.
    pub fn decode(&mut self, data: &[u8], timestamp_us: u64) -> Result<Option<VideoFrame>, CodecError> {
        let keyframe = check_header(data)?;
        if !keyframe && !self.ready {
            return Err(CodecError::NeedsKeyframe);
        }
        self.ready = false;
        let frame = match self.decoder.decode(data)? {
            Some(picture) => Some(picture.to_frame(&self.pool, timestamp_us)?),
            None => None,
        };
        self.ready = true;
        Ok(frame)
    }
}

/// Reads the frame header (RFC 6386 section 9.1) and applies the limits; says whether it is a keyframe.
fn check_header(data: &[u8]) -> Result<bool, CodecError> {
    let damaged = |why: &str| CodecError::Data { codec: VP8, why: why.to_owned() };
    let &[first, second, third, ref rest @ ..] = data else { return Err(damaged("the frame header is cut off")) };
    let keyframe = first & 1 == 0;
    let first_partition = (usize::from(first) | usize::from(second) << 8 | usize::from(third) << 16) >> 5;
    let body = if keyframe {
        let &[0x9d, 0x01, 0x2a, w0, w1, h0, h1, ref body @ ..] = rest else {
            return Err(damaged("the keyframe header is cut off or has no start code"));
        };
        // The upper two bits of each side ask for upscaling, which is left to the renderer.
        let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
        check_size(side(w0, w1), side(h0, h1)).map_err(|why| CodecError::Data { codec: VP8, why })?;
        body
    } else {
        rest
    };
    if first_partition > body.len() {
        return Err(damaged("the first partition is cut off"));
    }
    Ok(keyframe)
}

pub(super) fn check_size(width: u32, height: u32) -> Result<(), String> {
    let sides = 1..=MAX_PICTURE_SIDE_PX;
    if sides.contains(&width) && sides.contains(&height) && width * height <= MAX_PICTURE_PIXELS {
        return Ok(());
    }
    Err(format!(
        "{width}x{height} pixels; sides of 1 to {MAX_PICTURE_SIDE_PX} and {MAX_PICTURE_PIXELS} in all would do"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ColourSpace;
    use crate::media::codec::tests::{moving_picture, psnr_db};

    fn config(width: u32, height: u32) -> Vp8EncoderConfig {
        Vp8EncoderConfig { width, height, fps: 30.0, bitrate_bps: 800_000, screen: false, threads: 1 }
    }

    #[test]
    fn pictures_survive_odd_sizes_and_size_changes() {
        let mut encoder = Vp8Encoder::new(config(320, 180)).unwrap();
        let mut decoder = Vp8Decoder::new().unwrap();
        for (index, (width, height)) in
            [(320, 180), (320, 180), (175, 99), (175, 99), (640, 360)].into_iter().enumerate()
        {
            let frame = moving_picture(width, height, index as u64);
            let encoded = encoder.encode(&frame, index == 0).unwrap().expect("the first frames are never dropped");
            assert_eq!(encoded.keyframe, matches!(index, 0 | 2 | 4), "a keyframe at the start and at each new size");
            let decoded = decoder.decode(&encoded.data, frame.timestamp_us()).unwrap().unwrap();
            assert_eq!((decoded.width(), decoded.height()), (width, height));
            assert_eq!(decoded.timestamp_us(), frame.timestamp_us());
            assert!(psnr_db(&frame, &decoded) > 28.0, "{width}x{height}: {} dB", psnr_db(&frame, &decoded));
        }
    }

    #[test]
    fn keyframes_come_only_when_asked_for() {
        let mut encoder = Vp8Encoder::new(config(160, 120)).unwrap();
        let keys: Vec<bool> = (0..200)
            .filter_map(|index| encoder.encode(&moving_picture(160, 120, index), index == 150).unwrap())
            .map(|frame| frame.keyframe)
            .collect();
        assert_eq!(keys.iter().filter(|key| **key).count(), 2);
    }

    #[test]
    fn the_rate_follows_the_target() {
        let mut encoder = Vp8Encoder::new(config(320, 240)).unwrap();
        let second = |encoder: &mut Vp8Encoder, from: u64| -> f64 {
            let bytes: usize = (from..from + 90)
                .filter_map(|index| encoder.encode(&moving_picture(320, 240, index), false).unwrap())
                .map(|frame| frame.data.len())
                .sum();
            bytes as f64 * 8.0 / 3.0
        };
        second(&mut encoder, 0);
        let high = second(&mut encoder, 90);
        encoder.set_bitrate(200_000).unwrap();
        second(&mut encoder, 180);
        let low = second(&mut encoder, 270);
        assert!(low < 260_000.0, "{low} bit/s after asking for 200 000");
        assert!(high > low * 1.5, "{high} bit/s at 800 000, {low} at 200 000");
    }

    #[test]
    fn time_stamps_that_stand_still_or_jump_are_repaired() {
        let mut clock = EncoderClock::new(25.0);
        let times: Vec<i64> =
            [1_000_000, 1_040_000, 1_040_000, 500, 40_500, u64::MAX].into_iter().map(|t| clock.next(t)).collect();
        assert_eq!(times, [0, 40_000, 80_000, 120_000, 160_000, 200_000]);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for bad in [
            Vp8EncoderConfig { width: 0, ..config(320, 180) },
            Vp8EncoderConfig { width: MAX_PICTURE_SIDE_PX + 1, ..config(320, 180) },
            Vp8EncoderConfig { width: MAX_PICTURE_SIDE_PX, ..config(320, MAX_PICTURE_SIDE_PX) },
            Vp8EncoderConfig { fps: f32::NAN, ..config(320, 180) },
            Vp8EncoderConfig { threads: 0, ..config(320, 180) },
        ] {
            assert!(matches!(Vp8Encoder::new(bad), Err(CodecError::Setting { .. })), "{bad:?}");
        }
    }

    #[test]
    fn huge_and_cut_off_keyframes_never_reach_the_library() {
        let huge = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0, 0, 0];
        assert!(check_header(&huge).is_err(), "16383 x 16383");
        let empty = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 16, 0];
        assert!(check_header(&empty).is_err(), "0 x 16");
        let cut = [0x10, 0xff, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0, 0];
        assert!(check_header(&cut).is_err(), "the first partition is longer than the frame");
        assert!(check_header(&[]).is_err());
        let small = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0];
        assert_eq!(check_header(&small), Ok(true));
    }

    #[test]
    fn a_decoder_wants_a_keyframe_first_and_after_an_error() {
        let mut encoder = Vp8Encoder::new(config(160, 120)).unwrap();
        let frames: Vec<EncodedFrame> = (0..6)
            .map(|index| encoder.encode(&moving_picture(160, 120, index), index == 4).unwrap().unwrap())
            .collect();
        let mut decoder = Vp8Decoder::new().unwrap();
        assert_eq!(decoder.decode(&frames[1].data, 0), Err(CodecError::NeedsKeyframe));
        assert!(decoder.decode(&frames[0].data, 0).unwrap().is_some());
        assert!(decoder.decode(&frames[1].data[..3], 0).is_err());
        assert!(decoder.decode(&frames[4].data, 0).unwrap().is_some());
        assert!(decoder.decode(&frames[5].data, 0).unwrap().is_some());
    }

    #[test]
    fn damaged_frames_never_panic() {
        let mut encoder = Vp8Encoder::new(config(160, 120)).unwrap();
        let frames: Vec<Vec<u8>> = (0..8)
            .map(|index| encoder.encode(&moving_picture(160, 120, index), index == 0).unwrap().unwrap().data)
            .collect();
        let mut decoder = Vp8Decoder::new().unwrap();
        let mut random = crate::media::codec::tests::Random(7);
        for round in 0..2_000 {
            let mut data = frames[random.below(frames.len())].clone();
            for _ in 0..random.below(6) {
                let at = random.below(data.len());
                data[at] = random.below(256) as u8;
            }
            data.truncate(1 + random.below(data.len()));
            // Either outcome is fine; what counts is that the limits hold and nothing crashes.
            if let Ok(Some(frame)) = decoder.decode(&data, round) {
                assert!(frame.width() * frame.height() <= MAX_PICTURE_PIXELS);
            }
        }
    }

    #[test]
    fn a_flat_frame_keeps_its_colour() {
        let mut encoder = Vp8Encoder::new(config(64, 64)).unwrap();
        let mut data = vec![180; 64 * 64];
        data.extend([90; 32 * 32]);
        data.extend([200; 32 * 32]);
        let frame = VideoFrame::new(64, 64, ColourSpace::default(), 5, data).unwrap();
        let encoded = encoder.encode(&frame, true).unwrap().unwrap();
        let decoded = Vp8Decoder::new().unwrap().decode(&encoded.data, 5).unwrap().unwrap();
        for (plane, value) in [(decoded.y(), 180u8), (decoded.u(), 90), (decoded.v(), 200)] {
            assert!(plane.iter().all(|sample| sample.abs_diff(value) <= 3));
        }
    }
}
