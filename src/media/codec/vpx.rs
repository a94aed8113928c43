//! The only file that calls libvpx: safe wrappers over one encoder and one decoder context. Owned by the thread that
//! codes; nothing here is shared.
//!
//! Invariant: a context that exists was initialised successfully with the ABI version of the bindings, and is
//! destroyed exactly once, in `Drop`.
#![allow(unsafe_code, reason = "libvpx is a C library; every block states why it is sound")]

use std::ffi::{CStr, c_int, c_uint, c_ulong};
use std::mem::MaybeUninit;
use std::ptr;

use vpx_sys as vpx;

use super::CodecError;
use crate::media::{ColourSpace, FramePool, VideoFrame};

const VP8: &str = "VP8";
/// The bindings hold the versions as `u32` or `i32` depending on their own version; the functions take `c_int`.
const ENCODER_ABI: c_int = vpx::VPX_ENCODER_ABI_VERSION as c_int;
const DECODER_ABI: c_int = vpx::VPX_DECODER_ABI_VERSION as c_int;

/// Microseconds: presentation times and durations given to the encoder count in these.
const TIMEBASE: vpx::vpx_rational = vpx::vpx_rational { num: 1, den: 1_000_000 };

/// What the encoder is told, in the units of the field names.
pub(super) struct EncoderSettings {
    pub width: u32,
    pub height: u32,
    pub threads: u32,
    pub bitrate_kbps: u32,
    pub min_quantizer: u32,
    pub max_quantizer: u32,
    pub drop_below_buffer_pct: u32,
    pub cpu_used: c_int,
    pub screen_content: c_int,
    pub static_threshold: c_int,
    pub max_intra_bitrate_pct: c_int,
}

/// One VP8 encoder context with its settings.
pub(super) struct Encoder {
    context: Context,
    config: vpx::vpx_codec_enc_cfg,
}

/// One VP8 decoder context.
pub(super) struct Decoder {
    context: Context,
}

/// A successfully initialised codec context. Boxed, so that its address stays the same for the library.
struct Context(Box<vpx::vpx_codec_ctx_t>);

// SAFETY: a libvpx context has no thread affinity; it may be used from any one thread at a time, which `&mut` grants.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was initialised (invariant of the file) and is not used again.
        let status = unsafe { vpx::vpx_codec_destroy(&mut *self.0) };
        if status != vpx::VPX_CODEC_OK {
            tracing::warn!(status = status as u32, "libvpx could not destroy a codec context");
        }
    }
}

impl Context {
    /// What the library says about the last failure.
    fn why(&mut self, status: vpx::vpx_codec_err_t) -> String {
        // SAFETY: the context is initialised; the detail is null or a NUL-terminated string that lives until the next
        // call on the context, and is copied at once.
        let detail = unsafe {
            let detail = vpx::vpx_codec_error_detail(&mut *self.0);
            (!detail.is_null()).then(|| CStr::from_ptr(detail).to_string_lossy().into_owned())
        };
        match detail {
            Some(detail) => format!("{} ({detail})", describe(status)),
            None => describe(status),
        }
    }

    fn set(&mut self, control: vpx::vp8e_enc_control_id, value: c_int) -> Result<(), CodecError> {
        // SAFETY: the context is an initialised VP8 encoder, and every control passed here takes one `int`.
        let status = unsafe { vpx::vpx_codec_control_(&mut *self.0, control as c_int, value) };
        self.check(status, |why| CodecError::Setting { codec: VP8, why })
    }

    fn check(
        &mut self,
        status: vpx::vpx_codec_err_t,
        error: impl FnOnce(String) -> CodecError,
    ) -> Result<(), CodecError> {
        if status == vpx::VPX_CODEC_OK { Ok(()) } else { Err(error(self.why(status))) }
    }
}

/// The library's own name of a status.
fn describe(status: vpx::vpx_codec_err_t) -> String {
    // SAFETY: returns a pointer to a static NUL-terminated string for every value of the enum.
    unsafe { CStr::from_ptr(vpx::vpx_codec_err_to_string(status)) }.to_string_lossy().into_owned()
}

