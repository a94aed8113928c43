//! H.264 through openh264: constrained baseline, real-time settings for cameras and shared screens. Owned by the thread
//! that encodes.
#![allow(unsafe_code, reason = "openh264 changes rates through its C interface; every block states why it is sound")]

use std::ffi::{c_int, c_void};

use openh264::encoder as oh;
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};
use openh264_sys2 as sys;

use super::{CodecError, EncodedFrame, EncoderConfig};
use crate::media::VideoFrame;

const H264: &str = "H.264";
/// Smallest side in pixels: one macroblock.
pub const MIN_SIDE_PX: u32 = 16;
/// Longest and shortest side of the largest picture, in pixels: openh264 does level 5.2 at most.
const MAX_SIDES_PX: (u32, u32) = (3840, 2160);
/// Lowest rate the library takes, in bit/s.
const MIN_BITRATE_BPS: u32 = 10_000;

/// An H.264 encoder for real-time use: constant rate, no lookahead, keyframes only when asked for. 4:2:0 with the
/// baseline profile has even sizes only: a last odd column or row is left out.
pub struct H264Encoder {
    config: EncoderConfig,
    encoder: oh::Encoder,
    first_us: Option<u64>,
    /// The library takes changes only after the first frame.
    begun: bool,
}

impl H264Encoder {
    /// Sets an encoder up.
    ///
    /// # Errors
    /// [`CodecError`] when a setting is out of range or openh264 cannot start.
    pub fn new(config: EncoderConfig) -> Result<Self, CodecError> {
        let encoder = open(&config)?;
        Ok(Self { config, encoder, first_us: None, begun: false })
    }

    /// Encodes one frame; `None` when rate control skipped it. A frame of another size restarts the stream with a
    /// keyframe. Time stamps should advance; the library's rate control goes by them.
    ///
    /// # Errors
    /// [`CodecError`] when openh264 fails; the next frame should then be forced to be a keyframe.
    pub fn encode(&mut self, frame: &VideoFrame, force_keyframe: bool) -> Result<Option<EncodedFrame>, CodecError> {
        if (frame.width(), frame.height()) != (self.config.width, self.config.height) {
            let config = EncoderConfig { width: frame.width(), height: frame.height(), ..self.config };
            self.encoder = open(&config)?;
            self.config = config;
            self.begun = false;
        }
        if force_keyframe && self.begun {
            self.encoder.force_intra_frame();
        }
        let first_us = *self.first_us.get_or_insert(frame.timestamp_us());
        let at = Timestamp::from_millis(frame.timestamp_us().wrapping_sub(first_us) / 1000 % u64::from(u32::MAX));
        let encoded = self.encoder.encode_at(&Even(frame), at).map_err(|error| data(&error))?;
        self.begun = true;
        let keyframe = match encoded.frame_type() {
            oh::FrameType::Skip => return Ok(None),
            oh::FrameType::Invalid => return Err(data(&"the encoder gave a frame of no kind")),
            kind => kind == oh::FrameType::IDR,
        };
        let data = encoded.to_vec();
        Ok((!data.is_empty()).then_some(EncodedFrame { data, keyframe }))
    }

    /// Changes the target rate from the next frame on.
    ///
    /// # Errors
    /// [`CodecError::Setting`] when openh264 refuses it; the old rate stays.
    pub fn set_bitrate(&mut self, bps: u32) -> Result<(), CodecError> {
        let bps = bps.max(MIN_BITRATE_BPS);
        if bps == self.config.bitrate_bps {
            return Ok(());
        }
        let config = EncoderConfig { bitrate_bps: bps, ..self.config };
        if self.begun {
            let value = c_int::try_from(bps).unwrap_or(c_int::MAX);
            // The ceiling first when the rate rises: the library refuses a target above it.
            let rate = sys::SBitrateInfo { iLayer: sys::SPATIAL_LAYER_ALL, iBitrate: value };
            let (max, target) = (sys::ENCODER_OPTION_MAX_BITRATE, sys::ENCODER_OPTION_BITRATE);
            let order = if bps > self.config.bitrate_bps { [max, target] } else { [target, max] };
            for option in order {
                let mut rate = rate;
                // SAFETY: the encoder was initialised by its first frame, and both options read one `SBitrateInfo`
                // through the pointer, which lives for the whole call.
                let status = unsafe { self.encoder.raw_api().set_option(option, (&raw mut rate).cast::<c_void>()) };
                check(status, "the rate", bps)?;
            }
        } else {
            self.encoder = open(&config)?;
        }
        self.config = config;
        Ok(())
    }

