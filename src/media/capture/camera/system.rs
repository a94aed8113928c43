//! The system's cameras through `nokhwa`: V4L2 on Linux, AVFoundation on macOS, Media Foundation on Windows. Devices are
//! opened and read on the supervisor's worker thread; `nokhwa` may wait there forever for a stalled one.

use std::path::Path;

use nokhwa::utils::{ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};
use nokhwa::{Camera, NokhwaError, nokhwa_check, nokhwa_initialize};

use super::driver::{CameraDriver, CameraFault, CameraInfo, CameraStream};
use super::nodes;
use crate::media::capture::convert::{PixelFormat, RawPicture};
use crate::media::source::VideoFormat;
use crate::model::DeviceState;

/// What we can read.
const READABLE: [FrameFormat; 6] = [
    FrameFormat::NV12,
    FrameFormat::YUYV,
    FrameFormat::RAWBGR,
    FrameFormat::RAWRGB,
    FrameFormat::MJPEG,
    FrameFormat::GRAY,
];

/// The cameras of this machine.
#[derive(Debug)]
pub(super) struct SystemCameras;

impl CameraDriver for SystemCameras {
    fn list(&self) -> Vec<CameraInfo> {
        found().into_iter().map(|(info, _)| info).collect()
    }

    fn open(&self, id: &str, wish: VideoFormat) -> Result<Box<dyn CameraStream>, CameraFault> {
        let unplugged = || CameraFault::of_os_error(19, "");
        let (_, index) = found().into_iter().find(|(info, _)| info.id == id).ok_or_else(unplugged)?;
        may_use(&index)?;
        let any = RequestedFormat::with_formats(RequestedFormatType::None, &READABLE);
        let mut camera = Camera::new(index, any).map_err(|error| fault(&error))?;
        let formats = camera.compatible_camera_formats().map_err(|error| fault(&error))?;
        if let Some(best) = choose(&formats, wish)
            && best != camera.camera_format()
        {
            let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(best), &READABLE);
            if let Err(error) = camera.set_camera_requset(exact) {
                tracing::info!(id, %error, "the camera keeps its own format");
            }
        }
        camera.open_stream().map_err(|error| fault(&error))?;
        tracing::debug!(id, format = %camera.camera_format(), "camera opened");
        Ok(Box::new(OpenCamera(camera)))
    }
}

/// All cameras with what `nokhwa` opens them by.
fn found() -> Vec<(CameraInfo, CameraIndex)> {
    if cfg!(target_os = "linux") {
        let describe =
            |node: nodes::Node| (CameraInfo { id: node.id, name: node.name }, CameraIndex::Index(node.number));
        return nodes::list(Path::new("/")).into_iter().map(describe).collect();
    }
    let cameras = nokhwa::query(ApiBackend::Auto).unwrap_or_else(|error| {
        tracing::warn!(%error, "the system does not list its cameras");
        Vec::new()
    });
    let describe = |camera: nokhwa::utils::CameraInfo| {
        // The system's own id, where it gives one.
        let id = if camera.misc().is_empty() { camera.index().as_string() } else { camera.misc() };
        (CameraInfo { id, name: camera.human_name() }, camera.index().clone())
    };
    cameras.into_iter().map(describe).collect()
}

/// Asks the system for leave first: its own error says more than the library's.
fn may_use(index: &CameraIndex) -> Result<(), CameraFault> {
    if !nokhwa_check() {
        nokhwa_initialize(|granted| tracing::info!(granted, "the system was asked for leave to use cameras"));
        let why = "the system does not let you use cameras: allow it in the system's privacy settings".into();
        return Err(CameraFault { state: DeviceState::NoPermission, why });
    }
    if cfg!(target_os = "linux")
        && let CameraIndex::Index(number) = index
        && let Err(error) = std::fs::OpenOptions::new().read(true).write(true).open(format!("/dev/video{number}"))
    {
        return Err(CameraFault::of_os_error(error.raw_os_error().unwrap_or(0), &error.to_string()));
    }
    Ok(())
}