fn setup_error(status: vpx::vpx_codec_err_t) -> CodecError {
    let why = match status {
        vpx::vpx_codec_err_t::VPX_CODEC_ABI_MISMATCH => {
            "the installed libvpx has another ABI than this program was built for; rebuild against it".to_owned()
        }
        other => describe(other),
    };
    CodecError::Setup { codec: VP8, why }
}

impl Encoder {
    /// # Errors
    /// [`CodecError::Setup`] or [`CodecError::Setting`], with what the library said.
    pub(super) fn new(settings: &EncoderSettings) -> Result<Self, CodecError> {
        let mut config = MaybeUninit::<vpx::vpx_codec_enc_cfg>::uninit();
        // SAFETY: the interface is a static of the library; on success every field of `config` was written.
        let mut config = unsafe {
            let status = vpx::vpx_codec_enc_config_default(vpx::vpx_codec_vp8_cx(), config.as_mut_ptr(), 0);
            if status != vpx::VPX_CODEC_OK {
                return Err(setup_error(status));
            }
            config.assume_init()
        };
        config.g_w = settings.width;
        config.g_h = settings.height;
        config.g_threads = settings.threads;
        config.g_timebase = TIMEBASE;
        config.g_pass = vpx::vpx_enc_pass::VPX_RC_ONE_PASS;
        config.g_lag_in_frames = 0;
        config.g_error_resilient = 0;
        config.rc_dropframe_thresh = settings.drop_below_buffer_pct;
        config.rc_resize_allowed = 0;
        config.rc_end_usage = vpx::vpx_rc_mode::VPX_CBR;
        config.rc_target_bitrate = settings.bitrate_kbps;
        config.rc_min_quantizer = settings.min_quantizer;
        config.rc_max_quantizer = settings.max_quantizer;
        config.rc_undershoot_pct = 100;
        config.rc_overshoot_pct = 15;
        // In ms of the target rate: a second of buffer, kept a little over half full.
        config.rc_buf_initial_sz = 500;
        config.rc_buf_optimal_sz = 600;
        config.rc_buf_sz = 1000;
        config.kf_mode = vpx::vpx_kf_mode::VPX_KF_DISABLED;

        let mut raw = Box::<vpx::vpx_codec_ctx_t>::default();
        // SAFETY: `raw` is a zeroed context, `config` came from the library's own default and outlives the call (the
        // encoder copies it).
        let status =
            unsafe { vpx::vpx_codec_enc_init_ver(&mut *raw, vpx::vpx_codec_vp8_cx(), &config, 0, ENCODER_ABI) };
        if status != vpx::VPX_CODEC_OK {
            return Err(setup_error(status));
        }
        let mut context = Context(raw);
        use vpx::vp8e_enc_control_id as control;
        context.set(control::VP8E_SET_CPUUSED, settings.cpu_used)?;
        context.set(control::VP8E_SET_SCREEN_CONTENT_MODE, settings.screen_content)?;
        context.set(control::VP8E_SET_STATIC_THRESHOLD, settings.static_threshold)?;
        context.set(control::VP8E_SET_MAX_INTRA_BITRATE_PCT, settings.max_intra_bitrate_pct)?;
        context.set(control::VP8E_SET_NOISE_SENSITIVITY, 0)?;
        context.set(control::VP8E_SET_TOKEN_PARTITIONS, 0)?;
        Ok(Self { context, config })
    }

    /// # Errors
    /// [`CodecError::Setting`] when the library refuses the rate; the old one stays.
    pub(super) fn set_bitrate_kbps(&mut self, kbps: u32) -> Result<(), CodecError> {
        let mut config = self.config;
        config.rc_target_bitrate = kbps;
        // SAFETY: the context is initialised; the encoder copies the configuration.
        let status = unsafe { vpx::vpx_codec_enc_config_set(&mut *self.context.0, &config) };
        self.context.check(status, |why| CodecError::Setting { codec: VP8, why })?;
        self.config = config;
        Ok(())
    }