    /// Tells how many frames per second will come.
    ///
    /// # Errors
    /// [`CodecError::Setting`] when it is outside 1 to 240 or openh264 refuses it.
    pub fn set_fps(&mut self, fps: f32) -> Result<(), CodecError> {
        if (fps - self.config.fps).abs() < 0.5 {
            return Ok(());
        }
        let config = EncoderConfig { fps, ..self.config };
        check_config(&config)?;
        if self.begun {
            let mut value = fps;
            // SAFETY: the encoder was initialised by its first frame, and this option reads one `float` through the
            // pointer, which lives for the whole call.
            let status = unsafe {
                self.encoder.raw_api().set_option(sys::ENCODER_OPTION_FRAME_RATE, (&raw mut value).cast::<c_void>())
            };
            check(status, "frames per second", fps)?;
        } else {
            self.encoder = open(&config)?;
        }
        self.config = config;
        Ok(())
    }
}

fn data(error: &dyn std::fmt::Display) -> CodecError {
    CodecError::Data { codec: H264, why: error.to_string() }
}

fn check(status: c_int, what: &str, value: impl std::fmt::Display) -> Result<(), CodecError> {
    if status == 0 {
        return Ok(());
    }
    Err(CodecError::Setting { codec: H264, why: format!("openh264 refuses {value} for {what} ({status})") })
}

fn check_config(config: &EncoderConfig) -> Result<(), CodecError> {
    let setting = |why: String| Err(CodecError::Setting { codec: H264, why });
    let (width, height) = (config.width, config.height);
    let (long, short) = (width.max(height), width.min(height));
    if short < MIN_SIDE_PX || long > MAX_SIDES_PX.0 || short > MAX_SIDES_PX.1 {
        let (max_long, max_short) = MAX_SIDES_PX;
        return setting(format!(
            "{width}x{height} pixels; sides of {MIN_SIDE_PX} at least and {max_long}x{max_short} at most would do"
        ));
    }
    if !(config.fps >= 1.0 && config.fps <= 240.0) {
        return setting(format!("{} frames per second; 1 to 240 would do", config.fps));
    }
    if !(1..=16).contains(&config.threads) {
        return setting(format!("{} threads; 1 to 16 would do", config.threads));
    }
    Ok(())
}

fn open(config: &EncoderConfig) -> Result<oh::Encoder, CodecError> {
    check_config(config)?;
    let settings = oh::EncoderConfig::new()
        .bitrate(oh::BitRate::from_bps(config.bitrate_bps.max(MIN_BITRATE_BPS)))
        .max_frame_rate(oh::FrameRate::from_hz(config.fps))
        .usage_type(if config.screen {
            oh::UsageType::ScreenContentRealTime
        } else {
            oh::UsageType::CameraVideoRealTime
        })
        .rate_control_mode(oh::RateControlMode::Bitrate)
        .skip_frames(true)
        .profile(oh::Profile::Baseline)
        .complexity(oh::Complexity::Low)
        // Text is unreadable at coarse quantizers: a shared screen would rather skip frames.
        .qp(if config.screen { oh::QpRange::new(10, 38) } else { oh::QpRange::new(12, 48) })
        // Keyframes come when they are asked for.
        .scene_change_detect(false)
        .intra_frame_period(oh::IntraFramePeriod::auto())
        .num_threads(u16::try_from(config.threads).unwrap_or(1));
    oh::Encoder::with_api_config(OpenH264API::from_source(), settings)
        .map_err(|error| CodecError::Setup { codec: H264, why: error.to_string() })
}

/// A frame without its last odd column and row.
struct Even<'a>(&'a VideoFrame);