fn fault(error: &NokhwaError) -> CameraFault {
    CameraFault::of_message(&error.to_string())
}

/// The format that serves a wish at the least cost: large enough, fast enough, cheap to convert.
fn choose(formats: &[CameraFormat], wish: VideoFormat) -> Option<CameraFormat> {
    let cost = |format: &CameraFormat| {
        let (width, height) = (format.width() as f32 / wish.width as f32, format.height() as f32 / wish.height as f32);
        let short = width.min(height);
        // Enlarging costs sharpness, which nothing brings back; shrinking costs time alone.
        let size = if short < 1.0 { 4.0 * (1.0 - short) } else { 0.5 * (width * height - 1.0) };
        let rate = format.frame_rate() as f32 / wish.fps;
        let rate = if rate < 1.0 { 2.0 * (1.0 - rate) } else { 0.05 * (rate - 1.0) };
        let conversion = match format.format() {
            FrameFormat::NV12 => 0.0,
            FrameFormat::YUYV => 0.02,
            FrameFormat::RAWBGR | FrameFormat::RAWRGB => 0.04,
            FrameFormat::MJPEG => 0.06,
            FrameFormat::GRAY => 2.0,
        };
        size + rate + conversion
    };
    let usable = formats.iter().filter(|format| format.width() > 0 && format.height() > 0 && format.frame_rate() > 0);
    usable.min_by(|a, b| cost(a).total_cmp(&cost(b))).copied()
}

struct OpenCamera(Camera);

impl CameraStream for OpenCamera {
    fn next(&mut self, look: &mut dyn FnMut(&RawPicture<'_>)) -> Result<(), CameraFault> {
        let format = self.0.camera_format();
        let pixels = match format.format() {
            FrameFormat::MJPEG => PixelFormat::Mjpeg,
            FrameFormat::YUYV => PixelFormat::Yuyv,
            FrameFormat::NV12 => PixelFormat::Nv12,
            FrameFormat::RAWRGB => PixelFormat::Rgb,
            FrameFormat::RAWBGR => PixelFormat::Bgr,
            FrameFormat::GRAY => PixelFormat::Grey,
        };
        let data = self.0.frame_raw().map_err(|error| fault(&error))?;
        look(&RawPicture { width: format.width(), height: format.height(), stride: 0, format: pixels, data: &data });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(width: u32, height: u32, format: FrameFormat, fps: u32) -> CameraFormat {
        CameraFormat::new_from(width, height, format, fps)
    }

    #[test]
    fn the_format_nearest_to_the_preset_is_chosen() {
        // What a usual USB camera offers: raw pixels do not fit through USB 2 at 720p.
        let usual = [
            format(320, 240, FrameFormat::YUYV, 30),
            format(640, 480, FrameFormat::YUYV, 30),
            format(640, 480, FrameFormat::MJPEG, 30),
            format(1280, 720, FrameFormat::YUYV, 10),
            format(1280, 720, FrameFormat::MJPEG, 30),
            format(1920, 1080, FrameFormat::MJPEG, 30),
        ];
        let chosen = |width, height, fps| choose(&usual, VideoFormat { width, height, fps }).unwrap();
        assert_eq!(chosen(640, 480, 15.0), usual[1]);
        assert_eq!(chosen(320, 240, 15.0), usual[0]);
        assert_eq!(chosen(1280, 720, 20.0), usual[4]);
        assert_eq!(chosen(3840, 2160, 15.0), usual[5]);
        // Only large ones: it is made smaller here.
        assert_eq!(choose(&usual[5..], VideoFormat { width: 320, height: 240, fps: 15.0 }), Some(usual[5]));
        assert_eq!(choose(&[format(0, 0, FrameFormat::NV12, 0)], VideoFormat { width: 2, height: 2, fps: 1.0 }), None);
    }

    #[test]
    fn a_camera_that_is_not_there_is_unplugged() {
        let wish = VideoFormat { width: 640, height: 480, fps: 15.0 };
        let fault = SystemCameras.open("no-such-camera", wish).err().unwrap();
        assert_eq!(fault.state, DeviceState::Unplugged);
    }
}