    /// The quantizer of the newest frame on the scale of the settings, 0..=63.
    pub(super) fn last_quantizer(&mut self) -> Option<u32> {
        let mut quantizer: c_int = -1;
        // SAFETY: the context is an initialised VP8 encoder and this control writes one `int` through the pointer.
        let status = unsafe {
            vpx::vpx_codec_control_(
                &mut *self.context.0,
                vpx::vp8e_enc_control_id::VP8E_GET_LAST_QUANTIZER_64 as c_int,
                &mut quantizer as *mut c_int,
            )
        };
        if status == vpx::VPX_CODEC_OK { u32::try_from(quantizer).ok() } else { None }
    }

    /// Encodes one picture of the configured size; `None` when rate control dropped it. Times in microseconds,
    /// `pts_us` strictly increasing.
    ///
    /// # Errors
    /// [`CodecError::Data`] when the size differs or the library fails.
    pub(super) fn encode(
        &mut self,
        frame: &VideoFrame,
        pts_us: i64,
        duration_us: u32,
        keyframe: bool,
    ) -> Result<Option<(Vec<u8>, bool)>, CodecError> {
        if (frame.width(), frame.height()) != (self.config.g_w, self.config.g_h) {
            return Err(CodecError::Data {
                codec: VP8,
                why: "the picture has another size than the encoder".to_owned(),
            });
        }
        let image = wrap(frame);
        let flags = if keyframe { vpx::VPX_EFLAG_FORCE_KF } else { 0 };
        // SAFETY: the image's planes and strides describe `frame`, which is borrowed for the whole call; the encoder
        // only reads them, copies what it keeps, and the size was checked against its configuration.
        let status = unsafe {
            vpx::vpx_codec_encode(
                &mut *self.context.0,
                &image,
                pts_us,
                c_ulong::from(duration_us.max(1)),
                flags.into(),
                c_ulong::from(vpx::VPX_DL_REALTIME),
            )
        };
        self.context.check(status, |why| CodecError::Data { codec: VP8, why })?;

        let mut encoded = None;
        let mut iterator: vpx::vpx_codec_iter_t = ptr::null();
        loop {
            // SAFETY: the context is initialised and `iterator` started null, as the interface asks.
            let packet = unsafe { vpx::vpx_codec_get_cx_data(&mut *self.context.0, &mut iterator).as_ref() };
            let Some(packet) = packet else { return Ok(encoded) };
            if packet.kind != vpx::vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: `kind` says that the union holds a frame, whose buffer is `sz` bytes valid until the next call
            // on the context; it is copied at once. A frame packet always has a buffer.
            let (data, flags) = unsafe {
                let body = packet.data.frame;
                (std::slice::from_raw_parts(body.buf.cast::<u8>(), body.sz as usize).to_vec(), body.flags)
            };
            encoded = Some((data, flags & vpx::VPX_FRAME_IS_KEY != 0));
        }
    }
}

/// Describes a frame's planes to the encoder, without copying. The result must not outlive the frame.
fn wrap(frame: &VideoFrame) -> vpx::vpx_image_t {
    let (chroma_width, _) = frame.chroma_size();
    // Sides are at most `MAX_PICTURE_SIDE_PX`, which any `c_int` holds.
    let (luma_stride, chroma_stride) = (frame.width() as c_int, chroma_width as c_int);
    let plane = |samples: &[u8]| samples.as_ptr().cast_mut();
    vpx::vpx_image_t {
        fmt: vpx::vpx_img_fmt::VPX_IMG_FMT_I420,
        w: frame.width(),
        h: frame.height(),
        d_w: frame.width(),
        d_h: frame.height(),
        x_chroma_shift: 1,
        y_chroma_shift: 1,
        bit_depth: 8,
        bps: 12,
        planes: [plane(frame.y()), plane(frame.u()), plane(frame.v()), ptr::null_mut()],
        stride: [luma_stride, chroma_stride, chroma_stride, 0],
        ..Default::default()
    }
}