impl YUVSource for Even<'_> {
    fn dimensions(&self) -> (usize, usize) {
        ((self.0.width() & !1) as usize, (self.0.height() & !1) as usize)
    }

    fn strides(&self) -> (usize, usize, usize) {
        let chroma = self.0.chroma_size().0 as usize;
        (self.0.width() as usize, chroma, chroma)
    }

    fn y(&self) -> &[u8] {
        self.0.y()
    }

    fn u(&self) -> &[u8] {
        self.0.u()
    }

    fn v(&self) -> &[u8] {
        self.0.v()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::tests::moving_picture;

    fn config(width: u32, height: u32) -> EncoderConfig {
        EncoderConfig { width, height, fps: 30.0, bitrate_bps: 600_000, screen: false, threads: 1 }
    }

    /// Decodes with the library's own decoder; gives the size and the mean luma error of each picture.
    fn decode_all(frames: &[(VideoFrame, EncodedFrame)]) -> Vec<((usize, usize), f64)> {
        let mut decoder = openh264::decoder::Decoder::new().unwrap();
        let mut seen = Vec::new();
        for (frame, encoded) in frames {
            let Some(picture) = decoder.decode(&encoded.data).unwrap() else { continue };
            let (width, height) = picture.dimensions();
            let stride = picture.strides().0;
            let mut error = 0u64;
            for y in 0..height {
                for x in 0..width {
                    let wanted = frame.y()[y * frame.width() as usize + x];
                    error += u64::from(picture.y()[y * stride + x].abs_diff(wanted));
                }
            }
            seen.push(((width, height), error as f64 / (width * height) as f64));
        }
        seen
    }

    #[test]
    fn pictures_survive_odd_sizes_and_size_changes() {
        let mut encoder = H264Encoder::new(config(320, 180)).unwrap();
        let sizes = [(320, 180), (320, 180), (175, 99), (175, 99), (640, 360), (16, 16)];
        let frames: Vec<_> = sizes
            .into_iter()
            .enumerate()
            .map(|(index, (width, height))| {
                let frame = moving_picture(width, height, index as u64);
                let encoded = encoder.encode(&frame, index == 0).unwrap().expect("the first frames are never dropped");
                assert_eq!(encoded.keyframe, matches!(index, 0 | 2 | 4 | 5), "{index}");
                (frame, encoded)
            })
            .collect();
        let seen = decode_all(&frames);
        assert_eq!(seen.len(), sizes.len());
        for (((width, height), error), (w, h)) in seen.into_iter().zip(sizes) {
            assert_eq!((width as u32, height as u32), (w & !1, h & !1));
            assert!(error < 8.0, "{w}x{h}: luma is {error} off");
        }
    }

    #[test]
    fn keyframes_come_only_when_asked_for_and_carry_their_parameter_sets() {
        let mut encoder = H264Encoder::new(config(160, 120)).unwrap();
        let frames: Vec<EncodedFrame> = (0..120)
            .filter_map(|index| encoder.encode(&moving_picture(160, 120, index), index == 90).unwrap())
            .collect();
        let keys: Vec<&EncodedFrame> = frames.iter().filter(|frame| frame.keyframe).collect();
        assert_eq!(keys.len(), 2);
        for key in keys {
            let kinds: Vec<u8> = openh264::nal_units(&key.data)
                .map(|nal| nal[nal.iter().position(|byte| *byte == 1).unwrap() + 1] & 0x1f)
                .collect();
            assert!(kinds.starts_with(&[7, 8, 5]), "{kinds:?}");
            // Baseline with constraint_set1: what `profile-level-id=42e0..` announces is decodable.
            let sps = openh264::nal_units(&key.data).next().unwrap();
            let at = sps.iter().position(|byte| *byte == 0x67).unwrap();
            assert!(sps[at + 1] == 66 && sps[at + 2] & 0x40 != 0, "{:x?}", &sps[at..at + 4]);
        }
    }

    #[test]
    fn the_rate_follows_the_target() {
        let mut encoder = H264Encoder::new(config(320, 240)).unwrap();
        let rate = |encoder: &mut H264Encoder, from: u64| -> f64 {
            let bytes: usize = (from..from + 90)
                .filter_map(|index| encoder.encode(&moving_picture(320, 240, index), false).unwrap())
                .map(|frame| frame.data.len())
                .sum();
            bytes as f64 * 8.0 / 3.0
        };
        rate(&mut encoder, 0);
        let high = rate(&mut encoder, 90);
        encoder.set_bitrate(150_000).unwrap();
        rate(&mut encoder, 180);
        let low = rate(&mut encoder, 270);
        assert!(low < 200_000.0, "{low} bit/s after asking for 150 000");
        assert!(high > low * 1.5, "{high} bit/s at 600 000, {low} at 150 000");
        encoder.set_bitrate(600_000).unwrap();
        rate(&mut encoder, 360);
        assert!(rate(&mut encoder, 450) > low * 1.5, "the rate rises again");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for bad in [
            EncoderConfig { width: 15, ..config(320, 180) },
            config(7680, 4320),
            config(2200, 2200),
            EncoderConfig { fps: f32::NAN, ..config(320, 180) },
            EncoderConfig { threads: 0, ..config(320, 180) },
        ] {
            assert!(matches!(H264Encoder::new(bad), Err(CodecError::Setting { .. })), "{bad:?}");
        }
        let mut encoder = H264Encoder::new(config(320, 180)).unwrap();
        assert!(encoder.set_fps(0.0).is_err());
    }
}