/// One decoded picture, borrowed from the decoder until its next call.
pub(super) struct Picture<'a> {
    image: &'a vpx::vpx_image_t,
}

impl Picture<'_> {
    /// Copies the planes, tightly packed, into a buffer of `pool` and makes a frame of it.
    ///
    /// # Errors
    /// [`CodecError::Data`] when the picture is larger than a frame may be.
    pub(super) fn to_frame(&self, pool: &FramePool, timestamp_us: u64) -> Result<VideoFrame, CodecError> {
        let (width, height) = (self.image.d_w, self.image.d_h);
        let mut buffer = pool.take(VideoFrame::byte_len(width, height));
        let planes =
            [(width, height), (width.div_ceil(2), height.div_ceil(2)), (width.div_ceil(2), height.div_ceil(2))];
        for (index, (width, height)) in planes.into_iter().enumerate() {
            let (source, stride) = (self.image.planes[index], self.image.stride[index] as isize);
            for row in 0..height as isize {
                // SAFETY: libvpx gives planes of at least the displayed size, `stride` bytes from row to row, valid
                // while the decoder is borrowed; `row` and `width` stay within that size.
                let line = unsafe { std::slice::from_raw_parts(source.offset(row * stride), width as usize) };
                buffer.extend_from_slice(line);
            }
        }
        VideoFrame::new(width, height, ColourSpace::default(), timestamp_us, buffer)
            .map(|frame| frame.with_home(pool))
            .map_err(|error| CodecError::Data { codec: VP8, why: error.to_string() })
    }
}

impl Decoder {
    /// # Errors
    /// [`CodecError::Setup`] with what the library said.
    pub(super) fn new() -> Result<Self, CodecError> {
        let mut raw = Box::<vpx::vpx_codec_ctx_t>::default();
        // Size 0: the decoder takes it from the first keyframe.
        let config = vpx::vpx_codec_dec_cfg { threads: 1, w: 0, h: 0 };
        // SAFETY: `raw` is a zeroed context; the decoder copies the configuration during the call.
        let status =
            unsafe { vpx::vpx_codec_dec_init_ver(&mut *raw, vpx::vpx_codec_vp8_dx(), &config, 0, DECODER_ABI) };
        if status != vpx::VPX_CODEC_OK {
            return Err(setup_error(status));
        }
        Ok(Self { context: Context(raw) })
    }

    /// Decodes one frame; `None` when it is not meant to be shown.
    ///
    /// # Errors
    /// [`CodecError::Data`] when it is damaged, or was decoded from damaged references.
    pub(super) fn decode(&mut self, data: &[u8]) -> Result<Option<Picture<'_>>, CodecError> {
        let length = c_uint::try_from(data.len())
            .map_err(|_| CodecError::Data { codec: VP8, why: "the frame is too large".to_owned() })?;
        // SAFETY: the context is initialised and `data` is readable for `length` bytes during the call.
        let status = unsafe { vpx::vpx_codec_decode(&mut *self.context.0, data.as_ptr(), length, ptr::null_mut(), 0) };
        self.context.check(status, |why| CodecError::Data { codec: VP8, why })?;

        let mut iterator: vpx::vpx_codec_iter_t = ptr::null();
        // SAFETY: the context is initialised and `iterator` started null. The image lives until the next call on the
        // context, which the returned borrow of `self` prevents.
        let image = unsafe { vpx::vpx_codec_get_frame(&mut *self.context.0, &mut iterator).as_ref() };

        let mut corrupted: c_int = 0;
        // SAFETY: the context is a VP8 decoder and this control writes one `int` through the pointer.
        let status = unsafe {
            vpx::vpx_codec_control_(
                &mut *self.context.0,
                vpx::vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as c_int,
                &mut corrupted as *mut c_int,
            )
        };
        if status != vpx::VPX_CODEC_OK || corrupted != 0 {
            return Err(CodecError::Data { codec: VP8, why: "the picture or its references are damaged".to_owned() });
        }
        Ok(image.map(|image| Picture { image }))
    }
}
